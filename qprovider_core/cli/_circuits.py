"""Circuits from files: OpenQASM 2 and 3, told apart by the header, and QPY."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from qprovider_core.errors import InvalidInputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_QPY_MAGIC = b"QISKIT"
_COMMENTS = re.compile(r"\s+|//[^\n]*|/\*.*?\*/", re.DOTALL)
_HEADER = re.compile(r"OPENQASM\s+(\d+)(?:\.\d+)?\s*;")
# Every parser below counts lines from 1 and columns from 0, and says so in one of these ways.
_PLACE = re.compile(r"(?:(?P<file>[^\n]*?):)?(?:line |L)?(?P<line>\d+)[,:]C?(?P<column>\d+):? (?P<what>.*)", re.DOTALL)
_WIDEST_LINE = 100


def read_circuits(path: Path) -> list[QuantumCircuit]:
    """The circuits of a file.

    Raises:
        InvalidInputError: It cannot be read; the message has file, line and what is wrong.
    """
    data = path.read_bytes()
    if data.startswith(_QPY_MAGIC):
        return _read_qpy(path, data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise InvalidInputError(
            f"{path}, line {line}: this is not a text in UTF-8, nor a QPY file.",
            hint="Give an OpenQASM 2 or 3 file, or a file written by qiskit.qpy.dump.",
        ) from exc
    version = _qasm_version(path, text)
    circuit = _read_qasm2(path, text) if version == 2 else _read_qasm3(path, text)
    circuit.name = path.stem
    return [circuit]


def _qasm_version(path: Path, text: str) -> int:
    start = 0
    while space := _COMMENTS.match(text, start):
        start = space.end()
    header = _HEADER.match(text, start)
    if header is None:
        raise _broken(
            path,
            text,
            text.count("\n", 0, start) + 1,
            None,
            "a header 'OPENQASM 2.0;' or 'OPENQASM 3.0;' is missing here",
        )
    version = int(header[1])
    if version not in (2, 3):
        raise _broken(path, text, text.count("\n", 0, start) + 1, None, f"OpenQASM {version} is not known")
    return version


def _read_qasm2(path: Path, text: str) -> QuantumCircuit:
    from qiskit import qasm2  # late: Qiskit takes seconds

    try:
        # As QuantumCircuit.from_qasm_file reads it; what a file includes may also lie beside it.
        return qasm2.loads(
            text,
            include_path=(*qasm2.LEGACY_INCLUDE_PATH, path.parent),
            custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
            custom_classical=qasm2.LEGACY_CUSTOM_CLASSICAL,
        )
    except qasm2.QASM2ParseError as exc:
        raise _placed(path, text, _message(exc)) from exc


def _read_qasm3(path: Path, text: str) -> QuantumCircuit:
    from qiskit import qasm3  # late: Qiskit takes seconds

    heard = io.StringIO()
    try:
        with contextlib.redirect_stderr(heard):  # its parser also prints what it says
            return qasm3.loads(text)
    except Exception as exc:  # its parsers share no class of errors, and raise all sorts on broken text
        message = _message(exc) or _qasm3_complaint(text)
        line, column = _statement(exc)
        raise _placed(path, text, message or f"it cannot be read ({type(exc).__name__})", line, column) from exc


def _message(exc: Exception) -> str:
    """What an error says; Qiskit's own put their text in quotes."""
    return str(getattr(exc, "message", None) or exc)


def _statement(exc: Exception) -> tuple[int | None, int | None]:
    """Line and column of what was being read, for errors that do not tell: their traceback knows."""
    traceback, found = exc.__traceback__, None
    while traceback is not None:
        found = getattr(traceback.tb_frame.f_locals.get("node"), "span", None) or found
        traceback = traceback.tb_next
    return (None, None) if found is None else (found.start_line, found.start_column)


def _qasm3_complaint(text: str) -> str | None:
    """What the grammar says against a text: the strict parser keeps it to itself, the other one prints it."""
    import openqasm3

    heard = io.StringIO()
    with contextlib.redirect_stderr(heard), contextlib.suppress(Exception):
        openqasm3.parse(text, permissive=True)
    return heard.getvalue().partition("\n")[0] or None


def _read_qpy(path: Path, data: bytes) -> list[QuantumCircuit]:
    from qiskit import QuantumCircuit, qpy  # late: Qiskit takes seconds

    try:
        loaded = qpy.load(io.BytesIO(data))
    except Exception as exc:  # a damaged file fails in every way there is
        raise InvalidInputError(
            f"{path} is a QPY file that cannot be read.",
            why=_first_sentence(f"{type(exc).__name__}: {_message(exc)}"),
            hint="It may be damaged, or written by a newer Qiskit: write it again, or upgrade Qiskit.",
        ) from exc
    circuits = [circuit for circuit in loaded if isinstance(circuit, QuantumCircuit)]
    if not circuits or len(circuits) < len(loaded):
        raise InvalidInputError(f"{path} holds {'something else than' if loaded else 'no'} circuits.")
    return circuits


def _first_sentence(text: str) -> str:
    """Without the colours and the backtrace that Qiskit's native reader adds."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return re.split(r"\n|╺|Backtrace", plain, maxsplit=1)[0].strip(" :")


def _placed(
    path: Path, text: str, message: str, line: int | None = None, column: int | None = None
) -> InvalidInputError:
    """A parser's message as an error with the place it names, else the given one."""
    place = _PLACE.match(message)
    if place is None:
        return _broken(path, text, line, column, message)
    if place["file"] and not place["file"].startswith("<"):  # a text's name is in angle brackets
        return InvalidInputError(
            f"{path} includes {place['file']}, and in its line {place['line']}: {place['what'].rstrip('.')}."
        )
    return _broken(path, text, int(place["line"]), int(place["column"]), place["what"])


def _broken(path: Path, text: str, line: int | None, column: int | None, what: str) -> InvalidInputError:
    """An error that shows the line, with a mark below the column."""
    lines = text.split("\n")
    if line is None or not 1 <= line <= len(lines):
        return InvalidInputError(f"{path}: {what.rstrip('.')}.")
    where = f"line {line}" if column is None else f"line {line}, column {column + 1}"
    start = max(0, (column or 0) - _WIDEST_LINE + 20)
    margin = f"  {line} | "
    block = margin + lines[line - 1].expandtabs(1)[start : start + _WIDEST_LINE].rstrip()
    if column is not None:
        block += "\n" + " " * (len(margin) - 2) + "| " + " " * (column - start) + "^"
    return InvalidInputError(f"{path}, {where}: {what.rstrip('.')}.", why=block)

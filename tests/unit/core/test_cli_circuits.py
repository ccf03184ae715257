"""Circuits from files; each way in which a file can be broken gives file, line and what is wrong."""

from pathlib import Path

import pytest

from qprovider_core.cli._circuits import read_circuits
from qprovider_core.errors import InvalidInputError

QASM2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\n'
QASM3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\n'


def write(folder: Path, text: str | bytes, name: str = "bell.qasm") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        QASM2 + "h q[0];\ncx q[0],q[1];\nmeasure q -> c;\n",
        QASM3 + "h q[0];\ncx q[0],q[1];\nc = measure q;\n",
        "\ufeff// a comment\n/* and\nanother */\n"
        + QASM3.replace("3.0", "3")
        + "h q[0];\ncx q[0],q[1];\nc = measure q;",
    ],
)
def test_the_header_tells_openqasm_2_from_3(tmp_path: Path, text: str) -> None:
    (circuit,) = read_circuits(write(tmp_path, text))
    assert circuit.count_ops() == {"measure": 2, "h": 1, "cx": 1}
    assert circuit.name == "bell"


def test_a_qpy_file_may_hold_several_circuits(tmp_path: Path) -> None:
    from qiskit import QuantumCircuit, qpy

    path = tmp_path / "two.qpy"
    with path.open("wb") as file:
        qpy.dump([QuantumCircuit(1, name="a"), QuantumCircuit(2, name="b")], file)
    assert [circuit.name for circuit in read_circuits(path)] == ["a", "b"]


def test_openqasm_2_may_include_a_file_that_lies_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "gate mine a,b { CX a,b; }\n", "mine.inc")
    (circuit,) = read_circuits(write(tmp_path, 'OPENQASM 2.0;\ninclude "mine.inc";\nqreg q[2];\nmine q[0],q[1];\n'))
    assert circuit.count_ops() == {"mine": 1}


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        (QASM2 + "h q[0]\ncx q[0],q[1];", 6, 1, "needed ';'"),
        (QASM2 + "  foo q[0];", 5, 3, "'foo' is not defined"),
        (QASM2 + "h q[0", 5, None, "unexpected end-of-file"),
        (QASM3 + "h q[0]\ncx q[0], q[1];", 6, 1, "missing ';' at 'cx'"),
        (QASM3 + "foo q[0];", 5, 1, "gate 'foo' is not defined"),
        (QASM3 + "h q[7];", 5, 3, "out of range"),
        (QASM3 + "h q[0]; $\n", 5, 9, "token recognition error"),
        (QASM3 + "pulse @@ x;", 5, 7, "no viable alternative"),
        (QASM3.replace("stdgates", "other"), 2, 1, "stdgates"),
        ("// nothing\nqreg q[2];\n", 2, None, "a header 'OPENQASM 2.0;' or 'OPENQASM 3.0;' is missing"),
        ("", 1, None, "a header"),
        ("\nOPENQASM 4.0;\n", 2, None, "OpenQASM 4 is not known"),
        (QASM2.encode() + b"// caf\xe9\n", 5, None, "not a text in UTF-8"),
    ],
)
def test_a_broken_text_gives_file_line_and_what_is_wrong(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    text: str | bytes,
    line: int,
    column: int | None,
    what: str,
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InvalidInputError) as caught:
        read_circuits(path)
    place = f"{path}, line {line}" + (f", column {column}:" if column else "")
    assert str(caught.value).startswith(place)
    assert what in str(caught.value)
    assert capfd.readouterr().err == "", "the parser's own words are kept"


def test_the_broken_line_is_shown_with_a_mark_below_the_column(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_circuits(write(tmp_path, QASM2 + "  foo q[0];"))
    assert caught.value.why == "  5 |   foo q[0];\n    |   ^"


def test_of_a_very_long_line_only_the_place_is_shown(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_circuits(write(tmp_path, QASM2 + "h q[0];" * 1000 + "foo q[0];" + "h q[0];" * 1000))
    shown, mark = (caught.value.why or "").split("\n")
    assert len(shown) < 120
    assert shown[mark.index("^") :].startswith("foo q[0];")


def test_an_error_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    write(tmp_path, "\nnonsense;\n", "mine.inc")
    with pytest.raises(InvalidInputError, match=r"includes .*mine\.inc, and in its line 2: "):
        read_circuits(write(tmp_path, 'OPENQASM 2.0;\ninclude "mine.inc";\n'))


def test_a_parser_that_raises_something_odd_still_gives_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qiskit import qasm3

    def loads(text: str) -> None:
        raise RecursionError

    monkeypatch.setattr(qasm3, "loads", loads)
    with pytest.raises(InvalidInputError, match=r"bell\.qasm: it cannot be read \(RecursionError\)"):
        read_circuits(write(tmp_path, QASM3))


def test_a_damaged_qpy_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="a QPY file that cannot be read") as caught:
        read_circuits(write(tmp_path, b"QISKIT\x99nonsense", "bad.qpy"))
    assert "newer Qiskit" in (caught.value.hint or "")


@pytest.mark.parametrize(("loaded", "what"), [([], "holds no circuits"), ([object()], "holds something else")])
def test_a_qpy_file_without_circuits_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: list[object], what: str
) -> None:
    from qiskit import qpy

    monkeypatch.setattr(qpy, "load", lambda file: loaded)
    with pytest.raises(InvalidInputError, match=what):
        read_circuits(write(tmp_path, b"QISKIT", "odd.qpy"))

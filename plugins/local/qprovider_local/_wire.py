"""What travels between this process and its workers: frames, circuits, counts.

A frame is the length of a JSON header, the length of a payload, the header and the payload. Circuits go as
QPY, outcomes as raw bytes. Nothing is pickled.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_LENGTHS = struct.Struct(">IQ")
_MARK = b"\0qprovider-local frames follow\0"
# Qiskit writes and reads a QPY file in one go with the interpreter's lock held. Small files let the user's
# other threads run in between: 2000 instructions take about 5 ms.
_INSTRUCTIONS_A_FILE = 2000


class ChannelClosed(Exception):
    """The other side is gone."""


def send_mark(stream: IO[bytes]) -> None:
    """Say that frames follow. Whatever the interpreter printed while it started stands before."""
    stream.write(_MARK)


def await_mark(stream: IO[bytes]) -> None:
    """Skip what stands before the first frame.

    Raises:
        ChannelClosed: The stream ended without a mark.
    """
    seen = b""
    while not seen.endswith(_MARK):
        seen = seen[-len(_MARK) :] + _exactly(stream, 1)


def send(stream: IO[bytes], header: Any, payload: bytes = b"") -> None:
    """Write one frame to an unbuffered stream: what a buffer holds, a fork of this process would send again.

    Raises:
        ChannelClosed: The other side does not read any more.
    """
    text = json.dumps(header).encode()
    for data in (_LENGTHS.pack(len(text), len(payload)) + text, payload):
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[stream.write(rest) :]
        except (OSError, ValueError) as exc:  # ValueError: the stream was closed in this process
            raise ChannelClosed from exc


def receive(stream: IO[bytes]) -> tuple[Any, bytes]:
    """Read one frame from an unbuffered stream.

    Raises:
        ChannelClosed: The stream ended, at a frame's border or within one.
    """
    header_size, payload_size = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    header = json.loads(_exactly(stream, header_size))
    return header, _exactly(stream, payload_size)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    parts, missing = [], size
    while missing:
        try:
            part = stream.read(missing)
        except (OSError, ValueError) as exc:
            raise ChannelClosed from exc
        if not part:
            raise ChannelClosed
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


# ---------------------------------------------------------------------------------------------------- circuits


def _without_metadata() -> type[json.JSONEncoder]:
    class Nothing(json.JSONEncoder):
        """Users may put anything into a circuit's metadata; the simulation does not need it."""

        def encode(self, o: Any) -> str:
            return "{}"

    return Nothing


def pack_circuits(circuits: Sequence[QuantumCircuit]) -> tuple[list[int], bytes]:
    """The circuits as QPY files one after another, and the files' sizes."""
    from qiskit import qpy  # late: seconds to import; the caller has circuits, so it is there

    encoder = _without_metadata()
    sizes, files = [], []
    for group in _groups(circuits):
        file = BytesIO()
        qpy.dump(group, file, metadata_serializer=encoder)
        files.append(file.getvalue())
        sizes.append(len(files[-1]))
    return sizes, b"".join(files)


def _groups(circuits: Iterable[QuantumCircuit]) -> Iterable[list[QuantumCircuit]]:
    group: list[QuantumCircuit] = []
    instructions = 0
    for circuit in circuits:
        group.append(circuit)
        instructions += len(circuit.data)
        if instructions >= _INSTRUCTIONS_A_FILE:
            yield group
            group, instructions = [], 0
    if group:
        yield group


def unpack_circuits(sizes: Sequence[int], payload: bytes) -> list[QuantumCircuit]:
    """What `pack_circuits` packed."""
    from qiskit import qpy  # late: seconds to import

    circuits: list[QuantumCircuit] = []
    start = 0
    for size in sizes:
        circuits += qpy.load(BytesIO(payload[start : start + size]))
        start += size
    return circuits


# ------------------------------------------------------------------------------------------------------ counts


def pack_counts(keys: bytes, numbers: Iterable[int]) -> bytes:
    """All keys, equally long and one behind the other, followed by all numbers."""
    return keys + array("Q", numbers).tobytes()


def unpack_counts(width: int, data: bytes) -> dict[str, int]:
    """What `pack_counts` packed. In Python steps, so that other threads run in between."""
    size = array("Q").itemsize
    distinct = len(data) // (width + size)
    keys = data[: distinct * width].decode("ascii")
    numbers = array("Q")
    numbers.frombytes(data[distinct * width :])
    if not width:  # a circuit without classical bits
        return {"": numbers[0]} if numbers else {}
    return {keys[i * width : (i + 1) * width]: numbers[i] for i in range(distinct)}

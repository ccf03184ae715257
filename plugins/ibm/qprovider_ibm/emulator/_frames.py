"""What the server and its workers send each other: a JSON header and bytes, each behind its length."""

from __future__ import annotations

import json
import struct
from typing import IO, Any

LENGTHS = struct.Struct(">QQ")


class Closed(Exception):
    """The other side is gone."""


def pack(header: Any, payload: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def write(stream: IO[bytes], header: Any, payload: bytes = b"") -> None:
    """Write one frame to an unbuffered stream.

    Raises:
        Closed: Nobody reads.
    """
    rest = memoryview(pack(header, payload))
    try:
        while rest:
            rest = rest[stream.write(rest) :]
    except OSError as exc:
        raise Closed from exc


def read(stream: IO[bytes]) -> tuple[Any, bytes]:
    """Read one frame from an unbuffered stream.

    Raises:
        Closed: The stream ended.
    """
    header_size, payload_size = LENGTHS.unpack(_exactly(stream, LENGTHS.size))
    return json.loads(_exactly(stream, header_size)), _exactly(stream, payload_size)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = stream.read(size - len(data))
        if not part:
            raise Closed
        data += part
    return bytes(data)

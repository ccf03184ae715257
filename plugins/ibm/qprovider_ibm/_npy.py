"""Arrays as they travel: base64 of zlib of an NPY file, read without a copy more than needed and within a limit."""

from __future__ import annotations

import binascii
import io
import math
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_VALUE_BYTES = 2**30  # of one decoded value: a sampler's 10 million shots over 100 bits take an eighth
_CHUNK = 2**18  # characters of base64 at a time; a multiple of 4
_HEADER_BYTES = 2**16
_KINDS = "biufcUS"  # numbers, truth values and texts; never Python objects


class Budget:
    """How many bytes may still be decompressed of one document: compressed values may nest and repeat.

    Attributes:
        value: Most bytes of one value.
    """

    def __init__(self, value: int = MAX_VALUE_BYTES, document: int | None = None) -> None:
        self.value = value
        self.left = 4 * value if document is None else document

    def spend(self, number: int) -> None:
        """Count bytes.

        Raises:
            ValueError: They are too many.
        """
        self.left -= number
        if self.left < 0:
            raise ValueError("the whole is larger than what is read of one answer")


def write_array(array: NDArray[Any]) -> str:
    """The text of an array; not of one of Python objects."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return binascii.b2a_base64(zlib.compress(file.getbuffer()), newline=False).decode("ascii")


def unpacked(text: str, budget: Budget, *, compressed: bool = True) -> bytes:
    """The bytes behind base64 text, decompressed.

    Raises:
        ValueError: It is not base64 of zlib, not whole, or too large.
    """
    if not compressed:
        if len(text) // 4 * 3 > budget.value:
            raise ValueError(f"it is larger than {budget.value} bytes")
        data = binascii.a2b_base64(text, strict_mode=True)
        budget.spend(len(data))
        return data
    out = bytearray()
    for piece in _inflated(text):
        budget.spend(len(piece))
        out += piece
        if len(out) > budget.value:
            raise ValueError(f"it is larger than {budget.value} bytes")
    return bytes(out)


def read_array(text: str, budget: Budget) -> NDArray[Any]:
    """The array behind its text; it is written to memory once.

    Raises:
        ValueError: It is not an NPY file, not whole, too large, or of Python objects.
    """
    pieces = _inflated(text)
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _HEADER_BYTES:
            break
    file = io.BytesIO(head)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"NPY version {version} is not one that the service writes")
    if dtype.hasobject or dtype.kind not in _KINDS or dtype.subdtype is not None:
        raise ValueError(f"arrays of {dtype} are not read")
    if any(size < 0 for size in shape) or len(shape) > 32:
        raise ValueError(f"{shape} is not a shape")
    size = math.prod(shape) * dtype.itemsize
    if size > budget.value or max(shape, default=0) > 2**48:
        raise ValueError(f"an array of shape {shape} is larger than {budget.value} bytes")
    budget.spend(size)
    array = np.empty(shape, dtype=dtype, order="F" if fortran else "C")
    flat = array.reshape(-1, order="A").view(np.uint8).data if size else memoryview(bytearray())
    filled = 0
    rest = memoryview(head)[file.tell() :]
    while True:
        if filled + len(rest) > size:
            raise ValueError(f"it has more than the {size} bytes of an array of shape {shape}")
        flat[filled : filled + len(rest)] = rest
        filled += len(rest)
        following = next(pieces, None)
        if following is None:
            break
        rest = memoryview(following)
    if filled != size:
        raise ValueError(f"it has {filled} of the {size} bytes of an array of shape {shape}")
    return array


def _inflated(text: str) -> Iterator[bytes]:
    """The decompressed bytes behind base64 text, in pieces of at most a few hundred kB.

    Raises:
        ValueError: It is not base64 of zlib, or ends early.
    """
    if len(text) % 4:
        raise ValueError("it is cut off: base64 comes in groups of 4 characters")
    inflate = zlib.decompressobj()
    try:
        for start in range(0, len(text), _CHUNK):
            data = binascii.a2b_base64(text[start : start + _CHUNK], strict_mode=True)
            while data:
                piece = inflate.decompress(data, _CHUNK)
                data = inflate.unconsumed_tail
                if piece:
                    yield piece
                if inflate.unused_data:
                    raise ValueError("something follows its end")
        while not inflate.eof:  # what did not fit into the last piece
            piece = inflate.decompress(b"", _CHUNK)
            if not piece:
                break
            yield piece
    except zlib.error as exc:
        raise ValueError(f"it does not decompress: {exc}") from exc
    if not inflate.eof:
        raise ValueError("it is cut off")

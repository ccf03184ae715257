"""Rows of packed bits: put together, counted and written as bit strings, never a byte for each bit of all shots.

A row is a big-endian number in whole bytes. Where bits must be unpacked it happens a few thousand rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_BITS_AT_ONCE = 2**20
_WORD = 64


def spaced(bits: str, sizes: Sequence[int]) -> str:
    """A bit string with spaces between the registers of these sizes; the first register is the rightmost."""
    parts, end = [], len(bits)
    for size in sizes:
        parts.append(bits[end - size : end])
        end -= size
    return " ".join(reversed(parts))


def _slices(num_rows: int, num_bits: int) -> Iterator[slice]:
    step = max(1, _BITS_AT_ONCE // max(1, num_bits))
    return (slice(start, min(start + step, num_rows)) for start in range(0, num_rows, step))


def _unpacked(packed: NDArray[np.uint8], num_bits: int) -> NDArray[np.uint8]:
    """Shape (rows, num_bits), most significant bit first; num_bits > 0."""
    return np.unpackbits(packed, axis=1)[:, -num_bits:]


def packed_together(parts: Sequence[NDArray[np.uint8]], sizes: Sequence[int], num_rows: int) -> NDArray[np.uint8]:
    """The rows of registers as rows of one register; the first register has the lowest bits.

    Args:
        parts: Packed rows of each register.
        sizes: Bits of each, > 0.
        num_rows: In each part, and in the answer.
    """
    num_bits = sum(sizes)
    width = (num_bits + 7) // 8
    together = np.empty((num_rows, width), dtype=np.uint8)
    for rows in _slices(num_rows, num_bits):
        bits = np.zeros((rows.stop - rows.start, 8 * width), dtype=np.uint8)
        end = 8 * width
        for part, size in zip(parts, sizes, strict=True):
            bits[:, end - size : end] = _unpacked(part[rows], size)
            end -= size
        together[rows] = np.packbits(bits, axis=1)
    return together


def counted(packed: NDArray[np.uint8], num_bits: int) -> tuple[NDArray[np.uint8], list[int]]:
    """The distinct rows, ascending, and how often each is there. Bits above `num_bits` do not matter."""
    num_rows, width = packed.shape
    if num_rows == 0 or width == 0:
        return packed[:1], [num_rows] if num_rows else []
    words, numbers = _distinct_by_parts(packed, num_bits)
    return _rows(words, width), numbers.tolist()


def _distinct_by_parts(packed: NDArray[np.uint8], num_bits: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Most circuits have few outcomes: then a part of the rows at a time takes no memory to speak of."""
    parts = []
    for rows in _slices(len(packed), num_bits):
        words, numbers = _distinct(_words(packed[rows], num_bits))
        parts.append((words, numbers))
        if 2 * len(numbers) > rows.stop - rows.start:  # many outcomes: sorting the parts as well is lost time
            return _distinct(_words(packed, num_bits))
    if len(parts) == 1:
        return parts[0]
    return _distinct(np.concatenate([one for one, _ in parts], axis=1), np.concatenate([one for _, one in parts]))


def _distinct(
    words: NDArray[np.uint64], numbers: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The distinct rows, ascending, and how often each is there; `numbers` says that of the given ones, else once."""
    if len(words) == 1 and numbers is None:  # whole numbers sort faster without the order that led there
        found, numbers = np.unique(words[0], return_counts=True)
        return found[np.newaxis], numbers
    order = np.lexsort(words[::-1])
    words = words[:, order]
    changes = (words[:, 1:] != words[:, :-1]).any(axis=0)
    starts = np.concatenate(([0], np.flatnonzero(changes) + 1))
    if numbers is None:
        return words[:, starts], np.diff(starts, append=words.shape[1])
    return words[:, starts], np.add.reduceat(numbers[order], starts)


def _words(packed: NDArray[np.uint8], num_bits: int) -> NDArray[np.uint64]:
    """Shape (words, rows): each row as whole numbers of 64 bits, the most significant first."""
    num_rows, width = packed.shape
    number = (width + 7) // 8
    words = np.empty((number, num_rows), dtype=np.uint64)
    for rows in _slices(num_rows, num_bits):
        padded = np.zeros((rows.stop - rows.start, 8 * number), dtype=np.uint8)
        padded[:, 8 * number - width :] = packed[rows]
        words[:, rows] = padded.view(">u8").T
    words[0] &= np.uint64((1 << (num_bits - _WORD * (number - 1))) - 1)
    return words


def _rows(words: NDArray[np.uint64], width: int) -> NDArray[np.uint8]:
    """The packed rows of such words."""
    rows = np.ascontiguousarray(words.T, dtype=">u8").view(np.uint8)
    return rows[:, rows.shape[1] - width :]


def bit_strings(packed: NDArray[np.uint8], sizes: Sequence[int]) -> Iterator[str]:
    """The bit string of each row, with spaces between the registers of these sizes, the first one rightmost."""
    num_bits = sum(sizes)
    length = num_bits + max(0, len(sizes) - 1)
    for rows in _slices(len(packed), num_bits):
        number = rows.stop - rows.start
        if not num_bits:
            yield from [" " * length] * number
            continue
        bits = _unpacked(packed[rows], num_bits)
        letters = np.full((number, length), ord(" "), dtype=np.uint8)
        taken, written = num_bits, length
        for size in sizes:
            np.add(bits[:, taken - size : taken], ord("0"), out=letters[:, written - size : written])
            taken -= size
            written -= size + 1
        text = str(letters.data, "ascii")
        yield from [text[start : start + length] for start in range(0, number * length, length)]

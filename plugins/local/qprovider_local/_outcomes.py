"""What Aer measured, in the record's terms: counts by register, or each register's bits. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from qiskit import QuantumCircuit

from qprovider_local import _wire

# Outcomes unpacked to single bits at a time: 65536 of 127 bits take 8 MB.
_ROWS = 65_536
_KEPT_KEYS = 4096  # of one layout
_MANY_KEYS = 4096  # from here on numpy is faster
_LOOSE = "loose"  # name of the group of classical bits that are in no register


def layout(circuit: QuantumCircuit) -> list[tuple[str, list[int]]]:
    """Registers in the circuit's order, each with the indices of its bits, lowest first.

    Bits in no register come last, as one more group.
    """
    index = {bit: place for place, bit in enumerate(circuit.clbits)}
    registers = [(register.name, [index[bit] for bit in register]) for register in circuit.cregs]
    loose = set(range(len(index))).difference(*(bits for _, bits in registers))
    return [*registers, (_LOOSE, sorted(loose))] if loose else registers


def counts_entry(circuit: QuantumCircuit, counts: Mapping[str, int]) -> tuple[dict[str, Any], bytes]:
    """Aer's hexadecimal counts as keys in Qiskit's order, with their leading zeros and spaces."""
    groups = tuple(tuple(bits) for _, bits in layout(circuit))
    if len(counts) < _MANY_KEYS:
        keys = _keys(circuit.num_clbits, groups)
        text = "".join([keys[value] for value in counts]).encode("ascii")
    else:
        text = _key_text(list(counts), circuit.num_clbits, groups)
    width = len(text) // len(counts) if counts else 0
    return {"width": width}, _wire.pack_counts(text, counts.values())


def _key_text(values: Sequence[str], size: int, groups: Sequence[Sequence[int]]) -> bytes:
    """All keys in one, for results with so many outcomes that making each by itself takes seconds."""
    columns: list[int] = []
    for group in reversed(groups):
        columns += [*reversed(group), size]  # behind the last bit stands a space
    parts = []
    for start in range(0, len(values), _ROWS):
        bits = _bits(values[start : start + _ROWS], size)[:, :size]
        characters = np.full((len(bits), size + 1), ord(" "), dtype=np.uint8)
        characters[:, :size] = bits + ord("0")
        parts.append(characters[:, columns[:-1]].tobytes())
    return b"".join(parts)


class _Keys(dict[str, str]):
    """Aer's hexadecimal outcomes to keys of counts, worked out when first met: circuits of a list share them."""

    def __init__(self, size: int, groups: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self._size = size
        # Character of each bit in a text whose rightmost character is bit 0; the last register goes first.
        self._groups = [[size - 1 - bit for bit in reversed(group)] for group in reversed(groups)]
        # Registers that lie side by side, as they nearly always do, are slices of that text.
        inside = [(group[0], group[-1] + 1) for group in self._groups if group]
        plain = all(group == list(range(group[0], group[-1] + 1)) for group in self._groups if group)
        self._slices = inside if plain and len(inside) == len(self._groups) else None

    def __missing__(self, value: str) -> str:
        text = format(int(value, 16), f"0{self._size}b")
        if self._slices is not None:
            key = " ".join([text[start:stop] for start, stop in self._slices])
        else:
            key = " ".join(["".join([text[place] for place in group]) for group in self._groups])
        if len(self) < _KEPT_KEYS:
            self[value] = key
        return key


@lru_cache(maxsize=64)
def _keys(size: int, groups: tuple[tuple[int, ...], ...]) -> _Keys:
    return _Keys(size, groups)


def memory_entry(circuit: QuantumCircuit, memory: Sequence[str]) -> tuple[dict[str, Any], bytes]:
    """Aer's hexadecimal outcome of each shot as rows of bytes, register by register."""
    groups = layout(circuit)
    parts: list[list[bytes]] = [[] for _ in groups]
    for start in range(0, len(memory), _ROWS):
        bits = _bits(memory[start : start + _ROWS], circuit.num_clbits)
        for part, (_, group) in zip(parts, groups, strict=True):
            part.append(_big_endian(bits[:, group]))
    registers = [[name, len(bits)] for name, bits in groups]
    return {"registers": registers}, b"".join(b"".join(part) for part in parts)


def _bits(values: Sequence[str], size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """One row a hexadecimal value, one column a bit, bit 0 first; at least `size` columns."""
    row = (size + 7) // 8
    raw = bytes.fromhex("".join([value[2:].zfill(2 * row) for value in values]))
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(len(values), row)
    return np.unpackbits(rows, axis=1)[:, ::-1]


def _big_endian(bits: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """Rows of bits, lowest first, as rows of bytes, highest first."""
    return np.packbits(bits, axis=1, bitorder="little")[:, ::-1].tobytes()

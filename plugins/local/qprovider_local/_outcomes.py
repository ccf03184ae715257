"""What Aer measured, in the record's terms: counts by register, or each register's bits. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from qiskit import QuantumCircuit

from qprovider_local import _wire

# Rows unpacked to single bits at a time: 65536 shots of 127 bits take 8 MB.
_ROWS = 65_536
_KEPT_KEYS = 4096  # of one layout
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
    keys = _keys(circuit.num_clbits, tuple(tuple(bits) for _, bits in layout(circuit)))
    merged: dict[str, int] = {}
    for value, number in counts.items():
        key = keys[value]
        merged[key] = merged.get(key, 0) + number
    width, data = _wire.pack_counts(merged)
    return {"width": width}, data


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
    row = (circuit.num_clbits + 7) // 8
    raw = bytes.fromhex("".join([value[2:].zfill(2 * row) for value in memory]))
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(len(memory), row)
    parts: list[list[bytes]] = [[] for _ in groups]
    for start in range(0, len(memory), _ROWS):
        # Columns in ascending bit order: unpacked rows begin with the highest bit.
        bits = np.unpackbits(rows[start : start + _ROWS], axis=1)[:, ::-1]
        for part, (_, group) in zip(parts, groups, strict=True):
            part.append(_big_endian(bits[:, group]))
    registers = [[name, len(bits)] for name, bits in groups]
    return {"registers": registers}, b"".join(b"".join(part) for part in parts)


def _big_endian(bits: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """Rows of bits, lowest first, as rows of bytes, highest first."""
    return np.packbits(bits, axis=1, bitorder="little")[:, ::-1].tobytes()

"""What Aer measured, in the record's terms: counts by register, or each register's bits. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit

from qprovider_local import _wire

# Rows unpacked to single bits at a time: 65536 shots of 127 bits take 8 MB.
_ROWS = 65_536
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
    groups = layout(circuit)
    size = circuit.num_clbits
    merged: dict[str, int] = {}
    if sum(len(bits) for _, bits in groups) == size and _ascending(groups):
        cuts = _cuts(groups, size)
        for value, number in counts.items():
            bits = format(int(value, 16), f"0{size}b")
            merged[" ".join([bits[start:stop] for start, stop in cuts])] = number
    else:  # registers that share bits, or hold them out of order
        for value, number in counts.items():
            bits = format(int(value, 16), f"0{size}b")[::-1]
            key = " ".join("".join(bits[bit] for bit in reversed(group)) for _, group in reversed(groups))
            merged[key] = merged.get(key, 0) + number
    width, data = _wire.pack_counts(merged)
    return {"width": width}, data


def _ascending(groups: Sequence[tuple[str, Sequence[int]]]) -> bool:
    flat = [bit for _, bits in groups for bit in bits]
    return flat == sorted(flat)


def _cuts(groups: Sequence[tuple[str, Sequence[int]]], size: int) -> list[tuple[int, int]]:
    """Where each register stands in a bit string whose rightmost character is bit 0; last register first."""
    cuts, stop = [], size
    for _, bits in groups:
        cuts.append((stop - len(bits), stop))
        stop -= len(bits)
    return cuts[::-1]


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

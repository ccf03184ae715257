"""Results as vendors' packages give them, in the core's form: Qiskit's order, all bits of all registers.

Keys of counts and entries of a memory come as ``0x2``, as numbers, or as bit strings, with or without spaces, without
leading zeros, and of the measured bits only. What is meant follows from the circuit that was sent.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import attrs
import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit

from qprovider_core.errors import ResultError
from qprovider_core.records import RegisterBits, SamplePubResult
from qprovider_qiskit._reading import attempted, guarded, whole


@attrs.frozen
class Layout:
    """The classical bits of a circuit.

    Attributes:
        size: How many.
        registers: Name and bits of each, bit 0 first, in the circuit's order.
        measured: The bits that something is measured into, in ascending order.
    """

    size: int
    registers: tuple[tuple[str, tuple[int, ...]], ...]
    measured: tuple[int, ...]

    @classmethod
    def of(cls, circuit: QuantumCircuit) -> Self:
        places = {bit: index for index, bit in enumerate(circuit.clbits)}
        registers = [(register.name, tuple(places[bit] for bit in register)) for register in circuit.cregs]
        found = {places[bit] for instruction in circuit.data for bit in instruction.clbits}
        return cls(len(places), tuple(registers), tuple(sorted(found)))

    def to_json(self) -> dict[str, Any]:
        return {"size": self.size, "registers": [[n, list(b)] for n, b in self.registers], "bits": list(self.measured)}

    @classmethod
    def from_json(cls, data: Any) -> Self | None:
        """The layout that `to_json` wrote; None where it cannot be read."""
        found: Self | None = attempted(
            lambda: cls(
                int(data["size"]),
                tuple((str(name), tuple(map(int, bits))) for name, bits in data["registers"]),
                tuple(map(int, data["bits"])),
            ),
            "the registers of a job",
        )
        return found

    def spaced(self, bits: str) -> str:
        """All bits, the last one leftmost, as a key of counts: registers with spaces between, the last one leftmost."""
        last = self.size - 1
        parts = ("".join(bits[last - bit] for bit in reversed(register)) for _, register in reversed(self.registers))
        return " ".join(parts)


def registered(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit, or a copy of it, with every classical bit in a register: some packages leave the others out."""
    held = {bit for register in circuit.cregs for bit in register}
    loose = [bit for bit in circuit.clbits if bit not in held]
    if not loose:
        return circuit
    made = circuit.copy()
    name = "loose"
    while any(name == register.name for register in (*made.qregs, *made.cregs)):
        name += "_"
    made.add_register(ClassicalRegister(name=name, bits=loose))
    return made


def pub_results(
    result: Any,
    layouts: Sequence[Layout | None],
    shots: int | None,
    job_id: str,
    *,
    first: int = 0,
    memory: bool = False,
) -> list[SamplePubResult]:
    """What a vendor's `Result` says of each circuit that was sent.

    Args:
        layouts: Of each circuit, in their order; None for one that somebody else sent.
        shots: How many were asked for; None where that is not known.
        first: Which circuit of the job the first of them is.
        memory: Whether each shot was asked for. Of a vendor that gives counts alone they come in a random order, which
            is what shots that do not depend on one another come in; without them Qiskit's `BackendSamplerV2` would
            silently take all outcomes for 0.
    Raises:
        ResultError: There is no outcome of a circuit, or it cannot be read.
    """
    found = guarded(result, "results")
    entries = list(found) if isinstance(found, Iterable) else []
    if len(entries) != len(layouts) and None not in layouts:
        raise ResultError(
            f"The result of job {job_id} has {len(entries)} entries for {len(layouts)} circuits.",
            job_id=job_id,
            hint="This is a fault of the vendor's package: report it there.",
        )
    if None in layouts:
        layouts = [None] * len(entries)
    seed = f"{job_id} {first}" if memory else None
    return [_pub_result(result, i, entry, layouts[i], shots, job_id, seed) for i, entry in enumerate(entries)]


def _pub_result(
    result: Any, index: int, entry: Any, layout: Layout | None, shots: int | None, job_id: str, seed: str | None
) -> SamplePubResult:
    data = guarded(entry, "data")
    counts, each = _part(data, "counts"), _part(data, "memory")
    if not isinstance(counts, Mapping):
        counts = attempted(lambda: result.get_counts(index), "counts")
    if not isinstance(counts, Mapping):
        counts = None
    entries = [str(one) for one in each] if isinstance(each, list | tuple) and each else None
    if counts is None and entries is None:
        if guarded(entry, "success") is False:
            told = guarded(entry, "status")
            raise ResultError(f"Circuit {index} of job {job_id} failed: {told}.", job_id=job_id)
        raise ResultError(f"The result of job {job_id} has no counts of circuit {index}.", job_id=job_id)
    header = guarded(entry, "header")
    if layout is None:
        layout = _told_layout(header, [*(counts or ()), *(entries or ())])
    bits = _Bits(layout, whole(_part(header, "memory_slots")), [str(key) for key in counts or ()], job_id)
    metadata = _part(entry, "metadata")
    extra: dict[str, Any] = {"metadata": dict(metadata)} if isinstance(metadata, Mapping) and _plain(metadata) else {}
    # A memory of another length is a sample of something else, such as raw measurement levels.
    total = _total(counts) if counts is not None else shots
    if entries is not None and len(entries) == total:
        rows = _rows([bits.of(key) for key in entries], layout)
        return SamplePubResult(shots=len(entries), registers=rows, metadata=extra)
    if counts is None:
        raise ResultError(f"The result of job {job_id} cannot be read: {len(entries or ())} shots.", job_id=job_id)
    found: dict[str, int] = {}
    for key, number in counts.items():
        outcome = bits.of(str(key))
        found[outcome] = found.get(outcome, 0) + round(number)
    if seed is not None and any(found.values()):
        rows = _rows(_shuffled(found, f"{seed} {index}"), layout)
        extra = {**extra, "memory": "counts in random order"}
        return SamplePubResult(shots=sum(found.values()), registers=rows, metadata=extra)
    spaced = {layout.spaced(outcome): number for outcome, number in found.items()}
    return SamplePubResult(shots=sum(found.values()), counts=spaced, metadata=extra)


def _shuffled(counts: Mapping[str, int], seed: str) -> list[str]:
    """The outcome of each shot, in an order that is the same whenever the job is read."""
    outcomes = [outcome for outcome, number in sorted(counts.items()) for _ in range(number)]
    order = np.random.default_rng(zlib.crc32(seed.encode())).permutation(len(outcomes))
    return [outcomes[place] for place in order]


def _part(holder: Any, name: str) -> Any:
    """A part of what is a mapping in some packages and an object in others."""
    return holder.get(name) if isinstance(holder, Mapping) else guarded(holder, name)


def _total(counts: Mapping[Any, Any]) -> int | None:
    total: int | None = attempted(lambda: round(sum(counts.values())), "the number of shots")
    return total


class _Bits:
    """Reads keys of one circuit: how many bits they have is decided once, over all of them."""

    def __init__(self, layout: Layout, slots: int | None, keys: Sequence[str], job_id: str) -> None:
        self._layout = layout
        self._job_id = job_id
        strings = [key.replace(" ", "") for key in keys if not key.startswith("0x")]
        few, size = len(layout.measured), layout.size
        longest = max((len(key) for key in strings if _is_bits(key)), default=None)
        if slots is not None and slots in (few, size):
            width = slots
        elif longest is not None:
            width = few if longest <= few else size
        else:
            width = size
        self._few = width == few and few != size
        self._read: dict[str, str] = {}  # a memory repeats a few outcomes

    def of(self, key: str) -> str:
        """All bits of the circuit, the last one leftmost; those that nothing was measured into are 0."""
        bits = self._read.get(key)
        if bits is None:
            bits = self._read[key] = self._bits_of(key)
        return bits

    def _bits_of(self, key: str) -> str:
        width = len(self._layout.measured) if self._few else self._layout.size
        plain = key.replace(" ", "")
        if plain.startswith("0x"):
            plain = format(int(plain, 16), "b")
        elif not _is_bits(plain):
            if not plain.isdecimal():
                raise self._unreadable(key)
            plain = format(int(plain), "b")
        plain = plain.lstrip("0").zfill(width) if len(plain) > width else plain.zfill(width)
        if len(plain) > width:
            raise self._unreadable(key)
        if not self._few:
            return plain
        bits = ["0"] * self._layout.size
        for bit, value in zip(self._layout.measured, reversed(plain), strict=True):
            bits[bit] = value
        return "".join(reversed(bits))

    def _unreadable(self, key: str) -> ResultError:
        return ResultError(
            f"The result of job {self._job_id} has the outcome {key[:80]!r} for {self._layout.size} classical bits.",
            job_id=self._job_id,
            hint="This is a fault of the vendor's package: report it there.",
        )


def _is_bits(text: str) -> bool:
    return bool(text) and not text.strip("01")


def _rows(shots: Sequence[str], layout: Layout) -> list[RegisterBits]:
    """The bits of each register, a row of bytes for each shot."""
    table = np.frombuffer("".join(shots).encode("ascii"), dtype=np.uint8).reshape(len(shots), layout.size) - ord("0")
    found = []
    for name, bits in layout.registers:
        columns = table[:, [layout.size - 1 - bit for bit in reversed(bits)]]
        padded = np.zeros((len(shots), -len(bits) % 8 + len(bits)), dtype=np.uint8)
        padded[:, padded.shape[1] - len(bits) :] = columns
        found.append(RegisterBits(name=name, num_bits=len(bits), data=np.packbits(padded, axis=1).tobytes()))
    return found


def _told_layout(header: Any, keys: Sequence[Any]) -> Layout:
    """The registers of a circuit that somebody else sent: as the result tells them, else one of all bits."""
    sizes = _part(header, "creg_sizes")
    if isinstance(sizes, list | tuple) and sizes:
        read = attempted(lambda: [(str(name), int(size)) for name, size in sizes], "creg_sizes")
        if read:
            return _in_order(read)
    texts = [str(key) for key in keys]
    spaced = next((text for text in texts if " " in text.strip()), None)
    if spaced is not None:
        return _in_order([(f"c{i}", len(part)) for i, part in enumerate(reversed(spaced.split()))])
    size = whole(_part(header, "memory_slots"))
    if size is None:
        lengths = (int(t, 16).bit_length() if t.startswith("0x") else len(t) for t in texts)
        size = max(lengths, default=0) or 1
    return _in_order([("c", size)])


def _in_order(sizes: Sequence[tuple[str, int]]) -> Layout:
    registers, start = [], 0
    for name, size in sizes:
        registers.append((name, tuple(range(start, start + size))))
        start += size
    return Layout(start, tuple(registers), tuple(range(start)))


def _plain(value: Any) -> bool:
    """Whether it is what JSON can say."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(_plain, value))
    return value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and np.isfinite(value))

"""Results: bits, counts and expectation values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from qprovider_core.records._base import Record, as_tuple


@attrs.frozen(kw_only=True, repr=False)
class RegisterBits(Record):
    """The outcomes of one classical register, shot by shot.

    Attributes:
        name: The register's name.
        num_bits: Its size n, >= 0.
        data: ``shots`` rows of ceil(n / 8) bytes, each row a big-endian number whose lowest bit is bit 0 of
            the register.
    """

    name: str
    num_bits: int = attrs.field(validator=attrs.validators.ge(0))
    data: bytes

    @property
    def row_bytes(self) -> int:
        """Bytes a shot: ceil(num_bits / 8)."""
        return (self.num_bits + 7) // 8


@attrs.frozen(kw_only=True, repr=False)
class SamplePubResult(Record):
    """What one sampled circuit gave: the bits of its registers where the vendor has shots, else counts.

    Attributes:
        shots: How many were run.
        registers: In the order in which the circuit declares them; None where there are only counts.
        counts: Bit string to number, in Qiskit's order: bit 0 of a register rightmost, the last register
            leftmost, a space between registers. None where `registers` tells it.
        metadata: Whatever the vendor adds.
    """

    shots: int = attrs.field(validator=attrs.validators.ge(0))
    registers: tuple[RegisterBits, ...] | None = attrs.field(default=None, converter=as_tuple)
    counts: Mapping[str, int] | None = None
    metadata: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if self.registers is None and self.counts is None:
            raise ValueError("a sampled circuit's result has registers or counts")
        if self.registers is not None and self.counts is not None:
            raise ValueError("a sampled circuit's result has registers or counts, not both: they could differ")
        for register in self.registers or ():
            expected = register.row_bytes * self.shots
            if len(register.data) != expected:
                raise ValueError(
                    f"register {register.name!r}: {len(register.data)} bytes, but {self.shots} shots of "
                    f"{register.num_bits} bits take {expected}"
                )

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], **metadata: Any) -> Self:
        """From counts in Qiskit's order, such as ``{"1 01": 3, "0 00": 5}``."""
        return cls(shots=sum(counts.values()), counts=dict(counts), metadata=metadata)


@attrs.frozen(kw_only=True, repr=False)
class EstimatePubResult(Record):
    """Expectation values of one circuit's observables, and their standard errors, in order."""

    evs: tuple[float, ...] = attrs.field(converter=as_tuple)
    stds: tuple[float, ...] | None = attrs.field(default=None, converter=as_tuple)
    metadata: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True, repr=False)
class JobResult(Record):
    """The result of a job: one entry for each pub, in the order of the request."""

    pubs: tuple[SamplePubResult | EstimatePubResult, ...] = attrs.field(converter=as_tuple)
    metadata: Mapping[str, Any] = attrs.field(factory=dict)

"""Results: bits, counts and expectation values."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Self

import attrs

from qprovider_core.records._base import Record, as_tuple


def _as_bytes(value: Any) -> Any:
    """attrs converter: bytes stay, other buffers are looked at without a copy; the rest is left for the validator."""
    if isinstance(value, bytes):
        return value
    try:
        view = memoryview(value)
    except TypeError:
        return value
    if not view.c_contiguous:
        raise ValueError("data must lie in memory row by row, without gaps")
    return view.cast("B").toreadonly() if view.nbytes else b""


def _tuples(value: Any) -> Any:
    """attrs converter: a mapping whose lists become tuples."""
    return {name: as_tuple(items) for name, items in value.items()} if isinstance(value, Mapping) else value


def _shape(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """attrs validator: sizes of axes."""
    if not isinstance(value, tuple) or not all(type(size) is int and size >= 0 for size in value):
        raise ValueError(f"{attribute.name} must be whole numbers of at least 0, not {value!r}")


@attrs.frozen(kw_only=True, repr=False)
class RegisterBits(Record):
    """The outcomes of one classical register, shot by shot.

    Attributes:
        name: The register's name.
        num_bits: Its size n, >= 0.
        data: A row of ceil(n / 8) bytes for each shot, each row a big-endian number whose lowest bit is bit 0 of
            the register. Anything bytes-like is taken without a copy, such as an array of NumPy; it must not
            change afterwards. Reads as bytes or as a read-only view of bytes.
    """

    name: str
    num_bits: int = attrs.field(validator=attrs.validators.ge(0))
    data: bytes | memoryview = attrs.field(
        converter=_as_bytes, validator=attrs.validators.instance_of((bytes, memoryview)), hash=False
    )

    @property
    def row_bytes(self) -> int:
        """Bytes a shot: ceil(num_bits / 8)."""
        return (self.num_bits + 7) // 8

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, num_bits={self.num_bits}, data=<{len(self.data)} bytes>)"

    def __reduce__(self) -> tuple[object, ...]:
        # A view cannot be pickled, its bytes can.
        return (_register, (type(self), self.name, self.num_bits, bytes(self.data)))

    def __deepcopy__(self, memo: object) -> Self:
        return self  # nothing in it can be changed


def _register(kind: type[RegisterBits], name: str, num_bits: int, data: bytes) -> RegisterBits:
    return kind(name=name, num_bits=num_bits, data=data)


@attrs.frozen(kw_only=True, repr=False)
class SamplePubResult(Record):
    """What one sampled circuit gave: the bits of its registers where the vendor has shots, else counts.

    Attributes:
        shots: How many were run, of each set of parameters.
        registers: In the order in which the circuit declares them; None where there are only counts.
        counts: Bit string to number, in Qiskit's order: bit 0 of a register rightmost, the last register
            leftmost, a space between registers. None where `registers` tells it.
        metadata: Whatever the vendor adds.
        shape: That of the sets of parameters with which the circuit was run; () for one set or none. The registers
            hold the shots of one set after those of another, in C order (the last axis changes fastest): a row for
            each of prod(shape) * shots. Counts are of one set only.
    """

    shots: int = attrs.field(validator=attrs.validators.ge(0))
    registers: tuple[RegisterBits, ...] | None = attrs.field(default=None, converter=as_tuple)
    counts: Mapping[str, int] | None = None
    metadata: Mapping[str, Any] = attrs.field(factory=dict)
    shape: tuple[int, ...] = attrs.field(default=(), converter=as_tuple, validator=_shape)

    def __attrs_post_init__(self) -> None:
        if self.registers is None and self.counts is None:
            raise ValueError("a sampled circuit's result has registers or counts")
        if self.registers is not None and self.counts is not None:
            raise ValueError("a sampled circuit's result has registers or counts, not both: they could differ")
        if self.counts is not None and self.shape:
            raise ValueError(f"counts are of one set of parameters, not of {self.shape}: give registers")
        for register in self.registers or ():
            expected = register.row_bytes * self.shots * self.num_sets
            if len(register.data) != expected:
                sets = f"{self.num_sets} times " if self.shape else ""
                raise ValueError(
                    f"register {register.name!r}: {len(register.data)} bytes, but {sets}{self.shots} shots of "
                    f"{register.num_bits} bits take {expected}"
                )

    @property
    def num_sets(self) -> int:
        """How many sets of parameters there were: prod(shape), 1 where there is no shape."""
        return prod(self.shape)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], **metadata: Any) -> Self:
        """From counts in Qiskit's order, such as ``{"1 01": 3, "0 00": 5}``."""
        return cls(shots=sum(counts.values()), counts=dict(counts), metadata=metadata)


@attrs.frozen(kw_only=True, repr=False)
class EstimatePubResult(Record):
    """Expectation values of one circuit's observables.

    Attributes:
        evs: The values. Without a shape, those of the observables in order; with one, as an array of that shape in C
            order (the last axis changes fastest).
        stds: Their standard errors, in the same order; None when not told.
        metadata: Whatever the vendor adds.
        shape: That of the observables broadcast against the sets of parameters; () where `evs` is a plain list.
        fields: Further numbers of the vendor by name, each flat and in C order; of the same shape or of any other.
    """

    evs: tuple[float, ...] = attrs.field(converter=as_tuple)
    stds: tuple[float, ...] | None = attrs.field(default=None, converter=as_tuple)
    metadata: Mapping[str, Any] = attrs.field(factory=dict)
    shape: tuple[int, ...] = attrs.field(default=(), converter=as_tuple, validator=_shape)
    fields: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict, converter=_tuples)

    def __attrs_post_init__(self) -> None:
        for name, values in (("evs", self.evs), ("stds", self.stds)):
            if self.shape and values is not None and len(values) != prod(self.shape):
                raise ValueError(
                    f"{name} has {len(values)} values, but an array of shape {self.shape} has {prod(self.shape)}"
                )


@attrs.frozen(kw_only=True, repr=False)
class JobResult(Record):
    """The result of a job: one entry for each pub, in the order of the request."""

    pubs: tuple[SamplePubResult | EstimatePubResult, ...] = attrs.field(converter=as_tuple)
    metadata: Mapping[str, Any] = attrs.field(factory=dict)

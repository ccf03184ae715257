"""A job's result as Qiskit's `Result`, read lazily: counts of a million shots cost no more than asked for.

Bit order is Qiskit's: bit 0 of a register rightmost, the last register leftmost, a space between registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.result import Counts, Result
from qiskit.result.models import ExperimentResult

from qprovider_core.errors import ResultError
from qprovider_core.records import EstimatePubResult, JobResult, SamplePub, SamplePubResult


class Samples:
    """The outcomes of one sampled circuit, in whatever form they are asked for.

    Attributes:
        shots: How many.
        registers: Name and size of each, in the order in which the circuit declares them.
    """

    def __init__(self, pub: SamplePubResult, declared: Sequence[tuple[str, int]] | None) -> None:
        self.shots = pub.shots
        self._pub = pub
        if pub.registers is not None:
            self.registers = [(register.name, register.num_bits) for register in pub.registers]
        else:
            widths = _widths(pub.counts or {})
            fits = declared is not None and (not pub.counts or _fit(widths, [size for _, size in declared]))
            self.registers = (
                list(declared) if declared is not None and fits else [(f"c{i}", n) for i, n in enumerate(widths)]
            )

    @property
    def has_shots(self) -> bool:
        """Whether the outcome of each shot is known, in order."""
        return self._pub.registers is not None

    @property
    def num_bits(self) -> int:
        return sum(size for _, size in self.registers)

    @cached_property
    def _rows(self) -> NDArray[np.uint8]:
        """Shape (shots, num_bits): one column a bit, most significant first, last register leftmost."""
        columns = []
        for register in reversed(self._pub.registers or ()):
            packed = np.frombuffer(register.data, dtype=np.uint8).reshape(self.shots, register.row_bytes)
            bits = np.unpackbits(packed, axis=1) if register.row_bytes else packed
            columns.append(bits[:, bits.shape[1] - register.num_bits :])
        return np.concatenate(columns, axis=1) if columns else np.zeros((self.shots, 0), dtype=np.uint8)

    def _spaced(self, bits: str) -> str:
        parts, end = [], len(bits)
        for _, size in self.registers:
            parts.append(bits[end - size : end])
            end -= size
        return " ".join(reversed(parts))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Bit string, with spaces between registers, to number."""
        if self._pub.counts is not None:
            found = {key: number for key, number in self._pub.counts.items() if number}
            first = next(iter(found), "")
            if first == self._spaced(first.replace(" ", "")):  # they all have the same form
                return found
            return {self._spaced(key.replace(" ", "")): number for key, number in found.items()}
        packed = np.packbits(self._rows, axis=1)
        if packed.shape[1] == 0:
            return {"": self.shots} if self.shots else {}
        if packed.shape[1] <= 8:  # whole numbers sort many times faster than rows of bytes
            words = np.zeros((self.shots, 8), dtype=np.uint8)
            words[:, 8 - packed.shape[1] :] = packed
            values, numbers = np.unique(words.view(">u8").ravel(), return_counts=True)
            unused = packed.shape[1] * 8 - self.num_bits
            strings = (format(int(value) >> unused, f"0{self.num_bits}b") for value in values)
        else:
            rows = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
            values, numbers = np.unique(rows, return_counts=True)
            strings = (
                format(int.from_bytes(value.tobytes(), "big"), f"0{packed.shape[1] * 8}b")[: self.num_bits]
                for value in values
            )
        return {self._spaced(bits): int(n) for bits, n in zip(strings, numbers, strict=True)}

    @cached_property
    def memory(self) -> list[str] | None:
        """The bit string of each shot, in order; None where only counts are known."""
        if not self.has_shots:
            return None
        text = (self._rows + ord("0")).tobytes().decode("ascii")
        width = self.num_bits
        return [self._spaced(text[i * width : (i + 1) * width]) for i in range(self.shots)]


def _widths(counts: Mapping[str, int]) -> list[int]:
    """Sizes of the registers as the spaces of bit strings tell them, in the order of declaration."""
    return [len(part) for part in reversed(next(iter(counts), "").split(" "))]


def _fit(widths: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether bit strings of these widths are of registers of these sizes; a vendor may leave the spaces out."""
    return list(widths) == list(sizes) or (len(widths) == 1 and widths[0] == sum(sizes))


class _Data:
    """What `ExperimentResult.data` is: hexadecimal counts and memory, made when they are read.

    Attributes:
        samples: What they are made of; None once somebody wrote counts or memory of their own.
    """

    def __init__(self, samples: Samples) -> None:
        self.__dict__.update(samples=samples, _made_of=samples)
        self._data_attributes = ["counts", "memory"] if samples.has_shots else ["counts"]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("counts", "memory"):
            self.__dict__["samples"] = None
        self.__dict__[name] = value

    def __getattr__(self, name: str) -> Any:
        made_of: Samples | None = self.__dict__.get("_made_of")
        if made_of is not None and name == "counts":
            self.__dict__[name] = {_hex(bits): number for bits, number in made_of.counts.items()}
        elif made_of is not None and name == "memory" and made_of.has_shots:
            self.__dict__[name] = [_hex(bits) for bits in made_of.memory or ()]
        else:
            raise AttributeError(f"the result has no {name!r}")
        return self.__dict__[name]

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._data_attributes}

    def __repr__(self) -> str:
        return f"<data: {', '.join(self._data_attributes)}>"


def _hex(bits: str) -> str:
    return hex(int(bits.replace(" ", "") or "0", 2))


class _Experiments(Sequence[ExperimentResult]):
    """The experiments of a result, each made when it is looked at."""

    def __init__(self, samples: Sequence[Samples], headers: Sequence[Mapping[str, Any]]) -> None:
        self._samples = samples
        self._headers = headers
        self._made: dict[int, ExperimentResult] = {}

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        if position not in self._made:
            samples = self._samples[position]
            self._made[position] = ExperimentResult(
                shots=samples.shots,
                success=True,
                data=_Data(samples),
                status="DONE",
                header=dict(self._headers[position]),
            )
        return self._made[position]

    def __iter__(self) -> Iterator[ExperimentResult]:
        return (self[i] for i in range(len(self)))


class LazyResult(Result):
    """A Qiskit `Result` over the records of a job's result.

    `get_counts` and `get_memory` give what Qiskit's own give; they just do not compute what is not asked for.
    `get_memory` works wherever the vendor sent each shot.
    """

    def __init__(
        self,
        record: JobResult,
        *,
        backend_name: str | None,
        backend_version: str | None,
        job_id: str,
        pubs: Sequence[SamplePub] | None = None,
    ) -> None:
        samples, headers = [], []
        for position, pub in enumerate(record.pubs):
            if isinstance(pub, EstimatePubResult):
                raise ResultError("This job estimated observables: it has no counts.", job_id=job_id)
            circuit = pubs[position].circuit if pubs else None
            one = Samples(pub, _declared(circuit))
            name = circuit.name if circuit is not None else pub.metadata.get("circuit_name")
            samples.append(one)
            headers.append(
                {
                    "name": name or f"circuit-{position}",
                    "creg_sizes": [[register, size] for register, size in one.registers],
                    "memory_slots": one.num_bits,
                    "n_qubits": circuit.num_qubits if circuit is not None else None,
                    "metadata": circuit.metadata if circuit is not None else {},
                    "vendor_metadata": dict(pub.metadata),
                }
            )
        super().__init__(
            backend_name=backend_name,
            backend_version=backend_version,
            job_id=job_id,
            success=True,
            results=_Experiments(samples, headers),
            status="COMPLETED",
            header=dict(record.metadata),
        )
        self.record = record

    def _samples_of(self, experiment: Any) -> Samples | None:
        """The samples behind an experiment, unless its data or registers were changed since (Qiskit's
        `marginal_counts` does that): then Qiskit's own reading holds."""
        found = self._get_experiment(experiment)  # with Qiskit's own rules and errors
        samples = getattr(found.data, "samples", None)
        if not isinstance(samples, Samples) or not isinstance(found.header, Mapping):
            return None
        if found.header.get("creg_sizes") != [[name, size] for name, size in samples.registers]:
            return None
        return samples if found.header.get("memory_slots") == samples.num_bits else None

    def get_counts(self, experiment: Any = None) -> Any:
        """Bit string to number, for one experiment, or a list of them for all; see Qiskit's `Result`."""
        if experiment is None and len(self.results) != 1:
            return [self.get_counts(i) for i in range(len(self.results))]
        samples = self._samples_of(experiment)
        if samples is None:
            return super().get_counts(experiment)
        counts = Counts(samples.counts)
        # Given to its constructor they would make it format anew, one by one, what is in its form already.
        counts.creg_sizes = [[name, size] for name, size in samples.registers]
        counts.memory_slots = samples.num_bits
        return counts

    def get_memory(self, experiment: Any = None) -> Any:
        """The bit string of each shot, in order; see Qiskit's `Result`."""
        samples = self._samples_of(experiment)
        if samples is None or samples.memory is None:
            return super().get_memory(experiment)
        return list(samples.memory)

    def __repr__(self) -> str:
        shots = ", ".join(str(one.shots) for one in self.results[:5])
        more = ", …" if len(self.results) > 5 else ""
        return (
            f"<Result of job {self.job_id} on {self.backend_name}: "
            f"{len(self.results)} experiment(s) of {shots}{more} shots>"
        )


def _declared(circuit: Any) -> list[tuple[str, int]] | None:
    """Name and size of a circuit's registers; None where they do not hold its bits once each."""
    if circuit is None or sum(register.size for register in circuit.cregs) != circuit.num_clbits:
        return None
    return [(register.name, register.size) for register in circuit.cregs]


def check_result(record: JobResult, pubs: Sequence[SamplePub] | None, job_id: str) -> JobResult:
    """Refuse a result that cannot belong to the job: it would give wrong counts silently.

    Raises:
        ResultError: The number of circuits or the registers are others, a bit string is not one, or counts do not
            add up.
    """

    def refuse(what: str) -> ResultError:
        return ResultError(
            f"The result of job {job_id} does not fit: {what}.",
            job_id=job_id,
            hint="This is a fault of the vendor or its plugin: report it.",
        )

    if pubs is not None and len(record.pubs) != len(pubs):
        raise refuse(f"{len(record.pubs)} circuits, {len(pubs)} were sent")
    for position, pub in enumerate(record.pubs):
        if isinstance(pub, EstimatePubResult):
            continue
        declared = _declared(pubs[position].circuit) if pubs is not None else None
        if declared is not None and pub.registers is not None:
            got = [(register.name, register.num_bits) for register in pub.registers]
            if dict(got).keys() == dict(declared).keys() and got != declared:
                raise refuse(f"circuit {position} declares the registers {_spoken(declared)}, not {_spoken(got)}")
        counts = pub.counts
        if counts is not None:
            if any(set(key) - {"0", "1", " "} for key in counts):
                raise refuse(f"the counts of circuit {position} are not keyed by bit strings")
            if len({tuple(map(len, key.split(" "))) for key in counts}) > 1:
                raise refuse(f"the bit strings of circuit {position} differ in length")
            if declared is not None and counts and not _fit(_widths(counts), [size for _, size in declared]):
                raise refuse(f"the bit strings of circuit {position} are not of the registers {_spoken(declared)}")
            if sum(counts.values()) != pub.shots or min(counts.values(), default=0) < 0:
                raise refuse(f"the counts of circuit {position} do not add up to its {pub.shots} shots")
    return record


def _spoken(registers: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name}[{size}]" for name, size in registers) or "(none)"

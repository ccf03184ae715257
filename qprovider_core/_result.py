"""A job's result as Qiskit's `Result`, read lazily: counts of a million shots cost no more than asked for.

Bit order is Qiskit's: bit 0 of a register rightmost, the last register leftmost, a space between registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.result import Counts, Result
from qiskit.result.models import ExperimentResult

from qprovider_core._bits import bit_strings, counted, packed_together, spaced
from qprovider_core.errors import ResultError
from qprovider_core.records import EstimatePubResult, JobResult, SamplePub, SamplePubResult


class Samples:
    """The outcomes of one sampled circuit, in whatever form they are asked for.

    Attributes:
        shots: How many.
        registers: Name and size of each, in the order in which the circuit declares them.
    """

    def __init__(self, pub: SamplePubResult, declared: Sequence[tuple[str, int]] | None, position: int = 0) -> None:
        """`position`: of the set of parameters, where the circuit was run with several."""
        self.shots = pub.shots
        self._pub = pub
        self._position = position
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

    @property
    def _sizes(self) -> list[int]:
        return [size for _, size in self.registers]

    @cached_property
    def _packed(self) -> NDArray[np.uint8]:
        """A row of bytes for each shot: a big-endian number whose lowest bit is bit 0 of the first register."""
        first = self._position * self.shots
        parts = [
            np.frombuffer(register.data, dtype=np.uint8).reshape(-1, register.row_bytes)[first : first + self.shots]
            for register in self._pub.registers or ()
            if register.num_bits
        ]
        sizes = [size for size in self._sizes if size]
        return parts[0] if len(parts) == 1 else packed_together(parts, sizes, self.shots)

    @cached_property
    def _counted(self) -> tuple[NDArray[np.uint8], list[int]]:
        return counted(self._packed, self.num_bits)

    @cached_property
    def _told(self) -> dict[str, int]:
        """The vendor's counts in Qiskit's form."""
        found = {key: number for key, number in (self._pub.counts or {}).items() if number}
        first = next(iter(found), "")
        if first == spaced(first.replace(" ", ""), self._sizes):  # they all have the same form
            return found
        return {spaced(key.replace(" ", ""), self._sizes): number for key, number in found.items()}

    def outcomes(self) -> Iterator[tuple[str, int]]:
        """The items of `counts`, made as they are read: of a million shots there may be a million."""
        if not self.has_shots:
            return iter(self._told.items())
        rows, numbers = self._counted
        return zip(bit_strings(rows, self._sizes), numbers, strict=True)

    @property
    def counts(self) -> dict[str, int]:
        """Bit string, with spaces between registers, to number."""
        return dict(self.outcomes())

    @property
    def num_distinct(self) -> int:
        """How many different outcomes there are."""
        return len(self._counted[1]) if self.has_shots else len(self._told)

    def most_frequent(self, most: int) -> list[tuple[str, int]]:
        """Up to `most` items of `counts`, the most frequent first; of equal ones, the smaller bit string."""
        if not self.has_shots:
            return sorted(self._told.items(), key=lambda item: (-item[1], item[0]))[:most]
        rows, numbers = self._counted
        chosen = np.argsort(-np.asarray(numbers, dtype=np.int64), kind="stable")[:most]
        return [*zip(bit_strings(rows[chosen], self._sizes), (numbers[i] for i in chosen), strict=True)]

    @cached_property
    def memory(self) -> list[str] | None:
        """The bit string of each shot, in order; None where only counts are known."""
        return list(bit_strings(self._packed, self._sizes)) if self.has_shots else None


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
            self.__dict__[name] = {_hex(bits): number for bits, number in made_of.outcomes()}
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
    `get_memory` works wherever the vendor sent each shot. A circuit that was run with several sets of parameters is
    one experiment for each of them, in C order.
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
            declared = _declared(circuit)
            name = circuit.name if circuit is not None else pub.metadata.get("circuit_name")
            for index in range(pub.num_sets):
                one = Samples(pub, declared, index)
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
        # The constructor copies what it is given twice, and with sizes formats anew, one by one, what is in its form
        # already. The first outcome tells it the form.
        outcomes = samples.outcomes()
        counts = Counts(dict(islice(outcomes, 1)))
        counts.update(outcomes)
        counts.creg_sizes = [[name, size] for name, size in samples.registers]
        counts.memory_slots = samples.num_bits
        return counts

    def get_memory(self, experiment: Any = None) -> Any:
        """The bit string of each shot, in order; see Qiskit's `Result`."""
        samples = self._samples_of(experiment)
        if samples is None or samples.memory is None:
            return super().get_memory(experiment)
        return list(samples.memory)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """Qiskit's own `Result` of a dictionary that `to_dict` made: there is no record behind one."""
        return Result.from_dict(dict(data))

    def _repr_html_(self) -> str | None:
        from qprovider_core._html_result import result_html  # late: only notebooks need it

        return result_html(self)

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

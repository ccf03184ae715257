"""Jobs: what is sent, what is told of one, and what can be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Literal, Self

import attrs

from qprovider_core.errors import InvalidInputError
from qprovider_core.records._base import Record, as_tuple, of_type, texts, time_field
from qprovider_core.records.backends import BackendRef


class JobState(Enum):
    """Where a job stands.

    `SUBMIT_UNKNOWN`: it was sent, and whether it arrived is not known. `UNKNOWN`: the vendor's word is one that
    its plugin does not know; never taken for an end.
    """

    INITIALIZING = "initializing"
    QUEUED = "queued"
    VALIDATING = "validating"
    RUNNING = "running"
    CANCELLED = "cancelled"
    DONE = "done"
    ERROR = "error"
    SUBMIT_UNKNOWN = "submit_unknown"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Whether the job will not change any more."""
        return self in (JobState.CANCELLED, JobState.DONE, JobState.ERROR)


@attrs.frozen(kw_only=True, repr=False)
class JobRef(Record):
    """A job as the vendor knows it.

    Attributes:
        extra: What the plugin itself put into `JobInfo.extra`, where the core still has it; {} for a job that is known
            by its id only. It does not count when two are compared.
    """

    id: str
    instance: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, eq=False)


@attrs.frozen(kw_only=True, repr=False)
class SamplePub(Record):
    """One circuit to sample, with one set of parameter values or an array of sets.

    Attributes:
        circuit: A `qiskit.QuantumCircuit` in the backend's instruction set, with its measurements.
        parameter_values: A value for each of ``circuit.parameters``, in that order; empty when it has none. With
            a `shape`, one such set after another, in C order.
        shots: Of each set, >= 1.
        shape: Of the array of sets; () for a single one.
    """

    circuit: Any
    shots: int
    parameter_values: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()


@attrs.frozen(kw_only=True, repr=False)
class EstimatePub(Record):
    """One circuit whose observables are estimated.

    Attributes:
        circuit: A `qiskit.QuantumCircuit` without measurements.
        observables: Pauli text to real coefficient, rightmost letter = qubit 0; one mapping an observable.
        observables_shape: Of the array of observables, in C order; None: one axis over them.
        parameter_values, shape: As in `SamplePub`. The arrays of observables and of sets are broadcast against
            each other by numpy's rules.
        precision: Wanted standard error, > 0; None for the vendor's default.
    """

    circuit: Any
    observables: tuple[Mapping[str, float], ...]
    observables_shape: tuple[int, ...] | None = None
    parameter_values: tuple[float, ...] = ()
    shape: tuple[int, ...] = ()
    precision: float | None = None


@attrs.frozen(kw_only=True, repr=False)
class JobRequest(Record):
    """One job to submit. The core has checked it against the backend's limits.

    Attributes:
        backend: Where to run it.
        kind: ``sample`` (what `Backend.run` sends) or, where declared, ``estimate``.
        pubs: At least one.
        memory: Whether the outcome of each shot is wanted, in order. A vendor that has it anyway may send it.
        options: The vendor's own options, by name; what was not given is not in it.
        tags: The user's tags, and the one that carries the key (``qprovider:KEY``) where the vendor has tags.
        name: The user's name for the job.
        key: The core's own key for this submission, unique.
        session_id: The vendor's session or batch that the job belongs to.
    """

    backend: BackendRef
    pubs: tuple[SamplePub | EstimatePub, ...] = attrs.field(converter=as_tuple)
    kind: Literal["sample", "estimate"] = "sample"
    memory: bool = False
    options: Mapping[str, Any] = attrs.field(factory=dict)
    tags: tuple[str, ...] = attrs.field(default=(), converter=as_tuple)
    name: str | None = None
    key: str = ""
    session_id: str | None = None


@attrs.frozen(kw_only=True, repr=False)
class QueueInfo(Record):
    """A job's place in its queue, where the vendor tells it.

    Attributes:
        position: Jobs before this one, plus 1.
        estimated_start, estimated_end: The vendor's estimates, aware.
    """

    position: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(0)))
    estimated_start: datetime | None = time_field()
    estimated_end: datetime | None = time_field()


@attrs.frozen(kw_only=True, repr=False)
class JobUsage(Record):
    """What a job used, in seconds: charged quantum time, and the vendor's estimate before it ran."""

    quantum_s: float | None = None
    estimated_s: float | None = None


@attrs.frozen(kw_only=True, repr=False)
class JobInfo(Record):
    """What the vendor tells of a job.

    Attributes:
        id: The vendor's id.
        state: See `JobState`; `state_text` is the vendor's own word for it.
        backend, instance: Where it was sent.
        created_at, started_at, ended_at: Aware times.
        error: Why it ended in ERROR, for the user to read; error_code: the vendor's code for it; error_hint: what
            to do about it, where the vendor says.
        kind: ``sample`` or ``estimate``, as in `JobRequest`; None when not told.
        shots: Of its first circuit.
        key: The core's key of the submission (`JobRequest.key`), where the vendor tells it. The core reads it from
            the tag that carries it, and takes that tag out of `tags`.
        extra: Whatever else the vendor tells, by its own names.
    """

    id: str
    state: JobState = attrs.field(validator=of_type(JobState))
    state_text: str | None = None
    backend: str | None = None
    instance: str | None = None
    created_at: datetime | None = time_field()
    started_at: datetime | None = time_field()
    ended_at: datetime | None = time_field()
    name: str | None = None
    tags: tuple[str, ...] = attrs.field(default=(), converter=as_tuple)
    error: str | None = None
    error_code: str | None = None
    error_hint: str | None = None
    queue: QueueInfo | None = None
    usage: JobUsage | None = None
    session_id: str | None = None
    kind: Literal["sample", "estimate"] | None = None
    shots: int | None = None
    key: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)

    @property
    def ref(self) -> JobRef:
        return JobRef(id=self.id, instance=self.instance, extra=self.extra)


def _states(value: Any) -> Any:
    """attrs converter: one state or several, as members or by their names."""
    named = [value] if isinstance(value, str | JobState) else value
    if not isinstance(named, list | tuple | set | frozenset):
        raise TypeError(f"states must be job states, not {value!r}")
    try:
        return tuple(one if isinstance(one, JobState) else JobState[str(one).upper()] for one in named)
    except KeyError as exc:
        known = ", ".join(state.name for state in JobState)
        raise ValueError(f"there is no job state {exc.args[0]!r}; states are {known}") from exc


@attrs.frozen(kw_only=True, repr=False)
class JobQuery(Record):
    """Which jobs to list; what is None or empty does not restrict.

    Attributes:
        ids: Just these.
        tags: A job must have all of them.
        pending: True: not yet final; False: final.
        created_after, created_before: Aware, inclusive.
        limit: At most so many; cursor: the text of the page before, to go on from there.
    """

    ids: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=texts)
    backend: str | None = attrs.field(default=None, validator=of_type(str, optional=True))
    instance: str | None = attrs.field(default=None, validator=of_type(str, optional=True))
    states: tuple[JobState, ...] = attrs.field(default=(), converter=_states)
    tags: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=texts)
    name: str | None = attrs.field(default=None, validator=of_type(str, optional=True))
    session_id: str | None = attrs.field(default=None, validator=of_type(str, optional=True))
    pending: bool | None = attrs.field(default=None, validator=of_type(bool, optional=True))
    created_after: datetime | None = time_field()
    created_before: datetime | None = time_field()
    limit: int | None = None
    cursor: str | None = attrs.field(default=None, validator=of_type(str, optional=True))

    def fits(self, job: Any) -> bool:
        """Whether a job is one of those asked for; for a plugin that keeps its jobs itself.

        Args:
            job: A `JobInfo`, or anything with its attributes of these names; `created_at` must be known where the query
                has a time.
        """
        return (
            (not self.ids or job.id in self.ids)
            and self.backend in (None, job.backend)
            and self.instance in (None, job.instance)
            and (not self.states or job.state in self.states)
            and set(self.tags) <= set(job.tags)
            and self.name in (None, job.name)
            and self.session_id in (None, job.session_id)
            and self.pending in (None, not job.state.final)
            and (self.created_after is None or job.created_at >= self.created_after)
            and (self.created_before is None or job.created_at <= self.created_before)
        )


@attrs.frozen(kw_only=True, repr=False)
class JobPage(Record):
    """Some jobs, newest first, and the cursor of the next page; None on the last one."""

    jobs: tuple[JobInfo, ...] = attrs.field(default=(), converter=as_tuple)
    cursor: str | None = None

    @classmethod
    def of(cls, jobs: Iterable[Any], query: JobQuery, tell: Callable[[Any], JobInfo]) -> Self:
        """The page that the query asks for, for a plugin that keeps its jobs itself.

        Args:
            jobs: Newest first, fit for `JobQuery.fits`, each with a `number` that rises from job to job and stays.
            tell: What is told of one.
        Raises:
            InvalidInputError: The query's cursor is none that a page gave.
        """
        if query.cursor is not None and not query.cursor.isdecimal():
            raise InvalidInputError(f"{query.cursor!r} is not a cursor that a page of jobs gave.")
        before = None if query.cursor is None else int(query.cursor)
        found: list[Any] = []
        for job in jobs:
            if (before is None or job.number < before) and query.fits(job):
                if query.limit is not None and len(found) >= query.limit:
                    return cls(jobs=[*map(tell, found)], cursor=str(found[-1].number) if found else query.cursor)
                found.append(job)
        return cls(jobs=[*map(tell, found)])


class SubmissionOutcome(Enum):
    """What the vendor knows of a submission whose answer was lost."""

    FOUND = "found"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True, repr=False)
class Submission(Record):
    """Answer to "did the submission with this key arrive?"; `job` is set when FOUND."""

    outcome: SubmissionOutcome
    job: JobInfo | None = None


@attrs.frozen(kw_only=True, repr=False)
class JobDetails(Record):
    """What else a vendor keeps of a job.

    Attributes:
        logs: Text.
        metrics: As the vendor sends them.
        circuits: The circuits as Qiskit objects, where the vendor gives them back.
        pubs: The same with their parameter values and shots, as they were submitted, so that the job can be run again.
        options: The options it ran with.
        steps: Name of a step to the aware time at which it was reached.
    """

    logs: str | None = None
    metrics: Mapping[str, Any] = attrs.field(factory=dict)
    circuits: tuple[Any, ...] | None = attrs.field(default=None, converter=as_tuple)
    pubs: tuple[SamplePub | EstimatePub, ...] | None = attrs.field(default=None, converter=as_tuple)
    options: Mapping[str, Any] | None = None
    steps: Mapping[str, datetime] = attrs.field(factory=dict)

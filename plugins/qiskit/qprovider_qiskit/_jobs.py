"""Jobs of one account: ours, with ids of our own, over one or more jobs of the vendor."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import attrs
from qiskit import QuantumCircuit

from qprovider_core.errors import UnknownJobError
from qprovider_core.records import (
    JobInfo,
    JobPage,
    JobQuery,
    JobRequest,
    JobState,
    QueueInfo,
    SamplePubResult,
)
from qprovider_qiskit._device import Device
from qprovider_qiskit._outcomes import Layout
from qprovider_qiskit._reading import called

KEPT_JOBS = 2_000  # that have ended; the core's ledger keeps what is older
_RANK = {
    JobState.INITIALIZING: 0,
    JobState.QUEUED: 1,
    JobState.VALIDATING: 1,
    JobState.UNKNOWN: 1,
    JobState.RUNNING: 2,
}
_numbers = itertools.count(1)


@attrs.define(eq=False)
class Part:
    """One job of the vendor.

    Attributes:
        positions: Which circuits of ours it has; circuits: as they are sent, dropped afterwards.
        job: The vendor's own object; None before it was sent. job_id: its id.
        error: What the vendor said of its failure.
        results: Of its circuits, once they were read.
    """

    positions: tuple[int, ...]
    circuits: list[QuantumCircuit]
    shots: int | None
    job: Any = None
    job_id: str | None = None
    state: JobState = JobState.INITIALIZING
    state_text: str | None = None
    error: str | None = None
    results: list[SamplePubResult] | None = None

    def sent(self, job: Any) -> None:
        self.job = job
        self.circuits = []
        told = called(job, "job_id")
        self.job_id = None if told is None else str(told)
        self.state = JobState.QUEUED


@attrs.define(kw_only=True, eq=False)
class AdaptedJob:
    """One job of ours. Its account's lock guards everything that changes.

    Attributes:
        told_backend: Whether it is known that it runs on `device`, which else is only who asks for it.
        memory: Whether each shot was asked for.
        reached: How far it was seen to be; a state before that is not told any more.
    """

    device: Device
    told_backend: bool = True
    parts: list[Part]
    layouts: list[Layout | None]
    request: JobRequest | None = None
    memory: bool = False
    tags: tuple[str, ...] = ()
    name: str | None = None
    key: str = ""
    id: str = attrs.field(factory=lambda: uuid.uuid4().hex)
    number: int = attrs.field(factory=lambda: next(_numbers))
    state: JobState = JobState.QUEUED
    state_text: str | None = None
    reached: int = _RANK[JobState.QUEUED]
    created_at: datetime | None = attrs.field(factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    results: list[SamplePubResult] | None = None
    instance: None = None
    session_id: None = None

    @property
    def backend(self) -> str | None:
        return self.device.name if self.told_backend else None

    def start(self) -> None:
        self.state = JobState.RUNNING
        self.started_at = datetime.now(UTC)

    def end(self, state: JobState, error: str | None = None) -> None:
        self.state = state
        self.error = error
        self.ended_at = datetime.now(UTC)

    def take_states(self) -> None:
        """What its parts at the vendor tell together; never back. When it started and ended is the vendor's to say:
        looks from time to time do not tell.

        A part that failed is told at once. The job goes on while others do: they cost something, and can be cancelled.
        """
        states = [part.state for part in self.parts]
        going = [part for part in self.parts if not part.state.final]
        self.error = self._reason() if JobState.ERROR in states else None
        if not going:
            worst = (one for one in (JobState.ERROR, JobState.CANCELLED) if one in states)
            self.state = next(worst, JobState.DONE)
            self.state_text = next(part.state_text for part in self.parts if part.state is self.state)
            return
        unknown = next((part for part in going if part.state is JobState.UNKNOWN), None)
        told = unknown or max(going, key=lambda part: _RANK[part.state])
        state = JobState.RUNNING if unknown is None and len(going) < len(self.parts) else told.state
        if unknown is not None or _RANK[state] >= self.reached:
            self.state, self.state_text = state, told.state_text
            self.reached = max(self.reached, _RANK[state])

    def _reason(self) -> str:
        """Why it failed: in the vendor's words, and in which circuits where that is not all of it."""
        failed = next(part for part in self.parts if part.state is JobState.ERROR)
        told = failed.error or called(failed.job, "error_message")
        reason = " ".join(str(told).split()) if told else f"The vendor says: {failed.state_text or 'error'}."
        if len(self.parts) == 1:
            return reason
        return f"Circuits {', '.join(map(str, failed.positions))} failed in job {failed.job_id}: {reason}"

    def info(self, position: int | None = None) -> JobInfo:
        vendor_jobs = [part.job_id for part in self.parts if part.job_id is not None]
        extra: dict[str, Any] = {"vendor_jobs": vendor_jobs} if vendor_jobs else {}
        if not self.device.local and None not in self.layouts:
            # All that another process needs to read its result.
            extra["backend"] = self.backend
            extra["parts"] = [list(part.positions) for part in self.parts]
            extra["memory"] = self.memory
            extra["shots"] = [part.shots for part in self.parts]
            extra["registers"] = [layout.to_json() for layout in self.layouts if layout is not None]
            extra["created_at"] = None if self.created_at is None else self.created_at.isoformat()
        shots = self.parts[0].shots if self.parts else None
        return JobInfo(
            id=self.id,
            state=self.state,
            state_text=self.state_text or self.state.value,
            backend=self.backend,
            created_at=self.created_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            name=self.name,
            tags=self.tags,
            error=self.error,
            queue=None if position is None else QueueInfo(position=position),
            kind="sample",
            shots=shots,
            key=self.key or None,
            extra=extra,
        )


class JobBook:
    """The jobs that an account remembers, oldest first. Not locked: its owner is."""

    def __init__(self, kept_jobs: int = KEPT_JOBS) -> None:
        self._jobs: dict[str, AdaptedJob] = {}
        self._retrieved: dict[str, AdaptedJob] = {}
        self._by_key: dict[str, AdaptedJob] = {}
        self._kept_jobs = kept_jobs

    def add(self, job: AdaptedJob) -> None:
        self._jobs[job.id] = job
        if job.key:
            self._by_key[job.key] = job
        spare = len(self._jobs) - self._kept_jobs
        if spare > 0:
            for old in [one for one in self._jobs.values() if one.state.final][:spare]:
                del self._jobs[old.id]
                self._by_key.pop(old.key, None)

    def keep(self, job: AdaptedJob) -> AdaptedJob:
        """A job that was sent by another process: it can be asked for, and is not listed, for its age is not known.

        Returns:
            It, or the same job that was kept before.
        """
        known = self._retrieved.setdefault(job.id, job)
        while len(self._retrieved) > self._kept_jobs:
            del self._retrieved[next(iter(self._retrieved))]
        return known

    def get(self, job_id: str) -> AdaptedJob | None:
        return self._jobs.get(job_id) or self._retrieved.get(job_id)

    def by_key(self, key: str) -> AdaptedJob | None:
        return self._by_key.get(key)

    def all(self) -> list[AdaptedJob]:
        return list(self._jobs.values())

    def page(self, query: JobQuery) -> JobPage:
        return JobPage.of(reversed(self._jobs.values()), query, AdaptedJob.info)


def unknown_job(job_id: str, why: str | None = None) -> UnknownJobError:
    return UnknownJobError(
        job_id,
        what=f"This account has no job {job_id!r}.",
        why=why,
        hint="Jobs that run on this machine end with the process that submitted them; `qprovider jobs` has the others.",
    )


def in_parts(items: Iterable[tuple[int, QuantumCircuit, int]], most: int | None) -> list[Part]:
    """Circuits with their positions and shots, as many together as the vendor takes: of equal shots, in order."""
    parts: list[Part] = []
    for position, circuit, shots in items:
        last = parts[-1] if parts else None
        if last is None or last.shots != shots or (most is not None and len(last.circuits) >= most):
            parts.append(Part((position,), [circuit], shots))
        else:
            last.positions += (position,)
            last.circuits.append(circuit)
    return parts

"""The jobs of one account, and how long they are remembered."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import attrs

from qprovider_core.errors import UnknownJobError
from qprovider_core.records import JobInfo, JobPage, JobQuery, JobState, QueueInfo

# Finished jobs are kept for the life of the account, up to these bounds; then the oldest lose first their
# circuits and outcomes, and at last their entry. The core's ledger keeps results beyond that.
KEPT_BYTES = 512 * 1024 * 1024
KEPT_JOBS = 10_000

_numbers = itertools.count(1)


@attrs.define(kw_only=True, eq=False)
class LocalJob:
    """One job and its life. Its queue's lock guards everything that changes.

    Attributes:
        task, payload: What a worker is sent: header and circuits.
        reply, outcomes: What it answered; None before that, and when no longer kept.
        number: Rises with each job of this process.
    """

    backend: str
    task: dict[str, Any]
    payload: bytes | None
    shots: int
    tags: tuple[str, ...] = ()
    name: str | None = None
    key: str = ""
    id: str = attrs.field(factory=lambda: uuid.uuid4().hex)
    number: int = attrs.field(factory=lambda: next(_numbers))
    state: JobState = JobState.QUEUED
    created_at: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    reply: Any = None
    outcomes: bytes | None = None
    logs: str = ""
    instance: None = None  # what other vendors' jobs have
    session_id: None = None

    def start(self) -> None:
        self.state = JobState.RUNNING
        self.started_at = datetime.now(UTC)

    def end(self, state: JobState, error: str | None = None) -> None:
        self.state = state
        self.error = error
        self.ended_at = datetime.now(UTC)

    def info(self, position: int | None) -> JobInfo:
        return JobInfo(
            id=self.id,
            state=self.state,
            state_text=self.state.value,
            backend=self.backend,
            created_at=self.created_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            name=self.name,
            tags=self.tags,
            error=self.error,
            queue=None if position is None else QueueInfo(position=position),
            shots=self.shots,
        )

    @property
    def kept_bytes(self) -> int:
        return len(self.payload or b"") + len(self.outcomes or b"")


class JobBook:
    """All remembered jobs. Not locked: its owner is."""

    def __init__(self, *, kept_bytes: int = KEPT_BYTES, kept_jobs: int = KEPT_JOBS) -> None:
        self._jobs: dict[str, LocalJob] = {}  # oldest first
        self._by_key: dict[str, str] = {}
        self._limit_bytes, self._limit_jobs = kept_bytes, kept_jobs
        self._finished: dict[str, int] = {}  # in the order in which they ended, with what they hold
        self._held = 0

    def add(self, job: LocalJob) -> None:
        self._jobs[job.id] = job
        if job.key:
            self._by_key[job.key] = job.id

    def __getitem__(self, job_id: str) -> LocalJob:
        job = self._jobs.get(job_id)
        if job is None:
            raise UnknownJobError(
                job_id,
                what=f"There is no local job {job_id!r} in this process.",
                hint="Local jobs end with the process that submitted them; see `qprovider jobs` for those of others.",
            )
        return job

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._jobs

    def by_key(self, key: str) -> LocalJob | None:
        return self._jobs.get(self._by_key.get(key, ""))

    def remove(self, job: LocalJob) -> None:
        self._jobs.pop(job.id, None)
        self._by_key.pop(job.key, None)
        self._held -= self._finished.pop(job.id, 0)

    def ended(self, job: LocalJob) -> None:
        """Count a job that has just ended, and let the oldest go beyond the bounds."""
        if job.id not in self._jobs or job.id in self._finished:
            return
        self._finished[job.id] = job.kept_bytes
        self._held += job.kept_bytes
        for job_id in self._old_ones() if self._held > self._limit_bytes else ():
            old = self._jobs[job_id]
            old.payload = old.reply = old.outcomes = None
            self._held -= self._finished[job_id]
            self._finished[job_id] = 0
        while len(self._finished) > self._limit_jobs:
            self.remove(self._jobs[next(iter(self._finished))])

    def _old_ones(self) -> Iterator[str]:
        """Those to strip, oldest first; never the newest, whose result somebody waits for."""
        for job_id in [job_id for job_id, held in self._finished.items() if held][:-1]:
            if self._held <= self._limit_bytes:
                return
            yield job_id

    def page(self, query: JobQuery) -> JobPage:
        return JobPage.of(reversed(self._jobs.values()), query, lambda job: job.info(None))

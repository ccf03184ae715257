"""Sessions and batches: what is told of them follows from their jobs' times and from what was asked of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs

from qprovider_ibm.emulator._jobs import QUEUED, Job, new_id
from qprovider_ibm.emulator._times import now, stamp

DEDICATED, BATCH = "dedicated", "batch"
OPEN, ACTIVE, INACTIVE, PENDING_CLOSED, CLOSED = "open", "active", "inactive", "pending_closed", "closed"
DEFAULT_TTL_S = 28_800


@attrs.define
class _Period:
    """From the start of a job until no job is left that came before the idle time was over."""

    start: datetime
    end: datetime


class Session:
    """A session ("dedicated") or a batch.

    It is open until its first job runs, then active while it has jobs, and `interactive_ttl_s` longer; a batch ends
    being active with its jobs. Then it is inactive until another of its jobs runs. `max_ttl` counts from the first
    job's start, until then from the session's.

    Attributes:
        refused_at: Since when it takes no more jobs; None while it does.
        ending: Whether what was queued is cancelled, because its time is over or somebody closed it.
        shown_state: A word that is told instead of the state, when a fault asks for it.
    """

    def __init__(
        self, *, mode: str, backend: str | None, crn: str, user: str, max_ttl: int, interactive_ttl_s: float
    ) -> None:
        self.id = new_id()
        self.mode = mode
        self.backend = backend
        self.crn = crn
        self.user = user
        self.max_ttl = max_ttl
        self.interactive_ttl_s = interactive_ttl_s
        self.created = now()
        self.refused_at: datetime | None = None
        self.ending = False
        self.reason: str | None = None
        self.shown_state: str | None = None
        self.jobs: list[Job] = []
        self._activated: datetime | None = None

    # -- what happens to it ------------------------------------------------------------------------------------

    def add(self, job: Job) -> None:
        self.jobs.append(job)
        self.backend = self.backend or job.backend

    @property
    def accepting_jobs(self) -> bool:
        return self.refused_at is None

    def accept(self, wanted: bool) -> None:
        if wanted != self.accepting_jobs:
            self.refused_at = None if wanted else now()
            self.reason = None if wanted else "Closed by the user."

    def end(self, reason: str, at: datetime) -> list[Job]:
        """Take no more jobs from a moment on.

        Returns:
            Those that are queued, which are to be cancelled; what runs is left to end.
        """
        if self.state() == CLOSED:
            return []
        self.refused_at = self.refused_at or at
        self.ending = True
        self.reason = reason
        return [job for job in self.jobs if job.state == QUEUED]

    def is_over(self) -> bool:
        """Whether its time is over, and it has not been ended for that yet."""
        return not self.ending and now() >= self.last_moment()

    # -- what follows ------------------------------------------------------------------------------------------

    @property
    def activated(self) -> datetime | None:
        if self._activated is None:
            self._activated = min((job.running for job in self.jobs if job.running is not None), default=None)
        return self._activated

    def last_moment(self) -> datetime:
        """When its time is over."""
        return (self.activated or self.created) + timedelta(seconds=self.max_ttl)

    @property
    def closed(self) -> datetime | None:
        """When it was closed: when it took no more jobs and the last one had ended."""
        if self.refused_at is None or any(not job.final for job in self.jobs):
            return None
        return max([self.refused_at, *(job.finished for job in self.jobs if job.finished is not None)])

    def _idle(self) -> timedelta:
        return timedelta(seconds=self.interactive_ttl_s if self.mode == DEDICATED else 0)

    def _periods(self, moment: datetime) -> list[_Period]:
        """When it was active, but for the idle time behind each."""
        found: list[_Period] = []
        for job in sorted(self.jobs, key=lambda job: job.created):
            ended = job.finished or moment
            if found and job.created <= found[-1].end + self._idle():
                found[-1].end = max(found[-1].end, ended)
                found[-1].start = min(found[-1].start, job.running or found[-1].start)
            elif job.running is not None:
                found.append(_Period(job.running, ended))
        if found and any(not job.final and job.created <= found[-1].end + self._idle() for job in self.jobs):
            found[-1].end = moment
        return found

    def _changes(self, moment: datetime) -> list[tuple[str, datetime]]:
        """All changes of its state so far, oldest first."""
        closed = self.closed
        changes = [(OPEN, self.created)]
        for period in self._periods(moment):
            changes.append((ACTIVE, period.start))
            # What came while the idle time ran has made one period of two; so this one's idle time has passed.
            over = period.end + self._idle()
            if over < min(closed or moment, moment):
                changes.append((INACTIVE, over))
        return [*changes, (CLOSED, closed)] if closed is not None else changes

    def state(self) -> str:
        word = self._changes(now())[-1][0]
        return PENDING_CLOSED if self.ending and word != CLOSED else word

    def runs_ahead(self) -> bool:
        """Whether its jobs need not queue: it is active."""
        return self.state() == ACTIVE

    def charged_s(self) -> float:
        """What its jobs are charged for."""
        return float(sum(job.usage()["qpu_charge_time_seconds"] for job in self.jobs))

    def usage_s(self) -> float:
        """A batch uses what its jobs do; a session all the time for which it was active, at least that."""
        if self.mode == BATCH:
            return self.charged_s()
        moment = now()
        end = self.closed or moment
        held = (min(period.end + self._idle(), end) - period.start for period in self._periods(moment))
        return max(self.charged_s(), sum(time.total_seconds() for time in held))

    def document(self) -> dict[str, Any]:
        moment = now()
        state = self.state()
        left = 0 if state == CLOSED else max(0, math.ceil((self.last_moment() - moment).total_seconds()))
        finished = state in (INACTIVE, CLOSED)
        return {
            "id": self.id,
            "backend_name": self.backend,
            "mode": self.mode,
            "state": self.shown_state or state,
            "state_reason": self.reason,
            "accepting_jobs": self.accepting_jobs,
            "interactive_ttl": max(1, round(self.interactive_ttl_s)) if self.mode == DEDICATED else 1,
            "max_ttl": self.max_ttl,
            "active_ttl": left,
            "started_at": stamp(self.created),
            "activated_at": stamp(self.activated),
            "closed_at": stamp(self.closed),
            "last_job_started": _latest([job.running for job in self.jobs]),
            "last_job_completed": _latest([job.finished for job in self.jobs if job.running is not None]),
            "timestamps": [{"status": word, "timestamp": stamp(at)} for word, at in self._changes(moment)],
            "user_id": self.user,
            "elapsed_time": round(self.usage_s(), 3) if finished else None,
        }


def _latest(moments: Sequence[datetime | None]) -> str | None:
    return stamp(max((moment for moment in moments if moment is not None), default=None))

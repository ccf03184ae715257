"""Sessions and batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from qprovider_ibm.emulator._jobs import Job, new_id
from qprovider_ibm.emulator._times import now, stamp

DEFAULT_TTL_S = 28_800
_INTERACTIVE_TTL_S = 60


class Session:
    """A session ("dedicated") or a batch."""

    def __init__(self, *, mode: str, backend: str | None, crn: str, user: str, max_ttl: int) -> None:
        self.id = new_id()
        self.mode = mode
        self.backend = backend
        self.crn = crn
        self.user = user
        self.max_ttl = max_ttl
        self.accepting_jobs = True
        self.created = now()
        self.activated: datetime | None = None
        self.closed: datetime | None = None
        self.reason: str | None = None
        self.jobs: list[Job] = []

    def add(self, job: Job) -> None:
        self.jobs.append(job)
        self.backend = self.backend or job.backend
        self.activated = self.activated or now()

    def settle(self) -> None:
        """Close it when its time is over, or when it takes no jobs and has none left."""
        if self.closed is not None:
            return
        age = (now() - (self.activated or self.created)).total_seconds()
        if age > self.max_ttl:
            self.close("The maximum time to live is over.")
        elif not self.accepting_jobs and all(job.final for job in self.jobs):
            self.close("Closed by the user.")

    def close(self, reason: str) -> None:
        self.accepting_jobs = False
        self.closed = now()
        self.reason = reason

    @property
    def state(self) -> str:
        self.settle()
        if self.closed is not None:
            return "closed"
        if self.activated is None:
            return "open"
        return "active" if any(not job.final for job in self.jobs) else "inactive"

    def usage_s(self) -> float:
        return float(sum(job.usage()["qpu_charge_time_seconds"] for job in self.jobs))

    def document(self) -> dict[str, Any]:
        state = self.state
        left = max(0, int(self.max_ttl - (now() - (self.activated or self.created)).total_seconds()))
        changes = [("open", self.created), ("active", self.activated), ("closed", self.closed)]
        return {
            "id": self.id,
            "backend_name": self.backend,
            "mode": self.mode,
            "state": state,
            "state_reason": self.reason,
            "accepting_jobs": self.accepting_jobs,
            "interactive_ttl": _INTERACTIVE_TTL_S if self.mode == "dedicated" else 1,
            "max_ttl": self.max_ttl,
            "active_ttl": 0 if state == "closed" else left,
            "started_at": stamp(self.created),
            "activated_at": stamp(self.activated),
            "closed_at": stamp(self.closed),
            "last_job_started": _latest([job.running for job in self.jobs]),
            "last_job_completed": _latest([job.finished for job in self.jobs]),
            "timestamps": [{"status": word, "timestamp": stamp(at)} for word, at in changes if at is not None],
            "user_id": self.user,
            "elapsed_time": self.usage_s() if state == "closed" else None,
        }


def _latest(moments: Sequence[datetime | None]) -> str | None:
    return stamp(max((moment for moment in moments if moment is not None), default=None))

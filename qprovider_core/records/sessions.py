"""Sessions and batches, where a vendor has them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import attrs

from qprovider_core.records._base import Record, time_field
from qprovider_core.records.backends import BackendRef


@attrs.frozen(kw_only=True, repr=False)
class SessionRequest(Record):
    """A session (jobs one after another, the device reserved) or a batch (jobs side by side) to open.

    Attributes:
        max_time_s: Longest life of it, in seconds; None for the vendor's default.
    """

    backend: BackendRef
    mode: Literal["session", "batch"] = "session"
    max_time_s: float | None = None


@attrs.frozen(kw_only=True, repr=False)
class SessionInfo(Record):
    """What the vendor tells of a session. None: it does not say.

    Attributes:
        state: The vendor's word; state_reason: why it is in it, in the vendor's words.
        accepting_jobs: Whether another job may join.
        max_time_s: Longest life of it; idle_time_s: for how long it stays active without a job;
            remaining_s: what is left of its life. All in seconds.
        usage_s: Quantum time used so far, in seconds.
        created_at, activated_at, closed_at: When it was opened, began to run jobs, and ended.
        last_job_started_at, last_job_ended_at: Of its newest job that did.
        user: Who opened it, by the vendor's id.
    """

    id: str
    instance: str | None = None
    mode: Literal["session", "batch"] = "session"
    backend: str | None = None
    state: str | None = None
    state_reason: str | None = None
    accepting_jobs: bool | None = None
    max_time_s: float | None = None
    idle_time_s: float | None = None
    remaining_s: float | None = None
    usage_s: float | None = None
    created_at: datetime | None = time_field()
    activated_at: datetime | None = time_field()
    closed_at: datetime | None = time_field()
    last_job_started_at: datetime | None = time_field()
    last_job_ended_at: datetime | None = time_field()
    user: str | None = None

    @property
    def over(self) -> bool:
        """Whether it certainly takes no more jobs."""
        return self.accepting_jobs is False or self.closed_at is not None

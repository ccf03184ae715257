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
    """What the vendor tells of a session.

    Attributes:
        state: The vendor's word; accepting_jobs: whether another job may join, None when not told.
        usage_s: Quantum time used so far, in seconds.
    """

    id: str
    instance: str | None = None
    mode: Literal["session", "batch"] = "session"
    backend: str | None = None
    state: str | None = None
    accepting_jobs: bool | None = None
    max_time_s: float | None = None
    usage_s: float | None = None
    created_at: datetime | None = time_field()
    closed_at: datetime | None = time_field()

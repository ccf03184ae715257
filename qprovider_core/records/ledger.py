"""What the ledger tells of a job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from qprovider_core._text import account_label
from qprovider_core.records._base import Record, as_tuple, time_field
from qprovider_core.records.jobs import JobInfo


@attrs.frozen(kw_only=True, repr=False)
class JobEvent(Record):
    """One step in the life of a job.

    Attributes:
        at: When it was written down, aware UTC.
        what: ``written`` (before anything is sent), ``sent``, ``accepted``, ``looked for``, ``failed``, ``refused``,
            ``not known``, ``state``, ``result``, ``tags``, ``name``, ``note``.
        text: More of it: the state, the error.
    """

    at: datetime
    what: str
    text: str | None = None


@attrs.frozen(kw_only=True, repr=False)
class JobRecord(Record):
    """A job as the ledger keeps it, or as a vendor told of it where the ledger has it not.

    Attributes:
        key: The core's own key of the submission; empty for a job that only its vendor knows.
        provider, account: Whose it is.
        info: What was last told of it. Its `id` is the key until the vendor has given one.
        job_id: The vendor's id; None while there is none.
        note: The user's note.
        num_circuits: How many were sent; None when not known.
        options: The vendor's own options.
        attempts: How often it was sent.
        rerun_of: Key of the job whose circuits it runs again.
        written_at: When it was written down; sent_at: when it was last sent; updated_at: when it was last told of.
        process_bound: Whether it ends with the process that submitted it.
        has_circuits, has_result, has_calibration: Whether the ledger keeps them.
        events: Its timeline, oldest first, where it was asked for.
    """

    key: str
    provider: str
    account: str
    info: JobInfo
    job_id: str | None = None
    note: str | None = None
    num_circuits: int | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    attempts: int = 0
    rerun_of: str | None = None
    written_at: datetime | None = time_field()
    sent_at: datetime | None = time_field()
    updated_at: datetime | None = time_field()
    process_bound: bool = False
    has_circuits: bool = False
    has_result: bool = False
    has_calibration: bool = False
    events: tuple[JobEvent, ...] = attrs.field(default=(), converter=as_tuple)

    def __repr__(self) -> str:
        where = f"{self.label}:{self.info.backend}" if self.info.backend else self.label
        return f"{type(self).__name__}({self.id} on {where}, {self.info.state.value})"

    @property
    def id(self) -> str:
        """The vendor's id, or the key while there is none: what `qp.job` takes."""
        return self.job_id or self.key

    @property
    def label(self) -> str:
        """``account/provider``, or just the provider for the account called ``default``."""
        return account_label(self.provider, self.account)

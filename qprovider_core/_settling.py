"""A submission of which it is not known whether it arrived: looked for, and settled. No Qiskit here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from qprovider_core import _submission, config
from qprovider_core._absent import AbsentAccount
from qprovider_core._kept import note, say_once
from qprovider_core._looking import can_look, look
from qprovider_core._submission import GIVEN_UP, Dispatch, Sent, as_settled, under_way
from qprovider_core.errors import (
    AuthenticationError,
    JobFailedError,
    LedgerError,
    SubmitUnknownError,
    TransportError,
    failure_text,
)
from qprovider_core.ledger import Ledger
from qprovider_core.ledger._rows import micros
from qprovider_core.records import JobInfo, JobRecord, JobRequest, JobState, SubmissionOutcome

if TYPE_CHECKING:
    from qprovider_core._account import Account


def settle(
    account: Account,
    key: str,
    *,
    since: float,
    load: Callable[[], JobRequest | None],
    ledger: Ledger | None,
    resend: bool | None = True,
    timeout: float | None = None,
) -> JobInfo | None:
    """Ask once what became of a submission; where it certainly did not arrive, send it again.

    Args:
        since: When it was last on its way, as far as the caller knows, in seconds since 1970; what the ledger knows
            counts more.
        load: Gives the request, to send it again; None where it was not kept.
        resend: Whether it may be sent again at all; where not, and it did certainly not arrive, it is noted as failed.
            What was given up is not sent again, nor what runs in another process. None: just look.
    Returns:
        The job; None: that is still not known.
    Raises:
        SubmitUnknownError: The vendor cannot tell.
        JobFailedError: The job did not arrive, and is not sent again.
        AuthenticationError, TransportError: The vendor could not be asked.
        QProviderError: It did not arrive, and failed when it was sent again.
    """
    record = None
    if ledger is not None:
        try:
            record = ledger.find(key, events=True)
        except LedgerError as exc:
            say_once(exc)
        resend = resend and record is not None  # it must be noted that it is sent, for others may do so, too
    settled = as_settled(record)
    if settled is not None:
        return settled  # another process, or a late answer
    if isinstance(account, AbsentAccount):
        account.open()  # raises, and says why
    if not can_look(account):
        raise SubmitUnknownError(
            f"Whether job {key} arrived at {account.label} is not known, and the vendor cannot tell.",
            key=key,
            job_id=key,
            hint="Look at the vendor's own list of jobs. If it is not there, run the circuits again: job.rerun().",
        )
    before = time.time()
    told = look(account, key, timeout)
    if told.job is not None:
        info = attrs.evolve(told.job, key=key)
        note(ledger, lambda kept: kept.accepted(key, info))
        return info
    if record is not None and record.account != account.name:
        raise SubmitUnknownError(
            f"Whether job {key} arrived at {record.label} is not known.",
            key=key,
            job_id=key,
            why=f"That account is not there any more, and {account.label} does not see the job, which says nothing.",
            hint=f"Add the account {record.account!r} again, then `qprovider jobs reconcile`.",
        )
    if isinstance(told.problem, AuthenticationError):
        raise told.problem
    if told.problem is not None:
        raise TransportError(
            f"Whether job {key} arrived at {account.label} is not known.", why=failure_text(told.problem)
        ) from told.problem
    if key in under_way or (record is not None and record.info.state is not JobState.SUBMIT_UNKNOWN):
        return None  # another thread or process is sending it just now, however long that takes
    if before < _last_under_way(record, since) + config.settle_time_s(account.spec.settle_time_s):
        return None
    if told.outcome is not SubmissionOutcome.ABSENT:
        raise SubmitUnknownError(
            f"Whether job {key} arrived at {account.label} is not known, and the vendor cannot tell now.",
            key=key,
            job_id=key,
            hint="Ask again later with `qprovider jobs reconcile`, or look at the vendor's own list of jobs.",
        )
    if resend is None:
        return None
    request, why = _to_send(account, record, load, resend)
    if request is None:
        gone = JobFailedError(
            f"Job {key} did not arrive at {account.label}, and was not sent again{why}.",
            job_id=key,
            hint="Run the circuits again: job.rerun(), `qprovider rerun` with its key, or backend.run(…).",
        )
        note(ledger, lambda kept: kept.failed(key, gone))
        raise gone
    sent_at = int(since * 1e6) if record is None or record.sent_at is None else micros(record.sent_at)
    dispatch = Dispatch(Sent(account=account, request=request, ledger=ledger, sent_at=sent_at))
    if dispatch.claimed():
        return dispatch.run()
    return None if ledger is None else as_settled(ledger.find(key))


def _to_send(
    account: Account, record: JobRecord | None, load: Callable[[], JobRequest | None], resend: bool
) -> tuple[JobRequest | None, str]:
    """What is to be sent again; else None, and why not."""
    if not resend:
        return None, ""
    if record is not None and any(event.what == GIVEN_UP for event in record.events):
        return None, ": it was given up when it was submitted"
    if account.spec.process_bound if record is None else record.process_bound:
        return None, ": it was to run in the process that submitted it"
    try:
        request = load()
    except LedgerError as exc:
        return None, f": its circuits cannot be read ({failure_text(exc).rstrip('.')})"
    return request, "" if request is not None else ": its circuits were not kept"


def _last_under_way(record: JobRecord | None, since: float) -> float:
    """Until when it may have been on its way. A call that was lost was noted when it was given up; one whose process
    ended, when that was seen; and no call takes longer than a submission may."""
    if record is None or record.sent_at is None:
        return since
    sent = record.sent_at.timestamp()
    noted = sent if record.updated_at is None else record.updated_at.timestamp()
    return min(max(noted, sent), sent + _submission.SUBMIT_TIMEOUT_S)

"""Submissions of which it is not known whether they arrived: looked for, and settled. No Qiskit here."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from qprovider_core import config
from qprovider_core._job_search import _fits
from qprovider_core._lanes import query_error
from qprovider_core._lists import QueryError
from qprovider_core._submission import look, settle
from qprovider_core.errors import QProviderError, UnknownNameError
from qprovider_core.fleet import fleet
from qprovider_core.ledger import Ledger, ledger_in_use
from qprovider_core.records import Deadline, JobRecord
from qprovider_core.records._base import Record, as_tuple
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._account import Account

_log = get_logger("qprovider.jobs")
_TIMEOUT_S = 600.0
_TOO_OLD_S = 7 * 86400.0  # what was to run a week ago is not sent unasked: it may have been run anew meanwhile
_PAUSE_S = 0.5


@attrs.frozen(kw_only=True, repr=False)
class Reconciled(Record):
    """What became of the submissions that were not known to have arrived.

    Attributes:
        found: They had arrived: those jobs are ours.
        sent_again: They had certainly not, and were sent again.
        absent: They had certainly not, and were not sent again; see each one's ``info.error``.
        unknown: Still not known.
        errors: Whom could not be asked, and why.
    """

    found: tuple[JobRecord, ...] = attrs.field(default=(), converter=as_tuple)
    sent_again: tuple[JobRecord, ...] = attrs.field(default=(), converter=as_tuple)
    absent: tuple[JobRecord, ...] = attrs.field(default=(), converter=as_tuple)
    unknown: tuple[JobRecord, ...] = attrs.field(default=(), converter=as_tuple)
    errors: tuple[QueryError, ...] = attrs.field(default=(), converter=as_tuple)


def reconcile(
    *,
    provider: str | Iterable[str] | None = None,
    account: str | Iterable[str] | None = None,
    key: str | None = None,
    resend: bool = True,
    timeout: float | None = None,
) -> Reconciled:
    """Find out what became of submissions whose answer was lost, or whose process ended while it sent them.

    Each vendor is asked for the job's key. What it has is ours from then on. What it has not, once its settle time is
    over, is sent again, with the same key. What it cannot tell stays `SUBMIT_UNKNOWN`.

    Args:
        provider, account: Just theirs; names, patterns, or several. key: Just this job.
        resend: Whether to send again what did not arrive; else it is marked as failed. What is older than a week is
            never sent again.
        timeout: Seconds for all; 600 by default. It is longer than other calls' for the settle time is waited for.
    Raises:
        LedgerError: The ledger cannot be read.
    """
    ledger = ledger_in_use()
    if ledger is None:
        return Reconciled()
    deadline = Deadline.after(config.timeout_s(timeout) if timeout is not None else _TIMEOUT_S)
    left = [
        record
        for record in ledger.unsettled()
        if _fits(record.provider, provider) and _fits(record.account, account) and key in (None, record.key)
    ]
    told: dict[str, list[JobRecord]] = {"found": [], "sent_again": [], "absent": [], "unknown": []}
    errors: list[QueryError] = []
    opened: dict[tuple[str, str], Account | QueryError] = {}
    while left:
        waiting = []
        for record in left:
            place = (record.provider, record.account)
            if place not in opened:
                opened[place] = _opened(*place)
            one = opened[place]
            if isinstance(one, QueryError):
                told["unknown"].append(record)
                continue
            fate, problem = _settled(ledger, record, one, resend, deadline)
            if problem is not None and str(problem) not in map(str, errors):
                errors.append(problem)
            if fate is None:
                waiting.append(record)
            else:
                told[fate].append(ledger.find(record.key) or record)
        left = waiting
        if left and deadline.remaining_s() <= 0:
            told["unknown"] += left
            break
        if left:
            time.sleep(min(_PAUSE_S, deadline.remaining_s()))
    errors += [one for one in opened.values() if isinstance(one, QueryError)]
    return Reconciled(**told, errors=errors)


def _opened(provider: str, account: str) -> Account | QueryError:
    try:
        return fleet().party(provider, account).accounts[0]
    except (QProviderError, IndexError) as exc:
        hint = "Its plugin is not installed." if isinstance(exc, UnknownNameError) else None
        told = query_error(provider, account, exc)
        return attrs.evolve(told, hint=told.hint or hint)


def _settled(
    ledger: Ledger, record: JobRecord, account: Account, resend: bool, deadline: Deadline
) -> tuple[str | None, QueryError | None]:
    """What became of one; None: its settle time is to be waited for."""
    sent_at = record.sent_at or record.written_at
    assert sent_at is not None  # it was written down
    old = time.time() - sent_at.timestamp() > _TOO_OLD_S
    before = record.attempts
    try:
        info = settle(
            account,
            record.key,
            sent_at=int(sent_at.timestamp() * 1e6),
            load=lambda: ledger.request(record.key),
            ledger=ledger,
            resend=resend and not old,
            timeout=max(0.001, min(deadline.remaining_s(), config.timeout_s())),
        )
    except QProviderError as exc:
        now = ledger.find(record.key)
        fate = "absent" if now is not None and now.info.state.final else "unknown"
        return fate, query_error(record.provider, record.account, exc)
    if info is None:
        return None, None
    if info.id == record.key:
        return "unknown", None
    now = ledger.find(record.key)
    return ("found" if now is None or now.attempts == before else "sent_again"), None


def look_back(accounts: Iterable[Account]) -> None:
    """Ask for the submissions of these accounts of which it is not known whether they arrived: a look, no more. What
    is found is ours from then on; nothing is sent again."""
    ledger = ledger_in_use()
    places = {(account.provider, account.name): account for account in accounts}
    for record in ledger.unsettled() if ledger is not None else ():
        account = places.get((record.provider, record.account))
        if account is None:
            continue
        told, _ = look(account, record.key)
        if ledger is not None and told.job is not None:
            ledger.accepted(record.key, told.job)
            _log.info("job %s had arrived at %s: it is %s", record.key, account.label, told.job.id)

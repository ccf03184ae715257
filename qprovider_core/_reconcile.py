"""Submissions of which it is not known whether they arrived: looked for, and settled. No Qiskit here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import attrs

from qprovider_core import config
from qprovider_core._concurrency import in_background
from qprovider_core._job_search import fits
from qprovider_core._lists import QueryError
from qprovider_core._looking import look
from qprovider_core._settling import settle
from qprovider_core._whose import other_accounts, own_account
from qprovider_core.errors import QProviderError, TransportError, UnknownJobError, failure_text
from qprovider_core.ledger import Ledger, ledger_in_use
from qprovider_core.records import Deadline, JobRecord, JobState
from qprovider_core.records._base import Record, as_tuple
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._account import Account

_log = get_logger("qprovider.jobs")
_TIMEOUT_S = 600.0
_TOO_OLD_S = 7 * 86400.0  # what was to run a week ago is not sent unasked: it may have been run anew meanwhile
_PAUSE_S = 0.5
_GRACE_S = 5.0  # after the deadline, for what is just being asked


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
            never sent again, nor what was given up when it was submitted (by Ctrl-C, or as its plugin failed).
        timeout: Seconds for all; 600 by default. It is longer than other calls' for the settle time is waited for.
    Raises:
        LedgerError: The ledger cannot be read.
        UnknownJobError: The ledger has no job of that key.
    """
    ledger = ledger_in_use()
    if ledger is None:
        return Reconciled()
    deadline = Deadline.after(config.timeout_s(timeout) if timeout is not None else _TIMEOUT_S)
    if key is not None and ledger.find(key) is None:
        raise UnknownJobError(key, ledger.ids(), what=f"The ledger has no job of the key {key!r}.")
    by_place: dict[tuple[str, str], list[JobRecord]] = {}
    for record in ledger.unsettled():
        wanted = fits(record.provider, provider) and fits(record.account, account) and key in (None, record.key)
        if wanted and not record.process_bound:  # what runs in another process is that process's
            by_place.setdefault((record.provider, record.account), []).append(record)
    places = [_Place(ledger, records, resend, deadline) for records in by_place.values()]
    asked = [in_background(place.run, f"{place.provider}-reconcile") for place in places]
    for place, answer in zip(places, asked, strict=True):
        try:
            answer.result(timeout=deadline.remaining_s() + _GRACE_S)
        except TimeoutError:
            place.say("no answer in time", error="DeadlineError")
        except (Exception, SystemExit) as exc:  # noqa: BLE001  the others have been settled
            place.say(failure_text(exc), error=type(exc).__name__)
    told: dict[str, list[JobRecord]] = {"found": [], "sent_again": [], "absent": [], "unknown": []}
    for place in places:
        for record in place.records:
            told[place.fates.get(record.key, "unknown")].append(ledger.find(record.key) or record)
    return Reconciled(**told, errors=[error for place in places for error in place.errors])


class _Place:
    """The submissions to one account.

    Attributes:
        fates: Key to what became of it; what is missing is still not known.
        errors: What went wrong.
    """

    def __init__(self, ledger: Ledger, records: Sequence[JobRecord], resend: bool, deadline: Deadline) -> None:
        self.provider, self.account = records[0].provider, records[0].account
        self.records = records
        self.fates: dict[str, str] = {}
        self.errors: list[QueryError] = []
        self._ledger = ledger
        self._resend = resend
        self._deadline = deadline

    def run(self) -> None:
        """Ask for each, again and again until its settle time is over."""
        account, why = own_account(self.records[0])
        if account is None:
            self._asked_elsewhere()
            if len(self.fates) < len(self.records):
                why = why or "it is not there any more"
                self.say(why, "Add the account again, or install its plugin.", error="UnknownAccountError")
            return
        left = list(self.records)
        while True:
            left = [record for record in left if not self._settled(account, record)]
            if not left or self._deadline.remaining_s() <= 0:
                return
            time.sleep(min(_PAUSE_S, self._deadline.remaining_s()))

    def _asked_elsewhere(self) -> None:
        """Another account may see the jobs; that it does not says nothing."""
        for account in other_accounts(self.records[0]):
            for record in self.records:
                if record.key not in self.fates and _adopted(self._ledger, record, account, self._timeout()):
                    self.fates[record.key] = "found"

    def _timeout(self) -> float:
        return max(0.001, min(self._deadline.remaining_s(), config.timeout_s()))

    def _settled(self, account: Account, record: JobRecord) -> bool:
        """Ask for one; whether that is done with."""
        sent_at = record.sent_at or record.written_at
        assert sent_at is not None  # it was written down
        old = time.time() - sent_at.timestamp() > _TOO_OLD_S
        try:
            info = settle(
                account,
                record.key,
                since=sent_at.timestamp(),
                load=lambda: self._ledger.request(record.key),
                ledger=self._ledger,
                resend=self._resend and not old,
                timeout=self._timeout(),
            )
        except QProviderError as exc:
            now = self._ledger.find(record.key)
            if now is not None and now.info.state.final:
                self.fates[record.key] = "absent"
                return True
            self.say(failure_text(exc), exc.hint, error=type(exc).__name__)
            # A line that broke may be mended until the end; what else it is will not change.
            return not isinstance(exc, TransportError)
        if info is None:
            return False
        if info.state is not JobState.SUBMIT_UNKNOWN:
            now = self._ledger.find(record.key)
            none = now is not None and now.job_id is None
            again = now is not None and now.attempts != record.attempts
            self.fates[record.key] = "absent" if none else "sent_again" if again else "found"
        return True

    def say(self, reason: str, hint: str | None = None, *, error: str) -> None:
        """Add a row of what went wrong, once."""
        if reason not in [one.reason for one in self.errors]:
            self.errors.append(
                QueryError(provider=self.provider, account=self.account, reason=reason, hint=hint, error=error)
            )


def _adopted(ledger: Ledger, record: JobRecord, account: Account, timeout: float | None = None) -> bool:
    """Whether the vendor has the submission; then the ledger knows."""
    told = look(account, record.key, timeout)
    if told.job is None:
        return False
    ledger.accepted(record.key, told.job)
    _log.info("job %s had arrived at %s: it is %s", record.key, account.label, told.job.id)
    return True


def look_back(accounts: Iterable[Account]) -> None:
    """Ask for the submissions of these accounts of which it is not known whether they arrived: a look, no more. What
    is found is ours from then on; nothing is sent again."""
    ledger = ledger_in_use()
    places = {(account.provider, account.name): account for account in accounts}
    for record in ledger.unsettled() if ledger is not None else ():
        account = places.get((record.provider, record.account))
        if account is None:
            continue
        assert ledger is not None  # else there were no records
        _adopted(ledger, record, account)

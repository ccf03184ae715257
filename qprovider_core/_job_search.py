"""One job by its id, whoever has it: the ledger first, then all vendors at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from qprovider_core import config
from qprovider_core._concurrency import in_background
from qprovider_core._job_book import names_of, party_of
from qprovider_core._job_merge import Merged
from qprovider_core._plugins import registry
from qprovider_core.criteria import is_pattern, wildcard
from qprovider_core.errors import (
    InvalidInputError,
    LedgerError,
    QProviderError,
    UnknownJobError,
    UnsupportedError,
    failure_text,
)
from qprovider_core.ledger import LedgerQuery, ledger_in_use
from qprovider_core.records import Deadline, JobInfo, JobRecord, JobRef

if TYPE_CHECKING:
    from qprovider_core._account import Account

T = TypeVar("T")
_SHORTEST_BEGINNING = 6  # characters of an id that will do where they are the beginning of one alone
_MOST = 20  # jobs that a beginning may mean and that are named


def found_job(id: Any, *, provider: Any, account: Any, offline: bool, timeout: float | None) -> JobRecord:
    """See `qprovider_core.find_job`."""
    if not isinstance(id, str) or not id.strip():
        raise InvalidInputError(f"A job's id is a text, not {id!r}.")
    config.timeout_s(timeout)  # refused before anything else is done
    search = _Search(id.strip(), provider, account)
    found = search.in_ledger()
    if not found and not offline:
        found = search.at_vendors(timeout)
    if not found:  # last: a whole id goes before the beginning of another one
        found = search.by_beginning()
    if not found:
        raise search.nobody()
    if len(found) > 1:
        raise search.several(found)
    return search.whole(found[0])


class _Search:
    """One search for a job."""

    def __init__(self, text: str, provider: Any, account: Any) -> None:
        self._text = text
        self._provider = provider
        self._account = account
        self._job_id = text
        self._problems: list[str] = []
        self._ledger = self._tried(ledger_in_use)
        if not self._exact(text):  # a vendor's id may hold colons itself
            own_account, own_provider, self._job_id = self._parts(text)
            self._account, self._provider = own_account or account, own_provider or provider

    def in_ledger(self) -> list[JobRecord]:
        """Those of that key or that vendor's id."""
        return self._exact(self._job_id)

    def by_beginning(self) -> list[JobRecord]:
        """Those whose key or vendor's id begins so."""
        ledger, beginning = self._ledger, self._job_id
        if ledger is None or len(beginning) < _SHORTEST_BEGINNING:
            return []
        ids = self._tried(ledger.ids) or []
        whole = list(dict.fromkeys(one for one in ids if one.startswith(beginning)))[:_MOST]
        found = [record for one in whole for record in self._exact(one)]
        return list({record.key: record for record in found}.values())

    def at_vendors(self, timeout: float | None) -> list[JobRecord]:
        """The records of that id that vendors tell of."""
        accounts, errors, _ = party_of(self._provider, self._account, self._ledger_has)
        self._problems += [str(error) for error in errors]
        deadline = Deadline.after(config.timeout_s(timeout))
        asked = {
            one: in_background(partial(_told_of, one, self._job_id, deadline), f"{one.label}-job") for one in accounts
        }
        merged, found = Merged(self._ledger), {}
        for one, answer in asked.items():
            try:
                info = answer.result(timeout=deadline.timeout)
            except TimeoutError:
                self._problems.append(f"{one.label}: no answer in time")
            except (Exception, SystemExit) as exc:  # noqa: BLE001  a plugin may raise anything
                self._problems.append(f"{one.label}: {failure_text(exc)}")
            else:
                if info is not None:
                    record = merged.take(one, info)
                    found[record.key or (one.label, record.id)] = record
        return list(found.values())

    def whole(self, record: JobRecord) -> JobRecord:
        """The record with its timeline, where the ledger has it."""
        ledger = self._ledger
        if ledger is None or not record.key:
            return record
        kept = self._tried(lambda: ledger.find(record.key, events=True))
        return record if kept is None else kept

    def several(self, records: list[JobRecord]) -> QProviderError:
        """The error for an id that means several jobs."""
        names = Counter((record.provider, record.id) for record in records)
        choices = [
            f"{one.label if names[one.provider, one.id] == 1 else f'{one.account}/{one.provider}'}:{one.id}"
            for one in records
        ]
        return UnknownJobError(
            self._text,
            choices,
            what=f"Several jobs are meant by {self._text!r}.",
            hint=f"Choose one of: {', '.join(choices)}.",
        )

    def nobody(self) -> QProviderError:
        """The error for an id that nobody knows."""
        known = (self._tried(self._ledger.ids) if self._ledger is not None else None) or []
        why = "\n".join(dict.fromkeys(self._problems)) or None
        error = UnknownJobError(self._job_id, known, why=why)
        if error.suggestions:
            return error
        hint = "See those that are known with `qprovider jobs`, or qp.jobs()."
        return UnknownJobError(self._job_id, known, why=why, hint=hint)

    def _parts(self, text: str) -> tuple[str | None, str | None, str]:
        """Account, provider and id of ``account/provider:id``."""
        head, colon, rest = text.partition(":")
        account, slash, provider = head.rpartition("/")
        if colon and rest and provider:
            known = {vendor.spec.name for vendor in registry().providers()} | set(registry().left_out())
            if provider in known or self._ledger_has(provider):
                return (account if slash else None), provider, rest
        return None, None, text

    def _exact(self, job_id: str) -> list[JobRecord]:
        ledger = self._ledger
        if ledger is None:
            return []
        record = self._tried(lambda: ledger.find(job_id))
        found = [record] if record is not None else self._tried(lambda: ledger.with_id(job_id)) or []
        return [one for one in found if fits(one.provider, self._provider) and fits(one.account, self._account)]

    def _ledger_has(self, provider: str | None = None) -> bool:
        """Whether it has any job of that provider; of those that were asked for, when not given."""
        ledger = self._ledger
        if ledger is None:
            return False
        providers = names_of(self._provider) if provider is None else [provider]
        accounts = names_of(self._account) if provider is None else []
        return bool(self._tried(lambda: ledger.select(LedgerQuery(providers=providers, accounts=accounts, limit=1))))

    def _tried(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except LedgerError as exc:
            self._problems.append(failure_text(exc))
            return None


def fits(name: str, wanted: Any) -> bool:
    """Whether a name is one of those that are wanted: names, patterns, or None for all."""
    return wanted is None or any(wildcard(one)(name) if is_pattern(one) else one == name for one in names_of(wanted))


def _told_of(account: Account, job_id: str, deadline: Deadline) -> JobInfo | None:
    """What a vendor tells of an id; None where it has no such job."""
    try:
        info: JobInfo | None = account.call("qprovider_get_job", job=JobRef(id=job_id), deadline=deadline)
    except (UnknownJobError, UnsupportedError):
        return None
    return info

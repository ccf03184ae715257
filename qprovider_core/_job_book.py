"""The jobs of all vendors and of the ledger as one list, and one job by its id. No Qiskit here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import config
from qprovider_core._job_lanes import JobLane
from qprovider_core._job_merge import Merged
from qprovider_core._job_query import AskedJobs
from qprovider_core._lanes import query_error
from qprovider_core._lists import JobList, QueryError
from qprovider_core.errors import InvalidInputError, LedgerError, UnknownAccountError, UnknownProviderError
from qprovider_core.fleet import fleet
from qprovider_core.ledger import Ledger, ledger_in_use
from qprovider_core.records import Deadline, JobRecord

if TYPE_CHECKING:
    from qprovider_core._account import Account


def list_jobs(
    *,
    provider: str | Iterable[str] | None = None,
    account: str | Iterable[str] | None = None,
    backend: str | Iterable[str] | None = None,
    instance: str | None = None,
    status: Any = None,
    tags: str | Iterable[str] | None = None,
    name: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    pending: bool | None = None,
    session_id: str | None = None,
    limit: int | None = 10,
    offline: bool = False,
    timeout: float | None = None,
) -> JobList[JobRecord]:
    """Records of the jobs of all accounts and of the ledger, newest first, each once. Does not need Qiskit.

    Args:
        provider, account, backend: Names, patterns such as ``ibm_*``, or several.
        status: States (`JobState`, their names, Qiskit's `JobStatus`), ``"pending"`` or ``"final"``; or several.
        tags: A job must have all of them.
        created_after, created_before: Aware times, inclusive.
        pending: True: not yet ended; False: ended.
        limit: At most so many; None for all.
        offline: Ask no vendor: what the ledger last knew.
        timeout: Seconds that the vendors have. Default: 30, or QPROVIDER_TIMEOUT.
    Raises:
        InvalidInputError: A name or value that cannot be used, before anybody is asked.
    """
    asked = AskedJobs.checked(
        backend=backend,
        status=status,
        tags=tags,
        limit=limit,
        pending=pending,
        instance=instance,
        name=name,
        session_id=session_id,
        created_after=created_after,
        created_before=created_before,
    )
    return ask_jobs(asked, provider=provider, account=account, offline=offline, timeout=timeout)


def ask_jobs(
    asked: AskedJobs,
    *,
    provider: Any = None,
    account: Any = None,
    accounts: Sequence[Account] | None = None,
    offline: bool = False,
    timeout: float | None = None,
) -> JobList[JobRecord]:
    """The jobs that satisfy a query; `accounts` are asked instead of those of the fleet."""
    deadline = Deadline.after(config.timeout_s(timeout))
    as_of = datetime.now(UTC)
    whose = (names_of(provider, "provider"), names_of(account, "account"))
    if accounts is not None:
        whose = ([one.provider for one in accounts], [one.name for one in accounts])
    book = _Book(asked, *whose)
    errors: list[QueryError] = []
    notes: list[str] = []
    if accounts is None and offline:
        if whose != ([], []):
            party_of(provider, account, book.knows_them)  # a name that nothing has is refused
        accounts = ()
    elif accounts is None:
        accounts, errors, notes = party_of(provider, account, book.knows_them)
    kept = book.select(asked)
    merged = Merged(book.ledger, kept)
    if not offline:
        open_jobs = book.open_jobs(kept)
        lanes = [JobLane(one, asked, open_jobs, deadline) for one in accounts]
        for lane in lanes:
            problem = lane.problem()
            errors += [] if problem is None else [problem]
            for info in list(lane.infos.values()):
                merged.take(lane.account, info)
        errors += _not_asked(open_jobs, accounts, errors)
        kept = book.select(asked)
    errors += [one for one in (book.error or merged.error,) if one is not None]
    return JobList(merged.newest(asked, kept), errors=errors, notes=notes, as_of=as_of)


class _Book:
    """What the ledger has, as far as it can be read.

    Attributes:
        ledger: None where there is none, or where it cannot be read.
        error: Why it cannot.
    """

    def __init__(self, asked: AskedJobs, providers: Sequence[str], accounts: Sequence[str]) -> None:
        self.ledger: Ledger | None = None
        self.error: QueryError | None = None
        self._asked = asked
        self._whose = (providers, accounts)
        try:
            self.ledger = ledger_in_use()
        except LedgerError as exc:
            self.error = query_error("ledger", None, exc)

    def select(self, asked: AskedJobs) -> list[JobRecord]:
        """The jobs that satisfy a query."""
        try:
            return [] if self.ledger is None else self.ledger.select(asked.of_ledger(*self._whose))
        except LedgerError as exc:
            self.ledger, self.error = None, query_error("ledger", None, exc)
            return []

    def knows_them(self) -> bool:
        """Whether it has any job of those that are asked for."""
        return bool(self.select(AskedJobs(limit=1)))

    def open_jobs(self, kept: Sequence[JobRecord]) -> list[JobRecord]:
        """Those whose newest state matters: of a query for states, all that may have come to be in one, or left it."""
        if self._asked.states or self._asked.pending is not None:
            kept = self.select(attrs.evolve(self._asked, states=(), pending=True, limit=None))
        return [record for record in kept if not record.info.state.final]


def _not_asked(
    open_jobs: Sequence[JobRecord], accounts: Sequence[Account], errors: Sequence[QueryError]
) -> list[QueryError]:
    """A row for each account that is not there any more, although the ledger has jobs of it that have not ended."""
    there = {(one.provider, one.name) for one in accounts}
    told = {error.provider for error in errors}
    gone = {(record.provider, record.account) for record in open_jobs if not record.process_bound} - there
    return [
        QueryError(
            provider=provider,
            account=account,
            reason="it is not there any more; its jobs are told as they were last known",
            hint="Add the account again, or install its plugin.",
            error="UnknownAccountError",
        )
        for provider, account in sorted(gone)
        if provider not in told
    ]


def names_of(wanted: Any, what: str = "it") -> list[str]:
    """One name or several as a list; none for None.

    Raises:
        InvalidInputError: They are no texts.
    """
    names = [wanted] if isinstance(wanted, str) else list(wanted) if isinstance(wanted, Iterable) else [wanted]
    for name in names if wanted is not None else ():
        if not isinstance(name, str):
            raise InvalidInputError(f"{what} takes a name, a pattern, or a list of them, not {name!r}.")
    return names if wanted is not None else []


def party_of(
    provider: Any, account: Any, known: Callable[[], bool]
) -> tuple[list[Account], list[QueryError], list[str]]:
    """The accounts to ask. One whose plugin is gone, or that was deleted, is no error where the ledger has jobs of it.

    Raises:
        UnknownProviderError, UnknownAccountError: A name that nothing has.
    """
    missing: list[QueryError] = []
    while True:
        try:
            party = fleet().party(provider, account)
        except (UnknownProviderError, UnknownAccountError) as exc:
            if not known():
                raise
            of_provider = isinstance(exc, UnknownProviderError)
            missing.append(query_error(exc.name if of_provider else "", None if of_provider else exc.name, exc))
            left = [name for name in names_of(provider if of_provider else account) if name != exc.name]
            if not left:
                return [], missing, []
            provider, account = (left, account) if of_provider else (provider, left)
        else:
            return list(party.accounts), [*missing, *party.errors], list(party.notes)


# ------------------------------------------------------------------------------------------------- one job


def find_job(
    id: str,
    *,
    provider: str | Iterable[str] | None = None,
    account: str | Iterable[str] | None = None,
    offline: bool = False,
    timeout: float | None = None,
) -> JobRecord:
    """The record of one job, with its timeline where the ledger has it. Does not need Qiskit.

    Args:
        id: The vendor's id or our own key; ``provider:id`` or ``account/provider:id`` where several vendors have it.
        offline: Ask no vendor.
    Raises:
        UnknownJobError: Nobody has it, or several do; near matches, or the choices, are named.
    """
    from qprovider_core._job_search import found_job  # late: it imports this module

    return found_job(id, provider=provider, account=account, offline=offline, timeout=timeout)

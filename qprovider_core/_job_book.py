"""The jobs of all vendors and of the ledger as one list, and one job by its id. No Qiskit here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import config
from qprovider_core._concurrency import in_background
from qprovider_core._job_query import AskedJobs
from qprovider_core._lanes import query_error
from qprovider_core._lists import JobList, QueryError
from qprovider_core.errors import LedgerError, PluginError, UnknownJobError, UnsupportedError
from qprovider_core.fleet import fleet
from qprovider_core.ledger import Ledger, ledger_in_use
from qprovider_core.records import Deadline, JobInfo, JobQuery, JobRecord, JobRef

if TYPE_CHECKING:
    from qprovider_core._account import Account

_OLDEST = datetime.min.replace(tzinfo=UTC)
_REFRESHED = 500  # jobs of one account whose newest state is asked for, where the ledger knows just an older one


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
    errors: list[QueryError] = []
    notes: list[str] = []
    kept, ledger = _kept(asked, provider, account, accounts, errors)
    if accounts is None and not offline:
        accounts, missing, told = _party(provider, account, bool(kept))
        errors += missing
        notes += told
    records = {(record.provider, record.id): record for record in kept}
    lanes = (
        {} if offline else {one: in_background(_Lane(one, asked, kept, deadline).run, "jobs") for one in accounts or ()}
    )
    started = time.monotonic()
    for one, lane in lanes.items():
        told_infos, problem, stale = _answer(one, lane, deadline, started)
        if problem is not None:
            errors.append(problem)
        for place in stale:  # it satisfied the query as it was last known, and does not any more
            records.pop((one.provider, place), None)
        for info in told_infos:
            _merge(records, ledger, one, info, errors)
    found = sorted(records.values(), key=lambda record: record.info.created_at or _OLDEST, reverse=True)
    return JobList(found[: asked.limit], errors=errors, notes=notes, as_of=as_of)


def _kept(
    asked: AskedJobs, provider: Any, account: Any, accounts: Sequence[Account] | None, errors: list[QueryError]
) -> tuple[list[JobRecord], Ledger | None]:
    providers, names = _names(provider), _names(account)
    if accounts is not None:
        providers, names = [one.provider for one in accounts], [one.name for one in accounts]
    try:
        ledger = ledger_in_use()
        return ([] if ledger is None else ledger.select(asked.of_ledger(providers, names))), ledger
    except LedgerError as exc:
        errors.append(query_error("ledger", None, exc))
        return [], None


def _names(wanted: Any) -> list[str]:
    return [] if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)


def _party(provider: Any, account: Any, known: bool) -> tuple[list[Account], list[QueryError], list[str]]:
    """The accounts to ask. A provider whose plugin is gone is no error where the ledger has jobs of it."""
    from qprovider_core.errors import UnknownAccountError, UnknownProviderError  # late: rare

    try:
        party = fleet().party(provider, account)
    except (UnknownProviderError, UnknownAccountError) as exc:
        if not known:
            raise
        return [], [query_error(_names(provider)[0] if _names(provider) else "", None, exc)], []
    return list(party.accounts), list(party.errors), list(party.notes)


class _Lane:
    """One account that is asked for its jobs."""

    def __init__(self, account: Account, asked: AskedJobs, kept: Sequence[JobRecord], deadline: Deadline) -> None:
        self._account = account
        self._asked = asked
        self._deadline = deadline
        self._open = [
            record.job_id
            for record in kept
            if (record.provider, record.account) == (account.provider, account.name)
            and record.job_id is not None
            and not record.info.state.final
            and not record.process_bound
        ][:_REFRESHED]

    def run(self) -> tuple[list[JobInfo], list[str]]:
        """What the vendor lists, and which of the jobs that the ledger knows do not satisfy the query any more."""
        query = self._asked.of_vendor()
        if query is None or not self._account.supports("qprovider_list_jobs"):
            return [], []
        infos = {info.id: info for info in self.pages(query) if self._asked.fits(info)}
        missing = [job_id for job_id in self._open if job_id not in infos]
        stale = []
        if missing:
            for info in self.pages(JobQuery(ids=tuple(missing))):
                if self._asked.fits(info):
                    infos[info.id] = info
                else:
                    stale.append(info.id)
        return list(infos.values()), stale

    def pages(self, query: JobQuery) -> list[JobInfo]:
        """All pages of a list, as far as its limit."""
        seen: set[str] = set()
        found: dict[str, JobInfo] = {}
        while True:
            page = self._account.call("qprovider_list_jobs", query=query, deadline=self._deadline)
            if page is None:
                return list(found.values())
            before = len(found)
            for info in page.jobs:  # a job created between two pages shifts them: keep the first of each id
                found.setdefault(info.id, info)
            enough = query.limit is not None and len(found) >= query.limit
            if page.cursor is None or len(found) == before or enough:
                return list(found.values())
            if page.cursor in seen or self._deadline.remaining_s() <= 0:
                raise PluginError(
                    f"{self._account.label} gives the same page of jobs again and again."
                    if page.cursor in seen
                    else f"{self._account.label} did not list all its jobs in time.",
                    plugin=self._account.provider,
                    hook="qprovider_list_jobs",
                )
            seen.add(page.cursor)
            query = attrs.evolve(query, cursor=page.cursor)


def _answer(
    account: Account, lane: Future[tuple[list[JobInfo], list[str]]], deadline: Deadline, started: float
) -> tuple[list[JobInfo], QueryError | None, list[str]]:
    """What an account answered, and what is wrong with it."""
    try:
        infos, stale = lane.result(timeout=deadline.timeout)
    except TimeoutError as exc:
        if lane.done():
            return [], query_error(account.provider, account.name, exc), []
        late = QueryError(
            provider=account.provider,
            account=account.name,
            reason="no answer in time",
            hint="Allow more time with timeout=, or ask the ledger alone with offline=True.",
            elapsed_s=time.monotonic() - started,
            error="DeadlineError",
        )
        return [], late, []
    except (Exception, SystemExit) as exc:  # noqa: BLE001  a plugin may raise anything; it costs its own row
        return [], query_error(account.provider, account.name, exc, time.monotonic() - started), []
    return infos, None, stale


def _merge(
    records: dict[tuple[str, str], JobRecord],
    ledger: Ledger | None,
    account: Account,
    info: JobInfo,
    errors: list[QueryError],
) -> None:
    """Put what a vendor told beside what the ledger has; the ledger learns of it."""
    place = (account.provider, info.id)
    try:
        record = records.get(place) or _known(ledger, account, info)
        if record is not None and ledger is not None and not record.info.state.final:
            if record.job_id is None:
                ledger.accepted(record.key, info)
            else:
                ledger.told(record.key, info)
            record = ledger.find(record.key) or record
            if record.info.queue != info.queue:
                record = attrs.evolve(record, info=attrs.evolve(record.info, queue=info.queue))
    except LedgerError as exc:
        record = None
        if not any(error.provider == "ledger" for error in errors):
            errors.append(query_error("ledger", None, exc))
    if record is None:
        record = JobRecord(
            key=info.key or "",
            provider=account.provider,
            account=account.name,
            info=info,
            job_id=info.id,
            process_bound=account.spec.process_bound,
        )
    records.pop((account.provider, record.key), None)
    records[place] = record


def _known(ledger: Ledger | None, account: Account, info: JobInfo) -> JobRecord | None:
    """The ledger's record of a job that did not satisfy the query as it was last known."""
    if ledger is None:
        return None
    listed = ledger.with_id(info.id, account.provider)
    if listed:
        return listed[0]
    return ledger.find(info.key) if info.key else None


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


def told_of(account: Account, job_id: str, deadline: Deadline) -> JobInfo | None:
    """What a vendor tells of an id; None where it has no such job."""
    try:
        info: JobInfo | None = account.call("qprovider_get_job", job=JobRef(id=job_id), deadline=deadline)
    except (UnknownJobError, UnsupportedError):
        return None
    return info

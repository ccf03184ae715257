"""Handles of jobs: one by its id, or a list; of one account or of all, with what the ledger has of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import attrs

from qprovider_core import _job_book
from qprovider_core._absent import absent_account
from qprovider_core._account import Account
from qprovider_core._checks import checked_options
from qprovider_core._job import Job, make_job, newer
from qprovider_core._job_lanes import pages
from qprovider_core._job_query import AskedJobs, checked_limit
from qprovider_core._kept import Kept
from qprovider_core._lists import JobList, QueryError
from qprovider_core._whose import account_of
from qprovider_core.errors import (
    InvalidInputError,
    QProviderError,
    TransportError,
    UnknownJobError,
    failure_text,
)
from qprovider_core.records import JobInfo, JobQuery, JobRecord, JobRef, JobState


def jobs(**query: Any) -> JobList[Job]:
    """Handles of the jobs of all accounts and of the ledger, newest first, each once.

    Arguments as in `list_jobs`: provider, account, backend, status, tags, name, created_after, limit (10; None for
    all), offline, …
    """
    found = _job_book.list_jobs(**query)
    return JobList([job_of(record) for record in found], errors=found.errors, notes=found.notes, as_of=found.as_of)


def job(
    id: str,
    *,
    provider: str | Iterable[str] | None = None,
    account: str | Iterable[str] | None = None,
    offline: bool = False,
    timeout: float | None = None,
) -> Job:
    """The job of that id, whoever has it; arguments as in `find_job`.

    Raises:
        UnknownJobError: Nobody has it, or several do; near matches, or the choices, are named.
    """
    record = _job_book.find_job(id, provider=provider, account=account, offline=offline, timeout=timeout)
    return job_of(record)


def job_of(record: JobRecord) -> Job:
    """The handle of a record. Where its plugin or account is gone, it tells what the ledger has."""
    account, why = account_of(record)
    return make_job(account or absent_account(record.provider, record.account, why), record.info)


def retrieve_job(account: Account, job_id: str, instance: str | None = None) -> Job:
    """A job by the vendor's id; see `Account.retrieve_job`."""
    if not isinstance(job_id, str) or not job_id:
        raise InvalidInputError(f"A job's id is a text, not {job_id!r}.")
    record = Kept(account, None).record(JobInfo(id=job_id, instance=instance, state=JobState.UNKNOWN))
    if record is None:
        record = _of_key(account, job_id)
    if record is not None and instance not in (None, record.info.instance):
        record = None  # it is asked whether that place has it
    if record is not None and (_is_whole(record) or record.job_id is None):
        return make_job(account, record.info)  # it will not change any more; or the vendor does not have it yet
    ref = JobRef(id=job_id, instance=instance)
    if record is not None:
        ref = attrs.evolve(ref, id=record.id, extra=record.info.extra)
    try:
        info = account.ask("qprovider_get_job", job=ref)
    except UnknownJobError:
        if record is None or not (record.process_bound or record.info.state.final):
            raise
        return make_job(account, record.info)  # another process runs it, or ran it; or the vendor has forgotten it
    except TransportError:
        if record is None:
            raise
        return make_job(account, record.info)  # as it was last known
    if info is None:
        raise UnknownJobError(job_id, what=f"{account.label} has no job {job_id!r}.")
    handle = make_job(account, newer(JobInfo(id=job_id, instance=instance, state=info.state), info))
    if record is not None:
        handle._kept.told(record.info, handle.info)
    return handle


def _of_key(account: Account, key: str) -> JobRecord | None:
    """The ledger's record of a job of that key, which is all that a job is called by while it may not have arrived."""
    record = Kept(account, key).record(JobInfo(id=key, state=JobState.UNKNOWN))
    return record if record is not None and record.key == key else None


def _is_whole(record: JobRecord) -> bool:
    return record.info.state.final and (record.has_result or record.info.state is not JobState.DONE)


def list_jobs(account: Account, *, limit: int | None = 10, **query: Any) -> JobList[Job]:
    """An account's jobs, newest first.

    Args:
        limit: At most so many; None for all.
        query: Fields of `JobQuery`: backend, states, tags, name, pending, created_after, ...
    """
    limit = checked_limit(limit)
    known = {field.name for field in attrs.fields(JobQuery)}
    try:
        wanted = JobQuery(**checked_options(query, known, ("limit",)), limit=limit)
    except (TypeError, ValueError) as exc:
        if isinstance(exc, InvalidInputError):
            raise
        raise InvalidInputError(f"{exc}.") from exc
    if account.spec.process_bound and not wanted.ids and wanted.cursor is None:
        return _list_with_ledger(account, wanted)
    found: dict[str, JobInfo] = {}
    errors: list[QueryError] = []
    as_of = datetime.now(UTC)
    try:
        for infos in pages(account, wanted, lambda query: account.ask("qprovider_list_jobs", query=query)):
            found.update((info.id, info) for info in infos)
            if limit is not None and len(found) >= limit:
                break
    except QProviderError as exc:
        if not found:
            raise
        errors.append(QueryError(provider=account.provider, account=account.name, reason=failure_text(exc)))
    infos = list(found.values())[:limit]
    return JobList([make_job(account, info) for info in infos], errors=errors, as_of=as_of)


def _list_with_ledger(account: Account, wanted: JobQuery) -> JobList[Job]:
    """The jobs of a vendor that knows those of this process alone: the ledger has the others."""
    same = ("instance", "states", "pending", "tags", "name", "session_id", "created_after", "created_before", "limit")
    asked = AskedJobs(
        backends=() if wanted.backend is None else (wanted.backend,), **{name: getattr(wanted, name) for name in same}
    )
    found = _job_book.ask_jobs(asked, accounts=[account])
    handles = [make_job(account, record.info) for record in found]
    return JobList(handles, errors=found.errors, notes=found.notes, as_of=found.as_of)

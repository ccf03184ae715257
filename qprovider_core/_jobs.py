"""An account's jobs as its vendor knows them: one by its id, or a list."""

from __future__ import annotations

import operator
from datetime import UTC, datetime
from typing import Any

import attrs

from qprovider_core._account import Account
from qprovider_core._checks import checked_options
from qprovider_core._job import Job, make_job, newer
from qprovider_core._lists import JobList, QueryError
from qprovider_core.errors import InvalidInputError, PluginError, QProviderError, UnknownJobError, failure_text
from qprovider_core.records import JobInfo, JobQuery, JobRef


def retrieve_job(account: Account, job_id: str, instance: str | None = None) -> Job:
    """A job by the vendor's id; see `Account.retrieve_job`."""
    if not isinstance(job_id, str) or not job_id:
        raise InvalidInputError(f"A job's id is a text, not {job_id!r}.")
    info = account.ask("qprovider_get_job", job=JobRef(id=job_id, instance=instance))
    if info is None:
        raise UnknownJobError(job_id, what=f"{account.label} has no job {job_id!r}.")
    return make_job(account, newer(JobInfo(id=job_id, instance=instance, state=info.state), info))


def _checked_limit(limit: Any) -> int | None:
    try:
        number = None if limit is None else operator.index(limit)
    except TypeError:
        number = 0
    if isinstance(limit, bool) or (number is not None and number < 1):
        raise InvalidInputError(f"limit is a whole number of at least 1, or None for all, not {limit!r}.")
    return number


def list_jobs(account: Account, *, limit: int | None = 10, **query: Any) -> JobList[Job]:
    """An account's jobs, newest first.

    Args:
        limit: At most so many; None for all.
        query: Fields of `JobQuery`: backend, states, tags, name, pending, created_after, ...
    """
    limit = _checked_limit(limit)
    known = {field.name for field in attrs.fields(JobQuery)}
    try:
        wanted = JobQuery(**checked_options(query, known, ("limit",)), limit=limit)
    except (TypeError, ValueError) as exc:
        if isinstance(exc, InvalidInputError):
            raise
        raise InvalidInputError(f"{exc}.") from exc
    seen: set[str] = set()
    found: dict[str, JobInfo] = {}
    errors: list[QueryError] = []
    as_of = datetime.now(UTC)
    try:
        while True:
            page = account.ask("qprovider_list_jobs", query=wanted)
            if page is None:
                break
            before = len(found)
            for info in page.jobs:  # a job created between two pages shifts them: keep the first of each id
                found.setdefault(info.id, info)
            if page.cursor is None or len(found) == before or (limit is not None and len(found) >= limit):
                break
            if page.cursor in seen:
                raise PluginError(
                    f"{account.label} gives the same page of jobs again and again.",
                    plugin=account.provider,
                    hook="qprovider_list_jobs",
                )
            seen.add(page.cursor)
            wanted = attrs.evolve(wanted, cursor=page.cursor)
    except QProviderError as exc:
        if not found:
            raise
        errors.append(QueryError(provider=account.provider, account=account.name, reason=failure_text(exc)))
    infos = list(found.values())[:limit]
    return JobList([make_job(account, info) for info in infos], errors=errors, as_of=as_of)

"""Accounts that are asked for their jobs, side by side: what each of them lists, and how the others stand now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

import attrs

from qprovider_core._concurrency import in_background
from qprovider_core._job_query import AskedJobs
from qprovider_core._lanes import query_error
from qprovider_core._lists import QueryError
from qprovider_core.errors import PluginError, QProviderError, UnknownJobError
from qprovider_core.records import Deadline, JobInfo, JobPage, JobQuery, JobRecord

if TYPE_CHECKING:
    from qprovider_core._account import Account

_REFRESHED = 500  # jobs of one account whose newest state is asked for, where the ledger knows just an older one
_ALONE = 20  # the same at a vendor that has no lists


class JobLane:
    """One account that is asked for its jobs.

    Attributes:
        account: Whom is asked.
        infos: What it told so far, by the vendor's ids.
    """

    def __init__(self, account: Account, asked: AskedJobs, open_jobs: Sequence[JobRecord], deadline: Deadline) -> None:
        """
        Args:
            open_jobs: What the ledger takes for jobs that have not ended.
        """
        self.account = account
        self.infos: dict[str, JobInfo] = {}
        self._asked = asked
        self._deadline = deadline
        self._started = time.monotonic()
        self._open = [
            attrs.evolve(record.info.ref, id=record.job_id)
            for record in open_jobs
            if (record.provider, record.account) == (account.provider, account.name) and record.job_id is not None
        ]
        self._future: Future[None] = in_background(self._run, f"{account.label}-jobs")

    def problem(self) -> QueryError | None:
        """Wait for the end of it, until the deadline; what went wrong."""
        try:
            self._future.result(timeout=self._deadline.timeout)
        except TimeoutError as exc:
            if self._future.done():
                return self._error(exc)
            return QueryError(
                provider=self.account.provider,
                account=self.account.name,
                reason="no answer in time",
                hint="Allow more time with timeout=, or ask the ledger alone with offline=True.",
                elapsed_s=time.monotonic() - self._started,
                error="DeadlineError",
            )
        except (Exception, SystemExit) as exc:  # noqa: BLE001  a plugin may raise anything; it costs its own row
            return self._error(exc)
        return None

    def _error(self, exc: BaseException) -> QueryError:
        return query_error(self.account.provider, self.account.name, exc, time.monotonic() - self._started)

    def _run(self) -> None:
        query = self._asked.of_vendor()
        if query is None:
            return
        if not self.account.supports("qprovider_list_jobs"):
            self._ask_each()
            return
        self._pages(query, self._asked.fits if self._asked.narrows_here else lambda info: True)
        missing = tuple(ref.id for ref in self._open if ref.id not in self.infos)[:_REFRESHED]
        if missing:
            self._pages(JobQuery(ids=missing), lambda info: True)

    def _ask_each(self) -> None:
        problem: QProviderError | None = None
        for ref in self._open[:_ALONE]:
            try:
                info = self.account.call("qprovider_get_job", job=ref, wait_s=0.0, deadline=self._deadline)
            except UnknownJobError:
                continue  # the ledger goes on telling of it
            except QProviderError as exc:  # one job that fails hides no other
                problem = exc
                continue
            if info is not None:
                self.infos[ref.id] = info
        if problem is not None:
            raise problem

    def _pages(self, query: JobQuery, counts: Callable[[JobInfo], bool]) -> None:
        """Take all pages of a list, as far as its limit.

        Args:
            counts: Whether a job counts towards the limit.
        """
        limit = query.limit
        if self._asked.narrows_here:
            query = attrs.evolve(query, limit=None)  # of what the vendor lists some is left out here
        counted = 0

        def ask(query: JobQuery) -> JobPage | None:
            page: JobPage | None = self.account.call("qprovider_list_jobs", query=query, deadline=self._deadline)
            return page

        for infos in pages(self.account, query, ask):
            for info in infos:
                self.infos.setdefault(info.id, info)
                counted += counts(info)
            if (limit is not None and counted >= limit) or self._deadline.remaining_s() <= 0:
                return  # enough, or nobody waits any more


def pages(account: Account, query: JobQuery, ask: Callable[[JobQuery], JobPage | None]) -> Iterator[list[JobInfo]]:
    """The pages of a list of jobs, one request each, as long as they are asked for; what came before is left out, for
    a job that is created between two pages shifts them.

    Raises:
        PluginError: The vendor gives the same page again and again.
    """
    cursors: set[str] = set()
    seen: set[str] = set()
    while (page := ask(query)) is not None:
        fresh = []
        for info in page.jobs:
            if info.id not in seen:
                seen.add(info.id)
                fresh.append(info)
        yield fresh
        if page.cursor is None or not fresh:
            return
        if page.cursor in cursors:
            raise PluginError(
                f"{account.label} gives the same page of jobs again and again.",
                plugin=account.provider,
                hook="qprovider_list_jobs",
            )
        cursors.add(page.cursor)
        query = attrs.evolve(query, cursor=page.cursor)

"""What vendors tell of jobs, beside what the ledger has of them: each job once. The ledger learns of what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from qprovider_core._job_query import AskedJobs
from qprovider_core._lanes import query_error
from qprovider_core._lists import QueryError
from qprovider_core._told import differ, newer
from qprovider_core.errors import LedgerError
from qprovider_core.ledger import Ledger
from qprovider_core.records import JobInfo, JobRecord

if TYPE_CHECKING:
    from qprovider_core._account import Account

_OLDEST = datetime.min.replace(tzinfo=UTC)


class Merged:
    """The jobs that were found so far.

    Attributes:
        error: What is wrong with the ledger; it is told once.
    """

    def __init__(self, ledger: Ledger | None, kept: Iterable[JobRecord] = ()) -> None:
        self.error: QueryError | None = None
        self._ledger = ledger
        self._kept = {(record.provider, record.id): record for record in kept}
        self._told: dict[tuple[str, str], JobRecord] = {}

    def take(self, account: Account, info: JobInfo) -> JobRecord:
        """Put what a vendor told beside what the ledger has."""
        record = self._recorded(account, info)
        if record is None:
            record = JobRecord(
                key=self._own_key(info),
                provider=account.provider,
                account=account.name,
                info=info,
                job_id=info.id,
                process_bound=account.spec.process_bound,
            )
        elif record.job_id is None:
            self._write(lambda ledger, key: ledger.accepted(key, info), record.key)
            told = attrs.evolve(newer(record.info, info), id=info.id)
            self._kept.pop((record.provider, record.key), None)
            record = attrs.evolve(record, job_id=info.id, info=told)
        elif not record.info.state.final:  # an end is not taken back
            told = newer(record.info, info)
            if differ(record.info, told):
                self._write(lambda ledger, key: ledger.told(key, told), record.key)
            record = attrs.evolve(record, info=told)
        self._told[record.provider, record.id] = record
        return record

    def newest(self, asked: AskedJobs, again: Iterable[JobRecord]) -> list[JobRecord]:
        """Those that satisfy a query, newest first.

        Args:
            again: What the ledger has now: what was told may have made room for older jobs.
        """
        found = {(record.provider, record.id): record for record in again}
        for place, record in self._told.items():
            if asked.fits(record.info):
                found[place] = record
            else:
                found.pop(place, None)
        listed = sorted(found.values(), key=lambda record: record.info.created_at or _OLDEST, reverse=True)
        return listed[: asked.limit]

    def _recorded(self, account: Account, info: JobInfo) -> JobRecord | None:
        """The ledger's record of a job that a vendor tells of."""
        kept = self._kept.get((account.provider, info.id))
        if kept is not None or self._ledger is None:
            return kept
        try:
            listed = self._ledger.with_id(info.id, account.provider)
            if listed:
                return listed[0]
            sent = self._ledger.find(info.key) if info.key else None
        except LedgerError as exc:
            self._fails(exc)
            return None
        # A key that a vendor tells may be another job's: its tags can be copied.
        ours = sent is not None and sent.provider == account.provider and sent.job_id is None
        return sent if ours else None

    def _own_key(self, info: JobInfo) -> str:
        """The key that came with a job which the ledger has not; none, where it is another one's."""
        try:
            taken = info.key and self._ledger is not None and self._ledger.find(info.key) is not None
        except LedgerError:
            taken = False
        return "" if taken else info.key or ""

    def _write(self, write: Callable[[Ledger, str], object], key: str) -> None:
        try:
            if self._ledger is not None:
                write(self._ledger, key)
        except LedgerError as exc:
            self._fails(exc)

    def _fails(self, exc: LedgerError) -> None:
        self.error = self.error or query_error("ledger", None, exc)

"""Jobs that end with this process are seen to their end, so that their results are kept although nobody asks for them.

One daemon thread for each account does it, as long as there are such jobs. At the end of the process, and of the
account, what has ended by then is kept still. No Qiskit here.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from qprovider_core._concurrency import in_background
from qprovider_core._told import differ, newer
from qprovider_core.errors import LedgerError, QProviderError, UnknownJobError, failure_text
from qprovider_core.ledger import Ledger
from qprovider_core.records import Deadline, JobInfo, JobRecord, JobState
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._account import Account

_log = get_logger("qprovider.ledger")
_HELD_S = 0.25  # how long a vendor that can may hold its answer
_SHORTEST_S = 0.02  # between two rounds
_HEAD_START_S = 0.05  # for whoever waits for the job to take its result first: it is fetched once then
_ANSWER_S = 900.0  # for one look, or one result
_LAST_S = 2.0  # how long the end of the process, or of the account, waits for what is kept


@attrs.define(eq=False)
class _Followed:
    """One job that is seen to its end."""

    key: str
    ledger: Ledger
    info: JobInfo
    ended_at: float | None = None


class _Keeper:
    """Sees to the jobs of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._jobs: list[_Followed] = []
        self._runs = False
        self._last = False  # whether this is the last round
        self._over = threading.Event()

    def add(self, job: _Followed) -> None:
        with self._lock:
            self._jobs.append(job)
            if self._runs:
                return
            self._runs = True
            self._over.clear()
        in_background(self._run, f"{self._account.label}-keeper")

    def finish(self) -> list[_Followed]:
        """Keep what has ended by now, and see to no more. Gives what has not ended."""
        self._last = True
        with self._lock:
            runs = self._runs
        if runs:
            self._over.wait(_LAST_S)
        with self._lock:
            left, self._jobs = self._jobs, []
        return left

    def _run(self) -> None:
        held = self._account.takes("qprovider_get_job", "wait_s")
        pause = 0.0 if held else max(self._account.spec.min_poll_s, _SHORTEST_S)
        while True:
            with self._lock:
                jobs = list(self._jobs)
                if not jobs:
                    self._runs = False
                    break
            last = self._last
            oldest = next((job for job in jobs if job.ended_at is None), None)
            for job in jobs:
                if self._seen_to(job, _HELD_S if held and job is oldest and not last else 0.0, last):
                    with self._lock:
                        self._jobs = [one for one in self._jobs if one is not job]
            if last:
                break
            time.sleep(_SHORTEST_S if oldest is None else pause)
        self._over.set()

    def _seen_to(self, job: _Followed, held_s: float, last: bool) -> bool:
        """Look at a job, and keep its result; whether there is nothing left to be done for it."""
        try:
            if job.ended_at is None:
                self._look(job, held_s)
            if job.ended_at is None or (not last and time.monotonic() < job.ended_at + _HEAD_START_S):
                return False
            self._keep(job)
        except QProviderError as exc:
            _log.info("the end of job %s is not kept: %s", job.info.id, failure_text(exc))
        except Exception as exc:  # noqa: BLE001  a vendor's record may fail at anything; the others are seen to
            _log.warning("the end of job %s is not kept: %s", job.info.id, failure_text(exc))
        return True

    def _look(self, job: _Followed, held_s: float) -> None:
        told = self._account.call(
            "qprovider_get_job", job=job.info.ref, wait_s=held_s, deadline=Deadline.after(_ANSWER_S)
        )
        if told is None:
            raise UnknownJobError(job.info.id, what=f"{self._account.label} has no job {job.info.id!r} any more.")
        before, job.info = job.info, newer(job.info, told)
        if job.info.state.final:
            job.ended_at = time.monotonic()
        elif job.info.state is not before.state:
            self._tell(job)

    def _tell(self, job: _Followed) -> JobRecord | None:
        """Note how the job stands, unless somebody else has; what the ledger has of it."""
        record = job.ledger.find(job.key)
        if record is not None and not record.info.state.final and differ(record.info, newer(record.info, job.info)):
            job.ledger.told(job.key, job.info)
        return record

    def _keep(self, job: _Followed) -> None:
        record = self._tell(job)
        if record is None or record.has_result or job.info.state is not JobState.DONE:
            return
        result = self._account.call("qprovider_job_result", job=job.info.ref, deadline=Deadline.after(_ANSWER_S))
        if result is not None:
            job.ledger.put_result(job.key, result, job.info)


_keepers: dict[int, _Keeper] = {}  # by the identity of their accounts, which they hold
_turn = threading.Lock()


def see_to_its_end(account: Account, ledger: Ledger, key: str, info: JobInfo) -> None:
    """Keep the states and the result of a job of this process, until it has ended."""
    with _turn:
        keeper = _keepers.get(id(account))
        if keeper is None:
            keeper = _keepers[id(account)] = _Keeper(account)
            # Before what the vendor's plugin, which is loaded by now, does at the end: that comes in reverse order.
            atexit.unregister(_at_exit)
            atexit.register(_at_exit)
    keeper.add(_Followed(key=key, ledger=ledger, info=info))


def finish(account: Account) -> None:
    """The account is about to be closed, and its jobs end with it."""
    with _turn:
        keeper = _keepers.pop(id(account), None)
    for job in keeper.finish() if keeper is not None else ():
        why = "The account that ran it was closed before it ended."
        told = attrs.evolve(job.info, state=JobState.CANCELLED, error=why, ended_at=datetime.now(UTC))
        try:
            job.ledger.told(job.key, told)
        except LedgerError as exc:
            _log.info("the end of job %s is not kept: %s", job.info.id, failure_text(exc))


def _at_exit() -> None:
    with _turn:
        keepers = list(_keepers.values())
    for keeper in keepers:
        keeper.finish()


def _begin_anew() -> None:
    """In a fork: the jobs and the threads are the parent's."""
    global _turn
    _turn = threading.Lock()
    _keepers.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_begin_anew)

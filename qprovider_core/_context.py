"""What is kept of a job beside itself: the calibration that held, and the results of jobs that end with this process.

One daemon thread does it, after the vendor has the job or has ended it: neither a submission nor a result waits for it.
"""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qprovider_core._concurrency import in_background
from qprovider_core._tracked_job import newer
from qprovider_core.errors import QProviderError, failure_text
from qprovider_core.ledger import Ledger, ledger_in_use
from qprovider_core.records import BackendRef, JobInfo, JobState
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._account import Account
    from qprovider_core._backend import Backend
    from qprovider_core._job import Job
    from qprovider_core._kept import Kept
    from qprovider_core.records import BackendProperties

_log = get_logger("qprovider.ledger")
_LAST_S = 1.0  # how long the end of the interpreter waits for what is being written
_HELD_S = 1.0  # how long a vendor that can may hold its answer
_HEAD_START_S = 0.05  # for whoever waits for the job to take its result first: it is fetched once then


class _Clerk:
    """Does one thing after another, in a daemon thread that is started when there is something to do."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._left = 0
        self._idle = threading.Event()

    def do(self, task: Callable[[], None]) -> None:
        with self._lock:
            self._left += 1
            self._idle.clear()
            if self._left == 1:
                in_background(self._work, "clerk")
        self._tasks.put(task)

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            except QProviderError as exc:
                _log.info("something beside a job is not kept: %s", failure_text(exc))
            except Exception as exc:  # noqa: BLE001  a vendor's record may fail at anything; the job is not touched
                _log.warning("something beside a job is not kept: %s", failure_text(exc))
            with self._lock:
                self._left -= 1
                if not self._left:
                    self._idle.set()
                    return

    def flush(self, timeout: float) -> None:
        if self._left:
            self._idle.wait(timeout)


_clerk = _Clerk()
atexit.register(_clerk.flush, _LAST_S)


def keep_calibration(
    account: Account, kept: Kept, info: JobInfo, handle: Backend | None, *, fetch: bool = False
) -> None:
    """Keep the calibration that held for a job: the one at hand, else, with `fetch`, the vendor's of that time."""
    ledger, key = kept.ledger, kept.key
    if ledger is None or key is None:
        return
    at_hand = handle._properties if handle is not None and handle._properties_known else None
    if at_hand is None and not (fetch and account.supports("qprovider_backend_properties")):
        return
    known = handle is not None and handle._properties_known  # that there is none

    def task() -> None:
        record = ledger.find(key)
        if record is None or record.has_calibration or (known and at_hand is None):
            return
        properties = at_hand
        if properties is None and info.backend is not None:
            ref = BackendRef(name=info.backend, instance=info.instance)
            properties = account.fetch_properties(ref, info.started_at or info.created_at)
        if properties is not None:
            _put(ledger, key, account, info, properties)

    _clerk.do(task)


def _put(ledger: Ledger, key: str, account: Account, info: JobInfo, properties: BackendProperties) -> None:
    when = properties.last_update.isoformat() if properties.last_update else f"of {key}"
    parts = (account.provider, info.instance or "", properties.backend_name, properties.backend_version or "", when)
    digest = "|".join(parts)
    if not ledger.link_calibration(key, digest):
        ledger.put_calibration(key, digest, properties.to_dict())


def look_back_soon(accounts: Sequence[Account]) -> None:
    """Look for submissions of these accounts that earlier processes left without knowing whether they arrived."""

    def task() -> None:
        from qprovider_core._reconcile import look_back  # late: rare

        look_back(accounts)

    if ledger_in_use() is not None:
        _clerk.do(task)


# ---------------------------------------------------------------------------------- jobs that end with this process

_followed: set[str] = set()
_following = threading.Lock()


def follow(job: Job) -> None:
    """What is to be done for a job that was just submitted: keep its calibration; and where it ends with this process,
    see it to its end, so that its result is kept although nobody asks for it."""
    keep_calibration(job.account, job._kept, job.info, job._handle)
    if not job.account.spec.process_bound or job._kept.ledger is None:
        return
    account, kept, info = job.account, job._kept, job.info
    label = f"{id(account)}"
    with _following:
        waiting = _waiting.setdefault(label, queue.SimpleQueue())
        waiting.put((kept, info))
        if label not in _followed:
            _followed.add(label)
            in_background(lambda: _see_to_the_end(account, label, waiting), f"{account.label}-keeper")


_waiting: dict[str, queue.SimpleQueue[tuple[Kept, JobInfo]]] = {}


def _see_to_the_end(account: Account, label: str, waiting: queue.SimpleQueue[tuple[Kept, JobInfo]]) -> None:
    while True:
        with _following:
            if waiting.empty():
                _followed.discard(label)
                _waiting.pop(label, None)
                return
            kept, info = waiting.get()
        try:
            _keep_end(account, kept, info)
        except QProviderError as exc:
            _log.info("the end of job %s is not kept: %s", info.id, failure_text(exc))
        except Exception as exc:  # noqa: BLE001  a vendor's record may fail at anything; the others are seen to
            _log.warning("the end of job %s is not kept: %s", info.id, failure_text(exc))


def _keep_end(account: Account, kept: Kept, info: JobInfo) -> None:
    held = account.takes("qprovider_get_job", "wait_s")
    while not info.state.final:
        told = account.ask("qprovider_get_job", job=info.ref, wait_s=_HELD_S if held else 0.0)
        if told is None:
            return
        before, info = info, newer(info, told)
        if info.state.final:
            time.sleep(_HEAD_START_S)
            record = kept.record(info)
            if record is None or record.has_result or (record.info.state.final and not _done(record.info)):
                return
        kept.told(before, info)
        if not held and not info.state.final:
            time.sleep(account.spec.min_poll_s)
    if _done(info) and (ledger := ledger_in_use()) is not None and kept.key is not None:
        result = account.ask("qprovider_job_result", job=info.ref, timeout=900.0)
        if result is not None:
            ledger.put_result(kept.key, result, info)


def _done(info: JobInfo) -> bool:
    return info.state is JobState.DONE

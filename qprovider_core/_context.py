"""What is kept of a job beside itself: the calibration that held, and the circuits of one that runs in this process.

One daemon thread does it, after the vendor has the job or has ended it: neither a submission nor a result waits for it.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qprovider_core import config
from qprovider_core._concurrency import in_background
from qprovider_core._keeper import see_to_its_end
from qprovider_core.errors import QProviderError, failure_text
from qprovider_core.ledger import Ledger, ledger_in_use
from qprovider_core.records import BackendInfo, BackendRef, JobInfo, JobRequest
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._account import Account
    from qprovider_core._backend import Backend
    from qprovider_core._job import Job
    from qprovider_core._kept import Kept
    from qprovider_core.records import BackendProperties

_log = get_logger("qprovider.ledger")
_LAST_S = 1.0  # how long the end of the interpreter waits for what is being written


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


@atexit.register
def _flush() -> None:
    _clerk.flush(_LAST_S)


def _begin_anew() -> None:
    """In a fork: the thread and what it was to do are the parent's."""
    global _clerk
    _clerk = _Clerk()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_begin_anew)


def settled_down(timeout: float = _LAST_S) -> None:
    """Wait until what is just being written is there, `timeout` seconds at most."""
    _clerk.flush(timeout)


def keep_circuits(account: Account, ledger: Ledger | None, request: JobRequest, backend: BackendInfo) -> None:
    """Keep the circuits of a job that runs in this process. They are copied now, for users may change theirs."""
    most_bytes = config.ledger_circuits_bytes()
    if ledger is None or not account.spec.ends_with_process(backend) or not most_bytes:
        return
    from qprovider_core.ledger._requests import different_circuits, pack_circuits  # late: needs Qiskit

    circuits = [circuit.copy() for circuit in different_circuits(request)[0]]

    def task() -> None:
        ledger.put_circuits(request.key, *pack_circuits(circuits, most_bytes))

    _clerk.do(task)


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
            properties = account.facts.properties(ref, info.started_at or info.created_at)
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


def follow(job: Job) -> None:
    """What is to be done for a job that was just submitted: keep its calibration; and where it ends with this process,
    see it to its end, so that its result is kept although nobody asks for it."""
    account, kept = job.account, job._kept
    keep_calibration(account, kept, job.info, job._handle)
    ledger = kept.ledger
    if job.process_bound and ledger is not None and kept.key is not None:
        see_to_its_end(account, ledger, kept.key, job.info)

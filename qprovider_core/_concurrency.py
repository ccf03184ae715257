"""Calls that can be walked away from.

A vendor's call may never return. It runs in a daemon thread: the caller waits until its deadline and goes on, and
the interpreter exits without it. (`concurrent.futures` executors join their threads at exit, so one hanging call
would keep the process alive for ever.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from qprovider_core._native import outlasting
from qprovider_core.records.accounts import Deadline

T = TypeVar("T")
K = TypeVar("K")


def in_background(work: Callable[[], T], name: str, future: Future[T] | None = None) -> Future[T]:
    """Start `work` in a daemon thread; the future gets its answer or whatever it raises.

    Args:
        future: One of the caller's, who then has it even where Ctrl-C comes in the middle of this.
    """
    future = Future() if future is None else future
    future.set_running_or_notify_cancel()  # whoever gives up waiting cannot take the answer's place away

    def run() -> None:
        try:
            answer = work()
        except BaseException as exc:  # noqa: BLE001  SystemExit too: the waiting thread decides what it means
            future.set_exception(exc)
        else:
            future.set_result(answer)

    threading.Thread(target=outlasting(run), name=f"qprovider-{name}", daemon=True).start()
    return future


class Lanes:
    """At most `width` calls at a time to one account, over all queries. A call that never returns keeps its
    place, so that threads cannot pile up behind a vendor that hangs."""

    def __init__(self, width: int) -> None:
        self._free = threading.Semaphore(width)

    def map(self, work: Callable[[K], T], items: Sequence[K], deadline: Deadline, name: str) -> dict[int, Future[T]]:
        """Call `work` on every item, side by side, until the deadline.

        Returns:
            Position of an item to its finished future. What is missing was not answered in time.
        """
        futures: dict[int, Future[T]] = {position: Future() for position in range(len(items))}
        waiting = iter(list(enumerate(items)))
        turn = threading.Lock()
        finished = threading.Semaphore(0)

        def drain() -> None:
            if not self._free.acquire(timeout=deadline.timeout):
                return
            try:
                while deadline.remaining_s() > 0:
                    with turn:
                        position, item = next(waiting, (-1, None))
                    if position < 0 or item is None:
                        return
                    try:
                        futures[position].set_result(work(item))
                    except BaseException as exc:  # noqa: BLE001  handed on to the caller
                        futures[position].set_exception(exc)
                    finished.release()
            finally:
                self._free.release()

        for _ in range(min(len(items), _WIDEST)):
            threading.Thread(target=outlasting(drain), name=f"qprovider-{name}", daemon=True).start()
        for _ in items:
            if not finished.acquire(timeout=deadline.timeout):
                break
        return {position: future for position, future in futures.items() if future.done()}


_WIDEST = 32

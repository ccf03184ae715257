"""The clock of a wait, and how it starts what it waits for. Tests pass one that only pretends."""

from __future__ import annotations

import queue
import random
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from qprovider_core._concurrency import in_background

Reports = queue.SimpleQueue[Future[Any]]
_rhythm = random.Random()


class Clock:
    """Real time, which goes on while a laptop sleeps."""

    def now(self) -> float:
        """Seconds since some moment; never less than before."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def jitter(self) -> float:
        """What a pause is multiplied with, so that each wait has a rhythm of its own: about 1."""
        return _rhythm.uniform(0.9, 1.1)

    def start(self, work: Callable[[], Any], name: str, reports: Reports) -> Future[Any]:
        """Begin `work` beside the caller; its future is put into `reports` when it has ended."""
        future = in_background(work, name)
        future.add_done_callback(reports.put)
        return future

    def report(self, reports: Reports, within_s: float) -> Future[Any] | None:
        """The next one that has ended; None: none within so many seconds."""
        try:
            return reports.get(timeout=within_s)
        except queue.Empty:
            return None


CLOCK = Clock()

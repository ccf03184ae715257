"""The queue of jobs that run in this process: one after another, in a daemon thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from qprovider_core.records import JobState
from qprovider_qiskit._jobs import AdaptedJob

_IDLE_S = 5.0  # after which the thread ends; the next job starts one


class Queue:
    """Runs jobs. `changed` guards the jobs and tells of each change."""

    def __init__(self, run: Callable[[AdaptedJob], None], name: str) -> None:
        self.changed = threading.Condition()
        self._run = run
        self._name = name
        self._waiting: deque[AdaptedJob] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False

    def put(self, job: AdaptedJob) -> None:
        with self.changed:
            self._waiting.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"qprovider-{self._name}", daemon=True)
                self._thread.start()
            self.changed.notify_all()

    def waiting(self) -> int:
        return len(self._waiting)

    def position(self, job: AdaptedJob) -> int | None:
        """Its place in the queue, from 1; None where it is in none."""
        return self._waiting.index(job) + 1 if job in self._waiting else None

    def take_out(self, job: AdaptedJob) -> bool:
        """Whether it was still waiting; it will not be run."""
        if job not in self._waiting:
            return False
        self._waiting.remove(job)
        return True

    def close(self) -> None:
        """Run no more; what waits is cancelled. A job that is running cannot be stopped, and is not waited for long."""
        with self.changed:
            self._closed = True
            for job in self._waiting:
                job.end(JobState.CANCELLED)
            self._waiting.clear()
            thread = self._thread
            self.changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(0.5)

    def _work(self) -> None:
        while True:
            with self.changed:
                there = self.changed.wait_for(lambda: self._waiting or self._closed, timeout=_IDLE_S)
                if not there or (self._closed and not self._waiting):
                    self._thread = None
                    return
                job = self._waiting.popleft()
                job.start()
                self.changed.notify_all()
            self._run(job)

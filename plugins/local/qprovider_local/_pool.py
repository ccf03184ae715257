"""The queue of one account, and the threads that feed its workers.

Each slot is a daemon thread with a worker process of its own. It starts the process at once, so that the
imports are over when the first job comes, and takes jobs from the common queue in order.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections import deque

from qprovider_core.errors import JobError
from qprovider_core.records import JobInfo, JobState
from qprovider_local._jobs import JobBook, LocalJob
from qprovider_local._process import WorkerDied, WorkerProcess

_ATTEMPTS = 3  # to find a worker that lives long enough to begin a job
_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


class _Slot:
    """One worker's place: its process, and the job that it runs."""

    def __init__(self) -> None:
        self.process: WorkerProcess | None = None
        self.job: LocalJob | None = None


class Pool:
    """Runs jobs in worker processes, in the order in which they came."""

    def __init__(self, *, workers: int, max_threads: int | None) -> None:
        self.workers = workers
        self.max_threads = max_threads or max(1, (os.cpu_count() or 1) // workers)
        self._clear()
        _pools.add(self)

    def _clear(self) -> None:
        self._changed = threading.Condition()
        self._queue: deque[LocalJob] = deque()
        self._slots: list[_Slot] = []
        self._threads: list[threading.Thread] = []
        self._closing = False
        self.book = JobBook()

    # -- for callers ------------------------------------------------------------------------------------------

    @property
    def lock(self) -> threading.Condition:
        """Guards the jobs and the book."""
        return self._changed

    def start(self) -> None:
        """Start the workers, unless they run. Does not wait for them."""
        with self._changed:
            if self._threads or self._closing:
                return
            for index in range(self.workers):
                slot = _Slot()
                thread = threading.Thread(
                    target=self._serve, args=(slot,), name=f"qprovider-local-{index}", daemon=True
                )
                self._slots.append(slot)
                self._threads.append(thread)
                thread.start()

    def submit(self, job: LocalJob) -> JobInfo:
        self.start()
        with self._changed:
            if self._closing:
                raise JobError("This local account is closed.", hint="Open it again to run something.")
            self.book.add(job)
            self._queue.append(job)
            self._changed.notify_all()
            return job.info(len(self._queue))

    def queued(self) -> int:
        """How many jobs wait; those that run are not among them."""
        return len(self._queue)

    def info(self, job_id: str, wait_s: float = 0.0) -> JobInfo:
        """The job as it stands; for `wait_s` seconds at most, waits for its state to change."""
        with self._changed:
            job = self.book[job_id]
            known = job.state
            if wait_s > 0 and not known.final:
                self._changed.wait_for(lambda: job.state is not known, timeout=wait_s)
            position = self._queue.index(job) + 1 if job.state is JobState.QUEUED and job in self._queue else None
            return job.info(position)

    def cancel(self, job_id: str) -> bool:
        """Whether the job was still to be stopped. A running one is stopped by ending its worker."""
        with self._changed:
            job = self.book[job_id]
            if job.state.final:
                return False
            with contextlib.suppress(ValueError):
                self._queue.remove(job)
            job.end(JobState.CANCELLED)
            self.book.ended(job)
            self._changed.notify_all()
            for slot in self._slots:
                # Under the lock: once the slot has another job, the same process must not be killed for this.
                if slot.job is job and slot.process is not None:
                    slot.process.kill()
            return True

    def pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [process.pid for slot in self._slots if (process := slot.process) is not None]

    def close(self, *, wait_s: float = 5.0) -> None:
        """End the workers; what waits or runs is cancelled."""
        with self._changed:
            self._closing = True
            for job in [*self._queue, *(slot.job for slot in self._slots if slot.job is not None)]:
                if not job.state.final:
                    job.end(JobState.CANCELLED)
            self._queue.clear()
            for slot in self._slots:
                if slot.process is not None:
                    slot.process.kill()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(wait_s)

    def forget(self) -> None:
        """In a fork: the workers, threads and jobs are the parent's; begin anew."""
        slots = self._slots
        self._clear()
        for slot in slots:
            if slot.process is not None:
                # Else this process would keep the pipe open that tells the worker of its parent's end.
                slot.process.forget()

    # -- a slot's thread --------------------------------------------------------------------------------------

    def _serve(self, slot: _Slot) -> None:
        problem = self._prepare(slot)
        while (job := self._next(slot)) is not None:
            for _ in range(_ATTEMPTS):
                if slot.process is None or not slot.process.alive():
                    # It could not start, or died idle: neither is this job's fault.
                    problem = self._prepare(slot)
                if slot.process is None or self._run(slot.process, job):
                    break
            self._finish(slot, job, f"The simulation worker could not start: {problem or 'it keeps dying'}")
            if slot.process is not None and not slot.process.alive():
                problem = self._prepare(slot)  # one that could not even start waits for the next job
        self._drop(slot)

    def _prepare(self, slot: _Slot) -> str | None:
        """Give the slot a fresh process that is ready; else say why there is none."""
        self._drop(slot)
        try:
            process = WorkerProcess(max_threads=self.max_threads)
        except Exception as exc:  # noqa: BLE001  # this thread must live on, and say what happened
            return str(exc) or type(exc).__name__
        with self._changed:
            slot.process = process
            if self._closing:
                process.kill()
        try:
            process.wait_ready()
        except Exception as exc:  # noqa: BLE001  # as above
            self._drop(slot)
            return str(exc) or type(exc).__name__
        return None

    def _drop(self, slot: _Slot) -> None:
        with self._changed:
            process, slot.process = slot.process, None
        if process is not None:
            process.close()

    def _next(self, slot: _Slot) -> LocalJob | None:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            slot.job = self._queue.popleft()
            return slot.job

    def _run(self, process: WorkerProcess, job: LocalJob) -> bool:
        """Run the job to its end, good or bad. False: the worker was gone before it began."""
        try:
            reply, outcomes = process.request(job.task, job.payload or b"", lambda: self._begin(job))
        except WorkerDied as exc:
            if not exc.begun and not job.state.final:
                return False
            self._end(job, JobState.ERROR, f"The simulation worker died: {exc}.")
            return True
        except Exception as exc:  # noqa: BLE001  # no memory for the outcomes, for instance: costs this job only
            process.kill()  # nobody knows what stands in its pipe
            self._end(job, JobState.ERROR, f"The simulation worker could not be understood: {exc!r}.")
            return True
        job.logs = process.new_log()
        if "error" in reply:
            self._end(job, JobState.ERROR, reply["error"])
        else:
            job.reply, job.outcomes = reply, outcomes
            self._end(job, JobState.DONE)
        return True

    def _begin(self, job: LocalJob) -> None:
        with self._changed:
            if not job.state.final:
                job.start()
                self._changed.notify_all()

    def _finish(self, slot: _Slot, job: LocalJob, otherwise: str) -> None:
        """Leave the job; one that has not ended by now never ran."""
        self._end(job, JobState.ERROR, otherwise)
        with self._changed:
            slot.job = None

    def _end(self, job: LocalJob, state: JobState, error: str | None = None) -> None:
        with self._changed:
            if not job.state.final:  # else it was cancelled meanwhile, or has ended
                job.end(state, error)
                self.book.ended(job)
                self._changed.notify_all()


@atexit.register
def _close_all() -> None:
    for pool in list(_pools):
        pool.close(wait_s=1.0)


def _forget_all() -> None:
    for pool in list(_pools):
        pool.forget()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_forget_all)

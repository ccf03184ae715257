"""Jobs through their backends' queues and the workers: one job of a backend at a time, oldest first.

Jobs of a session or batch that is active do not queue for the time that is set, and an active session's go first.
A session of which no job waits holds up nobody else's: no backend is kept free for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from qprovider_ibm.emulator._devices import Device
from qprovider_ibm.emulator._jobs import Job
from qprovider_ibm.emulator._pool import Pool, WorkerLost
from qprovider_ibm.emulator._sessions import DEDICATED, Session
from qprovider_ibm.emulator._times import now

_LOST = "The job failed inside the service"
_SEED_STEP = 7919  # between the seeds of one service's jobs


class _Lane:
    """One backend's queue."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.jobs: list[Job] = []
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Scheduler:
    """Which job runs when.

    Args:
        settle: Called before a job is chosen; it may cancel some.
    """

    def __init__(
        self, pool: Pool, *, queue_time_s: float, seed: int | None, settle: Callable[[], None] = lambda: None
    ) -> None:
        self._pool = pool
        self._queue_time_s = queue_time_s
        self._seed = seed
        self._settle = settle
        self._lanes: dict[str, _Lane] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._number = 0
        self._closed = False

    def submit(self, job: Job, device: Device) -> None:
        self._number += 1
        job.number = self._number
        lane = self._lanes.setdefault(job.backend, _Lane(device))
        lane.jobs.append(job)
        lane.changed.set()
        if not job.stuck and (lane.task is None or lane.task.done()):
            lane.task = asyncio.create_task(self._serve(lane))

    def waiting(self, backend: str) -> int:
        """How many jobs of ours are queued or running there."""
        return sum(not job.final for job in self._of(backend))

    def ahead_of(self, job: Job) -> int:
        return sum(not other.final and other.number < job.number for other in self._of(job.backend))

    def _of(self, backend: str) -> list[Job]:
        return self._lanes[backend].jobs if backend in self._lanes else []

    def cancel(self, job: Job) -> None:
        """Cancel a job that has not ended. A running one loses its worker."""
        job.cancel()
        run = self._runs.get(job.id)
        if run is not None:
            run.cancel()
        if job.backend in self._lanes:
            self._forget_ended(self._lanes[job.backend])

    @staticmethod
    def _forget_ended(lane: _Lane) -> None:
        lane.jobs[:] = [job for job in lane.jobs if not job.final]
        lane.changed.set()

    async def _serve(self, lane: _Lane) -> None:
        while not self._closed and (found := self._next(lane)) is not None:
            job, rest = found
            if rest > 0:
                lane.changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(lane.changed.wait(), rest)
                continue
            task = asyncio.create_task(self._run(job, lane.device))
            self._runs[job.id] = task
            await asyncio.wait([task])
            del self._runs[job.id]
            self._forget_ended(lane)

    def _next(self, lane: _Lane) -> tuple[Job, float] | None:
        """The job that runs next, and for how many seconds it still has to queue; None when none is left."""
        self._settle()
        active: dict[Session, bool] = {}
        chosen: tuple[float, bool, int, Job] | None = None
        for job in lane.jobs:
            if job.final or job.stuck:
                continue
            session = job.session
            if session is not None and session not in active:
                active[session] = session.runs_ahead()
            ahead = session is not None and active[session]
            rest = 0.0 if ahead else self._queue_time_s - (now() - job.created).total_seconds()
            first = ahead and session is not None and session.mode == DEDICATED
            place = (max(rest, 0.0), not first, job.number, job)
            if chosen is None or place[:3] < chosen[:3]:
                chosen = place
        return None if chosen is None else (chosen[3], chosen[0])

    async def _run(self, job: Job, device: Device) -> None:
        if job.planned is not None:
            job.begin()
            job.fail(**job.planned)
        elif job.too_long:
            job.begin()
            job.cancel_as_too_long()
        else:
            await self._simulate(job, device)

    async def _simulate(self, job: Job, device: Device) -> None:
        try:
            worker = await self._pool.borrow()
        except WorkerLost as exc:
            job.fail(f"{_LOST}: {exc}.", 9999, "Send the job again.")
            return
        broken = True
        try:
            job.begin()
            if job.crash:
                worker.kill()
            header = {
                "program": job.program,
                "mock": job.mock,
                "session": job.session is not None,
                "source": job.source,
                "faulty": list(device.faulty),
                "seed": None if self._seed is None else self._seed + _SEED_STEP * job.number,
            }
            reply, result = await asyncio.wait_for(worker.request(header, job.params), timeout=job.cost)
            broken = False
            if job.final:  # cancelled in the moment in which it was done
                return
            if reply["ok"]:
                job.complete(result)
            else:
                job.fail(reply["reason"], reply["code"], reply["solution"], reply["text"])
        except TimeoutError:
            job.cancel_as_too_long()
        except WorkerLost as exc:
            job.fail(f"{_LOST}: {exc}.", 9999, "Send the job again, or a smaller one.")
        finally:
            await asyncio.shield(self._pool.give_back(worker, broken=broken))

    async def close(self) -> None:
        """End all queues; the job that runs loses its worker, and those behind it are not begun."""
        self._closed = True
        for run in self._runs.values():
            run.cancel()
        for lane in self._lanes.values():
            lane.changed.set()
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

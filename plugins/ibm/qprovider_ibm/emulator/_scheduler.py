"""Jobs through their backends' queues and the workers: one job of a backend at a time, oldest first."""

from __future__ import annotations

import asyncio
from collections import deque

from qprovider_ibm.emulator._devices import Device
from qprovider_ibm.emulator._jobs import Job
from qprovider_ibm.emulator._pool import Pool, WorkerLost
from qprovider_ibm.emulator._times import now

_LOST = "The job failed inside the service"
_SEED_STEP = 7919  # between the seeds of one service's jobs


class Scheduler:
    """Which job runs when."""

    def __init__(self, pool: Pool, *, queue_time_s: float, seed: int | None) -> None:
        self._pool = pool
        self._queue_time_s = queue_time_s
        self._seed = seed
        self._queues: dict[str, deque[Job]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._number = 0
        self._closed = False

    def submit(self, job: Job, device: Device) -> None:
        self._number += 1
        job.number = self._number
        queue = self._queues.setdefault(job.backend, deque())
        queue.append(job)
        if job.stuck:
            return
        task = self._tasks.get(job.backend)
        if task is None or task.done():
            self._tasks[job.backend] = asyncio.create_task(self._serve(queue, device))

    def waiting(self, backend: str) -> int:
        """How many jobs of ours are queued or running there."""
        return sum(not job.final for job in self._queues.get(backend, ()))

    def ahead_of(self, job: Job) -> int:
        return sum(not other.final and other.number < job.number for other in self._queues.get(job.backend, ()))

    def cancel(self, job: Job) -> None:
        """Cancel a job that has not ended. A running one loses its worker."""
        job.cancel()
        run = self._runs.get(job.id)
        if run is not None:
            run.cancel()
        self._forget_ended(job.backend)

    def _forget_ended(self, backend: str) -> None:
        queue = self._queues.get(backend, deque())
        for job in [job for job in queue if job.final]:
            queue.remove(job)

    async def _serve(self, queue: deque[Job], device: Device) -> None:
        while not self._closed and (job := next((job for job in queue if not job.final and not job.stuck), None)):
            task = asyncio.create_task(self._run(job, device))
            self._runs[job.id] = task
            await asyncio.wait([task])
            del self._runs[job.id]
            self._forget_ended(job.backend)

    async def _run(self, job: Job, device: Device) -> None:
        rest = self._queue_time_s - (now() - job.created).total_seconds()
        if rest > 0:
            await asyncio.sleep(rest)
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
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

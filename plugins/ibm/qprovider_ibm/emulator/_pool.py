"""Worker processes: started in the background, lent to one job at a time, replaced when they are lost."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from typing import Any

from qprovider_ibm.emulator import _frames


class WorkerLost(Exception):
    """A worker ended while it had a job."""


class Worker:
    """One process. Only the job that it is lent to speaks to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, threads: int) -> Worker:
        process = await asyncio.create_subprocess_exec(
            # -P: a file in the current directory must not stand in for a module that the worker imports.
            *(sys.executable, "-P", "-m", "qprovider_ibm.emulator._worker", str(os.getpid()), str(threads)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # Ctrl-C is the server's to handle
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self) -> None:
        """Wait until it has loaded what it needs.

        Raises:
            WorkerLost: It ended instead.
        """
        await self._receive()

    async def request(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Have a job done.

        Raises:
            WorkerLost: It ended before it answered.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(_frames.pack(header, payload))
            await self._process.stdin.drain()
        except OSError:
            raise WorkerLost(await self._how()) from None
        return await self._receive()

    async def _receive(self) -> tuple[dict[str, Any], bytes]:
        stream = self._process.stdout
        assert stream is not None
        try:
            sizes = _frames.LENGTHS.unpack(await stream.readexactly(_frames.LENGTHS.size))
            header: dict[str, Any] = json.loads(await stream.readexactly(sizes[0]))
            return header, await stream.readexactly(sizes[1])
        except (asyncio.IncompleteReadError, OSError):
            raise WorkerLost(await self._how()) from None

    async def _how(self) -> str:
        code = await self._process.wait()
        return f"the worker was ended by signal {-code}" if code < 0 else f"the worker ended with exit code {code}"

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    def alive(self) -> bool:
        return self._process.returncode is None

    async def close(self) -> None:
        self.kill()
        await self._process.wait()


class Pool:
    """A fixed number of workers."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._threads = max(1, (os.cpu_count() or 1) // size)
        self._free: asyncio.Queue[Worker] = asyncio.Queue()
        self._all: set[Worker] = set()
        self._starting: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        """Start the processes, without waiting for what they load."""
        for _ in range(self._size):
            await self._add()

    async def _add(self) -> None:
        worker = await Worker.start(self._threads)
        self._all.add(worker)
        task = asyncio.create_task(self._prepare(worker))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _prepare(self, worker: Worker) -> None:
        """Lend it once it is ready. One that cannot start is lent too: the job that gets it says why."""
        with suppress(WorkerLost):
            await worker.ready()
        self._free.put_nowait(worker)

    async def borrow(self) -> Worker:
        """Wait for a worker that is free and ready.

        Raises:
            WorkerLost: It could not start.
        """
        worker = await self._free.get()
        if not worker.alive():
            await self.give_back(worker, broken=True)
            raise WorkerLost("a worker could not start")
        return worker

    async def give_back(self, worker: Worker, *, broken: bool) -> None:
        """Take a worker back; a broken one is ended and another one started."""
        if not broken:
            self._free.put_nowait(worker)
            return
        worker.kill()
        self._all.discard(worker)
        if not self._closed:
            await self._add()
        await worker.close()

    def pids(self) -> list[int]:
        return [worker.pid for worker in self._all]

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(*(worker.close() for worker in list(self._all)))

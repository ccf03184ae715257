"""REPLACE THIS FILE with your vendor's own client, or one of yours over its service.

It is a stand-in, so that the plugin runs and is tested before there is a vendor. It
behaves as a service does: it takes text and gives JSON objects in words of its own,
jobs wait in a queue and are asked for by their ids, and what is not there is an error.
Its one machine is Qiskit's own simulator, in a thread of this process.

A client over a network also needs: a connect and a read timeout for each request (take
them from `deadline.timeout`; every hook may have an argument `deadline`), no repetition
of a POST, a `TransportError` where there was no answer, and no token in logs or errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from uuid import uuid4

# @token
from qprovider_core import Secret

DEMO_TOKEN = "acme-demo-token"
"""What the stand-in takes for the token of an account. REPLACE: delete it."""

# @end
Program = Mapping[str, Any]
"""A circuit as text (`qasm`), and how often to run it (`shots`)."""

MACHINE: Mapping[str, Any] = {
    "id": "simulator",
    "kind": "simulator",
    "size": 5,
    "gates": ["rz", "sx", "x", "cz"],
    "pairs": [[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2], [3, 4], [4, 3]],
    "max_shots": 100_000,
    "max_programs": 100,
    "online": True,
}


class NotFound(LookupError):
    """The service has no such thing."""
# @token


class Refused(Exception):
    """The service does not take this token."""
# @end


class Job:
    """A job at the service."""

    def __init__(self, programs: Sequence[Program], row: dict[str, Any]) -> None:
        self.programs = programs
        self.row = row
        self.outcome: Future[list[dict[str, Any]]] = Future()


class Client:
    """One account's way to the service. Its methods are called from several threads."""

# @token
    def __init__(self, token: Secret) -> None:
        if token.reveal() != DEMO_TOKEN:
            raise Refused
        self._token = token  # as a Secret: no repr, log or pickle shows it
# @none
#     def __init__(self) -> None:
# @end
        self._jobs: dict[str, Job] = {}
        self._lock = Lock()
        # It has no thread before the first job, and one afterwards: the machine.
        self._worker = ThreadPoolExecutor(1)

    def machines(self) -> list[dict[str, Any]]:
        """What there is."""
        with self._lock:
            waiting = sum(self._status(job) == "WAITING" for job in self._jobs.values())
        return [{**MACHINE, "waiting": waiting}]

    def machine(self, name: str) -> dict[str, Any]:
        """One of them."""
        for row in self.machines():
            if row["id"] == name:
                return row
        raise NotFound(name)

    def submit(
        self,
        machine: str,
        programs: Sequence[Program],
        tags: Sequence[str],
        name: str | None,
    ) -> dict[str, Any]:
        """Take a job; it runs when those before it have."""
        self.machine(machine)
        row = {
            "id": uuid4().hex,
            "machine": machine,
            "name": name,
            "tags": list(tags),
            "shots": programs[0]["shots"],
            "created": _now(),
            "started": None,
            "ended": None,
            "fault": None,
        }
        job = Job(programs, row)
        with self._lock:
            self._jobs[row["id"]] = job
            job.outcome = self._worker.submit(self._run, job)
        return self.job(row["id"])

    def job(self, id: str) -> dict[str, Any]:
        """How a job stands."""
        with self._lock:
            return self._told(self._found(id))

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, newest first."""
        with self._lock:
            return [self._told(job) for job in reversed(self._jobs.values())]

    def cancel(self, id: str) -> bool:
        """Take a job out of the queue; False: it is not there any more."""
        with self._lock:
            job = self._found(id)
            if job.row["ended"] is not None or not job.outcome.cancel():
                return False
            job.row["ended"] = _now()
            return True

    def result(self, id: str) -> list[dict[str, Any]]:
        """What its programs gave."""
        with self._lock:
            job = self._found(id)
        return job.outcome.result()

    def close(self) -> None:
        """Drop what waits, and end the thread."""
        self._worker.shutdown(cancel_futures=True)

    def _found(self, id: str) -> Job:
        try:
            return self._jobs[id]
        except KeyError:
            raise NotFound(id) from None

    def _status(self, job: Job) -> str:
        if job.outcome.cancelled():
            return "STOPPED"
        if job.row["ended"] is not None:
            return "FAILED" if job.row["fault"] else "FINISHED"
        return "WAITING" if job.row["started"] is None else "EXECUTING"

    def _told(self, job: Job) -> dict[str, Any]:
        return {**job.row, "status": self._status(job)}

    def _run(self, job: Job) -> list[dict[str, Any]]:
        """The machine's side of it."""
        with self._lock:
            job.row["started"] = _now()
        fault = None
        try:
            return [simulate(one["qasm"], one["shots"]) for one in job.programs]
        except Exception as exc:
            fault = f"{type(exc).__name__}: {exc}"
            raise
        finally:
            with self._lock:
                job.row |= {"ended": _now(), "fault": fault}


def simulate(qasm: str, shots: int) -> dict[str, Any]:
    """Run a program, and tell what each register held after each shot."""
    from qiskit import qasm3  # late: importing Qiskit takes seconds
    from qiskit.providers.basic_provider import BasicSimulator

    circuit = qasm3.loads(qasm)
    done = BasicSimulator().run(circuit, shots=shots, memory=True).result()
    # Qiskit has the last register leftmost.
    rows = [text.split()[::-1] for text in done.get_memory()]
    return {
        "shots": shots,
        "registers": [
            {
                "name": register.name,
                "bits": register.size,
                "values": [int(row[index], 2) for row in rows],
            }
            for index, register in enumerate(circuit.cregs)
        ],
    }


def _now() -> str:
    return datetime.now(UTC).isoformat()

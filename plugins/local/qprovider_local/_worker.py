"""The worker process: ``python -m qprovider_local._worker PARENT_PID MAX_THREADS``.

It reads jobs from its standard input and writes their outcomes to its standard output, as frames, until the
input ends. It says once that it is ready, and before each job that it begins.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from qprovider_local import _wire

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit_aer import AerSimulator

_PR_SET_PDEATHSIG = 1  # prctl(2)
# Aer gives circuit i of a list the seed of the run plus i times this (measured with qiskit-aer 0.18.2).
_SEED_STEP = 2113
_KEPT_BYTES = 16 * 1024 * 1024  # of payloads whose circuits stay loaded


def main() -> None:
    parent, threads = int(sys.argv[1]), int(sys.argv[2])
    _die_with_parent(parent)
    faulthandler.enable()  # a crash in native code leaves its last words in the log
    requests, replies = _take_channel()
    _wire.send_mark(replies)
    worker = Worker(max_threads=threads)
    with contextlib.suppress(_wire.ChannelClosed):
        _wire.send(replies, {"ready": True})
        while True:
            task, payload = _wire.receive(requests)
            _wire.send(replies, {"begun": True})
            reply, outcomes = worker.answer(task, payload)
            _wire.send(replies, reply, outcomes)


def _die_with_parent(parent: int) -> None:
    """End at once when the parent ends, however it ends.

    The end of the input says so too, but a simulation holds the interpreter's lock and reads nothing.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the call
            raise SystemExit(0)


def _take_channel() -> tuple[IO[bytes], IO[bytes]]:
    """The frames' streams, out of reach of anything that reads or prints in this process."""
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)  # native code prints to file descriptor 1, whatever sys.stdout is
    return requests, replies


class Worker:
    """Runs jobs, and keeps what they have in common."""

    def __init__(self, *, max_threads: int) -> None:
        from qiskit import QuantumCircuit

        self.max_threads = max_threads
        self._simulators: dict[str, AerSimulator] = {}
        self._circuits: dict[bytes, list[QuantumCircuit]] = {}  # by payload, least recently used first
        # The first run of a process loads what later ones find loaded.
        bell = QuantumCircuit(2, 2)
        bell.h(0)
        bell.cx(0, 1)
        bell.measure([0, 1], [0, 1])
        self._simulator("automatic").run(bell, shots=1, max_parallel_threads=max_threads).result()
        gc.freeze()  # what was imported stays: the collector need not walk through it during every job

    def _simulator(self, method: str) -> AerSimulator:
        from qiskit_aer import AerSimulator

        if method not in self._simulators:
            self._simulators[method] = AerSimulator(method=method)
        return self._simulators[method]

    def _loaded(self, sizes: Sequence[int], payload: bytes) -> list[QuantumCircuit]:
        """The circuits of a payload. Iterative algorithms send the same ones again and again."""
        circuits = self._circuits.pop(payload, None)
        if circuits is None:
            circuits = _wire.unpack_circuits(sizes, payload)
        self._circuits[payload] = circuits
        while sum(map(len, self._circuits)) > _KEPT_BYTES:
            del self._circuits[next(iter(self._circuits))]
        return circuits

    def answer(self, task: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """The outcomes of a job, or why there are none."""
        try:
            return self._run(task, payload)
        except Exception as exc:  # noqa: BLE001  # whatever Aer or Qiskit raise belongs to this job
            return {"error": f"{type(exc).__name__}: {exc}"}, b""

    def _run(self, task: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        unique = self._loaded(task["sizes"], payload)
        circuits = [
            unique[place].assign_parameters(values) if values else unique[place] for place, _, values in task["pubs"]
        ]
        shots = [number for _, number, _ in task["pubs"]]
        options = {"max_parallel_threads": self.max_threads, **task["options"], "memory": task["memory"]}
        seed = options.pop("seed_simulator", None)
        if "snapshot" in task:
            from qprovider_local import _noise

            places = _noise.places_of(circuits if any(v for _, _, v in task["pubs"]) else unique)
            options["noise_model"] = _noise.device(*task["snapshot"]).noise_model(places)
        entries: list[dict[str, Any]] = []
        parts: list[bytes] = []
        seconds = 0.0
        for start, stop in _runs_of_equal(shots):
            if seed is not None:
                options["seed_simulator"] = seed + _SEED_STEP * start
            result = self._simulator(task["method"]).run(circuits[start:stop], shots=shots[start], **options).result()
            _check(result, start)
            seconds += getattr(result, "time_taken", 0.0)
            for circuit, outcome in zip(circuits[start:stop], result.results, strict=True):
                entry, data = _entry(circuit, outcome, memory=task["memory"])
                entries.append(entry)
                parts.append(data)
        return {"pubs": entries, "metadata": {"time_taken": seconds}}, b"".join(parts)


def _runs_of_equal(shots: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Start and end of each stretch of circuits that want equally many shots."""
    start = 0
    for stop in range(1, len(shots) + 1):
        if stop == len(shots) or shots[stop] != shots[start]:
            yield start, stop
            start = stop


def _check(result: Any, start: int) -> None:
    if result.success:
        return
    for index, outcome in enumerate(result.results):
        if not outcome.success:
            raise RuntimeError(f"circuit {start + index} could not be simulated: {outcome.status}")
    raise RuntimeError(f"the simulation failed: {result.status}")


def _entry(circuit: QuantumCircuit, outcome: Any, *, memory: bool) -> tuple[dict[str, Any], bytes]:
    from qprovider_local import _outcomes

    # Aer reports nothing of a circuit that measures nothing: its classical bits stayed 0.
    if memory:
        shots = getattr(outcome.data, "memory", ["0x0"] * outcome.shots)
        entry, data = _outcomes.memory_entry(circuit, shots)
    else:
        counts = getattr(outcome.data, "counts", {"0x0": outcome.shots})
        entry, data = _outcomes.counts_entry(circuit, counts)
    entry["shots"] = outcome.shots
    entry["size"] = len(data)
    entry["metadata"] = {
        "seed_simulator": outcome.seed_simulator,
        "method": outcome.metadata.get("method"),
        "time_taken": outcome.time_taken,
    }
    return entry, data


if __name__ == "__main__":
    main()

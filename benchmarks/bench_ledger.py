"""What the ledger costs: a job written ahead, a listing of many jobs, room on the disk, and opening it.

``python benchmarks/bench_ledger.py [--jobs N] [--dir FOLDER]`` prints medians. "written ahead" is all that a submission
waits for before it leaves the machine, from the request to the disk; beside it stand the same bytes written and synced
without the ledger, which is the least that anything that outlasts a loss of power can cost on that disk. The listings
are of the newest 50 jobs by two filters, records included; each pair is asked for several times, with rare and with
frequent answers.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from qiskit import QuantumCircuit

from qprovider_core.ledger import Ledger, LedgerQuery
from qprovider_core.ledger._pack import Packer
from qprovider_core.ledger._requests import PackedRequest, pack_request
from qprovider_core.records import (
    BackendRef,
    JobInfo,
    JobRequest,
    JobResult,
    JobState,
    JobUsage,
    RegisterBits,
    SamplePub,
    SamplePubResult,
)

CIRCUITS_BYTES = 16 << 20
INSTANCES = [
    f"crn:v1:bluemix:public:quantum-computing:us-east:a/{uuid.UUID(int=n).hex}:{uuid.UUID(int=n * 977)}::"
    for n in range(1, 4)
]
BACKENDS = ["ibm_brisbane", "ibm_kyiv", "ibm_sherbrooke", "ibm_torino", "ibm_fez", "ibm_marrakesh"]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
OPEN = "from qprovider_core.ledger import Ledger; import sys; Ledger(sys.argv[1]).find('x')"


def bell(qubits: int = 2) -> QuantumCircuit:
    circuit = QuantumCircuit(qubits)
    circuit.h(0)
    for qubit in range(1, qubits):
        circuit.cx(0, qubit)
    circuit.measure_all()
    return circuit


def request(circuits: int, qubits: int = 2) -> JobRequest:
    return JobRequest(
        backend=BackendRef(name="ibm_brisbane", instance=INSTANCES[0]),
        pubs=[SamplePub(circuit=bell(qubits), shots=4000) for _ in range(circuits)],
        tags=("vqe", "run-7"),
        key=uuid.uuid4().hex,
    )


def medians(work: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, done in turn."""
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, call in work.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def written_ahead(folder: Path) -> None:
    ledger = Ledger(folder / "written.sqlite3")
    plain = os.open(folder / "plain", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def ahead(circuits: int, qubits: int) -> Callable[[], object]:
        made = request(circuits, qubits)

        def call() -> None:
            one = JobRequest(backend=made.backend, pubs=made.pubs, tags=made.tags, key=uuid.uuid4().hex)
            ledger.write(one, pack_request(one, CIRCUITS_BYTES), provider="ibm", account="default")

        return call

    def packed(circuits: int, qubits: int) -> Callable[[], object]:
        made = request(circuits, qubits)
        return lambda: pack_request(made, CIRCUITS_BYTES)

    def synced(circuits: int, qubits: int) -> Callable[[], object]:
        made = pack_request(request(circuits, qubits), CIRCUITS_BYTES)

        def call() -> None:
            os.write(plain, made.request + (made.circuits or b""))
            os.fsync(plain)

        return call

    def bound() -> None:
        one = request(1)
        ledger.write(one, pack_request(one, CIRCUITS_BYTES), provider="local", account="default", process_bound=True)

    print("written ahead (median)")
    for name, circuits, qubits in (("one Bell circuit", 1, 2), ("20 circuits of 20 qubits", 20, 20)):
        found = medians(
            {
                "with": ahead(circuits, qubits),
                "packed": packed(circuits, qubits),
                "synced": synced(circuits, qubits),
            },
            200,
        )
        print(
            f"  {name:<28} {found['with'] * 1e3:6.2f} ms, of which packing {found['packed'] * 1e3:6.2f} ms; the same "
            f"bytes packed, written and synced without it {(found['packed'] + found['synced']) * 1e3:6.2f} ms; ratio "
            f"{found['with'] / (found['packed'] + found['synced']):.2f}"
        )
    print(f"  {'a job of this process':<28} {medians({'bound': bound}, 200)['bound'] * 1e3:6.2f} ms")
    os.close(plain)
    bits = RegisterBits(name="meas", num_bits=100, data=random.Random(1).randbytes(13 * 100_000))
    result = JobResult(pubs=[SamplePubResult(shots=100_000, registers=[bits])])
    last = request(1)
    ledger.write(last, pack_request(last, CIRCUITS_BYTES), provider="ibm", account="default")
    info = JobInfo(id="job", state=JobState.DONE)
    found = medians(
        {
            "told": lambda: ledger.told(last.key, info),
            "find": lambda: ledger.find(last.key),
            "put": lambda: ledger.put_result(last.key, result),
            "get": lambda: ledger.result(last.key),
        },
        50,
    )
    print(f"  what a vendor tells, noted   {found['told'] * 1e3:6.2f} ms; a job read {found['find'] * 1e3:6.2f} ms")
    print(f"  a result of 1.3 MB, kept     {found['put'] * 1e3:6.2f} ms; read {found['get'] * 1e3:6.2f} ms\n")


def fill(ledger: Ledger, jobs: int) -> None:
    """A heavy user's jobs: four steps and the usage of each."""
    draw = random.Random(7)
    bare = PackedRequest(request=Packer().pack({"pubs": ()}), circuits=None, num_circuits=1)
    clock = [BEGAN]
    ledger._now = lambda: clock[0]
    file = ledger._file
    with file.writing(durable=False) as db:
        file.writing = lambda **_: nullcontext(db)  # type: ignore[method-assign]  # one transaction for all of them
        for number in range(jobs):
            clock[0] = BEGAN + timedelta(seconds=150 * number)
            one(ledger, draw, bare, number, jobs, clock)
    del file.writing
    ledger._now = lambda: datetime.now(UTC)


def one(
    ledger: Ledger, draw: random.Random, bare: PackedRequest, number: int, jobs: int, clock: list[datetime]
) -> None:
    tags = [f"project-{number % 5}", "production" if number < jobs // 2 else "trial"]
    if number % 1000 == 0:
        tags.append("paper")
    if number % 25 == 0 and number < jobs // 2:
        tags.append("old-sweep")
    backend = "ibm_retired" if number < 40 else draw.choice(BACKENDS)
    made = JobRequest(
        backend=BackendRef(name=backend, instance=draw.choice(INSTANCES)),
        pubs=[SamplePub(circuit=None, shots=4000)],
        tags=tags,
        name="vqe" if number % 3 else f"step-{number}",
        key=f"{draw.getrandbits(128):032x}",
        session_id=f"session-{number // 50}" if number % 2 else None,
    )
    ledger.write(made, bare, provider="ibm", account="work" if number % 4 else "default")
    job = f"d{draw.getrandbits(80):020x}"
    ledger.accepted(made.key, JobInfo(id=job, state=JobState.QUEUED, created_at=clock[0]))
    if number >= jobs - 20:
        return
    state = JobState.ERROR if number % 400 == 0 else JobState.DONE
    clock[0] += timedelta(seconds=40)
    ledger.told(made.key, JobInfo(id=job, state=JobState.RUNNING, started_at=clock[0]))
    ledger.told(
        made.key,
        JobInfo(
            id=job,
            state=state,
            ended_at=clock[0],
            usage=JobUsage(quantum_s=2.0, estimated_s=3.1),
            error="The circuit is not of the backend's instruction set." if state is JobState.ERROR else None,
        ),
    )


def listings(ledger: Ledger, jobs: int) -> None:
    middle = BEGAN + timedelta(seconds=150 * jobs // 2)
    pairs: dict[str, dict[str, Any]] = {
        "none": {},
        "provider, done": {"providers": ["ibm"], "states": [JobState.DONE]},
        "provider, failed (rare)": {"providers": ["ibm"], "states": [JobState.ERROR]},
        "provider, pending (rare)": {"providers": ["ibm"], "pending": True},
        "backend, done": {"backends": ["ibm_fez"], "states": [JobState.DONE]},
        "retired backend, done": {"backends": ["ibm_retired"], "states": [JobState.DONE]},
        "retired backend, failed": {"backends": ["ibm_retired"], "states": [JobState.ERROR]},
        "backends by pattern, account": {"backends": ["ibm_*e*"], "accounts": ["default"]},
        "instance, backend": {"instance": INSTANCES[1], "backends": ["ibm_kyiv"]},
        "tag (1/5), backend": {"tags": ["project-3"], "backends": ["ibm_kyiv"]},
        "tag (1/1000), provider": {"tags": ["paper"], "providers": ["ibm"]},
        "tag (1/1000), failed": {"tags": ["paper"], "states": [JobState.ERROR]},
        "tag (old half), provider": {"tags": ["production"], "providers": ["ibm"]},
        "tag (1/50, old), done": {"tags": ["old-sweep"], "states": [JobState.DONE]},
        "tag (new half), retired": {"tags": ["trial"], "backends": ["ibm_retired"]},
        "two tags (none has both)": {"tags": ["production", "trial"]},
        "tag (1/5), failed": {"tags": ["project-0"], "states": [JobState.ERROR]},
        "name (2/3), failed": {"name": "vqe", "states": [JobState.ERROR]},
        "name (one job), provider": {"name": "step-300", "providers": ["ibm"]},
        "session, done": {"session_id": "session-3", "states": [JobState.DONE]},
        "before the middle, backend": {"created_before": middle, "backends": ["ibm_torino"]},
        "after the middle, failed": {"created_after": middle, "states": [JobState.ERROR]},
        "no such tag, provider": {"tags": ["nowhere"], "providers": ["ibm"]},
        "no such provider, done": {"providers": ["acme"], "states": [JobState.DONE]},
    }
    print(f"the newest 50 of {jobs:,} jobs (median)")

    def listed(pair: dict[str, Any]) -> Callable[[], object]:
        query = LedgerQuery(**pair, limit=50)
        return lambda: ledger.select(query)

    found = medians({name: listed(pair) for name, pair in pairs.items()}, 15)
    for name, pair in pairs.items():
        count = len(ledger.select(LedgerQuery(**pair, limit=50)))
        print(f"  {name:<28} {found[name] * 1e3:6.2f} ms   {count} jobs")
    print(f"  {'slowest':<28} {max(found.values()) * 1e3:6.2f} ms\n")


def opening(path: Path) -> None:
    def run(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code, str(path)], check=True)

    def opened() -> None:
        ledger = Ledger(path)
        ledger.find("x")
        ledger.close()

    print("opened, asked for a job and closed (median)")
    print(f"  in a process that runs       {medians({'open': opened}, 50)['open'] * 1e3:6.2f} ms")
    found = medians({"bare": run("pass"), "ours": run(OPEN)}, 9)
    print(
        f"  in a fresh process           {found['ours'] * 1e3:6.1f} ms, a bare one {found['bare'] * 1e3:6.1f} ms; "
        f"ratio {found['ours'] / found['bare']:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--dir", help="where to write; by default in the folder for temporary files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.dir) as name:
        folder = Path(name)
        written_ahead(folder)
        path = folder / "jobs.sqlite3"
        ledger = Ledger(path)
        fill(ledger, arguments.jobs)
        ledger.close()
        size = path.stat().st_size
        print(
            f"{arguments.jobs:,} jobs without circuits: {size / 1e6:.1f} MB, {size / arguments.jobs:.0f} bytes a job\n"
        )
        listings(ledger, arguments.jobs)
        ledger.close()
        opening(path)


if __name__ == "__main__":
    main()

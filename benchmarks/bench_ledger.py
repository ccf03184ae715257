"""What the ledger costs: a job written ahead, what is noted later, listings of many jobs, room on the disk, opening it.

"Written ahead" is all that a submission waits for before it leaves the machine, from the request to the disk; beside it
the same bytes are packed, written and synced without the ledger, the least that anything that outlasts a loss of power
can cost on that disk. The listings are of the newest 50 jobs, records included. The files lie in the folder for
temporary files: ``TMPDIR=... python -m benchmarks --only ledger`` measures another disk.
"""

from __future__ import annotations

import functools
import os
import random
import subprocess
import sys
import tempfile
import timeit
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks._fresh import SHARED_FOLDER
from benchmarks._harness import Bench, Line, Measure, Sample, Side, stopwatch, timed
from benchmarks._sizes import Sizes

CIRCUITS_BYTES = 16 << 20
OPEN = "from qprovider_core.ledger import Ledger; import sys; Ledger(sys.argv[1]).find('x')"
NOTES = ("what a vendor tells, noted", "a job read", "a result of 1.3 MB, kept", "a result of 1.3 MB, read")


def benches(sizes: Sizes) -> Iterator[Bench]:
    group = "The ledger: what a job waits for"
    synced, plain = "packed, written, synced", "packed, written"
    for name, title, circuits, qubits, other in (
        ("bell", "a Bell circuit, written ahead", 1, 2, synced),
        ("large", "20 circuits of 20 qubits, written ahead", 20, 20, synced),
        ("bound", "a Bell job of this process, which need not outlast it", 1, 2, plain),
    ):
        prepare = functools.partial(written, circuits=circuits, qubits=qubits, bound=other == plain)
        yield Bench(f"ledger-{name}", group, (Line(title, "ledger", other),), prepare, sizes.rounds(100), warm_up=1)
    lines = tuple(Line(note, "ledger", None) for note in NOTES)
    yield Bench("ledger-notes", group, lines, notes, sizes.rounds(50), warm_up=1)
    group = f"The ledger: {sizes.ledger_jobs:,} jobs"
    pair = Line("the newest 50 by two filters: the slowest of 23 pairs", "ledger", "without a filter")
    prepare = functools.partial(listing, jobs=sizes.ledger_jobs)
    yield Bench("ledger-list", group, (pair,), prepare, sizes.rounds(15), warm_up=1)
    lines = (
        Line("opened, asked for a job, closed", "ledger", None),
        Line("room on the disk, without circuits", "ledger", None, unit="bytes a job"),
    )
    prepare = functools.partial(opened, jobs=sizes.ledger_jobs)
    yield Bench("ledger-open", group, lines, prepare, sizes.rounds(15), warm_up=1)
    line = Line("opened and asked for a job by a fresh process", "ledger", "python -c pass")
    prepare = functools.partial(opened_afresh, jobs=sizes.ledger_jobs)
    yield Bench("ledger-process", group, (line,), prepare, sizes.rounds(9), warm_up=1)


def written(stack: ExitStack, circuits: int, qubits: int, bound: bool) -> tuple[Side, Side]:
    from qprovider_core.ledger._requests import pack_request
    from qprovider_core.records import JobRequest

    folder = _folder(stack)
    ledger = _ledger(stack, folder / "written.sqlite3")
    plain = os.open(folder / "plain", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    stack.callback(os.close, plain)
    made = request(circuits, qubits)

    def ours() -> None:
        one = JobRequest(backend=made.backend, pubs=made.pubs, tags=made.tags, key=uuid.uuid4().hex)
        ledger.write(one, pack_request(one, CIRCUITS_BYTES), provider="ibm", account="default", process_bound=bound)

    def by_hand() -> None:
        packed = pack_request(made, CIRCUITS_BYTES)
        os.write(plain, packed.request + (packed.circuits or b""))
        if not bound:
            os.fsync(plain)

    return stopwatch(ours), stopwatch(by_hand)


def notes(stack: ExitStack) -> tuple[Side, None]:
    from qprovider_core.ledger._requests import pack_request
    from qprovider_core.records import JobInfo, JobResult, JobState, RegisterBits, SamplePubResult

    ledger = _ledger(stack, _folder(stack) / "noted.sqlite3")
    bits = RegisterBits(name="meas", num_bits=100, data=random.Random(1).randbytes(13 * 100_000))
    result = JobResult(pubs=[SamplePubResult(shots=100_000, registers=[bits])])
    last = request(1)
    ledger.write(last, pack_request(last, CIRCUITS_BYTES), provider="ibm", account="default")
    info = JobInfo(id="job", state=JobState.DONE)
    works: list[Callable[[], Any]] = [
        lambda: ledger.told(last.key, info),
        lambda: ledger.find(last.key),
        lambda: ledger.put_result(last.key, result),
        lambda: ledger.result(last.key),
    ]
    return (lambda: tuple(Measure(timed(work)[0]) for work in works)), None


def listing(stack: ExitStack, jobs: int) -> tuple[Side, Side]:
    from benchmarks._ledger_jobs import questions
    from qprovider_core.ledger import LedgerQuery

    ledger = _ledger(stack, filled(jobs))

    def select(**filters: Any) -> Callable[[], Any]:
        query = LedgerQuery(**filters, limit=50)
        return lambda: ledger.select(query)

    asked = [select(**filters) for filters in questions(jobs).values()]
    slowest = max(asked, key=lambda work: min(timeit.repeat(work, number=1, repeat=5)))
    return stopwatch(slowest), stopwatch(select())


def opened(stack: ExitStack, jobs: int) -> tuple[Side, None]:
    from qprovider_core.ledger import Ledger

    path = filled(jobs)
    size = path.stat().st_size / jobs

    def open_and_close() -> None:
        ledger = Ledger(path)
        ledger.find("x")
        ledger.close()

    def side() -> Sample:
        return Measure(timed(open_and_close)[0]), Measure(size)

    return side, None


def opened_afresh(stack: ExitStack, jobs: int) -> tuple[Side, Side]:
    path = filled(jobs)

    def process(code: str) -> Side:
        return stopwatch(lambda: subprocess.run([sys.executable, "-c", code, str(path)], check=True))

    return process(OPEN), process("pass")


def request(circuits: int, qubits: int = 2) -> Any:
    from benchmarks._ledger_jobs import INSTANCES
    from qprovider_core.records import BackendRef, JobRequest, SamplePub

    return JobRequest(
        backend=BackendRef(name="ibm_brisbane", instance=INSTANCES[0]),
        pubs=[SamplePub(circuit=ghz(qubits), shots=4000) for _ in range(circuits)],
        tags=("vqe", "run-7"),
        key=uuid.uuid4().hex,
    )


def ghz(qubits: int) -> Any:
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(qubits)
    circuit.h(0)
    for qubit in range(1, qubits):
        circuit.cx(0, qubit)
    circuit.measure_all()
    return circuit


def filled(jobs: int) -> Path:
    """A file with that many jobs, which the benches of a run share: filling it takes most of a minute."""
    from benchmarks._ledger_jobs import fill
    from qprovider_core.ledger import Ledger

    path = Path(os.environ[SHARED_FOLDER]) / f"{jobs}-jobs.sqlite3"
    if not path.exists():
        half = path.with_suffix(".half")
        half.unlink(missing_ok=True)
        ledger = Ledger(half)
        fill(ledger, jobs)
        ledger.close()
        half.replace(path)
    return path


def _ledger(stack: ExitStack, path: Path) -> Any:
    from qprovider_core.ledger import Ledger

    ledger = Ledger(path)
    stack.callback(ledger.close)
    return ledger


def _folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory()))

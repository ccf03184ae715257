"""Nothing is lost, nothing runs twice: submissions under faults, with processes killed in their middle.

``python benchmarks/stress_jobs.py [--jobs 1000] [--kills 120] [--workers 4] [--seed 1] [--json]``

Worker processes submit jobs to the emulated IBM service, all to one ledger, and read their results. Meanwhile requests
are struck at random: the connection drops before or after a job was accepted, the service answers with 5xx before or
after it, does not answer in time, lists an accepted job a second late, limits the rate. And workers are ended by
``kill -9`` at each of the points in `POINTS`, in turn; another one goes on in their place as a user would:
`qp.reconcile()`, then what the ledger has not.

At the end the service itself is asked what it has. Lost: work of which the service has no job, or the ledger no
result. Duplicated: work of which it has two. Corrupt: SQLite's own check of the file, and results that cannot be read
or do not add up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

POINTS = (
    "before the write-ahead",
    "in its transaction",
    "between write-ahead and request",
    "while the request is under way",
    "after the service answered",
    "before the id is noted",
    "in its transaction, the id's",
    "after the id is noted",
    "while it is waited for",
    "before the result is noted",
    "in its transaction, the result's",
    "after the result is noted",
)
SHOTS = 20
SETTLE_S = 2.0
LISTED_LATE = ("job_unlisted", {"times": 1, "seconds": 1.0})  # as if the list were a copy that lags behind
POST = {"path": "/api/v1/jobs", "method": "POST", "times": 1}
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("drop_before", POST),
    ("drop_after", POST),
    ("cut_body", POST),
    ("status", {**POST, "status": 500}),
    ("status", {**POST, "status": 503, "body": "html"}),
    ("status_after", {**POST, "status": 500}),
    ("status_after", {**POST, "status": 502, "body": "empty"}),
    ("stall_after", {**POST, "seconds": 5.0}),
    ("rate_limit", {**POST, "retry_after": 0.2}),
    ("status", {"path": "/api/v1/jobs*", "method": "GET", "times": 1, "status": 500}),
    ("drop_after", {"path": "/api/v1/jobs/*", "method": "GET", "times": 1}),
)


# ------------------------------------------------------------------------------------------------------ the worker


def work(first: int, last: int, point: str | None, after: int) -> None:
    """Submit what the ledger has not of these numbers, and read all their results."""
    import qprovider_core as qp
    from qprovider_core import _submission

    _submission.SUBMIT_TIMEOUT_S = 3.0  # what stalls is given up sooner than in earnest
    if point is not None:
        plant(point, after)
    qp.reconcile()
    backend = qp.get_backend("ibm:ibmq_qasm_simulator")
    circuit = bell()
    for start in range(first, last, 4):
        jobs = [mine(qp, backend, circuit, number) for number in range(start, min(start + 4, last))]
        for job in jobs:
            counts = job.result(timeout=120).get_counts()
            assert sum(counts.values()) == SHOTS, counts


def mine(qp: Any, backend: Any, circuit: Any, number: int) -> Any:
    """The job of that number: the one that the ledger has, or a new one."""
    tag = f"n-{number}"
    for _ in range(20):
        for record in qp.list_jobs(tags=tag, limit=None, offline=True):
            if record.info.state is not qp.JobState.ERROR:
                return qp.job(record.id, offline=True)
        try:
            return backend.run(circuit, shots=SHOTS, job_tags=[tag])
        except qp.TransportError:
            continue  # it did certainly not arrive: run raises for nothing else
    raise RuntimeError(f"job {number} could not be submitted")


def bell() -> Any:
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def plant(point: str, after: int) -> None:
    """End this process by SIGKILL when it comes to that point for the n-th time."""
    from qprovider_core._account import Account
    from qprovider_core.ledger import Ledger
    from qprovider_core.ledger._file import LedgerFile
    from qprovider_ibm._http import Transport

    left = [after]
    where = threading.local()

    def strike() -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str, before: Callable[..., None] | None, then: Callable[..., None] | None) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            where.name = name
            try:
                if before is not None:
                    before(*args, **kwargs)
                answer = original(*args, **kwargs)
                if then is not None:
                    then(*args, **kwargs)
            finally:
                where.name = ""
            return answer

        setattr(owner, name, wrapped)

    def always(*_: Any, **__: Any) -> None:
        strike()

    def submitting(_: Any, method: str, url: str, **__: Any) -> bool:
        return method == "POST" and url.endswith("/api/v1/jobs")

    def when_submitting(*args: Any, **kwargs: Any) -> None:
        if submitting(*args, **kwargs):
            strike()

    def soon(*args: Any, **kwargs: Any) -> None:
        if submitting(*args, **kwargs):
            threading.Timer(random.uniform(0.001, 0.03), strike).start()

    def when_waiting(_: Any, hook: str, **__: Any) -> None:
        if hook in ("qprovider_get_job", "qprovider_list_jobs"):
            strike()

    within = {"in its transaction": "write", "in its transaction, the id's": "accepted",
              "in its transaction, the result's": "put_result"}.get(point)  # fmt: skip
    if within is not None:
        around(Ledger, within, lambda *_, **__: None, None)
        writing = LedgerFile.writing

        @contextmanager
        def cut(self: LedgerFile, **how: Any) -> Iterator[Any]:
            with writing(self, **how) as db:
                yield db
                if getattr(where, "name", "") == within:
                    strike()

        LedgerFile.writing = cut  # type: ignore[method-assign]
        return
    wraps: dict[str, tuple[Any, str, Any, Any]] = {
        "before the write-ahead": (Ledger, "write", always, None),
        "between write-ahead and request": (Ledger, "write", None, always),
        "while the request is under way": (Transport, "send", soon, None),
        "after the service answered": (Transport, "send", None, when_submitting),
        "before the id is noted": (Ledger, "accepted", always, None),
        "after the id is noted": (Ledger, "accepted", None, always),
        "while it is waited for": (Account, "ask", when_waiting, None),
        "before the result is noted": (Ledger, "put_result", always, None),
        "after the result is noted": (Ledger, "put_result", None, always),
    }
    around(*wraps[point])


# ------------------------------------------------------------------------------------------------------ the whole


def run(jobs: int, kills: int, workers: int, seed: int, most_passes: int) -> dict[str, Any]:
    """Everything, and what came of it."""
    from qprovider_ibm.emulator import Emulator

    chance = random.Random(seed)
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        Emulator(latency_s=0.02, seed=seed, workers=2, usage_limit_s=1e7) as emulator,
    ):
        ledger = Path(folder) / "jobs.sqlite3"
        environment = {
            **os.environ,
            **emulator.environment(),
            "QPROVIDER_LEDGER": str(ledger),
            "QPROVIDER_CONFIG_DIR": str(Path(folder) / "config"),
            "QPROVIDER_SETTLE_TIME": str(SETTLE_S),
            "QPROVIDER_PLUGINS": "ibm",
        }
        struck: Counter[str] = Counter()
        over = threading.Event()
        striker = threading.Thread(target=strike_requests, args=(emulator, chance, struck, over), daemon=True)
        striker.start()
        killed: Counter[str] = Counter()
        share = -(-jobs // workers)
        parts = [(n * share, min((n + 1) * share, jobs)) for n in range(workers) if n * share < jobs]
        turns = [POINTS[n % len(POINTS)] for n in range(kills)]
        plans = [iter(turns[n :: len(parts)]) for n in range(len(parts))]
        threads = [
            threading.Thread(
                target=drive, args=(part, plan, random.Random(f"{seed} {part}"), most_passes, environment, killed)
            )
            for part, plan in zip(parts, plans, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        striker.join()
        emulator.clear_faults()
        told = checked(emulator, ledger, environment, jobs)
    return {
        "jobs": jobs,
        "killed": sum(killed.values()),
        "kills": dict(killed),
        "faults": dict(struck),
        **told,
        "seconds": round(time.monotonic() - started, 1),
    }


def strike_requests(emulator: Any, chance: random.Random, struck: Counter[str], over: threading.Event) -> None:
    """Strike about every third submission, and now and then a look: a fault is armed when the last one has struck."""
    import requests

    control = f"{emulator.base}/_emulator/faults"
    while not over.wait(0.03):
        if requests.get(control, timeout=30).json()["faults"]:
            continue
        kind, settings = chance.choice(FAULTS)
        if kind.endswith("_after") and chance.random() < 0.4:
            emulator.fault(LISTED_LATE[0], **LISTED_LATE[1])
            emulator.fault(kind, **settings)
            struck["and then listed a second late"] += 1
        else:
            emulator.fault(kind, **settings, after=chance.randint(0, 4))
        struck[f"{kind} {settings.get('status', '')}".strip() + f" on {settings['method']}"] += 1


def drive(
    part: tuple[int, int],
    plan: Iterator[str],
    chance: random.Random,
    most_passes: int,
    environment: dict[str, str],
    killed: Counter[str],
) -> None:
    """Workers for one part of the numbers, one after another, until one comes to its end."""
    while True:
        point = next(plan, None)
        ends = ["--point", point, "--after", str(chance.randint(1, most_passes))] if point else []
        command = [sys.executable, __file__, "--worker", *map(str, part), *ends]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
        if done.returncode == -signal.SIGKILL:
            killed[str(point)] += 1
        elif done.returncode != 0:
            print(
                f"a worker at {point or 'no point'} ended with {done.returncode}:\n{done.stderr[-4000:]}",
                file=sys.stderr,
            )
            return
        elif point is None:
            return


def checked(emulator: Any, ledger: Path, environment: dict[str, str], jobs: int) -> dict[str, Any]:
    """What the service and the ledger have in the end."""
    settle = "import qprovider_core as qp; told = qp.reconcile(); print(len(told.unknown))"
    unknown = subprocess.run(
        [sys.executable, "-c", settle], env=environment, capture_output=True, text=True, timeout=300, check=True
    ).stdout.strip()
    there = Counter(tag for job in listed(emulator) for tag in job["tags"] if tag.startswith("n-"))
    keys = Counter(tag for job in listed(emulator) for tag in job["tags"] if tag.startswith("qprovider:"))
    from qprovider_core.ledger import Ledger, LedgerQuery

    book = Ledger(ledger)
    kept = [one for number in range(jobs) for one in book.select(LedgerQuery(tags=(f"n-{number}",)))]
    results: Counter[str] = Counter()
    unreadable = 0
    for record in kept:
        if record.has_result:
            result = book.result(record.key)
            sound = result is not None and result.pubs[0].shots == SHOTS
            results[record.info.tags[0]] += sound
            unreadable += not sound
    book.close()
    with sqlite3.connect(ledger) as db:
        (sound_file,) = db.execute("PRAGMA integrity_check").fetchone()
    numbers = [f"n-{number}" for number in range(jobs)]
    return {
        "submissions written down": len(kept),
        "attempts": sum(record.attempts for record in kept),
        "lost": sum(there[tag] == 0 or results[tag] == 0 for tag in numbers) + int(unknown),
        "duplicated": sum(there[tag] > 1 for tag in numbers) + sum(number > 1 for number in keys.values()),
        "corrupt": unreadable + (sound_file != "ok"),
    }


def listed(emulator: Any) -> list[dict[str, Any]]:
    """All jobs that the service has, asked for without our client."""
    import requests

    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": emulator.api_key}
    token = requests.post(f"{emulator.base}/identity/token", data=form, timeout=30).json()["access_token"]
    found: list[dict[str, Any]] = []
    for crn in emulator.instances.values():
        headers = {"Authorization": f"Bearer {token}", "Service-CRN": crn, "IBM-API-Version": "2026-04-15"}
        while True:
            query = {"limit": "200", "offset": str(len([job for job in found if job["crn"] == crn]))}
            page = requests.get(f"{emulator.base}/api/v1/jobs", params=query, headers=headers, timeout=30).json()[
                "jobs"
            ]
            found += [{**job, "crn": crn} for job in page]
            if len(page) < 200:
                break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Submissions under faults and kill -9: 0 lost, 0 duplicated, 0 corrupt."
    )
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=120, help="processes that are ended in their middle")
    parser.add_argument("--workers", type=int, default=4, help="processes that submit at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--passes", type=int, default=6, help="a point is passed at most so often before it strikes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--point", choices=POINTS, help=argparse.SUPPRESS)
    parser.add_argument("--after", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(*given.worker, given.point, given.after)
        return
    told = run(given.jobs, given.kills, given.workers, given.seed, given.passes)
    if given.json:
        print(json.dumps(told))
    else:
        for name, value in told.items():
            if isinstance(value, dict):
                print(f"{name}:")
                for what, number in sorted(value.items()):
                    print(f"  {what:<36} {number:>5}")
            else:
                print(f"{name:<26} {value:>7}")
    if told["lost"] or told["duplicated"] or told["corrupt"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

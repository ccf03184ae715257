"""A heavy user's ledger: jobs, and the questions that are asked of it."""

from __future__ import annotations

import random
import uuid
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from qprovider_core.ledger import Ledger
from qprovider_core.ledger._pack import Packer
from qprovider_core.ledger._requests import PackedRequest
from qprovider_core.records import BackendRef, JobInfo, JobRequest, JobState, JobUsage, SamplePub

INSTANCES = [
    f"crn:v1:bluemix:public:quantum-computing:us-east:a/{uuid.UUID(int=n).hex}:{uuid.UUID(int=n * 977)}::"
    for n in range(1, 4)
]
BACKENDS = ["ibm_brisbane", "ibm_kyiv", "ibm_sherbrooke", "ibm_torino", "ibm_fez", "ibm_marrakesh"]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def fill(ledger: Ledger, jobs: int) -> None:
    """That many jobs without circuits: four steps and the usage of each."""
    draw = random.Random(7)
    bare = PackedRequest(request=Packer().pack({"pubs": ()}), circuits=None, num_circuits=1)
    clock = [BEGAN]
    ledger._now = lambda: clock[0]
    file = ledger._file
    with file.writing(durable=False) as db:
        file.writing = lambda **_: nullcontext(db)  # type: ignore[method-assign]  # one transaction for all of them
        for number in range(jobs):
            clock[0] = BEGAN + timedelta(seconds=150 * number)
            _one(ledger, draw, bare, number, jobs, clock)
    del file.writing
    ledger._now = lambda: datetime.now(UTC)


def _one(
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


def questions(jobs: int) -> dict[str, dict[str, Any]]:
    """Pairs of filters, with rare and with frequent answers."""
    middle = BEGAN + timedelta(seconds=150 * jobs // 2)
    return {
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

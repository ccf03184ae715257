"""The circuits of a job once more, as a new one. Imports Qiskit."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import attrs

from qprovider_core.errors import JobError
from qprovider_core.records import JobRequest

if TYPE_CHECKING:
    from qprovider_core._job import Job


def rerun(job: Job) -> Job:
    """Run a job's circuits again; see `Job.rerun`."""
    request = job._sent_request() or _told(job)
    # Its session may be over; a vendor's own option that names one counts as little.
    options = {name: value for name, value in request.options.items() if name != "session_id"}
    again = attrs.evolve(request, key=_fresh(request.key), session_id=None, options=options)
    return job.backend()._submit(again, rerun_of=job.key)


def _fresh(key: str) -> str:
    """A new key, which begins with a vendor's own mark where the old one does."""
    fresh = uuid.uuid4().hex
    return f"{key[: -len(fresh)]}{fresh}"


def _told(job: Job) -> JobRequest:
    """What was submitted, as the vendor tells it."""
    details = job.details()
    if details is None or not (details.pubs or details.circuits):
        raise JobError(
            f"Job {job.job_id()} cannot be run again: its circuits are kept neither here nor by its vendor.",
            job_id=job.job_id(),
            hint="Run them with backend.run(…). QPROVIDER_LEDGER_CIRCUITS says how large kept circuits may be.",
        )
    told = details.options or {}
    options = {name: value for name, value in told.items() if name in job.account.spec.run_options}
    if details.pubs:
        return JobRequest(
            backend=job.backend().info.ref,
            pubs=details.pubs,
            kind=job.info.kind or "sample",
            options=options,
            tags=job.info.tags,
            name=job.name(),
            key=job.info.key or "",
        )
    shots = job.info.shots or told.get("shots")
    if shots is None:  # another number would not be the same job
        raise JobError(
            f"Job {job.job_id()} cannot be run again: how many shots it had is told neither here nor by its vendor.",
            job_id=job.job_id(),
            hint="Run its circuits with backend.run(job.circuits(), shots=…).",
        )
    circuits = list(details.circuits or ())
    return job.backend()._checked_request(circuits, shots, None, job.tags(), job.name(), None, options)

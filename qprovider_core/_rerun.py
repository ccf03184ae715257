"""The circuits of a job once more, as a new one. Imports Qiskit."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import attrs

from qprovider_core.errors import JobError

if TYPE_CHECKING:
    from qprovider_core._job import Job


def rerun(job: Job) -> Job:
    """Run a job's circuits again; see `Job.rerun`."""
    request = job._sent_request()
    if request is not None:
        prefix = request.key[: -len(uuid.uuid4().hex)] if len(request.key) > 32 else ""
        again = attrs.evolve(request, key=f"{prefix}{uuid.uuid4().hex}", session_id=None)
        return job.backend()._submit(again, rerun_of=job.key)
    circuits = job.circuits() if job.account.supports("qprovider_job_details") else None
    if not circuits:
        raise JobError(
            f"Job {job.job_id()} cannot be run again: its circuits are kept neither here nor by its vendor.",
            job_id=job.job_id(),
            hint="Run them with backend.run(…). QPROVIDER_LEDGER_CIRCUITS says how large kept circuits may be.",
        )
    details = job.details()
    names = job.account.spec.run_options
    options = {k: v for k, v in ((details.options if details else None) or {}).items() if k in names}
    return job.backend().run(circuits, shots=job.info.shots, job_tags=job.tags(), name=job.name(), **options)

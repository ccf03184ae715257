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
        fresh = uuid.uuid4().hex
        prefix = request.key[: -len(fresh)]  # a vendor's own mark
        again = attrs.evolve(request, key=f"{prefix}{fresh}", session_id=None)
        return job.backend()._submit(again, rerun_of=job.key)
    details = job.details()
    circuits = None if details is None else details.circuits
    if details is None or not circuits:
        raise JobError(
            f"Job {job.job_id()} cannot be run again: its circuits are kept neither here nor by its vendor.",
            job_id=job.job_id(),
            hint="Run them with backend.run(…). QPROVIDER_LEDGER_CIRCUITS says how large kept circuits may be.",
        )
    names = job.account.spec.run_options
    options = {name: value for name, value in (details.options or {}).items() if name in names}
    backend = job.backend()
    request = backend._checked_request(list(circuits), job.info.shots, None, job.tags(), job.name(), None, options)
    return backend._submit(request, rerun_of=job.key)

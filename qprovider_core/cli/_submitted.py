"""What is said of a job that was just submitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from qprovider_core.cli._output import clean, say, say_json, tell

if TYPE_CHECKING:
    from qprovider_core._job import Job
    from qprovider_core.records import ProviderSpec


def refuse_to_leave(spec: ProviderSpec, option: str, verb: str) -> NoReturn:
    """Refuse to submit a job and go, where it would end with the command.

    Raises:
        UnsupportedError: Always.
    """
    from qprovider_core.errors import UnsupportedError  # late: with the rest

    raise UnsupportedError(
        f"A job of {spec.name} ends with this command, so it cannot be left alone.",
        capability="jobs that outlive the process",
        plugin=spec.name,
        why="It runs on this machine, as part of this process. Nothing was submitted.",
        hint=f"{verb.capitalize()} {option} and wait for its result, or choose a backend of a service.",
    )


@contextmanager
def sending() -> Iterator[None]:
    """While a job is being sent: an interrupt says where it can be found."""
    try:
        yield
    except KeyboardInterrupt:
        from qprovider_core.ledger import ledger_in_use

        if ledger_in_use() is not None:
            tell("It was being sent. If it may have arrived, find out with: qprovider jobs reconcile")
        raise


def say_submitted(job: Job, place: str, *, as_json: bool) -> None:
    """The id on standard output, and beside it how to get the result."""
    from qprovider_core.records import JobState

    if as_json:
        say_json(
            {
                "backend": place,
                "job_id": job.job_id(),
                "key": job.key,
                "state": job.info.state.value,
                "shots": job.info.shots,
            }
        )
    else:
        say(clean(job.job_id()))
    if job.info.state is JobState.SUBMIT_UNKNOWN:
        tell(
            f"Whether this job arrived at {place} is not known. Do not send it again: find out with "
            "`qprovider jobs reconcile`.",
            colour="yellow",
        )
    else:
        tell(f"Submitted to {place}. Its result: qprovider result {job.job_id()}", dim=True)


def say_result(job: Job, place: str, *, as_json: bool, shots: int | None = None) -> None:
    """Wait for the job and show what it gave."""
    from qprovider_core.cli._results_shown import result_documents, say_results
    from qprovider_core.cli._wait_line import result_of

    documents = result_documents(result_of(job, place, ours=job.process_bound))
    if as_json:
        say_json({"backend": place, "job_id": job.job_id(), "shots": shots or job.info.shots, "results": documents})
    else:
        say_results(documents)

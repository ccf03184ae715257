"""Jobs at a vendor's service: sent part by part, looked at, cancelled. No lock is held while the vendor is asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from qiskit.providers import JobError

from qprovider_core.errors import ResultError, UnsupportedError
from qprovider_core.records import JobState
from qprovider_core.secret import get_logger
from qprovider_qiskit._faults import says_absent, words_of
from qprovider_qiskit._jobs import AdaptedJob, Part, unknown_job
from qprovider_qiskit._reading import attempted
from qprovider_qiskit._status import job_state

_log = get_logger("qprovider.qiskit")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def send_all(job: AdaptedJob, send: Callable[[AdaptedJob, Part], None]) -> None:
    """Send all its parts, or none: where one fails, those before it are cancelled."""
    for part in job.parts:
        try:
            send(job, part)
        except BaseException:
            for sent in job.parts:
                if sent.job is not None and not attempted(partial(cancel_part, sent, job), "cancel()"):
                    _log.warning(
                        "%s: job %s was sent before another part of the same job failed, and cannot be cancelled",
                        job.device.name,
                        sent.job_id,
                    )
            raise
    if len(job.parts) == 1 and _PLAIN.fullmatch(job.parts[0].job_id or ""):
        job.id = f"{job.device.name}.{job.parts[0].job_id}"  # ours, and enough to find it without a ledger


def vendors_id(job_id: str, device_name: str) -> str | None:
    """The vendor's id in one of ours; None where it has none of this device."""
    start = f"{device_name}."
    return job_id.removeprefix(start) if job_id.startswith(start) and job_id != start else None


def look_at(part: Part, word: Callable[[Any], Any] | None) -> None:
    """Ask the vendor how a part stands, unless that is known. What the vendor's code raises is raised.

    Args:
        word: Gives the vendor's own word for a job's state, where its `status()` raises or gives nothing.
    """
    if part.state.final or part.job is None:
        return
    try:
        told = _status(part.job)
    except (JobError, KeyError) as exc:
        # So some packages tell that a job failed, or that they do not know the vendor's word for its state.
        if word is None and not isinstance(exc, JobError):
            raise
        part.error = words_of(exc)
        told = None if word is not None else attempted(lambda: _status(part.job), "status()")
    if told is None and word is not None:
        told = word(part.job)
    part.state, part.state_text = job_state(told)
    if part.state is JobState.UNKNOWN and part.state_text is None:
        part.state_text = part.error
    if part.state is not JobState.ERROR:
        part.error = None


def _status(job: Any) -> Any:
    status = getattr(job, "status", None)
    return status() if callable(status) else status


def look_at_all(job: AdaptedJob) -> None:
    """Look at those parts that have not ended.

    Raises:
        UnknownJobError: The vendor has one of them no more.
    """
    for part in job.parts:
        try:
            look_at(part, job.device.adapter.job_status)
        except Exception as exc:
            if says_absent(exc):
                title = job.device.adapter.spec.title
                raise unknown_job(job.id, f"{title} does not know its job {part.job_id} any more.") from exc
            raise


def cancel_all(job: AdaptedJob) -> Exception | None:
    """Ask the vendor to cancel what has not ended; what went wrong with any of it."""
    wrong: Exception | None = None
    for part in job.parts:
        if part.state.final:
            continue
        try:
            cancel_part(part, job)
        except Exception as exc:  # noqa: BLE001  the others are to be cancelled all the same; the caller raises it
            wrong = exc
    return wrong


def cancel_part(part: Part, job: AdaptedJob) -> bool:
    """Ask the vendor to cancel one of its jobs; True where that did not fail.

    Raises:
        UnsupportedError: Its package cannot; what else the vendor's code raises is raised.
    """
    cancel = getattr(part.job, "cancel", None)
    if not callable(cancel):
        raise _cannot_cancel(part, job)
    try:
        cancel()
    except NotImplementedError as exc:  # as Qiskit's own `JobV1` has it
        raise _cannot_cancel(part, job) from exc
    return True


def _cannot_cancel(part: Part, job: AdaptedJob) -> UnsupportedError:
    return UnsupportedError(
        f"{job.device.adapter.spec.title} cannot cancel jobs from here.",
        why="Its Qiskit package has no way to.",
        hint=f"Cancel job {part.job_id} on its web pages.",
        capability="cancel_job",
    )


def result_of(part: Part, job: AdaptedJob) -> Any:
    """A part's result as the vendor gives it.

    Raises:
        ResultError: The vendor says that there is none.
    """
    try:
        return part.job.result()
    except JobError as exc:
        raise ResultError(f"Job {job.id} has no result: {words_of(exc)}.", job_id=job.id) from exc

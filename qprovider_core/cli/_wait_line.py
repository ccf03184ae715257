"""Waiting for one job: a line on a terminal tells how it stands."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from qprovider_core.cli._output import clean, is_terminal, tell

if TYPE_CHECKING:
    from qprovider_core._job import Job


def result_of(job: Job, place: str, *, timeout: float | None = None, ours: bool = False) -> Any:
    """The job's result. Meanwhile a line on a terminal tells its state; an interrupt leaves the job alone.

    Args:
        place: Where it runs, as users read it.
        ours: Whether it ends with this command.
    Raises:
        JobTimeoutError: Not within `timeout` seconds.
        JobFailedError, JobCancelledError: It ended without a result.
    """
    from qprovider_core.errors import JobCancelledError, JobFailedError, JobTimeoutError  # late: with the rest
    from qprovider_core.records import JobState

    again = f"Run it again: qprovider rerun {clean(job.job_id())}"
    try:
        return _result_of(job, place, timeout, ours)
    except JobTimeoutError as exc:
        if job.info.state is JobState.SUBMIT_UNKNOWN:
            raise
        hint = f"It goes on. Come back with: qprovider result {clean(job.job_id())}"
        raise JobTimeoutError(exc.what, job=job, job_id=exc.job_id, why=exc.why, hint=hint) from exc
    except JobCancelledError as exc:
        raise JobCancelledError(exc.what, job_id=exc.job_id, why=exc.why, hint=again) from exc
    except JobFailedError as exc:
        hint = again if exc.hint is None or "rerun" in exc.hint else f"{exc.hint}\n{again}"
        raise JobFailedError(exc.what, job_id=exc.job_id, code=exc.code, why=exc.why, hint=hint) from exc


def _result_of(job: Job, place: str, timeout: float | None, ours: bool) -> Any:
    from qprovider_core._waiting import watch_jobs  # late: with the rest
    from qprovider_core.records import JobState

    started = time.monotonic()
    line = StateLine()

    def show(*_: object) -> bool:
        line.show(f"Job {clean(job.job_id())}: {standing(job.info)}, {time.monotonic() - started:.0f} s")
        return False

    try:
        # Also between two looks, so that the time that is shown goes on.
        for _ in watch_jobs([job], timeout=timeout, callback=show, stopped=show):
            pass
        left = None if timeout is None else max(0.0, started + timeout - time.monotonic())
        return job.result(left)
    except KeyboardInterrupt:
        line.clear()
        where = f"job {job.job_id()} on {place}"
        if ours:
            tell(f"Stopped: {where} ends with this command.")
        elif job.info.state is JobState.SUBMIT_UNKNOWN:
            tell(f"No longer looking: whether {where} arrived is not known. Find out: qprovider jobs reconcile")
        else:
            tell(f"No longer waiting: {where} goes on there. Its result: qprovider result {job.job_id()}")
        raise
    finally:
        line.clear()


def standing(info: Any) -> str:
    """How a job stands, in a few words: the state, and its place in the queue where that is told."""
    from qprovider_core.cli._jobs_shown import state_text  # late: help needs no core
    from qprovider_core.records import JobState

    if info.state is JobState.SUBMIT_UNKNOWN:
        return "not known whether it arrived"
    place = info.queue.position if info.queue is not None else None
    behind = f" (place {place})" if place is not None and not info.state.final else ""
    return clean(state_text(info)) + behind


class StateLine:
    """One line on the terminal behind standard error, written over again and again; elsewhere nothing."""

    def __init__(self) -> None:
        self._live = is_terminal(sys.stderr)

    def show(self, text: str) -> None:
        if self._live:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def clear(self) -> None:
        self.show("")

"""`job_monitor`: one line that says how a job stands, until it has ended."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from qprovider_core._clock import CLOCK
from qprovider_core._text import printable
from qprovider_core._waiting import check_seconds, watch_jobs
from qprovider_core.errors import InvalidInputError, JobTimeoutError
from qprovider_core.records import JobInfo, JobState

if TYPE_CHECKING:
    from qprovider_core._job import Job

WORDS = {
    JobState.INITIALIZING: "job is being initialized",
    JobState.VALIDATING: "job is being validated",
    JobState.QUEUED: "job is queued",
    JobState.RUNNING: "job is actively running",
    JobState.DONE: "job has successfully run",
    JobState.CANCELLED: "job has been cancelled",
    JobState.ERROR: "job incurred error",
    JobState.SUBMIT_UNKNOWN: "whether the job arrived is not known",
}


def job_monitor(
    job: Job,
    interval: float | None = None,
    quiet: bool = False,
    output: TextIO | None = None,
    line_discipline: str | None = None,
    *,
    timeout: float | None = None,
) -> None:
    """Show how a job stands until it has ended. The job goes on whatever happens to the monitor.

    Args:
        interval: Seconds between two looks; growing pauses when not given.
        quiet: Show nothing, just wait.
        output: Where to write; standard output by default.
        line_discipline: What a line begins with; by default it replaces the one before on a terminal, where the time
            waited so far stands in it, and elsewhere each change has a line of its own.
        timeout: Seconds after which it returns all the same; None for no limit.
    """
    if not isinstance(getattr(job, "info", None), JobInfo):
        raise InvalidInputError(f"job_monitor takes a job, not {job!r}.", hint="Pass what backend.run(…) returned.")
    check_seconds(interval, "interval")
    stream = sys.stdout if output is None else output
    live = line_discipline is None and stream.isatty()
    line = _Line(stream, "\r" if live else line_discipline or "", live) if not quiet else None
    started = CLOCK.now()

    def show(*_: object) -> bool:
        if line is not None:
            line.show(_told(job.info, CLOCK.now() - started if live else None))
        return False

    try:
        show()
        # Also between two looks, so that the time that is shown goes on.
        for _ in watch_jobs([job], timeout=timeout, wait=interval, callback=show, stopped=show if live else None):
            pass
    except JobTimeoutError:
        pass  # what stands on the screen says how far it came
    except KeyboardInterrupt:
        if line is not None:
            line.end()
            name = job.job_id()
            stream.write(f"Job {name} goes on. Come back to it with `qprovider job {name}` or qp.job({name!r}).\n")
            stream.flush()
        raise
    show()
    if line is not None:
        line.end()


class _Line:
    """The line that is shown, and written again only when it changes."""

    def __init__(self, stream: TextIO, begin: str, live: bool) -> None:
        self._stream = stream
        self._begin = begin
        self._live = live
        self._shown = ""

    def show(self, text: str) -> None:
        if text == self._shown:
            return
        covered = text.ljust(len(self._shown)) if self._live else text
        self._stream.write(f"{self._begin}{covered}{'' if self._live or self._begin else chr(10)}")
        self._stream.flush()
        self._shown = text

    def end(self) -> None:
        if self._live or self._begin:
            self._stream.write("\n")
        self._stream.flush()


def _told(info: JobInfo, elapsed_s: float | None) -> str:
    words = WORDS.get(info.state) or f"job is in the state {info.state_text or info.state.value!r}"
    if info.state is JobState.QUEUED and info.queue is not None and info.queue.position is not None:
        words += f" ({info.queue.position})"
    if info.state is JobState.ERROR and info.error:
        words += f": {info.error.splitlines()[-1]}"
    waited = "" if elapsed_s is None or info.state.final else f" ({spoken(elapsed_s)})"
    return printable(f"Job Status: {words}{waited}")


def spoken(seconds: float) -> str:
    """A time that has passed, for a reader: ``59 s``, ``5 min 10 s``, ``2 h 05 min``."""
    minutes, rest = divmod(int(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"

"""Jobs while they are watched: a table that is kept up to date, or a line a change."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from qprovider_core.cli._jobs_shown import place_of
from qprovider_core.cli._output import NOT_REPORTED, clean, has_colour, say, tell
from qprovider_core.cli._wait_line import standing
from qprovider_core.records import JobInfo, JobState

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from qprovider_core._job import Job

_MANY = 6  # jobs from which a bar tells how far all of them are
_BESIDE = 6  # lines of the table that are no jobs
_WIDTH = 20  # of the bar
_SECOND = 4  # how often the table is drawn anew in one
_COLOURS = {JobState.DONE: "green", JobState.ERROR: "red", JobState.CANCELLED: "yellow", JobState.RUNNING: "bold"}
# In which order they are shown where there is no room for all.
_ORDER = (JobState.ERROR, JobState.SUBMIT_UNKNOWN, JobState.UNKNOWN, JobState.CANCELLED, JobState.RUNNING)


def _place(job: Job) -> str:
    return place_of(job.account.provider, job.info)


def _elapsed(info: JobInfo, now: datetime) -> str:
    """How long since it was created, or how long it took."""
    if info.created_at is None:
        return NOT_REPORTED
    end = (info.ended_at or now) if info.state.final else now
    seconds = max(0, round((end - info.created_at).total_seconds()))
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


class Lines:
    """A line on standard output for each change."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._shown: dict[int, str] = {}

    def __enter__(self) -> Self:
        self.look()
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def look(self, *_: object) -> None:
        """Say what has changed."""
        for number, job in enumerate(self._jobs):
            text = standing(job.info)
            if self._shown.get(number) != text:
                self._shown[number] = text
                say(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}  {clean(job.job_id())}  {text}  {clean(_place(job))}")
        sys.stdout.flush()


class Table:
    """A table on the terminal that is drawn anew all the time."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        from rich.console import Console  # late: rich is slow to import, and only terminals need it
        from rich.live import Live

        self._jobs = jobs
        self._console = Console(
            file=sys.stdout, markup=False, highlight=False, emoji=False, no_color=not has_colour(sys.stdout)
        )
        self._live: Live = Live(
            console=self._console, get_renderable=self.drawn, refresh_per_second=_SECOND, transient=False
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def look(self, *_: object) -> None:
        """Show how the jobs stand now."""
        self._live.refresh()

    def drawn(self) -> RenderableType:
        """The table, and below it how far all of them are."""
        from rich.console import Group  # late: with the rest
        from rich.progress_bar import ProgressBar
        from rich.table import Table as RichTable
        from rich.text import Text

        now = datetime.now(UTC)
        shown = self._fitting()
        named = any(job.info.name for job in self._jobs)
        table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for title in ("id", "state", "backend", "place", "elapsed", *(("name",) if named else ())):
            right = title in ("place", "elapsed")
            least = max((len(job.job_id()) for job in shown), default=1) if title == "id" else None
            table.add_column(
                title, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", min_width=least
            )
        for job in shown:
            info = job.info
            queue = info.queue.position if info.queue is not None and not info.state.final else None
            state = Text(standing(info).partition(" (place")[0], style=_COLOURS.get(info.state, ""))
            rest = [clean(_place(job)), clean(queue), _elapsed(info, now), *([clean(info.name or "")] if named else ())]
            table.add_row(Text(clean(job.job_id())), state, *map(Text, rest))
        parts: list[Any] = [table]
        left_out = len(self._jobs) - len(shown)
        if left_out:
            parts.append(Text(f"… and {left_out} more", style="dim"))
        if len(self._jobs) >= _MANY:
            ended = sum(1 for job in self._jobs if job.info.state.final)
            line = RichTable.grid(padding=(0, 2, 0, 0))
            bar = ProgressBar(total=len(self._jobs), completed=ended, width=_WIDTH)
            line.add_row(bar, Text(f"{ended} of {len(self._jobs)} have ended: {_summary(self._jobs)}"))
            parts.append(line)
        return Group(*parts)

    def _fitting(self) -> list[Job]:
        """As many as there is room for: what failed or runs before what waits, and what is done last."""
        room = max(1, self._console.height - _BESIDE)
        if len(self._jobs) <= room:
            return list(self._jobs)
        return sorted(self._jobs, key=_urgency)[:room]


def _urgency(job: Job) -> int:
    state = job.info.state
    if state in _ORDER:
        return _ORDER.index(state)
    return len(_ORDER) + (state is JobState.DONE)


def _summary(jobs: Sequence[Job]) -> str:
    counted = Counter(job.info.state.value for job in jobs)
    return ", ".join(f"{number} {state}" for state, number in counted.most_common())


def tell_end(jobs: Sequence[Job]) -> bool:
    """Say how they ended, and what to do now; returns whether all are done."""
    failed = [job for job in jobs if job.info.state is not JobState.DONE]
    if len(jobs) > 1:
        tell(f"{len(jobs)} jobs have ended: {_summary(jobs)}.")
    for job in failed:
        info = job.info
        why = f": {' '.join(info.error.split())}" if info.error else "."
        fate = "was cancelled" if info.state is JobState.CANCELLED else "failed"
        tell(f"Job {job.job_id()} {fate}{why}", colour="red")
        tell(f"  See it with: qprovider job {job.job_id()}", dim=True)
    if len(jobs) == 1 and not failed:
        tell(f"Its result: qprovider result {jobs[0].job_id()}", dim=True)
    return not failed

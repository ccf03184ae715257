"""`qprovider watch`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from qprovider_core.cli._output import clean, is_terminal, tell
from qprovider_core.cli.backends import tell_errors
from qprovider_core.cli.completion import job_ids

if TYPE_CHECKING:
    from qprovider_core._job import Job

_MOST_NAMED = 5  # ids in the line that says how to come back


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, shell_complete=job_ids)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Watch at most S seconds.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Look every S seconds; growing pauses when not given.",
)
@click.pass_context
def command(ctx: click.Context, ids: tuple[str, ...], timeout: float | None, interval: float | None) -> None:
    """Watch jobs until they have ended.

    These, or all that have not ended yet. On a terminal a table is kept up to date; elsewhere each change has a line.
    Ctrl-C leaves the jobs alone. The exit code is 0 when all are done, and 1 when one failed, was cancelled, or has
    not ended in time.
    """
    jobs = _jobs(ids)
    if not jobs:
        tell("No job is waiting or running.")
        return
    from qprovider_core._waiting import watch_jobs  # late: help needs no core
    from qprovider_core.cli._watching import Lines, Table, tell_end
    from qprovider_core.errors import JobTimeoutError

    view = Table(jobs) if is_terminal(sys.stdout) else Lines(jobs)
    try:
        with view:
            for _ in watch_jobs(jobs, timeout=timeout, wait=interval, callback=view.look):
                view.look()
    except KeyboardInterrupt:
        tell(f"No longer watching. {_come_back(ids)}")
        raise
    except JobTimeoutError as exc:
        left = sum(1 for job in jobs if not job.info.state.final)
        what = f"{left} of {len(jobs)} jobs have" if len(jobs) > 1 else f"Job {jobs[0].job_id()} has"
        raise JobTimeoutError(f"{what} not ended within {timeout:g} s.", job=exc.job, hint=_come_back(ids)) from exc
    if not tell_end(jobs):
        ctx.exit(1)


def _jobs(ids: Sequence[str]) -> list[Job]:
    """The jobs of these ids, each once; without any, all that have not ended."""
    import qprovider_core as qp  # late: help needs no core

    if ids:
        found = [qp.job(id) for id in dict.fromkeys(ids)]
        return list({(job.account.label, job.job_id()): job for job in found}.values())
    listed = qp.jobs(pending=True, limit=None)
    tell_errors(listed)
    return list(listed)


def _come_back(ids: Sequence[str]) -> str:
    named = f" {' '.join(map(clean, ids))}" if 0 < len(ids) <= _MOST_NAMED else ""
    return f"The jobs go on. Come back with: qprovider watch{named}"

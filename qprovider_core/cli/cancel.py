"""`qprovider cancel`."""

from __future__ import annotations

import click

from qprovider_core.cli._errors import report, tell_error
from qprovider_core.cli._output import clean, say
from qprovider_core.cli.completion import job_ids


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, shell_complete=job_ids)
@click.pass_context
def command(ctx: click.Context, ids: tuple[str, ...]) -> None:
    """Cancel jobs.

    What came of each is said. One that has ended cannot be cancelled: the others are all the same, and the exit code
    is 1.
    """
    debug = bool(ctx.find_root().params["debug"])
    codes = [_cancelled(id, debug) for id in dict.fromkeys(ids)]
    if any(codes):
        ctx.exit(max(codes))


def _cancelled(id: str, debug: bool) -> int:
    """Cancel one and say what came of it; returns the exit code of that."""
    import qprovider_core as qp  # late: help needs no core
    from qprovider_core.cli._jobs_shown import state_text
    from qprovider_core.errors import QProviderError, UnknownJobError

    job = None
    try:
        job = qp.job(id)
        if not job.cancel() or job.info.state in (qp.JobState.DONE, qp.JobState.ERROR):
            tell_error(
                f"Job {job.job_id()} cannot be cancelled: it has ended ({state_text(job.info)}).",
                hint=f"See it with: qprovider job {clean(job.job_id())}",
            )
            return 1
    except QProviderError as exc:
        if job is not None and job.process_bound and isinstance(exc, UnknownJobError):
            tell_error(
                f"Job {job.job_id()} runs in another process, and cannot be cancelled from here.",
                hint="Stop that process, with Ctrl-C where it runs.",
            )
            return 1
        return report(exc, debug=debug)
    ended = job.info.state is qp.JobState.CANCELLED
    say(f"{clean(job.job_id())}  {'cancelled' if ended else f'is being cancelled ({state_text(job.info)})'}")
    return 0

"""`qprovider rerun`."""

from __future__ import annotations

import click

from qprovider_core.cli._ledger_place import no_ledger_option
from qprovider_core.cli._output import tell
from qprovider_core.cli.completion import job_ids


@click.command()
@click.argument("id", shell_complete=job_ids)
@click.option("--wait", is_flag=True, help="Wait for the result and show it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@no_ledger_option
def command(id: str, wait: bool, as_json: bool) -> None:
    """Run the circuits of a job again, as a new one.

    The same circuits with the same shots and options go to the same backend. The new id is printed.
    """
    import qprovider_core as qp  # late: help needs no core
    from qprovider_core.cli import _submitted
    from qprovider_core.cli._jobs_shown import place_of

    old = qp.job(id)
    if not wait and old.process_bound:
        _submitted.refuse_to_leave(old.account.spec, "--wait", "add")
    with _submitted.sending():
        job = old.rerun()
    place = place_of(job.account.provider, job.info)
    if wait:
        tell(f"Job {job.job_id()} on {place} runs job {old.job_id()} again.", dim=True)
        _submitted.say_result(job, place, as_json=as_json)
    else:
        _submitted.say_submitted(job, place, as_json=as_json)

"""`qprovider result`."""

from __future__ import annotations

import click

from qprovider_core.cli._output import say_json
from qprovider_core.cli.completion import job_ids


@click.command()
@click.argument("id", shell_complete=job_ids)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Wait at most S seconds for its end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(id: str, timeout: float | None, as_json: bool) -> None:
    """Show the result of a job; wait for it.

    Counts are shown as `qprovider run` does, expectation values as a table. A result that was read before, on this
    machine, is shown without asking the vendor. Of a job that failed the vendor's reason is told, and the exit code
    is 1.
    """
    import qprovider_core as qp  # late: help needs no core
    from qprovider_core.cli._jobs_shown import place_of
    from qprovider_core.cli._results_shown import result_documents, say_results
    from qprovider_core.cli._wait_line import result_of

    job = qp.job(id)
    place = place_of(job.account.provider, job.info)
    documents = result_documents(result_of(job, place, timeout=timeout))
    if as_json:
        say_json({"backend": place, "job_id": job.job_id(), "shots": job.info.shots, "results": documents})
    else:
        say_results(documents)

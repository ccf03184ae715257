"""`qprovider job`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from qprovider_core.cli._output import say_json, tell
from qprovider_core.cli.completion import job_ids

if TYPE_CHECKING:
    from qprovider_core.records import JobRecord


@click.command()
@click.argument("id", shell_complete=job_ids)
@click.option("--offline", is_flag=True, help="Ask no vendor: show what was last known.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(id: str, offline: bool, as_json: bool) -> None:
    """Show all that is known of a job, with its timeline.

    ID is the vendor's or our own; 'provider:id' where several vendors have it. Of a job that has not ended the vendor
    is asked how it stands now.
    """
    import qprovider_core as qp  # late: help needs no core
    from qprovider_core.cli._jobs_shown import job_document, say_job, tell_unsettled

    record = qp.find_job(id, offline=offline)
    # One that may not have arrived is left alone: to look for it may send it again, which is not asked for here.
    if not offline and not record.info.state.final and record.info.state is not qp.JobState.SUBMIT_UNKNOWN:
        record = _as_it_stands(record)
    if as_json:
        say_json(job_document(record))
        return
    say_job(record)
    tell_unsettled([record])


def _as_it_stands(record: JobRecord) -> JobRecord:
    """The record after its vendor was asked; as it was, where that cannot answer."""
    import attrs

    from qprovider_core._jobs import job_of  # late: handles need Qiskit
    from qprovider_core.errors import QProviderError

    job = job_of(record)
    try:
        job.refresh()
    except QProviderError as exc:
        tell(f"As last known, for {exc.what[:1].lower()}{exc.what[1:]}", dim=True)
        if exc.why:
            tell(f"  {exc.why}", dim=True)
    found = job.record()
    return attrs.evolve(record if found is None else found, info=job.info)

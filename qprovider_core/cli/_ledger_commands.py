"""`qprovider jobs reconcile`, `prune`, `export` and `repair`: the record of jobs is kept in order."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qprovider_core.cli._ledger_place import the_ledger
from qprovider_core.cli._output import clean, say, say_json, tell
from qprovider_core.cli._when import When
from qprovider_core.cli.completion import job_ids, provider_names

if TYPE_CHECKING:
    from qprovider_core._reconcile import Reconciled
    from qprovider_core.records import JobRecord


@click.command()
@click.option(
    "--provider", "-p", multiple=True, shell_complete=provider_names, help="Only of this one; may be repeated."
)
@click.option("--no-resend", is_flag=True, help="What did not arrive is not sent again; it is marked as failed.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Take at most S seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def reconcile(
    ctx: click.Context, provider: tuple[str, ...], no_resend: bool, timeout: float | None, as_json: bool
) -> None:
    """Find out what became of jobs that may not have arrived.

    Their answer was lost, or their process ended while it sent them. The vendor is asked for each; what it has not is
    sent again, once it is certain. The exit code is 1 while that of any job is still not known.
    """
    import qprovider_core as qp  # late: help needs no core

    waiting = len(the_ledger().unsettled())
    if waiting:
        tell(f"Looking for {waiting} {'job' if waiting == 1 else 'jobs'}; vendors may need a minute.", dim=True)
    told = qp.reconcile(provider=list(provider) or None, resend=not no_resend, timeout=timeout)
    if as_json:
        say_json(told.to_dict())
    else:
        _say_fates(told)
    for error in told.errors:
        tell(str(error), colour="red")
        if error.hint:
            tell(f"  {error.hint}", dim=True)
    if told.unknown or told.errors:
        ctx.exit(1)


def _say_fates(told: Reconciled) -> None:
    fates = (
        ("found", told.found),
        ("sent again", told.sent_again),
        ("did not arrive", told.absent),
        ("still not known", told.unknown),
    )
    for word, records in fates:
        for record in records:
            say(f"{clean(record.id)}  {word}{_beside(record)}")
    if not any(records for _, records in fates):
        tell("Nothing to find out: of every job it is known whether it arrived.")


def _beside(record: JobRecord) -> str:
    from qprovider_core.cli._jobs_shown import place_text  # late: help needs no core

    was = f" (key {record.key})" if record.job_id is not None and record.key != record.id else ""
    why = f": {clean(record.info.error)}" if record.info.error and record.job_id is None else ""
    return f" at {clean(place_text(record))}{was}{why}"


@click.command()
@click.option("--older-than", type=When(), metavar="WHEN", help="Created before: an age such as 90d, or a date.")
@click.option("--data-only", is_flag=True, help="Forget just circuits, results and timelines; keep them in the list.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def prune(ctx: click.Context, older_than: datetime | None, data_only: bool, yes: bool) -> None:
    """Forget old jobs on this machine. Vendors keep theirs.

    Jobs that have not ended always stay. It asks before it deletes; where there is no terminal to ask at it refuses
    without --yes.
    """
    if older_than is None:
        ctx.fail("Say which: --older-than 90d, or a date. Jobs that have not ended stay in any case.")
    if older_than > datetime.now(UTC) - timedelta(seconds=1):
        ctx.fail("--older-than takes an age such as 90d, or a time that has passed.")
    from qprovider_core.ledger import LedgerQuery  # late: help needs no core

    ledger = the_ledger()
    number = len(ledger.select(LedgerQuery(pending=False, created_before=older_than)))
    when = f"{older_than:%Y-%m-%d %H:%M} UTC"
    if not number:
        tell(f"No job that has ended was created before {when}.")
        return
    what = f"{'the data of ' if data_only else ''}{number} {'job' if number == 1 else 'jobs'} created before {when}"
    if not yes:
        if not sys.stdin.isatty():
            ctx.fail(f"There is no terminal to ask at: add --yes to forget {what}.")
        click.confirm(f"Forget {what}?", abort=True, err=True)
    done = ledger.prune(older_than, data_only=data_only)
    tell(f"Forgot {'the data of ' if data_only else ''}{done} {'job' if done == 1 else 'jobs'}.")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--results", is_flag=True, help="In .jsonl: also the results that are kept here.")
@click.option("--force", is_flag=True, help="Replace the file.")
@click.pass_context
def export(ctx: click.Context, file: Path, results: bool, force: bool) -> None:
    """Write all jobs of this machine's record into FILE. No vendor is asked.

    \b
    .csv, .json     the table of all jobs
    .jsonl          everything of each job but its circuits, one object a line
    .sqlite3, .db   a copy of the record itself, circuits and results included
    """
    from qprovider_core.cli import _job_export  # late: help needs no core

    if file.suffix.lower() not in _job_export.FORMS:
        ctx.fail(f"The end of {str(file)!r} tells no form. Name a file that ends in {', '.join(_job_export.FORMS)}.")
    if results and file.suffix.lower() != ".jsonl":
        ctx.fail("--results is for .jsonl; .sqlite3 has them in any case.")
    if file.exists() and not force:
        ctx.fail(f"{str(file)!r} exists: add --force to replace it, or name another file.")
    number = _job_export.export(the_ledger(), file, results=results)
    tell(f"Wrote {number} {'job' if number == 1 else 'jobs'} into {file}.")


@click.command()
def repair() -> None:
    """Save what can be read of a damaged record into a new one.

    The damaged file is kept beside it. A sound one is left alone.
    """
    ledger = the_ledger()
    if ledger.is_sound():
        tell(f"{ledger.path} is sound: there is nothing to repair.")
        return
    kept, saved = ledger.repair()
    tell(f"Saved {saved} {'job' if saved == 1 else 'jobs'} into {ledger.path}. The file as it was is {kept}.")


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, shell_complete=job_ids)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def forget(ctx: click.Context, ids: tuple[str, ...], yes: bool) -> None:
    """Forget jobs on this machine, whatever their state. Vendors keep theirs.

    For those, too, of which it will never be known whether they arrived.
    """
    import qprovider_core as qp  # late: help needs no core

    ledger = the_ledger()
    records = [qp.find_job(one, offline=True) for one in ids]
    if not yes:
        if not sys.stdin.isatty():
            ctx.fail("There is no terminal to ask at: add --yes.")
        named = ", ".join(f"{clean(one.id)} ({one.info.state.value})" for one in records)
        click.confirm(f"Forget {named}?", abort=True, err=True)
    for record in records:
        ledger.delete(record.key)
        tell(f"Forgot {clean(record.id)}.")


COMMANDS = (reconcile, prune, forget, export, repair)

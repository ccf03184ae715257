"""`qprovider tag`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from qprovider_core.cli._output import tell
from qprovider_core.cli.completion import job_ids


@click.command()
@click.argument("id", shell_complete=job_ids)
@click.argument("tags", metavar="[TAG]...", nargs=-1)
@click.option("--remove", is_flag=True, help="Take these tags away.")
@click.option("--replace", is_flag=True, help="These tags instead of those it has; without any, none.")
@click.option("--name", metavar="N", help="Name the job; an empty text takes its name away.")
@click.option("--note", metavar="TEXT", help="Keep a note with the job on this machine; an empty text: none.")
@click.pass_context
def command(
    ctx: click.Context, id: str, tags: tuple[str, ...], remove: bool, replace: bool, name: str | None, note: str | None
) -> None:
    """Change the tags, the name or the note of a job.

    Tags are added to those that it has.
    """
    if remove and replace:
        ctx.fail("--remove and --replace exclude each other.")
    if remove and not tags:
        ctx.fail("Say which tags to remove.")
    if not tags and not replace and name is None and note is None:
        ctx.fail("Say what to change: give a TAG, --name or --note.")
    import qprovider_core as qp  # late: help needs no core

    job = qp.job(id)
    if tags or replace:
        job.update_tags(_new_tags(job.job_id(), job.tags(), tags, remove, replace))
    if name is not None:
        job.update_name(name or None)
    if note is not None:
        job.set_note(note or None)
    facts = [("tags", ", ".join(job.tags())), ("name", job.name()), ("note", job.note())]
    tell(f"Job {job.job_id()}: {'; '.join(f'{word} {text}' for word, text in facts if text) or 'no tags'}.")


def _new_tags(job_id: str, old: Sequence[str], tags: Sequence[str], remove: bool, replace: bool) -> list[str]:
    if replace:
        return list(dict.fromkeys(tags))
    if not remove:
        return list(dict.fromkeys([*old, *tags]))
    missing = [tag for tag in tags if tag not in old]
    if missing:
        from qprovider_core.errors import UnknownNameError  # late: rare

        raise UnknownNameError(missing[0], old, what=f"Job {job_id} has no tag {missing[0]!r}.")
    return [tag for tag in old if tag not in tags]

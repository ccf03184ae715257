"""`qprovider jobs`: the list, and the group of what keeps the record of jobs in order."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from qprovider_core.cli import _ledger_commands
from qprovider_core.cli._output import say, say_json, tell
from qprovider_core.cli._when import WHEN_HELP, When
from qprovider_core.cli.backends import tell_errors
from qprovider_core.cli.completion import provider_names

if TYPE_CHECKING:
    from qprovider_core._lists import JobList
    from qprovider_core.records import JobRecord

# The names of `JobState`, so that help needs no records; and the two words for several of them.
STATES = (
    "initializing", "queued", "validating", "running", "cancelled", "done", "error", "submit_unknown", "unknown",
    "pending", "final",
)  # fmt: skip
_LIMIT = 20
_FILTERS = ("provider", "account", "backend", "status", "tags", "name", "session", "since", "until")


class _Jobs(click.Group):
    """Without a subcommand it lists."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            from qprovider_core.errors import near_matches  # late: only errors need it

            near = near_matches(name, self.commands) if len(name) > 2 else ()  # two letters are in many names
            hint = f"Did you mean {near[0]!r}?" if near else f"One job is shown by: qprovider job {name}"
            ctx.fail(f"There is no command 'jobs {name}'. {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Jobs, invoke_without_command=True)
@click.option("--provider", "-p", multiple=True, shell_complete=provider_names, help="Only this one; may be repeated.")
@click.option("--account", multiple=True, metavar="A", help="Only of this account; may be repeated.")
@click.option("--backend", "-b", multiple=True, metavar="B", help="Only on this one, such as 'ibm_*'; may be repeated.")
@click.option(
    "--status",
    "-s",
    type=click.Choice(STATES, case_sensitive=False),
    multiple=True,
    metavar="S",
    help=f"Only in this state; may be repeated. One of: {', '.join(STATES)}.",
)
@click.option("--tag", "tags", multiple=True, metavar="T", help="Only with this tag; may be repeated: with all.")
@click.option("--name", metavar="N", help="Only those of this name.")
@click.option("--session", metavar="ID", help="Only those of this session or batch.")
@click.option("--since", type=When(), metavar="WHEN", help=f"Created then or later. {WHEN_HELP}")
@click.option("--until", type=When(end=True), metavar="WHEN", help="Created then or before; of a date: by its end.")
@click.option(
    "--limit", "-n", type=click.IntRange(min=1), metavar="N", help=f"The newest N.  [default: {_LIMIT}]", default=None
)
@click.option("--all", "all_", is_flag=True, help="As many as there are.")
@click.option("--offline", is_flag=True, help="Ask no vendor: show what was last known.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Wait at most S seconds.")
@click.option("--json", "form", flag_value="json", help="Print one JSON document.")
@click.option("--csv", "form", flag_value="csv", help="Print comma-separated values.")
@click.pass_context
def command(ctx: click.Context, /, limit: int | None, all_: bool, form: str | None, **given: Any) -> None:
    """List the jobs of all accounts, newest first.

    Vendors are asked, and what this machine has written down is added, so that nothing is shown twice. Times are
    UTC. Vendors that do not answer are named below the table; the exit code is 1 when nothing at all could be read.
    """
    if ctx.invoked_subcommand is not None:
        filters = [param.opts[0] for param in ctx.command.params if _is_given(ctx, param)]
        if filters:
            ctx.fail(f"{filters[0]} is for the list: it goes without {ctx.invoked_subcommand!r}.")
        return
    if all_ and limit is not None:
        ctx.fail("--limit and --all exclude each other.")
    _check_times(ctx, given["since"], given["until"])
    most = None if all_ else limit or _LIMIT
    import qprovider_core as qp  # late: help needs no core

    listed = qp.list_jobs(
        provider=list(given["provider"]) or None,
        account=list(given["account"]) or None,
        backend=list(given["backend"]) or None,
        status=list(given["status"]) or None,
        tags=list(given["tags"]) or None,
        name=given["name"],
        session_id=given["session"],
        created_after=given["since"],
        created_before=given["until"],
        limit=None if most is None else most + 1,
        offline=given["offline"],
        timeout=given["timeout"],
    )
    more = most is not None and len(listed) > most
    if more:
        del listed[most:]
    _say(listed, form)
    if not listed and not listed.errors and form is None:
        filtered = any(given[word] for word in _FILTERS)
        tell("No job matches." if filtered else "There is no job yet. Run one: qprovider run FILE")
    if form != "json":
        if more:
            tell(f"These are the newest {most}. More: --limit N, or --all.", dim=True)
        tell_errors(listed)
        for note in listed.notes:
            tell(note, dim=True)
    if listed.errors and not listed:
        ctx.exit(1)


def _is_given(ctx: click.Context, param: click.Parameter) -> bool:
    source = ctx.get_parameter_source(param.name or "")
    return source is not None and source.name == "COMMANDLINE"


def _check_times(ctx: click.Context, since: datetime | None, until: datetime | None) -> None:
    if since is not None and until is not None and since > until:
        ctx.fail("--since is later than --until: no job was created between them.")


def _say(listed: JobList[JobRecord], form: str | None) -> None:
    if form == "json":
        say_json(
            {
                "jobs": _rows(listed),
                "errors": [error.to_dict() for error in listed.errors],
                "notes": list(listed.notes),
                "as_of": listed.as_of.isoformat(),
            }
        )
    elif form == "csv":
        say(listed.to_csv().rstrip("\n"))
    elif listed:
        from qprovider_core.cli._jobs_shown import say_jobs, tell_unsettled  # late: help needs no core

        say_jobs(listed)
        tell_unsettled(listed)


def _rows(listed: JobList[JobRecord]) -> Any:
    import json  # late: only this form needs it

    return json.loads(listed.to_json())


for _one in _ledger_commands.COMMANDS:
    command.add_command(_one)

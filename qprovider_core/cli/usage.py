"""`qprovider usage`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from qprovider_core._text import account_label
from qprovider_core.cli._output import say, say_json, say_table, tell
from qprovider_core.cli.backends import tell_errors
from qprovider_core.cli.completion import provider_names

if TYPE_CHECKING:
    from qprovider_core._usage import UsageList


@click.command()
@click.option("--provider", "-p", multiple=True, shell_complete=provider_names, help="Only this one; may be repeated.")
@click.option("--account", multiple=True, metavar="A", help="Only this account; may be repeated.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Wait at most S seconds.")
@click.option("--json", "form", flag_value="json", help="Print one JSON document, times in seconds.")
@click.option("--csv", "form", flag_value="csv", help="Print comma-separated values, times in seconds.")
def command(provider: tuple[str, ...], account: tuple[str, ...], timeout: float | None, form: str | None) -> None:
    """Show the quantum time that accounts have used.

    A row for each place where an account is billed, with what is left where its vendor says. Providers that do not
    answer are named below the table; the exit code is 1 when there is no answer at all.
    """
    import qprovider_core as qp  # late: help needs no core

    told = qp.usage(provider=list(provider) or None, account=list(account) or None, timeout=timeout)
    if form == "json":
        rows: Any = json.loads(told.to_json())
        say_json(
            {
                "usage": rows,
                "errors": [error.to_dict() for error in told.errors],
                "notes": list(told.notes),
                "as_of": told.as_of.isoformat(),
            }
        )
    elif form == "csv":
        say(told.to_csv().rstrip("\n"))
    elif told:
        _say_table(told)
    if form != "json":
        tell_errors(told)
        for note in told.notes:
            tell(note, dim=True)
        if not told and not told.errors:
            tell("There is no account. Save one: qprovider accounts add PROVIDER")
    if told.errors and not told:
        click.get_current_context().exit(1)


def _say_table(told: UsageList) -> None:
    from qprovider_core._usage import duration_text  # late: help needs no core

    say_table(
        ["account", "instance", "plan", "used", "left", "limit", "since"],
        [
            [
                account_label(row.provider, row.account),
                row.instance_name or row.instance,
                row.plan,
                duration_text(row.consumed_s),
                duration_text(row.remaining_s),
                duration_text(row.limit_s),
                None if row.period_start is None else f"{row.period_start:%Y-%m-%d}",
            ]
            for row in told
        ],
        right=["used", "left", "limit"],
    )

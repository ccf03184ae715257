"""`qprovider plugins`."""

from __future__ import annotations

import click

from qprovider_core.cli._output import say_json, say_table, tell


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(as_json: bool) -> None:
    """List the installed plugins, those left out too.

    A plugin that cannot be used is left out with the reason; everything else works.
    """
    import qprovider_core as qp  # late: help needs no core

    infos = qp.plugins()
    if as_json:
        say_json({"plugins": [info.to_dict() for info in infos]})
        return
    say_table(
        ["plugin", "provider", "title", "kind", "version", "status"],
        [[i.name, i.provider, i.title, i.kind, i.version, i.status] for i in infos],
    )
    for info in infos:
        if info.status != "active":
            tell(f"{info.name} is {info.status}: {info.reason or 'no reason given'}")
            if info.hint:
                tell(f"  {info.hint}", dim=True)
    if not infos:
        tell("No plugin is installed. Try: pip install qprovider-local")

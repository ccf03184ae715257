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
    from qprovider_core._requirements import INSTALL

    infos = qp.plugins()
    if as_json:
        say_json({"plugins": [info.to_dict() for info in infos]})
        return
    say_table(
        ["plugin", "provider", "title", "kind", "version", "status"],
        [[i.name, i.provider, i.title, i.kind, i.version, i.status] for i in infos],
    )
    for info in infos:
        if info.status in ("left out", "blocked"):
            tell(f"{info.name} is {info.status}: {info.reason or 'no reason given'}")
            if info.hint:
                tell(f"  {info.hint}", dim=True)
    lacking = [info for info in infos if info.status == "needs a package"]
    if lacking:
        tell("To use one that needs a package:")
    width = max((len(info.name) for info in lacking), default=0)
    for info in lacking:
        if info.reason and not info.reason.endswith("is not installed"):
            tell(f"  {info.name:{width}}  {info.reason}", dim=True)
        tell(f"  {info.name:{width}}  {(info.hint or '').removeprefix(INSTALL)}", dim=True)
    if not infos:
        tell("No plugin is installed. Try: pip install qprovider-local")

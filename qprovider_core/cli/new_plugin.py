"""`qprovider new-plugin`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from qprovider_core.cli._errors import WRONG_USAGE, tell_error
from qprovider_core.cli._output import clean, say, tell

if TYPE_CHECKING:
    from qprovider_core._template_package import Credentials


@click.command()
@click.argument("name")
@click.option("--directory", metavar="DIR", default=".", help="Where to put it; the current directory by default.")
@click.option("--title", metavar="TEXT", help="The vendor's name as people know it, such as 'Acme Quantum'.")
@click.option(
    "--credentials",
    type=click.Choice(["none", "token"]),
    default="none",
    show_default=True,
    help="What an account of the vendor needs.",
)
@click.pass_context
def command(ctx: click.Context, name: str, directory: str, title: str | None, credentials: Credentials) -> None:
    """Write the package of a new plugin.

    It is complete, tested and typed, in a directory qprovider-NAME of its own, and runs on a simulator until the
    vendor's client is put in. Nothing is overwritten.
    """
    from shlex import quote  # late: help needs none of these

    from qprovider_core._template_package import new_package
    from qprovider_core.errors import InvalidInputError

    try:
        package = new_package(name, title=title, credentials=credentials)
    except InvalidInputError as exc:
        tell_error(exc.what, exc.why, exc.hint)
        ctx.exit(WRONG_USAGE)
    written = package.write(Path(directory))
    tell(f"Wrote {clean(str(written))}, a plugin that runs on a simulator. What to replace is marked REPLACE. Next:")
    commands = [f"cd {quote(str(written))}", "pip install -e '.[test]'", "pytest"]
    if credentials == "token":
        commands.append(f"qprovider accounts add {name}")
    for line in [*commands, f"qprovider backends --provider {name}"]:
        say(f"  {clean(line)}")

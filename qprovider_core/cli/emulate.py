"""`qprovider emulate`."""

from __future__ import annotations

import click

from qprovider_core.cli._errors import FAILED, tell_error
from qprovider_core.cli.completion import emulated_names


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("provider", shell_complete=emulated_names)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(ctx: click.Context, provider: str, arguments: tuple[str, ...]) -> None:
    """Run a vendor's service on this machine, for tests.

    It prints the lines that point a shell at it and runs until Ctrl-C. What follows the provider's name is for its
    emulator: `qprovider emulate PROVIDER --help` lists the options.
    """
    from qprovider_core._emulators import emulator_of  # late: help needs no core

    run = emulator_of(provider)
    try:
        code: object = run(list(arguments))
    except SystemExit as exc:  # as argument parsers do
        code = exc.code
    if isinstance(code, str):
        tell_error(code)
        code = FAILED
    ctx.exit(code if isinstance(code, int) else 0)

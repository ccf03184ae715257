"""The options that say where jobs are written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from qprovider_core.ledger import Ledger

F = TypeVar("F", bound=Callable[..., Any])


def use_place(place: str | None, off: bool) -> None:
    """Take what the options say; nothing is imported where they say nothing."""
    if place is None and not off:
        return
    if place is not None and off:
        raise click.UsageError("--ledger and --no-ledger exclude each other.")
    if place is not None and not place.strip():
        raise click.UsageError("--ledger takes a file, or a directory to keep it in.")
    from qprovider_core.ledger import use_ledger  # late: help needs no core

    use_ledger("off" if off else place)


def no_ledger_option(command: F) -> F:
    """``--no-ledger`` of a command that submits."""

    def taken(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        use_place(None, value)

    text = "Do not write the job down, as when the ledger is broken: it can be lost then."
    return click.option("--no-ledger", is_flag=True, expose_value=False, callback=taken, help=text)(command)


def the_ledger() -> Ledger:
    """The ledger, of a command that is about it.

    Raises:
        LedgerError: It is switched off.
    """
    from qprovider_core.errors import LedgerError  # late: help needs no core
    from qprovider_core.ledger import ledger_in_use

    ledger = ledger_in_use()
    if ledger is None:
        raise LedgerError(
            "The ledger is switched off.", hint="Leave out --no-ledger, unset QPROVIDER_LEDGER, or name one: --ledger."
        )
    return ledger

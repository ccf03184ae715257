"""`qprovider completion`, and the names that shells complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from qprovider_core.cli._output import say

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_ASKED_S = 1.0  # nobody waits longer for a completion
_NEWEST = 200  # jobs whose ids are completed
_Completer = Callable[[click.Context, click.Parameter, str], list["CompletionItem"]]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes commands in a shell.

    \b
    bash:  eval "$(qprovider completion bash)"            in ~/.bashrc
    zsh:   eval "$(qprovider completion zsh)"             in ~/.zshrc
    fish:  qprovider completion fish > ~/.config/fish/completions/qprovider.fish
    """
    from click.shell_completion import ShellComplete, get_completion_class  # late: only this needs it

    from qprovider_core.cli._app import app

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(app, {}, "qprovider", "_QPROVIDER_COMPLETE")
    say(ShellComplete.source(script))  # not bash's own, which starts a bash to look at its version


def _completer(names: Callable[[], dict[str, str]]) -> _Completer:
    """Completes from names with a note each. A shell shows no errors, so there are none: just no names."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # late: only this needs it

        try:
            known = names()
        except Exception:  # noqa: BLE001  # a plugin may raise anything
            return []
        return [CompletionItem(name, help=note) for name, note in known.items() if name.startswith(incomplete)]

    return complete


def _backends() -> dict[str, str]:
    """Bare names where they are unique (a shell may split words at colons), and all full names."""
    import qprovider_core as qp

    listed = qp.list_backends(timeout=_ASKED_S)
    bare = [info.name for info in listed]
    names = {}
    for info in listed:
        note = f"{info.num_qubits} qubits" if info.num_qubits is not None else ""
        if bare.count(info.name) == 1:
            names[info.name] = note
        names[info.full_name] = note
    return names


def _providers() -> dict[str, str]:
    import qprovider_core as qp

    return {info.provider: info.title or "" for info in qp.plugins() if info.provider}


def _emulated() -> dict[str, str]:
    from qprovider_core._emulators import emulated_providers

    return emulated_providers()


def _jobs() -> dict[str, str]:
    """Ids of the newest jobs in the ledger; no vendor is asked."""
    from qprovider_core.ledger import LedgerQuery, ledger_in_use

    ledger = ledger_in_use()
    records = [] if ledger is None else ledger.select(LedgerQuery(limit=_NEWEST))
    return {record.id: f"{record.info.state.value}, {record.provider}:{record.info.backend}" for record in records}


backend_names = _completer(_backends)
provider_names = _completer(_providers)
emulated_names = _completer(_emulated)
job_ids = _completer(_jobs)

"""`qprovider accounts`: a secret is typed at a hidden prompt or piped in, never given on the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from qprovider_core.cli._output import say_json, say_table, tell
from qprovider_core.cli.completion import provider_names

if TYPE_CHECKING:
    from qprovider_core._account_store import SavedAccount
    from qprovider_core._credential_fields import CredentialField


def _is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


@click.group()
def command() -> None:
    """Save, list and remove accounts."""


@command.command(context_settings={"allow_extra_args": True})
@click.argument("provider", shell_complete=provider_names)
@click.option("--name", default="default", show_default=True, help="What to call the account.")
@click.option("--field", "-f", "pairs", multiple=True, metavar="KEY=VALUE", help="A field that is not secret.")
@click.option("--secret", "-s", "asked", multiple=True, metavar="KEY", help="Ask for this secret field, too.")
@click.option("--overwrite", is_flag=True, help="Replace the account of that name.")
@click.option("--default", "as_default", is_flag=True, help="Make it the provider's default account.")
@click.option("--keyring", is_flag=True, help="Keep the secret in the system's keyring.")
@click.pass_context
def add(
    ctx: click.Context,
    provider: str,
    name: str,
    pairs: tuple[str, ...],
    asked: tuple[str, ...],
    overwrite: bool,
    as_default: bool,
    keyring: bool,
) -> None:
    """Save an account.

    The token is asked for without being shown, or read from standard input when that is no terminal; with more
    than one secret field, one line for each, in the order of the provider's fields. It is never taken from the
    command line, where other users and the shell's history see it.
    """
    if ctx.args:  # click's own message would show what may be a token
        ctx.fail("Only PROVIDER is an argument here. A token is asked for, or read from standard input.")
    import qprovider_core as qp  # late: help needs no core
    from qprovider_core._credential_fields import credential_fields
    from qprovider_core._plugins import registry
    from qprovider_core.errors import UnknownOptionError

    spec = registry().spec(provider)
    known = {field.name: field for field in credential_fields(spec)}
    fields = _plain_fields(ctx, pairs, known)
    unknown = [key for key in asked if key not in known]
    if unknown:
        raise UnknownOptionError(unknown[0], known)
    secrets = [field for field in known.values() if field.secret and (field.required or field.name in asked)]
    if secrets and _is_terminal() and spec.credentials_help:
        tell(spec.credentials_help, dim=True)
    fields |= _secret_fields(secrets)
    qp.save_account(
        provider, name=name, overwrite=overwrite, set_as_default=as_default or None, keyring=keyring, **fields
    )
    tell(f"Saved account {name!r} of {provider}.")


def _plain_fields(ctx: click.Context, pairs: tuple[str, ...], known: dict[str, CredentialField]) -> dict[str, Any]:
    from qprovider_core._credential_fields import from_text

    fields: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        field = known.get(key)
        if not equals:
            ctx.fail("--field takes KEY=VALUE.")
        if field is not None and field.secret:
            ctx.fail(f"{key} is secret: leave it out. It is asked for, or read from standard input.")
        if key in fields:
            ctx.fail(f"--field {key} is given twice.")
        try:
            fields[key] = text if field is None else from_text(text, field.kind)
        except ValueError as exc:
            ctx.fail(f"--field {key}: {exc}.")
    return fields


def _secret_fields(secrets: list[CredentialField]) -> dict[str, Any]:
    """Each secret field's value: typed where there is a terminal, else the next line of standard input."""
    from qprovider_core.secret import Secret

    fields = {}
    for field in secrets:
        if _is_terminal():
            label = f"{field.name} ({field.help})" if field.help else field.name
            text = click.prompt(label, hide_input=True, err=True)
        else:
            text = sys.stdin.readline()
        if text.strip():
            fields[field.name] = Secret(text.strip())
    return fields


@command.command("list")
@click.argument("provider", required=False, shell_complete=provider_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(provider: str | None, as_json: bool) -> None:
    """List the saved accounts, and those that vendors' own clients saved; secrets are masked."""
    import qprovider_core as qp  # late: help needs no core

    accounts = qp.saved_accounts(provider)
    if as_json:
        say_json(
            {
                "accounts": [
                    {
                        "provider": a.provider,
                        "name": a.name,
                        "is_default": a.is_default,
                        "in_keyring": list(a.in_keyring),
                        "fields": dict(a.fields),
                        "source": a.source,
                        "problem": a.problem,
                    }
                    for a in accounts
                ]
            }
        )
    elif accounts:
        titles = ["provider", "name", "default", "fields"]
        rows = [[a.provider, a.name, a.is_default, _fields(a)] for a in accounts]
        if any(a.source for a in accounts):
            titles.insert(3, "saved by")
            for row, account in zip(rows, accounts, strict=True):
                row.insert(3, account.source or "qprovider")
        say_table(titles, rows)
        for account in accounts:
            if account.problem:
                tell(f"{account.name} of {account.provider} is not used: {account.problem}", dim=True)
    else:
        tell("No account is saved. Save one: qprovider accounts add PROVIDER")


def _fields(account: SavedAccount) -> str:
    shown = [f"{name}={value}" for name, value in account.fields.items()]
    shown += [f"{name} in the keyring" for name in account.in_keyring if name not in account.fields]
    return "not used" if account.problem else ", ".join(shown)


@command.command()
@click.argument("provider", shell_complete=provider_names)
@click.argument("name", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def remove(ctx: click.Context, provider: str, name: str | None, yes: bool) -> None:
    """Remove a saved account; NAME may be left out where there is only one."""
    import qprovider_core as qp  # late: help needs no core
    from qprovider_core.errors import UnknownAccountError

    if name is None:
        names = [account.name for account in qp.saved_accounts(provider) if account.source is None]
        if len(names) > 1:
            ctx.fail(f"{provider} has several accounts; say which: {', '.join(sorted(names))}.")
        name = names[0] if names else "default"
    if not yes:
        if not _is_terminal():
            ctx.fail("There is no terminal to ask at: add --yes.")
        click.confirm(f"Remove account {name!r} of {provider}?", abort=True, err=True)
    if not qp.delete_account(provider, name):
        own = [account.name for account in qp.saved_accounts(provider) if account.source is None]
        raise UnknownAccountError(name, own)
    tell(f"Removed account {name!r} of {provider}.")


@command.command()
@click.argument("provider", shell_complete=provider_names)
@click.argument("name")
def default(provider: str, name: str) -> None:
    """Make an account its provider's default."""
    import qprovider_core as qp  # late: help needs no core

    qp.set_default_account(provider, name)
    tell(f"{name!r} is now the default account of {provider}.")

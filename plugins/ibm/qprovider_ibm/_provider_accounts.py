"""Saving and listing accounts in the words of the retired provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import qprovider_core
from qprovider_core import config
from qprovider_core.errors import InvalidInputError, UnknownAccountError
from qprovider_core.secret import Secret, get_logger
from qprovider_ibm._runtime_accounts import choose, fields_of_proxies, read_accounts

_log = get_logger(__name__)
_PROVIDER = "ibm"
_PROXIES_HINT = "Write proxies={'https': 'http://user:password@proxy:8080'}, or IBM's form with urls and username_ntlm."


def account_fields(
    *,
    token: Secret | None = None,
    url: str | None = None,
    instance: str | None = None,
    proxies: Mapping[str, Any] | None = None,
    verify: bool | str | None = None,
    channel: str | None = None,
    private_endpoint: bool | None = None,
    region: str | None = None,
    plans_preference: Iterable[str] | None = None,
    tags: Iterable[str] | None = None,
    endpoints: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The fields of `IBMCredentials` that were given."""
    if endpoints is not None and not isinstance(endpoints, Mapping):
        raise InvalidInputError(
            f"endpoints maps a service to its address, and is not {endpoints!r}.",
            hint="Write endpoints={'api': 'https://…/api/v1'}.",
        )
    fields: dict[str, Any] = {
        "token": token,
        "url": url,
        "instance": instance,
        "verify": verify,
        "channel": channel,
        "private_endpoint": private_endpoint,
        "region": region,
        "plans_preference": _listed("plans_preference", plans_preference),
        "tags": _listed("tags", tags),
        "endpoints": None if endpoints is None else dict(endpoints),
        **proxy_fields(proxies),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _listed(name: str, values: Iterable[str] | None) -> list[str] | None:
    if isinstance(values, str):
        raise InvalidInputError(f"{name} is a list of texts, not {values!r}.", hint=f"Write {name}=[{values!r}].")
    return None if values is None else list(values)


def proxy_fields(proxies: Mapping[str, Any] | None) -> dict[str, Any]:
    """Our fields for a mapping of schemes to addresses, or for IBM's form of it."""
    if proxies is None:
        return {}
    if not isinstance(proxies, Mapping):
        raise InvalidInputError(
            "proxies maps a scheme to an address, such as {'https': 'http://proxy:8080'}, and is something else."
        )
    ibms = {"urls", "username_ntlm", "password_ntlm"}
    if not proxies.keys() & ibms:
        proxies = {"urls": dict(proxies)}
    unknown = sorted(proxies.keys() - ibms)
    if unknown:
        raise InvalidInputError(f"proxies has the unknown key {unknown[0]!r} beside urls.")
    try:
        return fields_of_proxies(dict(proxies))
    except ValueError as exc:
        problem = str(exc)
    del proxies  # it may hold a password, and so do the frames of the cause
    raise InvalidInputError(f"This account cannot be used: {problem}.", hint=_PROXIES_HINT)


def save_account(fields: dict[str, Any], *, name: str | None, overwrite: bool, set_as_default: bool | None) -> None:
    """Save an account with the core."""
    qprovider_core.save_account(
        _PROVIDER,
        name=name or "default",
        overwrite=overwrite,
        set_as_default=set_as_default,
        **fields,
    )


def account_of_channel(channel: str) -> str | None:
    """The saved account that a channel alone chooses: of IBM's own client, where nothing of ours is there to win."""
    if any(config.variable(name) for name in ("QPROVIDER_IBM_TOKEN", "QISKIT_IBM_TOKEN")):
        return None
    accounts = qprovider_core.saved_accounts(_PROVIDER)
    if any(account.source is None for account in accounts):
        return None
    chosen = choose(read_accounts(), channel=channel)
    return chosen.name if chosen is not None else None


def note_retired_default() -> None:
    """Say in the log that another account is used than the one that is marked as default in IBM's file, which is of
    the retired service. For an account of that file that nobody named."""
    accounts = read_accounts()
    old = next((account for account in accounts if account.is_default and account.problem is not None), None)
    chosen = choose(accounts)
    if old is not None and chosen is not None:
        _log.warning(
            "The default account %r is not used: %s. %s is used in its place. %s",
            old.name,
            (old.problem or "").rstrip("."),
            repr(chosen.name),
            old.hint or "",
        )


def saved_accounts(*, default: bool | None, name: str | None) -> dict[str, dict[str, Any]]:
    """Name to fields of the saved accounts; tokens are masked. Entries of the retired service are left out, with a
    note in the log that names them.

    Raises:
        UnknownAccountError: `name` was given, and no account is called so.
    """
    listed = qprovider_core.saved_accounts(_PROVIDER)
    unusable = [account for account in listed if account.problem is not None]
    if unusable:
        names = ", ".join(repr(account.name) for account in unusable)
        _log.warning("Accounts left out: %s: %s", names, unusable[0].problem)
    found = {
        account.name: {
            **account.fields,
            "is_default_account": account.is_default,
            **({"source": account.source} if account.source else {}),
        }
        for account in listed
        if account.problem is None
        and (name is None or account.name == name)
        and (default is None or account.is_default is default)
    }
    if name is not None and not found and default is None:
        raise UnknownAccountError(name, [account.name for account in listed])
    return found

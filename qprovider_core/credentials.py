"""Which credentials an account is opened with: arguments, then the environment, then saved accounts.

`save_account`, `saved_accounts`, `delete_account` and `set_default_account` are what a user calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core._account_store import ARGUMENTS, ENVIRONMENT, AccountStore, SavedAccount
from qprovider_core._credential_fields import (
    CredentialField,
    GivenFields,
    build_credentials,
    check_names,
    credential_fields,
    environment_fields,
    missing_fields,
)
from qprovider_core.errors import (
    AccountsFileError,
    ConfigurationError,
    NoAccountError,
    QProviderError,
    UnknownAccountError,
)
from qprovider_core.records import AccountRef, ProviderSpec
from qprovider_core.secret import Secret

if TYPE_CHECKING:
    from qprovider_core._plugins import Registry

__all__ = [
    "AccountStore",
    "CredentialField",
    "ResolvedAccount",
    "SavedAccount",
    "build_credentials",
    "credential_fields",
    "delete_account",
    "resolve_account",
    "resolve_all",
    "resolve_unsaved",
    "save_account",
    "saved_accounts",
    "set_default_account",
]

DEFAULT = "default"
_NOT_NEEDED = "no credentials needed"


@attrs.frozen(kw_only=True)
class ResolvedAccount:
    """An account that may be opened, and why this one.

    Attributes:
        credentials: Object of the provider's credentials class; None when it needs none, or on `error`.
        source: What won: ``arguments``, ``environment (QPROVIDER_IBM_TOKEN)``, ``saved account 'work'`` or
            ``no credentials needed``.
        error: Only from `resolve_all`: why this account cannot be opened. Report it; the others are sound.
    """

    ref: AccountRef
    credentials: Any = attrs.field(repr=False)
    source: str
    error: QProviderError | None = None


def resolve_account(
    spec: ProviderSpec,
    name: str | None = None,
    fields: Mapping[str, object] | None = None,
    store: AccountStore | None = None,
) -> ResolvedAccount:
    """The account to open.

    Without a name: `fields` when they are enough by themselves; else the environment's account; else the
    default saved one; `fields` replace some of its fields. With a name: that saved account, likewise.

    Args:
        name: A saved account; ``environment`` for the one that the environment gives.
        fields: Fields given by the caller; None as a value means not given.
        store: Where accounts are saved; the user's own by default.
    Raises:
        UnknownAccountError: No account of that name is saved.
        UnknownOptionError: The provider's accounts have no such field.
        NoAccountError: There is nothing to sign in with, or there are several accounts and no default.
        ConfigurationError: A value does not fit, or the accounts file or the keyring cannot be used.
    """
    given = fields = GivenFields({key: value for key, value in (fields or {}).items() if value is not None})
    check_names(spec, given)
    if name is None and given and not missing_fields(spec, given):
        return _resolved(spec, ARGUMENTS, given, "arguments")
    environment = _environment(spec)
    if environment and name in (None, ENVIRONMENT):
        return _overridden(spec, ENVIRONMENT, *environment, given)
    if spec.credentials is None and name in (None, DEFAULT):
        return _resolved(spec, DEFAULT, {}, _NOT_NEEDED)
    store = store or AccountStore()
    saved = store.accounts(spec.name) if spec.credentials else []
    chosen = name or next((account.name for account in saved if account.is_default), None)
    for account in saved:
        if account.name == chosen:
            source = f"saved account {chosen!r}"
            return _overridden(spec, chosen, store.with_secrets(account).fields, {}, source, given)
    if chosen in (None, DEFAULT) and not missing_fields(spec, {}):
        return _overridden(spec, DEFAULT, {}, {}, _NOT_NEEDED, given)
    if chosen is not None:
        raise _unknown(spec, chosen, saved, bool(environment))
    if given:
        build_credentials(spec, given)  # names the field that is missing
    raise _no_account(spec, saved)


def resolve_all(spec: ProviderSpec, store: AccountStore | None = None) -> list[ResolvedAccount]:
    """Every account of the provider, for a query over all: the environment's, then the saved ones.

    Of accounts with equal credentials only the first is kept. One that cannot be used is in the list with its
    `error`.

    Raises:
        AccountsFileError: The accounts file is damaged.
    """
    if spec.credentials is None:
        return [_resolved(spec, DEFAULT, {}, _NOT_NEEDED)]
    found: list[ResolvedAccount] = []
    environment = _environment(spec)
    if environment:
        found.append(_tried(spec, ENVIRONMENT, *environment))
    store = store or AccountStore()
    try:
        saved = store.accounts(spec.name)
    except AccountsFileError as exc:
        if not environment:
            raise
        saved = []  # the environment's account needs no file
        found.append(_broken(spec, DEFAULT, "the accounts file", exc))
    for account in sorted(saved, key=lambda account: not account.is_default):
        source = f"saved account {account.name!r}"
        try:
            fields = store.with_secrets(account).fields
        except ConfigurationError as exc:
            found.append(_broken(spec, account.name, source, exc))
            continue
        found.append(_tried(spec, account.name, fields, {}, source))
    if not found and not missing_fields(spec, {}):
        found.append(_tried(spec, DEFAULT, {}, {}, _NOT_NEEDED))
    distinct: list[ResolvedAccount] = []
    for candidate in found:
        if candidate.error or all(candidate.credentials != other.credentials for other in distinct):
            distinct.append(candidate)
    return distinct


def resolve_unsaved(spec: ProviderSpec) -> ResolvedAccount | None:
    """The account of a provider that needs nothing saved or set; None for any other."""
    if spec.credentials is not None and missing_fields(spec, {}):
        return None
    return _resolved(spec, DEFAULT, {}, _NOT_NEEDED)


def save_account(
    provider: str,
    *,
    name: str = DEFAULT,
    overwrite: bool = False,
    set_as_default: bool | None = None,
    keyring: bool = False,
    **fields: object,
) -> None:
    """Save an account of a provider, so that later sessions find it.

    Args:
        provider: Name of an installed provider, such as ``ibm``.
        name: What to call the account.
        overwrite: Replace the account of that name, if there is one.
        set_as_default: Whether to make it the default; None: only when it is the provider's first.
        keyring: Keep its secrets in the system keyring rather than in the file.
        fields: The account's own, such as ``token="..."``.
    Raises:
        UnknownProviderError: No installed plugin announces the provider.
        InvalidInputError: The name is taken, or a field is unknown.
        ConfigurationError: A field does not fit, or the accounts cannot be written.
    """
    given = GivenFields(fields)
    fields.clear()  # no local variable of ours shall show a secret in a traceback
    AccountStore().save(
        _registry().spec(provider),
        name,
        given,
        overwrite=overwrite,
        set_as_default=set_as_default,
        keyring=keyring,
    )


def saved_accounts(provider: str | None = None) -> list[SavedAccount]:
    """The saved accounts, their secrets masked; those of providers that are not installed, too.

    Raises:
        UnknownProviderError: Nothing is saved for the provider, and no installed plugin announces it.
        AccountsFileError: The accounts file is damaged.
    """
    accounts = AccountStore().accounts(provider)
    if provider is not None and not accounts:
        _registry().spec(provider)
    return [_masked(account) for account in accounts]


def delete_account(provider: str, name: str = DEFAULT) -> bool:
    """Delete a saved account and its entries in the keyring. False when there is none of that name.

    Raises:
        UnknownProviderError: Nothing is saved for the provider, and no installed plugin announces it.
        ConfigurationError: The accounts file is damaged or cannot be written.
    """
    store = AccountStore()
    if not store.accounts(provider):
        _registry().spec(provider)
    return store.delete(provider, name)


def set_default_account(provider: str, name: str) -> None:
    """Make a saved account the one that is used when none is named.

    Raises:
        UnknownProviderError: Nothing is saved for the provider, and no installed plugin announces it.
        UnknownAccountError: No account of that name is saved.
        ConfigurationError: The accounts file is damaged or cannot be written.
    """
    store = AccountStore()
    if not store.accounts(provider):
        _registry().spec(provider)
    store.set_default(provider, name)


def _registry() -> Registry:
    from qprovider_core._plugins import registry  # late: loads the plugins

    return registry()


def _masked(account: SavedAccount) -> SavedAccount:
    """The account with every text masked that its provider calls a secret.

    The file says so itself, but one that was written by hand may have a token among the plain fields.
    """
    try:
        secret = {field.name for field in credential_fields(_registry().spec(account.provider)) if field.secret}
    except QProviderError:  # not installed, or its class cannot be read: the file's word stands
        return account
    fields = {
        key: Secret(value) if key in secret and isinstance(value, str) else value
        for key, value in account.fields.items()
    }
    return attrs.evolve(account, fields=fields)


def _environment(spec: ProviderSpec) -> tuple[GivenFields, dict[str, str], str] | None:
    """Texts, their variables and the source, when the environment gives a whole account."""
    texts, origins = environment_fields(spec)
    if not texts or missing_fields(spec, texts):
        return None
    return texts, origins, f"environment ({', '.join(origins.values())})"


def _overridden(
    spec: ProviderSpec,
    name: str,
    base: Mapping[str, object],
    origins: Mapping[str, str],
    source: str,
    given: Mapping[str, object],
) -> ResolvedAccount:
    """The account `base` with the caller's fields in the place of its own."""
    if given:
        source = f"{source}, {', '.join(given)} from arguments"
    kept = {field: variable for field, variable in origins.items() if field not in given}
    return _resolved(spec, name, GivenFields({**base, **given}), source, kept)


def _resolved(
    spec: ProviderSpec,
    name: str,
    fields: Mapping[str, object],
    source: str,
    origins: Mapping[str, str] | None = None,
) -> ResolvedAccount:
    return ResolvedAccount(
        ref=AccountRef(provider=spec.name, name=name),
        credentials=build_credentials(spec, fields, origins=origins),
        source=source,
    )


def _tried(
    spec: ProviderSpec, name: str, fields: Mapping[str, object], origins: Mapping[str, str], source: str
) -> ResolvedAccount:
    """The account, or what stands against it."""
    try:
        return _resolved(spec, name, fields, source, origins)
    except QProviderError as exc:
        return _broken(spec, name, source, exc)


def _broken(spec: ProviderSpec, name: str, source: str, error: QProviderError) -> ResolvedAccount:
    ref = AccountRef(provider=spec.name, name=name)
    return ResolvedAccount(ref=ref, credentials=None, source=source, error=error)


def _unknown(spec: ProviderSpec, name: str, saved: list[SavedAccount], environment: bool) -> UnknownAccountError:
    choices = [account.name for account in saved] + [ENVIRONMENT] * environment
    if spec.credentials is None:
        choices = [DEFAULT]
    return UnknownAccountError(
        name,
        choices,
        what=f"{spec.title} has no account {name!r}.",
        hint=None if choices else _how_to_add(spec),
    )


def _no_account(spec: ProviderSpec, saved: list[SavedAccount]) -> NoAccountError:
    if saved:
        names = ", ".join(repr(account.name) for account in saved)
        return NoAccountError(
            f"{spec.title} has several accounts, and none is the default.",
            provider=spec.name,
            why=f"Saved are {names}.",
            hint=(
                f"Name one, or choose with `qprovider accounts default {spec.name} NAME`"
                f" or qp.set_default_account({spec.name!r}, NAME)."
            ),
        )
    return NoAccountError(
        f"There is no account of {spec.title}: no argument, environment variable or saved account.",
        provider=spec.name,
        hint=_how_to_add(spec),
    )


def _how_to_add(spec: ProviderSpec) -> str:
    needed = ", ".join(f"{name}=…" for name in missing_fields(spec, {}))
    hint = (
        f"Add one with `qprovider accounts add {spec.name}` or"
        f" qp.save_account({spec.name!r}{', ' if needed else ''}{needed})."
    )
    return f"{hint}\n{spec.credentials_help}" if spec.credentials_help else hint

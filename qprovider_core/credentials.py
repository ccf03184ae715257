"""Which credentials an account is opened with: arguments, then the environment, then accounts saved with us, then
those that the vendor's own client saved.

`save_account`, `saved_accounts`, `delete_account` and `set_default_account` are what a user calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from qprovider_core._account_store import ARGUMENTS, DEFAULT, ENVIRONMENT, AccountStore, SavedAccount
from qprovider_core._credential_fields import (
    CredentialField,
    GivenFields,
    build_credentials,
    check_names,
    credential_fields,
    environment_fields,
    missing_fields,
)
from qprovider_core._foreign_accounts import ForeignAccounts
from qprovider_core._saved_accounts import delete_account, save_account, saved_accounts, set_default_account
from qprovider_core.errors import (
    AccountsFileError,
    ConfigurationError,
    NoAccountError,
    QProviderError,
    UnknownAccountError,
    failure_text,
)
from qprovider_core.records import AccountRef, ForeignAccount, ProviderSpec

__all__ = [
    "AccountStore",
    "CredentialField",
    "ForeignAccounts",
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

_NOT_NEEDED = "no credentials needed"


@attrs.frozen(kw_only=True)
class ResolvedAccount:
    """An account that may be opened, and why this one.

    Attributes:
        credentials: Object of the provider's credentials class; None when it needs none, or on `error`.
        source: What won: ``arguments``, ``environment (QPROVIDER_IBM_TOKEN)``, ``saved account 'work'``,
            ``account 'work' of`` another client or ``no credentials needed``.
        error: Only from `resolve_all`: why this account cannot be opened. Report it; the others are sound.
    """

    ref: AccountRef
    credentials: Any = attrs.field(repr=False)
    source: str
    error: QProviderError | None = None

    @property
    def needs_nothing(self) -> bool:
        """Whether it is simply there: nobody saved it or set it."""
        return self.source == _NOT_NEEDED


def resolve_account(
    spec: ProviderSpec,
    name: str | None = None,
    fields: Mapping[str, object] | None = None,
    store: AccountStore | None = None,
    foreign: ForeignAccounts | None = None,
) -> ResolvedAccount:
    """The account to open.

    Without a name: `fields` when they are enough by themselves; else the environment's account; else the
    default saved one; else the foreign default; `fields` replace some of its fields. With a name: that saved
    account, else that foreign one, likewise.

    Args:
        name: A saved or a foreign account; ``environment`` for the one that the environment gives.
        fields: Fields given by the caller; None as a value means not given.
        store: Where accounts are saved; the user's own by default.
        foreign: The accounts that the vendor's own client saved; none by default.
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
    foreign = foreign or ForeignAccounts()
    if chosen is not None or not saved:  # of several of our own without a default the user has to choose
        foreign.hide(account.name for account in saved)
        other = foreign.default() if chosen is None else foreign.get(chosen)
        if other is not None:
            return _of_other_client(spec, foreign, other, given)
    if chosen in (None, DEFAULT) and not missing_fields(spec, {}):
        return _overridden(spec, DEFAULT, {}, {}, _NOT_NEEDED, given)
    if chosen is not None:
        raise _unknown(spec, chosen, saved, bool(environment), foreign)
    if given and not saved and not foreign.usable() and foreign.note() is None:
        build_credentials(spec, given)  # names the field that is missing
    raise _no_account(spec, saved, foreign)


def resolve_all(
    spec: ProviderSpec, store: AccountStore | None = None, foreign: ForeignAccounts | None = None
) -> list[ResolvedAccount]:
    """Every account of the provider, for a query over all: the environment's, the saved ones, the foreign ones.

    Of accounts with equal credentials only the first is kept. One that cannot be used is in the list with its
    `error`; of foreign ones only those are in it that can be used, and `foreign.note` tells of the rest.

    Raises:
        AccountsFileError: The accounts file is damaged.
    """
    if spec.credentials is None:
        return [_resolved(spec, DEFAULT, {}, _NOT_NEEDED)]
    found: list[ResolvedAccount] = []
    environment = _environment(spec)
    if environment:
        found.append(_tried(spec, ENVIRONMENT, *environment))
    store, foreign = store or AccountStore(), foreign or ForeignAccounts()
    try:
        saved = store.accounts(spec.name)
    except AccountsFileError as exc:
        if not environment and not foreign.usable():
            raise
        saved = []  # the environment's account needs no file, nor do those of other clients
        found.append(_broken(spec, DEFAULT, "the accounts file", exc))
    for account in sorted(saved, key=lambda account: not account.is_default):
        source = f"saved account {account.name!r}"
        try:
            fields = store.with_secrets(account).fields
        except ConfigurationError as exc:
            found.append(_broken(spec, account.name, source, exc))
            continue
        found.append(_tried(spec, account.name, fields, {}, source))
    foreign.hide(account.name for account in saved)
    found += [_tried(spec, other.name, other.fields, {}, _source_of(other)) for other in foreign.usable()]
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


def _of_other_client(
    spec: ProviderSpec, foreign: ForeignAccounts, account: ForeignAccount, given: Mapping[str, object]
) -> ResolvedAccount:
    """The account that the vendor's own client saved, with the caller's fields in the place of its own."""
    refusal = foreign.refusal(account)
    if refusal is not None:
        raise refusal
    source = _source_of(account)
    try:
        return _overridden(spec, account.name, account.fields, {}, source, given)
    except ConfigurationError as exc:
        # Nobody here typed these fields: say whose they are.
        raise ConfigurationError(f"The {source} cannot be used.", why=failure_text(exc), hint=exc.hint) from None


def _source_of(account: ForeignAccount) -> str:
    return f"account {account.name!r} of {account.source}"


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


def _unknown(
    spec: ProviderSpec, name: str, saved: list[SavedAccount], environment: bool, foreign: ForeignAccounts
) -> UnknownAccountError:
    choices = [account.name for account in saved] + [account.name for account in foreign.usable()]
    choices += [ENVIRONMENT] * environment
    if spec.credentials is None:
        choices = [DEFAULT]
    return UnknownAccountError(
        name,
        choices,
        what=f"{spec.title} has no account {name!r}.",
        why=foreign.note(),
        hint=None if choices else _how_to_add(spec),
    )


def _no_account(spec: ProviderSpec, saved: list[SavedAccount], foreign: ForeignAccounts) -> NoAccountError:
    names = [account.name for account in saved] or [account.name for account in foreign.usable()]
    if names:
        choose = (
            f", or choose with `qprovider accounts default {spec.name} NAME`"
            f" or qp.set_default_account({spec.name!r}, NAME)"
        )
        return NoAccountError(
            f"{spec.title} has several accounts, and none is the default.",
            provider=spec.name,
            why=f"Saved are {', '.join(map(repr, names))}.",
            hint=f"Name one{choose if saved else ''}.",
        )
    return NoAccountError(
        f"There is no account of {spec.title}: no argument, environment variable or saved account.",
        provider=spec.name,
        why=foreign.note(),
        hint=_how_to_add(spec),
    )


def _how_to_add(spec: ProviderSpec) -> str:
    needed = ", ".join(f"{name}=…" for name in missing_fields(spec, {}))
    hint = (
        f"Add one with `qprovider accounts add {spec.name}` or"
        f" qp.save_account({spec.name!r}{', ' if needed else ''}{needed})."
    )
    return f"{hint}\n{spec.credentials_help}" if spec.credentials_help else hint

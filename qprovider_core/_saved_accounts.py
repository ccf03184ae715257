"""What a user calls to save, list and delete accounts; those of other clients are listed, and left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from qprovider_core._account_store import DEFAULT, AccountStore, SavedAccount
from qprovider_core._credential_fields import GivenFields, credential_fields
from qprovider_core._foreign_accounts import ForeignAccounts, listing
from qprovider_core._shown_lists import AccountList
from qprovider_core.errors import QProviderError, UnknownProviderError
from qprovider_core.secret import Secret, get_logger

if TYPE_CHECKING:
    from qprovider_core._plugins import Registry
    from qprovider_core._provider import Provider

_log = get_logger("qprovider.accounts")


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
    """The saved accounts, their secrets masked; those of providers that are not installed, too. After them those
    that vendors' own clients saved, with their `source`.

    Raises:
        UnknownProviderError: Nothing is saved for the provider, and no installed plugin announces it.
        AccountsFileError: The accounts file is damaged.
    """
    accounts = AccountStore().accounts(provider)
    found = [_masked(account) for account in accounts]
    for vendor in _vendors(provider, bool(accounts)):
        others, note = listing(vendor, [account.name for account in accounts if account.provider == vendor.spec.name])
        found += others
        if note is not None:
            _log.warning("%s: %s", vendor.spec.name, note)
    return AccountList(found)


def delete_account(provider: str, name: str = DEFAULT) -> bool:
    """Delete a saved account and its entries in the keyring. False when there is none of that name.

    Raises:
        InvalidInputError: It belongs to the vendor's own client, which deletes it.
        UnknownProviderError: Nothing is saved for the provider, and no installed plugin announces it.
        ConfigurationError: The accounts file is damaged or cannot be written.
    """
    store = AccountStore()
    vendors = _vendors(provider, bool(store.accounts(provider)))
    if store.delete(provider, name):
        return True
    for vendor in vendors:
        ForeignAccounts(vendor).refuse_change(name, "deleted")
    return False


def set_default_account(provider: str, name: str) -> None:
    """Make a saved account the one that is used when none is named.

    Raises:
        UnknownProviderError: Nothing is saved for the provider, and no installed plugin announces it.
        UnknownAccountError: No account of that name is saved.
        InvalidInputError: It belongs to the vendor's own client, and is the default where nothing is saved with us.
        ConfigurationError: The accounts file is damaged or cannot be written.
    """
    store = AccountStore()
    saved = store.accounts(provider)
    vendors = _vendors(provider, bool(saved))
    if all(account.name != name for account in saved):
        for vendor in vendors:
            advice = "Name it when you open it, or save an account of your own and make that the default."
            ForeignAccounts(vendor).refuse_change(name, "made the default", advice)
    store.set_default(provider, name)


def _vendors(provider: str | None, saved: bool) -> list[Provider]:
    """The vendors to ask for accounts of other clients: that one, or all.

    Raises:
        UnknownProviderError: No installed plugin announces it, and nothing is `saved` for it.
    """
    if provider is None:
        return _registry().providers()
    try:
        return [_registry().provider(provider)]
    except UnknownProviderError:
        if not saved:
            raise
        return []


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

"""All accounts at once: who is asked, and what users call.

An answer is never all or nothing: what came in time is in the list, the rest is in `.errors`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from qprovider_core._account import Account
from qprovider_core._credential_fields import GivenFields
from qprovider_core._lanes import query_error, with_several
from qprovider_core._lists import BackendList, QueryError
from qprovider_core._plugins import registry
from qprovider_core._provider import Provider
from qprovider_core._queries import Party, choose_least_busy, open_backend, query_handles, query_records
from qprovider_core.credentials import (
    ForeignAccounts,
    ResolvedAccount,
    resolve_account,
    resolve_all,
    resolve_unsaved,
)
from qprovider_core.criteria import is_pattern, wildcard
from qprovider_core.errors import (
    InvalidInputError,
    NoAccountError,
    QProviderError,
    UnknownAccountError,
    UnknownProviderError,
    failure_text,
)
from qprovider_core.records import BackendInfo
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._backend import Backend

_log = get_logger("qprovider.fleet")

# ------------------------------------------------------------------------------------------- who is asked


class Fleet:
    """The accounts of this process, each opened at most once and kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accounts: dict[tuple[str, str], tuple[Provider, ResolvedAccount, Account]] = {}

    def account(self, vendor: Provider, resolved: ResolvedAccount) -> Account:
        """The account, as it was opened before unless its credentials have changed since."""
        key = (resolved.ref.provider, resolved.ref.name)
        with self._lock:
            kept = self._accounts.get(key)
            if kept is not None and kept[0] is vendor and kept[1] == resolved and not kept[2].closed:
                return kept[2]
            account = Account(vendor, resolved)
            self._accounts[key] = (vendor, resolved, account)
            return account

    def party(self, provider: str | Iterable[str] | None = None, account: str | Iterable[str] | None = None) -> Party:
        """The accounts of these providers and of these names; all when not given.

        Raises:
            UnknownProviderError, UnknownAccountError: A name that nothing has; near matches are named.
        """
        vendors, errors = _vendors(provider)
        accounts: list[Account] = []
        notes: list[str] = []
        told: set[str] = set()
        reticent: list[str] = []
        for vendor in vendors:
            foreign = ForeignAccounts(vendor)
            found, problem = _resolve(vendor, foreign)
            if provider is None and vendor.spec.on_request and any(one.needs_nothing for one in found):
                found = [one for one in found if not one.needs_nothing]
                reticent += [] if found else [vendor.spec.name]
            missing = registry().lack(vendor.spec.name) if found else None  # only who is to be opened has to fit
            if missing is not None:
                errors.append(query_error(vendor.spec.name, None, missing))
                continue
            name, note = vendor.spec.name, foreign.note() if vendor.spec.credentials else None
            without_account = isinstance(problem, NoAccountError) and provider is None
            if note is not None and (found or without_account):  # else the error says it
                notes.append(f"{name}: {note}")
            if without_account:
                notes.append(f"{name}: no account; add one with `qprovider accounts add {name}`")
            elif problem is not None and not (found and problem.what in told):  # the same file: once is enough
                errors.append(query_error(name, None, problem))
                told.add(problem.what)
            for resolved in found:
                if resolved.error is not None:
                    errors.append(query_error(name, resolved.ref.name, resolved.error))
                else:
                    accounts.append(self.account(vendor, resolved))
        if reticent:
            notes.append(f"asked only when named, such as provider={reticent[0]!r}: {', '.join(reticent)}")
        several = with_several(accounts)
        if account is not None:
            accounts = _named(accounts, account)
        return Party(tuple(accounts), tuple(errors), tuple(notes), several)

    def close(self) -> None:
        """Close every account that was opened."""
        with self._lock:
            accounts = [kept[2] for kept in self._accounts.values()]
            self._accounts.clear()
        for account in accounts:
            try:
                account.close()
            except QProviderError as exc:  # the others are to be closed, too
                _log.warning("%s", failure_text(exc))


def _texts(wanted: str | Iterable[str], what: str) -> list[str]:
    """One name or several as a list."""
    names = [wanted] if isinstance(wanted, str) else list(wanted) if isinstance(wanted, Iterable) else [wanted]
    for name in names:
        if not isinstance(name, str):
            raise InvalidInputError(f"{what} takes a name, a pattern, or a list of them, not {name!r}.")
    return names


def _vendors(wanted: str | Iterable[str] | None) -> tuple[list[Provider], list[QueryError]]:
    """The vendors of these names, and rows for those whose plugin was left out."""
    known = {vendor.spec.name: vendor for vendor in registry().providers()}
    left_out = registry().left_out()
    if wanted is None:
        names, broken = list(known), list(left_out)
    else:
        names, broken = [], []
        for name in _texts(wanted, "provider"):
            if is_pattern(name):
                matching = [one for one in (*known, *left_out) if wildcard(name)(one)]
                if not matching:
                    raise UnknownProviderError(name, (*known, *left_out))
                names += [one for one in matching if one in known]
                broken += [one for one in matching if one not in known]
            elif name in known:
                names.append(name)
            elif name in left_out:
                broken.append(name)
            else:
                known[name] = registry().provider(name)  # raises, with near matches or with what is to be installed
                names.append(name)
    errors = [
        QueryError(
            provider=name,
            reason=f"its plugin was left out: {left_out[name].reason}",
            hint=left_out[name].hint,
            error="PluginError",
        )
        for name in broken
    ]
    return [known[name] for name in dict.fromkeys(names)], errors


def _resolve(vendor: Provider, foreign: ForeignAccounts) -> tuple[list[ResolvedAccount], QProviderError | None]:
    """A vendor's accounts, and what is wrong with them as a whole."""
    try:
        found = resolve_all(vendor.spec, foreign=foreign)
        if not found:
            resolve_account(vendor.spec, foreign=foreign)  # raises NoAccountError, which says how to add one
    except NoAccountError as exc:
        return [], exc
    except QProviderError as exc:
        # A damaged accounts file must not hide a vendor that can do without one.
        unsaved = resolve_unsaved(vendor.spec)
        return ([unsaved] if unsaved else []), exc
    return found, None


def _named(accounts: list[Account], wanted: str | Iterable[str]) -> list[Account]:
    names = _texts(wanted, "account")
    known = {account.name for account in accounts}
    for name in names:
        if not any(map(wildcard(name), known)) if is_pattern(name) else name not in known:
            raise UnknownAccountError(name, known)
    tests = [wildcard(name) if is_pattern(name) else name.__eq__ for name in names]
    return [account for account in accounts if any(test(account.name) for test in tests)]


_fleet = Fleet()


def fleet() -> Fleet:
    """The fleet of this process."""
    return _fleet


# ----------------------------------------------------------------------------------------- what users call


def list_backends(
    name: str | Iterable[str] | None = None,
    *,
    provider: str | Iterable[str] | None = None,
    account: str | Iterable[str] | None = None,
    where: str | None = None,
    filters: Callable[[BackendInfo], Any] | None = None,
    timeout: float | None = None,
    vendor_timeout: float | None = None,
    refresh: bool = False,
    stale: bool = False,
    **criteria: Any,
) -> BackendList[BackendInfo]:
    """Records of all backends of all accounts that satisfy the criteria. Does not need Qiskit.

    All accounts are asked at once. What came in time is in the list; `.errors` names who failed to answer and
    why, `.rejected` each backend left out and why.

    Args:
        name: A name, a pattern such as ``ibm_*``, or several.
        provider, account: Ask only these; names, patterns, or several.
        where: A query text, such as ``"num_qubits >= 20 and not simulator"``.
        filters: A function of one record that says whether to keep it.
        timeout: Seconds for the whole query; vendor_timeout: for each account. Default: 30, or QPROVIDER_TIMEOUT.
        refresh: Ask the vendors even where what they told before still holds; see `use_cache`.
        stale: Where a vendor does not answer, give what it told before, however old; `.notes` and `.ages_s` say so,
            and `.errors` still names it.
        criteria: Any attribute, such as ``num_qubits=27``, ``min_num_qubits=5``, ``simulator=False``,
            ``operational=True``, ``basis_gates="cx"``; see `qprovider_core.criteria.keyword_criterion`.
    Raises:
        InvalidInputError: A name or value that cannot be used, before anybody is asked.
    """
    party = _fleet.party(provider, account)
    return query_records(
        party.accounts,
        name=name,
        where=where,
        filters=filters,
        party=party,
        timeout=timeout,
        vendor_timeout=vendor_timeout,
        refresh=refresh,
        stale=stale,
        **criteria,
    )


def backends(
    name: str | Iterable[str] | None = None,
    *,
    provider: str | Iterable[str] | None = None,
    account: str | Iterable[str] | None = None,
    where: str | None = None,
    filters: Callable[[Backend], Any] | None = None,
    timeout: float | None = None,
    vendor_timeout: float | None = None,
    refresh: bool = False,
    stale: bool = False,
    **criteria: Any,
) -> BackendList[Backend]:
    """Handles of all backends of all accounts that satisfy the criteria; arguments as in `list_backends`,
    with `filters` a function of the handle."""
    party = _fleet.party(provider, account)
    return query_handles(
        party.accounts,
        name=name,
        where=where,
        filters=filters,
        party=party,
        timeout=timeout,
        vendor_timeout=vendor_timeout,
        refresh=refresh,
        stale=stale,
        **criteria,
    )


def least_busy(
    backends: Iterable[Any] | None = None,
    *,
    provider: str | Iterable[str] | None = None,
    account: str | Iterable[str] | None = None,
    **criteria: Any,
) -> Any:
    """The backend with the shortest queue: of `backends` (handles or records), or of all that satisfy the criteria.

    Unknown queues sort last and ties go by name; paused and non-operational backends are never taken, nor those
    whose status cannot be had. `timeout`, `vendor_timeout`, `refresh` and `stale` are as in `list_backends`.

    Raises:
        NoMatchingBackendError: None is left; `.reasons` says why for each.
    """
    if backends is not None:
        return choose_least_busy((), backends, provider=provider, account=account, **criteria)
    party = _fleet.party(provider, account)
    return choose_least_busy(party.accounts, None, party=party, **criteria)


def get_backend(
    name: str, *, timeout: float | None = None, instance: str | None = None, refresh: bool = False
) -> Backend:
    """Open the backend of that name: ``provider:name``, with ``account/`` in front or ``@instance`` behind where
    that is needed. A bare name works while it is unique.

    Args:
        timeout: Seconds for all of it.
        instance: Name or id of the account's place that offers it.
        refresh: Ask for its list and its configuration even where what was told before still holds.
    Raises:
        UnknownBackendError: There is none, or several; the error lists the choices.
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidInputError(
            f"A backend's name is a text such as 'local:aer_simulator', not {name!r}.",
            hint="See them all with `qprovider backends`.",
        )
    account, provider, bare = _parse_name(name.strip())
    party = _fleet.party(provider, account)
    return open_backend(party.accounts, bare, instance=instance, party=party, timeout=timeout, refresh=refresh)


def _parse_name(name: str) -> tuple[str | None, str | None, str]:
    """``account/provider:name`` in parts. Vendors' names may hold colons and slashes themselves."""
    head, colon, rest = name.partition(":")
    account, slash, provider = head.rpartition("/")
    known = {vendor.spec.name for vendor in registry().providers()} | set(registry().left_out())
    if colon and provider in known:
        return (account if slash else None), provider, rest
    if colon and provider.isidentifier() and rest and ":" not in rest:
        registry().provider(provider)  # raises, with near matches
    return None, None, name


def open_account(provider: str, name: str | None = None, **fields: Any) -> Account:
    """Open an account and return it.

    Credentials come from `fields`, else from the environment, else from the saved account (`name`, or the default
    one), else from what the vendor's own client saved; `Account.source` says which.

    Args:
        provider: The vendor's name, such as ``ibm``.
        fields: The fields of the vendor's account, such as ``token="…"``.
    Raises:
        UnknownProviderError, UnknownAccountError, UnknownOptionError: A name that nothing has.
        NoAccountError: There is nothing to sign in with.
        AuthenticationError: The vendor refused the credentials.
    """
    given = GivenFields(fields)
    fields.clear()  # no local variable of ours shall show a secret in a traceback
    vendor = registry().provider(provider)
    resolved = resolve_account(vendor.spec, name=name, fields=given, foreign=ForeignAccounts(vendor))
    return Account(vendor, resolved).open()

"""All accounts at once: who is asked, and what users call.

An answer is never all or nothing: what came in time is in the list, the rest is in `.errors`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import config
from qprovider_core._account import Account, failure_text
from qprovider_core._lanes import Answer, ask, query_error, with_several
from qprovider_core._lists import BackendList, QueryError
from qprovider_core._plugins import Provider, registry
from qprovider_core.credentials import ResolvedAccount, resolve_account, resolve_all, resolve_unsaved
from qprovider_core.errors import (
    InvalidInputError,
    NoAccountError,
    QProviderError,
    UnknownAccountError,
    UnknownBackendError,
    UnknownProviderError,
    near_matches,
)
from qprovider_core.query import BackendQuery, Rejections, View, is_pattern, wildcard
from qprovider_core.records import BackendInfo
from qprovider_core.secret import get_logger
from qprovider_core.selection import least_busy_info, nothing_runs, pick

if TYPE_CHECKING:
    from qprovider_core._backend import Backend

_log = get_logger("qprovider.fleet")

# ------------------------------------------------------------------------------------------- who is asked


@attrs.frozen
class _Party:
    """The accounts that a query asks, and what is to be said about those that it cannot ask."""

    accounts: tuple[Account, ...]
    errors: tuple[QueryError, ...] = ()
    notes: tuple[str, ...] = ()
    several: frozenset[str] = frozenset()


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

    def party(self, provider: str | Iterable[str] | None = None, account: str | Iterable[str] | None = None) -> _Party:
        """The accounts of these providers and of these names; all when not given.

        Raises:
            UnknownProviderError, UnknownAccountError: A name that nothing has; near matches are named.
        """
        vendors, errors = _vendors(provider)
        accounts: list[Account] = []
        notes: list[str] = []
        for vendor in vendors:
            found, problem = _resolve(vendor)
            if isinstance(problem, NoAccountError) and provider is None:
                name = vendor.spec.name
                notes.append(f"{name}: no account; add one with `qprovider accounts add {name}`")
            elif problem is not None:
                errors.append(query_error(vendor.spec.name, None, problem))
            for resolved in found:
                if resolved.error is not None:
                    errors.append(query_error(vendor.spec.name, resolved.ref.name, resolved.error))
                else:
                    accounts.append(self.account(vendor, resolved))
        several = with_several(accounts)
        if account is not None:
            accounts = _named(accounts, account)
        return _Party(tuple(accounts), tuple(errors), tuple(notes), several)

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
                registry().provider(name)  # raises, with near matches
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


def _resolve(vendor: Provider) -> tuple[list[ResolvedAccount], QProviderError | None]:
    """A vendor's accounts, and what is wrong with them as a whole."""
    try:
        found = resolve_all(vendor.spec)
        if not found:
            resolve_account(vendor.spec)  # raises NoAccountError, which says how to add one
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


# ------------------------------------------------------------------------------------- answers as lists


def _prepare(accounts: Iterable[Account], name: Any, where: str | None, criteria: dict[str, Any]) -> BackendQuery:
    extra_fields = {field for account in accounts for field in account.spec.extra_fields}
    return BackendQuery.build(where=where, extra_fields=extra_fields, name=name, **criteria)


def _check_filters(test: Any) -> None:
    if test is not None and not callable(test):
        raise InvalidInputError(
            f"filters takes a function of one backend, not {test!r}.",
            hint="Write filters=lambda backend: backend.num_qubits > 5.",
        )


def _split(criteria: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `ask` out of a user's."""
    return {key: criteria.pop(key, None) for key in ("timeout", "vendor_timeout")}


def query_records(
    accounts: Sequence[Account],
    *,
    name: Any = None,
    where: str | None = None,
    filters: Callable[[BackendInfo], Any] | None = None,
    party: _Party | None = None,
    refresh: bool = False,
    **criteria: Any,
) -> BackendList[BackendInfo]:
    """The records of these accounts' backends that satisfy the criteria."""
    limits = _split(criteria)
    _check_filters(filters)
    query = _prepare(accounts, name, where, criteria)
    answer = ask(accounts, query, several=party.several if party else None, **limits)
    return _listed([view.info for _, view in answer.found()], answer, query, filters, party)


def query_handles(
    accounts: Sequence[Account],
    *,
    name: Any = None,
    where: str | None = None,
    filters: Callable[[Any], Any] | None = None,
    party: _Party | None = None,
    refresh: bool = False,
    **criteria: Any,
) -> BackendList[Backend]:
    """Handles of these accounts' backends that satisfy the criteria."""
    limits = _split(criteria)
    _check_filters(filters)
    query = _prepare(accounts, name, where, criteria)
    answer = ask(accounts, query, several=party.several if party else None, **limits)
    handles, broken = _handles(answer)
    answer = attrs.evolve(answer, errors=(*answer.errors, *broken))
    return _listed(handles, answer, query, filters, party)


def _listed(
    found: list[Any],
    answer: Answer,
    query: BackendQuery,
    filters: Callable[[Any], Any] | None,
    party: _Party | None,
) -> BackendList[Any]:
    return BackendList(
        found if filters is None else _filtered(found, filters, answer.rejected),
        errors=[*(party.errors if party else ()), *answer.errors],
        notes=party.notes if party else (),
        as_of=answer.as_of,
        rejected=answer.rejected,
        requests=answer.requests,
        query=str(query),
    )


def _filtered(found: list[Any], test: Callable[[Any], Any], rejected: Rejections) -> list[Any]:
    """Apply the user's own predicate. One that fails on a backend rejects it, for some report less than others;
    one that fails on every backend is a mistake of its own, and raised."""
    kept = []
    failures: list[Exception] = []
    for item in found:
        info = item if isinstance(item, BackendInfo) else item.info
        try:
            passed = test(item)
        except Exception as exc:  # noqa: BLE001  the user's own function may raise anything
            failures.append(exc)
            rejected.add(f"the filter raised {failure_text(exc)}", "", [info])
            continue
        if passed:
            kept.append(item)
        else:
            rejected.add("the filter said no", "", [info])
    if failures and len(failures) == len(found):
        raise InvalidInputError(
            f"The filter failed on every backend: {failure_text(failures[0])}.",
            hint="Correct the function given as filters=.",
        ) from failures[0]
    return kept


def _handles(answer: Answer) -> tuple[list[Backend], list[QueryError]]:
    """Handles of all that were found. A vendor whose own class cannot be used costs its backends only."""
    handles: list[Backend] = []
    broken: dict[int, QueryError] = {}
    for account, view in answer.found():
        if id(account) in broken:
            continue
        try:
            handles.append(_handle(account, view, answer.as_of))
        except Exception as exc:  # noqa: BLE001  a vendor's class may raise anything
            broken[id(account)] = query_error(account.provider, account.name, exc)
    return handles, list(broken.values())


def _handle(account: Account, view: View, as_of: datetime) -> Backend:
    from qprovider_core._backend import make_backend  # late: handles need Qiskit

    return make_backend(account, view, as_of)


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
        refresh: Ask the vendors even where a cached answer would do.
        criteria: Any attribute, such as ``num_qubits=27``, ``min_num_qubits=5``, ``simulator=False``,
            ``operational=True``, ``basis_gates="cx"``; see `qprovider_core.query.keyword_criterion`.
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
    whose status cannot be had.

    Raises:
        NoMatchingBackendError: None is left; `.reasons` says why for each.
    """
    if backends is not None:
        return choose_least_busy((), backends, provider=provider, account=account, **criteria)
    party = _fleet.party(provider, account)
    return choose_least_busy(party.accounts, None, party=party, **criteria)


def choose_least_busy(
    accounts: Sequence[Account],
    backends: Iterable[Any] | None,
    *,
    name: Any = None,
    where: str | None = None,
    filters: Callable[[Any], Any] | None = None,
    party: _Party | None = None,
    refresh: bool = False,
    **criteria: Any,
) -> Any:
    """See `least_busy`; among these accounts."""
    limits = _split(criteria)
    if backends is not None:
        if any(given is not None for given in (name, where, filters, *criteria.values())):
            raise InvalidInputError(
                "least_busy takes a list of backends or criteria, not both.",
                hint="Filter first: least_busy(backends(min_num_qubits=5)).",
            )
        return _least_busy_of(backends, **limits)
    _check_filters(filters)
    query = _prepare(accounts, name, where, criteria)
    answer = ask(accounts, query, running=True, several=party.several if party else None, **limits)
    found = list(answer.found())
    if filters is not None and found:
        handles = [_handle(account, view, answer.as_of) for account, view in found]
        kept = {id(handle) for handle in _filtered(handles, filters, answer.rejected)}
        found = [pair for pair, handle in zip(found, handles, strict=True) if id(handle) in kept]
    if not found:
        errors = [str(error) for error in (*(party.errors if party else ()), *answer.errors)]
        raise nothing_runs({one.name: one.reason for one in answer.rejected}, errors)
    best = pick([view for _, view in found])
    account = next(account for account, view in found if view is best)
    return _handle(account, best, answer.as_of)


def _least_busy_of(backends: Iterable[Any], timeout: float | None, vendor_timeout: float | None) -> Any:
    """Among a list of records, of handles, or of any objects with a name and a `status()`."""
    if not isinstance(backends, Iterable):
        raise InvalidInputError(
            f"least_busy takes a list of backends, not {backends!r}.", hint="Pass a list from backends(…)."
        )
    items = list(backends)
    if not items and isinstance(backends, BackendList):  # it knows why it is empty
        raise nothing_runs({one.name: one.reason for one in backends.rejected}, map(str, backends.errors))
    records = [item for item in items if isinstance(item, BackendInfo)]
    if len(records) == len(items):
        return least_busy_info(records)
    from qprovider_core._backend import least_busy_handle  # late: handles need Qiskit

    return least_busy_handle(items, config.timeout_s(timeout if vendor_timeout is None else vendor_timeout))


def get_backend(name: str, *, timeout: float | None = None, instance: str | None = None) -> Backend:
    """Open the backend of that name: ``provider:name``, with ``account/`` in front or ``@instance`` behind where
    that is needed. A bare name works while it is unique.

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
    return open_backend(party.accounts, bare, instance=instance, party=party, timeout=timeout)


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


def open_backend(
    accounts: Sequence[Account],
    name: str,
    *,
    instance: str | None = None,
    party: _Party | None = None,
    timeout: float | None = None,
) -> Backend:
    """The one backend of that name among these accounts, with its configuration fetched."""
    answer = ask(accounts, BackendQuery(), timeout=timeout, several=party.several if party else None)
    matches = _matching(answer.found(), name, instance)
    if not matches and instance is None and "@" in name:
        bare, _, instance = name.rpartition("@")
        matches = _matching(answer.found(), bare, instance)
    problems = [str(error) for error in (*(party.errors if party else ()), *answer.errors)]
    if len(matches) == 1:
        account, view = matches[0]
        handle = _handle(account, view, answer.as_of)
        handle.configuration()
        return handle
    if matches:
        choices = [view.info.full_name for _, view in matches]
        raise UnknownBackendError(
            name,
            choices,
            what=f"Several backends are called {name!r}.",
            hint="Say which one: " + ", ".join(choices),
        )
    full_names = {view.info.name: view.info.full_name for _, view in answer.found()}
    close = [full_names[bare] for bare in near_matches(name, full_names)]
    raise UnknownBackendError(
        name,
        full_names.values(),
        why="\n".join(problems) or None,
        hint=f"Did you mean {' or '.join(close)}?" if close else None,
    )


def _matching(found: Iterable[tuple[Account, View]], name: str, instance: str | None) -> list[tuple[Account, View]]:
    return [
        (account, view)
        for account, view in found
        if view.info.name == name and (instance is None or view.info.instance == instance)
    ]


def open_account(provider: str, name: str | None = None, **fields: Any) -> Account:
    """Open an account and return it.

    Credentials come from `fields`, else from the environment, else from the saved account (`name`, or the default
    one); `Account.source` says which.

    Args:
        provider: The vendor's name, such as ``ibm``.
        fields: The fields of the vendor's account, such as ``token="…"``.
    Raises:
        UnknownProviderError, UnknownAccountError, UnknownOptionError: A name that nothing has.
        NoAccountError: There is nothing to sign in with.
        AuthenticationError: The vendor refused the credentials.
    """
    vendor = registry().provider(provider)
    return Account(vendor, resolve_account(vendor.spec, name=name, fields=fields or None)).open()

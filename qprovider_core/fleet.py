"""All accounts at once: who is asked, concurrently, until when, and what came of it.

An answer is never all or nothing: what came in time is in the list, the rest is in `.errors`.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import config
from qprovider_core._account import Account, failure_text
from qprovider_core._concurrency import in_background
from qprovider_core._lists import BackendList, QueryError
from qprovider_core._plugins import Provider, registry
from qprovider_core.attributes import FACET_HOOKS
from qprovider_core.credentials import ResolvedAccount, resolve_account, resolve_all
from qprovider_core.errors import (
    AccountsFileError,
    InvalidInputError,
    NoAccountError,
    QProviderError,
    UnknownAccountError,
    UnknownBackendError,
)
from qprovider_core.query import BackendQuery, Rejected, View, is_pattern, sift, sift_views, wildcard
from qprovider_core.records import BackendInfo, Deadline
from qprovider_core.selection import RUNS, least_busy_info, nothing_runs, pick

if TYPE_CHECKING:
    from qprovider_core._backend import Backend

# A lane that is fetching facets ends itself at its deadline; this is how long its answer may take to arrive.
_GRACE_S = 0.05
_RENAMED = frozenset({"provider", "account", "full_name"})


# ------------------------------------------------------------------------------------------- who is asked


@attrs.frozen
class _Party:
    """The accounts that a query asks, and what is to be said about those that it cannot ask."""

    accounts: tuple[Account, ...]
    errors: tuple[QueryError, ...] = ()
    notes: tuple[str, ...] = ()


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
            if kept is not None and kept[0] is vendor and kept[1] == resolved:
                return kept[2]
            account = Account(vendor, resolved)
            self._accounts[key] = (vendor, resolved, account)
            return account

    def party(
        self, provider: str | Iterable[str] | None = None, account: str | Iterable[str] | None = None
    ) -> _Party:
        """The accounts of these providers and of these names; all when not given.

        Raises:
            UnknownProviderError, UnknownAccountError: A name that nothing has; near matches are named.
        """
        vendors, errors = _vendors(provider)
        accounts: list[Account] = []
        notes: list[str] = []
        for vendor in vendors:
            try:
                found = _resolve(vendor)
            except NoAccountError as exc:
                found = []
                if provider is None:
                    notes.append(f"{vendor.spec.name}: no account. {exc.hint or ''}".rstrip())
                else:
                    errors.append(_error(vendor.spec.name, None, exc))
            except QProviderError as exc:
                found = []
                errors.append(_error(vendor.spec.name, None, exc))
            accounts += [self.account(vendor, resolved) for resolved in found]
        if account is not None:
            accounts = _named(accounts, account)
        return _Party(tuple(accounts), tuple(errors), tuple(notes))

    def close(self) -> None:
        """Close every account that was opened."""
        with self._lock:
            accounts = [kept[2] for kept in self._accounts.values()]
            self._accounts.clear()
        for account in accounts:
            account.close()


def _vendors(wanted: str | Iterable[str] | None) -> tuple[list[Provider], list[QueryError]]:
    """The vendors of these names, and rows for those whose plugin was left out."""
    known = {vendor.spec.name: vendor for vendor in registry().providers()}
    left_out = registry().left_out()
    if wanted is None:
        names, broken = list(known), list(left_out)
    else:
        names, broken = [], []
        for name in [wanted] if isinstance(wanted, str) else wanted:
            if is_pattern(name):
                names += [one for one in known if wildcard(name)(one)]
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


def _resolve(vendor: Provider) -> list[ResolvedAccount]:
    try:
        found = resolve_all(vendor.spec)
    except AccountsFileError:
        # A damaged file must not hide a vendor that needs nothing of it; for the others it is reported.
        if vendor.spec.credentials is not None:
            raise
        found = [resolve_account(vendor.spec)]
    if not found:
        resolve_account(vendor.spec)  # raises NoAccountError, which says how to add one
    return found


def _named(accounts: list[Account], wanted: str | Iterable[str]) -> list[Account]:
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    known = {account.name for account in accounts}
    for name in names:
        if not is_pattern(name) and name not in known:
            raise UnknownAccountError(name, known)
    tests = [wildcard(name) if is_pattern(name) else name.__eq__ for name in names]
    return [account for account in accounts if any(test(account.name) for test in tests)]


def _error(
    provider: str, account: str | None, exc: BaseException, elapsed_s: float | None = None
) -> QueryError:
    return QueryError(
        provider=provider,
        account=account,
        reason=failure_text(exc),
        hint=exc.hint if isinstance(exc, QProviderError) else None,
        elapsed_s=elapsed_s,
        error=type(exc).__name__,
    )


_fleet = Fleet()


def fleet() -> Fleet:
    """The fleet of this process."""
    return _fleet


# ------------------------------------------------------------------------------------------- one account's lane


@attrs.define
class _Lane:
    """What one account answered to a query."""

    account: Account
    views: list[View] = attrs.field(factory=list)
    rejected: list[Rejected] = attrs.field(factory=list)
    errors: list[QueryError] = attrs.field(factory=list)
    requests: Counter[str] = attrs.field(factory=Counter)


def _run_lane(account: Account, query: BackendQuery, deadline: Deadline, running: bool, prefix: str) -> _Lane:
    """List, leave out what is garbage, sift, and stamp what is left."""
    started = time.monotonic()
    lane = _Lane(account)
    lane.requests["info"] += 1
    sound = _sound(lane, account.fetch_list(deadline), prefix)
    touched = {attribute.name for criterion in query.criteria for attribute in criterion.attributes()}
    if touched & _RENAMED:  # rare: else only the survivors are worth stamping
        sound = [_stamp(info, account, prefix) for info in sound]
    available = {facet for facet, hook in FACET_HOOKS.items() if account.supports(hook)}
    fetch = partial(_fetch, lane, deadline=deadline, started=started)
    lane.views, lane.rejected[len(lane.rejected) :] = sift(query, sound, fetch, available, prefix)
    for view in lane.views:
        view.info = _stamp(view.info, account, prefix)
    _tell_apart(lane.views)
    if running:
        lane.views, busy = sift_views([RUNS], lane.views, fetch, prefix)
        lane.rejected += busy
    return lane


def _sound(lane: _Lane, listed: Sequence[Any], prefix: str) -> list[BackendInfo]:
    """The records that can be used; the others are rejected one by one, and the vendor's row says so."""
    sound: list[BackendInfo] = []
    seen: set[tuple[str, str | None]] = set()
    bad: list[Rejected] = []
    for record in listed:
        if not isinstance(record, BackendInfo):
            what = f"not a BackendInfo but a {type(record).__name__}"
            bad.append(Rejected(BackendInfo(name="(unreadable)"), f"{prefix}(unreadable)", what))
            continue
        flaw = record.flaws()
        key = (record.name, record.instance)
        if flaw is None and key in seen:
            flaw = "listed twice; the first one counts"
        if flaw is None:
            seen.add(key)
            sound.append(record)
        else:
            shown = record.name[:40] if isinstance(record.name, str) and record.name else "(unnamed)"
            bad.append(Rejected(record, prefix + shown, flaw))
    if bad:
        lane.rejected += bad
        first = bad[0]
        count = "one backend" if len(bad) == 1 else f"{len(bad)} backends"
        lane.errors.append(
            QueryError(
                provider=lane.account.provider,
                account=lane.account.name,
                reason=f"{count} left out as unusable; {first.name.removeprefix(prefix)}: {first.reason}",
                error="ResponseError",
            )
        )
    return sound


def _stamp(info: BackendInfo, account: Account, prefix: str) -> BackendInfo:
    return attrs.evolve(
        info, provider=account.provider, account=account.name, full_name=f"{prefix}{info.name}"
    )


def _tell_apart(views: list[View]) -> None:
    """Put the instance behind names that live in several."""
    names = Counter(view.info.name for view in views)
    for view in views:
        if names[view.info.name] > 1 and view.info.instance:
            view.info = attrs.evolve(view.info, full_name=f"{view.info.full_name}@{view.info.instance}")


def _fetch(lane: _Lane, facet: str, views: Sequence[View], *, deadline: Deadline, started: float) -> None:
    """Put a facet into each view; one that fails or is late costs that backend only."""
    account = lane.account
    lane.requests[facet] += len(views)
    answers = account.fetch_each(FACET_HOOKS[facet], [view.info.ref for view in views], deadline)
    late = 0
    for position, view in enumerate(views):
        future = answers.get(position)
        exc: BaseException | None = future.exception() if future is not None else None
        if future is None:
            late += 1
            view.failures[facet] = f"its {facet} did not come in time"
        elif exc is not None:
            view.failures[facet] = f"its {facet} could not be had: {failure_text(exc)}"
        setattr(view, facet, None if future is None or exc is not None else future.result())
    if late:
        waited = time.monotonic() - started
        reason = f"the {facet} of {late} of its backends did not come within {waited:.2g} s"
        lane.errors.append(
            QueryError(
                provider=account.provider,
                account=account.name,
                reason=reason,
                hint="Allow more time with timeout=.",
                elapsed_s=waited,
                error="DeadlineError",
            )
        )


# --------------------------------------------------------------------------------------------- all of them


@attrs.frozen
class _Answer:
    found: tuple[tuple[Account, View], ...]
    errors: tuple[QueryError, ...]
    rejected: tuple[Rejected, ...]
    requests: Counter[str]
    as_of: datetime


def _ask(
    accounts: Sequence[Account],
    query: BackendQuery,
    *,
    timeout: float | None,
    vendor_timeout: float | None = None,
    running: bool = False,
) -> _Answer:
    """Ask all accounts side by side; each has `vendor_timeout` seconds, all together `timeout`."""
    total_s = config.timeout_s(timeout)
    each_s = total_s if vendor_timeout is None else min(total_s, config.timeout_s(vendor_timeout))
    as_of, started = datetime.now(UTC), time.monotonic()
    deadline = Deadline.after(each_s)
    several = {name for name, n in Counter(account.provider for account in accounts).items() if n > 1}
    lanes: list[tuple[Account, Future[_Lane]]] = []
    for account in accounts:
        prefix = f"{account.name}/" if account.provider in several else ""
        work = partial(_run_lane, account, query, deadline, running, f"{prefix}{account.provider}:")
        lanes.append((account, in_background(work, f"{account.label}-query")))
    found: list[tuple[Account, View]] = []
    errors: list[QueryError] = []
    rejected: list[Rejected] = []
    requests: Counter[str] = Counter()
    for account, future in lanes:
        try:
            exc = future.exception(timeout=deadline.remaining_s() + _GRACE_S)
        except TimeoutError:
            elapsed = time.monotonic() - started
            errors.append(
                QueryError(
                    provider=account.provider,
                    account=account.name,
                    reason=f"no answer within {each_s:g} s",
                    hint="Allow more time with timeout=, or leave it out with provider=.",
                    elapsed_s=elapsed,
                    error="DeadlineError",
                )
            )
            continue
        if exc is not None:
            errors.append(_error(account.provider, account.name, exc, time.monotonic() - started))
            continue
        lane = future.result()
        found += [(account, view) for view in lane.views]
        errors += lane.errors
        rejected += lane.rejected
        requests += lane.requests
    return _Answer(tuple(found), tuple(errors), tuple(rejected), requests, as_of)


def _prepare(
    accounts: Iterable[Account], name: Any, where: str | None, criteria: dict[str, Any]
) -> BackendQuery:
    extra_fields = {field for account in accounts for field in account.spec.extra_fields}
    return BackendQuery.build(where=where, extra_fields=extra_fields, name=name, **criteria)


def _split(criteria: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `_ask` out of a user's."""
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
    query = _prepare(accounts, name, where, criteria)
    answer = _ask(accounts, query, **limits)
    return _listed([(view.info, view.info) for _, view in answer.found], answer, query, filters, party)


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
    query = _prepare(accounts, name, where, criteria)
    answer = _ask(accounts, query, **limits)
    made = [(_handle(account, view, answer.as_of), view.info) for account, view in answer.found]
    return _listed(made, answer, query, filters, party)


def _listed(
    found: list[tuple[Any, BackendInfo]],
    answer: _Answer,
    query: BackendQuery,
    filters: Callable[[Any], Any] | None,
    party: _Party | None,
) -> BackendList[Any]:
    kept, dropped = _filtered(found, filters) if filters is not None else ([item for item, _ in found], [])
    return BackendList(
        kept,
        errors=[*(party.errors if party else ()), *answer.errors],
        notes=party.notes if party else (),
        as_of=answer.as_of,
        rejected=[*answer.rejected, *dropped],
        requests=answer.requests,
        query=str(query),
    )


def _filtered(
    found: list[tuple[Any, BackendInfo]], test: Callable[[Any], Any]
) -> tuple[list[Any], list[Rejected]]:
    """Apply the user's own predicate. One that fails on a backend rejects it, for some report less than others;
    one that fails on every backend is a mistake of its own, and raised."""
    if not callable(test):
        raise InvalidInputError(
            f"filters takes a function of one backend, not {test!r}.",
            hint="Write filters=lambda backend: backend.num_qubits > 5.",
        )
    kept, dropped = [], []
    failure: Exception | None = None
    for item, info in found:
        try:
            if test(item):
                kept.append(item)
            else:
                dropped.append(Rejected(info, info.full_name, "the filter said no"))
        except Exception as exc:  # noqa: BLE001  the user's own function may raise anything
            failure = exc
            dropped.append(Rejected(info, info.full_name, f"the filter raised {failure_text(exc)}"))
    if failure is not None and not kept and len(dropped) == len(found):
        raise InvalidInputError(
            f"The filter failed on every backend: {failure_text(failure)}.",
            hint="Correct the function given as filters=.",
        ) from failure
    return kept, dropped


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
        if provider is not None or account is not None or criteria:
            raise InvalidInputError(
                "least_busy takes a list of backends or criteria, not both.",
                hint="Filter first: least_busy(backends(min_num_qubits=5)).",
            )
        return choose_least_busy((), backends)
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
    if backends is not None:
        return _least_busy_of(backends, **_split(criteria))
    limits = _split(criteria)
    query = _prepare(accounts, name, where, criteria)
    answer = _ask(accounts, query, running=True, **limits)
    found, rejected = answer.found, list(answer.rejected)
    if filters is not None and found:
        handles = [(_handle(account, view, answer.as_of), view.info) for account, view in found]
        kept, dropped = _filtered(handles, filters)
        rejected += dropped
        found = tuple(pair for pair, (h, _) in zip(found, handles, strict=True) if any(h is k for k in kept))
    if not found:
        errors = [str(error) for error in (*(party.errors if party else ()), *answer.errors)]
        raise nothing_runs({one.name: one.reason for one in rejected}, errors)
    best = pick([view for _, view in found])
    account = next(account for account, view in found if view is best)
    return _handle(account, best, answer.as_of)


def _least_busy_of(backends: Iterable[Any], timeout: float | None, vendor_timeout: float | None) -> Any:
    """Among a list of records, of handles, or of any objects with a name and a `status()`."""
    items = list(backends)
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
    answer = _ask(accounts, BackendQuery(), timeout=timeout)
    matches = _matching(answer.found, name, instance)
    if not matches and instance is None and "@" in name:
        bare, _, instance = name.rpartition("@")
        matches = _matching(answer.found, bare, instance)
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
    everything = [view.info.full_name for _, view in answer.found]
    bare_names = [view.info.name for _, view in answer.found]
    raise UnknownBackendError(
        name, [*everything, *bare_names] if not everything else everything, why="\n".join(problems) or None
    )


def _matching(
    found: Iterable[tuple[Account, View]], name: str, instance: str | None
) -> list[tuple[Account, View]]:
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

"""What can be asked of some accounts: records, handles, the least busy, one backend. `fleet` asks all of them,
an `Account` only itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import config
from qprovider_core._answers import Answer, Limits, Watcher, ask
from qprovider_core._collector import collector_paused
from qprovider_core._lanes import query_error
from qprovider_core._lists import BackendList, QueryError
from qprovider_core._native import load_qiskit
from qprovider_core.errors import (
    InvalidInputError,
    QProviderError,
    UnknownBackendError,
    failure_text,
    near_matches,
)
from qprovider_core.query import BackendQuery, Rejections
from qprovider_core.records import BackendInfo, Deadline
from qprovider_core.selection import least_busy_info, nothing_runs, pick
from qprovider_core.views import View

if TYPE_CHECKING:
    from qprovider_core._account import Account
    from qprovider_core._backend import Backend


_LIMITS = tuple(field.name for field in attrs.fields(Limits))
_SHORTEST_S = 0.001  # a wait that may find its answer there already


@attrs.frozen
class Party:
    """The accounts that a query asks, and what is to be said about those that it cannot ask."""

    accounts: tuple[Account, ...]
    errors: tuple[QueryError, ...] = ()
    notes: tuple[str, ...] = ()
    several: frozenset[str] = frozenset()


def _prepare(accounts: Iterable[Account], name: Any, where: str | None, criteria: dict[str, Any]) -> BackendQuery:
    extra_fields = {field for account in accounts for field in account.spec.extra_fields}
    return BackendQuery.build(where=where, extra_fields=extra_fields, name=name, **criteria)


def _check_filters(test: Any) -> None:
    if test is not None and not callable(test):
        raise InvalidInputError(
            f"filters takes a function of one backend, not {test!r}.",
            hint="Write filters=lambda backend: backend.num_qubits > 5.",
        )


def _limits(criteria: dict[str, Any]) -> Limits:
    """What a user says of time and of remembered answers, taken out of the keyword arguments."""
    given = {name: criteria.pop(name, None) for name in _LIMITS}
    return Limits(**{name: value for name, value in given.items() if value is not None})


def query_records(
    accounts: Sequence[Account],
    *,
    name: Any = None,
    where: str | None = None,
    filters: Callable[[BackendInfo], Any] | None = None,
    party: Party | None = None,
    watcher: Watcher | None = None,
    **criteria: Any,
) -> BackendList[BackendInfo]:
    """The records of these accounts' backends that satisfy the criteria; the fields of `Limits` are arguments, too."""
    limits = _limits(criteria)
    _check_filters(filters)
    query = _prepare(accounts, name, where, criteria)
    answer = ask(accounts, query, limits, several=party.several if party else None, watcher=watcher)
    return _listed([view.info for _, view in answer.found()], answer, query, filters, party)


def query_handles(
    accounts: Sequence[Account],
    *,
    name: Any = None,
    where: str | None = None,
    filters: Callable[[Any], Any] | None = None,
    party: Party | None = None,
    raising: bool = False,
    **criteria: Any,
) -> BackendList[Backend]:
    """Handles of these accounts' backends that satisfy the criteria.

    Args:
        raising: Whether what went wrong is raised, rather than told in `.errors`, where no account answered.
    """
    limits = _limits(criteria)
    _check_filters(filters)
    query = _prepare(accounts, name, where, criteria)
    answer = ask(accounts, query, limits, several=party.several if party else None)
    if raising and answer.failures and not answer.lanes:
        raise answer.failures[0]
    made, broken = _handles(answer)
    answer = attrs.evolve(answer, errors=(*answer.errors, *broken))
    return _listed([handle for _, handle in made], answer, query, filters, party)


def _listed(
    found: list[Any],
    answer: Answer,
    query: BackendQuery,
    filters: Callable[[Any], Any] | None,
    party: Party | None,
) -> BackendList[Any]:
    return BackendList(
        found if filters is None else _filtered(found, filters, answer.rejected),
        errors=[*(party.errors if party else ()), *answer.errors],
        notes=[*(party.notes if party else ()), *answer.notes],
        as_of=answer.as_of,
        rejected=answer.rejected,
        requests=answer.requests,
        remembered=answer.remembered,
        costs=answer.costs,
        ages_s=answer.ages_s,
        query=query,
    )


def _filtered(found: list[Any], test: Callable[[Any], Any], rejected: Rejections) -> list[Any]:
    """Apply the user's own predicate. One that fails on a backend rejects it, for some report less than others;
    one that fails on every backend is a mistake of its own, and raised."""
    kept = []
    failures: list[Exception] = []
    ahead = False
    for place, item in enumerate(found):
        info = item if isinstance(item, BackendInfo) else item.info
        unread = not ahead and _unread(item)
        try:
            passed = bool(test(item))
        except Exception as exc:  # noqa: BLE001  the user's own function may raise anything
            if not isinstance(exc, QProviderError):  # else the vendor's fault, or it has no such facet
                failures.append(exc)
            rejected.add(f"the filter raised {failure_text(exc)}", "", [info])
        else:
            if passed:
                kept.append(item)
            else:
                rejected.add("the filter said no", "", [info])
        if unread and not _unread(item):  # it looks at configurations: the others' are fetched side by side
            ahead = True
            _read_ahead([one for one in found[place + 1 :] if _unread(one)])
    if failures and len(failures) == len(found):
        raise InvalidInputError(
            f"The filter failed on every backend: {failure_text(failures[0])}.",
            hint="Correct the function given as filters=.",
        ) from failures[0]
    return kept


def _unread(item: Any) -> bool:
    """Whether it is a handle whose configuration was not fetched."""
    return not isinstance(item, BackendInfo) and item._configuration is None


def _read_ahead(handles: Sequence[Backend]) -> None:
    """Fetch the handles' configurations; who fails is asked again, and heard, when somebody looks at it."""
    by_account: dict[int, list[Backend]] = {}
    for handle in handles:
        by_account.setdefault(id(handle._account), []).append(handle)
    deadline = Deadline.after(config.timeout_s())
    for own in by_account.values():
        refs = [handle.info.ref for handle in own]
        answers = own[0]._account.facts.each("configuration", refs, deadline)
        for place, got in answers.items():
            if got.told is not None and got.told.value is not None:
                own[place]._configuration = got.told.value


def _handles(answer: Answer) -> tuple[list[tuple[View, Backend]], list[QueryError]]:
    """Handles of all that were found. A vendor whose own class cannot be used costs its backends only."""
    made: list[tuple[View, Backend]] = []
    broken: list[QueryError] = []
    with collector_paused:  # ten thousand handles are a hundred thousand objects, and none of them is garbage
        for account, views, told_at in answer.lanes:
            own: list[tuple[View, Backend]] = []
            try:
                own += [(view, _handle(account, view, told_at)) for view in views]
            except Exception as exc:  # noqa: BLE001  a vendor's class may raise anything
                broken.append(query_error(account.provider, account.name, exc))
            made += own
    return made, broken


def _handle(account: Account, view: View, as_of: datetime) -> Backend:
    load_qiskit()
    from qprovider_core._backend import make_backend  # late: handles need Qiskit

    return make_backend(account, view, as_of)


def choose_least_busy(
    accounts: Sequence[Account],
    backends: Iterable[Any] | None,
    *,
    name: Any = None,
    where: str | None = None,
    filters: Callable[[Any], Any] | None = None,
    party: Party | None = None,
    **criteria: Any,
) -> Any:
    """See `least_busy`; among these accounts."""
    limits = _limits(criteria)
    if backends is not None:
        if any(given is not None for given in (name, where, filters, *criteria.values())):
            raise InvalidInputError(
                "least_busy takes a list of backends or criteria, not both.",
                hint="Filter first: least_busy(backends(min_num_qubits=5)).",
            )
        return _least_busy_of(backends, limits)
    _check_filters(filters)
    query = _prepare(accounts, name, where, criteria)
    answer = ask(accounts, query, limits, running=True, several=party.several if party else None)
    errors = [str(error) for error in (*(party.errors if party else ()), *answer.errors)]
    if filters is not None:
        made, broken = _handles(answer)
        kept = {id(handle) for handle in _filtered([handle for _, handle in made], filters, answer.rejected)}
        ready = {id(view): handle for view, handle in made if id(handle) in kept}
        if ready:
            return ready[id(pick([view for view, _ in made if id(view) in ready]))]
        raise nothing_runs({one.name: one.reason for one in answer.rejected}, [*errors, *map(str, broken)])
    found = list(answer.found())
    while found:
        best = pick([view for _, view in found])
        account = next(account for account, view in found if view is best)
        try:
            return _handle(account, best, answer.told_at(account))
        except Exception as exc:  # noqa: BLE001  a vendor's class may raise anything: on with the others
            errors.append(str(query_error(account.provider, account.name, exc)))
            found = [pair for pair in found if pair[0] is not account]
    raise nothing_runs({one.name: one.reason for one in answer.rejected}, errors)


def _least_busy_of(backends: Iterable[Any], limits: Limits) -> Any:
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
    load_qiskit()
    from qprovider_core._least_busy import least_busy_handle  # late: handles need Qiskit

    timeout = limits.timeout if limits.vendor_timeout is None else limits.vendor_timeout
    return least_busy_handle(items, config.timeout_s(timeout), refresh=limits.refresh)


def open_backend(
    accounts: Sequence[Account],
    name: str,
    *,
    instance: str | None = None,
    party: Party | None = None,
    timeout: float | None = None,
    refresh: bool = False,
) -> Backend:
    """The one backend of that name among these accounts, with its configuration fetched."""
    deadline = Deadline.after(config.timeout_s(timeout))
    several = party.several if party else None
    answer = ask(accounts, BackendQuery(), Limits(timeout=timeout, refresh=refresh), several=several)
    matches = _matching(answer.found(), name, instance)
    if not matches and answer.remembered["info"] and deadline.remaining_s() > _SHORTEST_S:
        # It may be newer than what is remembered of the lists.
        answer = ask(accounts, BackendQuery(), Limits(timeout=deadline.remaining_s(), refresh=True), several=several)
        matches = _matching(answer.found(), name, instance)
    problems = [str(error) for error in (*(party.errors if party else ()), *answer.errors)]
    if len(matches) == 1:
        account, view = matches[0]
        handle = _handle(account, view, answer.told_at(account))
        if refresh:
            handle.refresh()
        handle.configuration(timeout=max(deadline.remaining_s(), _SHORTEST_S))
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
    """The backends of that name; without an instance, it may also be ``name@instance``."""
    listed = list(found)
    names = [(name, instance)]
    if instance is None and "@" in name:
        bare, _, place = name.rpartition("@")
        names.append((bare, place))
    for wanted, where in names:
        matches = [
            (account, view)
            for account, view in listed
            if view.info.name == wanted and (where is None or where in (view.info.instance, view.info.instance_name))
        ]
        if matches:
            return matches
    return []

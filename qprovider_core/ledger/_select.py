"""Which jobs to read: the query as SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import attrs

from qprovider_core.criteria import is_pattern, wildcard
from qprovider_core.ledger._rows import micros
from qprovider_core.records.jobs import JobState


@attrs.frozen(kw_only=True)
class LedgerQuery:
    """Which jobs; what is None or empty does not restrict.

    Attributes:
        providers, accounts, backends: Names or patterns with wildcards; any of them will do.
        instance: A CRN, or whatever the vendor calls the account's place.
        states: Any of them; pending: True: not yet final; False: final.
        tags: All of them; name: this one.
        created_after, created_before: Aware, inclusive.
        session_id: Of this session or batch.
        limit: At most so many.
    """

    providers: Sequence[str] = ()
    accounts: Sequence[str] = ()
    backends: Sequence[str] = ()
    instance: str | None = None
    states: Sequence[JobState] = ()
    pending: bool | None = None
    tags: Sequence[str] = ()
    name: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    session_id: str | None = None
    limit: int | None = None


def where(db: sqlite3.Connection, query: LedgerQuery) -> tuple[str, list[object]]:
    """The condition, over ``jobs j`` and ``places p``, and its values."""
    conditions: list[str] = []
    values: list[object] = []

    def add(condition: str, *more: object) -> None:
        conditions.append(condition)
        values.extend(more)

    if query.providers or query.accounts or query.backends or query.instance is not None:
        places = _places(db, query)
        add(f"j.place IN ({', '.join('?' * len(places))})", *places)
    if query.states:
        add(f"j.state IN ({', '.join('?' * len(query.states))})", *(state.value for state in query.states))
    if query.pending is not None:
        add("j.final = ?", not query.pending)
    for tag in query.tags:
        add("j.seq IN (SELECT seq FROM tags WHERE tag = ?)", tag)
    if query.name is not None:
        add("j.name = ?", query.name)
    if query.session_id is not None:
        add("json_extract(j.more, '$.session_id') = ?", query.session_id)
    if query.created_after is not None:
        add("j.created >= ?", micros(query.created_after))
    if query.created_before is not None:
        add("j.created <= ?", micros(query.created_before))
    return " AND ".join(conditions) or "1", values


def _places(db: sqlite3.Connection, query: LedgerQuery) -> list[int]:
    """The places that the query speaks of. They are few, so that patterns cost nothing."""
    wanted = [_tests(names) for names in (query.providers, query.accounts, query.backends)]
    found = []
    for place, provider, account, instance, backend in db.execute(
        "SELECT id, provider, account, instance, backend FROM places"
    ):
        fits = all(
            not tests or any(test(name) for test in tests)
            for tests, name in zip(wanted, (provider, account, backend), strict=True)
        )
        if fits and query.instance in (None, instance):
            found.append(place)
    return found


def _tests(names: Sequence[str]) -> list[Callable[[str], Any]]:
    return [wildcard(name) if is_pattern(name) else name.__eq__ for name in names]

"""Which jobs to read: the query as SQL.

What is read is the index `jobs_listed`, newest first, until there are enough. Only where few jobs have what is asked
for (a tag, a name, a session, no end yet) they are looked at one by one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import attrs

from qprovider_core.criteria import is_pattern, wildcard
from qprovider_core.ledger._rows import COLUMNS, FROM, micros, stored
from qprovider_core.records.jobs import JobState

_FEW = 4000
_LISTED = "INDEXED BY jobs_listed"


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


def rows(db: sqlite3.Connection, query: LedgerQuery) -> list[tuple[Any, ...]]:
    """The rows of `COLUMNS` of the jobs that satisfy a query, newest first."""
    places = _places(db, query)
    if places == []:
        return []
    condition, values, index = _where(db, query, places)
    limit = -1 if query.limit is None else query.limit
    return db.execute(
        f"WITH found AS MATERIALIZED (SELECT j.seq AS number FROM jobs j {index} WHERE {condition} "
        f"ORDER BY j.created DESC, j.seq DESC LIMIT ?) "
        f"SELECT {COLUMNS} {FROM} JOIN found ON found.number = j.seq ORDER BY j.created DESC, j.seq DESC",
        (*values, limit),
    ).fetchall()


def _where(db: sqlite3.Connection, query: LedgerQuery, places: list[int] | None) -> tuple[str, list[object], str]:
    """The condition over ``jobs j``, its values, and what to read."""
    conditions: list[str] = ["1"]
    values: list[object] = []
    index = _LISTED

    def add(condition: str, *more: object) -> None:
        conditions.append(condition)
        values.extend(more)

    if places is not None:
        add(f"j.place IN ({', '.join(map(str, places))})")
    if query.states:
        add(f"j.state IN ({', '.join('?' * len(query.states))})", *(state.value for state in query.states))
    if query.pending is not None:
        add(f"j.final = {int(not query.pending)}")
    if query.created_after is not None:
        add("j.created >= ?", micros(query.created_after))
    if query.created_before is not None:
        add("j.created <= ?", micros(query.created_before))
    if query.session_id is not None:
        add("j.session = ?", stored(query.session_id))
        index = "INDEXED BY jobs_session"
    if query.name is not None:
        name = stored(query.name)
        add("j.name = ?", name)
        if index == _LISTED and _are_few(db, "jobs WHERE name = ?", name):
            index = "INDEXED BY jobs_name"
    for tag in map(stored, query.tags):
        if index == _LISTED and _are_few(db, "tags WHERE tag = ?", tag):
            add("j.seq IN (SELECT seq FROM tags WHERE tag = ?)", tag)
            index = "NOT INDEXED"  # but by their numbers
        else:
            # The text of all tags stands in the index; whether it is a tag of its own is looked up where it is found.
            add(
                "instr(j.tags, ?) AND EXISTS (SELECT 1 FROM tags t WHERE t.tag = ? AND t.seq = j.seq)",
                json.dumps(tag),
                tag,
            )
    if index == _LISTED and query.pending and _are_few(db, "jobs WHERE final = 0"):
        index = "INDEXED BY jobs_open"
    return " AND ".join(conditions), values, index


def _are_few(db: sqlite3.Connection, rows: str, *values: object) -> bool:
    found: int = db.execute(f"SELECT count(*) FROM (SELECT 1 FROM {rows} LIMIT ?)", (*values, _FEW + 1)).fetchone()[0]
    return found <= _FEW


def _places(db: sqlite3.Connection, query: LedgerQuery) -> list[int] | None:
    """The places that the query speaks of; None for all. They are few, so that patterns cost nothing."""
    if not (query.providers or query.accounts or query.backends or query.instance is not None):
        return None
    total = 0
    wanted = [_tests(names) for names in (query.providers, query.accounts, query.backends)]
    found = []
    for place, provider, account, instance, backend in db.execute(
        "SELECT id, provider, account, instance, backend FROM places"
    ):
        total += 1
        fits = all(
            not tests or any(test(name) for test in tests)
            for tests, name in zip(wanted, (provider, account, backend), strict=True)
        )
        if fits and query.instance in (None, instance):
            found.append(int(place))
    return None if 0 < total == len(found) else found


def _tests(names: Sequence[str]) -> list[Callable[[str], Any]]:
    return [wildcard(name) if is_pattern(name) else name.__eq__ for name in names]

"""Which jobs are asked for, over all vendors: the words that users give, checked before anybody is asked."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from qprovider_core.criteria import is_pattern, wildcard
from qprovider_core.errors import InvalidInputError, near_matches
from qprovider_core.ledger import LedgerQuery
from qprovider_core.records import JobInfo, JobQuery, JobState


@attrs.frozen(kw_only=True)
class AskedJobs:
    """A query over the jobs of all vendors; fields as in `qprovider_core.list_jobs`."""

    backends: tuple[str, ...] = ()
    instance: str | None = None
    states: tuple[JobState, ...] = ()
    pending: bool | None = None
    tags: tuple[str, ...] = ()
    name: str | None = None
    session_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    limit: int | None = None

    @classmethod
    def checked(cls, *, backend: Any, status: Any, tags: Any, limit: Any, pending: Any, **more: Any) -> AskedJobs:
        """The query of what a user gave.

        Raises:
            InvalidInputError: Something of it cannot be used.
        """
        states, told_pending = _states(status)
        if pending is not None and not isinstance(pending, bool):
            raise InvalidInputError(f"pending is true or false, not {pending!r}.")
        if told_pending is not None and pending not in (None, told_pending):
            raise InvalidInputError("status and pending contradict each other.", hint="Give one of them.")
        times: dict[str, Any] = {name: _time(name, more.pop(name)) for name in ("created_after", "created_before")}
        for name, value in more.items():
            if value is not None and not isinstance(value, str):
                raise InvalidInputError(f"{name} is a text, not {value!r}.")
        return cls(
            backends=_texts("backend", backend),
            states=states,
            pending=told_pending if pending is None else pending,
            tags=_texts("tags", tags),
            limit=checked_limit(limit),
            **times,
            **more,
        )

    def of_ledger(self, providers: Sequence[str], accounts: Sequence[str]) -> LedgerQuery:
        """The same for the ledger."""
        return LedgerQuery(providers=providers, accounts=accounts, **attrs.asdict(self, recurse=False))

    def of_vendor(self) -> JobQuery | None:
        """The same for a vendor; None where nothing of a vendor can satisfy it."""
        states = tuple(state for state in self.states if state is not JobState.SUBMIT_UNKNOWN)
        if self.states and not states:
            return None
        same = ("instance", "pending", "tags", "name", "session_id", "created_after", "created_before", "limit")
        plain = None if self.narrows_here or not self.backends else self.backends[0]
        return JobQuery(backend=plain, states=states, **{name: getattr(self, name) for name in same})

    @property
    def narrows_here(self) -> bool:
        """Whether it asks for more than a vendor can be asked for, so that some of what that lists is left out here."""
        return len(self.backends) > 1 or any(map(is_pattern, self.backends))

    def fits(self, info: JobInfo) -> bool:
        """Whether a job satisfies it, as far as is told of it."""
        tests = [wildcard(name) if is_pattern(name) else name.__eq__ for name in self.backends]
        return (
            (not tests or (info.backend is not None and any(test(info.backend) for test in tests)))
            and (not self.states or info.state in self.states)
            and (self.pending is None or info.state.final is not self.pending)
            and set(self.tags) <= set(info.tags)
            and self.name in (None, info.name)
            and self.session_id in (None, info.session_id)
            and self.instance in (None, info.instance)
            and (self.created_after is None or info.created_at is None or info.created_at >= self.created_after)
            and (self.created_before is None or info.created_at is None or info.created_at <= self.created_before)
        )


def checked_limit(limit: Any) -> int | None:
    """How many at most; None for all.

    Raises:
        InvalidInputError: It is no whole number of at least 1.
    """
    try:
        number = None if limit is None else operator.index(limit)
    except TypeError:
        number = 0
    if isinstance(limit, bool) or (number is not None and number < 1):
        raise InvalidInputError(f"limit is a whole number of at least 1, or None for all, not {limit!r}.")
    return number


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    items = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (None,)
    if not all(isinstance(one, str) and one for one in items):
        raise InvalidInputError(f"{name} takes a text, or a list of them, not {value!r}.")
    return items


def _states(value: Any) -> tuple[tuple[JobState, ...], bool | None]:
    """The states that were named, and whether just "final" or "pending" were."""
    if value is None:
        return (), None
    single = isinstance(value, str | JobState) or not isinstance(value, Iterable)
    found: list[JobState] = []
    for one in [value] if single else value:
        if isinstance(one, JobState):
            found.append(one)
            continue
        word = (one if isinstance(one, str) else getattr(one, "name", "")).strip().upper().replace("-", "_")
        if word in ("FINAL", "PENDING"):
            if single:
                return (), word == "PENDING"
            found += [state for state in JobState if state.final == (word == "FINAL")]
        elif word in JobState.__members__:
            found.append(JobState[word])
        else:
            known = [*(state.name for state in JobState), "final", "pending"]
            near = near_matches(word, known)
            raise InvalidInputError(
                f"There is no job state {one!r}.",
                hint=f"Did you mean {near[0]!r}?" if near else f"States are {', '.join(known)}.",
            )
    return tuple(dict.fromkeys(found)), None


def _time(name: str, value: Any) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise InvalidInputError(f"{name} is a time such as datetime(2026, 1, 1, tzinfo=UTC), not {value!r}.")
    if value.tzinfo is None:
        raise InvalidInputError(
            f"{name}: {value.isoformat()} has no offset, so it names no moment.",
            hint="Give an aware time, such as datetime(2026, 1, 1, tzinfo=UTC).",
        )
    return value.astimezone(UTC)

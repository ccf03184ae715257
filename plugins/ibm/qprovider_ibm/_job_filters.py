"""What users say of jobs that they look for: words of a status, times, where to begin."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from qprovider_core.errors import InvalidInputError, UnknownOptionError
from qprovider_core.records import JobState

# The service's words, Qiskit's, and what people write.
_WORDS = {
    **{state.name.lower(): (state,) for state in JobState},
    "completed": (JobState.DONE,),
    "failed": (JobState.ERROR,),
    "canceled": (JobState.CANCELLED,),
    "pending": (JobState.INITIALIZING, JobState.QUEUED, JobState.VALIDATING, JobState.RUNNING, JobState.UNKNOWN),
    "final": (JobState.DONE, JobState.ERROR, JobState.CANCELLED),
}


def states_of(status: Any) -> tuple[JobState, ...]:
    """The states that a status names: a word, a member of Qiskit's `JobStatus` or of `JobState`, or several.

    Raises:
        UnknownOptionError: A word that means none; near matches are named.
    """
    if status is None:
        return ()
    if isinstance(status, str | JobState) or not isinstance(status, Iterable):
        status = [status]
    found: dict[JobState, None] = {}
    for one in status:
        if isinstance(one, JobState):
            found[one] = None
            continue
        word = one if isinstance(one, str) else getattr(one, "name", None)
        states = _WORDS.get(word.strip().lower()) if isinstance(word, str) else None
        if states is None:
            raise UnknownOptionError(str(one), _WORDS, what=f"There is no job status {one!r}.")
        found.update(dict.fromkeys(states))
    return tuple(found)


def as_moment(value: Any, name: str) -> datetime | None:
    """A time as aware UTC; one without an offset is local time, as the retired provider took it.

    Raises:
        InvalidInputError: It is no time.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as exc:
            raise InvalidInputError(
                f"{name} is no ISO 8601 time: {value!r}.", hint="Write 2026-01-31T12:00:00+00:00, or give a datetime."
            ) from exc
    if not isinstance(value, datetime):
        raise InvalidInputError(f"{name} is a time such as datetime(2026, 1, 31), not {value!r}.")
    return value.astimezone(UTC)


def span_of(
    start_datetime: Any, end_datetime: Any, created_after: Any, created_before: Any
) -> tuple[datetime | None, datetime | None]:
    """The times between which a job was created; each end has two words.

    Raises:
        InvalidInputError: One is no time, or the end comes before the beginning.
    """
    begin, end = as_moment(start_datetime, "start_datetime"), as_moment(end_datetime, "end_datetime")
    begin = begin or as_moment(created_after, "created_after")
    end = end or as_moment(created_before, "created_before")
    if begin is not None and end is not None and begin > end:
        raise InvalidInputError(f"start_datetime ({begin}) is after end_datetime ({end}).", hint="Swap them.")
    return begin, end


def first_cursor(skip: Any, *, oldest_first: bool) -> str | None:
    """The cursor of a page that leaves out the first `skip` jobs, or goes the other way round."""
    try:
        number = -1 if isinstance(skip, bool) else operator.index(skip)
    except TypeError:
        number = -1
    if number < 0:
        raise InvalidInputError(f"skip is a whole number of at least 0, not {skip!r}.")
    return json.dumps({"skip": number, "oldest_first": oldest_first}) if number or oldest_first else None

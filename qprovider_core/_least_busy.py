"""The least busy of backends that the user already holds: handles, or anything with a name and a `status()`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from qprovider_core import config
from qprovider_core._backend import Backend
from qprovider_core._cache import LIST_AGE_S
from qprovider_core._concurrency import Lanes
from qprovider_core.errors import InvalidInputError, failure_text
from qprovider_core.records import BackendInfo, Deadline
from qprovider_core.selection import nothing_runs, rank, unfit


def least_busy_handle(items: Sequence[Any], timeout_s: float, *, refresh: bool = False) -> Any:
    """The least busy of handles, or of any objects with a name and a `status()`.

    What a listing told is believed while it holds, unless `refresh`; else the status is asked for, side by side. One
    that cannot be had excludes that backend only.
    """
    for item in items:
        if not (isinstance(item, Backend | BackendInfo) or callable(getattr(item, "status", None))):
            raise InvalidInputError(f"least_busy takes backends, not {item!r}.", hint="Pass a list from backends(…).")
    facts: dict[int, tuple[bool | None, int | None, str | None]] = {}
    asked: list[int] = []
    for position, item in enumerate(items):
        info = item.info if isinstance(item, Backend) else item if isinstance(item, BackendInfo) else None
        told = info is not None and info.operational is not None and info.pending_jobs is not None
        if info is not None and (info is item or (told and not refresh and _is_fresh(item))):
            facts[position] = (info.operational, info.pending_jobs, info.status_msg)
        else:
            asked.append(position)
    reasons: dict[str, str] = {}
    answers = Lanes(16).map(
        lambda position: items[position].status(),
        asked,
        Deadline.after(config.timeout_s(timeout_s)),
        "status",
    )
    for index, position in enumerate(asked):
        name, future = _name_of(items[position]), answers.get(index)
        exc = future.exception() if future is not None else None
        if future is None:
            reasons[name] = f"its status did not come within {timeout_s:g} s"
        elif exc is not None:
            reasons[name] = f"its status could not be had: {failure_text(exc)}"
        else:
            status = future.result()
            facts[position] = (
                getattr(status, "operational", None),
                getattr(status, "pending_jobs", None),
                getattr(status, "status_msg", None),
            )
            flaw = _status_flaw(*facts[position])
            if flaw is not None:
                reasons[name] = flaw
                del facts[position]
    for position in list(facts):
        operational, _, message = facts[position]
        problem = unfit(operational, message)
        if problem is not None:
            reasons[_name_of(items[position])] = problem
            del facts[position]
    if not facts:
        raise nothing_runs(reasons)
    return items[min(facts, key=lambda p: rank(_name_of(items[p]), *facts[p][:2]))]


def _status_flaw(operational: Any, pending_jobs: Any, message: Any) -> str | None:
    """What is wrong with a status; objects that are not ours may say anything."""
    if operational is not None and not isinstance(operational, bool):
        return f"its status says operational={operational!r}, which is not true or false"
    if pending_jobs is not None and (type(pending_jobs) is not int or pending_jobs < 0):
        return f"its status says pending_jobs={pending_jobs!r}, which is no number of jobs"
    if message is not None and not isinstance(message, str):
        return f"its status says status_msg={message!r}, which is not a text"
    return None


def _is_fresh(handle: Backend) -> bool:
    # A vendor whose lists are not remembered has told this one just now, as far as anybody can say.
    age_s = (datetime.now(UTC) - handle.as_of).total_seconds()
    return bool(age_s <= (handle._account.spec.list_age_s or LIST_AGE_S))


def _name_of(item: Any) -> str:
    if isinstance(item, Backend | BackendInfo):
        return item.full_name
    name = getattr(item, "name", None)
    return str(name() if callable(name) else name or type(item).__name__)

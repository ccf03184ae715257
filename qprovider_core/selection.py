"""Choosing a backend: pure, deterministic, explained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from qprovider_core._text import printable
from qprovider_core.attributes import CATALOGUE, Attribute
from qprovider_core.errors import NoMatchingBackendError
from qprovider_core.records.backends import BackendInfo
from qprovider_core.views import UNFETCHED, Needs, Outcome, View

# Words of a status under which jobs are taken but not run, or not taken at all. Vendors' texts vary, hence stems.
# "internal" and "dedicated" mean: reserved for others.
_NOT_RUNNING = re.compile(
    r"\b(paus|maint|offline|retire|internal|dedicated|disabled|unavailab|down\b|suspend|decommission|closed)",
    re.IGNORECASE,
)


def unfit(operational: bool | None, status_msg: str | None) -> str | None:
    """Why jobs sent there would not run, or None when nothing speaks against it."""
    if operational is False:
        return f"not operational{f' ({status_msg!r})' if status_msg else ''}"
    if status_msg and _NOT_RUNNING.search(status_msg):
        return f"status is {status_msg!r}"
    return None


def rank(name: str, operational: bool | None, pending_jobs: int | None) -> tuple[bool, int, bool, str]:
    """Sort key of a backend: known queue before unknown, shorter queue, known to run before unknown, name."""
    return (pending_jobs is None, pending_jobs or 0, operational is None, name)


class _Runs:
    """The criterion that least busy adds to a query: the backend runs jobs, as far as anybody tells."""

    text = "to run jobs now"

    def quick(self) -> None:
        return None

    def attributes(self) -> Iterable[Attribute]:
        return (CATALOGUE["operational"], CATALOGUE["pending_jobs"], CATALOGUE["status_msg"])

    def outcome(self, view: View) -> Outcome:
        # The status is asked for only where the listing leaves open whether it runs, or its queue.
        if view.status is UNFETCHED and self._unfit(view) is not None:
            return False
        for name in ("operational", "pending_jobs"):
            value = view.value(CATALOGUE[name])
            if isinstance(value, Needs):
                return value
        return "status" not in view.failures and self._unfit(view) is None

    def reason(self, view: View) -> str:
        return view.failures.get("status") or self._unfit(view) or "not reported to run"

    def _unfit(self, view: View) -> str | None:
        operational, _, message = current(view)
        return unfit(operational, message)


RUNS = _Runs()


def current(view: View) -> tuple[bool | None, int | None, str | None]:
    """Operational, pending jobs and status text; a status that was fetched is newer than the listing."""
    info, status = view.info, view.status
    if status is None or status is UNFETCHED:
        return info.operational, info.pending_jobs, info.status_msg
    return (
        info.operational if status.operational is None else status.operational,
        info.pending_jobs if status.pending_jobs is None else status.pending_jobs,
        info.status_msg if status.status_msg is None else status.status_msg,
    )


def pick(views: Sequence[View]) -> View:
    """The least busy of views that passed `RUNS`; there must be one."""
    return min(views, key=lambda view: rank(view.info.full_name, *current(view)[:2]))


def least_busy_info(infos: Iterable[BackendInfo]) -> BackendInfo:
    """The least busy of records, from what they say of themselves.

    Unknown queues sort last, ties go by name; paused and non-operational ones are never taken.

    Raises:
        NoMatchingBackendError: None is left; `.reasons` says why for each.
    """
    best: BackendInfo | None = None
    best_rank: tuple[bool, int, bool, str] | None = None
    reasons: dict[str, str] = {}
    for info in infos:
        problem = info.flaws() or unfit(info.operational, info.status_msg)
        if problem is not None:
            reasons[printable(str(info.full_name))] = problem
            continue
        key = rank(info.full_name, info.operational, info.pending_jobs)
        if best_rank is None or key < best_rank:
            best, best_rank = info, key
    if best is None:
        raise nothing_runs(reasons)
    return best


def nothing_runs(reasons: dict[str, str], errors: Iterable[str] = ()) -> NoMatchingBackendError:
    """The error for a choice among nothing."""
    return NoMatchingBackendError(
        "There is no backend to choose from that runs jobs now.",
        reasons=reasons,
        errors=errors,
        hint="Relax a criterion, wait, or see them all with `qprovider backends`.",
    )

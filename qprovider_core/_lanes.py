"""One account's part of a query: its list, checked and sifted, with facets fetched where criteria need them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core._cache import Listing, Told
from qprovider_core._lists import QueryError
from qprovider_core._text import age_text
from qprovider_core.attributes import FACET_HOOKS
from qprovider_core.errors import AuthenticationError, InvalidInputError, QProviderError, failure_text
from qprovider_core.query import BackendQuery, Cost, Rejections, sift, sift_views
from qprovider_core.records import BackendInfo, Deadline, ListProblem
from qprovider_core.secret import get_logger
from qprovider_core.selection import RUNS
from qprovider_core.views import View

if TYPE_CHECKING:
    from qprovider_core._account import Account
    from qprovider_core._facts import Got

_log = get_logger("qprovider.query")

_RENAMED = frozenset({"provider", "account", "full_name"})
# A vendor that refuses is not one that is down: what it told before is not given in place of that.
REFUSALS = (AuthenticationError, InvalidInputError)


@attrs.define
class Lane:
    """What one account answered to a query."""

    account: Account
    views: list[View] = attrs.field(factory=list)
    rejected: Rejections = attrs.field(factory=Rejections)
    errors: list[QueryError] = attrs.field(factory=list)
    requests: Counter[str] = attrs.field(factory=Counter)
    remembered: Counter[str] = attrs.field(factory=Counter)
    costs: Counter[Cost] = attrs.field(factory=Counter)
    told: Told[Listing] | None = None
    notes: list[str] = attrs.field(factory=list)


def run_lane(
    account: Account,
    query: BackendQuery,
    deadline: Deadline,
    running: bool,
    prefix: str,
    refresh: bool,
    forgiving: bool,
    stale: Told[Listing] | None = None,
) -> Lane:
    """List, leave out what is garbage, sift, and stamp what is left.

    Args:
        forgiving: Whether a facet that cannot be had may be one that was told earlier, however old.
        stale: A list that was told earlier: then nobody is asked, and what is remembered will do.
    """
    started = time.monotonic()
    lane = Lane(account)
    lane.told, asked = account.facts.listing(deadline, refresh=refresh) if stale is None else (stale, False)
    (lane.requests if asked else lane.remembered)["info"] += 1
    sound = _sound(lane, lane.told.value, prefix)
    touched = {attribute.name for criterion in query.criteria for attribute in criterion.attributes()}
    if touched & _RENAMED:  # rare: else only the survivors are worth stamping
        sound = [_stamp(info, account, prefix) for info in sound]
    available = {facet for facet, hook in FACET_HOOKS.items() if account.supports(hook)}
    fetch = (
        partial(_recall, lane)
        if stale is not None
        else partial(_fetch, lane, deadline=deadline, started=started, refresh=refresh, forgiving=forgiving)
    )
    lane.views, rejected = sift(query, sound, fetch, available, prefix, lane.costs)
    lane.rejected.extend(rejected)
    for view in lane.views:
        view.info = _stamp(view.info, account, prefix)
    _tell_apart(lane.views, sound)
    if running:
        lane.views, busy = sift_views([RUNS], lane.views, fetch, prefix, lane.costs)
        lane.rejected.extend(busy)
    return lane


def _sound(lane: Lane, listed: Sequence[Any], prefix: str) -> list[BackendInfo]:
    """The records that can be used; the others are rejected one by one, and the vendor's row says so."""
    sound: list[BackendInfo] = []
    seen: set[str | tuple[str, str]] = set()
    flawed = Rejections()
    for record in listed:
        if isinstance(record, ListProblem):
            lane.errors.append(
                QueryError(
                    provider=lane.account.provider,
                    account=lane.account.name,
                    reason=str(record.reason),
                    hint=record.hint,
                    error="ListProblem",
                )
            )
            continue
        if not isinstance(record, BackendInfo):
            unreadable = BackendInfo(name="(unreadable)")
            flawed.add(f"not a BackendInfo but a {type(record).__name__}", prefix, [unreadable])
            continue
        try:
            flaw = record.flaws()
        except Exception as exc:  # noqa: BLE001  garbage may raise anything when it is looked at
            flaw = f"it cannot be examined: {failure_text(exc)}"
        if flaw is None:
            key = record.name if record.instance is None else (record.name, record.instance)
            if key not in seen:
                seen.add(key)
                sound.append(record)
                continue
            flaw = "listed twice; the first one counts"
        flawed.add(flaw, prefix, [record])
    if flawed:
        count = "one backend" if len(flawed) == 1 else f"{len(flawed)} backends"
        lane.rejected.extend(flawed)
        lane.errors.append(
            QueryError(
                provider=lane.account.provider,
                account=lane.account.name,
                reason=f"{count} left out as unusable; {flawed[0]}",
                hint="This is a fault of the plugin: report it to its authors.",
                error="ResponseError",
            )
        )
    return sound


# attrs.evolve, unrolled: ten thousand survivors may be stamped in one query.
_KEPT = tuple(field.name for field in attrs.fields(BackendInfo) if field.name not in _RENAMED)
_read_kept = attrgetter(*_KEPT)
_put_kept = tuple(getattr(BackendInfo, name).__set__ for name in _KEPT)
_put_provider, _put_account, _put_full_name = (
    getattr(BackendInfo, name).__set__ for name in ("provider", "account", "full_name")
)


def _stamp(info: BackendInfo, account: Account, prefix: str) -> BackendInfo:
    if type(info) is not BackendInfo:  # a vendor's own subclass keeps its fields
        return attrs.evolve(info, provider=account.provider, account=account.name, full_name=prefix + info.name)
    stamped = object.__new__(BackendInfo)
    for put, value in zip(_put_kept, _read_kept(info), strict=True):
        put(stamped, value)
    _put_provider(stamped, account.provider)
    _put_account(stamped, account.name)
    _put_full_name(stamped, prefix + info.name)
    return stamped


def _tell_apart(views: list[View], listed: Sequence[BackendInfo]) -> None:
    """Put the instance behind names that are listed in several."""
    placed = {view.info.name for view in views if view.info.instance}
    if not placed:
        return
    names = Counter(info.name for info in listed if info.name in placed)
    for view in views:
        if names[view.info.name] > 1 and view.info.instance:
            view.info = attrs.evolve(view.info, full_name=f"{view.info.full_name}@{view.info.place}")


def _fetch(
    lane: Lane,
    facet: str,
    views: Sequence[View],
    *,
    deadline: Deadline,
    started: float,
    refresh: bool,
    forgiving: bool,
) -> list[View]:
    """Put a facet into each view; one that fails or is late costs that backend only. Those that were asked for."""
    account = lane.account
    answers = account.facts.each(facet, [view.info.ref for view in views], deadline, refresh=refresh)
    if forgiving:
        answers = _with_earlier(lane, facet, views, answers, started)
    late, asked = 0, []
    for position, view in enumerate(views):
        got = answers.get(position)
        if got is None or got.asked:
            asked.append(view)
        if got is None:
            late += 1
            view.failures = {**view.failures, facet: f"its {facet} did not come in time"}
        elif got.error is not None:
            failure = f"its {facet} could not be had: {failure_text(got.error)}"
            view.failures = {**view.failures, facet: failure}
            # It does not satisfy the query for a reason that is not its own: whoever never looks at `rejected` is
            # told, too.
            _log.warning("%s: %s", view.info.name, failure)
        setattr(view, facet, None if got is None or got.told is None else got.told.value)
    lane.requests[facet] += len(asked)
    lane.remembered[facet] += len(views) - len(asked)
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
    return asked


def _with_earlier(
    lane: Lane, facet: str, views: Sequence[View], answers: dict[int, Got], started: float
) -> dict[int, Got]:
    """The answers, with what was told earlier in place of those that failed or are late."""
    lacking = [
        position
        for position in range(len(views))
        if (got := answers.get(position)) is None or (got.error is not None and not isinstance(got.error, REFUSALS))
    ]
    known = lane.account.facts.remembered(facet, [views[position].info.ref for position in lacking])
    if not known:
        return answers
    instead = {lacking[index]: got for index, got in known.items()}
    reasons = {
        "it did not come in time"
        if (got := answers.get(position)) is None or got.error is None
        else failure_text(got.error)
        for position in instead
    }
    lane.errors.append(
        QueryError(
            provider=lane.account.provider,
            account=lane.account.name,
            reason=f"the {facet} of {len(instead)} of its backends could not be had: {min(reasons)}",
            elapsed_s=time.monotonic() - started,
        )
    )
    age_s = max(got.told.age_s() for got in instead.values() if got.told is not None)
    lane.notes.append(
        f"{lane.account.label}: the {facet} of {len(instead)} of its backends is what it told"
        f" {'up to ' if len(instead) > 1 else ''}{age_text(age_s)} ago"
    )
    return {**answers, **instead}


def _recall(lane: Lane, facet: str, views: Sequence[View]) -> list[View]:
    """Put what is remembered of a facet into each view, however old; nobody is asked."""
    answers = lane.account.facts.remembered(facet, [view.info.ref for view in views])
    for position, view in enumerate(views):
        got = answers.get(position)
        if got is None:
            view.failures = {**view.failures, facet: f"its {facet} is not remembered, and the vendor does not answer"}
        setattr(view, facet, None if got is None or got.told is None else got.told.value)
    lane.remembered[facet] += len(answers)
    return []


def with_several(accounts: Iterable[Account]) -> frozenset[str]:
    """Providers with more than one account."""
    return frozenset(name for name, n in Counter(account.provider for account in accounts).items() if n > 1)


def query_error(provider: str, account: str | None, exc: BaseException, elapsed_s: float | None = None) -> QueryError:
    """An error as a row beside an answer."""
    return QueryError(
        provider=provider,
        account=account,
        reason=failure_text(exc),
        hint=exc.hint if isinstance(exc, QProviderError) else None,
        elapsed_s=elapsed_s,
        error=type(exc).__name__,
    )

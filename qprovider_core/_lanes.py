"""One query over many accounts: each has a lane of its own, and none waits for another.

An answer is never all or nothing: what came in time is in it, the rest is among its errors.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import config
from qprovider_core._concurrency import in_background
from qprovider_core._lists import QueryError
from qprovider_core.attributes import FACET_HOOKS
from qprovider_core.errors import DeadlineError, QProviderError, failure_text
from qprovider_core.query import BackendQuery, Rejections, sift, sift_views
from qprovider_core.records import BackendInfo, Deadline, ListProblem
from qprovider_core.secret import get_logger
from qprovider_core.selection import RUNS
from qprovider_core.views import View

if TYPE_CHECKING:
    from qprovider_core._account import Account

_log = get_logger("qprovider.query")

# A lane that is fetching facets ends itself at its deadline; this is how long its answer may take to arrive.
_GRACE_S = 0.05
_RENAMED = frozenset({"provider", "account", "full_name"})


@attrs.define
class _Lane:
    """What one account answered to a query."""

    account: Account
    views: list[View] = attrs.field(factory=list)
    rejected: Rejections = attrs.field(factory=Rejections)
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
    lane.views, rejected = sift(query, sound, fetch, available, prefix)
    lane.rejected.extend(rejected)
    for view in lane.views:
        view.info = _stamp(view.info, account, prefix)
    _tell_apart(lane.views, sound)
    if running:
        lane.views, busy = sift_views([RUNS], lane.views, fetch, prefix)
        lane.rejected.extend(busy)
    return lane


def _sound(lane: _Lane, listed: Sequence[Any], prefix: str) -> list[BackendInfo]:
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
            view.failures = {**view.failures, facet: f"its {facet} did not come in time"}
        elif exc is not None:
            failure = f"its {facet} could not be had: {failure_text(exc)}"
            view.failures = {**view.failures, facet: failure}
            # It does not satisfy the query for a reason that is not its own: whoever never looks at `rejected` is
            # told, too.
            _log.warning("%s: %s", view.info.name, failure)
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
class Answer:
    """What all accounts answered.

    Attributes:
        lanes: Each account that answered, with its backends that satisfy the query.
        requests: How often each facet was asked for.
        as_of: When they were asked, aware UTC.
        failures: What the others raised, or that they are late; each is a row of `errors`, too.
    """

    lanes: tuple[tuple[Account, list[View]], ...]
    errors: tuple[QueryError, ...]
    rejected: Rejections
    requests: Counter[str]
    as_of: datetime
    failures: tuple[BaseException, ...] = ()

    def found(self) -> Iterator[tuple[Account, View]]:
        """The backends that satisfy the query, each with its account."""
        return ((account, view) for account, views in self.lanes for view in views)


def ask(
    accounts: Sequence[Account],
    query: BackendQuery,
    *,
    timeout: float | None,
    vendor_timeout: float | None = None,
    running: bool = False,
    several: AbstractSet[str] | None = None,
) -> Answer:
    """Ask all accounts side by side; each has `vendor_timeout` seconds, all together `timeout`.

    Args:
        several: Providers that have several accounts, asked or not: there the account goes before the names.
    """
    total_s = config.timeout_s(timeout)
    each_s = total_s if vendor_timeout is None else min(total_s, config.timeout_s(vendor_timeout))
    as_of, started = datetime.now(UTC), time.monotonic()
    deadline = Deadline.after(each_s)
    if several is None:
        several = with_several(accounts)
    lanes: list[tuple[Account, Future[_Lane]]] = []
    for account in accounts:
        prefix = f"{account.name}/" if account.provider in several else ""
        work = partial(_run_lane, account, query, deadline, running, f"{prefix}{account.provider}:")
        lanes.append((account, in_background(work, f"{account.label}-query")))
    answered: list[tuple[Account, list[View]]] = []
    errors: list[QueryError] = []
    failures: list[BaseException] = []
    rejected = Rejections()
    requests: Counter[str] = Counter()
    for account, future in lanes:
        try:
            exc = future.exception(timeout=max(0.0, deadline.at + _GRACE_S - time.monotonic()))
        except TimeoutError:
            late = DeadlineError(
                f"no answer within {each_s:g} s",
                timeout_s=each_s,
                hint="Allow more time with timeout=, or leave it out with provider=.",
            )
            errors.append(query_error(account.provider, account.name, late, time.monotonic() - started))
            failures.append(DeadlineError(f"{account.label}: {late.what}.", timeout_s=each_s, hint=late.hint))
            continue
        if exc is not None:
            errors.append(query_error(account.provider, account.name, exc, time.monotonic() - started))
            failures.append(exc)
            continue
        lane = future.result()
        answered.append((account, lane.views))
        errors += lane.errors
        rejected.extend(lane.rejected)
        requests += lane.requests
    return Answer(tuple(answered), tuple(errors), rejected, requests, as_of, tuple(failures))


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

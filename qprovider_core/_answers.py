"""One query over many accounts: each has a lane of its own, and none waits for another.

An answer is never all or nothing: what came in time is in it, the rest is among its errors.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import attrs

from qprovider_core import config
from qprovider_core._concurrency import in_background
from qprovider_core._facts import place
from qprovider_core._lanes import REFUSALS, Lane, query_error, run_lane, with_several
from qprovider_core._lists import QueryError
from qprovider_core._text import age_text
from qprovider_core.errors import DeadlineError, InvalidInputError
from qprovider_core.query import BackendQuery, Cost, Rejections
from qprovider_core.records import Deadline
from qprovider_core.views import View

if TYPE_CHECKING:
    from qprovider_core._account import Account

# A lane that is fetching facets ends itself at its deadline; this is how long its answer may take to arrive.
_GRACE_S = 0.05


@attrs.frozen
class Answer:
    """What all accounts answered.

    Attributes:
        lanes: Each account that answered, with its backends that satisfy the query and when they were told.
        requests: How often each facet was asked for; remembered: how often an answer was at hand.
        costs: How often each criterion made somebody be asked for a facet.
        as_of: When the oldest of it was told, aware UTC.
        ages_s: The account's label to how long ago it told its list, in seconds, 0.0 where it was asked for this.
        notes: What is to be said of stale answers.
        failures: What the others raised, or that they are late; each is a row of `errors`, too.
    """

    lanes: tuple[tuple[Account, list[View], datetime], ...]
    errors: tuple[QueryError, ...]
    rejected: Rejections
    requests: Counter[str]
    as_of: datetime
    remembered: Counter[str] = attrs.field(factory=Counter)
    costs: Counter[Cost] = attrs.field(factory=Counter)
    ages_s: Mapping[str, float] = attrs.field(factory=dict)
    notes: tuple[str, ...] = ()
    failures: tuple[BaseException, ...] = ()

    def found(self) -> Iterator[tuple[Account, View]]:
        """The backends that satisfy the query, each with its account."""
        return ((account, view) for account, views, _ in self.lanes for view in views)

    def told_at(self, account: Account) -> datetime:
        """When that account told its list."""
        return next((at for one, _, at in self.lanes if one is account), self.as_of)


@attrs.frozen(kw_only=True)
class Limits:
    """How long a query may take, and how old its answers may be.

    Attributes:
        timeout: Seconds for the whole query; vendor_timeout: for each account; None for the default.
        refresh: Whether vendors are asked even where a remembered answer holds.
        stale: Whether what a vendor told before is given, however old, while it does not answer.
    """

    timeout: float | None = None
    vendor_timeout: float | None = None
    refresh: bool = False
    stale: bool = False

    def __attrs_post_init__(self) -> None:
        for name in ("refresh", "stale"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInputError(f"{name} is True or False, not {getattr(self, name)!r}.")


class Watcher:
    """Told of what comes while a query is under way, by the thread that waits for it."""

    def began(self, accounts: Sequence[Account]) -> None:
        """Who is asked."""

    def answered(self, answer: Answer) -> None:
        """What one account answered, or that it did not."""


def ask(
    accounts: Sequence[Account],
    query: BackendQuery,
    limits: Limits,
    *,
    running: bool = False,
    several: AbstractSet[str] | None = None,
    watcher: Watcher | None = None,
) -> Answer:
    """Ask all accounts side by side; see `Limits` for how long.

    Args:
        running: Whether only backends are wanted that run jobs now.
        several: Providers that have several accounts, asked or not: there the account goes before the names.
    """
    total_s = config.timeout_s(limits.timeout)
    each_s = total_s if limits.vendor_timeout is None else min(total_s, config.timeout_s(limits.vendor_timeout))
    place()  # a setting that cannot be read is told once, not by every account
    as_of, started = datetime.now(UTC), time.monotonic()
    deadline = Deadline.after(each_s)
    if several is None:
        several = with_several(accounts)
    lanes: dict[Future[Lane], tuple[Account, Callable[..., Lane]]] = {}
    for account in accounts:
        prefix = f"{account.name}/" if account.provider in several else ""
        work = partial(
            run_lane,
            account,
            query,
            deadline,
            running,
            f"{prefix}{account.provider}:",
            limits.refresh,
            limits.stale,
        )
        lanes[in_background(work, f"{account.label}-query")] = (account, work)
    if watcher is not None:
        watcher.began(accounts)
    outcomes: dict[Future[Lane], _Outcome] = {}
    for future in _as_they_come(lanes, deadline.at + _GRACE_S):
        account, again = lanes[future]
        late = not future.done()
        error = _late(each_s) if late else future.exception()
        lane = future.result() if error is None else None
        if error is not None and limits.stale and not isinstance(error, REFUSALS):
            lane = _stale_lane(account, again)
        outcomes[future] = one = _Outcome(account, lane, error, late, time.monotonic() - started)
        if watcher is not None:
            watcher.answered(_gathered([one], as_of))
    return _gathered([outcomes[future] for future in lanes], as_of)


@attrs.frozen
class _Outcome:
    """What became of one account's lane.

    Attributes:
        error: Why it has no answer of its own; the lane may hold a stale one then.
        late: Whether it has not ended yet.
        elapsed_s: How long it took, in seconds.
    """

    account: Account
    lane: Lane | None
    error: BaseException | None
    late: bool
    elapsed_s: float


def _gathered(outcomes: Sequence[_Outcome], asked_at: datetime) -> Answer:
    answered: list[tuple[Account, list[View], datetime]] = []
    errors: list[QueryError] = []
    notes: list[str] = []
    ages_s: dict[str, float] = {}
    failures: list[BaseException] = []
    rejected = Rejections()
    requests: Counter[str] = Counter()
    remembered: Counter[str] = Counter()
    costs: Counter[Cost] = Counter()
    for one in outcomes:
        account, lane, error = one.account, one.lane, one.error
        if error is not None:
            errors.append(query_error(account.provider, account.name, error, one.elapsed_s))
            failures.append(_labelled(account, error) if one.late else error)
        if lane is None or lane.told is None:
            continue
        ages_s[account.label] = lane.told.age_s() if lane.remembered["info"] else 0.0
        if error is not None:
            notes.append(f"{account.label}: does not answer; this is what it told {age_text(lane.told.age_s())} ago")
        answered.append((account, lane.views, lane.told.at))
        errors += lane.errors
        notes += lane.notes
        rejected.extend(lane.rejected)
        requests += lane.requests
        remembered += lane.remembered
        costs += lane.costs
    return Answer(
        lanes=tuple(answered),
        errors=tuple(errors),
        rejected=rejected,
        requests=requests,
        remembered=remembered,
        costs=costs,
        as_of=min((at for _, _, at in answered), default=asked_at),
        ages_s=ages_s,
        notes=tuple(notes),
        failures=tuple(failures),
    )


def _labelled(account: Account, late: BaseException) -> BaseException:
    """A lateness as it is raised, where no row beside it says whose."""
    if not isinstance(late, DeadlineError):
        return late
    return DeadlineError(f"{account.label}: {late.what}.", timeout_s=late.timeout_s, hint=late.hint)


def _as_they_come(futures: Collection[Future[Lane]], end: float) -> Iterator[Future[Lane]]:
    """The futures as they finish, and at the end those that have not."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=max(0.0, end - time.monotonic()), return_when=FIRST_COMPLETED)
        if not done:
            break
        yield from done
    yield from waiting


def _late(each_s: float) -> DeadlineError:
    return DeadlineError(
        f"no answer within {each_s:g} s",
        timeout_s=each_s,
        hint="Allow more time with timeout=, or leave it out with provider=.",
    )


def _stale_lane(account: Account, work: Callable[..., Lane]) -> Lane | None:
    """What a vendor that does not answer told before; None where nothing is remembered."""
    told = account.facts.remembered_listing()
    return None if told is None else work(stale=told)

"""The jobs of one account that somebody waits for: when the vendor is asked about them, and how.

The account's jobs are asked for in rounds, with growing pauses between them. In a round each job is asked for by
itself, or all in one list where the vendor has lists; what the list lacks is asked for by itself. Nothing here waits:
requests run beside the caller, who is told what has come of them. So a vendor that stalls delays nobody else.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import config
from qprovider_core._clock import Clock
from qprovider_core._watches import LONGEST_PAUSE_S, PATIENCE, Request, Trouble, Watch
from qprovider_core.errors import AuthenticationError, QProviderError, ResponseError, TransportError, failure_text
from qprovider_core.records import JobQuery, JobState
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._account import Account

_log = get_logger("qprovider.jobs")

# A job of one hour costs some 140 looks, and one that ends is seen some 8 % of its time later, or a minute.
PAUSE_SHARE = 0.08  # of the time waited so far
SHORTEST_PAUSE_S = 0.1  # for vendors that allow less; it bounds the number of looks
HELD_S = 1.0  # at least, for which a vendor that can may hold its answer about a single job
FIRST_LOOK_S = 0.1  # that each job is looked at for, however short the timeout
LOST_S = 24 * 3600.0  # without any answer, after which a wait without a timeout gives up
UNKNOWN_LOOKS = 20  # in a row with a status that the plugin does not know, after which it is said
_SIDE_BY_SIDE = 8  # requests to one account
_ALONE = 32  # jobs that a list lacks, asked for by themselves in one round
_MOST_PAGES = 20  # of one list
_LISTS_LOST = 3  # in a row; then jobs are asked for by themselves, too
_GRACE_S = 5.0  # after a request's own limit; then it counts as lost, whatever it still does


def _looked(job: Any, limit_s: float, held_s: float) -> Any:
    """A look at one job; one that may not have arrived is settled."""
    if job.info.state is JobState.SUBMIT_UNKNOWN and (settle := getattr(job, "settle", None)) is not None:
        return settle(limit_s)
    return job.refresh(limit_s, wait_s=held_s)


class Group:
    """The jobs of one account.

    Attributes:
        watches: Those that have not ended.
    """

    def __init__(
        self, account: Account, watches: list[Watch], *, wait: float | None, patient: bool, clock: Clock
    ) -> None:
        """
        Args:
            wait: The user's own pause between two looks; None for growing ones.
            patient: Whether there is a timeout until which failures are borne.
        """
        self.account = account
        self.watches = watches
        self._wait = wait
        self._patient = patient
        self._clock = clock
        self._began = self._asked_at = self._due = clock.now()
        self._request_s = config.timeout_s()
        self._holds = wait is None and account.takes("qprovider_get_job", "wait_s")
        self._lists = account.supports("qprovider_list_jobs")
        self._allowed_s: float = account.spec.min_poll_s
        self._not_before = -math.inf  # as the vendor asked for
        self._running: list[Request] = []
        self._alone: deque[Watch] = deque()  # to be asked for by themselves in this round
        self._troubles: dict[str | None, Trouble] = {}  # of the lists, by instance
        self._said: set[tuple[str | None, int]] = set()
        self._unlisted: list[Watch] = []  # of a list that was not answered
        self._silence = Trouble()  # rounds without any answer
        self._garbled = 0  # answers in a row that could not be read
        self._error: QProviderError | None = None  # of this round
        self._pause = 0.0
        self._answered = self._failed = self._changed = self._more = False

    # -- asking -------------------------------------------------------------------------------------------

    def due(self) -> float:
        """When there is something to do, unless an answer comes before."""
        if self._running:
            return min(request.late_at for request in self._running)
        return -math.inf if self._alone else self._due

    def resting(self, now: float) -> bool:
        """Whether the next round is to begin."""
        return not self._running and not self._alone and now >= self._due

    def requests(self, now: float, left_s: float) -> list[Request]:
        """What is to be asked now.

        Args:
            left_s: Until the end of the wait.
        """
        self._give_up(now)
        begins = self.resting(now) or bool(self._alone)
        begun = self._begin_round(now, left_s) if self.resting(now) else []
        while self._alone and len(self._running) + len(begun) < _SIDE_BY_SIDE:
            watch = self._alone.popleft()
            if watch in self.watches and not watch.busy:
                begun.append(self._single(watch, now, left_s))
        self._running += begun
        if begins and not self._running:
            self._end_round(now)  # all of its jobs are asked for still, in requests that were given up
        return begun

    def _give_up(self, now: float) -> None:
        """Count what has not come back as lost; its jobs stay busy until it does."""
        late = [request for request in self._running if now >= request.late_at]
        for request in late:
            self._running.remove(request)
            self._lost(request, TransportError(f"{self.account.label}: a request has not come back."), now)
        if late and not self._running:
            self._end_round(now)

    def _begin_round(self, now: float, left_s: float) -> list[Request]:
        self._asked_at, self._error, self._unlisted = now, None, []
        self._answered = self._failed = self._changed = self._more = False
        self._pause = self._next_pause(now)
        free = [watch for watch in self.watches if not watch.busy]
        begun = []
        if self._holds and (oldest := _oldest(free)) is not None:
            held_s = max(self._pause, HELD_S) if len(self.watches) == 1 else self._pause
            free.remove(oldest)
            begun.append(self._single(oldest, now, left_s, held_s))
        alone = [watch for watch in free if not (self._lists and watch.listed)]
        for instance, watches in _by_instance(watch for watch in free if self._lists and watch.listed).items():
            if len(watches) == 1:
                alone += watches
                continue
            query = JobQuery(ids=tuple(dict.fromkeys(one.job.info.id for one in watches)), instance=instance)
            begun.append(self._list(query, watches, now, left_s))
        self._alone = deque(sorted(alone, key=lambda one: one.asked_at))
        return begun

    def _single(self, watch: Watch, now: float, left_s: float, held_s: float = 0.0) -> Request:
        job, held_s = watch.job, max(min(held_s, 0.95 * left_s), 0.0)
        limit = self._limit(left_s, held_s)
        watch.busy, watch.asked_at = True, now
        return Request(
            group=self,
            watches=[watch],
            work=lambda: _looked(job, limit, held_s),
            late_at=now + limit + _GRACE_S,
            held=held_s > 0,
            before=watch.state,
        )

    def _list(
        self,
        query: JobQuery,
        watches: list[Watch],
        now: float,
        left_s: float,
        cursors: frozenset[str] = frozenset(),
    ) -> Request:
        limit = self._limit(left_s)
        for watch in watches:
            watch.busy = True
        return Request(
            group=self,
            watches=watches,
            work=lambda: self.account.ask("qprovider_list_jobs", query=query, timeout=limit),
            late_at=now + limit + _GRACE_S,
            query=query,
            cursors=cursors,
        )

    def _limit(self, left_s: float, held_s: float = 0.0) -> float:
        return max(min(self._request_s + held_s, left_s), FIRST_LOOK_S)

    def _next_pause(self, now: float) -> float:
        """Seconds until the next round: a share of the time waited, longer after failures."""
        if self._wait is not None:
            return self._wait
        silent = max(self._silence.failures, self._garbled)
        after_failures = 0.5 * 2 ** min(silent, 10) if silent else 0.0
        pause = max(SHORTEST_PAUSE_S, PAUSE_SHARE * (now - self._began), after_failures)
        return max(min(pause, LONGEST_PAUSE_S), self._allowed_s) * self._clock.jitter()

    def _end_round(self, now: float) -> None:
        if self._answered:
            self._silence.over()
            self._garbled = 0
        elif self._error is not None:
            self._silence.lost(now)
            if not self._patient and self._silence.lost_s >= LOST_S:
                raise self._error
            if self._silence.worth_saying:
                self._say(self._silence, self._error, self.watches)
        if self._failed:
            self._due = now + self._next_pause(now)
        elif self._more:
            self._due = now + min(self._pause, max(SHORTEST_PAUSE_S, self._allowed_s))
        elif self._holds:
            # Where the vendor holds its answer, the pause is over when it comes; the next change may be near, too.
            self._due = now if self._changed else max(now, self._asked_at + self._pause)
        else:
            self._due = now + self._pause
        self._due = max(self._due, self._not_before)

    # -- what came of it ----------------------------------------------------------------------------------

    def answered(self, request: Request, answer: Any, now: float, left_s: float) -> tuple[list[Watch], list[Request]]:
        """Take an answer.

        Returns:
            The jobs that were looked at; and what is to be asked further.
        """
        in_time = self._came(request)
        self._answered = True
        looked: list[Watch] = []
        more: list[Request] = []
        if request.query is None:
            [watch] = request.watches
            watch.trouble.over()
            watch.alone_at = now + 2 * self._pause
            self._ask_alone(self._unlisted, now)
            self._unlisted = []
            self._changed |= request.held and watch.state is not request.before
            looked = [watch]
        else:
            self._trouble(request).over()
            looked, missing = self._found(request, answer)
            following = self._following(request, answer, missing)
            if following is not None:
                cursors = request.cursors | {str(following.cursor)}
                more = [self._list(following, missing, now, left_s, cursors)]
                self._running += more
            else:
                self._ask_alone(missing, now)
        for watch in looked:
            self._look(watch)
        if in_time:
            self._rest(now)
        return [watch for watch in looked if watch in self.watches], more

    def failed(self, request: Request, exc: BaseException, now: float) -> list[Watch]:
        """Take a failure.

        Returns:
            The jobs that were to be looked at.
        Raises:
            QProviderError: It is one that a wait does not bear, or not for so long.
        """
        in_time = self._came(request)
        fatal = isinstance(exc, AuthenticationError) or not isinstance(exc, QProviderError)
        if isinstance(exc, TransportError) and exc.retryable and not fatal:
            self._lost(request, exc, now)
        elif isinstance(exc, ResponseError) and not fatal:
            trouble = self._trouble(request)
            unread = trouble.garbage + 1
            trouble.over()  # there was an answer
            trouble.garbage = self._garbled = unread
            self._failed = True
            if unread > PATIENCE:
                raise exc
        elif request.query is not None and not fatal and not isinstance(exc, TransportError):
            _log.info("%s does not list jobs by their ids; each is asked for: %s", self.account.label, exc)
            self._lists = False
            self._alone.extend(request.watches)
        else:
            raise exc
        for watch in request.watches:
            watch.looked = True
        if in_time:
            self._rest(now)
        return [watch for watch in request.watches if watch in self.watches]

    def _came(self, request: Request) -> bool:
        """Note that a request has come back; False: it had been given up."""
        for watch in request.watches:
            watch.busy = False
        if request not in self._running:
            return False
        self._running.remove(request)
        return True

    def _rest(self, now: float) -> None:
        if not self._running and not self._alone:
            self._end_round(now)

    def _trouble(self, request: Request) -> Trouble:
        if request.query is None:
            return request.watches[0].trouble
        return self._troubles.setdefault(request.query.instance, Trouble())

    def _lost(self, request: Request, exc: QProviderError, now: float) -> None:
        """A request was not answered: the rest of the round would fare no better."""
        self._failed = True
        self._error = exc
        self._alone.clear()
        for watch in request.watches:
            watch.looked = True
        told = getattr(exc, "retry_after_s", None)
        if isinstance(told, int | float) and 0 < told < math.inf:
            self._not_before = max(self._not_before, now + told)
        trouble = self._trouble(request)
        trouble.lost(now)
        self._unlisted = []
        if request.query is not None and trouble.failures >= _LISTS_LOST and now >= self._not_before:
            # One job that fails must not hide the others. Where a single one is answered, they are asked for, too.
            first, *self._unlisted = sorted(request.watches, key=lambda one: one.asked_at)
            self._alone.append(first)
        if request.query is None and not self._silence.failures and trouble.worth_saying:
            self._say(trouble, exc, request.watches)

    def _say(self, trouble: Trouble, exc: QProviderError, watches: Sequence[Watch]) -> None:
        _log.warning(
            "%s has not answered %d times in a row (%s); the wait for %s goes on",
            self.account.label,
            trouble.failures,
            failure_text(exc),
            _named([watch.job.info.id for watch in watches]),
        )

    def _found(self, request: Request, page: Any) -> tuple[list[Watch], list[Watch]]:
        """Take what a page of a list tells.

        Returns:
            The jobs that it tells of, and those that it does not.
        """
        missing: dict[str, list[Watch]] = {}
        for watch in request.watches:
            missing.setdefault(watch.job.info.id, []).append(watch)
        looked = []
        for info in page.jobs if page is not None else ():
            for watch in missing.pop(info.id, ()):
                if info.state is JobState.ERROR and info.error is None:
                    self._alone.append(watch)  # lists need not say why a job failed
                else:
                    watch.job.take(info)
                    looked.append(watch)
        return looked, [watch for watches in missing.values() for watch in watches]

    def _following(self, request: Request, page: Any, missing: Sequence[Watch]) -> JobQuery | None:
        """The query of the list's next page, where one is wanted."""
        if page is None or page.cursor is None or not page.jobs or not missing:
            return None
        if page.cursor in request.cursors or len(request.cursors) + 1 >= _MOST_PAGES:
            return None
        assert request.query is not None
        return attrs.evolve(request.query, cursor=page.cursor)

    def _ask_alone(self, missing: list[Watch], now: float) -> None:
        """Ask for jobs that the list lacks, each by itself, but not in every round."""
        wanted = sorted((watch for watch in missing if now >= watch.alone_at), key=lambda one: one.asked_at)
        self._alone.extend(wanted[:_ALONE])
        self._more |= len(wanted) > _ALONE

    def _look(self, watch: Watch) -> None:
        """Note a look at a job; say so where its status has been an unknown word for long."""
        watch.looked = True
        if watch.state is not JobState.UNKNOWN:
            watch.unknowns = 0
            return
        watch.unknowns += 1
        looks, word = UNKNOWN_LOOKS, watch.job.info.state_text
        while looks < watch.unknowns:
            looks *= 10
        if looks == watch.unknowns and (word, looks) not in self._said:
            self._said.add((word, looks))
            _log.warning(
                "job %s has had the status %r for %d looks, which the plugin of %s does not know; it is waited for "
                "still. A newer version of the plugin may know it",
                watch.job.info.id,
                word or watch.state.value,
                looks,
                self.account.provider,
            )


def _oldest(watches: Iterable[Watch]) -> Watch | None:
    """The job that will probably change first."""
    known = [watch for watch in watches if watch.state is not JobState.SUBMIT_UNKNOWN]

    def age(watch: Watch) -> float:
        created = watch.job.info.created_at
        return created.timestamp() if created is not None else math.inf

    return min(known, key=age, default=None)


def _by_instance(watches: Iterable[Watch]) -> dict[str | None, list[Watch]]:
    found: dict[str | None, list[Watch]] = {}
    for watch in watches:
        found.setdefault(watch.job.info.instance, []).append(watch)
    return found


def _named(ids: Sequence[str]) -> str:
    more = len(ids) - 3
    return f"{'job' if len(ids) == 1 else 'jobs'} {', '.join(ids[:3])}{f' and {more} more' if more > 0 else ''}"

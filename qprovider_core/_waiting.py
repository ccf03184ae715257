"""Waiting for jobs: one loop for all vendors, for one job or many. No Qiskit here.

Nothing that goes wrong on the way ends a wait before its timeout: the network may be gone, a vendor may stall, limit
the rate of requests or say words that its plugin does not know. Only what waiting does not mend is raised at once.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

from qprovider_core._clock import CLOCK, Clock, Reports
from qprovider_core._polling import FIRST_LOOK_S, Group
from qprovider_core._watches import Request, Watch
from qprovider_core.errors import InvalidInputError, JobTimeoutError
from qprovider_core.records import JobInfo, JobState

if TYPE_CHECKING:
    from qprovider_core._job import Job

_NAP_S = 0.5  # at most without looking at the clock, at Ctrl-C and at who has given up waiting
_SHOWN = 5  # jobs that a message names
_LONG_S = 2.0  # a wait that lasts longer has time to look for what earlier processes left behind


class Waited(NamedTuple):
    """What came of a wait: the jobs that have ended, and those that have not, in the order in which they were given."""

    done: list[Job]
    not_done: list[Job]


def wait(jobs: Iterable[Job], timeout: float | None = None) -> Waited:
    """Wait until all jobs have ended, in whatever way, or until the timeout.

    Args:
        jobs: Of any vendors and accounts.
        timeout: Seconds, by the clock; None for no limit. With 0, each is looked at for a moment.
    """
    wanted = _checked_jobs(jobs)
    try:
        for _ in watch_jobs(wanted, timeout=timeout):
            pass
    except JobTimeoutError:
        pass  # who is late stands in the answer
    return Waited([job for job in wanted if job.info.state.final], [job for job in wanted if not job.info.state.final])


def as_completed(jobs: Iterable[Job], timeout: float | None = None) -> Iterator[Job]:
    """Each job as soon as it has ended, in whatever way; those that have already, first.

    Args:
        jobs: Of any vendors and accounts.
        timeout: Seconds from now, by the clock; None for no limit.
    Raises:
        JobTimeoutError: Some have not ended in time (``.jobs``; the first of them is ``.job``). They go on.
    """
    return watch_jobs(jobs, timeout=timeout)


def watch_jobs(
    jobs: Iterable[Job],
    *,
    timeout: float | None = None,
    wait: float | None = None,
    callback: Callable[..., Any] | None = None,
    stopped: Callable[[], bool] | None = None,
    clock: Clock = CLOCK,
) -> Iterator[Job]:
    """Each job as soon as it has ended. Jobs are looked at only while the iterator is asked for the next one.

    Args:
        timeout: Seconds from now, by the clock, even while vendors do not answer; None for no limit.
        wait: Seconds between two looks; growing pauses when not given.
        callback: Called after each look at a job, with its id, its Qiskit status and the job, and with `queue_info`
            where it takes that. What it raises ends the wait.
        stopped: Asked often; once it says so, the iterator ends.
    Raises:
        JobTimeoutError: Some have not ended in time; they go on.
    """
    wanted = _checked_jobs(jobs)
    check_seconds(timeout, "timeout")
    check_seconds(wait, "wait")
    if callback is not None and not callable(callback):
        raise InvalidInputError(f"callback is a function, not {callback!r}.")
    limit = None if timeout is None or timeout == math.inf else float(timeout)
    return _Wait(wanted, limit, wait, callback, stopped, clock).run()


def check_seconds(seconds: Any, word: str) -> None:
    """Refuse what is no number of seconds; None is none.

    Raises:
        InvalidInputError: It is negative, NaN, or no number.
    """
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, Real) or not float(seconds) >= 0:
        raise InvalidInputError(f"{word} is a number of seconds of at least 0, not {seconds!r}.")


def _checked_jobs(jobs: Any) -> list[Any]:
    """The jobs, each once."""
    if _is_job(jobs):
        raise InvalidInputError("A list of jobs is needed, not a single one.", hint="Put it into a list: [job].")
    if isinstance(jobs, str | bytes) or not isinstance(jobs, Iterable):
        raise InvalidInputError(f"A list of jobs is needed, not {jobs!r}.", hint="Pass what backend.run(…) returned.")
    given = list(jobs)
    if not given:
        raise InvalidInputError("There is no job to wait for: the list is empty.")
    for job in given:
        if not _is_job(job):
            raise InvalidInputError(
                f"Only jobs can be waited for, not {job!r}.",
                hint="Pass what backend.run(…) returned; qp.job(id) gives the job of an id.",
            )
    return list({id(job): job for job in given}.values())


def _is_job(thing: Any) -> bool:
    return isinstance(getattr(thing, "info", None), JobInfo) and callable(getattr(thing, "refresh", None))


def timed_out(late: Sequence[Any], total: int, timeout: float) -> JobTimeoutError:
    """The error of a wait for `total` jobs in which these have not ended."""
    first = late[0]
    if total == 1:
        what = f"Job {first.info.id} has not ended within {timeout:g} s: it is {_standing(first.info)}."
        hint = (
            f"It goes on. Wait again with job.result(), or come back with qp.job({first.info.id!r}) or "
            f"`qprovider job {first.info.id}`."
        )
    else:
        told = ", ".join(f"{job.info.id} is {_standing(job.info)}" for job in late[:_SHOWN])
        more = f" and {len(late) - _SHOWN} more" if len(late) > _SHOWN else ""
        what = f"{len(late)} of {total} jobs have not ended within {timeout:g} s: {told}{more}."
        hint = "They go on. Wait again, or come back with qp.job(id) or `qprovider jobs`."
    if all(job.info.state is JobState.SUBMIT_UNKNOWN for job in late):
        hint = (
            "Whether it arrived is not known. Wait again: each wait looks for it, as `qprovider jobs reconcile` does."
        )
    return JobTimeoutError(what, job=first, jobs=late, job_id=first.info.id, hint=hint)


def _standing(info: JobInfo) -> str:
    return repr(info.state_text) if info.state is JobState.UNKNOWN and info.state_text else info.state.value


def _teller(callback: Callable[..., Any]) -> Callable[[Any], Any]:
    """Calls the callback for a job, in the form that it takes."""
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):  # of some built-in functions
        return lambda job: callback(job.info.id, job.nearest_status, job)
    takes_queue = any(
        one.kind is one.VAR_KEYWORD or (one.name == "queue_info" and one.kind is not one.POSITIONAL_ONLY)
        for one in parameters
    )

    def tell(job: Any) -> Any:
        more = {"queue_info": job.info.queue} if takes_queue else {}
        return callback(job.info.id, job.nearest_status, job, **more)

    return tell


def _look_back(accounts: Sequence[Any]) -> None:
    from qprovider_core._context import look_back_soon  # late: it imports Qiskit, which long waits have time for

    look_back_soon(accounts)


class _Wait:
    """The loop."""

    def __init__(
        self,
        jobs: Sequence[Any],
        timeout: float | None,
        wait: float | None,
        callback: Callable[..., Any] | None,
        stopped: Callable[[], bool] | None,
        clock: Clock,
    ) -> None:
        self._timeout = timeout
        self._clock = clock
        self._stopped = stopped
        self._tell = None if callback is None else _teller(callback)
        self._total = len(jobs)
        self._ended = [job for job in jobs if job.info.state.final]
        self._watches = [Watch(job) for job in jobs if not job.info.state.final]
        self._end = math.inf if timeout is None else clock.now() + timeout
        by_account: dict[int, list[Watch]] = {}
        for watch in self._watches:
            by_account.setdefault(id(watch.job.account), []).append(watch)
        self._accounts = [watches[0].job.account for watches in by_account.values()]
        self._look_back_at = clock.now() + _LONG_S
        self._groups = [
            Group(watches[0].job.account, watches, wait=wait, patient=timeout is not None, clock=clock)
            for watches in by_account.values()
        ]
        self._reports: Reports = Reports()
        self._requests: dict[Future[Any], Request] = {}

    def run(self) -> Iterator[Any]:
        yield from self._ended
        while self._watches:
            if self._stopped is not None and self._stopped():
                return
            now = self._clock.now()
            if now >= self._look_back_at:
                self._look_back_at = math.inf
                _look_back(self._accounts)
            for group in self._groups:
                if group.resting(now):  # somebody else may have asked meanwhile
                    yield from self._over([watch for watch in group.watches if watch.state.final])
            if now < self._end or not self._all_looked():
                self._ask(now)
            future = self._clock.report(self._reports, self._pause(now))
            if future is not None:
                yield from self._take(self._requests.pop(future), future)
            elif self._too_late():
                assert self._timeout is not None
                raise timed_out([watch.job for watch in self._watches], self._total, self._timeout)

    def _ask(self, now: float) -> None:
        for group in self._groups:
            for request in group.requests(now, max(self._end - now, 0.0)):
                self._start(request)

    def _start(self, request: Request) -> None:
        self._requests[self._clock.start(request.work, request.name, self._reports)] = request

    def _pause(self, now: float) -> float:
        """How long to wait for a report."""
        end = self._end if now < self._end else self._end + FIRST_LOOK_S
        due = min((group.due() for group in self._groups), default=math.inf)
        if now >= self._end and self._all_looked():
            return 0.0
        return max(min(due - now, end - now, _NAP_S), 0.0)

    def _take(self, request: Request, future: Future[Any]) -> Iterator[Any]:
        """Take what a request came to; gives the jobs that have ended."""
        group, now = request.group, self._clock.now()
        exc = future.exception()
        if exc is not None:
            looked = group.failed(request, exc, now)
        else:
            looked, more = group.answered(request, future.result(), now, max(self._end - now, 0.0))
            for following in more:
                self._start(following)
        if self._tell is not None:
            for watch in looked:
                self._tell(watch.job)
        yield from self._over([watch for watch in looked if watch.state.final])

    def _over(self, ended: Sequence[Watch]) -> Iterator[Any]:
        for watch in ended:
            self._watches.remove(watch)
            for group in self._groups:
                group.watches = [one for one in group.watches if one is not watch]
        self._groups = [group for group in self._groups if group.watches]
        for watch in ended:
            yield watch.job

    def _all_looked(self) -> bool:
        return all(watch.looked for watch in self._watches)

    def _too_late(self) -> bool:
        now = self._clock.now()
        return now >= self._end + FIRST_LOOK_S or (now >= self._end and self._all_looked())

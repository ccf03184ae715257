"""Waiting for jobs, with a clock that only pretends: hours pass at once, and every run is the same."""

import heapq
import itertools
import logging
import math
import random
import threading
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

import pytest
from qiskit.providers import JobStatus

from qprovider_core._clock import CLOCK, Clock
from qprovider_core._job import Job
from qprovider_core._waiting import Waited, as_completed, wait, watch_jobs
from qprovider_core.errors import (
    AuthenticationError,
    DeadlineError,
    InvalidInputError,
    JobTimeoutError,
    PluginError,
    ResponseError,
    SubmitUnknownError,
    TransportError,
    UnknownJobError,
)
from qprovider_core.records import JobInfo, JobPage, JobState, ProviderSpec, QueueInfo, Submission, SubmissionOutcome

pytestmark = pytest.mark.usefixtures("isolated")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = 3600.0
MUST_STOP = 4000  # requests: a test that comes so far would go on for ever


class Pretended(Clock):
    """Time that passes only where somebody waits. `lag` makes the request that is under way take so long."""

    def __init__(self, seed=1):
        self.time = 0.0
        self.lag = 0.0
        self._random = random.Random(seed)
        self._coming = []
        self._number = itertools.count()

    def now(self):
        return self.time

    def jitter(self):
        return self._random.uniform(0.9, 1.1)

    def start(self, work, name, reports):
        self.lag = 0.0
        future = Future()
        future.add_done_callback(reports.put)
        try:
            answer = (future.set_result, work())
        except Exception as exc:
            answer = (future.set_exception, exc)
        heapq.heappush(self._coming, (self.time + self.lag, next(self._number), answer))
        return future

    def report(self, reports, within_s):
        if not reports.empty():
            return reports.get_nowait()
        if self._coming and self._coming[0][0] <= self.time + within_s:
            self.time, _, (give, answer) = heapq.heappop(self._coming)
            give(answer)
            return reports.get_nowait()
        self.time += within_s
        return None


class Service:
    """A vendor whose jobs end at times of their own, and which counts what it is asked.

    Attributes:
        ends: Id to the second at which the job ends.
        asked: Each request: the time, and the id, or the ids of a list.
        trouble: Called before each answer with what is asked; may raise, or make the clock lag.
        lacks: Whether its lists lack the job of an id.
    """

    def __init__(self, clock, ends, word):
        self.clock, self.ends, self.word = clock, ends, word
        self.asked = []
        self.lacks = lambda job_id: False
        self.trouble = lambda what: None

    def info(self, job_id):
        ended = self.clock.now() >= self.ends[job_id]
        state = JobState.DONE if ended else JobState.UNKNOWN if self.word else JobState.RUNNING
        return JobInfo(id=job_id, state=state, state_text=None if ended else self.word)

    def get_job(self, job):
        self._note(job.id)
        return self.info(job.id)

    def list_jobs(self, query):
        self._note(query.ids)
        return JobPage(jobs=[self.info(one) for one in query.ids if not self.lacks(one)])

    def _note(self, what):
        self.asked.append((self.clock.now(), what))
        assert len(self.asked) < MUST_STOP
        self.trouble(what)

    @property
    def lists(self):
        return [what for _, what in self.asked if isinstance(what, tuple)]

    @property
    def singles(self):
        return [what for _, what in self.asked if isinstance(what, str)]

    @property
    def times(self):
        return [time for time, _ in self.asked]


@pytest.fixture
def clock():
    return Pretended()


@pytest.fixture
def acme(account, clock):
    """The jobs of a vendor, which ends them at these seconds."""

    def make(*ends, name="acme", lists=True, word=None, spec=None, **hooks):
        service = Service(clock, {f"{name[0]}{place}": end for place, end in enumerate(ends)}, word)
        given = {
            "get_job": lambda job: service.get_job(job),
            "list_jobs": (lambda query: service.list_jobs(query)) if lists else None,
            **hooks,
        }
        at = account(name, spec=spec or ProviderSpec(name=name, title=name.title()), **given)
        service.jobs = [Job(at, JobInfo(id=one, state=JobState.QUEUED)) for one in service.ends]
        return service

    return make


def ids(jobs):
    return [job.job_id() for job in jobs]


@pytest.fixture
def said(caplog):
    """What was said to the user."""
    caplog.set_level(logging.WARNING, logger="qprovider.jobs")
    return lambda: [record.getMessage() for record in caplog.records]


# ------------------------------------------------------------------------------------------- how often it asks


@pytest.mark.parametrize("min_poll_s", [0.001, 0.2, 0.5, 2.0])
def test_a_job_of_an_hour_costs_at_most_150_requests(min_poll_s, acme, clock):
    service = acme(HOUR, spec=ProviderSpec(name="acme", title="Acme", min_poll_s=min_poll_s))
    assert ids(watch_jobs(service.jobs, clock=clock)) == ["a0"]
    assert 60 < len(service.asked) <= 150
    assert HOUR <= clock.time < HOUR + 70
    pauses = [later - earlier for earlier, later in itertools.pairwise(service.times)]
    assert min(pauses) >= 0.9 * min_poll_s
    assert max(pauses) <= 66


def test_a_hundred_such_jobs_cost_at_most_500(acme, clock):
    service = acme(*[HOUR] * 100)
    assert len(list(watch_jobs(service.jobs, clock=clock))) == 100
    assert service.singles == []
    assert len(service.asked) <= 150


@pytest.mark.parametrize("apart", [0, 1, 30])
def test_a_hundred_such_jobs_cost_at_most_500_where_lists_lack_what_has_ended(apart, acme, clock):
    service = acme(*(HOUR - apart * place for place in range(100)))
    service.lacks = lambda job_id: service.info(job_id).state.final
    assert len(list(watch_jobs(service.jobs, clock=clock))) == 100
    assert sorted(service.singles) == sorted(service.ends)  # each of them once
    assert len(service.asked) <= 300
    assert clock.time <= HOUR + 70


def test_jobs_that_a_list_never_has_are_not_asked_for_in_every_round(acme, clock):
    service = acme(HOUR, HOUR, HOUR)
    service.lacks = lambda job_id: job_id == "a1"
    assert len(list(watch_jobs(service.jobs, clock=clock))) == 3
    assert set(service.singles) == {"a1"}
    assert 20 < len(service.singles) <= 0.7 * len(service.lists)


def test_a_list_that_lacks_hundreds_is_made_up_for_bit_by_bit(acme, clock):
    service = acme(*[5.0] * 200)
    service.lacks = lambda job_id: True
    service.trouble = lambda what: setattr(clock, "lag", 0.05)
    list(watch_jobs(service.jobs, timeout=60, clock=clock))
    a_round = [len(list(group)) for single, group in itertools.groupby(service.asked, lambda one: type(one[1]) is str)]
    assert max(a_round) == 32


@pytest.mark.parametrize(("end", "after"), [(0.0, 0.0), (2.0, 0.25), (30.0, 2.7), (300.0, 27.0), (7200.0, 67.0)])
def test_a_job_is_seen_soon_after_its_end(end, after, acme, clock):
    service = acme(end, spec=ProviderSpec(name="acme", title="Acme", min_poll_s=0.2))
    list(watch_jobs(service.jobs, clock=clock))
    assert end <= clock.time <= end + after


def test_two_waits_do_not_ask_in_step(acme):
    rhythms = []
    for seed in (1, 2):
        clock = Pretended(seed)
        service = acme(60.0, name=f"acme{seed}")
        service.clock = clock
        list(watch_jobs(service.jobs, clock=clock))
        rhythms.append(service.times)
    assert not set(rhythms[0][1:]) & set(rhythms[1][1:])


def test_a_pause_of_the_users_own_is_kept(acme, clock):
    service = acme(10.0, 10.0)
    list(watch_jobs(service.jobs, wait=2, clock=clock))
    assert service.times == [0, 2, 4, 6, 8, 10]


def test_the_next_pages_of_a_list_are_asked_for_and_no_more_than_needed(acme, clock):
    service = acme(*[5.0] * 6)

    def list_jobs(query):
        service._note(query.ids)
        begin = int(query.cursor or 0)
        jobs = [service.info(one) for one in list(service.ends)[begin : begin + 2]]
        return JobPage(jobs=jobs, cursor=str(begin + 2))

    service.list_jobs = list_jobs
    with pytest.raises(JobTimeoutError):
        list(watch_jobs(service.jobs[:3], timeout=0, clock=clock))
    assert service.lists == [("a0", "a1", "a2")] * 2


def test_a_list_that_turns_in_circles_is_left(acme, clock):
    service = acme(5.0, 5.0)
    service.list_jobs = lambda query: (
        service._note(query.ids) or JobPage(jobs=[JobInfo(id="other", state=JobState.DONE)], cursor="again")
    )
    assert len(list(watch_jobs(service.jobs, clock=clock))) == 2
    assert {service.lists.count(asked) / 2 <= len(set(service.times)) for asked in service.lists} == {True}


def test_a_list_that_fails_for_good_is_done_without(acme, clock):
    service = acme(5.0, 5.0)
    service.trouble = lambda what: 1 / 0 if isinstance(what, tuple) else None
    assert len(list(watch_jobs(service.jobs, clock=clock))) == 2
    assert len(service.lists) == 1


def test_jobs_of_two_instances_are_listed_by_instance(acme, clock):
    service = acme(*[5.0] * 5)
    places = dict(zip(service.ends, ("i", "i", "k", "k", "l"), strict=True))
    jobs = [Job(job.account, JobInfo(id=job.job_id(), instance=places[job.job_id()], state=JobState.QUEUED))
            for job in service.jobs]  # fmt: skip
    with pytest.raises(JobTimeoutError):
        list(watch_jobs(jobs, timeout=0, clock=clock))
    assert (service.lists, service.singles) == ([("a0", "a1"), ("a2", "a3")], ["a4"])


def test_why_a_listed_job_failed_is_asked_for(acme, clock):
    service = acme(0.0, 0.0)
    service.list_jobs = lambda query: JobPage(jobs=[JobInfo(id=one, state=JobState.ERROR) for one in query.ids])
    service.get_job = lambda job: JobInfo(id=job.id, state=JobState.ERROR, error=f"{job.id} is hot")
    assert [job.info.error for job in watch_jobs(service.jobs, clock=clock)] == ["a0 is hot", "a1 is hot"]


def test_a_job_that_lists_do_not_have_is_never_looked_for_there(acme, clock):
    service = acme(5.0, 5.0, 5.0)
    service.jobs[1].listed = False
    list(watch_jobs(service.jobs, clock=clock))
    assert set(service.lists) == {("a0", "a2")}
    assert set(service.singles) == {"a1"}


# ------------------------------------------------------------------------------------------ vendors that hold


@pytest.fixture
def holder(acme, clock):
    """A vendor that holds its answer about a job until the job ends."""

    def make(*ends):
        def get_job(job, wait_s):
            service._note(job.id)
            held.append(wait_s)
            clock.lag = min(wait_s, max(0.0, service.ends[job.id] - clock.now()))
            over = service.ends[job.id] <= clock.now() + clock.lag
            return JobInfo(id=job.id, state=JobState.DONE if over else JobState.RUNNING)

        held = []
        service = acme(*ends, get_job=get_job, spec=ProviderSpec(name="acme", title="Acme", min_poll_s=0.001))
        service.held = held
        return service

    return make


@pytest.mark.parametrize("end", [0.0, 0.3, 90.0, HOUR])
def test_a_vendor_that_holds_its_answer_tells_of_the_end_at_once(end, holder, clock):
    service = holder(end)
    list(watch_jobs(service.jobs, clock=clock))
    assert clock.time == pytest.approx(end)
    assert len(service.asked) <= 150
    assert min(service.held) >= 1.0


def test_the_oldest_job_is_held_and_the_others_are_listed(holder, clock):
    service = holder(10.0, 5.0, 20.0)
    for age, job in enumerate(service.jobs):
        job.info = JobInfo(id=job.job_id(), state=JobState.RUNNING, created_at=NOON - timedelta(hours=age))
    order = [(job.job_id(), clock.time) for job in watch_jobs(service.jobs, clock=clock)]
    assert [one for one, _ in order] == ["a1", "a0", "a2"]
    assert service.singles[0] == "a2"
    assert service.lists[0] == ("a0", "a1")
    assert all(time <= 1.1 * service.ends[one] for one, time in order)


def test_a_vendor_that_could_hold_and_does_not_is_paused_for(acme, clock):
    service = acme(HOUR, get_job=lambda job, wait_s: service.get_job(job))
    list(watch_jobs(service.jobs, clock=clock))
    assert len(service.asked) <= 150


# ------------------------------------------------------------------------------------------------ many vendors


def test_jobs_come_as_they_end_each_once_those_that_have_ended_first(acme, clock):
    one, two = acme(30.0, 5.0, 1.0), acme(10.0, 20.0, name="borealis")
    list(watch_jobs([one.jobs[2]], clock=clock))
    asked = len(one.asked)
    jobs = [*one.jobs, *two.jobs, one.jobs[0]]
    waiting = watch_jobs(jobs, clock=clock)
    assert next(waiting) is one.jobs[2]
    assert len(one.asked) == asked
    assert ids(waiting) == ["a1", "b0", "b1", "a0"]


def test_a_vendor_that_stalls_delays_nobody_else(acme, clock):
    one, two = acme(5.0, 5.0), acme(5.0, name="borealis")

    def stall(what):
        clock.lag = 30.0
        raise DeadlineError("No answer.")

    one.trouble = stall
    waiting = watch_jobs([*one.jobs, *two.jobs], timeout=100, clock=clock)
    assert ids([next(waiting)]) == ["b0"]
    assert clock.time < 6
    with pytest.raises(JobTimeoutError) as caught:
        next(waiting)
    assert clock.time == pytest.approx(100)
    assert caught.value.job is one.jobs[0]
    assert caught.value.jobs == tuple(one.jobs)
    assert "2 of 3 jobs have not ended within 100 s: a0 is queued, a1 is queued" in caught.value.what


def test_a_request_that_never_comes_back_is_given_up_and_not_sent_again_meanwhile(acme, clock):
    service = acme(5.0, 5.0, lists=False)
    service.trouble = lambda what: setattr(clock, "lag", math.inf if what == "a0" else 0.0)
    waiting = watch_jobs(service.jobs, timeout=600, clock=clock)
    assert ids([next(waiting)]) == ["a1"]
    with pytest.raises(JobTimeoutError, match="1 of 2 jobs have not ended"):
        next(waiting)
    assert service.singles.count("a0") == 1


def test_a_real_request_that_stalls_keeps_neither_the_timeout_nor_another_vendors_job(acme, hang):
    one, two = acme(0.0, get_job=lambda: hang()), acme(-1.0, name="borealis")
    waiting = as_completed([*one.jobs, *two.jobs], timeout=0.3)
    assert ids([next(waiting)]) == ["b0"]
    with pytest.raises(JobTimeoutError) as caught:
        next(waiting)
    assert caught.value.job is one.jobs[0]


# ------------------------------------------------------------------------------------------------- time is up


def test_a_timeout_keeps_the_job_and_says_how_it_stands_and_what_to_do(acme, clock):
    service = acme(HOUR, word="Pondering")
    with pytest.raises(JobTimeoutError) as caught:
        list(watch_jobs(service.jobs, timeout=60, clock=clock))
    assert clock.time == pytest.approx(60)
    assert caught.value.job is service.jobs[0]
    assert caught.value.job_id == "a0"
    assert caught.value.what == "Job a0 has not ended within 60 s: it is 'Pondering'."
    assert "It goes on." in caught.value.hint
    assert "qp.job('a0')" in caught.value.hint
    assert "`qprovider job a0`" in caught.value.hint


def test_a_timeout_of_0_looks_once(acme, clock):
    service = acme(0.0, 0.0, 50.0)
    waiting = watch_jobs(service.jobs, timeout=0, clock=clock)
    assert ids([next(waiting), next(waiting)]) == ["a0", "a1"]
    with pytest.raises(JobTimeoutError):
        next(waiting)
    assert len(service.asked) == 1


def test_wait_tells_who_has_ended_and_who_has_not(acme):
    service = acme(math.inf, -1.0, math.inf, -1.0)
    a, b, c, d = service.jobs
    assert wait([a, b, c, d, b], timeout=0) == Waited(done=[b, d], not_done=[a, c])
    assert wait([b, d]) == ([b, d], [])


def test_a_wait_ends_when_who_waits_gives_up(acme, clock):
    service = acme(HOUR)
    assert list(watch_jobs(service.jobs, stopped=lambda: clock.time > 100, clock=clock)) == []
    assert 100 < clock.time < 101


def test_an_iterator_that_is_left_asks_no_more(acme, clock):
    service = acme(1.0, 2.0, HOUR)
    before = threading.active_count()
    for job in watch_jobs(service.jobs, clock=clock):
        assert job is service.jobs[0]
        break
    asked = len(service.asked)
    clock.time += HOUR
    assert len(service.asked) == asked
    assert threading.active_count() <= before


def test_a_job_that_somebody_else_saw_end_costs_nothing_more(acme, clock):
    service = acme(HOUR, HOUR)

    def ended(job_id, status, job):
        service.jobs[1].take(JobInfo(id="a1", state=JobState.DONE))

    waiting = watch_jobs(service.jobs, callback=ended, clock=clock)
    assert next(waiting) is service.jobs[1]
    assert len(service.asked) == 1


@pytest.mark.parametrize("jobs", [[], (), "j1", ["j1"], None, 5, [None], {"a": 1}])
def test_what_is_no_list_of_jobs_is_refused(jobs):
    for begin in (wait, as_completed, watch_jobs):
        with pytest.raises(InvalidInputError, match=r"(?i)jobs? "):
            begin(jobs)


def test_a_single_job_is_to_be_put_into_a_list(acme):
    with pytest.raises(InvalidInputError, match=r"\[job\]"):
        wait(acme(1.0).jobs[0])


@pytest.mark.parametrize("seconds", [-1, math.nan, True, "5", [1]])
def test_bad_seconds_are_refused_before_anything_is_asked(seconds, acme):
    service = acme(1.0)
    for begin in (
        lambda: wait(service.jobs, seconds),
        lambda: as_completed(service.jobs, timeout=seconds),
        lambda: watch_jobs(service.jobs, wait=seconds),
    ):
        with pytest.raises(InvalidInputError, match="number of seconds"):
            begin()
    with pytest.raises(InvalidInputError, match="callback is a function"):
        watch_jobs(service.jobs, callback=5)
    assert service.asked == []


def test_the_clock_never_goes_back_and_reports_in_time():
    earlier = CLOCK.now()
    assert CLOCK.now() >= earlier
    assert 0.9 <= CLOCK.jitter() <= 1.1


# --------------------------------------------------------------------------------------------------- failures


def cut(what=None, **more):
    error = TransportError("The line is cut.")
    vars(error).update(more)
    raise error


def test_a_lost_network_is_borne_until_the_timeout(acme, clock):
    service = acme(10.0, 10.0)
    service.trouble = cut
    with pytest.raises(JobTimeoutError):
        list(watch_jobs(service.jobs, timeout=30 * HOUR, clock=clock))
    assert clock.time == pytest.approx(30 * HOUR)


def test_without_a_timeout_it_is_borne_too_and_said_at_growing_intervals(acme, clock, said):
    service = acme(10.0)
    service.trouble = lambda what: cut() if clock.time < 12 * HOUR else None
    assert ids(watch_jobs(service.jobs, clock=clock)) == ["a0"]
    assert clock.time < 12 * HOUR + 70
    counts = [int(text.split(" times")[0].split()[-1]) for text in said()]
    assert counts == [8, 16, 32, 64, 128, 256, 512]
    assert "acme has not answered 8 times in a row (The line is cut.); the wait for job a0 goes on" in said()[0]


@pytest.mark.parametrize("count", [1, 3])
def test_after_a_day_without_any_answer_a_wait_without_a_timeout_gives_up(count, acme, clock, said):
    service = acme(*[HOUR * 1000] * count)
    service.trouble = lambda what: cut() if clock.time > HOUR else None
    with pytest.raises(TransportError, match="The line is cut"):
        list(watch_jobs(service.jobs, clock=clock))
    assert 25 * HOUR - 120 <= clock.time <= 25.5 * HOUR


def test_a_laptop_that_slept_for_days_has_not_lost_the_network_for_days(acme, clock):
    service = acme(100 * HOUR)

    def sleep(what):
        if 100 < clock.time < 200:
            clock.lag = 100 * HOUR
            cut()
        if len(service.asked) % 3:
            cut()

    service.trouble = sleep
    assert ids(watch_jobs(service.jobs, clock=clock)) == ["a0"]


def test_one_failing_job_keeps_no_other_from_being_asked_for_and_is_named(acme, clock, said):
    service = acme(*[20.0] * 30, lists=False)
    service.trouble = lambda what: cut() if what == "a0" else None
    waiting = watch_jobs(service.jobs, timeout=60, clock=clock)
    assert len(list(itertools.islice(waiting, 29))) == 29
    assert clock.time < 25
    assert said()[0] == "acme has not answered 8 times in a row (The line is cut.); the wait for job a0 goes on"


def test_a_list_that_is_never_answered_hides_no_job(acme, clock):
    service = acme(*[20.0] * 60)
    service.trouble = lambda what: cut() if isinstance(what, tuple) or what == "a7" else None
    waiting = watch_jobs(service.jobs, timeout=120, clock=clock)
    assert "a7" not in ids(itertools.islice(waiting, 59))
    assert clock.time < 30
    with pytest.raises(JobTimeoutError) as caught:
        next(waiting)
    assert caught.value.jobs == (service.jobs[7],)


def test_a_vendor_that_asks_for_a_pause_gets_it(acme, clock):
    service = acme(1.0)
    service.trouble = lambda what: cut(retry_after_s=300.0) if len(service.asked) == 2 else None
    list(watch_jobs(service.jobs, clock=clock))
    assert service.times[2] == pytest.approx(service.times[1] + 300)


def test_but_not_beyond_the_timeout(acme, clock):
    service = acme(1.0)
    service.trouble = lambda what: cut(retry_after_s=300.0)
    with pytest.raises(JobTimeoutError):
        list(watch_jobs(service.jobs, timeout=20, clock=clock))
    assert clock.time == pytest.approx(20)
    assert len(service.asked) == 1


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    "error",
    [AuthenticationError("The key is gone."), TransportError("No such host.", retryable=False), UnknownJobError("a0")],
)
def test_what_waiting_does_not_mend_is_raised_at_once(error, count, acme, clock):
    def fail(what):
        raise error

    service = acme(*[10.0] * count)
    service.trouble = fail
    with pytest.raises(type(error)):
        list(watch_jobs(service.jobs, timeout=60, clock=clock))
    assert clock.time == 0


@pytest.mark.parametrize("count", [1, 2])
def test_answers_that_cannot_be_read_are_borne_8_times_in_a_row(count, acme, clock):
    bad = set(range(1, 9)) | set(range(10, 18))

    def garble(what):
        if len(service.asked) in bad:
            raise ResponseError("No JSON.")

    service = acme(*[1000.0] * count)
    service.trouble = garble
    assert len(list(watch_jobs(service.jobs, clock=clock))) == count
    bad.update(range(len(service.asked), MUST_STOP))
    again = [Job(job.account, JobInfo(id=job.job_id(), state=JobState.QUEUED)) for job in service.jobs]
    before = len(service.asked)
    with pytest.raises(ResponseError):
        list(watch_jobs(again, timeout=1e6, clock=clock))
    assert len(service.asked) == before + 9


def test_a_plugin_at_fault_ends_the_wait(acme, clock):
    service = acme(10.0)
    service.trouble = lambda what: 1 / 0
    with pytest.raises(PluginError):
        list(watch_jobs(service.jobs, timeout=60, clock=clock))


# ----------------------------------------------------------------------------------- statuses that nobody knows


def test_an_unknown_status_is_said_after_20_looks_and_again_much_later(acme, clock, said):
    service = acme(10 * HOUR, word="Pondering")
    assert ids(watch_jobs(service.jobs, clock=clock)) == ["a0"]
    assert clock.time >= 10 * HOUR
    assert len(said()) == 2
    assert "job a0 has had the status 'Pondering' for 20 looks, which the plugin of acme does not know" in said()[0]
    assert "for 200 looks" in said()[1]


def test_a_word_that_many_jobs_have_is_said_once(acme, clock, said):
    service = acme(*[HOUR] * 50, word="Pondering")
    assert len(list(watch_jobs(service.jobs, clock=clock))) == 50
    assert len(said()) == 1


def test_a_word_that_passes_is_not_worth_saying(acme, clock, said):
    service = acme(HOUR, word="Pondering")
    service.get_job = lambda job: (
        service._note(job.id)
        or (JobInfo(id=job.id, state=JobState.RUNNING) if len(service.asked) % 19 == 0 else service.info(job.id))
    )
    assert ids(watch_jobs(service.jobs, clock=clock)) == ["a0"]
    assert said() == []


# --------------------------------------------------------------------- submissions of which nobody knows enough


def test_a_job_that_may_not_have_arrived_is_looked_for_by_its_key(acme, clock, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    outcomes = iter([SubmissionOutcome.UNKNOWN, SubmissionOutcome.FOUND])

    def find(key):
        outcome = next(outcomes)
        found = outcome is SubmissionOutcome.FOUND
        return Submission(outcome=outcome, job=JobInfo(id="a0", state=JobState.QUEUED) if found else None)

    service = acme(5.0, 5.0, find_submission=find)
    sent = Job(
        service.jobs[0].account,
        JobInfo(id="key", key="key", state=JobState.SUBMIT_UNKNOWN, created_at=datetime.now(UTC)),
    )
    assert set(ids(watch_jobs([sent, service.jobs[1]], clock=clock))) == {"a0", "a1"}
    assert ("a0", "a1") in service.lists


def test_that_nobody_can_tell_is_raised_at_once(acme, clock, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    service = acme(5.0, lists=False)
    sent = Job(
        service.jobs[0].account,
        JobInfo(id="key", key="key", state=JobState.SUBMIT_UNKNOWN, created_at=datetime.now(UTC)),
    )
    with pytest.raises(SubmitUnknownError):
        list(watch_jobs([sent], timeout=60, clock=clock))
    assert clock.time == 0


def test_a_timeout_of_such_a_job_does_not_say_that_it_goes_on(acme, clock, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    service = acme(5.0, find_submission=lambda: Submission(outcome=SubmissionOutcome.UNKNOWN))
    sent = Job(
        service.jobs[0].account,
        JobInfo(id="key", key="key", state=JobState.SUBMIT_UNKNOWN, created_at=datetime.now(UTC)),
    )
    with pytest.raises(JobTimeoutError) as caught:
        list(watch_jobs([sent], timeout=60, clock=clock))
    assert "goes on" not in caught.value.hint
    assert "reconcile" in caught.value.hint


# -------------------------------------------------------------------------------------------------- callbacks


def test_a_callback_sees_each_look_at_each_job(acme, clock):
    service = acme(5.0, 0.0)
    looks = []
    list(watch_jobs(service.jobs, wait=2, clock=clock, callback=lambda *told: looks.append(told)))
    a, b = service.jobs
    running, done = JobStatus.RUNNING, JobStatus.DONE
    assert looks == [("a0", running, a), ("a1", done, b), *[("a0", running, a)] * 2, ("a0", done, a)]


def test_a_callback_is_told_of_a_look_that_failed(acme, clock):
    service = acme(5.0)
    service.trouble = cut
    looks = []
    with pytest.raises(JobTimeoutError):
        list(watch_jobs(service.jobs, timeout=1, clock=clock, callback=lambda *told: looks.append(told)))
    assert looks[0] == ("a0", JobStatus.QUEUED, service.jobs[0])


def test_a_callback_gets_the_queue_where_it_takes_it(acme, clock):
    place = QueueInfo(position=3)
    service = acme(0.0)
    service.get_job = lambda job: JobInfo(id=job.id, state=JobState.DONE, queue=place)
    seen = []

    def retired(job_id, job_status, job, **kwargs):
        seen.append(kwargs)

    def required(job_id, job_status, job, *, queue_info):
        seen.append(queue_info)

    for callback in (retired, required, lambda *told: seen.append(len(told)), lambda a, b, c: seen.append("three")):
        job = Job(service.jobs[0].account, JobInfo(id="a0", state=JobState.QUEUED))
        list(watch_jobs([job], callback=callback, clock=clock))
    assert seen == [{"queue_info": place}, place, 3, "three"]


def test_a_callback_that_raises_ends_the_wait_and_not_the_job(acme, clock):
    service = acme(5.0)
    with pytest.raises(ZeroDivisionError):
        list(watch_jobs(service.jobs, callback=lambda *told: 1 / 0, clock=clock))
    assert ids(watch_jobs(service.jobs, clock=clock)) == ["a0"]

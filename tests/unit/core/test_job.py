"""Jobs: where they stand, waiting for them, and what can be had of them."""

import itertools
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from qiskit import QuantumCircuit
from qiskit.providers import JobStatus, JobV1

from qprovider_core import _polling, _tracked_job
from qprovider_core._job import Job, Standing
from qprovider_core.errors import (
    InvalidInputError,
    JobCancelledError,
    JobFailedError,
    JobTimeoutError,
    PluginError,
    QProviderError,
    ResultError,
    TransportError,
    UnknownJobError,
    UnknownOptionError,
    UnsupportedError,
)
from qprovider_core.records import (
    BackendInfo,
    BackendProperties,
    JobDetails,
    JobInfo,
    JobPage,
    JobResult,
    JobState,
    JobUsage,
    ProviderSpec,
    QueueInfo,
    SamplePubResult,
)

pytestmark = pytest.mark.usefixtures("isolated")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUICK = ProviderSpec(name="acme", title="Acme", min_poll_s=0.001, max_tags=3)
COUNTS = JobResult(pubs=[SamplePubResult.from_counts({"0": 3, "1": 5})])


@pytest.fixture
def job(account):
    """A job whose vendor tells these states in turn (the last one again and again)."""

    def make(*infos, **hooks):
        told = [one if isinstance(one, JobInfo) else JobInfo(id="j1", state=one) for one in infos]
        answers = itertools.chain(told[1:], itertools.repeat(told[-1]))
        asked = []

        def get_job():
            asked.append(1)
            return next(answers)

        acme = account(spec=QUICK, **{"get_job": get_job, "job_result": lambda: COUNTS, **hooks})
        handle = Job(acme, told[0])
        handle.asked = asked
        return handle

    return make


# -------------------------------------------------------------------------------------------------------- states


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (JobState.INITIALIZING, JobStatus.INITIALIZING),
        (JobState.QUEUED, JobStatus.QUEUED),
        (JobState.VALIDATING, JobStatus.VALIDATING),
        (JobState.RUNNING, JobStatus.RUNNING),
        (JobState.CANCELLED, JobStatus.CANCELLED),
        (JobState.DONE, JobStatus.DONE),
        (JobState.ERROR, JobStatus.ERROR),
        (JobState.SUBMIT_UNKNOWN, JobStatus.INITIALIZING),
        (JobState.UNKNOWN, JobStatus.QUEUED),
    ],
)
def test_a_state_is_told_as_the_nearest_of_qiskit(state, status, job):
    handle = job(JobState.QUEUED, JobInfo(id="j1", state=state, state_text="odd word"))
    assert isinstance(handle, JobV1)
    assert handle.status() is status
    assert handle.in_final_state() is state.final
    assert handle.state() == Standing(state, "odd word")
    assert str(handle.state()) == f"{state.value} (odd word)"
    assert handle.done() is (state is JobState.DONE)


def test_every_state_has_a_status():
    assert set(_tracked_job._STATUS) == set(JobState)


def test_a_job_that_has_ended_is_not_asked_for_again(job):
    handle = job(JobState.QUEUED, JobState.DONE)
    assert handle.status() is JobStatus.DONE
    assert handle.status() is JobStatus.DONE
    assert len(handle.asked) == 1
    assert str(handle.state()) == "done"


def test_what_a_later_answer_leaves_out_is_not_forgotten(job):
    handle = job(
        JobInfo(id="j1", state=JobState.QUEUED, instance="i", backend="one", created_at=NOON, tags=("t",), name="n"),
        JobInfo(id="other", state=JobState.RUNNING, started_at=NOON),
        JobInfo(id="j1", state=JobState.DONE, tags=("u",)),
    )
    handle.refresh()
    assert (handle.ref.id, handle.ref.instance) == ("j1", "i")
    assert (handle.info.backend, handle.creation_date(), handle.tags()) == ("one", NOON, ["t"])
    handle.refresh()
    assert (handle.info.started_at, handle.tags(), handle.name()) == (NOON, ["u"], "n")


def test_a_job_that_the_vendor_no_longer_knows_is_not_waited_for(job):
    handle = job(JobState.QUEUED, get_job=lambda: None)
    with pytest.raises(UnknownJobError, match="has no job 'j1' any more"):
        handle.wait_for_final_state()


def test_an_answer_that_comes_late_does_not_take_a_job_back(job):
    asked, release = threading.Event(), threading.Event()
    turns = itertools.count()

    def get_job(job):
        if next(turns) == 0:
            asked.set()
            release.wait(30)
            return JobInfo(id=job.id, state=JobState.RUNNING)
        return JobInfo(id=job.id, state=JobState.CANCELLED)

    handle = job(JobState.QUEUED, get_job=get_job)
    slow = threading.Thread(target=handle.status)
    slow.start()
    asked.wait(30)
    assert handle.status() is JobStatus.CANCELLED
    release.set()
    slow.join(30)
    assert handle.info.state is JobState.CANCELLED


def test_the_timeout_holds_for_fetching_the_result_too(job):
    release = threading.Event()
    handle = job(JobState.DONE, job_result=lambda: release.wait(60) and COUNTS)
    try:
        with pytest.raises(JobTimeoutError, match="The result of job j1 did not come within 0.05 s") as caught:
            handle.result(timeout=0.05)
        assert caught.value.job is handle
    finally:
        release.set()


def test_a_timeout_of_0_looks_once(job):
    assert job(JobState.QUEUED, JobState.DONE).result(timeout=0).get_counts() == {"0": 3, "1": 5}


# ------------------------------------------------------------------------------------------------------- waiting


def test_waiting_ends_with_the_job_and_tells_each_look(job):
    handle = job(JobState.QUEUED, JobState.UNKNOWN, JobState.RUNNING, JobState.DONE)
    looks = []
    handle.wait_for_final_state(callback=lambda job_id, status, one: looks.append((job_id, status, one is handle)))
    assert looks == [
        ("j1", JobStatus.QUEUED, True),
        ("j1", JobStatus.RUNNING, True),
        ("j1", JobStatus.DONE, True),
    ]
    handle.wait_for_final_state(timeout=0)


def test_an_unknown_state_never_ends_a_wait(job):
    handle = job(JobState.UNKNOWN)
    with pytest.raises(JobTimeoutError) as caught:
        handle.result(timeout=0.05)
    assert caught.value.job is handle
    assert caught.value.job_id == "j1"
    assert "it is unknown" in caught.value.what
    assert isinstance(caught.value, TimeoutError)


def test_a_timeout_holds_while_the_vendor_does_not_answer(job, hang):
    handle = job(JobState.QUEUED, get_job=lambda: hang())
    started = time.monotonic()
    with pytest.raises(JobTimeoutError):
        handle.wait_for_final_state(timeout=0.1)
    assert time.monotonic() - started < 10
    assert hang.entered.is_set()


def test_a_request_that_is_lost_is_sent_again_long_before_a_long_timeout(job, hang, monkeypatch):
    monkeypatch.setenv("QPROVIDER_TIMEOUT", "0.05")
    asked = []

    def get_job():
        asked.append(1)
        if len(asked) == 1:
            hang()
        return JobInfo(id="j1", state=JobState.DONE)

    handle = job(JobState.QUEUED, get_job=get_job)
    handle.wait_for_final_state(timeout=3600)
    assert len(asked) == 2


@pytest.mark.parametrize("timeout", [-1, float("nan"), "5", True])
def test_a_timeout_is_a_number_of_seconds(timeout, job):
    handle = job(JobState.QUEUED)
    for limits in ({"timeout": timeout}, {"wait": timeout}):
        with pytest.raises(InvalidInputError, match="number of seconds"):
            handle.wait_for_final_state(**limits)
    assert handle.asked == []


def test_a_callback_may_come_right_after_the_timeout(job):
    told = []
    job(JobState.QUEUED, JobState.DONE).wait_for_final_state(10, lambda *args: told.append(args))
    assert [status for _, status, _ in told][-1] is JobStatus.DONE


def test_forever_is_no_limit(job):
    job(JobState.QUEUED, JobState.DONE).wait_for_final_state(timeout=float("inf"), wait=0)


def test_a_wait_bears_some_failures_of_the_line(job):
    failures = []

    def get_job():
        failures.append(1)
        if len(failures) <= 2:
            raise TransportError("The line is cut.")
        return JobInfo(id="j1", state=JobState.DONE)

    job(JobState.QUEUED, get_job=get_job).wait_for_final_state()
    assert len(failures) == 3


def test_a_failure_that_waiting_does_not_mend_ends_a_wait(job):
    asked = []

    def get_job():
        asked.append(1)
        raise TransportError("The line is cut.", retryable=False)

    with pytest.raises(TransportError):
        job(JobState.QUEUED, get_job=get_job).wait_for_final_state()
    assert asked == [1]


def test_other_errors_end_a_wait(job):
    def get_job():
        raise UnknownJobError("j1")

    with pytest.raises(UnknownJobError):
        job(JobState.QUEUED, get_job=get_job).result(timeout=60)


# -------------------------------------------------------------------------------------------------------- results


def test_a_result_is_asked_for_once(job):
    asked = []
    handle = job(JobState.QUEUED, JobState.DONE, job_result=lambda: asked.append(1) or COUNTS)
    assert handle.result().get_counts() == {"0": 3, "1": 5}
    assert handle.result() is handle.result(timeout=0)
    assert asked == [1]


def test_a_result_is_asked_for_again_after_a_failure(job):
    answers = iter([TransportError("The line is cut."), COUNTS])

    def job_result():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    handle = job(JobState.DONE, job_result=job_result)
    with pytest.raises(TransportError):
        handle.result()
    assert handle.result().get_counts() == {"0": 3, "1": 5}


@pytest.mark.parametrize(
    ("state", "error"), [(JobState.ERROR, JobFailedError), (JobState.CANCELLED, JobCancelledError)]
)
def test_a_job_that_ended_without_a_result_says_why(state, error, job):
    handle = job(JobState.QUEUED, JobInfo(id="j1", state=state, error="qubit lost"))
    with pytest.raises(error, match="qubit lost") as caught:
        handle.result()
    assert caught.value.job_id == "j1"
    assert handle.error_message() == "qubit lost"


def test_a_result_that_is_gone_is_an_error(job):
    with pytest.raises(ResultError, match="no result of job j1 any more"):
        job(JobState.DONE, job_result=lambda: None).result()


def test_a_result_of_another_job_is_refused(device, monkeypatch):
    handle = device(job_result=lambda: JobResult(pubs=[SamplePubResult.from_counts({"0": 1})] * 2))
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    with pytest.raises(ResultError, match="2 circuits, 1 were sent"):
        handle.run(circuit).result()


# --------------------------------------------------------------------------------------------- what is known of it


def test_what_is_known_of_a_job(job):
    info = JobInfo(
        id="j1", state=JobState.ERROR, backend="one", name="mine", tags=("a",), session_id="s",
        created_at=NOON, started_at=NOON + timedelta(1), ended_at=NOON + timedelta(2),
        queue=QueueInfo(position=3), usage=JobUsage(quantum_s=1.5),
    )  # fmt: skip
    handle = job(info)
    assert (handle.job_id(), handle.name(), handle.tags(), handle.session_id()) == ("j1", "mine", ["a"], "s")
    assert (handle.creation_date(), handle.queue_position(), handle.usage().quantum_s) == (NOON, 3, 1.5)
    assert handle.time_per_step() == {
        "CREATED": NOON,
        "RUNNING": NOON + timedelta(1),
        "ERROR": NOON + timedelta(2),
    }
    assert repr(handle) == "<Job j1 on acme:one, error>"


def test_a_running_job_keeps_the_time_at_which_it_began(job):
    handle = job(JobInfo(id="j1", state=JobState.RUNNING, created_at=NOON, started_at=NOON))
    assert handle.time_per_step() == {"CREATED": NOON, "RUNNING": NOON}


def test_what_a_vendor_does_not_tell_is_none(job):
    handle = job(JobState.DONE)
    assert (handle.name(), handle.tags(), handle.usage(), handle.queue_info()) == (None, [], None, None)
    assert (handle.queue_position(), handle.details(), handle.circuits()) == (None, None, None)
    assert "unknown backend" in repr(handle)
    with pytest.raises(ResultError, match="does not say on which backend"):
        handle.backend()
    with pytest.raises(InvalidInputError, match="submitted already"):
        handle.submit()


def test_what_a_vendor_keeps_of_a_job(device):
    handle = device(job_details=lambda: JobDetails(logs="log", circuits=("circuit",)))
    found = handle.provider.retrieve_job
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    job = handle.run(circuit, name="mine", job_tags=["t"])
    assert job.backend() is handle
    assert job.circuits() == [circuit]
    assert (job.name(), job.tags()) == ("mine", ["t"])
    again = found(job.job_id())
    assert again.details().logs == "log"
    assert again.circuits() == [circuit]  # the ledger has them: the vendor need not be asked
    assert again.backend().full_name == "acme:line"
    assert again.result().get_counts() == {"0": 1024}


def test_properties_are_those_that_held_when_it_ran(device):
    asked = []

    def properties(at):
        asked.append(at)
        return BackendProperties(backend_name="line", last_update=at)

    handle = device(
        backend_properties=properties,
        get_job=lambda: JobInfo(id="j1", state=JobState.DONE, backend="line", created_at=NOON),
    )
    assert handle.provider.retrieve_job("j1").properties().last_update == NOON
    assert asked == [NOON]


# ------------------------------------------------------------------------------------------------ changing a job


def test_a_job_is_cancelled(job):
    cancelled = []
    handle = job(JobState.QUEUED, JobState.CANCELLED, cancel_job=lambda: cancelled.append(1) or True)
    assert handle.cancel() is True
    assert handle.info.state is JobState.CANCELLED
    assert handle.cancel() is False
    assert cancelled == [1]


def test_a_job_that_ended_meanwhile_is_not_cancelled(job):
    assert job(JobState.RUNNING, JobState.DONE, cancel_job=lambda: False).cancel() is False


def test_what_the_vendor_cannot_do_is_an_error(job):
    handle = job(JobState.QUEUED)
    with pytest.raises(UnsupportedError, match="cancelling jobs"):
        handle.cancel()
    with pytest.raises(UnsupportedError, match="tags"):
        handle.update_tags(["a"])


def test_tags_are_replaced(job):
    sent = []
    handle = job(JobState.DONE, update_job_tags=lambda tags: sent.append(tags) or True)
    handle.update_tags(["a", "b"])
    assert sent == [("a", "b")]
    assert handle.tags() == ["a", "b"]
    for tags in ("ab", [""], [5], None, 5, ["a"] * 4):
        with pytest.raises(InvalidInputError, match="(?i)tags"):
            handle.update_tags(tags)
    assert len(sent) == 1


# ---------------------------------------------------------------------------------------------------- finding jobs


def test_a_job_is_found_by_its_id_and_keeps_its_instance(account):
    asked = []
    acme = account(spec=QUICK, get_job=lambda job: asked.append(job) or JobInfo(id=job.id, state=JobState.QUEUED))
    found = acme.retrieve_job("j1", instance="i")
    found.status()
    assert [(ref.id, ref.instance) for ref in asked] == [("j1", "i")] * 2


@pytest.mark.parametrize("job_id", ["", None, 5])
def test_a_job_id_is_a_text(job_id, account):
    with pytest.raises(InvalidInputError, match="id is a text"):
        account(get_job=lambda: None).retrieve_job(job_id)


def test_an_unknown_job_is_an_error(account):
    with pytest.raises(UnknownJobError, match="acme has no job 'j9'"):
        account(get_job=lambda: None).retrieve_job("j9")


def paged(pages):
    def list_jobs(query):
        position = int(query.cursor or 0)
        ids, cursor = pages[position]
        return JobPage(jobs=[JobInfo(id=i, state=JobState.DONE) for i in ids], cursor=cursor)

    return list_jobs


@pytest.mark.parametrize(
    ("pages", "limit", "ids"),
    [
        ([("ab", None)], 10, "ab"),
        ([("ab", "1"), ("bc", "2"), ("cd", None)], None, "abcd"),  # shifted between two pages
        ([("ab", "1"), ("cd", "2"), ("ef", None)], 3, "abc"),
        ([("ab", "1"), ("cd", None)], 2, "ab"),
        ([("ab", "1"), ("", "0")], None, "ab"),
        ([("", None)], 10, ""),
    ],
)
def test_jobs_are_listed_page_by_page_each_once(pages, limit, ids, account):
    listed = account(list_jobs=paged(pages)).jobs(limit=limit)
    assert "".join(job.job_id() for job in listed) == ids
    assert listed.errors == []


def test_a_vendor_that_turns_in_circles_is_stopped(account):
    acme = account(list_jobs=paged([("ab", "1"), ("cd", "1")]))
    listed = acme.jobs(limit=None)
    assert [job.job_id() for job in listed] == ["a", "b", "c", "d"]
    assert "the same page of jobs again" in listed.errors[0].reason


def test_a_listing_that_breaks_off_gives_what_came(account):
    calls = []

    def list_jobs(query):
        calls.append(query.cursor)
        if query.cursor:
            raise TransportError("The line is cut.")
        return JobPage(jobs=[JobInfo(id="a", state=JobState.DONE)], cursor="next")

    listed = account(list_jobs=list_jobs).jobs(limit=None)
    assert [job.job_id() for job in listed] == ["a"]
    assert listed.errors[0].reason == "The line is cut."
    assert calls == [None, "next"]


def test_a_listing_that_fails_at_once_raises(account):
    def list_jobs():
        raise TransportError("The line is cut.")

    with pytest.raises(TransportError):
        account(list_jobs=list_jobs).jobs()
    assert account("beta", list_jobs=lambda: None).jobs() == []
    with pytest.raises(UnsupportedError, match="listing jobs"):
        account("gamma").jobs()


def test_jobs_are_asked_for_by_fields(account):
    seen = []
    acme = account(list_jobs=lambda query: seen.append(query) or JobPage())
    acme.jobs(limit=5, tags=["a"], pending=None, states=[JobState.DONE], created_after=NOON)
    (query,) = seen
    assert (query.limit, query.tags, query.pending, query.states) == (5, ("a",), None, (JobState.DONE,))
    for limit in (0, -1, True, "5", 2.0):
        with pytest.raises(InvalidInputError, match="limit"):
            acme.jobs(limit=limit)
    with pytest.raises(UnknownOptionError, match="'tags'"):
        acme.jobs(tag="a")
    with pytest.raises(InvalidInputError, match="aware") as caught:
        acme.jobs(created_after=datetime(2026, 1, 1))
    assert isinstance(caught.value, QProviderError)


# ------------------------------------------------------------------------------------------------ vendors' classes


class OwnJob(Job):
    """A vendor's own handle."""


@pytest.fixture
def own_module(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "acme_handles", sys.modules[__name__])


def test_a_vendor_may_have_a_job_class_of_its_own(own_module, account):
    spec = ProviderSpec(name="acme", title="A", job_class="acme_handles:OwnJob")
    acme = account(spec=spec, get_job=lambda: JobInfo(id="j1", state=JobState.DONE))
    assert type(acme.retrieve_job("j1")) is OwnJob
    assert "<OwnJob j1" in repr(acme.retrieve_job("j1"))


def test_handles_of_jobs_can_be_used_from_several_threads(job):
    asked = []
    handle = job(JobState.DONE, job_result=lambda: asked.append(1) or COUNTS)
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(handle.result())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({id(result) for result in seen}) == 1
    assert asked == [1]


def test_a_plugin_that_gives_no_job_is_at_fault(device):
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    for answer in (None, JobInfo(id="", state=JobState.QUEUED)):
        handle = device(submit_job=lambda answer=answer: answer)
        with pytest.raises(PluginError, match="gave no job for what was submitted"):
            handle.run(circuit)
        from qprovider_core import unregister_plugin

        unregister_plugin("acme")
    assert BackendInfo(name="x").ref.name == "x"


# --------------------------------------------------------------------------------------------- vendors that hold


def test_a_vendor_that_names_wait_s_may_hold_its_answer(account):
    states = itertools.chain([JobState.RUNNING], itertools.repeat(JobState.DONE))
    held = []

    def get_job(job, wait_s):
        held.append(wait_s)
        return JobInfo(id=job.id, state=next(states))

    acme = account(spec=QUICK, get_job=get_job, job_result=lambda: COUNTS)
    Job(acme, JobInfo(id="j1", state=JobState.QUEUED)).wait_for_final_state(timeout=60)
    assert held == [_polling.HELD_S, _polling.HELD_S]


def test_one_that_names_wait_s_and_answers_at_once_is_still_paused_for(account):
    asked = []

    def get_job(job, wait_s):
        asked.append(wait_s)
        return JobInfo(id=job.id, state=JobState.RUNNING)

    acme = account(spec=ProviderSpec(name="acme", title="Acme", min_poll_s=0.05), get_job=get_job)
    with pytest.raises(JobTimeoutError):
        Job(acme, JobInfo(id="j1", state=JobState.RUNNING)).wait_for_final_state(timeout=0.3)
    assert 1 <= len(asked) <= 8
    assert all(0 <= wait_s <= 0.3 for wait_s in asked)


def test_status_and_a_wait_of_the_users_own_do_not_hold(account):
    held = []

    def get_job(job, wait_s):
        held.append(wait_s)
        return JobInfo(id=job.id, state=JobState.RUNNING if len(held) < 3 else JobState.DONE)

    handle = Job(account(spec=QUICK, get_job=get_job), JobInfo(id="j1", state=JobState.QUEUED))
    handle.status()
    handle.wait_for_final_state(wait=0.001)
    assert held == [0.0, 0.0, 0.0]

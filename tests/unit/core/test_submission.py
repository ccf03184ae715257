"""A job is sent once: what each answer to a submission comes to, and what the ledger then says."""

import copy
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import attrs
import pytest
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core import _kept, _settling, _submission, hookimpl
from qprovider_core._plugins import register_plugin
from qprovider_core.errors import (
    AuthenticationError,
    InvalidInputError,
    LedgerError,
    PluginError,
    QProviderError,
    ResponseError,
    SubmitUnknownError,
    TransportError,
    UnknownJobError,
    VetoError,
)
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import (
    JobInfo,
    JobPage,
    JobResult,
    JobState,
    ProviderSpec,
    SamplePubResult,
    Submission,
    SubmissionOutcome,
)

pytestmark = pytest.mark.usefixtures("isolated")
COUNTS = JobResult(pubs=[SamplePubResult.from_counts({"0": 3, "1": 5})])
SPEC = ProviderSpec(name="acme", title="Acme", min_poll_s=0.001, settle_time_s=0.0)
FOUND, ABSENT, UNKNOWN = SubmissionOutcome.FOUND, SubmissionOutcome.ABSENT, SubmissionOutcome.UNKNOWN


def bit():
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


class Service:
    """A vendor that takes jobs, and fails as it is told: `faults` are met in turn, one a submission.

    A fault is an error, raised before the job is taken; or a pair of "after" and an error, raised once it was taken.
    """

    def __init__(self, *faults):
        self.faults = list(faults)
        self.jobs = {}
        self.sent = []
        self.looks = []
        self.finds = True  # whether its look-up says what is there
        self.lookup = None  # an error of the look-up, or an outcome
        self.lock = threading.Lock()

    def take(self, request):
        job = JobInfo(id=f"a{len(self.jobs)}", state=JobState.DONE, backend=request.backend.name, tags=request.tags)
        self.jobs[job.id] = (job, request)
        return job

    @hookimpl
    def submit_job(self, request):
        with self.lock:
            self.sent.append(request)
            fault = self.faults.pop(0) if self.faults else None
            if isinstance(fault, tuple):
                self.take(request)
                fault = fault[1]
            if callable(fault) and not isinstance(fault, BaseException):
                return fault(request)
            if fault is not None:
                raise fault
            return self.take(request)

    @hookimpl
    def find_submission(self, key):
        self.looks.append(key)
        if isinstance(self.lookup, BaseException):
            raise self.lookup
        if self.lookup is not None:
            return Submission(outcome=self.lookup)
        found = [job for job, request in list(self.jobs.values()) if request.key == key]
        return Submission(outcome=FOUND, job=found[0]) if found else Submission(outcome=ABSENT)

    @hookimpl
    def get_job(self, job):
        if job.id not in self.jobs:
            raise UnknownJobError(job.id)
        return self.jobs[job.id][0]

    @hookimpl
    def list_jobs(self, query):
        self.looks.append(query)
        listed = [job for job, _ in self.jobs.values() if set(query.tags) <= set(job.tags)]
        return JobPage(jobs=[job for job in listed if not query.ids or job.id in query.ids])

    @hookimpl
    def job_result(self):
        return COUNTS


@pytest.fixture
def service(device):
    """A handle of a backend at a vendor that fails as it is told."""

    def make(*faults, spec=SPEC, find=True, **hooks):
        made = Service(*faults)
        given = {"submit_job": made.submit_job, "get_job": made.get_job, "job_result": made.job_result, **hooks}
        if find:
            given.setdefault("find_submission", made.find_submission)
        made.backend = device(spec=spec, **given)
        return made

    return make


@pytest.fixture
def naps(monkeypatch):
    """What was slept in a submission, in seconds, without sleeping."""
    slept = []
    time_in_it = SimpleNamespace(
        time=time.time, monotonic=lambda: time.monotonic() + sum(slept), sleep=lambda s: slept.append(s)
    )
    monkeypatch.setattr(_submission, "time", time_in_it)
    return slept


def record_of(job):
    key = job if isinstance(job, str) else job.key
    return ledger_in_use().find(key, events=True)


def only_record():
    [record] = qp.list_jobs(offline=True)
    return ledger_in_use().find(record.key, events=True)


def steps(record):
    return [event.what for event in record.events]


def lost(text="The line is cut."):
    return TransportError(text)


def limit(seconds):
    error = TransportError("Slow down.", arrived=False)
    error.retry_after_s = seconds
    return error


# ----------------------------------------------------------------------------------------------------- as it should


def test_a_job_is_written_down_and_then_noted_with_its_id(service):
    acme = service()
    job = acme.backend.run(bit(), shots=8, job_tags=["mine"], name="first")
    record = record_of(job)
    assert (record.job_id, record.info.state, record.attempts) == ("a0", JobState.DONE, 1)
    assert steps(record) == ["written", "accepted"]
    assert (job.name(), job.tags()) == ("first", ["mine"])
    assert acme.looks == []  # an answer that comes costs no look-up


def test_the_key_travels_as_a_tag_and_nobody_sees_it(service):
    acme = service()
    job = acme.backend.run(bit(), job_tags=["mine"])
    assert acme.sent[0].tags == (f"qprovider:{job.key}", "mine")
    assert job.tags() == ["mine"]
    assert record_of(job).info.tags == ("mine",)


@pytest.mark.parametrize("room", [{"max_tags": 0}, {"max_tag_length": 20}])
def test_a_vendor_without_room_for_the_key_gets_the_users_tags_alone(room, service):
    acme = service(spec=attrs.evolve(SPEC, **room))
    job = acme.backend.run(bit(), job_tags=[] if "max_tags" in room else ["mine"])
    assert not any(tag.startswith("qprovider:") for tag in acme.sent[0].tags)
    assert job.key


def test_a_vendor_may_take_our_key_for_its_id(service):
    acme = service(
        lambda request: acme.jobs.setdefault(request.key, (JobInfo(id=request.key, state=JobState.QUEUED), request))[0]
    )
    job = acme.backend.run(bit())
    assert record_of(job).job_id == job.key == job.job_id()
    acme.jobs[job.key] = (JobInfo(id=job.key, state=JobState.DONE), None)
    assert job.result().get_counts() == {"0": 3, "1": 5}


def test_twenty_threads_submit_at_once_and_each_gets_its_own_job(service):
    acme = service()
    circuit = bit()
    with ThreadPoolExecutor(20) as pool:
        jobs = list(pool.map(lambda _: acme.backend.run(circuit), range(60)))
    assert len({job.job_id() for job in jobs}) == len({job.key for job in jobs}) == 60
    for job in jobs:
        assert record_of(job).job_id == job.job_id()


# ------------------------------------------------------------------------------------------- certainly not arrived


@pytest.mark.parametrize(
    "error",
    [
        InvalidInputError("Too wide."),
        AuthenticationError("No such key."),
        TransportError("Nobody there.", arrived=False),
        QProviderError("No."),
        limit(None),
        limit(1000.0),
        limit(-1.0),
        limit(float("nan")),
    ],
)
def test_a_refusal_is_raised_and_kept_and_nobody_is_asked_for_it(error, service, naps):
    acme = service(error)
    with pytest.raises(type(error)) as caught:
        acme.backend.run(bit())
    assert caught.value is error
    record = only_record()
    assert (record.job_id, record.info.state, record.attempts) == (None, JobState.ERROR, 1)
    assert record.info.error == error.what
    assert steps(record) == ["written", "failed"]
    assert (acme.looks, naps) == ([], [])


@pytest.mark.parametrize(
    "error",
    [
        ValueError("too wide"),
        NotImplementedError("no such gate"),
        ImportError("acme_client"),
        type("Refused", (Exception,), {"status_code": 422})("bad circuit"),
        type("ClientError", (Exception,), {"response": {"ResponseMetadata": {"HTTPStatusCode": 400}}})("no"),
        type("HTTPError", (OSError,), {"code": 403})("no"),
    ],
)
def test_a_vendors_own_word_for_a_refusal_is_one(error, service):
    acme = service(error)
    with pytest.raises(PluginError):
        acme.backend.run(bit())
    assert only_record().info.state is JobState.ERROR
    assert acme.looks == []


def test_a_veto_is_kept_as_one(service):
    class Guard:
        @hookimpl(wrapper=True)
        def qprovider_submit_job(self, request):
            raise RuntimeError("over budget")
            yield

    register_plugin(Guard(), "guard")
    acme = service()
    with pytest.raises(VetoError, match="over budget"):
        acme.backend.run(bit())
    record = only_record()
    assert record.info.state is JobState.ERROR
    assert steps(record) == ["written", "vetoed"]
    assert acme.sent == []


def test_a_limit_of_requests_is_waited_for(service, naps):
    acme = service(limit(7), limit(3.5))
    job = acme.backend.run(bit())
    assert naps == [7, 3.5]
    record = record_of(job)
    assert (record.job_id, record.attempts) == ("a0", 3)
    assert steps(record) == ["written", "failed", "sent", "failed", "sent", "accepted"]
    assert len({request.key for request in acme.sent}) == 1


def test_a_limit_that_lasts_is_raised_after_four_attempts(service, naps):
    acme = service(*[limit(1)] * 9)
    with pytest.raises(TransportError, match="Slow down"):
        acme.backend.run(bit())
    assert (len(acme.sent), naps) == (4, [1, 1, 1])
    assert only_record().info.state is JobState.ERROR


def test_an_account_that_cannot_be_opened_is_kept_as_a_failure(device, monkeypatch):
    handle = device()
    handle.run(bit())  # all that a submission needs beforehand is known now
    account = handle._account
    monkeypatch.setattr(account, "_opening", None)

    def refused():
        raise AuthenticationError("The token has expired.")

    account.vendor._plugin.qprovider_open_account = hookimpl(refused)
    account.vendor.wire([])
    with pytest.raises(AuthenticationError):
        handle.run(bit())
    record = qp.list_jobs(offline=True)[0]
    assert (record.info.state, record.info.error) == (JobState.ERROR, "The token has expired.")


# ------------------------------------------------------------------------------------------------ may have arrived


@pytest.mark.parametrize(
    "error",
    [
        lost(),
        ConnectionResetError("reset"),
        TimeoutError("late"),
        ResponseError("No JSON."),
        type("ServerError", (Exception,), {"status_code": 502})("gateway"),
        type("ClientError", (Exception,), {"response": {"ResponseMetadata": {"HTTPStatusCode": 500}}})("no"),
        type("gaierror", (OSError,), {})("no name"),
        KeyError("id"),
        RuntimeError("what?"),
    ],
)
def test_a_job_that_arrived_after_all_is_found_and_not_sent_again(error, service):
    acme = service(("after", error))
    job = acme.backend.run(bit(), job_tags=["mine"])
    assert (job.job_id(), job.tags(), job.result().get_counts()) == ("a0", ["mine"], {"0": 3, "1": 5})
    assert (len(acme.sent), len(acme.looks), len(acme.jobs)) == (1, 1, 1)
    record = record_of(job)
    assert steps(record)[:3] == ["written", "not known", "accepted"]
    assert record.info.state is JobState.DONE


def test_a_job_that_did_not_arrive_is_sent_again_with_the_same_key(service):
    acme = service(lost(), ("before", lost())[1], None)
    job = acme.backend.run(bit())
    assert (len(acme.sent), len(acme.jobs), record_of(job).attempts) == (3, 1, 3)
    assert {request.key for request in acme.sent} == {job.key}
    assert steps(record_of(job)) == ["written", "not known", "sent", "not known", "sent", "accepted"]


def test_without_a_ledger_it_is_sent_again_just_the_same(service, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    acme = service(lost(), ("after", lost()))
    job = acme.backend.run(bit())
    assert (len(acme.sent), len(acme.jobs)) == (2, 1)
    assert job.result().get_counts() == {"0": 3, "1": 5}
    assert (job.record(), job.note()) == (None, None)


def test_after_four_attempts_the_error_is_raised_and_there_is_certainly_no_job(service):
    acme = service(*[lost() for _ in range(9)])
    with pytest.raises(TransportError, match="The line is cut"):
        acme.backend.run(bit())
    assert (len(acme.sent), acme.jobs) == (4, {})
    record = only_record()
    assert (record.info.state, record.info.error) == (JobState.ERROR, "The line is cut.")


def test_an_answer_that_cannot_be_read_is_not_asked_for_again(service):
    acme = service(ResponseError("No JSON."))
    with pytest.raises(ResponseError):
        acme.backend.run(bit())
    assert (len(acme.sent), only_record().info.state) == (1, JobState.ERROR)


def test_that_it_is_absent_counts_only_when_the_settle_time_is_over(service, naps):
    acme = service(lost(), spec=attrs.evolve(SPEC, settle_time_s=20.0))
    acme.backend.run(bit())
    assert sum(naps) >= 19
    assert naps == sorted(naps[:-1]) + naps[-1:]  # growing pauses, the last one cut to the end
    assert len(acme.looks) == len(naps) + 1
    assert len(acme.sent) == 2


def test_the_settle_time_counts_from_the_failure_not_from_the_start(service, naps, monkeypatch):
    acme = service(lambda request: naps.append(100.0) or raised(lost()), spec=attrs.evolve(SPEC, settle_time_s=20.0))
    acme.backend.run(bit())
    assert sum(naps) >= 119


def raised(error):
    raise error


def test_a_job_that_is_listed_late_is_found_within_the_settle_time(service, naps):
    acme = service(("after", lost()), spec=attrs.evolve(SPEC, settle_time_s=20.0))
    late = iter([ABSENT, ABSENT, None])
    find = acme.find_submission

    def find_late(key):
        acme.lookup = next(late)
        return find(key)

    acme.backend._account.vendor._plugin.qprovider_find_submission = hookimpl(find_late)
    acme.backend._account.vendor.wire([])
    assert acme.backend.run(bit()).job_id() == "a0"
    assert (len(acme.sent), len(acme.looks)) == (1, 3)


def test_the_environment_sets_another_settle_time(service, naps, monkeypatch):
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "300")
    service(lost()).backend.run(bit())
    assert sum(naps) >= 299


@pytest.mark.parametrize("lookup", [UNKNOWN, lost("No look-up."), AuthenticationError("No."), KeyError("x")])
def test_where_nobody_can_tell_nothing_is_sent_and_it_is_said(lookup, service, caplog):
    acme = service(("after", lost()))
    acme.lookup = lookup
    job = acme.backend.run(bit(), name="first", job_tags=["mine"])
    assert job.info.state is JobState.SUBMIT_UNKNOWN
    assert job.job_id() == job.key == job.info.id
    assert not job.info.state.final
    assert len(acme.sent) == 1
    assert "do not send it again" in caplog.text
    record = record_of(job)
    assert (record.info.state, record.job_id) == (JobState.SUBMIT_UNKNOWN, None)
    assert "The line is cut." in record.info.error
    assert (job.name(), job.tags()) == ("first", ["mine"])
    assert job.creation_date() is not None


def test_a_look_up_that_fails_for_a_while_is_repeated(service, naps):
    acme = service(("after", lost()), spec=attrs.evolve(SPEC, settle_time_s=20.0))
    acme.lookup = lost()
    monkey = acme.find_submission

    def find(key):
        if len(acme.looks) == 2:
            acme.lookup = None
        return monkey(key)

    acme.backend._account.vendor._plugin.qprovider_find_submission = hookimpl(find)
    acme.backend._account.vendor.wire([])
    assert acme.backend.run(bit()).job_id() == "a0"


@pytest.mark.parametrize("nonsense", [Submission(outcome=FOUND), None])
def test_a_look_up_that_answers_nonsense_tells_nothing(nonsense, service):
    acme = service(lost(), find_submission=lambda: nonsense)
    assert acme.backend.run(bit()).info.state is JobState.SUBMIT_UNKNOWN
    assert len(acme.sent) == 1


def test_a_vendor_with_tags_and_lists_is_asked_by_the_tag(service):
    acme = service(("after", lost()), find=False)
    acme.backend._account.vendor._plugin.qprovider_list_jobs = acme.list_jobs
    again(acme)
    job = acme.backend.run(bit())
    assert (job.job_id(), len(acme.sent)) == ("a0", 1)
    assert acme.looks[0].tags == (f"qprovider:{job.key}",)


def again(service):
    """Register the vendor anew, with the hooks that its plugin has now."""
    plugin = service.backend._account.vendor._plugin
    qp.unregister_plugin("acme")
    register_plugin(plugin, "acme")
    service.backend = qp.get_backend("acme:line")


def test_that_no_listed_job_has_the_tag_says_nothing(service, naps):
    acme = service(lost(), find=False, spec=attrs.evolve(SPEC, settle_time_s=5.0), list_jobs=lambda: JobPage())
    assert acme.backend.run(bit()).info.state is JobState.SUBMIT_UNKNOWN
    assert sum(naps) >= 4.5  # it may have been listed late
    assert len(acme.sent) == 1


@pytest.mark.parametrize("hooks", [{}, {"list_jobs": lambda: JobPage()}])
def test_a_vendor_that_cannot_be_asked_is_not_waited_for(hooks, service, naps):
    spec = attrs.evolve(SPEC, settle_time_s=50.0, max_tags=0)
    acme = service(lost(), find=False, spec=spec, **hooks)
    job = acme.backend.run(bit())
    assert job.info.state is JobState.SUBMIT_UNKNOWN
    assert naps == []
    assert job.state().state is JobState.SUBMIT_UNKNOWN
    for ask in (job.result, job.cancel, job.delete, lambda: job.update_tags(["x"])):
        with pytest.raises((SubmitUnknownError, InvalidInputError)):
            ask()


# ---------------------------------------------------------------------------------------------- plugins at fault


@pytest.mark.parametrize(
    "answer", [None, JobInfo(id="", state=JobState.QUEUED), JobInfo(id=7, state=JobState.QUEUED), "a0", [1], object()]
)
def test_a_plugin_that_answers_nonsense_is_named_at_once_and_its_job_never_sent_again(answer, service, naps):
    acme = service(lambda request: answer, spec=attrs.evolve(SPEC, settle_time_s=50.0))
    with pytest.raises(PluginError):
        acme.backend.run(bit())
    assert (len(acme.sent), len(acme.looks), naps) == (1, 1, [])
    record = only_record()
    assert record.info.state is JobState.SUBMIT_UNKNOWN
    assert "given up" in steps(record)


def test_a_plugin_at_fault_whose_vendor_certainly_has_no_job_has_failed(service):
    acme = service(KeyError("id"))
    with pytest.raises(PluginError):
        acme.backend.run(bit())
    assert only_record().info.state is JobState.ERROR


def test_a_plugin_that_ends_the_interpreter_does_not(service):
    acme = service(("after", SystemExit(3)))
    assert acme.backend.run(bit()).job_id() == "a0"


# -------------------------------------------------------------------------------------- calls that are abandoned


@pytest.fixture
def slow(service, monkeypatch):
    """A vendor whose answer to the first submission comes when it is let go, and long after it was given up."""
    monkeypatch.setattr(_submission, "SUBMIT_TIMEOUT_S", 0.05)
    go, answered = threading.Event(), threading.Event()

    def make(come_to=None, **settings):
        def wait(request):
            go.wait(30)
            try:
                if come_to is not None:
                    raise come_to
                return made.take(request)
            finally:
                answered.set()

        made = service(wait, **settings)
        made.lock = threading.Semaphore(9)
        made.go, made.answered = go, answered
        return made

    yield make
    go.set()


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_call_that_was_given_up_is_never_sent_again_while_it_runs(slow):
    acme = slow()
    job = acme.backend.run(bit())
    assert job.info.state is JobState.SUBMIT_UNKNOWN
    for _ in range(3):
        assert job.state().state is JobState.SUBMIT_UNKNOWN
    assert len(acme.sent) == 1
    assert qp.reconcile().unknown == ()  # it is just being sent: nobody looks for it
    acme.go.set()
    until(lambda: record_of(job).job_id)
    assert job.result(timeout=20).get_counts() == {"0": 3, "1": 5}
    assert (job.job_id(), len(acme.sent), len(acme.jobs)) == ("a0", 1, 1)


def test_one_that_comes_to_nothing_is_sent_again_by_whoever_waits(slow):
    acme = slow(come_to=lost())
    job = acme.backend.run(bit())
    acme.go.set()
    until(lambda: job.key not in _submission.under_way)
    assert record_of(job).info.state is JobState.SUBMIT_UNKNOWN
    assert job.result(timeout=20).get_counts() == {"0": 3, "1": 5}
    assert (len(acme.sent), len(acme.jobs)) == (2, 1)


def test_one_that_is_answered_while_it_is_looked_for_is_taken(slow):
    acme = slow(spec=attrs.evolve(SPEC, settle_time_s=30.0))

    def find(key):
        acme.go.set()
        return Submission(outcome=ABSENT)

    acme.backend._account.vendor._plugin.qprovider_find_submission = hookimpl(find)
    acme.backend._account.vendor.wire([])
    job = acme.backend.run(bit())
    assert (job.job_id(), len(acme.sent)) == ("a0", 1)
    assert record_of(job).job_id == "a0"


def test_without_a_ledger_the_late_answer_is_found_too(slow, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    acme = slow()
    job = acme.backend.run(bit())
    acme.go.set()
    until(lambda: job.key not in _submission.under_way)
    assert job.result(timeout=20).get_counts() == {"0": 3, "1": 5}
    assert len(acme.sent) == 1


INTERRUPTED = """
    import os, signal, sys, threading, time
    import qprovider_core as qp
    from qprovider_core import hookimpl, register_plugin
    from qiskit import QuantumCircuit

    class Acme:
        @hookimpl
        def qprovider_provider(self):
            return qp.ProviderSpec(name="acme", title="Acme", settle_time_s=0.0)
        @hookimpl
        def qprovider_open_account(self):
            if WHERE == "open":
                strike()
            return 1
        @hookimpl
        def qprovider_list_backends(self):
            return [qp.BackendInfo(name="line", num_qubits=1)]
        @hookimpl
        def qprovider_backend_configuration(self):
            return qp.BackendConfiguration(backend_name="line", n_qubits=1, basis_gates=("x",))
        @hookimpl
        def qprovider_submit_job(self, request):
            if WHERE == "send":
                strike()
            if WHERE == "limit":
                error = qp.TransportError("Slow down.", arrived=False)
                error.retry_after_s = 60
                threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
                raise error
            raise qp.TransportError("lost")
        @hookimpl
        def qprovider_find_submission(self):
            if WHERE == "look":
                strike()
            return qp.Submission(outcome=qp.SubmissionOutcome.ABSENT)

    def strike():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    WHERE = None
    register_plugin(Acme(), "acme")
    backend = qp.get_backend("acme:line")
    if sys.argv[1] == "open":
        backend._account._opening = None
    WHERE = sys.argv[1]
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    try:
        backend.run(circuit)
    except KeyboardInterrupt:
        sys.exit(7)
"""


@pytest.mark.parametrize(
    ("where", "state", "why"),
    [
        ("open", JobState.ERROR, "interrupted before it was sent"),
        ("send", JobState.SUBMIT_UNKNOWN, "ended before it was answered"),
        ("limit", JobState.ERROR, "interrupted before it was sent again"),
        ("look", JobState.SUBMIT_UNKNOWN, "interrupted while it was sent"),
    ],
)
def test_an_interrupt_is_noted_and_what_was_interrupted_is_never_sent_again(where, state, why, service, monkeypatch):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED), where], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 7, done.stderr
    record = only_record()
    assert (record.info.state, record.job_id) == (state, None)
    assert why in record.info.error
    acme = service()
    told = qp.reconcile(timeout=20)
    assert acme.sent == []
    if state is JobState.SUBMIT_UNKNOWN:
        assert "given up" in steps(record)
        assert [one.key for one in told.absent] == [record.key]
        assert told.absent[0].info.state is JobState.ERROR
        assert "given up" in told.absent[0].info.error
        assert qp.job(record.key).rerun().result().get_counts() == {"0": 3, "1": 5}


def test_ctrl_c_while_the_id_is_noted_does_not_cost_it(service, monkeypatch):
    from qprovider_core.ledger import Ledger

    acme = service()
    original, turns = Ledger.accepted, iter([KeyboardInterrupt()])

    def accepted(self, key, info):
        error = next(turns, None)
        if error is not None:
            raise error
        original(self, key, info)

    monkeypatch.setattr(Ledger, "accepted", accepted)
    with pytest.raises(KeyboardInterrupt):
        acme.backend.run(bit())
    assert only_record().job_id == "a0"


# ------------------------------------------------------------------------------------------ a ledger that breaks


def spoil():
    """Make the ledger's file unreadable for those who have it open, too."""
    ledger = ledger_in_use()
    ledger.close()
    ledger.path.write_bytes(b"this is no database at all" * 100)


def test_what_cannot_be_written_down_is_not_sent(service, caplog):
    acme = service()
    acme.backend.run(bit())
    spoil()
    with pytest.raises(LedgerError):
        acme.backend.run(bit())
    assert len(acme.sent) == 1


@pytest.mark.parametrize("how", ["environment", "call"])
def test_it_goes_on_without_a_ledger_when_the_user_says_so(how, service, monkeypatch):
    acme = service()
    acme.backend.run(bit())
    spoil()
    if how == "environment":
        monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    else:
        assert qp.use_ledger("off") is None
    try:
        job = acme.backend.run(bit())
        assert job.result().get_counts() == {"0": 3, "1": 5}
        assert (job.record(), job.rerun().job_id()) == (None, "a2")
        with pytest.raises(LedgerError, match="which is off"):
            job.set_note("x")
        with pytest.raises(LedgerError, match="which is off"):
            job.update_name("x")
    finally:
        qp.use_ledger(None)


def test_a_ledger_that_breaks_after_the_job_was_sent_stops_nothing_and_is_told_once(service, caplog, monkeypatch):
    monkeypatch.setattr(_kept, "_said", set())

    def accept_and_spoil(request):
        spoil()
        return acme.take(request)

    acme = service(accept_and_spoil)
    job = acme.backend.run(bit())
    assert job.job_id() == "a0"
    assert job.result().get_counts() == {"0": 3, "1": 5}
    assert (job.name(), job.note(), job.tags(), job.record()) == (None, None, [], None)
    warnings = [entry for entry in caplog.records if entry.levelname == "WARNING"]
    assert len([entry for entry in warnings if "a0 was taken by acme" in entry.getMessage()]) == 1
    assert len(warnings) <= 2  # to write and to read may fail in two ways


def test_a_ledger_that_breaks_before_it_is_sent_again_sends_nothing(service):
    def spoil_and_fail(request):
        spoil()
        raise lost()

    acme = service(spoil_and_fail)
    with pytest.raises(LedgerError):
        acme.backend.run(bit())
    assert len(acme.sent) == 1


# ----------------------------------------------------------------------------------------------- settled later


@pytest.fixture
def unsure(service):
    """A job of which nobody knows whether it arrived, at a vendor whose look-up works again."""

    def make(fault=None, **settings):
        acme = service(fault or ("after", lost()), **settings)
        acme.lookup = UNKNOWN
        acme.job = acme.backend.run(bit(), job_tags=["mine"])
        assert acme.job.info.state is JobState.SUBMIT_UNKNOWN
        acme.lookup = None
        return acme

    return make


@pytest.mark.parametrize("settled", ["result", "status", "wait", "cancel", "tag"])
def test_whatever_needs_the_job_looks_for_it(settled, unsure):
    acme = unsure()
    job = acme.job
    if settled == "result":
        assert job.result(timeout=20).get_counts() == {"0": 3, "1": 5}
    elif settled == "status":
        assert job.state().state is JobState.DONE
    elif settled == "wait":
        assert qp.wait([job], timeout=20).done == [job]
    elif settled == "cancel":
        assert job.cancel() is False
    else:
        with pytest.raises(QProviderError):  # it has no such hook: but the job was found
            job.update_tags(["x"])
    assert (job.job_id(), job.info.id, job.ref.id) == ("a0", "a0", "a0")
    assert (len(acme.sent), record_of(job).job_id) == (1, "a0")
    assert job.tags() == ["mine"]


def test_a_job_that_did_not_arrive_is_sent_again_by_who_waits_for_it(unsure):
    acme = unsure(lost())
    assert acme.job.result(timeout=20).get_counts() == {"0": 3, "1": 5}
    assert (len(acme.sent), len(acme.jobs), acme.job.job_id()) == (2, 1, "a0")
    assert record_of(acme.job).attempts == 2


def test_the_settle_time_is_waited_for_then_too(unsure, monkeypatch):
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "0")
    acme = unsure(lost())
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "1000")
    assert acme.job.state().state is JobState.SUBMIT_UNKNOWN
    assert len(acme.sent) == 1
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "0")
    assert acme.job.state().state is JobState.DONE


def test_a_copy_a_pickle_and_another_handle_find_it_too(unsure):
    acme = unsure()
    others = [copy.copy(acme.job), copy.deepcopy(acme.job), pickle.loads(pickle.dumps(acme.job)), qp.job(acme.job.key)]
    others.append(acme.backend._account.retrieve_job(acme.job.key))
    for other in others:
        assert (other.job_id(), other.info.state) == (acme.job.key, JobState.SUBMIT_UNKNOWN)
        assert other.result(timeout=20).get_counts() == {"0": 3, "1": 5}
        assert other.job_id() == "a0"
    assert len(acme.sent) == 1
    assert acme.backend._account.retrieve_job(acme.job.key).job_id() == "a0"  # the key goes on to name it


def test_a_vendor_that_cannot_tell_is_named(unsure):
    acme = unsure()
    acme.lookup = UNKNOWN
    with pytest.raises(SubmitUnknownError, match="cannot tell now") as caught:
        acme.job.refresh()
    assert (caught.value.key, "reconcile" in caught.value.hint) == (acme.job.key, True)
    assert acme.job.state().state is JobState.SUBMIT_UNKNOWN
    with pytest.raises(SubmitUnknownError, match="cannot be cancelled"):
        acme.job.cancel()


def test_a_look_up_that_fails_is_told_as_what_it_is(unsure):
    acme = unsure()
    acme.lookup = lost()
    with pytest.raises(TransportError, match="is not known"):
        acme.job.refresh()
    acme.lookup = AuthenticationError("Expired.")
    with pytest.raises(AuthenticationError):
        acme.job.refresh()


def test_a_job_whose_circuits_were_not_kept_is_not_sent_again(unsure, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER_CIRCUITS", "off")
    acme = unsure(lost())
    other = qp.job(acme.job.key)
    with pytest.raises(SubmitUnknownError, match="its circuits were not kept"):
        other.refresh()
    assert len(acme.sent) == 1
    assert record_of(acme.job).info.state is JobState.ERROR
    assert acme.job.state().state is JobState.ERROR  # the first handle learns of it


def test_circuits_that_cannot_be_read_are_told(unsure, monkeypatch):
    acme = unsure(lost())
    other = qp.job(acme.job.key)

    def damaged():
        raise LedgerError("The circuits are damaged.")

    monkeypatch.setattr(other, "_sent_request", damaged)
    with pytest.raises(SubmitUnknownError, match="cannot be read"):
        other.refresh()
    assert len(acme.sent) == 1


def test_a_job_that_was_forgotten_meanwhile_is_not_sent_again(unsure):
    acme = unsure(lost())
    ledger_in_use().delete(acme.job.key)
    with pytest.raises(SubmitUnknownError, match="was not sent again"):
        acme.job.refresh()
    assert len(acme.sent) == 1


def test_without_a_readable_ledger_a_job_is_found_and_not_sent_again(unsure, monkeypatch):
    acme = unsure(lost())
    spoil()
    with pytest.raises(SubmitUnknownError, match="was not sent again"):
        acme.job.refresh()
    acme.take(acme.sent[0])
    assert acme.job.refresh().id == "a0"
    assert len(acme.sent) == 1


def test_without_a_ledger_the_handle_sends_it_again(service, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    acme = service(lost())
    acme.lookup = UNKNOWN
    job = acme.backend.run(bit())
    acme.lookup = None
    assert job.result(timeout=20).get_counts() == {"0": 3, "1": 5}
    assert (len(acme.sent), job.job_id()) == (2, "a0")


def test_of_many_threads_that_settle_one_job_a_single_one_sends_it(unsure):
    acme = unsure(lost())
    handles = [qp.job(acme.job.key) for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda job: job.result(timeout=60).get_counts(), handles))
    assert results == [{"0": 3, "1": 5}] * 16
    assert (len(acme.sent), len(acme.jobs)) == (2, 1)
    assert {job.job_id() for job in handles} == {"a0"}


def test_a_second_failure_while_it_is_settled_is_raised_and_noted(unsure):
    acme = unsure(lost())
    acme.faults.append(InvalidInputError("Too wide by now."))
    with pytest.raises(InvalidInputError):
        acme.job.refresh()
    assert record_of(acme.job).info.state is JobState.ERROR
    assert acme.job.state().state is JobState.ERROR


def test_a_job_that_ends_with_its_process_is_not_sent_by_another_one(unsure):
    acme = unsure(lost(), spec=attrs.evolve(SPEC, process_bound=True))
    with pytest.raises(SubmitUnknownError, match="in the process that submitted it"):
        qp.job(acme.job.key).refresh()
    assert len(acme.sent) == 1


def test_another_account_of_the_vendor_does_not_send_it(unsure, monkeypatch):
    acme = unsure(lost())
    record = record_of(acme.job)
    stranger = SimpleNamespace(
        provider="acme",
        name="other",
        label="other/acme",
        spec=SPEC,
        supports=acme.backend._account.supports,
        ask=acme.backend._account.ask,
    )
    arguments = {"since": 0.0, "load": lambda: acme.sent[0], "ledger": ledger_in_use()}
    with pytest.raises(SubmitUnknownError, match="says nothing"):
        _settling.settle(stranger, record.key, **arguments)
    assert len(acme.sent) == 1
    acme.take(acme.sent[0])
    assert _settling.settle(stranger, record.key, **arguments).id == "a0"


def test_a_job_that_is_just_being_sent_by_somebody_else_is_neither_asked_for_nor_lost(slow):
    acme = slow()
    job = acme.backend.run(bit())
    other = qp.job(job.key)
    assert other.info.state is JobState.INITIALIZING
    assert other.status().name == "INITIALIZING"
    with pytest.raises(SubmitUnknownError, match="cannot be cancelled"):
        other.cancel()
    acme.go.set()
    assert other.result(timeout=20).get_counts() == {"0": 3, "1": 5}
    assert other.job_id() == "a0"

"""A job is sent once: what each answer to a submission comes to, and what the ledger then says."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import attrs
import pytest
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core import _submission, hookimpl
from qprovider_core._plugins import register_plugin
from qprovider_core.errors import (
    AuthenticationError,
    InvalidInputError,
    PluginError,
    QProviderError,
    ResponseError,
    SubmitUnknownError,
    TransportError,
    VetoError,
)
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import (
    JobInfo,
    JobPage,
    JobState,
    ProviderSpec,
    Submission,
    SubmissionOutcome,
)

pytestmark = pytest.mark.usefixtures("isolated")
SPEC = ProviderSpec(name="acme", title="Acme", min_poll_s=0.001, settle_time_s=0.0)
FOUND, ABSENT, UNKNOWN = SubmissionOutcome.FOUND, SubmissionOutcome.ABSENT, SubmissionOutcome.UNKNOWN


def bit():
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


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
    return ledger_in_use().find(job.key, events=True)


def steps(record):
    return [event.what for event in record.events]


def lost(text="The line is cut."):
    return TransportError(text)


def only_record():
    [record] = qp.list_jobs(offline=True)
    return ledger_in_use().find(record.key, events=True)


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


def test_a_plugin_at_fault_whose_vendor_cannot_be_asked_has_failed_with_the_vendors_words(service, naps):
    acme = service(RuntimeError("no credit left"), find=False, spec=attrs.evolve(SPEC, max_tags=0))
    with pytest.raises(PluginError, match="no credit left"):
        acme.backend.run(bit())
    record = only_record()
    assert record.info.state is JobState.ERROR
    assert "no credit left" in record.info.error
    assert naps == []

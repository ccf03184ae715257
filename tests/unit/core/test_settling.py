"""Jobs of which nobody knows whether they arrived, and what becomes of them later."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import attrs
import pytest
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core import _settling
from qprovider_core.errors import (
    AuthenticationError,
    InvalidInputError,
    JobFailedError,
    LedgerError,
    QProviderError,
    SubmitUnknownError,
    TransportError,
)
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import (
    JobState,
    ProviderSpec,
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


def record_of(job):
    return ledger_in_use().find(job.key, events=True)


def lost(text="The line is cut."):
    return TransportError(text)


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
    assert acme.job.settle().state is JobState.SUBMIT_UNKNOWN
    assert len(acme.sent) == 1
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "0")
    assert acme.job.state().state is JobState.SUBMIT_UNKNOWN  # who asks how it stands does not have it sent
    assert len(acme.sent) == 1
    assert acme.job.settle().state is JobState.DONE


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
        acme.job.settle()
    assert (caught.value.key, "reconcile" in caught.value.hint) == (acme.job.key, True)
    assert acme.job.state().state is JobState.SUBMIT_UNKNOWN
    with pytest.raises(SubmitUnknownError, match="cannot be cancelled"):
        acme.job.cancel()


def test_a_look_up_that_fails_is_told_as_what_it_is(unsure):
    acme = unsure()
    acme.lookup = lost()
    with pytest.raises(TransportError, match="is not known"):
        acme.job.settle()
    acme.lookup = AuthenticationError("Expired.")
    with pytest.raises(AuthenticationError):
        acme.job.settle()


def test_a_job_whose_circuits_were_not_kept_is_not_sent_again(unsure, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER_CIRCUITS", "off")
    acme = unsure(lost())
    other = qp.job(acme.job.key)
    with pytest.raises(JobFailedError, match="its circuits were not kept"):
        other.settle()
    assert len(acme.sent) == 1
    assert record_of(acme.job).info.state is JobState.ERROR
    assert acme.job.state().state is JobState.ERROR  # the first handle learns of it


def test_circuits_that_cannot_be_read_are_told(unsure, monkeypatch):
    acme = unsure(lost())
    other = qp.job(acme.job.key)

    def damaged():
        raise LedgerError("The circuits are damaged.")

    monkeypatch.setattr(other, "_sent_request", damaged)
    with pytest.raises(JobFailedError, match="cannot be read"):
        other.settle()
    assert len(acme.sent) == 1


def test_a_job_that_was_forgotten_meanwhile_is_not_sent_again(unsure):
    acme = unsure(lost())
    ledger_in_use().delete(acme.job.key)
    with pytest.raises(JobFailedError, match="was not sent again"):
        acme.job.settle()
    assert len(acme.sent) == 1


def test_without_a_readable_ledger_a_job_is_found_and_not_sent_again(unsure, monkeypatch):
    acme = unsure(lost())
    ledger_in_use().close()
    ledger_in_use().path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(JobFailedError, match="was not sent again"):
        acme.job.settle()
    acme.take(acme.sent[0])
    assert acme.job.settle().id == "a0"
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
        acme.job.settle()
    assert record_of(acme.job).info.state is JobState.ERROR
    assert acme.job.state().state is JobState.ERROR


def test_a_job_that_ends_with_its_process_is_not_sent_by_another_one(unsure):
    acme = unsure(lost(), spec=attrs.evolve(SPEC, process_bound=True))
    with pytest.raises(JobFailedError, match="in the process that submitted it"):
        qp.job(acme.job.key).settle()
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


def test_a_job_that_is_just_being_sent_again_is_left_alone_however_long_that_takes(unsure):
    acme = unsure(lost())
    acme.lock = threading.Semaphore(9)
    entered, go = threading.Event(), threading.Event()

    def slowly(request):
        entered.set()
        go.wait(30)
        return acme.take(request)

    acme.faults.append(slowly)
    others = [qp.job(acme.job.key) for _ in range(3)]
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(acme.job.settle)
        entered.wait(30)
        assert [other.settle().state for other in others] == [JobState.SUBMIT_UNKNOWN] * 3
        assert qp.reconcile().sent_again == ()
        go.set()
        assert sending.result(30).id == "a0"
    assert len(acme.sent) == 2
    assert [other.settle().id for other in others] == ["a0"] * 3

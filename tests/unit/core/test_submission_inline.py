"""Submissions in a thread of the caller's own, as those of split jobs are; and two that submit the same at once."""

import time

import attrs
import pytest
from qiskit import QuantumCircuit

from qprovider_core._account import Account
from qprovider_core._submission import submit
from qprovider_core.errors import DeadlineError, InvalidInputError, TransportError
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import JobInfo, JobPage, JobRequest, JobState, SamplePub, SubmissionOutcome

pytestmark = pytest.mark.usefixtures("isolated")


@pytest.fixture
def send(service):
    """Submits a circuit in this thread, at a vendor with these faults."""

    def make(*faults, **settings):
        acme = service(*faults, **settings)
        circuit = QuantumCircuit(1, 1)
        circuit.measure(0, 0)
        acme.request = JobRequest(
            backend=acme.backend.info.ref, pubs=[SamplePub(circuit=circuit, shots=5)], key="k" * 32
        )
        account = acme.backend._account
        acme.send = lambda **more: submit(
            account, acme.request, ledger=ledger_in_use(), **{"in_thread": False, "wait_for_limits": False, **more}
        )
        return acme

    return make


def lost():
    return TransportError("The line is cut.")


def limit():
    error = TransportError("Slow down.", arrived=False)
    error.retry_after_s = 0.0
    return error


def test_it_is_sent_found_and_sent_again_the_same_way(send):
    acme = send(lost(), ("after", lost()))
    assert acme.send().id == "a0"
    assert (len(acme.sent), len(acme.jobs)) == (2, 1)
    assert ledger_in_use().find("k" * 32).job_id == "a0"


def test_a_limit_is_left_to_the_caller_who_waits_for_it(send):
    acme = send(limit())
    with pytest.raises(TransportError, match="Slow down"):
        acme.send()
    assert len(acme.sent) == 1


def test_a_vendor_with_lists_alone_is_asked_by_the_tag(send):
    asked = []
    acme = send(lost(), find=False, list_jobs=lambda query: asked.append(query))
    assert acme.send().state is JobState.SUBMIT_UNKNOWN
    assert asked[0].tags == (f"qprovider:{'k' * 32}",)


def test_a_job_of_another_key_is_not_ours(send):
    other = JobInfo(id="x", state=JobState.DONE, tags=(f"qprovider:{'j' * 32}",))
    acme = send(lost(), find=False, list_jobs=lambda: JobPage(jobs=[other]))
    assert acme.send().state is JobState.SUBMIT_UNKNOWN


@pytest.mark.parametrize("settled", [True, False])
def test_a_job_that_another_process_settles_meanwhile_is_left_to_it(settled, send):
    key = "k" * 32

    def take_over(request):
        ledger = ledger_in_use()
        ledger.sending(key, None) or ledger.sending(key, sent_at())
        if settled:
            ledger.accepted(key, JobInfo(id="theirs", state=JobState.QUEUED))
        raise lost()

    def sent_at():
        return int(ledger_in_use()._all("SELECT sent FROM jobs WHERE key = ?", key)[0][0])

    acme = send(take_over)
    told = acme.send()
    assert len(acme.sent) == 1
    if settled:
        assert (told.id, told.state) == ("theirs", JobState.QUEUED)
    else:
        assert (told.id, told.state) == (key, JobState.SUBMIT_UNKNOWN)
        assert ledger_in_use().find(key).info.state is JobState.INITIALIZING  # who sends it says what it comes to


def test_an_account_that_is_just_being_opened_has_sent_nothing(send, hang):
    from concurrent.futures import Future

    acme = send()
    acme.backend._account._opening = Future()  # by another thread
    from qprovider_core.records import Deadline

    with pytest.raises(DeadlineError) as caught:
        acme.backend._account.call("qprovider_submit_job", request=acme.request, deadline=Deadline.after(0.05))
    assert caught.value.arrived is False


def test_an_answer_in_the_moment_of_the_deadline_is_not_lost(send, monkeypatch):
    """The call has come back, but who waited for it has just given it up."""
    acme = send(find=False)
    wait = Account._await

    def too_late(self, future, deadline, limit, hook):
        answer = wait(self, future, deadline, limit, hook)
        if hook == "qprovider_submit_job":
            raise DeadlineError("No answer in time.")
        return answer

    monkeypatch.setattr(Account, "_await", too_late)
    info = acme.send(in_thread=True)
    assert info.id == "a0"
    assert len(acme.sent) == 1


def test_a_refusal_is_raised_as_it_is(send):
    error = InvalidInputError("Too wide.")
    with pytest.raises(InvalidInputError) as caught:
        send(error).send()
    assert caught.value is error


def test_what_the_look_up_says_is_told_in_the_state(send):
    acme = send(("after", lost()))
    acme.lookup = SubmissionOutcome.UNKNOWN
    told = acme.send()
    assert told.error == "The line is cut. The vendor cannot tell."
    assert told.created_at.timestamp() <= time.time()
    assert attrs.evolve(told, id="x").key == "k" * 32

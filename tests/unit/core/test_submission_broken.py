"""Submissions that are broken off: calls that are abandoned, Ctrl-C, and a ledger that breaks on the way."""

import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import attrs
import pytest
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core import _kept, _submission, hookimpl
from qprovider_core._context import settled_down
from qprovider_core.errors import (
    LedgerError,
    SubmitUnknownError,
    TransportError,
)
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import (
    JobState,
    ProviderSpec,
    Submission,
    SubmissionOutcome,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("isolated")]
SPEC = ProviderSpec(name="acme", title="Acme", min_poll_s=0.001, settle_time_s=0.0)
FOUND, ABSENT, UNKNOWN = SubmissionOutcome.FOUND, SubmissionOutcome.ABSENT, SubmissionOutcome.UNKNOWN


def bit():
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


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


# ------------------------------------------------------------------------------------------ a ledger that breaks


def spoil() -> None:
    """The ledger's file is one no more; nothing is being written, and nobody has it open."""
    ledger = ledger_in_use()
    settled_down(10)
    ledger.close()
    ledger.path.write_bytes(b"this is no database at all" * 100)
    for suffix in ("-wal", "-shm"):
        Path(f"{ledger.path}{suffix}").unlink(missing_ok=True)


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

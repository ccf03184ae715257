"""Sessions and batches: which jobs join them, how they end, and vendors that have none."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core import hookimpl
from qprovider_core.errors import (
    InvalidInputError,
    PluginError,
    SessionClosedError,
    TransportError,
    UnknownSessionError,
    VetoError,
)
from qprovider_core.records import JobInfo, JobPage, JobState, SessionInfo

pytestmark = pytest.mark.usefixtures("isolated")


def bit():
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def joined(acme):
    return [request.session_id for request in acme.sent]


# ------------------------------------------------------------------------------------------------ opening and joining


def test_jobs_join_the_session_that_is_open_and_no_other_ones(acme):
    backend = acme.backend
    before = backend.run(bit())
    with backend.open_session(max_time="1h") as session:
        job = backend.run(bit())
        assert backend.session is session
    after = backend.run(bit())
    assert joined(acme) == [None, "s1", None]
    assert [one.session_id() for one in (before, job, after)] == [None, "s1", None]
    assert backend.session is None
    [request] = acme.rooms.requests
    assert (request.backend.name, request.mode, request.max_time_s) == ("line", "session", 3600.0)
    assert acme.rooms.ended == [("s1", False)]
    assert (session.session_id, session.mode, session.supported, session.closed) == ("s1", "session", True, True)
    assert (session.backend, session.account) == (backend, backend._account)


def test_a_batch_is_one(acme):
    with acme.backend.open_batch() as batch:
        acme.backend.run(bit())
    assert isinstance(batch, qp.Batch)
    assert (batch.mode, acme.rooms.requests[0].mode, acme.rooms.requests[0].max_time_s) == ("batch", "batch", None)
    assert joined(acme) == ["s1"]


def test_without_a_with_it_is_current_until_it_is_closed(acme):
    session = acme.backend.open_session()
    acme.backend.run(bit())
    acme.backend.close_session()
    acme.backend.close_session()
    acme.backend.run(bit())
    assert joined(acme) == ["s1", None]
    assert session.closed
    assert acme.rooms.ended == [("s1", False)]


def test_the_constructor_opens_one_that_is_current_inside_of_a_with_only(acme):
    session = qp.Session(acme.backend, max_time=60)
    acme.backend.run(bit())
    session.run(bit(), shots=7)
    with session:
        acme.backend.run(bit())
    assert joined(acme) == [None, "s1", "s1"]
    assert acme.sent[1].pubs[0].shots == 7


def test_a_session_that_is_named_goes_before_the_current_one(acme):
    with acme.backend.open_session():
        acme.backend.run(bit(), session_id="elsewhere", depth=3)
    assert joined(acme) == ["elsewhere"]
    assert dict(acme.sent[0].options) == {"depth": 3}


def test_the_inner_of_two_is_current_and_that_is_said(acme, caplog):
    with acme.backend.open_session() as outer, acme.backend.open_batch() as inner:
        acme.backend.run(bit())
        assert acme.backend.session is inner
        inner.close()
        acme.backend._sessions.leave(inner)
        acme.backend.run(bit())
    assert joined(acme) == ["s2", "s1"]
    assert outer.closed
    assert "is open still; jobs go into" in caplog.text


def test_the_ledger_knows_the_session_of_a_job(acme):
    with acme.backend.open_session() as session:
        inside = acme.backend.run(bit())
        acme.backend.run(bit())
    outside = acme.backend.run(bit())
    kept = [record.id for record in qp.list_jobs(session_id="s1", offline=True)]
    assert inside.job_id() in kept
    assert len(kept) == 2
    assert outside.job_id() not in kept
    assert qp.list_jobs(session_id="s1", offline=True)[0].info.session_id == "s1"
    assert [job.job_id() for job in session.jobs(limit=1)] == kept[:1]


def test_what_the_vendor_lists_of_a_session_is_in_its_jobs(acme, service, spec):
    asked = []

    @hookimpl
    def list_jobs(query):
        asked.append(query)
        return JobPage(jobs=[JobInfo(id="theirs", state=JobState.DONE, session_id="s1", backend="line")])

    qp.unregister_plugin("acme")
    other = service(spec=spec, list_jobs=list_jobs, **acme.rooms.hooks())
    session = other.backend.open_session()
    acme.rooms.rooms["s1"] = acme.rooms.rooms[session.session_id]
    assert [job.job_id() for job in qp.Session.from_id("s1", other.backend).jobs()] == ["theirs"]
    assert asked[0].session_id == "s1"


def test_a_job_is_run_again_without_its_session(acme):
    with acme.backend.open_session():
        job = acme.backend.run(bit())
    job.rerun()
    assert joined(acme) == ["s1", None]


# -------------------------------------------------------------------------------------------------------------- ending


def test_closing_twice_does_it_once_and_cancelling_drops_what_waits(acme):
    session = acme.backend.open_session()
    session.close()
    session.close()
    assert acme.rooms.ended == [("s1", False)]
    session.cancel()
    session.cancel()
    session.close()
    assert acme.rooms.ended == [("s1", False), ("s1", True)]
    assert "cancelled" not in repr(session)  # it was closed first
    acme.backend.open_batch()
    acme.backend.cancel_session()
    assert acme.rooms.ended[-1] == ("s2", True)


def test_a_job_in_a_session_that_was_closed_here_is_refused_before_anything_is_sent(acme):
    session = acme.backend.open_session()
    session.close()
    for run in (acme.backend.run, session.run):
        with pytest.raises(SessionClosedError, match="session s1 takes no more jobs, so this one was not taken") as got:
            run(bit())
        assert "closed here at 20" in got.value.why
        assert "open_session()" in got.value.hint
        assert got.value.session_id == "s1"
    with pytest.raises(SessionClosedError):
        session.__enter__()
    assert acme.sent == []
    assert qp.list_jobs(offline=True) == []
    acme.backend.close_session()
    acme.backend.run(bit())
    assert joined(acme) == [None]


def test_what_only_the_vendor_knows_becomes_the_same_error_and_the_next_job_is_not_sent(acme):
    session = acme.backend.open_session()
    acme.rooms.expire("s1")
    with pytest.raises(SessionClosedError) as caught:
        acme.backend.run(bit())
    assert (caught.value.state, caught.value.closed_at) == ("closed", datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert "closed since 2026-03-01 12:00:00 UTC. Its vendor says: Its time is over." in caught.value.why
    assert isinstance(caught.value.__cause__, InvalidInputError)
    assert session.closed
    with pytest.raises(SessionClosedError, match="Its time is over"):
        acme.backend.run(bit())
    assert len(acme.sent) == 1
    [record] = qp.list_jobs(offline=True)
    assert (record.info.state, record.job_id, record.info.session_id) == (JobState.ERROR, None, "s1")
    assert "takes no more jobs" in record.info.error
    assert qp.job(record.key).rerun().job_id() == "a0"  # its circuits are kept
    assert joined(acme) == ["s1", None]


def test_a_session_that_is_gone_is_named_so(acme):
    acme.backend.open_session()
    acme.rooms.expire("s1")
    room = acme.rooms.rooms.pop("s1")
    acme.rooms.rooms["s1"] = room
    gone = []

    @hookimpl
    def session_details(session_id):
        gone.append(session_id)
        raise UnknownSessionError(session_id)

    plugin = acme.backend._account.vendor._plugin
    plugin.qprovider_session_details = session_details
    qp.unregister_plugin("acme")
    qp.register_plugin(plugin, "acme")
    backend = qp.get_backend("acme:line")
    with pytest.raises(UnknownSessionError):
        backend.run(bit(), session_id="s1")
    assert gone == ["s1"]


@pytest.mark.parametrize("fault", [InvalidInputError("Too deep."), VetoError("No.", plugin="guard")])
def test_another_refusal_stays_what_it_is(fault, service, rooms, spec):
    acme = service(fault, spec=spec, **rooms.hooks())
    with acme.backend.open_session(), pytest.raises(type(fault), match=r"Too deep|No\."):
        acme.backend.run(bit())
    assert acme.backend.session is None


def test_a_refusal_that_cannot_be_explained_stays_what_it_is(acme):
    acme.backend.open_session()
    acme.rooms.expire("s1")
    acme.rooms.faults = [TransportError("The line is cut.")]
    with pytest.raises(InvalidInputError, match="Room closed"):
        acme.backend.run(bit())


def test_opening_another_one_replaces_one_that_is_over(acme, caplog):
    acme.backend.open_session().close()
    acme.backend.open_session()
    acme.backend.run(bit())
    assert joined(acme) == ["s2"]
    assert "open still" not in caplog.text


def test_an_error_inside_of_the_with_is_the_one_that_is_seen(acme, caplog):
    def work():
        with acme.backend.open_session():
            acme.rooms.faults = [TransportError("The line is cut.")]
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError) as caught:
        work()
    assert "could not be closed: The line is cut." in caught.value.__notes__[0]
    assert "could not be closed" in caplog.text
    assert acme.rooms.ended == []
    assert acme.backend.session is None
    with pytest.raises(ZeroDivisionError), acme.backend.open_session():
        _ = 1 / 0
    assert acme.rooms.ended == [("s2", False)]  # closed, not cancelled


def test_a_session_that_could_not_be_closed_says_so_and_can_be_closed_later(acme):
    with pytest.raises(TransportError) as caught, acme.backend.open_session() as session:
        acme.rooms.faults = [TransportError("The line is cut.", hint="Mend it.")]
    assert caught.value.hint == "Mend it. It may still be open, and charged: Session.from_id('s1').close() tries again."
    assert session.closed
    session.close()
    assert acme.rooms.ended == [("s1", False)]


def test_closing_one_that_its_vendor_does_not_know_any_more_is_no_error(acme):
    session = acme.backend.open_session()
    acme.rooms.faults = [UnknownSessionError("s1")]
    session.close()
    session.close()
    assert acme.rooms.ended == []


@pytest.mark.parametrize("answer", [None, SessionInfo(id="")])
def test_a_plugin_that_opens_nothing_is_named(answer, service):
    acme = service(open_session=lambda: answer)
    with pytest.raises(PluginError, match="opened a session without an id"):
        acme.backend.open_session()


def test_a_plugin_that_does_not_say_that_it_closed_is_named(service):
    acme = service(open_session=lambda: SessionInfo(id="s"), close_session=lambda: False)
    with pytest.raises(PluginError, match="does not say that session s was closed"):
        acme.backend.open_session().close()


def test_one_that_opens_when_nobody_waits_any_more_is_closed(service):
    late, closed = threading.Event(), threading.Event()

    def open_session():
        late.wait(30)
        return SessionInfo(id="late")

    acme = service(open_session=open_session, close_session=lambda session_id: closed.set() or session_id == "late")
    with pytest.raises(TransportError) as caught:
        acme.backend.open_session(timeout=0.05)
    assert "may be open all the same" in caught.value.hint
    late.set()
    assert closed.wait(30)


def test_one_that_is_opened_too_late_and_cannot_be_closed_is_named(service):
    late, told, texts = threading.Event(), threading.Event(), []

    class Told(logging.Handler):
        def emit(self, record):
            texts.append(record.getMessage())
            told.set()

    def open_session():
        late.wait(30)
        return SessionInfo(id="late")

    acme = service(open_session=open_session)
    with pytest.raises(TransportError):
        acme.backend.open_session(timeout=0.05)
    logger, handler = logging.getLogger("qprovider.sessions"), Told()
    logger.addHandler(handler)
    try:
        late.set()
        assert told.wait(30)
    finally:
        logger.removeHandler(handler)
    assert "session late was opened too late to be used, and is still open" in texts[0]


# ------------------------------------------------------------------------------------------------------------ threads


def test_threads_that_open_none_send_their_jobs_into_the_one_that_is_open(acme):
    with acme.backend.open_session(), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: acme.backend.run(bit()), range(40)))
    assert joined(acme) == ["s1"] * 40


def test_threads_that_open_one_each_do_not_mix_their_jobs(acme):
    gate = threading.Barrier(6)
    wrong = []

    def work(index):
        gate.wait(30)
        with acme.backend.open_session() as session:
            gate.wait(30)
            for _ in range(10):
                job = acme.backend.run(bit())
                if job.session_id() != session.session_id:
                    wrong.append((job.session_id(), session.session_id))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert wrong == []
    assert len(set(joined(acme))) == 6
    assert acme.backend.session is None


def test_a_thread_for_which_several_may_be_meant_is_told_so(acme):
    with acme.backend.open_session(), ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        theirs = one.submit(acme.backend.open_session).result()
        with pytest.raises(InvalidInputError, match="Several threads have opened sessions on this handle") as caught:
            other.submit(acme.backend.run, bit()).result()
        assert "session.run" in caught.value.hint
        assert other.submit(theirs.run, bit()).result().session_id() == theirs.session_id
        acme.backend.run(bit())
    assert joined(acme) == ["s2", "s1"]

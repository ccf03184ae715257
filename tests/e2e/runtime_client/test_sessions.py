"""Sessions and batches of qiskit-ibm-runtime on the emulator."""

from __future__ import annotations

import time

import pytest

# The client announces that its classes will move, and tells what an empty choice of instances means.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:qiskit_ibm_runtime.*"),
]


def run(mode, circuit, shots=20):
    from qiskit_ibm_runtime import SamplerV2

    return SamplerV2(mode=mode).run([circuit], shots=shots)


@pytest.fixture(scope="module")
def premium_belem(premium):
    return premium.backend("ibmq_belem")


def wait_until(condition):
    end = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_session_from_its_opening_to_its_end(premium, premium_belem, bell):
    from qiskit_ibm_runtime import Session

    with Session(backend=premium_belem, max_time="10m") as session:
        assert session.status() == "Pending"
        details = session.details()
        assert (details["mode"], details["state"], details["backend_name"]) == ("dedicated", "open", "ibmq_belem")
        assert (details["max_time"], details["interactive_timeout"]) == (600, 60)
        assert details["usage_time"] is None
        jobs = [run(session, bell) for _ in range(2)]
        for job in jobs:
            assert job.result()[0].data.meas.num_shots == 20
            assert job.session_id == session.session_id
        assert session.status() == "In progress, accepting new jobs"
        assert session.details()["last_job_completed"] >= session.details()["last_job_started"]
    details = session.details()
    assert (details["state"], details["accepting_jobs"]) == ("closed", False)
    assert [change["status"] for change in details["timestamps"]] == ["open", "active", "closed"]
    assert session.status() == "Closed"
    assert session.usage() == details["usage_time"] > 0
    assert {job.job_id() for job in premium.jobs(session_id=session.session_id)} == {job.job_id() for job in jobs}
    again = Session.from_id(session.session_id, premium)
    assert again.details() == details
    from qiskit_ibm_runtime.exceptions import IBMRuntimeError

    with pytest.raises(IBMRuntimeError, match="closed"):
        run(again, bell)


def test_a_batch_on_the_open_plan(service, belem, bell):
    from qiskit_ibm_runtime import Batch

    with Batch(backend=belem) as batch:
        jobs = [run(batch, bell) for _ in range(3)]
    # It takes no more, and runs what it has.
    for job in jobs:
        assert job.result()[0].data.meas.num_shots == 20
    details = batch.details()
    assert (details["mode"], details["state"], details["accepting_jobs"]) == ("batch", "closed", False)
    wait_until(lambda: all(job.metrics()["usage"]["status"] == "complete" for job in jobs))
    assert batch.usage() == pytest.approx(sum(job.usage() for job in jobs), abs=0.01)
    assert Batch.from_id(batch.session_id, service).session_id == batch.session_id


def test_a_batch_is_no_session_and_the_other_way_round(service, belem):
    from qiskit_ibm_runtime import Batch, Session
    from qiskit_ibm_runtime.exceptions import IBMInputValueError

    batch = Batch(backend=belem)
    with pytest.raises(IBMInputValueError, match="execution mode batch"):
        Session.from_id(batch.session_id, service)
    batch.close()
    with pytest.raises(IBMInputValueError, match="not found"):
        Batch.from_id("d00000000000000000no", service)


def test_cancelling_a_session_cancels_what_is_queued(emulator, premium, premium_belem, bell):
    from qiskit_ibm_runtime import Session

    session = Session(backend=premium_belem)
    done = run(session, bell)
    done.result()
    emulator.fault("job_stuck", times=2)
    queued = [run(session, bell) for _ in range(2)]
    session.cancel()
    assert [job.status() for job in queued] == ["CANCELLED", "CANCELLED"]
    assert done.status() == "DONE"
    assert session.status() == "Closed"


def test_the_words_that_the_client_knows_for_a_session_in_between(emulator, premium_belem):
    from qiskit_ibm_runtime import Session

    for word, status in (
        ("pending_inactive", "In progress, accepting new jobs"),
        ("pending_closed", "In progress, not accepting new jobs"),
    ):
        emulator.fault("session_state", state=word, times=1)
        session = Session(backend=premium_belem)
        assert session.status() == status
        session.cancel()


def test_a_session_on_the_open_plan_is_refused(belem):
    from qiskit_ibm_runtime import Session

    with pytest.raises(Exception, match="open plan"):
        Session(backend=belem)


def test_a_session_belongs_to_its_instance(service, premium_belem):
    from qiskit_ibm_runtime import Session
    from qiskit_ibm_runtime.exceptions import IBMInputValueError

    session = Session(backend=premium_belem)
    with pytest.raises(IBMInputValueError, match="not found"):
        Session.from_id(session.session_id, service)
    session.close()

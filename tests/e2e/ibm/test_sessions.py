"""Sessions and batches of the emulated service: jobs in them, their end, other processes, the open plan, usage."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

import qprovider_core as qp
from qprovider_core.errors import InvalidInputError, JobCancelledError, SessionClosedError, UnknownSessionError
from qprovider_core.records import Deadline, JobState
from qprovider_ibm import Batch, IBMEstimator, IBMProvider, IBMSampler, Session
from qprovider_ibm._errors import IBMRequestError
from qprovider_ibm.emulator import Emulator

SIMULATOR = "ibmq_qasm_simulator"


@pytest.fixture
def simulator(provider: IBMProvider, emulator: Emulator) -> Any:
    backend = provider.get_backend(SIMULATOR)
    emulator.clear_requests()
    return backend


def posted(emulator: Emulator, path: str = "/api/v1/sessions") -> list[Any]:
    return [one for one in emulator.requests() if (one["method"], one["path"]) == ("POST", path)]


def until(test: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_all_that_a_handle_runs_in_a_session_joins_it(simulator, provider, bell):
    with simulator.open_session(max_time="1h") as session:
        plain = simulator.run(bell, shots=5)
        sampled = simulator.sampler().run([bell], shots=5)
        split = simulator.run([bell, bell, bell], shots=5, max_circuits_per_job=2)
        parts = split.sub_jobs()
        estimated = session.estimator().run([(bell.remove_final_measurements(inplace=False), "ZZ")])
        through = session.run(bell, shots=5, private=True)
        told = session.details()
    inside = [plain, sampled, *parts, estimated, through]
    assert [job.session_id() for job in inside] == [session.session_id] * 6
    assert [provider.retrieve_job(job.job_id()).session_id() for job in inside] == [session.session_id] * 6
    assert {job.scheduling_mode() for job in (plain, sampled)} == {"session"}
    assert (told.mode, told.backend, told.max_time_s, told.accepting_jobs) == ("session", SIMULATOR, 3600.0, True)
    assert told.instance == simulator.instance
    assert told.created_at is not None
    assert told.user
    assert told.idle_time_s == 60
    assert sum(plain.result().get_counts().values()) == 5
    assert sorted(job.job_id() for job in session.jobs(limit=None)) == sorted(job.job_id() for job in inside)
    assert len(session.jobs(limit=2)) == 2
    assert simulator.run(bell, shots=5).session_id() is None
    for job in inside:
        job.wait_for_final_state(timeout=60)
    after = session.details()
    assert (after.accepting_jobs, after.state) == (False, "closed")
    assert after.closed_at is not None
    assert after.last_job_ended_at is not None
    assert (session.usage() or 0) > 0


def test_a_batch_is_one_at_the_service(simulator, emulator, bell):
    with simulator.open_batch(max_time=0.5) as batch:
        job = simulator.run(bell, shots=5)
        job.result()
        told = batch.details()
    assert isinstance(batch, Batch)
    assert (told.mode, told.max_time_s, batch.mode) == ("batch", 1.0, "batch")
    assert job.scheduling_mode() == "batch"
    assert len(posted(emulator)) == 1


def test_a_word_for_its_state_that_is_new_is_told_as_it_is(simulator, emulator, bell):
    emulator.fault("session_state", state="meditating", times=1)
    with simulator.open_session() as session:
        assert session.status() == "meditating"
        assert not session.closed
        assert simulator.run(bell, shots=5).session_id() == session.session_id


def test_primitives_take_a_session_as_their_mode(simulator, bell):
    session = Session(simulator, max_time=600)
    sampler, estimator = IBMSampler(mode=session), IBMEstimator(session.backend, mode=session)
    assert (sampler.backend(), sampler.session_id, estimator.session_id) == (simulator, *[session.session_id] * 2)
    assert sampler.run([bell], shots=5).session_id() == session.session_id
    ordinary = simulator.sampler()
    assert ordinary.session_id is None
    assert simulator.sampler(session_id=session.session_id).run([bell], shots=5).session_id() == session.session_id
    session.close()
    with pytest.raises(SessionClosedError):
        sampler.run([bell])
    assert ordinary.run([bell], shots=5).session_id() is None


@pytest.mark.parametrize("given", [0, -5, float("nan"), "soon", "0s", True])
def test_a_wrong_length_of_time_reaches_nobody(given, simulator, emulator):
    with pytest.raises(InvalidInputError, match="max_time"):
        simulator.open_session(max_time=given)
    assert emulator.requests() == []


def test_a_length_of_time_that_the_service_does_not_take_is_its_refusal(simulator):
    with pytest.raises(IBMRequestError, match="max_ttl"):
        simulator.open_session(max_time="1000h")
    assert simulator.session is None


def test_a_session_whose_time_is_over_says_so_and_nothing_is_lost(simulator, provider, emulator, bell):
    session = simulator.open_batch(max_time=1)
    first = simulator.run(bell, shots=5)
    first.result()
    until(lambda: told_by_the_service(session, simulator.instance)["state"] == "closed")
    emulator.clear_requests()
    with pytest.raises(SessionClosedError) as caught:
        simulator.run(bell, shots=5)
    assert (caught.value.session_id, caught.value.state) == (session.session_id, "closed")
    assert "The maximum time to live is over" in caught.value.why
    assert len(posted(emulator, "/api/v1/jobs")) == 1
    emulator.clear_requests()
    with pytest.raises(SessionClosedError):
        simulator.run(bell, shots=5)
    assert emulator.requests() == []  # known here by now
    [refused, kept] = qp.list_jobs(offline=True, session_id=session.session_id)
    assert (refused.job_id, refused.info.state) == (None, JobState.ERROR)
    assert "takes no more jobs" in (refused.info.error or "")
    assert kept.id == first.job_id()
    simulator.close_session()
    assert sum(provider.retrieve_job(refused.key).rerun().result().get_counts().values()) == 5


def told_by_the_service(session: Any, instance: str) -> Any:
    """What the service tells, so that the session's handle does not learn of it."""
    return session.account.connection().client.session(instance, session.session_id, Deadline.after(10))


def test_cancelling_drops_what_waits_and_closing_does_not(simulator, emulator, bell):
    emulator.fault("job_stuck", times=2)
    dropped, left = simulator.open_session(), None
    waiting = simulator.run(bell, shots=5)
    simulator.cancel_session()
    with pytest.raises(JobCancelledError):
        waiting.result(timeout=30)
    assert simulator.session is None
    with simulator.open_session() as kept:
        left = simulator.run(bell, shots=5)
    assert not left.in_final_state()
    assert kept.closed
    kept.cancel()
    assert left.wait_for_final_state(timeout=30) is None
    assert left.cancelled()
    dropped.cancel()
    assert dropped.closed


def test_a_composite_job_is_sent_again_into_the_session_that_is_open_now(simulator, emulator, bell):
    emulator.fault("job_fails", times=1)
    with simulator.open_batch() as first:
        job = simulator.run([bell] * 2, shots=5, max_circuits_per_job=1)
        job.wait_for_final_state(timeout=60)
    assert {one.session_id() for one in job.sub_jobs()} == {first.session_id}
    with simulator.open_batch() as second:
        job.rerun_failed()
        job.wait_for_final_state(timeout=60)
        assert sorted(one.session_id() for one in job.sub_jobs()) == sorted([first.session_id, second.session_id])
    assert job.done()


FOUND = """
import json, pickle, sys
from qiskit import QuantumCircuit
import qprovider_core as qp
from qprovider_ibm import IBMProvider
bell = QuantumCircuit(2, 2)
bell.h(0)
bell.cx(0, 1)
bell.measure([0, 1], [0, 1])
session = qp.Session.from_id(sys.argv[1])
handle = pickle.loads(bytes.fromhex(sys.argv[2]))
jobs = [session.run(bell, shots=5), handle.run(bell, shots=5)]
told = [type(session).__name__, session.backend.name, session.backend.instance, session.details().state]
print(json.dumps([told, [job.session_id() for job in jobs], len(session.jobs())]))
session.close()
"""


@pytest.mark.slow
def test_another_process_finds_a_session_by_its_id_and_a_pickled_handle_is_in_it(emulator, tmp_path, bell):
    IBMProvider.save_account(emulator.api_key, instance="premium-eu")
    with IBMProvider() as provider:
        simulator = provider.get_backend(SIMULATOR)
        session = simulator.open_session()
        first = simulator.run(bell, shots=5)
        first.result()
        environment = {**os.environ, "QPROVIDER_DATA_DIR": str(tmp_path / "data")}
        arguments = [session.session_id, pickle.dumps(simulator).hex()]
        done = subprocess.run(
            [sys.executable, "-c", FOUND, *arguments], env=environment, capture_output=True, text=True, timeout=100
        )
        assert done.stderr == ""
        told, joined, jobs = json.loads(done.stdout)
        assert told[:3] == ["Session", SIMULATOR, simulator.instance]
        assert joined == [session.session_id] * 2
        assert jobs == 3
        with pytest.raises(SessionClosedError):  # the other process closed it
            simulator.run(bell)


def test_a_session_is_found_at_a_provider(simulator, provider, emulator):
    opened = simulator.open_session()
    for found in (Session.from_id(opened.session_id, provider), Session.from_id(opened.session_id, backend=simulator)):
        assert type(found) is Session
        assert found.backend.name == SIMULATOR
        assert found.details() == opened.details()
    with pytest.raises(UnknownSessionError, match="no session or batch 'nope'") as caught:
        Session.from_id("nope", service=provider)
    assert "premium-eu" in caught.value.why
    assert caught.value.status == 404
    with pytest.raises(UnknownSessionError):
        simulator.run(bell_of_nobody(), session_id="nope")
    simulator.close_session()


def bell_of_nobody() -> Any:
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    return circuit


def test_a_session_of_the_second_instance_is_run_in_there(emulator, bell):
    with IBMProvider(emulator.api_key) as provider:  # both instances, which offer the same backends
        handle = provider.get_backend(SIMULATOR, instance="premium-eu")
        opened = handle.open_session()
        found = Session.from_id(opened.session_id, provider)
        assert found.backend.instance == emulator.instances["premium-eu"]
        assert found.run(bell, shots=5).session_id() == opened.session_id
        found.close()


def test_the_open_plan_has_no_sessions_and_says_what_it_has(emulator, bell):
    with IBMProvider(emulator.api_key, instance="open-main") as provider:
        simulator = provider.get_backend(SIMULATOR)
        with pytest.raises(IBMRequestError, match="open plan") as caught:
            simulator.open_session()
        assert caught.value.code == "1352"
        assert "no sessions, only jobs and batches" in caught.value.why
        assert "backend.open_batch()" in caught.value.hint
        assert simulator.session is None
        assert simulator.run(bell, shots=5).session_id() is None
        with simulator.open_batch() as batch:
            assert simulator.run(bell, shots=5).session_id() == batch.session_id


# --------------------------------------------------------------------------------------------------------------- usage


@pytest.fixture
def saved(emulator: Emulator) -> Emulator:
    """One account with both instances, and one with the second alone."""
    IBMProvider.save_account(emulator.api_key)
    IBMProvider.save_account(emulator.api_key, name="second", instance="premium-eu")
    return emulator


def test_usage_has_a_row_for_each_instance_of_each_account(saved, bell):
    [before] = qp.usage(account="second")
    job = qp.get_backend(f"second/ibm:{SIMULATOR}").run(bell, shots=5)
    job.result()
    told = qp.usage(provider="ibm")
    assert [(row.account, row.instance_name, row.plan) for row in told] == [
        ("default", "open-main", "open"),
        ("default", "premium-eu", "premium"),
        ("second", "premium-eu", "premium"),
    ]
    assert told.errors == []
    first, second, third = told
    assert (first.limit_s, first.remaining_s) == (600.0, pytest.approx(600 - first.consumed_s))
    assert second.consumed_s == third.consumed_s
    assert third.consumed_s > before.consumed_s
    assert (second.limit_s, second.remaining_s) == (None, None)
    assert second.period_start is not None


def test_an_instance_that_does_not_say_is_an_error_beside_the_others(saved):
    saved.fault("status", path="/api/v1/instances/usage", status=400, times=1)
    told = qp.usage(provider="ibm", account="default")
    assert len(told) == 1
    [error] = told.errors
    assert error.reason.startswith("instance ")
    assert "GET /instances/usage" in error.reason

"""Jobs on real workers: outcomes, order, seeds, states."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections import Counter

import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import quantum_volume
from qiskit.quantum_info import Kraus
from qiskit_aer import AerSimulator

import qprovider_local as plugin
from qprovider_core.errors import InvalidInputError, JobError, ResultError, UnknownJobError
from qprovider_core.records import (
    BackendRef,
    EstimatePub,
    JobQuery,
    JobRequest,
    JobState,
    SubmissionOutcome,
)
from qprovider_local import _wire


def asymmetric() -> QuantumCircuit:
    """Sets a = 1, b = 0b0110, c = 0b10: a reversed bit, register or qubit shows."""
    circuit = QuantumCircuit(
        QuantumRegister(7, "q"), ClassicalRegister(1, "a"), ClassicalRegister(4, "b"), ClassicalRegister(2, "c")
    )
    circuit.x([0, 2, 3, 6])
    circuit.measure(range(7), range(7))
    return circuit


def registers(pub):
    return {
        register.name: [
            int.from_bytes(register.data[i * register.row_bytes : (i + 1) * register.row_bytes], "big")
            for i in range(pub.shots)
        ]
        for register in pub.registers
    }


# ---------------------------------------------------------------------------------------------------- outcomes


def test_bit_order_is_qiskits_alone_and_in_a_batch(local, bell):
    circuit = asymmetric()
    assert local.counts(circuit, shots=10) == {"10 0110 1": 10}
    first, second, third = local.run([bell, circuit, bell], shots=10)
    assert second.counts == {"10 0110 1": 10}
    assert set(first.counts) | set(third.counts) == {"00", "11"}


def test_bit_order_is_qiskits_shot_by_shot_alone_and_in_a_batch(local):
    expected = {"a": [1] * 3, "b": [0b0110] * 3, "c": [0b10] * 3}
    assert registers(local.run(asymmetric(), shots=3, memory=True)[0]) == expected
    for pub in local.run([asymmetric(), asymmetric()], shots=3, memory=True):
        assert registers(pub) == expected
        assert [register.name for register in pub.registers] == ["a", "b", "c"]


def test_leading_zeros_stay(local):
    circuit = QuantumCircuit(1, 12)
    circuit.measure(0, 3)
    assert local.counts(circuit, shots=5) == {"0" * 12: 5}


def test_memory_and_counts_of_one_seed_tell_the_same(local, bell):
    counts = local.counts(bell, seed_simulator=4)
    (pub,) = local.run(bell, seed_simulator=4, memory=True)
    assert Counter(format(value, "02b") for value in registers(pub)["c"]) == counts


def test_a_seed_gives_the_counts_of_plain_aer_for_every_circuit_of_a_list(local):
    circuits = []
    for seed in range(5):
        circuit = quantum_volume(4, 4, seed=seed)
        circuit.measure_all()
        circuits.append(circuit)
    circuits = transpile(circuits, AerSimulator())
    expected = AerSimulator().run(circuits, shots=500, seed_simulator=42).result()
    pubs = local.run(circuits, shots=500, seed_simulator=42)
    assert [dict(pub.counts) for pub in pubs] == [expected.get_counts(i) for i in range(5)]
    assert [pub.metadata["seed_simulator"] for pub in pubs] == [r.seed_simulator for r in expected.results]


def test_circuits_with_different_shots_get_the_seeds_of_their_places(local, bell):
    pubs = local.run([bell] * 4, shots=[100, 100, 200, 100], seed_simulator=3)
    assert [sum(pub.counts.values()) for pub in pubs] == [pub.shots for pub in pubs] == [100, 100, 200, 100]
    assert [pub.metadata["seed_simulator"] for pub in pubs] == [3 + 2113 * place for place in range(4)]


def test_without_a_seed_two_runs_differ(local):
    circuit = QuantumCircuit(20)
    circuit.h(range(20))
    circuit.measure_all()
    assert local.counts(circuit) != local.counts(circuit)


@pytest.mark.parametrize(
    ("backend", "method"),
    [
        ("aer_simulator_statevector", "statevector"),
        ("aer_simulator_density_matrix", "density_matrix"),
        ("aer_simulator_stabilizer", "stabilizer"),
        ("aer_simulator_matrix_product_state", "matrix_product_state"),
        ("aer_simulator_extended_stabilizer", "extended_stabilizer"),
    ],
)
def test_each_backend_runs_its_own_method(backend, method, local, bell):
    (pub,) = local.run(bell, backend, seed_simulator=1)
    assert pub.metadata["method"] == method
    assert set(pub.counts) == {"00", "11"}


def test_parameters_are_bound_circuit_by_circuit_in_their_order(local):
    circuit = QuantumCircuit(2, 2)
    angles = ParameterVector("v", 11)  # v[10] must not sort before v[2]
    circuit.rx(angles[2], 0)
    circuit.rx(angles[10], 1)
    for index in (0, 1, 3, 4, 5, 6, 7, 8, 9):
        circuit.rz(angles[index], 0)
    circuit.measure([0, 1], [0, 1])
    flip_first = [math.pi if index == 2 else 0.0 for index in range(11)]
    flip_second = [math.pi if index == 10 else 0.0 for index in range(11)]
    job = local.submit([circuit, circuit], values=[flip_first, flip_second], shots=20)
    assert [dict(pub.counts) for pub in local.result(job).pubs] == [{"01": 20}, {"10": 20}]
    assert len(local.connection.pool.book[job.id].task["sizes"]) == 1


def test_a_circuit_changed_after_submission_runs_as_it_was(local):
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    job = local.submit(circuit, shots=5)
    circuit.data.clear()
    assert dict(local.result(job).pubs[0].counts) == {"0": 5}


def test_measuring_on_the_way_and_acting_on_it(local):
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.reset(0)
    with circuit.if_test((circuit.clbits[0], 1)) as otherwise:
        circuit.x(1)
    with otherwise:
        circuit.h(1)
    with circuit.for_loop(range(3)):
        circuit.x(0)
    circuit.measure([0, 1], [0, 1])
    assert local.counts(circuit, shots=10) == {"11": 10}


def test_wide_instructions_travel(local):
    circuit = QuantumCircuit(3, 3)
    circuit.initialize("101")
    circuit.unitary([[0, 1], [1, 0]], 1)
    circuit.append(Kraus([[[0, 1], [1, 0]]]).to_instruction(), [2])
    circuit.mcx([0, 1], 2)
    circuit.measure([0, 1, 2], [0, 1, 2])
    assert local.counts(circuit, shots=10) == {"111": 10}


# ------------------------------------------------------------------------------------------------------ states


def test_states_follow_each_other_and_carry_their_times(own_local, bell, endless):
    blocker = own_local.submit(endless, shots=10_000)
    waiting = own_local.submit(bell, tags=["a"], name="mine", key="k1")
    assert waiting.state is JobState.QUEUED
    running = own_local.wait_running(blocker)
    assert running.state is JobState.RUNNING
    assert running.started_at >= running.created_at
    assert running.ended_at is None
    queued = own_local.info(waiting)
    assert (queued.state, queued.queue.position) == (JobState.QUEUED, 1)
    status = plugin.qprovider_backend_status(connection=own_local.connection, backend=BackendRef(name="fake_belem"))
    assert status.pending_jobs == 1
    listed = plugin.qprovider_list_backends(connection=own_local.connection)
    assert {info.pending_jobs for info in listed} == {1}
    assert own_local.cancel(blocker) is True
    done = own_local.wait(waiting)
    assert done.state is JobState.DONE
    assert done.created_at <= done.started_at <= done.ended_at
    assert (done.tags, done.name, done.shots, done.backend) == (("a",), "mine", 1000, "aer_simulator")
    assert own_local.cancel(waiting) is False
    assert own_local.info(waiting).state is JobState.DONE


def test_a_queued_job_is_cancelled_and_the_others_go_on(own_local, bell, endless):
    blocker = own_local.submit(endless, shots=10_000)
    own_local.wait_running(blocker)
    first, second, third = (own_local.submit(bell) for _ in range(3))
    assert own_local.cancel(second) is True
    assert own_local.info(second).state is JobState.CANCELLED
    assert own_local.info(third).queue.position == 2
    assert own_local.cancel(blocker) is True
    assert own_local.wait(first).state is own_local.wait(third).state is JobState.DONE
    assert own_local.info(second).started_at is None
    with pytest.raises(ResultError, match="cancelled"):
        plugin.qprovider_job_result(connection=own_local.connection, job=second.ref)


def test_a_running_simulation_is_cancelled_at_once_and_its_process_ends(own_local, bell, endless, gone):
    job = own_local.submit(endless, shots=10_000)
    own_local.wait_running(job)
    pid = own_local.connection.pool.pids()[0]
    assert own_local.cancel(job) is True
    assert own_local.info(job).state is JobState.CANCELLED
    assert gone(pid)
    assert sum(own_local.counts(bell).values()) == 1000


def test_a_worker_that_dies_costs_its_job_only(own_local, bell, endless):
    own_local.pid()
    job = own_local.submit(endless, shots=10_000)
    behind = own_local.submit(bell)
    own_local.wait_running(job)
    os.kill(own_local.connection.pool.pids()[0], signal.SIGKILL)
    failed = own_local.wait(job)
    assert failed.state is JobState.ERROR
    assert "SIGKILL" in failed.error
    assert own_local.wait(behind).state is JobState.DONE


def test_a_crash_in_native_code_is_named_with_its_last_words(own_local, bell, endless):
    own_local.pid()
    job = own_local.submit(endless, shots=10_000)
    own_local.wait_running(job)
    os.kill(own_local.connection.pool.pids()[0], signal.SIGSEGV)
    assert "SIGSEGV" in own_local.wait(job).error


def test_a_worker_that_dies_idle_costs_nothing(own_local, bell, gone):
    pid = own_local.pid()
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    assert sum(own_local.counts(bell).values()) == 1000


def test_workers_run_jobs_side_by_side(open_local, bell, endless):
    account = open_local(workers=2, max_threads=1)
    blocker = account.submit(endless, shots=10_000)
    account.wait_running(blocker)
    assert account.wait(account.submit(bell)).state is JobState.DONE
    assert account.info(blocker).state is JobState.RUNNING


def test_what_aer_refuses_is_the_jobs_error_and_names_the_circuit(local, bell):
    angle = QuantumCircuit(1, 1)
    angle.rx(0.3, 0)
    angle.measure(0, 0)
    failed = local.wait(local.submit([bell, angle], "aer_simulator_stabilizer"))
    assert failed.state is JobState.ERROR
    assert "circuit 1" in failed.error
    free = QuantumCircuit(1, 1)
    free.rx(Parameter("x"), 0)
    free.measure(0, 0)
    assert "parameter" in local.wait(local.submit(free)).error
    assert sum(local.counts(bell).values()) == 1000


def test_a_worker_that_cannot_start_is_the_jobs_error(own_local, bell, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    failed = own_local.wait(own_local.submit(bell))
    assert failed.state is JobState.ERROR
    assert "could not start" in failed.error
    monkeypatch.undo()
    assert sum(own_local.counts(bell).values()) == 1000


def test_an_answer_that_cannot_be_taken_costs_its_job_only(own_local, bell, monkeypatch):
    own_local.pid()
    receive = _wire.receive

    def no_memory(stream):
        receive(stream)
        raise MemoryError("too large")

    with monkeypatch.context() as patch:
        patch.setattr(_wire, "receive", no_memory)
        failed = own_local.wait(own_local.submit(bell))
    assert failed.state is JobState.ERROR
    assert "too large" in failed.error
    assert sum(own_local.counts(bell).values()) == 1000


def test_a_worker_whose_imports_fail_says_which(own_local, bell, monkeypatch, tmp_path):
    (tmp_path / "qiskit_aer.py").write_text("raise ImportError('no such thing as Aer')")
    monkeypatch.syspath_prepend(tmp_path)
    failed = own_local.wait(own_local.submit(bell))
    assert "no such thing as Aer" in failed.error


# --------------------------------------------------------------------------------------------------- the books


def test_jobs_are_listed_found_by_key_retagged_and_deleted(own_local, bell):
    connection = own_local.connection
    jobs = [own_local.submit(bell, key=f"key{i}", tags=["all", str(i)]) for i in range(3)]
    for job in jobs:
        own_local.wait(job)
    page = plugin.qprovider_list_jobs(connection=connection, query=JobQuery(tags=["all"], limit=2))
    assert [info.id for info in page.jobs] == [jobs[2].id, jobs[1].id]
    found = plugin.qprovider_find_submission(connection=connection, key="key1")
    assert (found.outcome, found.job.id) == (SubmissionOutcome.FOUND, jobs[1].id)
    absent = plugin.qprovider_find_submission(connection=connection, key="key9")
    assert absent.outcome is SubmissionOutcome.ABSENT
    assert plugin.qprovider_update_job_tags(connection=connection, job=jobs[0].ref, tags=("new",)) is True
    assert own_local.info(jobs[0]).tags == ("new",)
    assert plugin.qprovider_delete_job(connection=connection, job=jobs[0].ref) is True
    with pytest.raises(UnknownJobError):
        own_local.info(jobs[0])


def test_a_job_that_runs_is_not_deleted(own_local, endless):
    job = own_local.submit(endless, shots=10_000)
    with pytest.raises(JobError, match="Cancel it first"):
        plugin.qprovider_delete_job(connection=own_local.connection, job=job.ref)


def test_details_give_the_circuits_options_and_times_back(local, bell):
    job = local.submit([bell, asymmetric()], seed_simulator=9)
    local.wait(job)
    details = plugin.qprovider_job_details(connection=local.connection, job=job.ref)
    assert list(details.circuits) == [bell, asymmetric()]
    assert details.options == {"seed_simulator": 9}
    assert list(details.steps) == ["created", "started", "ended"]
    assert details.metrics["time_taken"] > 0


def test_estimates_are_refused_with_a_way_out(local, bell):
    request = JobRequest(
        backend=BackendRef(name="aer_simulator"),
        kind="estimate",
        pubs=[EstimatePub(circuit=bell, observables=({"ZZ": 1.0},))],
    )
    with pytest.raises(InvalidInputError, match="BackendEstimatorV2"):
        plugin.qprovider_submit_job(connection=local.connection, request=request)


def test_a_result_let_go_says_so(local, bell):
    job = local.submit(bell)
    local.wait(job)
    local.connection.pool.book[job.id].outcomes = None
    with pytest.raises(ResultError, match="no longer kept"):
        plugin.qprovider_job_result(connection=local.connection, job=job.ref)


def test_closing_ends_workers_and_cancels_what_is_left(open_local, bell, endless, gone):
    account = open_local()
    running = account.submit(endless, shots=10_000)
    account.wait_running(running)
    queued = account.submit(bell)
    pid = account.connection.pool.pids()[0]
    account.close()
    assert gone(pid)
    assert account.info(running).state is account.info(queued).state is JobState.CANCELLED
    with pytest.raises(JobError, match="closed"):
        account.submit(bell)


# -------------------------------------------------------------------------------------------------- heartbeats


def test_other_threads_of_the_process_keep_running_during_a_simulation(local):
    circuit = quantum_volume(19, 19, seed=1)
    circuit.measure_all()
    circuit = transpile(circuit, AerSimulator(), optimization_level=0)
    many = [circuit] * 2
    local.counts(QuantumCircuit(1, 1))  # the worker is ready
    gaps, over = [], threading.Event()

    def beat():
        last = time.perf_counter()
        while not over.is_set():
            time.sleep(0.002)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    heart = threading.Thread(target=beat)
    heart.start()
    started = time.perf_counter()
    try:
        local.run(many, shots=20_000)
    finally:
        over.set()
        heart.join()
    took = time.perf_counter() - started
    assert took > 0.2
    # A lock held for the whole simulation would show as one gap of nearly all the time.
    assert max(gaps) < took / 3

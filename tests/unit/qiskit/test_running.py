"""Running through the adapter: the queue of this process, chunks, options, ends of every kind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter

import qprovider_core as qp
from qprovider_core.errors import (
    InvalidInputError,
    JobCancelledError,
    JobFailedError,
    UnknownJobError,
    UnsupportedError,
)
from qprovider_core.records import EstimatePub, JobRef, JobRequest, JobState, SamplePub

from .conftest import Vendor, flip


class Slow(Vendor):
    """Runs when it is let."""

    def __init__(self, name: str = "slow") -> None:
        super().__init__(name)
        self.entered, self.release = threading.Event(), threading.Event()

    def run(self, run_input: Any, shots: int = 1024, **options: Any) -> Any:
        self.entered.set()
        self.release.wait(30)
        return super().run(run_input, shots, **options)


@pytest.fixture
def slow() -> Iterator[Slow]:
    backend = Slow()
    yield backend
    backend.release.set()


def numbered(value: int, width: int = 3) -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(width), ClassicalRegister(1, "a"), ClassicalRegister(width, "b"))
    for qubit in range(width):
        if value >> qubit & 1:
            circuit.x(qubit)
        circuit.measure(qubit, circuit.cregs[1][qubit])
    return circuit


def test_a_job_has_an_id_of_ours_and_keeps_the_vendors(adapt) -> None:
    job = adapt(Vendor()).get_backend("one").run(flip(), shots=7, name="mine", job_tags=["lab"])
    assert job.result().get_counts() == {"01": 7}
    assert job.info.extra["vendor_jobs"] == ["vendor-1"]
    assert job.job_id() != "vendor-1"
    assert (job.name(), job.tags(), job.info.shots) == ("mine", ["lab"], 7)


@pytest.mark.parametrize("most", [1, 2, 3, None])
def test_circuits_are_sent_as_many_together_as_the_vendor_takes(adapt, most) -> None:
    vendor = Vendor(most=most)
    backend = adapt(vendor).get_backend("one")
    assert backend.max_circuits is None  # the adapter sends more than one job of the vendor
    result = backend.run([numbered(value) for value in range(5)], shots=3).result()
    assert [result.get_counts(i) for i in range(5)] == [{f"{value:03b} 0": 3} for value in range(5)]
    sizes = [number for number, _ in vendor.runs]
    assert sizes == {1: [1] * 5, 2: [2, 2, 1], 3: [3, 2], None: [5]}[most]


def test_options_are_passed_on_by_name(adapt) -> None:
    vendor = Vendor()
    backend = adapt(vendor, run_options=["error_mitigation"]).get_backend("one")
    backend.run(flip(), shots=5, error_mitigation="debias").result()
    assert vendor.runs == [(1, {"shots": 5, "error_mitigation": "debias"})]
    with pytest.raises(InvalidInputError, match="eror_mitigation"):
        backend.run(flip(), eror_mitigation="debias")


def test_a_memory_is_asked_for_where_the_vendor_has_the_option(adapt) -> None:
    plain, with_memory = Vendor("plain"), Vendor("with_memory")
    with_memory._options.update_options(memory=False)
    account = adapt(plain, with_memory)
    for name in ("plain", "with_memory"):
        memory = account.get_backend(name).run(flip(), shots=4, memory=True).result().get_memory()
        assert memory == ["01"] * 4  # this vendor has it anyway
    assert (plain.runs[0][1], with_memory.runs[0][1]) == ({"shots": 4}, {"shots": 4, "memory": True})


def test_values_of_parameters_are_bound_before_sending(adapt) -> None:
    theta = Parameter("theta")
    circuit = QuantumCircuit(1, 1)
    circuit.rx(theta, 0)
    circuit.measure(0, 0)
    job = adapt(Vendor()).get_backend("one").run(circuit, parameter_binds=[{theta: 0}, {theta: 3.141592653589793}])
    assert [job.result().get_counts(i) for i in range(2)] == [{"0": 1024}, {"1": 1024}]


def test_a_vendors_own_compiler_comes_before_sending(adapt) -> None:
    vendor = Vendor()
    backend = adapt(vendor, transpile_kwargs={"optimization_level": 2}).get_backend("one")
    seen: list[QuantumCircuit] = []
    plain = vendor.run
    vendor.run = lambda circuits, **given: seen.append(circuits) or plain(circuits, **given)
    circuit = QuantumCircuit(1, 1)
    for _ in range(2):
        circuit.h(0)
    circuit.measure(0, 0)
    assert backend.run(circuit, shots=9).result().get_counts() == {"0": 9}
    assert set(seen[0].count_ops()) == {"measure"}  # two of them cancel out


def test_a_circuit_that_is_changed_afterwards_runs_as_it_was(adapt, slow) -> None:
    backend = adapt(slow).get_backend("slow")
    circuit = flip()
    jobs = [backend.run(circuit, shots=5) for _ in range(2)]
    circuit.x(1)
    circuit.measure(1, 1)
    slow.release.set()
    assert [job.result().get_counts() for job in jobs] == [{"01": 5}] * 2


# --------------------------------------------------------------------------------------------------- the queue


def test_jobs_wait_in_the_order_in_which_they_came(adapt, slow) -> None:
    account = adapt(slow)
    backend = account.get_backend("slow")
    jobs = [backend.run(flip(), shots=3) for _ in range(3)]
    assert slow.entered.wait(10)
    assert [job.refresh().state for job in jobs] == [JobState.RUNNING, JobState.QUEUED, JobState.QUEUED]
    assert [job.queue_position() for job in jobs[1:]] == [1, 2]
    assert (backend.status().pending_jobs, backend.status().operational) == (2, True)
    assert {job.job_id() for job in account.jobs(pending=True)} == {job.job_id() for job in jobs}
    assert jobs[1].cancel() is True
    assert backend.status().pending_jobs == 1
    slow.release.set()
    assert jobs[2].result().get_counts() == {"01": 3}
    with pytest.raises(JobCancelledError):
        jobs[1].result()
    assert jobs[1].cancel() is False
    assert jobs[0].cancel() is False


def test_a_running_job_is_given_up_and_the_next_one_runs(adapt, slow) -> None:
    backend = adapt(slow).get_backend("slow")
    first, second = (backend.run(flip(), shots=3) for _ in range(2))
    assert slow.entered.wait(10)
    assert first.cancel() is True
    with pytest.raises(JobCancelledError):
        first.result(timeout=10)
    slow.release.set()
    assert second.result(timeout=30).get_counts() == {"01": 3}
    assert first.info.state is JobState.CANCELLED


def test_a_run_that_fails_costs_its_own_job(adapt) -> None:
    vendor = Vendor()
    plain = vendor.run
    answers = iter([RuntimeError("no liquid\nhelium"), None])

    def run(*given: Any, **options: Any) -> Any:
        problem = next(answers)
        if problem is not None:
            raise problem
        return plain(*given, **options)

    vendor.run = run
    backend = adapt(vendor).get_backend("one")
    first, second = backend.run(flip()), backend.run(flip(), shots=2)
    with pytest.raises(JobFailedError, match="RuntimeError: no liquid helium"):
        first.result()
    assert first.error_message() == "RuntimeError: no liquid helium"
    assert second.result().get_counts() == {"01": 2}


def test_closing_cancels_what_waits(adapt, slow) -> None:
    account = adapt(slow)
    backend = account.get_backend("slow")
    jobs = [backend.run(flip()) for _ in range(2)]
    assert slow.entered.wait(10)
    account.close()
    assert qp.job(jobs[1].job_id()).info.state is JobState.CANCELLED


def test_the_thread_of_the_queue_ends_with_the_account(adapt) -> None:
    account = adapt(Vendor())
    account.get_backend("one").run(flip()).result()
    assert any(thread.name == "qprovider-acme" for thread in threading.enumerate())
    account.close()
    end = time.monotonic() + 10
    while any(thread.name == "qprovider-acme" for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


# ---------------------------------------------------------------------------------------- what cannot be asked


def test_what_is_no_sample_is_refused(adapt) -> None:
    account = adapt(Vendor())
    estimate = JobRequest(
        backend=account.get_backend("one").info.ref,
        kind="estimate",
        pubs=(EstimatePub(circuit=QuantumCircuit(1), observables=({"Z": 1.0},)),),
    )
    with pytest.raises(InvalidInputError, match="do not estimate observables") as caught:
        account.ask("qprovider_submit_job", request=estimate)
    assert "BackendEstimatorV2" in caught.value.hint
    shaped = JobRequest(backend=estimate.backend, pubs=(SamplePub(circuit=flip(), shots=1, shape=(2, 2)),))
    with pytest.raises(InvalidInputError, match="one set of values each"):
        account.ask("qprovider_submit_job", request=shaped)


def test_an_unknown_job_is_said_to_be_unknown(adapt) -> None:
    account = adapt(Vendor())
    with pytest.raises(UnknownJobError, match="has no job 'nobody'"):
        account.ask("qprovider_get_job", job=JobRef(id="nobody"))


# ------------------------------------------------------------------------------------------------- registering


def test_a_backend_of_ones_own_is_used_like_any_other(adapt) -> None:
    adapt(Vendor())
    handle = qp.register_backend(Vendor("bench"), simulator=True)
    assert handle.full_name == "registered:bench"
    assert qp.list_backends(simulator=True).names() == ["registered:bench"]
    assert handle.run(flip(), shots=3).result().get_counts() == {"01": 3}
    other = qp.register_backend(Vendor("bench"), "lab", simulator=False)
    assert qp.list_backends(provider="registered").names() == ["registered:bench", "registered:lab"]
    assert other.simulator is False
    assert qp.get_backend("registered:lab").run(flip(), shots=4).result().get_counts() == {"01": 4}


def test_a_name_is_taken_over_by_who_comes_later(adapt) -> None:
    adapt(Vendor())
    qp.register_backend(Vendor("again"))
    later = Vendor("again")
    qp.register_backend(later).run(flip()).result()
    assert len(later.runs) == 1


@pytest.mark.parametrize(
    ("given", "how", "said"),
    [
        ("aer_simulator", {}, "A str is not a Qiskit BackendV2"),
        (None, {"simulater": True}, "cannot be told this.*simulater"),
        (None, {"name": ""}, "A backend's name is a text"),
        (None, {"name": 7}, "A backend's name is a text"),
    ],
)
def test_what_cannot_be_registered_is_refused(adapt, given, how, said) -> None:
    adapt(Vendor())
    with pytest.raises(InvalidInputError, match=said):
        qp.register_backend(Vendor() if given is None else given, **how)


def test_without_an_adapter_it_says_what_to_install(adapt, monkeypatch) -> None:
    adapt(Vendor())
    monkeypatch.setattr("qprovider_core._register.entry_points", lambda group: [])
    with pytest.raises(UnsupportedError, match="No adapter") as caught:
        qp.register_backend(Vendor())
    assert "pip install qprovider-qiskit" in caught.value.hint

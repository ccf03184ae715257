"""`backend.run` and `IBMJob` over real sockets: what is sent, what comes back, how jobs are found again."""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter, ParameterVector
from qiskit.providers import JobStatus
from qiskit.result import Result

import qprovider_core as qp
from qprovider_core.errors import (
    CircuitError,
    InvalidInputError,
    JobCancelledError,
    JobFailedError,
    JobTimeoutError,
    ResultError,
    UnknownBackendError,
    UnknownJobError,
    UnknownOptionError,
)
from qprovider_core.records import Deadline, JobState, SessionRequest
from qprovider_ibm import IBMProvider, job_monitor
from qprovider_ibm.emulator import Emulator

SIMULATOR = "ibmq_qasm_simulator"


def asked(emulator: Emulator) -> list[str]:
    """Methods and paths of the requests since the last time."""
    seen = [f"{one['method']} {one['path']}" for one in emulator.requests()]
    emulator.clear_requests()
    return seen


def told(job: Any) -> dict[str, Any]:
    """What the service itself tells of a job, params included."""
    deadline = Deadline.after(10)
    return dict(job._connection().client.job(job.instance, job.job_id(), deadline, params=True))


def asymmetric() -> QuantumCircuit:
    """Bits 1 and 010 in two registers of different size."""
    qubits, a, b = QuantumRegister(4, "q"), ClassicalRegister(1, "a"), ClassicalRegister(3, "b")
    circuit = QuantumCircuit(qubits, a, b, name="asymmetric")
    circuit.x(0)
    circuit.x(2)
    circuit.measure(qubits[0], a[0])
    circuit.measure(qubits[1:], b)
    return circuit


@pytest.fixture
def simulator(provider, emulator) -> Any:
    backend = provider.get_backend(SIMULATOR)
    emulator.clear_requests()
    return backend


@pytest.fixture
def stuck(simulator, emulator, bell) -> Iterator[Any]:
    """A job that stays in the queue."""
    emulator.fault("job_stuck", times=1)
    job = simulator.run(bell, shots=10)
    emulator.clear_requests()
    yield job
    emulator.clear_faults()
    job.cancel()


# ------------------------------------------------------------------------------------ submitting, results


def test_submit_and_result_of_a_bell_job_take_two_requests_besides_polling(provider, emulator, bell):
    backend = provider.get_backend("ibmq_belem")
    circuit = backend.transpile(bell)
    emulator.clear_requests()
    job = backend.run(circuit, shots=1000)
    counts = job.result().get_counts()
    polls = f"GET /api/v1/jobs/{job.job_id()}"
    assert [one for one in asked(emulator) if one != polls] == ["POST /api/v1/jobs", f"{polls}/results"]
    assert sum(counts.values()) == 1000
    assert counts["00"] + counts["11"] > 700
    assert job.result().get_counts() == counts
    assert asked(emulator) == []


def test_polling_never_asks_for_the_params(simulator, emulator, bell):
    job = simulator.run(bell)
    job.result()
    polls = [one["query"] for one in emulator.requests() if one["path"] == f"/api/v1/jobs/{job.job_id()}"]
    assert polls
    assert set(polls) == {"exclude_params=true"}


def test_the_result_is_qiskits_with_counts_in_qiskits_order(simulator):
    circuit = asymmetric()
    job = simulator.run(circuit, shots=20, memory=True)
    result = job.result()
    assert isinstance(result, Result)
    assert (result.success, result.backend_name, result.job_id) == (True, SIMULATOR, job.job_id())
    assert result.backend_version == simulator.configuration().backend_version
    assert result.get_counts() == {"010 1": 20}  # the last register is leftmost, bit 0 of each rightmost
    assert result.get_counts(circuit) == result.get_counts("asymmetric") == result.get_counts(0) == {"010 1": 20}
    assert result.get_memory() == ["010 1"] * 20
    assert result[0].data.b.get_counts() == {"010": 20}


def test_memory_has_the_outcomes_of_single_shots_and_agrees_with_the_counts(simulator, bell):
    result = simulator.run(bell, shots=200, memory=True).result()
    memory = result.get_memory()
    assert len(memory) == 200
    assert {text: memory.count(text) for text in sorted(set(memory))} == dict(sorted(result.get_counts().items()))
    assert set(memory) == {"00", "11"}


def test_a_result_reads_its_bits_lazily(simulator, bell):
    result = simulator.run([bell, asymmetric()], shots=10).result()
    record = result.record
    assert [pub.registers[0].num_bits for pub in record.pubs] == [2, 1]
    first = result[0].data.c.array
    assert np.shares_memory(first, np.frombuffer(record.pubs[0].registers[0].data, dtype=np.uint8))


def test_several_circuits_are_one_job(simulator, emulator, bell):
    other = asymmetric()
    job = simulator.run([bell, other, bell.copy(name="again")], shots=30)
    counts = job.result().get_counts()
    assert [sum(one.values()) for one in counts] == [30, 30, 30]
    assert counts[1] == {"010 1": 30}
    assert job.result().get_counts("again") == counts[2]
    assert asked(emulator).count("POST /api/v1/jobs") == 1


def test_more_circuits_than_a_job_once_took_are_one_job(gateway, emulator, bell):
    def old(method: str, path: str, answer: Any) -> Any:
        status, headers, body = answer
        if path.endswith("/configuration"):
            body = json.dumps({**json.loads(body), "max_experiments": 3}).encode()
        return status, headers, body

    places = {**emulator.endpoints(), "api": f"{gateway(old).base}/api/v1"}
    with IBMProvider(emulator.api_key, instance=emulator.instances["premium-eu"], endpoints=places) as provider:
        backend = provider.get_backend(SIMULATOR)
        assert (backend.configuration().max_experiments, backend.max_circuits) == (3, None)
        emulator.clear_requests()
        job = backend.run([bell] * 40, shots=2)
        assert len(job.result().get_counts()) == 40
    assert asked(emulator).count("POST /api/v1/jobs") == 1


def test_parameters_are_bound_in_either_form(simulator):
    theta = Parameter("theta")
    circuit = QuantumCircuit(1, 1)
    circuit.rx(theta, 0)
    circuit.measure(0, 0)
    each = simulator.run(circuit, shots=10, parameter_binds=[{theta: 0.0}, {theta: np.pi}]).result()
    assert each.get_counts() == [{"0": 10}, {"1": 10}]
    listed = simulator.run(circuit, shots=10, parameter_binds=[{theta: [np.pi, 0.0, np.pi]}]).result()
    assert listed.get_counts() == [{"1": 10}, {"0": 10}, {"1": 10}]
    with pytest.raises(CircuitError, match="parameters without values: theta"):
        simulator.run(circuit)


def test_values_of_several_parameters_go_where_they_belong(simulator):
    """More than ten elements: sorted by text, element 10 would come before element 2."""
    angles = ParameterVector("a", 12)
    circuit = QuantumCircuit(12, 12)
    for place, angle in enumerate(angles):
        circuit.rx(angle, place)
    circuit.measure(range(12), range(12))
    bits = [1, 0, 1, 1, 0, 0, 0, 1, 0, 1, 1, 0]
    job = simulator.run(circuit, shots=5, parameter_binds=[dict(zip(angles, np.pi * np.array(bits), strict=True))])
    assert job.result().get_counts() == {"".join(map(str, reversed(bits))): 5}


def test_without_shots_there_are_4096(simulator, bell):
    job = simulator.run(bell)
    assert sum(job.result().get_counts().values()) == 4096
    assert told(job)["params"]["pubs"][0][2] == 4096


def test_bits_measured_in_the_middle_are_kept(simulator):
    circuit = QuantumCircuit(1, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.x(0)
    circuit.measure(0, 1)
    assert simulator.run(circuit, shots=10).result().get_counts() == {"01": 10}


# ------------------------------------------------------------------------------------------- run options


def test_run_options_arrive_where_the_service_wants_them(provider, emulator):
    backend = provider.get_backend("ibmq_belem")
    circuit = QuantumCircuit(5, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    job = backend.run(
        circuit,
        shots=17,
        memory=True,
        job_tags=["one", "two"],
        name="my job",
        rep_delay=100e-6,
        init_qubits=False,
        dynamical_decoupling={"enable": True, "sequence_type": "XY4"},
        twirling={"enable_gates": True, "num_randomizations": 4},
        max_execution_time=120,
        meas_level=2,
        log_level="debug",
    )
    document = told(job)
    params = document["params"]
    assert (document["program"], document["backend"], document["cost"]) == ({"id": "sampler"}, "ibmq_belem", 120)
    assert (params["version"], params["support_qiskit"]) == (2, True)
    assert params["options"] == {
        "dynamical_decoupling": {"enable": True, "sequence_type": "XY4"},
        "twirling": {"enable_gates": True, "num_randomizations": 4},
        "execution": {"init_qubits": False, "rep_delay": pytest.approx(100e-6), "meas_type": "classified"},
    }
    assert [len(params["pubs"]), params["pubs"][0][2]] == [1, 17]
    assert {"one", "two", "name:my job"} < set(document["tags"])
    assert job.backend_options() == params["options"]
    assert provider.retrieve_job(job.job_id()).backend_options() == params["options"]


def test_only_what_was_set_is_sent(simulator, bell):
    document = told(simulator.run(bell, shots=1))
    assert document["params"]["options"] == {}
    assert document["params"].keys() == {"pubs", "options", "version", "support_qiskit"}


def test_options_of_simulators_arrive(simulator, bell):
    job = simulator.run(bell, shots=300, seed_simulator=11)
    assert told(job)["params"]["options"]["simulator"] == {"seed_simulator": 11}
    again = simulator.run(bell, shots=300, seed_simulator=11)
    assert again.result().get_counts() == job.result().get_counts()


def test_options_that_were_set_on_the_backend_are_used(simulator, bell):
    simulator.set_options(shots=3, init_qubits=True)
    document = told(simulator.run(bell))
    assert document["params"]["pubs"][0][2] == 3
    assert document["params"]["options"] == {"execution": {"init_qubits": True}}
    assert told(simulator.run(bell, shots=4))["params"]["pubs"][0][2] == 4


@pytest.mark.parametrize("option", ["header", "use_measure_esp", "rep_time", "qubit_lo_freq", "live_data_enabled"])
def test_options_that_are_gone_say_so(simulator, emulator, bell, option):
    with pytest.raises(UnknownOptionError, match=f"{option}.*does not exist any more") as caught:
        simulator.run(bell, **{option: 1})
    assert caught.value.why
    assert caught.value.hint
    assert "POST /api/v1/jobs" not in asked(emulator)


def test_a_pulse_schedule_is_refused_with_the_reason_and_the_alternatives(simulator, emulator):
    class Schedule:
        """As qiskit.pulse had it until version 2."""

    for given in (Schedule(), [Schedule()]):
        with pytest.raises(CircuitError, match="schedules of pulses cannot be run") as caught:
            simulator.run(given)
        assert "Pulse control ended" in caught.value.why
        assert "fractional gates" in caught.value.hint
        assert "dynamical decoupling" in caught.value.hint
    assert asked(emulator) == []


# ---------------------------------------------------------------------------------------------- one job


def test_a_job_tells_of_itself(provider, simulator, emulator, bell):
    before = dt.datetime.now(dt.UTC)
    job = simulator.run(bell, shots=100, job_tags=["tag"], name="named")
    job.wait_for_final_state(30)
    assert job.status() is JobStatus.DONE
    assert (job.done(), job.running(), job.cancelled(), job.in_final_state()) == (True, False, False, True)
    assert (job.name(), job.tags(), job.session_id(), job.scheduling_mode()) == ("named", ["tag"], None, None)
    assert job.backend() is simulator
    assert job.program_id == "sampler"
    assert before - dt.timedelta(seconds=1) <= job.creation_date() <= dt.datetime.now(dt.UTC)
    assert job.error_message() is None
    assert job.queue_info() is None
    assert job.queue_position() is None
    assert provider.retrieve_job(job.job_id()).creation_date() == job.creation_date()


def test_the_steps_are_created_running_and_finished(simulator, bell):
    job = simulator.run(bell)
    job.result()
    steps = job.time_per_step()
    assert list(steps) == ["CREATED", "RUNNING", "FINISHED"]
    assert steps["CREATED"] <= steps["RUNNING"] <= steps["FINISHED"]
    assert {moment.utcoffset() for moment in steps.values()} == {dt.timedelta(0)}
    assert steps["CREATED"] == job.creation_date()


def test_usage_is_estimated_first_and_charged_when_the_bill_is_final(simulator, bell):
    job = simulator.run(bell, shots=100)
    assert job.usage_estimation == {"quantum_seconds": pytest.approx(1.045)}
    job.result()
    end = time.monotonic() + 10
    while (usage := job.usage()).quantum_s is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert usage.quantum_s == pytest.approx(1.045)


def test_metrics_logs_and_the_client_version(simulator, bell):
    job = simulator.run(bell)
    job.result()
    metrics = job.metrics()
    assert metrics["timestamps"].keys() == {"created", "running", "finished"}
    assert job.client_version == {"caller": metrics["caller"], "qiskit": metrics["qiskit_version"]}
    assert "qprovider" in metrics["caller"]
    assert f"job {job.job_id()} queued on {SIMULATOR}" in job.logs()
    assert "ended as Completed" in job.logs()


def test_inputs_circuits_and_options_come_back(provider, simulator):
    theta = Parameter("theta")
    circuit = QuantumCircuit(1, 1, name="bound", metadata={"mine": 3})
    circuit.rx(theta, 0)
    circuit.measure(0, 0)
    job = simulator.run(circuit, shots=10, parameter_binds=[{theta: 0.25}], init_qubits=False)
    assert job.circuits() == [circuit]
    again = provider.retrieve_job(job.job_id())
    (found,) = again.circuits()
    assert found == circuit
    assert (found.name, found.metadata) == ("bound", {"mine": 3})
    assert again.backend_options() == {"execution": {"init_qubits": False}}
    (pub,) = again.inputs["pubs"]
    assert np.asarray(pub[1]).ravel().tolist() == [0.25]
    assert pub[2] == 10


def test_the_header_is_gone(simulator, bell):
    with pytest.raises(InvalidInputError, match="no header any more") as caught:
        simulator.run(bell).header()
    assert "metadata" in caught.value.hint


def test_calibration_at_run_time(provider, emulator):
    backend = provider.get_backend("ibmq_belem")
    circuit = QuantumCircuit(5, 1)
    circuit.measure(0, 0)
    job = backend.run(circuit, shots=1)
    job.result()
    emulator.clear_requests()
    properties = job.properties()
    assert properties.last_update_date == backend.properties().last_update_date
    running = job.time_per_step()["RUNNING"].isoformat().replace("+00:00", "Z")
    sent = [one["query"] for one in emulator.requests() if one["path"].endswith("/properties")]
    assert f"updated_before={running}" in [query.replace("%3A", ":") for query in sent]


def test_a_waiting_job_has_no_calibration_yet(stuck):
    assert stuck.properties() is None
    assert list(stuck.time_per_step()) == ["CREATED"]
    assert stuck.logs() == ""


def test_name_and_tags_are_changed_apart(provider, simulator, bell):
    job = simulator.run(bell, job_tags=["a"])
    assert job.name() is None
    assert job.update_name("first") == "first"
    assert job.update_tags(["b", "c"]) == ["b", "c"]
    again = provider.retrieve_job(job.job_id())
    assert (again.name(), again.tags()) == ("first", ["b", "c"])
    assert again.update_name("second") == "second"
    assert again.update_tags(new_tags=[]) == []
    last = provider.retrieve_job(job.job_id())
    assert (last.name(), last.tags()) == ("second", [])
    assert [one.job_id() for one in provider.jobs(name="second")] == [job.job_id()]
    last.update_name(None)
    assert provider.retrieve_job(job.job_id()).name() is None


# --------------------------------------------------------------------------------------------- waiting


def test_queue_info_labels_whose_facts_it_has(stuck, emulator):
    info = stuck.queue_info()
    assert (info.position, info.estimated_start, info.estimated_end) == (None, None, None)
    assert (info.estimated_start_time, info.estimated_complete_time) == (None, None)
    assert info.backend_name == SIMULATOR
    assert info.backend_pending_jobs == 1
    assert info.backend_wait_s == 37.0
    assert stuck.queue_position() is None
    assert stuck.status() is JobStatus.QUEUED


def test_a_queue_position_is_shown_when_a_server_sends_one(gateway, emulator, stuck):
    def placed(method: str, path: str, answer: Any) -> Any:
        status, headers, body = answer
        if "/api/v1/jobs/" not in path:
            return answer
        document = {**json.loads(body), "position_in_queue": 4, "estimated_start_time": "2026-11-22T06:26:40Z"}
        return status, headers, json.dumps(document).encode()

    places = {**emulator.endpoints(), "api": f"{gateway(placed).base}/api/v1"}
    with IBMProvider(emulator.api_key, instance=stuck.instance, endpoints=places) as provider:
        job = provider.retrieve_job(stuck.job_id())
        assert job.queue_position() == 4
        assert job.queue_position(refresh=False) == 4
        assert job.queue_info().estimated_start_time == dt.datetime(2026, 11, 22, 6, 26, 40, tzinfo=dt.UTC)


def test_a_timeout_holds_and_the_job_goes_on(stuck):
    for wait in (stuck.result, stuck.wait_for_final_state):
        started = time.monotonic()
        with pytest.raises(JobTimeoutError, match=f"{stuck.job_id()} has not ended within 0.3 s") as caught:
            wait(timeout=0.3)
        assert 0.3 <= time.monotonic() - started < 8
        assert caught.value.job_id == stuck.job_id()
        assert "It goes on" in caught.value.hint
    assert stuck.status() is JobStatus.QUEUED


def test_a_timeout_holds_while_the_service_is_silent(stuck, emulator):
    emulator.fault("latency", seconds=20, path="/api/v1/jobs/*")
    started = time.monotonic()
    with pytest.raises(JobTimeoutError):
        stuck.result(timeout=0.4)
    assert time.monotonic() - started < 10


def test_the_callback_sees_each_look_and_the_pause_is_as_asked(stuck):
    looks: list[tuple[str, JobStatus, Any]] = []
    times: list[float] = []

    def note(*facts: Any) -> None:
        looks.append(facts)
        times.append(time.monotonic())

    with pytest.raises(JobTimeoutError):
        stuck.wait_for_final_state(0.7, 0.2, note)
    assert {(job_id, status) for job_id, status, _ in looks} == {(stuck.job_id(), JobStatus.QUEUED)}
    assert all(job is stuck for _, _, job in looks)
    assert 2 <= len(looks) <= 5
    assert min(np.diff(times)[:-1]) >= 0.19
    stuck.cancel()
    stuck.wait_for_final_state(callback=note)
    assert stuck.status() is JobStatus.CANCELLED


@pytest.mark.parametrize("word", ["Validating", "Pondering", "DONE-ish"])
def test_an_unknown_status_word_is_kept_and_never_final(simulator, emulator, bell, word):
    emulator.fault("job_status", times=1, status=word)
    job = simulator.run(bell, shots=10)
    with pytest.raises(JobTimeoutError):
        job.result(timeout=0.4)
    assert job.in_final_state() is False
    assert job.state().text == word
    assert job.status() not in (JobStatus.DONE, JobStatus.ERROR, JobStatus.CANCELLED)
    assert word in repr(job.state()) or word in str(job.state())


def test_job_monitor_follows_a_job(simulator, stuck, bell):
    output = io.StringIO()
    job_monitor(simulator.run(bell), output=output)
    assert output.getvalue().rstrip().endswith("Job Status: job has successfully run")
    waiting = io.StringIO()
    job_monitor(stuck, timeout=0.3, output=waiting)
    assert waiting.getvalue().rstrip().endswith("job is queued")


# ------------------------------------------------------------------------------------- ends of other kinds


def test_a_cancelled_job(stuck, emulator):
    assert stuck.cancel() is True
    assert stuck.status() is JobStatus.CANCELLED
    assert stuck.cancelled() is True
    with pytest.raises(JobCancelledError, match=f"Job {stuck.job_id()} was cancelled"):
        stuck.result()
    assert stuck.cancel() is False


def test_a_job_that_ended_cannot_be_cancelled(provider, simulator, bell):
    job = simulator.run(bell)
    other = provider.retrieve_job(job.job_id())
    job.result()
    assert other.cancel() is False
    assert other.status() is JobStatus.DONE


def test_a_failed_job_says_reason_code_and_what_to_do(provider, simulator, emulator, bell):
    emulator.fault("job_fails", times=1, reason="The fridge is warm.", code=9876, solution="Wait for winter.")
    job = simulator.run(bell)
    with pytest.raises(JobFailedError) as caught:
        job.result()
    assert (caught.value.code, caught.value.why, caught.value.hint) == (
        "9876",
        "The fridge is warm.",
        "Wait for winter.",
    )
    assert job.job_id() in str(caught.value)
    assert job.status() is JobStatus.ERROR
    assert job.error_message() == "The fridge is warm (code 9876). Wait for winter."
    assert provider.retrieve_job(job.job_id()).error_message() == job.error_message()


def test_a_failed_job_without_a_reason_has_the_end_of_its_traceback(gateway, simulator, emulator, bell):
    text = (
        'Traceback (most recent call last):\n  first\nTraceback (most recent call last):\n  File "x"\nValueError: no\n'
    )
    emulator.fault("job_fails", times=1, text=text)
    job = simulator.run(bell)

    def silent(method: str, path: str, answer: Any) -> Any:
        status, headers, body = answer
        if path.partition("?")[0].endswith(job.job_id()):
            document = json.loads(body)
            document["state"] = {"status": "Failed", "reasonCode": 77}  # the older spelling
            body = json.dumps(document).encode()
        return status, headers, body

    places = {**emulator.endpoints(), "api": f"{gateway(silent).base}/api/v1"}
    with IBMProvider(emulator.api_key, instance=job.instance, endpoints=places) as provider:
        found = provider.retrieve_job(job.job_id())
        assert found.error_message() == 'Traceback (most recent call last):\n  File "x"\nValueError: no (code 77).'


def test_a_job_that_ran_too_long_has_failed(simulator, emulator, bell):
    emulator.fault("job_too_long", times=1)
    job = simulator.run(bell)
    with pytest.raises(JobFailedError, match="code 1305") as caught:
        job.result()
    assert caught.value.code == "1305"
    assert caught.value.hint
    assert job.status() is JobStatus.ERROR
    assert job.state().text == "Cancelled - Ran too long"


def test_there_are_no_partial_results(simulator, bell):
    with pytest.raises(InvalidInputError, match="no partial results any more"):
        simulator.run(bell).result(partial=True)


def test_a_private_job_is_read_once_and_then_kept_in_the_ledger_alone(provider, simulator, bell):
    job = simulator.run(bell, shots=10, private=True)
    kept = job.result().get_counts()
    assert provider.retrieve_job(job.job_id()).result().get_counts() == kept
    assert qp.job(job.job_id()).circuits() == [bell]


def test_a_private_job_is_read_once_and_then_explains(provider, simulator, bell, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    job = simulator.run(bell, shots=10, private=True)
    other = provider.retrieve_job(job.job_id())
    assert (job.private, other.private) == (True, True)
    assert sum(job.result().get_counts().values()) == 10
    assert sum(job.result().get_counts().values()) == 10  # kept by this handle
    with pytest.raises(ResultError, match="no result of job") as caught:
        other.result()
    assert "private and read before" in caught.value.hint
    assert (other.inputs, other.circuits(), other.backend_options()) == (None, None, None)
    assert job.circuits() == [bell]


def test_delete_is_for_good(provider, simulator, bell, stuck):
    job = simulator.run(bell)
    job.result()
    job.delete()
    with pytest.raises(UnknownJobError, match=job.job_id()):
        provider.retrieve_job(job.job_id())
    with pytest.raises(InvalidInputError, match="cancel it first"):
        stuck.delete()


def test_a_job_cannot_be_submitted_twice(simulator, bell):
    with pytest.raises(InvalidInputError, match="submitted already"):
        simulator.run(bell).submit()


def test_a_job_of_a_retired_backend_still_tells_where_it_ran(gateway, provider, simulator, emulator, bell):
    job = simulator.run(bell, shots=10)
    job.result()

    def retired(method: str, path: str, answer: Any) -> Any:
        status, headers, body = answer
        if path.partition("?")[0] == "/api/v1/backends":
            document = json.loads(body)
            document["devices"] = [one for one in document["devices"] if one["name"] != SIMULATOR]
            body = json.dumps(document).encode()
        return status, headers, body

    places = {**emulator.endpoints(), "api": f"{gateway(retired).base}/api/v1"}
    with IBMProvider(emulator.api_key, instance=job.instance, endpoints=places) as later:
        found = later.retrieve_job(job.job_id())
        backend = found.backend()
        assert (backend.name, backend.provider, backend.instance) == (SIMULATOR, later, job.instance)
        status = backend.status()
        assert (status.operational, status.status_msg) == (False, "retired")
        assert sum(found.result().get_counts().values()) == 10
        assert SIMULATOR in repr(backend)
        for use in (backend.configuration, lambda: backend.run(bell), lambda: backend.target):
            with pytest.raises(UnknownBackendError, match="has been retired") as caught:
                use()
            assert "least_busy" in caught.value.hint


def test_a_job_of_a_batch_says_so(provider, simulator, bell):
    request = SessionRequest(backend=simulator.info.ref, mode="batch")
    session = provider.account.ask("qprovider_open_session", request=request)
    job = simulator.run(bell, shots=5, session_id=session.id)
    assert job.session_id() == session.id
    assert job.scheduling_mode() == "batch"
    assert [one.job_id() for one in provider.jobs(session_id=session.id)] == [job.job_id()]
    provider.account.ask("qprovider_close_session", session_id=session.id, cancel=False)


# ------------------------------------------------------------------------------------------ finding jobs


@pytest.fixture(scope="module")
def crowd() -> Iterator[tuple[IBMProvider, Emulator, list[str]]]:
    """250 waiting jobs of one instance with ten of another one among them; their ids, oldest first."""
    ids: list[str] = []
    with Emulator() as emulator, IBMProvider(emulator.api_key, endpoints=emulator.endpoints()) as provider:
        client = provider.account.connection().client
        emulator.fault("job_stuck")
        for number in range(260):
            instance = "open-main" if number % 26 == 7 else "premium-eu"
            body = {
                "program_id": "sampler",
                "backend": SIMULATOR if number % 2 else "ibmq_belem",
                "params": {"pubs": [["OPENQASM 3.0; bit[1] c;", [], 1]], "version": 2},
                "tags": ["crowd", f"n{number % 10}"],
            }
            ids.append(client.create_job(emulator.instances[instance], body, Deadline.after(10))["id"])
        emulator.clear_faults()
        yield provider, emulator, ids


def ids_of(jobs: Any) -> list[str]:
    return [job.job_id() for job in jobs]


def test_jobs_of_two_instances_are_merged_newest_first(crowd):
    provider, emulator, ids = crowd
    found = provider.jobs(limit=30)
    assert ids_of(found) == ids[:-31:-1]
    assert {job.instance for job in found} == set(emulator.instances.values())
    created = [job.creation_date() for job in found]
    assert created == sorted(created, reverse=True)


def test_250_jobs_come_in_pages_of_200_without_duplicates(crowd):
    provider, emulator, ids = crowd
    emulator.clear_requests()
    found = provider.jobs(limit=None)
    assert ids_of(found) == ids[::-1]
    queries = [one["query"] for one in emulator.requests()]
    assert len(queries) == 4  # two pages, merged of two instances
    assert all("limit=200" in query for query in queries)
    assert len(provider.jobs()) == 10


@pytest.mark.parametrize(("skip", "limit"), [(0, 1), (3, 20), (195, 10), (200, None), (255, 20), (260, 5)])
@pytest.mark.parametrize("descending", [True, False])
def test_skip_limit_and_order(crowd, skip, limit, descending):
    provider, _, ids = crowd
    ordered = ids[::-1] if descending else ids
    expected = ordered[skip:] if limit is None else ordered[skip : skip + limit]
    assert ids_of(provider.jobs(limit=limit, skip=skip, descending=descending)) == expected


def test_jobs_of_one_instance_backend_or_tag(crowd):
    provider, emulator, ids = crowd
    assert ids_of(provider.jobs(limit=None, instance="open-main")) == ids[7::26][::-1]
    assert ids_of(provider.jobs(limit=None, instance=emulator.instances["open-main"])) == ids[7::26][::-1]
    assert ids_of(provider.jobs(limit=None, backend_name=SIMULATOR)) == ids[1::2][::-1]
    assert ids_of(provider.jobs(limit=None, job_tags=["crowd", "n3"])) == ids[3::10][::-1]
    assert provider.jobs(job_tags=["crowd", "nowhere"]) == []


def test_jobs_of_a_time(crowd):
    provider, _, ids = crowd
    jobs = {job.job_id(): job.creation_date() for job in provider.jobs(limit=None)}
    begin, end = jobs[ids[100]], jobs[ids[120]]
    assert ids_of(provider.jobs(limit=None, start_datetime=begin, end_datetime=end)) == ids[100:121][::-1]
    assert ids_of(provider.jobs(limit=None, created_after=begin, created_before=end)) == ids[100:121][::-1]
    elsewhere = dt.timezone(dt.timedelta(hours=-7))
    shifted = provider.jobs(limit=None, created_after=begin.astimezone(elsewhere), created_before=end.isoformat())
    assert ids_of(shifted) == ids[100:121][::-1]
    with pytest.raises(InvalidInputError, match="is after end_datetime"):
        provider.jobs(start_datetime=end, end_datetime=begin)


def test_a_job_that_arrives_between_two_pages_shifts_them_and_none_comes_twice(gateway, crowd):
    provider, emulator, ids = crowd
    crn = emulator.instances["premium-eu"]
    own = [one for place, one in enumerate(ids) if place % 26 != 7]
    client = provider.account.connection().client
    arrived: list[str] = []
    emulator.fault("job_stuck", times=1)

    def late(method: str, path: str, answer: Any) -> Any:
        if path.startswith("/api/v1/jobs?") and not arrived:
            params = {"pubs": [["OPENQASM 3.0; bit[1] c;", [], 1]], "version": 2}
            body = {"program_id": "sampler", "backend": SIMULATOR, "params": params}
            arrived.append(client.create_job(crn, body, Deadline.after(10))["id"])
        return answer

    places = {**emulator.endpoints(), "api": f"{gateway(late, emulator).base}/api/v1"}
    try:
        with IBMProvider(emulator.api_key, instance=crn, endpoints=places) as other:
            assert ids_of(other.jobs(limit=None)) == own[::-1]
    finally:
        for job_id in arrived:
            client.cancel(crn, job_id, Deadline.after(10))
            client.delete(crn, job_id, Deadline.after(10))
    assert len(arrived) == 1


@pytest.fixture
def fates(provider, simulator, emulator, bell, request) -> Iterator[dict[str, str]]:
    """A job of each kind of end, and one that waits: its kind to its id."""
    made: dict[str, Any] = {}
    tag = request.node.name[:80]
    for kind in ("done", "error", "cancelled", "queued"):
        if kind == "error":
            emulator.fault("job_fails", times=1)
        elif kind != "done":
            emulator.fault("job_stuck", times=1)
        made[kind] = simulator.run(bell, shots=1, job_tags=[tag])
        if kind == "cancelled":
            made[kind].cancel()
        elif kind != "queued":
            made[kind].wait_for_final_state(30)
    yield {kind: job.job_id() for kind, job in made.items()} | {"tag": tag}
    made["queued"].cancel()


@pytest.mark.parametrize(
    ("status", "kinds"),
    [
        ("DONE", ["done"]),
        ("done", ["done"]),
        ("COMPLETED", ["done"]),
        ("Failed", ["error"]),
        ("ERROR", ["error"]),
        ("CANCELLED", ["cancelled"]),
        ("QUEUED", ["queued"]),
        ("pending", ["queued"]),
        ("RUNNING", []),
        ("INITIALIZING", []),
        ("VALIDATING", []),
        (JobStatus.DONE, ["done"]),
        (JobStatus.QUEUED, ["queued"]),
        (JobStatus.VALIDATING, []),
        (JobState.ERROR, ["error"]),
        (["DONE", "ERROR"], ["error", "done"]),
        ([JobStatus.CANCELLED, JobStatus.DONE], ["cancelled", "done"]),
        ((JobStatus.QUEUED, "error", JobState.DONE), ["queued", "error", "done"]),
        (None, ["queued", "cancelled", "error", "done"]),
    ],
)
def test_status_words_statuses_and_lists_of_them(provider, fates, status, kinds):
    found = provider.backend.jobs(status=status, job_tags=[fates["tag"]])
    assert ids_of(found) == [fates[kind] for kind in kinds]


def test_pending_or_ended(provider, fates, emulator):
    def kinds(**query: Any) -> list[str]:
        names = {job_id: kind for kind, job_id in fates.items()}
        return [names[job.job_id()] for job in provider.jobs(job_tags=[fates["tag"]], **query)]

    emulator.clear_requests()
    assert kinds(pending=True) == ["queued"]
    assert kinds(pending=False) == ["cancelled", "error", "done"]
    assert kinds(status=["DONE", "CANCELLED"]) == ["cancelled", "done"]
    sent = [one["query"] for one in emulator.requests()]
    assert ["pending=true" in sent[0], "pending=false" in sent[1], "pending=false" in sent[2]] == [True] * 3
    assert kinds(status="DONE", limit=1, skip=1) == []
    assert kinds(status=["DONE", "ERROR"], limit=1, skip=1) == ["done"]
    assert kinds(status=["DONE", "ERROR"], descending=False) == ["done", "error"]


def test_what_cannot_be_asked_for_is_refused_before_anything_is(provider, emulator):
    with pytest.raises(UnknownOptionError, match="no job status 'dun'") as caught:
        provider.jobs(status="dun")
    assert "done" in str(caught.value)
    for wrong in ({"limit": 0}, {"skip": -1}, {"job_tags": "text"}, {"legacy": True}, {"start_datetime": 3}):
        with pytest.raises(InvalidInputError):
            provider.jobs(**wrong)
    assert asked(emulator) == []


def test_a_job_is_found_in_whichever_instance_has_it(emulator, provider, bell):
    job = provider.get_backend(SIMULATOR).run(bell, shots=1)  # in premium-eu, which comes second
    with IBMProvider(emulator.api_key) as everywhere:
        emulator.clear_requests()
        found = everywhere.retrieve_job(job.job_id())
        assert found.instance == job.instance
        assert [one["status"] for one in emulator.requests()] == [404, 200]
        assert everywhere.retrieve_job(job.job_id(), "premium-eu").job_id() == job.job_id()
        with pytest.raises(UnknownJobError, match="in open-main"):
            everywhere.retrieve_job(job.job_id(), instance="open-main")
        with pytest.raises(UnknownJobError, match="no job 'nonsense' in any of open-main, premium-eu") as caught:
            everywhere.retrieve_job("nonsense")
        assert caught.value.code == "1291"


def test_a_job_of_another_process_gives_the_same_result(provider, emulator, simulator):
    job = simulator.run([asymmetric(), asymmetric().copy(name="second")], shots=25)
    with IBMProvider(emulator.api_key, instance="premium-eu") as later:
        result = later.retrieve_job(job.job_id()).result()
    assert result.get_counts() == job.result().get_counts() == [{"010 1": 25}] * 2
    assert result.get_memory(1) == ["010 1"] * 25


def test_one_job_that_cannot_be_read_hides_no_other(gateway, provider, simulator, emulator, bell, caplog):
    jobs = [simulator.run(bell, shots=1, job_tags=["alien"]) for _ in range(3)]

    def alien(method: str, path: str, answer: Any) -> Any:
        status, headers, body = answer
        if path.startswith("/api/v1/jobs?"):
            document = json.loads(body)
            document["jobs"][1] = {"surprise": True}
            body = json.dumps(document).encode()
        return status, headers, body

    places = {**emulator.endpoints(), "api": f"{gateway(alien).base}/api/v1"}
    with (
        IBMProvider(emulator.api_key, instance=jobs[0].instance, endpoints=places) as other,
        caplog.at_level(logging.WARNING),
    ):
        assert ids_of(other.jobs(job_tags=["alien"])) == [jobs[2].job_id(), jobs[0].job_id()]
    assert "one job of the list cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("level", "kept", "sent"),
    [(2, "avg", "classified"), (1, "single", "kerneled"), (1, "avg", "avg_kerneled")],
)
def test_measurement_levels_become_measurement_types(simulator, emulator, bell, level, kept, sent):
    emulator.fault("job_stuck", times=1)
    job = simulator.run(bell, shots=1, meas_level=level, meas_return=kept)
    assert told(job)["params"]["options"]["execution"]["meas_type"] == sent
    job.cancel()


def test_a_noise_model_goes_to_the_simulator(simulator):
    aer = pytest.importorskip("qiskit_aer.noise")
    noise = aer.NoiseModel()
    noise.add_all_qubit_readout_error([[0.0, 1.0], [1.0, 0.0]])  # every outcome is turned round
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    job = simulator.run(circuit, shots=20, noise_model=noise)
    assert told(job)["params"]["options"]["simulator"]["noise_model"]["__type__"] == "NoiseModel"
    assert job.result().get_counts() == {"1": 20}


def test_circuits_are_sent_as_qpy_that_the_service_reads(simulator, bell):
    import base64
    import zlib

    document = told(simulator.run(bell, shots=1))
    packed = document["params"]["pubs"][0][0]
    assert packed["__type__"] == "QuantumCircuit"
    data = zlib.decompress(base64.b64decode(packed["__value__"]))
    assert data[:6] == b"QISKIT"
    assert 13 <= data[6] <= 17

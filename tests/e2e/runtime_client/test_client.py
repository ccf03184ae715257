"""IBM's own client, qiskit-ibm-runtime, drives the emulator. Nothing but loopback is contacted."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager

from qprovider_ibm.emulator import Emulator

# The client announces that its classes will move, and tells what an empty choice of instances means.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:qiskit_ibm_runtime.*"),
]


def sampler(mode, **options):
    from qiskit_ibm_runtime import SamplerV2

    made = SamplerV2(mode=mode)
    made.options.update(**options)
    return made


def open_service(emulator, instance):
    from qiskit_ibm_runtime import QiskitRuntimeService

    return QiskitRuntimeService(
        channel="ibm_quantum_platform",
        token=emulator.api_key,
        url=emulator.runtime_url,
        instance=emulator.instances[instance],
    )


def test_the_service_and_its_instances(service, emulator):
    crns = {instance["name"]: instance["crn"] for instance in service.instances()}
    assert crns == emulator.instances
    plans = {instance["name"]: instance["plan"] for instance in service.instances()}
    assert plans == {"open-main": "open", "premium-eu": "premium"}
    assert service.active_account()["channel"] == "ibm_quantum_platform"


def test_a_wrong_key_and_a_foreign_instance_are_refused(emulator, environment):
    from qiskit_ibm_runtime import QiskitRuntimeService
    from qiskit_ibm_runtime.accounts import InvalidAccountError

    more = {"channel": "ibm_quantum_platform", "url": emulator.runtime_url}
    with pytest.raises(InvalidAccountError, match="valid API token"):
        QiskitRuntimeService(token="wrong", instance=emulator.instances["open-main"], **more)
    foreign = "crn:v1:bluemix:public:quantum-computing:us-east:a/ffff:1111-2222::"
    with pytest.raises(Exception, match="instance"):
        QiskitRuntimeService(token=emulator.api_key, instance=foreign, **more)


def test_backends_and_filters(service):
    names = [backend.name for backend in service.backends()]
    assert names == [
        *("ibmq_belem", "ibm_hanoi", "ibm_sherbrooke", "ibm_torino", "ibm_boston"),
        "ibmq_qasm_simulator",
    ]
    big = service.backends(min_num_qubits=100, simulator=False, operational=True)
    assert [backend.name for backend in big] == ["ibm_sherbrooke", "ibm_torino", "ibm_boston"]
    least = service.least_busy(min_num_qubits=5, simulator=False, operational=True)
    pending = {backend.name: backend.status().pending_jobs for backend in service.backends(simulator=False)}
    assert pending[least.name] == min(pending.values())


@pytest.mark.parametrize(
    ("name", "qubits"), [("ibmq_belem", 5), ("ibm_hanoi", 27), ("ibm_boston", 156), ("ibmq_qasm_simulator", 32)]
)
def test_a_backend_and_its_target(service, name, qubits):
    backend = service.backend(name)
    assert backend.num_qubits == qubits
    assert backend.target.num_qubits == qubits
    assert backend.status().operational is True
    if name == "ibmq_qasm_simulator":
        assert backend.properties() is None
        return
    assert backend.properties().t1(0) > 1e-5
    assert backend.dt in (2.2222222222222221e-10, 4e-9)
    assert "rzz" not in backend.target.operation_names


def test_fractional_gates_on_request(service):
    backend = service.backend("ibm_boston", use_fractional_gates=True)
    assert {"rx", "rzz"} <= set(backend.target.operation_names)


def test_calibrations_of_the_past(service):
    backend = service.backend("ibm_boston")
    newest = backend.properties().last_update_date
    before = backend.properties(datetime=datetime(2026, 4, 16, 23, 0, tzinfo=UTC).replace(tzinfo=None))
    assert timedelta(hours=20) < newest - before.last_update_date < timedelta(days=4)
    assert backend.properties(datetime=datetime(2020, 1, 1)) is None


def test_sampling_a_bell_pair(service, belem, bell):
    job = sampler(belem).run([(bell, None, 1000)])
    result = job.result()
    counts = result[0].data.meas.get_counts()
    assert sum(counts.values()) == 1000
    assert counts.get("00", 0) + counts.get("11", 0) > 800
    assert len(result.metadata["execution"]["execution_spans"]) == 1
    assert job.status() == "DONE"
    assert job.backend().name == "ibmq_belem"
    again = service.job(job.job_id())
    assert again.result()[0].data.meas.get_counts() == counts
    assert again.inputs["pubs"][0][0].num_qubits == 5
    assert again.metrics()["timestamps"]["finished"]
    assert job.creation_date.year >= 2026
    assert "ended as Completed" in job.logs()


def test_sampling_with_parameters_registers_and_conditions(service):
    from qiskit import ClassicalRegister, QuantumRegister
    from qiskit.circuit import Parameter

    backend = service.backend("ibm_boston")
    angle = Parameter("angle")
    circuit = QuantumCircuit(QuantumRegister(2), ClassicalRegister(1, "mid"), ClassicalRegister(1, "end"))
    circuit.rx(angle, 0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    circuit = generate_preset_pass_manager(1, backend=backend).run(circuit)
    result = sampler(backend).run([(circuit, np.array([[0.0], [np.pi]]), 200)]).result()
    data = result[0].data
    assert data.shape == (2,)
    ones = [[data[name][place].bitcount().mean() for place in (0, 1)] for name in ("mid", "end")]
    assert np.allclose(ones, [[0, 1], [0, 1]], atol=0.1)


def test_estimating_a_bell_pair(service):
    from qiskit_ibm_runtime import EstimatorV2

    backend = service.backend("ibm_boston")
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit = generate_preset_pass_manager(1, backend=backend, seed_transpiler=1).run(circuit)
    operators = [SparsePauliOp("ZZ"), SparsePauliOp(["XX", "YY", "IZ"], [1.0, -1.0, 0.5])]
    observables = [operator.apply_layout(circuit.layout) for operator in operators]
    estimator = EstimatorV2(mode=backend)
    estimator.options.resilience_level = 1
    estimator.options.dynamical_decoupling.enable = True
    estimator.options.twirling.enable_gates = True
    result = estimator.run([(circuit, observables)], precision=0.02).result()
    assert result[0].data.evs == pytest.approx([1.0, 2.0], abs=0.15)
    assert result[0].data.stds.shape == (2,)
    assert result[0].metadata["shots"] == 2500
    assert result.metadata["dynamical_decoupling"]["enable"] is True


def test_options_of_the_sampler_are_accepted(belem, bell):
    options = {
        "default_shots": 50,
        "dynamical_decoupling": {"enable": True, "sequence_type": "XpXm"},
        "twirling": {"enable_gates": True, "enable_measure": True, "num_randomizations": 4},
        "execution": {"init_qubits": True, "rep_delay": 0.00025},
        "max_execution_time": 300,
        "environment": {"job_tags": ["options"], "log_level": "INFO"},
    }
    job = sampler(belem, **options).run([bell])
    result = job.result()
    assert result[0].data.meas.num_shots == 50
    assert result[0].metadata["num_randomizations"] == 4
    assert job.tags == ["options"]


def test_jobs_are_listed(service, belem, bell):
    tag = "to-be-listed"
    jobs = [sampler(belem, environment={"job_tags": [tag, str(place)]}).run([bell], shots=5) for place in range(3)]
    for job in jobs:
        job.wait_for_final_state()
    ids = [job.job_id() for job in jobs]
    assert [job.job_id() for job in service.jobs(job_tags=[tag])] == ids[::-1]
    assert [job.job_id() for job in service.jobs(job_tags=[tag], limit=1, skip=1)] == [ids[1]]
    assert [job.job_id() for job in service.jobs(job_tags=[tag, "2"], pending=False)] == [ids[2]]
    assert service.jobs(job_tags=[tag], pending=True) == []
    assert service.jobs(job_tags=[tag], backend_name="ibm_hanoi") == []
    assert len(service.jobs(job_tags=[tag], created_after=datetime.now() - timedelta(hours=1))) == 3
    assert service.jobs(job_tags=[tag], created_before=datetime.now() - timedelta(hours=1)) == []
    jobs[0].update_tags(["other"])
    assert service.job(ids[0]).tags == ["other"]
    service.delete_job(ids[0])
    from qiskit_ibm_runtime.exceptions import RuntimeJobNotFound

    with pytest.raises(RuntimeJobNotFound):
        service.job(ids[0])


def test_a_queued_job_is_cancelled(emulator, belem, bell):
    from qiskit_ibm_runtime.exceptions import RuntimeInvalidStateError

    emulator.fault("job_stuck", times=1)
    job = sampler(belem).run([bell])
    assert job.status() == "QUEUED"
    job.cancel()
    assert job.status() == "CANCELLED"
    with pytest.raises(RuntimeInvalidStateError):
        job.cancel()


def test_usage(service, belem, bell):
    job = sampler(belem).run([bell], shots=10)
    job.result()
    end = time.monotonic() + 5
    while job.metrics()["usage"]["status"] != "complete":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert job.usage() > 0
    assert job.usage_estimation["quantum_seconds"] > 0
    usage = service.usage()
    assert usage["usage_remaining_seconds"] == pytest.approx(600 - usage["usage_consumed_seconds"])


def test_failures_are_explained(emulator, belem, bell):
    from qiskit_ibm_runtime import RuntimeJobFailureError, RuntimeJobMaxTimeoutError

    emulator.fault("job_fails", times=1, reason="The fridge was open.", code=4711)
    job = sampler(belem).run([bell])
    with pytest.raises(RuntimeJobFailureError, match="The fridge was open"):
        job.result()
    assert job.status() == "ERROR"
    assert "4711" in job.error_message()
    emulator.fault("job_too_long", times=1)
    with pytest.raises(RuntimeJobMaxTimeoutError):
        sampler(belem).run([bell]).result()


def test_a_circuit_that_the_client_lets_pass_fails_on_the_service(emulator, belem, bell):
    from qiskit_ibm_runtime import RuntimeJobFailureError

    qubit = bell.layout.final_index_layout()[0]
    emulator.fault("faulty_qubit", backend="ibmq_belem", qubit=qubit)
    with pytest.raises(RuntimeJobFailureError, match=f"faulty qubit {qubit}"):
        sampler(belem).run([bell]).result()


def test_a_private_job_tells_no_inputs_and_its_result_once(service, belem, bell):
    job = sampler(belem, environment={"private": True}).run([bell], shots=10)
    assert job.result()[0].data.meas.num_shots == 10
    again = service.job(job.job_id())
    assert again.private is True
    assert not again.inputs
    assert again.result() is None  # 204, and the client makes that None


def test_a_dry_run_has_random_outcomes(belem, bell):
    """Of a Bell pair, which otherwise knows hardly any odd outcomes."""
    counts = sampler(belem).run([bell], shots=2000, dry_run=True).result()[0].data.meas.get_counts()
    assert len(counts) == 4
    assert min(counts.values()) > 400


def test_server_errors_are_survived(emulator, belem, bell):
    emulator.fault("status", status=503, path="/api/v1/jobs*", times=2)
    assert sampler(belem).run([bell], shots=10).result()[0].data.meas.num_shots == 10


def test_bodies_that_cannot_be_read(emulator, service, belem, bell):
    """The client hands on what it cannot decode as the text that it is."""
    job = sampler(belem).run([bell], shots=10)
    whole = job.result()
    path = f"/api/v1/jobs/{job.job_id()}/results"
    emulator.fault("html_body", path=path, times=1)
    assert "<html>" in service.job(job.job_id()).result()
    emulator.fault("cut_body", path=path, how="short", times=1)
    assert isinstance(service.job(job.job_id()).result(), str)
    emulator.fault("cut_body", path=path, times=1)
    with pytest.raises(Exception, match="IncompleteRead"):
        service.job(job.job_id()).result()
    assert service.job(job.job_id()).result()[0].data.meas == whole[0].data.meas


def test_too_many_jobs_in_a_minute(environment, bell):
    from qiskit_ibm_runtime.exceptions import IBMRuntimeError

    with Emulator(rate_limit=2, backends=1) as strict, pytest.MonkeyPatch.context() as patch:
        for name, value in strict.runtime_environment().items():
            patch.setenv(name, value)
        backend = open_service(strict, "open-main").backend("ibmq_belem")
        jobs = [sampler(backend).run([bell], shots=5) for _ in range(2)]
        with pytest.raises(IBMRuntimeError, match="limit is 2 per minute"):
            sampler(backend).run([bell], shots=5)
        assert all(job.result() for job in jobs)


def test_a_usage_limit_that_is_reached(environment, bell):
    from qiskit_ibm_runtime.exceptions import IBMRuntimeError

    with Emulator(usage_limit_s=1, backends=1) as poor, pytest.MonkeyPatch.context() as patch:
        for name, value in poor.runtime_environment().items():
            patch.setenv(name, value)
        service = open_service(poor, "premium-eu")
        backend = service.backend("ibmq_belem")
        sampler(backend).run([bell], shots=5).result()
        usage = service.usage()
        assert usage["usage_limit_reached"] is True
        assert usage["usage_remaining_seconds"] == 0
        with pytest.raises(IBMRuntimeError, match="usage limit"):
            sampler(backend).run([bell], shots=5)


def test_many_instances_and_one_whose_plan_is_archived(environment):
    """The search is paged, one item a page."""
    with Emulator(page_size=1, archived_plan=True, duplicate_name=True, backends=1) as wide:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in wide.runtime_environment().items():
                patch.setenv(name, value)
            service = open_service(wide, "archived")
            plans = {instance["name"]: instance["plan"] for instance in service.instances()}
            assert plans["archived"] == "unknown"
            assert len(service.instances()) == 5
        searches = [entry for entry in wide.requests() if entry["path"] == "/v3/resources/search"]
        assert len(searches) >= 6

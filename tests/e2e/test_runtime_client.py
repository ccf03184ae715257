"""IBM's own client, qiskit-ibm-runtime, drives the emulator. Nothing but loopback is contacted."""

from __future__ import annotations

import ipaddress
import socket
import time
import warnings
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


@pytest.fixture(scope="module", autouse=True)
def _loopback_only():
    """Refuse every connection that leaves this machine, and every look-up of a name."""
    patch = pytest.MonkeyPatch()
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def is_loopback(host):
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def guarded_connect(self, address):
        assert self.family == socket.AF_UNIX or is_loopback(address[0]), f"a connection to {address}"
        return connect(self, address)

    def guarded_resolve(host, *args, **more):
        assert is_loopback(host), f"a look-up of {host}"
        return resolve(host, *args, **more)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket, "getaddrinfo", guarded_resolve)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def emulator():
    with Emulator(seed=7) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults(emulator):
    emulator.clear_faults()
    emulator.clear_requests()


@pytest.fixture(scope="module")
def environment(emulator, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("QISKIT_IBM_TOKEN", "QISKIT_IBM_INSTANCE", "QISKIT_IBM_URL", "QISKIT_IBM_CHANNEL"):
        patch.delenv(name, raising=False)
    for name, value in emulator.runtime_environment().items():
        patch.setenv(name, value)
    yield
    patch.undo()


def open_service(emulator, instance):
    from qiskit_ibm_runtime import QiskitRuntimeService

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return QiskitRuntimeService(
            channel="ibm_quantum_platform",
            token=emulator.api_key,
            url=emulator.runtime_url,
            instance=emulator.instances[instance],
        )


@pytest.fixture(scope="module")
def service(emulator, environment):
    return open_service(emulator, "open-main")


@pytest.fixture(scope="module")
def premium(emulator, environment):
    return open_service(emulator, "premium-eu")


@pytest.fixture(scope="module")
def belem(service):
    return service.backend("ibmq_belem")


@pytest.fixture(scope="module")
def bell(belem):
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return generate_preset_pass_manager(1, backend=belem, seed_transpiler=1).run(circuit)


def sampler(mode, **options):
    from qiskit_ibm_runtime import SamplerV2

    made = SamplerV2(mode=mode)
    made.options.update(**options)
    return made


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


def test_a_private_job(service, belem, bell):
    job = sampler(belem, environment={"private": True}).run([bell], shots=10)
    assert job.result()[0].data.meas.num_shots == 10
    assert service.job(job.job_id()).private is True


def test_a_batch_on_the_open_plan_and_a_session_on_the_premium_plan(emulator, service, premium, bell):
    from qiskit_ibm_runtime import Batch, Session

    for kind, account in ((Batch, service), (Session, premium)):
        backend = account.backend("ibmq_belem")
        with kind(backend=backend) as session:
            jobs = [sampler(session).run([bell], shots=20) for _ in range(2)]
            for job in jobs:
                assert job.result()[0].data.meas.num_shots == 20
                assert job.session_id == session.session_id
        details = session.details()
        assert details["mode"] == ("batch" if kind is Batch else "dedicated")
        assert details["state"] == "closed"
        assert details["accepting_jobs"] is False
        assert session.usage() > 0
        assert len(account.jobs(session_id=session.session_id)) == 2


def test_a_session_on_the_open_plan_is_refused(service, belem):
    from qiskit_ibm_runtime import Session

    with pytest.raises(Exception, match="open plan"):
        Session(backend=belem)


def test_server_errors_are_survived(emulator, belem, bell):
    emulator.fault("status", status=503, path="/api/v1/jobs*", times=2)
    assert sampler(belem).run([bell], shots=10).result()[0].data.meas.num_shots == 10

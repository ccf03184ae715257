"""Sampler and estimator as Qiskit's primitives; what they would send, and what they give back."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.library import CXGate, Measure, RXGate, RZZGate, SXGate
from qiskit.primitives import (
    BaseEstimatorV2,
    BasePrimitiveJob,
    BaseSamplerV2,
    BitArray,
    DataBin,
    PrimitiveResult,
    PubResult,
    SamplerPubResult,
)
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import CouplingMap, InstructionProperties, Target

import qprovider_ibm
from qprovider_core._backend_sessions import CurrentSessions, InSessions
from qprovider_core.errors import CircuitError, InvalidInputError, ResultError, UnknownOptionError
from qprovider_core.records import BackendConfiguration, BackendInfo, JobInfo, JobState
from qprovider_ibm._circuit_checks import check_pubs
from qprovider_ibm._codec import encode
from qprovider_ibm._job import IBMJob
from qprovider_ibm._options import EstimatorOptions, SamplerOptions
from qprovider_ibm._params import DefaultShotsPub, encoder_for
from qprovider_ibm._primitive_job import IBMPrimitiveJob
from qprovider_ibm._primitives import IBMEstimator, IBMSampler
from qprovider_ibm._results import parse_result

LINE = CouplingMap.from_line(3)


def target():
    made = Target(num_qubits=3)
    for gate in (SXGate(), RXGate(Parameter("t")), Measure()):
        made.add_instruction(gate, {(qubit,): InstructionProperties() for qubit in range(3)})
    for gate in (CXGate(), RZZGate(Parameter("t"))):
        made.add_instruction(gate, {pair: InstructionProperties() for pair in LINE.get_edges()})
    return made


class Account:
    """Stands for the account: it answers with what the test put there."""

    def __init__(self):
        self.spec = qprovider_ibm.qprovider_provider()
        self.provider, self.name = "ibm", "default"
        self.answer = None

    def takes(self, hook, argument):
        return False

    def supports(self, hook):
        return False

    def ask(self, hook, **arguments):
        assert hook == "qprovider_job_result"
        return parse_result(json.dumps(encode(self.answer)).encode())


class Device(InSessions):
    """Stands for the backend: it keeps what would be sent."""

    _properties_known = False

    full_name = "ibm:ibm_three"
    name = "ibm_three"
    num_qubits = 3
    max_shots = 100_000
    max_circuits = None
    backend_version = "1"

    def __init__(self):
        self.info = BackendInfo(name="ibm_three", instance="crn:x")
        self.target = target()
        self._account = Account()
        self.sent = []
        self._sessions = CurrentSessions()

    def configuration(self):
        return BackendConfiguration(
            backend_name="ibm_three",
            coupling_map=tuple(LINE.get_edges()),
            rep_delay_range=(0.0, 0.001),
            dynamic_reprate_enabled=True,
        )

    def faulty_qubits(self):
        return []

    def _submit(self, request):
        check_pubs(request.pubs, request.options)
        self.sent.append(request)
        info = JobInfo(id="j1", state=JobState.DONE, backend="ibm_three", kind=request.kind)
        return SimpleNamespace(_account=self._account, info=info)


@pytest.fixture
def device():
    return Device()


def isa(parameters=0, measured=True):
    made = QuantumCircuit(3)
    for index in range(parameters):
        made.rx(Parameter(f"p{index}"), 0)
    made.sx(0)
    made.cx(0, 1)
    if measured:
        made.measure_all()
    return made


def params(device):
    request = device.sent[-1]
    return encoder_for(request.kind).encode(request)


# ------------------------------------------------------------------------------------------------------- sampler


def test_they_are_qiskits_primitives_and_give_its_jobs(device):
    sampler, estimator = IBMSampler(device), IBMEstimator(device)
    assert isinstance(sampler, BaseSamplerV2)
    assert isinstance(estimator, BaseEstimatorV2)
    assert sampler.backend() is device
    assert "ibm:ibm_three" in repr(sampler)
    job = sampler.run([isa()])
    assert isinstance(job, IBMPrimitiveJob)
    assert isinstance(job, IBMJob)
    assert isinstance(job, BasePrimitiveJob)
    assert job.job_id() == "j1"
    assert job.done()
    assert job.in_final_state()
    assert not job.running()
    assert not job.cancelled()


def test_a_sampler_sends_pubs_with_their_arrays(device):
    circuit = isa(2)
    values = np.linspace(0, 1, 12).reshape(3, 2, 2)
    IBMSampler(device).run([isa(), (circuit, values), (circuit, {"p1": [1, 2], "p0": [3, 4]}, 7)], shots=5)
    first, second, third = device.sent[0].pubs
    assert (first.shots, first.shape, first.parameter_values) == (5, (), ())
    assert (second.shots, second.shape) == (5, (3, 2))
    assert second.parameter_values == tuple(values.ravel())
    assert (third.shots, third.shape) == (7, (2,))
    assert third.parameter_values == (3.0, 1.0, 4.0, 2.0)  # in the order of the circuit's parameters
    assert device.sent[0].kind == "sample"
    assert device.sent[0].key.startswith("primitive-")


def test_shots_that_nobody_gives_are_the_servers(device):
    sampler = IBMSampler(device)
    sampler.run([isa()])
    assert isinstance(device.sent[-1].pubs[0], DefaultShotsPub)
    assert device.sent[-1].pubs[0].shots == 4096
    assert params(device)["pubs"][0][2] is None
    assert params(device)["options"] == {}
    sampler.options.default_shots = 100
    sampler.run([isa()])
    assert device.sent[-1].pubs[0].shots == 100
    assert params(device)["options"] == {"default_shots": 100}
    sampler.options.twirling = {"enable_gates": True, "num_randomizations": 4, "shots_per_randomization": 8}
    sampler.run([isa()])
    assert device.sent[-1].pubs[0].shots == 32
    sampler.run([isa()], shots=9)
    assert params(device)["pubs"][0][2] == 9


def test_options_and_job_fields_travel_with_the_request(device):
    sampler = IBMSampler(
        device,
        {"dynamical_decoupling": {"enable": True}, "environment": {"job_tags": ["x"]}, "max_execution_time": 60},
        job_tags=["a", "b"],
        session_id="s1",
        name="mine",
        private=True,
        log_level="info",
        execution={"rep_delay": 0.0005},
    )
    sampler.run([isa()])
    request = device.sent[-1]
    assert request.tags == ("a", "b")
    assert (request.session_id, sampler.session_id, request.name) == ("s1", "s1", "mine")
    assert request.options == {
        "dynamical_decoupling": {"enable": True},
        "max_execution_time": 60,
        "execution": {"rep_delay": 0.0005},
        "private": True,
        "log_level": "INFO",
    }
    assert sampler.options.environment.job_tags == ["a", "b"]


def test_options_are_copied_and_checked_at_once(device):
    options = SamplerOptions(default_shots=5)
    sampler = IBMSampler(device, options)
    sampler.options.default_shots = 6
    assert options.default_shots == 5
    with pytest.raises(UnknownOptionError):
        IBMSampler(device, resilience_level=1)
    with pytest.raises(UnknownOptionError):
        IBMSampler(device, EstimatorOptions(resilience_level=1))
    with pytest.raises(InvalidInputError, match="options is a mapping"):
        IBMSampler(device, 5)
    sampler.options.execution.rep_delay = 1
    with pytest.raises(InvalidInputError, match=r"from 0 to 0\.001 on ibm_three"):
        sampler.run([isa()])
    with pytest.raises(InvalidInputError, match="at most 7 tags"):
        IBMSampler(device, job_tags=list("abcdefghi")).run([isa()])
    with pytest.raises(InvalidInputError, match="at most 86 characters"):
        IBMSampler(device, job_tags=["a" * 87]).run([isa()])
    assert device.sent == []


def unmeasured():
    return isa(measured=False)


def wide():
    made = QuantumCircuit(4)
    made.measure_all()
    return made


def foreign():
    made = QuantumCircuit(3)
    made.h(0)
    made.measure_all()
    return made


def distant():
    made = QuantumCircuit(3)
    made.cx(0, 2)
    made.measure_all()
    return made


class Schedule:
    """A thing of a retired Qiskit."""


@pytest.mark.parametrize(
    ("pubs", "match"),
    [
        (isa(), r"takes a list of pubs"),
        (5, r"takes a list of pubs"),
        ([], "empty"),
        ([isa(), unmeasured()], "measures nothing"),
        ([isa(), wide()], "has 4 qubits"),
        ([isa(), foreign()], "instruction 'h'"),
        ([isa(), distant()], "no cx on qubits 0, 2"),
        ([isa(), (isa(2), [0.1])], "Pub 1 cannot be run"),
        ([isa(), isa(2)], "Pub 1 cannot be run"),
        ([isa(), (isa(1), np.zeros((0, 1)))], "no set of parameter values"),
        ([isa(), (isa(1), [math.nan])], "not finite"),
        ([isa(), (isa(), None, 0)], "Pub 1 cannot be run"),
        ([isa(), (isa(), None, 100_001)], "at most 100000 shots"),
        ([isa(), 3], "Pub 1 cannot be run"),
        ([isa(), Schedule()], "schedules of pulses"),
    ],
)
def test_pubs_that_cannot_be_sampled_are_refused_before_anything_is_sent(device, pubs, match):
    with pytest.raises(InvalidInputError, match=match) as info:
        IBMSampler(device).run(pubs)
    assert device.sent == []
    if isinstance(info.value, CircuitError) and isinstance(pubs, list) and pubs:
        assert info.value.index == 1


def test_shots_that_are_none_are_refused(device):
    for shots in (0, 2.5, "many", True):
        with pytest.raises(InvalidInputError, match="shots must be"):
            IBMSampler(device).run([isa()], shots=shots)


# ----------------------------------------------------------------------------------------------------- estimator


def test_an_estimator_sends_observables_and_values_with_their_shapes(device):
    circuit = isa(1, measured=False)
    IBMEstimator(device, resilience_level=2, default_precision=0.1).run(
        [
            (circuit, SparsePauliOp(["IIZ", "XXI"], [1, 0.5]), [0.1]),
            (circuit, [["IIZ"], ["IXI"]], [[0.1], [0.2], [0.3]], 0.02),
        ],
        precision=0.05,
    )
    first, second = device.sent[0].pubs
    assert first.observables == ({"IIZ": 1.0, "XXI": 0.5},)
    assert (first.observables_shape, first.shape, first.precision) == ((), (), 0.05)
    assert (second.observables_shape, second.shape, second.precision) == ((2, 1), (3,), 0.02)
    got = params(device)
    assert got["pubs"][1][1] == [[{"IIZ": 1.0}], [{"IXI": 1.0}]]
    assert got["resilience_level"] == 2
    assert got["options"] == {"default_precision": 0.1}
    IBMEstimator(device).run([(circuit, "ZII", [0.1])])
    assert params(device)["pubs"][0][3] is None


def test_observables_follow_the_layout_of_the_circuit(device):
    circuit = QuantumCircuit(2)
    circuit.sx(0)
    placed = transpile(circuit, target=device.target, initial_layout=[2, 0], optimization_level=0)
    estimator = IBMEstimator(device)
    with pytest.raises(CircuitError, match="Pub 0 cannot be run") as info:
        estimator.run([(placed, SparsePauliOp("IZ"))])
    assert "apply_layout" in info.value.hint
    estimator.run([(placed, SparsePauliOp("IZ").apply_layout(placed.layout))])
    assert device.sent[-1].pubs[0].observables == ({"ZII": 1.0},)


@pytest.mark.parametrize(
    ("pub", "match"),
    [
        ((isa(), "ZII"), "an estimator measures its observables itself"),
        ((wide().remove_final_measurements(inplace=False), "ZIII"), "has 4 qubits"),
        ((foreign().remove_final_measurements(inplace=False), "ZII"), "instruction 'h'"),
        ((unmeasured(), "Z0I"), "of the letters I, X, Y, Z"),
        ((unmeasured(), []), "no observable"),
        ((unmeasured(), "ZII", None, 0.0), "precision of pub 0"),
        ((unmeasured(), "ZII", None, -1), "cannot be run"),
        ((isa(1, measured=False), ["ZII", "IZI"], [[0.1], [0.2], [0.3]]), "cannot be run"),
        ((isa(1, measured=False), "ZII"), "cannot be run"),
    ],
)
def test_pubs_that_cannot_be_estimated_are_refused_before_anything_is_sent(device, pub, match):
    with pytest.raises(InvalidInputError, match=match):
        IBMEstimator(device).run([pub])
    assert device.sent == []


def test_angles_and_control_flow_are_looked_at_too(device):
    circuit = QuantumCircuit(3)
    circuit.rzz(Parameter("t"), 0, 1)
    with pytest.raises(CircuitError, match="devices take angles from 0 to pi/2"):
        IBMEstimator(device).run([(circuit, "ZII", [[0.1], [3.0]])])
    for precision in (0, -1, math.inf, "x", True):
        with pytest.raises(InvalidInputError, match="precision is a standard error above 0"):
            IBMEstimator(device).run([(unmeasured(), "ZII")], precision=precision)


# ------------------------------------------------------------------------------------------------------- results


def test_the_result_of_a_sampler_has_its_registers_and_shape(device):
    job = IBMSampler(device).run([(isa(1), [[0.1], [0.2]], 50)])
    bits = BitArray.from_bool_array(np.random.default_rng(1).integers(0, 2, (2, 50, 3)).astype(bool))
    device._account.answer = PrimitiveResult([SamplerPubResult(DataBin(meas=bits, shape=(2,)), {"k": 1})], {"v": 2})
    result = job.result(timeout=1)
    assert type(result) is PrimitiveResult
    assert result[0].data.meas == bits
    assert result[0].metadata == {"k": 1}
    assert result.metadata == {"v": 2}
    assert job.result() is result
    assert job.primitive_result() is result


def test_the_result_of_an_estimator_has_the_broadcast_shape(device):
    job = IBMEstimator(device).run([(isa(1, measured=False), [["ZII"], ["IZI"]], [[0.1], [0.2], [0.3]])])
    evs = np.arange(6.0).reshape(2, 3)
    device._account.answer = PrimitiveResult([PubResult(DataBin(evs=evs, stds=evs, shape=(2, 3)))], {})
    assert np.array_equal(job.result()[0].data.evs, evs)


@pytest.mark.parametrize(("shape", "number"), [((3,), 1), ((), 1), ((2,), 2), ((2,), 0)])
def test_a_result_that_does_not_fit_what_was_sent_is_refused(device, shape, number):
    job = IBMSampler(device).run([(isa(1), [[0.1], [0.2]], 50)])
    bits = BitArray(np.zeros((*shape, 50, 1), dtype=np.uint8), 3)
    device._account.answer = PrimitiveResult([SamplerPubResult(DataBin(meas=bits, shape=shape))] * number, {})
    with pytest.raises(ResultError, match="does not fit"):
        job.result()

"""The program `executor` on the emulator: IBM's own client writes what it reads, and reads what it writes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager

pytest.importorskip("samplomatic")

# The client announces that its classes will move, and tells what an empty choice of instances means.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:qiskit_ibm_runtime.*"),
]


@pytest.fixture(scope="module")
def device(premium):
    return premium.backend("ibmq_belem")


@pytest.fixture(scope="module")
def fitted(device):
    return generate_preset_pass_manager(1, backend=device, seed_transpiler=1)


@pytest.fixture(scope="module")
def turned(fitted):
    """Two registers: `first` reads 1 with probability sin(angle / 2) squared, `second` has three bits, 0, 1 and 0."""
    circuit = QuantumCircuit(QuantumRegister(2), ClassicalRegister(1, "first"), ClassicalRegister(3, "second"))
    circuit.rx(Parameter("angle"), 0)
    circuit.x(1)
    circuit.measure(0, 0)
    circuit.measure(1, 2)
    return fitted.run(circuit)


def program(shots, *items, **more):
    from qiskit_ibm_runtime.quantum_program import QuantumProgram

    made = QuantumProgram(shots=shots, **more)
    for circuit, values in items:
        made.append_circuit_item(circuit, circuit_arguments=values)
    return made


def execute(mode, made, **options):
    from qiskit_ibm_runtime.executor import Executor

    return Executor(mode=mode, options=options).run(made)


def test_registers_shapes_and_bits(device, turned):
    angles = np.array([[0.0, np.pi / 2, np.pi], [np.pi, np.pi / 2, 0.0]])[..., np.newaxis]
    data = {"mine": [1, {"array": np.arange(3.0)}], "none": None}
    made = program(1001, (turned, angles), (turned, np.array([np.pi])), passthrough_data=data)
    job = execute(device, made)
    result = job.result()
    first, second = result[0]["first"], result[0]["second"]
    assert (first.dtype, first.shape, second.shape) == (np.bool_, (2, 3, 1001, 1), (2, 3, 1001, 3))
    expected = np.sin(angles[..., 0] / 2) ** 2
    assert np.allclose(first[..., 0].mean(axis=-1), expected, atol=0.2)
    assert np.allclose(second.mean(axis=(0, 1, 2)), [0, 1, 0], atol=0.2)
    assert not second[..., [0, 2]].any()  # nothing is ever written there
    assert result[1]["first"].shape == (1001, 1)
    assert result.passthrough_data["mine"][1]["array"].tolist() == [0, 1, 2]
    spans = result.metadata.chunk_timing
    assert [(part.idx_item, part.size) for span in spans for part in span.parts] == [(0, 6), (1, 1)]
    assert all(span.start <= span.stop for span in spans)
    assert job.status() == "DONE"


def test_a_seeded_service_repeats_itself_only_for_the_same_job(device, turned):
    made = program(200, (turned, np.array([np.pi / 2])))
    one, other = (execute(device, made).result()[0]["first"] for _ in range(2))
    assert not np.array_equal(one, other)


def test_chunks_of_the_size_asked_for_inside_a_session(device, turned):
    from qiskit_ibm_runtime import Session
    from qiskit_ibm_runtime.quantum_program import QuantumProgram

    made = QuantumProgram(shots=10)
    made.append_circuit_item(turned, circuit_arguments=np.zeros((5, 1)), chunk_size=2)
    with Session(backend=device) as session:
        spans = execute(session, made).result().metadata.chunk_timing
    assert [part.size for span in spans for part in span.parts] == [2, 2, 1]
    assert all(before.stop == after.start for before, after in pairwise(spans))
    assert len(execute(device, made).result().metadata.chunk_timing) == 1


def test_kerneled_measurements_lie_around_their_points(device, turned):
    made = program(500, (turned, np.array([np.pi])), meas_level="kerneled")
    points = execute(device, made).result()[0]["first"]
    assert (points.dtype, points.shape) == (np.complex128, (500, 1))
    assert points.real.mean() == pytest.approx(-1, abs=0.25)
    averaged = execute(device, program(500, (turned, np.array([np.pi])), meas_level="avg_kerneled")).result()
    assert averaged[0]["first"].shape == (1,)


def test_a_samplex_draws_along_the_axes_that_its_arguments_leave_free(device, fitted):
    """Measurements are twirled: bits are flipped, and the flips are told, so that both together are what was there."""
    from qiskit_ibm_runtime.quantum_program import QuantumProgram
    from samplomatic import build
    from samplomatic.transpiler import generate_boxing_pass_manager

    angle = Parameter("angle")
    circuit = QuantumCircuit(2)
    circuit.rx(angle, 0)
    circuit.cx(0, 1)
    circuit.measure_all()
    boxed = generate_boxing_pass_manager(enable_gates=True, enable_measures=True).run(fitted.run(circuit))
    template, samplex = build(boxed)
    made = QuantumProgram(shots=50)
    arguments = {"parameter_values": np.array([[0.0], [np.pi]])}
    made.append_samplex_item(template, samplex, samplex_arguments=arguments, shape=(40, 2))
    item = execute(device, made).result()[0]
    flips = item["measurement_flips.meas"]
    assert item["meas"].shape == (40, 2, 50, 2)
    assert flips.shape[:2] == (40, 2)
    assert 0.3 < flips.mean() < 0.7
    assert np.unique(flips.reshape(80, -1), axis=0).shape[0] > 1
    read = (item["meas"] ^ flips).mean(axis=(0, 2))
    assert np.allclose(read, [[0, 0], [1, 1]], atol=0.2)


def test_the_sampler_over_the_executor(device, fitted):
    from qiskit_ibm_runtime.executor_sampler import Sampler

    circuit = QuantumCircuit(2)
    circuit.rx(Parameter("angle"), 0)
    circuit.cx(0, 1)
    circuit.measure_all()
    circuit.metadata = {"name": "mine"}
    pub = (fitted.run(circuit), np.array([[0.0], [np.pi / 2], [np.pi]]))
    for twirled in (False, True):
        sampler = Sampler(mode=device)
        sampler.options.twirling.enable_gates = sampler.options.twirling.enable_measure = twirled
        job = sampler.run([pub], shots=2000)
        assert type(job.inputs["quantum_program"].items[0]).__name__ == ("SamplexItem" if twirled else "CircuitItem")
        data = job.result()[0].data.meas
        assert data.shape == (3,)
        shares = [
            [data[place].get_counts().get(bits, 0) / data.num_shots for bits in ("00", "11")] for place in range(3)
        ]
        assert np.allclose(shares, [[1, 0], [0.5, 0.5], [0, 1]], atol=0.2), twirled


def test_dynamical_decoupling_over_the_executor(device, bell):
    from qiskit_ibm_runtime.executor_sampler import Sampler

    sampler = Sampler(mode=device)
    sampler.options.dynamical_decoupling.enable = True
    counts = sampler.run([bell], shots=500).result()[0].data.meas.get_counts()
    assert counts.get("00", 0) + counts.get("11", 0) > 400


@pytest.mark.parametrize("level", [0, 1])
def test_the_estimator_over_the_executor(device, fitted, level):
    """Without mitigation readout errors shrink what is measured; with it they do not."""
    from qiskit_ibm_runtime.executor_estimator import Estimator

    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit = fitted.run(circuit)
    observables = [SparsePauliOp(letters).apply_layout(circuit.layout) for letters in ("ZZ", "XX", "YY", "IZ")]
    estimator = Estimator(mode=device)
    estimator.options.resilience_level = level
    job = estimator.run([(circuit, observables)], precision=0.03)
    data = job.result()[0].data
    assert data.evs == pytest.approx([1, 1, -1, 0], abs=0.2 if level else 0.35)
    assert data.stds.shape == (4,)


def test_the_noise_learner_over_the_executor(device, fitted):
    pytest.importorskip("qiskit_noise_learning")
    from qiskit_ibm_runtime.executor_noise_learner import NoiseLearnerV3
    from samplomatic.transpiler import generate_boxing_pass_manager
    from samplomatic.utils import find_unique_box_instructions

    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    boxing = generate_boxing_pass_manager(inject_noise_targets="gates", enable_measures=True)
    boxes = find_unique_box_instructions(boxing.run(fitted.run(circuit)).data, normalize_annotations=None)
    learner = NoiseLearnerV3(mode=device)
    learner.options.num_randomizations = 4
    learner.options.shots_per_randomization = 32
    result = learner.run(boxes).result()
    assert len(result) == len(boxes)


def test_what_does_not_fit_the_device_fails_the_job(device, turned, emulator):
    from qiskit_ibm_runtime import RuntimeJobFailureError

    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with pytest.raises(RuntimeJobFailureError, match="instruction h on qubits"):
        execute(device, program(10, (circuit, None))).result()
    with pytest.raises(Exception, match="shots are more than"):
        execute(device, program(10**6, (turned, np.array([0.0]))))


def test_qpy_of_the_newest_version_is_read_in_this_programs_schema(device, turned):
    """IBM's client writes the version that its Qiskit prefers; that schema names no highest one."""
    from qiskit_ibm_runtime.utils.utils import get_qpy_version

    job = execute(device, program(10, (turned, np.array([0.0]))))
    assert job.result()[0]["first"].shape == (10, 1)
    assert job.inputs["quantum_program"].items[0].circuit == turned
    assert get_qpy_version() == qpy.QPY_VERSION


def test_a_program_that_is_private(premium, device, turned):
    job = execute(device, program(10, (turned, np.array([0.0]))), environment={"private": True})
    assert job.result()[0]["first"].shape == (10, 1)
    assert not premium.job(job.job_id()).inputs

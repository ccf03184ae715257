"""Handles in other people's hands: Qiskit's primitives and pass managers, Aer's converters, copies and pickles.

An ideal local backend, the noisy twin of a device, and a device of an emulated service; what each gives is checked
against a closed form, or against what Qiskit or IBM's own client makes of the same device.
"""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Parameter
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.providers import BackendV2, JobStatus, JobV1
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

import qprovider_core as qp
from qprovider_ibm.emulator import Emulator

pytestmark = pytest.mark.slow  # left to `make check`

IDEAL, TWIN, DEVICE = "local:aer_simulator", "local:fake_belem", "ibm:ibmq_belem"
NOISE = {IDEAL: 0.0, TWIN: 0.15, DEVICE: 0.15}  # what it may cost an expectation value or a probability
THETA = Parameter("θ")
LEVELS = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def emulated() -> Iterator[Emulator]:
    with Emulator(queue_time_s=0.0) as emulator:
        yield emulator


@pytest.fixture
def handle(
    request: pytest.FixtureRequest, emulated: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Any]:
    """The backend of that name, through an account of its own."""
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path))
    for name, value in emulated.environment("premium-eu").items():
        monkeypatch.setenv(name, value)
    with qp.open_account(request.param.partition(":")[0]) as account:
        yield account.get_backend(request.param)


everywhere = pytest.mark.parametrize("handle", [IDEAL, TWIN, DEVICE], indirect=True)
of_devices = pytest.mark.parametrize("handle", [TWIN, DEVICE], indirect=True)


def rotated() -> QuantumCircuit:
    """Three qubits in two registers: ``a`` reads 10 whatever the angle, ``b`` reads 1 with probability sin²(θ/2)."""
    circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(2, "a"), ClassicalRegister(1, "b"))
    circuit.x(0)
    circuit.ry(THETA, 1)
    circuit.measure([2, 0, 1], [0, 1, 2])
    return circuit


@everywhere
def test_the_sampler_gives_the_right_bits(handle: Any) -> None:
    angles, slack = np.array([[0.0, 1.0], [2.0, np.pi]]), NOISE[handle.full_name] + 0.06
    ready = generate_preset_pass_manager(1, backend=handle, seed_transpiler=7).run(rotated())
    still = transpile(rotated().assign_parameters([0.0]), handle, seed_transpiler=7)
    sampler = BackendSamplerV2(backend=handle, options={"seed_simulator": 11})
    swept, single = sampler.run([(ready, angles, 1000), (still,)], shots=300).result()
    assert (swept.data.a.shape, swept.data.a.num_shots, single.data.a.num_shots) == ((2, 2), 1000, 300)
    for place in np.ndindex(angles.shape):
        ones = swept.data.b[place].get_counts().get("1", 0) / 1000
        assert ones == pytest.approx(np.sin(angles[place] / 2) ** 2, abs=slack)
        assert swept.data.a[place].get_counts()["10"] / 1000 > 1 - 2 * slack
    assert single.data.b.get_counts()["0"] / 300 > 1 - slack
    joined = single.join_data(["a", "b"]).get_counts()
    assert max(joined, key=joined.__getitem__) == "010"


@everywhere
def test_the_estimator_gives_the_right_values(handle: Any) -> None:
    """(|00> cos(θ/2) + |11> sin(θ/2)): <ZZ> = 1, <Z of qubit 0> = cos θ, <XX> = sin θ."""
    circuit = QuantumCircuit(2)
    circuit.ry(THETA, 0)
    circuit.cx(0, 1)
    ready = generate_preset_pass_manager(2, backend=handle, seed_transpiler=5).run(circuit)
    angles = np.array([0.3, 1.1, 2.5])
    observables = [[SparsePauliOp(text).apply_layout(ready.layout)] for text in ("ZZ", "IZ", "XX")]
    estimator = BackendEstimatorV2(backend=handle, options={"seed_simulator": 3})
    data = estimator.run([(ready, observables, angles)], precision=0.02).result()[0].data
    expected = np.array([np.ones(3), np.cos(angles), np.sin(angles)])
    assert data.evs.shape == (3, 3)
    assert np.max(np.abs(data.evs - expected)) < 2 * NOISE[handle.full_name] + 0.07
    assert np.all(data.stds < 0.03)


@everywhere
def test_the_handle_and_its_target_compile_alike_at_every_level(handle: Any) -> None:
    circuit = rotated()
    circuit.cx(0, 2)
    for level in LEVELS:
        made = [
            transpile(circuit, backend=handle, optimization_level=level, seed_transpiler=3),
            transpile(circuit, target=handle.target, optimization_level=level, seed_transpiler=3),
            generate_preset_pass_manager(level, backend=handle, seed_transpiler=3).run(circuit),
            generate_preset_pass_manager(level, target=handle.target, seed_transpiler=3).run(circuit),
        ]
        assert all(one == made[0] for one in made)
        for step in made[0].data:
            places = tuple(made[0].find_bit(bit).index for bit in step.qubits)
            assert step.name == "barrier" or handle.target.instruction_supported(step.name, places)


@everywhere
def test_a_handle_tells_qiskit_what_any_backend_does(handle: Any) -> None:
    assert isinstance(handle, BackendV2)
    assert handle.version == 2
    assert set(handle.operation_names) >= {"measure", "reset"}
    assert len(handle.instructions) >= len(handle.operation_names)
    assert handle.num_qubits in (handle.target.num_qubits, 30)
    if handle.full_name == IDEAL:
        assert handle.coupling_map is None
        return
    assert sorted(handle.coupling_map.get_edges()) == [(0, 1), (1, 0), (1, 2), (1, 3), (2, 1), (3, 1), (3, 4), (4, 3)]
    assert handle.coupling_map.distance(0, 4) == 3
    assert [one.t1 for one in handle.qubit_properties([0, 4])] == [handle.properties().t1(0), handle.properties().t1(4)]
    assert handle.instruction_durations.get("cx", (0, 1), "s") == handle.target["cx"][(0, 1)].duration > 0
    assert handle.dt == handle.target.dt > 0


@everywhere
def test_a_job_and_its_result_are_qiskits(handle: Any) -> None:
    circuit = transpile(rotated().assign_parameters([np.pi]), handle, seed_transpiler=1)
    circuit.name = "flipped"
    job = handle.run([circuit], shots=50, memory=True)
    assert isinstance(job, JobV1)
    job.wait_for_final_state(timeout=60)
    assert (job.status(), job.in_final_state(), job.done()) == (JobStatus.DONE, True, True)
    assert job.backend() is handle
    result = job.result()
    counts = result.get_counts(circuit)
    assert counts == result.get_counts("flipped") == result.get_counts(0)
    assert max(counts, key=counts.__getitem__) == "1 10"
    assert sorted(counts) == sorted(set(result.get_memory(circuit)))
    assert result.data(circuit)["counts"]


@of_devices
def test_aer_makes_the_devices_noise_of_a_handle(handle: Any) -> None:
    model = NoiseModel.from_backend(handle)
    assert set(model.noise_qubits) == set(range(5))
    assert set(model.noise_instructions) >= {"cx", "sx", "x", "measure"}
    simulator = AerSimulator.from_backend(handle)
    assert simulator.target is handle.target
    assert simulator.num_qubits == 5
    bell = QuantumCircuit(2, 2)
    bell.h(0)
    bell.cx(0, 1)
    bell.measure([0, 1], [0, 1])
    ready = transpile(bell, handle, seed_transpiler=2)
    noisy = simulator.run(ready, shots=2000, seed_simulator=5).result().get_counts()
    assert 0.01 < (noisy.get("01", 0) + noisy.get("10", 0)) / 2000 < 0.15
    if handle.full_name == TWIN:
        assert handle.run(ready, shots=2000, seed_simulator=5).result().get_counts() == noisy


@of_devices
def test_its_noise_is_that_of_ibms_own_fake_device(handle: Any) -> None:
    from qiskit_ibm_runtime.fake_provider import FakeBelemV2  # late: it takes seconds

    def errors(model: NoiseModel) -> dict[tuple[str, tuple[int, ...]], Any]:
        """The probabilities of every error by gate and qubits."""
        return {
            (name, tuple(qubits)): np.ravel(error["probabilities"])
            for error in model.to_dict()["errors"]
            for qubits in error["gate_qubits"]
            for name in error["operations"]
        }

    ours, theirs = errors(NoiseModel.from_backend(handle)), errors(NoiseModel.from_backend(FakeBelemV2()))
    shared = ours.keys() & theirs.keys()
    assert len([name for name, _ in shared if name == "cx"]) == 8
    assert {name for name, _ in shared} >= {"cx", "sx", "x", "id", "measure"}
    for place in shared:
        assert ours[place] == pytest.approx(theirs[place], rel=1e-6, abs=1e-9), place


def test_the_ideal_one_has_no_noise() -> None:
    with pytest.warns(UserWarning, match="no QubitProperties"):
        assert NoiseModel.from_backend(qp.get_backend(IDEAL)).is_ideal()


@everywhere
def test_copies_have_options_of_their_own_and_share_the_rest(handle: Any) -> None:
    circuit = transpile(rotated().assign_parameters([0.0]), handle, seed_transpiler=1)
    for copied in (copy.copy(handle), copy.deepcopy(handle), copy.deepcopy([handle])[0]):
        assert copied.target is handle.target
        assert copied.provider is handle.provider
        copied.set_options(shots=7, seed_simulator=3)
        assert sum(copied.run(circuit).result(timeout=60).get_counts().values()) == 7
    copied.refresh()
    assert copied.target.operation_names == handle.target.operation_names


LOADING = """
import pickle, sys
handle, circuit = pickle.load(open(sys.argv[1], "rb"))
counts = handle.run(circuit).result(timeout=60).get_counts()
print(handle.full_name, type(handle).__name__, handle.options.shots, max(counts, key=counts.get), sum(counts.values()))
"""


@everywhere
def test_a_pickled_handle_runs_in_another_process(handle: Any, tmp_path: Path) -> None:
    circuit = transpile(rotated().assign_parameters([np.pi]), handle, seed_transpiler=1)
    handle.set_options(shots=40)
    packed = tmp_path / "handle.pickle"
    packed.write_bytes(pickle.dumps((handle, circuit)))
    if token := os.environ.get("QPROVIDER_IBM_TOKEN"):
        assert token.encode() not in packed.read_bytes()
    command = [sys.executable, "-c", LOADING, str(packed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [handle.full_name, type(handle).__name__, "40", "1", "10", "40"]


FLOW = """
import sys
import qprovider_core as qp
from qiskit import QuantumCircuit, transpile
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator

backend = qp.get_backend(sys.argv[1])
circuit = QuantumCircuit(2)
circuit.h(0)
circuit.cx(0, 1)
ready = generate_preset_pass_manager(2, backend=backend).run(circuit)
BackendEstimatorV2(backend=backend).run([(ready, SparsePauliOp("ZZ").apply_layout(ready.layout))]).result()
circuit.measure_all()
ready = transpile(circuit, backend)
BackendSamplerV2(backend=backend).run([ready], shots=10).result()
backend.run(ready, shots=10).result().get_counts()
if backend.coupling_map is not None:
    AerSimulator.from_backend(backend)
"""


@everywhere
def test_none_of_it_is_deprecated(handle: Any) -> None:
    command = [sys.executable, "-W", "error", "-c", FLOW, handle.full_name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr

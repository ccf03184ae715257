"""Noise of the twins, against Aer's own model of the whole device."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit.providers import BackendV2, Options
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from qprovider_local import _noise, _snapshots

BUNDLED = {snapshot.name: snapshot for snapshot in _snapshots.bundled()}


class Whole(BackendV2):
    """The whole device as Qiskit sees it."""

    def __init__(self, target):
        super().__init__(name="whole")
        self._target = target

    target = property(lambda self: self._target)
    max_circuits = property(lambda self: None)

    @classmethod
    def _default_options(cls):
        return Options()

    def run(self, run_input, **options):
        raise NotImplementedError


@cache
def device(name):
    snapshot = BUNDLED[name]
    return _noise.device(str(snapshot.configuration_path), str(snapshot.properties_path))


@cache
def whole_model(name):
    return NoiseModel.from_backend(Whole(device(name).target))


def tangled(name, width=4, seed=3):
    circuit = quantum_volume(width, 3, seed=seed)
    circuit.barrier()
    circuit.delay(1600, 0, unit="dt")  # a length that suits the devices' alignment
    circuit.reset(1)
    circuit.measure_all()
    return transpile(circuit, target=device(name).target, optimization_level=1, seed_transpiler=seed)


def errors(model):
    """Every error of a model by what it belongs to."""
    found = {}
    for error in model.to_dict()["errors"]:
        for qubits in error["gate_qubits"]:
            content = {k: v for k, v in error.items() if k not in ("id", "gate_qubits", "operations")}
            for name in error["operations"]:
                found[name, tuple(qubits)] = content
    return found


def same(one, two):
    """Equal up to rounding, whatever the nesting."""
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple | np.ndarray):
        return len(one) == len(two) and all(same(a, b) for a, b in zip(one, two, strict=True))
    if isinstance(one, float | complex):
        return one == pytest.approx(two, rel=1e-9, abs=1e-15)
    return one == two


def test_the_errors_at_the_places_of_a_circuit_are_those_of_the_whole_model():
    circuit = tangled("fake_belem")
    part = errors(device("fake_belem").noise_model(_noise.places_of([circuit])))
    whole = errors(whole_model("fake_belem"))
    used = {place for place in _noise.places_of([circuit]) if place in whole}
    assert part.keys() == used
    assert {name for name, _ in used} >= {"cx", "sx", "measure", "reset"}
    for place in used:
        assert same(part[place], whole[place]), place
    assert device("fake_belem").noise_model(_noise.places_of([circuit])).basis_gates == (
        whole_model("fake_belem").basis_gates
    )


@pytest.mark.parametrize("name", ["fake_belem", "fake_hanoi"])
def test_a_twin_gives_the_counts_of_aers_simulator_made_of_the_whole_device(name, local):
    circuits = [tangled(name, seed=seed) for seed in (1, 2)]
    simulator = AerSimulator.from_backend(Whole(device(name).target), noise_model=whole_model(name))
    expected = simulator.run(circuits, shots=2000, seed_simulator=11).result()
    pubs = local.run(circuits, name, shots=2000, seed_simulator=11)
    assert [dict(pub.counts) for pub in pubs] == [expected.get_counts(i) for i in range(2)]


def test_waiting_relaxes():
    circuit = QuantumCircuit(5, 1)
    circuit.x(2)
    circuit.delay(100, 2, unit="us")
    circuit.measure(2, 0)
    target = device("fake_belem").target
    model = device("fake_belem").noise_model(_noise.places_of([circuit]))
    result = AerSimulator(noise_model=model, method="density_matrix").run(circuit, shots=20_000, seed_simulator=1)
    ones = result.result().get_counts()["1"] / 20_000
    survived = np.exp(-100e-6 / target.qubit_properties[2].t1)
    misread = target["measure"][(2,)].error
    expected = survived * (1 - misread) + (1 - survived) * misread
    assert ones == pytest.approx(expected, abs=0.02)
    assert expected < 0.6


def test_an_error_is_worked_out_once():
    fresh = _noise.Device(str(BUNDLED["fake_belem"].configuration_path), str(BUNDLED["fake_belem"].properties_path))
    places = frozenset({("cx", (0, 1)), ("sx", (0,)), ("measure", (0,))})
    model = fresh.noise_model(places)
    assert fresh.noise_model(places | {("barrier", (0, 1)), ("unheard", (9,))}) is model
    kept = fresh._errors["cx", (0, 1)]
    fresh.noise_model(places | {("sx", (1,))})
    assert fresh._errors["cx", (0, 1)] is kept


def test_places_inside_control_flow_are_those_of_the_outer_qubits():
    body = QuantumCircuit(2, 1)
    body.cx(1, 0)
    circuit = QuantumCircuit(5, 1)
    circuit.if_else((circuit.clbits[0], 1), body, None, [3, 4], [0])
    assert ("cx", (4, 3)) in _noise.places_of([circuit])


def test_a_wide_device_is_simulated_on_the_qubits_in_use(local):
    circuit = QuantumCircuit(156, 3)
    circuit.sx(150)
    circuit.cz(150, 151)
    circuit.sx(151)
    circuit.measure([150, 151, 152], [0, 1, 2])
    counts = local.counts(circuit, "fake_fez", shots=4000, seed_simulator=5)
    assert sum(counts.values()) == 4000
    assert sum(number for key, number in counts.items() if key[0] == "1") < 200


def test_conditionals_are_noisy_too(local):
    circuit = QuantumCircuit(27, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    counts = local.counts(circuit, "fake_hanoi", shots=4000, seed_simulator=5)
    assert 3400 < counts["11"] < 4000

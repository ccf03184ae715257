"""Jobs of the sampler: their results, bit by bit, and what is accepted."""

from __future__ import annotations

import base64
import copy
import io
import json
import math
import zlib

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter, ParameterVector

SIMULATOR = "ibmq_qasm_simulator"


def ones(*places, size):
    """A circuit that reads 1 at these places."""
    circuit = QuantumCircuit(size, size)
    for place in places:
        circuit.x(place)
    circuit.measure(range(size), range(size))
    return circuit


def test_a_bell_pair_on_the_five_qubit_device(api, tools, bell):
    result = api.run(tools.sampler_params(bell, shots=4000))
    bits = tools.bits_of(tools.field(result, "meas"))
    assert bits.shape == (4000, 2)
    equal = (bits[:, 0] == bits[:, 1]).mean()
    assert 0.82 < equal < 0.97  # readout errors of 2 to 4 % each, and those of the gates
    assert 0.4 < bits[:, 0].mean() < 0.6


def test_the_bytes_are_those_of_the_protocol(api, tools):
    circuit = ones(0, 8, size=9)
    job = api.submit(tools.sampler_params(circuit, shots=3), SIMULATOR)
    result = api.result(job)
    raw = json.loads(api.get(f"/jobs/{job}/results").text)
    assert raw["__type__"] == "PrimitiveResult"
    assert raw["__value__"]["pub_results"][0]["__type__"] == "SamplerPubResult"
    data = raw["__value__"]["pub_results"][0]["__value__"]["data"]
    assert data["__type__"] == "DataBin"
    assert set(data["__value__"]) == {"field_names", "field_types", "shape", "fields"}
    assert data["__value__"]["field_names"] == ["c"]
    assert data["__value__"]["shape"] == []
    array = data["__value__"]["fields"]["c"]["__value__"]["array"]["__value__"]
    loaded = np.load(io.BytesIO(zlib.decompress(base64.b64decode(array))), allow_pickle=False)
    assert loaded.dtype == np.uint8
    assert loaded.tolist() == [[0b1, 0b1]] * 3  # bit 8 in the first byte, bit 0 in the last one
    assert result["metadata"]["version"] == 2
    assert result["pub_results"][0]["metadata"] == {"circuit_metadata": {}}
    (span,) = result["metadata"]["execution"]["execution_spans"]["spans"]
    assert span["data_slices"] == {"0": [[3], 0, 1, 0, 3]}
    assert span["start"] <= span["stop"]
    assert "+" not in span["start"]
    assert "Z" not in span["start"]


def test_registers_are_told_apart(api, tools):
    qubits, a, b = QuantumRegister(4), ClassicalRegister(1, "a"), ClassicalRegister(3, "b")
    circuit = QuantumCircuit(qubits, b, a)
    circuit.x([0, 3])
    circuit.measure(0, a[0])
    circuit.measure(1, b[0])
    circuit.measure(2, b[1])
    circuit.measure(3, b[2])
    result = api.run(tools.sampler_params(circuit, shots=2), SIMULATOR)
    assert tools.field(result, "a")["array"].tolist() == [[1], [1]]
    assert tools.field(result, "b")["array"].tolist() == [[4], [4]]


def test_parameter_values_broadcast(api, tools):
    x, y = Parameter("x"), Parameter("y")
    circuit = QuantumCircuit(2, 2)
    circuit.rx(y, 1)
    circuit.rx(x, 0)
    circuit.measure([0, 1], [0, 1])
    values = np.zeros((2, 3, 2))
    values[1, :, 0] = math.pi  # x, the first by name
    values[:, 2, 1] = math.pi
    result = api.run(tools.sampler_params(circuit, tools.pack_array(values), shots=5), SIMULATOR)
    bits = tools.bits_of(tools.field(result, "c"))
    assert bits.shape == (2, 3, 5, 2)
    assert (bits[..., 0] == np.array([0, 1])[:, None, None]).all()
    assert (bits[..., 1] == np.array([0, 0, 1])[None, :, None]).all()
    assert result["pub_results"][0]["data"]["shape"] == [2, 3]


@pytest.mark.parametrize("form", ["dict", "vector", "list", "bindings"])
def test_parameter_values_have_many_forms(api, tools, form):
    vector = ParameterVector("v", 12)  # v[10] sorts behind v[9], not behind v[1]
    circuit = QuantumCircuit(12, 12)
    for place, angle in enumerate(vector):
        circuit.rx(angle, place)
    circuit.measure(range(12), range(12))
    values = np.zeros(12)
    values[[2, 10]] = math.pi
    given = {
        "dict": {f"v[{place}]": float(value) for place, value in enumerate(values)},
        "vector": {"v": values.tolist()},
        "list": values.tolist(),
        "bindings": {
            "__type__": "BindingsArray",
            "__value__": {
                "shape": [],
                "data": {json.dumps([f"v[{place}]" for place in range(12)]): tools.pack_array(values)},
            },
        },
    }[form]
    result = api.run(tools.sampler_params(circuit, given, shots=1), SIMULATOR)
    assert np.flatnonzero(tools.bits_of(tools.field(result, "c"))[0]).tolist() == [2, 10]


def test_one_parameter_takes_a_plain_list_of_values(api, tools):
    angle = Parameter("a")
    circuit = QuantumCircuit(1, 1)
    circuit.rx(angle, 0)
    circuit.measure(0, 0)
    result = api.run(tools.sampler_params(circuit, {"a": [0.0, math.pi]}, shots=4), SIMULATOR)
    assert tools.bits_of(tools.field(result, "c"))[..., 0].tolist() == [[0] * 4, [1] * 4]


def test_shots_come_from_the_pub_then_the_job_then_the_options_then_the_default(api, tools):
    circuit = tools.pack_circuit(ones(size=1))
    for params, shots in (
        ({"pubs": [[circuit, None, 7]], "shots": 8}, 7),
        ({"pubs": [[circuit]], "shots": 8, "options": {"default_shots": 9}}, 8),
        ({"pubs": [[circuit, None]], "options": {"default_shots": 9}}, 9),
        ({"pubs": [[circuit, None, None]]}, 4096),
    ):
        assert tools.field(api.run(params, SIMULATOR), "c")["array"].shape == (shots, 1)


def test_several_pubs_keep_their_order_and_metadata(api, tools):
    first, second = ones(0, size=1), ones(size=2)
    first.metadata = {"label": "first", "number": 3}
    params = {"pubs": [[tools.pack_circuit(first), None, 2], [tools.pack_circuit(second), None, 3]]}
    result = api.run(params, SIMULATOR)
    assert tools.field(result, "c", 0)["array"].tolist() == [[1]] * 2
    assert tools.field(result, "c", 1)["array"].tolist() == [[0]] * 3
    assert result["pub_results"][0]["metadata"]["circuit_metadata"] == {"label": "first", "number": 3}


@pytest.mark.parametrize("version", [13, 14, 15, 16, 17])
def test_qpy_versions_that_are_read(api, tools, version):
    packed = tools.pack_circuit(ones(0, size=1), version)
    result = api.run(tools.sampler_params(packed, shots=2), SIMULATOR)
    assert tools.field(result, "c")["array"].tolist() == [[1], [1]]


@pytest.mark.parametrize(
    "program",
    [
        'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; x q[1]; measure q -> c;',
        'OPENQASM 3.0; include "stdgates.inc"; bit[2] c; qubit[2] q; x q[1]; c = measure q;',
    ],
)
def test_openqasm_programs_run(api, tools, program):
    assert tools.field(api.run(tools.sampler_params(program, shots=2), SIMULATOR), "c")["array"].tolist() == [[2], [2]]


def test_plain_results_for_clients_without_qiskit(api, tools):
    params = {**tools.sampler_params(ones(0, 1, size=2), shots=2), "support_qiskit": False}
    job = api.submit(params, SIMULATOR)
    api.wait(job)
    assert api.get(f"/jobs/{job}/results").json() == {
        "results": [{"data": {"c": {"samples": ["0x3", "0x3"], "num_bits": 2}}, "metadata": {"circuit_metadata": {}}}],
        "metadata": {"version": 2},
    }


@pytest.mark.parametrize(("kind", "shape"), [("kerneled", (2000, 2)), ("avg_kerneled", (2,))])
def test_kerneled_measurements_are_complex(api, tools, kind, shape):
    options = {"execution": {"meas_type": kind}}
    points = tools.field(api.run(tools.sampler_params(ones(1, size=2), shots=2000, options=options), SIMULATOR), "c")
    assert points.shape == shape
    assert np.iscomplexobj(points)
    mean = points if kind == "avg_kerneled" else points.mean(axis=0)
    assert np.allclose(mean, [1, -1], atol=0.05)


def test_measuring_midway_resetting_and_deciding(api, tools):
    circuit = QuantumCircuit(QuantumRegister(2), ClassicalRegister(2, "mid"), ClassicalRegister(2, "end"))
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.reset(0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure([0, 1], [2, 3])
    result = api.run(tools.sampler_params(circuit, shots=200), SIMULATOR)
    mid, end = (tools.bits_of(tools.field(result, name)) for name in ("mid", "end"))
    assert 50 < mid[:, 0].sum() < 150
    assert (end[:, 1] == mid[:, 0]).all()
    assert (end[:, 0] == 0).all()


def test_deciding_on_a_device_with_its_noise(api, tools):
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    result = api.run(tools.sampler_params(tools.fit(circuit, "boston"), shots=500), "ibm_boston")
    assert tools.bits_of(tools.field(result, "c"))[:, 1].mean() > 0.9


def test_the_devices_second_measurement_measures(api, tools):
    from qiskit.circuit import Instruction

    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.append(Instruction("measure_2", 1, 1, []), [0], [0])
    result = api.run(tools.sampler_params(circuit, shots=200), "ibm_boston")
    assert tools.bits_of(tools.field(result, "c")).mean() > 0.9


def test_seeds_repeat_a_run(api, tools, bell):
    params = tools.sampler_params(bell, shots=200, options={"simulator": {"seed_simulator": 11}})
    first, second = (tools.field(api.run(params), "meas")["array"] for _ in range(2))
    assert (first == second).all()
    other = tools.sampler_params(bell, shots=200, options={"simulator": {"seed_simulator": 12}})
    assert (first != tools.field(api.run(other), "meas")["array"]).any()


def test_waiting_and_measuring_on_a_device_with_its_noise(api, tools):
    circuit = QuantumCircuit(5, 1)
    circuit.x(0)
    circuit.delay(1000, 0, "dt")
    circuit.measure(0, 0)
    bits = tools.bits_of(tools.field(api.run(tools.sampler_params(circuit, shots=1000)), "c"))
    assert bits.mean() > 0.8


def test_a_noise_model_replaces_the_devices(api, tools):
    from qiskit_aer.noise import NoiseModel, ReadoutError

    model = NoiseModel()
    model.add_all_qubit_readout_error(ReadoutError([[0, 1], [1, 0]]))
    tagged = {"__type__": "NoiseModel", "__value__": model.to_dict(serializable=True)}
    options = {"simulator": {"noise_model": tagged}}
    result = api.run(tools.sampler_params(ones(size=1), shots=50, options=options), SIMULATOR)
    assert tools.bits_of(tools.field(result, "c")).all()


@pytest.mark.parametrize(
    ("numbers", "asked", "shots", "told"),
    [
        (("auto", "auto"), {}, 4096, 32),
        (("auto", "auto"), {"shots": 100}, 100, 2),
        ((7, "auto"), {"shots": 100}, 100, 7),
        (("auto", 30), {"shots": 100}, 100, 4),
        ((5, 20), {}, 100, 5),
        ((5, 20), {"shots": 70}, 70, 5),
    ],
)
def test_twirling_tells_its_numbers_and_implies_shots(api, tools, numbers, asked, shots, told):
    twirling = dict(zip(("num_randomizations", "shots_per_randomization"), numbers, strict=True))
    options = {"twirling": {"enable_gates": True, **twirling}, "default_shots": 4096}
    params = {"pubs": [[tools.pack_circuit(ones(size=1))]], "options": options, **asked}
    result = api.run(params, SIMULATOR)
    assert tools.field(result, "c")["array"].shape == (shots, 1)
    assert result["pub_results"][0]["metadata"]["num_randomizations"] == told


def test_twirling_that_is_not_on_implies_nothing(api, tools):
    options = {"twirling": {"num_randomizations": 5, "shots_per_randomization": 20}, "default_shots": 9}
    result = api.run({"pubs": [[tools.pack_circuit(ones(size=1))]], "options": options}, SIMULATOR)
    assert tools.field(result, "c")["array"].shape == (9, 1)
    assert "num_randomizations" not in result["pub_results"][0]["metadata"]


def test_the_noise_is_that_of_the_whole_devices_model(api, tools):
    """A second method: Aer's own model of the whole device, as densities."""
    from qiskit_aer import AerSimulator
    from qiskit_aer.noise import NoiseModel

    from qprovider_ibm.emulator._isa import target_of
    from qprovider_ibm.emulator._noise import _Part, _Readout

    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.measure_all()
    circuit = tools.fit(circuit)
    target, told = copy.deepcopy(target_of("belem")), api.json("/backends/ibmq_belem/properties")["qubits"]
    for (qubit,), known in target["measure"].items():
        target.update_instruction_properties("measure", (qubit,), _Readout(known, told[qubit]))
    model = NoiseModel.from_backend(_Part(target))
    shots = 20_000
    counts = AerSimulator(noise_model=model, seed_simulator=1).run(circuit, shots=shots).result().get_counts()
    params = {"pubs": [[tools.pack_circuit(circuit), None, 8000]] * 3, "options": {"simulator": {"seed_simulator": 2}}}
    result = api.run(params)
    bits = np.concatenate([tools.bits_of(tools.field(result, "meas", pub)) for pub in range(3)])
    ours = np.bincount(bits @ [1, 2, 4], minlength=8) / len(bits)
    theirs = np.array([counts.get(f"{place:03b}", 0) / shots for place in range(8)])
    assert np.abs(ours - theirs).max() < 0.015  # some four standard deviations


@pytest.mark.parametrize(("prepared", "name"), [(1, "prob_meas0_prep1"), (0, "prob_meas1_prep0")])
def test_ones_and_zeros_are_mistaken_as_often_as_the_calibration_says(api, tools, prepared, name):
    circuit = QuantumCircuit(5)
    if prepared:
        circuit.x(range(5))
    circuit.measure_all()
    params = {
        "pubs": [[tools.pack_circuit(circuit), None, 8000]] * 2,
        "options": {"simulator": {"seed_simulator": 5}},
    }
    result = api.run(params)
    bits = np.concatenate([tools.bits_of(tools.field(result, "meas", pub)) for pub in range(2)])
    mistaken = np.mean(bits != prepared, axis=0)
    calibration = api.json("/backends/ibmq_belem/properties")["qubits"]
    expected = [next(entry["value"] for entry in entries if entry["name"] == name) for entries in calibration]
    assert np.abs(mistaken - expected).max() < 0.008  # four standard deviations; the gate errs, too


def test_forty_qubits_are_simulated(api, tools):
    circuit = QuantumCircuit(156, 40)
    for qubit in range(40):
        circuit.x(qubit)
        circuit.measure(qubit, qubit)
    bits = tools.bits_of(tools.field(api.run(tools.sampler_params(circuit, shots=50), "ibm_boston"), "c"))
    assert bits.shape == (50, 40)
    assert bits.mean() > 0.95


def test_independent_qubits_are_simulated_apart(api, tools):
    """100 measured qubits in no time, each with its own outcome; a pair among them stays a pair."""
    circuit = QuantumCircuit(127, 100)
    for qubit in range(1, 100, 2):
        circuit.x(qubit)
    circuit.x(0)
    circuit.sx(20)
    circuit.rz(math.pi / 2, 20)
    circuit.measure(range(100), range(100))
    bits = tools.bits_of(tools.field(api.run(tools.sampler_params(circuit, shots=400), "ibm_sherbrooke"), "c"))
    means = bits.mean(axis=0)
    assert bits.shape == (400, 100)
    assert means[0] > 0.85
    assert 0.3 < means[20] < 0.7
    assert np.median(means[1::2]) > 0.9
    assert np.median(means[2::2]) < 0.1


def test_parts_share_neither_gates_nor_bits():
    from qprovider_ibm.emulator._parts import independent_parts

    circuit = QuantumCircuit(12, 5)
    for qubit in range(12):
        circuit.h(qubit)
    circuit.cx(0, 1)
    circuit.barrier()
    circuit.measure([0, 1, 2, 3], [3, 0, 1, 2])
    circuit.measure(4, 1)  # a bit that another qubit wrote before
    parts = sorted(independent_parts(circuit), key=lambda part: part.clbits)
    assert [part.clbits for part in parts] == [(0, 3), (1,), (2,)]
    assert [part.circuit.count_ops()["measure"] for part in parts] == [2, 2, 1]
    assert [part.circuit.count_ops()["h"] for part in parts] == [2, 2, 1]
    small = QuantumCircuit(2, 2)
    small.measure([0, 1], [0, 1])
    assert [part.circuit for part in independent_parts(small)] == [small]

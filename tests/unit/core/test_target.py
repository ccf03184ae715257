"""From records to a `Target`: places, values, what is left out, and what Qiskit and Aer make of it."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Gate
from qiskit.circuit.library import CXGate, quantum_volume
from qiskit.providers import BackendV2, Options
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Operator
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime.fake_provider import FakeBelemV2, FakeFez, FakeHanoiV2, FakeSherbrooke

from qprovider_core._target import build_target
from qprovider_core.errors import ResponseError
from qprovider_core.qiskit_schema import configuration_from_document, properties_from_document
from qprovider_core.records import (
    BackendConfiguration,
    BackendProperties,
    GateCalibration,
    GateConfiguration,
    Measured,
    QubitCalibration,
)


class Holder(BackendV2):
    """The least that Qiskit and Aer want around a target."""

    def __init__(self, target):
        super().__init__(name="holder")
        self._target = target

    target = property(lambda self: self._target)
    max_circuits = property(lambda self: None)

    @classmethod
    def _default_options(cls):
        return Options()

    def run(self, run_input, **options):
        raise NotImplementedError


def measured(**values):
    return {name: Measured(float(value)) for name, value in values.items()}


def line(n=4, **fields):
    """A made-up device: qubits in a line, `cz` from each to the next."""
    pairs = tuple((q, q + 1) for q in range(n - 1))
    given = {
        "backend_name": "line",
        "n_qubits": n,
        "basis_gates": ("cz", "rz", "sx"),
        "gates": (
            GateConfiguration(name="cz", coupling_map=pairs),
            GateConfiguration(name="rz", parameters=("theta",), coupling_map=tuple((q,) for q in range(n))),
        ),
        "coupling_map": pairs,
    }
    return BackendConfiguration(**{**given, **fields})


def calibration(n=4, faulty=(), gates=None):
    qubits = [
        QubitCalibration(
            values=measured(
                T1=100e-6 + q, T2=80e-6, frequency=5e9, readout_error=0.01 * (q + 1), readout_length=1e-6,
                **({"operational": 0} if q in faulty else {}),
            )
        )
        for q in range(n)
    ]  # fmt: skip
    if gates is None:
        gates = [
            GateCalibration(gate="cz", qubits=(q, q + 1), values=measured(gate_error=0.02, gate_length=70e-9))
            for q in range(n - 1)
        ]
    return BackendProperties(backend_name="line", qubits=qubits, gates=gates)


def places(target, name):
    return set(target[name])


# ---------------------------------------------------------------------------------------------- same as others


@pytest.mark.parametrize("fake", [FakeBelemV2, FakeHanoiV2, FakeSherbrooke, FakeFez])
def test_a_devices_documents_give_the_target_that_ibms_own_converter_gives(fake):
    backend = fake()
    folder = Path(backend.dirname)
    target = build_target(
        configuration_from_document(json.loads((folder / backend.conf_filename).read_text())),
        properties_from_document(json.loads((folder / backend.props_filename).read_text())),
    )
    expected = backend.target
    # Loops can be left early: the instructions for it belong to them.
    assert set(target.operation_names) - {"break_loop", "continue_loop"} == set(expected.operation_names)
    for name in expected.operation_names:
        assert (target[name] or {}).keys() == (expected[name] or {}).keys(), name
        for qubits, theirs in (expected[name] or {}).items():
            ours = target[name][qubits]
            assert (ours is None) == (theirs is None)
            if theirs is not None:
                assert close(ours.error, theirs.error)
                assert close(ours.duration, theirs.duration)
    for ours, theirs in zip(target.qubit_properties, expected.qubit_properties, strict=True):
        assert all(close(getattr(ours, key), getattr(theirs, key)) for key in ("t1", "t2", "frequency"))
    for key in ("num_qubits", "dt", "granularity", "min_length", "pulse_alignment", "acquire_alignment"):
        assert getattr(target, key) == getattr(expected, key)


def close(one, two):
    return one == two or math.isclose(one, two, rel_tol=1e-12)


def test_a_generic_backend_through_records_compiles_as_it_does_itself():
    generic = GenericBackendV2(5, coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4]], seed=4)
    gates, calibrated = [], []
    for name in generic.operation_names:
        if name in ("measure", "reset", "delay") or generic.target[name] is None:
            continue
        operation = generic.target.operation_from_name(name)
        gates.append(
            GateConfiguration(
                name=name,
                parameters=tuple(str(p) for p in operation.params),
                coupling_map=tuple(generic.target[name]),
            )
        )
        for qubits, values in generic.target[name].items():
            found = measured(gate_error=values.error or 0.0, gate_length=values.duration or 0.0)
            calibrated.append(GateCalibration(gate=name, qubits=qubits, values=found))
    qubits = [
        QubitCalibration(
            values=measured(
                T1=generic.qubit_properties(q).t1,
                T2=generic.qubit_properties(q).t2,
                frequency=generic.qubit_properties(q).frequency,
                readout_error=generic.target["measure"][(q,)].error,
                readout_length=generic.target["measure"][(q,)].duration,
            )
        )
        for q in range(5)
    ]
    target = build_target(
        BackendConfiguration(
            backend_name="generic",
            n_qubits=5,
            dt=generic.dt,
            basis_gates=tuple(gate.name for gate in gates),
            gates=tuple(gates),
            coupling_map=tuple(generic.coupling_map.get_edges()),
        ),
        BackendProperties(backend_name="generic", qubits=qubits, gates=calibrated),
    )
    circuit = quantum_volume(4, 4, seed=1)
    circuit.measure_all()
    for level in range(4):
        ours, theirs = (
            transpile(circuit, target=t, optimization_level=level, seed_transpiler=5) for t in (target, generic.target)
        )
        assert ours.count_ops() == theirs.count_ops()
        assert ours.layout.initial_index_layout() == theirs.layout.initial_index_layout()


# ------------------------------------------------------------------------------------------- places and values


def test_gates_act_where_the_configuration_says_and_one_qubit_gates_without_a_place_everywhere():
    target = build_target(line(), None)
    assert places(target, "cz") == {(0, 1), (1, 2), (2, 3)}  # directed
    assert places(target, "rz") == places(target, "sx") == {(0,), (1,), (2,), (3,)}
    assert places(target, "measure") == {(0,), (1,), (2,), (3,)}
    assert target.num_qubits == 4


def test_two_qubit_gates_without_places_follow_the_coupling_map():
    assert places(build_target(line(gates=()), None), "cz") == {(0, 1), (1, 2), (2, 3)}


def test_without_a_coupling_map_everything_acts_anywhere():
    conf = BackendConfiguration(backend_name="free", n_qubits=3, basis_gates=("cz", "rx", "unitary"))
    target = build_target(conf, None)
    assert target.build_coupling_map() is None
    assert target.instruction_supported("cz", (2, 0))
    assert target.instruction_supported("unitary", (2, 0, 1))
    assert set(target.operation_names) == {"cz", "rx", "unitary", "measure", "reset", "delay"}


def test_a_backend_bounded_by_memory_has_no_size():
    target = build_target(BackendConfiguration(backend_name="free", basis_gates=("h", "cx")), None)
    assert target.num_qubits is None
    wide = QuantumCircuit(300)
    wide.h(range(300))
    assert transpile(wide, target=target).count_ops() == {"h": 300}


def test_values_are_put_where_they_belong_in_si_units():
    target = build_target(line(dt=1e-9, timing_constraints={"granularity": 16, "min_length": 64}), calibration())
    assert (target["cz"][(0, 1)].error, target["cz"][(0, 1)].duration) == (0.02, 70e-9)
    assert (target["measure"][(2,)].error, target["measure"][(2,)].duration) == (0.03, 1e-6)
    assert target["sx"][(0,)] is None
    assert target.qubit_properties[1].t1 == 100e-6 + 1
    assert (target.qubit_properties[1].t2, target.qubit_properties[1].frequency) == (80e-6, 5e9)
    assert (target.dt, target.granularity, target.min_length, target.pulse_alignment) == (1e-9, 16, 64, 1)


def test_fewer_calibrated_qubits_than_there_are_leave_the_rest_unknown():
    target = build_target(line(), calibration(2, gates=[]))
    assert places(target, "measure") == {(0,), (1,), (2,), (3,)}
    assert target["measure"][(3,)] is None
    assert target.qubit_properties[3].t1 is None
    free = BackendConfiguration(backend_name="free", n_qubits=4, basis_gates=("rx",))
    assert places(build_target(free, calibration(2, gates=[])), "measure") == {(0,), (1,), (2,), (3,)}


@pytest.mark.parametrize("error", [1, 3])
def test_a_gate_that_is_not_calibrated_is_the_last_choice_and_not_a_perfect_one(error):
    gates = [
        GateCalibration(gate="cz", qubits=(0, 1), values=measured(gate_error=error)),
        GateCalibration(gate="cz", qubits=(1, 2), values=measured(gate_error=0.01)),
        GateCalibration(gate="cz", qubits=(2, 3), values=measured(gate_error=0.02)),
    ]
    target = build_target(line(), calibration(gates=gates))
    assert target["cz"][(0, 1)].error == 1.0
    circuit = QuantumCircuit(2)
    circuit.cz(0, 1)
    compiled = transpile(circuit, target=target, optimization_level=3, seed_transpiler=1)
    assert set(compiled.layout.initial_index_layout(filter_ancillas=True)) != {0, 1}
    NoiseModel.from_backend(Holder(target))  # a probability that Aer takes


# -------------------------------------------------------------------------------------------- what is left out


def test_a_faulty_qubit_takes_no_instruction_at_all():
    conf = line(supported_instructions=("cz", "rz", "sx", "measure", "reset", "delay", "if_else"))
    target = build_target(conf, calibration(faulty=[1]))
    for name in ("cz", "rz", "sx", "measure", "reset", "delay"):
        assert all(1 not in qubits for qubits in target[name]), name
    assert places(target, "cz") == {(2, 3)}
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    for level in (1, 2, 3):
        compiled = transpile(circuit, target=target, optimization_level=level, seed_transpiler=3)
        assert set(compiled.layout.final_index_layout()) == {2, 3}


def test_a_faulty_qubit_of_a_device_without_a_coupling_map_takes_none_either():
    conf = BackendConfiguration(backend_name="free", n_qubits=3, basis_gates=("rx",))
    target = build_target(conf, calibration(3, faulty=[0], gates=[]))
    assert places(target, "rx") == places(target, "measure") == places(target, "delay") == {(1,), (2,)}


def ghz(n):
    circuit = QuantumCircuit(n)
    circuit.h(0)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def used(compiled):
    """Each instruction's name and qubits, barriers aside."""
    found = [(i.operation.name, tuple(compiled.find_bit(q).index for q in i.qubits)) for i in compiled.data]
    return [(name, qubits) for name, qubits in found if name != "barrier"]


def free(n=5, basis=("rz", "sx", "x", "cz"), **fields):
    return BackendConfiguration(backend_name="free", n_qubits=n, basis_gates=basis, **fields)


def broken(gate, *qubits):
    return GateCalibration(gate=gate, qubits=qubits, values=measured(operational=0))


def test_gates_of_two_qubits_and_more_keep_off_faulty_qubits_without_a_coupling_map():
    target = build_target(free(basis=("rz", "sx", "x", "cz", "ccx")), calibration(5, faulty=[2], gates=[]))
    assert places(target, "cz") == set(itertools.permutations((0, 1, 3, 4), 2))
    assert "ccx" not in target.operation_names  # Qiskit cannot route for it where it acts on some places only
    for name in ("rz", "measure", "reset", "delay"):
        assert places(target, name) == {(0,), (1,), (3,), (4,)}


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("gates", [[], [broken("cz", 0, 1), broken("cz", 1, 0)]])
def test_circuits_keep_off_what_is_faulty_without_a_coupling_map(level, gates):
    target = build_target(free(basis=("rz", "sx", "cz", "rzz")), calibration(5, faulty=[2], gates=gates))
    for seed in range(5):
        compiled = transpile(ghz(4), target=target, optimization_level=level, seed_transpiler=seed)
        assert all(target.instruction_supported(name, qubits) for name, qubits in used(compiled))
        assert all(2 not in qubits for _, qubits in used(compiled))


@pytest.mark.parametrize("level", range(4))
def test_a_faulty_gate_is_left_out_without_a_coupling_map_and_without_qubit_rows(level):
    properties = BackendProperties(backend_name="free", gates=[broken("cz", 0, 1), broken("cz", 1, 0)])
    target = build_target(free(basis=("rz", "sx", "cz", "rzz")), properties)
    assert places(target, "cz") == set(itertools.permutations(range(5), 2)) - {(0, 1), (1, 0)}
    compiled = transpile(ghz(4), target=target, optimization_level=level, seed_transpiler=1)
    assert all(target.instruction_supported(name, qubits) for name, qubits in used(compiled))


def test_wide_gates_are_left_out_where_a_qubit_is_faulty_with_a_coupling_map_too():
    conf = line(basis_gates=("cz", "rz", "sx", "ccx", "unitary"))
    for name in ("ccx", "unitary"):  # the second takes any number of qubits, and a target cannot say which
        assert name not in build_target(conf, calibration(faulty=[0])).operation_names
        assert name in build_target(conf, calibration()).operation_names
    assert build_target(conf, calibration()).instruction_supported("ccx", (3, 0, 1))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_circuits_with_wide_gates_compile_where_a_qubit_is_faulty(level):
    circuit = QuantumCircuit(3, 3)
    circuit.ccx(0, 1, 2)
    circuit.measure(range(3), range(3))
    target = build_target(free(basis=("rz", "sx", "x", "cz", "ccx")), calibration(5, faulty=[2], gates=[]))
    compiled = transpile(circuit, target=target, optimization_level=level, seed_transpiler=1)
    assert all(2 not in qubits for _, qubits in used(compiled))


def test_nothing_faulty_leaves_instructions_without_places():
    gates = [GateCalibration(gate="rz", qubits=(0,), values=measured(operational=1, gate_error=0))]
    target = build_target(free(basis=("rz", "sx", "cz", "ccx", "unitary")), calibration(5, gates=gates))
    for name in ("sx", "cz", "ccx", "reset", "delay"):
        assert places(target, name) == {None}
    assert target.instruction_supported("unitary", (4, 0))


def test_faulty_qubits_of_a_device_without_a_size_change_no_places():
    target = build_target(free(None), calibration(3, faulty=[0], gates=[]))
    assert target.num_qubits is None
    assert places(target, "sx") == places(target, "measure") == {None}


def test_control_flow_acts_anywhere_beside_faulty_qubits():
    conf = free(supported_instructions=("rz", "sx", "x", "cz", "measure", "if_else"))
    target = build_target(conf, calibration(5, faulty=[2], gates=[]))
    assert target.instruction_supported("if_else", (0, 2))


def test_calibration_without_qubit_rows_still_tells_of_gates():
    gates = [
        broken("cz", 1, 2),
        GateCalibration(gate="cz", qubits=(0, 1), values=measured(gate_error=0.02, gate_length=70e-9)),
    ]
    target = build_target(line(), BackendProperties(backend_name="line", gates=gates))
    assert places(target, "cz") == {(0, 1), (2, 3)}
    assert (target["cz"][(0, 1)].error, target["cz"][(0, 1)].duration) == (0.02, 70e-9)
    assert places(target, "measure") == {(0,), (1,), (2,), (3,)}
    assert set(target["measure"].values()) == {None}
    assert target.qubit_properties is None


def test_a_faulty_gate_is_left_out_there_only():
    gates = [
        GateCalibration(gate="cz", qubits=(0, 1), values=measured(operational=0, gate_error=0.1)),
        GateCalibration(gate="cz", qubits=(1, 2), values=measured(operational=1, gate_error=0.1)),
    ]
    target = build_target(line(), calibration(gates=gates))
    assert places(target, "cz") == {(1, 2), (2, 3)}
    assert target["cz"][(1, 2)].error == 0.1
    assert target["cz"][(2, 3)] is None


def test_what_the_device_does_not_list_is_not_there():
    assert set(build_target(line(supported_instructions=("cz", "rz", "sx", "measure")), None).operation_names) == {
        "cz",
        "rz",
        "sx",
        "measure",
    }
    assert {"reset", "delay"} <= set(build_target(line(), None).operation_names)


def test_pulse_commands_and_unknown_names_are_left_out():
    conf = line(
        basis_gates=("cz", "rz", "sx", "unheard_of"),
        supported_instructions=("cz", "rz", "sx", "u3", "play", "setf", "acquire", "measure"),
    )
    assert set(build_target(conf, None).operation_names) == {"cz", "rz", "sx", "measure"}


# ------------------------------------------------------------------------------------------- other instructions


def test_control_flow_is_there_where_it_is_listed():
    conf = line(supported_instructions=("cz", "rz", "sx", "measure", "if_else", "for_loop"))
    target = build_target(conf, None)
    assert {"if_else", "for_loop", "break_loop", "continue_loop"} <= set(target.operation_names)
    assert not {"while_loop", "switch_case"} & set(target.operation_names)
    circuit = QuantumCircuit(2, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.cx(0, 1)
    for level in range(4):
        assert transpile(circuit, target=target, optimization_level=level).count_ops()["if_else"] == 1


def test_fractional_gates_are_kept_where_they_are_listed():
    conf = line(basis_gates=("cz", "rz", "sx", "rzz", "rx"))
    assert places(build_target(conf, None), "rzz") == {(0, 1), (1, 2), (2, 3)}


def test_a_gate_of_the_vendors_own_has_the_width_and_meaning_of_its_definition():
    mine = GateConfiguration(name="mine", qasm_def="gate mine a, b { cx b, a; }", coupling_map=((0, 1),))
    turned = GateConfiguration(name="turned", qasm_def="gate turned(x,y) a,b,c { }")
    conf = line(basis_gates=("cz", "mine", "turned"), gates=(mine, turned))
    target = build_target(conf, None)
    gate = target.operation_from_name("mine")
    assert isinstance(gate, Gate)
    assert places(target, "mine") == {(0, 1)}
    reverse = QuantumCircuit(2)
    reverse.append(CXGate(), [1, 0])
    assert Operator(gate.definition) == Operator(reverse)
    assert target.operation_from_name("turned").num_qubits == 3
    assert [p.name for p in target.operation_from_name("turned").params] == ["x", "y"]


def test_a_gate_without_a_readable_definition_is_opaque_on_its_places():
    odd = GateConfiguration(name="odd", qasm_def="gate odd a,b { nonsense a; }", coupling_map=((0, 1),))
    bare = GateConfiguration(name="bare", parameters=("x",), coupling_map=((0, 1, 2),))
    target = build_target(line(basis_gates=("odd", "bare"), gates=(odd, bare)), None)
    assert target.operation_from_name("odd").definition is None
    assert target.operation_from_name("bare").num_qubits == 3
    assert [p.name for p in target.operation_from_name("bare").params] == ["x"]


def test_instructions_by_signature_are_added_and_unreadable_ones_skipped():
    signatures = [
        {"name": "measure_2", "num_qubits": 1, "num_clbits": 1, "parameters": [], "return_type": "bool"},
        {"name": "broken"},
        "text",
    ]
    target = build_target(line(extra={"instruction_signatures": signatures}), None)
    assert target.operation_from_name("measure_2").num_clbits == 1
    assert "broken" not in target.operation_names


# ----------------------------------------------------------------------------------------------- others' tools


@pytest.mark.parametrize("level", range(4))
def test_circuits_compile_at_every_level_and_come_out_right(level):
    target = build_target(line(), calibration())
    circuit = QuantumCircuit(4)
    circuit.h(0)
    for qubit in (3, 1, 2):
        circuit.cx(0, qubit)
    circuit.measure_all()
    compiled = transpile(circuit, target=target, optimization_level=level, seed_transpiler=1)
    assert all(
        target.instruction_supported(i.operation.name, tuple(compiled.find_bit(q).index for q in i.qubits))
        for i in compiled.data
        if i.operation.name != "barrier"
    )
    counts = AerSimulator().run(compiled, shots=500, seed_simulator=1).result().get_counts()
    assert set(counts) == {"0000", "1111"}


def test_aer_makes_a_simulator_and_a_noise_model_of_it():
    target = build_target(line(dt=1e-9), calibration())
    model = NoiseModel.from_backend(Holder(target))
    assert {"cz", "measure"} <= set(model.noise_instructions)
    simulator = AerSimulator.from_backend(Holder(target))
    circuit = QuantumCircuit(4, 1)
    circuit.measure(3, 0)
    ones = simulator.run(circuit, shots=20_000, seed_simulator=2).result().get_counts().get("1", 0)
    assert ones / 20_000 == pytest.approx(0.04, abs=0.01)


@pytest.mark.parametrize("coupled", [True, False])
def test_aer_takes_measurements_of_unknown_error(coupled):
    qubits = [
        QubitCalibration(values=measured(readout_length=1e-6)),
        QubitCalibration(values=measured(readout_length=1e-6, readout_error=0.25)),
        QubitCalibration(),
    ]
    gates = [
        GateCalibration(gate="measure", qubits=(0,), values=measured(gate_length=1e-6)),
        GateCalibration(gate="measure", qubits=(1,), values=measured(gate_error=0.5)),
        GateCalibration(gate="measure", qubits=(2,), values=measured(gate_error=0.125)),
    ]
    conf = line(3) if coupled else free(3)
    target = build_target(conf, BackendProperties(backend_name="line", qubits=qubits))
    assert target["measure"][(0,)] is None
    assert target["measure"][(2,)] is None
    assert (target["measure"][(1,)].error, target["measure"][(1,)].duration) == (0.25, 1e-6)
    NoiseModel.from_backend(Holder(target))
    target = build_target(conf, BackendProperties(backend_name="line", qubits=qubits, gates=gates))
    assert target["measure"][(0,)] is None
    assert [target["measure"][(q,)].error for q in (1, 2)] == [0.25, 0.125]
    NoiseModel.from_backend(Holder(target))
    if coupled:  # Aer's `from_backend` wants a coupling map
        AerSimulator.from_backend(Holder(target))


# ------------------------------------------------------------------------------------ documents that contradict


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"n_qubits": -1}, "n_qubits"),
        ({"n_qubits": 0}, "n_qubits"),
        ({"n_qubits": 10**60}, "n_qubits"),
        ({"gates": (GateConfiguration(name="cz", coupling_map=((2, 7),)),)}, "gates"),
        ({"gates": (GateConfiguration(name="cz", coupling_map=((-1, 0),)),)}, "gates"),
        ({"gates": (GateConfiguration(name="cz", coupling_map=((0, 10**30),)),)}, "gates"),
        ({"gates": (GateConfiguration(name="cz", coupling_map=((0, 1), (2,))),)}, "gates"),
        ({"gates": (), "coupling_map": ((0, 4),)}, "gates"),
    ],
)
def test_places_that_the_device_has_not_are_refused_and_make_no_larger_device(fields, path):
    device = BackendConfiguration(
        **{"backend_name": "odd", "n_qubits": 4, "basis_gates": ("rz", "cz"), "coupling_map": ((0, 1),), **fields}
    )
    with pytest.raises(ResponseError, match="The documents of odd .*cannot be right") as caught:
        build_target(device, None)
    assert caught.value.path == path


def test_a_calibrated_place_beyond_the_device_is_refused():
    device = BackendConfiguration(backend_name="odd", n_qubits=2, basis_gates=("cz",), coupling_map=((0, 1),))
    known = BackendProperties(
        backend_name="odd", gates=(GateCalibration(gate="cz", qubits=(1, 2), values=measured(gate_error=0.1)),)
    )
    with pytest.raises(ResponseError, match="cz on qubits 1 to 2"):
        build_target(device, known)

"""Calibration: readers in SI units, structured when first read."""

import json
import pickle
from datetime import UTC, datetime

import pytest

from qprovider_core.errors import InvalidInputError, ResponseError
from qprovider_core.records import (
    BackendProperties,
    GateCalibration,
    Measured,
    PropertiesContent,
    QubitCalibration,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def measured(**values):
    return {name: Measured(value, NOON) for name, value in values.items()}


QUBITS = [
    QubitCalibration(
        values=measured(T1=1e-4, T2=5e-5, frequency=5e9, anharmonicity=-3e8, readout_error=0.01, readout_length=7e-7)
    ),
    QubitCalibration(values=measured(T1=2e-4, readout_error=0.03, operational=0)),
    QubitCalibration(values=measured(readout_error=0.02, operational=1)),
    QubitCalibration(),
]
GATES = [
    GateCalibration(gate="cx", qubits=(0, 2), values=measured(gate_error=0.01, gate_length=3e-7)),
    GateCalibration(gate="cx", qubits=(0, 3), values=measured(gate_error=0.03, operational=0)),
    GateCalibration(gate="cx", qubits=(0, 1), values=measured(gate_error=0.04)),
    GateCalibration(gate="cx", qubits=(2, 3), values=measured(gate_error=1)),
    GateCalibration(gate="rzz", qubits=(0, 1), values=measured(gate_error=0.5)),
    GateCalibration(gate="sx", qubits=(0,), values=measured(gate_error=0.001)),
    GateCalibration(gate="sx", qubits=(1,)),
]


@pytest.fixture
def properties():
    return BackendProperties(
        backend_name="belem",
        backend_version="1.2",
        last_update=NOON,
        qubits=QUBITS,
        gates=GATES,
        general=measured(lf_4=0.1),
    )


def test_qubit_readers_answer_in_si_units(properties):
    assert properties.t1(0) == 1e-4
    assert properties.t2(0) == 5e-5
    assert properties.frequency(0) == 5e9
    assert properties.anharmonicity(0) == -3e8
    assert properties.readout_error(0) == 0.01
    assert properties.readout_length(0) == 7e-7
    assert properties.t2(1) is None
    assert properties.qubit_property(0, "T1") == Measured(1e-4, NOON)
    assert properties.qubit_property(1).keys() == {"T1", "readout_error", "operational"}
    assert properties.qubit_property(3, "T1") is None


def test_gate_readers_answer_in_si_units(properties):
    assert properties.gate_error("cx", (0, 2)) == 0.01
    assert properties.gate_error("cx", [0, 2]) == 0.01
    assert properties.gate_length("cx", (0, 2)) == 3e-7
    assert properties.gate_error("cx", (2, 0)) is None
    assert properties.gate_error("sx", 0) == 0.001
    assert properties.gate_length("sx", 0) is None
    assert properties.gate_property("sx", 0) == measured(gate_error=0.001)
    assert properties.gate_property("sx", 0, "gate_error").measured_at == NOON
    assert properties.gate_property("sx", 9) is None


def test_faulty_parts_are_those_marked_so(properties):
    assert properties.faulty_qubits() == [1]
    assert properties.is_qubit_operational(0)
    assert not properties.is_qubit_operational(1)
    assert [(gate.gate, gate.qubits) for gate in properties.faulty_gates()] == [("cx", (0, 3))]
    assert properties.is_gate_operational("no such gate", (0,))


def test_medians_are_over_working_calibrated_parts(properties):
    # One cx pair is faulty, one has a faulty qubit, one is not calibrated (its error is 1).
    assert properties.median_two_qubit_error == 0.01
    assert properties.median_readout_error == 0.02
    assert BackendProperties(backend_name="a").median_two_qubit_error is None
    assert BackendProperties(backend_name="a").median_readout_error is None


@pytest.mark.parametrize("qubit", [-1, 4, True, "0", 1.0])
def test_a_qubit_that_is_not_there_is_an_error(properties, qubit):
    with pytest.raises(InvalidInputError, match="belem has no calibrated qubit") as caught:
        properties.t1(qubit)
    assert "0 to 3" in caught.value.hint
    with pytest.raises(InvalidInputError) as caught:
        BackendProperties(backend_name="a").t1(0)
    assert caught.value.hint is None


def test_properties_survive_json_and_pickle(properties):
    told = json.loads(json.dumps(properties.to_dict()))
    assert BackendProperties.from_dict(told) == properties
    assert pickle.loads(pickle.dumps(properties)) == properties
    assert properties != BackendProperties(backend_name="belem", last_update=NOON)
    assert properties != "belem"
    assert BackendProperties.from_dict({"backend_name": "a"}) == BackendProperties(backend_name="a")


def test_content_is_structured_at_first_access_and_once():
    loads = []

    def load():
        loads.append(1)
        return PropertiesContent(qubits=tuple(QUBITS), gates=tuple(GATES), general=measured(lf=0.1))

    properties = BackendProperties.deferred(load, backend_name="belem", backend_version="1", last_update=NOON)
    assert repr(properties) == "BackendProperties(belem 1, calibrated 2026-03-01T12:00:00+00:00)"
    assert properties.last_update_date == NOON
    assert loads == []
    assert properties.t1(0) == 1e-4
    assert properties.gate_error("sx", 0) == 0.001
    assert properties.general["lf"].value == 0.1
    assert len(properties.qubits) == 4
    assert loads == [1]
    again = pickle.loads(pickle.dumps(properties))
    assert again.t1(0) == 1e-4


def test_deferred_properties_are_equal_to_plain_ones_and_hashable(properties):
    deferred = BackendProperties.deferred(
        lambda: PropertiesContent(qubits=tuple(QUBITS), gates=tuple(GATES), general=measured(lf_4=0.1)),
        backend_name="belem",
        backend_version="1.2",
        last_update=NOON,
    )
    assert deferred == properties
    assert len({deferred}) == 1


def test_damaged_content_is_an_error_with_its_path_when_it_is_read():
    data = {"backend_name": "a", "qubits": [{"values": {"T1": {"value": 1}}}, {"values": {"T1": {"value": "1"}}}]}
    properties = BackendProperties.from_dict(data)
    for _ in range(2):
        with pytest.raises(ResponseError) as caught:
            properties.t1(0)
        assert caught.value.path == "qubits[1].values['T1'].value"


@pytest.mark.parametrize(
    "data", [{}, {"backend_name": 5}, {"backend_name": "a", "last_update": "2026-01-01"}, [], None, "text"]
)
def test_a_damaged_head_is_an_error_at_once(data):
    with pytest.raises(ResponseError):
        BackendProperties.from_dict(data)


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="aware"):
        BackendProperties(backend_name="a", last_update=datetime(2026, 1, 1))
    assert "unknown time" in repr(BackendProperties(backend_name="a"))

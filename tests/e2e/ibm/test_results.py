"""Results as `Result` of Qiskit: names of circuits in another process, kerneled data, dictionaries."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.exceptions import QiskitError
from qiskit.result import Result
from qiskit.result.models import MeasLevel, MeasReturnType

from qprovider_core.errors import CircuitError


@pytest.fixture
def simulator(provider):
    return provider.get_backend("ibmq_qasm_simulator")


def prepared(name: str, value: int) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2, name=name, metadata={"value": value})
    for qubit in range(2):
        if value >> qubit & 1:
            circuit.x(qubit)
    circuit.measure([0, 1], [0, 1])
    return circuit


# ------------------------------------------------------------------------------- a job of another process


def test_a_retrieved_result_finds_experiments_by_circuit_and_by_name(provider, simulator, emulator, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER_CIRCUITS", "off")
    one, two = prepared("one", 1), prepared("two", 2)
    sent = simulator.run([one, two], shots=10)
    sent.result()
    result = provider.retrieve_job(sent.job_id()).result()
    emulator.clear_requests()
    assert result.get_counts(0) == {"01": 10}
    assert emulator.requests() == []  # names are not fetched before they are needed
    assert result.get_counts("two") == {"10": 10}
    assert result.get_counts(one) == {"01": 10}
    assert result.get_memory(two) == ["10"] * 10
    assert [experiment.header["metadata"] for experiment in result.results] == [{"value": 1}, {"value": 2}]
    assert len(emulator.requests()) == 1
    with pytest.raises(QiskitError, match="could not be found"):
        result.get_counts("three")
    for travelled in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert travelled.get_counts("two") == {"10": 10}


def test_a_private_result_has_no_names_to_find(provider, simulator, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER_CIRCUITS", "off")
    sent = simulator.run(prepared("one", 1), shots=10, private=True)
    sent.wait_for_final_state()
    result = provider.retrieve_job(sent.job_id()).result()
    with pytest.raises(QiskitError, match="could not be found"):
        result.get_counts("one")
    assert result.get_counts() == {"01": 10}


# --------------------------------------------------------------------------------------------- kerneled data


@pytest.mark.parametrize(("kept", "shape"), [("avg", (2,)), ("single", (7, 2))])
def test_kerneled_experiments_have_no_counts_and_say_so(provider, kept, shape):
    backend = provider.get_backend("ibmq_belem")
    circuit = transpile(prepared("one", 1), backend)
    job = backend.run([circuit, circuit], shots=7, meas_level=1, meas_return=kept)
    result: Any = job.result()
    for experiment in result.results:
        assert experiment.meas_level is MeasLevel.KERNELED
        assert experiment.meas_return is (MeasReturnType.AVERAGE if kept == "avg" else MeasReturnType.SINGLE)
        assert experiment.shots == 7
        assert (experiment.header["creg_sizes"], experiment.header["memory_slots"]) == ([["c", 2]], 2)
        assert not hasattr(experiment.data, "counts")
    assert result.get_memory(1).shape == shape
    assert result.data(0).keys() == {"memory"}
    again = Result.from_dict(result.to_dict())  # Qiskit's own reading of the same
    assert np.array_equal(again.get_memory(1), result.get_memory(1))
    assert copy.deepcopy(result).get_memory(0).shape == shape


def test_kerneled_data_of_a_composite_job_stands_beside_what_failed(provider, emulator):
    backend = provider.get_backend("ibmq_belem")
    circuit = transpile(prepared("one", 1), backend)
    emulator.fault("job_fails", times=1)
    job = backend.run([circuit] * 4, shots=7, meas_level=1, max_circuits_per_job=2)
    result: Any = job.result(partial=True)
    assert result.get_memory(3).shape == (2,)
    assert result.results[3].meas_level is MeasLevel.KERNELED
    with pytest.raises(QiskitError, match="circuit 0 has no result"):
        result.get_memory(0)
    with pytest.raises(QiskitError, match="has no result"):
        result.get_memory()


# ---------------------------------------------------------------------------------------------- dictionaries


def test_a_result_comes_back_from_its_dictionary(simulator):
    result = simulator.run(prepared("one", 1), shots=10).result()
    again = type(result).from_dict(result.to_dict())
    assert again.get_counts("one") == {"01": 10}
    assert again.get_memory() == result.get_memory()


# ----------------------------------------------------------------------------------------------- observables


def test_projectors_are_refused_with_what_to_write_instead(simulator):
    with pytest.raises(CircuitError, match="not 2 of the letters I, X, Y, Z") as caught:
        simulator.estimator().run([(QuantumCircuit(2), "0+")])
    assert "sums of Paulis" in str(caught.value)
    assert "layout" not in str(caught.value)

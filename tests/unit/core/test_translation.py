"""Transpiling for a backend with a faulty qubit: every level works, or says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.transpiler import TranspilerError

import qprovider_core as qp
from qprovider_core._backend import Backend

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAIRS = ((0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2))


class Line:
    """Four qubits in a row, of which the second is faulty."""

    @qp.hookimpl
    def qprovider_provider(self) -> qp.ProviderSpec:
        return qp.ProviderSpec(name="line", title="Line")

    @qp.hookimpl
    def qprovider_open_account(self) -> Line:
        return self

    @qp.hookimpl
    def qprovider_list_backends(self) -> list[qp.BackendInfo]:
        return [qp.BackendInfo(name="row", num_qubits=4)]

    @qp.hookimpl
    def qprovider_backend_configuration(self) -> qp.BackendConfiguration:
        return qp.BackendConfiguration(
            backend_name="row", n_qubits=4, basis_gates=("rz", "sx", "x", "cx"), coupling_map=PAIRS
        )

    @qp.hookimpl
    def qprovider_backend_properties(self) -> qp.BackendProperties:
        def values(**numbers: float) -> dict[str, qp.Measured]:
            return {name: qp.Measured(number, NOW) for name, number in numbers.items()}

        singles = [(name, (q,)) for name in ("rz", "sx", "x") for q in range(4)]
        return qp.BackendProperties(
            backend_name="row",
            qubits=[
                qp.QubitCalibration(values=values(operational=float(q != 1), readout_error=0.01)) for q in range(4)
            ],
            gates=[
                qp.GateCalibration(gate=name, qubits=qubits, values=values(gate_error=0.001 * len(qubits)))
                for name, qubits in [*singles, *(("cx", place) for place in PAIRS)]
            ],
        )


@pytest.fixture
def row() -> Iterator[Backend]:
    qp.register_plugin(Line(), "line")
    yield qp.get_backend("line:row")
    qp.unregister_plugin("line")


def single() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.x(1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def pair() -> QuantumCircuit:
    circuit = single()
    circuit.cx(0, 1)
    return circuit


def qubits_of(circuit: QuantumCircuit) -> set[int]:
    return {circuit.find_bit(qubit).index for step in circuit.data for qubit in step.qubits}


@pytest.mark.parametrize("make", [single, pair])
@pytest.mark.parametrize("level", [None, 1, 2, 3])
def test_the_handles_transpile_chooses_qubits_that_work(
    row: Backend, make: Callable[[], QuantumCircuit], level: int | None
) -> None:
    assert 1 not in qubits_of(row.transpile(make(), optimization_level=level, seed_transpiler=5))


@pytest.mark.parametrize(("make", "level"), [(pair, 1), (pair, 2), (pair, 3), (single, 2), (single, 3)])
def test_qiskits_own_transpile_chooses_qubits_that_work(
    row: Backend, make: Callable[[], QuantumCircuit], level: int
) -> None:
    assert 1 not in qubits_of(transpile(make(), row, optimization_level=level, seed_transpiler=5))


@pytest.mark.parametrize("level", [0, 1])  # where it does not look at what the qubits can do
def test_qiskits_own_transpile_says_which_qubit_is_faulty(row: Backend, level: int) -> None:
    with pytest.raises(TranspilerError) as caught:
        transpile(single(), row, optimization_level=level)
    assert isinstance(caught.value, qp.CircuitError)
    assert "qubit 1, which its calibration marks as faulty" in str(caught.value)
    assert "backend.transpile(circuit)" in str(caught.value)


@pytest.mark.parametrize("make", [single, pair])
def test_at_level_0_the_handles_transpile_says_which_qubit_is_faulty(
    row: Backend, make: Callable[[], QuantumCircuit]
) -> None:
    with pytest.raises(qp.CircuitError, match="faulty") as caught:
        row.transpile(make(), optimization_level=0)
    assert "qubit" in str(caught.value)


def test_running_on_a_faulty_qubit_is_refused_with_its_number(row: Backend) -> None:
    with pytest.raises(qp.CircuitError, match="uses qubit 1, which line:row reports as faulty"):
        row.run(single())


def test_a_circuit_that_is_too_wide_is_refused_before_it_is_transpiled(row: Backend) -> None:
    wide = QuantumCircuit(5, 5)
    wide.measure_all()
    with pytest.raises(qp.CircuitError, match="has 5 qubits; line:row has 4"):
        row.transpile(wide)

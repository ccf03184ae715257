"""Circuits made ready for a simulator: the vendor's own instructions named plainly, independent parts apart."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, Measure, Reset

from qprovider_ibm.emulator._variables import computes

# The second kinds of measurement and reset do the same as the first ones.
_TWINS: Mapping[str, type] = {"measure_2": Measure, "reset_2": Reset}
# Fewer active qubits than this are quick to simulate together.
_WORTH_PARTING = 8


def with_plain_names(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with standard instructions instead of the vendor's own ones."""
    if not any(item.operation.name in _TWINS or isinstance(item.operation, ControlFlowOp) for item in circuit.data):
        return circuit
    plain = circuit.copy_empty_like()
    for item in circuit.data:
        operation = item.operation
        if operation.name in _TWINS:
            item = item.replace(operation=_TWINS[operation.name]())
        elif isinstance(operation, ControlFlowOp):
            item = item.replace(operation=operation.replace_blocks([with_plain_names(b) for b in operation.blocks]))
        plain._append(item)
    return plain


def active_qubits(circuit: QuantumCircuit) -> int:
    """How many qubits Aer has to simulate."""
    if circuit.has_control_flow_op() and computes(circuit):
        return int(circuit.num_qubits)  # there Aer has every qubit take part in a store
    used = {qubit for item in circuit.data if item.operation.name not in ("barrier", "delay") for qubit in item.qubits}
    return len(used)


@attrs.frozen
class Part:
    """A circuit whose outcomes depend on no other part.

    Attributes:
        circuit: On the qubits of the whole one, since noise knows them by number.
        clbits: Places in the whole circuit of its classical bits.
    """

    circuit: QuantumCircuit
    clbits: tuple[int, ...]


def independent_parts(circuit: QuantumCircuit) -> list[Part]:
    """The circuit in parts that share neither gates nor classical bits; in one where that is not worth it."""
    whole = [Part(circuit, tuple(range(circuit.num_clbits)))]
    if active_qubits(circuit) < _WORTH_PARTING or circuit.has_control_flow_op() or computes(circuit):
        return whole
    qubit_of = {qubit: place for place, qubit in enumerate(circuit.qubits)}
    clbit_of = {clbit: circuit.num_qubits + place for place, clbit in enumerate(circuit.clbits)}
    root = list(range(circuit.num_qubits + circuit.num_clbits))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    items = [item for item in circuit.data if item.operation.name != "barrier"]
    for item in items:
        places = [*(qubit_of[qubit] for qubit in item.qubits), *(clbit_of[clbit] for clbit in item.clbits)]
        for place in places[1:]:
            root[find(place)] = find(places[0])
    grouped: dict[int, list[int]] = {}
    for clbit in range(circuit.num_clbits):
        grouped.setdefault(find(circuit.num_qubits + clbit), []).append(clbit)
    parts = {
        group: QuantumCircuit(circuit.qubits, [circuit.clbits[place] for place in clbits])
        for group, clbits in grouped.items()
    }
    for item in items:
        if item.qubits and (group := find(qubit_of[item.qubits[0]])) in parts:  # the others are never measured
            parts[group]._append(item)
    # Classical bits that nothing writes stay 0.
    return [Part(parts[group], tuple(clbits)) for group, clbits in grouped.items() if parts[group].data] or whole

"""What the good vendor's machines do: circuits of a few qubits, shot by shot, branching where something is measured.

All shots that have seen the same outcomes share one state, so 200 shots cost little more than one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Clbit, Qubit

_IDLE = {"barrier", "delay", "id"}


class _Branch(NamedTuple):
    """The shots that have seen the same outcomes: their state, one axis a qubit; their classical bits; their number."""

    state: NDArray[np.complex128]
    bits: int
    shots: int


def sample(circuit: QuantumCircuit, shots: int, rng: np.random.Generator) -> list[list[int]]:
    """For each classical register, in the circuit's order, the number that each shot left in it."""
    used = sorted({circuit.find_bit(bit).index for item in circuit.data for bit in item.qubits})
    axes = {circuit.qubits[index]: axis for axis, index in enumerate(used)}
    places = {bit: place for place, bit in enumerate(circuit.clbits)}
    state = np.zeros((2,) * len(used), dtype=complex)
    state[(0,) * len(used)] = 1
    branches = _play(circuit, axes, places, [_Branch(state, 0, shots)], rng)
    outcomes = np.repeat(np.array([one.bits for one in branches], dtype=object), [one.shots for one in branches])
    rng.shuffle(outcomes)  # a machine does not sort its shots
    told = []
    for register in circuit.cregs:
        wires = [places[bit] for bit in register]
        told.append([sum((int(bits) >> wire & 1) << at for at, wire in enumerate(wires)) for bits in outcomes])
    return told


def _play(
    circuit: QuantumCircuit,
    axes: Mapping[Qubit, int],
    places: Mapping[Clbit, int],
    branches: list[_Branch],
    rng: np.random.Generator,
) -> list[_Branch]:
    for item in circuit.data:
        operation, wires = item.operation, [axes[qubit] for qubit in item.qubits]
        if operation.name in _IDLE:
            continue
        if operation.name == "measure":
            branches = [half for one in branches for half in _measured(one, wires[0], places[item.clbits[0]], rng)]
        elif operation.name == "reset":
            branches = [half for one in branches for half in _reset(one, wires[0], rng)]
        elif operation.name == "if_else":
            played: list[_Branch] = []
            for one in branches:
                block = operation.blocks[0 if _holds(operation.condition, places, one.bits) else 1 :][:1]
                inner = [one]
                for body in block:
                    body_axes = dict(zip(body.qubits, wires, strict=True))
                    body_places = {bit: places[outer] for bit, outer in zip(body.clbits, item.clbits, strict=True)}
                    inner = _play(body, body_axes, body_places, inner, rng)
                played += inner
            branches = played
        else:
            matrix = operation.to_matrix()
            branches = [one._replace(state=_applied(matrix, one.state, wires)) for one in branches]
    return branches


def _holds(condition: tuple[Any, int], places: Mapping[Clbit, int], bits: int) -> bool:
    wires = [condition[0]] if isinstance(condition[0], Clbit) else list(condition[0])
    return sum((bits >> places[wire] & 1) << at for at, wire in enumerate(wires)) == condition[1]


def _applied(
    matrix: NDArray[np.complex128], state: NDArray[np.complex128], wires: Sequence[int]
) -> NDArray[np.complex128]:
    size = len(wires)
    gate = matrix.reshape((2,) * (2 * size))
    # Qiskit's matrices count the first qubit as the lowest bit, which is the last axis here.
    inputs = [2 * size - 1 - at for at in range(size)]
    moved = np.tensordot(gate, state, axes=(inputs, list(wires)))
    return np.moveaxis(moved, [size - 1 - at for at in range(size)], list(wires))


def _measured(one: _Branch, axis: int, place: int | None, rng: np.random.Generator) -> list[_Branch]:
    """The branch as the shots that gave 0 and those that gave 1; `place` is None where nobody writes it down."""
    index = [slice(None)] * one.state.ndim
    index[axis] = slice(1, 2)
    chance = float(min(1.0, np.sum(np.abs(one.state[tuple(index)]) ** 2)))
    chance = round(chance, 9)  # what is certain stays certain
    ones = int(rng.binomial(one.shots, chance))
    halves = []
    for outcome, shots, weight in ((0, one.shots - ones, 1 - chance), (1, ones, chance)):
        if shots:
            state = np.zeros_like(one.state)
            index[axis] = slice(outcome, outcome + 1)
            state[tuple(index)] = one.state[tuple(index)] / np.sqrt(weight)
            bits = one.bits if place is None else one.bits & ~(1 << place) | outcome << place
            halves.append(_Branch(state, bits, shots))
    return halves


def _reset(one: _Branch, axis: int, rng: np.random.Generator) -> list[_Branch]:
    halves = _measured(one, axis, None, rng)
    low: list[Any] = [slice(None)] * one.state.ndim
    high = low.copy()
    low[axis], high[axis] = slice(0, 1), slice(1, 2)
    for half in halves:
        half.state[tuple(low)] += half.state[tuple(high)]  # one of the two is empty
        half.state[tuple(high)] = 0
    return halves

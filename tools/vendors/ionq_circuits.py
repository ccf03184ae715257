"""Circuits as IonQ's API takes them (`ionq.circuit.v1`, gate set `qis`), evaluated to the probabilities of outcomes.

Qubit 0 is the lowest bit of an outcome. Small and slow; up to some twelve qubits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]

_SMALLEST = 1e-12  # a probability below it is rounding

_I = np.eye(2, dtype=complex)
_X = np.array([[0, 1], [1, 0]], dtype=complex)
_Y = np.array([[0, -1j], [1j, 0]])
_Z = np.diag([1, -1]).astype(complex)
_H = (_X + _Z) / np.sqrt(2)
_V = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2  # the square root of X
_PAULIS: Mapping[str, Matrix] = {"I": _I, "X": _X, "Y": _Y, "Z": _Z}


def _phase(angle: float) -> Matrix:
    return np.diag([1, np.exp(1j * angle)])


def _turn(generator: Matrix, angle: float) -> Matrix:
    """exp(-i angle/2 generator), of one whose square is 1."""
    return np.cos(angle / 2) * np.eye(len(generator)) - 1j * np.sin(angle / 2) * generator


_FIXED: Mapping[str, Matrix] = {
    "x": _X, "not": _X, "y": _Y, "z": _Z, "h": _H, "v": _V, "vi": _V.conj().T,
    "s": _phase(np.pi / 2), "si": _phase(-np.pi / 2), "t": _phase(np.pi / 4), "ti": _phase(-np.pi / 4),
    "swap": np.eye(4, dtype=complex)[[0, 2, 1, 3]],
}  # fmt: skip
_TURNED: Mapping[str, Callable[[float], Matrix]] = {
    "z": _phase,  # what Qiskit calls p
    "rx": lambda angle: _turn(_X, angle),
    "ry": lambda angle: _turn(_Y, angle),
    "rz": lambda angle: _turn(_Z, angle),
    "xx": lambda angle: _turn(np.kron(_X, _X), angle),
    "yy": lambda angle: _turn(np.kron(_Y, _Y), angle),
    "zz": lambda angle: _turn(np.kron(_Z, _Z), angle),
}


def probabilities(circuit: Sequence[Mapping[str, Any]], qubits: int) -> dict[str, float]:
    """Outcome, as a decimal number, to its probability; those that cannot be are left out.

    Raises:
        ValueError: A gate is none of the set.
    """
    state = np.zeros([2] * qubits, dtype=complex)
    state[(0,) * qubits] = 1
    for gate in circuit:
        state = _applied(state, gate)
    found = np.abs(state.reshape(-1)) ** 2
    found /= found.sum()
    return {str(outcome): float(found[outcome]) for outcome in np.flatnonzero(found > _SMALLEST)}


def _applied(state: Matrix, gate: Mapping[str, Any]) -> Matrix:
    name = gate["gate"]
    targets = [int(one) for one in gate.get("targets") or [gate["target"]]]
    controls = [int(one) for one in gate.get("controls") or ()]
    if name == "pauliexp":
        for term, coefficient in zip(gate["terms"], gate["coefficients"], strict=True):
            matrix = np.eye(1)
            for letter in term:  # the last target's first
                matrix = np.kron(matrix, _PAULIS[letter])
            state = _acted(state, _turn(matrix, 2 * coefficient * gate["time"]), targets, controls)
        return state
    if gate.get("rotation") is not None and name in _TURNED:
        return _acted(state, _TURNED[name](float(gate["rotation"])), targets, controls)
    if name not in _FIXED:
        raise ValueError(f"there is no gate {name!r} in the set qis")
    return _acted(state, _FIXED[name], targets, controls)


def _acted(state: Matrix, matrix: Matrix, targets: list[int], controls: list[int]) -> Matrix:
    """A matrix on its targets, the first of them its lowest bit, where all controls are 1."""
    qubits = state.ndim
    # Axis 0 is the highest qubit. Controls and targets are brought to the front, the last target first.
    axes = [qubits - 1 - one for one in (*controls, *reversed(targets))]
    front = np.moveaxis(state, axes, range(len(axes))).copy()
    part = front[(1,) * len(controls)]
    front[(1,) * len(controls)] = (matrix @ part.reshape(len(matrix), -1)).reshape(part.shape)
    return np.moveaxis(front, range(len(axes)), axes)

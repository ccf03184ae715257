"""A device's noise where a circuit acts. Imports Aer.

`NoiseModel.from_backend` works out every gate on every qubit, some 20 s for 156 qubits. It is given a target
that knows only the places which circuits use, and its models are kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import InstructionProperties, Target
from qiskit_aer.noise import NoiseModel

from qprovider_ibm.emulator import _snapshots
from qprovider_ibm.emulator._isa import target_of

Place = tuple[str, tuple[int, ...]]


def used_places(circuits: Iterable[QuantumCircuit]) -> frozenset[Place]:
    """Names of instructions and the qubits they act on."""
    found: set[Place] = set()
    for circuit in circuits:
        _add_places(circuit, range(circuit.num_qubits), found)
    return frozenset(found)


def _add_places(circuit: QuantumCircuit, qubits: Sequence[int], found: set[Place]) -> None:
    place_of = dict(zip(circuit.qubits, qubits, strict=True))
    for instruction in circuit.data:
        here = tuple(place_of[qubit] for qubit in instruction.qubits)
        found.add((instruction.operation.name, here))
        if isinstance(instruction.operation, ControlFlowOp):
            for block in instruction.operation.blocks:
                _add_places(block, here, found)


@lru_cache(maxsize=64)
def noise_model(source: str, places: frozenset[Place]) -> NoiseModel:
    """The noise of the device at these places; elsewhere there is none."""
    whole = target_of(source)
    part = Target(num_qubits=whole.num_qubits, dt=whole.dt, qubit_properties=whole.qubit_properties)
    kept: dict[str, dict[tuple[int, ...], Any]] = {}
    for name, here in sorted(places):
        known = whole[name] if name in whole.operation_names else None
        if known and here in known:
            kept.setdefault(name, {})[here] = known[here]
    if "measure" in kept:
        told = _snapshots.properties(source)["qubits"]
        kept["measure"] = {here: _Readout(known, told[here[0]]) for here, known in kept["measure"].items()}
    for name, properties in kept.items():
        part.add_instruction(whole.operation_from_name(name), properties, name=name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of devices without some value: their users can do nothing about it
        return NoiseModel.from_backend(_Part(part))


class _Readout(InstructionProperties):  # type: ignore[misc]  # Qiskit has no types
    """What is known of a measurement; Aer reads from it how often ones, and how often zeros are mistaken."""

    def __new__(cls, known: Any, told: Sequence[Mapping[str, Any]]) -> _Readout:
        made: _Readout = super().__new__(
            cls, duration=None if known is None else known.duration, error=None if known is None else known.error
        )
        return made

    def __init__(self, known: Any, told: Sequence[Mapping[str, Any]]) -> None:
        values = {entry["name"]: float(entry["value"]) for entry in told}
        if {"prob_meas0_prep1", "prob_meas1_prep0"} <= set(values):
            self.prob_meas0_prep1 = values["prob_meas0_prep1"]
            self.prob_meas1_prep0 = values["prob_meas1_prep0"]

    def __deepcopy__(self, memo: dict[int, Any]) -> _Readout:
        return self  # Aer copies the model of every circuit with delays, and never changes these


class _Part(BackendV2):  # type: ignore[misc]  # Qiskit has no types
    """A part of a device, in the form that `NoiseModel.from_backend` reads."""

    def __init__(self, target: Target) -> None:
        super().__init__(name="part")
        self._target = target

    @property
    def target(self) -> Target:
        return self._target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input: object, **options: object) -> None:
        raise NotImplementedError

"""Noise of a device's twin, worked out for the gates that circuits use. Runs in the worker; imports Aer.

`NoiseModel.from_backend` works out every gate on every qubit: 6 to 21 CPU seconds for 156 qubits. The errors
of one gate at one place depend on nothing but the device's values there, so those of the places that
circuits touch, worked out once each, make a model that samples the same outcomes.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import Target
from qiskit_aer.noise import NoiseModel
from qiskit_aer.noise.device import basic_device_gate_errors

from qprovider_core._target import build_target
from qprovider_core.qiskit_schema import configuration_from_document, properties_from_document
from qprovider_local._snapshots import read_document

Place = tuple[str, tuple[int, ...]]
_KEPT_MODELS = 32


def places_of(circuits: Iterable[QuantumCircuit]) -> frozenset[Place]:
    """Names of the instructions that circuits use, each with the qubits it acts on."""
    places: set[Place] = set()
    for circuit in circuits:
        _collect(circuit, range(circuit.num_qubits), places)
    return frozenset(places)


def _collect(circuit: QuantumCircuit, qubits: Sequence[int], places: set[Place]) -> None:
    index = dict(zip(circuit.qubits, qubits, strict=True))
    for instruction in circuit.data:
        operation = instruction.operation
        here = tuple(index[qubit] for qubit in instruction.qubits)
        places.add((operation.name, here))
        if operation.label:  # Aer looks errors up by label first
            places.add((operation.label, here))
        if isinstance(operation, ControlFlowOp):
            for block in operation.blocks:
                _collect(block, here, places)


class Device:
    """One device's target, and the errors and noise models made of it so far."""

    def __init__(self, configuration_path: str, properties_path: str) -> None:
        self.target = build_target(
            configuration_from_document(read_document(Path(configuration_path))),
            properties_from_document(read_document(Path(properties_path))),
        )
        self._errors: dict[Place, Any] = {}
        self._models: OrderedDict[frozenset[Place], NoiseModel] = OrderedDict()

    def noise_model(self, places: frozenset[Place]) -> NoiseModel:
        """The device's noise at `places`; elsewhere none."""
        known = frozenset(place for place in places if self._has(place))
        model = self._models.get(known)
        if model is None:
            model = self._models[known] = self._build(known)
            if len(self._models) > _KEPT_MODELS:
                self._models.popitem(last=False)
        self._models.move_to_end(known)
        return model

    def _has(self, place: Place) -> bool:
        name, qubits = place
        return name in self.target.operation_names and qubits in (self.target[name] or ())

    def _build(self, places: frozenset[Place]) -> NoiseModel:
        gates = {place for place in places if place[0] != "measure"}
        missing = gates - self._errors.keys()
        found = dict.fromkeys(missing)
        for name, qubits, error in basic_device_gate_errors(target=self._part(missing)):
            found[name, tuple(qubits)] = error
        self._errors.update(found)
        # Without gates, Aer still gives what is not of a gate: readout errors, and relaxation in delays.
        backend = _Part(self._part(places - gates), self.target.operation_names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a device without T1 and T2: nothing anybody could do about it
            model = NoiseModel.from_backend(backend)
        for name, qubits in sorted(gates):
            error = self._errors[name, qubits]
            if error is not None:
                model.add_quantum_error(error, name, qubits, warnings=False)
        return model

    def _part(self, places: Iterable[Place]) -> Target:
        """The target with only these places, its qubits numbered as before."""
        part = Target(
            num_qubits=self.target.num_qubits,
            dt=self.target.dt,
            qubit_properties=self.target.qubit_properties,
        )
        by_name: dict[str, dict[tuple[int, ...], Any]] = {}
        for name, qubits in sorted(places):
            by_name.setdefault(name, {})[qubits] = self.target[name][qubits]
        for name, properties in by_name.items():
            part.add_instruction(self.target.operation_from_name(name), properties, name=name)
        return part


class _Part(BackendV2):  # type: ignore[misc]  # Qiskit has no types
    """A part of a device, as `NoiseModel.from_backend` wants to see it."""

    def __init__(self, target: Target, operation_names: Iterable[str]) -> None:
        super().__init__(name="part")
        self._target = target
        self._names = list(operation_names)

    @property
    def target(self) -> Target:
        return self._target

    @property
    def operation_names(self) -> list[str]:
        return self._names  # of the whole device: they become the noise model's basis gates

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input: object, **options: object) -> None:
        raise NotImplementedError


@lru_cache(maxsize=16)
def device(configuration_path: str, properties_path: str) -> Device:
    """The device of these documents, read once a process."""
    return Device(configuration_path, properties_path)

"""Whether a circuit can run on a backend as it is. Imports Qiskit."""

from __future__ import annotations

import keyword
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, ParameterExpression
from qiskit.transpiler import Target

from qprovider_core import build_target
from qprovider_core.qiskit_schema import configuration_from_document, properties_from_document
from qprovider_ibm.emulator import _snapshots

MISMATCH = 1517
_SLACK = 1e-10  # rounding of angles
_ANYWHERE = {"barrier", "store"}


class JobError(Exception):
    """A job cannot run; what the service would say of it."""

    def __init__(self, message: str, *, code: int = 9999, solution: str = "Correct the input.") -> None:
        super().__init__(message)
        self.code = code
        self.solution = solution


@lru_cache(maxsize=8)
def target_of(source: str, faulty: tuple[int, ...] = ()) -> Target:
    """The target of a device, with its fractional gates."""
    properties = _snapshots.properties(source, faulty_qubits=faulty)
    return build_target(
        configuration_from_document(_snapshots.configuration(source)),
        properties_from_document(properties) if properties else None,
    )


def check_circuit(circuit: QuantumCircuit, source: str, faulty: tuple[int, ...] = ()) -> None:
    """Check that every instruction is one of the backend's.

    Raises:
        JobError: One is not.
    """
    size = _snapshots.configuration(source)["n_qubits"]
    if circuit.num_qubits > size:
        raise _mismatch(f"The circuit has {circuit.num_qubits} qubits but the target system requires {size} qubits.")
    if source == _snapshots.SIMULATOR:
        _check_names(circuit)
    else:
        _check_places(circuit, range(circuit.num_qubits), target_of(source, faulty), frozenset(faulty))


def _check_names(circuit: QuantumCircuit) -> None:
    known = set(_snapshots.configuration(_snapshots.SIMULATOR)["supported_instructions"])
    for instruction in circuit.data:
        operation = instruction.operation
        if operation.name not in known and operation.name not in _ANYWHERE:
            raise _mismatch(f"The instruction {operation.name} is not supported by the target system.")
        if isinstance(operation, ControlFlowOp):
            for block in operation.blocks:
                _check_names(block)


def _check_places(circuit: QuantumCircuit, qubits: Sequence[int], target: Target, faulty: frozenset[int]) -> None:
    place_of = dict(zip(circuit.qubits, qubits, strict=True))
    for instruction in circuit.data:
        operation = instruction.operation
        here = tuple(place_of[qubit] for qubit in instruction.qubits)
        name = operation.name
        if name in _ANYWHERE:
            continue
        bad = faulty.intersection(here)
        if bad and name != "delay":
            raise _mismatch(f"The instruction {name} on qubits {here} uses the faulty qubit {min(bad)}.")
        if isinstance(operation, ControlFlowOp):
            if name not in target.operation_names:
                raise _mismatch(f"The instruction {name} on qubits {here} is not supported by the target system.")
            for block in operation.blocks:
                _check_places(block, here, target, faulty)
            continue
        if not target.instruction_supported(name, here):
            raise _mismatch(f"The instruction {name} on qubits {here} is not supported by the target system.")
        if name == "rzz" and not isinstance(operation.params[0], ParameterExpression):
            check_angle(float(operation.params[0]), here)


def check_angle(angle: float, place: tuple[int, ...]) -> None:
    """Check an angle of an rzz gate.

    Raises:
        JobError: It is not in [0, pi/2].
    """
    if not -_SLACK <= angle <= math.pi / 2 + _SLACK:
        raise _mismatch(
            f"The instruction rzz on qubits {place} is supported only for angles in the range [0, pi/2],"
            f" but an angle ({angle}) outside of this range has been requested.",
            "Transpile the circuit again for this backend, with values that keep the angles within the range.",
        )


def check_values(circuit: QuantumCircuit, values: np.ndarray) -> None:
    """Check the rzz angles that depend on parameters, for sets of values of shape (sets, parameters).

    Raises:
        JobError: One is out of range.
    """
    order = {parameter: place for place, parameter in enumerate(circuit.parameters)}
    for instruction in circuit.data:
        operation = instruction.operation
        if operation.name == "rzz" and isinstance(operation.params[0], ParameterExpression):
            angle = operation.params[0]
            place = tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)
            for row in values:
                bound = angle.bind({parameter: float(row[order[parameter]]) for parameter in angle.parameters})
                check_angle(float(bound), place)


def check_registers(circuit: QuantumCircuit) -> None:
    """Check what the result's fields will be called.

    Raises:
        JobError: A register's name cannot be a field.
    """
    for register in circuit.cregs:
        if register.size == 0:
            raise _mismatch(f"Classical register {register.name} is of size 0, which is not allowed.")
        if not register.name.isidentifier() or keyword.iskeyword(register.name):
            raise _mismatch(
                f"Classical register names must be Python identifiers and no keywords, but {register.name!r} is not.",
                "Rename the classical register.",
            )


def _mismatch(message: str, solution: str = "Transpile the circuit for this backend and send it again.") -> JobError:
    text = f"{message} Circuits that do not match the target hardware definition are not supported."
    return JobError(text, code=MISMATCH, solution=solution)

"""What IBM Quantum asks of circuits beyond the core's checks, before anything is sent."""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, ParameterExpression

from qprovider_core.errors import CircuitError
from qprovider_core.records import EstimatePub, SamplePub

_SLACK = 1e-10  # angles are computed
# Names that Qiskit's container of results needs for itself.
_TAKEN = frozenset({"keys", "values", "items", "shape", "ndim", "size", "_data", "_shape", "_SHAPE", "_FIELDS"})
_NO_PULSE = "Pulse control ended on IBM Quantum in February 2025; devices take gates only."
_INSTEAD = (
    "Use fractional gates (get_backend(…, use_fractional_gates=True)) or dynamical decoupling"
    " (run(…, dynamical_decoupling=True)), or simulate the pulses on this machine with qiskit-dynamics."
)


def refuse_pulses(run_input: Any) -> None:
    """Refuse schedules, and circuits that bring their own calibrations.

    Args:
        run_input: What was passed to `run`: one thing or a list of them.
    Raises:
        CircuitError: There is one; `.index` says which.
    """
    single = isinstance(run_input, QuantumCircuit | str | bytes | Mapping) or not isinstance(run_input, Iterable)
    things = [run_input] if single or _is_schedule(run_input) else list(run_input)
    for index, thing in enumerate(things):
        if _is_schedule(thing):
            raise CircuitError(
                f"Item {index} is a {type(thing).__name__}: schedules of pulses cannot be run.",
                index=index,
                why=_NO_PULSE,
                hint=_INSTEAD,
            )
        if getattr(thing, "calibrations", None):
            raise CircuitError(
                f"{_label(thing, index)} brings pulses of its own for its gates.",
                index=index,
                why=_NO_PULSE,
                hint=f"Transpile it without calibrations. {_INSTEAD}",
            )


def _is_schedule(thing: Any) -> bool:
    return any(kind.__name__ in ("Schedule", "ScheduleBlock") for kind in type(thing).__mro__)


def check_pubs(
    pubs: Sequence[SamplePub | EstimatePub], options: Mapping[str, Any] | None = None, *, simulator: bool = False
) -> None:
    """Refuse what the service would refuse, or fail on, after a long wait.

    Args:
        options: Of the request, for dynamical decoupling.
        simulator: Whether the backend is one: they take any angle.
    Raises:
        CircuitError: A circuit is not fit; `.index` says which.
    """
    decoupling = (options or {}).get("dynamical_decoupling") or {}
    decoupled = decoupling.get("enable") is True if isinstance(decoupling, Mapping) else bool(decoupling)
    angles: dict[int, list[Any]] = {}  # by circuit: many pubs may bind the same one
    for index, pub in enumerate(pubs):
        circuit = pub.circuit
        if id(circuit) not in angles:
            angles[id(circuit)] = list(_rzz_angles(circuit))
            if isinstance(pub, SamplePub):
                check_registers(circuit, index)
            if decoupled and has_control_flow(circuit):
                raise CircuitError(
                    f"{_label(circuit, index)} has control flow, which dynamical decoupling cannot go with.",
                    index=index,
                    hint="Switch dynamical decoupling off for this job.",
                )
        values = parameter_sets(pub, index)
        if not simulator:
            check_angles(circuit, index, values, angles[id(circuit)])


def check_registers(circuit: QuantumCircuit, index: int) -> None:
    """Refuse classical registers that the service has no result for.

    Raises:
        CircuitError: One is empty or has a name that is none, or a bit lies in no register.
    """
    for register in circuit.cregs:
        name = register.name
        why = None
        if register.size == 0:
            why = "it is empty"
        elif not name.isidentifier():
            why = "its name is not made of letters, digits and underscores"
        elif keyword.iskeyword(name):
            why = "its name is a word of the Python language"
        elif name in _TAKEN:
            why = "Qiskit's container of results needs that name for itself"
        if why is not None:
            raise CircuitError(
                f"{_label(circuit, index)}: the classical register {name!r} cannot be run: {why}.",
                index=index,
                hint="Take it out, or give it another name: ClassicalRegister(2, 'c').",
            )
    held = {bit for register in circuit.cregs for bit in register}
    loose = [place for place, bit in enumerate(circuit.clbits) if bit not in held]
    if loose:
        raise CircuitError(
            f"{_label(circuit, index)}: the classical bit {loose[0]} lies in no register, so the service would not"
            " return it.",
            index=index,
            hint="Put it into one: circuit.add_register(ClassicalRegister(bits=[…], name='c')).",
        )


def has_control_flow(circuit: QuantumCircuit) -> bool:
    """Whether something in it depends on measured bits, or loops."""
    return any(
        (isinstance(one.operation, ControlFlowOp) and one.operation.name != "box")
        or any(has_control_flow(block) for block in getattr(one.operation, "blocks", ()))
        for one in circuit.data
    )


def parameter_sets(pub: SamplePub | EstimatePub, index: int = 0) -> NDArray[np.float64]:
    """A pub's parameter values: shape (*pub's shape of sets, number of parameters).

    Raises:
        CircuitError: Their number is not that of its shape and its circuit's parameters.
    """
    shape = (*pub.shape, pub.circuit.num_parameters)
    values = np.asarray(pub.parameter_values, dtype=float)
    if values.size != math.prod(shape):
        raise CircuitError(
            f"{_label(pub.circuit, index)} has {values.size} parameter values; its shape {tuple(pub.shape)} and its"
            f" {pub.circuit.num_parameters} parameters take {math.prod(shape)}.",
            index=index,
        )
    return values.reshape(shape)


def check_angles(circuit: QuantumCircuit, index: int, values: NDArray[np.float64], angles: Sequence[Any]) -> None:
    """Refuse angles of rzz outside [0, pi/2], the range that the devices have.

    Args:
        values: Shape (..., number of parameters), in the order of ``circuit.parameters``.
        angles: Numbers and expressions of those parameters.
    Raises:
        CircuitError: One is outside, for any of the parameter sets.
    """
    rows = values.reshape(math.prod(values.shape[:-1]), values.shape[-1])
    columns = {parameter.name: place for place, parameter in enumerate(circuit.parameters)}
    done: set[Any] = set()
    for angle in angles:
        if not isinstance(angle, ParameterExpression) or not angle.parameters:
            _check_angle(float(angle), circuit, index, "")
        elif angle not in done and all(one.name in columns for one in angle.parameters):
            done.add(angle)
            names = sorted(angle.parameters, key=lambda one: columns[one.name])
            for row in np.unique(rows[:, [columns[one.name] for one in names]], axis=0):
                bound = float(angle.bind(dict(zip(names, map(float, row), strict=True))))
                given = ", ".join(f"{one.name}={value:g}" for one, value in zip(names, row, strict=True))
                _check_angle(bound, circuit, index, f" with {given}")


def _check_angle(angle: float, circuit: QuantumCircuit, index: int, given: str) -> None:
    if not -_SLACK <= angle <= math.pi / 2 + _SLACK:
        raise CircuitError(
            f"{_label(circuit, index)} has rzz({angle:g}){given}; devices take angles from 0 to pi/2.",
            index=index,
            hint="Bind the parameters before you transpile, which then brings the angle into the range, or compile"
            " for a backend without fractional gates.",
        )


def _rzz_angles(circuit: QuantumCircuit) -> Iterator[Any]:
    for one in circuit.data:
        if one.operation.name == "rzz":
            yield one.operation.params[0]
        for block in getattr(one.operation, "blocks", ()):
            yield from _rzz_angles(block)


def _label(circuit: Any, index: int) -> str:
    return f"Circuit {index} ({circuit.name!r})"

"""Configuration and calibration from a target, as the core keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from math import isfinite
from typing import Any

from qiskit.providers import BackendV2
from qiskit.transpiler import Target

from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    GateCalibration,
    GateConfiguration,
    Measured,
    QubitCalibration,
)
from qprovider_qiskit._reading import guarded

# What a target lists beside its gates.
_NO_GATES = frozenset(
    {
        "measure", "reset", "delay", "barrier", "store", "box", "control_flow", "if_else", "for_loop", "while_loop",
        "switch_case", "break_loop", "continue_loop",
    }
)  # fmt: skip
_TIMING = ("granularity", "min_length", "pulse_alignment", "acquire_alignment")


def configuration_of(info: BackendInfo, target: Target, backend: BackendV2, local: bool) -> BackendConfiguration:
    """What the backend can run. `extra` names the compiler stages that it asks for."""
    gates = [name for name in target.operation_names if name not in _NO_GATES]
    online = guarded(backend, "online_date")
    return BackendConfiguration(
        backend_name=info.name,
        backend_version=info.version,
        n_qubits=target.num_qubits if info.num_qubits is None else info.num_qubits,
        basis_gates=tuple(gates),
        gates=tuple(_gate(target, name) for name in gates),
        coupling_map=_pairs(target, gates),
        supported_instructions=tuple(target.operation_names),
        simulator=info.simulator,
        local=local or None,
        max_shots=info.max_shots,
        dt=target.dt,
        timing_constraints={name: int(getattr(target, name)) for name in _TIMING},
        description=info.description,
        online_date=online if isinstance(online, datetime) and online.tzinfo is not None else None,
        extra=dict(_stages(backend)),
    )


def _gate(target: Target, name: str) -> GateConfiguration:
    operation = target.operation_from_name(name)
    parameters = () if isinstance(operation, type) else tuple(str(p) for p in getattr(operation, "params", ()))
    return GateConfiguration(name=name, parameters=parameters, coupling_map=_places(target, name))


def _places(target: Target, name: str) -> tuple[tuple[int, ...], ...] | None:
    places = target.qargs_for_operation_name(name)
    return None if places is None else tuple(sorted(map(tuple, places)))


def _pairs(target: Target, gates: list[str]) -> tuple[tuple[int, int], ...] | None:
    """The pairs of qubits that have a gate; None where a gate acts on any pair, or there is none."""
    pairs: set[tuple[int, int]] = set()
    for name in gates:
        places = _places(target, name)
        operation = target.operation_from_name(name)
        if places is None:
            if not isinstance(operation, type) and operation.num_qubits == 2:
                return None
            continue
        pairs.update((place[0], place[1]) for place in places if len(place) == 2)
    return tuple(sorted(pairs)) or None


def _stages(backend: BackendV2) -> Iterator[tuple[str, str]]:
    """The transpiler stages that the vendor's backends ask for, which its own package installs."""
    for stage in ("translation", "scheduling"):
        ask = guarded(backend, f"get_{stage}_stage_plugin")
        name = ask() if callable(ask) else None
        if isinstance(name, str) and name and name != "default":
            yield f"{stage}_stage", name


def properties_of(name: str, target: Target, backend: BackendV2) -> BackendProperties | None:
    """The calibration that is in the target; None where there is none."""
    size = target.num_qubits or 0
    qubits: list[dict[str, Measured]] = [{} for _ in range(size)]
    for qubit, known in enumerate(target.qubit_properties or ()):
        if known is not None and qubit < size:
            for key, value in (("T1", known.t1), ("T2", known.t2), ("frequency", known.frequency)):
                _put(qubits[qubit], key, value)
    gates: list[GateCalibration] = []
    for gate in target.operation_names:
        if gate in _NO_GATES - {"measure", "reset"}:
            continue
        for place, known in (target[gate] or {}).items():
            if known is None or place is None:
                continue
            if gate == "measure" and len(place) == 1:
                _put(qubits[place[0]], "readout_error", known.error, most=1.0)
                _put(qubits[place[0]], "readout_length", known.duration)
                continue
            values: dict[str, Measured] = {}
            _put(values, "gate_error", known.error, most=1.0)
            _put(values, "gate_length", known.duration)
            if values:
                gates.append(GateCalibration(gate=gate, qubits=tuple(place), values=values))
    if not gates and not any(qubits):
        return None
    return BackendProperties(
        backend_name=name,
        backend_version=_text(guarded(backend, "backend_version")),
        qubits=[QubitCalibration(values=values) for values in qubits] if any(qubits) else [],
        gates=gates,
    )


def _put(values: dict[str, Measured], key: str, value: Any, most: float = float("inf")) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and 0 <= value <= most:
        values[key] = Measured(float(value))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None

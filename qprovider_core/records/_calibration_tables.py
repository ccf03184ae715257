"""A calibration as tables: one of its qubits, one of its gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from qprovider_core._exports import Kind, Table

if TYPE_CHECKING:
    from qprovider_core.records.properties import BareValues, GateCalibration

_QUBIT_VALUES = {
    "t1_s": "T1",
    "t2_s": "T2",
    "frequency_hz": "frequency",
    "anharmonicity_hz": "anharmonicity",
    "readout_error": "readout_error",
    "prob_meas0_prep1": "prob_meas0_prep1",
    "prob_meas1_prep0": "prob_meas1_prep0",
    "readout_length_s": "readout_length",
}
_GATE_COLUMNS: Mapping[str, Kind] = {
    "gate": "text",
    "qubits": "integers",
    "error": "number",
    "length_s": "number",
    "operational": "flag",
    "measured_at": "time",
}


def qubit_table(bare: BareValues) -> Table:
    """One row a qubit; behind its own values the error of each gate on it alone, as ``sx_error``."""
    errors: dict[str, dict[int, float]] = {}
    for gate, qubits, values in bare.gates:
        if len(qubits) == 1 and "gate_error" in values and f"{gate}_error" not in _QUBIT_VALUES:
            errors.setdefault(f"{gate}_error", {})[qubits[0]] = values["gate_error"]
    columns: dict[str, Kind] = {"qubit": "integer", "operational": "flag"}
    columns |= dict.fromkeys([*_QUBIT_VALUES, *errors], "number")
    return Table(
        columns,
        [
            [
                qubit,
                _operational(values),
                *(values.get(name) for name in _QUBIT_VALUES.values()),
                *(known.get(qubit) for known in errors.values()),
            ]
            for qubit, values in enumerate(bare.qubits)
        ],
    )


def gate_table(gates: Iterable[GateCalibration]) -> Table:
    """One row for each gate and place, with the time of its error, or else of its length."""
    rows: list[list[object]] = []
    for gate in gates:
        error, length, works = (gate.values.get(name) for name in ("gate_error", "gate_length", "operational"))
        times = [measured.measured_at for measured in (error, length) if measured and measured.measured_at]
        rows.append(
            [
                gate.gate,
                gate.qubits,
                error.value if error else None,
                length.value if length else None,
                bool(works.value) if works else None,
                times[0] if times else None,
            ]
        )
    return Table(_GATE_COLUMNS, rows)


def _operational(values: Mapping[str, float]) -> bool | None:
    value = values.get("operational")
    return None if value is None else bool(value)

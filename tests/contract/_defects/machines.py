"""The machines of the good vendor's service, in the service's own units: µs, ns, GHz, percent."""

from __future__ import annotations

from statistics import median
from typing import Any

_GATES = ["rz", "sx", "x", "cx"]
_MORE = ["measure", "reset", "delay", "if_else"]
_MEASURED_AT = "2026-01-15T08:30:00+00:00"


def _machine(
    name: str, pairs: list[list[int]], size: int, *, dead: tuple[int, ...] = (), **more: Any
) -> dict[str, Any]:
    qubits = [
        {
            "T1_us": 90.0 + 3 * q,
            "T2_us": 70.0 + 5 * q,
            "frequency_ghz": 4.9 + q / 50,
            "readout_percent": 1.1 + q / 10,
            "readout_ns": 800.0,
            "works": q not in dead,
        }
        for q in range(size)
    ]
    gates = [
        {"gate": gate, "qubits": [q], "error_percent": 0.02 + q / 1000, "length_ns": 0.0 if gate == "rz" else 32.0}
        for gate in _GATES[:3]
        for q in range(size)
    ]
    gates += [
        {"gate": "cx", "qubits": pair, "error_percent": 0.6 + sum(pair) / 50, "length_ns": 256.0 + 8 * pair[0]}
        for pair in pairs
    ]
    working = [g["error_percent"] for g in gates if g["gate"] == "cx" and not set(dead) & set(g["qubits"])]
    return {
        "name": name,
        "version": "1.2.0",
        "instance": "lab",
        "qubits": size,
        "max_shots": 20_000,
        "max_circuits": 100,
        "gates": _GATES,
        "more": _MORE,
        "pairs": pairs,
        "dt_ns": 2.0,
        "median_readout_percent": median(q["readout_percent"] for q in qubits),
        "median_pair_percent": median(working),
        "calibrated_at": _MEASURED_AT,
        "calibration": {"qubits": qubits, "gates": gates, "measured_at": _MEASURED_AT},
        **more,
    }


def _line(size: int) -> list[list[int]]:
    return [pair for q in range(size - 1) for pair in ([q, q + 1], [q + 1, q])]


MACHINES: dict[str, dict[str, Any]] = {
    machine["name"]: machine
    for machine in (
        _machine("quiet", _line(10), 10, kind="simulator"),
        _machine("plus", [[0, 1], [1, 2], [1, 3], [3, 4]], 5, dead=(2,), kind="device"),
        _machine("plus_twin", [[0, 1], [1, 2], [1, 3], [3, 4]], 5, kind="noisy simulator"),
    )
}

"""The devices' documents: as published, with what today's service adds, and at earlier calibrations.

Server and workers read them; neither aiohttp nor Qiskit is imported.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
SIMULATOR = "simulator"
SIMULATOR_NAME = "ibmq_qasm_simulator"
SIMULATOR_QUBITS = 32
PAST_CALIBRATIONS = 3  # before the published one, a day apart

# Rows and columns in the documents of newer devices; the five-qubit device's lacks them. Its shape is a T.
_COORDINATES = {"belem": [[0, 0], [0, 1], [0, 2], [1, 1], [2, 1]]}
_FRACTIONAL = {
    "rx": {"parameters": ["theta"], "qasm_def": "gate rx(theta) q { rx(theta) q; }"},
    "rzz": {"parameters": ["theta"], "qasm_def": "gate rzz(theta) q0,q1 { rzz(theta) q0,q1; }"},
}
_DRIFTING = {"T1", "T2", "readout_error", "prob_meas0_prep1", "prob_meas1_prep0", "gate_error"}
_SIMULATOR_GATES = (
    *("id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg", "rx", "ry", "rz", "p", "u", "u1", "u2", "u3"),
    *("cx", "cy", "cz", "cp", "cu1", "cu3", "csx", "rxx", "ryy", "rzz", "rzx", "swap", "ecr", "ccx", "cswap"),
)


def index() -> dict[str, dict[str, Any]]:
    """Summaries of the bundled devices, by their short name."""
    devices: dict[str, dict[str, Any]] = json.loads((DATA / "index.json").read_text(encoding="utf-8"))["devices"]
    return devices


def _document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(gzip.decompress((DATA / name).read_bytes()))
    return document


@lru_cache(maxsize=8)
def configuration(source: str) -> dict[str, Any]:
    """The configuration document as the service would send it today. Do not change it."""
    if source == SIMULATOR:
        return _simulator_configuration()
    document = _document(f"conf_{source}.json.gz")
    if source in _COORDINATES:
        document.setdefault("coords", _COORDINATES[source])
    _add_fractional_gates(document, properties(source)["gates"])
    return document


def _add_fractional_gates(document: dict[str, Any], calibrated: Iterable[Mapping[str, Any]]) -> None:
    """List the gates with angles that the calibration knows and the published configuration hides."""
    places: dict[str, list[list[int]]] = {}
    for gate in calibrated:
        if gate["gate"] in _FRACTIONAL:
            places.setdefault(gate["gate"], []).append(gate["qubits"])
    for name in sorted(places):
        if name not in document["basis_gates"]:
            document["basis_gates"] = [*document["basis_gates"], name]
            document["supported_instructions"] = [*document["supported_instructions"], name]
            document["gates"] = [*document["gates"], {"name": name, **_FRACTIONAL[name], "coupling_map": places[name]}]


def _simulator_configuration() -> dict[str, Any]:
    gates = [
        {"name": name, "parameters": [], "qasm_def": "TODO"}  # the retired simulator's document said just that
        for name in _SIMULATOR_GATES
    ]
    return {
        "backend_name": SIMULATOR_NAME,
        "backend_version": "0.1.547",
        "n_qubits": SIMULATOR_QUBITS,
        "basis_gates": list(_SIMULATOR_GATES),
        "gates": gates,
        "supported_instructions": [
            *_SIMULATOR_GATES,
            *("measure", "reset", "delay", "barrier", "if_else", "for_loop", "while_loop", "switch_case", "store"),
        ],
        "supported_features": ["qobj", "qasm3", "dynamic_circuits", "parameters"],
        "coupling_map": None,
        "coords": [],
        "simulator": True,
        "local": False,
        "conditional": True,
        "memory": True,
        "open_pulse": False,
        "credits_required": False,
        "dynamic_reprate_enabled": False,
        "max_shots": 100_000,
        "max_experiments": 300,
        "n_registers": 1,
        "online_date": "2019-05-02T08:15:00Z",
        "description": "A noiseless simulator of any circuit",
        "sample_name": None,
        "url": "None",
        "allow_q_object": True,
        "meas_map": [],
    }


def properties(source: str, age: int = 0, faulty_qubits: Iterable[int] = ()) -> dict[str, Any]:
    """The calibration document: as published, or `age` days earlier; {} for the simulator.

    Args:
        faulty_qubits: Get an entry that says that they do not work.
    """
    if source == SIMULATOR:
        return {}
    document = _properties(source, age)
    faulty = set(faulty_qubits)
    if faulty:
        note = {"date": document["last_update_date"], "name": "operational", "unit": "", "value": 0}
        qubits = [[*entries, note] if qubit in faulty else entries for qubit, entries in enumerate(document["qubits"])]
        document = {**document, "qubits": qubits}
    return document


@lru_cache(maxsize=8)
def _properties(source: str, age: int) -> dict[str, Any]:
    if not age:
        return _document(f"props_{source}.json.gz")
    document = _properties(source, 0)
    drift = _Drift(source, age)
    return {
        **document,
        "last_update_date": drift.moment(document["last_update_date"]),
        "qubits": [drift.entries(entries, f"q{qubit}") for qubit, entries in enumerate(document["qubits"])],
        "gates": [
            {**gate, "parameters": drift.entries(gate["parameters"], gate["name"])} for gate in document["gates"]
        ],
        "general": [{**entry, "date": drift.moment(entry["date"])} for entry in document.get("general", ())],
    }


class _Drift:
    """How values were `age` days earlier: up to a tenth away, always the same."""

    def __init__(self, source: str, age: int) -> None:
        self._seed = f"{source}/{age}/"
        self._age = timedelta(days=age)
        self._moments: dict[str, str] = {}

    def moment(self, text: str) -> str:
        if text not in self._moments:
            self._moments[text] = (datetime.fromisoformat(text) - self._age).isoformat()
        return self._moments[text]

    def entries(self, entries: Iterable[Mapping[str, Any]], place: str) -> list[dict[str, Any]]:
        return [
            {**entry, "date": self.moment(entry["date"]), "value": self._value(entry["name"], entry["value"], place)}
            for entry in entries
        ]

    def _value(self, name: str, value: Any, place: str) -> Any:
        if name not in _DRIFTING or (value >= 1 and name == "gate_error"):  # 1 means: not calibrated
            return value
        share = zlib.crc32(f"{self._seed}{place}/{name}".encode()) / 2**32
        return value * (0.9 + 0.2 * share)


def last_update(source: str, age: int = 0) -> datetime | None:
    """When that calibration was finished."""
    document = properties(source, age)
    return datetime.fromisoformat(document["last_update_date"]) if document else None

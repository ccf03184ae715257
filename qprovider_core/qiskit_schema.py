"""Documents of Qiskit's classic backend schema, read into records.

Devices have been described for years by two JSON documents: a configuration (`QasmBackendConfiguration`) and
a calibration (`BackendProperties`). The schema's own units (ns, µs, GHz, and a unit beside each value) become
SI here and nowhere else. Reading a document neither imports Qiskit nor numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

import attrs

from qprovider_core.errors import ResponseError
from qprovider_core.records import (
    BackendConfiguration,
    BackendProperties,
    GateCalibration,
    Measured,
    PropertiesContent,
    QubitCalibration,
)
from qprovider_core.serialization import from_json

# Sub-units divide and multiples multiply: 68 ns / 1e9 is the double nearest to 6.8e-8, 68 * 1e-9 is not.
_PARTS = {"n": 1e9, "u": 1e6, "µ": 1e6, "μ": 1e6, "m": 1e3}
_MULTIPLES = {"k": 1e3, "M": 1e6, "G": 1e9}
_BASES = ("s", "Hz")

_NS = ("dt", "dtm")
_US = ("default_rep_delay", "rep_delay_range", "rep_times")
_GHZ = ("qubit_lo_range", "meas_lo_range")
_FIELDS = {field.name for field in attrs.fields(BackendConfiguration)} - {"extra"}

_CONTROL_FLOW = ("dynamic_circuits", "if_else", "switch_case", "while_loop")
# What devices without fractional gates list: any other gate with an angle is one.
_ANGLES_WITHOUT_CALIBRATION = ("rz", "p", "u1", "u2", "u3", "u", "delay")


# ----------------------------------------------------------------------------------------------- configuration


def configuration_from_document(document: Any) -> BackendConfiguration:
    """The record of a configuration document.

    Unknown keys are kept in `extra`; the text ``"None"`` of older documents is None.

    Raises:
        ResponseError: A value is of the wrong type; `.path` says which.
    """
    if not isinstance(document, Mapping):
        raise ResponseError("The configuration is not of the expected form: it is not an object.")
    data = {key: None if value == "None" and key in _FIELDS else value for key, value in document.items()}
    for key in _NS:
        if data.get(key) is not None:
            data[key] = _number(data[key], key) / 1e9
    for key in _US:
        if data.get(key) is not None:
            data[key] = _each(data[key], key, lambda value: value / 1e6)
    for key in _GHZ:
        if data.get(key) is not None:
            data[key] = _each(data[key], key, lambda value: value * 1e9)
    if data.get("online_date") is not None:
        data["online_date"] = _moment(data["online_date"], "online_date", {}).isoformat()
    for key in ("basis_gates", "gates"):
        if data.get(key) is None:
            data.pop(key, None)
    gates = data.get("gates")
    if isinstance(gates, list):
        data["gates"] = [_gate(gate, f"gates[{index}]") for index, gate in enumerate(gates)]
    return from_json(data, BackendConfiguration, what="The configuration")


def _gate(gate: Any, path: str) -> Mapping[str, Any]:
    """Instructions such as ``reset`` come with null where a gate has a list."""
    if not isinstance(gate, Mapping):
        raise _wrong(path, gate, "an object")
    return {**gate, "parameters": []} if gate.get("parameters", ()) is None else gate


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(path, value, "a number")
    return float(value)


def _each(value: Any, path: str, convert: Callable[[float], float]) -> Any:
    """`convert` applied to a number, or to all numbers of nested lists."""
    if isinstance(value, list):
        return [_each(item, f"{path}[{index}]", convert) for index, item in enumerate(value)]
    return convert(_number(value, path))


def _wrong(path: str, value: Any, wanted: str) -> ResponseError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "…"
    return ResponseError(f"The document is wrong at {path}: expected {wanted}, got {shown}.", path=path)


def _moment(value: Any, path: str, seen: dict[str, datetime]) -> datetime:
    """An ISO 8601 time in UTC; one without an offset is taken as UTC. `seen` spares parsing repeated ones."""
    if isinstance(value, str):
        moment = seen.get(value)
        if moment is not None:
            return moment
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
            seen[value] = moment
            return moment
    raise _wrong(path, value, "an ISO 8601 time")


# -------------------------------------------------------------------------------------------------- properties


def properties_from_document(document: Any) -> BackendProperties:
    """The calibration in a properties document. Only its head is read now, the rest at first access.

    Raises:
        ResponseError: Now or at first access: a value is of the wrong type; `.path` says which.
    """
    if not isinstance(document, Mapping):
        raise ResponseError("The properties are not of the expected form: they are not an object.")
    for key in ("backend_name", "backend_version"):
        value = document.get(key)
        if not isinstance(value, str) and not (value is None and key == "backend_version"):
            raise _wrong(key, value, "a text")
    updated = document.get("last_update_date")
    return BackendProperties.deferred(
        lambda: _content(document),
        backend_name=document["backend_name"],
        backend_version=document.get("backend_version"),
        last_update=None if updated is None else _moment(updated, "last_update_date", {}),
    )


def _content(document: Mapping[str, Any]) -> PropertiesContent:
    seen: dict[str, datetime] = {}
    qubits = [
        QubitCalibration(values=_values(values, f"qubits[{index}]", seen))
        for index, values in enumerate(_list(document.get("qubits"), "qubits"))
    ]
    gates = []
    for index, gate in enumerate(_list(document.get("gates"), "gates")):
        path = f"gates[{index}]"
        if not isinstance(gate, Mapping):
            raise _wrong(path, gate, "an object")
        if not isinstance(gate.get("gate"), str):
            raise _wrong(f"{path}.gate", gate.get("gate"), "a text")
        places = _list(gate.get("qubits"), f"{path}.qubits")
        for place, qubit in enumerate(places):
            if isinstance(qubit, bool) or not isinstance(qubit, int):
                raise _wrong(f"{path}.qubits[{place}]", qubit, "a whole number")
        values = _values(gate.get("parameters"), f"{path}.parameters", seen)
        gates.append(GateCalibration(gate=gate["gate"], qubits=tuple(places), values=values))
    general = _values(document.get("general"), "general", seen)
    return PropertiesContent(qubits=tuple(qubits), gates=tuple(gates), general=general)


def _list(value: Any, path: str) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _wrong(path, value, "a list")
    return value


def _values(entries: Any, path: str, seen: dict[str, datetime]) -> dict[str, Measured]:
    """Name to value of a list of ``{"name", "unit", "value", "date"}``; a null value is not reported."""
    values = {}
    for index, entry in enumerate(_list(entries, path)):
        here = f"{path}[{index}]"
        if not isinstance(entry, Mapping):
            raise _wrong(here, entry, "an object")
        name, unit, date = entry.get("name"), entry.get("unit"), entry.get("date")
        if not isinstance(name, str):
            raise _wrong(f"{here}.name", name, "a text")
        if unit is not None and not isinstance(unit, str):
            raise _wrong(f"{here}.unit", unit, "a text")
        if entry.get("value") is None:
            continue
        values[name] = Measured(
            _to_si(_number(entry["value"], f"{here}.value"), unit or ""),
            None if date is None else _moment(date, f"{here}.date", seen),
        )
    return values


def _to_si(value: float, unit: str) -> float:
    """`value` in s or Hz. Other units are left as they are: nothing says what their letters mean."""
    if len(unit) > 1 and unit[1:] in _BASES:
        if unit[0] in _PARTS:
            return value / _PARTS[unit[0]]
        return value * _MULTIPLES.get(unit[0], 1.0)
    return value


# ----------------------------------------------------------------------------------------------------- summary


def summary_from_documents(
    configuration: Mapping[str, Any], properties: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a listing shows of a device, straight from its documents: fields of `BackendInfo`.

    A document of 150 qubits takes 100 ms to structure and a tenth of that to summarise, and a listing may
    hold dozens. The medians are those of `BackendProperties`. What the documents do not tell, or tell in an
    unreadable way, is None.
    """
    two_qubit, readout, updated = None, None, None
    if properties:
        two_qubit = _median_two_qubit_error(properties)
        errors = [_entry(values, "readout_error") for values in _items(properties.get("qubits"))]
        readout = _median([error for error in errors if error is not None])
        try:
            updated = _moment(properties.get("last_update_date"), "last_update_date", {})
        except ResponseError:
            updated = None
    return {
        "num_qubits": _whole(configuration.get("n_qubits")),
        "version": _text(configuration.get("backend_version")),
        "processor": processor_text(configuration.get("processor_type")),
        "features": features(configuration),
        "max_shots": _whole(configuration.get("max_shots")),
        "max_circuits": _whole(configuration.get("max_experiments")),
        "median_two_qubit_error": two_qubit,
        "median_readout_error": readout,
        "calibrated_at": updated,
    }


def processor_text(processor: Any) -> str | None:
    """Family and revision as people write them, such as ``Falcon r4T``; None when not told."""
    if not isinstance(processor, Mapping) or not processor.get("family"):
        return None
    text = str(processor["family"])
    revision = processor.get("revision")
    if revision not in (None, ""):
        # JSON writes the first revision of a family as 1, 1.0 or "1".
        whole = isinstance(revision, float) and revision.is_integer()
        text += f" r{int(revision) if whole else revision}"
        text += str(processor.get("segment") or "")
    return text


def features(configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """Words for what sets a device apart: ``dynamic_circuits``, ``fractional_gates``."""
    listed = (configuration.get(key) for key in ("supported_instructions", "supported_features"))
    native = [name for name in _items(configuration.get("basis_gates")) if name not in _ANGLES_WITHOUT_CALIBRATION]
    found = []
    if any(word in _CONTROL_FLOW for words in listed for word in _items(words)):
        found.append("dynamic_circuits")
    if any(
        isinstance(gate, Mapping) and gate.get("parameters") and gate.get("name") in native
        for gate in _items(configuration.get("gates"))
    ):
        found.append("fractional_gates")
    return tuple(found)


def _median_two_qubit_error(properties: Mapping[str, Any]) -> float | None:
    by_gate: dict[str, list[float]] = {}
    for gate in _items(properties.get("gates")):
        if isinstance(gate, Mapping) and len(_items(gate.get("qubits"))) == 2:
            error = _entry(gate.get("parameters"), "gate_error")
            if error is not None and error < 1:  # 1 means "not calibrated"
                by_gate.setdefault(str(gate.get("gate")), []).append(error)
    return _median(max(by_gate.values(), key=len)) if by_gate else None


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _entry(entries: Any, name: str) -> float | None:
    for entry in _items(entries):
        if isinstance(entry, Mapping) and entry.get("name") == name:
            value = entry.get("value")
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                return float(value)
    return None


def _median(values: list[float]) -> float | None:
    return median(values) if values else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None

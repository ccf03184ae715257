"""Documents of Qiskit's classic backend schema, read into records.

Devices have been described for years by two JSON documents: a configuration (`QasmBackendConfiguration`) and
a calibration (`BackendProperties`). The schema's own units (ns, µs, GHz, and a unit beside each value) become
SI here and nowhere else. Reading a document neither imports Qiskit nor numpy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import median
from typing import Any

from qprovider_core._configuration_document import configuration_from_document
from qprovider_core._document_values import moment, number
from qprovider_core._properties_document import properties_from_document
from qprovider_core.errors import ResponseError

__all__ = [
    "configuration_from_document",
    "features",
    "fractional_gates",
    "processor_text",
    "properties_from_document",
    "summary_from_documents",
    "without_gates",
]

_CONTROL_FLOW = ("dynamic_circuits", "if_else", "switch_case", "while_loop")
# What devices without fractional gates list: any other gate with an angle is one.
_ANGLES_WITHOUT_CALIBRATION = ("rz", "p", "u1", "u2", "u3", "u", "delay")
# Standard gates with parameters. Source: `get_standard_gate_name_mapping` of qiskit.circuit.library, Qiskit 2.6;
# a test compares the two. Left out are `delay` and `rz`, `p` and `u1`, which devices do by shifting phases.
_WITH_ANGLES = frozenset(
    {"cp", "crx", "cry", "crz", "cu", "cu1", "cu3", "global_phase", "r", "rx", "rxx", "ry", "ryy", "rzx", "rzz"}
    | {"u", "u2", "u3", "xx_minus_yy", "xx_plus_yy"}
)


# ----------------------------------------------------------------------------------------------------- summary


def summary_from_documents(
    configuration: Mapping[str, Any], properties: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a listing shows of a device, straight from its documents: fields of `BackendInfo`.

    The medians are those of `BackendProperties`. What the documents do not tell, or tell in an
    unreadable way, is None.
    """
    two_qubit, readout, updated = None, None, None
    if properties:
        two_qubit = _median_two_qubit_error(properties)
        errors = [_entry(values, "readout_error") for values in _items(properties.get("qubits"))]
        readout = _median([error for error in errors if error is not None])
        try:
            updated = moment(properties.get("last_update_date"), "last_update_date", {})
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
            try:
                return number(entry.get("value"), name)
            except ResponseError:
                continue
    return None


def _median(values: list[float]) -> float | None:
    return median(values) if values else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


# ----------------------------------------------------------------------------------------------------- filter


def fractional_gates(configuration_document: Mapping[str, Any]) -> frozenset[str]:
    """The native gates of a configuration document that take an angle and need a calibrated pulse for it.

    These are Qiskit's standard gates with parameters, without `rz`, `p`, `u1` and `delay`.
    """
    return frozenset(
        name
        for name in _items(configuration_document.get("basis_gates"))
        if isinstance(name, str) and name in _WITH_ANGLES
    )


def without_gates(
    configuration_document: Mapping[str, Any],
    properties_document: Mapping[str, Any] | None,
    names: Collection[str],
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Copies of both documents in which a device does not have the gates of these names.

    The copies share all else with the documents, which stay as they are. Nothing is checked: what is not of the
    expected form is left for the readers to refuse.
    """
    gone = {names} if isinstance(names, str) else frozenset(names)
    configuration = dict(configuration_document)
    for key in ("basis_gates", "supported_instructions"):
        if isinstance(configuration.get(key), list):
            configuration[key] = [name for name in configuration[key] if not (isinstance(name, str) and name in gone)]
    _drop(configuration, "name", gone)
    if properties_document is None:
        return configuration, None
    properties = dict(properties_document)
    _drop(properties, "gate", gone)
    return configuration, properties


def _drop(document: dict[str, Any], key: str, gone: Collection[str]) -> None:
    """Take the gates whose name stands at `key` out of a document's `gates`."""
    if isinstance(document.get("gates"), list):
        document["gates"] = [gate for gate in document["gates"] if not _is_named(gate, key, gone)]


def _is_named(gate: Any, key: str, names: Collection[str]) -> bool:
    name = gate.get(key) if isinstance(gate, Mapping) else None
    return isinstance(name, str) and name in names

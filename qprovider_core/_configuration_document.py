"""A configuration document of Qiskit's backend schema, read into its record.

Two readers: `_directly` takes what is as it should be, field by field and without cattrs, which needs milliseconds
for the qubits' lists of a large device and more to set itself up. Whatever else there is goes to the strict
structuring of `serialization`, which alone says what is wrong, and where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from itertools import chain
from math import isfinite
from types import NoneType
from typing import Any, get_args, get_type_hints

import attrs

from qprovider_core._collector import collector_paused
from qprovider_core._document_values import (
    INTEGERS,
    LISTS,
    NUMBERS,
    TEXTS,
    Unusual,
    moment,
    number,
    require,
    wrong,
)
from qprovider_core.errors import ResponseError
from qprovider_core.records import BackendConfiguration, GateConfiguration

_FIELDS = {field.name for field in attrs.fields(BackendConfiguration)} - {"extra"}

# Field to what its values are multiplied with, and then divided by, to be in s or Hz.
_SCALES: Mapping[str, tuple[float, float]] = {
    "dt": (1.0, 1e9),
    "dtm": (1.0, 1e9),
    "default_rep_delay": (1.0, 1e6),
    "rep_delay_range": (1.0, 1e6),
    "rep_times": (1.0, 1e6),
    "qubit_lo_range": (1e9, 1.0),
    "meas_lo_range": (1e9, 1.0),
}
_ONE_NUMBER = ("dt", "dtm")


def configuration_from_document(document: Any) -> BackendConfiguration:
    """The record of a configuration document.

    Unknown keys are kept in `extra`; the text ``"None"`` of older documents is None.

    Raises:
        ResponseError: A value is of the wrong type; `.path` says which.
    """
    if not isinstance(document, Mapping):
        raise ResponseError("The configuration is not of the expected form: it is not an object.")
    data = {key: None if value == "None" and key in _FIELDS else value for key, value in document.items()}
    for key, (factor, divisor) in _SCALES.items():
        value = data.get(key)
        if value is not None:
            if key in _ONE_NUMBER:
                data[key] = number(value, key) * factor / divisor
            else:
                data[key] = _scaled(value, key, factor, divisor)
    if data.get("online_date") is not None:
        data["online_date"] = moment(data["online_date"], "online_date", {}).isoformat()
    for key in ("basis_gates", "gates"):
        if data.get(key) is None:
            data.pop(key, None)
    gates = data.get("gates")
    if isinstance(gates, list):
        data["gates"] = [_gate(gate, f"gates[{index}]") for index, gate in enumerate(gates)]
    try:
        with collector_paused:
            return _directly(data)
    except (Unusual, OverflowError):
        from qprovider_core.serialization import from_json  # late: cattrs is slow to import

        return from_json(data, BackendConfiguration, what="The configuration")


def _gate(gate: Any, path: str) -> Mapping[str, Any]:
    """Instructions such as ``reset`` come with null where a gate has a list."""
    if not isinstance(gate, Mapping):
        raise wrong(path, gate, "an object")
    return {**gate, "parameters": []} if gate.get("parameters", ()) is None else gate


def _scaled(value: Any, path: str, factor: float, divisor: float) -> Any:
    """A number, or all numbers of nested lists, in SI units."""
    if isinstance(value, list):
        if value and LISTS.issuperset(map(type, value)) and _are_numbers(chain.from_iterable(value)):
            return [[item * factor / divisor for item in row] for row in value]
        return [_scaled(item, f"{path}[{index}]", factor, divisor) for index, item in enumerate(value)]
    return number(value, path) * factor / divisor


def _are_numbers(values: Any) -> bool:
    """Whether all are finite numbers."""
    items = list(values)
    try:
        return NUMBERS.issuperset(map(type, items)) and all(map(isfinite, items))
    except OverflowError:
        return False


# ------------------------------------------------------------------------------------------- the direct reader


def _directly(data: Mapping[str, Any]) -> BackendConfiguration:
    """The record, where every value is of its field's type.

    Raises:
        Unusual, OverflowError: One may not be.
    """
    readers = _readers()
    known, extra = {}, {}
    for key, value in data.items():
        if key in _FIELDS:
            known[key] = readers[key](value)
        else:
            extra[key] = value
    require("backend_name" in known)
    return BackendConfiguration(**known, extra=extra)


@cache
def _readers() -> Mapping[str, Callable[[Any], Any]]:
    """For each field of a configuration what reads its value."""
    hints = get_type_hints(BackendConfiguration)
    return {name: _reader(hints[name]) for name in _FIELDS}


def _reader(hint: Any) -> Callable[[Any], Any]:
    kinds = get_args(hint)
    if NoneType not in kinds:
        return _BY_TYPE[hint]
    (kind,) = (kind for kind in kinds if kind is not NoneType)
    read = _BY_TYPE[kind]
    return lambda value: None if value is None else read(value)


def _exactly(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        require(type(value) is kind)
        return value

    return read


def _float(value: Any) -> float:
    require(type(value) in NUMBERS and isfinite(value))
    return float(value)


def _time(value: Any) -> datetime:
    require(type(value) is str)
    return moment(value, "", {})


def _tuple_of(kinds: frozenset[type]) -> Callable[[Any], tuple[Any, ...]]:
    def read(value: Any) -> tuple[Any, ...]:
        require(type(value) is list and kinds.issuperset(map(type, value)))
        return tuple(value)

    return read


def _floats(value: Any) -> tuple[float, ...]:
    require(type(value) is list and _are_numbers(value))
    return tuple(map(float, value))


def _two_floats(value: Any) -> tuple[float, ...]:
    require(type(value) is list and len(value) == 2)
    return _floats(value)


def _groups(value: Any) -> tuple[tuple[int, ...], ...]:
    require(type(value) is list and LISTS.issuperset(map(type, value)))
    require(INTEGERS.issuperset(map(type, chain.from_iterable(value))))
    return tuple(map(tuple, value))


def _pairs(value: Any) -> tuple[tuple[int, ...], ...]:
    pairs = _groups(value)
    require({2}.issuperset(map(len, pairs)))
    return pairs


def _places(value: Any) -> tuple[tuple[float, ...], ...]:
    require(type(value) is list)
    return tuple(map(_two_floats, value))


def _object(value: Any) -> dict[str, Any]:
    require(type(value) is dict and TEXTS.issuperset(map(type, value)))
    return dict(value)


def _whole_numbers(value: Any) -> dict[str, int]:
    found = _object(value)
    require(INTEGERS.issuperset(map(type, found.values())))
    return found


def _gates(value: Any) -> tuple[GateConfiguration, ...]:
    require(type(value) is list)
    found = []
    for gate in value:
        name, places, definition = gate.get("name"), gate.get("coupling_map"), gate.get("qasm_def")
        require(type(name) is str and (definition is None or type(definition) is str))
        found.append(
            GateConfiguration(
                name=name,
                parameters=_texts(gate.get("parameters", [])),
                coupling_map=None if places is None else _groups(places),
                qasm_def=definition,
            )
        )
    return tuple(found)


_texts = _tuple_of(TEXTS)
_BY_TYPE: Mapping[Any, Callable[[Any], Any]] = {
    str: _exactly(str),
    int: _exactly(int),
    bool: _exactly(bool),
    float: _float,
    datetime: _time,
    tuple[str, ...]: _texts,
    tuple[int, ...]: _tuple_of(INTEGERS),
    tuple[float, ...]: _floats,
    tuple[float, float]: _two_floats,
    tuple[tuple[int, ...], ...]: _groups,
    tuple[tuple[int, int], ...]: _pairs,
    tuple[tuple[float, float], ...]: _places,
    tuple[GateConfiguration, ...]: _gates,
    Mapping[str, int]: _whole_numbers,
    Mapping[str, Any]: _object,
}

"""A properties document of Qiskit's backend schema, read into its records or into its bare values.

The document of a large device holds thousands of small objects ``{"name", "unit", "value", "date"}``. `_Columns`
lays them side by side and checks them column by column, which takes a few passes at the speed of C; records and
bare values are then made without a second look. A document with anything out of the ordinary is read entry by
entry instead, and that reader alone says what is wrong, and where.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import chain, islice, repeat
from operator import itemgetter, mul, truediv
from types import NoneType
from typing import Any

from qprovider_core._collector import collector_paused
from qprovider_core._document_values import (
    INTEGERS,
    LISTS,
    NUMBERS,
    OBJECTS,
    TEXTS,
    Unusual,
    moment,
    number,
    require,
    scale,
    wrong,
)
from qprovider_core.errors import ResponseError
from qprovider_core.records import (
    BackendProperties,
    GateCalibration,
    Measured,
    PropertiesContent,
    QubitCalibration,
)
from qprovider_core.records.properties import BareValues


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
            raise wrong(key, value, "a text")
    updated = document.get("last_update_date")
    body = _Body(document)
    return BackendProperties.deferred(
        body.content,
        bare=body.bare,
        backend_name=document["backend_name"],
        backend_version=document.get("backend_version"),
        last_update=None if updated is None else moment(updated, "last_update_date", {}),
    )


class _Body:
    """What a document holds beside its head, looked at when it is asked for."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    @cached_property
    def _columns(self) -> _Columns | None:
        try:
            with collector_paused:
                return _Columns(self._document)
        except (Unusual, KeyError, TypeError, OverflowError, ResponseError):
            return None

    def content(self) -> PropertiesContent:
        with collector_paused:
            return _content(self._document) if self._columns is None else self._columns.content()

    def bare(self) -> BareValues:
        with collector_paused:
            return BareValues.of(self.content()) if self._columns is None else self._columns.bare()


# --------------------------------------------------------------------------------------------------- in columns


class _Columns:
    """The entries of a sound document side by side: those of the qubits, of the gates, and of the whole device.

    Raises:
        Unusual, KeyError, TypeError, OverflowError, ResponseError: The document is not sound, or sound in a way
            that takes a closer look.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        qubits, gates, general = (_list(document.get(key), key) for key in ("qubits", "gates", "general"))
        require(OBJECTS.issuperset(map(type, gates)))
        self.gates: list[str] = list(map(itemgetter("gate"), gates))
        require(TEXTS.issuperset(map(type, self.gates)))
        places = list(map(itemgetter("qubits"), gates))
        require(LISTS.issuperset(map(type, places)))
        require(INTEGERS.issuperset(map(type, chain.from_iterable(places))))
        self.places: list[tuple[int, ...]] = list(map(tuple, places))

        groups = [*qubits, *map(itemgetter("parameters"), gates), general]
        require(LISTS.issuperset(map(type, groups)))
        self.sizes = list(map(len, groups))
        self.num_qubits = len(qubits)
        entries = list(chain.from_iterable(groups))
        require(OBJECTS.issuperset(map(type, entries)))
        self.names: list[str] = list(map(itemgetter("name"), entries))
        require(TEXTS.issuperset(map(type, self.names)))
        self.dates: list[str | None] = list(map(itemgetter("date"), entries))
        self.moments: dict[str | None, datetime | None] = _moments(set(self.dates))
        values = list(map(itemgetter("value"), entries))
        self.some_missing = None in values
        self.values = _in_si_units(values, list(map(itemgetter("unit"), entries)))

    def bare(self) -> BareValues:
        groups = self._groups(self.values)
        qubits = list(islice(groups, self.num_qubits))
        return BareValues(qubits=qubits, gates=list(zip(self.gates, self.places, groups, strict=False)))

    def content(self) -> PropertiesContent:
        # The fields were checked above, and a class that checks them again takes several times as long.
        measured = _made(Measured, value=self.values, measured_at=map(self.moments.__getitem__, self.dates))
        if self.some_missing:
            measured = [one if value is not None else None for one, value in zip(measured, self.values, strict=True)]
        groups = self._groups(measured)
        qubits = _made(QubitCalibration, values=islice(groups, self.num_qubits))
        gates = _made(GateCalibration, gate=self.gates, qubits=self.places, values=islice(groups, len(self.gates)))
        (general,) = groups
        return PropertiesContent(qubits=tuple(qubits), gates=tuple(gates), general=general)

    def _groups(self, column: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """Name to what the column holds, one dictionary a group; what is None is not reported."""
        pairs = zip(self.names, column, strict=True)
        if self.some_missing:
            return ({k: one for k, one in islice(pairs, size) if one is not None} for size in self.sizes)
        return (dict(islice(pairs, size)) for size in self.sizes)


def _moments(dates: set[Any]) -> dict[str | None, datetime | None]:
    """Each distinct date once: a device is measured in batches."""
    seen: dict[str, datetime] = {}
    return {date: None if date is None else moment(date, "", seen) for date in dates}


def _in_si_units(values: list[Any], units: list[Any]) -> list[float | None]:
    kinds = set(map(type, values))
    require(kinds <= {*NUMBERS, NoneType})
    numbers = values if NoneType not in kinds else [value for value in values if value is not None]
    # Infinite and undefined numbers make the sum infinite or undefined.
    require(math.isfinite(sum(numbers)))
    distinct = set(units)
    require({str, NoneType}.issuperset(map(type, distinct)))
    scales = {unit: scale(unit or "") for unit in distinct}
    factors = {unit: factor for unit, (factor, _) in scales.items()}
    divisors = {unit: divisor for unit, (_, divisor) in scales.items()}
    if numbers is values:
        scaled = map(mul, values, map(factors.__getitem__, units))
        return list(map(truediv, scaled, map(divisors.__getitem__, units)))
    return [
        None if value is None else value * factors[unit] / divisors[unit]
        for value, unit in zip(values, units, strict=True)
    ]


def _made(kind: type[Any], **columns: Iterable[Any]) -> list[Any]:
    """Frozen records from a column for each of their fields, without converters and validators."""
    filled = {name: list(column) for name, column in columns.items()}
    count = len(next(iter(filled.values())))
    records = list(map(object.__new__, repeat(kind, count)))
    for name, column in filled.items():
        deque(map(getattr(kind, name).__set__, records, column), maxlen=0)
    return records


# ----------------------------------------------------------------------------------------------- entry by entry


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
            raise wrong(path, gate, "an object")
        if not isinstance(gate.get("gate"), str):
            raise wrong(f"{path}.gate", gate.get("gate"), "a text")
        places = _list(gate.get("qubits"), f"{path}.qubits")
        for place, qubit in enumerate(places):
            if isinstance(qubit, bool) or not isinstance(qubit, int):
                raise wrong(f"{path}.qubits[{place}]", qubit, "a whole number")
        values = _values(gate.get("parameters"), f"{path}.parameters", seen)
        gates.append(GateCalibration(gate=gate["gate"], qubits=tuple(places), values=values))
    general = _values(document.get("general"), "general", seen)
    return PropertiesContent(qubits=tuple(qubits), gates=tuple(gates), general=general)


def _list(value: Any, path: str) -> Sequence[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(path, value, "a list")
    return value


def _values(entries: Any, path: str, seen: dict[str, datetime]) -> dict[str, Measured]:
    """Name to value of a list of ``{"name", "unit", "value", "date"}``; a null value is not reported."""
    values = {}
    for index, entry in enumerate(_list(entries, path)):
        here = f"{path}[{index}]"
        if not isinstance(entry, Mapping):
            raise wrong(here, entry, "an object")
        name, unit, date = entry.get("name"), entry.get("unit"), entry.get("date")
        if not isinstance(name, str):
            raise wrong(f"{here}.name", name, "a text")
        if unit is not None and not isinstance(unit, str):
            raise wrong(f"{here}.unit", unit, "a text")
        if entry.get("value") is None:
            continue
        factor, divisor = scale(unit or "")
        values[name] = Measured(
            number(entry["value"], f"{here}.value") * factor / divisor,
            None if date is None else moment(date, f"{here}.date", seen),
        )
    return values

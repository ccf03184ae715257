"""The attributes a query may name, and which facet of a backend tells each of them.

A facet is one thing that is asked of a vendor: the listing's `info`, then `status`, `configuration` and
`properties`, in order of cost. An attribute is looked for in one facet after another, so that what a listing
tells is never asked for again.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import Any, Final

import attrs

from qprovider_core.errors import UnknownAttributeError
from qprovider_core.records.backends import BackendInfo, BackendStatus

FACETS: Final = ("info", "status", "configuration", "properties")
FACET_HOOKS: Final[Mapping[str, str]] = {
    "status": "qprovider_backend_status",
    "configuration": "qprovider_backend_configuration",
    "properties": "qprovider_backend_properties",
}


class Kind(Enum):
    """What sort of value an attribute holds; the value is how it is spoken of."""

    FLAG = "true or false"
    NUMBER = "a number"
    TEXT = "a text"
    WORDS = "a list of texts"
    TIME = "a time"
    OTHER = "a value of another kind"


@attrs.frozen
class Attribute:
    """A name that a query may use.

    Attributes:
        name: As the user writes it.
        kind: What may be compared with it.
        places: Facet and reader of it, cheapest first; the first one that is not None is the value.
        wild: Whether a text with ``*``, ``?`` or ``[`` is a pattern for it.
    """

    name: str
    kind: Kind
    places: tuple[tuple[str, Callable[[Any], Any]], ...]
    wild: bool = False


def _kind(annotation: Any) -> Kind:
    if isinstance(annotation, types.UnionType):
        (annotation,) = (arg for arg in typing.get_args(annotation) if arg is not type(None))
    if annotation is bool:
        return Kind.FLAG
    if annotation in (int, float):
        return Kind.NUMBER
    if annotation is str:
        return Kind.TEXT
    if annotation is datetime:
        return Kind.TIME
    return Kind.WORDS if annotation == tuple[str, ...] else Kind.OTHER


def _declared(record: type) -> dict[str, Kind]:
    hints = typing.get_type_hints(record)
    return {field.name: _kind(hints[field.name]) for field in attrs.fields(record) if field.name != "extra"}


def _dynamic_in_listing(info: BackendInfo) -> bool | None:
    # A listing that does not name the feature need not be complete: then the configuration decides.
    return True if info.features and "dynamic_circuits" in info.features else None


# Names that differ between facets: (facet, field) after the place the name itself gives.
_ELSEWHERE: Mapping[str, tuple[tuple[str, str], ...]] = {
    "num_qubits": (("configuration", "n_qubits"),),
    "n_qubits": (("info", "num_qubits"),),
    "backend_name": (("info", "name"),),
    "backend_version": (("info", "version"),),
    "version": (("status", "backend_version"), ("configuration", "backend_version")),
    "features": (("configuration", "supported_features"),),
    "supported_features": (("info", "features"),),
    "max_circuits": (("configuration", "max_experiments"),),
    "max_experiments": (("info", "max_circuits"),),
    "median_two_qubit_error": (("properties", "median_two_qubit_error"),),
    "median_readout_error": (("properties", "median_readout_error"),),
    "calibrated_at": (("properties", "last_update"),),
}
_WILD = frozenset({"name", "backend_name", "provider", "account", "instance", "processor"})


def _catalogue() -> dict[str, Attribute]:
    from qprovider_core.records import BackendConfiguration  # late, with the whole: a query without criteria needs none

    kinds: dict[str, Kind] = {}
    places: dict[str, list[tuple[str, str]]] = {}
    for facet, record in (
        ("info", BackendInfo),
        ("status", BackendStatus),
        ("configuration", BackendConfiguration),
    ):
        for name, kind in _declared(record).items():
            kinds.setdefault(name, kind)
            places.setdefault(name, []).append((facet, name))
    table = {}
    for name, found in places.items():
        everywhere = sorted({*found, *_ELSEWHERE.get(name, ())}, key=lambda place: FACETS.index(place[0]))
        readers = tuple((facet, attrgetter(field)) for facet, field in everywhere)
        table[name] = Attribute(name, kinds[name], readers, name in _WILD)
    table["dynamic_circuits"] = Attribute(
        "dynamic_circuits",
        Kind.FLAG,
        (("info", _dynamic_in_listing), ("configuration", attrgetter("dynamic_circuits"))),
    )
    return table


class _Catalogue(Mapping[str, Attribute]):
    """All attributes by their names, made when the first is looked for."""

    @cached_property
    def _table(self) -> dict[str, Attribute]:
        return _catalogue()

    def __getitem__(self, name: str) -> Attribute:
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


CATALOGUE: Final[Mapping[str, Attribute]] = _Catalogue()


def find_attribute(name: str, extra_fields: Iterable[str] = ()) -> Attribute:
    """The attribute of that name.

    Args:
        extra_fields: Names of the vendors' own fields, read from `BackendInfo.extra`.
    Raises:
        UnknownAttributeError: There is none; near matches are named.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    own = tuple(extra_fields)
    if name in own:
        return Attribute(name, Kind.OTHER, (("info", lambda info: info.extra.get(name)),))
    raise UnknownAttributeError(name, [*CATALOGUE, *own])

"""What all records share: a short repr, and JSON both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

import attrs


class Record:
    """Base of the frozen values that cross the plugin border."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON types: times as ISO 8601 text, bytes as base64, secrets masked."""
        from qprovider_core.serialization import to_json  # late: cattrs is slow to import

        data = to_json(self)
        assert isinstance(data, dict)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The record that `to_dict` wrote.

        Raises:
            ResponseError: A value is of the wrong type or out of range; `.path` says which.
        """
        from qprovider_core.serialization import from_json  # late: cattrs is slow to import

        return from_json(data, cls)

    def __repr__(self) -> str:
        shown = []
        for field in attrs.fields(type(self)):  # type: ignore[arg-type]  # subclasses are attrs classes
            value = getattr(self, field.name)
            default: Any = field.default
            if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time
                default = default.factory(self) if default.takes_self else default.factory()
            if field.repr and value is not None and value != default:
                shown.append(f"{field.name}={_brief(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


class FlatRecord(Record):
    """A record of simple values, which become JSON without the converter that deep ones need: it is slow to import, and
    listings are to be quick."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for name in _names(type(self)):
            value = getattr(self, name)
            kind = type(value)
            if kind in _SIMPLE:
                data[name] = value
            elif kind is datetime:
                data[name] = value.astimezone(UTC).isoformat()
            elif kind is tuple and all(type(one) in _SIMPLE for one in value):
                data[name] = list(value)
            elif kind is dict and all(type(one) in _SIMPLE for one in (*value, *value.values())):
                data[name] = dict(value)
            else:
                return super().to_dict()
        return data


_SIMPLE = frozenset({type(None), bool, int, float, str})


_fields: dict[type, tuple[str, ...]] = {}


def _names(kind: type) -> tuple[str, ...]:
    if kind not in _fields:
        _fields[kind] = tuple(field.name for field in attrs.fields(kind))
    return _fields[kind]


def _brief(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    text = repr(value)
    return text if len(text) <= 160 else f"<{type(value).__name__} of {len(text)} characters>"


def aware(instance: object, attribute: attrs.Attribute[Any], value: datetime | None) -> None:
    """attrs validator: a time must carry its offset."""
    if value is not None and not isinstance(value, datetime):
        raise TypeError(f"{attribute.name} must be a time, not {_brief(value)}")
    if value is not None and value.tzinfo is None:
        raise ValueError(f"{attribute.name} must be an aware time (with an offset), not {value.isoformat()}")


def of_type(kind: type, *, optional: bool = False) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    """attrs validator: the value is of that type, or None where that may be."""

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind) and not (optional and value is None):
            raise TypeError(f"{attribute.name} must be a {kind.__name__}, not {_brief(value)}")

    return check


def texts(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """attrs validator: a tuple of texts."""
    if not isinstance(value, tuple) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{attribute.name} must be a list of texts, not {_brief(value)}")


def as_utc(value: datetime | None) -> datetime | None:
    """attrs converter: aware times in UTC; naive ones are left for `aware` to refuse."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return value


def time_field() -> Any:
    """An optional aware time, kept in UTC."""
    return attrs.field(default=None, converter=as_utc, validator=attrs.validators.optional(aware))


def as_tuple(value: Any) -> Any:
    """attrs converter: lists become tuples; anything else is left for the validators."""
    return tuple(value) if isinstance(value, list) else value

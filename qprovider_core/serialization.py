"""How values become JSON and back: the only module that decides it.

Structuring is strict: 3.7 is not an integer, "false" is not a truth value, a text is not a number. Errors name
the path to the bad value.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from qprovider_core.errors import ResponseError
from qprovider_core.records.configurations import BackendConfiguration
from qprovider_core.records.results import EstimatePubResult, SamplePubResult
from qprovider_core.secret import MASK, Secret

T = TypeVar("T")


class _WrongType(ValueError):
    """A value is not of the type that its place takes."""


def _refuse(value: object, wanted: str) -> _WrongType:
    shown = repr(value)
    return _WrongType(f"expected {wanted}, got {shown if len(shown) <= 60 else shown[:57] + '…'}")


def _bool(value: Any, _: object) -> bool:
    if not isinstance(value, bool):
        raise _refuse(value, "true or false")
    return value


def _int(value: Any, _: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refuse(value, "a whole number")
    return value


def _float(value: Any, _: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(value, "a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _refuse(value, "a finite number")
    return number


def _str(value: Any, _: object) -> str:
    if not isinstance(value, str):
        raise _refuse(value, "a text")
    return value


def _bytes(value: Any, _: object) -> bytes:
    try:
        return base64.b64decode(_str(value, _), validate=True)
    except binascii.Error as exc:
        raise _refuse(value, "base64 text") from exc


def _base64(data: bytes | memoryview) -> str:
    return base64.b64encode(data).decode("ascii")


def _datetime(value: Any, _: object) -> datetime:
    try:
        moment = datetime.fromisoformat(_str(value, _))
    except ValueError as exc:
        raise _refuse(value, "an ISO 8601 time") from exc
    if moment.tzinfo is None:
        raise _refuse(value, "a time with an offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise _refuse(value, "a time from the year 1 to 9999") from exc


def _sequence(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise _refuse(value, "a list")
    return value


def _secret(value: Any, _: object) -> Secret:
    return Secret(_str(value, _))


def converter() -> Converter:
    """A fresh converter: nobody shares one, so plugins cannot disturb each other."""
    conv = Converter(prefer_attrib_converters=False)
    for kind, hook in ((bool, _bool), (int, _int), (float, _float), (str, _str), (bytes, _bytes)):
        conv.register_structure_hook(kind, hook)
    conv.register_structure_hook(datetime, _datetime)
    conv.register_structure_hook(Secret, _secret)
    conv.register_unstructure_hook(Secret, lambda _: MASK)
    conv.register_unstructure_hook(datetime, lambda moment: moment.astimezone(UTC).isoformat())
    conv.register_structure_hook(bytes | memoryview, _bytes)
    conv.register_unstructure_hook(bytes, _base64)
    conv.register_unstructure_hook(bytes | memoryview, _base64)
    conv.register_unstructure_hook(Enum, lambda member: member.value)
    conv.register_structure_hook_factory(_is_tuple, _tuple_factory)
    conv.register_unstructure_hook_func(_is_tuple, lambda items: [conv.unstructure(item) for item in items])
    conv.register_structure_hook_func(
        lambda t: t == SamplePubResult | EstimatePubResult,
        _only_objects(lambda value, _: conv.structure(value, EstimatePubResult if "evs" in value else SamplePubResult)),
    )
    conv.register_structure_hook_factory(_is_mapping, _mapping_factory)
    conv.register_structure_hook_factory(_is_record, _record_factory)
    conv.register_structure_hook_factory(_is_configuration, _structure_configuration)
    conv.register_unstructure_hook_factory(_is_configuration, _unstructure_configuration)
    conv.register_structure_hook_func(lambda kind: kind is type, _no_type)
    conv.register_unstructure_hook(type, lambda kind: f"{kind.__module__}:{kind.__qualname__}")
    return conv


def _is_tuple(kind: Any) -> bool:
    return kind is tuple or get_origin(kind) is tuple


def _tuple_factory(kind: Any, conv: Converter) -> Any:
    args = get_args(kind)
    if Ellipsis in args:
        inner = conv.get_structure_hook(list[args[0]])  # type: ignore[valid-type]  # built at run time
        return lambda value, _: tuple(inner(_sequence(value), list))
    hooks = [conv.get_structure_hook(arg) for arg in args]

    def structure(value: Any, _: object) -> Any:
        if len(_sequence(value)) != len(args):
            raise _refuse(value, f"{len(args)} values")
        items, failures = [], []
        for position, (item, arg, hook) in enumerate(zip(value, args, hooks, strict=True)):
            try:
                items.append(hook(item, arg))
            except Exception as exc:  # noqa: BLE001  as cattrs gathers them
                exc.add_note(IterableValidationNote(f"at index {position}", position, arg))
                failures.append(exc)
        if failures:
            raise IterableValidationError(f"While structuring {kind}", failures, kind)
        return tuple(items)

    return structure


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and attrs.has(kind)


def _is_configuration(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BackendConfiguration)


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) is Mapping


def _only_objects(structure: Callable[[Any, Any], T]) -> Callable[[Any, Any], T]:
    """What comes as a list or a number is refused in words rather than with Python's own error."""

    def checked(value: Any, kind: Any) -> T:
        if not isinstance(value, Mapping):
            raise _refuse(value, "an object")
        return structure(value, kind)

    return checked


def _record_factory(kind: Any, conv: Converter) -> Any:
    return _only_objects(make_dict_structure_fn(kind, conv))


def _mapping_factory(kind: Any, conv: Converter) -> Any:
    return _only_objects(conv.get_structure_hook(dict[get_args(kind)]))  # type: ignore[misc]  # built at run time


def _structure_configuration(kind: Any, conv: Converter) -> Any:
    """Unknown keys of a configuration live in `extra` here and at the top level in JSON."""
    known = {field.name for field in attrs.fields(kind)} - {"extra"}
    structure = make_dict_structure_fn(kind, conv, extra=override(omit=True))

    def configuration(value: Any, _: object) -> Any:
        extra = {key: value[key] for key in value if key not in known}
        return attrs.evolve(structure(value, kind), extra=extra)

    return _only_objects(configuration)


def _unstructure_configuration(kind: Any, conv: Converter) -> Any:
    unstructure = make_dict_unstructure_fn(kind, conv, extra=override(omit=True))
    return lambda value: {**conv.unstructure(dict(value.extra)), **unstructure(value)}


def _no_type(value: Any, _: object) -> type:
    raise _refuse(value, "nothing: a class cannot be read from JSON")


_shared: Converter | None = None


def _core_converter() -> Converter:
    """The core's own, made once: building the functions of a class costs milliseconds."""
    global _shared
    if _shared is None:
        _shared = converter()
    return _shared


def to_json(value: object) -> Any:
    """`value` as JSON types."""
    return _core_converter().unstructure(value)


def from_json(data: Any, kind: type[T], *, conv: Converter | None = None, what: str = "") -> T:
    """A `kind` made of JSON types.

    Raises:
        ResponseError: `data` is not of the form of `kind`; `.path` says where it departs.
    """
    if attrs.has(kind) and not isinstance(data, Mapping):
        raise ResponseError(f"{what or kind.__name__} is not of the expected form: {_refuse(data, 'an object')}.")
    try:
        return (conv or _core_converter()).structure(data, kind)
    except (BaseValidationError, ValueError, TypeError, KeyError, AttributeError) as exc:
        path, reason = locate(exc)
        raise ResponseError(
            f"{what or kind.__name__} is not of the expected form{f' at {path}' if path else ''}: {reason}.",
            path=path,
        ) from exc


def locate(exc: BaseException, prefix: str = "") -> tuple[str, str]:
    """Path to the first bad value below a structuring error, and what is wrong with it."""
    if isinstance(exc, ForbiddenExtraKeysError):
        return prefix, f"unknown key {', '.join(sorted(repr(key) for key in exc.extra_fields))}"
    if isinstance(exc, BaseValidationError) and exc.exceptions:
        inner = exc.exceptions[0]
        for note in getattr(inner, "__notes__", ()):
            if isinstance(note, AttributeValidationNote):
                return locate(inner, f"{prefix}.{note.name}" if prefix else note.name)
            if isinstance(note, IterableValidationNote):
                step = f"[{note.index!r}]" if isinstance(note.index, str) else f"[{note.index}]"
                return locate(inner, prefix + step)
        return locate(inner, prefix)
    if isinstance(exc, KeyError):
        return prefix or str(exc.args[0]), "missing"
    return prefix, str(exc) or type(exc).__name__

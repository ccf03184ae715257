"""Keyword criteria: what ``min_num_qubits=5`` or ``name="ibm_*"`` stands for."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from numbers import Real
from typing import Any

import attrs

from qprovider_core.attributes import CATALOGUE, Attribute, Kind, find_attribute
from qprovider_core.errors import InvalidInputError, UnknownAttributeError
from qprovider_core.records.backends import BackendInfo
from qprovider_core.views import Criterion, Needs, Outcome, View


@attrs.frozen
class Compare:
    """A test of one attribute.

    Attributes:
        users: The user's own function, when that is the test: a reason tells what it raised.
    """

    attribute: Attribute
    test: Callable[[Any], bool]
    text: str
    users: Callable[[Any], Any] | None = None

    def quick(self) -> tuple[Callable[[BackendInfo], Any], Callable[[Any], bool]] | None:
        facet, read = self.attribute.places[0]
        return (read, self.test) if facet == "info" else None

    def outcome(self, view: View) -> Outcome:
        value = view.value(self.attribute)
        if value is None or isinstance(value, Needs):
            return value
        try:
            return bool(self.test(value))
        except Exception:  # noqa: BLE001  records of a vendor may hold anything; what cannot be compared fails
            return False

    def attributes(self) -> Iterable[Attribute]:
        return (self.attribute,)

    def reason(self, view: View) -> str:
        told, value = view.tell(self.attribute), view.value(self.attribute)
        if self.users is not None and value is not None and not isinstance(value, Needs):
            try:
                self.users(value)
            except Exception as exc:  # noqa: BLE001  a user's function may raise anything
                return f"{told}, on which {_name_of(self.users)} raised {type(exc).__name__}: {exc}"
        return f"{told}, wanted {self.text}"


def keyword_criterion(name: str, wanted: Any, extra_fields: Iterable[str] = ()) -> Criterion:
    """The criterion that a keyword argument stands for.

    - ``name="ibm_*"``: names, providers, accounts, instances and processors take wildcards; a list is any of.
    - ``num_qubits=27``, ``open_pulse=True``: equality; ``num_qubits=range(5, 28)``, ``num_qubits=[5, 27]``: any of.
    - ``min_X=``, ``max_X=``: bounds, inclusive, for every attribute X that is a number or a time.
    - ``basis_gates="cx"``, ``features=["a", "b"]``: lists of words must contain the given one, or all of them.
    - ``num_qubits=lambda n: n % 2``: any test of the value.

    Raises:
        UnknownAttributeError: No attribute of that name; near matches are named.
        InvalidInputError: The value cannot be compared with the attribute.
    """
    bound = _bound(name, wanted, extra_fields)
    if bound is not None:
        return bound
    attribute = find_attribute(name, extra_fields)
    if name == "instance":
        return _of_instance(attribute, wanted)
    if callable(wanted) and not isinstance(wanted, type):
        return Compare(attribute, _guarded(wanted), f"{name} to satisfy {_name_of(wanted)}", wanted)
    if isinstance(wanted, Iterator):
        wanted = tuple(wanted)
    if isinstance(wanted, range):
        _check_value(attribute, 0)
        return Compare(attribute, lambda v: v in wanted, f"{name} in {wanted.start}..{wanted.stop - 1}")
    if attribute.kind is Kind.WORDS:
        words = {wanted} if isinstance(wanted, str) else set(_listed(attribute, wanted))
        return Compare(attribute, words.issubset, f"{name} with {', '.join(sorted(words))}")
    if attribute.kind is not Kind.OTHER and isinstance(wanted, list | tuple | AbstractSet):
        tests = [_equality(attribute, one) for one in wanted]
        shown = ", ".join(_shown(one) for one in wanted)
        return Compare(attribute, lambda v: any(test(v) for test in tests), f"{name} one of {shown}")
    return Compare(attribute, _equality(attribute, wanted), f"{name} == {_shown(wanted)}")


def _of_instance(attribute: Attribute, wanted: Any) -> Criterion:
    """An instance may be given by its id or by its name."""
    both = attrs.evolve(attribute, places=(("info", _ids_and_names),))
    one_of = [wanted] if isinstance(wanted, str) or not isinstance(wanted, list | tuple | AbstractSet) else list(wanted)
    tests = [_guarded(one) if callable(one) else _equality(attribute, one) for one in one_of]
    shown = ", ".join(_name_of(one) if callable(one) else _shown(one) for one in one_of)
    return Compare(both, lambda values: any(test(v) for test in tests for v in values), f"instance == {shown}")


def _ids_and_names(info: BackendInfo) -> tuple[str, ...] | None:
    return tuple(one for one in (info.instance, info.instance_name) if one is not None) or None


def _bound(name: str, wanted: Any, extra_fields: Iterable[str]) -> Criterion | None:
    """``min_X`` and ``max_X``; an attribute that is itself called so (``max_shots``) is not a bound."""
    prefix, _, rest = name.partition("_")
    own = tuple(extra_fields)
    if prefix not in ("min", "max") or name in CATALOGUE or name in own:
        return None
    try:
        attribute = find_attribute(rest, own)
    except UnknownAttributeError:
        bounds = [f"{p}_{a.name}" for a in CATALOGUE.values() if a.kind is Kind.NUMBER for p in ("min", "max")]
        raise UnknownAttributeError(name, [*CATALOGUE, *own, *bounds]) from None
    if attribute.kind not in (Kind.NUMBER, Kind.TIME, Kind.OTHER):
        raise InvalidInputError(
            f"{name}: {attribute.name} is {attribute.kind.value}, which has no {prefix}imum.",
            hint=f"Write {attribute.name}=… instead.",
        )
    _check_value(attribute, wanted)
    if prefix == "min":
        return Compare(attribute, _guarded(lambda v: v >= wanted), f"{rest} >= {_shown(wanted)}")
    return Compare(attribute, _guarded(lambda v: v <= wanted), f"{rest} <= {_shown(wanted)}")


def _equality(attribute: Attribute, wanted: Any) -> Callable[[Any], bool]:
    if attribute.kind is Kind.OTHER:
        sought = plain(wanted)
        return _guarded(lambda value: plain(value) == sought)
    _check_value(attribute, wanted)
    if attribute.wild and is_pattern(wanted):
        return wildcard(wanted)
    return lambda value: bool(value == wanted)


def is_pattern(text: str) -> bool:
    """Whether a text has wildcards: ``*``, ``?`` or ``[``."""
    return any(sign in text for sign in "*?[")


def wildcard(pattern: str) -> Callable[[str], bool]:
    """The test that a pattern stands for; capitals count."""
    matches = re.compile(fnmatch.translate(pattern)).match
    return lambda text: matches(text) is not None


def _check_value(attribute: Attribute, wanted: Any) -> None:
    """Refuse a value of another kind than the attribute's: it could never match."""
    fits = {
        Kind.FLAG: isinstance(wanted, bool) or type(wanted).__name__ in ("bool", "bool_"),  # numpy's, too
        Kind.NUMBER: isinstance(wanted, Real) and not isinstance(wanted, bool),
        Kind.TEXT: isinstance(wanted, str),
        Kind.WORDS: isinstance(wanted, str),
        Kind.TIME: isinstance(wanted, datetime),
        Kind.OTHER: True,
    }[attribute.kind]
    if not fits:
        raise InvalidInputError(f"{attribute.name} is {attribute.kind.value}; {wanted!r} is not.")
    if isinstance(wanted, float) and math.isnan(wanted):
        raise InvalidInputError(f"{attribute.name} cannot be compared with NaN.")
    if isinstance(wanted, datetime) and wanted.tzinfo is None:
        raise InvalidInputError(
            f"{attribute.name} cannot be compared with {wanted.isoformat()}, which has no offset.",
            hint="Give an aware time, such as datetime(2026, 1, 1, tzinfo=UTC).",
        )


def _listed(attribute: Attribute, wanted: Any) -> list[str]:
    if not isinstance(wanted, list | tuple | AbstractSet):
        raise InvalidInputError(f"{attribute.name} is {attribute.kind.value}; {wanted!r} is not.")
    for word in wanted:
        _check_value(attribute, word)
    return list(wanted)


def _guarded(test: Callable[[Any], Any]) -> Callable[[Any], bool]:
    """A test that may not fit every value (a vendor's own field can be anything): what it cannot compare fails."""

    def guarded(value: Any) -> bool:
        try:
            return bool(test(value))
        except Exception:  # noqa: BLE001  see above
            return False

    return guarded


def plain(value: Any) -> Any:
    """Lists and tuples alike, all the way down."""
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def _shown(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def _name_of(test: Callable[..., Any]) -> str:
    return getattr(test, "__name__", type(test).__name__)

"""Which backends a user wants: criteria as data, and the sieve that applies them.

A criterion is true, false, undecided (None: the value is not reported, which satisfies nothing) or `Needs` a
facet that was not fetched yet. The sieve goes through the facets in order of cost and asks for one only for the
backends that survived the cheaper ones. Everything here is a pure function over records.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from numbers import Real
from typing import Any, Final, Protocol

import attrs

from qprovider_core.attributes import CATALOGUE, FACETS, Attribute, Kind, find_attribute
from qprovider_core.errors import InvalidInputError, UnknownAttributeError
from qprovider_core.records.backends import BackendInfo


@attrs.frozen
class Needs:
    """The outcome of a criterion that cannot be told before this facet is fetched."""

    facet: str


Outcome = bool | None | Needs


class _Unfetched:
    def __repr__(self) -> str:
        return "UNFETCHED"


UNFETCHED: Final = _Unfetched()


_NO_FAILURES: Final[Mapping[str, str]] = {}


class View:
    """What is known of one backend while a query looks at it.

    Attributes:
        info: The listing's record.
        status, configuration, properties: A record; None where there is none; `UNFETCHED` before it was asked for.
        failures: Facet to the reason why it could not be had.
    """

    __slots__ = ("configuration", "failures", "info", "properties", "status")

    def __init__(
        self, info: BackendInfo, status: Any = None, configuration: Any = None, properties: Any = None
    ) -> None:
        self.info = info
        self.status = status
        self.configuration = configuration
        self.properties = properties
        self.failures: Mapping[str, str] = _NO_FAILURES

    def value(self, attribute: Attribute) -> Any:
        """The attribute's value, None when not reported, or `Needs`."""
        for facet, read in attribute.places:
            record = getattr(self, facet)
            if record is UNFETCHED:
                return Needs(facet)
            if record is None:
                continue
            try:
                value = read(record)
            except Exception as exc:  # noqa: BLE001  content is structured when it is read: only then is damage seen
                self.failures = {**self.failures, facet: f"its {facet} cannot be read: {exc}"}
                continue
            if value is not None:
                return value
        return None

    def tell(self, attribute: Attribute) -> str:
        """The attribute and its value as a reason names them: ``num_qubits is 5``."""
        value = self.value(attribute)
        if value is None or isinstance(value, Needs):
            for facet, _ in attribute.places:
                if facet in self.failures:
                    return f"{attribute.name} is not known: {self.failures[facet]}"
            return f"{attribute.name} is not reported"
        text = value.isoformat() if isinstance(value, datetime) else repr(value)
        return f"{attribute.name} is {text if len(text) <= 60 else text[:57] + '…'}"


class Criterion(Protocol):
    """One condition of a query."""

    @property
    def text(self) -> str:
        """As the user would write it."""

    def quick(self) -> tuple[Callable[[BackendInfo], Any], Callable[[Any], bool]] | None:
        """A reader of the listing and a test of what it read, where the criterion is that simple: lists of many
        thousand backends are sifted with it. A value of None leaves the criterion open."""

    def outcome(self, view: View) -> Outcome: ...

    def attributes(self) -> Iterable[Attribute]:
        """What it looks at."""

    def reason(self, view: View) -> str:
        """Why the view did not satisfy it."""


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


# ------------------------------------------------------------------------------------------- keyword criteria


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
    if callable(wanted) and not isinstance(wanted, type):
        return Compare(attribute, _guarded(wanted), f"{name} to satisfy {_name_of(wanted)}", wanted)
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
        plain = _plain(wanted)
        return _guarded(lambda value: _plain(value) == plain)
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
        Kind.FLAG: isinstance(wanted, bool),
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


def _plain(value: Any) -> Any:
    """Lists and tuples alike, all the way down."""
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _shown(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def _name_of(test: Callable[..., Any]) -> str:
    return getattr(test, "__name__", type(test).__name__)


# ------------------------------------------------------------------------------------------------------- query


@attrs.frozen
class BackendQuery:
    """Criteria, all of which a backend must satisfy."""

    criteria: tuple[Criterion, ...] = ()

    @classmethod
    def build(cls, *, where: str | None = None, extra_fields: Iterable[str] = (), **criteria: Any) -> BackendQuery:
        """A query from keyword criteria (None: not given) and a query text.

        Raises:
            InvalidInputError: A name, a value or the text cannot be used; nothing was asked of anybody.
        """
        own = tuple(extra_fields)
        built = [keyword_criterion(name, v, own) for name, v in criteria.items() if v is not None]
        _refuse_contradictions({n: v for n, v in criteria.items() if n not in CATALOGUE and n not in own})
        if where is not None:
            from qprovider_core.where import parse_where  # late: few queries have one

            built += parse_where(where, own)
        return cls(tuple(built))

    def __str__(self) -> str:
        return " and ".join(criterion.text for criterion in self.criteria) or "anything"


def _refuse_contradictions(criteria: Mapping[str, Any]) -> None:
    for name, low in criteria.items():
        high = criteria.get("max_" + name.removeprefix("min_"))
        if not name.startswith("min_") or low is None or high is None:
            continue
        numbers = isinstance(low, Real) and isinstance(high, Real)
        if (numbers or (isinstance(low, datetime) and isinstance(high, datetime))) and low > high:
            raise InvalidInputError(
                f"{name}={low} is above max_{name.removeprefix('min_')}={high}: nothing can satisfy both."
            )


@attrs.frozen
class Rejected:
    """A backend that a query left out.

    Attributes:
        info: Its record.
        name: As `get_backend` takes it.
        criterion: The criterion it failed, as text; None where none was at fault.
        reason: Why, in words.
    """

    info: BackendInfo
    name: str
    reason: str
    criterion: str | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class Rejections(Sequence[Rejected]):
    """The backends that a query left out. It may be a hundred thousand of them, so they are kept in groups by what
    they failed, and put into words when they are looked at."""

    def __init__(self) -> None:
        self._groups: list[tuple[Criterion | str, str, Sequence[View | BackendInfo]]] = []

    def add(self, because: Criterion | str, prefix: str, items: Sequence[View | BackendInfo]) -> None:
        """Put in backends that failed the same: a criterion, or a reason in words.

        Args:
            prefix: Goes before the names of those that are not stamped yet.
        """
        if items:
            self._groups.append((because, prefix, items))

    def extend(self, others: Rejections) -> None:
        """Put in another query's."""
        self._groups += others._groups

    def __len__(self) -> int:
        return sum(len(items) for _, _, items in self._groups)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return list(self)[index]
        position = range(len(self))[index]
        for because, prefix, items in self._groups:
            if position < len(items):
                return _rejected(because, prefix, items[position])
            position -= len(items)
        raise IndexError(index)

    def __iter__(self) -> Iterator[Rejected]:
        for because, prefix, items in self._groups:
            for item in items:
                yield _rejected(because, prefix, item)

    def __repr__(self) -> str:
        lines = [str(one) for one, _ in zip(self, range(20), strict=False)]
        more = [f"… and {len(self) - 20} more"] if len(self) > 20 else []
        return "\n".join(lines + more) or "none rejected"


def _rejected(because: Criterion | str, prefix: str, item: View | BackendInfo) -> Rejected:
    view = item if isinstance(item, View) else View(item)
    info = view.info
    stamped = isinstance(info.full_name, str) and info.full_name.startswith(prefix)
    name = _short(info.full_name) if stamped else f"{prefix}{_short(info.name)}"
    if isinstance(because, str):
        return Rejected(info, name, because)
    return Rejected(info, name, because.reason(view), because.text)


_LONGEST_SHOWN = 300  # no sound name is longer


def _short(name: object) -> str:
    """A name to show for a record that may be garbage."""
    if not isinstance(name, str) or not name:
        return "(unnamed)"
    return name if len(name) <= _LONGEST_SHOWN else name[: _LONGEST_SHOWN - 1] + "…"


Fetch = Callable[[str, Sequence[View]], None]


def sift(
    query: BackendQuery,
    infos: Sequence[BackendInfo],
    fetch: Fetch,
    available: AbstractSet[str] = frozenset(),
    prefix: str = "",
) -> tuple[list[View], Rejections]:
    """The backends that satisfy a query, in their order, and the others with the criterion they failed.

    Args:
        fetch: Called with a facet and the views that need it; puts the record (or None and a failure) into each.
        available: Facets that the vendor can be asked for.
        prefix: Put before the names of those rejected, such as ``ibm:``.
    """
    survivors, rejected = infos, Rejections()
    open_criteria: list[Criterion] = []
    for criterion in query.criteria:
        quick = criterion.quick()
        if quick is None:
            open_criteria.append(criterion)
            continue
        read, test = quick
        kept, dropped, left_open = [], [], False
        for info in survivors:
            value = read(info)
            if value is None:
                left_open = True
                kept.append(info)
            elif test(value):
                kept.append(info)
            else:
                dropped.append(info)
        survivors = kept
        rejected.add(criterion, prefix, dropped)
        if left_open:
            open_criteria.append(criterion)
    unfetched = tuple(UNFETCHED if facet in available else None for facet in FACETS[1:])
    views = [View(info, *unfetched) for info in survivors]
    views, more = sift_views(open_criteria, views, fetch, prefix)
    rejected.extend(more)
    return views, rejected


def sift_views(
    criteria: Sequence[Criterion], views: list[View], fetch: Fetch, prefix: str = ""
) -> tuple[list[View], Rejections]:
    """Decide what the listing left open, fetching the cheapest facet that any criterion needs, again and again."""
    rejected = Rejections()
    while criteria and views:
        kept: list[View] = []
        needing: dict[str, list[View]] = {}
        for view in views:
            failed, facet = _judge(criteria, view)
            if failed is not None:
                rejected.add(failed, prefix, [view])
                continue
            kept.append(view)
            if facet is not None:
                needing.setdefault(facet, []).append(view)
        views = kept
        if not needing:
            break
        cheapest = min(needing, key=FACETS.index)
        fetch(cheapest, needing[cheapest])
        for view in needing[cheapest]:
            if getattr(view, cheapest) is UNFETCHED:  # a facet is asked for once, whatever came of it
                setattr(view, cheapest, None)
    return views, rejected


def _judge(criteria: Sequence[Criterion], view: View) -> tuple[Criterion | None, str | None]:
    """The first criterion that the view fails, else the cheapest facet that one still needs."""
    needed: str | None = None
    for criterion in criteria:
        outcome = criterion.outcome(view)
        if isinstance(outcome, Needs):
            if needed is None or FACETS.index(outcome.facet) < FACETS.index(needed):
                needed = outcome.facet
        elif not outcome:
            return criterion, None
    return None, needed

"""Which backends a user wants: criteria as data, and the sieve that applies them.

A criterion is true, false, undecided (None: the value is not reported, which satisfies nothing) or `Needs` a
facet that was not fetched yet. The sieve goes through the facets in order of cost and asks for one only for the
backends that survived the cheaper ones. Everything here is a pure function over records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from numbers import Real
from typing import Any, NamedTuple

import attrs

from qprovider_core._text import printable
from qprovider_core.attributes import CATALOGUE, FACETS
from qprovider_core.criteria import keyword_criterion
from qprovider_core.errors import InvalidInputError
from qprovider_core.records.backends import BackendInfo
from qprovider_core.views import UNFETCHED, Criterion, Needs, View


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
        bounds = {n: v for n, v in criteria.items() if v is not None and n.startswith(("min_", "max_"))}
        _refuse_contradictions({n: v for n, v in bounds.items() if n not in CATALOGUE and n not in own})
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
        return printable(f"{self.name}: {self.reason}")


class Rejections(Sequence[Rejected]):
    """The backends that a query left out. It may be a hundred thousand of them, so they are kept in groups by what
    they failed, and put into words when they are looked at."""

    def __init__(self) -> None:
        self._groups: list[tuple[Criterion | str, str, Sequence[View | BackendInfo | Rejected]]] = []

    def add(self, because: Criterion | str, prefix: str, items: Sequence[View | BackendInfo | Rejected]) -> None:
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

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (list(self),))  # criteria hold functions, which do not travel; their words do

    def __repr__(self) -> str:
        lines = [str(one) for one, _ in zip(self, range(20), strict=False)]
        more = [f"… and {len(self) - 20} more"] if len(self) > 20 else []
        return "\n".join(lines + more) or "none rejected"


def _restored(items: list[Rejected]) -> Rejections:
    rejections = Rejections()
    rejections.add("", "", items)
    return rejections


def _rejected(because: Criterion | str, prefix: str, item: View | BackendInfo | Rejected) -> Rejected:
    if isinstance(item, Rejected):
        return item
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


Fetch = Callable[[str, Sequence[View]], Sequence[View] | None]


class Cost(NamedTuple):
    """Whose question it was, and for what: the criterion's text and the facet."""

    criterion: str
    facet: str


def sift(
    query: BackendQuery,
    infos: Sequence[BackendInfo],
    fetch: Fetch,
    available: AbstractSet[str] = frozenset(),
    prefix: str = "",
    costs: Counter[Cost] | None = None,
) -> tuple[list[View], Rejections]:
    """The backends that satisfy a query, in their order, and the others with the criterion they failed.

    Args:
        fetch: Called with a facet and the views that need it; puts the record (or None and a failure) into each, and
            returns those for which somebody had to be asked.
        available: Facets that the vendor can be asked for.
        prefix: Put before the names of those rejected, such as ``ibm:``.
        costs: Counts which criterion asked for which facet how often.
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
    views, more = sift_views(open_criteria, views, fetch, prefix, costs)
    rejected.extend(more)
    return views, rejected


def sift_views(
    criteria: Sequence[Criterion],
    views: list[View],
    fetch: Fetch,
    prefix: str = "",
    costs: Counter[Cost] | None = None,
) -> tuple[list[View], Rejections]:
    """Decide what the listing left open, fetching the cheapest facet that any criterion needs, again and again."""
    rejected = Rejections()
    while criteria and views:
        kept: list[View] = []
        needing: dict[str, list[View]] = {}
        askers: dict[int, str] = {}
        for view in views:
            failed, facet, asker = _judge(criteria, view)
            if failed is not None:
                rejected.add(failed, prefix, [view])
                continue
            kept.append(view)
            if facet is not None:
                needing.setdefault(facet, []).append(view)
                askers[id(view)] = asker
        views = kept
        if not needing:
            break
        cheapest = min(needing, key=FACETS.index)
        asked = fetch(cheapest, needing[cheapest])
        if costs is not None:
            costs.update(Cost(askers[id(view)], cheapest) for view in asked or ())
        for view in needing[cheapest]:
            if getattr(view, cheapest) is UNFETCHED:  # a facet is asked for once, whatever came of it
                setattr(view, cheapest, None)
    return views, rejected


def _judge(criteria: Sequence[Criterion], view: View) -> tuple[Criterion | None, str | None, str]:
    """The first criterion that the view fails, else the cheapest facet that one still needs and that one's text."""
    needed: str | None = None
    asker = ""
    for criterion in criteria:
        outcome = criterion.outcome(view)
        if isinstance(outcome, Needs):
            if needed is None or FACETS.index(outcome.facet) < FACETS.index(needed):
                needed, asker = outcome.facet, criterion.text
        elif not outcome:
            return criterion, None, ""
    return None, needed, asker

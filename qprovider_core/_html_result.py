"""A result as HTML for notebooks: the most frequent outcomes of each circuit, with bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from qprovider_core._html import (
    BUSY,
    QUIET,
    Markup,
    bar,
    card,
    element,
    escaped,
    folded,
    joined,
    never_raising,
    paragraph,
    said,
    table,
)

if TYPE_CHECKING:
    from qprovider_core._result import LazyResult

MOST_OUTCOMES = 16
MOST_CIRCUITS = 20
_OPEN = 3  # circuits that are shown without being clicked
_HEAD = ("outcome", "times", "share", "")


@never_raising
def result_html(result: LazyResult) -> str:
    """The counts of each circuit, most frequent first; what is left out is counted."""
    where = joined(["Result of job ", element("b", result.job_id), f" on {said(result.backend_name)}"])
    return card(where, circuits_html(result))


def circuits_html(result: LazyResult) -> Markup:
    """The same without a heading."""
    total = len(result.results)
    parts: list[object] = []
    for position in range(min(total, MOST_CIRCUITS)):
        title, shown = _circuit(result, position, total)
        parts.append(folded(title, shown) if position >= _OPEN else element("div", paragraph(title), shown))
    if total > MOST_CIRCUITS:
        parts.append(paragraph(f"… and {total - MOST_CIRCUITS:,} more circuits; get_counts(index) gives them."))
    if not total:
        parts.append(paragraph("It has no circuits."))
    return joined(parts)


def _circuit(result: LazyResult, position: int, total: int) -> tuple[Markup, Markup]:
    experiment = result.results[position]
    header = experiment.header
    name = header.get("name") if isinstance(header, Mapping) else getattr(header, "name", None)
    frequent, distinct, shots = _frequent(result, position)
    which = f"{position}: " if total > 1 else ""
    title = joined([which, element("b", name or f"circuit-{position}"), f", {shots:,} shots"])
    if not shots:
        return title, paragraph("No outcomes.")
    rest = shots - sum(number for _, number in frequent)
    rows = list(_rows(frequent, distinct - len(frequent), rest, shots))
    return title, table(_HEAD, rows, total=len(rows), right=("times", "share"))


def _frequent(result: LazyResult, position: int) -> tuple[Sequence[tuple[str, int]], int, int]:
    """The most frequent outcomes with their numbers, how many different ones there are, and how many shots."""
    samples = result._samples_of(position)
    if samples is not None:
        return samples.most_frequent(MOST_OUTCOMES), samples.num_distinct, samples.shots
    counts: Mapping[str, Any] = result.get_counts(position)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ordered[:MOST_OUTCOMES], len(counts), sum(counts.values())


def _rows(
    frequent: Sequence[tuple[str, int]], others: int, rest: int, shots: int
) -> Iterator[tuple[object, object, object, object]]:
    most = max((number for _, number in frequent), default=1) or 1
    for bits, number in islice(frequent, MOST_OUTCOMES):
        yield element("code", bits or "(no bits)"), f"{number:,}", _share(number, shots), bar([(number / most, BUSY)])
    if others > 0:
        name = escaped(f"{others:,} other outcome{'s' if others > 1 else ''}")
        yield name, f"{rest:,}", _share(rest, shots), bar([(rest / most, QUIET)])


def _share(number: int, shots: int) -> str:
    return f"{100 * number / shots:.1f} %"

"""How a bench is run: two sides in turn, and what comes of it. Imports nothing that is slow to import."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

_QUARTILES_FROM = 8  # with fewer rounds the spread is from the smallest to the largest


@dataclass(frozen=True)
class Measure:
    """One number of one run.

    Attributes:
        value: In the line's unit; less is better in all of them.
        requests: How many went to the service, where there is one.
        answer: What came out, as text; both sides must say the same.
    """

    value: float
    requests: int | None = None
    answer: str | None = None


Sample = tuple[Measure, ...]  # one for each line of the bench
Side = Callable[[], Sample]


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        ours, other: What was run on each side; None where there is nothing to set beside it.
        unit: ``s`` of time, ``CPU s``, ``MiB``, or another word.
        ratio_at_most, below: What we mean to reach: ours divided by the other; ours alone, in the unit.
    """

    name: str
    ours: str
    other: str | None
    unit: str = "s"
    ratio_at_most: float | None = None
    below: float | None = None


@dataclass(frozen=True)
class Bench:
    """Lines that are measured together.

    Attributes:
        name: To choose it by.
        prepare: Sets up what both sides need, and returns them; runs in a process of the bench's own.
        rounds: Each with one run of both sides, ours first in every other one.
        warm_up: Rounds before those that count.
        emulator: Whether it needs the emulated IBM service; see `_service`.
    """

    name: str
    group: str
    lines: tuple[Line, ...]
    prepare: Callable[[ExitStack], tuple[Side, Side | None]]
    rounds: int
    warm_up: int = 0
    emulator: bool = False


class DisagreementError(Exception):
    """The two sides gave different answers, so that their times say nothing."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and the answer."""
    gc.collect()  # neither side pays for what the other left
    started = time.perf_counter()
    answer = work()
    return time.perf_counter() - started, answer


def cpu_timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of CPU time, and the answer."""
    gc.collect()
    started = time.process_time()
    answer = work()
    return time.process_time() - started, answer


def stopwatch(work: Callable[[], Any]) -> Side:
    """A side that is one call in this process; its answer is for the caller to check."""
    return lambda: (Measure(timed(work)[0]),)


def run(bench: Bench, rounds: int | None = None) -> list[dict[str, Any]]:
    """Run a bench here, and tell a row for each of its lines.

    Raises:
        DisagreementError: The sides' answers differ.
    """
    with ExitStack() as stack:
        ours, other = bench.prepare(stack)
        for _ in range(bench.warm_up):
            _round(ours, other, 0)
        pairs = [_round(ours, other, number) for number in range(rounds or bench.rounds)]
    return [row_of(bench, line, [_at(pair, place) for pair in pairs]) for place, line in enumerate(bench.lines)]


def _round(ours: Side, other: Side | None, number: int) -> tuple[Sample, Sample | None]:
    """One run of each; who begins changes, so that neither always comes after the other."""
    if other is None:
        return ours(), None
    if number % 2:
        theirs = other()
        mine = ours()
    else:
        mine = ours()
        theirs = other()
    for one, two in zip(mine, theirs, strict=True):
        if one.answer != two.answer:
            raise DisagreementError(f"ours says {one.answer}, the other {two.answer}")
    return mine, theirs


def _at(pair: tuple[Sample, Sample | None], place: int) -> tuple[Measure, Measure | None]:
    mine, theirs = pair
    return mine[place], None if theirs is None else theirs[place]


def row_of(bench: Bench, line: Line, pairs: Sequence[tuple[Measure, Measure | None]]) -> dict[str, Any]:
    """What is told of a line: medians of both sides, the median of the rounds' ratios, and how far they spread."""
    ratios = [mine.value / theirs.value for mine, theirs in pairs if theirs is not None and theirs.value]
    ours = _told(line.ours, [mine for mine, _ in pairs])
    ratio = statistics.median(ratios) if ratios else None
    reached = None
    if line.ratio_at_most is not None and ratio is not None:
        reached = ratio <= line.ratio_at_most
    if line.below is not None:
        reached = ours["median"] < line.below
    return {
        **_head(bench, line),
        "status": "measured",
        "rounds": len(pairs),
        "ours": ours,
        "other": None if line.other is None else _told(line.other, [theirs for _, theirs in pairs if theirs]),
        "ratio": ratio,
        "ratio_spread": spread(ratios) if ratios else None,
        "reached": reached,
    }


def failed_rows(bench: Bench, reason: str) -> list[dict[str, Any]]:
    """The rows of a bench that could not be run to its end."""
    return [{**_head(bench, line), "status": "failed", "reason": reason} for line in bench.lines]


def _head(bench: Bench, line: Line) -> dict[str, Any]:
    told = asdict(line)
    return {
        "group": bench.group,
        "bench": bench.name,
        "line": line.name,
        "unit": line.unit,
        "goal": {name: told[name] for name in ("ratio_at_most", "below") if told[name] is not None},
    }


def _told(what: str, measures: Sequence[Measure]) -> dict[str, Any]:
    values = [measure.value for measure in measures]
    requests = [measure.requests for measure in measures if measure.requests is not None]
    return {
        "what": what,
        "median": statistics.median(values),
        "spread": spread(values),
        "requests": statistics.median_low(requests) if requests else None,
        "values": values,
    }


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Where the middle half lies; of few values, the smallest and the largest."""
    if len(values) < _QUARTILES_FROM:
        return min(values), max(values)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high

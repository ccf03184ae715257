"""How time grows with the number of backends and of vendors: ``python -m benchmarks growth``.

Every point is measured in a process of its own, with rounds of both sides in turn. Of the lists of many backends only
the time beyond the vendor's own is told, on both sides.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import _docs, _machine, _run
from benchmarks._fresh import ROOT
from benchmarks._harness import Bench, Line, Side
from benchmarks._report import quantity, warnings
from benchmarks._sizes import FULL
from benchmarks.bench_engine import HANDLE_STEPS

PICTURE = ROOT / "docs" / "growth.svg"
NUMBERS = ROOT / "build" / "growth.json"
BACKENDS = (10, 30, 100, 300, 1000, 3000, 10_000)
VENDORS = (1, 2, 5, 10, 15, 20)
VENDOR_DELAY_S = 0.05
ALL = "all three"
_ROUNDS, _FEW = 9, 3
_PREFIX = "growth-"


def benches() -> Iterator[Bench]:
    """One for each point."""
    for number in BACKENDS:
        lines = tuple(Line(name, "qprovider-core", "plain BackendV2, by hand") for name in (*HANDLE_STEPS, ALL))
        prepare = functools.partial(_backends, number=number)
        yield Bench(f"{_PREFIX}backends-{number}", "backends", lines, prepare, _ROUNDS, warm_up=2)
    for number in VENDORS:
        line = Line("one query of all", "qprovider-core", "one after another, by hand")
        prepare = functools.partial(_vendors, number=number)
        yield Bench(f"{_PREFIX}vendors-{number}", "vendors", (line,), prepare, _ROUNDS, warm_up=1)


def _backends(stack: ExitStack, number: int) -> tuple[Side, Side]:
    from benchmarks.bench_engine import many_handles

    return many_handles(stack, number)


def _vendors(stack: ExitStack, number: int) -> tuple[Side, Side]:
    from benchmarks._vendors import Vendor
    from benchmarks.bench_vendors import in_turn, together

    vendors = [Vendor(f"vendor_{i}", delay_s=VENDOR_DELAY_S) for i in range(number)]
    return together(stack, vendors), in_turn(vendors)


def measure(*, quick: bool) -> dict[str, Any]:
    """All points: for each group and line, numbers with the medians of both sides in seconds.

    Raises:
        RuntimeError: One of them failed.
    """
    machine = _machine.facts()
    points: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with tempfile.TemporaryDirectory() as home:
        environment = _run.clean_environment(Path(home))
        for bench in benches():
            number = int(bench.name.rpartition("-")[2])
            if quick and bench.group == "backends" and number > 1000:
                continue
            for row in _run.in_own_process(bench, FULL, _FEW if quick else None, environment):
                if row["status"] == "failed":
                    raise RuntimeError(f"{bench.name} failed: {row['reason']}")
                point = {"number": number, "ours": row["ours"]["median"], "other": row["other"]["median"]}
                points.setdefault(bench.group, {}).setdefault(row["line"], []).append(point)
            print(f"{bench.name}: done", flush=True)
    return {"machine": machine, "quick": quick, "points": points}


def write(told: dict[str, Any], picture: Path = PICTURE) -> None:
    """Draw the picture, and put its numbers into the documentation."""
    from benchmarks._picture import draw  # late: matplotlib is slow to import

    draw(told["points"], picture)
    print(f"picture: {picture}")
    _docs.put("growth", tables(told))


def run(*, quick: bool, show: bool) -> None:
    """Measure, keep the numbers, and write picture and tables; with `show`, those of the last time."""
    if not show:
        told = measure(quick=quick)
        NUMBERS.parent.mkdir(parents=True, exist_ok=True)
        NUMBERS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    write(json.loads(NUMBERS.read_text(encoding="utf-8")))


def tables(told: dict[str, Any]) -> str:
    """The numbers in Markdown."""
    steps = told["points"]["backends"]
    heads = ["backends", *(f"{name}{side}" for name in HANDLE_STEPS for side in ("", ", by hand"))]
    rows = [
        [
            f"{steps[ALL][place]['number']:,}",
            *(quantity(steps[name][place][side], "s") for name in HANDLE_STEPS for side in ("ours", "other")),
        ]
        for place in range(len(steps[ALL]))
    ]
    (line,) = told["points"]["vendors"].values()
    vendors = [[str(point["number"]), quantity(point["ours"], "s"), quantity(point["other"], "s")] for point in line]
    notes = warnings(told["machine"], small=told["quick"])
    return "\n\n".join(
        [
            _table(heads, rows),
            _table(["vendors", "one query of all", "one after another, by hand"], vendors),
            " ".join([f"Medians on {_machine.line(told['machine'])}.", *notes]),
        ]
    )


def _table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows))

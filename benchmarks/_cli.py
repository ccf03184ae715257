"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import _catalogue, _docs, _growth, _harness, _machine, _report, _run
from benchmarks._fresh import ROOT
from benchmarks._sizes import FULL, QUICK, SIZES

RESULTS = ROOT / "build" / "benchmarks.json"


def main(arguments: list[str] | None = None) -> int:
    """Run it; returns the exit code: 1 where a line failed."""
    options = _parser().parse_args(arguments)
    sizes = QUICK if options.quick else SIZES[options.sizes]
    if options.worker:
        known = (*_catalogue.benches(sizes), *_growth.benches())
        (bench,) = [bench for bench in known if bench.name == options.worker]
        print(json.dumps(_harness.run(bench, options.rounds)))
        return 0
    if options.what == "growth":
        _growth.run(quick=options.quick, show=options.show)
        return 0
    if options.what == "docs":
        _docs.put("table", _report.markdown(_read(options.json)))
        return 0
    if options.show:
        told = _read(options.json)
        print(_report.markdown(told) if options.markdown else _text(told))
        return 1 if told["failed"] else 0
    chosen = _catalogue.benches(sizes, options.only)
    if not chosen:
        print(f"No line has {options.only!r} in it. `python -m benchmarks --list` names them all.", file=sys.stderr)
        return 2
    if options.list:
        for bench in chosen:
            print(f"{bench.name}: {bench.group}: {'; '.join(line.name for line in bench.lines)}")
        return 0
    machine = _machine.facts()
    out = sys.stderr if options.markdown else sys.stdout
    print(_report.header(), file=out)
    rows: list[dict[str, Any]] = []
    for told_rows in _run.rows(chosen, sizes, options.rounds, inside=options.inside):
        if not rows or rows[-1]["group"] != told_rows[0]["group"]:
            print(told_rows[0]["group"], file=out)
        rows += told_rows
        print("\n".join(_report.text_row(row) for row in told_rows), file=out, flush=True)
    settings = {"sizes": sizes.name, "rounds": options.rounds, "only": options.only}
    told = _report.document(rows, settings, machine)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        print(_report.markdown(told))
    print(f"{_report.end_text(told)}\nAll values: {options.json}", file=out)
    return 1 if told["failed"] else 0


def _read(path: Path) -> dict[str, Any]:
    """What an earlier run wrote."""
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SystemExit(f"There is no {path}: run the benchmarks first, or name their file with --json.") from None
    return told


def _text(told: dict[str, Any]) -> str:
    lines = [_report.header()]
    for group, rows in _report.grouped(told["lines"]):
        lines += [group, *map(_report.text_row, rows)]
    return "\n".join([*lines, _report.end_text(told)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="This project beside what a user would pick instead, in one run: a table, and a JSON file.",
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=("run", "growth", "docs"),
        default="run",
        help="run: the table; growth: docs/growth.svg and its numbers; docs: put the last run's table into the docs",
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="lines that have TEXT in them")
    parser.add_argument("--list", action="store_true", help="name the lines, and run nothing")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="instead of each line's own number")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds: for a look")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="PATH", help=f"default: {RESULTS}")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    parser.add_argument("--show", action="store_true", help="show what the last run measured, and run nothing")
    parser.add_argument("--sizes", choices=sorted(SIZES), default=FULL.name, help=argparse.SUPPRESS)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number

"""What a run tells: a table for people, one for documents, and a JSON document for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks import _machine

SCHEMA = 1
_LINE, _VALUE, _RATIO, _SPREAD, _REQUESTS = 66, 9, 8, 20, 9


def document(rows: Sequence[dict[str, Any]], settings: dict[str, Any], machine: dict[str, Any]) -> dict[str, Any]:
    """The JSON document: medians, ratios and every single value."""
    return {
        "schema": SCHEMA,
        "machine": machine,
        "settings": settings,
        "failed": [row["line"] for row in rows if row["status"] == "failed"],
        "lines": list(rows),
    }


# ---------------------------------------------------------------------------------------------------- for a terminal


def header() -> str:
    words = (
        f"{'ours':>{_VALUE}} {'other':>{_VALUE}} {'ratio':>{_RATIO}} {'spread':>{_SPREAD}} {'requests':>{_REQUESTS}}"
    )
    return f"{'':{_LINE}} {words}  beside"


def text_row(row: dict[str, Any]) -> str:
    """One line of the table."""
    start = f"  {row['line']:{_LINE - 2}} "
    if row["status"] == "failed":
        return f"{start}failed: {row['reason']}"
    ours, other = row["ours"], row["other"]
    told = (
        f"{quantity(ours['median'], row['unit']):>{_VALUE}} "
        f"{quantity(other['median'], row['unit']) if other else '':>{_VALUE}} "
        f"{figure(row['ratio']):>{_RATIO}} {_spread(row):>{_SPREAD}} {_requests(row, '/'):>{_REQUESTS}}"
    )
    note = "" if row["reached"] is None else f" ({goal_text(row)}: {'reached' if row['reached'] else 'NOT REACHED'})"
    return f"{start}{told}  {other['what'] if other else ''}{note}".rstrip()


def end_text(told: dict[str, Any]) -> str:
    """What stands below the table."""
    lines = [
        "Medians. Ratio: the rounds' median of ours divided by the other, less is better; spread: of the ratio.",
        f"On {_machine.line(told['machine'])}.",
        *warnings(told["machine"], small=told["settings"]["sizes"] != "full"),
    ]
    if told["failed"]:
        lines.append(f"Failed: {len(told['failed'])} of {len(told['lines'])} lines.")
    return "\n".join(lines)


def warnings(machine: dict[str, Any], *, small: bool) -> list[str]:
    """Why the figures are not to be quoted."""
    found = []
    if _machine.busy(machine):
        found.append(f"The load was {machine['load_before']} when it began: beside other work, times say little.")
    if small:
        found.append("Sizes and rounds are small: for a look, not for quoting.")
    return found


# --------------------------------------------------------------------------------------------------- for a document


def markdown(told: dict[str, Any]) -> str:
    """The table in Markdown, a section for each group, and the machine."""
    parts = []
    for group, rows in grouped(told["lines"]):
        parts += [f"### {group}", "", *_markdown_table(rows), ""]
    notes = warnings(told["machine"], small=told["settings"]["sizes"] != "full")
    return "\n".join([*parts, " ".join([f"Medians on {_machine.line(told['machine'])}.", *notes])])


def grouped(rows: Iterable[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    return list(groups.items())


def _markdown_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    measured = [row for row in rows if row["status"] == "measured"]
    counted = any(row["ours"]["requests"] is not None for row in measured)
    others = sorted({row["other"]["what"] for row in measured if row["other"]})
    alone = others[0] if len(others) == 1 else None  # then it names the column
    heads = ["", "ours", alone or "other", "ratio", "spread", *(["requests"] if counted else [])]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows:
        if row["status"] == "failed":
            cells = [row["line"], f"failed: {row['reason']}", *[""] * (len(heads) - 2)]
        else:
            other = ""
            if row["other"]:
                other = quantity(row["other"]["median"], row["unit"])
                other += "" if alone else f", {row['other']['what']}"
            ours = quantity(row["ours"]["median"], row["unit"])
            cells = [row["line"], ours, other, figure(row["ratio"]), _spread(row)]
            cells += [_requests(row, " / ")] if counted else []
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return lines


# ---------------------------------------------------------------------------------------------------------- numbers


def quantity(value: float, unit: str) -> str:
    """A number with its unit, three digits of it."""
    if unit not in ("s", "CPU s"):
        return f"{figure(value)} {unit}"
    for size, name in ((1.0, "s"), (1e-3, "ms")):
        if value >= size * 0.9995:
            return f"{figure(value / size)} {name}"
    return f"{figure(value / 1e-6)} µs"


def figure(value: float | None) -> str:
    """Three digits, never with an exponent; nothing for what there is not."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    rounded = float(f"{value:.2e}")
    digits = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{rounded if digits else value:.{digits}f}"


def goal_text(row: dict[str, Any]) -> str:
    goal = row["goal"]
    if "below" in goal:
        return f"below {quantity(goal['below'], row['unit'])}"
    return f"at most {figure(goal['ratio_at_most'])}"


def _spread(row: dict[str, Any]) -> str:
    if row["ratio_spread"] is None or row["rounds"] == 1:
        return ""
    low, high = row["ratio_spread"]
    return f"{figure(low)} to {figure(high)}"


def _requests(row: dict[str, Any], between: str) -> str:
    ours = row["ours"]["requests"]
    other = row["other"]["requests"] if row["other"] else None
    return between.join(str(number) for number in (ours, other) if number is not None)

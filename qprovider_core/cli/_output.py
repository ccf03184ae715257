"""Printing. Data goes to standard output, everything else to standard error.

Names and messages come from vendors: none of their characters may steer the terminal, whatever the form.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import click

NOT_REPORTED = "–"


def clean(value: object) -> str:
    """A value as one line of printable text; numbers that are no whole ones to three digits."""
    if value is None:
        return NOT_REPORTED
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:#.3g}".rstrip(".") if isinstance(value, float) else str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)


def clean_lines(text: str) -> list[str]:
    """A text of several lines, each one printable."""
    return [clean(line) for line in text.split("\n") if line.strip()]


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody reads along there and its colours are welcome."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO) -> bool:
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def say(text: str) -> None:
    """A text on standard output."""
    _write(sys.stdout, text)


def tell(text: str, *, colour: str | None = None, dim: bool = False) -> None:
    """A text on standard error."""
    styled = has_colour(sys.stderr) and (colour or dim)
    for line in text.split("\n"):
        shown = clean(line)
        _write(sys.stderr, click.style(shown, fg=colour, dim=dim or None) if styled else shown)


def _write(stream: TextIO, line: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")


def say_json(value: object) -> None:
    """One JSON document, a line for each field and for each item of its lists. Numbers that JSON lacks become null."""
    try:
        text = _laid_out(value)
    except (TypeError, ValueError):  # rare: numbers that are none, keys that are no texts
        text = _laid_out(_jsonable(value))
    say(text)


def _laid_out(value: object, *, depth: int = 2) -> str:
    """Deeper than `depth` all stands on one line: the encoder that indents takes ten times as long."""
    space = "  " * (3 - depth)
    if depth and isinstance(value, dict) and value:
        parts = [f"{space}{_dumped(str(key))}: {_laid_out(item, depth=depth - 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{space[2:]}}}"
    if depth and isinstance(value, list | tuple) and value:
        parts = [space + _dumped(item) for item in value]
        return "[\n" + ",\n".join(parts) + f"\n{space[2:]}]"
    return _dumped(value)


def _dumped(value: object) -> str:
    return json.dumps(value, allow_nan=False, default=_jsonable)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def say_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Names and values in two columns; what is not reported is left out."""
    shown = [(name, clean(value)) for name, value in facts if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        say(f"{name:<{width}}  {value}")


def say_table(titles: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> None:
    """A table: drawn by rich on a terminal, else plain text with columns apart by two spaces.

    Args:
        right: Titles of the columns with numbers.
    """
    cells = [[clean(value) for value in row] for row in rows]
    flush_right = set(right)
    if is_terminal(sys.stdout):
        _say_rich_table(titles, cells, flush_right)
        return
    widths = [max(len(line[i]) for line in [titles, *cells]) for i in range(len(titles))]
    for line in [titles, *cells]:
        placed = [
            cell.rjust(width) if title in flush_right else cell.ljust(width)
            for cell, width, title in zip(line, widths, titles, strict=True)
        ]
        say("  ".join(placed).rstrip())


def _say_rich_table(titles: Sequence[str], cells: list[list[str]], flush_right: set[str]) -> None:
    from rich.console import Console  # late: rich is slow to import, and only terminals need it
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, justify="right" if title in flush_right else "left", no_wrap=True)
    for line in cells:
        table.add_row(*map(Text, line))  # a Text is taken as it is: no markup, no emoji
    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    # On a narrow terminal whole lines wrap: a number that is broken in two reads as another one.
    widths = [max(len(line[i]) for line in [list(titles), *cells]) for i in range(len(titles))]
    console.width = max(console.width, sum(widths) + 2 * len(widths))
    console.print(table)


def say_histogram(counts: Mapping[str, int], *, most: int = 24) -> None:
    """Counts as bars, the most frequent outcome first; equal ones by bit string.

    The numbers beside a bar are the count and the fraction of all shots.
    """
    total = sum(counts.values())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ranked[:most]
    names = [clean(bits) for bits, _ in shown]
    name_width = max(map(len, names), default=0)
    count_width = len(str(max((count for _, count in shown), default=0)))
    import shutil  # late: it loads what unpacks archives

    room = max(10, min(60, shutil.get_terminal_size().columns - name_width - count_width - 12))
    full, parts = _bar_characters()
    longest = max((count for _, count in shown), default=0) or 1
    for name, (_, count) in zip(names, shown, strict=True):
        eighths = round(8 * room * count / longest)
        bar = full * (eighths // 8) + parts[eighths % 8]
        share = count / total if total else 0.0
        say(f"{name:>{name_width}}  {count:>{count_width}}  {share:.3f}  {bar}".rstrip())
    if len(ranked) > most:
        rest = ranked[most:]
        say(f"... and {len(rest)} more outcomes with {sum(count for _, count in rest)} counts")


def _bar_characters() -> tuple[str, Sequence[str]]:
    """A full block and the seven parts of one, or plain characters where they cannot be written."""
    blocks = "█▏▎▍▌▋▊▉"
    try:
        blocks.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "#", ["", "", "", "", "#", "#", "#", "#"]
    return blocks[0], ["", *blocks[1:]]

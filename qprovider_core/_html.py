"""Pieces of HTML for notebooks. Every text is escaped, styles stand in the elements, and nothing is fetched.

What comes out fits a page with a dark or a light theme, can be pasted beside itself (no ids), needs no script, and
still tells everything in words where a viewer takes styles and drawings away. No Qiskit and no numpy here.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import wraps
from itertools import islice
from typing import TypeVar

from qprovider_core._text import printable
from qprovider_core.secret import get_logger, scrub

_log = get_logger("qprovider.html")
T = TypeVar("T")

MOST_ROWS = 200
_LONGEST = 120  # characters of a cell that are shown
_LONGEST_TEXT = 4000  # of a text with lines of its own, such as why a job failed

# Marks that stand out on white and on black alike. The words beside them keep the page's own colour.
GOOD, BAD, BUSY, WARNING, QUIET = "#2e9e5b", "#d9534f", "#3b82d6", "#c77c11", "#858585"
_LINE = "rgba(127,127,127,0.4)"
_PAD = "padding:0.2em 0.7em"


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def never_raising(build: Callable[[T], str]) -> Callable[[T], str | None]:
    """Decorator of what a `_repr_html_` gives: the HTML, or None, with which a notebook shows the plain text instead.
    What is shown holds vendors' values, and a value that cannot be shown must not break the cell."""

    @wraps(build)
    def shown(item: T) -> str | None:
        try:
            return str(build(item))
        except Exception as exc:  # noqa: BLE001  vendors' values may raise anything when they are read
            _log.info("a %s cannot be shown as HTML: %s", type(item).__name__, type(exc).__name__)
            return None

    return shown


def said(value: object, *, most: int = _LONGEST) -> str:
    """A value as plain text on one line: a dash for what is not reported. Never raises."""
    try:
        if value is None:
            return "–"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:.3g}"
        if isinstance(value, datetime):
            return moment_text(value)
        if isinstance(value, tuple | list | set | frozenset):
            return _cut(", ".join(said(item) for item in islice(value, most)), most) or "–"
        return _cut(printable(scrub(str(value))), most)
    except Exception:  # noqa: BLE001  a vendor's value may fail at being a text
        return "(cannot be shown)"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def moment_text(moment: datetime) -> str:
    """A time to the second, in UTC where it says what that is."""
    if moment.tzinfo is None:
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration_text(seconds: float) -> str:
    """A length of time for people: ``0.35 s``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``, ``3 d 4 h``."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    whole = round(seconds)
    for size, unit, small_size, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // small_size
            return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    raise AssertionError(seconds)


def escaped(value: object, *, most: int = _LONGEST) -> Markup:
    """A value as HTML; `Markup` is left as it is."""
    return value if isinstance(value, Markup) else Markup(html.escape(said(value, most=most), quote=True))


def text_block(value: object) -> Markup:
    """A text with its line ends."""
    try:
        lines = scrub(str(value))[:_LONGEST_TEXT].splitlines()
    except Exception:  # noqa: BLE001  a vendor's value may fail at being a text
        return escaped("(cannot be shown)")
    return Markup("<br/>".join(html.escape(printable(line)) for line in lines))


def element(tag: str, *content: object, style: str = "", **attributes: object) -> Markup:
    """An element; content and the attributes' values are escaped. An underscore in a name stands for a hyphen."""
    given = {"style": style, **attributes} if style else attributes
    written = "".join(f' {name.replace("_", "-")}="{escaped(value, most=1000)}"' for name, value in given.items())
    return Markup(f"<{tag}{written}>{''.join(map(escaped, content))}</{tag}>")


def joined(parts: Iterable[object], by: str = "") -> Markup:
    """Several pieces as one; empty ones are left out."""
    return Markup(by.join(escaped(part) for part in parts if part != ""))


def unbroken(value: object) -> Markup:
    """A short value that stays on one line."""
    return element("span", value, style="white-space:nowrap")


def mark(sign: str, colour: str, *words: object) -> Markup:
    """A coloured sign before words that say the same."""
    signed = element("span", sign, style=f"color:{colour}", aria_hidden="true")
    return element("span", signed, " ", *words, style="white-space:nowrap")


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    total: int,
    caption: object = "",
    right: Collection[str] = (),
    most: int = MOST_ROWS,
) -> Markup:
    """A table whose first column names its rows.

    Args:
        rows: Read no further than is shown.
        total: How many there are; those past `most` are counted instead of shown.
        right: Titles of the columns of numbers.
    """
    sides = ["right" if title in right else "left" for title in head]

    def line(row: Sequence[object]) -> Markup:
        name, *rest = zip(row, sides, strict=True)
        first = element("th", name[0], scope="row", style=f"text-align:{name[1]};{_PAD};font-weight:600")
        cells = (element("td", value, style=f"text-align:{side};{_PAD}") for value, side in rest)
        return element("tr", first, *cells)

    titles = zip(head, sides, strict=True)
    top = element(
        "tr",
        *(
            element("th", title, scope="col", style=f"text-align:{side};{_PAD};border-bottom:1px solid {_LINE}")
            for title, side in titles
        ),
    )
    body = element("tbody", *(line(row) for row in islice(rows, most)))
    named = element("caption", caption, style="caption-side:top;text-align:left;padding:0.2em 0") if caption else ""
    whole = element("table", named, element("thead", top), body, style="border-collapse:collapse;margin:0.4em 0")
    return joined([whole, element("p", f"… and {total - most:,} more") if total > most else ""])


def facts(rows: Iterable[tuple[str, object]]) -> Markup:
    """A table of names and values. What is not reported (None) or empty is left out."""
    lines = (
        element(
            "tr",
            element("th", name, scope="row", style=f"text-align:left;{_PAD};font-weight:600;vertical-align:top"),
            element("td", value, style=f"text-align:left;{_PAD}"),
        )
        for name, value in rows
        if value is not None and value != "" and value != ()
    )
    return element("table", element("tbody", *lines), style="border-collapse:collapse;margin:0.4em 0")


def card(title: object, *content: object) -> Markup:
    """Something with a heading and a thin line around it."""
    heading = element("div", title, style="margin-bottom:0.3em")
    return element(
        "div",
        heading,
        *content,
        style=f"border:1px solid {_LINE};border-radius:6px;padding:0.6em 0.9em;margin:0.3em 0;max-width:60em",
    )


def folded(summary: object, content: object) -> Markup:
    """Something that shows its content when it is clicked."""
    return element("details", element("summary", summary, style="cursor:pointer"), content)


def paragraph(*content: object) -> Markup:
    return element("p", *content, style="margin:0.3em 0")


def bar(shares: Iterable[tuple[float, str]], *, width: str = "16em") -> Markup:
    """A bar of pieces: each one's share of the width, in [0, 1], and its colour. Words must say the same."""
    pieces = (
        element("div", style=f"width:{100 * min(max(share, 0.0), 1.0):.1f}%;background:{colour};height:0.75em")
        for share, colour in shares
    )
    return element("div", *pieces, style=f"display:flex;width:{width};max-width:100%", aria_hidden="true")

"""Plain and HTML tables for the repr of lists. Vendors' texts are shown, never interpreted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from qprovider_core._text import printable
from qprovider_core.records.backends import BackendInfo

_WIDEST_CELL = 48


def cell(value: object) -> str:
    """One value as a cell: a dash for what is not reported."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    text = printable(str(value))
    return text if len(text) <= _WIDEST_CELL else text[: _WIDEST_CELL - 1] + "…"


def text_table(head: Sequence[str], rows: Iterable[Sequence[object]], *, most: int = 50) -> str:
    """A table in plain text; numbers to the right; rows past `most` are counted instead of shown."""
    shown = [[cell(value) for value in row] for row in rows]
    hidden = len(shown) - most
    shown = shown[:most]
    widths = [max(len(row[i]) for row in [list(head), *shown]) for i in range(len(head))]
    right = [bool(shown) and all(_is_number(row[i]) for row in shown) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = (v.rjust(w) if r else v.ljust(w) for v, w, r in zip(row, widths, right, strict=True))
        return "  ".join(cells).rstrip()

    lines = [line(head), line(["─" * width for width in widths]), *map(line, shown)]
    if hidden > 0:
        lines.append(f"… and {hidden} more")
    return "\n".join(lines)


def html_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The same as HTML, for notebooks; every text is escaped."""
    from qprovider_core._html import table  # late: only notebooks need it

    return table(head, rows, total=len(rows))


_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[-+][0-9]+)?|nan|-?inf")


def _is_number(text: str) -> bool:
    return text == "–" or _NUMBER.fullmatch(text) is not None


BACKEND_HEAD = ("backend", "qubits", "status", "pending jobs", "2q error", "readout error", "kind")


def backend_row(info: BackendInfo) -> tuple[object, ...]:
    """A backend as the tables show it."""
    return (
        info.full_name,
        info.num_qubits,
        status_word(info),
        info.pending_jobs,
        info.median_two_qubit_error,
        info.median_readout_error,
        kind_word(info),
    )


def status_word(info: BackendInfo) -> str | None:
    """The vendor's word, or what its flag says."""
    if info.status_msg:
        return info.status_msg
    return None if info.operational is None else ("online" if info.operational else "offline")


def kind_word(info: BackendInfo) -> str | None:
    """``device``, ``simulator`` or ``noisy simulator``; None when not reported."""
    if info.simulator is None:
        return None
    if not info.simulator:
        return "device"
    return "noisy simulator" if info.noisy else "simulator"

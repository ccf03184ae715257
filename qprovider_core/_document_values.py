"""What both documents of Qiskit's backend schema hold: numbers with units, times, and errors that name the place."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from qprovider_core.errors import ResponseError

# Sub-units divide and multiples multiply: 68 ns / 1e9 is the double nearest to 6.8e-8, 68 * 1e-9 is not.
_PARTS = {"n": 1e9, "u": 1e6, "µ": 1e6, "μ": 1e6, "m": 1e3}
_MULTIPLES = {"k": 1e3, "M": 1e6, "G": 1e9}
_BASES = ("s", "Hz")

INTEGERS: frozenset[type] = frozenset({int})
NUMBERS: frozenset[type] = frozenset({int, float})
TEXTS: frozenset[type] = frozenset({str})
LISTS: frozenset[type] = frozenset({list})
OBJECTS: frozenset[type] = frozenset({dict})


class Unusual(Exception):
    """A fast reader met a value that it leaves to the thorough one, which takes it or names it."""


def require(condition: bool) -> None:
    """What a fast reader takes for granted.

    Raises:
        Unusual: It does not hold.
    """
    if not condition:
        raise Unusual


def wrong(path: str, value: Any, wanted: str) -> ResponseError:
    """The error for a value of the wrong type."""
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "…"
    return ResponseError(f"The document is wrong at {path}: expected {wanted}, got {shown}.", path=path)


def number(value: Any, path: str) -> float:
    """A finite number.

    Raises:
        ResponseError: It is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(value):
                return float(value)
        except OverflowError:  # a whole number beyond the largest double
            pass
    raise wrong(path, value, "a number")


def moment(value: Any, path: str, seen: dict[str, datetime]) -> datetime:
    """An ISO 8601 time in UTC; one without an offset is taken as UTC. `seen` spares parsing repeated ones.

    Raises:
        ResponseError: It is none.
    """
    if isinstance(value, str):
        known = seen.get(value)
        if known is not None:
            return known
        try:
            found = datetime.fromisoformat(value)
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):  # the second: in UTC it is before the year 1 or after 9999
            pass
        else:
            seen[value] = found
            return found
    raise wrong(path, value, "an ISO 8601 time")


def scale(unit: str) -> tuple[float, float]:
    """What to multiply with, and then to divide by, to have s or Hz; one of them is 1.

    Other units are left as they are: nothing says what their letters mean.
    """
    if len(unit) > 1 and unit[1:] in _BASES:
        return _MULTIPLES.get(unit[0], 1.0), _PARTS.get(unit[0], 1.0)
    return 1.0, 1.0

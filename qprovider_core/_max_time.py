"""How long a session may live, as people write it."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from numbers import Real
from typing import Any

from qprovider_core.errors import InvalidInputError

_UNITS_S = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_NUMBER = r"(?:\d+(?:\.\d+)?)"
# Each unit at most once, the largest first.
_TEXT = re.compile(
    r"\s*" + r"\s*".join(rf"(?:(?P<{unit}>{_NUMBER})\s*{unit})?" for unit in _UNITS_S) + r"\s*", re.IGNORECASE
)


def seconds_of(max_time: Any) -> float | None:
    """A length of time in seconds, > 0; None for None.

    Args:
        max_time: Seconds; a text such as ``"8h"``, ``"30m"`` or ``"1h 30m"`` (days, hours, minutes, seconds); or a
            `timedelta`.
    Raises:
        InvalidInputError: It is none of these, or not above 0.
    """
    if max_time is None:
        return None
    seconds: float | None = None
    if isinstance(max_time, str):
        match = _TEXT.fullmatch(max_time)
        parts = {} if match is None else {unit: text for unit, text in match.groupdict().items() if text}
        if parts:
            seconds = math.fsum(float(text) * _UNITS_S[unit] for unit, text in parts.items())
    elif isinstance(max_time, timedelta):
        seconds = max_time.total_seconds()
    elif isinstance(max_time, Real) and not isinstance(max_time, bool):
        try:
            seconds = float(max_time)
        except OverflowError:
            seconds = None
    if seconds is None or not 0 < seconds < math.inf:
        raise InvalidInputError(
            f"max_time is a length of time above 0, not {max_time!r}.",
            hint="Give seconds, such as 3600, or a text such as '8h', '30m' or '1h 30m'.",
        )
    return seconds

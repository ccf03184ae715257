"""Times on the command line: a date, a date with a time, or an age such as ``3h``."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click

WHEN_HELP = "A time such as 2026-03-01 or 2026-03-01T14:30 (UTC unless it has an offset), or an age such as 2d or 3h."
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])", re.ASCII)
_FORMS = "a date (2026-03-01), a time in UTC (2026-03-01T14:30), or an age (30s, 15m, 3h, 2d, 4w)"


if TYPE_CHECKING:
    _Type = click.ParamType[datetime]
else:  # older versions of click have no type of its values
    _Type = click.ParamType


class When(_Type):
    """A moment as aware UTC.

    Args:
        end: Whether a date alone means the end of that day, not its beginning.
    """

    name = "when"

    def __init__(self, *, end: bool = False) -> None:
        self._end = end

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        now = datetime.now(UTC)
        try:
            age = _AGE.fullmatch(text)
            if age is not None:
                return now - timedelta(seconds=float(age[1]) * _UNITS_S[age[2]])
            return self._moment(text)
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is neither {_FORMS}.", param, ctx)

    def _moment(self, text: str) -> datetime:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            moment = datetime.fromisoformat(text)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return datetime.combine(day, time.max if self._end else time.min, tzinfo=UTC)

"""Checks of JSON values: small functions that refuse what is wrong and say where it stands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any, str], None]


class Invalid(Exception):
    """A value is wrong.

    Attributes:
        path: Where it stands.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


def boolean(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise Invalid(path, f"expected true or false, not {_short(value)}")


def text(value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise Invalid(path, f"expected a text, not {_short(value)}")


def any_object(value: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise Invalid(path, f"expected an object, not {_short(value)}")


def anything(value: Any, path: str) -> None:
    """Whatever it is."""


def integer(low: int, high: int | None = None) -> Check:
    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Invalid(path, f"expected an integer, not {_short(value)}")
        if value < low or (high is not None and value > high):
            raise Invalid(path, f"{_short(value)} is not {_range(low, high)}")

    return check


def number(low: float | None = None, *, above: float | None = None) -> Check:
    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Invalid(path, f"expected a number, not {_short(value)}")
        if not abs(value) <= sys.float_info.max:  # Python's reader of JSON takes NaN, Infinity and 1e999, too
            raise Invalid(path, f"{_short(value)} is no number of finite size")
        if low is not None and not value >= low:
            raise Invalid(path, f"{value} is not at least {low}")
        if above is not None and not value > above:
            raise Invalid(path, f"{value} is not greater than {above}")

    return check


def one_of(*words: Any) -> Check:
    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or value not in words:
            raise Invalid(path, f"{_short(value)} is not one of {', '.join(map(repr, words))}")

    return check


def either(*checks: Check) -> Check:
    """What one of the checks accepts; the last one's refusal counts."""

    def check(value: Any, path: str) -> None:
        for other in checks[:-1]:
            try:
                return other(value, path)
            except Invalid:
                continue
        return checks[-1](value, path)

    return check


def optional(other: Check) -> Check:
    def check(value: Any, path: str) -> None:
        if value is not None:
            other(value, path)

    return check


def list_of(other: Check) -> Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise Invalid(path, f"expected a list, not {_short(value)}")
        for place, item in enumerate(value):
            other(item, f"{path}[{place}]")

    return check


def table(fields: Mapping[str, Check]) -> Check:
    """An object with these keys and no others; each may be missing."""

    def check(value: Any, path: str) -> None:
        any_object(value, path)
        for key, item in value.items():
            if key not in fields:
                raise Invalid(f"{path}.{key}", f"unknown key; allowed are {', '.join(sorted(fields))}")
            fields[key](item, f"{path}.{key}")

    return check


def _range(low: float, high: float | None) -> str:
    return f"at least {low}" if high is None else f"between {low} and {high}"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."

"""Checks of single options: each gives the value as it is sent, or raises ValueError with what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from numbers import Integral, Real
from typing import Any

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

Check = Callable[[Any], Any]


def whole(least: int, most: int | None = None) -> Check:
    wanted = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(wanted)
        if int(value) < least or (most is not None and int(value) > most):
            raise ValueError(wanted)
        return int(value)

    return check


def number(*, above: float | None = None, least: float | None = None) -> Check:
    bound = f" above {above:g}" if above is not None else f" of at least {least:g}" if least is not None else ""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, Real) or not isfinite(value):
            raise ValueError(f"a number{bound}")
        if (above is not None and value <= above) or (least is not None and value < least):
            raise ValueError(f"a number{bound}")
        return int(value) if isinstance(value, Integral) else float(value)

    return check


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError("one of " + ", ".join(map(repr, words)))
        return value

    return check


def log_level(value: Any) -> str:
    if not isinstance(value, str) or value.upper() not in LOG_LEVELS:
        raise ValueError("one of " + ", ".join(map(repr, LOG_LEVELS)))
    return value.upper()


def auto_or(check: Check) -> Check:
    def either(value: Any) -> Any:
        if isinstance(value, str) and value == "auto":
            return value
        try:
            return check(value)
        except ValueError as exc:
            raise ValueError(f"{exc} or 'auto'") from None

    return either


def list_of(check: Check) -> Check:
    def each(value: Any) -> list[Any]:
        if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
            raise ValueError("a list")
        try:
            return [check(one) for one in value]
        except ValueError as exc:
            raise ValueError(f"a list, each item {exc}") from None

    return each


def mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError("a mapping with texts as keys")
    return dict(value)


def noise_model(value: Any) -> Any:
    if not isinstance(value, Mapping) and not hasattr(value, "to_dict"):
        raise ValueError("a NoiseModel of Qiskit Aer, or its dict")
    return dict(value) if isinstance(value, Mapping) else value


def coupling_map(value: Any) -> list[list[int]]:
    pairs = value.get_edges() if hasattr(value, "get_edges") else value
    checked: list[list[int]] = list_of(list_of(whole(0)))(pairs)
    if any(len(pair) != 2 for pair in checked):
        raise ValueError("a list of pairs of qubits")
    return checked


def anything(value: Any) -> Any:
    return value

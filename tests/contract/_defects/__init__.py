"""Planted defects: small, named changes of the good vendor, and the check of the contract that must catch each.

Each is a subclass of `GoodVendor` marked with `defect`. An instance is an attribute of this package, by the class's
name, so that a fresh process can load it: ``_defects:ReversedBits``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

_TOPICS = ("backends", "compiling", "counts", "guests", "jobs", "lists", "records", "sessions")
_found: dict[str, Defect] = {}


class Defect(NamedTuple):
    """One defect.

    Attributes:
        name: That of its class; vendor: the plugin that has it.
        check: The check that must fail, and said: what its message must say.
        declared: What is declared of this vendor beside what is declared of the good one.
    """

    name: str
    vendor: object
    check: str
    said: str
    declared: Mapping[str, Any]


def defect(check: str, said: str, **declared: Any) -> Callable[[type], type]:
    """Mark a plugin as one that this check must catch, with these words."""

    def mark(kind: type) -> type:
        assert kind.__name__ not in _found, f"there are two defects named {kind.__name__}"
        _found[kind.__name__] = Defect(kind.__name__, kind(), check, said, declared)
        return kind

    return mark


def all_defects() -> dict[str, Defect]:
    """All of them by name."""
    for topic in _TOPICS:
        import_module(f"{__name__}.{topic}")
    return _found


def __getattr__(name: str) -> Any:
    # Named like a class only: the import machinery asks for names of its own.
    if name[:1].isupper() and name in all_defects():
        return _found[name].vendor
    raise AttributeError(f"there is no defect {name}")

"""Which distributions are installed, and their entry points, from the ``*.dist-info`` folders on the search path.

`importlib.metadata` tells the same, and its import alone takes a fifth of the time of listing backends. Wherever the
search path holds more than such folders (archives, eggs, finders of somebody's own), it is asked instead.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple


class Found(NamedTuple):
    """An installed distribution: its folder, and the version that the folder's name tells."""

    place: str
    version: str

    def text(self, name: str) -> str:
        """A file of the folder; empty where there is none."""
        try:
            with open(os.path.join(self.place, name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    @property
    def metadata(self) -> dict[str, str]:
        """The first fields of its metadata, name and version among them."""
        head = self.text("METADATA").partition("\n\n")[0]
        return dict(line.split(": ", 1) for line in reversed(head.split("\n")) if re.match(r"\w[\w-]*: ", line))


class Entry(NamedTuple):
    """An entry point: a name, and the object that it stands for, as ``package.module:object``."""

    name: str
    value: str
    group: str
    dist: Found | None = None

    def load(self) -> Any:
        match = _REFERENCE.fullmatch(self.value)
        if match is None:
            raise ValueError(f"{self.value!r} names no object: package.module:object was expected")
        found: ModuleType | Any = import_module(match["module"])
        for part in filter(None, (match["attr"] or "").split(".")):
            found = getattr(found, part)
        return found


_REFERENCE = re.compile(r"(?P<module>[\w.]+)\s*(:\s*(?P<attr>[\w.]+)\s*)?(\[.*\]\s*)?")
_TICK_NS = 2_000_000_000  # a folder that changed so lately may change again without looking younger
_folders: dict[str, tuple[int, dict[str, Found] | None]] = {}
_NOTHING: dict[str, Found] = {}
_merged: tuple[list[dict[str, Found]], dict[str, Found]] = [], {}


def installed_version(name: str) -> str | None:
    """The version of an installed distribution; None where there is none."""
    found = _distributions()
    if found is not None:
        one = found.get(_normal(name))
        return one.version if one is not None else None
    from importlib.metadata import PackageNotFoundError, version  # late: see above

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def entry_points(group: str) -> list[Any]:
    """The entry points of a group.

    Raises:
        ValueError: A distribution's own cannot be read.
    """
    found = _distributions()
    if found is None:
        from importlib import metadata  # late: see above

        return list(metadata.entry_points(group=group))
    return [entry for one in found.values() for entry in _entries(one, group)]


def _entries(found: Found, group: str) -> Iterator[Entry]:
    text = found.text("entry_points.txt")
    if f"[{group}]" not in text:
        return
    section = ""
    for line in map(str.strip, text.split("\n")):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == group and line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            if not equals or not name.strip():
                raise ValueError(f"{found.place}: entry_points.txt has the line {line!r}")
            yield Entry(name.strip(), value.strip(), group, found)


def _distributions() -> dict[str, Found] | None:
    """What is installed, by its name in normal form, the first of each on the search path; None: ask the library."""
    if any(hasattr(finder, "find_distributions") and not _is_pythons(finder) for finder in sys.meta_path):
        return None
    global _merged
    folders = []
    for path in dict.fromkeys(sys.path):
        held = _held(path or ".")
        if held is None:
            return None
        folders.append(held)
    if len(folders) != len(_merged[0]) or any(one is not other for one, other in zip(folders, _merged[0], strict=True)):
        found: dict[str, Found] = {}
        for held in reversed(folders):
            found.update(held)
        _merged = folders, found
    return _merged[1]


def _held(path: str) -> dict[str, Found] | None:
    """What a folder holds; None where that is more than can be told from names."""
    try:
        changed = os.stat(path).st_mtime_ns
        known = _folders.get(path)
        if known is None or known[0] != changed or time.time_ns() - changed < _TICK_NS:
            known = _folders[path] = changed, _read(path, os.listdir(path))
    except NotADirectoryError:
        return None
    except OSError:
        return _NOTHING
    return known[1]


def _read(path: str, names: list[str]) -> dict[str, Found] | None:
    held: dict[str, Found] = {}
    for name in names:
        if name.endswith((".egg-info", ".egg", ".egg-link")):
            return None
        if name.endswith(".dist-info"):
            title, _, version = name.removesuffix(".dist-info").partition("-")
            held.setdefault(_normal(title), Found(os.path.join(path, name), version))
    return held


def _is_pythons(finder: object) -> bool:
    """Whether it is the search path's own, or the one that the library's backport puts beside it."""
    module = getattr(finder, "__module__", "")
    return module == "_frozen_importlib_external" or module.split(".")[0] == "importlib_metadata"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()

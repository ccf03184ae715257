"""A mapping whose values are made when the first of them is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


class LateMapping(Mapping[str, Any]):
    """Keys that are known and values that are not there yet.

    For what is bulky and rarely read, such as the fields of a device's document that no record names: thousands of
    small lists for each of a hundred devices make Python's collector go through the whole process. Copied, pickled
    and compared it is an ordinary dictionary.
    """

    __slots__ = ("_keys", "_make", "_values")

    def __init__(self, keys: Iterable[str], make: Callable[[], Mapping[str, Any]]) -> None:
        self._keys = frozenset(keys)
        self._make: Callable[[], Mapping[str, Any]] | None = make
        self._values: Mapping[str, Any] = {}

    def _made(self) -> Mapping[str, Any]:
        make = self._make
        if make is not None:  # two threads may both make them: the values are the same
            self._values = make()
            self._make = None
        return self._values

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return self._made()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

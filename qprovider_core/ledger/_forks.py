"""A fork must not happen while a SQLite file is open: the child would take the parent's locks for its own, and write
to a log that others have removed. So the files are let go of before a fork, and each side opens them again.

The same at the end of the process: a thread that goes on may be in the middle of something, and to close a file under
its hands would crash."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import Protocol

_PATIENCE_S = 60.0  # for another thread that is in the middle of something
_LAST_S = 2.0  # the same at the end of the process


class _Closable(Protocol):
    @property
    def turn(self) -> threading.RLock: ...

    def close(self) -> None: ...

    def abandon(self) -> None: ...


_files: weakref.WeakSet[_Closable] = weakref.WeakSet()


class _Held(threading.local):
    """What the thread that forks has taken."""

    def __init__(self) -> None:
        self.files: list[_Closable] = []


_held = _Held()


def let_go_before_forks(file: _Closable) -> None:
    """Do so with this file, as long as it lives."""
    _files.add(file)


def _before() -> None:
    for file in list(_files):
        if file.turn.acquire(timeout=_PATIENCE_S):
            _held.files.append(file)
            file.close()


def _after_in_parent() -> None:
    while _held.files:
        _held.files.pop().turn.release()


def _after_in_child() -> None:
    held = set(map(id, _held.files))
    _after_in_parent()
    for file in list(_files):
        if id(file) not in held:
            file.abandon()


def _at_exit() -> None:
    for file in list(_files):
        if file.turn.acquire(timeout=_LAST_S):
            try:
                file.close()
            finally:
                file.turn.release()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)

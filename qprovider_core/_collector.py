"""Reading a large document without the garbage collector going through it again and again.

A document of a device is ten thousands of small lists and numbers, and none of them refers back to another: there is
nothing to collect. Python's collector does not know that, and looks at all objects of the process each time that some
thousands have been made, which takes three times as long as the reading.
"""

from __future__ import annotations

import gc
import threading
from types import TracebackType


class _Pause:
    """``with collector_paused:`` around code that makes many objects and no cycles, and takes milliseconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._was_on = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._was_on = gc.isenabled()
                gc.disable()
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._was_on:  # a user who switched it off finds it off
                gc.enable()


collector_paused = _Pause()

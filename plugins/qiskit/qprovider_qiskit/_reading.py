"""Reading a vendor's objects: under a guard, for some raise, and under a time limit, for some ask the network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from qprovider_core.secret import get_logger

T = TypeVar("T")

_log = get_logger("qprovider.qiskit")  # takes known secrets out of what vendors say


def guarded(thing: Any, name: str) -> Any:
    """An attribute; None where there is none, or reading it fails."""
    return attempted(lambda: getattr(thing, name, None), f"{type(thing).__name__}.{name}")


def attempted(work: Callable[[], Any], what: str) -> Any:
    """What a vendor's code gives; None where it fails."""
    try:
        return work()
    except Exception as exc:  # noqa: BLE001  the vendor's own code: one fact less, the backend stays usable
        _log.debug("%s cannot be read: %s: %s", what, type(exc).__name__, exc)
        return None


def called(thing: Any, name: str) -> Any:
    """An attribute, called where it can be: some vendors have a method where others have a property."""
    value = guarded(thing, name)
    return attempted(value, f"{type(thing).__name__}.{name}()") if callable(value) else value


def whole(value: Any) -> int | None:
    """A whole number of at least 1, in whatever form; None for all else."""
    if isinstance(value, bool):
        return None
    try:
        number = value.__index__()
    except (AttributeError, TypeError):
        return None
    return int(number) if 1 <= number < 10**15 else None


def number(value: Any) -> float | None:
    """A finite number of at least 0; None for all else."""
    if value is None or isinstance(value, bool | str):
        return None
    found = attempted(lambda: float(value), "a number")
    return found if found is not None and 0 <= found < float("inf") else None


def text(value: Any) -> str | None:
    """A text that is not empty, on one line; None for all else."""
    return " ".join(str(value).split()) or None if isinstance(value, str | int | float) else None


def within(work: Callable[[], T], limit_s: float | None, name: str, late: Callable[[T], object] = lambda _: None) -> T:
    """What `work` gives or raises, done in a thread of its own, which is left behind when it takes longer.

    Args:
        late: What becomes of that which comes after all.
    Raises:
        TimeoutError: It did not come within `limit_s` seconds.
    """
    coming: Future[T] = Future()

    def run() -> None:
        try:
            coming.set_result(work())
        except BaseException as exc:  # noqa: BLE001  raised where it is waited for
            coming.set_exception(exc)

    threading.Thread(target=run, name=f"qprovider-{name}", daemon=True).start()
    try:
        return coming.result(limit_s)
    except TimeoutError:
        if not coming.done():
            coming.add_done_callback(lambda done: None if done.exception() else late(done.result()))
        raise


class Reader:
    """Reads facts one after another in a thread of its own, which can be left behind.

    Attributes:
        facts: What has been read so far.
        done: Whether all has been read.
    """

    def __init__(self, steps: dict[str, Callable[[], Any]], name: str) -> None:
        self.facts: dict[str, Any] = {}
        self.done = False
        self._steps = steps
        self._thread = threading.Thread(target=self._run, name=f"qprovider-read-{name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for name, step in self._steps.items():
            self.facts[name] = attempted(step, name)
        self.done = True

    def wait(self, timeout: float | None) -> bool:
        """Wait for the end of it, `timeout` seconds at most; whether all has been read."""
        self._thread.join(timeout)
        return self.done

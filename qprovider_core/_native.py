"""Qiskit's native part and threads.

Whatever thread loads it first must live on: with Qiskit 2.6 the interpreter crashes when a circuit is written as QPY
after that thread has ended. Plugins load Qiskit in hooks, which run in threads of ours, and users may call us from
threads of theirs. So threads of ours that loaded it rest instead of ending, and a user's thread has it loaded by one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

_MODULE = "qiskit._accelerate"


def loaded() -> bool:
    """Whether Qiskit's native part is there."""
    return _MODULE in sys.modules


def outlasting(run: Callable[[], None]) -> Callable[[], None]:
    """The same for a daemon thread, which rests for the life of the process where it was the one to load Qiskit."""

    def whole() -> None:
        before = loaded()
        run()
        if not before and loaded():
            threading.Event().wait()

    return whole


def load_qiskit() -> None:
    """Load Qiskit, in the main thread or in one that lives as long."""
    if loaded():
        return
    if threading.current_thread() is threading.main_thread():
        import qiskit  # noqa: F401  that is all there is to do

        return  # fmt: skip
    done = threading.Event()

    def load() -> None:
        try:
            import qiskit  # noqa: F401  that is all there is to do
        except ImportError:
            pass  # who needs it says so
        finally:
            done.set()

    threading.Thread(target=outlasting(load), name="qprovider-qiskit", daemon=True).start()
    done.wait()

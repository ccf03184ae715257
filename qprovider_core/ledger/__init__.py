"""The ledger: every job of this user, written down before it is sent, in one SQLite file.

`Ledger` is the file. `ledger_in_use()` is the one of this process, None when it is switched off; `use_ledger` names
another. Reading needs neither Qiskit nor numpy.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from qprovider_core import config
from qprovider_core.ledger._ledger import Ledger
from qprovider_core.ledger._select import LedgerQuery
from qprovider_core.ledger._statements import PROCESS_ENDED

__all__ = ["PROCESS_ENDED", "Ledger", "LedgerQuery", "ledger_in_use", "use_ledger"]

_lock = threading.Lock()
_chosen: str | os.PathLike[str] | None = None
_open: dict[Path, Ledger] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def use_ledger(place: str | os.PathLike[str] | None) -> Ledger | None:
    """Keep the jobs of this process from now on in that file, and return its ledger.

    Args:
        place: A file, or a directory to keep it in; ``"off"`` to keep none; None for what QPROVIDER_LEDGER says, else
            the file in the user's data directory.
    """
    global _chosen
    with _lock:
        _chosen = place
    return ledger_in_use()


def ledger_in_use() -> Ledger | None:
    """The ledger of this process; None when it is switched off."""
    path = config.ledger_path(_chosen)
    if path is None:
        return None
    with _lock:
        ledger = _open.get(path)
        if ledger is None:
            for other in _open.values():  # one at a time is in use; a handle that is kept opens its own again
                other.close()
            _open.clear()
            ledger = _open[path] = Ledger(path)
        return ledger

"""The most memory that a call takes, by the kernel's own count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def added_mib(call: Callable[[], Any]) -> tuple[float, Any]:
    """MiB at the peak beyond what the process had before, and the answer.

    Raises:
        RuntimeError: This system does not tell; Linux does.
    """
    try:
        _CLEAR.write_text("5")  # the peak begins anew
        before = _kibibytes("VmRSS")
        answer = call()
        return (_kibibytes("VmHWM") - before) / 1024, answer
    except OSError as exc:
        raise RuntimeError(f"memory is measured on Linux only: {exc}") from None


def _kibibytes(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise LookupError(field)

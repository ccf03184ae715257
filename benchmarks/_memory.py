"""The most memory that a call takes, by the kernel's own count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def held_mib() -> float:
    """What the process holds now.

    Raises:
        RuntimeError: This system does not tell; Linux does.
    """
    return _mib("VmRSS")


def added_mib(call: Callable[[], Any], before_mib: float | None = None) -> tuple[float, Any]:
    """MiB at the peak beyond what the process held before, or beyond `before_mib`; and the answer.

    Raises:
        RuntimeError: This system does not tell; Linux does.
    """
    before_mib = held_mib() if before_mib is None else before_mib
    _CLEAR.write_text("5")  # the peak begins anew
    answer = call()
    return _mib("VmHWM") - before_mib, answer


def _mib(field: str) -> float:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    except OSError as exc:
        raise RuntimeError(f"memory is measured on Linux only: {exc}") from None
    raise RuntimeError(f"{_STATUS} does not tell {field}")

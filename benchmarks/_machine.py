"""The machine that figures come from."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("qprovider-core", "qiskit", "qiskit-aer", "qiskit-ibm-runtime", "numpy", "requests")
_BUSY = 0.5  # other work on each core, on the average of the last minute


def facts() -> dict[str, Any]:
    """What a reader of the figures wants to know of where and when they were made."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": _cores(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def busy(machine: dict[str, Any]) -> bool:
    """Whether other work ran beside, so that times say little."""
    return bool(machine["load_before"] and machine["load_before"] > _BUSY * machine["cores"])


def line(machine: dict[str, Any]) -> str:
    """The facts in one sentence."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items() if number)
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['system']}, Python {machine['python']}, {versions}; "
        f"{machine['date'][:10]}"
    )


def _cpu() -> str:
    try:
        for text in Path("/proc/cpuinfo").read_text().splitlines():
            if text.startswith("model name"):
                return text.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit that was measured, with a ``+`` where files differ from it; None outside of a checkout."""
    root = Path(__file__).parents[1]
    try:
        told = [
            subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=20, check=True).stdout
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return told[0].strip() + ("+" if told[1].strip() else "")

"""Which process a row belongs to, and whether that process still runs."""

from __future__ import annotations

import os
import platform
import sys
from functools import lru_cache
from pathlib import Path

_PROC = Path("/proc")


def me() -> str:
    """This process: its machine, its number, and when it began, for numbers come again."""
    return _text(os.getpid())


@lru_cache(maxsize=1)
def _text(pid: int) -> str:
    return f"{_machine()} {pid} {_began(pid) or ''}"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_text.cache_clear)


@lru_cache(maxsize=1)
def _machine() -> str:
    """This machine since it was started, for what ran before does not run any more; and which processes can be seen
    from here, for a container has numbers of its own."""
    node = (platform.node() or "unknown").replace(" ", "_").replace("/", "_")
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        boot = ""
    try:
        space = os.readlink(_PROC / "self/ns/pid").strip("pid:[]")
    except OSError:
        space = ""
    return f"{node}/{boot}/{space}"


def _began(pid: int) -> str | None:
    """When a process began: in ticks since the machine did, else as the system writes it. None where it does not run
    any more, or the system does not tell."""
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None if _PROC.is_dir() else _began_as_listed(pid)
    # One that has ended, and that its parent has not asked for yet, is still in the table.
    return None if fields[0] in (b"Z", b"X", b"x") else fields[19].decode()


def _began_as_listed(pid: int) -> str | None:
    if sys.platform == "win32" or not _runs(pid):
        return None
    import subprocess  # late: most systems have /proc

    try:
        told = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=5,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return "_".join(told.split()) or None


def is_alive(owner: str | None) -> bool | None:
    """Whether the process runs; None where that cannot be told: it is another machine's, or another container's."""
    if not owner:
        return False
    if owner == me():
        return True
    machine, _, rest = owner.partition(" ")
    number, _, began = rest.partition(" ")
    its, ours = machine.split("/"), _machine().split("/")
    if not number.isdecimal() or len(its) != len(ours):
        return False
    if its[0] != ours[0]:
        return None
    if its[1] != ours[1]:
        return False
    if its[2] != ours[2]:
        return None
    if sys.platform == "win32":
        return None  # to ask, os.kill would end it
    pid = int(number)
    if not _runs(pid):
        return False
    found = _began(pid)
    if found is None:  # it has just ended; or it is another user's, and the system does not tell of it
        return not (_PROC / str(pid)).exists()
    return found == began or not began


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True

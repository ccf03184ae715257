"""Which process a row belongs to, and whether that process still runs."""

from __future__ import annotations

import os
import platform
import sys
from functools import lru_cache
from pathlib import Path


def me() -> str:
    """This process: its machine, its number, and when it began, for numbers come again."""
    return _text(os.getpid())


@lru_cache(maxsize=4)
def _text(pid: int) -> str:
    return f"{_machine()} {pid} {_began(pid) or ''}"


@lru_cache(maxsize=1)
def _machine() -> str:
    """This machine since it was started: what ran before does not run any more."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        boot = ""
    return f"{platform.node() or 'unknown'}/{boot}"


def _began(pid: int) -> str | None:
    """When a process began, in ticks since the machine did; None where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return stat[stat.rindex(b")") + 2 :].split()[19].decode()


def is_mine(owner: str | None) -> bool:
    """Whether the row belongs to this process."""
    return owner == me()


def is_alive(owner: str | None) -> bool | None:
    """Whether the process runs; None where that cannot be told: it is another machine's."""
    if not owner:
        return False
    machine, _, rest = owner.partition(" ")
    number, _, began = rest.partition(" ")
    if not number.isdecimal():
        return False
    node, _, boot = _machine().partition("/")
    its_node, _, its_boot = machine.partition("/")
    if its_node != node:
        return None
    if its_boot != boot:
        return False
    if began:
        return _began(int(number)) == began
    return _runs(int(number))


def _runs(pid: int) -> bool | None:
    if sys.platform == "win32":
        return None  # os.kill would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

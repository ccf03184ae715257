"""What is wrong with the ledger's file, in words that say how to go on."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from qprovider_core.errors import DamagedLedgerError, LedgerError
from qprovider_core.secret import get_logger

_log = get_logger("qprovider.ledger")

_GO_ON = "To go on without it set QPROVIDER_LEDGER=off, or use --no-ledger."
_ELSEWHERE = "name another file with QPROVIDER_LEDGER"
_COPIES = 3  # of one damaged file: it may be written to between two readings, and each copy takes as much room
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def explained(exc: sqlite3.Error | OSError, path: Path, locked_s: float) -> LedgerError:
    """An error of SQLite or of the system."""
    if isinstance(exc, OSError):
        return full(path) if exc.errno in _NO_ROOM else unusable(path, f"{exc.strerror or exc}")
    name = getattr(exc, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(path, str(exc))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return locked(path, "another process", locked_s)
    if name.startswith("SQLITE_FULL"):
        return full(path)
    if name.startswith("SQLITE_IOERR"):
        if _free_bytes(path) < 1 << 20:
            return full(path)
        return unusable(
            path, f"{exc} ({name}); a quota may be used up, a limit on the size of files reached, or the disk failing"
        )
    if name.startswith("SQLITE_PROTOCOL"):
        return unusable(path, "file locks do not work here, as on some network file systems")
    if name.startswith("SQLITE_READONLY"):
        return unusable(path, "it may only be read")
    if name.startswith("SQLITE_CANTOPEN"):
        return unusable(path, "it, or a file that belongs beside it, cannot be opened")
    return unusable(path, f"{exc}")


def full(path: Path) -> LedgerError:
    """No room to write."""
    return LedgerError(
        f"The disk is full: the ledger {path} cannot be written.",
        path=str(path),
        why="What it holds is as it was.",
        hint=f"Make room (qprovider jobs prune --older-than 90d removes old jobs), or {_ELSEWHERE}. {_GO_ON}",
    )


def unusable(path: Path, why: str) -> LedgerError:
    """It cannot be read or written."""
    return LedgerError(
        f"The ledger {path} cannot be used: {why}.",
        path=str(path),
        hint=f"Check that the file and its folder may be written, or {_ELSEWHERE}. {_GO_ON}",
    )


def locked(path: Path, by: str, locked_s: float) -> LedgerError:
    """Somebody does not let go of it."""
    return LedgerError(
        f"The ledger {path} is kept locked by {by}.",
        path=str(path),
        why=f"It was not to be had within {locked_s:g} s.",
        hint=f"See what holds it (a backup, a database browser), and try again. {_GO_ON}",
    )


def foreign(path: Path) -> LedgerError:
    """A SQLite file of something else."""
    return LedgerError(
        f"{path} is a SQLite file, but not a ledger of jobs.",
        path=str(path),
        hint=f"It was left as it is. Move it away, or {_ELSEWHERE}. {_GO_ON}",
    )


def newer(path: Path, found: int, known: int) -> LedgerError:
    """A ledger of a schema that this version does not know."""
    return LedgerError(
        f"The ledger {path} was written by a newer version of qprovider.",
        path=str(path),
        why=f"It is of schema {found}; this version knows {known}.",
        hint=f"It was left as it is. Upgrade (pip install -U qprovider-core), or {_ELSEWHERE}. {_GO_ON}",
    )


def older(path: Path) -> LedgerError:
    """A ledger that would have to be brought up, and cannot be written."""
    return LedgerError(
        f"The ledger {path} is of an older version and cannot be written, so it cannot be brought up.",
        path=str(path),
        hint=f"Make it writable, or copy it elsewhere and {_ELSEWHERE}. {_GO_ON}",
    )


def damaged(path: Path, why: str) -> LedgerError:
    """Bytes that are not those of a ledger. No connection of ours may be open: the copy would end its locks."""
    copy = _kept_copy(path)
    return DamagedLedgerError(
        f"The ledger {path} is damaged, or no ledger: {why}.",
        path=str(path),
        copy=None if copy is None else str(copy),
        why=f"It was left as it is{f'; a copy is kept as {copy}' if copy else ''}.",
        hint=f"`qprovider jobs repair` saves what can be read into a new one; or {_ELSEWHERE}. {_GO_ON}",
    )


def _free_bytes(path: Path) -> int:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return 1 << 40


def _kept_copy(path: Path) -> Path | None:
    """A copy of the damaged file and its log; the same damage is copied once."""
    try:
        moment = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y%m%dT%H%M%SZ")
        found = path.parent.glob(f"{glob.escape(path.name)}.damaged-*Z")
        kept = sorted(found)
        copy = path.with_name(f"{path.name}.damaged-{moment}")
        if copy in kept:
            return copy
        if len(kept) >= _COPIES:
            return kept[-1]
        for suffix in ("-wal", ""):  # the file last: where it is, the copy is whole
            if os.path.exists(f"{path}{suffix}"):
                _copy(f"{path}{suffix}", f"{copy}{suffix}")
    except OSError as exc:
        _log.warning("no copy of the damaged ledger %s could be kept: %s", path, exc.strerror or exc)
        return None
    return copy


def _copy(source: str, target: str) -> None:
    part = f"{target}.part"
    try:
        os.close(os.open(part, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600))
        shutil.copyfile(source, part)
        os.replace(part, target)
    except OSError:
        with suppress(OSError):
            os.unlink(part)
        raise

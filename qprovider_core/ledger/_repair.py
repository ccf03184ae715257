"""What can be read of a damaged ledger is saved into a new one; the damaged file is kept."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qprovider_core.errors import LedgerError
from qprovider_core.ledger._file import LedgerFile

_TABLES = ("places", "jobs", "tags", "events", "requests", "results", "calibrations", "contexts")
_ROWS = ("places", "jobs", "requests", "results", "calibrations", "contexts")  # those with a number for each row
_STEP = 64  # rows that are given up at once where a page cannot be read


def repaired(file: LedgerFile) -> tuple[Path, int]:
    """Move the file aside and begin a new one with what can be read of it.

    Raises:
        LedgerError: There is no file.
    """
    if not file.exists:
        raise LedgerError(f"There is no ledger at {file.path}.", path=str(file.path))
    file.close()
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    kept = file.path.with_name(f"{file.path.name}.replaced-{stamp}")
    with file.alone():
        for suffix in ("-wal", "-shm", ""):
            if os.path.exists(f"{file.path}{suffix}"):
                os.replace(f"{file.path}{suffix}", f"{kept}{suffix}")
    with file.writing() as db:
        for table in _TABLES:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            places = ", ".join("?" * len(columns))
            for row in _readable(kept, table, columns):
                db.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({places})", row)
        saved: int = db.execute("SELECT count(*) FROM jobs").fetchone()[0]
    return kept, saved


def _readable(path: Path, table: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """The rows that can be read; after a page that cannot it goes on behind it."""
    names = ", ".join(columns)
    last, skips = -1, 0
    numbered = table in _ROWS
    while skips < 4096:
        try:
            old = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        except sqlite3.Error:
            return
        try:
            old.text_factory = lambda data: data.decode("utf-8", "replace")
            if not numbered:
                yield from old.execute(f"SELECT {names} FROM {table}")
                return
            for number, *row in old.execute(
                f"SELECT rowid, {names} FROM {table} WHERE rowid > ? ORDER BY rowid", (last,)
            ):
                last = number
                yield tuple(row)
            return
        except sqlite3.DatabaseError:
            if not numbered:
                return
            last, skips = last + _STEP, skips + 1
        finally:
            old.close()

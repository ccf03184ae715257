"""What can be read of a damaged ledger is saved into a new one; the damaged file is kept."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qprovider_core.errors import DamagedLedgerError, LedgerError
from qprovider_core.ledger._file import LedgerFile
from qprovider_core.ledger._rows import texts
from qprovider_core.ledger._statements import put_tags

# Each with the column by which it is read in order. Tags are not among them: the jobs have them, too.
_TABLES = {
    "places": "id", "jobs": "seq", "events": "seq", "requests": "seq", "results": "seq", "calibrations": "id",
    "contexts": "seq",
}  # fmt: skip
_LAST = 1 << 62


def sound(file: LedgerFile) -> bool:
    """Whether there is nothing to repair.

    Raises:
        LedgerError: The file cannot be used for another reason: it is a newer version's, or none of ours.
    """
    try:
        with file.reading() as db:
            return db is None or db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
    except LedgerError as exc:
        if isinstance(exc, DamagedLedgerError):
            return False
        raise


def repaired(file: LedgerFile) -> tuple[Path, int]:
    """Make a new file of what can be read of this one, and put it in its place.

    Returns:
        Where the old one lies now, and how many jobs the new one has.
    Raises:
        LedgerError: There is no file.
    """
    from filelock import FileLock, Timeout  # late: rare

    if not file.exists:
        raise LedgerError(f"There is no ledger at {file.path}.", path=str(file.path))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    kept = file.path.with_name(f"{file.path.name}.replaced-{stamp}")
    try:
        # The lock comes before the turn: a fork, which waits for the turn, must not have to wait for the lock.
        with FileLock(f"{file.path}.repair", timeout=0, mode=0o600), file.taken():
            rebuilt = file.path.with_name(f"{file.path.name}.rebuilt-{stamp}")
            saved = _rebuilt(file.path, LedgerFile(rebuilt))
            for suffix in ("-wal", "-shm", ""):  # the log first: without its file it is nobody's
                if os.path.exists(f"{file.path}{suffix}"):
                    os.replace(f"{file.path}{suffix}", f"{kept}{suffix}")
            os.replace(rebuilt, file.path)
    except Timeout as exc:
        raise LedgerError(
            f"Another process is repairing the ledger {file.path}.", path=str(file.path), hint="Wait for it."
        ) from exc
    return kept, saved


def _rebuilt(path: Path, new: LedgerFile) -> int:
    try:
        with new.writing() as db:
            for table, order in _TABLES.items():
                columns = [str(row[1]) for row in db.execute(f"PRAGMA table_info({table})")]
                for row in _readable(path, table, order, columns):
                    with suppress(sqlite3.Error):  # a row of nonsense
                        db.execute(
                            f"INSERT OR IGNORE INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                            tuple(row.values()),
                        )
            # A job whose place was lost is kept; what belongs to jobs that were lost is not, for numbers come again.
            db.execute(
                "INSERT INTO places SELECT DISTINCT place, 'unknown', 'default', '', 'lost-' || place FROM jobs "
                "WHERE place NOT IN (SELECT id FROM places)"
            )
            for table in ("events", "requests", "results", "contexts"):
                db.execute(f"DELETE FROM {table} WHERE seq NOT IN (SELECT seq FROM jobs)")
            for seq, tags in db.execute("SELECT seq, tags FROM jobs WHERE tags IS NOT NULL").fetchall():
                put_tags(db, seq, texts(tags))
            saved: int = db.execute("SELECT count(*) FROM jobs").fetchone()[0]
    except BaseException:
        new.close()
        for left in (new.path, Path(f"{new.path}-wal"), Path(f"{new.path}-shm")):
            left.unlink(missing_ok=True)
        raise
    new.close()
    return saved


def _readable(path: Path, table: str, order: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The rows that can be read. Behind what cannot, it goes on with longer and longer steps."""
    last, step = -1, 1
    while last < _LAST:
        old = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            old.text_factory = lambda data: data.decode("utf-8", "replace")
            old.execute("PRAGMA writable_schema = ON")  # else a file that was cut off is not read at all
            found = old.execute(f"SELECT * FROM {table} WHERE {order} > ? ORDER BY {order}", (last,))
            names = [one[0] for one in found.description]
            for values in found:
                row = {name: value for name, value in zip(names, values, strict=True) if name in columns}
                if not isinstance(row.get(order), int) or row[order] < last:
                    break  # pages that lead in a circle
                last, step = row[order], 1
                yield row
            else:
                return
        except sqlite3.DatabaseError:
            pass
        finally:
            old.close()
        last, step = last + step, 2 * step

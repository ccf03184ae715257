"""The ledger's file: how it is opened, shared between threads and processes, and what is said when it cannot be."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from qprovider_core.errors import LedgerError
from qprovider_core.ledger import _schema
from qprovider_core.ledger._mounts import file_system, is_network
from qprovider_core.secret import get_logger

_log = get_logger("qprovider.ledger")

LOCKED_S = 20.0  # how long another process may keep the file to itself before we give up
GO_ON = "To go on without it set QPROVIDER_LEDGER=off, or use --no-ledger."
ELSEWHERE = "name another file with QPROVIDER_LEDGER"


class LedgerFile:
    """One SQLite file. Threads take turns; processes do by SQLite's own locks.

    Attributes:
        path: Where it is. It comes into being when it is first written to.
    """

    def __init__(self, path: Path, *, locked_s: float = LOCKED_S, steps: Sequence[str] = _schema.STEPS) -> None:
        self.path = path
        self._locked_s = locked_s
        self._steps = steps
        self._turn = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._file: tuple[int, int] | None = None
        self._read_only = False
        self._finalizer: weakref.finalize[..., LedgerFile] | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a file with something in it."""
        try:
            return self.path.stat().st_size > 0
        except OSError:
            return False

    @property
    def journal(self) -> str:
        """How changes are journalled here: ``wal``, or ``truncate`` on a network file system."""
        return "truncate" if is_network(self.path) else "wal"

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed at the end, or not at all where something is raised.

        Args:
            durable: Whether it shall outlast even a loss of power, which costs a wait for the disk.
        Raises:
            LedgerError: The file cannot be written.
        """
        with self._taken(), self._explained():
            connection = self._opened(write=True)
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled it back already
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """The file as it stands; None when there is none yet. Nothing is written.

        Raises:
            LedgerError: The file cannot be read.
        """
        if not self.exists:
            yield None
            return
        with self._taken(), self._explained():
            connection = self._opened(write=False)
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                with suppress(sqlite3.Error):
                    connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        with self._turn:
            if self._finalizer is not None and self._pid == os.getpid():
                self._finalizer()
            self._connection = self._finalizer = None

    def shrink(self) -> None:
        """Give the room of what was deleted back to the system, unless somebody else is using the file."""
        with self._taken(), self._explained(), suppress(sqlite3.OperationalError):
            self._opened(write=True).execute("VACUUM")

    def copy_to(self, path: Path) -> Path:
        """A copy of the file as it stands, whole though others write to it.

        Raises:
            LedgerError: There is a file of that name, or none to copy.
        """
        if path.exists():
            raise LedgerError(f"{path} exists.", path=str(self.path), hint="Name a file that does not.")
        with self.reading() as db:
            if db is None:
                raise LedgerError(f"There is no ledger at {self.path} yet.", path=str(self.path))
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            copy = sqlite3.connect(path)
            try:
                db.execute("COMMIT")  # the backup takes its own view of the file
                db.backup(copy)
            finally:
                copy.close()
        return path

    # -- opening ------------------------------------------------------------------------------------------

    @contextmanager
    def _taken(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=2 * self._locked_s):
            raise self._locked("another thread of this process")
        try:
            yield
        finally:
            self._turn.release()

    def _opened(self, *, write: bool) -> sqlite3.Connection:
        # A connection must not be used across a fork, nor for a file that was moved away or replaced.
        stale = self._pid != os.getpid() or self._identity() != self._file or (write and self._read_only)
        if self._connection is not None and stale:
            if self._pid == os.getpid():
                self.close()
            else:
                self._connection = self._finalizer = None  # the parent's: closing it here would harm the parent's
        if self._connection is None:
            self._connection = self._open(write=write)
            self._pid, self._file = os.getpid(), self._identity()
            self._finalizer = weakref.finalize(self, _close, self._connection, self._pid)
        return self._connection

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _open(self, *, write: bool) -> sqlite3.Connection:
        self._check_header()
        if not write and not (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)):
            self._read_only = True
            return self._checked(self._connect("mode=ro"), or_else="immutable=1")
        self._read_only = False
        if write:
            self._make()
        connection = self._connect("mode=rw")
        try:
            version = _schema.version_of(connection)
            self._check_kind(connection, version)
            if version < len(self._steps):
                connection = self._migrated(connection)
            self._set_journal(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{mode}",
            uri=True,
            timeout=self._locked_s,
            isolation_level=None,
            check_same_thread=False,
        )

    def _checked(self, connection: sqlite3.Connection, *, or_else: str) -> sqlite3.Connection:
        """A file that cannot be written, as far as it can be read: a journal that needs writing is left aside."""
        try:
            version = _schema.version_of(connection)
        except sqlite3.OperationalError:
            connection.close()
            connection = self._connect(or_else)
            version = _schema.version_of(connection)
        self._check_kind(connection, version)
        if version < len(self._steps):
            connection.close()
            raise LedgerError(
                f"The ledger {self.path} is of an older version and cannot be written, so it cannot be brought up.",
                path=str(self.path),
                hint=f"Make it writable, copy it elsewhere and {ELSEWHERE}.",
            )
        return connection

    def _make(self) -> None:
        """The file and its folder, for this user alone."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            if is_network(self.path):
                _log.warning(
                    "the ledger %s lies on a network file system (%s): it is written without a write-ahead log, which "
                    "is slower; a local place can be named with QPROVIDER_LEDGER",
                    self.path,
                    file_system(self.path),
                )

    def _set_journal(self, connection: sqlite3.Connection) -> None:
        wanted = self.journal
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != wanted:
            with self.alone():  # to change it takes the file as a whole, and fails rather than wait
                connection.execute(f"PRAGMA journal_mode = {wanted}")

    def _migrated(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        with self.alone():
            version = _schema.version_of(connection)  # another process may have been quicker
            if 0 < version < len(self._steps):
                copy = self.path.with_name(f"{self.path.name}.schema-{version}")
                if not copy.exists():
                    os.close(os.open(copy, os.O_CREAT | os.O_RDWR, 0o600))
                    kept = sqlite3.connect(copy)
                    with kept:
                        connection.backup(kept)
                    kept.close()
                _log.info("the ledger %s is brought from schema %d to %d; %s is a copy", self.path, version,
                          len(self._steps), copy)  # fmt: skip
            if version < len(self._steps):
                _schema.bring_up(connection, self._steps)
        return connection

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process is opening the file for the first time, or changing its form."""
        try:
            with FileLock(f"{self.path}.lock", timeout=self._locked_s, mode=0o600):
                yield
        except Timeout:
            raise self._locked("another process, which is opening it") from None

    # -- what is wrong with it ----------------------------------------------------------------------------

    def _check_header(self) -> None:
        """A file that is not SQLite's is damaged, or no ledger."""
        try:
            with open(self.path, "rb") as file:
                head = file.read(16)
        except FileNotFoundError:
            return
        if head and head != b"SQLite format 3\0":
            raise self._damaged("it does not begin like a SQLite file")

    def _check_kind(self, connection: sqlite3.Connection, version: int) -> None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application != _schema.APPLICATION_ID and (version or tables):
            raise LedgerError(
                f"{self.path} is a SQLite file, but not a ledger of jobs.",
                path=str(self.path),
                hint=f"It was left as it is. Move it away, or {ELSEWHERE}. {GO_ON}",
            )
        if version > len(self._steps):
            raise LedgerError(
                f"The ledger {self.path} was written by a newer version of qprovider.",
                path=str(self.path),
                why=f"It is of schema {version}; this version knows {len(self._steps)}.",
                hint=f"It was left as it is. Upgrade (pip install -U qprovider-core), or {ELSEWHERE}. {GO_ON}",
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's and the system's errors in words."""
        try:
            yield
        except sqlite3.Error as exc:
            raise self._explain(exc) from exc
        except OSError as exc:
            raise self._unusable(f"{exc.strerror or exc}") from exc

    def _explain(self, exc: sqlite3.Error) -> LedgerError:
        name = getattr(exc, "sqlite_errorname", None) or ""
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            self.close()
            return self._damaged(str(exc))
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return self._locked("another process")
        if name.startswith("SQLITE_FULL") or (name.startswith("SQLITE_IOERR") and self._free_bytes() < 1 << 20):
            return LedgerError(
                f"The disk is full: the ledger {self.path} cannot be written.",
                path=str(self.path),
                hint="Make room (qprovider jobs prune --older-than 90d removes old jobs' data), or "
                f"{ELSEWHERE}. {GO_ON}",
            )
        if name.startswith("SQLITE_PROTOCOL"):
            return self._unusable("file locks do not work here, as on some network file systems")
        return self._unusable(f"{exc}")

    def _free_bytes(self) -> int:
        try:
            return shutil.disk_usage(self.path.parent).free
        except OSError:
            return 1 << 40

    def _unusable(self, why: str) -> LedgerError:
        return LedgerError(
            f"The ledger {self.path} cannot be used: {why}.",
            path=str(self.path),
            hint=f"Check that the file and its folder may be written, or {ELSEWHERE}. {GO_ON}",
        )

    def _locked(self, by: str) -> LedgerError:
        return LedgerError(
            f"The ledger {self.path} is kept locked by {by}.",
            path=str(self.path),
            why=f"It was not to be had within {self._locked_s:g} s.",
            hint=f"See what holds it (a backup, a database browser), and try again. {GO_ON}",
        )

    def _damaged(self, why: str) -> LedgerError:
        copy = self._kept_copy()
        return LedgerError(
            f"The ledger {self.path} is damaged: {why}.",
            path=str(self.path),
            copy=None if copy is None else str(copy),
            why=f"It was left as it is{f', and a copy kept as {copy}' if copy else ''}.",
            hint=f"`qprovider jobs repair` saves what can be read into a new one; or {ELSEWHERE}. {GO_ON}",
        )

    def _kept_copy(self) -> Path | None:
        """A copy of the damaged file and its log; the same damage is copied once."""
        try:
            state = self.path.stat()
            moment = datetime.fromtimestamp(state.st_mtime, UTC).strftime("%Y%m%dT%H%M%SZ")
            copy = self.path.with_name(f"{self.path.name}.damaged-{moment}")
            for suffix in ("", "-wal"):
                source, target = f"{self.path}{suffix}", f"{copy}{suffix}"
                if os.path.exists(source) and not os.path.exists(target):
                    os.close(os.open(target, os.O_CREAT | os.O_RDWR, 0o600))
                    shutil.copyfile(source, target)
        except OSError as exc:
            _log.warning("no copy of the damaged ledger %s could be kept: %s", self.path, exc.strerror or exc)
            return None
        return copy


def _close(connection: sqlite3.Connection, pid: int) -> None:
    if pid == os.getpid():
        with suppress(sqlite3.Error):
            connection.close()

"""The ledger's file: how it is opened, and shared between threads and processes."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from qprovider_core.errors import LedgerError
from qprovider_core.ledger import _schema, _trouble
from qprovider_core.ledger._forks import let_go_before_forks
from qprovider_core.ledger._mounts import file_system, is_network
from qprovider_core.secret import get_logger

_log = get_logger("qprovider.ledger")

LOCKED_S = 20.0  # how long another process may keep the file to itself before we give up
_LOG_BYTES = 4 << 20  # a write-ahead log that was larger is cut to this
_abandoned: list[sqlite3.Connection] = []  # of the process that forked us: not even to be closed


class LedgerFile:
    """One SQLite file. Threads take turns; processes do by SQLite's own locks.

    Attributes:
        path: Where it is. It comes into being when it is first written to.
        turn: Held by the thread whose turn it is.
    """

    def __init__(self, path: Path, *, locked_s: float = LOCKED_S, steps: Sequence[str] = _schema.STEPS) -> None:
        self.path = path
        self.turn = threading.RLock()
        self._locked_s = locked_s
        self._steps = steps
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._read_only = False
        self._finalizer: weakref.finalize[..., LedgerFile] | None = None
        let_go_before_forks(self)

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
    def writing(self, *, durable: bool = True, patience_s: float | None = None) -> Iterator[sqlite3.Connection]:
        """A transaction that is committed at the end, or not at all where something is raised.

        Args:
            durable: Whether it shall outlast even a loss of power, which costs a wait for the disk.
            patience_s: How long to wait for other processes, where that is not worth the usual time.
        Raises:
            LedgerError: The file cannot be written.
        """
        with self._taken(), self._explained():
            connection = self._begun(durable, patience_s)
            try:
                self._check_version(connection)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled it back already
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """The file as it stands; None when there is none yet.

        Raises:
            LedgerError: The file cannot be read.
        """
        if not self.exists:
            yield None
            return
        with self._taken(), self._explained():
            connection = self._opened(write=False)
            self._be_patient(connection)
            connection.execute("BEGIN")
            try:
                self._check_version(connection)
                yield connection
            finally:
                with suppress(sqlite3.Error):
                    connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        with self.turn:
            if self._finalizer is not None:
                self._finalizer()
            self._connection = self._finalizer = None

    def abandon(self) -> None:
        """Leave the connection to the process that opened it: this one was forked in the middle of its work."""
        self.turn = threading.RLock()
        if self._connection is not None:
            _abandoned.append(self._connection)
        if self._finalizer is not None:
            self._finalizer.detach()
        self._connection = self._finalizer = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """No other thread of this process uses the file, and none of its connections is open.

        Raises:
            LedgerError: What is done meanwhile failed.
        """
        with self._taken(), self._explained():
            self.close()
            yield

    def shrink(self) -> None:
        """Give the room of what was deleted back to the system, unless somebody else is using the file."""
        with self._taken(), self._explained(), suppress(sqlite3.OperationalError):
            connection = self._opened(write=True)
            self._be_patient(connection, 1.0)
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def copy_to(self, path: Path) -> Path:
        """A copy of the file as it stands, whole though others write to it.

        Raises:
            LedgerError: There is a file of that name, or none to copy.
        """
        with self.reading() as db:
            if db is None:
                raise LedgerError(f"There is no ledger at {self.path} yet.", path=str(self.path))
            db.execute("COMMIT")  # the copy takes its own view of the file
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            except FileExistsError as exc:
                raise LedgerError(
                    f"{path} exists.", path=str(self.path), hint="Name a file that does not exist yet."
                ) from exc
            except OSError as exc:
                raise LedgerError(
                    f"{path} cannot be written: {exc.strerror or exc}.",
                    path=str(self.path),
                    hint="Name a file in a folder that can be written.",
                ) from exc
            try:
                _back_up(db, path)
            except (sqlite3.OperationalError, OSError) as exc:
                raise LedgerError(
                    f"The copy {path} could not be written: {exc}.",
                    path=str(self.path),
                    hint="Make room there, or name a file on another disk. The ledger is as it was.",
                ) from exc
        return path

    # -- opening ------------------------------------------------------------------------------------------

    @contextmanager
    def _taken(self) -> Iterator[None]:
        if not self.turn.acquire(timeout=2 * self._locked_s):
            raise _trouble.locked(self.path, "another thread of this process", 2 * self._locked_s)
        try:
            yield
        finally:
            self.turn.release()

    def _begun(self, durable: bool, patience_s: float | None) -> sqlite3.Connection:
        """The file with a transaction that may write."""
        while True:
            connection = self._opened(write=True)
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._be_patient(connection, patience_s)
            connection.execute("BEGIN IMMEDIATE")
            if self._identity() == self._file:
                return connection
            connection.execute("ROLLBACK")  # it was replaced while we waited for it

    def _be_patient(self, connection: sqlite3.Connection, patience_s: float | None = None) -> None:
        patience = self._locked_s if patience_s is None else min(patience_s, self._locked_s)
        connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")

    def _opened(self, *, write: bool) -> sqlite3.Connection:
        # Opened again where the file was moved away or replaced, or is to be written and could only be read.
        if self._connection is not None and (self._identity() != self._file or (write and self._read_only)):
            self.close()
        if self._connection is None:
            self._connection = self._open(write=write)
            self._file = self._identity()
            self._finalizer = weakref.finalize(self, _close, self._connection)
            self._finalizer.atexit = False  # see `_forks`: another thread may be using it then
        return self._connection

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _open(self, *, write: bool) -> sqlite3.Connection:
        # Never by `open`: closing a file again would end the locks that other connections of this process hold on it.
        self._read_only = not write and not (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK))
        if self._read_only:
            return self._open_read_only()
        if write:
            self._make()
        connection = self._connect("mode=rw")
        try:
            if self._checked_version(connection) < len(self._steps):
                _schema.bring_up(connection, self._steps, self._keep_older)
            self._set_journal(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?{mode}",
            uri=True,
            timeout=self._locked_s,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.text_factory = _as_text
        return connection

    def _open_read_only(self) -> sqlite3.Connection:
        """A file that cannot be written, as far as it can be read: a log that would need writing is left aside."""
        connection = self._connect("mode=ro")
        try:
            try:
                version = self._checked_version(connection)
            except sqlite3.OperationalError as exc:
                if _is_locked(exc):
                    raise
                connection.close()
                connection = self._connect("mode=ro&immutable=1")
                version = self._checked_version(connection)
            if version < len(self._steps):
                raise _trouble.older(self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make(self) -> None:
        """The file and its folder, for this user alone."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise _trouble.unusable(self.path, "it is no file") from None
            return
        if is_network(self.path):
            _log.warning(
                "the ledger %s lies on a network file system (%s): it is written without a write-ahead log, which is "
                "slower; a local place can be named with QPROVIDER_LEDGER",
                self.path,
                file_system(self.path),
            )

    def _set_journal(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        wanted = self.journal
        found = connection.execute("PRAGMA journal_mode").fetchone()[0]
        if found == wanted:
            return
        if "wal" not in (found, wanted):
            connection.execute(f"PRAGMA journal_mode = {wanted}")  # nothing in the file says it: it is of this opening
            return
        self._convert(connection, wanted)

    def _convert(self, connection: sqlite3.Connection, wanted: str) -> None:
        """To or from a write-ahead log, for which SQLite wants the file to itself."""
        until = time.monotonic() + self._locked_s
        self._be_patient(connection, 0.1)
        while True:
            try:
                connection.execute(f"PRAGMA journal_mode = {wanted}")
                return
            except sqlite3.OperationalError as exc:
                if not _is_locked(exc):
                    raise
                if time.monotonic() > until:
                    if wanted == "wal":
                        return  # it works as it is, only slower
                    raise
            time.sleep(0.01)

    def _keep_older(self, version: int) -> None:
        copy = self.path.with_name(f"{self.path.name}.schema-{version}")
        if not copy.exists():
            reader = self._connect("mode=ro")
            try:
                _back_up(reader, copy)
            finally:
                reader.close()
        _log.info("the ledger %s is brought from schema %d to %d; %s is a copy", self.path, version,
                  len(self._steps), copy)  # fmt: skip

    # -- what is wrong with it ----------------------------------------------------------------------------

    def _checked_version(self, connection: sqlite3.Connection) -> int:
        version, ours = _schema.kind_of(connection)
        if not ours:
            raise _trouble.foreign(self.path)
        if version > len(self._steps):
            raise _trouble.newer(self.path, version, len(self._steps))
        return version

    def _check_version(self, connection: sqlite3.Connection) -> None:
        """Another process, of a newer version, may have brought the file up since we opened it."""
        version = _schema.version_of(connection)
        if version > len(self._steps):
            raise _trouble.newer(self.path, version, len(self._steps))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's and the system's errors in words."""
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            if isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, sqlite3.OperationalError):
                self.close()  # before the damaged file is copied
            raise _trouble.explained(exc, self.path, self._locked_s) from exc


def _as_text(data: bytes) -> str:
    """Text of the file; where it is damaged, what can be read."""
    return data.decode("utf-8", "replace")


def _is_locked(exc: sqlite3.Error) -> bool:
    return (getattr(exc, "sqlite_errorname", None) or "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _back_up(connection: sqlite3.Connection, path: Path) -> None:
    """A whole copy, or none."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600))
        copy = sqlite3.connect(part)
        try:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = delete")  # one file, without a log beside it
        finally:
            copy.close()
        os.replace(part, path)
    except BaseException:
        for left in (part, path):
            with suppress(OSError):
                if left == part or left.stat().st_size == 0:
                    left.unlink()
        raise


def _close(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        connection.close()

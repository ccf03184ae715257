"""The accounts file: read, checked, locked, replaced. What the accounts mean is `_account_store`'s matter.

    {
      "version": 1,
      "accounts": {
        "ibm": {
          "work": {"fields": {"instance": "open-main"}, "secrets": {"token": "..."}},
          "lab": {"keyring": ["token"]}
        }
      },
      "defaults": {"ibm": "work"}
    }

A writer holds a lock, writes a temporary file, and renames it over the old one: whoever reads, and whenever a
writer dies, there is a whole file, the old or the new. A copy of what was last written lies beside it. It is
not the content before that: a secret that was deleted or replaced shall linger nowhere.

In a document the values of `secrets` are `Secret`, and the file's raw content is in no local variable of a
function that an error passes through: some tools print these with a traceback.
"""

from __future__ import annotations

import json
import math
import os
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from qprovider_core.errors import AccountsFileError, ConfigurationError
from qprovider_core.secret import Secret, get_logger

VERSION = 1
LOCK_WAIT_S = 30.0
_POLL_S = 0.01
_ENTRY_KEYS = ("fields", "secrets", "keyring")

Document = dict[str, Any]

_noted = False
_note_lock = threading.Lock()


class AccountsFile:
    """The accounts file at `path`; a link is followed, so that the file it leads to is the one replaced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._target = Path(os.path.realpath(path))
        self._backup = self._target.with_name(self._target.name + ".bak")

    def read(self) -> Document:
        """What the file holds; an empty document when there is none, or no way to it.

        Raises:
            AccountsFileError: The file is damaged.
        """
        try:
            return self._document()
        except FileNotFoundError:
            if not os.access(_nearest_directory(self._target), os.W_OK):
                _note(f"Accounts cannot be saved: {self._target.parent} is not writable.")
            return _empty()
        except OSError as exc:
            _note(f"Saved accounts are not read: {self._target}: {exc.strerror}.")
            return _empty()

    @contextmanager
    def changing(self) -> Iterator[Document]:
        """The document, to be changed in the block; written when the block ends without an error.

        Raises:
            AccountsFileError: The file is damaged. It is left as it is.
            ConfigurationError: The file cannot be written, or another process holds its lock.
        """
        with self._locked():
            document = self._for_change()
            yield document
            if _content(document) != _content(self._for_change()):
                try:
                    self._write(document)
                except OSError as exc:
                    raise self._unwritable(exc) from exc

    def _for_change(self) -> Document:
        try:
            return self._document()
        except FileNotFoundError:
            return _empty()
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def _bytes(self) -> bytes:
        with open(self._target, "rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                with suppress(OSError):  # not ours: then its owner decides
                    os.chmod(self._target, 0o600)
            return file.read()

    def _document(self) -> Document:
        """The checked document. What is wrong is told without its cause, which may hold the content."""
        problem = None
        try:
            return _parsed(self._bytes())
        except _Damage as exc:
            problem = str(exc)
        hint = "It is left as it is. Repair it in an editor"
        if self._backup.exists():
            hint += f", or copy the backup over it (cp '{self._backup}' '{self._target}')"
        hint += f", or move it away and begin anew (mv '{self._target}' '{self._target}.damaged')."
        raise AccountsFileError(
            f"The accounts file {self._target} cannot be used.",
            path=str(self._target),
            why=problem,
            hint=hint,
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout  # late: slow to import, and reading needs no lock

        lock = FileLock(f"{self._target}.lock", mode=0o600)
        try:
            self._make_directory()
            lock.acquire(timeout=LOCK_WAIT_S, poll_interval=_POLL_S)
        except Timeout:
            raise ConfigurationError(
                f"The accounts file {self._target} is in use.",
                why=f"Another process has held its lock {lock.lock_file} for {LOCK_WAIT_S:g} s.",
                hint="Try again; if no other process uses qprovider, delete the lock file.",
            ) from None
        except (OSError, NotImplementedError) as exc:
            raise self._unwritable(exc) from exc
        try:
            yield
        finally:
            lock.release()
            # Whoever saves again at once would take the lock before those that poll for it get a turn.
            time.sleep(1.5 * _POLL_S)

    def _make_directory(self) -> None:
        """Make the file's directory, for its owner only.

        One that is there already is tightened when it is ours alone: somebody may have pointed us at a shared
        one, or at a home.
        """
        directory = self._target.parent
        directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            if not directory.is_dir():
                raise
        mode = stat.S_IMODE(directory.stat().st_mode)
        if mode & 0o077 and not mode & stat.S_ISVTX and _is_ours(directory, self._target.name):
            os.chmod(directory, mode & 0o700)  # only ever less: one that its owner may not write stays so

    def _write(self, document: Document) -> None:
        _replace((self._backup, self._target), document)
        _sync_directory(self._target.parent)

    def _unwritable(self, exc: Exception) -> ConfigurationError:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        return ConfigurationError(
            f"Accounts cannot be saved in {self._target}.",
            why=f"{reason or type(exc).__name__}.",
            hint=(
                "Set QPROVIDER_CONFIG_DIR to a directory that you may write to, or give the account by"
                " environment variables (QPROVIDER_IBM_TOKEN, for instance)."
            ),
        )


class _Damage(ValueError):
    """What is wrong with the file's content, and where. Never shows a value: it may be a token."""


def _empty() -> Document:
    return {"version": VERSION, "accounts": {}, "defaults": {}}


def _content(document: Document) -> bytes:
    """What the file holds for the document, its secrets in the clear: keep it in no variable."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=Secret.reveal)
    # A lone surrogate becomes an escape, which JSON reads back as what it was.
    return f"{text}\n".encode("utf-8", "backslashreplace")


def _parsed(data: bytes) -> Document:
    """The checked document.

    Raises:
        _Damage: It is none.
    """
    try:
        document = json.loads(
            data.decode("utf-8-sig"),  # some editors put a byte order mark in front
            object_pairs_hook=_without_duplicates,
            parse_constant=_not_finite,
            parse_float=_finite,
        )
        return _checked(document)
    except _Damage:
        raise
    except UnicodeDecodeError as exc:
        problem = f"Byte {exc.start} is not UTF-8."
    except json.JSONDecodeError as exc:
        problem = f"Line {exc.lineno}, column {exc.colno}: {exc.msg}." if data.strip() else "It is empty."
    except RecursionError:
        problem = "It is nested too deeply."
    except ValueError as exc:  # a number of thousands of digits
        problem = f"{exc}."
    raise _Damage(problem)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Damage(f"The key {key!r} occurs twice in one object.")
        found[key] = value
    return found


def _not_finite(word: str) -> NoReturn:
    raise _Damage(f"{word} is not a JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _not_finite(text)


def _checked(data: Any) -> Document:
    """`data` with its parts in place and its secrets masked.

    Raises:
        _Damage: It is not of the form that this module writes.
    """
    _expect(data, dict, "The whole file")
    if "version" not in data:
        raise _Damage("The key 'version' is missing.")
    version = data["version"]
    if isinstance(version, bool) or not isinstance(version, int):
        raise _Damage(f"version: expected a whole number, found {_kind(version)}.")
    if version != VERSION:
        raise _Damage(f"version: {version} is not known here; a newer qprovider may have written it.")
    _expect_keys(data, ("version", "accounts", "defaults"), "")
    document = {**_empty(), **data}
    for provider, accounts in _expect(document["accounts"], dict, "accounts").items():
        for name, entry in _expect(accounts, dict, f"accounts.{provider}").items():
            place = f"accounts.{provider}.{name}"
            _expect(entry, dict, place)
            _expect_keys(entry, _ENTRY_KEYS, f"{place}.")
            _expect(entry.get("fields", {}), dict, f"{place}.fields")
            secrets = _expect(entry.get("secrets", {}), dict, f"{place}.secrets")
            for key, value in secrets.items():
                secrets[key] = Secret(_expect(value, str, f"{place}.secrets.{key}"))
            for index, value in enumerate(_expect(entry.get("keyring", []), list, f"{place}.keyring")):
                _expect(value, str, f"{place}.keyring[{index}]")
    for provider, name in _expect(document["defaults"], dict, "defaults").items():
        _expect(name, str, f"defaults.{provider}")
    return document


_WORDS = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}


def _kind(value: object) -> str:
    return _WORDS.get(type(value), "a number")


def _expect(value: Any, kind: type, place: str) -> Any:
    if not isinstance(value, kind):
        raise _Damage(f"{place}: expected {_WORDS[kind]}, found {_kind(value)}.")
    return value


def _expect_keys(data: dict[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in data:
        if key not in known:
            raise _Damage(f"{place}{key}: unknown key; known are {', '.join(known)}.")


def _is_ours(directory: Path, name: str) -> bool:
    if not hasattr(os, "getuid") or directory.stat().st_uid != os.getuid():
        return False
    return directory.name == "qprovider" or all(entry.startswith(name) for entry in os.listdir(directory))


def _replace(paths: Sequence[Path], document: Document) -> None:
    """Put the document in the place of each file, whole or not at all, readable by its owner only.

    All is on the disk under other names before the first file is replaced. These names are fixed: the lock is
    held, so a file that is there already was left by a writer that died.
    """
    temporaries = [path.with_name(path.name + ".tmp") for path in paths]
    try:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(_content(document))
                file.flush()
                os.fsync(file.fileno())
        for temporary, path in zip(temporaries, paths, strict=True):
            os.replace(temporary, path)
    finally:
        for temporary in temporaries:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):  # elsewhere a directory cannot be opened: the rename is the best there is
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _nearest_directory(path: Path) -> Path:
    """The closest directory above `path` that exists."""
    return next(parent for parent in path.parents if parent.exists())


def _note(text: str) -> None:
    """Say it once a process: a listing reads the file many times."""
    global _noted
    with _note_lock:
        if _noted:
            return
        _noted = True
    get_logger("qprovider").warning(
        "%s Set QPROVIDER_CONFIG_DIR to a directory that you may write to, or use environment variables.",
        text,
    )

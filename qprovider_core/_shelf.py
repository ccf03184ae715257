"""Answers about backends on disk, so that the next process need not ask for them: one directory for each account.

Each file is gzipped JSON with a header. Files are replaced as a whole, so that readers see an old or a new one; one
that cannot be read is taken away and said so, and the vendor is asked as if it had not been there. Nothing here is
secret: accounts are told apart by twenty bits of a checksum, too few to learn anything from, and an answer in which a
secret of this process turns up is not written.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import __version__, config
from qprovider_core._cache import Told
from qprovider_core.errors import QProviderError, ResponseError, failure_text
from qprovider_core.records.backends import BackendInfo, BackendRef
from qprovider_core.secret import Secret, get_logger, scrub

if TYPE_CHECKING:
    from qprovider_core.credentials import ResolvedAccount

_log = get_logger("qprovider.cache")

_FORMAT = 1
_MOST_BYTES = 256 << 20  # of a file once unpacked
_MOST_FILES = 2000  # of one account
_KEPT_S = 30 * 24 * 3600.0  # what was told longer ago goes when something is written
_FIELDS = tuple(field.name for field in attrs.fields(BackendInfo) if field.name not in ("provider", "account"))
_GZIP = 31  # what zlib calls the gzip format
_CHANGED = "changed"
_numbers = count()  # of the files that are being written


class Shelf:
    """The directory of one account. Reading and writing never raise: where it cannot be used, all goes on without."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._files: int | None = None  # how many there are, once it was counted
        self._silent = False

    # -- the list -----------------------------------------------------------------------------------------

    def listing(self) -> Told[tuple[Any, ...]] | None:
        """The list that was kept last; None where there is none."""
        return self._read("list", "", lambda body: tuple(map(_info_from, _rows(body))))

    def keep_listing(self, told: Told[tuple[Any, ...]]) -> None:
        if all(type(one) is BackendInfo for one in told.value):  # a vendor's own records are its own matter
            self._write("list", "", told, lambda infos: [_row_of(info) for info in infos])

    def mark_changed(self) -> None:
        """Queues have moved: the list that is kept does not hold for any process any more."""
        try:
            if self.place.is_dir():
                (self.place / _CHANGED).touch(0o600)
                now = time.time_ns()  # the kernel's own clock for files may lag some milliseconds behind
                os.utime(self.place / _CHANGED, ns=(now, now))
        except OSError as exc:
            self._complain(exc)

    def changed_since(self, moment: datetime) -> bool:
        """Whether some process moved a queue since."""
        try:
            return (self.place / _CHANGED).stat().st_mtime >= moment.timestamp()
        except OSError:
            return False

    # -- facets -------------------------------------------------------------------------------------------

    def facet(self, facet: str, ref: BackendRef) -> Told[Any] | None:
        """A backend's configuration or calibration; None where none is kept."""
        return self._read(_name(facet, ref), _whose(ref), lambda body: _facet_from(facet, body))

    def keep_facet(self, facet: str, ref: BackendRef, told: Told[Any]) -> None:
        kind = _kind_of(facet)
        if told.value is None or type(told.value) is kind:  # as with lists
            self._write(_name(facet, ref), _whose(ref), told, lambda value: None if value is None else value.to_dict())

    # -- files --------------------------------------------------------------------------------------------

    def _read(self, name: str, whose: str, make: Any) -> Told[Any] | None:
        path = self.place / f"{name}.json.gz"
        try:
            with open(path, "rb") as file:
                packed = file.read(_MOST_BYTES)
            document = json.loads(_unpacked(packed))
            if not isinstance(document, dict):
                raise ValueError("it is no object")
            if (document.get("format"), document.get("core")) != (_FORMAT, __version__):
                return None  # of another version: not wrong, and not to be trusted either
            if document["whose"] != whose:
                return None
            at = datetime.fromisoformat(document["at"])
            return Told.earlier(make(document["body"]), at.astimezone(UTC))
        except FileNotFoundError:
            return None
        except OSError as exc:
            self._complain(exc)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, zlib.error,
                ResponseError) as exc:  # fmt: skip
            _log.warning(
                "The cache file %s is damaged (%s). It is removed, and the vendor is asked.", path, _words(exc)
            )
            with suppress(OSError):
                path.unlink()
        return None

    def _write(self, name: str, whose: str, told: Told[Any], make: Any) -> None:
        try:
            head = {"format": _FORMAT, "core": __version__, "whose": whose, "at": told.at.isoformat()}
            text = json.dumps({**head, "body": make(told.value)}, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, QProviderError) as exc:  # a vendor's values may be no JSON: then not on disk
            _log.debug("%s is not kept on disk: %s", name, _words(exc))
            return
        if scrub(text) != text:
            _log.warning("%s of %s is not kept on disk: a secret is among what the vendor told.", name, self.place.name)
            return
        packer = zlib.compressobj(1, wbits=_GZIP)
        packed = packer.compress(text.encode()) + packer.flush()
        try:
            self._replace(f"{name}.json.gz", packed)
        except OSError as exc:
            self._files = None  # the directory may be gone; the next one looks
            self._complain(exc)

    def _replace(self, name: str, content: bytes) -> None:
        if self._files is None:
            self.place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.place.mkdir(mode=0o700, exist_ok=True)
            self._files = _swept(self.place)
        new = not (self.place / name).exists()
        if new and self._files >= _MOST_FILES:
            return
        temporary = self.place / f".{os.getpid()}-{threading.get_ident()}-{next(_numbers)}.tmp"
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, self.place / name)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        self._files += new

    def _complain(self, exc: OSError) -> None:
        """Once: a disk that is full or not ours costs the cache, and nothing else."""
        if not self._silent:
            self._silent = True
            _log.warning("The cache %s cannot be used: %s. All goes on without it.", self.place, exc.strerror or exc)


def _swept(place: Path) -> int:
    """Remove what is older than anybody wants; how many files are left."""
    left = 0
    for entry in os.scandir(place):
        with suppress(OSError):
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > _KEPT_S:
                os.unlink(entry.path)
                continue
        left += 1
    return left


def _unpacked(packed: bytes) -> bytes:
    reader = zlib.decompressobj(wbits=_GZIP)
    content = reader.decompress(packed, _MOST_BYTES)
    if not reader.eof:
        raise ValueError("it ends too early, or is too large")
    return content


def _words(exc: Exception) -> str:
    return scrub(failure_text(exc))


def _name(facet: str, ref: BackendRef) -> str:
    """A file's name for any name of a backend. Two might share one: the file says whose it is."""
    return f"{facet}-{_slug(ref.name)}-{_mark(_whose(ref)):08x}"


def _whose(ref: BackendRef) -> str:
    return json.dumps([ref.name, ref.instance])


def _mark(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:40]


# -- records as rows: cattrs would take longer to import than all the rest of a listing ------------------------------


def _row_of(info: BackendInfo) -> list[Any]:
    return [_plain(getattr(info, name)) for name in _FIELDS]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return dict(value) if hasattr(value, "keys") else value


def _rows(body: Any) -> list[Any]:
    if not isinstance(body, list):
        raise ValueError("it holds no list")
    return body


def _info_from(row: Any) -> BackendInfo:
    values = dict(zip(_FIELDS, row, strict=True))
    if values["calibrated_at"] is not None:
        values["calibrated_at"] = datetime.fromisoformat(values["calibrated_at"]).astimezone(UTC)
    info = BackendInfo(**values)
    flaw = info.flaws()
    if flaw is not None:
        raise ValueError(flaw)
    return info


def _facet_from(facet: str, body: Any) -> Any:
    if body is None and facet == "properties":
        return None  # the vendor has none
    return _kind_of(facet).from_dict(body)


def _kind_of(facet: str) -> Any:
    from qprovider_core.records import BackendConfiguration, BackendProperties  # late: only facets need them

    return BackendConfiguration if facet == "configuration" else BackendProperties


# ---------------------------------------------------------------------------------------------- whose directory


def shelf_of(resolved: ResolvedAccount, directory: Path | None = None) -> Shelf:
    """The shelf of an account. Other credentials, or other settings in the environment, have another one."""
    ref = resolved.ref
    told = (ref.provider, ref.name, *_settings_of(ref.provider), *_told_by(resolved.credentials))
    mark = _mark("".join(f"{len(text)}:{text}" for text in told)) >> 12  # of 32 bits: see above
    return Shelf((directory or config.cache_dir()) / f"{ref.provider}-{_slug(ref.name)}-{mark:05x}")


def _settings_of(provider: str) -> list[str]:
    prefix = f"QPROVIDER_{provider.upper()}_"
    return sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(prefix))


def _told_by(credentials: Any) -> list[str]:
    if credentials is None or not attrs.has(type(credentials)):
        return []
    found = []
    for field in attrs.fields(type(credentials)):
        value = getattr(credentials, field.name)
        found.append(f"{field.name}={value.reveal() if isinstance(value, Secret) else repr(value)}")
    return found

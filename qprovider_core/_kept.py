"""A job's place in the ledger. Where there is none, or it cannot be written, the job goes on all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from qprovider_core._told import differ
from qprovider_core.errors import LedgerError, ResponseError, failure_text
from qprovider_core.ledger import Ledger, ledger_in_use
from qprovider_core.records import BackendProperties, JobInfo, JobRecord, JobRef, JobRequest, JobResult
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._account import Account

_log = get_logger("qprovider.ledger")
T = TypeVar("T")


def _settle_down() -> None:
    from qprovider_core._context import settled_down  # late: it imports this module's users

    settled_down()


class Kept:
    """What the ledger has of one job, and what it is told.

    Attributes:
        key: The core's key of it; None until the ledger has the job.
    """

    def __init__(self, account: Account, key: str | None) -> None:
        self._account = account
        self.key = key
        self._known = False  # whether the ledger has been looked at

    @property
    def ledger(self) -> Ledger | None:
        """The ledger in use; None when it is off."""
        return self._tried(ledger_in_use)

    def record(self, info: JobInfo, *, events: bool = False) -> JobRecord | None:
        """What the ledger has of the job; with its timeline, what is just being written is waited for."""
        if events:
            _settle_down()
        return self._tried(lambda: self._found(info, events))

    def _found(self, info: JobInfo, events: bool = False) -> JobRecord | None:
        ledger = ledger_in_use()
        if ledger is None:
            return None
        record = ledger.find(self.key, events=events) if self.key else None
        if record is not None and not self._is_ours(record, info):
            record = None  # a vendor's tags can be copied, and the key with them
            self._known = False
        if record is None and not self._known:
            self._known = True
            listed = ledger.with_id(info.id, self._account.provider)
            record = listed[0] if listed else None
            if record is not None:
                self.key = record.key
                record = ledger.find(record.key, events=True) if events else record
        return record

    def _is_ours(self, record: JobRecord, info: JobInfo) -> bool:
        return record.provider == self._account.provider and (record.job_id in (None, info.id) or info.id == record.key)

    def told(self, before: JobInfo, info: JobInfo) -> None:
        """Note what has changed, of a job that the ledger has."""
        if not differ(before, info):
            return

        self._write(before, lambda ledger, key: ledger.told(key, info))

    def result(self, info: JobInfo) -> JobResult | None:
        """The result, where the ledger has it."""

        return self._read(info, lambda ledger, record: ledger.result(record.key) if record.has_result else None)

    def put_result(self, result: JobResult, info: JobInfo) -> None:
        """Keep the result, also of a job that was submitted elsewhere."""

        def write() -> None:
            ledger = ledger_in_use()
            if ledger is not None:
                ledger.put_result(self._taken(ledger, info), result, info)

        self._tried(write)

    def request(self, info: JobInfo) -> JobRequest | None:
        """What was submitted, where the ledger has it."""
        _settle_down()

        return self._read(info, lambda ledger, record: ledger.request(record.key) if record.has_circuits else None)

    def calibration(self, info: JobInfo) -> BackendProperties | None:
        """The calibration that held for it, where the ledger has it."""

        def read(ledger: Ledger, record: JobRecord) -> BackendProperties | None:
            document = ledger.calibration(record.key) if record.has_calibration else None
            try:
                found = None if document is None else BackendProperties.from_dict(document)
                return None if found is None or found.qubits is None else found  # which reads it all
            except ResponseError as exc:  # of a version to come, or damaged
                raise LedgerError(
                    f"The calibration of job {info.id} cannot be read from the ledger.",
                    path=str(ledger.path),
                    why=exc.what,
                ) from exc

        return self._read(info, read)

    def set(self, info: JobInfo, *, name: str | None = None, note: str | None = None, what: str) -> None:
        """Keep a name or a note.

        Raises:
            LedgerError: It cannot be kept, and would be nowhere else.
        """
        ledger = ledger_in_use()
        if ledger is None:
            raise LedgerError(
                f"The {what} of job {info.id} would be kept in the ledger, which is off.",
                hint="Unset QPROVIDER_LEDGER, or name a file with it.",
            )
        key = self._taken(ledger, info)
        if what == "note":
            ledger.set_note(key, note)
        else:
            ledger.set_name(key, name)

    def set_tags(self, info: JobInfo, tags: Sequence[str]) -> None:
        """Note the tags of a job that the ledger has."""

        self._write(info, lambda ledger, key: ledger.set_tags(key, tags))

    def set_name(self, info: JobInfo, name: str | None) -> None:
        """Note the name of a job that the ledger has, where the vendor keeps names itself."""

        self._write(info, lambda ledger, key: ledger.set_name(key, name))

    def _taken(self, ledger: Ledger, info: JobInfo) -> str:
        record = self._found(info)
        if record is None:
            self.key = ledger.adopt(self._account.provider, self._account.name, info)
            return self.key
        return record.key

    def _read(self, info: JobInfo, read: Callable[[Ledger, JobRecord], T | None]) -> T | None:
        """Read something of a job that the ledger has."""

        def work() -> T | None:
            ledger, record = ledger_in_use(), self._found(info)
            return None if ledger is None or record is None else read(ledger, record)

        return self._tried(work)

    def _write(self, info: JobInfo, write: Callable[[Ledger, str], None]) -> None:
        """Write something down of a job that the ledger has."""
        self._read(info, lambda ledger, record: write(ledger, record.key))

    def _tried(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except LedgerError as exc:
            say_once(exc)
            return None


def forget_job(provider: str, job: JobRef) -> None:
    """Take a job out of the ledger that was deleted at its vendor."""
    try:
        ledger = ledger_in_use()
        for record in ledger.with_id(job.id, provider) if ledger is not None else ():
            assert ledger is not None
            ledger.delete(record.key)
    except LedgerError as exc:
        say_once(exc)


def note(ledger: Ledger | None, write: Callable[[Ledger], object]) -> None:
    """Write something down of a job that goes on whatever becomes of it: where that fails, it is said once."""
    try:
        if ledger is not None:
            write(ledger)
    except LedgerError as exc:
        say_once(exc)


_said: set[str] = set()


def say_once(exc: LedgerError, *, quiet: bool = False) -> str:
    """Say what is wrong with the ledger, but once: a wait would say it at every look. Returns it.

    Args:
        quiet: The caller says it.
    """
    text = failure_text(exc)
    if text not in _said:
        _said.add(text)
        if not quiet:
            _log.warning("jobs go on, but the ledger does not keep up: %s %s", text, exc.hint or "")
    return text

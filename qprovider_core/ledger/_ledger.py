"""`Ledger`: the record of all jobs of this user, whatever their vendor. Importing it needs neither Qiskit nor numpy."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qprovider_core.errors import LedgerError, QProviderError, failure_text
from qprovider_core.ledger import _owner
from qprovider_core.ledger._file import LedgerFile
from qprovider_core.ledger._pack import Packer, UnreadableError, unpack
from qprovider_core.ledger._rows import COLUMNS, FROM, as_json, micros, moment, record, stored
from qprovider_core.ledger._select import LedgerQuery, rows
from qprovider_core.ledger._statements import (
    DEPENDENT,
    PROCESS_ENDED,
    add_event,
    awaited,
    bury,
    events_of,
    forget,
    is_free,
    known,
    place_of,
    put_tags,
    seq_of,
    shown,
    tags_text,
    update,
)
from qprovider_core.records.jobs import JobInfo, JobRequest, JobState
from qprovider_core.records.ledger import JobRecord
from qprovider_core.records.results import JobResult

if TYPE_CHECKING:
    from qprovider_core.ledger._requests import PackedRequest

__all__ = ["PROCESS_ENDED", "Ledger"]

_FORGOTTEN = timedelta(days=1)  # after which a process of another machine is not expected to go on


class Ledger:
    """The jobs that were submitted from this machine, each written down before it was sent.

    Any number of threads and processes may use one file at once.

    Attributes:
        path: The SQLite file. It comes into being when the first job is written.
    """

    def __init__(self, path: str | Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path = Path(path)
        self._file = LedgerFile(self.path)
        self._now = now

    def __repr__(self) -> str:
        return f"<Ledger {self.path}>"

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        self._file.close()

    # -- a submission -------------------------------------------------------------------------------------

    def write(
        self,
        request: JobRequest,
        packed: PackedRequest,
        *,
        provider: str,
        account: str,
        process_bound: bool = False,
        rerun_of: str | None = None,
        backend: Mapping[str, Any] | None = None,
    ) -> int:
        """Write a job down, as about to be sent. Returns when that is, for `sending`: microseconds since 1970.

        Args:
            backend: What the listing said of the backend.
        Raises:
            LedgerError: It could not be written; nothing shall be sent.
        """
        now = micros(self._now())
        shots = getattr(request.pubs[0], "shots", None) if request.pubs else None
        with self._file.writing(durable=not process_bound) as db:
            place = place_of(db, provider, account, request.backend.instance, request.backend.name)
            seq = db.execute(
                "INSERT INTO jobs (key, place, state, final, name, tags, shots, num_circuits, created, written, sent, "
                "updated, attempts, process_bound, owner, rerun_of, session, options, more) "
                "VALUES (?,?,?,0,?,?,?,?,?,?,?,?,1,?,?,?,?,?,?)",
                (request.key, place, JobState.INITIALIZING.value, stored(request.name) if request.name else None,
                 tags_text(request.tags), shots, packed.num_circuits, now, now, now, now, process_bound, _owner.me(),
                 rerun_of, stored(request.session_id) if request.session_id else None, as_json(request.options),
                 as_json({"kind": request.kind})),
            ).lastrowid  # fmt: skip
            assert seq is not None
            put_tags(db, seq, request.tags)
            db.execute("INSERT INTO requests VALUES (?,?,?)", (seq, packed.request, packed.circuits))
            if backend is not None:
                db.execute("INSERT INTO contexts VALUES (?,?)", (seq, Packer().pack(dict(backend))))
            add_event(db, seq, now, "written", shown(packed.left_out))
        return now

    def put_circuits(self, key: str, circuits: bytes | None, left_out: str | None) -> None:
        """Keep the circuits of a job that was written without them; or why they are not kept."""
        with self._changing(key) as (db, seq, now):
            db.execute("UPDATE requests SET circuits = ? WHERE seq = ?", (circuits, seq))
            if left_out is not None:
                add_event(db, seq, now, "written", shown(left_out))

    def sending(self, key: str, seen: int | None) -> int | None:
        """Note that a job is sent once more. Of several processes that mean to do so one succeeds.

        Args:
            seen: When it was last sent, as the caller knows.
        Returns:
            When it is sent now; None: another process was quicker, or the vendor's id has become known.
        """
        now = max(micros(self._now()), (seen or 0) + 1)  # another one than before, even where the clock was set back
        with self._file.writing() as db:
            changed = db.execute(
                "UPDATE jobs SET sent = ?, owner = ?, attempts = attempts + 1, state = ?, error = NULL, updated = ? "
                "WHERE key = ? AND job_id IS NULL AND final = 0 AND sent IS ?",
                (now, _owner.me(), JobState.INITIALIZING.value, now, key, seen),
            ).rowcount
            if changed != 1:
                return None
            add_event(db, seq_of(db, key), now, "sent", "again")
        return now

    def accepted(self, key: str, info: JobInfo) -> None:
        """Note the vendor's id and whatever it told with it."""
        self._tell(key, info, "accepted", durable=True)

    def failed(self, key: str, error: BaseException, what: str = "failed") -> None:
        """Note that a job did certainly not come about, and why."""
        text = shown(failure_text(error) if isinstance(error, QProviderError) else str(error) or type(error).__name__)
        with self._changing(key) as (db, seq, now):
            db.execute(
                "UPDATE jobs SET state = ?, final = 1, error = ?, ended = ?, updated = ? "
                "WHERE seq = ? AND final = 0 AND job_id IS NULL",
                (JobState.ERROR.value, text, now, now, seq),
            )
            add_event(db, seq, now, what, text)

    def not_known(self, key: str, why: str, *, sent: int | None = None) -> None:
        """Note that whether the job arrived is not known, unless another process sends it again meanwhile.

        Args:
            sent: When it was last sent, as the caller knows: then not where another thread has sent it again either.
        """
        with self._changing(key) as (db, seq, now):
            changed = db.execute(
                "UPDATE jobs SET state = ?, error = ?, updated = ? WHERE seq = ? AND job_id IS NULL AND final = 0 "
                "AND (owner IS ? OR owner IS NULL) AND coalesce(? = sent, 1)",
                (JobState.SUBMIT_UNKNOWN.value, shown(why), now, seq, _owner.me(), sent),
            ).rowcount
            if changed:
                add_event(db, seq, now, "not known", shown(why))

    def note_event(self, key: str, what: str, text: str | None = None) -> None:
        """Add a step to a job's timeline."""
        with self._changing(key) as (db, seq, now):
            add_event(db, seq, now, what, shown(text))

    # -- what the vendor tells ----------------------------------------------------------------------------

    def told(self, key: str, info: JobInfo) -> None:
        """Note what the vendor tells of a job. What it leaves out stays; an end is not taken back."""
        self._tell(key, info, "state", durable=False)

    def adopt(self, provider: str, account: str, info: JobInfo) -> str:
        """Take a job over that was submitted elsewhere, and return its key."""
        now = micros(self._now())
        with self._file.writing(durable=False) as db:
            key = known(db, provider, info)
            if key is not None:
                return key
            seq = awaited(db, provider, info.key)
            if seq is not None and info.key:
                update(db, seq, info, now)
                add_event(db, seq, now, "accepted", shown(info.id))
                return info.key
            key = info.key if info.key and is_free(db, info.key) else uuid.uuid4().hex
            place = place_of(db, provider, account, info.instance, info.backend)
            seq = db.execute(
                "INSERT INTO jobs (key, place, state, final, created, written, updated) VALUES (?,?,?,0,?,?,?)",
                (key, place, JobState.INITIALIZING.value, micros(info.created_at or self._now()), now, now),
            ).lastrowid
            assert seq is not None
            add_event(db, seq, now, "written", "it was submitted elsewhere")
            update(db, seq, info, now)
        return key

    def put_result(self, key: str, result: JobResult, info: JobInfo | None = None) -> None:
        """Keep a job's result."""
        data = Packer().pack(result)
        with self._changing(key) as (db, seq, now):
            if info is not None:
                update(db, seq, info, now)
            db.execute("INSERT OR REPLACE INTO results VALUES (?,?)", (seq, data))
            add_event(db, seq, now, "result")

    def _tell(self, key: str, info: JobInfo, what: str, *, durable: bool) -> None:
        with self._changing(key, durable=durable) as (db, seq, now):
            changed = update(db, seq, info, now, accepted=what == "accepted")
            if what != "state":
                add_event(db, seq, now, what, shown(info.id))
            elif changed:
                add_event(db, seq, now, what, changed)

    # -- what the user says -------------------------------------------------------------------------------

    def set_tags(self, key: str, tags: Sequence[str]) -> None:
        """Replace a job's tags."""
        with self._changing(key) as (db, seq, now):
            db.execute("UPDATE jobs SET tags = ? WHERE seq = ?", (tags_text(tags), seq))
            put_tags(db, seq, tags)
            add_event(db, seq, now, "tags", shown(", ".join(tags)))

    def set_name(self, key: str, name: str | None) -> None:
        """Give a job another name, or none."""
        with self._changing(key) as (db, seq, now):
            db.execute("UPDATE jobs SET name = ? WHERE seq = ?", (stored(name) if name else None, seq))
            add_event(db, seq, now, "name", shown(name))

    def set_note(self, key: str, note: str | None) -> None:
        """Keep a note of the user with a job, or none."""
        with self._changing(key) as (db, seq, now):
            db.execute("UPDATE jobs SET note = ? WHERE seq = ?", (stored(note) if note else None, seq))
            add_event(db, seq, now, "note")

    # -- context ------------------------------------------------------------------------------------------

    def link_calibration(self, key: str, digest: str) -> bool:
        """Note which calibration held for a job; False where the ledger has it not yet."""
        with self._changing(key) as (db, seq, _):
            found = db.execute("SELECT id FROM calibrations WHERE digest = ?", (digest,)).fetchone()
            if found is not None:
                db.execute("UPDATE jobs SET calibration = ? WHERE seq = ?", (found[0], seq))
            return found is not None

    def put_calibration(self, key: str, digest: str, document: Mapping[str, Any]) -> None:
        """Keep the calibration that held for a job."""
        data = Packer().pack(dict(document))
        with self._changing(key) as (db, seq, _):
            db.execute("INSERT OR IGNORE INTO calibrations (digest, document) VALUES (?,?)", (digest, data))
            db.execute(
                "UPDATE jobs SET calibration = (SELECT id FROM calibrations WHERE digest = ?) WHERE seq = ?",
                (digest, seq),
            )

    # -- reading ------------------------------------------------------------------------------------------

    def find(self, key: str, *, events: bool = False) -> JobRecord | None:
        """The job of that key."""
        self.bury()
        with self._file.reading() as db:
            if db is None:
                return None
            row = db.execute(f"SELECT {COLUMNS} {FROM} WHERE j.key = ?", (key,)).fetchone()
            return None if row is None else record(row, events_of(db, row[0]) if events else ())

    def with_id(self, job_id: str, provider: str | None = None) -> list[JobRecord]:
        """The jobs whose vendor gave that id: one, unless several vendors happened to."""
        self.bury()
        found = self._all(f"SELECT {COLUMNS} {FROM} WHERE j.job_id = ? ORDER BY j.seq DESC", job_id)
        return [one for one in map(record, found) if provider in (None, one.provider)]

    def select(self, query: LedgerQuery) -> list[JobRecord]:
        """The jobs that satisfy a query, newest first."""
        self.bury()
        with self._file.reading() as db:
            found = [] if db is None else rows(db, query)
        return [record(row) for row in found]

    def ids(self, most: int = 20000) -> list[str]:
        """Ids and keys of the newest jobs, to find near matches of a wrong one."""
        found = self._all("SELECT job_id, key FROM jobs ORDER BY seq DESC LIMIT ?", most)
        return [text for row in found for text in row if text]

    def unsettled(self) -> list[JobRecord]:
        """Jobs of which it is not known whether they arrived, oldest first; none that a living process is sending."""
        self.bury()
        found = self._all(
            f"SELECT {COLUMNS} {FROM} WHERE j.final = 0 AND j.job_id IS NULL AND j.state = ? ORDER BY j.seq",
            JobState.SUBMIT_UNKNOWN.value,
        )
        return [record(row) for row in found]

    def request(self, key: str) -> JobRequest | None:
        """What was submitted; None where the ledger has no circuits of it. Imports Qiskit."""
        from qprovider_core.ledger._requests import unpack_request  # late: needs Qiskit

        row = self._one("SELECT r.request, r.circuits FROM requests r JOIN jobs j USING (seq) WHERE j.key = ?", key)
        return None if row is None else unpack_request(key, row[0], row[1], str(self.path))

    def result(self, key: str) -> JobResult | None:
        """A job's result; None where the ledger has none."""
        found = self._unpacked("SELECT r.result FROM results r JOIN jobs j ON j.seq = r.seq WHERE j.key = ?", key)
        return found if isinstance(found, JobResult) else None

    def calibration(self, key: str) -> Mapping[str, Any] | None:
        """The calibration that held for a job, as `BackendProperties.to_dict` wrote it."""
        found = self._unpacked(
            "SELECT c.document FROM calibrations c JOIN jobs j ON j.calibration = c.id WHERE j.key = ?", key
        )
        return found if isinstance(found, dict) else None

    def backend(self, key: str) -> Mapping[str, Any] | None:
        """What the listing said of the backend when the job was sent."""
        found = self._unpacked("SELECT c.backend FROM contexts c JOIN jobs j ON j.seq = c.seq WHERE j.key = ?", key)
        return found if isinstance(found, dict) else None

    def _one(self, statement: str, key: str) -> Any:
        return next(iter(self._all(statement, key)), None)

    def _all(self, statement: str, *values: object) -> list[Any]:
        with self._file.reading() as db:
            return [] if db is None else db.execute(statement, values).fetchall()

    def _unpacked(self, statement: str, key: str) -> Any:
        row = self._one(statement, key)
        if row is None or row[0] is None:
            return None
        try:
            return unpack(row[0])
        except UnreadableError as exc:
            raise LedgerError(
                f"What the ledger keeps of job {key} cannot be read.",
                path=str(self.path),
                why=f"{exc}.",
                hint="The vendor may still have it.",
            ) from exc

    # -- keeping order ------------------------------------------------------------------------------------

    def bury(self) -> None:
        """Mark what processes that have ended left behind: jobs that ended with them, and submissions of which
        nobody knows any more whether they arrived."""
        # The index is named, for nothing else would make SQLite take it for so few of so many.
        found = self._all(
            f"SELECT seq, owner, coalesce(sent, written) FROM jobs INDEXED BY jobs_open WHERE {DEPENDENT}"
        )
        dead = [(seq, owner) for seq, owner, since in found if not self._goes_on(owner, since)]
        if not dead:
            return
        try:
            with self._file.writing(durable=False, patience_s=1.0) as db:
                for seq, owner in dead:
                    bury(db, seq, owner, micros(self._now()))
        except LedgerError:  # a file that is only read, or just written to: it tells what was last known
            return

    def _goes_on(self, owner: str | None, since: int) -> bool:
        alive = _owner.is_alive(owner)
        if alive is None:
            return self._now() - moment(since) < _FORGOTTEN
        return alive

    def delete(self, key: str) -> None:
        """Forget a job."""
        with self._changing(key) as (db, seq, _):
            forget(db, [seq])

    def prune(self, before: datetime, *, data_only: bool = False) -> int:
        """Forget jobs that have ended and were created before `before`; with `data_only` just their circuits, results
        and timelines. Returns how many. Jobs that have not ended stay."""
        with self._file.writing() as db:
            seqs = [
                row[0] for row in db.execute("SELECT seq FROM jobs WHERE final = 1 AND created < ?", (micros(before),))
            ]
            forget(db, seqs, data_only=data_only)
        if seqs:
            self._file.shrink()
        return len(seqs)

    def copy_to(self, path: str | Path) -> Path:
        """A copy of the whole ledger as it stands, readable by this user alone."""
        return self._file.copy_to(Path(path))

    def is_sound(self) -> bool:
        """Whether the whole file can be read."""
        from qprovider_core.ledger._repair import sound  # late: rare

        return sound(self._file)

    def repair(self) -> tuple[Path, int]:
        """Save what can be read of a damaged file into a new one. Returns where the old one was moved to, and how many
        jobs were saved."""
        from qprovider_core.ledger._repair import repaired  # late: rare

        return repaired(self._file)

    @contextmanager
    def _changing(self, key: str, *, durable: bool = False) -> Iterator[tuple[sqlite3.Connection, int, int]]:
        """A transaction about one job: the connection, the job's row, and the time."""
        with self._file.writing(durable=durable) as db:
            row = db.execute("SELECT seq FROM jobs WHERE key = ?", (key,)).fetchone()
            if row is None:
                raise LedgerError(
                    f"The ledger has no job {key} any more.",
                    path=str(self.path),
                    hint="It was deleted or pruned meanwhile, perhaps by another process.",
                )
            yield db, row[0], micros(self._now())

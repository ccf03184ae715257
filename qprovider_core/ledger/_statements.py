"""What is done to the rows of one job, within a transaction of the caller."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from qprovider_core._text import printable
from qprovider_core.ledger._rows import MORE, as_json, from_json, micros, moment, more_of, stored
from qprovider_core.records.jobs import JobInfo, JobState
from qprovider_core.records.ledger import JobEvent

PROCESS_ENDED = "process_ended"  # `JobInfo.error_code` of a job whose process ended before it did
_LONGEST = 4000  # characters of an error that are kept


def shown(text: str | None) -> str | None:
    """A text as it is kept: no secrets, and no longer than anybody reads."""
    return None if text is None else stored(text)[:_LONGEST]


def seq_of(db: sqlite3.Connection, key: str) -> int:
    """The row of a job that is there."""
    seq: int = db.execute("SELECT seq FROM jobs WHERE key = ?", (key,)).fetchone()[0]
    return seq


def place_of(db: sqlite3.Connection, provider: str, account: str, instance: str | None, backend: str | None) -> int:
    """The row of an account's backend, made where there is none."""
    values = (provider, account, instance or "", backend or "")
    condition = "provider = ? AND account = ? AND instance = ? AND backend = ?"
    found = db.execute(f"SELECT id FROM places WHERE {condition}", values).fetchone()
    if found is None:
        made = db.execute("INSERT INTO places (provider, account, instance, backend) VALUES (?,?,?,?)", values)
        found = (made.lastrowid,)
    place: int = found[0]
    return place


def tags_text(tags: Sequence[str]) -> str | None:
    """Tags as their column holds them, in their order."""
    return json.dumps([stored(tag) for tag in tags], separators=(",", ":")) if tags else None


def put_tags(db: sqlite3.Connection, seq: int, tags: Sequence[str]) -> None:
    """Replace the tags by which a job is found."""
    db.execute("DELETE FROM tags WHERE seq = ?", (seq,))
    db.executemany("INSERT OR IGNORE INTO tags VALUES (?,?)", [(stored(tag), seq) for tag in tags])


def add_event(db: sqlite3.Connection, seq: int, at: int, what: str, text: str | None = None) -> None:
    """Add a step to a job's timeline."""
    db.execute(
        "INSERT INTO events SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ? FROM events WHERE seq = ?",
        (seq, at, what, text, seq),
    )


def events_of(db: sqlite3.Connection, seq: int) -> tuple[JobEvent, ...]:
    """A job's timeline, oldest first."""
    rows = db.execute("SELECT at, what, text FROM events WHERE seq = ? ORDER BY number", (seq,))
    return tuple(JobEvent(at=moment(at), what=what, text=text) for at, what, text in rows)


def known(db: sqlite3.Connection, provider: str, info: JobInfo) -> str | None:
    """The key of a job that the vendor tells of, where it is here already."""
    found = db.execute(
        "SELECT j.key FROM jobs j JOIN places p ON p.id = j.place WHERE j.job_id = ? AND p.provider = ?",
        (info.id, provider),
    ).fetchone()
    return None if found is None else str(found[0])


def awaited(db: sqlite3.Connection, provider: str, key: str | None) -> int | None:
    """The row of a submission with that key whose id is not known yet. A key that a vendor tells may be another job's:
    its tags can be copied."""
    if not key:
        return None
    found = db.execute(
        "SELECT j.seq FROM jobs j JOIN places p ON p.id = j.place "
        "WHERE j.key = ? AND j.job_id IS NULL AND p.provider = ?",
        (key, provider),
    ).fetchone()
    return None if found is None else int(found[0])


def is_free(db: sqlite3.Connection, key: str) -> bool:
    """Whether no job has that key."""
    return db.execute("SELECT 1 FROM jobs WHERE key = ?", (key,)).fetchone() is None


_FOUND = (
    "SELECT j.key, j.job_id, j.state, j.final, j.name, j.tags, j.created, j.started, j.ended, j.error, j.shots, "
    "j.session, j.more, p.provider, p.account, p.instance, p.backend "
    "FROM jobs j JOIN places p ON p.id = j.place WHERE j.seq = ?"
)


def update(db: sqlite3.Connection, seq: int, info: JobInfo, now: int, *, accepted: bool = False) -> str | None:
    """Write down what the vendor tells. What it leaves out stays, an end is not taken back, and an id does not change.

    Args:
        accepted: Whether the id is certainly the vendor's, which may take our key for it.
    Returns:
        The state where it is another one now, with the vendor's word and the error; None where it is the same.
    """
    (key, job_id, state, final, name, tags, created, started, ended, error, shots, session, more, provider, account,
     instance, backend) = db.execute(_FOUND, (seq,)).fetchone()  # fmt: skip
    told_id = info.id if info.id and (accepted or info.id != key) else None  # the key stands for an id as yet unknown
    if job_id and told_id and told_id != job_id:
        add_event(db, seq, now, "state", f"the vendor has it a second time, as {shown(told_id)}")
        return None
    if final and not info.state.final and (job_id or not told_id):  # without an id it was not the vendor's end
        return None
    place = place_of(db, provider, account, info.instance or instance, info.backend or backend)
    told_tags = tags_text(info.tags)
    if told_tags is not None and told_tags != tags:
        put_tags(db, seq, info.tags)
    failed = info.state in (JobState.ERROR, JobState.SUBMIT_UNKNOWN)
    passing = {"queue", "state_text"} if failed else {"queue", "state_text", "error_code", "error_hint"}
    kept = {name: value for name, value in from_json(more).items() if name in MORE and name not in passing}
    db.execute(
        "UPDATE jobs SET place = ?, job_id = ?, state = ?, final = ?, name = ?, tags = ?, created = ?, started = ?, "
        "ended = ?, error = ?, shots = ?, session = ?, more = ?, updated = ? WHERE seq = ?",
        (
            place,
            told_id or job_id,
            info.state.value,
            info.state.final,
            stored(info.name) if info.name else name,
            told_tags or tags,
            micros(info.created_at) if info.created_at else created,
            micros(info.started_at) if info.started_at else started,
            micros(info.ended_at) if info.ended_at else (ended if info.state.final else None),
            shown(info.error) or (error if failed and info.state.value == state else None),
            info.shots or shots,
            stored(info.session_id) if info.session_id else session,
            as_json({**kept, **more_of(info)}),
            now,
            seq,
        ),
    )
    if info.state.value == state:
        return None
    word = f" ({info.state_text})" if info.state_text and info.state is JobState.UNKNOWN else ""
    why = f": {shown(info.error)}" if info.error else ""
    return shown(f"{info.state.value}{printable(word)}{why}")


# Jobs that depend on a process: they end with it, or it is sending them just now.
DEPENDENT = "final = 0 AND (process_bound = 1 OR (job_id IS NULL AND state <> 'submit_unknown'))"


def bury(db: sqlite3.Connection, seq: int, owner: str | None, now: int) -> None:
    """Mark a job whose process has ended, unless another one has taken it up or settled it meanwhile."""
    found = db.execute(
        f"SELECT process_bound, more FROM jobs WHERE seq = ? AND owner IS ? AND {DEPENDENT}", (seq, owner)
    ).fetchone()
    if found is None:
        return
    process_bound, more = found
    if not process_bound:
        why = "The process that sent it ended before it was answered."
        db.execute(
            "UPDATE jobs SET state = ?, error = ?, updated = ? WHERE seq = ?",
            (JobState.SUBMIT_UNKNOWN.value, why, now, seq),
        )
        add_event(db, seq, now, "not known", why)
        return
    error = "The process that ran it ended before it did."
    hints = {"error_code": PROCESS_ENDED, "error_hint": "Run it again: job.rerun(), or qprovider rerun ID."}
    db.execute(
        "UPDATE jobs SET state = ?, final = 1, error = ?, more = ?, ended = ?, updated = ? WHERE seq = ?",
        (JobState.ERROR.value, error, as_json({**from_json(more), **hints}), now, now, seq),
    )
    add_event(db, seq, now, "state", f"{JobState.ERROR.value}: {error}")


def forget(db: sqlite3.Connection, seqs: Sequence[int], *, data_only: bool = False) -> None:
    """Take jobs out, or just what is large of them."""
    rows = [(seq,) for seq in seqs]
    tables = ("requests", "results", "contexts", "events") if data_only else (
        "requests", "results", "contexts", "events", "tags", "jobs")  # fmt: skip
    for table in tables:
        db.executemany(f"DELETE FROM {table} WHERE seq = ?", rows)
    if data_only:
        db.executemany("UPDATE jobs SET calibration = NULL WHERE seq = ?", rows)
    db.execute("DELETE FROM calibrations WHERE id NOT IN (SELECT calibration FROM jobs WHERE calibration IS NOT NULL)")

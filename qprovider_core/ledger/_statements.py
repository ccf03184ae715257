"""What is done to the rows of one job, within a transaction of the caller."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from qprovider_core._text import printable
from qprovider_core.ledger._rows import from_json, micros, moment, more_of
from qprovider_core.records.jobs import JobInfo, JobState
from qprovider_core.records.ledger import JobEvent
from qprovider_core.secret import scrub

PROCESS_ENDED = "process_ended"  # `JobInfo.error_code` of a job whose process ended before it did
_LONGEST = 4000  # characters of an error that are kept


def shown(text: str | None) -> str | None:
    """A text as it is kept: no secrets, and no longer than anybody reads."""
    return None if text is None else scrub(text)[:_LONGEST]


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
    return json.dumps(list(tags), separators=(",", ":")) if tags else None


def put_tags(db: sqlite3.Connection, seq: int, tags: Sequence[str]) -> None:
    """Replace the tags by which a job is found."""
    db.execute("DELETE FROM tags WHERE seq = ?", (seq,))
    db.executemany("INSERT OR IGNORE INTO tags VALUES (?,?)", [(tag, seq) for tag in tags])


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


_FOUND = (
    "SELECT j.job_id, j.state, j.final, j.name, j.tags, j.created, j.started, j.ended, j.error, j.shots, j.more, "
    "p.provider, p.account, p.instance, p.backend FROM jobs j JOIN places p ON p.id = j.place WHERE j.seq = ?"
)


def update(db: sqlite3.Connection, seq: int, info: JobInfo, now: int) -> str | None:
    """Write down what the vendor tells. What it leaves out stays, and an end is not taken back.

    Returns:
        The state where it is another one now, with the vendor's word and the error; None where it is the same.
    """
    (job_id, state, final, name, tags, created, started, ended, error, shots, more, provider, account, instance,
     backend) = db.execute(_FOUND, (seq,)).fetchone()  # fmt: skip
    if final and not info.state.final:
        return None
    place = place_of(db, provider, account, info.instance or instance, info.backend or backend)
    told_tags = tags_text(info.tags)
    if told_tags is not None and told_tags != tags:
        put_tags(db, seq, info.tags)
    told = from_json(more_of(info))
    kept = {
        key: value for key, value in from_json(more).items() if key not in told and key not in ("queue", "state_text")
    }
    rest = more_of(JobInfo(id=info.id, state=info.state, **{**kept, **told}))
    db.execute(
        "UPDATE jobs SET place = ?, job_id = ?, state = ?, final = ?, name = ?, tags = ?, created = ?, started = ?, "
        "ended = ?, error = ?, shots = ?, more = ?, updated = ? WHERE seq = ?",
        (
            place,
            info.id or job_id,
            info.state.value,
            info.state.final,
            info.name or name,
            told_tags or tags,
            micros(info.created_at) if info.created_at else created,
            micros(info.started_at) if info.started_at else started,
            micros(info.ended_at) if info.ended_at else ended,
            shown(info.error) or (error if info.state is JobState.ERROR and final else None),
            info.shots or shots,
            rest,
            now,
            seq,
        ),
    )
    if info.state.value == state:
        return None
    word = f" ({info.state_text})" if info.state_text and info.state is JobState.UNKNOWN else ""
    why = f": {shown(info.error)}" if info.error else ""
    return f"{info.state.value}{printable(word)}{why}"


def bury(db: sqlite3.Connection, seq: int, process_bound: bool, now: int) -> None:
    """Mark a job whose process has ended, unless it has been settled meanwhile."""
    if process_bound:
        error = "The process that ran it ended before it did."
        more = from_json(db.execute("SELECT more FROM jobs WHERE seq = ?", (seq,)).fetchone()[0])
        more.update(error_code=PROCESS_ENDED, error_hint="Run it again: job.rerun(), or qprovider rerun ID.")
        changed = db.execute(
            "UPDATE jobs SET state = ?, final = 1, error = ?, more = ?, ended = ?, updated = ? "
            "WHERE seq = ? AND final = 0",
            (JobState.ERROR.value, error, json.dumps(more, separators=(",", ":"), default=str), now, now, seq),
        ).rowcount
        if changed:
            add_event(db, seq, now, "state", f"{JobState.ERROR.value}: {error}")
        return
    why = "The process that sent it ended before it was answered."
    changed = db.execute(
        "UPDATE jobs SET state = ?, error = ?, updated = ? WHERE seq = ? AND final = 0 AND job_id IS NULL",
        (JobState.SUBMIT_UNKNOWN.value, why, now, seq),
    ).rowcount
    if changed:
        add_event(db, seq, now, "not known", why)


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

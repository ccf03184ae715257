"""Rows of the ledger as records, and records as the values of a row."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from qprovider_core.ledger._pack import Packer, UnreadableError, _value
from qprovider_core.records.jobs import JobInfo, JobState
from qprovider_core.records.ledger import JobEvent, JobRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# What a job's information has no column for.
_MORE = ("state_text", "error_code", "error_hint", "queue", "usage", "session_id", "kind", "extra")
_DEFAULTS = {field.name: field.default for field in attrs.fields(JobInfo)}

COLUMNS = (
    "j.seq, j.key, j.job_id, j.state, j.name, j.note, j.tags, j.shots, j.num_circuits, j.error, j.created, j.written, "
    "j.sent, j.updated, j.started, j.ended, j.attempts, j.process_bound, j.rerun_of, j.calibration, j.options, j.more, "
    "p.provider, p.account, p.instance, p.backend, "
    "EXISTS (SELECT 1 FROM requests r WHERE r.seq = j.seq AND r.circuits IS NOT NULL), "
    "EXISTS (SELECT 1 FROM results r WHERE r.seq = j.seq)"
)
FROM = "FROM jobs j JOIN places p ON p.id = j.place"


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(number: int) -> datetime:
    """The aware time of so many microseconds since 1970."""
    return _EPOCH + number * _MICROSECOND


def _moment(number: int | None) -> datetime | None:
    return None if number is None else moment(number)


def more_of(info: JobInfo) -> str | None:
    """What a job's information has no column for, as JSON."""
    told = {name: getattr(info, name) for name in _MORE}
    kept = {
        name: value for name, value in told.items() if value is not None and value != _DEFAULTS[name] and value != {}
    }
    return as_json(kept) if kept else None


def as_json(values: Mapping[str, Any]) -> str:
    """Values as JSON text; what has no form becomes its text."""
    return json.dumps(Packer().form(dict(values)), separators=(",", ":"), default=repr)


def from_json(text: str | None) -> dict[str, Any]:
    """The values that `as_json` wrote; what cannot be read is left out."""
    if not text:
        return {}
    try:
        found = _value(json.loads(text), [])
    except (ValueError, TypeError, KeyError, AttributeError, UnreadableError):
        return {}
    return found if isinstance(found, dict) else {}


def record(row: sqlite3.Row | tuple[Any, ...], events: tuple[JobEvent, ...] = ()) -> JobRecord:
    """The record of a row of `COLUMNS`."""
    (_, key, job_id, state, name, note, tags, shots, num_circuits, error, created, written, sent, updated, started,
     ended, attempts, process_bound, rerun_of, calibration, options, more, provider, account, instance, backend,
     has_circuits, has_result) = row  # fmt: skip
    rest = {name: value for name, value in from_json(more).items() if name in _MORE}
    info = JobInfo(
        id=job_id or key,
        state=JobState(state),
        backend=backend or None,
        instance=instance or None,
        created_at=_moment(created),
        started_at=_moment(started),
        ended_at=_moment(ended),
        name=name,
        tags=tuple(json.loads(tags)) if tags else (),
        error=error,
        shots=shots,
        key=key,
        **rest,
    )
    return JobRecord(
        key=key,
        provider=provider,
        account=account,
        info=info,
        job_id=job_id,
        note=note,
        num_circuits=num_circuits,
        options=from_json(options),
        attempts=attempts,
        rerun_of=rerun_of,
        written_at=_moment(written),
        sent_at=_moment(sent),
        updated_at=_moment(updated),
        process_bound=bool(process_bound),
        has_circuits=bool(has_circuits),
        has_result=bool(has_result),
        has_calibration=calibration is not None,
        events=events,
    )

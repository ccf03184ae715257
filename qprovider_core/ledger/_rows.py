"""Rows of the ledger as records, and records as the values of a row."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from qprovider_core.ledger._pack import Packer, from_json_form
from qprovider_core.records.jobs import JobInfo, JobState
from qprovider_core.records.ledger import JobEvent, JobRecord
from qprovider_core.secret import scrub

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# What a job's information has no column for.
MORE = ("state_text", "error_code", "error_hint", "queue", "usage", "kind", "extra")
_LONGEST_VALUE = 16_384  # characters of JSON: a listing reads these of each job
_DEFAULTS = {field.name: field.default for field in attrs.fields(JobInfo)}

COLUMNS = (
    "j.seq, j.key, j.job_id, j.state, j.name, j.note, j.tags, j.shots, j.num_circuits, j.error, j.created, j.written, "
    "j.sent, j.updated, j.started, j.ended, j.attempts, j.process_bound, j.rerun_of, j.calibration, j.session, "
    "j.options, j.more, p.provider, p.account, p.instance, p.backend, "
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


def stored(text: str) -> str:
    """A text as it stands in the file: no secrets, and nothing that has no UTF-8."""
    return scrub(text).encode("utf-8", "replace").decode()


def more_of(info: JobInfo) -> dict[str, Any]:
    """What a job's information has no column for, where it says something."""
    told = {name: getattr(info, name) for name in MORE}
    return {
        name: value for name, value in told.items() if value is not None and value != _DEFAULTS[name] and value != {}
    }


def as_json(values: Mapping[str, Any]) -> str | None:
    """Values as JSON text, None for no values; what has no form becomes its text, and what is very long is left out."""
    if not values:
        return None
    return json.dumps(_brief(Packer().json_form(dict(values))), separators=(",", ":"))


def _brief(form: Any) -> Any:
    size = len(json.dumps(form))
    if size <= _LONGEST_VALUE:
        return form
    if isinstance(form, dict) and "~" not in form:
        return {name: _brief(one) for name, one in form.items()}
    return f"<{size} characters, left out>"


def from_json(text: str | None) -> dict[str, Any]:
    """The values that `as_json` wrote; none where they cannot be read."""
    if not text:
        return {}
    try:
        found = from_json_form(json.loads(text))
    except (ValueError, TypeError, RecursionError):  # one of them is UnreadableError
        return {}
    return found if isinstance(found, dict) else {}


def record(row: sqlite3.Row | tuple[Any, ...], events: tuple[JobEvent, ...] = ()) -> JobRecord:
    """The record of a row of `COLUMNS`. In a damaged file what is senseless is left out: it hides no other job."""
    (_, key, job_id, state, name, note, tags, shots, num_circuits, error, created, written, sent, updated, started,
     ended, attempts, process_bound, rerun_of, calibration, session, options, more, provider, account, instance,
     backend, has_circuits, has_result) = row  # fmt: skip
    told: dict[str, Any] = {
        "id": job_id or key,
        "state": _state(state),
        "backend": backend or None,
        "instance": instance or None,
        "created_at": _moment(created),
        "started_at": _moment(started),
        "ended_at": _moment(ended),
        "name": name,
        "tags": texts(tags),
        "error": error,
        "shots": shots,
        "session_id": session,
        "key": key,
    }
    rest = {name: value for name, value in from_json(more).items() if name in MORE}
    return JobRecord(
        key=key,
        provider=provider,
        account=account,
        info=JobInfo(**told, **rest),
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


def _state(text: object) -> JobState:
    try:
        return JobState(text)
    except ValueError:
        return JobState.UNKNOWN


def _moment(number: object) -> datetime | None:
    if not isinstance(number, int):
        return None
    try:
        return moment(number)
    except OverflowError:
        return None


def texts(text: str | None) -> tuple[str, ...]:
    """The tags of their column."""
    try:
        found = json.loads(text) if text else ()
    except (ValueError, TypeError, RecursionError):
        return ()
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()

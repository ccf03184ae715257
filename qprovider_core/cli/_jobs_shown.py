"""Records of jobs as rows and as facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qprovider_core.cli._output import clean, say, say_facts, say_table, tell

if TYPE_CHECKING:
    from qprovider_core.records import JobInfo, JobRecord

_WIDEST = 40  # characters of a text of the user in a table; JSON and CSV have the whole


def state_text(info: JobInfo) -> str:
    """The state; with the vendor's own word where ours says nothing."""
    from qprovider_core.records import JobState  # late: help needs no core

    word = f" ({info.state_text})" if info.state is JobState.UNKNOWN and info.state_text else ""
    return info.state.value + word


def time_text(moment: datetime | None) -> str | None:
    """A time as tables have it: UTC, to the second."""
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def place_of(provider: str, info: JobInfo) -> str:
    """Where a job runs, as ``provider:name``."""
    return f"{provider}:{info.backend or '?'}"


def place_text(record: JobRecord) -> str:
    """The same of a record."""
    return place_of(record.provider, record.info)


def _short(text: str | None) -> str:
    shown = clean(text or "")
    return shown if len(shown) <= _WIDEST else shown[: _WIDEST - 1] + "…"


def say_jobs(records: Sequence[JobRecord]) -> None:
    """One row a job. Names, tags and notes have a column where any job has one; so have accounts where a vendor has
    several."""
    titles = ["id", "state", "backend", "created (UTC)", "shots"]
    rows: list[list[object]] = [
        [one.id, state_text(one.info), place_text(one), time_text(one.info.created_at), one.info.shots]
        for one in records
    ]
    several = len({(one.provider, one.account) for one in records}) > len({one.provider for one in records})
    more: dict[str, list[str | None]] = {
        "account": [one.account if several else None for one in records],
        "name": [one.info.name for one in records],
        "tags": [", ".join(one.info.tags) for one in records],
        "note": [one.note for one in records],
    }
    for title, texts in more.items():
        if any(texts):
            titles.append(title)
            for row, text in zip(rows, texts, strict=True):
                row.append(_short(text))
    say_table(titles, rows, right=["shots"])


def say_job(record: JobRecord) -> None:
    """All that is known of one job, and its timeline."""
    say_facts(_facts(record))
    if record.events:
        say("")
        say("timeline (UTC)")
        for event in record.events:
            text = f": {' '.join(clean(event.text).split())}" if event.text else ""
            say(f"  {event.at:%Y-%m-%d %H:%M:%S}  {clean(event.what)}{text}")


def _facts(record: JobRecord) -> list[tuple[str, object]]:
    info, queue, usage = record.info, record.info.queue, record.info.usage
    options = ", ".join(f"{name}={value!r}" for name, value in record.options.items())
    return [
        ("id", record.id),
        ("key", record.key if record.key and record.key != record.id else None),
        ("name", info.name),
        ("tags", ", ".join(info.tags) or None),
        ("note", record.note),
        ("state", state_text(info)),
        ("backend", place_text(record)),
        ("account", record.account),
        ("instance", info.instance),
        ("kind", info.kind),
        ("circuits", record.num_circuits),
        ("shots", info.shots),
        ("options", options or None),
        ("created", _utc(info.created_at)),
        ("started", _utc(info.started_at)),
        ("ended", _utc(info.ended_at)),
        ("place in queue", queue.position if queue else None),
        ("estimated start", _utc(queue.estimated_start) if queue else None),
        ("quantum time", _seconds(usage.quantum_s) if usage else None),
        ("estimated", _seconds(usage.estimated_s) if usage and usage.quantum_s is None else None),
        ("session", info.session_id),
        ("sent", f"{record.attempts} times" if record.attempts > 1 else None),
        ("runs again", record.rerun_of),
        ("error", info.error),
        ("error code", info.error_code),
        ("what to do", info.error_hint),
        ("kept here", _kept(record)),
    ]


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else f"{time_text(moment)} UTC"


def _seconds(number: float | None) -> str | None:
    return None if number is None else f"{number:g} s"


def _kept(record: JobRecord) -> str:
    if record.written_at is None:
        return "nothing: only its vendor has it"
    has = {"circuits": record.has_circuits, "result": record.has_result, "calibration": record.has_calibration}
    return ", ".join(name for name, there in has.items() if there) or "neither circuits nor result"


def job_document(record: JobRecord) -> dict[str, Any]:
    """The record as JSON types, the id first."""
    return {"id": record.id, **record.to_dict()}


def tell_unsettled(records: Sequence[JobRecord]) -> None:
    """Say what to do about jobs of which it is not known whether they arrived."""
    from qprovider_core.records import JobState  # late: help needs no core

    number = sum(1 for one in records if one.info.state is JobState.SUBMIT_UNKNOWN)
    if number:
        what = "this job" if number == len(records) == 1 else f"{number} of these jobs"
        tell(f"Whether {what} arrived is not known. Find out: qprovider jobs reconcile", dim=True)

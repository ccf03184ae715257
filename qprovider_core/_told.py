"""Two answers about one job: what the newer one leaves out, and what has changed. No Qiskit here."""

from __future__ import annotations

import attrs

from qprovider_core.records import JobInfo

# What does not change while a job lives: an answer that leaves it out does not take it back.
_LASTING = ("instance", "backend", "created_at", "started_at", "name", "tags", "session_id", "shots", "kind", "key")

# What is worth writing down when it changes.
_NOTED = ("state", "state_text", "created_at", "started_at", "ended_at", "name", "tags", "error", "usage", "instance")


def newer(old: JobInfo, told: JobInfo) -> JobInfo:
    """The newer of two answers, with what it leaves out from the older one. The job stays the same one."""
    kept = {field: getattr(old, field) for field in _LASTING if getattr(told, field) in (None, ())}
    return attrs.evolve(told, id=old.id, **kept)


def differ(before: JobInfo, now: JobInfo) -> bool:
    """Whether something has changed that is worth writing down."""
    return before.id != now.id or any(getattr(before, name) != getattr(now, name) for name in _NOTED)

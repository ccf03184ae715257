"""Words for states: of backends and of jobs, as vendors' packages have them."""

from __future__ import annotations

from enum import Enum
from typing import Any

from qprovider_core.records import BackendStatus, JobState
from qprovider_qiskit._reading import guarded

_UP = frozenset({"active", "available", "idle", "online", "operational", "ready", "running", "true", "up"})
_DOWN = frozenset(
    {
        "calibrating", "calibration", "degraded", "down", "false", "inactive", "maintenance", "offline", "paused",
        "reserved", "retired", "unavailable",
    }
)  # fmt: skip

_STATES = {
    "initializing": JobState.INITIALIZING,
    "initialized": JobState.INITIALIZING,
    "created": JobState.INITIALIZING,
    "submitted": JobState.QUEUED,
    "queued": JobState.QUEUED,
    "pending": JobState.QUEUED,
    "waiting": JobState.QUEUED,
    "ready": JobState.QUEUED,
    "started": JobState.RUNNING,
    "executing": JobState.RUNNING,
    "running": JobState.RUNNING,
    "in_progress": JobState.RUNNING,
    "validating": JobState.VALIDATING,
    "done": JobState.DONE,
    "completed": JobState.DONE,
    "finished": JobState.DONE,
    "succeeded": JobState.DONE,
    "success": JobState.DONE,
    "cancelled": JobState.CANCELLED,
    "canceled": JobState.CANCELLED,
    "aborted": JobState.CANCELLED,
    "error": JobState.ERROR,
    "failed": JobState.ERROR,
    "failure": JobState.ERROR,
}


def word_of(value: Any) -> str | None:
    """A vendor's word: of an enumeration its name, of a text itself; None for all else."""
    if isinstance(value, Enum):
        return str(value.name)
    return value.strip() or None if isinstance(value, str) else None


def job_state(value: Any) -> tuple[JobState, str | None]:
    """A job's state and the vendor's word for it; a word that is not known is UNKNOWN, never taken for an end."""
    word = word_of(value)
    if word is None:
        return JobState.UNKNOWN, None if value is None else type(value).__name__
    return _STATES.get(word.lower().replace(" ", "_").replace("-", "_"), JobState.UNKNOWN), word


def status_of(name: str, told: Any) -> BackendStatus:
    """A backend's status from whatever the vendor has: a record, Qiskit's `BackendStatus`, true or false, a word. What
    none of them says is None.

    Args:
        told: That; or a pair of it and the number of waiting jobs.
    """
    value, queue = told if isinstance(told, tuple) and len(told) == 2 else (told, None)
    if isinstance(value, BackendStatus):
        return value
    pending = queue if type(queue) is int and queue >= 0 else None
    operational = guarded(value, "operational")
    message = guarded(value, "status_msg")
    if not isinstance(operational, bool):
        message = word_of(value)
        word = (message or "").lower()
        operational = value if isinstance(value, bool) else True if word in _UP else False if word in _DOWN else None
    version = guarded(value, "backend_version")
    return BackendStatus(
        backend_name=name,
        backend_version=version if isinstance(version, str) else None,
        operational=operational,
        pending_jobs=pending,
        status_msg=message if isinstance(message, str) else None,
    )

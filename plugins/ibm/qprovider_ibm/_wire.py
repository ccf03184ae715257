"""The service's JSON as records. Reads what is there, takes what is missing for not reported, ignores the rest."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from qprovider_core.errors import ResponseError
from qprovider_core.qiskit_schema import processor_text
from qprovider_core.records import (
    BackendInfo,
    BackendStatus,
    JobInfo,
    JobState,
    JobUsage,
    QueueInfo,
    SessionInfo,
    Usage,
)

# The core's key and the user's name for a job travel as tags: the service has neither.
KEY_PREFIX: Final = "qprovider:"
# Begins the key of what a primitive submitted, so that a new process gives its result as primitives do, too.
PRIMITIVE_KEY: Final = "primitive-"
NAME_PREFIX: Final = "name:"
# A job that is one of several into which circuits were split says of which, and which of them it holds.
COMPOSITE_PREFIX: Final = "ibm_composite_job_id_"
PART_PREFIX: Final = "ibm_composite_job_part:"  # then index/number:first-last
_OURS: Final = (KEY_PREFIX, NAME_PREFIX, COMPOSITE_PREFIX, PART_PREFIX)
MOST_TAGS: Final = 8
LONGEST_TAG: Final = 86
RAN_TOO_LONG: Final = "1305"

_STATES: Final[Mapping[str, JobState]] = {
    "initializing": JobState.INITIALIZING,
    "queued": JobState.QUEUED,
    "running": JobState.RUNNING,
    "completed": JobState.DONE,
    "failed": JobState.ERROR,
    "cancelled": JobState.CANCELLED,
}
_KINDS: Final = {"sampler": "sample", "estimator": "estimate"}
# What a job's record has no field for, by the service's own names.
_MORE: Final = ("cost", "private", "calibration_id", "user_id", "runtime", "session_mode")


# ------------------------------------------------------------------------------------------------ backends


def backend_info(entry: Any, crn: str, instance_name: str | None) -> BackendInfo:
    """One entry of ``GET /backends``.

    Raises:
        ResponseError: It has no name.
    """
    if isinstance(entry, str):  # the form of API versions before 2025
        return BackendInfo(name=entry, instance=crn, instance_name=instance_name)
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise ResponseError("The list of backends has an entry without a name.", path="devices")
    status = entry.get("status")
    word = _text(status.get("name")) if isinstance(status, Mapping) else _text(status)
    reason = _text(status.get("reason")) if isinstance(status, Mapping) else None
    metrics = entry.get("performance_metrics")
    mock = entry.get("class") == "mock"
    simulator = True if mock else _flag(entry.get("is_simulator"))
    extra = {
        "physical_qubits": _count(entry.get("physical_qubits")),
        "two_qubit_error_best": _metric(metrics, "two_q_error_best"),
        "two_qubit_error_layered": _metric(metrics, "two_q_error_layered"),
        "mock": mock,
    }
    return BackendInfo(
        name=entry["name"],
        instance=crn,
        instance_name=instance_name,
        num_qubits=_count(entry.get("qubits")),
        simulator=simulator,
        noisy=False if simulator and not mock else None,
        # Whether a paused device takes jobs, its status call alone says.
        operational={"online": True, "offline": False}.get((word or "").lower()),
        pending_jobs=_count(entry.get("queue_length")),
        status_msg=_status_text(word, reason),
        processor=processor_text(entry.get("processor_type")),
        median_two_qubit_error=_probability(_metric(metrics, "two_q_error_median")),
        median_readout_error=_probability(_metric(metrics, "readout_error_median")),
        clops=_number(_inner(entry.get("clops"), "value")),
        wait_s=_number(_inner(entry.get("wait_time_seconds"), "average")),
        extra={name: value for name, value in extra.items() if value is not None},
    )


def _status_text(word: str | None, reason: str | None) -> str | None:
    """``active`` for a device that is online: the word that the status call has for it."""
    if word is None:
        return reason
    spoken = "active" if word.lower() == "online" else word.lower()
    return f"{spoken}: {reason}" if reason else spoken


def _metric(metrics: Any, name: str) -> float | None:
    return _number(_inner(_inner(metrics, name), "value"))


def backend_status(data: Mapping[str, Any], name: str) -> BackendStatus:
    """The answer of ``GET /backends/{name}/status``."""
    queue = data.get("length_queue")
    queue = max(queue, 0) if isinstance(queue, int) and not isinstance(queue, bool) else None
    message = _text(data.get("status")) or _text(data.get("message"))
    return BackendStatus(
        backend_name=name,
        backend_version=_text(data.get("backend_version")),
        operational=_flag(data.get("state")),
        pending_jobs=queue,
        status_msg=message,
    )


# ---------------------------------------------------------------------------------------------------- jobs


def job_info(data: Mapping[str, Any], crn: str) -> JobInfo:
    """A job as ``GET /jobs/{id}`` and ``GET /jobs`` tell of it.

    Raises:
        ResponseError: It has no id.
    """
    if not isinstance(data.get("id"), str) or not data["id"]:
        raise ResponseError("The service told of a job without an id.", path="id")
    told = data.get("state")
    state: Mapping[str, Any] = told if isinstance(told, Mapping) else {"status": told}
    word = _text(state.get("status")) or _text(data.get("status"))
    whole = _text(data.get("status")) or word
    code = _code(state)
    standing = _STATES.get((word or "").lower(), JobState.UNKNOWN)
    too_long = code == RAN_TOO_LONG or "ran too long" in (whole or "").lower()
    if standing is JobState.CANCELLED and too_long:
        standing = JobState.ERROR
    tags = tags_of_job(data)
    program = _text(_inner(data.get("program"), "id"))
    extra = {name: data[name] for name in _MORE if data.get(name) is not None}
    if any(tag.startswith(f"{KEY_PREFIX}{PRIMITIVE_KEY}") for tag in tags):
        extra["primitive"] = True
    extra.update(composite_of(tags))
    failed = standing is JobState.ERROR
    return JobInfo(
        id=data["id"],
        state=standing,
        state_text=whole,
        backend=_text(data.get("backend")),
        instance=crn,
        created_at=moment(data.get("created")),
        name=named(tags),
        tags=users_tags(tags),
        error=_reason(state, too_long) if failed else None,
        error_code=code if failed else None,
        error_hint=_hint(state, too_long) if failed else None,
        queue=_queue(data),
        usage=_job_usage(data),
        session_id=_text(data.get("session_id")),
        key=key_of(tags),
        kind=_KINDS.get(program or ""),  # type: ignore[arg-type]  # a text of the table
        extra={**extra, **({"program": program} if program else {})},
    )


def _reason(state: Mapping[str, Any], too_long: bool) -> str | None:
    return _text(state.get("reason")) or ("it ran longer than it may" if too_long else None)


def _hint(state: Mapping[str, Any], too_long: bool) -> str | None:
    told = _text(state.get("reason_solution")) or _text(state.get("reasonSolution"))
    return told or ("Run fewer circuits or shots, or allow more with max_execution_time=." if too_long else None)


def _code(state: Mapping[str, Any]) -> str | None:
    code = state.get("reason_code", state.get("reasonCode"))
    return None if code is None or code == "" or isinstance(code, bool) else str(code)


def _queue(data: Mapping[str, Any]) -> QueueInfo | None:
    """A place in the queue, from a server that sends one; today's does not."""
    position = _count(data.get("position_in_queue"))
    begin, end = moment(data.get("estimated_start_time")), moment(data.get("estimated_completion_time"))
    if position is None and begin is None and end is None:
        return None
    return QueueInfo(position=position, estimated_start=begin, estimated_end=end)


def _job_usage(data: Mapping[str, Any]) -> JobUsage | None:
    estimated = _number(data.get("estimated_running_time_seconds"))
    charged = charged_s(data)
    return None if estimated is None and charged is None else JobUsage(quantum_s=charged, estimated_s=estimated)


def charged_s(data: Mapping[str, Any]) -> float | None:
    """Charged quantum time in seconds; None until the bill is final."""
    usage = data.get("usage")
    if not isinstance(usage, Mapping) or usage.get("status", "complete") != "complete":
        return None
    return _number(usage.get("qpu_charge_time_seconds"))


def tags_of_job(data: Mapping[str, Any]) -> list[str]:
    """All tags of a job, ours among them; none where they are no list."""
    tags = data.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def key_of(tags: list[str]) -> str | None:
    """The core's key of the submission, from the tag that carries it."""
    return next((tag.removeprefix(KEY_PREFIX) for tag in tags if tag.startswith(KEY_PREFIX)), None)


def users_tags(tags: list[str]) -> tuple[str, ...]:
    """The tags without those that carry our key, the job's name and its place in a composite job."""
    return tuple(tag for tag in tags if not tag.startswith(_OURS))


def named(tags: list[str]) -> str | None:
    """The job's name among its tags."""
    return next((tag.removeprefix(NAME_PREFIX) for tag in tags if tag.startswith(NAME_PREFIX)), None)


def kept_tags(tags: list[str]) -> list[str]:
    """The tags that are ours to keep when the user replaces theirs."""
    return [tag for tag in tags if tag.startswith(_OURS)]


def composite_of(tags: Iterable[str]) -> dict[str, str]:
    """The composite job that a job belongs to, and its part of it, where the tags tell."""
    found = {}
    for tag in tags:
        if tag.startswith(COMPOSITE_PREFIX):
            found["composite_id"] = tag
        elif tag.startswith(PART_PREFIX):
            found["composite_part"] = tag.removeprefix(PART_PREFIX)
    return found


def steps(metrics: Mapping[str, Any]) -> dict[str, datetime]:
    """Times of a job's steps in metrics: CREATED, RUNNING, FINISHED, where they were reached."""
    times = metrics.get("timestamps")
    found = {name.upper(): moment(value) for name, value in times.items()} if isinstance(times, Mapping) else {}
    return {name: when for name, when in found.items() if when is not None}


# ---------------------------------------------------------------------------------------------- the account


def usage(data: Mapping[str, Any]) -> Usage:
    """The answer of ``GET /instances/usage``."""
    consumed = _number(data.get("usage_consumed_seconds"))
    limit = _number(data.get("usage_limit_seconds"))
    limit = limit if limit is not None else _number(data.get("usage_allocation_seconds"))
    period = data.get("usage_period")
    return Usage(
        consumed_s=consumed,
        limit_s=limit,
        remaining_s=None if limit is None or consumed is None else max(limit - consumed, 0.0),
        period_start=moment(_inner(period, "start_time")),
        period_end=moment(_inner(period, "end_time")),
    )


def session_info(data: Mapping[str, Any], crn: str) -> SessionInfo:
    """A session or a batch.

    Raises:
        ResponseError: It has no id.
    """
    if not isinstance(data.get("id"), str):
        raise ResponseError("The service told of a session without an id.", path="id")
    return SessionInfo(
        id=data["id"],
        instance=crn,
        mode="batch" if data.get("mode") == "batch" else "session",
        backend=_text(data.get("backend_name")),
        state=_text(data.get("state")),
        state_reason=_text(data.get("state_reason")),
        accepting_jobs=_flag(data.get("accepting_jobs")),
        max_time_s=_number(data.get("max_ttl")),
        idle_time_s=_number(data.get("interactive_ttl")),
        remaining_s=_number(data.get("active_ttl")),
        usage_s=_number(data.get("elapsed_time")),
        created_at=moment(data.get("started_at")),
        activated_at=moment(data.get("activated_at")),
        closed_at=moment(data.get("closed_at")),
        last_job_started_at=moment(data.get("last_job_started")),
        last_job_ended_at=moment(data.get("last_job_completed")),
        user=_text(data.get("user_id")),
    )


def claims(token: str) -> Mapping[str, Any]:
    """What a bearer token says of its owner, unverified: for display only."""
    try:
        middle = token.split(".")[1]
        data = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (IndexError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


# ------------------------------------------------------------------------------------------------- values


def moment(value: Any) -> datetime | None:
    """An ISO 8601 time as aware UTC; one without an offset is UTC. None when there is none that can be read."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _inner(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, Mapping) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _probability(value: float | None) -> float | None:
    return value if value is not None and value <= 1 else None

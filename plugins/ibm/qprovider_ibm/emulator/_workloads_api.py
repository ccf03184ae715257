"""Jobs and sessions in one list. Imports aiohttp."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from qprovider_ibm.emulator import _times
from qprovider_ibm.emulator._errors import bad_request
from qprovider_ibm.emulator._jobs import CANCELLED, COMPLETED, FAILED, QUEUED, RUNNING, Job
from qprovider_ibm.emulator._service import Service
from qprovider_ibm.emulator._sessions import BATCH, CLOSED, OPEN, Session
from qprovider_ibm.emulator._settings import Instance
from qprovider_ibm.emulator._web import json_answer, whole_number

_WORDS = {QUEUED: "pending", RUNNING: "in_progress", COMPLETED: "completed", FAILED: "failed", CANCELLED: "canceled"}
_MODES = ("job", "session", "batch")
_SORTS = ("createdAt", "-createdAt")


class WorkloadsApi:
    """Handler of ``/workloads``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api/v1/workloads", self.list_some)]

    async def list_some(self, request: web.Request) -> web.StreamResponse:
        self._service.key_of(request)
        instance, query = self._service.instance_of(request), request.query
        _check(request)
        limit = whole_number(query, "limit", 10, 1, 50)
        found = [entry for entry in self._all(instance) if _matches(entry, request)]
        newest_first = query.get("sort", "-createdAt") != "createdAt"
        # The id decides where the times are equal, so that pages neither repeat nor drop one.
        found.sort(key=lambda entry: (datetime.fromisoformat(entry["created"]), entry["id"]), reverse=newest_first)
        start = _place(query.get("next") or query.get("previous"))
        answer: dict[str, Any] = {
            "workloads": found[start : start + limit],
            "total_count": len(found),
            "limit": limit,
        }
        if start + limit < len(found):
            answer["next"] = {"href": _link(request, "next", start + limit)}
        if start > 0:
            answer["previous"] = {"href": _link(request, "previous", start - limit)}
        return json_answer(request, answer)

    def _all(self, instance: Instance) -> list[dict[str, Any]]:
        """Jobs outside sessions, and sessions with what their jobs used."""
        jobs = [
            _of_job(job)
            for job in self._service.jobs.values()
            if job.crn == instance.crn and job.session is None and not job.mock
        ]
        sessions = [_of_session(entry) for entry in self._service.sessions.values() if entry.crn == instance.crn]
        return [*jobs, *sessions]


def _of_job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "created": _times.stamp(job.created),
        "ended": _times.stamp(job.finished),
        "backend": job.backend,
        "instance": job.crn,
        "user_id": job.user,
        "accepting_jobs": None,
        "mode": "job",
        "status": _WORDS[job.state],
        "status_reason": job.reason,
        "tags": job.tags,
        "usage": {"qpu_charge_time_seconds": job.usage()["qpu_charge_time_seconds"]},
        "estimated_running_time_seconds": round(job.estimate_s, 3),
    }


def _of_session(session: Session) -> dict[str, Any]:
    words = {OPEN: "pending", CLOSED: "completed"}
    return {
        "id": session.id,
        "created": _times.stamp(session.created),
        "ended": _times.stamp(session.closed),
        "backend": session.backend,
        "instance": session.crn,
        "user_id": session.user,
        "accepting_jobs": session.accepting_jobs,
        "mode": "batch" if session.mode == BATCH else "session",
        "status": words.get(session.state(), "in_progress"),
        "status_reason": session.reason,
        "tags": [],
        "usage": {"qpu_charge_time_seconds": round(session.usage_s(), 3)},
        "estimated_running_time_seconds": round(sum(job.estimate_s for job in session.jobs), 3),
    }


def _check(request: web.Request) -> None:
    """Check the words of a query.

    Raises:
        ServiceError: One is not known.
    """
    query = request.query
    for name, known in (("user", ("me",)), ("mode", _MODES), ("sort", _SORTS), ("status", tuple(_WORDS.values()))):
        for word in query.getall(name, []):
            if word not in known:
                raise bad_request(f"{name}: {word!r} is not one of {', '.join(known)}.")


def _matches(entry: dict[str, Any], request: web.Request) -> bool:
    query = request.query
    statuses: Sequence[str] = query.getall("status", [])
    if statuses and entry["status"] not in statuses:
        return False
    if any(name in query and query[name] != entry[name] for name in ("backend", "mode")):
        return False
    search = query.get("search", "")
    if search not in entry["id"] and not any(search in tag for tag in entry["tags"]):
        return False
    created = datetime.fromisoformat(entry["created"])
    if "created_after" in query and created < _times.parse(query["created_after"], "created_after"):
        return False
    if "created_before" in query and created > _times.parse(query["created_before"], "created_before"):
        return False
    return all(tag in entry["tags"] for tag in query.getall("tags", []))


def _link(request: web.Request, word: str, place: int) -> str:
    cursor = base64.urlsafe_b64encode(json.dumps({"place": max(place, 0)}).encode()).decode().rstrip("=")
    kept = [(name, value) for name, value in request.query.items() if name not in ("next", "previous")]
    return str(request.url.origin().with_path(request.path).with_query([*kept, (word, cursor)]))


def _place(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        return max(0, int(json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))["place"]))
    except (ValueError, KeyError, TypeError):
        raise bad_request("The cursor is none that was given out.") from None

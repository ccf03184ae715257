"""Sessions, usage, workloads and versions of the Quantum API. Imports aiohttp."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from qprovider_ibm.emulator import _schema, _times
from qprovider_ibm.emulator._errors import ServiceError, bad_request, not_authorized
from qprovider_ibm.emulator._jobs import CANCELLED, COMPLETED, FAILED, QUEUED, RUNNING, Job
from qprovider_ibm.emulator._schema import Invalid, integer, one_of, optional, text
from qprovider_ibm.emulator._service import Service
from qprovider_ibm.emulator._sessions import DEFAULT_TTL_S, Session
from qprovider_ibm.emulator._settings import ACCOUNT, Instance
from qprovider_ibm.emulator._tokens import user_of
from qprovider_ibm.emulator._web import json_answer, json_body, no_content, whole_number

VERSIONS = (
    {"version": "2024-01-01", "sunset_date": "2027-01-01", "status": "deprecated"},
    {"version": "2025-01-01", "sunset_date": "2027-01-01", "status": "deprecated"},
    {"version": "2026-02-01", "status": "live"},
    {"version": "2026-03-15", "status": "live"},
    {"version": "2026-04-15", "status": "live"},
)
_SESSION_FIELDS = {
    "mode": one_of("dedicated", "batch"),
    "backend": optional(text),
    "instance": optional(text),
    "max_ttl": optional(integer(1, DEFAULT_TTL_S)),
}
_WORDS = {QUEUED: "pending", RUNNING: "in_progress", COMPLETED: "completed", FAILED: "failed", CANCELLED: "canceled"}


class AccountApi:
    """Handlers of ``/sessions``, ``/instances``, ``/instance``, ``/accounts``, ``/workloads`` and ``/versions``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        session = "/api/v1/sessions/{id}"
        return [
            web.get("/api/v1/versions", self.versions),
            web.post("/api/v1/sessions", self.create_session),
            web.get(session, self.get_session),
            web.patch(session, self.change_session),
            web.delete(session + "/close", self.close_session),
            web.get("/api/v1/instances/usage", self.usage),
            web.get("/api/v1/instances/configuration", self.configuration),
            web.get("/api/v1/instance", self.instance),
            web.get("/api/v1/accounts/{id}", self.account),
            web.get("/api/v1/workloads", self.workloads),
        ]

    def _enter(self, request: web.Request) -> Instance:
        self._service.key_of(request)
        return self._service.instance_of(request)

    async def versions(self, request: web.Request) -> web.StreamResponse:
        self._service.key_of(request)
        return json_answer(request, {"versions": VERSIONS})

    # -- sessions ----------------------------------------------------------------------------------------------

    async def create_session(self, request: web.Request) -> web.StreamResponse:
        key = self._service.key_of(request)
        instance = self._service.instance_of(request)
        body = await json_body(request)
        try:
            _schema.table(_SESSION_FIELDS)(body, "session")
        except Invalid as exc:
            raise bad_request(f"The session is not valid: {exc}.") from None
        if "mode" not in body:
            raise bad_request("The session is not valid: mode is missing.")
        if body.get("instance") not in (None, instance.crn):
            raise not_authorized("The session's instance is not the one of the header Service-CRN.")
        if body["mode"] == "dedicated" and instance.plan == "open":
            raise ServiceError(
                400, 1352, "You are not authorized to run a session on the open plan.", "Use job mode or batch mode."
            )
        if body.get("backend") is not None:
            self._service.device(instance, body["backend"])
        session = Session(
            mode=body["mode"],
            backend=body.get("backend"),
            crn=instance.crn,
            user=user_of(key),
            max_ttl=body.get("max_ttl") or DEFAULT_TTL_S,
        )
        self._service.sessions[session.id] = session
        return json_answer(request, session.document())

    def _session(self, request: web.Request) -> Session:
        instance = self._enter(request)
        session = self._service.sessions.get(request.match_info["id"])
        if session is None or session.crn != instance.crn:
            raise ServiceError(404, 1352, f"Session {request.match_info['id']} not found.", "Verify the id.")
        return session

    async def get_session(self, request: web.Request) -> web.StreamResponse:
        return json_answer(request, self._session(request).document())

    async def change_session(self, request: web.Request) -> web.StreamResponse:
        session = self._session(request)
        body = await json_body(request)
        if set(body) != {"accepting_jobs"} or not isinstance(body["accepting_jobs"], bool):
            raise bad_request("The body is not valid: expected accepting_jobs, true or false.")
        if session.state == "closed" and body["accepting_jobs"]:
            raise ServiceError(400, 1352, "The session is closed.", "Open another session.")
        session.accepting_jobs = body["accepting_jobs"]
        session.settle()
        return no_content()

    async def close_session(self, request: web.Request) -> web.StreamResponse:
        session = self._session(request)
        for job in session.jobs:
            if job.state == QUEUED:
                self._service.scheduler.cancel(job)
        if session.state != "closed":
            session.close("Closed by the user.")
        return no_content()

    # -- usage -------------------------------------------------------------------------------------------------

    async def usage(self, request: web.Request) -> web.StreamResponse:
        instance = self._enter(request)
        consumed, limit = self._service.consumed_s(instance), self._service.limit_s(instance)
        end = _times.now()
        usage: dict[str, Any] = {
            "instance_id": instance.crn,
            "plan_id": instance.plan_id,
            "usage_consumed_seconds": consumed,
            "usage_period": {
                "start_time": _times.stamp(end.replace(day=1, hour=0, minute=0, second=0, microsecond=0)),
                "end_time": _times.stamp(end),
            },
            "usage_limit_reached": limit is not None and consumed >= limit,
        }
        if limit is not None:
            usage |= {"usage_limit_seconds": limit, "usage_allocation_seconds": limit}
        return json_answer(request, usage)

    async def configuration(self, request: web.Request) -> web.StreamResponse:
        return json_answer(request, {"instance_limit": self._service.limit_s(self._enter(request))})

    async def instance(self, request: web.Request) -> web.StreamResponse:
        instance = self._enter(request)
        limit = self._service.limit_s(instance)
        answer = {
            "plan_id": instance.plan_id,
            "backends": [{"name": device.name} for device in self._service.offered(instance)],
            "usage_limit_seconds": None if limit is None else f"{limit:g}",
        }
        return json_answer(request, answer)

    async def account(self, request: web.Request) -> web.StreamResponse:
        self._enter(request)
        if request.match_info["id"] != ACCOUNT:
            raise not_authorized("You are not authorized to see this account.")
        instances = [instance for instance in self._service.instances if instance.allocated]
        plans = [
            {
                "plan_id": instance.plan_id,
                "usage_consumed_seconds": self._service.consumed_s(instance),
                "usage_allocation_seconds": self._service.limit_s(instance),
            }
            for instance in instances
        ]
        return json_answer(request, {"account_id": ACCOUNT, "plans": plans})

    # -- workloads ---------------------------------------------------------------------------------------------

    async def workloads(self, request: web.Request) -> web.StreamResponse:
        instance, query = self._enter(request), request.query
        user = query.get("user", "me")
        if user != "me":
            raise bad_request("user: only 'me' is known.")
        limit = whole_number(query, "limit", 10, 1, 50)
        found = [entry for entry in self._all_workloads(instance) if _matches(entry, request)]
        newest_first = query.get("sort", "-createdAt") != "createdAt"
        found.sort(key=lambda entry: datetime.fromisoformat(entry["created"]), reverse=newest_first)
        start = _place(query.get("next") or query.get("previous"))
        answer: dict[str, Any] = {
            "workloads": found[start : start + limit],
            "total_count": len(found),
            "limit": limit,
        }
        if start + limit < len(found):
            answer["next"] = {"href": f"{request.url.origin()}{request.path}?next={_cursor(start + limit)}"}
        if start > 0:
            answer["previous"] = {"href": f"{request.url.origin()}{request.path}?previous={_cursor(start - limit)}"}
        return json_answer(request, answer)

    def _all_workloads(self, instance: Instance) -> list[dict[str, Any]]:
        """Jobs outside sessions, and sessions with what their jobs used."""
        jobs = [_job_workload(job) for job in self._service.jobs.values() if job.crn == instance.crn]
        sessions = [_session_workload(entry) for entry in self._service.sessions.values() if entry.crn == instance.crn]
        return [*jobs, *sessions]


def _job_workload(job: Job) -> dict[str, Any]:
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


def _session_workload(session: Session) -> dict[str, Any]:
    words = {"open": "pending", "active": "in_progress", "inactive": "in_progress", "closed": "completed"}
    return {
        "id": session.id,
        "created": _times.stamp(session.created),
        "ended": _times.stamp(session.closed),
        "backend": session.backend,
        "instance": session.crn,
        "user_id": session.user,
        "accepting_jobs": session.accepting_jobs,
        "mode": "batch" if session.mode == "batch" else "session",
        "status": words[session.state],
        "status_reason": session.reason,
        "tags": [],
        "usage": {"qpu_charge_time_seconds": session.usage_s()},
        "estimated_running_time_seconds": round(sum(job.estimate_s for job in session.jobs), 3),
    }


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


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"place": max(place, 0)}).encode()).decode().rstrip("=")


def _place(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))["place"])
    except (ValueError, KeyError, TypeError):
        raise bad_request("The cursor is none that was given out.") from None

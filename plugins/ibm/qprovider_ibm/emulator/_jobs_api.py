"""The Quantum API's calls about jobs. Imports aiohttp."""

from __future__ import annotations

import json
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aiohttp import web

from qprovider_ibm.emulator import _schema, _times
from qprovider_ibm.emulator._devices import Device
from qprovider_ibm.emulator._errors import ServiceError, backend_not_available, bad_request
from qprovider_ibm.emulator._executor_params import check_executor_params
from qprovider_ibm.emulator._jobs import CANCELLED, FAILED, MAX_COST_S, Job, check_tags, has_tags
from qprovider_ibm.emulator._params import check_params
from qprovider_ibm.emulator._schema import Invalid, boolean, integer, one_of, optional, text
from qprovider_ibm.emulator._service import Service
from qprovider_ibm.emulator._sessions import Session
from qprovider_ibm.emulator._settings import Instance
from qprovider_ibm.emulator._tokens import user_of
from qprovider_ibm.emulator._web import (
    api_version,
    is_true,
    json_answer,
    json_body,
    no_content,
    text_answer,
    whole_number,
)

PROGRAMS = ("sampler", "estimator", "executor")
_OTHER_PROGRAMS = ("noise-learner", "calibrate")
_PAGE = 200
# A made-up tariff, of the size of real ones: per job, per set of values, per shot.
_JOB_S, _SET_S, _SHOT_S = 1.0, 0.02, 0.00025
_LEVELS = ("critical", "error", "warning", "info", "debug")
_FIELDS: dict[str, _schema.Check] = {
    "program_id": text,
    "backend": text,
    "params": _schema.any_object,
    "tags": _schema.anything,
    "log_level": optional(one_of(*_LEVELS, *map(str.upper, _LEVELS))),
    "cost": optional(integer(1)),
    "session_id": optional(text),
    "private": boolean,
    "runtime": optional(text),
    "calibration_id": optional(text),
}


class JobsApi:
    """Handlers of ``/jobs`` and ``/tags``."""

    def __init__(self, service: Service) -> None:
        self._service = service
        try:
            self._qiskit = version("qiskit")
        except PackageNotFoundError:
            self._qiskit = "unknown"

    def routes(self) -> list[web.RouteDef]:
        job = "/api/v1/jobs/{id}"
        return [
            web.post("/api/v1/jobs", self.create),
            web.get("/api/v1/jobs", self.list_all),
            web.get(job, self.get),
            web.delete(job, self.delete),
            web.get(job + "/results", self.results),
            web.get(job + "/logs", self.logs),
            web.get(job + "/metrics", self.metrics),
            web.post(job + "/cancel", self.cancel),
            web.put(job + "/tags", self.set_tags),
            web.get("/api/v1/tags", self.tags),
        ]

    def _enter(self, request: web.Request) -> Instance:
        self._service.key_of(request)
        return self._service.instance_of(request)

    def _job(self, request: web.Request) -> Job:
        return self._service.job(self._enter(request), request.match_info["id"])

    # -- creating ----------------------------------------------------------------------------------------------

    async def create(self, request: web.Request) -> web.StreamResponse:
        service = self._service
        key = service.key_of(request)
        instance = service.instance_of(request)
        api_version(request)
        body = await json_body(request)
        device, mock, session = self._checked(instance, body)
        params = body["params"]
        delays = device.summary["rep_delay_range"]
        delays_s = None if delays is None else (delays[0] / 1e6, delays[1] / 1e6)
        try:
            if body["program_id"] == "executor":
                work = check_executor_params(params, max_shots=device.max_shots, rep_delay_range_s=delays_s)
            else:
                work = check_params(body["program_id"], params, max_shots=device.max_shots, rep_delay_range_s=delays_s)
        except Invalid as exc:
            raise bad_request(f"The params are not valid: {exc}.") from None
        except RecursionError:
            raise bad_request("The params are not valid: they are nested too deeply.") from None
        if service.limit_reached(instance):
            raise ServiceError(409, 1216, "The usage limit of the instance is reached.", "Wait, or raise the limit.")
        service.limit_jobs(key)
        job = Job(
            program=body["program_id"],
            backend=body["backend"],
            source=device.source,
            crn=instance.crn,
            user=user_of(key),
            caller=request.headers.get("X-Qx-Client-Application", ""),
            params=json.dumps(params).encode(),
            mock=mock,
            **{name: body.get(name) for name in ("tags", "private", "log_level", "calibration_id")},
            session=session,
            cost=min(body.get("cost") or MAX_COST_S, MAX_COST_S),
        )
        job.estimate_s = _JOB_S + _SET_S * work.circuits + _SHOT_S * work.shots
        self._arm(job, device)
        service.jobs[job.id] = job
        if session is not None:
            session.add(job)
        service.scheduler.submit(job, device)
        answer = {"id": job.id, "backend": job.backend}
        if session is not None:
            answer["session_id"] = session.id
        if job.calibration_id:
            answer["calibration_id"] = job.calibration_id
        return json_answer(request, answer | ({"private": True} if job.private else {}))

    def _checked(self, instance: Instance, body: dict[str, Any]) -> tuple[Device, bool, Session | None]:
        """The backend, whether its mock is meant, and the session of a new job.

        Raises:
            ServiceError: Something but the params is wrong.
        """
        try:
            _schema.table(_FIELDS)(body, "job")
        except Invalid as exc:
            raise bad_request(f"The job is not valid: {exc}.") from None
        for name in ("program_id", "backend", "params"):
            if name not in body:
                raise bad_request(f"The job is not valid: {name} is missing.")
        program = body["program_id"]
        if program in _OTHER_PROGRAMS:
            raise bad_request(f"This emulator does not run the program {program}; it runs {', '.join(PROGRAMS)}.")
        if program not in PROGRAMS:
            raise ServiceError(404, 1287, f"Program {program} not found.", f"Use one of {', '.join(PROGRAMS)}.")
        if body.get("tags") is not None:
            check_tags(body["tags"])
        device, mock = self._service.device(instance, body["backend"])
        if device.status == "offline":
            raise backend_not_available(device.name)
        session_id = body.get("session_id")
        if session_id is None:
            return device, mock, None
        session = self._service.session(instance, session_id)
        if not session.accepting_jobs:
            raise ServiceError(400, 1352, "The session is closed and accepts no jobs.", "Open another session.")
        if session.backend not in (None, body["backend"]):
            raise bad_request(f"The session is for the backend {session.backend}, and not for {body['backend']}.")
        return device, mock, session

    def _arm(self, job: Job, device: Device) -> None:
        """Let the faults that were asked for strike the job."""
        for fault in self._service.faults.of_job(device.name):
            asked = fault.settings
            if fault.kind == "job_fails":
                job.planned = {
                    "reason": asked.get("reason", "The job failed inside the service."),
                    "code": asked.get("code", 9999),
                    "solution": asked.get("solution", "Send the job again."),
                    "text": asked.get("text", ""),
                }
            elif fault.kind == "job_status":
                job.shown_status = asked.get("status", "Validating")
            job.too_long |= fault.kind == "job_too_long"
            job.stuck |= fault.kind == "job_stuck"
            job.crash |= fault.kind == "job_crashes"
            if fault.kind == "job_unlisted":
                job.listed_from = job.created + timedelta(seconds=asked["seconds"])

    # -- reading -----------------------------------------------------------------------------------------------

    async def get(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        with_params = not is_true(request.query, "exclude_params")
        return text_answer(request, job.text(version=api_version(request), with_params=with_params))

    async def list_all(self, request: web.Request) -> web.StreamResponse:
        instance = self._enter(request)
        version, query = api_version(request), request.query
        found = [job for job in self._service.jobs.values() if job.crn == instance.crn and self._matches(job, request)]
        if query.get("sort", "DESC").upper() != "ASC":
            found.reverse()
        limit = whole_number(query, "limit", _PAGE, 1, _PAGE)
        offset = whole_number(query, "offset", 0, 0, 10**9)
        with_params = not is_true(query, "exclude_params", default=True)
        texts = [job.text(version=version, with_params=with_params) for job in found[offset : offset + limit]]
        rest = json.dumps({"count": len(found), "limit": limit, "offset": offset}).encode()
        return text_answer(request, b'{"jobs": [' + b", ".join(texts) + b"], " + rest[1:])

    def _matches(self, job: Job, request: web.Request) -> bool:
        query = request.query
        if job.listed_from is not None and _times.now() < job.listed_from:
            return False
        if job.mock and not is_true(query, "include_mocks"):
            return False
        if "pending" in query and is_true(query, "pending") == job.final:
            return False
        session_id = None if job.session is None else job.session.id
        for name, value in (("program", job.program), ("backend", job.backend), ("session_id", session_id)):
            if name in query and query[name] != value:
                return False
        if "created_after" in query and job.created < _times.parse(query["created_after"], "created_after"):
            return False
        if "created_before" in query and job.created > _times.parse(query["created_before"], "created_before"):
            return False
        return has_tags(job, query.getall("tags", []))

    async def results(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if job.state in (FAILED, CANCELLED) and job.failure_text:
            return text_answer(request, job.failure_text.encode(), kind="text/plain")
        if job.result is None:
            return no_content()
        answer = text_answer(request, job.result, kind="text/plain")
        if job.private:  # it can be read once
            job.result = None
        return answer

    async def logs(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if not job.final:
            raise ServiceError(404, 1291, f"The logs of job {job.id} are not there yet.", "Wait until the job ended.")
        return text_answer(request, job.log().encode(), kind="text/plain")

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        ahead = self._service.scheduler.ahead_of(job)
        return json_answer(request, job.metrics(version=api_version(request), qiskit_version=self._qiskit, ahead=ahead))

    # -- changing ----------------------------------------------------------------------------------------------

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if job.final:
            raise ServiceError(409, 1290, f"Job {job.id} is in a final state.", "Only jobs that wait or run can be.")
        self._service.scheduler.cancel(job)
        return no_content()

    async def delete(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        if not job.final:
            raise bad_request(f"Job {job.id} is not in a final state: cancel it first.", 1290)
        del self._service.jobs[job.id]
        return no_content()

    async def set_tags(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request)
        body = await json_body(request)
        if set(body) != {"tags"}:
            raise bad_request("The body is not valid: expected tags, and nothing else.")
        job.tags = [*check_tags(body["tags"])]
        return no_content()

    async def tags(self, request: web.Request) -> web.StreamResponse:
        instance = self._enter(request)
        search = request.query.get("search", "")
        if request.query.get("type", "job") != "job":
            raise bad_request("type: only 'job' is known.")
        if "search" in request.query and not 3 <= len(search) <= 100:
            raise bad_request("search: expected 3 to 100 characters.")
        jobs = [job for job in self._service.jobs.values() if job.crn == instance.crn]
        found = {tag for job in jobs for tag in job.tags if search in tag}
        return json_answer(request, {"tags": sorted(found)})

"""The Quantum API's calls about sessions and batches. Imports aiohttp."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from qprovider_ibm.emulator import _schema, _times
from qprovider_ibm.emulator._errors import ServiceError, backend_not_available, bad_request, not_authorized
from qprovider_ibm.emulator._schema import Invalid, integer, one_of, optional, text
from qprovider_ibm.emulator._service import Service
from qprovider_ibm.emulator._sessions import BATCH, CLOSED, DEDICATED, DEFAULT_TTL_S, Session
from qprovider_ibm.emulator._settings import Instance
from qprovider_ibm.emulator._tokens import user_of
from qprovider_ibm.emulator._web import json_answer, json_body, no_content

_FIELDS = {
    "mode": one_of(DEDICATED, BATCH),
    "backend": optional(text),
    "instance": optional(text),
    "max_ttl": optional(integer(1, DEFAULT_TTL_S)),
}


class SessionsApi:
    """Handlers of ``/sessions``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        session = "/api/v1/sessions/{id}"
        return [
            web.post("/api/v1/sessions", self.create),
            web.get(session, self.get),
            web.patch(session, self.change),
            web.delete(session + "/close", self.close),
        ]

    async def create(self, request: web.Request) -> web.StreamResponse:
        key = self._service.key_of(request)
        instance = self._service.instance_of(request)
        body = await json_body(request)
        self._check(instance, body)
        session = Session(
            mode=body["mode"],
            backend=body.get("backend"),
            crn=instance.crn,
            user=user_of(key),
            max_ttl=body.get("max_ttl") or DEFAULT_TTL_S,
            interactive_ttl_s=self._service.settings.interactive_ttl_s,
        )
        for fault in self._service.faults.of_session(session.backend or ""):
            session.shown_state = fault.settings.get("state", "pending_inactive")
        self._service.open_session(session)
        return json_answer(request, session.document())

    def _check(self, instance: Instance, body: dict[str, Any]) -> None:
        """Check what a new session is to be.

        Raises:
            ServiceError: It cannot be.
        """
        try:
            _schema.table(_FIELDS)(body, "session")
        except Invalid as exc:
            raise bad_request(f"The session is not valid: {exc}.") from None
        if "mode" not in body:
            raise bad_request("The session is not valid: mode is missing.")
        if body.get("instance") not in (None, instance.crn):
            raise not_authorized("The session's instance is not the one of the header Service-CRN.")
        if body["mode"] == DEDICATED and instance.plan == "open":
            raise ServiceError(
                400, 1352, "You are not authorized to run a session on the open plan.", "Use job mode or batch mode."
            )
        if body.get("backend") is not None:
            device, _ = self._service.device(instance, body["backend"])
            if device.status == "offline":
                raise backend_not_available(device.name)

    def _session(self, request: web.Request) -> Session:
        self._service.key_of(request)
        return self._service.session(self._service.instance_of(request), request.match_info["id"])

    async def get(self, request: web.Request) -> web.StreamResponse:
        return json_answer(request, self._session(request).document())

    async def change(self, request: web.Request) -> web.StreamResponse:
        session = self._session(request)
        body = await json_body(request)
        if set(body) != {"accepting_jobs"} or not isinstance(body["accepting_jobs"], bool):
            raise bad_request("The body is not valid: expected accepting_jobs, true or false.")
        if body["accepting_jobs"] and (session.ending or session.state() == CLOSED):
            raise ServiceError(400, 1352, "The session is closed.", "Open another session.")
        session.accept(body["accepting_jobs"])
        return no_content()

    async def close(self, request: web.Request) -> web.StreamResponse:
        self._service.end_session(self._session(request), "Closed by the user.", _times.now())
        return no_content()

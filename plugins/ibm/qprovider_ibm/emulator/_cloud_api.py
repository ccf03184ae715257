"""IAM, Global Search, Global Catalog and Resource Controller. Imports aiohttp."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from aiohttp import web

from qprovider_ibm.emulator._errors import CloudError
from qprovider_ibm.emulator._service import Service
from qprovider_ibm.emulator._settings import PLANS
from qprovider_ibm.emulator._web import json_answer, json_body, whole_number

_GRANT = "urn:ibm:params:oauth:grant-type:apikey"


class CloudApi:
    """Handlers of IBM Cloud's own services."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/identity/token", self.token),
            web.post("/v3/resources/search", self.search),
            web.get("/v2/resource_instances", self.resource_instances),
            web.get("/globalcatalog/api/v1/{plan}", self.plan),
        ]

    async def token(self, request: web.Request) -> web.StreamResponse:
        try:
            form = await request.post()
        except (ValueError, LookupError):  # a charset that is unknown, or bytes that are not of it
            raise _iam_error("BXNIM0109E", "The form cannot be read.") from None
        if form.get("grant_type") != _GRANT:
            raise _iam_error("BXNIM0124E", "Provided grant_type is invalid.")
        key = form.get("apikey")
        if not isinstance(key, str) or not key:
            raise _iam_error("BXNIM0109E", "Property missing or empty: apikey.")
        answer = self._service.tokens.issue(key)
        if answer is None:
            raise _iam_error("BXNIM0415E", "Provided API key could not be found.")
        return json_answer(request, answer)

    def _check(self, request: web.Request) -> None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or self._service.tokens.key_of(token) is None:
            errors = [{"code": "unauthorized", "message": "The access token is missing, wrong or expired."}]
            raise CloudError(401, {"errors": errors, "status_code": 401, "trace": secrets.token_hex(16)})

    async def search(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        body = await json_body(request)
        limit = whole_number(request.query, "limit", 10, 1, 1000)
        size = min(limit, self._service.settings.page_size)
        start = _place(body.get("search_cursor"))
        found = []
        if "service_name:quantum-computing" in str(body.get("query", "")):
            found = [self._item(place) for place in range(len(self._service.instances))]
        answer: dict[str, Any] = {"limit": limit, "items": found[start : start + size]}
        if start + size < len(found):
            answer["search_cursor"] = base64.b64encode(str(start + size).encode()).decode()
        return json_answer(request, answer)

    def _item(self, place: int) -> dict[str, Any]:
        instance = self._service.instances[place]
        names = [device.name for device in self._service.offered(instance)]
        extensions = {"entitlements": {"backends": names}} if instance.allocated else {}
        return {
            "crn": instance.crn,
            "name": instance.name,
            "service_plan_unique_id": instance.plan_id,
            "tags": [instance.plan, "team"] if place == 0 else [instance.plan],
            "doc": {"extensions": extensions} if extensions else {},
        }

    async def resource_instances(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        name = request.query.get("name")
        found = [
            {"crn": instance.crn, "id": instance.crn, "guid": instance.guid, "name": instance.name, "state": "active"}
            for instance in self._service.instances
            if name in (None, instance.name)
        ]
        return json_answer(request, {"rows_count": len(found), "next_url": None, "resources": found})

    async def plan(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        plan_id = request.match_info["plan"]
        plan = next((entry.plan for entry in self._service.instances if entry.plan_id == plan_id), None)
        if plan is None:
            raise CloudError(404, {"message": f"No entry {plan_id}."})
        if plan == "archived":
            raise CloudError(403, {"message": f"You are not authorized to read the entry {plan_id}."})
        name, pricing = PLANS[plan]
        entry = {
            "id": plan_id,
            "name": plan,
            "kind": "plan",
            "overview_ui": {"en": {"display_name": name, "description": f"The {name} plan"}},
            "metadata": {"pricing": {"type": pricing}},
        }
        return json_answer(request, entry)


def _iam_error(code: str, message: str) -> CloudError:
    context = {"requestId": secrets.token_hex(8), "url": "https://iam.cloud.ibm.com", "locale": "en_US"}
    return CloudError(400, {"errorCode": code, "errorMessage": message, "context": context})


def _place(cursor: Any) -> int:
    try:
        return int(base64.b64decode(cursor)) if cursor else 0
    except (ValueError, TypeError):
        raise CloudError(400, {"errors": [{"code": "invalid_cursor", "message": "Unknown search_cursor."}]}) from None

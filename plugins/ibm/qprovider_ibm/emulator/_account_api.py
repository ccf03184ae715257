"""Usage, limits and versions of the Quantum API. Imports aiohttp."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from qprovider_ibm.emulator import _times
from qprovider_ibm.emulator._errors import not_authorized
from qprovider_ibm.emulator._service import Service
from qprovider_ibm.emulator._settings import ACCOUNT, Instance
from qprovider_ibm.emulator._web import json_answer

VERSIONS = (
    {"version": "2024-01-01", "sunset_date": "2027-01-01", "status": "deprecated"},
    {"version": "2025-01-01", "sunset_date": "2027-01-01", "status": "deprecated"},
    {"version": "2026-02-01", "status": "live"},
    {"version": "2026-03-15", "status": "live"},
    {"version": "2026-04-15", "status": "live"},
)


class AccountApi:
    """Handlers of ``/instances``, ``/instance``, ``/accounts`` and ``/versions``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/versions", self.versions),
            web.get("/api/v1/instances/usage", self.usage),
            web.get("/api/v1/instances/configuration", self.configuration),
            web.get("/api/v1/instance", self.instance),
            web.get("/api/v1/accounts/{id}", self.account),
        ]

    def _enter(self, request: web.Request) -> Instance:
        self._service.key_of(request)
        return self._service.instance_of(request)

    async def versions(self, request: web.Request) -> web.StreamResponse:
        self._service.key_of(request)
        return json_answer(request, {"versions": VERSIONS})

    async def usage(self, request: web.Request) -> web.StreamResponse:
        instance = self._enter(request)
        consumed, limit = self._service.consumed_s(instance), self._service.limit_s(instance)
        allocation = self._service.allocation_s(instance)
        end = _times.now()
        usage: dict[str, Any] = {
            "instance_id": instance.crn,
            "plan_id": instance.plan_id,
            "usage_consumed_seconds": consumed,
            "usage_period": {
                "start_time": _times.stamp(end.replace(day=1, hour=0, minute=0, second=0, microsecond=0)),
                "end_time": _times.stamp(end),
            },
            "usage_limit_reached": self._service.limit_reached(instance),
        }
        if limit is not None:
            usage["usage_limit_seconds"] = limit
        if allocation is not None:
            usage["usage_allocation_seconds"] = allocation
        return json_answer(request, usage)

    async def configuration(self, request: web.Request) -> web.StreamResponse:
        return json_answer(request, {"instance_limit": self._service.limit_s(self._enter(request))})

    async def instance(self, request: web.Request) -> web.StreamResponse:
        instance = self._enter(request)
        limit, allocation = self._service.limit_s(instance), self._service.allocation_s(instance)
        answer = {
            "plan_id": instance.plan_id,
            "backends": [{"name": device.name} for device in self._service.offered(instance)],
            "usage_limit_seconds": None if limit is None else f"{limit:g}",
            "usage_allocation_seconds": None if allocation is None else f"{allocation:g}",
        }
        return json_answer(request, answer)

    async def account(self, request: web.Request) -> web.StreamResponse:
        """Usage by plan: several instances may share one."""
        self._enter(request)
        if request.match_info["id"] != ACCOUNT:
            raise not_authorized("You are not authorized to see this account.")
        plans: dict[str, dict[str, Any]] = {}
        for instance in self._service.instances:
            if not instance.allocated:
                continue
            plan = plans.setdefault(
                instance.plan_id,
                {"plan_id": instance.plan_id, "usage_consumed_seconds": 0.0, "usage_allocation_seconds": None},
            )
            plan["usage_consumed_seconds"] = round(
                plan["usage_consumed_seconds"] + self._service.consumed_s(instance), 3
            )
            allocation = self._service.allocation_s(instance)
            if allocation is not None:
                plan["usage_allocation_seconds"] = (plan["usage_allocation_seconds"] or 0) + allocation
        return json_answer(request, {"account_id": ACCOUNT, "plans": list(plans.values())})

"""The emulator's own calls under ``/_emulator/``: faults, and what was requested. Imports aiohttp."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from qprovider_ibm.emulator._faults import KINDS
from qprovider_ibm.emulator._schema import Invalid
from qprovider_ibm.emulator._service import Service
from qprovider_ibm.emulator._web import no_content


class ControlApi:
    """Handlers that no IBM service has."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/_emulator/faults", self.faults),
            web.post("/_emulator/faults", self.arm),
            web.delete("/_emulator/faults", self.clear_faults),
            web.get("/_emulator/requests", self.requests),
            web.delete("/_emulator/requests", self.clear_requests),
            web.get("/_emulator/state", self.state),
        ]

    async def faults(self, request: web.Request) -> web.StreamResponse:
        armed = [fault.document() for fault in self._service.faults.armed()]
        return web.json_response({"faults": armed, "kinds": {kind: sorted(KINDS[kind]) for kind in KINDS}})

    async def arm(self, request: web.Request) -> web.StreamResponse:
        try:
            settings: dict[str, Any] = json.loads(await request.read())
            kind = settings.pop("kind")
            fault = self._service.faults.arm(kind, settings)
            try:
                self._apply(kind, settings)
            except Invalid:
                self._service.faults.disarm(fault)
                raise
            if kind == "expire_tokens":  # done, and not to be listed as if it would strike again
                self._service.faults.disarm(fault)
        except (ValueError, KeyError, TypeError, AttributeError, Invalid) as exc:
            return web.json_response({"error": f"no such fault: {exc}"}, status=400)
        return web.json_response({"id": fault.id})

    def _apply(self, kind: str, settings: dict[str, Any]) -> None:
        """Those that are done at once."""
        service = self._service
        if kind == "expire_tokens":
            service.tokens.expire()
        elif kind in ("backend_status", "faulty_qubit"):
            device = service.devices.get(settings["backend"])
            if device is None:
                raise Invalid(f"{kind}.backend", f"there is no backend {settings['backend']!r}")
            if kind == "backend_status":
                device.status = settings.get("status", "offline")
                device.reason = settings.get("reason", "")
            elif settings["qubit"] >= device.summary["qubits"] or device.simulator:
                raise Invalid(f"{kind}.qubit", f"{device.name} has no such qubit, or no calibration")
            else:
                device.faulty = tuple(sorted({*device.faulty, settings["qubit"]}))

    async def clear_faults(self, request: web.Request) -> web.StreamResponse:
        self._service.faults.clear()
        for device in self._service.devices.values():
            device.status, device.reason, device.faulty = "online", "", ()
        return no_content()

    async def requests(self, request: web.Request) -> web.StreamResponse:
        seen = list(self._service.requests)
        return web.json_response({"count": len(seen), "requests": seen})

    async def clear_requests(self, request: web.Request) -> web.StreamResponse:
        self._service.requests.clear()
        return no_content()

    async def state(self, request: web.Request) -> web.StreamResponse:
        """What a test of the emulator itself wants to see."""
        return web.json_response({"workers": self._service.pool.pids(), "jobs": len(self._service.jobs)})

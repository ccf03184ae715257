"""The Quantum API's calls about backends. Imports aiohttp."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from qprovider_ibm.emulator import _devices, _times
from qprovider_ibm.emulator._devices import Body, Device
from qprovider_ibm.emulator._errors import backend_not_found
from qprovider_ibm.emulator._faults import Fault
from qprovider_ibm.emulator._service import Service
from qprovider_ibm.emulator._settings import Instance
from qprovider_ibm.emulator._web import api_version, is_true, json_answer, json_bytes, wants_gzip

_BARE_NAMES_BEFORE = "2025-01-01"


class BackendsApi:
    """Handlers of ``/backends``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/backends", self.list_all),
            web.get("/api/v1/backends/{name}/configuration", self.configuration),
            web.get("/api/v1/backends/{name}/properties", self.properties),
            web.get("/api/v1/backends/{name}/status", self.status),
            web.get("/api/v1/backends/{name}/defaults", self.defaults),
        ]

    def _enter(self, request: web.Request) -> Instance:
        self._service.key_of(request)
        return self._service.instance_of(request)

    async def _device(self, request: web.Request) -> tuple[Device, str]:
        """The backend that is asked about, and its name: its mock's documents carry that one's."""
        instance = self._enter(request)
        name = request.match_info["name"]
        device, _ = self._service.device(instance, name)
        slow = self._service.faults.of_backend("slow_backend", device.name)
        if slow is not None:
            await asyncio.sleep(slow.settings["seconds"])
        return device, name

    async def list_all(self, request: web.Request) -> web.StreamResponse:
        instance = self._enter(request)
        devices = self._service.offered(instance)
        if api_version(request) < _BARE_NAMES_BEFORE:
            return json_answer(request, {"devices": [device.name for device in devices]})
        wait_time = "wait_time_seconds" in ",".join(request.query.getall("fields", []))
        waiting = self._service.scheduler.waiting
        entries = [device.entry(waiting(device.name), wait_time=wait_time) for device in devices]
        if is_true(request.query, "include_mocks"):
            real = [device for device in devices if not device.simulator]
            entries += [device.entry(0, wait_time=wait_time, mock=True) for device in real]
        return json_answer(request, {"devices": entries})

    async def status(self, request: web.Request) -> web.StreamResponse:
        device, _ = await self._device(request)
        return json_answer(request, device.status_document(self._service.scheduler.waiting(device.name)))

    async def configuration(self, request: web.Request) -> web.StreamResponse:
        device, name = await self._device(request)
        body = _devices.configuration_body(device.source)
        fault = self._service.faults.of_backend("corrupt_configuration", device.name)
        if fault is not None:
            return _corrupt(request, body, name, fault)
        return _send(request, body, name)

    async def properties(self, request: web.Request) -> web.StreamResponse:
        device, name = await self._device(request)
        text = request.query.get("updated_before")
        before = None if text is None else _times.parse(text, "updated_before")
        age = device.calibration_before(before)
        if age is None:
            return json_answer(request, {})
        body = _devices.properties_body(device.source, age, device.faulty)
        fault = self._service.faults.of_backend("corrupt_properties", device.name)
        if fault is not None:
            return _corrupt(request, body, name, fault)
        return _send(request, body, name)

    async def defaults(self, request: web.Request) -> web.StreamResponse:
        """Pulse control has ended: a free-form object, and nothing in it."""
        await self._device(request)
        return json_answer(request, {})


def _send(request: web.Request, body: Body, name: str) -> web.Response:
    if wants_gzip(request):
        return json_bytes(b"", body.gzipped(name))
    return json_bytes(body.plain(name))


def _corrupt(request: web.Request, body: Body, name: str, fault: Fault) -> web.Response:
    """The document as something that no client can use."""
    how = fault.settings.get("how", "bad_json")
    plain = body.plain(name)
    if how == "bad_json":
        return json_bytes(plain[: len(plain) // 2])
    if how == "html":
        return web.Response(text="<html><body>Maintenance</body></html>", content_type="text/html")
    if how == "empty":
        return json_bytes(b"")
    if how == "not_found":
        raise backend_not_found(name)
    document: dict[str, Any] = json.loads(plain)
    if how == "missing_fields":
        kept = {key: document[key] for key in ("backend_name", "backend_version") if key in document}
        return json_answer(request, kept)
    return json_answer(request, {key: {"unexpected": "object"} for key in document})

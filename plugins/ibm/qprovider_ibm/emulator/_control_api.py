"""The emulator's own calls under ``/_emulator/``: faults, and what was requested. Imports aiohttp."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import Any

from aiohttp import web

from qprovider_ibm.emulator._faults import KINDS
from qprovider_ibm.emulator._jobs import Job, new_id
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
            web.post("/_emulator/jobs", self.copy_jobs),
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

    async def copy_jobs(self, request: web.Request) -> web.StreamResponse:
        """A history at once: copies of the newest job that has ended, each a second before the next."""
        jobs = self._service.jobs
        try:
            count = json.loads(await request.read())["count"]
            source = next(job for job in reversed(jobs.values()) if job.final)
            copies = [_earlier(source, timedelta(seconds=back)) for back in range(count, 0, -1)]
        except StopIteration:
            return web.json_response({"error": "no job has ended yet that could be copied"}, status=400)
        except (ValueError, KeyError, TypeError, OverflowError) as exc:
            return web.json_response({"error": f"not a number of jobs: {exc}"}, status=400)
        later = list(jobs.values())
        jobs.clear()
        jobs.update({job.id: job for job in (*copies, *later)})
        return web.json_response({"jobs": len(jobs)})

    async def state(self, request: web.Request) -> web.StreamResponse:
        """What a test of the emulator itself wants to see."""
        return web.json_response({"workers": self._service.pool.pids(), "jobs": len(self._service.jobs)})


def _earlier(job: Job, by: timedelta) -> Job:
    """The same job with an id of its own, so much earlier."""
    made = copy.copy(job)
    made.id, made.tags, made.created = new_id(), list(job.tags), job.created - by
    made.running = None if job.running is None else job.running - by
    made.finished = None if job.finished is None else job.finished - by
    return made

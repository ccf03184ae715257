"""The HTTP server: every service on one port, and faults around all of them. Imports aiohttp."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import secrets
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from qprovider_ibm.emulator._account_api import AccountApi
from qprovider_ibm.emulator._backends_api import BackendsApi
from qprovider_ibm.emulator._cloud_api import CloudApi
from qprovider_ibm.emulator._control_api import ControlApi
from qprovider_ibm.emulator._errors import CloudError, ServiceError, error_body
from qprovider_ibm.emulator._faults import Fault
from qprovider_ibm.emulator._jobs_api import JobsApi
from qprovider_ibm.emulator._service import Service, rate_limited
from qprovider_ibm.emulator._sessions_api import SessionsApi
from qprovider_ibm.emulator._settings import Settings
from qprovider_ibm.emulator._web import Handler, json_bytes
from qprovider_ibm.emulator._workloads_api import WorkloadsApi

HOST = "127.0.0.1"
CONTROL = "/_emulator/"
_MAX_BODY = 2**30
_PARENT_CHECK_S = 0.25


Announce = Callable[[str, Mapping[str, str]], None]


def run(settings: Settings, announce: Announce | None = None) -> None:
    """Serve until a signal, or the end of the parent, ends it.

    Args:
        announce: Called with the base address and the instances' CRNs by name once it is ready; without, a line of
            JSON is printed.
    """
    asyncio.run(_serve(settings, announce))


async def _serve(settings: Settings, announce: Announce | None) -> None:
    service = Service(settings)
    runner = web.AppRunner(make_app(service), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    listener = socket.create_server((HOST, settings.port), backlog=512)
    await web.SockSite(runner, listener).start()
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # no such signals on Windows
            loop.add_signal_handler(number, end.set)
    try:
        await service.pool.start()
        base = f"http://{HOST}:{listener.getsockname()[1]}"
        if announce is None:
            _print_line(service, base)
        else:
            announce(base, _instances(service))
        while not end.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), _PARENT_CHECK_S if settings.parent else None)
            if settings.parent and os.getppid() != settings.parent:
                break
    finally:
        await service.scheduler.close()
        await service.pool.close()
        await runner.cleanup()


def _instances(service: Service) -> dict[str, str]:
    """CRNs by name."""
    instances: dict[str, str] = {}
    for instance in service.instances:
        if instance.allocated:
            # Two of one name: the second one's key says where it is.
            name = instance.name if instance.name not in instances else f"{instance.name}@{instance.region}"
            instances[name] = instance.crn
    return instances


def _print_line(service: Service, base: str) -> None:
    keys = list(service.settings.api_keys)
    print(json.dumps({"ready": True, "base": base, "api_keys": keys, "instances": _instances(service)}), flush=True)


def make_app(service: Service) -> web.Application:
    app = web.Application(client_max_size=_MAX_BODY, middlewares=[_around(service)])
    for api in (CloudApi, BackendsApi, JobsApi, SessionsApi, WorkloadsApi, AccountApi, ControlApi):
        app.add_routes(api(service).routes())
    return app


def _around(service: Service) -> Middleware:
    around = _Around(service)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await around.handle(request, handler)

    return middleware


class _Around:
    """What happens to a request before and after its handler."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await handler(request)
        entry: dict[str, Any] = {
            "method": request.method,
            "path": request.path,
            "query": request.query_string,
            "status": None,
            "crn": request.headers.get("Service-CRN"),
            "client": request.headers.get("X-Qx-Client-Application", ""),
            "encoding": request.headers.get("Accept-Encoding", ""),
        }
        self._service.requests.append(entry)
        struck = {fault.kind: fault for fault in self._service.faults.of_request(request.method, request.path)}
        delay = self._service.settings.latency_s
        if "latency" in struck:
            delay += struck["latency"].settings["seconds"]
        if delay > 0:
            await asyncio.sleep(delay)
        if "drop_before" in struck:
            return _hang_up(request)
        self._service.end_what_is_over()
        answer = _refusal(struck) or await _answer(request, handler)
        entry["status"] = answer.status
        if "stall_after" in struck:
            await asyncio.sleep(struck["stall_after"].settings["seconds"])
        if "drop_after" in struck:
            return _hang_up(request)
        if "status_after" in struck:
            answer = _status(struck["status_after"])
            entry["status"] = answer.status
        if "html_body" in struck:
            answer = _page(struck["html_body"].settings.get("status", 200))
            entry["status"] = answer.status
        if "cut_body" in struck:
            return await _cut(request, answer, struck["cut_body"].settings.get("how", "hang_up"))
        return answer


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ServiceError as exc:
        return _error(exc)
    except CloudError as exc:
        return web.json_response(exc.document, status=exc.status)
    except web.HTTPException as exc:
        if exc.status >= 400:
            message = f"{request.method} {request.path}: {exc.reason}."
            return json_bytes(error_body(exc.status, message, "Verify the address and the method."), status=exc.status)
        raise


def _error(error: ServiceError) -> web.Response:
    answer = json_bytes(error.body(), status=error.status)
    answer.headers.update(error.headers)
    return answer


def _refusal(struck: dict[str, Fault]) -> web.Response | None:
    """The answer that a fault gives instead of the service."""
    if "rate_limit" in struck:
        return _error(rate_limited("The limit is 5 per minute", struck["rate_limit"].settings.get("retry_after", 1)))
    return _status(struck["status"]) if "status" in struck else None


def _status(fault: Fault) -> web.Response:
    asked = fault.settings
    status, body = asked["status"], asked.get("body", "json")
    if body == "html":
        return _page(status)
    if body == "empty":
        return web.Response(status=status)
    message = "Internal error." if status >= 500 else "The request was refused."
    return json_bytes(error_body(asked.get("code", 1000), message, "Send it again later."), status=status)


def _page(status: int) -> web.Response:
    """What a gateway before the service says."""
    words = f"Error {status}" if status >= 400 else "Sign in"
    page = f"<html><head><title>{status}</title></head><body><h1>{words}</h1>cloudflare</body></html>"
    return web.Response(text=page, content_type="text/html", status=status)


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return web.Response(headers={"X-Request-Id": secrets.token_hex(4)})  # goes nowhere


async def _cut(request: web.Request, answer: web.StreamResponse, how: str) -> web.StreamResponse:
    """Send half of the body: announce the whole one and hang up, or announce the half."""
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Length"}
    if how == "short":
        if headers.pop("Content-Encoding", None) is not None:  # half of what was packed could not be unpacked at all
            body = gzip.decompress(body)
        return web.Response(status=answer.status, headers=headers, body=body[: len(body) // 2])
    stream = web.StreamResponse(status=answer.status, headers=headers)
    stream.content_length = max(len(body), 2)
    await stream.prepare(request)
    await stream.write(body[: len(body) // 2] or b" ")
    if request.transport is not None:
        request.transport.close()
    return stream

"""Requests and answers: what all handlers share. Imports aiohttp."""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from qprovider_ibm.emulator._errors import bad_request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
JSON = "application/json"
OLDEST_VERSION = "2024-01-01"
_WORTH_PACKING = 1024


def wants_gzip(request: web.Request) -> bool:
    return "gzip" in request.headers.get("Accept-Encoding", "")


def json_bytes(body: bytes, packed: bytes | None = None, status: int = 200) -> web.Response:
    """An answer that is encoded already, and perhaps compressed."""
    headers = {"Content-Type": JSON}
    if packed is not None:
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return web.Response(body=body if packed is None else packed, headers=headers, status=status)


def json_answer(request: web.Request, document: Any, status: int = 200) -> web.Response:
    return text_answer(request, json.dumps(document).encode(), status=status)


def text_answer(request: web.Request, body: bytes, *, kind: str = JSON, status: int = 200) -> web.Response:
    """Compressed when the client takes it and it is long."""
    headers = {"Content-Type": kind}
    if len(body) > _WORTH_PACKING and wants_gzip(request):
        body = gzip.compress(body, compresslevel=1)
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return web.Response(body=body, headers=headers, status=status)


def no_content() -> web.Response:
    return web.Response(status=204)


def api_version(request: web.Request) -> str:
    """The version of the answers that the client wants; ISO dates order as texts do.

    Raises:
        ServiceError: It is no date.
    """
    version = request.headers.get("IBM-API-Version", OLDEST_VERSION)
    if len(version) != 10 or not version.replace("-", "").isdigit() or version[4] + version[7] != "--":
        raise bad_request(f"The header IBM-API-Version is {version!r}, and not a date such as 2026-04-15.")
    return version


async def json_body(request: web.Request) -> dict[str, Any]:
    """The request's body.

    Raises:
        ServiceError: It is no JSON object.
    """
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise bad_request("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise bad_request("The body is not a JSON object.")
    return body


def is_true(query: Mapping[str, str], name: str, default: bool = False) -> bool:
    return query[name].lower() == "true" if name in query else default


def whole_number(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A number of the query; out of range means the default."""
    text = query.get(name, "")
    try:
        value = int(text)
    except ValueError:
        return default
    return value if low <= value <= high else default

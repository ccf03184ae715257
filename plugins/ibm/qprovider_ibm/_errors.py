"""The service's refusals as errors of the core's tree, with what IBM says of them.

IBMApiError                        .status, .code, .message, .solution, .more_info, .trace
├── IBMAuthenticationError         401, 403, and the token exchange (also an AuthenticationError)
├── IBMTransportError              429 and 5xx (also a TransportError)
├── IBMRequestError                400, 409 and the like: nothing was done (also an InvalidInputError)
├── IBMUnknownBackendError         (also an UnknownBackendError)
├── IBMUnknownJobError             (also an UnknownJobError)
└── IBMUnknownSessionError         (also an UnknownSessionError)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from qprovider_core.errors import (
    AuthenticationError,
    InvalidInputError,
    QProviderError,
    TransportError,
    UnknownBackendError,
    UnknownJobError,
    UnknownSessionError,
)
from qprovider_core.secret import scrub

_SHOWN = 300  # characters of a body that is not of the service's form
UNKNOWN_BACKEND = ("1007", "1004")
UNKNOWN_JOB = ("1291",)
NO_SESSION = "1352"  # not possible, as on the open plan; closed; or not found


class IBMApiError(QProviderError):
    """IBM Quantum refused a request.

    Attributes:
        status: The HTTP status.
        code: IBM's code as text, such as ``1201``; the registry is IBM's "errors" page. None when not told.
        message, solution, more_info: IBM's own words.
        trace: The id that IBM's support asks for.
    """

    status: int | None = None
    code: str | None = None
    message: str | None = None
    solution: str | None = None
    more_info: str | None = None
    trace: str | None = None


class IBMAuthenticationError(IBMApiError, AuthenticationError):
    """The key or the instance is not accepted."""


class IBMTransportError(IBMApiError, TransportError):
    """The service is overloaded, broken, or limits the rate of requests.

    Attributes:
        retry_after_s: Seconds after which it may be asked again; None when not told.
    """

    retry_after_s: float | None = None


class IBMRequestError(IBMApiError, InvalidInputError):
    """The service does not do what was asked; nothing was changed."""


class IBMUnknownBackendError(IBMApiError, UnknownBackendError):
    """The instance offers no backend of this name."""


class IBMUnknownJobError(IBMApiError, UnknownJobError):
    """The instance has no job of this id."""


class IBMUnknownSessionError(IBMApiError, UnknownSessionError):
    """No instance of the account has a session or batch of this id."""


@attrs.frozen(kw_only=True)
class Refusal:
    """What an answer that is no success says, in whatever form it came.

    Attributes:
        place: What was asked, such as ``POST /jobs``, for the message.
    """

    status: int
    place: str
    code: str | None = None
    message: str | None = None
    solution: str | None = None
    more_info: str | None = None
    trace: str | None = None
    retry_after_s: float | None = None

    def put_on(self, error: IBMApiError) -> IBMApiError:
        """The error with the facts as its attributes."""
        for name in ("status", "code", "message", "solution", "more_info", "trace"):
            setattr(error, name, getattr(self, name))
        return error

    @property
    def said(self) -> str:
        """IBM's message with its code, or the status alone."""
        code = f" (code {self.code})" if self.code else ""
        return f"{(self.message or f'HTTP status {self.status}').rstrip('.')}{code}"

    @property
    def traced(self) -> str | None:
        """A line with the trace, for those who ask IBM's support."""
        return f"Trace for IBM's support: {self.trace}" if self.trace else None


def read_refusal(status: int, body: bytes, place: str, retry_after_s: float | None = None) -> Refusal:
    """What the body of an error says: JSON under ``errors``, IAM's form, HTML of a gateway, or nothing."""
    refusal = Refusal(status=status, place=place, retry_after_s=retry_after_s)
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return attrs.evolve(refusal, message=_plain(status, body))
    if not isinstance(data, Mapping):
        return attrs.evolve(refusal, message=_plain(status, body))
    entries = data.get("errors")
    entry = entries[0] if isinstance(entries, list) and entries else data.get("error") or entries
    if not isinstance(entry, Mapping):
        entry = {"message": entry} if isinstance(entry, str) else data
    code = _first(entry, "code", "errorCode")
    return attrs.evolve(
        refusal,
        code=_text(code),
        message=_text(_first(entry, "message", "errorMessage", "title", "detail")) or _plain(status, body),
        solution=_text(_first(entry, "solution")),
        more_info=_text(_first(entry, "more_info", "moreInfo")),
        trace=_text(_first(data, "trace") or _request_id(data)),
    )


def _request_id(data: Mapping[str, Any]) -> Any:
    context = data.get("context")
    return context.get("requestId") if isinstance(context, Mapping) else None


def _first(data: Mapping[str, Any], *names: str) -> Any:
    return next((data[name] for name in names if data.get(name) not in (None, "")), None)


def _text(value: Any) -> str | None:
    # A server may quote what it was sent.
    return scrub(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


def _plain(status: int, body: bytes) -> str | None:
    """The beginning of a body that is no JSON, on one line; a page of HTML is only named."""
    text = scrub(" ".join(body[: 4 * _SHOWN].decode("utf-8", "replace").split()))
    if not text:
        return None
    if text.lower().startswith(("<!doctype", "<html")):
        return f"a page of HTML came with HTTP status {status}, as from a gateway in front of the service"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def refused(refusal: Refusal) -> IBMApiError:
    """The error for a refusal of the Quantum API, or of a service beside it."""
    what = f"IBM Quantum did not do {refusal.place}: {refusal.said}."
    more: dict[str, Any] = {"why": refusal.traced, "hint": refusal.solution}
    error: IBMApiError
    if refusal.status == 401:
        more["hint"] = refusal.solution or "The API key may have been deleted or locked: create another one."
        error = IBMAuthenticationError(what, **more)
    elif refusal.status == 403:
        more["hint"] = (
            refusal.solution or "Check that the instance belongs to this account and offers what you ask for."
        )
        error = IBMAuthenticationError(what, **more)
    elif refusal.status in (413, 429) or refusal.status >= 500:
        # Below 500 it was turned away at the door; above, nobody knows how far it came.
        error = IBMTransportError(what, arrived=None if refusal.status >= 500 else False, **more)
        error.retry_after_s = refusal.retry_after_s
    else:
        error = IBMRequestError(what, **more)
    return refusal.put_on(error)

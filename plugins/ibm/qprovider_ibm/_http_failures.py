"""What went wrong on the way to a service and back, in words. Imports the HTTP libraries."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from qprovider_core.errors import DeadlineError, TransportError
from qprovider_ibm._endpoints import variable_that_names
from qprovider_ibm._pools import MOST_AT_A_TIME


class NotSentError(TransportError):
    """No connection came about: nothing was sent."""

    arrived = False


def failure_of(exc: Exception, place: str, url: str, verify: bool | str) -> TransportError:
    """What an HTTP library raised, in words and as an error of ours."""
    host = host_of(url)
    if isinstance(exc, requests.exceptions.ProxyError):
        return NotSentError(
            f"The proxy did not let {place} through to {host}: {_reason(exc)}.",
            hint="Check proxies=, proxy_username and proxy_password of the account, or HTTPS_PROXY and NO_PROXY.",
        )
    if isinstance(exc, requests.exceptions.SSLError):
        return NotSentError(
            f"The certificate of {host} is not trusted: {_reason(exc)}.",
            hint="Give the path of your organisation's CA bundle with verify=."
            if verify is True
            else f"It was checked against verify={verify!r}.",
        )
    if isinstance(exc, requests.exceptions.ConnectTimeout) or _never_connected(exc):
        return NotSentError(
            f"{host} cannot be reached for {place}: {_reason(exc)}.",
            hint=f"Its address comes from the environment variable {variable}: is it still the right one?"
            if (variable := variable_that_names(url))
            else "Check the network, and a proxy if there is one (proxies=, HTTPS_PROXY).",
        )
    if isinstance(exc, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return TransportError(f"{host} did not answer {place} in time.", hint="Try again in a while.")
    return TransportError(
        f"The connection to {host} broke during {place}: {_reason(exc)}.", hint="Try again in a while."
    )


def _never_connected(exc: BaseException) -> bool:
    inner: Any = exc.args[0] if exc.args else None
    reason = getattr(inner, "reason", inner)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.NameResolutionError)


def _reason(exc: BaseException) -> str:
    """The innermost words of a chain of errors."""
    inner: Any = exc
    for _ in range(5):
        inner_args = getattr(inner, "args", ())
        deeper = getattr(inner, "reason", None)
        if not isinstance(deeper, BaseException):
            deeper = next((arg for arg in inner_args if isinstance(arg, BaseException)), None)
        if deeper is None:
            break
        inner = deeper
    text = " ".join(str(inner).split()).rstrip(".")
    # urllib3 begins with the connection's repr.
    text = re.sub(r"^(<.* object at 0x\w+>|\w+\(host=.*?\)): ", "", text)
    return text or type(inner).__name__


def without_frames(exc: BaseException) -> BaseException:
    """The error and what led to it, without the frames it passed through."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [exc]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = None
        pending += [one.__cause__, one.__context__, *(arg for arg in one.args if isinstance(arg, BaseException))]
        reason = getattr(one, "reason", None)
        pending.append(reason if isinstance(reason, BaseException) else None)
    return exc


def host_of(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def crowded(url: str, place: str) -> DeadlineError:
    """No turn at a host came in time: nothing was sent."""
    return DeadlineError(
        f"There was no time left for {place}: {MOST_AT_A_TIME} earlier requests to {host_of(url)} wait for answers.",
        arrived=False,
        hint="Allow more time with timeout= or QPROVIDER_TIMEOUT.",
    )

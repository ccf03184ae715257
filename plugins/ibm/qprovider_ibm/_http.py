"""Requests over HTTP: pools of connections, timeouts, retries, and secrets kept out of sight.

One `Transport` stands for one way out of this machine: its proxies and the certificates that it trusts. It knows
nothing of IBM's protocol but what may be repeated (section "retries" below).
"""

from __future__ import annotations

import email.utils
import json
import math
import os
import random
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import attrs
import orjson
import requests
import urllib3
from requests.auth import AuthBase

from qprovider_core._collector import collector_paused
from qprovider_core.errors import ConfigurationError, DeadlineError, ResponseError, TransportError
from qprovider_core.records import Deadline
from qprovider_core.secret import Secret, get_logger
from qprovider_ibm._http_failures import NotSentError, crowded, failure_of, host_of, without_frames
from qprovider_ibm._pools import new_session, turn_at
from qprovider_ibm.version import __version__

_log = get_logger(__name__)
for _name in ("urllib3.connectionpool", "urllib3.util.retry", "requests", "charset_normalizer"):
    get_logger(_name)  # puts the scrubber on what these write

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
_CHUNK = 1 << 16
MOST_BYTES = 256 << 20  # of an answer once unpacked; results have a limit of their own
_LONGEST_PAUSE_S = 60.0
_ENVIRONMENT_KEPT_S = 5.0

# -- retries: what may be repeated, and how often ----------------------------------------------------------------
_TRIES = 6  # the first one and five more
_CONNECTS = 4  # of these, how many may fail to connect
_BACKOFF_S = (0.0, 1.0, 2.0, 4.0, 8.0)
_BROKEN = frozenset({500, 502, 503, 504, 520, 521, 522, 524})
_LIMITED = frozenset({413, 429})
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE", "HEAD"})


@attrs.frozen(kw_only=True)
class Answer:
    """An answer as it came, unpacked."""

    status: int
    body: bytes = attrs.field(repr=False)
    place: str
    retry_after_s: float | None = None

    def json(self) -> Any:
        """The body as JSON types.

        Raises:
            ResponseError: It is not JSON.
        """
        try:
            with collector_paused:
                return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            pass  # the standard library's reader takes some more, and has the better words for an error
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as exc:
            begin = self.body[:60].decode("utf-8", "replace")
            raise ResponseError(
                f"The answer to {self.place} is not JSON: it begins with {begin!r}."
                if begin.strip()
                else f"The answer to {self.place} is empty.",
                hint="A gateway or a proxy may stand in between; try again in a while.",
            ) from exc


class _Bearer(AuthBase):
    """Puts the token on a request. As an object, for `requests` would else look into the user's ~/.netrc."""

    def __init__(self, token: Secret | None, at_proxy: AuthBase | None) -> None:
        self._token = token
        self._at_proxy = at_proxy

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._at_proxy is not None:
            request = self._at_proxy(request)
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


class Transport:
    """Connections to any host, through these proxies and trusting these certificates. Safe to share."""

    def __init__(
        self,
        *,
        proxies: Mapping[str, str] | None = None,
        proxy_username: str | None = None,
        proxy_password: Secret | None = None,
        proxy_ntlm: bool = False,
        verify: bool | str = True,
    ) -> None:
        self._proxies = partial(_with_user, dict(proxies or {}), None if proxy_ntlm else proxy_username, proxy_password)
        self._verify = verify
        self._session, self._process = new_session(), os.getpid()
        self._known: dict[str, tuple[float, dict[str, str]]] = {}
        self._ntlm = _ntlm(proxy_username, proxy_password) if proxy_ntlm else None

    def _own_session(self) -> requests.Session:
        """This process's: after a fork, parent and child would mix their requests on the same connections."""
        if self._process != os.getpid():
            self._session, self._process = new_session(), os.getpid()
        return self._session

    def send(
        self,
        method: str,
        url: str,
        *,
        deadline: Deadline,
        place: str,
        token: Secret | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        data: Any = None,
        form: Mapping[str, str | Secret] | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
        most_bytes: int = MOST_BYTES,
        repeatable: bool | None = None,
        repeat_broken: bool = True,
    ) -> Answer:
        """Send a request, again where that does no harm, and return the last answer whatever its status.

        Args:
            place: What is asked, for messages.
            data: JSON types for the body; form: fields of a form instead.
            read_timeout_s: Longest silence of the server, in seconds.
            most_bytes: Longest body, unpacked.
            repeatable: Whether it may be sent again although it may have arrived; by default as the method says.
            repeat_broken: Whether it is sent again after an answer of 500 or above.
        Raises:
            TransportError: No whole answer; `.retryable` is False where the request may have arrived, so that it must
                not be sent again blindly.
            DeadlineError: Not before the deadline.
        """
        may_repeat = method in _IDEMPOTENT if repeatable is None else repeatable
        body = None if data is None else json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
        connects = 0
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            try:
                with turn_at(host_of(url), deadline.timeout) as granted:
                    if not granted:
                        raise crowded(url, place)
                    answer = self._once(
                        method, url, deadline, place, token, headers, query, body, form, read_timeout_s, most_bytes
                    )
            except TransportError as exc:
                connecting = isinstance(exc, NotSentError)
                connects += connecting
                exc.retryable = may_repeat or connecting
                problem, pause = exc.what, _backoff(attempt)
                given_up = last or connects >= _CONNECTS or isinstance(exc, DeadlineError)
                if given_up or not exc.retryable or pause >= deadline.remaining_s():
                    raise
            else:
                told = answer.retry_after_s
                again = (answer.status in _BROKEN and repeat_broken) or (
                    answer.status in _LIMITED and (may_repeat or (answer.status == 429 and told is not None))
                )
                if last or not again:
                    return answer
                problem = f"HTTP status {answer.status}"
                pause = _backoff(attempt) if told is None else told * random.uniform(1.0, 1.1)
                if pause >= deadline.remaining_s() or pause > _LONGEST_PAUSE_S * 1.1:
                    return answer
            _log.info("%s: %s; once more in %.1f s", place, problem, pause)
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _once(
        self,
        method: str,
        url: str,
        deadline: Deadline,
        place: str,
        token: Secret | None,
        headers: Mapping[str, str] | None,
        query: Mapping[str, Any] | None,
        body: bytes | None,
        form: Mapping[str, str | Secret] | None,
        read_timeout_s: float,
        most_bytes: int,
    ) -> Answer:
        left = deadline.remaining_s()
        if left <= 0:
            raise DeadlineError(f"There was no time left for {place}.", timeout_s=0.0)
        sent = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": f"qprovider-ibm/{__version__}"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        elif form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        failure: TransportError
        try:
            response = self._own_session().request(
                method,
                url,
                # A space as %20: not every server takes + for one.
                params=urlencode(query, doseq=True, quote_via=quote) if query else None,
                data=body if form is None else _form(form),
                headers={**sent, **(headers or {})},
                auth=_Bearer(token, self._ntlm),
                timeout=(min(CONNECT_TIMEOUT_S, left), min(read_timeout_s, left)),
                verify=self._certificates(url),
                proxies={**self._environments(url), **(self._proxies() or {})},
                allow_redirects=False,
                stream=True,
            )
            with response:
                content = _read(response, deadline, most_bytes, place)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, _TooLateError) as exc:
            failure = failure_of(exc, place, url, self._verify)
            if deadline.remaining_s() <= 0 and not isinstance(failure, NotSentError):
                failure = DeadlineError(
                    f"The answer to {place} did not come within {left:.3g} s.",
                    timeout_s=left,
                    hint="Allow more time with timeout= or QPROVIDER_TIMEOUT.",
                )
            cause = without_frames(exc)
        else:
            if 300 <= response.status_code < 400:
                raise ResponseError(
                    f"{host_of(url)} answers {place} with a redirection, which the service does not do.",
                    hint="Is a login page of a network, or a wrong address, in the way?",
                )
            return Answer(
                status=response.status_code,
                body=content,
                place=place,
                retry_after_s=_retry_after(response.headers.get("Retry-After")),
            )
        # Raised out here: the frames of `requests` hold the headers and the body, which no report shall print.
        raise failure from cause

    def _environments(self, url: str) -> dict[str, str]:
        """The environment's proxies for a host, with its exceptions (NO_PROXY) minded; read anew every few seconds."""
        host, now = host_of(url), time.monotonic()
        read_at, proxies = self._known.get(host, (-math.inf, {}))
        if now - read_at > _ENVIRONMENT_KEPT_S:
            proxies = dict(requests.utils.get_environ_proxies(url))
            self._known[host] = (now, proxies)
        return proxies

    def _certificates(self, url: str) -> bool | str:
        """What certificates are checked against: what the account says, else the environment's bundle.

        Raises:
            ConfigurationError: A file that is not there.
        """
        chosen, place = self._verify, "verify"
        for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            if chosen is True and os.environ.get(variable):
                chosen, place = os.environ[variable], variable
        if isinstance(chosen, str) and url.startswith("https:") and not os.path.exists(chosen):
            raise ConfigurationError(
                f"There is no CA bundle at {chosen!r}, which {place} gives.",
                hint="Give the path of a file with certificates, or leave it out to trust the usual ones.",
            )
        return chosen

    def __repr__(self) -> str:
        return f"<Transport verify={self._verify!r}>"


class _TooLateError(Exception):
    """The deadline passed while the body was being read."""


def _form(fields: Mapping[str, str | Secret]) -> str:
    return urlencode({name: value.reveal() if isinstance(value, Secret) else value for name, value in fields.items()})


def _read(response: requests.Response, deadline: Deadline, most_bytes: int, place: str) -> bytes:
    """The body, unpacked piece by piece: neither a slow server nor a packed one gets more than it is granted."""
    parts, size = [], 0
    # read1 gives what has come; read would wait for a whole chunk, however slowly it comes.
    while part := response.raw.read1(_CHUNK, decode_content=True):
        size += len(part)
        if size > most_bytes:
            raise ResponseError(f"The answer to {place} is longer than {most_bytes >> 20} MiB; it was not read on.")
        parts.append(part)
        if deadline.remaining_s() <= 0:
            raise _TooLateError
    return b"".join(parts) if len(parts) != 1 else parts[0]


def _backoff(attempt: int) -> float:
    return _BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)] * random.uniform(0.8, 1.2)


def _retry_after(text: str | None) -> float | None:
    """Seconds, from either form of the header; None when there is none that can be read."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), 1e6) if seconds == seconds else None


def _with_user(proxies: Mapping[str, str], user: str | None, password: Secret | None) -> dict[str, str] | None:
    """The proxies' addresses with who signs in there. Made for each request and kept nowhere."""
    if not user:
        return dict(proxies) or None
    secret = f":{quote(password.reveal(), safe='')}" if password is not None else ""
    found = {}
    for scheme, url in proxies.items():
        parts = urlsplit(url)
        found[scheme] = urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}{secret}@{parts.netloc}"))
    return found


def _ntlm(user: str | None, password: Secret | None) -> AuthBase:
    try:
        from requests_ntlm import HttpNtlmAuth
    except ImportError as exc:
        raise ConfigurationError(
            "This account signs in at its proxy by NTLM, and requests_ntlm is not installed.",
            hint="Install it: pip install 'qprovider-ibm[ntlm]'.",
        ) from exc
    auth: AuthBase = HttpNtlmAuth(user, password.reveal() if password else "")
    return auth


_transports: dict[tuple[Any, ...], Transport] = {}
_lock = threading.Lock()


def transport(
    *,
    proxies: Mapping[str, str] | None = None,
    proxy_username: str | None = None,
    proxy_password: Secret | None = None,
    proxy_ntlm: bool = False,
    verify: bool | str = True,
) -> Transport:
    """The transport of this process for these proxies and certificates; accounts that agree in them share it."""
    key = (tuple(sorted((proxies or {}).items())), proxy_username, proxy_password, proxy_ntlm, verify)
    with _lock:
        if key not in _transports:
            _transports[key] = Transport(
                proxies=proxies,
                proxy_username=proxy_username,
                proxy_password=proxy_password,
                proxy_ntlm=proxy_ntlm,
                verify=verify,
            )
        return _transports[key]

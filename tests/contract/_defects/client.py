"""The good vendor's client: a pool of kept HTTP connections."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from qprovider_core.errors import AuthenticationError, InvalidInputError, ResponseError, TransportError
from qprovider_core.records import Deadline
from qprovider_core.secret import Secret

_LEAST_S = 0.001  # 0 would mean not to wait at all, which is an error of another kind


class Missing(LookupError):
    """There is no such thing at the service."""


class Client:
    """One account's way to the service. Safe to share between threads."""

    def __init__(self, url: str, token: Secret) -> None:
        self.url = url
        self._token = token
        self._idle: list[http.client.HTTPConnection] = []
        self._closed = False

    def ask(self, method: str, path: str, deadline: Deadline, body: Any = None, **query: Any) -> Any:
        """One request, and what it was answered."""
        if self._closed:
            raise TransportError("The connection to Good Quantum is closed.", hint="Open another one.", arrived=False)
        given = {name: value for name, value in query.items() if value not in (None, (), [])}
        address = quote(path, safe="/?=&:.") + ("?" + urlencode(given, doseq=True) if given else "")
        code, answer = self._asked(method, address, deadline, None if body is None else json.dumps(body))
        if code == 200:
            return answer
        if code == 404:
            raise Missing(answer["error"])
        if code == 401:
            raise AuthenticationError("Good Quantum does not know this token.", hint="Create another one.")
        if code == 400:
            raise InvalidInputError("Good Quantum does not take this.", why=answer["error"])
        raise ResponseError(f"Good Quantum answered {code}.", why=answer["error"])

    def _asked(self, method: str, address: str, deadline: Deadline, body: str | None) -> tuple[int, Any]:
        link = self.link()
        seconds = deadline.timeout if deadline.timeout is None else max(deadline.timeout, _LEAST_S)
        link.timeout = seconds
        try:
            if link.sock is None:
                link.connect()
            link.sock.settimeout(seconds)
        except OSError as exc:
            link.close()
            raise TransportError("Good Quantum cannot be reached.", why=f"{exc}", arrived=False) from exc
        try:
            link.request(method, address, body, headers={"Authorization": f"Bearer {self._token.reveal()}"})
            answer = link.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as exc:
            link.close()
            raise TransportError("Good Quantum did not answer.", why=f"{type(exc).__name__}: {exc}") from exc
        self.put_back(link)
        return answer.status, json.loads(text)

    def link(self) -> http.client.HTTPConnection:
        """A connection that nobody uses."""
        try:
            return self._idle.pop()
        except IndexError:
            return http.client.HTTPConnection(urlsplit(self.url).netloc)

    def put_back(self, link: http.client.HTTPConnection) -> None:
        """Keep a connection for the next who asks."""
        self._idle.append(link)
        if self._closed:
            self.close()

    def close(self) -> None:
        """Close what is open."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def __repr__(self) -> str:
        return f"<Client of {self.url}>"

"""The API key exchanged for bearer tokens: one exchange at a time, shared by all instances and threads."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from qprovider_core.errors import DeadlineError, QProviderError, ResponseError
from qprovider_core.records import Deadline
from qprovider_core.secret import Secret, get_logger
from qprovider_ibm._credentials import API_KEY_HELP
from qprovider_ibm._errors import IBMAuthenticationError, read_refusal

if TYPE_CHECKING:
    from qprovider_ibm._http import Transport

_log = get_logger(__name__)

_GRANT = "urn:ibm:params:oauth:grant-type:apikey"
_RENEWED_AT = 0.8  # of a token's life: renewed ahead of time
_MARGIN_S = 10.0  # before its end a token counts as expired
_PAUSE_S = 30.0  # between two attempts to renew a token that is still good
_LIFE_S = 3600.0  # where the answer does not tell


class TokenSource:
    """Bearer tokens for one API key at one IAM address. Safe to share between threads."""

    def __init__(self, transport: Transport, iam: str, key: Secret) -> None:
        self._transport = transport
        self._url = f"{iam}/identity/token"
        self._key = key
        # What a server might quote of the form that carries the key.
        self._form = Secret(urlencode({"apikey": key.reveal()}))
        self._exchanging = threading.Lock()
        self._token: Secret | None = None
        self._early = self._end = 0.0  # on the monotonic clock: renew from here on; no longer good from here on

    def token(self, deadline: Deadline) -> Secret:
        """A token that is good now.

        Raises:
            AuthenticationError: IAM does not accept the key.
            TransportError: It could not be reached.
        """
        token, now = self._token, time.monotonic()
        if token is not None and now < self._early:
            return token
        if token is not None and now < self._end:
            # Still good: whoever comes first renews it, the others go on with what there is.
            if self._exchanging.acquire(blocking=False):
                try:
                    return self._exchange(deadline)
                except QProviderError as exc:
                    self._early = min(now + _PAUSE_S, self._end)
                    _log.warning("the token could not be renewed ahead of time: %s", exc.what)
                finally:
                    self._exchanging.release()
            return token
        return self._exchanged(token, deadline)

    def renewed(self, rejected: Secret, deadline: Deadline) -> Secret:
        """Another token than the one that the service has just rejected."""
        return self._exchanged(rejected, deadline)

    def _exchanged(self, unwanted: Secret | None, deadline: Deadline) -> Secret:
        if not self._exchanging.acquire(timeout=-1 if deadline.timeout is None else deadline.timeout):
            raise DeadlineError("The token exchange at IAM has not been answered in time.", timeout_s=None)
        try:
            # Another thread may have fetched one while this one waited.
            if self._token is not None and self._token is not unwanted and time.monotonic() < self._end:
                return self._token
            return self._exchange(deadline)
        finally:
            self._exchanging.release()

    def _exchange(self, deadline: Deadline) -> Secret:
        """Ask IAM. Only the thread that holds the lock comes here."""
        asked = time.monotonic()
        answer = self._transport.send(
            "POST",
            self._url,
            deadline=deadline,
            place="the token exchange",
            form={"grant_type": _GRANT, "apikey": self._key, "response_type": "cloud_iam"},
            repeatable=True,
        )
        if answer.status != 200:
            refusal = read_refusal(answer.status, answer.body, "the token exchange")
            error = IBMAuthenticationError(
                f"IBM Cloud does not accept this API key: {refusal.said}.", why=refusal.traced, hint=API_KEY_HELP
            )
            raise refusal.put_on(error)
        data = answer.json()
        text = data.get("access_token") if isinstance(data, dict) else None
        if not isinstance(text, str) or not text.isascii() or not text.isprintable() or not text or " " in text:
            raise ResponseError("The token exchange gave no token.", path="access_token")
        life = data.get("expires_in")
        life_s = float(life) if isinstance(life, int | float) and not isinstance(life, bool) and life > 0 else _LIFE_S
        self._token = Secret(text)
        # The life left is counted on our own clock: the computer's may be wrong by more than that.
        self._early = asked + _RENEWED_AT * life_s
        self._end = asked + max(life_s - _MARGIN_S, _RENEWED_AT * life_s)
        return self._token


_sources: dict[tuple[Transport, str, Secret], TokenSource] = {}
_lock = threading.Lock()


def token_source(transport: Transport, iam: str, key: Secret) -> TokenSource:
    """The one source of tokens for this key at this address, in this process."""
    with _lock:
        return _sources.setdefault((transport, iam, key), TokenSource(transport, iam, key))


def _renew_locks() -> None:
    """In a process just forked: the thread that may have held one is not there to release it."""
    global _lock
    _lock = threading.Lock()
    for source in _sources.values():
        source._exchanging = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_renew_locks)

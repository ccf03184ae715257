"""Access tokens: made for API keys, known again, expired."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from qprovider_ibm.emulator._settings import ACCOUNT


class Tokens:
    """Every token that was given out, with the key that it was given for."""

    def __init__(self, keys: Sequence[str], lifetime_s: float, clock: Callable[[], float] = time.time) -> None:
        self._keys = set(keys)
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._issued: dict[str, tuple[str, float]] = {}

    def issue(self, key: str) -> dict[str, Any] | None:
        """The answer of the token exchange; None for a key that does not exist."""
        if key not in self._keys:
            return None
        issued = self._clock()
        expires = issued + self._lifetime_s
        token = _token_text(issued, expires, user_of(key))
        self._issued[token] = (key, expires)
        return {
            "access_token": token,
            "refresh_token": "not_supported",
            "token_type": "Bearer",
            "expires_in": int(self._lifetime_s),
            "expiration": int(expires),
            "scope": "ibm openid",
        }

    def key_of(self, token: str) -> str | None:
        """The API key behind a token; None when it was never given out or has expired."""
        key, expires = self._issued.get(token, ("", 0.0))
        return key if key and self._clock() < expires else None

    def expire(self) -> None:
        """Make every token worthless."""
        self._issued.clear()


def user_of(key: str) -> str:
    """The user id behind a key. It must not tell anything of the key."""
    return "IBMid-" + format(int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]), "010d")


def _token_text(issued: float, expires: float, user: str) -> str:
    claims = {
        "iam_id": user,
        "id": user,
        "account": {"valid": True, "bss": ACCOUNT},
        "iat": int(issued),
        "exp": int(expires),
        "jti": secrets.token_hex(8),
        "iss": "https://iam.cloud.ibm.com/identity",
        "grant_type": "urn:ibm:params:oauth:grant-type:apikey",
    }
    header = {"kid": "emulator", "alg": "RS256"}
    return ".".join((_part(json.dumps(header).encode()), _part(json.dumps(claims).encode()), _part(b"no signature")))


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

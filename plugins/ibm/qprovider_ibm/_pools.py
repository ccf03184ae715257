"""Pools of connections that print no secrets."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

MOST_AT_A_TIME = 32  # requests under way to one host, of all accounts and threads together
_POOL = MOST_AT_A_TIME  # connections kept to one host


class _QuietConnection(HTTPConnection):
    """Prints nothing, whatever `http.client` was told: with its debug level on it would print every header."""

    debuglevel = 0

    def set_debuglevel(self, level: int) -> None:
        pass


class _QuietSecureConnection(HTTPSConnection):
    debuglevel = 0

    def set_debuglevel(self, level: int) -> None:
        pass


class _QuietPool(HTTPConnectionPool):
    ConnectionCls = _QuietConnection


class _QuietSecurePool(HTTPSConnectionPool):
    ConnectionCls = _QuietSecureConnection


class _Adapter(HTTPAdapter):
    """`requests`' own, over quiet connections."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _QuietPool, "https": _QuietSecurePool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if isinstance(manager, urllib3.ProxyManager):
            manager.pool_classes_by_scheme = {"http": _QuietPool, "https": _QuietSecurePool}
        return manager


_gates: dict[str, threading.Semaphore] = {}
_lock = threading.Lock()


@contextmanager
def turn_at(host: str, timeout_s: float | None) -> Iterator[bool]:
    """A turn among the requests to one host.

    Args:
        timeout_s: How long to wait for one, in seconds; None for ever.
    Returns:
        Whether it came.
    """
    with _lock:
        gate = _gates.setdefault(host, threading.Semaphore(MOST_AT_A_TIME))
    granted = gate.acquire(timeout=timeout_s)
    try:
        yield granted
    finally:
        if granted:
            gate.release()


def _open_gates() -> None:
    """In a process just forked: the threads that had their turns are not there to give them back."""
    global _lock
    _lock = threading.Lock()
    _gates.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_open_gates)


def new_session() -> requests.Session:
    """A session with pools of its own, no cookies, and nothing from the environment."""
    session = requests.Session()
    session.trust_env = False  # it would read the environment several times a request
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    adapter = _Adapter(pool_connections=16, pool_maxsize=_POOL, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session

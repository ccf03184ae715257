"""Fixtures of the core's tests: a process of their own as far as plugins, accounts and settings go, and vendors
built from a few functions. Nothing here is automatic: a module asks for `isolated`."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from qprovider_core import _plugins, fleet, hookimpl
from qprovider_core._account import Account
from qprovider_core.records import BackendInfo, ProviderSpec

_SETTINGS = ("QPROVIDER_DATA_DIR", "QPROVIDER_DISABLE_PLUGINS", "QPROVIDER_TIMEOUT")


@pytest.fixture
def isolated(monkeypatch, tmp_path) -> None:
    """No installed plugin, no account, no setting of the machine; a registry and a fleet that nobody shares."""
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("QPROVIDER_PLUGINS", "none")
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())
    monkeypatch.setattr(fleet, "_fleet", fleet.Fleet())


@pytest.fixture
def build_vendor() -> Callable[..., Any]:
    """Makes a plugin object of a vendor: hooks by their names without the prefix, as functions; a list of
    backends may stand for the function that gives it."""

    def build(name: str = "acme", backends: Any = (), *, spec: ProviderSpec | None = None, **hooks: Any) -> Any:
        announced = spec or ProviderSpec(name=name, title=name.title())
        given: dict[str, Any] = {
            "provider": lambda: announced,
            "open_account": lambda: f"connection of {name}",
            "list_backends": backends if callable(backends) else lambda: backends,
            **hooks,
        }
        marked = {f"qprovider_{hook}": hookimpl(f) for hook, f in given.items() if f is not None}
        return SimpleNamespace(**marked)

    return build


@pytest.fixture
def vendor(isolated, build_vendor) -> Callable[..., Any]:
    """The same, registered; the plugin is called like its provider."""

    def register(name: str = "acme", backends: Any = (), **hooks: Any) -> Any:
        plugin = build_vendor(name, backends, **hooks)
        _plugins.register_plugin(plugin, name)
        return plugin

    return register


@pytest.fixture
def account(vendor) -> Callable[..., Account]:
    """Registers such a vendor and gives its account."""

    def make(name: str = "acme", backends: Any = (BackendInfo(name="one"),), **hooks: Any) -> Account:
        vendor(name, backends, **hooks)
        return fleet.fleet().party(name).accounts[0]

    return make


@pytest.fixture
def hang() -> Iterator[Callable[..., None]]:
    """A call that does not return before the test ends; `hang.entered` is set once somebody is inside."""
    release, entered = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        entered.set()
        release.wait(60)

    wait.entered = entered
    yield wait
    release.set()

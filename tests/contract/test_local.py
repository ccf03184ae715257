"""The local plugin keeps the contract: an ideal simulator, and a noisy twin of a real device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

import qprovider_local
from qprovider_core import Account, open_account, plugins, register_plugin, unregister_plugin
from qprovider_local.contract import LocalContract


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    installed = any(info.provider == "local" for info in plugins())
    if not installed:  # on the path only
        register_plugin(qprovider_local, name="local")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))  # not the user's own accounts
        with open_account("local") as account:
            yield account
    if not installed:
        unregister_plugin("local")


class TestIdeal(LocalContract):
    """As the plugin declares it."""


class Twin(LocalContract):
    """A noisy twin of a device."""

    noiseless_backend: ClassVar[str | None] = None
    tolerance: ClassVar[float] = 0.35


@pytest.mark.slow
class TestTwin(Twin):
    """The old device of five qubits: it has no control flow."""

    backend_name: ClassVar[str | None] = "fake_belem"
    supports_conditionals: ClassVar[bool] = False


@pytest.mark.slow
class TestTwinWithControlFlow(Twin):
    backend_name: ClassVar[str | None] = "fake_hanoi"

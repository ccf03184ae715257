"""The IBM plugin keeps the contract, over real sockets to an emulated service: a simulator, an old and a new device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

import qprovider_ibm
from qprovider_core import Account, open_account, plugins, register_plugin, unregister_plugin
from qprovider_core.testing import ProviderContract
from qprovider_ibm.emulator import Emulator


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    installed = any(info.provider == "ibm" for info in plugins())
    if not installed:  # on the path only
        register_plugin(qprovider_ibm, name="ibm")
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, Emulator() as emulator:
        patch.setenv("QPROVIDER_CONFIG_DIR", str(home))  # not the user's own accounts
        patch.setenv("HOME", str(home))
        for name, value in emulator.environment().items():
            patch.setenv(name, value)
        patch.delenv("QPROVIDER_IBM_TOKEN")
        with open_account("ibm", token=emulator.api_key, instance=emulator.instances["premium-eu"]) as account:
            yield account
    if not installed:
        unregister_plugin("ibm")


class IBMContract(ProviderContract):
    """What every backend of the service has in common."""

    wrong_credentials: ClassVar[Mapping[str, Any] | None] = {"token": "a-key-that-nobody-was-given-00000000000"}
    supports_defaults: ClassVar[bool] = False


class TestSimulator(IBMContract):
    noiseless_backend: ClassVar[str | None] = "ibmq_qasm_simulator"


class TestOldDevice(IBMContract):
    """The tutorial's device of five qubits: it has no control flow."""

    backend_name: ClassVar[str | None] = "ibmq_belem"
    tolerance: ClassVar[float] = 0.35
    supports_conditionals: ClassVar[bool] = False

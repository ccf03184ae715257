"""The IBM plugin keeps the contract, over real sockets to an emulated service: a simulator, and an old device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

import qprovider_ibm
from qprovider_core import plugins, register_plugin, unregister_plugin
from qprovider_ibm.contract import IBMContract


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    installed = any(info.provider == "ibm" for info in plugins())
    if not installed:  # on the path only
        register_plugin(qprovider_ibm, name="ibm")
    yield
    if not installed:
        unregister_plugin("ibm")


class TestSimulator(IBMContract):
    """As the plugin declares it."""


@pytest.mark.slow
class TestOldDevice(IBMContract):
    """The tutorial's device of five qubits: it has no control flow."""

    noiseless_backend: ClassVar[str | None] = None
    backend_name: ClassVar[str | None] = "ibmq_belem"
    tolerance: ClassVar[float] = 0.35
    supports_conditionals: ClassVar[bool] = False

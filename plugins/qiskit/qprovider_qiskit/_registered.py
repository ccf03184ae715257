"""Backends that the user made, such as ``qp.register_backend(GenericBackendV2(5))``."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from qprovider_core.errors import InvalidInputError
from qprovider_core.hookspecs import hookimpl
from qprovider_core.records import Deadline
from qprovider_qiskit._adapter import QiskitAdapter

if TYPE_CHECKING:
    from qprovider_qiskit._connection import Connection
    from qprovider_qiskit._device import Device

PROVIDER = "registered"


class RegisteredBackends(QiskitAdapter):
    """The plugin that holds them, for the life of the process. A new one takes the place of an old of its name."""

    def __init__(self) -> None:
        super().__init__(
            lambda credentials: (), name=PROVIDER, title="Registered backends", local=True, on_request=False
        )
        self._devices: dict[str, Device] = {}
        self._lock = threading.Lock()

    def add(self, backend: Any, name: str | None, how: dict[str, Any]) -> str:
        """Take a backend in; the name it has from now on.

        Raises:
            InvalidInputError: It is no Qiskit backend, or `how` is none of the adapter's arguments.
        """
        from qiskit.providers import BackendV2  # late: whoever has a backend has Qiskit

        from qprovider_qiskit._device import Device, name_of

        if not isinstance(backend, BackendV2):
            raise InvalidInputError(
                f"A {type(backend).__name__} is not a Qiskit BackendV2.",
                hint="Give a backend such as qiskit.providers.fake_provider.GenericBackendV2(5).",
            )
        try:
            adapter = QiskitAdapter(lambda credentials: backend, **{"name": PROVIDER, "local": True, **how})
        except TypeError as exc:
            raise InvalidInputError(
                f"register_backend cannot be told this: {exc}.",
                hint="It takes name, simulator, noisy, local, errors, status, fixup and transpile_kwargs.",
            ) from exc
        if adapter.fixup is not None:
            backend = adapter.fixup(backend) or backend
        chosen = name or name_of(backend)
        device = Device(backend, chosen, adapter)
        device.target()  # refused now rather than at its first use
        with self._lock:
            self._devices[chosen] = device
        return chosen

    @hookimpl
    def qprovider_open_account(self, credentials: Any, deadline: Deadline) -> Connection:
        from qprovider_qiskit._connection import Connection

        return Connection(self, None, self._devices)


_plugin: RegisteredBackends | None = None
_turn = threading.Lock()


def adopt(backend: Any, name: str | None, how: dict[str, Any]) -> tuple[QiskitAdapter, str]:
    """Entry point of the group ``qprovider.adapters``: take a backend in.

    Returns:
        The plugin that has it, the same one each time; and the backend's name there.
    """
    global _plugin
    with _turn:
        if _plugin is None:
            _plugin = RegisteredBackends()
    return _plugin, _plugin.add(backend, name, how)

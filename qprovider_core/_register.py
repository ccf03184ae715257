"""Backends that the user made: taken in through an installed adapter, for the core knows no backends of its own."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from qprovider_core._plugins import registry
from qprovider_core.errors import InvalidInputError, PluginError, QProviderError, UnsupportedError, failure_text
from qprovider_core.fleet import get_backend

if TYPE_CHECKING:
    from qprovider_core._backend import Backend

ADAPTERS = "qprovider.adapters"


def register_backend(backend: Any, name: str | None = None, **how: Any) -> Backend:
    """Take a Qiskit backend of your own in: until this process ends it is listed, queried and run like every other.

    Args:
        backend: A Qiskit `BackendV2`, such as ``GenericBackendV2(5)``.
        name: What it is called here; its own name when not given. One that was registered under it before is replaced.
        how: What the adapter is told of it, such as ``simulator=True``; see `qprovider_qiskit.QiskitAdapter`.
    Returns:
        Its handle; ``registered:NAME`` is its full name.
    Raises:
        InvalidInputError: It is no such backend, or `how` names what cannot be told.
        UnsupportedError: No adapter is installed.
    """
    if name is not None and (not isinstance(name, str) or not name.strip() or not name.isprintable()):
        raise InvalidInputError(f"A backend's name is a text, not {name!r}.")
    found = sorted(entry_points(group=ADAPTERS), key=lambda entry: entry.name)
    if not found:
        raise UnsupportedError(
            "No adapter for Qiskit backends is installed.",
            capability="registering backends",
            hint="Install one: pip install qprovider-qiskit",
        )
    try:
        plugin, chosen = found[0].load()(backend, name, how)
    except QProviderError:
        raise
    except Exception as exc:
        raise PluginError(
            f"The adapter {found[0].name!r} cannot take this backend: {failure_text(exc)}.", plugin=found[0].name
        ) from exc
    spec = plugin.qprovider_provider()
    if all(vendor.spec.name != spec.name for vendor in registry().providers()):
        registry().register(plugin, name=spec.name)
    return get_backend(f"{spec.name}:{chosen}")

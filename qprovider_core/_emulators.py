"""Vendors' services emulated on this machine: which providers have one, and how it is started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

from qprovider_core._plugins import registry
from qprovider_core.errors import PluginError, UnsupportedError, failure_text

Emulator = Callable[[Sequence[str]], int | None]


def emulated_providers() -> dict[str, str]:
    """Names of the providers that have an emulator, with their titles."""
    specs = (provider.spec for provider in registry().providers())
    return {spec.name: spec.title for spec in specs if spec.emulator is not None}


def emulator_of(name: str) -> Emulator:
    """The function that runs a provider's emulator in the foreground, with a list of arguments.

    Raises:
        UnknownProviderError: Nothing announces the provider.
        UnsupportedError: It has no emulator.
        PluginError: It names one that is not there.
    """
    path = registry().spec(name).emulator
    if path is None:
        known = ", ".join(emulated_providers())
        raise UnsupportedError(
            f"{name} has no emulator.",
            plugin=name,
            hint=f"Providers that have one: {known}." if known else "No installed plugin has one.",
        )
    module, _, function = path.partition(":")
    try:
        found = getattr(import_module(module), function)
    except (Exception, SystemExit) as exc:  # the module is the vendor's: it may raise anything
        raise PluginError(f"The emulator {path!r} cannot be had: {failure_text(exc)}.", plugin=name) from exc
    if not callable(found):
        raise PluginError(f"{path!r} is no function.", plugin=name)
    return cast("Emulator", found)

"""Plugins: which there are, whom they serve, and keeping the broken ones apart.

Each provider has a `PluginManager` of its own that holds the vendor's plugin and the cross-cutting ones, so no
vendor ever sees another's connection. A plugin that cannot be used is left out with its reason; the rest work.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from functools import partial

import attrs

from qprovider_core import _plugin_loading, config
from qprovider_core._credential_fields import credential_fields
from qprovider_core._installed import Entry
from qprovider_core._plugin_loading import (
    ANNOUNCE,
    Loaded,
    Loader,
    PluginInfo,
    attempt,
    entry_info,
    examine,
    hint_of,
    installed,
    load,
    loading,
    outcome,
    reason_of,
)
from qprovider_core._provider import Provider
from qprovider_core._requirements import what_is_missing
from qprovider_core._shown_lists import PluginList
from qprovider_core.errors import MissingPackageError, PluginError, QProviderError, UnknownProviderError
from qprovider_core.records import Deadline, ProviderSpec
from qprovider_core.secret import get_logger

__all__ = ["PluginInfo", "Registry", "plugins", "register_plugin", "registry", "unregister_plugin"]

_log = get_logger("qprovider.plugins")
_PATIENCE_S = 1.0  # how long the next one waits for one that is slow


class Registry:
    """All plugins of this process. Thread-safe; plugins may come and go while others are in use."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # held for moments only, never while a plugin's own code runs
        self._discovery = threading.Lock()
        self._infos: dict[str, PluginInfo] = {}
        self._providers: dict[str, Provider] = {}
        self._waiting: dict[str, Provider] = {}  # what they need is not installed
        self._loaded: dict[str, Loaded] = {}  # by provider, of both
        self._cross_cutting: list[tuple[str, object]] = []
        self._discovered = False

    # -- reading ------------------------------------------------------------------------------------------

    def infos(self) -> list[PluginInfo]:
        """Every plugin found, those left out too, by name."""
        self._discover()
        with self._lock:
            admitted = list(self._providers)
        for name in admitted:
            self.lack(name)
        with self._lock:
            return [self._infos[name] for name in sorted(self._infos)]

    def providers(self) -> list[Provider]:
        """The vendors in use, by provider name."""
        self._discover()
        with self._lock:
            return [self._providers[name] for name in sorted(self._providers)]

    def provider(self, name: str) -> Provider:
        """One vendor.

        Raises:
            UnknownProviderError: Nothing announces it; says so when its plugin was left out.
            MissingPackageError: Its plugin is there, and what it needs is not.
        """
        self._discover()
        missing = self.lack(name)
        if missing is not None:
            raise missing
        with self._lock:
            if name in self._providers:
                return self._providers[name]
            unused = self._infos.get(name)
            raise UnknownProviderError(
                name,
                (*self._providers, *self._waiting),
                why=f"Its plugin was {unused.status}: {unused.reason}." if unused else None,
                hint=unused.hint if unused else None,
            )

    def lack(self, name: str) -> MissingPackageError | None:
        """What a vendor needs and has not, in the versions that it names; it is set aside while that is missing, and
        taken in once it is there."""
        with self._lock:
            loaded = self._loaded.get(name)
            provider = self._providers.get(name) or self._waiting.get(name)
        if loaded is None or provider is None or not provider.spec.requires:
            return None
        missing = what_is_missing(provider.spec)
        if missing is not None:
            self._set_aside(loaded, provider, missing)
        elif name in self._waiting:
            self._admit(loaded, provider)
        return missing

    def spec(self, name: str) -> ProviderSpec:
        """What the vendor announced."""
        return self.provider(name).spec

    def left_out(self) -> dict[str, PluginInfo]:
        """Plugins that could not be used, by name."""
        self._discover()
        with self._lock:
            return {name: info for name, info in self._infos.items() if info.status == "left out"}

    # -- changing -----------------------------------------------------------------------------------------

    def register(self, plugin: object, name: str | None = None) -> PluginInfo:
        """Add a plugin by hand.

        Raises:
            PluginError: It cannot be used, or its name or provider is taken.
        """
        self._discover()
        name = name or getattr(plugin, "__name__", None) or type(plugin).__name__
        if name in self._infos and self._infos[name].status == "active":
            raise PluginError(f"A plugin named {name!r} is registered already.", plugin=name)
        loaded, exc = attempt(lambda: examine(name, plugin, PluginInfo(name=name)))
        if loaded is not None:
            provider, exc = attempt(lambda: self._announce(loaded))
        if loaded is None or exc is not None:
            hint = exc.hint if isinstance(exc, QProviderError) else None
            raise PluginError(f"Plugin {name!r} cannot be used: {reason_of(exc)}.", plugin=name, hint=hint) from exc
        return self._admit(loaded, provider)

    def unregister(self, name: str) -> None:
        """Forget a plugin. Accounts that were opened through it go on until they are closed."""
        self._discover()
        with self._lock:
            info = self._infos.pop(name, None)
            if info is None:
                raise PluginError(f"There is no plugin named {name!r}.", plugin=name)
            if info.provider and info.status in ("active", "needs a package"):
                for known in (self._providers, self._waiting, self._loaded):
                    known.pop(info.provider, None)
            kept = [(n, plugin) for n, plugin in self._cross_cutting if n != name]
            if len(kept) != len(self._cross_cutting):
                self._cross_cutting = kept
                self._rewire()

    def _discover(self) -> None:
        """Find and load the installed plugins, once. A plugin that asks while it is being loaded is told what is
        known so far."""
        if self._discovered or getattr(loading, "here", False):
            return
        with self._discovery:
            if self._discovered:
                return
            try:
                self._load_all()
            except BaseException:  # Ctrl-C, for instance: the next call begins anew, not with half of them
                with self._lock:
                    self._infos, self._providers, self._waiting, self._loaded, self._cross_cutting = {}, {}, {}, {}, []
                raise
            self._discovered = True

    def _load_all(self) -> None:
        """Load one after another; one that is slow goes on beside the next, and one that hangs costs its row."""
        limit_s = _plugin_loading.LOAD_TIMEOUT_S
        deadline = Deadline.after(limit_s)
        known: dict[int, tuple[str | None, str | None]] = {}
        with Loader() as loader:
            started: list[tuple[PluginInfo, Future[Loaded]]] = []
            for entry in self._entries():
                info = entry_info(entry, known)
                patience_s = min(_PATIENCE_S, deadline.remaining_s())
                started.append((info, loader.begin(partial(load, entry, info), patience_s)))
            loaded: list[Loaded] = []
            for info, future in started:
                exc = outcome(future, deadline)[1]
                if exc is None:
                    loaded.append(future.result())
                else:
                    self._leave_out(info, exc)
            # Cross-cutting plugins first: they may watch the announcements, too.
            for plugin in sorted(loaded, key=lambda candidate: candidate.is_vendor):
                announced = loader.begin(partial(self._announce, plugin), limit_s)
                provider, exc = outcome(announced, Deadline.after(0.0))
                if exc is not None:
                    self._leave_out(plugin.info, exc)
                else:
                    self._admit(plugin, provider)

    def _entries(self) -> list[Entry]:
        allowed, blocked = config.plugin_allowlist(), config.plugin_blocklist()
        entries: list[Entry] = []
        found, damaged = installed()
        self._infos.update((info.name, info) for info in damaged)
        for entry in sorted(found, key=lambda e: (e.name, e.value)):
            if entry.name in blocked or (allowed is not None and entry.name not in allowed):
                setting = "QPROVIDER_DISABLE_PLUGINS" if entry.name in blocked else "QPROVIDER_PLUGINS"
                info = entry_info(entry)
                self._infos[entry.name] = attrs.evolve(info, status="blocked", reason=f"left out by {setting}")
            elif any(entry.name == other.name for other in entries):
                taken = entry_info(entry)
                self._infos[f"{entry.name} ({taken.distribution or entry.value})"] = attrs.evolve(
                    taken,
                    status="left out",
                    reason="another installed plugin has the same name",
                    hint=f"Uninstall one of the two; {entry.value} was not loaded.",
                )
            else:
                entries.append(entry)
        return entries

    def _leave_out(self, info: PluginInfo, exc: BaseException) -> None:
        reason = reason_of(exc)
        self._infos[info.name] = attrs.evolve(info, status="left out", reason=reason, hint=hint_of(exc, info))
        _log.info("plugin %r left out: %s", info.name, reason)

    def _set_aside(self, loaded: Loaded, provider: Provider, exc: MissingPackageError) -> PluginInfo:
        """Keep a vendor whose packages are not installed until somebody asks for it."""
        told = attrs.evolve(
            loaded.info,
            provider=provider.spec.name,
            title=provider.spec.title,
            status="needs a package",
            reason=reason_of(exc),
            hint=exc.hint,
        )
        with self._lock:
            self._providers.pop(provider.spec.name, None)
            self._waiting[provider.spec.name] = provider
            self._loaded[provider.spec.name] = loaded
            self._infos[told.name] = told
        return told

    def _announce(self, loaded: Loaded) -> Provider | None:
        """Let a vendor say who it is, watched by the cross-cutting plugins; None for one of these."""
        for other, plugin in self._cross_cutting:
            if plugin is loaded.plugin:
                raise PluginError(f"it is registered already, as {other!r}")
        if not loaded.is_vendor:
            return None
        unnamed = ProviderSpec(name="unannounced", title=loaded.name)
        provider = Provider(loaded.name, loaded.plugin, unnamed, loaded.hooks)
        provider.wire(self._cross_cutting)
        spec = provider.call(ANNOUNCE) if self._cross_cutting else provider.announced_alone(loaded.manager)
        if spec is None:
            raise PluginError("it announces no provider", hint="This is a fault of the plugin: report it.")
        rival = self._providers.get(spec.name) or self._waiting.get(spec.name)
        if rival is not None:
            other = rival.plugin_name
            raise PluginError(
                f"the provider name {spec.name!r} is taken by plugin {other!r}",
                hint="Uninstall one of the two, or leave one out with QPROVIDER_DISABLE_PLUGINS.",
            )
        what_is_missing(spec, versions=False)  # reads what it requires
        credential_fields(spec)  # a class that cannot be read is found now, not in the middle of a query
        provider.spec = spec
        return provider

    def _admit(self, loaded: Loaded, provider: Provider | None) -> PluginInfo:
        """Take a sound plugin in: a vendor by its name, a cross-cutting one around all vendors."""
        info = loaded.info
        if provider is not None and (lack := what_is_missing(provider.spec, versions=False)) is not None:
            return self._set_aside(loaded, provider, lack)
        with self._lock:
            if provider is not None:
                self._waiting.pop(provider.spec.name, None)
            if provider is None:
                self._cross_cutting = [*self._cross_cutting, (loaded.name, loaded.plugin)]
                self._rewire()
            else:
                self._providers[provider.spec.name] = provider
                self._loaded[provider.spec.name] = loaded
                info = attrs.evolve(info, provider=provider.spec.name, title=provider.spec.title)
            self._infos[info.name] = info
        return info

    def _rewire(self) -> None:
        for provider in self._providers.values():
            provider.wire(self._cross_cutting)


_registry = Registry()


def registry() -> Registry:
    """The registry of this process."""
    return _registry


def plugins() -> list[PluginInfo]:
    """Every installed plugin, also those left out (with the reason and a hint) and those blocked."""
    return PluginList(registry().infos())


def register_plugin(plugin: object, name: str | None = None) -> PluginInfo:
    """Add a plugin to this process: a module or an object that implements hooks.

    Raises:
        PluginError: It cannot be used; the reason is in the message.
    """
    return registry().register(plugin, name)


def unregister_plugin(name: str) -> None:
    """Forget a plugin of this process."""
    registry().unregister(name)

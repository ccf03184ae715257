"""Plugins: finding them, keeping the broken ones apart, and calling their hooks.

Each provider has a `PluginManager` of its own that holds the vendor's plugin and the cross-cutting ones, so no
vendor ever sees another's connection. A plugin that cannot be used is left out with its reason; the rest work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from types import CodeType, FunctionType, TracebackType
from typing import Any, Literal, TypeVar

import attrs
import pluggy

from qprovider_core import config, hookspecs
from qprovider_core._concurrency import in_background
from qprovider_core.errors import (
    DeadlineError,
    PluginError,
    QProviderError,
    TransportError,
    UnknownProviderError,
    UnsupportedError,
    VetoError,
)
from qprovider_core.records import (
    AccountInfo,
    BackendConfiguration,
    BackendProperties,
    BackendStatus,
    JobDetails,
    JobInfo,
    JobPage,
    JobResult,
    ProviderSpec,
    SessionInfo,
    Submission,
)
from qprovider_core.records._base import Record
from qprovider_core.secret import get_logger

_log = get_logger("qprovider.plugins")

ENTRY_POINT_GROUP = "qprovider"
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("qprovider_"))
_LOAD_TIMEOUT_S = 20.0
_ANNOUNCE = "qprovider_provider"

# What a hook answers, where one type will do; the core checks it at the border.
_ANSWERS: Mapping[str, type] = {
    "qprovider_provider": ProviderSpec,
    "qprovider_account_info": AccountInfo,
    "qprovider_close_account": bool,
    "qprovider_backend_configuration": BackendConfiguration,
    "qprovider_backend_status": BackendStatus,
    "qprovider_backend_properties": BackendProperties,
    "qprovider_submit_job": JobInfo,
    "qprovider_get_job": JobInfo,
    "qprovider_job_result": JobResult,
    "qprovider_cancel_job": bool,
    "qprovider_list_jobs": JobPage,
    "qprovider_find_submission": Submission,
    "qprovider_update_job_tags": bool,
    "qprovider_delete_job": bool,
    "qprovider_job_details": JobDetails,
    "qprovider_open_session": SessionInfo,
    "qprovider_close_session": bool,
    "qprovider_session_details": SessionInfo,
}

# How a missing hook is spoken of.
_PHRASES: Mapping[str, str] = {
    "qprovider_open_account": "opening accounts",
    "qprovider_account_info": "account information",
    "qprovider_list_backends": "listing backends",
    "qprovider_backend_configuration": "backend configurations, so its backends cannot be opened",
    "qprovider_backend_status": "backend status",
    "qprovider_backend_properties": "calibration data",
    "qprovider_backend_defaults": "backend defaults",
    "qprovider_submit_job": "running circuits",
    "qprovider_get_job": "job status",
    "qprovider_job_result": "job results",
    "qprovider_cancel_job": "cancelling jobs",
    "qprovider_list_jobs": "listing jobs",
    "qprovider_find_submission": "looking up submissions",
    "qprovider_update_job_tags": "changing the tags of a job",
    "qprovider_delete_job": "deleting jobs",
    "qprovider_job_details": "job details",
    "qprovider_open_session": "sessions",
    "qprovider_close_session": "sessions",
    "qprovider_session_details": "sessions",
}


@attrs.frozen(kw_only=True, repr=False)
class PluginInfo(Record):
    """One plugin as `qp.plugins()` lists it.

    Attributes:
        name: Of its entry point, or as given to `register_plugin`.
        kind: ``vendor``, ``cross-cutting``, or ``unknown`` when it could not be loaded.
        provider, title: What it announced, for a vendor.
        status: ``active``; ``left out``, with `reason` and `hint`; ``blocked`` by a setting, not even imported.
        hooks: Names of the hooks it implements.
    """

    name: str
    kind: Literal["vendor", "cross-cutting", "unknown"] = "unknown"
    provider: str | None = None
    title: str | None = None
    distribution: str | None = None
    version: str | None = None
    status: Literal["active", "left out", "blocked"] = "active"
    reason: str | None = None
    hint: str | None = None
    hooks: tuple[str, ...] = ()


class _Frame:
    """What happened innermost in one hook call, whatever the wrappers around it made of it."""

    __slots__ = ("answer", "entered", "error")

    def __init__(self) -> None:
        self.entered = False
        self.answer: Any = None
        self.error: BaseException | None = None


class _Witness:
    """The innermost wrapper of every hook. It records the vendor's own answer or error, which then stands."""

    def __init__(self) -> None:
        self._frames = threading.local()
        for name in HOOKS:
            setattr(self, name, hookspecs.hookimpl(wrapper=True, trylast=True)(self._recorder(name)))

    def _recorder(self, hook: str) -> Any:
        # A list or generator could be emptied by a wrapper: it is given the same tuple that is kept. A connection
        # is the vendor's own object, whatever its type.
        copied = hook != "qprovider_open_account"

        def record() -> Iterator[Any]:
            frame: _Frame = self._frames.stack[-1]
            frame.entered = True
            try:
                answer = yield
                if copied and isinstance(answer, list | set | Iterator):
                    answer = tuple(answer)
            except BaseException as exc:
                frame.error = exc
                raise
            frame.answer = dict(answer) if copied and isinstance(answer, dict) else answer
            return answer

        return record

    def push(self) -> _Frame:
        if not hasattr(self._frames, "stack"):
            self._frames.stack = []
        frame = _Frame()
        self._frames.stack.append(frame)
        return frame

    def pop(self) -> None:
        self._frames.stack.pop()


def _manager(plugins: Iterable[tuple[str, object]]) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for name, plugin in plugins:
        manager.register(plugin, name=name)
        manager.check_pending()  # a misspelt or too new hook shows here
    return manager


class Provider:
    """One vendor: its announcement, and its hooks with the cross-cutting plugins around them."""

    def __init__(self, name: str, plugin: object, spec: ProviderSpec, hooks: frozenset[str]) -> None:
        self.plugin_name = name
        self.spec = spec
        self.capabilities = hooks
        self._plugin = plugin
        self._wiring: tuple[pluggy.PluginManager, _Witness, dict[CodeType, str]] | None = None

    def wire(self, cross_cutting: Iterable[tuple[str, object]]) -> None:
        """Put the vendor and the cross-cutting plugins into a new manager. Calls under way keep the old one."""
        plugins = [(self.plugin_name, self._plugin), *cross_cutting]
        witness = _Witness()
        # The last wrapper registered "trylast" is the innermost one.
        manager = _manager([*plugins, ("qprovider witness", witness)])
        owners = {
            impl.function.__code__: impl.plugin_name
            for hook in HOOKS
            for impl in getattr(manager.hook, hook).get_hookimpls()
            if hasattr(impl.function, "__code__") and impl.plugin is not witness
        }
        self._wiring = (manager, witness, owners)

    def supports(self, hook: str) -> bool:
        """Whether the vendor itself implements the hook."""
        return hook in self.capabilities

    def require(self, hook: str) -> None:
        """Raise `UnsupportedError` unless the vendor implements the hook."""
        if hook not in self.capabilities:
            phrase = _PHRASES.get(hook, hook)
            raise UnsupportedError(
                f"{self.spec.title} does not offer {phrase}.",
                why=f"Its plugin {self.plugin_name!r} has no hook {hook}.",
                hint="A newer version of the plugin may have it; see `qprovider plugins`.",
                capability=hook.removeprefix("qprovider_"),
                plugin=self.plugin_name,
                hook=hook,
            )

    def call(self, hook: str, **arguments: Any) -> Any:
        """Call a hook and return the vendor's answer, checked for its type; None when it gave none.

        Raises:
            VetoError: A cross-cutting plugin refused the call; the vendor was not called.
            QProviderError: The vendor's own, as it raised it.
            TransportError: The vendor's plugin raised a connection error or ran into a time limit.
            PluginError: The vendor's plugin raised anything else, or answered with a wrong type.
        """
        assert self._wiring is not None
        manager, witness, owners = self._wiring
        frame = witness.push()
        outer: BaseException | None = None
        try:
            getattr(manager.hook, hook)(**arguments)
        except BaseException as exc:
            if isinstance(exc, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # the user's own: no other thread gets the signal
            outer = exc
        finally:
            witness.pop()
        if not frame.entered:
            raise self._veto(hook, outer, owners) from outer
        if isinstance(frame.error, QProviderError):
            raise frame.error
        if frame.error is not None:
            raise self._translate(hook, frame.error, owners) from frame.error
        if outer is not None:
            _log.warning(
                "plugin %r raised %s after %s had answered %s; the answer stands",
                _owner(outer.__traceback__, owners) or "(unknown)",
                _describe(outer),
                self.spec.name,
                hook,
            )
        return self._checked(hook, frame.answer)

    def _veto(self, hook: str, exc: BaseException | None, owners: Mapping[CodeType, str]) -> QProviderError:
        by = _owner(exc.__traceback__ if exc else None, owners) or "(unknown)"
        reason = _describe(exc)
        if isinstance(exc, RuntimeError) and "did not yield" in str(exc):
            reason = "its wrapper did not let the call through, which a wrapper must"
            by = _named_in(str(exc), owners) or by
        return VetoError(
            f"Plugin {by!r} refused {hook} for {self.spec.name}: {reason}.",
            plugin=by,
            hook=hook,
            hint=f"Leave it out with QPROVIDER_DISABLE_PLUGINS={by} if that is not wanted.",
        )

    def _translate(self, hook: str, exc: BaseException, owners: Mapping[CodeType, str]) -> QProviderError:
        if isinstance(exc, ConnectionError | TimeoutError):
            return TransportError(f"{self.spec.title} could not be reached: {_describe(exc)}.")
        by = _owner(exc.__traceback__, owners) or self.plugin_name  # a replayer answers in the vendor's place
        return PluginError(
            f"The plugin {by!r} failed in {hook}: {_describe(exc)}.",
            plugin=by,
            hook=hook,
            hint="This is a fault of the plugin: report it to its authors.",
        )

    def _checked(self, hook: str, answer: Any) -> Any:
        expected = _ANSWERS.get(hook)
        if answer is None or expected is None or isinstance(answer, expected):
            return answer
        raise PluginError(
            f"The plugin {self.plugin_name!r} answered {hook} with a {type(answer).__name__}; "
            f"a {expected.__name__} was expected.",
            plugin=self.plugin_name,
            hook=hook,
            hint="This is a fault of the plugin: report it to its authors.",
        )


def _describe(exc: BaseException | None) -> str:
    if exc is None:
        return "no reason given"
    text = " ".join(str(exc.what if isinstance(exc, QProviderError) else exc).split())
    return f"{type(exc).__name__}: {text}".rstrip(".") if text else type(exc).__name__


def _owner(traceback: TracebackType | None, owners: Mapping[CodeType, str]) -> str | None:
    """The plugin whose hook function is innermost in a traceback."""
    found = None
    while traceback is not None:
        found = owners.get(traceback.tb_frame.f_code, found)
        traceback = traceback.tb_next
    return found


def _named_in(text: str, owners: Mapping[CodeType, str]) -> str | None:
    """pluggy names the function that broke the protocol by file and line only."""
    for code, name in owners.items():
        if f"{code.co_filename}:{code.co_firstlineno}" in text:
            return name
    return None


@attrs.frozen
class _Loaded:
    """A plugin that passed every check made on it alone."""

    name: str
    plugin: object
    hooks: frozenset[str]
    wrappers: frozenset[str]
    info: PluginInfo

    @property
    def is_vendor(self) -> bool:
        return _ANNOUNCE in self.hooks


def _examine(name: str, plugin: object, info: PluginInfo) -> _Loaded:
    """Check a plugin by itself: wrong arguments, unknown hooks, forgotten marks."""
    if isinstance(plugin, type) and any(isinstance(vars(plugin).get(h), FunctionType) for h in HOOKS):
        raise PluginError("it is a class, whose hooks need an instance", hint=f"Give {plugin.__name__}().")
    manager = _manager([(name, plugin)])
    hooks: set[str] = set()
    wrappers: set[str] = set()
    for hook in HOOKS:
        for impl in getattr(manager.hook, hook).get_hookimpls():
            (wrappers if impl.wrapper or impl.hookwrapper else hooks).add(hook)
    forgotten = [h for h in HOOKS if callable(getattr(plugin, h, None)) and h not in hooks | wrappers]
    if forgotten:
        raise PluginError(f"{', '.join(forgotten)} is not marked with @hookimpl")
    if not hooks | wrappers:
        raise PluginError("it implements no hook")
    return _Loaded(
        name=name,
        plugin=plugin,
        hooks=frozenset(hooks),
        wrappers=frozenset(wrappers),
        info=attrs.evolve(
            info,
            kind="vendor" if _ANNOUNCE in hooks else "cross-cutting",
            hooks=tuple(sorted(hooks | wrappers)),
        ),
    )


def _hint(exc: BaseException, info: PluginInfo) -> str:
    package = info.distribution or "its package"
    if isinstance(exc, QProviderError) and exc.hint:
        return exc.hint
    if isinstance(exc, ModuleNotFoundError):
        return f"Install what it needs: pip install --upgrade {info.distribution or exc.name}"
    if isinstance(exc, pluggy.PluginValidationError):
        return f"{package} and this version of qprovider-core do not fit: upgrade both."
    return f"Upgrade {package}, or leave it out with QPROVIDER_DISABLE_PLUGINS={info.name}."


class Registry:
    """All plugins of this process. Thread-safe; plugins may come and go while others are in use."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._infos: dict[str, PluginInfo] = {}
        self._providers: dict[str, Provider] = {}
        self._cross_cutting: list[tuple[str, object]] = []
        self._discovered = False

    # -- reading ------------------------------------------------------------------------------------------

    def infos(self) -> list[PluginInfo]:
        """Every plugin found, those left out too, by name."""
        self._discover()
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
        """
        self._discover()
        with self._lock:
            if name in self._providers:
                return self._providers[name]
            left_out = self.left_out().get(name)
            raise UnknownProviderError(
                name,
                self._providers,
                why=f"Its plugin was left out: {left_out.reason}" if left_out else None,
                hint=left_out.hint if left_out else None,
            )

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
        with self._lock:
            if name in self._infos and self._infos[name].status == "active":
                raise PluginError(f"A plugin named {name!r} is registered already.", plugin=name)
            loaded, exc = _attempt(lambda: _examine(name, plugin, PluginInfo(name=name)), name)
            if loaded is not None:
                provider, exc = _attempt(lambda: self._announce(loaded), name)
            if loaded is None or exc is not None:
                raise PluginError(f"Plugin {name!r} cannot be used: {_reason(exc)}.", plugin=name) from exc
            return self._admit(loaded, provider)

    def unregister(self, name: str) -> None:
        """Forget a plugin. Accounts that were opened through it go on until they are closed."""
        self._discover()
        with self._lock:
            info = self._infos.pop(name, None)
            if info is None:
                raise PluginError(f"There is no plugin named {name!r}.", plugin=name)
            if info.provider and info.status == "active":
                del self._providers[info.provider]
            kept = [(n, plugin) for n, plugin in self._cross_cutting if n != name]
            if len(kept) != len(self._cross_cutting):
                self._cross_cutting = kept
                self._rewire()

    def _discover(self) -> None:
        with self._lock:
            if self._discovered:
                return
            self._discovered = True
            loaded = [plugin for plugin in map(self._load, self._entries()) if plugin is not None]
            # Cross-cutting plugins first: they may watch the announcements, too.
            for plugin in sorted(loaded, key=lambda candidate: candidate.is_vendor):
                provider, exc = _attempt(partial(self._announce, plugin), plugin.name)
                if exc is not None:
                    self._leave_out(plugin.info, exc)
                else:
                    self._admit(plugin, provider)

    def _entries(self) -> list[EntryPoint]:
        allowed, blocked = config.plugin_allowlist(), config.plugin_blocklist()
        entries: list[EntryPoint] = []
        for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: (e.name, e.value)):
            if entry.name in blocked or (allowed is not None and entry.name not in allowed):
                setting = "QPROVIDER_DISABLE_PLUGINS" if entry.name in blocked else "QPROVIDER_PLUGINS"
                info = _entry_info(entry)
                self._infos[entry.name] = attrs.evolve(info, status="blocked", reason=f"left out by {setting}")
            elif any(entry.name == other.name for other in entries):
                taken = _entry_info(entry)
                self._infos[f"{entry.name} ({taken.distribution or entry.value})"] = attrs.evolve(
                    taken,
                    status="left out",
                    reason="another installed plugin has the same name",
                    hint=f"Uninstall one of the two; {entry.value} was not loaded.",
                )
            else:
                entries.append(entry)
        return entries

    def _load(self, entry: EntryPoint) -> _Loaded | None:
        info = _entry_info(entry)
        loaded, exc = _attempt(lambda: _examine(entry.name, entry.load(), info), entry.name)
        if exc is not None:
            self._leave_out(info, exc)
        return loaded

    def _leave_out(self, info: PluginInfo, exc: BaseException) -> None:
        reason = _reason(exc)
        self._infos[info.name] = attrs.evolve(info, status="left out", reason=reason, hint=_hint(exc, info))
        _log.info("plugin %r left out: %s", info.name, reason)

    def _announce(self, loaded: _Loaded) -> Provider | None:
        """Let a vendor say who it is, watched by the cross-cutting plugins; None for one of these."""
        for other, plugin in self._cross_cutting:
            if plugin is loaded.plugin:
                raise PluginError(f"it is registered already, as {other!r}")
        if not loaded.is_vendor:
            return None
        unnamed = ProviderSpec(name="unannounced", title=loaded.name)
        provider = Provider(loaded.name, loaded.plugin, unnamed, loaded.hooks)
        provider.wire(self._cross_cutting)
        spec = provider.call(_ANNOUNCE)
        if spec is None:
            raise PluginError("it announces no provider")
        if spec.name in self._providers:
            other = self._providers[spec.name].plugin_name
            raise PluginError(f"the provider name {spec.name!r} is taken by plugin {other!r}")
        provider.spec = spec
        return provider

    def _admit(self, loaded: _Loaded, provider: Provider | None) -> PluginInfo:
        """Take a sound plugin in: a vendor by its name, a cross-cutting one around all vendors."""
        info = loaded.info
        if provider is None:
            self._cross_cutting.append((loaded.name, loaded.plugin))
            self._rewire()
        else:
            self._providers[provider.spec.name] = provider
            info = attrs.evolve(info, provider=provider.spec.name, title=provider.spec.title)
        self._infos[info.name] = info
        return info

    def _rewire(self) -> None:
        for provider in self._providers.values():
            provider.wire(self._cross_cutting)


def _entry_info(entry: EntryPoint) -> PluginInfo:
    try:
        metadata: Any = entry.dist.metadata if entry.dist else {}
        told = dict(metadata.items())
    except Exception:  # noqa: BLE001  an installation without metadata must not hide the other plugins
        told = {}
    return PluginInfo(name=entry.name, distribution=told.get("Name"), version=told.get("Version"))


def _reason(exc: BaseException | None) -> str:
    """Why a plugin is left out, as the end of a sentence."""
    return exc.what.rstrip(".") if isinstance(exc, QProviderError) else _describe(exc)


_T = TypeVar("_T")


def _attempt(work: Callable[[], _T], name: str) -> tuple[_T | None, BaseException | None]:
    """Run a plugin's own code and return its answer, or what it raised: anything, SystemExit too.

    In a thread, so that a module that hangs while it is imported costs no more than its time limit.
    """
    future = in_background(work, f"load-{name}")
    try:
        exc = future.exception(timeout=_LOAD_TIMEOUT_S)
    except TimeoutError:
        exc = DeadlineError(f"it did not load within {_LOAD_TIMEOUT_S:g} s", timeout_s=_LOAD_TIMEOUT_S)
    return (None, exc) if exc is not None else (future.result(), None)


_registry = Registry()


def registry() -> Registry:
    """The registry of this process."""
    return _registry


def plugins() -> list[PluginInfo]:
    """Every installed plugin, also those left out (with the reason and a hint) and those blocked."""
    return registry().infos()


def register_plugin(plugin: object, name: str | None = None) -> PluginInfo:
    """Add a plugin to this process: a module or an object that implements hooks.

    Raises:
        PluginError: It cannot be used; the reason is in the message.
    """
    return registry().register(plugin, name)


def unregister_plugin(name: str) -> None:
    """Forget a plugin of this process."""
    registry().unregister(name)

"""Loading one plugin: its own code in a thread that can be left behind, and the checks made on it alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from types import FunctionType, ModuleType
from typing import Any, Literal, Self, TypeAlias, TypeVar

import attrs
import pluggy

from qprovider_core._concurrency import in_background
from qprovider_core._installed import Entry, entry_points
from qprovider_core._manager import MARK, make_manager
from qprovider_core._provider import HOOKS, describe
from qprovider_core.errors import DeadlineError, PluginError, QProviderError, failure_text
from qprovider_core.records import Deadline
from qprovider_core.records._base import Record
from qprovider_core.secret import get_logger

_log = get_logger("qprovider.plugins")

ENTRY_POINT_GROUP = "qprovider"
ANNOUNCE = "qprovider_provider"
LOAD_TIMEOUT_S = 10.0  # for all of them together
_T = TypeVar("_T")
_Calls: TypeAlias = "SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]"
loading = threading.local()


@attrs.frozen(kw_only=True, repr=False)
class PluginInfo(Record):
    """One plugin as `qp.plugins()` lists it.

    Attributes:
        name: Of its entry point, or as given to `register_plugin`.
        kind: ``vendor``, ``cross-cutting``, or ``unknown`` when it could not be loaded.
        provider, title: What it announced, for a vendor.
        status: ``active``; ``left out``, with `reason` and `hint`; ``blocked`` by a setting, not even imported;
            ``needs a package`` that is not installed, or is of another version, with what to install in `hint`.
        hooks: Names of the hooks it implements.
    """

    name: str
    kind: Literal["vendor", "cross-cutting", "unknown"] = "unknown"
    provider: str | None = None
    title: str | None = None
    distribution: str | None = None
    version: str | None = None
    status: Literal["active", "left out", "blocked", "needs a package"] = "active"
    reason: str | None = None
    hint: str | None = None
    hooks: tuple[str, ...] = ()


@attrs.frozen
class Loaded:
    """A plugin that passed every check made on it alone; `manager` holds it and nothing else. There is none where
    another object of the same class passed them before."""

    name: str
    plugin: object
    manager: pluggy.PluginManager | None
    hooks: frozenset[str]
    wrappers: frozenset[str]
    info: PluginInfo

    @property
    def is_vendor(self) -> bool:
        return ANNOUNCE in self.hooks


def examine(name: str, plugin: object, info: PluginInfo) -> Loaded:
    """Check a plugin by itself: wrong arguments, unknown hooks, forgotten marks."""
    if isinstance(plugin, type) and any(isinstance(vars(plugin).get(h), FunctionType) for h in HOOKS):
        raise PluginError("it is a class, whose hooks need an instance", hint=f"Give {plugin.__name__}().")
    manager = None
    implemented = _implemented.get(type(plugin)) if _is_of_its_class(plugin) else None
    if implemented is None:
        manager = make_manager([(name, plugin)])
        implemented = _checked_hooks(plugin, manager)
        if _is_of_its_class(plugin):
            _implemented[type(plugin)] = implemented
    hooks, wrappers = implemented
    return Loaded(
        name=name,
        plugin=plugin,
        manager=manager,
        hooks=hooks,
        wrappers=wrappers,
        info=attrs.evolve(
            info,
            kind="vendor" if ANNOUNCE in hooks else "cross-cutting",
            hooks=tuple(sorted(hooks | wrappers)),
        ),
    )


# Adapters are many objects of one class, which is looked at once.
_implemented: dict[type, tuple[frozenset[str], frozenset[str]]] = {}


def _is_of_its_class(plugin: object) -> bool:
    """Whether its class alone tells which hooks it has."""
    if isinstance(plugin, type | ModuleType) or hasattr(type(plugin), "__getattr__"):
        return False
    own = getattr(plugin, "__dict__", {})
    return not any(name in HOOKS or hasattr(value, MARK) for name, value in own.items())


def _checked_hooks(plugin: object, manager: pluggy.PluginManager) -> tuple[frozenset[str], frozenset[str]]:
    """The hooks that it implements, and those around which it is a wrapper."""
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
    return frozenset(hooks), frozenset(wrappers)


def hint_of(exc: BaseException, info: PluginInfo) -> str:
    package = info.distribution or "its package"
    if isinstance(exc, QProviderError) and exc.hint:
        return exc.hint
    if isinstance(exc, ModuleNotFoundError):
        return f"Install what it needs: pip install --upgrade {info.distribution or exc.name}"
    if isinstance(exc, pluggy.PluginValidationError):
        return f"{package} and this version of qprovider-core do not fit: upgrade both."
    return f"Upgrade {package}, or leave it out with QPROVIDER_DISABLE_PLUGINS={info.name}."


def installed() -> tuple[list[Entry], list[PluginInfo]]:
    """The entry points of all installed distributions, and a row for each whose own cannot be read."""
    try:
        return list(entry_points(ENTRY_POINT_GROUP)), []
    except Exception as exc:  # noqa: BLE001  one malformed file makes the common call fail, in various ways
        _log.info("entry points are read one by one: %s", describe(exc))
    from importlib.metadata import distributions  # late: slow to import

    found: list[Any] = []
    damaged: list[PluginInfo] = []
    for distribution in distributions():
        try:
            found += distribution.entry_points.select(group=ENTRY_POINT_GROUP)
        except Exception as exc:  # noqa: BLE001  as above
            name = str(distribution.name)
            reason = f"its entry_points.txt cannot be read: {describe(exc)}"
            hint = f"Reinstall {name}, or uninstall it."
            damaged.append(PluginInfo(name=name, distribution=name, status="left out", reason=reason, hint=hint))
    return found, damaged


def entry_info(entry: Entry, known: dict[int, tuple[str | None, str | None]] | None = None) -> PluginInfo:
    """What is known of a plugin before it is loaded.

    Args:
        known: Name and version of distributions that were read before: one may have many plugins.
    """
    known = {} if known is None else known
    if id(entry.dist) not in known:
        known[id(entry.dist)] = _named(entry.dist)
    distribution, version = known[id(entry.dist)]
    return PluginInfo(name=entry.name, distribution=distribution, version=version)


def _named(distribution: Any) -> tuple[str | None, str | None]:
    try:
        metadata: Any = distribution.metadata if distribution else {}
        told = dict(metadata.items())
    except Exception:  # noqa: BLE001  an installation without metadata must not hide the other plugins
        told = {}
    return told.get("Name"), told.get("Version")


def load(entry: Entry, info: PluginInfo) -> Loaded:
    return examine(entry.name, entry.load(), info)


def reason_of(exc: BaseException | None) -> str:
    """Why a plugin is left out, as the end of a sentence."""
    return failure_text(exc).rstrip(".") if isinstance(exc, QProviderError) else describe(exc)


class Loader:
    """A thread for plugins' own code, one call after another: a module that hangs while it is imported is left behind
    with it, and another one goes on. (A thread for each call would take longer than most plugins' loading.)"""

    def __init__(self) -> None:
        self._calls: _Calls = SimpleQueue()
        in_background(partial(_answer, self._calls), "load")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._calls.put(None)

    def begin(self, work: Callable[[], _T], patience_s: float = 0.0) -> Future[_T]:
        """Do `work`, and wait for it so long; what comes after that has another thread if it has not come back."""
        future: Future[_T] = Future()
        future.set_running_or_notify_cancel()
        self._calls.put((work, future))
        try:
            future.exception(timeout=patience_s)
        except TimeoutError:
            if not future.done():
                self._calls.put(None)
                self._calls = SimpleQueue()
                in_background(partial(_answer, self._calls), "load")
        return future


def _answer(calls: _Calls) -> None:
    """Do what is in the queue, until None comes."""
    loading.here = True  # a plugin may ask for the plugins; it must not wait for itself
    while (call := calls.get()) is not None:
        work, future = call
        try:
            answer = work()
        except BaseException as exc:  # noqa: BLE001  SystemExit too: who waits decides what it means
            future.set_exception(exc)
        else:
            future.set_result(answer)
        del call, work, future  # else the last plugin's would live as long as this waits


def outcome(future: Future[_T], deadline: Deadline) -> tuple[_T | None, BaseException | None]:
    """What came of it: the answer, or what it raised (anything, SystemExit too)."""
    try:
        exc = future.exception(timeout=deadline.timeout)
    except TimeoutError:
        return None, DeadlineError(f"it did not load within {LOAD_TIMEOUT_S:g} s", timeout_s=LOAD_TIMEOUT_S)
    return (None, exc) if exc is not None else (future.result(), None)


def attempt(work: Callable[[], _T]) -> tuple[_T | None, BaseException | None]:
    """Run a plugin's own code and wait for what comes of it."""
    with Loader() as loader:
        return outcome(loader.begin(work, LOAD_TIMEOUT_S), Deadline.after(0.0))

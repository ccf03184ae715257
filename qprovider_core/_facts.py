"""What an account tells of its backends: remembered, or asked for; each thing by one call at a time."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import config
from qprovider_core._cache import Cache, Listing, Told
from qprovider_core._concurrency import Lanes
from qprovider_core.attributes import FACET_HOOKS
from qprovider_core.errors import ConfigurationError, DeadlineError, InvalidInputError, PluginError
from qprovider_core.records import BackendRef, Deadline

if TYPE_CHECKING:
    from qprovider_core._account import Account
    from qprovider_core._shelf import Shelf
    from qprovider_core.credentials import ResolvedAccount
    from qprovider_core.records import BackendConfiguration, BackendProperties, BackendStatus

_CALLS_AT_A_TIME = 32  # to one vendor, for a facet of several backends
# Hooks after which queues are not as they were told.
MOVING = frozenset({"qprovider_submit_job", "qprovider_cancel_job"})
_all: weakref.WeakSet[Facts] = weakref.WeakSet()  # of all accounts of this process
_all_lock = threading.Lock()


@attrs.frozen
class Got:
    """One facet of one backend.

    Attributes:
        told: The answer; None where there is none.
        error: What was raised instead.
        asked: Whether the vendor was asked for it, by whomever; else it was remembered.
    """

    told: Told[Any] | None = None
    error: BaseException | None = None
    asked: bool = True


class Facts:
    """What one account tells of its backends. Safe to share between threads."""

    def __init__(self, account: Account, resolved: ResolvedAccount) -> None:
        self._account = account
        self._resolved = resolved
        self._cache = Cache(account.spec.list_age_s)
        self._lanes = Lanes(_CALLS_AT_A_TIME)
        self._lock = threading.Lock()
        self._listing: Future[Told[Listing]] | None = None
        self._outstanding: dict[tuple[str, BackendRef], Future[Told[Any]]] = {}
        self._shelves: tuple[Path, Shelf] | None = None
        with _all_lock:
            _all.add(self)

    # -- where answers are remembered ---------------------------------------------------------------------

    def _remembering(self) -> tuple[bool, Shelf | None]:
        """Whether answers are remembered, and where on disk."""
        mode, directory = place()
        if not self._account.spec.list_age_s:  # asking it costs nothing, and it may have changed since
            return False, None
        if mode != "disk":
            return mode == "memory", None
        with self._lock:
            if self._shelves is None or self._shelves[0] != directory:
                from qprovider_core._shelf import shelf_of  # late: rare

                self._shelves = (directory, shelf_of(self._resolved, directory))
            return True, self._shelves[1]

    def queue_moved(self) -> None:
        """A job was submitted or cancelled: what was told of queues does not hold any more, for no account of this
        vendor, as they may share its devices. Never raises, for it stands between a job and its answer."""
        try:
            shelf = self._remembering()[1]
        except ConfigurationError:  # whoever asks for something that may be remembered is told
            shelf = None
        with _all_lock:
            others = list(_all)
        for other in others:
            if other._account.provider == self._account.provider:
                other._cache.queue_moved(shelf if other is self else None)

    def forget(self, ref: BackendRef) -> None:
        """Ask for this backend's facets anew when they are needed next."""
        self._cache.forget(ref)

    # -- the list -----------------------------------------------------------------------------------------

    def remembered_listing(self) -> Told[Listing] | None:
        """The list that was told last, however old."""
        remember, shelf = self._remembering()
        return self._cache.listing(shelf, stale=True) if remember else None

    def listing(self, deadline: Deadline, *, refresh: bool = False) -> tuple[Told[Listing], bool]:
        """The vendor's own list, unchecked, and whether it was asked for. One such call at a time: who comes second
        waits for the first's."""
        remember, shelf = self._remembering()
        if remember and not refresh and (known := self._cache.listing(shelf)) is not None:
            return known, False
        changed = self._cache.changed
        while True:
            with self._lock:
                listing = self._listing
                mine = listing is None
                if listing is None:
                    listing = self._listing = Future()
            if mine:
                break
            try:
                earlier = listing.result(timeout=deadline.timeout)
            except TimeoutError:
                if listing.done():
                    raise
                raise DeadlineError("an earlier request for its list has not been answered") from None
            if earlier.moment > changed:
                return earlier, True
            # A job was submitted since it was asked for: ask again.
        try:
            told = self._listed(deadline)
            if remember:
                self._cache.keep_listing(told, shelf)
        except BaseException as exc:
            self._listing = None
            listing.set_exception(exc)
            raise
        self._listing = None  # first: who waits may have to ask again at once
        listing.set_result(told)
        return told, True

    def _listed(self, deadline: Deadline) -> Told[Listing]:
        begun: Told[None] = Told(None)
        answer = self._account.call("qprovider_list_backends", deadline=deadline)
        if not isinstance(answer, Iterable) or isinstance(answer, str | bytes | dict):
            plugin = self._account.vendor.plugin_name
            raise PluginError(
                f"The plugin {plugin!r} listed its backends with a {type(answer).__name__}; a list was expected.",
                plugin=plugin,
                hook="qprovider_list_backends",
            )
        return Told(tuple(answer), begun.at, begun.moment)

    # -- facets of several backends -----------------------------------------------------------------------

    def remembered(self, facet: str, refs: Sequence[BackendRef]) -> dict[int, Got]:
        """What was told last of that facet, however old; nobody is asked."""
        remember, shelf = self._remembering()
        if not remember:
            return {}
        known = {place: self._cache.facet(facet, ref, shelf, stale=True) for place, ref in enumerate(refs)}
        return {place: Got(told, asked=False) for place, told in known.items() if told is not None}

    def each(
        self, facet: str, refs: Sequence[BackendRef], deadline: Deadline, *, refresh: bool = False
    ) -> dict[int, Got]:
        """One facet of several backends, side by side, until the deadline.

        Returns:
            Position of a backend to its answer. What is missing did not come in time.
        """
        remember, shelf = self._remembering()
        found: dict[int, Got] = {}
        waiting: list[int] = []
        for position, ref in enumerate(refs):
            told = self._cache.facet(facet, ref, shelf) if remember and not refresh else None
            if told is not None:
                found[position] = Got(told, asked=False)
            else:
                waiting.append(position)
        answers = self._lanes.map(
            lambda position: self._shared(facet, refs[position], deadline, refresh=refresh),
            waiting,
            deadline,
            f"{self._account.label}-{facet}",
        )
        for index, future in answers.items():
            error = future.exception()
            found[waiting[index]] = Got(future.result() if error is None else None, error)
        return found

    def _shared(self, facet: str, ref: BackendRef, deadline: Deadline, *, refresh: bool) -> Told[Any]:
        """Ask for one facet in this thread, or wait for whoever is asking for it already."""
        remember, shelf = self._remembering()
        changed = self._cache.changed if facet == "status" else float("-inf")
        while True:
            with self._lock:
                asking = self._outstanding.get((facet, ref))
                mine = asking is None
                if asking is None:
                    asking = self._outstanding[facet, ref] = Future()
            if mine:
                break
            try:
                earlier = asking.result(timeout=deadline.timeout)
                if earlier.moment > changed:
                    return earlier
            except (TimeoutError, DeadlineError):
                if deadline.remaining_s() <= 0 or not asking.done():
                    raise
                # Whoever asked had less time than there is here: ask again.
        begun: Told[None] = Told(None)
        try:
            # It may have come between the look into the cache and now.
            known = self._cache.facet(facet, ref, shelf) if remember and not refresh else None
            if known is None:
                hook = FACET_HOOKS[facet]
                answer = self._account.call(hook, deadline=deadline, backend=ref)
                known = Told(answer, begun.at, begun.moment)
                if remember and (answer is not None or facet == "properties"):
                    self._cache.keep_facet(facet, ref, known, shelf)
        except BaseException as exc:
            self._outstanding.pop((facet, ref))
            asking.set_exception(exc)
            raise
        self._outstanding.pop((facet, ref))  # first: who waits and has time left may ask again at once
        asking.set_result(known)
        return known

    # -- one facet of one backend -------------------------------------------------------------------------

    def status(self, ref: BackendRef, timeout: float | None = None) -> BackendStatus:
        """A backend's status now, never a remembered one."""
        status: BackendStatus = self._one("status", ref, timeout, refresh=True)
        return status

    def configuration(
        self, ref: BackendRef, timeout: float | None = None, *, refresh: bool = False
    ) -> BackendConfiguration:
        """What a backend can run."""
        found: BackendConfiguration = self._one("configuration", ref, timeout, refresh=refresh)
        return found

    def properties(
        self,
        ref: BackendRef,
        at: datetime | None = None,
        timeout: float | None = None,
        *,
        refresh: bool = False,
    ) -> BackendProperties | None:
        """A backend's calibration, now or the newest before `at`; None where there is none."""
        hook = FACET_HOOKS["properties"]
        if not self._account.supports(hook):
            return None
        found: BackendProperties | None
        if at is not None:
            found = self._account.ask(hook, backend=ref, at=at, timeout=timeout)
        else:
            found = self._one("properties", ref, timeout, refresh=refresh)
        return found

    def _one(self, facet: str, ref: BackendRef, timeout: float | None, *, refresh: bool) -> Any:
        hook = FACET_HOOKS[facet]
        self._account.vendor.require(hook)
        config.timeout_s(timeout)  # refused whether or not there is anything to wait for
        remember, shelf = self._remembering()
        told = self._cache.facet(facet, ref, shelf) if remember and not refresh else None
        if told is None:
            told = self._account.waited(
                lambda deadline: self._shared(facet, ref, deadline, refresh=refresh), hook, timeout
            )
        if told.value is None and facet != "properties":
            plugin = self._account.vendor.plugin_name
            raise PluginError(
                f"The plugin {plugin!r} gave no answer to {hook}.",
                plugin=plugin,
                hook=hook,
                hint="This is a fault of the plugin: report it to its authors.",
            )
        return told.value


# -------------------------------------------------------------------------------------------- what users may set

_chosen: tuple[str, Path | None] | None = None


def place() -> tuple[str, Path]:
    """Where answers are remembered (``memory``, ``disk`` or ``off``), and the directory for those on disk."""
    if _chosen is None:
        mode = config.cache_mode()
        return mode, config.cache_dir() if mode == "disk" else Path()
    mode, directory = _chosen
    return mode, directory or config.cache_dir()


def use_cache(where: str | Path | None) -> None:
    """Say where answers about backends are remembered, for this process.

    Args:
        where: ``"memory"``; ``"disk"``, in memory and in files that the next process finds; a directory for those;
            ``"off"``; or None for what the environment says (QPROVIDER_CACHE, QPROVIDER_CACHE_DIR).
    """
    global _chosen
    if where is None:
        _chosen = None
    elif isinstance(where, Path):
        _chosen = ("disk", where.expanduser().absolute())
    elif where in ("memory", "disk", "off"):
        _chosen = (where, None)
    else:
        raise InvalidInputError(
            f"use_cache takes 'memory', 'disk', 'off' or a directory as a Path, not {where!r}.",
            hint="A directory is given as pathlib.Path('…').",
        )

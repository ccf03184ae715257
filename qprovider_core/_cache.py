"""What a vendor told of its backends, remembered for as long as it holds.

- The list holds for seconds (`ProviderSpec.list_age_s`), and a status for as long: queues move. What this process
  changes itself, by submitting or cancelling a job, ends it at once.
- A configuration holds for a day, and only while the backend says the same version: lists, statuses and calibrations
  that tell one are listened to.
- A calibration holds until a list tells of a newer one; from vendors whose lists do not tell, for ten minutes.

Nothing else is remembered, errors in particular. What no longer holds is kept, to be given to those who ask for stale
answers while a vendor is down.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from qprovider_core.records.accounts import ProviderSpec
from qprovider_core.records.backends import BackendInfo, BackendRef

if TYPE_CHECKING:
    from qprovider_core._shelf import Shelf

T = TypeVar("T")

LIST_AGE_S: float = attrs.fields(ProviderSpec).list_age_s.default or 15.0
CONFIGURATION_AGE_S = 24 * 3600.0
PROPERTIES_AGE_S = 600.0  # where no list tells when the backend was calibrated
_MOST = {"status": 20_000, "configuration": 1000, "properties": 200}  # remembered of one account
_FUTURE_S = 5.0  # how far ahead of this machine's clock a moment on disk may be


@attrs.frozen
class Told(Generic[T]):
    """Something that a vendor told.

    Attributes:
        at: When it was asked for, aware UTC.
        moment: The same on this process's `time.monotonic` clock, in seconds.
    """

    value: T
    at: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    moment: float = attrs.field(factory=time.monotonic)

    @classmethod
    def earlier(cls, value: T, at: datetime) -> Told[T] | None:
        """What was told at a moment of the past, by the clock on the wall; None where that lies in the future."""
        age_s = (datetime.now(UTC) - at).total_seconds()
        return cls(value, at, time.monotonic() - max(age_s, 0.0)) if age_s > -_FUTURE_S else None

    def age_s(self) -> float:
        """Seconds since it was asked for."""
        return max(0.0, time.monotonic() - self.moment)


Listing = tuple[Any, ...]  # records, and whatever else a vendor put into its list
_Key = tuple[str, str | None]


class Cache:
    """What one account was told of its backends. Safe to share between threads."""

    def __init__(self, list_age_s: float) -> None:
        self._list_age_s = list_age_s
        self._lock = threading.RLock()
        self._listing: Told[Listing] | None = None
        self._facets: dict[str, OrderedDict[_Key, Told[Any]]] = {facet: OrderedDict() for facet in _MOST}
        self._versions: dict[_Key, str] = {}
        self._calibrated: dict[_Key, datetime] = {}
        self._unread: Listing = ()  # a list that was not looked through for versions and calibrations yet
        self._changed = float("-inf")  # when this process last did something that moves a queue
        self._dropped: dict[_Key, float] = {}

    # -- the list -----------------------------------------------------------------------------------------

    def listing(self, shelf: Shelf | None = None, *, stale: bool = False) -> Told[Listing] | None:
        """The list, if it still holds; with `stale`, whatever was told last.

        Args:
            shelf: Where lists of earlier processes are.
        """
        with self._lock:
            told = self._listing
            if told is not None and self._list_holds(told, shelf):
                return told
            if shelf is not None and (kept := shelf.listing()) is not None:
                newer = told is None or kept.moment > told.moment
                if newer and kept.moment > self._changed:
                    self._listing, self._unread = kept, kept.value
                    told = kept
                    if self._list_holds(kept, shelf):
                        return kept
            return told if stale else None

    def _list_holds(self, told: Told[Listing], shelf: Shelf | None) -> bool:
        return told.age_s() < self._list_age_s and not self._moved(told, shelf) and _is_whole(told)

    def _moved(self, told: Told[Any], shelf: Shelf | None) -> bool:
        """Whether this process, or one that shares the shelf, moved a queue since."""
        return told.moment <= self._changed or (shelf is not None and shelf.changed_since(told.at))

    def keep_listing(self, told: Told[Listing], shelf: Shelf | None = None) -> None:
        with self._lock:
            kept = self._listing
            if kept is None or (told.moment >= kept.moment and (_is_whole(told) or not _is_whole(kept))):
                self._listing, self._unread = told, told.value
        if shelf is not None:
            shelf.keep_listing(told)

    @property
    def changed(self) -> float:
        """When this process last moved a queue, on the clock of `Told.moment`."""
        return self._changed

    def queue_moved(self, shelf: Shelf | None = None) -> None:
        """This process changed a queue: what was told of queues before does not hold any more."""
        with self._lock:
            self._changed = time.monotonic()
            self._facets["status"].clear()
        if shelf is not None:
            shelf.mark_changed()

    # -- facets -------------------------------------------------------------------------------------------

    def facet(
        self, facet: str, ref: BackendRef, shelf: Shelf | None = None, *, stale: bool = False
    ) -> Told[Any] | None:
        """A backend's status, configuration or calibration, if it still holds; with `stale`, the last one."""
        key = (ref.name, ref.instance)
        with self._lock:
            self._listen()
            told = self._facets[facet].get(key)
        if told is None and shelf is not None and facet != "status":
            told = shelf.facet(facet, ref)
            if told is not None:
                with self._lock:
                    if told.moment <= self._dropped.get(key, float("-inf")):
                        return None
                    told = self._facets[facet].setdefault(key, told)
        if told is None:
            return None
        with self._lock:
            return told if stale or self._facet_holds(facet, key, told, shelf) else None

    def _facet_holds(self, facet: str, key: _Key, told: Told[Any], shelf: Shelf | None) -> bool:
        if facet == "status":
            return told.age_s() < self._list_age_s and not self._moved(told, shelf)
        if facet == "configuration":
            version, own = self._versions.get(key), told.value.backend_version
            return told.age_s() < CONFIGURATION_AGE_S and (version is None or own is None or version == own)
        calibrated, own = self._calibrated.get(key), getattr(told.value, "last_update", None)
        if calibrated is not None and own is not None:
            return bool(own >= calibrated) and told.age_s() < CONFIGURATION_AGE_S
        return told.age_s() < PROPERTIES_AGE_S

    def keep_facet(self, facet: str, ref: BackendRef, told: Told[Any], shelf: Shelf | None = None) -> None:
        key = (ref.name, ref.instance)
        with self._lock:
            if facet == "status" and told.moment <= self._changed:
                return
            kept = self._facets[facet]
            kept[key] = told
            kept.move_to_end(key)
            while len(kept) > _MOST[facet]:
                kept.popitem(last=False)
            if facet != "configuration" and isinstance(version := getattr(told.value, "backend_version", None), str):
                self._listen()
                self._versions[key] = version
        if shelf is not None and facet != "status":
            shelf.keep_facet(facet, ref, told)

    def forget(self, ref: BackendRef) -> None:
        """Forget what was told of one backend, so that it is asked for anew."""
        key = (ref.name, ref.instance)
        with self._lock:
            self._dropped[key] = time.monotonic()
            for kept in self._facets.values():
                kept.pop(key, None)

    def _listen(self) -> None:
        """Note the versions and the times of calibration that the last list told. Done when it first matters: lists
        may have many thousand entries."""
        listed: Iterable[Any] = self._unread
        self._unread = ()
        for info in listed:
            if isinstance(info, BackendInfo):
                if isinstance(info.version, str):
                    self._versions[info.name, info.instance] = info.version
                if isinstance(info.calibrated_at, datetime) and info.calibrated_at.tzinfo is not None:
                    self._calibrated[info.name, info.instance] = info.calibrated_at


def _is_whole(told: Told[Listing]) -> bool:
    """Whether every part of a list could be had."""
    return all(isinstance(one, BackendInfo) for one in told.value)

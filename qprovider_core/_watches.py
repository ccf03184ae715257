"""What is known of jobs that are waited for, and of requests about them that are under way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core.records import JobQuery, JobState

if TYPE_CHECKING:
    from qprovider_core._polling import Group

LONGEST_PAUSE_S = 60.0  # between two looks
PATIENCE = 8  # failures in a row that nobody is told of; answers in a row that cannot be read


@attrs.define
class Trouble:
    """What has gone wrong in a row.

    Attributes:
        failures: Requests that were not answered; garbage: answers that could not be read.
        lost_s: How long nothing was heard, without times in which nobody asked (the machine slept).
    """

    failures: int = 0
    garbage: int = 0
    lost_s: float = 0.0
    _last: float | None = None

    def lost(self, now: float) -> None:
        """Note that a request was not answered."""
        self.failures += 1
        self.lost_s += 0.0 if self._last is None else min(now - self._last, 2 * LONGEST_PAUSE_S)
        self._last = now

    def over(self) -> None:
        """Note that there was an answer."""
        self.failures, self.garbage, self.lost_s, self._last = 0, 0, 0.0, None

    @property
    def worth_saying(self) -> bool:
        """Whether it is time to say so: at 8 in a row, 16, 32, …"""
        times, rest = divmod(self.failures, PATIENCE)
        return rest == 0 and times.bit_count() == 1


@attrs.define(eq=False)
class Watch:
    """One job that is waited for.

    Attributes:
        looked: Whether it was looked at, with or without success.
        busy: Whether a request about it is under way.
        asked_at: When it was last asked for by itself; alone_at: when it may be again, where the list lacks it.
        unknowns: Looks in a row with a status that the plugin does not know.
    """

    job: Any
    looked: bool = False
    busy: bool = False
    asked_at: float = -math.inf
    alone_at: float = -math.inf
    unknowns: int = 0
    trouble: Trouble = attrs.field(factory=Trouble)

    @property
    def state(self) -> JobState:
        """As it was last told."""
        state: JobState = self.job.info.state
        return state

    @property
    def listed(self) -> bool:
        """Whether a vendor's list may have it under its id."""
        return self.state is not JobState.SUBMIT_UNKNOWN and getattr(self.job, "listed", True) is not False


@attrs.define(eq=False)
class Request:
    """One request that is under way.

    Attributes:
        watches: Whom it is about, and who has not been found yet.
        query: Of a list; None: one job by itself.
        late_at: When it counts as lost.
        held: Whether the vendor may hold its answer; before: the state until then.
        cursors: Pages of the list that were asked for.
    """

    group: Group
    watches: list[Watch]
    work: Callable[[], Any]
    late_at: float
    query: JobQuery | None = None
    held: bool = False
    before: JobState | None = None
    cursors: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """For its thread."""
        return f"{self.group.account.label}-wait"

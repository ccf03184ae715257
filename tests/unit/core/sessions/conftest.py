"""A vendor with sessions, built from a few functions."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from qprovider_core import hookimpl
from qprovider_core.errors import InvalidInputError, UnknownSessionError
from qprovider_core.records import ProviderSpec, SessionInfo

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPEC = ProviderSpec(name="acme", title="Acme", min_poll_s=0.001, settle_time_s=0.0, run_options=("session_id", "depth"))


class Rooms:
    """A vendor's sessions: what was asked, and how they stand."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.ended: list[Any] = []
        self.rooms: dict[str, SessionInfo] = {}
        self.faults: list[Exception] = []  # raised, in turn, by whatever is asked next

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    @hookimpl
    def open_session(self, request: Any) -> Any:
        self._fail()
        self.requests.append(request)
        room = SessionInfo(id=f"s{len(self.requests)}", mode=request.mode, state="open", accepting_jobs=True)
        self.rooms[room.id] = room
        return room

    @hookimpl
    def close_session(self, session_id: Any, cancel: Any) -> Any:
        self._fail()
        self.ended.append((session_id, cancel))
        self.expire(session_id)
        return True

    @hookimpl
    def session_details(self, session_id: Any) -> Any:
        self._fail()
        if session_id not in self.rooms:
            raise UnknownSessionError(session_id)
        return self.rooms[session_id]

    def expire(self, session_id: str) -> None:
        self.rooms[session_id] = attrs.evolve(
            self.rooms[session_id],
            state="closed",
            state_reason="Its time is over.",
            accepting_jobs=False,
            closed_at=NOON,
        )

    def hooks(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("open_session", "close_session", "session_details")}


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
def spec() -> ProviderSpec:
    """What a vendor with sessions announces."""
    return SPEC


@pytest.fixture
def acme(service: Callable[..., Any], rooms: Rooms) -> Any:
    """A vendor with sessions, which refuses jobs in those that are closed."""
    made: Any = None

    @hookimpl
    def submit_job(request: Any) -> Any:
        room = rooms.rooms.get(request.session_id)
        made.sent.append(request)
        if room is not None and room.over:
            raise InvalidInputError("Room closed.")
        return made.take(request)

    made = service(spec=SPEC, submit_job=submit_job, **rooms.hooks())
    made.rooms = rooms
    return made

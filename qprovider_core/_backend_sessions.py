"""Into which session a backend's handle sends its jobs. No Qiskit here."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core.errors import InvalidInputError, SessionClosedError
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._session import Batch, Session

_log = get_logger("qprovider.sessions")


@attrs.frozen(eq=False)
class _Entry:
    """A session that is current, and the thread that made it so; None once it has come from another process."""

    session: Session
    thread: threading.Thread | None


class CurrentSessions:
    """The sessions that are current for one handle.

    What a thread made current is so for itself; it is so for the other threads as well, unless several threads did:
    then nobody can tell which one those mean that did not.
    """

    def __init__(self, sessions: Iterable[Session] = ()) -> None:
        self._lock = threading.Lock()
        self._entries = [_Entry(session, None) for session in sessions]

    def enter(self, session: Session) -> None:
        """Make it current from now on; those that are over are not any more."""
        with self._lock:
            self._entries = [one for one in self._entries if one.session is session or not one.session.closed]
            if any(one.session is session for one in self._entries):
                return
            mine = [one.session for one in self._entries if one.thread is threading.current_thread()]
            self._entries.append(_Entry(session, threading.current_thread()))
        if mine:
            _log.warning("%r is open still; jobs go into %r until that is closed", mine[-1], session)

    def leave(self, session: Session) -> None:
        """It is not current any more."""
        with self._lock:
            self._entries = [one for one in self._entries if one.session is not session]

    @contextmanager
    def joining(self, session: Session) -> Iterator[None]:
        """It is the current one of this thread meanwhile, whatever else is."""
        entry = _Entry(session, threading.current_thread())
        with self._lock:
            self._entries.append(entry)
        try:
            yield
        finally:
            with self._lock:
                self._entries = [one for one in self._entries if one is not entry]

    def current(self) -> Session | None:
        """The one that this thread's jobs go into.

        Raises:
            InvalidInputError: Several threads have one each, and this one has none.
        """
        with self._lock:
            entries = list(self._entries)
        mine = [one for one in entries if one.thread is threading.current_thread()]
        if not mine and len({one.thread for one in entries}) > 1:
            raise InvalidInputError(
                "Several threads have opened sessions on this handle, and this one has not: which one is meant?",
                hint="Say it with session.run(…), or give each thread a handle of its own: copy.copy(backend).",
            )
        return (mine or entries)[-1].session if entries else None

    def told_closed(self, exc: SessionClosedError) -> None:
        """Take note that a session is over, so that the next job is refused before it is sent."""
        with self._lock:
            entries = list(self._entries)
        for one in entries:
            if one.session.session_id == exc.session_id:
                one.session.told_closed(exc)

    def copy(self) -> CurrentSessions:
        """The same for a copy of the handle, which goes its own way from then on."""
        copied = CurrentSessions()
        with self._lock:
            copied._entries = list(self._entries)
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        with self._lock:
            return (CurrentSessions, ([one.session for one in self._entries],))


class InSessions:
    """A backend's handle, as far as sessions go."""

    _sessions: CurrentSessions

    @property
    def session(self) -> Session | None:
        """The session or batch that jobs of this handle go into; None for none.

        Raises:
            InvalidInputError: Several threads opened one each, and this one did not.
        """
        return self._sessions.current()

    def open_session(self, max_time: float | str | None = None, *, timeout: float | None = None) -> Session:
        """Open a session: its jobs run one after another, while the device is held for them.

        It is the handle's current one, into which `run` and the vendor's primitives send their jobs, until it is left
        (``with backend.open_session() as session:``) or closed with `close_session`; in all threads, but for those
        that open one of their own. Copies of the handle that are made meanwhile have it, too.

        Args:
            max_time: Longest life of it: seconds, or a text such as ``"8h"``, ``"30m"`` or ``"1h 30m"``; None for
                the vendor's default.
            timeout: Seconds for opening it.
        Returns:
            The session. Where the vendor has none, `Session.supported` is False, the log says so, and the jobs are
            ordinary ones.
        Raises:
            InvalidInputError: `max_time` is no length of time, and nothing was sent; or the vendor refuses.
        """
        from qprovider_core._session import Session  # late: most handles open none

        session = Session(self, max_time, timeout=timeout)  # type: ignore[arg-type]  # it is a backend
        self._sessions.enter(session)
        return session

    def open_batch(self, max_time: float | str | None = None, *, timeout: float | None = None) -> Batch:
        """Open a batch: its jobs may run side by side, without the device being held. See `open_session`."""
        from qprovider_core._session import Batch  # late: most handles open none

        batch = Batch(self, max_time, timeout=timeout)  # type: ignore[arg-type]  # it is a backend
        self._sessions.enter(batch)
        return batch

    def close_session(self) -> None:
        """Close the current session, if there is one: it takes no more jobs, those that it has go on. Later jobs are
        ordinary ones."""
        self._end_session(cancel=False)

    def cancel_session(self) -> None:
        """Close the current session, if there is one, and drop those of its jobs that wait."""
        self._end_session(cancel=True)

    def _end_session(self, *, cancel: bool) -> None:
        session = self._sessions.current()
        if session is not None:
            if cancel:
                session.cancel()
            else:
                session.close()
            self._sessions.leave(session)

    def _joined(self, explicit: Any = None) -> str | None:
        """The id of the session that a job belongs to: the one that is named, else the current one.

        Raises:
            SessionClosedError: It is known to take no more jobs.
        """
        if explicit is not None:
            return str(explicit)
        session = self._sessions.current()
        if session is None:
            return None
        session.check_open()
        return session.session_id

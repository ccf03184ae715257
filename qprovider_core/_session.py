"""`Session` and `Batch`: jobs that belong together at their vendor. Needs Qiskit only through the backend's handle."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import attrs

from qprovider_core._job_book import ask_jobs
from qprovider_core._job_query import AskedJobs, checked_limit
from qprovider_core._lists import JobList
from qprovider_core._max_time import seconds_of
from qprovider_core._session_opening import opened_session
from qprovider_core._session_state import closed_error, told_now
from qprovider_core.errors import (
    InvalidInputError,
    PluginError,
    QProviderError,
    SessionClosedError,
    TransportError,
    UnknownBackendError,
    UnknownSessionError,
    UnsupportedError,
    failure_text,
)
from qprovider_core.records import SessionInfo
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._account import Account
    from qprovider_core._backend import Backend
    from qprovider_core._job import Job

_log = get_logger("qprovider.sessions")
_NOT_OFFERED = "not offered"  # the state that is told where there are no sessions


class Session:
    """Jobs of one backend that run one after another, while their vendor holds the device for them.

        with backend.open_session(max_time="1h") as session:
            job = backend.run(circuit)

    Where the vendor has no sessions, `supported` is False and the jobs are ordinary ones: nothing else changes.
    A session is safe to share between threads. A copy is the session itself; a pickled one is the same session in
    another process, by its id.

    Attributes:
        mode: ``session`` or ``batch``.
        session_id: The vendor's id of it; None where the vendor has no sessions.
        supported: Whether the vendor has sessions.
    """

    mode: ClassVar[Literal["session", "batch"]] = "session"
    _info: SessionInfo | None  # as it was last told; None where the vendor has no sessions

    def __init__(self, backend: Backend, max_time: float | str | None = None, *, timeout: float | None = None) -> None:
        """Open one. `Backend.open_session` does so, too, and has the backend's jobs join it.

        Args:
            backend: The handle of the backend.
            max_time: Longest life of it: seconds, or a text such as ``"8h"``, ``"30m"`` or ``"1h 30m"``; None for
                what the vendor has as default. The vendor says from when it counts, and the most that it allows.
            timeout: Seconds for opening it.
        Raises:
            InvalidInputError: `max_time` is no length of time; nothing was sent. Or the vendor refuses.
        """
        from qprovider_core._backend import Backend  # late: backends import this module

        if not isinstance(backend, Backend):
            raise InvalidInputError(
                f"{type(self).__name__} takes the handle of a backend, not {backend!r}.",
                hint="Open it: qprovider_core.get_backend('provider:name').",
            )
        longest_s = seconds_of(max_time)
        self._begin(backend._account, backend)
        if self._account.supports("qprovider_open_session"):
            self._info = opened_session(self._account, backend.info.ref, self.mode, longest_s, timeout)
        else:
            _log.warning(
                "%s The jobs of this %s on %s are ordinary ones.", self._no_sessions, self.mode, backend.full_name
            )

    def _begin(self, account: Account, backend: Backend | None) -> None:
        self._account = account
        self._handle = backend
        self._lock = threading.RLock()
        self._info = None
        self._ended: str | None = None  # what was done to it here, and when
        self._why_over: str | None = None  # what its vendor said when it refused a job
        self._done: set[str] = set()  # what its vendor has been told

    @classmethod
    def from_id(
        cls,
        session_id: str,
        service: Any = None,
        *,
        backend: Backend | None = None,
        account: Any = None,
        provider: str | None = None,
        timeout: float | None = None,
    ) -> Session:
        """The session or batch of that id, opened in this process or elsewhere; its vendor is asked for it.

        Args:
            service: Who has it: an `Account`, or a vendor's own face of one, such as `IBMProvider`.
            backend: A handle of its backend, to run on.
            account, provider: Names, instead: all accounts that fit are asked.
            timeout: Seconds for looking it up.
        Returns:
            A `Batch` for a batch. It need not be open: see `closed`.
        Raises:
            UnknownSessionError: Nobody has one of that id.
        """
        from qprovider_core._session_search import found_session  # late: it imports the fleet

        owner, info = found_session(
            session_id, service=service, backend=backend, account=account, provider=provider, timeout=timeout
        )
        kind = Batch if info.mode == "batch" else Session
        if not issubclass(kind, cls):
            raise InvalidInputError(f"{session_id} is no batch but a session.", hint="Use Session.from_id().")
        if backend is not None and info.backend not in (None, backend.name):
            raise InvalidInputError(f"The {info.mode} {session_id} is for {info.backend}, not for {backend.name}.")
        found = kind.__new__(kind)
        found._begin(owner, backend)
        found._info = info
        return found

    # -- what it is ---------------------------------------------------------------------------------------

    @property
    def session_id(self) -> str | None:
        return None if self._info is None else self._info.id

    @property
    def supported(self) -> bool:
        return self._info is not None

    @property
    def _no_sessions(self) -> str:
        return f"The provider {self._account.provider!r} has no sessions."

    @property
    def account(self) -> Account:
        """The account that it belongs to."""
        return self._account

    @property
    def backend(self) -> Backend:
        """The backend that it is for."""
        if self._handle is None:
            self._handle = self._found_backend()
        return self._handle

    def _found_backend(self) -> Backend:
        assert self._info is not None  # else it was opened with a handle
        name, instance = self._info.backend, self._info.instance
        if name is None:
            raise InvalidInputError(
                f"The vendor does not say which backend {self.mode} {self._info.id} is for.",
                hint="Say it: Session.from_id(session_id, backend=backend).",
            )
        try:
            return self._account.get_backend(name, instance=instance)
        except UnknownBackendError:
            if instance is None:
                raise
        handle = self._account.get_backend(name)  # listed for another place, and offered in this one, too
        handle.info = attrs.evolve(handle.info, instance=instance, instance_name=None)
        return handle

    @property
    def closed(self) -> bool:
        """Whether it takes no more jobs, as far as is known here; `details` asks the vendor."""
        return self._ended is not None or (self._info is not None and self._info.over)

    def details(self, timeout: float | None = None) -> SessionInfo:
        """How it stands now; asks the vendor. Where there are no sessions its state is ``not offered``.

        Raises:
            UnknownSessionError: The vendor does not know it any more.
        """
        if self._info is None:
            return SessionInfo(
                id="",
                mode=self.mode,
                backend=self.backend.name,
                instance=self.backend.instance,
                state=_NOT_OFFERED,
                state_reason=self._no_sessions,
            )
        if self._account.supports("qprovider_session_details"):
            self._take(told_now(self._account, self._info.id, timeout))
        return self._info

    def _take(self, told: SessionInfo) -> None:
        known = self._info
        assert known is not None
        self._info = attrs.evolve(
            told, id=known.id, instance=told.instance or known.instance, backend=told.backend or known.backend
        )

    def status(self, timeout: float | None = None) -> str | None:
        """The vendor's word for how it stands now; None where it has none."""
        return self.details(timeout).state

    def usage(self, timeout: float | None = None) -> float | None:
        """Quantum time that it has used so far, in seconds; None where the vendor does not say (yet)."""
        return self.details(timeout).usage_s

    def jobs(self, limit: int | None = 10, timeout: float | None = None) -> JobList[Job]:
        """Its jobs, newest first, as the vendor and the ledger know them; `.errors` says what is missing.

        Args:
            limit: At most so many; None for all.
        """
        if self._info is None:
            return JobList(notes=[f"{self._no_sessions} Its jobs are among those of the account: account.jobs()."])
        from qprovider_core._job import make_job  # late: jobs need Qiskit

        asked = AskedJobs(session_id=self._info.id, limit=checked_limit(limit))
        found = ask_jobs(asked, accounts=[self._account], timeout=timeout)
        handles = [make_job(self._account, record.info) for record in found]
        return JobList(handles, errors=found.errors, notes=found.notes, as_of=found.as_of)

    # -- running ------------------------------------------------------------------------------------------

    def run(self, circuits: Any, **options: Any) -> Job:
        """Submit circuits as one job of this session; arguments as in the backend's `run`.

        Raises:
            SessionClosedError: It takes no more jobs; the job was not taken.
        """
        self.check_open()
        with self.backend._sessions.joining(self):
            return self.backend.run(circuits, **options)

    def sampler(self, options: Any = None, **more: Any) -> Any:
        """The backend's own sampler, its jobs in this session.

        Raises:
            UnsupportedError: The backend has none of its own.
        """
        return self._primitive("sampler", options, more)

    def estimator(self, options: Any = None, **more: Any) -> Any:
        """The backend's own estimator, its jobs in this session.

        Raises:
            UnsupportedError: The backend has none of its own.
        """
        return self._primitive("estimator", options, more)

    def _primitive(self, name: str, options: Any, more: dict[str, Any]) -> Any:
        make = getattr(self.backend, name, None)
        if not callable(make):
            raise UnsupportedError(
                f"{self.backend.full_name} has no {name} of its own.",
                why=f"The plugin of {self._account.spec.title} brings none.",
                hint=f"Use Qiskit's: qiskit.primitives.Backend{name.title()}V2(backend=session.backend), "
                "inside of `with session:`.",
                capability=name,
                plugin=self._account.vendor.plugin_name,
            )
        return make(options, mode=self, **more)

    def check_open(self) -> None:
        """Refuse a job when it is known here that none is taken any more.

        Raises:
            SessionClosedError: So it is.
        """
        if self.closed:
            info = self._info or SessionInfo(id="", mode=self.mode)
            raise closed_error(info, why=self._why_over if self._ended is None else f"It was {self._ended}.")

    def told_closed(self, exc: SessionClosedError) -> None:
        """Take note that its vendor refused a job because it is over."""
        if self._info is not None:
            state, self._why_over = exc.state or self._info.state, exc.why
            self._info = attrs.evolve(self._info, accepting_jobs=False, closed_at=exc.closed_at, state=state)

    # -- ending it ----------------------------------------------------------------------------------------

    def close(self, timeout: float | None = None) -> None:
        """Take no more jobs; those that it has go on. Closing it again does nothing.

        Raises:
            QProviderError: Its vendor could not be told; from here it takes no more jobs all the same.
        """
        self._end("closed", cancel=False, timeout=timeout)

    def cancel(self, timeout: float | None = None) -> None:
        """Take no more jobs, and drop those that wait; what runs goes on.

        Raises:
            QProviderError: Its vendor could not be told; from here it takes no more jobs all the same.
        """
        self._end("cancelled", cancel=True, timeout=timeout)

    def _end(self, word: str, *, cancel: bool, timeout: float | None) -> None:
        with self._lock:
            if word in self._done or "cancelled" in self._done:
                return
            self._ended = self._ended or f"{word} here at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
            if self._info is not None and self._account.supports("qprovider_close_session"):
                try:
                    self._told_to_end(self._info.id, cancel, timeout)
                except UnknownSessionError:
                    _log.info("%s %s is gone at its vendor already", self.mode, self._info.id)
                except TransportError as exc:
                    exc.hint = " ".join(filter(None, (exc.hint, self._still_open())))
                    raise
            self._done.add(word)

    def _told_to_end(self, session_id: str, cancel: bool, timeout: float | None) -> None:
        done = self._account.ask("qprovider_close_session", session_id=session_id, cancel=cancel, timeout=timeout)
        if not done:
            raise PluginError(
                f"The plugin of {self._account.label} does not say that {self.mode} {session_id} was closed.",
                plugin=self._account.provider,
                hook="qprovider_close_session",
                hint="This is a fault of the plugin: report it to its authors.",
            )

    def _still_open(self) -> str:
        return f"It may still be open, and charged: Session.from_id({self.session_id!r}).close() tries again."

    def __enter__(self) -> Self:
        self.check_open()
        self.backend._sessions.enter(self)
        return self

    def __exit__(self, kind: Any, exc: BaseException | None, traceback: Any) -> None:
        self.backend._sessions.leave(self)
        try:
            self.close()
        except QProviderError as problem:
            if exc is None:
                raise
            # The error that ended the block is the one to see.
            exc.add_note(f"The {self.mode} {self.session_id} could not be closed: {failure_text(problem)}")
            _log.warning("the %s %s could not be closed: %s", self.mode, self.session_id, failure_text(problem))

    # -- travelling ---------------------------------------------------------------------------------------

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.RLock())

    def __repr__(self) -> str:
        kind = type(self).__name__
        if self._info is None:
            return f"<{kind} on {self.backend.full_name}: {_NOT_OFFERED}, its jobs are ordinary ones>"
        place = f" on {self._info.backend}" if self._info.backend else ""
        word = (
            self._ended.split(" ", 1)[0] if self._ended else self._info.state or ("closed" if self.closed else "open")
        )
        return f"<{kind} {self._info.id}{place}, {word}>"


class Batch(Session):
    """Jobs of one backend that belong together and may run side by side, without the device being held for them."""

    mode: ClassVar[Literal["session", "batch"]] = "batch"

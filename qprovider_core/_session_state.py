"""A session that takes no more jobs: how that is found out, and how it is said. No Qiskit here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qprovider_core import config
from qprovider_core.errors import (
    AuthenticationError,
    QProviderError,
    SessionClosedError,
    TransportError,
    UnknownSessionError,
    UnsupportedError,
    VetoError,
)
from qprovider_core.records import Deadline, SessionInfo

if TYPE_CHECKING:
    from qprovider_core._account import Account

# What says nothing of the session.
_OF_SOMETHING_ELSE = (TransportError, VetoError, UnsupportedError, AuthenticationError)


def told_now(account: Account, session_id: str, timeout: float | None = None, *, in_thread: bool = True) -> SessionInfo:
    """The session as its vendor tells it now.

    Raises:
        UnknownSessionError: The vendor has none of that id.
        UnsupportedError: The vendor does not tell.
    """
    hook = "qprovider_session_details"
    if in_thread:
        info = account.ask(hook, session_id=session_id, timeout=timeout)
    else:
        info = account.call(hook, session_id=session_id, deadline=Deadline.after(config.timeout_s(timeout)))
    if info is None:
        raise UnknownSessionError(session_id, what=f"{account.label} has no session {session_id!r}.")
    told: SessionInfo = info
    return told


def closed_error(info: SessionInfo, *, why: str | None = None) -> SessionClosedError:
    """The error for a job that was to run in a session that is over.

    Args:
        why: Why it is, where that is known here; else what the vendor tells.
    """
    kind = "batch" if info.mode == "batch" else "session"
    return SessionClosedError(
        f"The {kind} {info.id} takes no more jobs, so this one was not taken.",
        session_id=info.id or None,
        state=info.state,
        closed_at=info.closed_at,
        why=why or _told(info),
        hint=f"Open another one with backend.open_{kind}(), or run without one after backend.close_session(). "
        "The jobs that it took go on.",
    )


def _told(info: SessionInfo) -> str:
    since = f" since {info.closed_at:%Y-%m-%d %H:%M:%S} UTC" if info.closed_at is not None else ""
    reason = f" Its vendor says: {info.state_reason.rstrip('.')}." if info.state_reason else ""
    return f"It is {info.state or 'closed'}{since}.{reason}"


def of_session(
    account: Account, session_id: str | None, exc: QProviderError, *, in_thread: bool = True
) -> QProviderError:
    """What a job's refusal comes to: that its session is over, where its vendor says so now; else the same error."""
    if session_id is None or isinstance(exc, _OF_SOMETHING_ELSE) or not account.supports("qprovider_session_details"):
        return exc
    found: QProviderError
    try:
        info = told_now(account, session_id, in_thread=in_thread)
        if not info.over:
            return exc
        found = closed_error(info)
    except UnknownSessionError as unknown:
        found = unknown
    except QProviderError:
        return exc  # it tells more than that the session could not be looked at
    found.__cause__ = exc
    return found

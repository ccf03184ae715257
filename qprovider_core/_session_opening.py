"""Opening a session at its vendor. No Qiskit here."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal

import attrs

from qprovider_core import config
from qprovider_core.errors import PluginError, QProviderError, TransportError
from qprovider_core.records import BackendRef, Deadline, SessionInfo, SessionRequest
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._account import Account

_log = get_logger("qprovider.sessions")


def opened_session(
    account: Account,
    backend: BackendRef,
    mode: Literal["session", "batch"],
    longest_s: float | None,
    timeout: float | None,
) -> SessionInfo:
    """A new session or batch, as its vendor tells of it. One that is opened when nobody waits any more is closed.

    Raises:
        QProviderError: The vendor refuses, or did not answer.
    """

    def come_late(call: Future[Any]) -> None:
        call.add_done_callback(lambda call: _close_unwanted(account, call))

    request = SessionRequest(backend=backend, mode=mode, max_time_s=longest_s)
    try:
        info = account.ask("qprovider_open_session", request=request, timeout=timeout, late=come_late)
    except TransportError as exc:
        if exc.arrived is not False:
            maybe = f"The {mode} may be open all the same; without jobs its vendor ends it after a while."
            exc.hint = f"{exc.hint} {maybe}" if exc.hint else maybe
        raise
    if info is None or not info.id:
        raise PluginError(
            f"The plugin of {account.label} opened a {mode} without an id.",
            plugin=account.provider,
            hook="qprovider_open_session",
            hint="This is a fault of the plugin: report it to its authors.",
        )
    told: SessionInfo = attrs.evolve(
        info, backend=info.backend or backend.name, instance=info.instance or backend.instance
    )
    return told


def _close_unwanted(account: Account, call: Future[Any]) -> None:
    if call.exception() is not None or not isinstance(call.result(), SessionInfo):
        return
    session_id, deadline = call.result().id, Deadline.after(config.timeout_s())
    try:
        account.call("qprovider_close_session", session_id=session_id, cancel=False, deadline=deadline)
    except QProviderError as exc:
        _log.warning("session %s was opened too late to be used, and is still open: %s", session_id, exc.what)

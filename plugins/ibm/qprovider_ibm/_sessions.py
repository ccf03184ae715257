"""Sessions and batches of one account: opened, looked at, closed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from qprovider_core.records import BackendRef, Deadline, SessionInfo, SessionRequest
from qprovider_ibm import _wire
from qprovider_ibm._client import Client
from qprovider_ibm._errors import NO_SESSION, IBMRequestError, IBMUnknownSessionError
from qprovider_ibm._instances import Directory

_MODES = {"session": "dedicated", "batch": "batch"}  # the service's words


class Sessions:
    """What one account opens."""

    def __init__(self, client: Client, directory: Directory, crn_of: Callable[[BackendRef, Deadline], str]) -> None:
        self._client = client
        self._directory = directory
        self._crn_of = crn_of

    def open(self, request: SessionRequest, deadline: Deadline) -> SessionInfo:
        """Open a session or a batch.

        Raises:
            IBMRequestError: The service refuses, such as a session on the open plan.
        """
        crn = self._crn_of(request.backend, deadline)
        body: dict[str, Any] = {"mode": _MODES[request.mode], "backend": request.backend.name, "instance": crn}
        if request.max_time_s is not None:
            body["max_ttl"] = math.ceil(request.max_time_s)  # whole seconds, at least one
        try:
            return _wire.session_info(self._client.create_session(crn, body, deadline), crn)
        except IBMRequestError as exc:
            if exc.code == NO_SESSION and request.mode == "session":
                exc.why = " ".join(filter(None, ("The open plan has no sessions, only jobs and batches.", exc.why)))
                exc.hint = "Open a batch instead: backend.open_batch(). Or use an instance of another plan."
            raise

    def info(self, session_id: str, deadline: Deadline) -> SessionInfo:
        """A session as it stands.

        Raises:
            IBMUnknownSessionError: No instance that the account uses has it.
        """
        crn, data = self._found(session_id, deadline)
        return _wire.session_info(data, crn)

    def close(self, session_id: str, cancel: bool, deadline: Deadline) -> bool:
        """Take no more jobs into it; with `cancel`, also drop those that wait.

        Raises:
            IBMUnknownSessionError: No instance that the account uses has it.
        """
        crn, _ = self._found(session_id, deadline)
        self._client.close_session(crn, session_id, deadline, cancel=cancel)
        return True

    def _found(self, session_id: str, deadline: Deadline) -> tuple[str, Mapping[str, Any]]:
        """The first instance that knows the session, and what it tells."""
        instances = self._directory.chosen(deadline)
        for instance in instances:
            try:
                return instance.crn, self._client.session(instance.crn, session_id, deadline)
            except IBMRequestError as exc:
                if exc.status != 404:
                    raise
                refused = exc
        unknown = IBMUnknownSessionError(
            session_id,
            what=f"There is no session or batch {session_id!r}.",
            why=f"Asked: {', '.join(instance.label for instance in instances)}.",
            hint="Check the id, and the instance that it was opened in.",
        )
        for name in ("status", "code", "message", "solution", "more_info", "trace"):
            setattr(unknown, name, getattr(refused, name))
        raise unknown from refused

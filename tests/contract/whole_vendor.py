"""A vendor with every hook there is: the local simulators behind a token, with sessions. Jobs outlive connections."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import attrs

from qprovider_core.errors import AuthenticationError
from qprovider_core.hookspecs import hookimpl
from qprovider_core.records import BackendRef, ProviderSpec, SessionInfo, SessionRequest, TokenCredentials
from qprovider_local import (  # noqa: F401  its hooks are this vendor's, too
    qprovider_account_info,
    qprovider_backend_configuration,
    qprovider_backend_properties,
    qprovider_backend_status,
    qprovider_cancel_job,
    qprovider_delete_job,
    qprovider_find_submission,
    qprovider_get_job,
    qprovider_job_details,
    qprovider_job_result,
    qprovider_list_backends,
    qprovider_list_jobs,
    qprovider_submit_job,
    qprovider_update_job_tags,
)

if TYPE_CHECKING:
    from qiskit.transpiler import Target

TOKEN = "a-token-of-the-whole-vendor"


@cache
def service() -> Any:
    """What all connections lead to."""
    from qprovider_local import LocalOptions
    from qprovider_local._connection import Connection

    one = Connection(LocalOptions())
    one.sessions = {}  # type: ignore[attr-defined]
    return one


@hookimpl
def qprovider_provider() -> ProviderSpec:
    return ProviderSpec(name="whole", title="Whole vendor", credentials=TokenCredentials, min_poll_s=0.001)


@hookimpl
def qprovider_open_account(credentials: TokenCredentials) -> Any:
    if credentials.token.reveal() != TOKEN:
        raise AuthenticationError("The whole vendor does not know this token.", hint="Use another one.")
    return service()


@hookimpl
def qprovider_close_account() -> bool:
    return True


@hookimpl
def qprovider_backend_defaults(connection: Any, backend: BackendRef) -> dict[str, Any]:
    return {"meas_level": 2}


@hookimpl
def qprovider_backend_target(connection: Any, backend: BackendRef) -> Target:
    from qprovider_core import build_target

    return build_target(connection.configuration(backend.name), connection.properties(backend.name, None))


@hookimpl
def qprovider_open_session(connection: Any, request: SessionRequest) -> SessionInfo:
    session = SessionInfo(id=uuid4().hex, mode=request.mode, backend=request.backend.name, accepting_jobs=True)
    connection.sessions[session.id] = session
    return session


@hookimpl
def qprovider_session_details(connection: Any, session_id: str) -> SessionInfo:
    session: SessionInfo = connection.sessions[session_id]
    return session


@hookimpl
def qprovider_close_session(connection: Any, session_id: str, cancel: bool) -> bool:
    connection.sessions[session_id] = attrs.evolve(connection.sessions[session_id], accepting_jobs=False)
    return True

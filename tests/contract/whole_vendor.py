"""A vendor with every hook there is: the local simulators behind a token, with sessions. Jobs outlive connections."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import attrs

from qprovider_core.errors import AuthenticationError, InvalidInputError, UnknownSessionError
from qprovider_core.hookspecs import hookimpl
from qprovider_core.records import (
    BackendRef,
    JobInfo,
    JobPage,
    JobQuery,
    JobRef,
    JobRequest,
    ProviderSpec,
    SessionInfo,
    SessionRequest,
    TokenCredentials,
)
from qprovider_local import (  # noqa: F401  its hooks are this vendor's, too
    qprovider_account_info,
    qprovider_backend_configuration,
    qprovider_backend_properties,
    qprovider_backend_status,
    qprovider_cancel_job,
    qprovider_delete_job,
    qprovider_find_submission,
    qprovider_job_details,
    qprovider_job_result,
    qprovider_list_backends,
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
    one.joined = {}  # type: ignore[attr-defined]  # a job's id to its session's
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


def _of_session(connection: Any, info: JobInfo) -> JobInfo:
    return attrs.evolve(info, session_id=connection.joined.get(info.id))


@hookimpl
def qprovider_submit_job(connection: Any, request: JobRequest) -> JobInfo:
    session_id = request.session_id
    if session_id is not None and not qprovider_session_details(connection, session_id).accepting_jobs:
        raise InvalidInputError(f"The session {session_id} takes no jobs.", hint="Open another one.")
    info: JobInfo = connection.submit(request)
    connection.joined[info.id] = session_id
    return _of_session(connection, info)


@hookimpl
def qprovider_get_job(connection: Any, job: JobRef, wait_s: float) -> JobInfo:
    return _of_session(connection, connection.job(job.id, wait_s))


@hookimpl
def qprovider_list_jobs(connection: Any, query: JobQuery) -> JobPage:
    if query.session_id is None:
        page: JobPage = connection.jobs(query)
        return attrs.evolve(page, jobs=[_of_session(connection, info) for info in page.jobs])
    ids = tuple(job for job, session in connection.joined.items() if session == query.session_id)
    wanted = attrs.evolve(query, session_id=None, ids=tuple(set(query.ids) & set(ids)) if query.ids else ids)
    return qprovider_list_jobs(connection, wanted) if wanted.ids else JobPage(jobs=[])


@hookimpl
def qprovider_open_session(connection: Any, request: SessionRequest) -> SessionInfo:
    session = SessionInfo(id=uuid4().hex, mode=request.mode, backend=request.backend.name, accepting_jobs=True)
    connection.sessions[session.id] = session
    return session


@hookimpl
def qprovider_session_details(connection: Any, session_id: str) -> SessionInfo:
    session: SessionInfo | None = connection.sessions.get(session_id)
    if session is None:
        raise UnknownSessionError(session_id, hint="Open one.")
    return session


@hookimpl
def qprovider_close_session(connection: Any, session_id: str, cancel: bool) -> bool:
    connection.sessions[session_id] = attrs.evolve(connection.sessions[session_id], accepting_jobs=False)
    return True

"""Acme Quantum's machines for qprovider: the hooks, and nothing else.

Each function below is a hook that qprovider calls; its name, its arguments and its
answer are described in qprovider's guide "Writing a plugin". This file stays as it is
for the most part. What you replace is `_client.py` (your vendor's own client) and
`_wire.py` (its words and units as qprovider's records, and back).

Importing this module and announcing happen in every command of everybody who has the
plugin, so neither may import Qiskit, numpy or an HTTP client, and listing may import
neither of the first two. Import them inside the functions that need them.
"""

from __future__ import annotations

from collections.abc import Sequence

from qprovider_core import (
    AuthenticationError,  # @token only
    BackendConfiguration,
    BackendInfo,
    BackendRef,
    BackendStatus,
    InvalidInputError,
    JobInfo,
    JobPage,
    JobQuery,
    JobRef,
    JobRequest,
    JobResult,
    ProviderSpec,
    Submission,
    SubmissionOutcome,
    TokenCredentials,  # @token only
    UnknownBackendError,
    UnknownJobError,
    hookimpl,
)

from qprovider_acme import _wire
# @token
from qprovider_acme._client import Client, NotFound, Refused
# @none
# from qprovider_acme._client import Client, NotFound
# @end

__version__ = "0.1.0"


# ------------------------------------------------------------ announcement and account


@hookimpl
def qprovider_provider() -> ProviderSpec:
    """Who this plugin serves. It runs in every command: no I/O, and nothing slow."""
    return ProviderSpec(
        name="acme",  # as in `acme:simulator`; people write it down: do not change it
        title="Acme Quantum",
        description="Machines of Acme Quantum",
        # @token
        credentials=TokenCredentials,
        # REPLACE: where a newcomer gets a token, for those who have no account yet.
        credentials_help="Create a token at https://acme.example/tokens",
        # @end
        contract="qprovider_acme.contract:AcmeContract",
        # REPLACE: the shortest pause between two looks at a job. The stand-in answers
        # from memory; for a service behind a network the default of 0.5 s is right.
        min_poll_s=0.05,
        # REPLACE: how long after a submission the service may still not list the job,
        # at worst. Too short a time makes a job run twice after a lost answer.
        settle_time_s=0.0,
        # REPLACE: delete this line. The stand-in's jobs end with the Python process.
        process_bound=True,
    )


# @token
@hookimpl
def qprovider_open_account(credentials: TokenCredentials) -> Client:
    """The connection: any object of your own. Every other hook is given it."""
    try:
        return Client(credentials.token)
    except Refused as exc:
        raise AuthenticationError(
            "Acme Quantum does not know this token.",
            hint="Save another one with: qprovider accounts add acme --overwrite",
        ) from exc


# @none
# @hookimpl
# def qprovider_open_account() -> Client:
#     """The connection: any object of your own. Every other hook is given it."""
#     return Client()
#
#
# @end
@hookimpl
def qprovider_close_account(connection: Client) -> bool:
    """Release what the connection holds: threads, files, sockets."""
    connection.close()
    return True


# --------------------------------------------------------------------------- backends


@hookimpl
def qprovider_list_backends(connection: Client) -> Sequence[BackendInfo]:
    """All machines, in one cheap call. What would take a call for each stays None."""
    return [_wire.backend_info(row) for row in connection.machines()]


@hookimpl
def qprovider_backend_configuration(
    connection: Client, backend: BackendRef
) -> BackendConfiguration:
    """What the machine can run. Qiskit's Target is built from it."""
    return _wire.configuration(_machine(connection, backend))


@hookimpl
def qprovider_backend_status(connection: Client, backend: BackendRef) -> BackendStatus:
    """Whether it takes jobs now, and how many wait. Never from a cache."""
    return _wire.status(_machine(connection, backend))


# ------------------------------------------------------------------------------- jobs


@hookimpl
def qprovider_submit_job(connection: Client, request: JobRequest) -> JobInfo:
    """Send one job, once, and answer as soon as the vendor has it. qprovider repeats.

    Where a request may have left and no answer came, raise `TransportError`: qprovider
    then asks `qprovider_find_submission` before it sends anything again.
    """
    order = _wire.order(request)
    try:
        return _wire.job_info(connection.submit(**order))
    except NotFound as exc:
        raise _no_such_backend(connection, request.backend) from exc


@hookimpl
def qprovider_get_job(connection: Client, job: JobRef) -> JobInfo:
    """How the job stands now. It is called again and again while somebody waits."""
    try:
        return _wire.job_info(connection.job(job.id))
    except NotFound as exc:
        raise _no_such_job(job) from exc


@hookimpl
def qprovider_job_result(connection: Client, job: JobRef) -> JobResult:
    """The result of a job that is done: one entry for each circuit, in their order."""
    try:
        return _wire.result(connection.result(job.id))
    except NotFound as exc:
        raise _no_such_job(job) from exc


@hookimpl
def qprovider_cancel_job(connection: Client, job: JobRef) -> bool:
    """True: it will be cancelled; False: too late."""
    try:
        return connection.cancel(job.id)
    except NotFound as exc:
        raise _no_such_job(job) from exc


@hookimpl
def qprovider_list_jobs(connection: Client, query: JobQuery) -> JobPage:
    """One page of jobs, newest first. Filters that the vendor has not are made here."""
    jobs = [_wire.job_info(row) for row in connection.jobs()]
    rest = [job for job in jobs if query.fits(job)]
    if query.cursor is not None:
        # The id of the last job of the page before. New jobs come in front of it.
        ids = [job.id for job in rest]
        if query.cursor not in ids:
            raise InvalidInputError(f"{query.cursor!r} is a cursor that no page gave.")
        rest = rest[ids.index(query.cursor) + 1 :]
    page = rest[: query.limit]
    return JobPage(jobs=page, cursor=page[-1].id if 0 < len(page) < len(rest) else None)


@hookimpl
def qprovider_find_submission(connection: Client, key: str) -> Submission:
    """Whether the submission with this key arrived. The key came as a tag."""
    for row in connection.jobs():
        if f"qprovider:{key}" in row["tags"]:
            return Submission(outcome=SubmissionOutcome.FOUND, job=_wire.job_info(row))
    return Submission(outcome=SubmissionOutcome.ABSENT)


# There are further hooks, each of which may be left out where the vendor cannot serve
# it; qprovider then says so to whoever asks: account_info, foreign_accounts,
# backend_properties (calibration), backend_defaults, backend_target, update_job_tags,
# delete_job, job_details, open_session, close_session, session_details. When you write
# one, delete its line in contract.py.


def _machine(connection: Client, backend: BackendRef) -> _wire.Row:
    try:
        return connection.machine(backend.name)
    except NotFound as exc:
        raise _no_such_backend(connection, backend) from exc


def _no_such_backend(connection: Client, backend: BackendRef) -> UnknownBackendError:
    names = [row["id"] for row in connection.machines()]
    return UnknownBackendError(backend.name, names)


def _no_such_job(job: JobRef) -> UnknownJobError:
    # REPLACE: say where it may be. The stand-in forgets its jobs when Python ends.
    return UnknownJobError(job.id, hint="It may be of a process that has ended.")

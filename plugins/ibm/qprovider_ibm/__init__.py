"""IBM Quantum as a provider: hooks, and the names that users import.

    from qprovider_ibm import IBMProvider, least_busy

Importing this package costs next to nothing: every name below is loaded when it is first used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qprovider_core.hookspecs import hookimpl
from qprovider_core.records import ProviderSpec
from qprovider_ibm._credentials import API_KEY_HELP, IBMCredentials
from qprovider_ibm.version import __version__

if TYPE_CHECKING:
    from qprovider_core import Batch as Batch
    from qprovider_core import Session as Session
    from qprovider_core import job_monitor as job_monitor
    from qprovider_core import least_busy as least_busy
    from qprovider_core.records import (
        AccountInfo,
        BackendConfiguration,
        BackendInfo,
        BackendProperties,
        BackendRef,
        BackendStatus,
        Deadline,
        ForeignAccount,
        JobDetails,
        JobInfo,
        JobPage,
        JobQuery,
        JobRef,
        JobRequest,
        JobResult,
        ListProblem,
        SessionInfo,
        SessionRequest,
        Submission,
    )
    from qprovider_ibm._backend import IBMBackend as IBMBackend
    from qprovider_ibm._composite_job import IBMCompositeJob as IBMCompositeJob
    from qprovider_ibm._connection import Connection
    from qprovider_ibm._errors import IBMApiError as IBMApiError
    from qprovider_ibm._job import IBMJob as IBMJob
    from qprovider_ibm._primitive_job import IBMPrimitiveJob as IBMPrimitiveJob
    from qprovider_ibm._primitives import IBMEstimator as IBMEstimator
    from qprovider_ibm._primitives import IBMSampler as IBMSampler
    from qprovider_ibm._provider import IBMProvider as IBMProvider

# ------------------------------------------------------------------------------------------------- announce


@hookimpl
def qprovider_provider() -> ProviderSpec:
    return ProviderSpec(
        name="ibm",
        title="IBM Quantum",
        description="Quantum computers of the IBM Quantum Platform.",
        credentials=IBMCredentials,
        credentials_help=API_KEY_HELP,
        extra_fields=("physical_qubits", "two_qubit_error_best", "two_qubit_error_layered", "mock"),
        run_options=(
            "rep_delay",
            "init_qubits",
            "dynamical_decoupling",
            "twirling",
            "max_execution_time",
            "private",
            "session_id",
            "log_level",
            "meas_level",
            "meas_return",
            "seed_simulator",
            "noise_model",
            "experimental",
            "calibration_id",
            "image",
            "runtime",
            "dynamic",
        ),
        default_shots=4096,
        max_tags=7,  # the service takes eight; one carries the core's key
        max_tag_length=86,
        min_poll_s=0.2,
        settle_time_s=30.0,  # the service documents none: this allows for gateways and lists that lag behind
        backend_class="qprovider_ibm._backend:IBMBackend",
        job_class="qprovider_ibm._job:IBMJob",
        emulator="qprovider_ibm.emulator:emulate",
        contract="qprovider_ibm.contract:IBMContract",
    )


# -------------------------------------------------------------------------------------------------- account


@hookimpl
def qprovider_foreign_accounts() -> Sequence[ForeignAccount]:
    from qprovider_ibm._runtime_accounts import foreign_accounts

    return foreign_accounts()


@hookimpl
def qprovider_open_account(credentials: IBMCredentials, deadline: Deadline) -> Connection:
    from qprovider_ibm._connection import Connection  # late: requests is slow to import

    connection = Connection(credentials)
    connection.open(deadline)
    return connection


@hookimpl
def qprovider_account_info(connection: Connection, deadline: Deadline) -> AccountInfo:
    return connection.account_info(deadline)


# -------------------------------------------------------------------------------------------------- backend


@hookimpl
def qprovider_list_backends(connection: Connection, deadline: Deadline) -> Sequence[BackendInfo | ListProblem]:
    return connection.list_backends(deadline)


@hookimpl
def qprovider_backend_configuration(
    connection: Connection, backend: BackendRef, deadline: Deadline
) -> BackendConfiguration:
    return connection.configuration(backend, deadline)


@hookimpl
def qprovider_backend_status(connection: Connection, backend: BackendRef, deadline: Deadline) -> BackendStatus:
    return connection.status(backend, deadline)


@hookimpl
def qprovider_backend_properties(
    connection: Connection, backend: BackendRef, at: datetime | None, deadline: Deadline
) -> BackendProperties | None:
    return connection.properties(backend, at, deadline)


# ------------------------------------------------------------------------------------------------------ job


@hookimpl
def qprovider_submit_job(connection: Connection, request: JobRequest, deadline: Deadline) -> JobInfo:
    return connection.jobs.submit(request, deadline)


@hookimpl
def qprovider_get_job(connection: Connection, job: JobRef, deadline: Deadline) -> JobInfo:
    return connection.jobs.info(job, deadline)


@hookimpl
def qprovider_job_result(connection: Connection, job: JobRef, deadline: Deadline) -> JobResult | None:
    return connection.jobs.result(job, deadline)


@hookimpl
def qprovider_cancel_job(connection: Connection, job: JobRef, deadline: Deadline) -> bool:
    return connection.jobs.cancel(job, deadline)


@hookimpl
def qprovider_list_jobs(connection: Connection, query: JobQuery, deadline: Deadline) -> JobPage:
    return connection.jobs.page(query, deadline)


@hookimpl
def qprovider_find_submission(connection: Connection, key: str, deadline: Deadline) -> Submission:
    return connection.jobs.find(key, deadline)


@hookimpl
def qprovider_update_job_tags(connection: Connection, job: JobRef, tags: tuple[str, ...], deadline: Deadline) -> bool:
    return connection.jobs.put_tags(job, tags, deadline)


@hookimpl
def qprovider_delete_job(connection: Connection, job: JobRef, deadline: Deadline) -> bool:
    return connection.jobs.delete(job, deadline)


@hookimpl
def qprovider_job_details(connection: Connection, job: JobRef, deadline: Deadline) -> JobDetails:
    return connection.jobs.details(job, deadline)


# -------------------------------------------------------------------------------------------------- session


@hookimpl
def qprovider_open_session(connection: Connection, request: SessionRequest, deadline: Deadline) -> SessionInfo:
    return connection.sessions.open(request, deadline)


@hookimpl
def qprovider_close_session(connection: Connection, session_id: str, cancel: bool, deadline: Deadline) -> bool:
    return connection.sessions.close(session_id, cancel, deadline)


@hookimpl
def qprovider_session_details(connection: Connection, session_id: str, deadline: Deadline) -> SessionInfo:
    return connection.sessions.info(session_id, deadline)


# -------------------------------------------------------------------------------------------- what users import

_HOMES = {
    "qprovider_core": ("Batch", "Session", "job_monitor", "least_busy"),
    "qprovider_ibm._backend": ("IBMBackend",),
    "qprovider_ibm._composite_job": ("IBMCompositeJob",),
    "qprovider_ibm._errors": ("IBMApiError",),
    "qprovider_ibm._job": ("IBMJob",),
    "qprovider_ibm._primitive_job": ("IBMPrimitiveJob",),
    "qprovider_ibm._primitives": ("IBMEstimator", "IBMSampler"),
    "qprovider_ibm._provider": ("IBMProvider",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["IBMCredentials", "__version__", *_HOME]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})

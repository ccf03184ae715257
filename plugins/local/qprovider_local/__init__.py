"""Simulators on this machine: Qiskit Aer's own, and noisy twins of real devices.

Only the hooks stand here. What they need is imported when they are called: listing backends loads neither
Qiskit nor numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from qprovider_core.hookspecs import hookimpl
from qprovider_core.records import ProviderSpec
from qprovider_local._options import RUN_OPTIONS, LocalOptions

if TYPE_CHECKING:
    from qprovider_core.records import (
        AccountInfo,
        BackendConfiguration,
        BackendInfo,
        BackendProperties,
        BackendRef,
        BackendStatus,
        JobDetails,
        JobInfo,
        JobPage,
        JobQuery,
        JobRef,
        JobRequest,
        JobResult,
        Submission,
    )
    from qprovider_local._connection import Connection

__all__ = ["LocalOptions"]
__version__ = "0.1.0"


@hookimpl
def qprovider_provider() -> ProviderSpec:
    return ProviderSpec(
        name="local",
        title="Local simulators",
        description="Qiskit Aer on this machine, and noisy twins of real devices",
        credentials=LocalOptions,
        credentials_help="No credentials are needed; an account only holds settings.",
        run_options=tuple(RUN_OPTIONS),
        min_poll_s=0.001,
        settle_time_s=0.0,
        list_age_s=0.0,
        process_bound=True,
        contract="qprovider_local.contract:LocalContract",
    )


@hookimpl
def qprovider_open_account(credentials: LocalOptions | None) -> Connection:
    from qprovider_local._connection import Connection  # late: most commands never open an account

    return Connection(credentials or LocalOptions())


@hookimpl
def qprovider_account_info(connection: Connection) -> AccountInfo:
    return connection.account_info()


@hookimpl
def qprovider_close_account(connection: Connection) -> bool:
    connection.close()
    return True


@hookimpl
def qprovider_list_backends(connection: Connection) -> Sequence[BackendInfo]:
    return connection.backends()


@hookimpl
def qprovider_backend_configuration(connection: Connection, backend: BackendRef) -> BackendConfiguration:
    return connection.configuration(backend.name)


@hookimpl
def qprovider_backend_status(connection: Connection, backend: BackendRef) -> BackendStatus:
    return connection.status(backend.name)


@hookimpl
def qprovider_backend_properties(
    connection: Connection, backend: BackendRef, at: datetime | None
) -> BackendProperties | None:
    return connection.properties(backend.name, at)


@hookimpl
def qprovider_submit_job(connection: Connection, request: JobRequest) -> JobInfo:
    return connection.submit(request)


@hookimpl
def qprovider_get_job(connection: Connection, job: JobRef, wait_s: float) -> JobInfo:
    return connection.job(job.id, wait_s)


@hookimpl
def qprovider_job_result(connection: Connection, job: JobRef) -> JobResult:
    return connection.result(job.id)


@hookimpl
def qprovider_cancel_job(connection: Connection, job: JobRef) -> bool:
    return connection.cancel(job.id)


@hookimpl
def qprovider_list_jobs(connection: Connection, query: JobQuery) -> JobPage:
    return connection.jobs(query)


@hookimpl
def qprovider_find_submission(connection: Connection, key: str) -> Submission:
    return connection.find_submission(key)


@hookimpl
def qprovider_update_job_tags(connection: Connection, job: JobRef, tags: tuple[str, ...]) -> bool:
    return connection.update_tags(job.id, tags)


@hookimpl
def qprovider_delete_job(connection: Connection, job: JobRef) -> bool:
    return connection.delete(job.id)


@hookimpl
def qprovider_job_details(connection: Connection, job: JobRef) -> JobDetails:
    return connection.details(job.id)

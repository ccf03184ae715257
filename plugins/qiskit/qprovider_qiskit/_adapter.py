"""The adapter: hooks of a plugin over whatever yields Qiskit's `BackendV2` objects.

Nothing heavy is imported here: the vendor's package, and Qiskit with it, come when an account is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qprovider_core.hookspecs import hookimpl
from qprovider_core.records import ProviderSpec

if TYPE_CHECKING:
    from qiskit.providers import BackendV2
    from qiskit.transpiler import Target

    from qprovider_core.records import (
        BackendConfiguration,
        BackendInfo,
        BackendProperties,
        BackendRef,
        BackendStatus,
        Deadline,
        JobDetails,
        JobInfo,
        JobPage,
        JobQuery,
        JobRef,
        JobRequest,
        JobResult,
        ListProblem,
        Submission,
    )
    from qprovider_qiskit._connection import Connection

Said = bool | Callable[["BackendV2"], bool | None] | None


class QiskitAdapter:
    """A plugin made of a vendor's Qiskit package.

    Args:
        factory: Called with the account's credentials (an instance of `credentials`, or None) when the account is
            opened. Gives a backend, several, or a provider with `backends()`. As an import string
            (``package.module:name``) it is not imported before. It may ask the network; listing does not.
        name: Of the provider, as in ``name:backend``; title: as people know it.
        simulator: Whether its backends are simulators, noisy: whether they mimic a device's noise, local: whether they
            run in this process, so that jobs end with it. True or False for all, or a function of the backend. None:
            what the backend says of itself, else not known; and not local.
        errors: A function of the backend that gives its median errors of two-qubit gates and of readout, in [0, 1],
            either None where not known, for vendors that do not keep them in the target.
        status: A function of the backend that gives a `BackendStatus`, true or false, or a word, for vendors whose
            backends have no `status`.
        fixup: A function of the backend, called once before it is used, that mends it in place or gives another.
        transpile_kwargs: For a vendor that compiles in a way of its own: circuits are compiled by Qiskit's
            ``transpile(circuits, backend=…, **transpile_kwargs)`` with the vendor's own backend before they are sent.
            None: they are sent as they are.
        retrieve: A function of the backend and a job id of the vendor that gives the vendor's job; None:
            ``backend.retrieve_job(id)``.
        job_status: A function of the vendor's job that gives the vendor's own word for its state, for packages whose
            jobs raise, or give nothing, where they do not know it.
        run_options: Names of the vendor's options that `run` takes, passed on as they are.
        requires: Distributions that it needs, as pip takes them.
        credentials, credentials_help, description, contract, default_shots, on_request: As in `ProviderSpec`.
    """

    def __init__(
        self,
        factory: str | Callable[[Any], Any],
        *,
        name: str,
        title: str = "",
        simulator: Said = None,
        noisy: Said = None,
        local: Said = None,
        errors: Callable[[BackendV2], tuple[float | None, float | None]] | None = None,
        status: Callable[[BackendV2], BackendStatus | bool | str | None] | None = None,
        fixup: Callable[[BackendV2], BackendV2 | None] | None = None,
        transpile_kwargs: Mapping[str, Any] | None = None,
        retrieve: Callable[[BackendV2, str], Any] | None = None,
        job_status: Callable[[Any], Any] | None = None,
        run_options: Sequence[str] = (),
        requires: Sequence[str] = (),
        credentials: type | None = None,
        credentials_help: str = "",
        description: str = "",
        contract: str | None = None,
        default_shots: int = 1024,
        on_request: bool = True,
    ) -> None:
        self.factory = factory
        self.simulator = simulator
        self.noisy = noisy
        self.local = local
        self.errors = errors
        self.status = status
        self.fixup = fixup
        self.transpile_kwargs = transpile_kwargs
        self.retrieve = retrieve
        self.job_status = job_status
        self.spec = ProviderSpec(
            name=name,
            title=title or name,
            description=description,
            credentials=credentials,
            credentials_help=credentials_help,
            run_options=tuple(run_options),
            requires=tuple(requires),
            default_shots=default_shots,
            min_poll_s=0.001 if local is True else 0.5,
            settle_time_s=0.0 if local is True else 30.0,
            list_age_s=0.0 if local is True else 15.0,
            # Lists of jobs are of this process; the core's ledger has the others. Backends of a service say of
            # themselves that their jobs live on.
            process_bound=True,
            on_request=on_request,
            contract=contract,
            backend_class="qprovider_qiskit._handle:AdaptedBackend",
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.spec.name}>"

    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return self.spec

    @hookimpl
    def qprovider_open_account(self, credentials: Any, deadline: Deadline) -> Connection:
        from qprovider_qiskit._connection import Connection  # late: needs Qiskit, and the vendor's package

        return Connection.opened(self, credentials, deadline)

    @hookimpl
    def qprovider_close_account(self, connection: Connection) -> bool:
        connection.close()
        return True

    @hookimpl
    def qprovider_list_backends(
        self, connection: Connection, deadline: Deadline
    ) -> Sequence[BackendInfo | ListProblem]:
        return connection.backends(deadline)

    @hookimpl
    def qprovider_backend_configuration(
        self, connection: Connection, backend: BackendRef, deadline: Deadline
    ) -> BackendConfiguration:
        return connection.configuration(backend.name, deadline)

    @hookimpl
    def qprovider_backend_status(
        self, connection: Connection, backend: BackendRef, deadline: Deadline
    ) -> BackendStatus:
        return connection.status(backend.name, deadline)

    @hookimpl
    def qprovider_backend_properties(
        self, connection: Connection, backend: BackendRef, at: datetime | None
    ) -> BackendProperties | None:
        return connection.properties(backend.name, at)

    @hookimpl
    def qprovider_backend_target(self, connection: Connection, backend: BackendRef) -> Target:
        return connection.target(backend.name)

    @hookimpl
    def qprovider_submit_job(self, connection: Connection, request: JobRequest) -> JobInfo:
        return connection.submit(request)

    @hookimpl
    def qprovider_get_job(self, connection: Connection, job: JobRef, wait_s: float) -> JobInfo:
        return connection.job(job, wait_s)

    @hookimpl
    def qprovider_job_result(self, connection: Connection, job: JobRef) -> JobResult:
        return connection.result(job)

    @hookimpl
    def qprovider_cancel_job(self, connection: Connection, job: JobRef) -> bool:
        return connection.cancel(job)

    @hookimpl
    def qprovider_list_jobs(self, connection: Connection, query: JobQuery) -> JobPage:
        return connection.jobs(query)

    @hookimpl
    def qprovider_find_submission(self, connection: Connection, key: str) -> Submission:
        return connection.find_submission(key)

    @hookimpl
    def qprovider_update_job_tags(self, connection: Connection, job: JobRef, tags: tuple[str, ...]) -> bool:
        return connection.update_tags(job, tags)

    @hookimpl
    def qprovider_job_details(self, connection: Connection, job: JobRef) -> JobDetails:
        return connection.details(job)

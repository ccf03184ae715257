"""`IBMJob`: the core's handle with what IBM Quantum tells beyond it. Imports Qiskit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import attrs

from qprovider_core import config
from qprovider_core._job import Job
from qprovider_core.errors import InvalidInputError, QProviderError, ResultError, UnknownBackendError
from qprovider_core.records import (
    BackendInfo,
    BackendProperties,
    Deadline,
    EstimatePubResult,
    JobResult,
    JobState,
    JobUsage,
    QueueInfo,
    SamplePub,
    SamplePubResult,
)
from qprovider_ibm import _wire
from qprovider_ibm._kerneled import KERNELED
from qprovider_ibm._params import circuits_of, inputs_of, merged_pubs, options_of
from qprovider_ibm._results import IBMResult, primitive_result
from qprovider_ibm._tags import check_given_tags

if TYPE_CHECKING:
    from qiskit.primitives import PrimitiveResult

    from qprovider_ibm._backend import IBMBackend
    from qprovider_ibm._connection import Connection


@attrs.frozen(kw_only=True, repr=False)
class IBMQueueInfo(QueueInfo):
    """A job's place in its queue, which the service does not tell any more, and the queue of its backend.

    Attributes:
        position, estimated_start, estimated_end: Of the job; None, unless the server sends them.
        backend_name, backend_pending_jobs, backend_wait_s: The backend's: jobs of all users that wait there, and
            the average wait in seconds. They are not the job's own.
    """

    backend_name: str | None = None
    backend_pending_jobs: int | None = None
    backend_wait_s: float | None = None

    @property
    def estimated_start_time(self) -> datetime | None:
        """The same as `estimated_start`."""
        return self.estimated_start

    @property
    def estimated_complete_time(self) -> datetime | None:
        """The same as `estimated_end`."""
        return self.estimated_end


class IBMJob(Job):
    """A job on IBM Quantum."""

    def _connection(self) -> Connection:
        return cast("Connection", self._account.connection())

    def _deadline(self) -> Deadline:
        return Deadline.after(config.timeout_s())

    # -- where it is --------------------------------------------------------------------------------------

    @property
    def instance(self) -> str | None:
        """CRN of the instance that it was sent to and is billed to."""
        return self.info.instance

    @property
    def program_id(self) -> str | None:
        """``sampler``, ``estimator``, …"""
        program = self.info.extra.get("program")
        return program or {"sample": "sampler", "estimate": "estimator"}.get(self.info.kind or "")

    @property
    def private(self) -> bool:
        """Whether its inputs are never given back and its result can be read once only."""
        return self.info.extra.get("private") is True

    def backend(self) -> IBMBackend:
        """The backend that it was sent to; a stand-in that explains itself where that has been retired."""
        try:
            return cast("IBMBackend", super().backend())
        except UnknownBackendError:
            from qprovider_ibm._backend import RetiredBackend  # late: backends import this module

            assert self.info.backend is not None  # else there would be no name to be unknown
            self._handle = RetiredBackend.of(self._account, self.info.backend, self.info.instance)
            return self._handle

    def creation_date(self) -> datetime | None:
        """When it was created, aware UTC."""
        return self.info.created_at or self.refresh().created_at

    def queue_info(self) -> IBMQueueInfo | None:
        """Where it stands in the queue; None once it runs. The fields say which facts are the backend's."""
        info = self.refresh()
        if info.state in (JobState.RUNNING, JobState.DONE, JobState.ERROR, JobState.CANCELLED):
            return None
        listed = next((one for one in self._listing() if one.name == info.backend), None)
        place = info.queue or QueueInfo()
        return IBMQueueInfo(
            position=place.position,
            estimated_start=place.estimated_start,
            estimated_end=place.estimated_end,
            backend_name=info.backend,
            backend_pending_jobs=listed.pending_jobs if listed else None,
            backend_wait_s=listed.wait_s if listed else None,
        )

    def _listing(self) -> list[BackendInfo]:
        try:
            found = self._account.ask("qprovider_list_backends")
        except QProviderError:  # the job's own facts stand without it
            return []
        return [info for info in found if isinstance(info, BackendInfo)]

    def queue_position(self, refresh: bool = True) -> int | None:
        """Jobs before it plus 1, from a server that tells it; today's does not: see `queue_info`."""
        queue = (self.refresh() if refresh else self.info).queue
        return None if queue is None else queue.position

    def error_message(self) -> str | None:
        """Why it failed, with the service's code and what to do; None when it did not."""
        info = self.refresh()
        if info.error is None and info.error_code is None:
            return None
        code = f" (code {info.error_code})" if info.error_code else ""
        told = f"{(info.error or 'It failed.').rstrip('.')}{code}."
        return f"{told} {info.error_hint}" if info.error_hint else told

    # -- its name and tags --------------------------------------------------------------------------------

    def update_name(self, name: str | None) -> str | None:
        """Give it another name; None takes the name away. It is kept as a tag: the service has no names."""
        if name is not None and (not isinstance(name, str) or not name):
            raise InvalidInputError(f"A job's name is a non-empty text, not {name!r}.")
        self._connection().jobs.put_name(self.ref, name, self._deadline())
        self.info = attrs.evolve(self.info, name=name)
        self._kept.set_name(self.info, name)
        self._renamed = True
        return name

    _renamed = False

    def name(self) -> str | None:
        """The user's name for it."""
        return self.info.name if self._renamed else super().name()

    def update_tags(self, tags: Iterable[str] | None = None, *, new_tags: Iterable[str] | None = None) -> list[str]:  # type: ignore[override]  # the retired provider gave the tags back
        """Replace the tags, and return them. `new_tags` is the retired provider's word for them."""
        given = new_tags if tags is None else tags
        check_given_tags(given)
        super().update_tags(cast("Iterable[str]", given))
        return self.tags()

    # -- what it did --------------------------------------------------------------------------------------

    def metrics(self) -> dict[str, Any]:
        """What the service measured of it: times, usage, the caller's versions."""
        return dict(self._connection().jobs.metrics(self.ref, self._deadline()))

    def time_per_step(self) -> dict[str, datetime]:
        """When it reached each step, aware UTC: CREATED, RUNNING, FINISHED."""
        return _wire.steps(self.metrics())

    def properties(self, refresh: bool = False) -> BackendProperties | None:
        """The backend's calibration when it ran; None where there is none, or while it has not begun. Where the service
        cannot be asked, or has retired the device, the one that was at hand when the job was sent."""
        try:
            steps = self.time_per_step()
            return None if "RUNNING" not in steps else self.backend().properties(at=steps["RUNNING"])
        except QProviderError:
            kept = self._kept.calibration(self.info)
            if kept is None:
                raise
            return kept

    def usage(self) -> JobUsage | None:
        """Quantum time used; `quantum_s` is None until the bill is final, some time after the job's end."""
        usage = self.refresh().usage
        if self.info.state.final and (usage is None or usage.quantum_s is None):
            told = self._connection().jobs.info(self.ref, self._deadline())
            self.info = attrs.evolve(self.info, usage=told.usage or usage)
        return self.info.usage

    @property
    def usage_estimation(self) -> dict[str, float | None]:
        """The service's estimate of the quantum time: ``{"quantum_seconds": …}``, None when it has none."""
        usage = self.info.usage or self.refresh().usage
        return {"quantum_seconds": usage.estimated_s if usage else None}

    def logs(self) -> str:
        """Its log, whole once it has ended; empty when there is none."""
        return self._connection().jobs.logs(self.ref, self._deadline()) or ""

    @property
    def client_version(self) -> dict[str, str | None]:
        """Who submitted it: ``caller``, and the version of ``qiskit`` that ran it."""
        metrics = self.metrics()
        return {"caller": metrics.get("caller"), "qiskit": metrics.get("qiskit_version")}

    def scheduling_mode(self) -> str | None:
        """``session`` or ``batch`` for a job of one; None for a job by itself."""
        session = self.session_id()
        if session is None:
            return None
        details = self._account.ask("qprovider_session_details", session_id=session)
        return None if details is None else str(details.mode)

    # -- what it was given --------------------------------------------------------------------------------

    def _params(self) -> Mapping[str, Any] | None:
        params = self._connection().jobs.data(self.ref, self._deadline()).get("params")
        return params if isinstance(params, Mapping) else None

    def circuits(self) -> list[Any] | None:
        """Its circuits; None for a private job that another process submitted."""
        if self._request is not None:
            return [pub.circuit for pub in self._request.pubs]
        params = self._params()
        return None if params is None else circuits_of(params)

    @property
    def inputs(self) -> dict[str, Any] | None:
        """All its inputs as objects of Python and Qiskit; None for a private job."""
        params = self._params()
        return None if params is None else inputs_of(params)

    def backend_options(self) -> dict[str, Any] | None:
        """The options that it was given; None for a private job."""
        params = self._params()
        return None if params is None else options_of(params)

    def header(self) -> None:
        """The service keeps no headers any more.

        Raises:
            InvalidInputError: Always.
        """
        raise InvalidInputError(
            "Jobs have no header any more.", hint="Keep what you want to find again in tags, name or circuit.metadata."
        )

    def delete(self) -> None:
        """Delete it at the service, for good."""
        self._account.ask("qprovider_delete_job", job=self.ref)

    delete_job = delete

    # -- its result ---------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None, *, partial: bool = False, refresh: bool = False) -> Any:
        """The result; waits for it. Qiskit's `Result` of what `run` submitted (it reads as a primitive's result, too);
        the `PrimitiveResult` of what a primitive did.

        Args:
            timeout: Seconds; None for no limit.
            partial: The retired provider's; refused when true, for the service has no results of jobs that fail.
            refresh: Accepted; a result does not change.
        """
        if partial:
            raise InvalidInputError(
                "IBM Quantum has no partial results any more.", hint="Run circuits that may fail as jobs of their own."
            )
        return super().result(timeout)

    def primitive_result(self, timeout: float | None = None) -> PrimitiveResult:
        """The result as Qiskit's primitives give it, whichever way the job was submitted; waits for it."""
        found = super().result(timeout)
        return found.primitive() if isinstance(found, IBMResult) else found

    def _check_kind(self, record: JobResult) -> None:
        """Refuse a result that is empty, or one of the other program."""
        if not record.pubs:
            raise ResultError(f"The result of job {self.info.id} is empty.", job_id=self.info.id)
        estimates = {isinstance(pub, EstimatePubResult) for pub in record.pubs}
        if self.info.kind is not None and estimates != {self.info.kind == "estimate"}:
            raise self._misfit(f"it is none of the program {self.program_id}")

    def _misfit(self, what: str) -> ResultError:
        return ResultError(
            f"The result of job {self.info.id} does not fit: {what}.",
            job_id=self.info.id,
            hint="This is a fault of the service or of this plugin: report it.",
        )

    def _sample_pubs(self) -> list[SamplePub] | None:
        """The pubs as they were sent: neighbours that bind parameters of one circuit went as one."""
        pubs = super()._sample_pubs()
        return None if pubs is None else cast("list[SamplePub]", merged_pubs(pubs))

    def _made_result(self, record: JobResult, pubs: list[SamplePub] | None) -> Any:
        self._check_kind(record)
        if self.info.kind == "estimate" or self.info.extra.get("primitive"):
            return primitive_result(record)
        for index, pub in enumerate(record.pubs):
            if isinstance(pub, SamplePubResult) and not pub.registers and KERNELED not in pub.metadata:
                raise self._misfit(f"circuit {index} has no outcomes")
        return IBMResult(
            record,
            backend_name=self.info.backend,
            backend_version=self._handle.backend_version if self._handle else None,
            job_id=self.info.id,
            pubs=pubs,
            ask_circuits=self.circuits,
        )

"""An opened account: the vendor's backends and the jobs sent to them."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from qiskit import QuantumCircuit, transpile
from qiskit.providers import BackendV2

from qprovider_core.errors import InvalidInputError, PluginError, ResultError, TransportError, UnknownBackendError
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    BackendStatus,
    Deadline,
    JobDetails,
    JobInfo,
    JobPage,
    JobQuery,
    JobRef,
    JobRequest,
    JobResult,
    JobState,
    ListProblem,
    ProviderSpec,
    SamplePub,
    SamplePubResult,
    Submission,
    SubmissionOutcome,
)
from qprovider_qiskit._device import Device, name_of
from qprovider_qiskit._faults import in_our_words, vendors_errors
from qprovider_qiskit._jobs import AdaptedJob, JobBook, Part, in_parts, unknown_job
from qprovider_qiskit._outcomes import Layout, pub_results, registered
from qprovider_qiskit._queue import Queue
from qprovider_qiskit._reading import attempted, called, within
from qprovider_qiskit._remote import cancel_all, cancel_part, look_at_all, result_of, send_all
from qprovider_qiskit._retrieving import retrieved

if TYPE_CHECKING:
    from qprovider_qiskit._adapter import QiskitAdapter

_LIST_S = 5.0  # for what all backends say of themselves


class Connection:
    """What the adapter's hooks work on."""

    def __init__(self, adapter: QiskitAdapter, credentials: Any, devices: dict[str, Device] | None = None) -> None:
        self._adapter = adapter
        self._provider: Any = None
        self._problems: list[ListProblem] = []
        self._devices = self._found(credentials) if devices is None else devices
        self._book = JobBook()
        self._queue = Queue(self._run, adapter.spec.name)
        self._changed = self._queue.changed

    @classmethod
    def opened(cls, adapter: QiskitAdapter, credentials: Any, deadline: Deadline) -> Self:
        """A new connection. What asks the network may take no longer than the deadline, whatever the vendor's package
        thinks of it."""
        with vendors_errors(adapter.spec):
            if adapter.local is True:
                return cls(adapter, credentials)
            seconds = deadline.timeout
            try:
                return within(lambda: cls(adapter, credentials), seconds, adapter.spec.name, late=cls.close)
            except TimeoutError as exc:
                raise TransportError(
                    f"{adapter.spec.title} did not answer while the account was opened, within {seconds or 0:.0f} s.",
                    hint="Try again in a while, or give it longer with QPROVIDER_TIMEOUT.",
                ) from exc

    @property
    def spec(self) -> ProviderSpec:
        return self._adapter.spec

    def close(self) -> None:
        self._queue.close()
        close = getattr(self._provider, "close", None)
        if callable(close):
            attempted(close, "close()")

    # -- backends ---------------------------------------------------------------------------------------------

    def _found(self, credentials: Any) -> dict[str, Device]:
        """The vendor's backends, by unique names."""
        factory = self._adapter.factory
        made = (_imported(factory) if isinstance(factory, str) else factory)(credentials)
        if isinstance(made, BackendV2):
            backends: Iterable[Any] = [made]
        elif callable(getattr(made, "backends", None)):
            self._provider = made
            backends = made.backends()
        elif isinstance(made, Iterable):
            backends = made
        else:
            raise PluginError(
                f"The factory of {self._adapter.spec.name} gave a {type(made).__name__}.",
                plugin=self._adapter.spec.name,
                why="It gives a Qiskit backend, several, or a provider with `backends()`.",
            )
        devices: dict[str, Device] = {}
        for backend in backends:
            problem = self.add(devices, backend)
            if problem is not None:
                self._problems.append(problem)
        return devices

    def add(self, devices: dict[str, Device], backend: Any) -> ListProblem | None:
        """Take a backend in; what stands against it."""
        if self._adapter.fixup is not None and isinstance(backend, BackendV2):
            backend = self._adapter.fixup(backend) or backend
        name = name_of(backend)
        if not isinstance(backend, BackendV2):
            return ListProblem(
                reason=f"{name} is a {type(backend).__name__}, not a Qiskit BackendV2",
                hint="Wrap it in a BackendV2, or write a plugin with the hooks of its own.",
            )
        unique, number = name, 1
        while unique in devices:
            number += 1
            unique = f"{name}_{number}"
        devices[unique] = Device(backend, unique, self._adapter)
        return None

    def device(self, name: str) -> Device:
        found = self._devices.get(name)
        if found is None:
            raise UnknownBackendError(name, list(self._devices))
        return found

    def backends(self, deadline: Deadline) -> list[BackendInfo | ListProblem]:
        devices = list(self._devices.values())
        readers = [device.read() for device in devices]  # all begin before the first is waited for
        end = Deadline.after(min(_LIST_S, deadline.remaining_s()))
        for reader in readers:
            reader.wait(end.remaining_s())
        return [*(device.info(self._queue.waiting()) for device in devices), *self._problems]

    @in_our_words
    def configuration(self, name: str, deadline: Deadline) -> BackendConfiguration:
        return self.device(name).configuration(deadline)

    @in_our_words
    def status(self, name: str, deadline: Deadline) -> BackendStatus:
        return self.device(name).status(deadline, self._queue.waiting())

    @in_our_words
    def properties(self, name: str, at: datetime | None) -> BackendProperties | None:
        device = self.device(name)
        return device.properties() if at is None else None  # a target does not say of when it is

    @in_our_words
    def target(self, name: str) -> Any:
        return self.device(name).target()

    # -- submitting -------------------------------------------------------------------------------------------

    @in_our_words
    def submit(self, request: JobRequest) -> JobInfo:
        device = self.device(request.backend.name)
        if request.kind != "sample":
            raise InvalidInputError(
                f"Backends of {self._adapter.spec.title} sample circuits; they do not estimate observables.",
                hint="Use qiskit.primitives.BackendEstimatorV2 with the backend.",
            )
        circuits = [registered(_bound(pub)) for pub in request.pubs]
        shots = [pub.shots for pub in request.pubs if isinstance(pub, SamplePub)]
        layouts = [Layout.of(circuit) for circuit in circuits]
        if device.adapter.transpile_kwargs is not None:
            circuits = transpile(circuits, backend=device.backend, **device.adapter.transpile_kwargs)
        elif device.local:
            circuits = [circuit.copy() for circuit in circuits]  # users may change theirs before it is run
        job = AdaptedJob(
            device=device,
            parts=in_parts(zip(range(len(circuits)), circuits, shots, strict=True), device.fact("chunk")),
            layouts=list(layouts),
            request=request,
            memory=request.memory,
            tags=request.tags,
            name=request.name,
            key=request.key,
        )
        if device.local:
            with self._changed:
                self._book.add(job)
                self._queue.put(job)
                return job.info(self._queue.position(job))
        send_all(job, self._send)
        with self._changed:
            if self._book.get(job.id) is not None:
                job.id = uuid.uuid4().hex  # a vendor that numbers its jobs anew in each process
            self._book.add(job)
        return job.info()

    def _send(self, job: AdaptedJob, part: Part) -> None:
        request, device = job.request, job.device
        options = dict(request.options) if request is not None else {}
        if request is not None and request.memory and device.fact("memory"):
            options["memory"] = True
        circuits = part.circuits if len(part.circuits) > 1 else part.circuits[0]
        part.sent(device.backend.run(circuits, shots=part.shots, **options))

    def _run(self, job: AdaptedJob) -> None:
        """Run a job in this process, from its start to its end."""
        try:
            for part in job.parts:
                if job.state.final:
                    return  # cancelled meanwhile
                self._send(job, part)
                self._read(job, part)
        except Exception as exc:  # noqa: BLE001  the vendor's own code: it costs this job, the next ones go on
            self._ended(job, JobState.ERROR, f"{type(exc).__name__}: {' '.join(str(exc).split())}")
        else:
            self._ended(job, JobState.DONE)

    def _ended(self, job: AdaptedJob, state: JobState, error: str | None = None) -> None:
        with self._changed:
            if not job.state.final:
                if state is JobState.DONE:
                    job.results = _in_order(job)
                job.end(state, error)
            self._changed.notify_all()

    def _read(self, job: AdaptedJob, part: Part) -> None:
        """Fetch a part's result. It may take long: no lock is held."""
        layouts = [job.layouts[position] for position in part.positions]
        part.results = pub_results(
            result_of(part, job), layouts, part.shots, job.id, first=part.positions[0], memory=job.memory
        )
        if len(job.parts) == 1:
            part.positions = tuple(range(len(part.results)))  # how many it has is not known of one that was retrieved
        part.state = JobState.DONE

    # -- jobs -------------------------------------------------------------------------------------------------

    def _job(self, ref: JobRef) -> AdaptedJob:
        with self._changed:
            job = self._book.get(ref.id)
        if job is not None:
            return job
        job = retrieved(
            ref, [device for device in self._devices.values() if not device.local], self._adapter.spec.title
        )
        if job is None:
            raise unknown_job(ref.id)
        with self._changed:
            return self._book.keep(job)

    @in_our_words
    def job(self, ref: JobRef, wait_s: float) -> JobInfo:
        job = self._job(ref)
        if job.device.local:
            with self._changed:
                before = job.state
                if not before.final:
                    self._changed.wait_for(lambda: job.state is not before, timeout=wait_s)
                return job.info(self._queue.position(job))
        self._look(job)
        return job.info()

    def _look(self, job: AdaptedJob) -> None:
        if job.state.final:
            return
        look_at_all(job)
        with self._changed:
            if not job.state.final:
                job.take_states()

    @in_our_words
    def result(self, ref: JobRef) -> JobResult:
        job = self._job(ref)
        if not job.device.local and job.results is None:
            self._look(job)
        if job.state is not JobState.DONE:
            raise ResultError(f"Job {job.id} has no result: it is {job.state.value}.", job_id=job.id, why=job.error)
        if job.results is None:
            for part in job.parts:
                if part.results is None:
                    self._read(job, part)
            with self._changed:
                job.results = job.results or _in_order(job)
        return JobResult(pubs=tuple(job.results))

    @in_our_words
    def cancel(self, ref: JobRef) -> bool:
        job = self._job(ref)
        if not job.device.local:
            self._look(job)
            if job.state.final:
                return False
            wrong = cancel_all(job)
            self._look(job)
            if wrong is not None and not job.state.final:
                raise wrong
            return job.state not in (JobState.DONE, JobState.ERROR)
        with self._changed:
            if job.state.final:
                return False
            if not self._queue.take_out(job):
                for part in job.parts:
                    # Where it cannot be, it goes on unheard, and the next one waits for it.
                    attempted(partial(cancel_part, part, job), "cancel()")
            job.end(JobState.CANCELLED)
            self._changed.notify_all()
            return True

    @in_our_words
    def jobs(self, query: JobQuery) -> JobPage:
        if query.states or query.pending is not None or query.ids:
            with self._changed:
                open_jobs = [job for job in self._book.all() if not job.device.local and not job.state.final]
            for job in open_jobs:
                if not query.ids or job.id in query.ids:
                    self._look(job)
        with self._changed:
            return self._book.page(query)

    def find_submission(self, key: str) -> Submission:
        with self._changed:
            job = self._book.by_key(key)
        if job is not None:
            return Submission(outcome=SubmissionOutcome.FOUND, job=job.info())
        only_here = all(device.local for device in self._devices.values())
        return Submission(outcome=SubmissionOutcome.ABSENT if only_here else SubmissionOutcome.UNKNOWN)

    def update_tags(self, ref: JobRef, tags: Sequence[str]) -> bool:
        job = self._job(ref)
        with self._changed:
            job.tags = tuple(tags)
        return True

    def details(self, ref: JobRef) -> JobDetails:
        job = self._job(ref)
        pubs = tuple(job.request.pubs) if job.request is not None else None
        metrics = {"vendor_jobs": [part.job_id for part in job.parts if part.job_id is not None]}
        return JobDetails(
            circuits=None if pubs is None else tuple(pub.circuit for pub in pubs),
            pubs=pubs,
            options=None if job.request is None else dict(job.request.options),
            metrics=metrics,
            logs=_text(called(next((part.job for part in job.parts), None), "logs")),
        )


def _in_order(job: AdaptedJob) -> list[SamplePubResult]:
    """The results of all parts, in the order of the circuits."""
    placed = [pair for part in job.parts for pair in zip(part.positions, part.results or (), strict=False)]
    return [result for _, result in sorted(placed, key=lambda pair: pair[0])]


def _bound(pub: Any) -> QuantumCircuit:
    """A pub's circuit with its values in it."""
    if not isinstance(pub, SamplePub) or pub.shape:
        raise InvalidInputError(
            "This backend takes circuits with shots and one set of values each.",
            hint="Give parameter_binds to run: each set becomes a circuit of its own.",
        )
    return pub.circuit.assign_parameters(pub.parameter_values) if pub.parameter_values else pub.circuit


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None

"""An open local account: what is listed, the queue, and the jobs."""

from __future__ import annotations

import weakref
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

from qprovider_core import records
from qprovider_core._installed import installed_version
from qprovider_core.errors import InvalidInputError, JobError, ResultError, UnknownBackendError
from qprovider_core.records import BackendInfo, BackendStatus
from qprovider_local import _snapshots
from qprovider_local._methods import MAX_SHOTS, METHODS
from qprovider_local._options import LocalOptions

if TYPE_CHECKING:
    from qprovider_core.records import (
        AccountInfo,
        BackendConfiguration,
        BackendProperties,
        JobDetails,
        JobInfo,
        JobPage,
        JobQuery,
        JobRequest,
        JobResult,
        SamplePubResult,
        Submission,
    )
    from qprovider_local._pool import Pool


class Connection:
    """What `qprovider_open_account` returns."""

    def __init__(self, options: LocalOptions) -> None:
        self.options = options
        self._lock = Lock()
        self._pool: Pool | None = None

    @property
    def pool(self) -> Pool:
        """The queue and its workers. Listing needs neither."""
        with self._lock:
            if self._pool is None:
                from qprovider_local._pool import Pool  # late: it loads what runs processes

                self._pool = Pool(workers=self.options.workers, max_threads=self.options.max_threads)
                # An account that is dropped without being closed leaves no worker behind.
                weakref.finalize(self, self._pool.close, wait_s=0.0).atexit = False
            return self._pool

    def _queued(self) -> int:
        return 0 if self._pool is None else self._pool.queued()

    # -- backends ---------------------------------------------------------------------------------------------

    @cached_property
    def _twins(self) -> dict[str, _snapshots.Snapshot]:
        found = {snapshot.name: snapshot for snapshot in _snapshots.bundled()}
        if self.options.all_devices:
            for snapshot in _snapshots.installed():
                found.setdefault(snapshot.name, snapshot)
        return found

    @cached_property
    def _aer_version(self) -> str | None:
        return installed_version("qiskit-aer")

    def backends(self) -> list[BackendInfo]:
        # All backends of an account share its workers, so each shows the one queue that its jobs would join.
        pending = self._queued()
        ideal = [
            BackendInfo(
                name=name,
                num_qubits=method.num_qubits,
                simulator=True,
                noisy=False,
                operational=True,
                pending_jobs=pending,
                status_msg="active",
                version=self._aer_version,
                description=method.description,
                features=("dynamic_circuits",) if "if_else" in method.more else (),
                max_shots=MAX_SHOTS,
            )
            for name, method in METHODS.items()
        ]
        return ideal + [snapshot.info(pending) for snapshot in self._twins.values()]

    def _check(self, name: str) -> None:
        if name not in METHODS and name not in self._twins:
            hint = None if self.options.all_devices else "Open the account with all_devices=True for more twins."
            error = UnknownBackendError(name, [*METHODS, *self._twins])
            raise (error if error.suggestions or hint is None else UnknownBackendError(name, error.choices, hint=hint))

    def configuration(self, name: str) -> BackendConfiguration:
        self._check(name)
        self.pool.start()  # whoever opens a backend will run something: the imports take seconds
        if name in METHODS:
            return METHODS[name].configuration(self._aer_version)
        return self._twins[name].configuration

    def status(self, name: str) -> BackendStatus:
        self._check(name)
        known = self._aer_version if name in METHODS else self._twins[name].facts["version"]
        return BackendStatus(
            backend_name=name,
            backend_version=known,
            operational=True,
            pending_jobs=self._queued(),
            status_msg="active",
        )

    def properties(self, name: str, at: datetime | None) -> BackendProperties | None:
        self._check(name)
        if name in METHODS:
            return None
        properties = self._twins[name].properties
        if at is not None and properties.last_update is not None and properties.last_update >= at:
            return None
        return properties

    # -- jobs -------------------------------------------------------------------------------------------------

    def submit(self, request: JobRequest) -> JobInfo:
        name = request.backend.name
        self._check(name)
        if request.kind != "sample":
            raise InvalidInputError(
                "Local backends sample circuits; they do not estimate observables.",
                hint="Use qiskit.primitives.BackendEstimatorV2 with the backend.",
            )
        from qprovider_local import _wire  # late, with the rest of what only jobs need
        from qprovider_local._jobs import LocalJob
        from qprovider_local._options import checked_run_options

        task: dict[str, Any] = {"memory": request.memory, "options": checked_run_options(request.options)}
        if name in METHODS:
            task["method"] = METHODS[name].name
        else:
            snapshot = self._twins[name]
            task["method"] = "automatic"
            task["snapshot"] = [str(snapshot.configuration_path), str(snapshot.properties_path)]
        places: dict[int, int] = {}  # by identity: a sweep over parameters sends its circuit once
        circuits: list[Any] = []
        pubs: list[tuple[int, int, list[float]]] = []
        for pub in request.pubs:
            if not isinstance(pub, records.SamplePub):
                raise InvalidInputError("A job of kind 'sample' takes circuits with shots only.")
            place = places.setdefault(id(pub.circuit), len(circuits))
            if place == len(circuits):
                circuits.append(pub.circuit)
            pubs.append((place, pub.shots, [float(value) for value in pub.parameter_values]))
        task["pubs"] = pubs
        task["sizes"], payload = _wire.pack_circuits(circuits)
        job = LocalJob(
            backend=name,
            task=task,
            payload=payload,
            shots=pubs[0][1],
            tags=request.tags,
            name=request.name,
            key=request.key,
        )
        return self.pool.submit(job)

    def job(self, job_id: str, wait_s: float) -> JobInfo:
        return self.pool.info(job_id, wait_s)

    def result(self, job_id: str) -> JobResult:
        with self.pool.lock:
            job = self.pool.book[job_id]
            state, reply, outcomes = job.state, job.reply, job.outcomes
        if state is not records.JobState.DONE:
            raise ResultError(f"Job {job_id} has no result: it is {state.value}.", job_id=job_id, why=job.error)
        if outcomes is None:
            raise ResultError(
                f"The result of job {job_id} is no longer kept.",
                job_id=job_id,
                why="Newer jobs of this account filled the space for results.",
            )
        pubs, start = [], 0
        for entry in reply["pubs"]:
            data = outcomes[start : start + entry["size"]]
            start += entry["size"]
            pubs.append(_pub_result(entry, data))
        return records.JobResult(pubs=tuple(pubs), metadata=reply["metadata"])

    def cancel(self, job_id: str) -> bool:
        return self.pool.cancel(job_id)

    def jobs(self, query: JobQuery) -> JobPage:
        with self.pool.lock:
            return self.pool.book.page(query)

    def find_submission(self, key: str) -> Submission:
        with self.pool.lock:
            job = self.pool.book.by_key(key)
            if job is None:
                return records.Submission(outcome=records.SubmissionOutcome.ABSENT)
            return records.Submission(outcome=records.SubmissionOutcome.FOUND, job=job.info(None))

    def update_tags(self, job_id: str, tags: tuple[str, ...]) -> bool:
        with self.pool.lock:
            self.pool.book[job_id].tags = tuple(tags)
        return True

    def delete(self, job_id: str) -> bool:
        with self.pool.lock:
            job = self.pool.book[job_id]
            if not job.state.final:
                raise JobError(
                    f"Job {job_id} is {job.state.value} and cannot be deleted.",
                    job_id=job_id,
                    hint="Cancel it first.",
                )
            self.pool.book.remove(job)
        return True

    def details(self, job_id: str) -> JobDetails:
        with self.pool.lock:
            job = self.pool.book[job_id]
            task, payload, reply = job.task, job.payload, job.reply
            times = {"created": job.created_at, "started": job.started_at, "ended": job.ended_at}
        circuits = None
        if payload is not None:
            from qprovider_local import _wire  # late: only jobs need it

            unique = _wire.unpack_circuits(task["sizes"], payload)
            circuits = tuple(unique[place] for place, _, _ in task["pubs"])
        return records.JobDetails(
            logs=job.logs or None,
            metrics=dict(reply["metadata"]) if reply else {},
            circuits=circuits,
            options=task["options"],
            steps={step: moment for step, moment in times.items() if moment is not None},
        )

    # -- the account ------------------------------------------------------------------------------------------

    def account_info(self) -> AccountInfo:
        return records.AccountInfo(plan="this machine")

    def close(self) -> None:
        self.pool.close()


def _pub_result(entry: dict[str, Any], data: bytes) -> SamplePubResult:
    """One circuit's outcomes as the worker sent them."""
    if "registers" not in entry:
        from qprovider_local import _wire  # late: only jobs need it

        counts = _wire.unpack_counts(entry["width"], data)
        return records.SamplePubResult(shots=entry["shots"], counts=counts, metadata=entry["metadata"])
    registers, start = [], 0
    for name, num_bits in entry["registers"]:
        size = (num_bits + 7) // 8 * entry["shots"]
        registers.append(records.RegisterBits(name=name, num_bits=num_bits, data=data[start : start + size]))
        start += size
    return records.SamplePubResult(shots=entry["shots"], registers=tuple(registers), metadata=entry["metadata"])

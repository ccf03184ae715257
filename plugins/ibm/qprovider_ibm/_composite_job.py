"""`IBMCompositeJob`: circuits split into several jobs, seen as one. Imports Qiskit."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import attrs

from qprovider_core import config
from qprovider_core._job import Job, make_job
from qprovider_core.errors import (
    DeadlineError,
    InvalidInputError,
    JobCancelledError,
    JobError,
    JobFailedError,
    QProviderError,
    TransportError,
    UnknownJobError,
)
from qprovider_core.records import (
    BackendProperties,
    Deadline,
    JobInfo,
    JobRequest,
    JobState,
    JobUsage,
    SubmissionOutcome,
)
from qprovider_ibm._composite_parts import (
    Part,
    Sending,
    failures_of,
    listed,
    new_id,
    new_key,
    parts_of,
    report_of,
    split,
    summed,
    together,
    words_of,
)
from qprovider_ibm._composite_result import joined
from qprovider_ibm._instances import side_by_side, whole
from qprovider_ibm._job import IBMQueueInfo

if TYPE_CHECKING:
    from qprovider_core._account import Account
    from qprovider_ibm._backend import IBMBackend
    from qprovider_ibm._job import IBMJob
    from qprovider_ibm._results import IBMResult

T = TypeVar("T")
_GRACE = timedelta(minutes=15)  # after the newest job, for one that another process may still be sending
_FETCH_S = 900.0


class IBMCompositeJob(Job):
    """Several jobs of one backend that were asked for together, seen as one.

    They are submitted in the background, one after another. What does not arrive is reported as failed, with its
    error, and `rerun_failed` sends it again.

    Attributes:
        info: What is known of them together (`JobInfo`).
    """

    listed = False  # the service lists its parts, not it: a wait asks it, not the list

    def __init__(self, account: Account, info: JobInfo, parts: list[Part], backend: IBMBackend | None = None) -> None:
        super().__init__(account, info, backend=backend)
        self._parts = parts
        self._sending: Sending | None = None
        _known[info.id] = self

    @classmethod
    def submitted(cls, backend: IBMBackend, request: JobRequest, size: int) -> IBMCompositeJob:
        """Begin to submit a request, split into parts of at most `size` circuits; it has been checked."""
        info = JobInfo(
            id=new_id(),
            state=JobState.INITIALIZING,
            backend=backend.name,
            instance=backend.instance,
            created_at=datetime.now(UTC),
            name=request.name,
            tags=request.tags,
            kind=request.kind,
            shots=getattr(request.pubs[0], "shots", None),
        )
        job = cls(backend._account, info, split(request, size, info.id), backend)
        job._sending = Sending(backend, job._parts)
        return job

    @classmethod
    def found(cls, account: Account, job_id: str, instance: str | None = None) -> IBMCompositeJob:
        """The composite job of that id: this process's own, or put together from its jobs at the service.

        Raises:
            UnknownJobError: There is none.
        """
        known = _known.get(job_id)
        if known is not None and known._account.ref == account.ref:
            return known
        infos = listed(account, job_id, instance)
        parts, newest = parts_of(infos)
        if not parts:
            raise UnknownJobError(
                job_id, what=f"{account.label} has no composite job {job_id!r}.", hint="Check the id and the instance."
            )
        job = cls(account, attrs.evolve(infos[0], id=job_id, state=JobState.UNKNOWN, key=None), parts)
        job._place(newest)
        job.refresh()
        return job

    def backend(self) -> IBMBackend:
        """The backend that its jobs were sent to; a stand-in where that has been retired."""
        if self._handle is None:
            self._handle = next(part.job for part in self._parts if part.job is not None).backend()
        return cast("IBMBackend", self._handle)

    # -- where it stands ----------------------------------------------------------------------------------

    def refresh(self, timeout: float | None = None, *, wait_s: float = 0.0) -> JobInfo:
        """Ask how its jobs stand, in one request where there are several."""
        if not self.info.state.final:
            self._look(timeout)
            self.info = self._summary()
        return self.info

    def _look(self, timeout: float | None) -> None:
        live = [part.job for part in self._parts if part.job is not None and not part.job.info.state.final]
        missing = self._sending is None and any(part.state is JobState.INITIALIZING for part in self._parts)
        if not missing and len(live) < 2:
            for job in live:
                job.refresh(timeout)
            return
        infos = listed(self._account, self.info.id, self.info.instance, timeout)
        if missing:
            self._place(parts_of(infos)[1])
        told = {info.id: info for info in infos}
        for job in live:
            info = told.get(job.info.id)
            if info is None or (info.state is JobState.ERROR and info.error is None):
                job.refresh(timeout)  # a list may come late, and does not look for what went wrong
            else:
                job.take(info)

    def _place(self, newest: dict[int, JobInfo]) -> None:
        """Take the jobs that another process sent; what has not come for long is taken for lost."""
        for part in self._parts:
            if part.job is None and part.index in newest:
                part.job = cast("IBMJob", make_job(self._account, newest[part.index]))
        created = max((info.created_at for info in newest.values() if info.created_at), default=None)
        if created is not None and created < datetime.now(UTC) - _GRACE:
            for part in self._parts:
                if part.job is None:
                    part.error = part.error or QProviderError(
                        "the process that began to submit it ended before.",
                        hint="Its circuits are not at the service: run them again with backend.run(…).",
                    )

    def _summary(self) -> JobInfo:
        states = [part.state for part in self._parts]
        ended = sum(state.final for state in states)
        infos = [part.job.info for part in self._parts if part.job is not None]
        times = [info.created_at for info in infos if info.created_at is not None]
        return attrs.evolve(
            self.info,
            state=together(states),
            state_text=None if ended == len(states) else f"{ended} of {len(states)} jobs have ended",
            instance=self.info.instance or next((info.instance for info in infos if info.instance), None),
            created_at=min(times) if times else self.info.created_at,
            session_id=next((info.session_id for info in infos if info.session_id), None),
            usage=summed([info.usage for info in infos]),
            error=failures_of(self._parts) if ended == len(states) else None,
        )

    def error_message(self) -> str | None:
        """Why jobs of it failed, a line or more for each; None when none did."""
        self.refresh()
        return failures_of(self._parts)

    def report(self, detailed: bool = True) -> str:
        """How its jobs stand, in lines for a reader.

        Args:
            detailed: Whether each of them is named, after the summary.
        """
        self.refresh()
        return report_of(self.info.id, self._parts, detailed)

    # -- its jobs -----------------------------------------------------------------------------------------

    def sub_jobs(self, block_for_submit: bool = True) -> list[IBMJob]:
        """Its jobs that arrived at the service, in the order of their circuits.

        Args:
            block_for_submit: Wait until all have been submitted, or failed to be.
        """
        if block_for_submit:
            self.block_for_submit()
        return [part.job for part in self._parts if part.job is not None]

    def sub_job(self, circuit_index: int) -> IBMJob:
        """The job that runs a circuit, by the circuit's place among all; waits until it was submitted.

        Raises:
            InvalidInputError: There is no such circuit, or its job did not arrive.
        """
        for part in self._parts:
            if part.first <= circuit_index <= part.last:
                self.block_for_submit()
                if part.job is None:
                    raise InvalidInputError(f"{part.circuits}: {words_of(part)}.", hint="See report().")
                return part.job
        raise InvalidInputError(f"There is no circuit {circuit_index!r}: there are {self._parts[-1].last + 1}.")

    def block_for_submit(self, timeout: float | None = None) -> bool:
        """Wait until all its jobs have been submitted, or failed to be; False: not within `timeout` seconds."""
        return self._sending is None or self._sending.wait(timeout)

    def rerun_failed(self) -> None:
        """Submit those jobs again that failed or were cancelled, in the background.

        Raises:
            InvalidInputError: They are still being submitted; or the circuits of one are not at hand: nothing was sent.
        """
        if self._sending is not None and not self._sending.done:
            raise InvalidInputError(
                "Its jobs are still being submitted.", hint="Wait with job.block_for_submit(), then try again."
            )
        self.refresh()
        failed = [part for part in self._parts if part.state in (JobState.ERROR, JobState.CANCELLED)]
        for part in failed:
            if part.request is None and part.job is None:
                raise InvalidInputError(
                    f"{part.circuits}: the job never arrived, and its circuits are not at hand.",
                    why="Another process was to submit it.",
                    hint="Run these circuits again with backend.run(…).",
                )
        backend = self.backend()
        session_id = backend._joined()  # the one that was joined may be over
        lost = [part for part in failed if part.job is None and self._arrived(part)]
        again = [part for part in failed if part not in lost]
        for part in again:
            part.again = None if part.job is None else part.job.ref
            if part.request is not None:
                part.request = attrs.evolve(part.request, key=new_key(), session_id=session_id)
            part.job, part.error, part.cancelled = None, None, False
        if failed:
            self._sending = Sending(backend, again)
            self._result = None
            self.info = attrs.evolve(self.info, state=JobState.INITIALIZING, error=None)
            self.info = self._summary()

    def _arrived(self, part: Part) -> bool:
        """Whether a job arrived after all whose answer was lost: it is not to run twice."""
        if not isinstance(part.error, TransportError) or part.error.retryable or part.request is None:
            return False
        found = self._account.ask("qprovider_find_submission", key=part.request.key)
        if found is None or found.outcome is not SubmissionOutcome.FOUND:
            return False
        part.job = cast("IBMJob", make_job(self._account, found.job, backend=self._handle, request=part.request))
        part.error = None
        return True

    def cancel(self) -> bool:
        """Cancel all its jobs, and send no more. False: too late for all of them."""
        if self._sending is not None and not self._sending.done:
            self._sending.stop()
            self._sending.wait(config.timeout_s())
        live = [part.job for part in self._parts if part.job is not None and not part.job.info.state.final]
        answers = whole(self._on_each(lambda job: job.cancel(), live, "cancellations")) if live else []
        self.refresh()
        return any(answers) or any(part.cancelled for part in self._parts)

    def delete(self) -> None:
        """Delete all its jobs at the service, for good."""
        whole(self._on_each(lambda job: job.delete(), self.sub_jobs(), "deletions"))

    def _on_each(self, work: Callable[[IBMJob], T], jobs: list[IBMJob], what: str) -> list[T | QProviderError]:
        return side_by_side(work, jobs, Deadline.after(_FETCH_S), what)

    # -- what is known of it ------------------------------------------------------------------------------

    def update_name(self, name: str | None) -> str | None:
        """Give all its jobs another name; None takes it away."""
        whole(self._on_each(lambda job: job.update_name(name), self.sub_jobs(), "names"))
        self.info = attrs.evolve(self.info, name=name)
        return name

    def update_tags(self, tags: Iterable[str]) -> list[str]:  # type: ignore[override]  # as `IBMJob` has it
        """Replace the tags of all its jobs, and return them."""
        given = tags if isinstance(tags, str) or not isinstance(tags, Iterable) else list(tags)
        whole(self._on_each(lambda job: job.update_tags(given), self.sub_jobs(), "tags"))
        self.info = attrs.evolve(self.info, tags=tuple(given))
        return self.tags()

    def properties(self) -> BackendProperties | list[BackendProperties] | None:  # type: ignore[override]  # see below
        """The calibration that held when it ran: one, or a list where its jobs ran under several."""
        told = whole(self._on_each(lambda job: job.properties(), self.sub_jobs(), "calibrations"))
        found: list[BackendProperties] = []
        for one in told:
            if one is not None and one not in found:
                found.append(one)
        return found if len(found) > 1 else next(iter(found), None)

    def queue_info(self) -> IBMQueueInfo | None:
        """Where the first of its jobs stands that waits; None once none does."""
        self.refresh()
        waiting = (part.job for part in self._parts if part.job is not None and part.state is JobState.QUEUED)
        job = next(waiting, None)
        return None if job is None else job.queue_info()

    def time_per_step(self) -> dict[str, datetime]:
        """When the first of its jobs was created and ran, and when the last one finished, aware UTC."""
        steps = whole(self._on_each(lambda job: job.time_per_step(), self.sub_jobs(), "times"))
        found = {}
        for name in ("CREATED", "RUNNING"):
            times = [one[name] for one in steps if name in one]
            found.update({name: min(times)} if times else {})
        if steps and self.refresh().state.final and all("FINISHED" in one for one in steps):
            found["FINISHED"] = max(one["FINISHED"] for one in steps)
        return found

    def usage(self) -> JobUsage | None:
        """Quantum time of all its jobs; `quantum_s` is None until all bills are final."""
        return summed(whole(self._on_each(lambda job: job.usage(), self.sub_jobs(), "usage")))

    def circuits(self) -> list[Any] | None:
        """Its circuits, in order; None where the service does not give them back."""
        lists = whole(self._on_each(lambda job: job.circuits(), self.sub_jobs(), "circuits"))
        return None if None in lists else [circuit for one in lists for circuit in one or ()]

    def backend_options(self) -> dict[str, Any] | None:
        """The options that its jobs were given; None for private ones."""
        return next((job.backend_options() for job in self.sub_jobs()), None)

    def details(self) -> None:
        """None: see those of its `sub_jobs`."""
        return

    # -- its result ---------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None, *, partial: bool = False, refresh: bool = False) -> Any:
        """One result of all circuits, by their overall place or their names; waits for all jobs.

        Args:
            timeout: Seconds; None for no limit.
            partial: Give what there is even where jobs failed; the circuits of those have no counts.
            refresh: Accepted; a result does not change.
        Raises:
            JobTimeoutError: Not done in time; the jobs go on.
            JobFailedError, JobCancelledError: Jobs failed or were cancelled, and `partial` was not asked for.
        """
        started = time.monotonic()
        self.wait_for_final_state(timeout)
        left = None if timeout is None else max(timeout - (time.monotonic() - started), 0.0)
        if partial and self.info.state is not JobState.DONE:
            try:
                return self._joined(left)
            except DeadlineError as exc:
                raise self._late(timeout) from exc
        return super().result(left)

    def _fetch_result(self, timeout: float) -> Any:
        if self.info.state is JobState.DONE:
            return self._joined(timeout)
        kinds: dict[JobState, type[JobError]] = {JobState.CANCELLED: JobCancelledError}
        bad = [part for part in self._parts if part.state is not JobState.DONE]
        raise kinds.get(self.info.state, JobFailedError)(
            f"{len(bad)} of the {len(self._parts)} jobs of {self.info.id} failed or were cancelled.",
            job_id=self.info.id,
            why="\n".join(f"  {part.circuits}: {words_of(part)}" for part in bad[:20]),
            hint="job.rerun_failed() submits them again; job.result(partial=True) has the others.",
        )

    def _joined(self, timeout: float | None) -> IBMResult:
        deadline = Deadline.after(_FETCH_S if timeout is None else timeout)
        return joined(self.info, self._parts, self._handle, deadline)

    def __copy__(self) -> Self:
        return self  # its parts may still be on their way

    def __reduce__(self) -> tuple[Any, ...]:
        return (IBMCompositeJob.found, (self._account, self.info.id, self.info.instance))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.info.id} of {len(self._parts)} jobs, {self.info.state.value}>"


# Those of this process, which knows more of them than the service: circuits, and what has not been sent yet.
_known: weakref.WeakValueDictionary[str, IBMCompositeJob] = weakref.WeakValueDictionary()

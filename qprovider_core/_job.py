"""The handle of a job: a real Qiskit `JobV1`, the same for every vendor."""

from __future__ import annotations

import copy
import math
import random
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import UTC, datetime
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import attrs
from qiskit.providers import JobStatus, JobV1

from qprovider_core import config
from qprovider_core._account import Account
from qprovider_core._awaiting import awaited
from qprovider_core._checks import checked_name, checked_tags
from qprovider_core._context import keep_calibration
from qprovider_core._kept import Kept
from qprovider_core._key_tag import has_room, key_tag
from qprovider_core._result import LazyResult, check_result
from qprovider_core._submission import settle
from qprovider_core.errors import (
    DeadlineError,
    InvalidInputError,
    JobCancelledError,
    JobFailedError,
    JobTimeoutError,
    QProviderError,
    ResultError,
    SubmitUnknownError,
    TransportError,
    UnknownJobError,
    failure_text,
)
from qprovider_core.records import (
    BackendProperties,
    Deadline,
    JobDetails,
    JobInfo,
    JobRecord,
    JobRef,
    JobRequest,
    JobResult,
    JobState,
    JobUsage,
    QueueInfo,
    SamplePub,
)

if TYPE_CHECKING:
    from qprovider_core._backend import Backend

_STATUS: Mapping[JobState, JobStatus] = {
    JobState.INITIALIZING: JobStatus.INITIALIZING,
    JobState.QUEUED: JobStatus.QUEUED,
    JobState.VALIDATING: JobStatus.VALIDATING,
    JobState.RUNNING: JobStatus.RUNNING,
    JobState.CANCELLED: JobStatus.CANCELLED,
    JobState.DONE: JobStatus.DONE,
    JobState.ERROR: JobStatus.ERROR,
    # Never a final one for what is not known to have ended.
    JobState.SUBMIT_UNKNOWN: JobStatus.INITIALIZING,
    JobState.UNKNOWN: JobStatus.QUEUED,
}
_LONGEST_PAUSE_S = 10.0
_PAUSE_SHARE = 0.05  # of the time waited so far: a job is seen to end at most so much later than it did
_FETCH_TIMEOUT_S = 900.0  # for a result, where the user sets no limit
_SHORTEST_S = 0.001  # a wait that may find its answer there already
_HELD_S = 1.0  # how long a vendor that can may hold its answer
_PATIENCE = 8  # connection failures in a row that a wait without a timeout bears


@attrs.frozen
class Standing:
    """Where a job stands: the state, and the vendor's own word for it."""

    state: JobState
    text: str | None = None

    def __str__(self) -> str:
        return f"{self.state.value} ({self.text})" if self.text else self.state.value


class Job(JobV1):
    """A job at any vendor.

    Attributes:
        info: What the vendor last told of it (`JobInfo`).
    """

    def __init__(
        self,
        account: Account,
        info: JobInfo,
        *,
        backend: Backend | None = None,
        request: JobRequest | None = None,
    ) -> None:
        super().__init__(backend, info.id)
        self._account = account
        self._handle = backend
        self._request = request
        self.info = info
        self._lock = threading.Lock()
        self._fetching = threading.Lock()
        self._asked = self._told = 0
        self._result: LazyResult | None = None
        self._kept = Kept(account, info.key or (request.key if request is not None else None) or None)

    @property
    def account(self) -> Account:
        """The account that it belongs to."""
        return self._account

    @property
    def key(self) -> str | None:
        """The core's own key of the submission, under which the ledger has it; None where it has it not."""
        return self._kept.key

    def job_id(self) -> str:
        """The vendor's id; the key while it is not known whether the vendor has the job."""
        return self.info.id

    @property
    def ref(self) -> JobRef:
        """The job as the vendor knows it."""
        return JobRef(id=self.info.id, instance=self.info.instance)

    def backend(self) -> Backend:
        """The backend it was sent to."""
        if self._handle is None:
            if self.info.backend is None:
                raise ResultError(
                    f"The vendor does not say on which backend job {self.info.id} ran.", job_id=self.info.id
                )
            self._handle = self._account.get_backend(self.info.backend, instance=self.info.instance)
        return self._handle

    def submit(self) -> None:
        """Jobs are submitted by `Backend.run`; a handle is of a job that was."""
        raise InvalidInputError(
            f"Job {self.info.id} was submitted already.", hint="Run the circuits again with backend.run(…)."
        )

    # -- where it stands ----------------------------------------------------------------------------------

    def refresh(self, timeout: float | None = None, *, wait_s: float = 0.0) -> JobInfo:
        """Ask the vendor how the job stands; a job that has ended is not asked for again.

        Args:
            timeout: Seconds that the vendor has to answer.
            wait_s: Seconds for which a vendor that can may hold its answer until the state changes.
        """
        if self.info.state.final:
            return self.info
        with self._lock:
            self._asked += 1
            turn = self._asked
        if self.info.state is JobState.SUBMIT_UNKNOWN:
            told = self._settled(timeout)
        else:
            told = self._asked_for(timeout, wait_s)
        with self._lock:
            # An answer may arrive after a later one: it must not take the job back.
            if turn > self._told and told is not None:
                self._told = turn
                return self._take(told)
            return self.info

    def take(self, told: JobInfo) -> JobInfo:
        """Take what the vendor told of the job in a list; see `refresh`."""
        with self._lock:
            self._asked += 1
            self._told = self._asked
            return self._take(told)

    def _take(self, told: JobInfo) -> JobInfo:
        before = self.info
        if before.state.final:
            return before
        arrived = before.state is JobState.SUBMIT_UNKNOWN
        self.info = attrs.evolve(newer(before, told), id=told.id) if arrived else newer(before, told)
        self._job_id = self.info.id
        self._kept.told(before, self.info)
        return self.info

    def _asked_for(self, timeout: float | None, wait_s: float) -> JobInfo:
        try:
            told = self._account.ask("qprovider_get_job", job=self.ref, wait_s=wait_s, timeout=timeout)
        except UnknownJobError:
            if not self._account.spec.process_bound:
                raise
            told = None
        if told is not None:
            info: JobInfo = told
            return info
        record = self._kept.record(self.info)
        if record is not None and self._account.spec.process_bound:
            return record.info  # another process runs it, or ran it
        raise UnknownJobError(self.info.id, what=f"{self._account.label} has no job {self.info.id!r} any more.")

    def _settled(self, timeout: float | None) -> JobInfo | None:
        """Look for a job of which it is not known whether it arrived; None: it still is not."""
        sent = self.info.created_at or datetime.now(UTC)
        return settle(
            self._account,
            self._kept.key or self.info.id,
            sent_at=int(sent.timestamp() * 1e6),
            load=self._sent_request,
            ledger=self._kept.ledger,
            timeout=timeout,
        )

    def _sent_request(self) -> JobRequest | None:
        """What was submitted, as far as it is known here."""
        if self._request is None:
            self._request = self._kept.request(self.info)
        return self._request

    @property
    def nearest_status(self) -> JobStatus:
        """Qiskit's word for what is known of it, without asking; never a final one for a state that may not be."""
        return _STATUS[self.info.state]

    def status(self) -> JobStatus:
        """The nearest Qiskit `JobStatus`; never a final one for a state that is not known to be final."""
        self._glance()
        return self.nearest_status

    def state(self) -> Standing:
        """The exact state, and the vendor's word for it."""
        info = self._glance()
        return Standing(info.state, info.state_text)

    def _glance(self) -> JobInfo:
        """`refresh`, for those who ask where it stands: that nobody can tell is an answer."""
        try:
            return self.refresh()
        except SubmitUnknownError:
            return self.info

    def wait_for_final_state(
        self,
        timeout: float | None = None,
        wait: float | None = None,
        callback: Callable[[str, JobStatus, Job], None] | None = None,
    ) -> None:
        """Wait until the job has ended, in whatever way.

        Args:
            timeout: Seconds, by the clock, even while the vendor does not answer; None for no limit.
            wait: Seconds between two looks; growing pauses when not given.
            callback: Called after each look with the id, the status and the job.
        Raises:
            JobTimeoutError: It has not ended in time; the job goes on.
        """
        _check_timeout(timeout)
        _check_timeout(wait, "wait")
        if timeout == math.inf:
            timeout = None
        request_s = config.timeout_s()
        started = time.monotonic()
        end = None if timeout is None else started + timeout
        shortest = self._account.spec.min_poll_s
        held = wait is None and self._account.takes("qprovider_get_job", "wait_s")
        failures, looked = 0, False
        while not self.info.state.final:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0 and looked:
                raise self._timed_out(timeout)
            looked = True
            before, asked = self.info.state, time.monotonic()
            limit = request_s if left is None else max(min(left, request_s), _SHORTEST_S)
            try:
                self.refresh(limit, wait_s=min(_HELD_S, limit) if held else 0.0)
                failures = 0
            except TransportError as exc:
                failures += 1
                if end is None and (failures >= _PATIENCE or not exc.retryable):
                    raise
            if callback is not None:
                callback(self.info.id, _STATUS[self.info.state], self)
            if self.info.state.final:
                return
            if held and not failures and self.info.state is not before:
                continue  # the next change may be near, and the vendor holds its answer until then
            pause = wait if wait is not None else _pause(time.monotonic() - started, shortest, failures)
            if held:
                pause = max(0.0, pause - (time.monotonic() - asked))
            left = None if end is None else end - time.monotonic()
            time.sleep(pause if left is None else max(0.0, min(pause, left)))

    def _timed_out(self, timeout: float | None) -> JobTimeoutError:
        info = self.info
        stands = repr(info.state_text) if info.state is JobState.UNKNOWN and info.state_text else info.state.value
        return JobTimeoutError(
            f"Job {info.id} has not ended within {timeout:g} s: it is {stands}.",
            job=self,
            job_id=self.info.id,
            hint="It goes on. Wait again with job.result(), or come back with retrieve_job().",
        )

    def result(self, timeout: float | None = None) -> LazyResult:
        """The result, as Qiskit's `Result`; waits for it. Asked for once: the second call costs nothing.

        Raises:
            JobTimeoutError: Not done within `timeout` seconds; the job goes on.
            JobFailedError, JobCancelledError: It ended without a result.
            ResultError: The vendor's result does not fit the job.
        """
        return self._result_unless(None, timeout)

    def _result_unless(self, given_up: Callable[[], bool] | None, timeout: float | None) -> LazyResult:
        """`result`, unless the one who waits for it has given up."""
        _check_timeout(timeout)
        deadline = Deadline.after(None if timeout is None or timeout == math.inf else timeout)
        if self._result is None and (kept := self._kept_result()) is not None:
            self._result = kept
        if self._result is not None:
            return self._result
        self.wait_for_final_state(timeout)
        left = _FETCH_TIMEOUT_S if deadline.timeout is None else max(deadline.remaining_s(), _SHORTEST_S)
        if not self._fetching.acquire(timeout=left):
            raise self._late(timeout)
        try:
            if self._result is None:
                self._result = self._fetch_result(left)
            return self._result
        except DeadlineError as exc:
            raise self._late(timeout) from exc
        finally:
            self._fetching.release()

    def _kept_result(self) -> LazyResult | None:
        """The result as the ledger has it; None where it has none, or none that can be read."""
        record = self._kept.result(self.info)
        if record is None:
            return None
        if not self.info.state.final and (told := self._kept.record(self.info)) is not None:
            self.info = newer(self.info, told.info)
        return self._made_result(record, self._sample_pubs())

    def _late(self, timeout: float | None) -> JobTimeoutError:
        return JobTimeoutError(
            f"The result of job {self.info.id} did not come within {timeout or _FETCH_TIMEOUT_S:g} s.",
            job=self,
            job_id=self.info.id,
            hint="The job has ended; ask again with job.result().",
        )

    def _fetch_result(self, timeout: float) -> LazyResult:
        info = self.info
        if info.state is JobState.CANCELLED:
            raise JobCancelledError(
                f"Job {info.id} was cancelled.", job_id=info.id, why=info.error, hint="Run it again."
            )
        if info.state is JobState.ERROR:
            code = f" (code {info.error_code})" if info.error_code else ""
            raise JobFailedError(
                f"Job {info.id} failed{code}.",
                job_id=info.id,
                why=info.error,
                hint=info.error_hint,
                code=info.error_code,
            )
        pubs = self._sample_pubs()
        record = check_result(self._fetch_record(timeout), pubs, info.id)
        made = self._made_result(record, pubs)
        self._kept.put_result(record, info)
        keep_calibration(self._account, self._kept, info, self._handle, fetch=self._request is not None)
        return made

    def _fetch_record(self, timeout: float) -> JobResult:
        """What the vendor has as the job's result."""
        record: JobResult | None = self._account.ask("qprovider_job_result", job=self.ref, timeout=timeout)
        if record is None:
            raise ResultError(
                f"The vendor has no result of job {self.info.id} any more.",
                job_id=self.info.id,
                hint="It may have been deleted, or it was private and read before.",
            )
        return record

    def _made_result(self, record: JobResult, pubs: list[SamplePub] | None) -> LazyResult:
        """Qiskit's `Result` of the record; vendors' own classes may give a subclass of it."""
        info = self.info
        return LazyResult(
            record,
            backend_name=info.backend or (self._handle.name if self._handle else None),
            backend_version=self._handle.backend_version if self._handle else None,
            job_id=info.id,
            pubs=pubs,
        )

    def _sample_pubs(self) -> list[SamplePub] | None:
        request = self._sent_request()
        if request is None or request.kind != "sample":
            return None
        return [pub for pub in request.pubs if isinstance(pub, SamplePub)]

    def cancel(self) -> bool:
        """Ask for the job to be cancelled. False: too late, it had ended."""
        if self.info.state is JobState.SUBMIT_UNKNOWN:
            self._find_or_fail("cancelled")
        if self.info.state.final:
            return False
        done = bool(self._account.ask("qprovider_cancel_job", job=self.ref))
        self.refresh()
        return done

    def _find_or_fail(self, done: str) -> None:
        """Look for a job of which it is not known whether it arrived, before something is done with it."""
        cause: QProviderError | None = None
        try:
            self.refresh()
        except (SubmitUnknownError, TransportError) as exc:
            cause = exc
        if self.info.state is JobState.SUBMIT_UNKNOWN:
            raise SubmitUnknownError(
                f"Job {self.info.id} cannot be {done}: whether it arrived is not known.",
                key=self._kept.key or "",
                job_id=self.info.id,
                why=None if cause is None else failure_text(cause),
                hint="Try again in a while: job.result() and `qprovider jobs reconcile` look for it.",
            ) from cause

    # -- what is known of it ------------------------------------------------------------------------------

    def creation_date(self) -> datetime | None:
        """When it was created, aware UTC."""
        return self.info.created_at

    def queue_info(self) -> QueueInfo | None:
        """Its place in the queue, where the vendor tells it; None when it does not, or once it runs."""
        return self.refresh().queue

    def queue_position(self) -> int | None:
        """Jobs before it plus 1, where the vendor tells it."""
        queue = self.queue_info()
        return None if queue is None else queue.position

    def error_message(self) -> str | None:
        """Why it failed; None when it did not."""
        return self.refresh().error

    def name(self) -> str | None:
        """The user's name for it."""
        if self.info.name:
            return self.info.name
        record = self._kept.record(self.info)
        return record.info.name if record is not None else self._request.name if self._request else None

    def update_name(self, name: str | None) -> str | None:
        """Give it another name, or None for none. It is kept in the ledger, for vendors need not have names.

        Raises:
            LedgerError: The ledger is off, or cannot be written.
        """
        self._kept.set(self.info, name=checked_name(name), what="name")
        self.info = attrs.evolve(self.info, name=name)
        return name

    def note(self) -> str | None:
        """The user's note on it, from the ledger."""
        record = self._kept.record(self.info)
        return None if record is None else record.note

    def set_note(self, note: str | None) -> None:
        """Keep a note with it in the ledger, or None for none.

        Raises:
            LedgerError: The ledger is off, or cannot be written.
        """
        if note is not None and not isinstance(note, str):
            raise InvalidInputError(f"A note is a text, not {note!r}.")
        self._kept.set(self.info, note=note or None, what="note")

    def record(self) -> JobRecord | None:
        """All that the ledger has of it, with its timeline; None where it has nothing."""
        return self._kept.record(self.info, events=True)

    def tags(self) -> list[str]:
        """The user's tags."""
        return list(self.info.tags)

    def update_tags(self, tags: Iterable[str]) -> None:
        """Replace the tags."""
        if tags is None:  # not given, elsewhere; here it would take all of them away
            raise InvalidInputError("Tags are a list of texts, not None.", hint="Give [] to take them all away.")
        checked = checked_tags(tags, self._account.spec)
        key = self.info.key or self._kept.key
        sent = (key_tag(key), *checked) if key and has_room(self._account.spec) else checked
        self._account.ask("qprovider_update_job_tags", job=self.ref, tags=sent)
        self.info = attrs.evolve(self.info, tags=checked)
        self._kept.set_tags(self.info, checked)

    def usage(self) -> JobUsage | None:
        """Quantum time used, where the vendor tells it."""
        return self.refresh().usage

    def session_id(self) -> str | None:
        """The session or batch it belongs to."""
        return self.info.session_id

    def time_per_step(self) -> dict[str, datetime]:
        """The steps that it has reached, each with its time: CREATED, RUNNING, and the final state."""
        info = self.refresh()
        steps = {"CREATED": info.created_at, "RUNNING": info.started_at}
        if info.state.final:
            steps[info.state.name] = info.ended_at
        return {step: moment for step, moment in steps.items() if moment is not None}

    def properties(self) -> BackendProperties | None:
        """The calibration that held when it ran; None where there is none."""
        info = self.refresh()
        return self.backend().properties(at=info.started_at or info.created_at)

    def circuits(self) -> list[Any] | None:
        """Its circuits; None when the vendor does not give them back."""
        request = self._sent_request()
        if request is not None:
            return [pub.circuit for pub in request.pubs]
        details = self.details()
        return None if details is None or details.circuits is None else list(details.circuits)

    def details(self) -> JobDetails | None:
        """What else the vendor keeps: logs, metrics, inputs; None when it keeps nothing."""
        if not self._account.supports("qprovider_job_details"):
            return None
        answer: JobDetails | None = self._account.ask("qprovider_job_details", job=self.ref)
        return answer

    def rerun(self) -> Job:
        """Run the same circuits again, with the same shots, options and tags, as a new job.

        Raises:
            JobError: Its circuits are kept neither here nor by the vendor.
        """
        from qprovider_core._rerun import rerun  # late: backends import this module

        return rerun(self)

    def delete(self) -> None:
        """Delete it at its vendor, for good, and in the ledger."""
        self._account.ask("qprovider_delete_job", job=self.ref)

    async def aresult(self, timeout: float | None = None) -> Any:
        """`result` for coroutines: others run while it waits."""
        return await awaited(self, timeout)

    def __await__(self) -> Generator[Any, None, Any]:
        return self.aresult().__await__()

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied._lock, copied._fetching = threading.Lock(), threading.Lock()
        return copied

    def __deepcopy__(self, memo: object) -> Self:
        return copy.copy(self)  # the job at the vendor cannot be doubled

    def __reduce__(self) -> tuple[Any, ...]:
        return (_reopened, (type(self), self._account, self.info, self._request))  # connections do not travel

    def __repr__(self) -> str:
        where = self.info.backend or "unknown backend"
        return f"<{type(self).__name__} {self.info.id} on {self._account.provider}:{where}, {self.info.state.value}>"


# What does not change while a job lives: an answer that leaves it out does not take it back.
_LASTING = ("instance", "backend", "created_at", "started_at", "name", "tags", "session_id", "shots", "kind", "key")


def newer(old: JobInfo, told: JobInfo) -> JobInfo:
    """The newer of two answers, with what it leaves out from the older one. The job stays the same one."""
    kept = {field: getattr(old, field) for field in _LASTING if getattr(told, field) in (None, ())}
    return attrs.evolve(told, id=old.id, **kept)


def _pause(elapsed_s: float, shortest_s: float, failures: int) -> float:
    """Seconds until the next look: a share of the time waited, longer after failures, never in step with others."""
    pause = max(shortest_s, _PAUSE_SHARE * elapsed_s, 0.5 * 2 ** min(failures, 10) if failures else 0.0)
    return min(pause, _LONGEST_PAUSE_S) * random.uniform(0.9, 1.1)


def _check_timeout(timeout: Any, word: str = "timeout") -> None:
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, Real) or not float(timeout) >= 0:
        raise InvalidInputError(f"{word} is a number of seconds of at least 0, not {timeout!r}.")


def _reopened(kind: type[Job], account: Account, info: JobInfo, request: JobRequest | None) -> Job:
    return kind(account, info, request=request)


def make_job(
    account: Account, info: JobInfo, *, backend: Backend | None = None, request: JobRequest | None = None
) -> Job:
    """The handle of a job, of the vendor's own class where it names one."""
    from qprovider_core._backend import vendor_class  # late: backends import this module

    job: Job = vendor_class(account.spec.job_class, Job)(account, info, backend=backend, request=request)
    return job

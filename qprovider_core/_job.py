"""The handle of a job: a real Qiskit `JobV1`, the same for every vendor."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Self

from qprovider_core._account import Account
from qprovider_core._awaiting import awaited
from qprovider_core._context import keep_calibration
from qprovider_core._job_facts import JobFacts
from qprovider_core._result import LazyResult, check_result
from qprovider_core._told import newer
from qprovider_core._tracked_job import Standing
from qprovider_core._vendor_class import vendor_class
from qprovider_core._waiting import check_seconds, watch_jobs
from qprovider_core.errors import (
    DeadlineError,
    JobCancelledError,
    JobFailedError,
    JobTimeoutError,
    ResultError,
    TransportError,
    failure_text,
)
from qprovider_core.records import Deadline, JobInfo, JobRequest, JobResult, JobState, SamplePub
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._backend import Backend

__all__ = ["Job", "Standing", "make_job", "newer"]

_log = get_logger("qprovider.jobs")

_FETCH_TIMEOUT_S = 900.0  # for a result, where the user sets no limit
_SHORTEST_S = 0.001  # a wait that may find its answer there already


class Job(JobFacts):
    """A job at any vendor.

    Attributes:
        info: What the vendor last told of it (`JobInfo`).
    """

    # -- waiting and its result ---------------------------------------------------------------------------

    def wait_for_final_state(
        self,
        timeout: float | None = None,
        wait: float | Callable[..., Any] | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> None:
        """Wait until the job has ended, in whatever way.

        Args:
            timeout: Seconds, by the clock, even while the vendor does not answer; None for no limit.
            wait: Seconds between two looks; growing pauses when not given. A function here is the callback.
            callback: Called after each look with the id, the status and the job.
        Raises:
            JobTimeoutError: It has not ended in time; the job goes on.
            SubmitUnknownError: Whether it arrived is not known, and the vendor cannot tell.
        """
        if callable(wait):
            wait, callback = None, wait
        for _ in watch_jobs([self], timeout=timeout, wait=wait, callback=callback):
            pass

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
        check_seconds(timeout, "timeout")
        deadline = Deadline.after(None if timeout is None or timeout == math.inf else timeout)
        if self._result is None and (kept := self._kept_result()) is not None:
            self._result = kept
        if self._result is not None:
            return self._result
        if given_up is None:
            self.wait_for_final_state(timeout)  # which vendors' own classes may do in their way
        else:
            for _ in watch_jobs([self], timeout=timeout, stopped=given_up):
                pass
            if given_up():
                raise self._late(timeout)
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
            self.take(told.info)
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

    async def aresult(self, timeout: float | None = None) -> Any:
        """`result` for coroutines: others run while it waits."""
        return await awaited(self, timeout)

    def __await__(self) -> Generator[Any, None, Any]:
        return self.aresult().__await__()

    # -- what is done with it -----------------------------------------------------------------------------

    def cancel(self) -> bool:
        """Ask for the job to be cancelled. False: too late, it had ended."""
        self._find_or_fail("cancelled")
        if self.info.state.final:
            return False
        done = bool(self._account.ask("qprovider_cancel_job", job=self.ref))
        try:
            self.refresh()
        except TransportError as exc:  # the vendor has answered what was asked of it
            _log.info("how job %s stands after it was cancelled is not known: %s", self.info.id, failure_text(exc))
        return done

    def rerun(self) -> Job:
        """Run the same circuits again, with the same shots, options and tags, as a new job.

        Raises:
            JobError: Its circuits are kept neither here nor by the vendor.
        """
        from qprovider_core._rerun import rerun  # late: backends import this module

        return rerun(self)

    def delete(self) -> None:
        """Delete it at its vendor, for good, and in the ledger."""
        self._find_or_fail("deleted")
        self._account.ask("qprovider_delete_job", job=self.ref)

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


def _reopened(kind: type[Job], account: Account, info: JobInfo, request: JobRequest | None) -> Job:
    return kind(account, info, request=request)


def make_job(
    account: Account, info: JobInfo, *, backend: Backend | None = None, request: JobRequest | None = None
) -> Job:
    """The handle of a job, of the vendor's own class where it names one."""
    job: Job = vendor_class(account.spec.job_class, Job)(account, info, backend=backend, request=request)
    return job

"""How a job stands: what its vendor tells, what the ledger knows, and which of two answers is the newer one."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
from qiskit.providers import JobStatus, JobV1

from qprovider_core._account import Account
from qprovider_core._kept import Kept
from qprovider_core._settling import settle
from qprovider_core._told import newer
from qprovider_core.errors import (
    InvalidInputError,
    QProviderError,
    ResultError,
    SubmitUnknownError,
    TransportError,
    UnknownJobError,
    failure_text,
)
from qprovider_core.records import JobInfo, JobRecord, JobRef, JobRequest, JobState

if TYPE_CHECKING:
    from qprovider_core._backend import Backend
    from qprovider_core._result import LazyResult

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


@attrs.frozen
class Standing:
    """Where a job stands: the state, and the vendor's own word for it."""

    state: JobState
    text: str | None = None

    def __str__(self) -> str:
        return f"{self.state.value} ({self.text})" if self.text else self.state.value


class TrackedJob(JobV1):
    """A job as far as it goes on: its id, its backend, and how it stands.

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
        self._since = time.time()  # a job that may not have arrived was given up before
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
        return self.info.ref

    @property
    def process_bound(self) -> bool:
        """Whether it ends with the process that submitted it."""
        if self._handle is not None:
            bound: bool = self._account.spec.ends_with_process(self._handle.info)
            return bound
        record = self._kept.record(self.info)
        return self._account.spec.process_bound if record is None else record.process_bound

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
        """Ask the vendor how the job stands; a job that has ended is not asked for again, and one that may not have
        arrived is looked for.

        Args:
            timeout: Seconds that the vendor has to answer.
            wait_s: Seconds for which a vendor that can may hold its answer until the state changes.
        """
        if self.info.state.final:
            return self.info
        with self._lock:
            self._asked += 1
            turn = self._asked
        unknown = self.info.state is JobState.SUBMIT_UNKNOWN
        told = self._settled(timeout, resend=None) if unknown else self._asked_for(timeout, wait_s)
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
        self.info = newer(before, told)
        if before.id == self._kept.key:  # it stood for the vendor's id
            self.info = attrs.evolve(self.info, id=told.id)
        self._job_id = self.info.id
        self._kept.told(before, self.info)
        return self.info

    def _asked_for(self, timeout: float | None, wait_s: float) -> JobInfo:
        kept = self._kept.record(self.info) if self.info.id == self._kept.key else None
        if kept is not None and kept.job_id != self.info.id:
            return kept.info  # it is being sent just now, or its id has come meanwhile
        try:
            told = self._account.ask("qprovider_get_job", job=self.ref, wait_s=wait_s, timeout=timeout)
        except UnknownJobError:
            if not self.process_bound:
                raise
            told = None
        if told is not None:
            info: JobInfo = told
            return info
        record = self._kept.record(self.info)
        if record is not None and record.process_bound:
            return record.info  # another process runs it, or ran it
        raise UnknownJobError(self.info.id, what=f"{self._account.label} has no job {self.info.id!r} any more.")

    def settle(self, timeout: float | None = None) -> JobInfo:
        """Find out what became of a submission whose answer was lost; where it did certainly not arrive, send it again.
        A wait does so.

        Raises:
            SubmitUnknownError: The vendor cannot tell.
        """
        if self.info.state is JobState.SUBMIT_UNKNOWN:
            told = self._settled(timeout, resend=True)
            if told is not None:
                return self.take(told)
        return self.info

    def _settled(self, timeout: float | None, *, resend: bool | None) -> JobInfo | None:
        """Look for a job of which it is not known whether it arrived; None: it still is not."""
        return settle(
            self._account,
            self._kept.key or self.info.id,
            since=self._since,
            load=self._sent_request,
            ledger=self._kept.ledger,
            resend=resend,
            timeout=timeout,
        )

    def _just_sent(self) -> JobRecord | None:
        """What the ledger has of a job that is being sent just now, so that there is no id of the vendor's yet."""
        record = self._kept.record(self.info) if self.info.id == self._kept.key else None
        return record if record is not None and record.job_id is None else None

    def _find_or_fail(self, done: str) -> None:
        """Look for a job of which it is not known whether it arrived, before something is done with it."""
        if self.info.state.final or not (self._is_unknown() or self._just_sent()):
            return
        cause: QProviderError | None = None
        try:
            self.refresh()
        except (SubmitUnknownError, TransportError) as exc:
            cause = exc
        if self._is_unknown() or (self._just_sent() and not self.info.state.final):
            raise SubmitUnknownError(
                f"Job {self.info.id} cannot be {done}: whether it arrived is not known.",
                key=self._kept.key or "",
                job_id=self.info.id,
                why=None if cause is None else failure_text(cause),
                hint="Try again in a while: job.result() and `qprovider jobs reconcile` look for it.",
            ) from cause

    def _is_unknown(self) -> bool:
        return self.info.state is JobState.SUBMIT_UNKNOWN

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

    def _repr_html_(self) -> str | None:
        from qprovider_core._html_job import job_html  # late: only notebooks need it

        return job_html(self)

    def _glance(self) -> JobInfo:
        """`refresh`, for those who ask where it stands: that nobody can tell is an answer."""
        try:
            return self.refresh()
        except SubmitUnknownError:
            return self.info

"""Jobs of IBM Quantum: one by its id, and what can be asked and done about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from qprovider_core.errors import QProviderError, TransportError
from qprovider_core.records import BackendRef, Deadline, JobDetails, JobInfo, JobRef, JobResult, JobState
from qprovider_core.secret import get_logger
from qprovider_ibm import _wire
from qprovider_ibm._client import Client
from qprovider_ibm._errors import IBMRequestError, IBMUnknownJobError
from qprovider_ibm._instances import Directory, side_by_side, whole
from qprovider_ibm._job_lists import JobLists
from qprovider_ibm._submission import Submissions
from qprovider_ibm._tags import check_number, check_tags, name_tag

_log = get_logger(__name__)
T = TypeVar("T")

_LAST_WORDS = 4000  # characters of a failed job's traceback that are worth keeping


class Jobs:
    """The jobs of one account, in all instances that it uses."""

    def __init__(self, client: Client, directory: Directory, crn_of: Callable[[BackendRef, Deadline], str]) -> None:
        self._client = client
        self._directory = directory
        submissions = Submissions(client, directory, crn_of)
        self.submit = submissions.submit
        self.find = submissions.find
        self._submit_again = submissions.submit_again
        self.page = JobLists(client, directory, self.info).page

    def submit_again(self, job: JobRef, key: str, deadline: Deadline) -> JobInfo:
        """Submit a job of the past once more, with all that the service keeps of it, and another key.

        Raises:
            UnsupportedError: It keeps nothing: the job was private.
        """
        crn, data = self._of(job, deadline, lambda crn: self._client.job(crn, job.id, deadline, params=True))
        return self._submit_again(crn, data, key, deadline)

    def _of(self, job: JobRef, deadline: Deadline, call: Callable[[str], T]) -> tuple[str, T]:
        """The job's instance and `call` with it; where the instance is not known, the first that has the job.

        Raises:
            UnknownJobError: None of them has it.
        """
        if job.instance is not None:
            crns = [self._directory.crn(job.instance, deadline)]
        else:
            crns = [one.crn for one in self._directory.chosen(deadline)]
        failed: QProviderError | None = None
        for crn in crns:
            try:
                return crn, call(crn)
            except IBMRequestError as exc:
                if exc.status != 404:
                    raise
                missing = exc
            except TransportError as exc:  # of an instance that is down; the job may be another's
                failed = failed or exc
        if failed is not None:
            raise failed
        unknown = IBMUnknownJobError(
            job.id,
            what=f"IBM Quantum has no job {job.id!r} in {_named([self._directory.known(crn).label for crn in crns])}.",
            hint="Check the id, and the instance that it was sent to.",
        )
        unknown.status, unknown.code, unknown.message = missing.status, missing.code, missing.message
        unknown.solution, unknown.trace = missing.solution, missing.trace
        raise unknown from missing

    def info(self, job: JobRef, deadline: Deadline) -> JobInfo:
        """The job as it stands. A failed one without a reason has the end of its traceback for one."""
        crn, data = self._of(job, deadline, lambda crn: self._client.job(crn, job.id, deadline))
        info = _wire.job_info(data, crn)
        if info.state is JobState.ERROR and info.error is None:
            info = attrs.evolve(info, error=self._last_words(job.id, crn, deadline))
        return info

    def _last_words(self, job_id: str, crn: str, deadline: Deadline) -> str | None:
        try:
            body = self._client.results(crn, job_id, deadline)
        except QProviderError as exc:
            _log.info("the reason of failed job %s cannot be had: %s", job_id, exc.what)
            return None
        text = (body or b"").decode("utf-8", "replace").strip()
        _, marker, tail = text.rpartition("Traceback")
        return (f"{marker}{tail}" if marker else text)[-_LAST_WORDS:] or None

    def result(self, job: JobRef, deadline: Deadline) -> JobResult | None:
        """The result of a job that is done; None when it is gone: private and read before."""
        from qprovider_ibm._results import parse_result  # late: needs numpy

        _, body = self._of(job, deadline, lambda crn: self._client.results(crn, job.id, deadline))
        return None if body is None else parse_result(body)

    def data(self, job: JobRef, deadline: Deadline) -> Mapping[str, Any]:
        """All that ``GET /jobs/{id}`` tells, its params included."""
        return self._of(job, deadline, lambda crn: self._client.job(crn, job.id, deadline, params=True))[1]

    def logs(self, job: JobRef, deadline: Deadline) -> str | None:
        """Its log; None when there is none."""
        return self._of(job, deadline, lambda crn: self._client.logs(crn, job.id, deadline))[1]

    def metrics(self, job: JobRef, deadline: Deadline) -> Mapping[str, Any]:
        """Its metrics, as the service sends them."""
        return self._of(job, deadline, lambda crn: self._client.metrics(crn, job.id, deadline))[1]

    def details(self, job: JobRef, deadline: Deadline) -> JobDetails:
        """Logs, metrics, circuits and options; the three requests side by side."""
        from qprovider_ibm._params import circuits_of, options_of, whole_pubs_of  # late: needs Qiskit

        crn, told = self._of(job, deadline, lambda crn: self._client.job(crn, job.id, deadline))
        placed = JobRef(id=job.id, instance=crn)
        calls: list[Callable[[], Any]] = [
            lambda: self.data(placed, deadline),
            lambda: self.logs(placed, deadline),
            lambda: self.metrics(placed, deadline),
        ]
        data, logs, metrics = whole(side_by_side(lambda call: call(), calls, deadline, "details"))
        params = data.get("params")
        known = isinstance(params, Mapping)
        return JobDetails(
            logs=logs,
            metrics=metrics,
            circuits=tuple(circuits_of(params)) if known else None,
            pubs=whole_pubs_of(params, _wire.job_info(told, crn).kind) if known else None,
            options=options_of(params) if known else None,
            steps=_wire.steps(metrics),
        )

    def cancel(self, job: JobRef, deadline: Deadline) -> bool:
        """Ask for it to be cancelled; False: it had ended."""
        return self._of(job, deadline, lambda crn: self._client.cancel(crn, job.id, deadline))[1]

    def delete(self, job: JobRef, deadline: Deadline) -> bool:
        """Delete it for good."""
        self._of(job, deadline, lambda crn: self._client.delete(crn, job.id, deadline))
        return True

    def put_tags(self, job: JobRef, tags: tuple[str, ...], deadline: Deadline) -> bool:
        """Replace the user's tags; the job's key and name stay, whether or not the core sends the key among them."""
        tags = tuple(tag for tag in tags if not tag.startswith(_wire.KEY_PREFIX))
        check_tags(tags)
        crn, data = self._of(job, deadline, lambda crn: self._client.job(crn, job.id, deadline))
        kept = _wire.kept_tags(_wire.tags_of_job(data))
        self._put(job.id, crn, [*kept, *tags], deadline)
        return True

    def put_name(self, job: JobRef, name: str | None, deadline: Deadline) -> None:
        """Replace the job's name; None takes it away."""
        crn, data = self._of(job, deadline, lambda crn: self._client.job(crn, job.id, deadline))
        kept = [tag for tag in _wire.tags_of_job(data) if not tag.startswith(_wire.NAME_PREFIX)]
        self._put(job.id, crn, [*kept, *name_tag(name)], deadline)

    def _put(self, job_id: str, crn: str, tags: list[str], deadline: Deadline) -> None:
        check_number(tags)
        self._client.put_tags(crn, job_id, tags, deadline)


def _named(labels: list[str]) -> str:
    return labels[0] if len(labels) == 1 else f"any of {', '.join(labels)}"

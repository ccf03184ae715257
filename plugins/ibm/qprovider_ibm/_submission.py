"""Jobs sent to the service, and looked for by their key. What is done when an answer is lost is the core's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qprovider_core.errors import QProviderError, ResponseError, TransportError, UnsupportedError
from qprovider_core.records import (
    BackendRef,
    Deadline,
    JobInfo,
    JobRequest,
    JobState,
    Submission,
    SubmissionOutcome,
)
from qprovider_ibm import _wire
from qprovider_ibm._client import Client
from qprovider_ibm._instances import Directory, side_by_side
from qprovider_ibm._job_lists import readable
from qprovider_ibm._tags import tags_of


class Submissions:
    """What one account sends."""

    def __init__(self, client: Client, directory: Directory, crn_of: Callable[[BackendRef, Deadline], str]) -> None:
        self._client = client
        self._directory = directory
        self._crn_of = crn_of

    def submit(self, request: JobRequest, deadline: Deadline) -> JobInfo:
        """Submit one job, once.

        Raises:
            TransportError: With `arrived` False where it certainly did not.
        """
        from qprovider_ibm._params import encoder_for  # late: needs Qiskit
        from qprovider_ibm._run_options import split_options  # late: needs numpy

        try:
            crn = self._crn_of(request.backend, deadline)
            self._client.sign_in(deadline)
        except TransportError as exc:
            exc.arrived = False  # of the job nothing was sent yet
            raise
        encoder = encoder_for(request.kind)
        fields = split_options(request.options)[1]
        body = {
            "program_id": encoder.program,
            "backend": request.backend.name,
            "params": encoder.encode(request),
            "tags": tags_of(request),
            **fields,
        }
        if request.session_id is not None:
            body["session_id"] = request.session_id
        return self._accepted(self._client.create_job(crn, body, deadline), request, crn)

    def submit_again(self, crn: str, data: Mapping[str, Any], key: str, deadline: Deadline) -> JobInfo:
        """Submit a job of the past once more, with all that the service keeps of it, and another key.

        Args:
            data: What the service tells of that job, its params included.

        Raises:
            UnsupportedError: It keeps nothing: the job was private.
        """
        told = _wire.job_info(data, crn)
        if not isinstance(data.get("params"), Mapping):
            raise UnsupportedError(
                f"Job {told.id} cannot be sent again: the service gives nobody its inputs.",
                why="It was private." if data.get("private") else None,
                hint="Run its circuits again with backend.run(…).",
                capability="inputs",
            )
        tags = [tag for tag in _wire.tags_of_job(data) if not tag.startswith(_wire.KEY_PREFIX)]
        kept = ("cost", "calibration_id", "runtime")  # not its session, which may be over
        body = {
            "program_id": told.extra.get("program"),
            "backend": told.backend,
            "params": data["params"],
            "tags": [f"{_wire.KEY_PREFIX}{key}", *tags],
            **{name: data[name] for name in kept if data.get(name) is not None},
        }
        try:
            answer = self._client.create_job(crn, body, deadline)
        except TransportError as exc:
            found = self._arrived(exc, key, crn, deadline)
            if found is None:
                raise
            return found
        return _wire.job_info(
            {**data, "created": None, "state": {"status": "Initializing"}, "status": None, **answer}, crn
        )

    def _accepted(self, data: Mapping[str, Any], request: JobRequest, crn: str) -> JobInfo:
        job_id = data.get("id")
        if not isinstance(job_id, str) or not job_id:
            raise ResponseError(
                "The service took the job and gave no id.",
                path="id",
                hint=f"Look for it among provider.jobs(); its key is {request.key}.",
            )
        session = data.get("session_id")
        more = {name: data[name] for name in ("private", "calibration_id") if data.get(name) is not None}
        more.update(_wire.composite_of(request.tags))
        return JobInfo(
            id=job_id,
            state=JobState.INITIALIZING,
            backend=request.backend.name,
            instance=crn,
            name=request.name,
            tags=_wire.users_tags(list(request.tags)),
            session_id=session if isinstance(session, str) else request.session_id,
            kind=request.kind,
            shots=getattr(request.pubs[0], "shots", None) if request.pubs else None,
            extra=more,
        )

    def _arrived(self, exc: TransportError, key: str, crn: str, deadline: Deadline) -> JobInfo | None:
        """The job of a submission whose answer was lost, if the service has it already."""
        if exc.arrived is False:
            return None
        try:
            found = self._with_key(key, crn, deadline)
        except QProviderError as lookup:
            exc.retryable = False
            exc.hint = (
                f"Whether the job arrived is not known, for the look-up failed, too ({lookup.what}). "
                f"Look for it before you send it again: its tag is {_wire.KEY_PREFIX}{key}."
            )
            return None
        if found is None:
            exc.retryable = False
            exc.hint = (
                "The job may have arrived, although the service does not list it yet. "
                f"Look for it before you send it again: its tag is {_wire.KEY_PREFIX}{key}."
            )
        return found

    def find(self, key: str, deadline: Deadline) -> Submission:
        """Whether the submission with this key arrived, in any instance that the account uses."""
        crns = [one.crn for one in self._directory.chosen(deadline)]
        answers = side_by_side(lambda crn: self._with_key(key, crn, deadline), crns, deadline, "submissions")
        for answer in answers:
            if isinstance(answer, JobInfo):
                return Submission(outcome=SubmissionOutcome.FOUND, job=answer)
        for answer in answers:
            if isinstance(answer, QProviderError):
                raise answer
        return Submission(outcome=SubmissionOutcome.ABSENT)

    def _with_key(self, key: str, crn: str, deadline: Deadline) -> JobInfo | None:
        page = self._client.jobs(crn, {"tags": [f"{_wire.KEY_PREFIX}{key}"], "limit": 1}, deadline)
        infos = list(readable(page, crn))
        return infos[0] if infos else None

"""Jobs sent to the service, each once: what is done when the answer is lost."""

from __future__ import annotations

import time
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
from qprovider_core.secret import get_logger
from qprovider_ibm import _wire
from qprovider_ibm._client import Client
from qprovider_ibm._errors import IBMTransportError
from qprovider_ibm._http import NotSentError
from qprovider_ibm._instances import Directory, side_by_side
from qprovider_ibm._job_lists import readable
from qprovider_ibm._tags import tags_of

_log = get_logger(__name__)

_SENDS = 3  # of one submission that the service answers with 500 or above
_SEND_PAUSE_S = 1.0


class Submissions:
    """What one account sends."""

    def __init__(self, client: Client, directory: Directory, crn_of: Callable[[BackendRef, Deadline], str]) -> None:
        self._client = client
        self._directory = directory
        self._crn_of = crn_of

    def submit(self, request: JobRequest, deadline: Deadline) -> JobInfo:
        """Submit one job.

        After an answer of 500 or above the service is asked for the request's key before it is sent again; after a
        connection that broke it is asked for the key, and never sent again.

        Raises:
            TransportError: With `retryable` False: it may have arrived.
        """
        from qprovider_ibm._params import encoder_for  # late: needs Qiskit
        from qprovider_ibm._run_options import split_options  # late: needs numpy

        crn = self._crn_of(request.backend, deadline)
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
        data = self._sent(crn, body, request.key, deadline)
        return data if isinstance(data, JobInfo) else self._accepted(data, request, crn)

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
        kept = ("cost", "session_id", "calibration_id", "runtime")
        body = {
            "program_id": told.extra.get("program"),
            "backend": told.backend,
            "params": data["params"],
            "tags": [f"{_wire.KEY_PREFIX}{key}", *tags],
            **{name: data[name] for name in kept if data.get(name) is not None},
        }
        answer = self._sent(crn, body, key, deadline)
        if isinstance(answer, JobInfo):
            return answer
        return _wire.job_info(
            {**data, "created": None, "state": {"status": "Initializing"}, "status": None, **answer}, crn
        )

    def _sent(self, crn: str, body: Mapping[str, Any], key: str, deadline: Deadline) -> Mapping[str, Any] | JobInfo:
        """What the service answers to a submission, or the job where it turns out to have arrived before."""
        for attempt in range(1, _SENDS + 1):
            try:
                return self._client.create_job(crn, body, deadline)
            except TransportError as exc:
                found = self._arrived(exc, key, crn, deadline)
                if found is not None:
                    return found
                pause = _SEND_PAUSE_S * attempt
                if not _may_send_again(exc) or attempt == _SENDS or pause >= deadline.remaining_s():
                    raise
                _log.info("%s; the job is not there: it is sent again in %g s", exc.what, pause)
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

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
        limited = isinstance(exc, IBMTransportError) and exc.status in (413, 429)
        if isinstance(exc, NotSentError) or limited or not key:
            return None  # it did certainly not arrive, or there is nothing to look for
        try:
            found = self._with_key(key, crn, deadline)
        except QProviderError as lookup:
            exc.retryable = False
            exc.hint = (
                f"Whether the job arrived is not known, for the look-up failed, too ({lookup.what}). "
                f"Look for it before you send it again: its tag is {_wire.KEY_PREFIX}{key}."
            )
            return None
        if found is None and not _may_send_again(exc):
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


def _may_send_again(exc: TransportError) -> bool:
    """IBM states that a submission it answered with 500 or above may be repeated."""
    return exc.retryable and isinstance(exc, IBMTransportError) and (exc.status or 0) >= 500

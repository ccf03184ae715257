"""Jobs of IBM Quantum: submitted once, found again, listed over all instances."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import attrs

from qprovider_core.errors import InvalidInputError, QProviderError, ResponseError, TransportError, UnsupportedError
from qprovider_core.records import (
    BackendRef,
    Deadline,
    JobDetails,
    JobInfo,
    JobPage,
    JobQuery,
    JobRef,
    JobRequest,
    JobResult,
    JobState,
    Submission,
    SubmissionOutcome,
)
from qprovider_core.secret import get_logger
from qprovider_ibm import _wire
from qprovider_ibm._client import JOBS_A_PAGE, Client, utc_text
from qprovider_ibm._errors import IBMRequestError, IBMTransportError, IBMUnknownJobError
from qprovider_ibm._http import NotSentError
from qprovider_ibm._instances import Directory, side_by_side, whole

_log = get_logger(__name__)
T = TypeVar("T")

_SENDS = 3  # of one submission that the service answers with 500 or above
_SEND_PAUSE_S = 1.0
_LIVE = (JobState.INITIALIZING, JobState.QUEUED, JobState.VALIDATING, JobState.RUNNING, JobState.UNKNOWN)
_ENDED = (JobState.DONE, JobState.ERROR, JobState.CANCELLED)
_OLDEST = datetime.min.replace(tzinfo=UTC)
_LAST_WORDS = 4000  # characters of a failed job's traceback that are worth keeping


class Jobs:
    """The jobs of one account, in all instances that it uses."""

    def __init__(self, client: Client, directory: Directory, crn_of: Callable[[BackendRef, Deadline], str]) -> None:
        self._client = client
        self._directory = directory
        self._crn_of = crn_of

    # -- submitting ---------------------------------------------------------------------------------------

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
            "tags": _tags(request),
            **fields,
        }
        if request.session_id is not None:
            body["session_id"] = request.session_id
        data = self._sent(crn, body, request.key, deadline)
        return data if isinstance(data, JobInfo) else self._accepted(data, request, crn)

    def submit_again(self, job: JobRef, key: str, deadline: Deadline) -> JobInfo:
        """Submit a job of the past once more, with all that the service keeps of it, and another key.

        Raises:
            UnsupportedError: It keeps nothing: the job was private.
        """
        crn, data = self._of(job, deadline, lambda crn: self._client.job(crn, job.id, deadline, params=True))
        told = _wire.job_info(data, crn)
        if not isinstance(data.get("params"), Mapping):
            raise UnsupportedError(
                f"Job {job.id} cannot be sent again: the service gives nobody its inputs.",
                why="It was private." if data.get("private") else None,
                hint="Run its circuits again with backend.run(…).",
                capability="inputs",
            )
        tags = [tag for tag in data.get("tags") or () if isinstance(tag, str) and not tag.startswith(_wire.KEY_PREFIX)]
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
        infos = list(_readable(page, crn))
        return infos[0] if infos else None

    # -- one job ------------------------------------------------------------------------------------------

    def _of(self, job: JobRef, deadline: Deadline, call: Callable[[str], T]) -> tuple[str, T]:
        """The job's instance and `call` with it; where the instance is not known, the first that has the job.

        Raises:
            UnknownJobError: None of them has it.
        """
        if job.instance is not None:
            crns = [self._directory.crn(job.instance, deadline)]
        else:
            crns = [one.crn for one in self._directory.chosen(deadline)]
        for crn in crns:
            try:
                return crn, call(crn)
            except IBMRequestError as exc:
                if exc.status != 404:
                    raise
                missing = exc
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
        from qprovider_ibm._params import circuits_of, options_of  # late: needs Qiskit

        crn, _ = self._of(job, deadline, lambda crn: self._client.job(crn, job.id, deadline))
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
        """Replace the user's tags; the job's key and name stay."""
        _check_tags(tags)
        crn, data = self._of(job, deadline, lambda crn: self._client.job(crn, job.id, deadline))
        kept = _wire.kept_tags([tag for tag in data.get("tags") or () if isinstance(tag, str)])
        self._put(job.id, crn, [*kept, *tags], deadline)
        return True

    def put_name(self, job: JobRef, name: str | None, deadline: Deadline) -> None:
        """Replace the job's name; None takes it away."""
        crn, data = self._of(job, deadline, lambda crn: self._client.job(crn, job.id, deadline))
        kept = [t for t in data.get("tags") or () if isinstance(t, str) and not t.startswith(_wire.NAME_PREFIX)]
        self._put(job.id, crn, [*kept, *_name_tag(name)], deadline)

    def _put(self, job_id: str, crn: str, tags: list[str], deadline: Deadline) -> None:
        _check_number(tags)
        self._client.put_tags(crn, job_id, tags, deadline)

    # -- lists --------------------------------------------------------------------------------------------

    def page(self, query: JobQuery, deadline: Deadline) -> JobPage:
        """Some jobs of all instances in use, newest first."""
        if query.ids:
            return self._page_of_ids(query, deadline)
        limit = query.limit or JOBS_A_PAGE
        cursor = _Cursor.read(query.cursor)
        filtered_here = bool(query.states)  # the service knows no states, only whether a job is pending
        offsets = cursor.offsets if cursor.offsets is not None else self._beginnings(query, deadline)
        skip = cursor.skip
        if skip and len(offsets) == 1 and not filtered_here:
            offsets, skip = {crn: offset + skip for crn, offset in offsets.items()}, 0
        size = JOBS_A_PAGE if filtered_here else min(limit + skip, JOBS_A_PAGE)
        server_query = self._server_query(query, cursor.oldest_first)
        sources = [_Source(self._client, crn, server_query, at, size) for crn, at in offsets.items()]
        whole(side_by_side(lambda source: source.fetch(deadline), sources, deadline, "jobs"))
        sign = 1.0 if cursor.oldest_first else -1.0
        found: list[JobInfo] = []
        heap = [(sign * source.next_time, place) for place, source in enumerate(sources) if source.fill(deadline)]
        heapq.heapify(heap)
        while heap and len(found) < limit:
            _, place = heapq.heappop(heap)
            info = sources[place].take()
            if _fits(info, query):
                skip, taken = max(skip - 1, 0), not skip
                found += [info] if taken else []
            if sources[place].fill(deadline):
                heapq.heappush(heap, (sign * sources[place].next_time, place))
        left = {sources[place].crn: sources[place].offset for _, place in heap}
        following = attrs.evolve(cursor, offsets=left, skip=skip)
        return JobPage(jobs=tuple(found), cursor=following.text() if left else None)

    def _beginnings(self, query: JobQuery, deadline: Deadline) -> dict[str, int]:
        if query.instance is not None:
            return {self._directory.crn(query.instance, deadline): 0}
        return {one.crn: 0 for one in self._directory.chosen(deadline)}

    def _server_query(self, query: JobQuery, oldest_first: bool) -> dict[str, Any]:
        """What the service filters itself."""
        tags = list(query.tags)
        pending = query.pending
        if pending is None and query.states:
            if all(state in _ENDED for state in query.states):
                pending = False
            elif all(state in _LIVE for state in query.states):
                pending = True
        wanted = {
            "backend": query.backend,
            "tags": [*tags, *_name_tag(query.name)] or None,
            "session_id": query.session_id,
            "pending": None if pending is None else str(pending).lower(),
            "sort": "ASC" if oldest_first else None,
            "created_after": query.created_after and utc_text(query.created_after),
            "created_before": query.created_before and utc_text(query.created_before),
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def _page_of_ids(self, query: JobQuery, deadline: Deadline) -> JobPage:
        """The service has no list of ids: each is asked for by itself, side by side."""
        refs = [JobRef(id=one, instance=query.instance) for one in dict.fromkeys(query.ids)]
        found = []
        for answer in side_by_side(lambda ref: self.info(ref, deadline), refs, deadline, "jobs"):
            if isinstance(answer, JobInfo):
                if _fits(answer, query):
                    found.append(answer)
            elif not isinstance(answer, IBMUnknownJobError):
                raise answer
        found.sort(key=lambda info: info.created_at or _OLDEST, reverse=True)
        start = int(query.cursor) if query.cursor and query.cursor.isdigit() else 0
        stop = len(found) if query.limit is None else min(start + query.limit, len(found))
        return JobPage(jobs=tuple(found[start:stop]), cursor=str(stop) if stop < len(found) else None)


@attrs.frozen(kw_only=True)
class _Cursor:
    """Where a list of jobs goes on.

    Attributes:
        offsets: CRN to how many of its jobs were taken; None at the beginning.
        skip: How many of those that fit are still to be left out.
    """

    offsets: Mapping[str, int] | None = None
    skip: int = 0
    oldest_first: bool = False

    @classmethod
    def read(cls, text: str | None) -> _Cursor:
        if text is None:
            return cls()
        try:
            data = json.loads(text)
            offsets, skip = data.get("offsets"), data.get("skip", 0)
            numbers = [skip, *(offsets or {}).values()]
            if all(type(number) is int and number >= 0 for number in numbers):
                return cls(offsets=offsets, skip=skip, oldest_first=data.get("oldest_first") is True)
        except (ValueError, AttributeError):
            pass
        raise InvalidInputError(f"This is no cursor of a page of jobs: {text!r}.")

    def text(self) -> str:
        return json.dumps({"offsets": self.offsets, "skip": self.skip, "oldest_first": self.oldest_first})


@attrs.define
class _Source:
    """The jobs of one instance, in the order of the list, a page at a time.

    Attributes:
        offset: How many of the service's list have been taken.
    """

    _client: Client
    crn: str
    _query: Mapping[str, Any]
    offset: int
    _size: int
    _waiting: list[JobInfo | None] = attrs.field(factory=list)  # last one first; None for one that cannot be read
    _ended: bool = False

    def fetch(self, deadline: Deadline) -> None:
        query = {**self._query, "limit": self._size, "offset": self.offset}
        page = self._client.jobs(self.crn, query, deadline)
        listed = page.get("jobs")
        if not isinstance(listed, list):
            raise ResponseError("The list of jobs is not of the expected form.", path="jobs")
        count = page.get("count")
        # A server may give shorter pages than it was asked for: with a count they do not end the list.
        counted = isinstance(count, int) and not isinstance(count, bool)
        ended = self.offset + len(listed) >= cast(int, count) if counted else len(listed) < self._size
        self._ended = ended or not listed
        self._waiting = [_read(entry, self.crn) for entry in reversed(listed)]

    def fill(self, deadline: Deadline) -> bool:
        """Whether there is another job; fetches the next page where the last one is used up."""
        while True:
            while self._waiting and self._waiting[-1] is None:
                self._waiting.pop()
                self.offset += 1
            if self._waiting:
                return True
            if self._ended:
                return False
            self.fetch(deadline)

    @property
    def next_time(self) -> float:
        """When the next job was created, in seconds; 0 where it is not told."""
        info = self._waiting[-1]
        return info.created_at.timestamp() if info is not None and info.created_at else 0.0

    def take(self) -> JobInfo:
        info = self._waiting.pop()
        assert info is not None
        self.offset += 1
        return info


def _read(entry: Any, crn: str) -> JobInfo | None:
    try:
        return _wire.job_info(entry if isinstance(entry, Mapping) else {}, crn)
    except (ResponseError, ValueError, TypeError) as exc:
        _log.warning("one job of the list cannot be read and is left out: %s", exc)
        return None


def _readable(page: Mapping[str, Any], crn: str) -> Iterator[JobInfo]:
    listed = page.get("jobs")
    for entry in listed if isinstance(listed, list) else ():
        info = _read(entry, crn)
        if info is not None:
            yield info


def _fits(info: JobInfo, query: JobQuery) -> bool:
    """What the service does not filter, or an answer by id was not asked to fit."""
    return (
        (not query.states or info.state in query.states)
        and (query.pending is None or info.state.final is not query.pending)
        and (query.name is None or info.name == query.name)
        and (query.backend is None or info.backend == query.backend)
        and (query.session_id is None or info.session_id == query.session_id)
        and set(query.tags) <= {*info.tags, info.extra.get("composite_id")}
        and (query.created_after is None or info.created_at is None or info.created_at >= query.created_after)
        and (query.created_before is None or info.created_at is None or info.created_at <= query.created_before)
    )


# ---------------------------------------------------------------------------------------------------- tags


def _tags(request: JobRequest) -> list[str]:
    """All tags of a submission: the user's, the job's name and the core's key."""
    _check_tags(request.tags)
    tags = [*([f"{_wire.KEY_PREFIX}{request.key}"] if request.key else []), *_name_tag(request.name), *request.tags]
    _check_number(tags)
    return tags


def _name_tag(name: str | None) -> list[str]:
    if name is None:
        return []
    if len(name) > _wire.LONGEST_TAG - len(_wire.NAME_PREFIX):
        raise InvalidInputError(
            f"A job's name has at most {_wire.LONGEST_TAG - len(_wire.NAME_PREFIX)} characters on IBM Quantum; "
            f"this one has {len(name)}.",
            why="The service has no names: it travels as a tag.",
        )
    return [f"{_wire.NAME_PREFIX}{name}"]


def _check_tags(tags: tuple[str, ...]) -> None:
    for tag in tags:
        if len(tag) > _wire.LONGEST_TAG:
            raise InvalidInputError(
                f"A tag has at most {_wire.LONGEST_TAG} characters on IBM Quantum; {tag[:20]!r}… has {len(tag)}."
            )
        if tag.startswith((_wire.KEY_PREFIX, _wire.NAME_PREFIX)):
            raise InvalidInputError(
                f"The tag {tag!r} begins with {tag.partition(':')[0]}:, which is kept for the job's key and name.",
                hint="Set a name with name= or job.update_name().",
            )


def check_given_tags(tags: Any) -> None:
    """Refuse more tags than the service has room for beside the job's key, and say where the last place went.

    Raises:
        InvalidInputError: They are too many.
    """
    most = _wire.MOST_TAGS - 1
    if isinstance(tags, Collection) and not isinstance(tags, str) and len(tags) > most:
        raise InvalidInputError(
            f"A job takes at most {most} tags; there are {len(tags)}.",
            why=f"IBM Quantum has room for {_wire.MOST_TAGS}, and one carries the job's key, by which a lost job is"
            " found again.",
            hint="Leave some out, or join several in one.",
        )


def _check_number(tags: list[str]) -> None:
    if len(tags) > _wire.MOST_TAGS:
        own = len(_wire.kept_tags(tags))
        raise InvalidInputError(
            f"A job on IBM Quantum has at most {_wire.MOST_TAGS} tags; with the {len(tags) - own} given there would "
            f"be {len(tags)}.",
            why="One carries the job's key, by which a lost job is found again; a job's name takes another.",
            hint=f"Give at most {_wire.MOST_TAGS - own}.",
        )


def _may_send_again(exc: TransportError) -> bool:
    """IBM states that a submission it answered with 500 or above may be repeated."""
    return exc.retryable and isinstance(exc, IBMTransportError) and (exc.status or 0) >= 500


def _named(labels: list[str]) -> str:
    return labels[0] if len(labels) == 1 else f"any of {', '.join(labels)}"

"""Jobs listed over all instances of an account, a page at a time, in the order of their creation."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import attrs

from qprovider_core.errors import InvalidInputError, QProviderError, ResponseError
from qprovider_core.records import Deadline, JobInfo, JobPage, JobQuery, JobRef, JobState
from qprovider_core.secret import get_logger
from qprovider_ibm import _wire
from qprovider_ibm._client import JOBS_A_PAGE, Client, utc_text
from qprovider_ibm._errors import IBMUnknownJobError
from qprovider_ibm._instances import Directory, side_by_side, whole
from qprovider_ibm._tags import name_tag

_log = get_logger(__name__)

_LIVE = (JobState.INITIALIZING, JobState.QUEUED, JobState.VALIDATING, JobState.RUNNING, JobState.UNKNOWN)
_ENDED = (JobState.DONE, JobState.ERROR, JobState.CANCELLED)
_WORTH_A_LIST = 3  # ids: fewer are asked for by themselves
_PENDING_READ = 3 * JOBS_A_PAGE  # jobs of an instance, for such a list
_OLDEST = datetime.min.replace(tzinfo=UTC)


class JobLists:
    """The lists of one account's jobs."""

    def __init__(self, client: Client, directory: Directory, info: Callable[[JobRef, Deadline], JobInfo]) -> None:
        self._client = client
        self._directory = directory
        self._info = info

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
            # Another page is fetched only for this one: the next call begins with its own.
            if len(found) < limit and sources[place].fill(deadline):
                heapq.heappush(heap, (sign * sources[place].next_time, place))
        left = {source.crn: source.offset for source in sources if not source.used_up}
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
            "tags": [*tags, *name_tag(query.name)] or None,
            "session_id": query.session_id,
            "pending": None if pending is None else str(pending).lower(),
            "sort": "ASC" if oldest_first else None,
            "created_after": query.created_after and utc_text(query.created_after),
            "created_before": query.created_before and utc_text(query.created_before),
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def _page_of_ids(self, query: JobQuery, deadline: Deadline) -> JobPage:
        """The service has no list of ids: those that wait or run come from its list of such jobs, and each of the
        others is asked for by itself, side by side."""
        ids = list(dict.fromkeys(query.ids))
        pending = self._pending(query, deadline) if len(ids) >= _WORTH_A_LIST and query.pending is not False else {}
        found = [info for info in pending.values() if _fits(info, query)]
        refs = [JobRef(id=one, instance=query.instance) for one in ids if one not in pending]
        for answer in side_by_side(lambda ref: self._info(ref, deadline), refs, deadline, "jobs"):
            if isinstance(answer, JobInfo):
                if _fits(answer, query):
                    found.append(answer)
            elif not isinstance(answer, IBMUnknownJobError):
                raise answer
        found.sort(key=lambda info: info.created_at or _OLDEST, reverse=True)
        start = int(query.cursor) if query.cursor and query.cursor.isdigit() else 0
        stop = len(found) if query.limit is None else min(start + query.limit, len(found))
        return JobPage(jobs=tuple(found[start:stop]), cursor=str(stop) if stop < len(found) else None)

    def _pending(self, query: JobQuery, deadline: Deadline) -> dict[str, JobInfo]:
        """Those of the query's ids that stand in the first pages of waiting and running jobs."""
        wanted = set(query.ids)

        def read(source: _Source) -> dict[str, JobInfo]:
            told: dict[str, JobInfo] = {}
            while len(told) < len(wanted) and source.offset < _PENDING_READ and source.fill(deadline):
                info = source.take()
                if info.id in wanted:
                    told[info.id] = info
            return told

        crns = self._beginnings(query, deadline)
        sources = [_Source(self._client, crn, {"pending": "true"}, 0, JOBS_A_PAGE) for crn in crns]
        answers = side_by_side(read, sources, deadline, "jobs")
        lists = [answer for answer in answers if not isinstance(answer, QProviderError)]
        if not lists:
            whole(answers)
        for exc in answers:
            if isinstance(exc, QProviderError):  # its jobs are asked for by themselves
                _log.info("the jobs that wait at one instance cannot be listed: %s", exc.what)
        return {job_id: info for told in lists for job_id, info in told.items()}


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
    _seen: set[str] = attrs.field(factory=set)
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
        self._waiting = [_read(entry, self.crn) for entry in reversed(listed)]
        # A server that does not mind the offset would give the same page for ever.
        ids = {info.id for info in self._waiting if info is not None}
        self._ended = ended or ids <= self._seen
        self._seen |= ids

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
    def used_up(self) -> bool:
        """Whether it is known that all its jobs have been taken."""
        return self._ended and not self._waiting

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


def readable(page: Mapping[str, Any], crn: str) -> Iterator[JobInfo]:
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

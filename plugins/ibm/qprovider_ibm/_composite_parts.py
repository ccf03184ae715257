"""The parts of a composite job: how they are cut and marked, sent one after another, and read from tags again."""

from __future__ import annotations

import atexit
import re
import threading
import uuid
import weakref
from collections.abc import Iterable, Sequence
from math import fsum
from typing import TYPE_CHECKING, cast

import attrs

from qprovider_core._job import make_job
from qprovider_core._monitor import WORDS
from qprovider_core._submission import submit
from qprovider_core.errors import InvalidInputError, QProviderError, TransportError, failure_text
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import Deadline, JobInfo, JobQuery, JobRef, JobRequest, JobState, JobUsage
from qprovider_core.secret import get_logger
from qprovider_ibm import _wire

if TYPE_CHECKING:
    from qprovider_core._account import Account
    from qprovider_ibm._backend import IBMBackend
    from qprovider_ibm._connection import Connection
    from qprovider_ibm._job import IBMJob

_log = get_logger(__name__)
_SUBMIT_S = 900.0
_LIMIT_PAUSE_S = 60.0  # where the rate of submissions is limited for longer than the client waits
_LIMIT_PAUSES = 30
_PART = re.compile(r"(\d{1,6})/(\d{1,6}):(\d{1,9})-(\d{1,9})")


@attrs.define(eq=False, kw_only=True)
class Part:
    """Some circuits of a composite job, and the job that they became.

    Attributes:
        index: Its place among the parts; first, last: places of its circuits among all.
        request: What is to be sent; None for a part that another process sent.
        job: None until it was sent, and where that failed.
        error: Why it could not be sent.
        again: The job of the past that is sent once more, where there is no request.
        cancelled: Whether it was cancelled before it was sent.
    """

    index: int
    first: int
    last: int
    request: JobRequest | None = None
    job: IBMJob | None = None
    error: QProviderError | None = None
    again: JobRef | None = None
    cancelled: bool = False

    @property
    def state(self) -> JobState:
        """Where it stands, as far as was told."""
        if self.job is not None:
            return self.job.info.state
        if self.error is not None:
            return JobState.ERROR
        return JobState.CANCELLED if self.cancelled else JobState.INITIALIZING

    @property
    def circuits(self) -> str:
        """Its circuits in words."""
        return f"Circuit {self.first}" if self.first == self.last else f"Circuits {self.first}-{self.last}"

    def why_failed(self) -> str:
        """Why it failed, one line or more."""
        if self.error is not None:
            return f"it could not be submitted: {' '.join(filter(None, (self.error.what, self.error.why)))}"
        told = self.job.error_message() if self.job is not None else None
        return told or "the service does not say why."


def failures_of(parts: Sequence[Part]) -> str | None:
    """Why parts failed, a line or more for each; None when none did."""
    failed = [part for part in parts if part.state is JobState.ERROR]
    return "\n".join(f"{part.circuits}: {part.why_failed()}" for part in failed) or None


def words_of(part: Part) -> str:
    """Where a part stands, for a reader."""
    if part.state is JobState.ERROR:
        return f"{WORDS[JobState.ERROR]}: {part.why_failed()}"
    if part.job is None:
        return "job was cancelled before it was submitted" if part.cancelled else "job has not been submitted yet"
    info = part.job.info
    return WORDS.get(info.state) or f"job is in the state {info.state_text or info.state.value!r}"


def report_of(job_id: str, parts: Sequence[Part], detailed: bool) -> str:
    """A summary of the parts, and each of them in lines of its own."""
    states = [part.state for part in parts]
    numbers = {
        "Total": len(states),
        "Successful": states.count(JobState.DONE),
        "Failed": states.count(JobState.ERROR),
        "Cancelled": states.count(JobState.CANCELLED),
        "Running": states.count(JobState.RUNNING),
        "Pending": sum(not state.final and state is not JobState.RUNNING for state in states),
    }
    lines = [f"Composite job {job_id}", "  Summary report:"]
    lines += [f"    {f'{word} jobs:':<16}{number:>4}" for word, number in numbers.items()]
    if detailed:
        lines.append("  Detail report:")
        for part in parts:
            lines += [f"    {part.circuits}:", f"      Job index: {part.index}"]
            lines += [f"      Job ID: {part.job.info.id}"] if part.job is not None else []
            lines.append(f"      Status: {words_of(part)}")
    return "\n".join(lines)


def new_id() -> str:
    """The id of a new composite job."""
    return f"{_wire.COMPOSITE_PREFIX}{uuid.uuid4().hex}_"


def split(request: JobRequest, size: int, job_id: str) -> list[Part]:
    """The request as parts of at most `size` circuits, marked as belonging together."""
    pubs = request.pubs
    starts = range(0, len(pubs), size)
    parts = []
    for index, first in enumerate(starts):
        last = min(first + size, len(pubs)) - 1
        mark = f"{_wire.PART_PREFIX}{index}/{len(starts)}:{first}-{last}"
        part = attrs.evolve(request, pubs=pubs[first : last + 1], tags=(*request.tags, job_id, mark), key=new_key())
        parts.append(Part(index=index, first=first, last=last, request=part))
    return parts


def new_key() -> str:
    return uuid.uuid4().hex


def check_size(size: object) -> int:
    """The most circuits of a part.

    Raises:
        InvalidInputError: It is no whole number of at least 1.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise InvalidInputError(f"max_circuits_per_job is a whole number of at least 1, not {size!r}.")
    return size


def check_tags(tags: Sequence[str], name: str | None) -> None:
    """Refuse more tags than a part has room for.

    Raises:
        InvalidInputError: There are too many.
    """
    most = _wire.MOST_TAGS - 3 - (name is not None)
    if len(tags) > most:
        raise InvalidInputError(
            f"Jobs that circuits are split into take at most {most} tags{' beside a name' if name else ''}; there are "
            f"{len(tags)}.",
            why=f"IBM Quantum has room for {_wire.MOST_TAGS}: one carries the job's key, two its place in the whole.",
            hint="Leave some out, or join several in one.",
        )


def place_of(info: JobInfo) -> tuple[int, int, int, int] | None:
    """Index, number of parts, first and last circuit, from the tags of a job; None where they cannot be read."""
    match = _PART.fullmatch(str(info.extra.get("composite_part")))
    if match is None:
        return None
    index, number, first, last = map(int, match.groups())
    return (index, number, first, last) if index < number and first <= last else None


def parts_of(infos: Iterable[JobInfo]) -> tuple[list[Part], dict[int, JobInfo]]:
    """The parts that the tags of jobs tell of, and for each the newest of its jobs.

    Args:
        infos: Newest first.
    Returns:
        All parts in order, without their jobs; index to job, where there is one.
    """
    newest: dict[int, JobInfo] = {}
    places: dict[int, tuple[int, int, int, int]] = {}
    for info in infos:
        place = place_of(info)
        if place is not None and place[0] not in newest:
            newest[place[0]], places[place[0]] = info, place
    number = max((place[1] for place in places.values()), default=0)
    size = max((place[3] - place[2] + 1 for place in places.values()), default=1)
    parts = []
    for index in range(number):  # all but the last one are of one size
        _, _, first, last = places.get(index, (index, number, index * size, index * size + size - 1))
        parts.append(Part(index=index, first=first, last=last))
    return parts, newest


def listed(account: Account, job_id: str, instance: str | None, timeout: float | None = None) -> list[JobInfo]:
    """Its jobs as the service lists them, newest first."""
    found: list[JobInfo] = []
    query = JobQuery(tags=(job_id,), instance=instance)
    while True:
        page = account.ask("qprovider_list_jobs", query=query, timeout=timeout)
        found += page.jobs
        if page.cursor is None or not page.jobs:
            return found
        query = attrs.evolve(query, cursor=page.cursor)


def together(states: list[JobState]) -> JobState:
    """Final only once all are."""
    if all(state.final for state in states):
        worst = (JobState.ERROR, JobState.CANCELLED)
        return next((state for state in worst if state in states), JobState.DONE)
    if any(state.final or state is JobState.RUNNING for state in states):
        return JobState.RUNNING
    return JobState.INITIALIZING if set(states) == {JobState.INITIALIZING} else JobState.QUEUED


def summed(told: Iterable[JobUsage | None]) -> JobUsage | None:
    """The usage of several jobs; a sum is None where one of them is not known."""
    known = [one or JobUsage() for one in told]
    sums = {
        name: None if any(getattr(one, name) is None for one in known) else fsum(getattr(one, name) for one in known)
        for name in ("quantum_s", "estimated_s")
    }
    return JobUsage(**sums) if known and any(value is not None for value in sums.values()) else None


class Sending:
    """Sends parts one after another, in a thread of its own. A part that fails keeps its error; the rest go on."""

    def __init__(self, backend: IBMBackend, parts: Sequence[Part]) -> None:
        self._backend = backend
        self._parts = parts
        self._stopped = threading.Event()
        self._done = threading.Event()
        _running.add(self)
        # A daemon: an interpreter that is told to end by force does. An orderly end waits, see `_at_exit`.
        threading.Thread(target=self._run, name="qprovider-ibm-composite", daemon=True).start()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def stop(self) -> None:
        """Send no more. A part that is just being sent is sent; the rest count as cancelled."""
        self._stopped.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all were sent, or failed to be; False: not within `timeout` seconds."""
        return self._done.wait(timeout)

    def _run(self) -> None:
        try:
            for part in self._parts:
                if self._stopped.is_set():
                    part.cancelled = True
                    continue
                try:
                    part.job = self._send(part)
                    part.error = None
                except Exception as exc:  # noqa: BLE001  whatever it is, the other parts are sent, and it is reported
                    part.error = exc if isinstance(exc, QProviderError) else QProviderError(failure_text(exc))
                    _log.warning("%s could not be submitted: %s", part.circuits, part.error.what)
        finally:
            self._done.set()

    def _send(self, part: Part) -> IBMJob | None:
        """The job that a part became; None where it was stopped before."""
        for _ in range(_LIMIT_PAUSES):
            try:
                return self._submitted(part)
            except TransportError as exc:
                if getattr(exc, "status", None) != 429:
                    raise
                limited = exc
            if self._stopped.wait(getattr(limited, "retry_after_s", None) or _LIMIT_PAUSE_S):
                part.cancelled = True
                return None
        raise limited

    def _submitted(self, part: Part) -> IBMJob:
        account = self._backend._account
        if part.request is not None:
            # In this thread: at the interpreter's end no other can be started any more.
            info = submit(
                account,
                part.request,
                ledger=ledger_in_use(),
                backend=self._backend.info,
                wait_for_limits=False,
                in_thread=False,
            )
        else:
            assert part.again is not None
            deadline = Deadline.after(_SUBMIT_S)
            info = cast("Connection", account.connection()).jobs.submit_again(part.again, new_key(), deadline)
        info = attrs.evolve(
            info, instance=info.instance or self._backend.instance, backend=info.backend or self._backend.name
        )
        return cast("IBMJob", make_job(account, info, backend=self._backend, request=part.request))


_running: weakref.WeakSet[Sending] = weakref.WeakSet()


def _at_exit() -> None:
    """What was asked to be run is sent before the interpreter ends."""
    left = [sending for sending in _running if not sending.done]
    if left:
        _log.warning("jobs of a composite job are still being submitted; Ctrl-C leaves out those that were not yet")
    for sending in left:
        sending.wait()


atexit.register(_at_exit)

"""A job is sent once: it is written down first, and looked for at its vendor before it is sent again.

What a failure means for a submission:

- it certainly did not arrive (refused, vetoed, no connection, a limit of requests): noted, and raised; a limit of
  requests is waited for;
- it may have arrived (no answer in time, a connection that broke, 5xx, an answer that cannot be read): the vendor is
  asked for the job's key. FOUND: that job is ours. ABSENT, once the vendor's settle time is over: sent again. Anything
  else: the job stays `SUBMIT_UNKNOWN` until `settle` (by `reconcile` or a wait) knows more. It is never sent blindly;
- a plugin that fails in the middle, and Ctrl-C, are raised: the caller takes the job for failed, and may run it anew.
  So it is looked for later, and never sent again.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import config
from qprovider_core._kept import note, say_once
from qprovider_core._key_tag import tagged
from qprovider_core._looking import Look, can_look, did_not_arrive, look
from qprovider_core._session_state import of_session
from qprovider_core.errors import LedgerError, PluginError, QProviderError, TransportError, VetoError, failure_text
from qprovider_core.ledger import Ledger
from qprovider_core.records import BackendInfo, Deadline, JobInfo, JobRecord, JobRequest, JobState, SubmissionOutcome
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._account import Account

_log = get_logger("qprovider.jobs")

SUBMIT_TIMEOUT_S = 900.0
GIVEN_UP = "given up"  # the step in a job's timeline after which it is not sent again by itself
_SENDS = 4  # of one submission, before what fails is raised
_LONGEST_LIMIT_S = 90.0  # that a limit of requests is waited for
_LOOKS_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # between two looks for a key; the last one again and again
_INTERRUPTED = "It was interrupted while it was sent."

under_way: set[str] = set()  # keys of calls that were abandoned, and may still bring a job about


@attrs.frozen(kw_only=True)
class Sent:
    """One submission that was written down.

    Attributes:
        account: Where it goes; request: what is sent, with the user's own tags.
        ledger: Where it is noted; None where there is none.
        sent_at: When it was last sent, microseconds since 1970.
    """

    account: Account
    request: JobRequest
    ledger: Ledger | None
    sent_at: int

    @property
    def key(self) -> str:
        return self.request.key


def submit(
    account: Account,
    request: JobRequest,
    *,
    ledger: Ledger | None,
    backend: BackendInfo | None = None,
    rerun_of: str | None = None,
    wait_for_limits: bool = True,
    in_thread: bool = True,
) -> JobInfo:
    """Submit one job, exactly once.

    Args:
        backend: What the listing said of where it goes, to be kept with it.
        rerun_of: Key of the job that it repeats.
        wait_for_limits: Whether to wait where the vendor limits how often jobs may be sent.
        in_thread: Whether the vendor is called in a thread of its own, which can be walked away from.
    Returns:
        The vendor's; or one in the state SUBMIT_UNKNOWN, with the key for its id.
    Raises:
        LedgerError: It could not be written down; nothing was sent.
        QProviderError: It did certainly not arrive; or its plugin is at fault, and the ledger tells what is known.
    """
    sent = _written(account, request, ledger, backend, rerun_of)
    try:
        if in_thread:
            account.open()
    except BaseException as exc:
        failure = exc if isinstance(exc, QProviderError) else QProviderError("It was interrupted before it was sent.")
        note(sent.ledger, lambda kept: kept.failed(request.key, failure))
        raise
    return Dispatch(sent, wait_for_limits, in_thread).run()


def _written(
    account: Account, request: JobRequest, ledger: Ledger | None, backend: BackendInfo | None, rerun_of: str | None
) -> Sent:
    sent_at = int(time.time() * 1e6)
    if ledger is not None:
        from qprovider_core.ledger._requests import pack_request  # late: needs Qiskit, as the request does

        # Of a job that runs in this process nothing leaves the machine: its circuits follow when it runs, see
        # `keep_circuits`. To pack many takes as long as to simulate them.
        bound, most_bytes = account.spec.ends_with_process(backend), config.ledger_circuits_bytes()
        sent_at = ledger.write(
            request,
            pack_request(request, None if bound and most_bytes else most_bytes),
            provider=account.provider,
            account=account.name,
            process_bound=bound,
            rerun_of=rerun_of,
            backend=None if backend is None else backend.to_dict(),
        )
    return Sent(account=account, request=request, ledger=ledger, sent_at=sent_at)


class Dispatch:
    """One submission on its way."""

    def __init__(self, sent: Sent, wait_for_limits: bool = True, in_thread: bool = True) -> None:
        self._sent = sent
        self._wait_for_limits = wait_for_limits
        self._in_thread = in_thread
        self._out = False  # whether it may have arrived
        self._call: Future[Any] | None = None  # one that was abandoned
        self._answer: JobInfo | None = None  # that came after all

    def run(self) -> JobInfo:
        """Send it until it is known what became of it, or until nobody can tell."""
        try:
            for sends in range(1, _SENDS + 1):
                told = self._once(last=sends == _SENDS)
                if told is not None:
                    return told
                if not self.claimed():
                    return self._as_left()
        except QProviderError:
            raise  # noted where it was raised
        except BaseException:  # Ctrl-C
            if self._out:
                self._given_up(_INTERRUPTED)
            else:
                self._failed(QProviderError("It was interrupted before it was sent again."))
            raise
        raise AssertionError("the last failure is raised or told")

    def claimed(self) -> bool:
        """Note that it is sent again; False: another process or thread was quicker.

        Raises:
            LedgerError: It cannot be noted; nothing was sent.
        """
        kept = self._sent.ledger
        at = int(time.time() * 1e6) if kept is None else kept.sending(self._sent.key, self._sent.sent_at)
        if at is None:
            return False
        self._sent = attrs.evolve(self._sent, sent_at=at)
        return True

    def _as_left(self) -> JobInfo:
        """The job as another process or thread left it."""
        assert self._sent.ledger is not None  # without one nobody else has it
        return as_settled(self._sent.ledger.find(self._sent.key)) or self._unknown("Another process sends it.")

    # -- one attempt --------------------------------------------------------------------------------------

    def _once(self, *, last: bool) -> JobInfo | None:
        """Send it; the job, found or unknown; None: it is to be sent again."""
        self._out = True
        try:
            info = self._send()
        except QProviderError as exc:
            return self._after(exc, last=last)
        return self._accepted(info)

    def _send(self) -> JobInfo:
        account = self._sent.account
        request = tagged(self._sent.request, account.spec)
        if self._in_thread:
            info = account.ask("qprovider_submit_job", request=request, timeout=SUBMIT_TIMEOUT_S, late=self._late)
        else:
            info = account.call("qprovider_submit_job", request=request, deadline=Deadline.after(SUBMIT_TIMEOUT_S))
        if not _is_a_job(info):
            raise PluginError(
                f"The plugin of {account.label} gave no job for what was submitted.",
                plugin=account.provider,
                hook="qprovider_submit_job",
                hint="This is a fault of the plugin: report it to its authors.",
                answered=True,
            )
        return self._filled(info)

    def _filled(self, info: JobInfo) -> JobInfo:
        request = self._sent.request
        filled: JobInfo = attrs.evolve(
            info,
            instance=info.instance or request.backend.instance,
            backend=info.backend or request.backend.name,
            tags=info.tags or request.tags,
            session_id=info.session_id or request.session_id,
            key=self._sent.key,
        )
        return filled

    def _accepted(self, info: JobInfo) -> JobInfo:
        kept, key = self._sent.ledger, self._sent.key
        if kept is None:
            return info
        try:
            kept.accepted(key, info)
        except LedgerError as exc:
            _log.warning(
                "job %s was taken by %s and goes on, but its id could not be noted: %s",
                info.id,
                self._sent.account.label,
                say_once(exc, quiet=True),
            )
        except BaseException:  # Ctrl-C shall not cost the id
            note(self._sent.ledger, lambda kept: kept.accepted(key, info))
            raise
        return info

    def _late(self, call: Future[Any]) -> None:
        """The call goes on without us: what it comes to is noted all the same."""
        key = self._sent.key
        self._call = call
        under_way.add(key)

        def done(call: Future[Any]) -> None:
            exc = call.exception()
            info = call.result() if exc is None else None
            if info is not None and _is_a_job(info):
                self._answer = self._filled(info)
                self._accepted(self._answer)
            else:
                self._noted_unknown("The call that sent it brought no job about, late.")
            under_way.discard(key)

        call.add_done_callback(done)

    # -- what a failure comes to --------------------------------------------------------------------------

    def _after(self, exc: QProviderError, *, last: bool) -> JobInfo | None:
        if did_not_arrive(exc):
            self._out = False
            self._wait_or_raise(exc, last)
            return None
        failed_at = time.monotonic()
        self._noted_unknown(failure_text(exc))
        _log.info("%s; whether job %s arrived is looked up", exc.what, self._sent.key)
        of_plugin = isinstance(exc, PluginError)  # who runs circuits is not to wait for its fault
        told, believed = self._looked_up(failed_at, once=of_plugin)
        if self._answer is not None:
            return self._answer
        if told.job is not None:
            return self._accepted(self._filled(told.job))
        if told.outcome is SubmissionOutcome.ABSENT and believed and not self._is_under_way():
            if last or not isinstance(exc, TransportError):
                raise self._failed(self._in_session(exc))
            self._out = False
            return None
        if of_plugin:
            if exc.__cause__ is not None and not can_look(self._sent.account):
                raise self._failed(exc)  # the vendor's own words, as a rule, and nobody could ever tell otherwise
            self._given_up(failure_text(exc))
            raise exc  # its author is to see it; the ledger says that nobody knows
        return self._unknown(f"{exc.what} {told.why}")

    def _wait_or_raise(self, exc: QProviderError, last: bool) -> None:
        """Wait for as long as the vendor asked for, where that is worth it."""
        told = getattr(exc, "retry_after_s", None)
        pause = float(told) if isinstance(told, int | float) and 0 <= told <= _LONGEST_LIMIT_S else None
        if last or not self._wait_for_limits or pause is None:
            raise self._failed(self._in_session(exc), "vetoed" if isinstance(exc, VetoError) else "failed")
        _log.info("%s; it is sent again in %g s", exc.what, pause)
        note(self._sent.ledger, lambda kept: kept.note_event(self._sent.key, "failed", failure_text(exc)))
        time.sleep(pause)

    def _in_session(self, exc: QProviderError) -> QProviderError:
        """The same, or that the session that the job was to join is over."""
        return of_session(self._sent.account, self._sent.request.session_id, exc, in_thread=self._in_thread)

    def _looked_up(self, failed_at: float, *, once: bool) -> tuple[Look, bool]:
        """What the vendor says of the key, asked until it can be believed; and whether that it has none can be."""
        account = self._sent.account
        settled_at = failed_at + config.settle_time_s(account.spec.settle_time_s)
        pauses = iter(_LOOKS_S)
        pause = next(pauses)
        while True:
            believed = time.monotonic() >= settled_at
            told = look(account, self._sent.key, in_thread=self._in_thread)
            if self._answer is not None or told.job is not None or believed or once or not can_look(account):
                return told, believed
            time.sleep(max(0.0, min(pause, settled_at - time.monotonic())) + 0.01)
            pause = next(pauses, pause)

    def _is_under_way(self) -> bool:
        return self._call is not None and not self._call.done()

    def _failed(self, exc: QProviderError, what: str = "failed") -> QProviderError:
        note(self._sent.ledger, lambda kept: kept.failed(self._sent.key, exc, what))
        return exc

    def _given_up(self, why: str) -> None:
        """The caller is told that it failed: it is not to be sent again behind its back."""
        note(self._sent.ledger, lambda kept: kept.note_event(self._sent.key, GIVEN_UP, why))
        self._noted_unknown(why)

    def _noted_unknown(self, why: str) -> None:
        # While its call is under way it is just being sent: nobody else shall begin to look for it.
        if not self._is_under_way():
            note(self._sent.ledger, lambda kept: kept.not_known(self._sent.key, why, sent=self._sent.sent_at))

    def _unknown(self, why: str) -> JobInfo:
        """The job of which nobody can tell whether it arrived."""
        self._noted_unknown(why)
        key, request = self._sent.key, self._sent.request
        _log.warning(
            "whether job %s arrived at %s is not known (%s); do not send it again: job.result() and `qprovider jobs "
            "reconcile` look for it",
            key,
            self._sent.account.label,
            why,
        )
        return JobInfo(
            id=key,
            key=key,
            state=JobState.SUBMIT_UNKNOWN,
            backend=request.backend.name,
            instance=request.backend.instance,
            created_at=datetime.fromtimestamp(self._sent.sent_at / 1e6, UTC),
            error=why,
            name=request.name,
            tags=request.tags,
            kind=request.kind,
            session_id=request.session_id,
        )


def _is_a_job(info: Any) -> bool:
    return isinstance(info, JobInfo) and isinstance(info.id, str) and bool(info.id)


def as_settled(record: JobRecord | None) -> JobInfo | None:
    """What became of a submission, where the ledger knows: its job, or that there is certainly none."""
    if record is None or (record.job_id is None and not record.info.state.final):
        return None
    return record.info

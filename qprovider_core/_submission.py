"""A job is sent once: it is written down first, and looked for at its vendor before it is sent again.

What a failure means for a submission:

- it certainly did not arrive (refused, vetoed, no connection, a limit of requests): noted, and raised; a limit of
  requests is waited for;
- it may have arrived (no answer in time, a connection that broke, 5xx, an answer that cannot be read): the vendor is
  asked for the job's key. FOUND: that job is ours. ABSENT, once the vendor's settle time is over: sent again. Anything
  else: the job stays `SUBMIT_UNKNOWN` until `settle` (by `reconcile` or a wait) knows more. It is never sent blindly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import config
from qprovider_core._key_tag import has_room, key_tag, tagged
from qprovider_core.errors import (
    LedgerError,
    PluginError,
    QProviderError,
    ResponseError,
    SubmitUnknownError,
    TransportError,
    UnsupportedError,
    VetoError,
    failure_text,
)
from qprovider_core.ledger import Ledger
from qprovider_core.records import (
    BackendInfo,
    Deadline,
    JobInfo,
    JobQuery,
    JobRequest,
    JobState,
    Submission,
    SubmissionOutcome,
)
from qprovider_core.secret import get_logger

if TYPE_CHECKING:
    from qprovider_core._account import Account

_log = get_logger("qprovider.jobs")

SUBMIT_TIMEOUT_S = 900.0
_SENDS = 4  # of one submission, before what fails is raised
_LONGEST_LIMIT_S = 90.0  # that a limit of requests is waited for
_LOOKS_S = (0.5, 1.0, 2.0, 4.0, 8.0)  # between two looks for a key; the last one again and again


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

    def settled(self) -> float:
        """Seconds until the vendor's saying that it has no such job can be believed; 0 or less: it can."""
        settle = config.settle_time_s(self.account.spec.settle_time_s)
        return self.sent_at / 1e6 + settle - time.time()


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
        QProviderError: It did certainly not arrive.
    """
    sent = _written(account, request, ledger, backend, rerun_of)
    try:
        if in_thread:
            account.open()
    except QProviderError as exc:
        failure = exc
        note(sent, lambda kept: kept.failed(request.key, failure))
        raise
    return _Dispatch(sent, wait_for_limits, in_thread).run()


def _written(
    account: Account, request: JobRequest, ledger: Ledger | None, backend: BackendInfo | None, rerun_of: str | None
) -> Sent:
    sent_at = int(time.time() * 1e6)
    if ledger is not None:
        from qprovider_core.ledger._requests import pack_request  # late: needs Qiskit, as the request does

        sent_at = ledger.write(
            request,
            pack_request(request, config.ledger_circuits_bytes()),
            provider=account.provider,
            account=account.name,
            process_bound=account.spec.process_bound,
            rerun_of=rerun_of,
            backend=None if backend is None else backend.to_dict(),
        )
    return Sent(account=account, request=request, ledger=ledger, sent_at=sent_at)


class _Dispatch:
    """One submission on its way."""

    def __init__(self, sent: Sent, wait_for_limits: bool = True, in_thread: bool = True) -> None:
        self._sent = sent
        self._wait_for_limits = wait_for_limits
        self._in_thread = in_thread
        self._abandoned = False

    def run(self) -> JobInfo:
        """Send it until it is known what became of it, or until nobody can tell."""
        for sends in range(1, _SENDS + 1):
            try:
                return self._accepted(self._send())
            except QProviderError as exc:
                told = self._after(exc, last=sends == _SENDS)
            except BaseException:  # Ctrl-C while the vendor was being asked
                note(self._sent, lambda kept: kept.not_known(self._sent.key, "It was interrupted while it was sent."))
                raise
            if told is not None:
                return told
            again = self._claimed()
            if again is not None:
                return again
        raise AssertionError("the last failure is raised or told")

    def _send(self) -> JobInfo:
        account = self._sent.account
        request = tagged(self._sent.request, account.spec)
        if self._in_thread:
            info = account.ask("qprovider_submit_job", request=request, timeout=SUBMIT_TIMEOUT_S, late=self._late)
        else:
            info = account.call("qprovider_submit_job", request=request, deadline=Deadline.after(SUBMIT_TIMEOUT_S))
        if info is None or not info.id:
            raise PluginError(
                f"The plugin of {account.label} gave no job for what was submitted.",
                plugin=account.provider,
                hook="qprovider_submit_job",
                hint="This is a fault of the plugin: report it to its authors.",
                answered=True,
            )
        filled = {
            "instance": info.instance or request.backend.instance,
            "backend": info.backend or request.backend.name,
            "tags": info.tags or self._sent.request.tags,
            "key": self._sent.key,
        }
        job: JobInfo = attrs.evolve(info, **filled)
        return job

    def _accepted(self, info: JobInfo) -> JobInfo:
        note(self._sent, lambda kept: kept.accepted(self._sent.key, info))
        return info

    def _late(self, future: Future[Any]) -> None:
        """The call goes on without us: what it comes to is noted all the same."""
        self._abandoned = True

        def done(future: Future[Any]) -> None:
            if future.exception() is None and isinstance(info := future.result(), JobInfo) and info.id:
                note(self._sent, lambda kept: kept.accepted(self._sent.key, info))

        future.add_done_callback(done)

    def _after(self, exc: QProviderError, *, last: bool) -> JobInfo | None:
        """What a failure comes to: the job, found or unknown; None: it is to be sent again."""
        if did_not_arrive(exc):
            pause = getattr(exc, "retry_after_s", None)
            if last or not self._wait_for_limits or pause is None or pause > _LONGEST_LIMIT_S:
                raise self._failed(exc, "vetoed" if isinstance(exc, VetoError) else "failed")
            _log.info("%s; it is sent again in %g s", exc.what, pause)
            note(self._sent, lambda kept: kept.note_event(self._sent.key, "failed", failure_text(exc)))
            time.sleep(pause)
            return None
        note(self._sent, lambda kept: kept.not_known(self._sent.key, failure_text(exc)))
        _log.info("%s; whether job %s arrived is looked up", exc.what, self._sent.key)
        told, why = self._looked_up()
        if told.outcome is SubmissionOutcome.FOUND and told.job is not None:
            return self._accepted(told.job)
        if told.outcome is SubmissionOutcome.ABSENT and not self._abandoned:
            if last or not isinstance(exc, TransportError):
                raise self._failed(exc)
            return None
        if isinstance(exc, PluginError):
            raise exc  # its author is to see it; the ledger says that nobody knows
        return unknown(self._sent, f"{exc.what} {why}".strip())

    def _failed(self, exc: QProviderError, what: str = "failed") -> QProviderError:
        note(self._sent, lambda kept: kept.failed(self._sent.key, exc, what))
        return exc

    def _looked_up(self) -> tuple[Submission, str]:
        """What the vendor says of the key, asked until it can be believed; and why it cannot."""
        pauses = iter(_LOOKS_S)
        pause = next(pauses)
        while True:
            believed = self._sent.settled() <= 0
            told, why = look(self._sent.account, self._sent.key, in_thread=self._in_thread)
            if told.outcome is SubmissionOutcome.FOUND or (told.outcome is SubmissionOutcome.ABSENT and believed):
                return told, ""
            left = self._sent.settled()
            if believed or (told.outcome is SubmissionOutcome.UNKNOWN and not why):
                return Submission(outcome=SubmissionOutcome.UNKNOWN), why or "The vendor cannot tell."
            time.sleep(max(0.0, min(pause, left)) + 0.01)
            pause = next(pauses, pause)

    def _claimed(self) -> JobInfo | None:
        """Note that it is sent again; the job as another process or thread left it, where that was quicker."""
        kept = self._sent.ledger
        if kept is None:
            self._sent = attrs.evolve(self._sent, sent_at=int(time.time() * 1e6))
            return None
        at = kept.sending(self._sent.key, self._sent.sent_at)
        if at is not None:
            self._sent = attrs.evolve(self._sent, sent_at=at)
            return None
        record = kept.find(self._sent.key)
        return record.info if record is not None else unknown(self._sent, "Another process sends it.")


def did_not_arrive(exc: QProviderError) -> bool:
    """Whether a failed submission certainly left no job behind."""
    if isinstance(exc, TransportError):
        return exc.arrived is False
    if isinstance(exc, VetoError | UnsupportedError):
        return True
    if isinstance(exc, PluginError):
        return not exc.answered
    return not isinstance(exc, ResponseError)


def look(account: Account, key: str, timeout: float | None = None, *, in_thread: bool = True) -> tuple[Submission, str]:
    """What the vendor says of a key; and why it said nothing, where asking failed.

    A vendor without `qprovider_find_submission` is asked for jobs with the key's tag: one that it lists is the job,
    but none says nothing, for it may not keep tags at all.
    """
    unknown = Submission(outcome=SubmissionOutcome.UNKNOWN)

    def ask(hook: str, **arguments: Any) -> Any:
        if in_thread:
            return account.ask(hook, timeout=timeout, **arguments)
        return account.call(hook, deadline=Deadline.after(config.timeout_s(timeout)), **arguments)

    try:
        if account.supports("qprovider_find_submission"):
            told = ask("qprovider_find_submission", key=key)
            return told or unknown, ""
        if account.supports("qprovider_list_jobs") and has_room(account.spec):
            page = ask("qprovider_list_jobs", query=JobQuery(tags=(key_tag(key),), limit=5))
            for info in page.jobs if page is not None else ():
                if info.key == key:
                    return Submission(outcome=SubmissionOutcome.FOUND, job=info), ""
        return unknown, ""
    except QProviderError as exc:
        return unknown, f"The look-up failed, too: {failure_text(exc)}"


def unknown(sent: Sent, why: str) -> JobInfo:
    """The job of which nobody can tell whether it arrived."""
    note(sent, lambda kept: kept.not_known(sent.key, why))
    _log.warning(
        "whether job %s arrived at %s is not known (%s); do not send it again: job.result() and `qprovider jobs "
        "reconcile` look for it",
        sent.key,
        sent.account.label,
        why,
    )
    request = sent.request
    return JobInfo(
        id=sent.key,
        key=sent.key,
        state=JobState.SUBMIT_UNKNOWN,
        backend=request.backend.name,
        instance=request.backend.instance,
        created_at=datetime.fromtimestamp(sent.sent_at / 1e6, UTC),
        error=why,
        name=request.name,
        tags=request.tags,
        kind=request.kind,
        session_id=request.session_id,
    )


def settle(
    account: Account,
    key: str,
    *,
    sent_at: int,
    load: Callable[[], JobRequest | None],
    ledger: Ledger | None,
    resend: bool = True,
    timeout: float | None = None,
) -> JobInfo | None:
    """Ask once what became of a submission; where it certainly did not arrive, send it again.

    Args:
        sent_at: When it was last sent, microseconds since 1970.
        load: Gives the request, to send it again; None where it was not kept.
    Returns:
        The job; None: that is still not known.
    Raises:
        SubmitUnknownError: The vendor cannot tell; or the job did not arrive, and is not sent again.
        QProviderError: It did not arrive, and failed when it was sent again.
    """
    if ledger is not None:
        record = ledger.find(key)
        if record is not None and record.job_id is not None:
            return record.info  # another process, or a late answer, has settled it
        if record is not None and record.sent_at is not None:
            sent_at = int(record.sent_at.timestamp() * 1e6)
    if not (account.supports("qprovider_find_submission") or account.supports("qprovider_list_jobs")):
        raise SubmitUnknownError(
            f"Whether job {key} arrived at {account.label} is not known, and the vendor cannot tell.",
            key=key,
            job_id=key,
            hint="Look at the vendor's own list of jobs. If it is not there, run the circuits again: job.rerun().",
        )
    before = time.time()
    told, why = look(account, key, timeout)
    if told.outcome is SubmissionOutcome.FOUND and told.job is not None:
        info = attrs.evolve(told.job, key=key)
        if ledger is not None:
            ledger.accepted(key, info)
        return info
    if why:
        raise TransportError(f"Whether job {key} arrived at {account.label} is not known.", why=why)
    if before < sent_at / 1e6 + config.settle_time_s(account.spec.settle_time_s):
        return None
    if told.outcome is not SubmissionOutcome.ABSENT:
        raise SubmitUnknownError(
            f"Whether job {key} arrived at {account.label} is not known, and the vendor cannot tell now.",
            key=key,
            job_id=key,
            hint="Ask again later with `qprovider jobs reconcile`, or look at the vendor's own list of jobs.",
        )
    request = load() if resend else None
    if request is None:
        gone = SubmitUnknownError(
            f"Job {key} did not arrive at {account.label}, and was not sent again"
            f"{': its circuits were not kept' if resend else ''}.",
            key=key,
            job_id=key,
            hint="Run the circuits again with backend.run(…)." if resend else f"Run it again: qprovider rerun {key}.",
        )
        if ledger is not None:
            ledger.failed(key, gone)
        raise gone
    dispatch = _Dispatch(Sent(account=account, request=request, ledger=ledger, sent_at=sent_at))
    quicker = dispatch._claimed()
    return quicker if quicker is not None else dispatch.run()


def note(sent: Sent, write: Callable[[Ledger], Any]) -> None:
    """Write something down of a job that has been sent: where that fails, the job goes on, and it is said."""
    if sent.ledger is None:
        return
    try:
        write(sent.ledger)
    except LedgerError as exc:
        _log.warning("job %s goes on, but it could not be noted: %s", sent.key, failure_text(exc))

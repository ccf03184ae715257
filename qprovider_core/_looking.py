"""What became of a submission: what a failure says of it, and what its vendor says of its key. No Qiskit here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core import config
from qprovider_core._key_tag import has_room, key_tag
from qprovider_core.errors import (
    PluginError,
    QProviderError,
    ResponseError,
    TransportError,
    UnsupportedError,
    VetoError,
    failure_text,
)
from qprovider_core.records import Deadline, JobInfo, JobQuery, SubmissionOutcome

if TYPE_CHECKING:
    from qprovider_core._account import Account


@attrs.frozen(kw_only=True)
class Look:
    """What a vendor says of a key.

    Attributes:
        outcome: FOUND only with a `job`.
        problem: Why it said nothing, where asking failed.
    """

    outcome: SubmissionOutcome = SubmissionOutcome.UNKNOWN
    job: JobInfo | None = None
    problem: QProviderError | None = None

    @property
    def why(self) -> str:
        """Why it is not known, as a sentence."""
        if self.problem is None:
            return "The vendor cannot tell."
        return f"The look-up failed, too: {failure_text(self.problem)}"


def did_not_arrive(exc: QProviderError) -> bool:
    """Whether a failed submission certainly left no job behind."""
    if isinstance(exc, TransportError):
        return exc.arrived is False
    if isinstance(exc, VetoError | UnsupportedError):
        return True
    if isinstance(exc, PluginError):
        return not exc.answered
    return not isinstance(exc, ResponseError)


def can_look(account: Account) -> bool:
    """Whether the vendor can be asked for a key at all."""
    return account.supports("qprovider_find_submission") or _by_tag(account)


def _by_tag(account: Account) -> bool:
    return account.supports("qprovider_list_jobs") and has_room(account.spec)


def look(account: Account, key: str, timeout: float | None = None, *, in_thread: bool = True) -> Look:
    """Ask the vendor for a key, once. What goes wrong stands in the answer.

    A vendor without `qprovider_find_submission` is asked for jobs with the key's tag: one that it lists is the job,
    but none says nothing, for it may not keep tags at all.
    """

    def ask(hook: str, **arguments: Any) -> Any:
        if in_thread:
            return account.ask(hook, timeout=timeout, **arguments)
        return account.call(hook, deadline=Deadline.after(config.timeout_s(timeout)), **arguments)

    try:
        if account.supports("qprovider_find_submission"):
            told = ask("qprovider_find_submission", key=key)
            if told is not None and told.outcome is SubmissionOutcome.FOUND:
                return Look() if told.job is None else Look(outcome=told.outcome, job=told.job)
            return Look() if told is None else Look(outcome=told.outcome)
        if _by_tag(account):
            page = ask("qprovider_list_jobs", query=JobQuery(tags=(key_tag(key),), limit=5))
            for info in page.jobs if page is not None else ():
                if info.key == key:
                    return Look(outcome=SubmissionOutcome.FOUND, job=info)
    except QProviderError as exc:
        return Look(problem=exc)
    return Look()

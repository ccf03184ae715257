"""Every error that this project raises on purpose.

    QProviderError
    ├── ConfigurationError            a setting, an environment variable or the accounts file
    │   ├── AccountsFileError         .path: the file cannot be read; it is never overwritten
    │   └── NoAccountError            .provider: nothing to sign in with
    ├── PluginError                   .plugin, .hook: a plugin raised, or broke the contract
    │   ├── UnsupportedError          .capability: this vendor does not offer that
    │   └── VetoError                 a cross-cutting plugin refused the call
    ├── AuthenticationError           the vendor refused the credentials
    ├── LedgerError                   .path, .copy: the job record cannot be read or written
    │   └── DamagedLedgerError        its file is damaged; a copy was kept
    ├── TransportError                .retryable, .arrived: the vendor could not be reached
    │   └── DeadlineError             .timeout_s: no answer in time (also a TimeoutError)
    ├── ResponseError                 .path: an answer that is not of the agreed form
    ├── InvalidInputError             what the caller passed (also a ValueError)
    │   ├── UnknownNameError          .name, .choices, .suggestions
    │   │   ├── UnknownProviderError, UnknownAccountError, UnknownBackendError,
    │   │   └── UnknownAttributeError, UnknownOptionError, UnknownJobError, UnknownSessionError
    │   ├── WhereError                .text, .position: a query that cannot be read
    │   └── CircuitError              .index: a circuit that the backend cannot run
    ├── NoMatchingBackendError        .reasons: why each backend was rejected
    ├── SessionClosedError            .session_id, .closed_at: the session takes no more jobs
    └── JobError                      .job_id
        ├── JobFailedError            .code: the job ended in ERROR
        ├── JobCancelledError         the job was cancelled
        ├── JobTimeoutError           .job: not finished in time (also a TimeoutError); the job lives on
        ├── SubmitUnknownError        .key: whether the job arrived is not known, and the vendor cannot tell
        └── ResultError               the job is done but its result cannot be had

Each message says what happened, why, and what to do next; the facts are attributes, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from qprovider_core._text import printable_lines
from qprovider_core.secret import scrub


class QProviderError(Exception):
    """Base of every error raised on purpose.

    Attributes:
        what: What happened, one line.
        why: Why, or None when there is no more to say.
        hint: What to do next, or None.
    """

    # A vendor's subclass may forget to call us; its errors are read all the same.
    what: str = ""
    why: str | None = None
    hint: str | None = None

    def __init__(self, what: str, *, why: str | None = None, hint: str | None = None) -> None:
        # Vendors' texts end up here: no secret, and nothing that steers a terminal.
        self.what = printable_lines(scrub(what))
        self.why = printable_lines(scrub(why)) if why else None
        self.hint = printable_lines(scrub(hint)) if hint else None
        super().__init__(self.what)

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.why, self.hint) if part)

    def _repr_html_(self) -> str | None:
        from qprovider_core._html_error import error_html  # late: only notebooks need it

        return error_html(self)

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this; Python's own tracebacks are as ever.
        from qprovider_core._html_error import render_traceback

        return render_traceback(self)


def text_of(exc: BaseException) -> str:
    """An error's own text on one line, secrets masked; empty when it has none, or none that can be read."""
    try:
        return scrub(" ".join(str(exc.what if isinstance(exc, QProviderError) else exc).split()))
    except Exception:  # noqa: BLE001  a plugin's errors may fail at this, too
        return ""


def failure_text(exc: BaseException) -> str:
    """An error as one line beside an answer."""
    name, text = type(exc).__name__, text_of(exc)
    if isinstance(exc, QProviderError):
        why = scrub(" ".join(str(exc.why).split())) if exc.why else ""
        return " ".join(part for part in (text, why) if part) or name
    return f"{name}: {text}" if text else name


class ConfigurationError(QProviderError):
    """A setting, an environment variable or the accounts file is wrong."""


class AccountsFileError(ConfigurationError):
    """The accounts file cannot be used. It is left as it is."""

    def __init__(self, what: str, *, path: str = "", why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.path = path


class NoAccountError(ConfigurationError):
    """The provider needs credentials, and there are none: no argument, variable or saved account."""

    def __init__(self, what: str, *, provider: str = "", why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.provider = provider


class PluginError(QProviderError):
    """A plugin raised, or broke the contract. The cause is chained where there is one.

    Attributes:
        plugin, hook: Whose fault it is, and in what.
        answered: Whether the vendor may have been asked before the plugin failed, so that it may have done it.
    """

    answered = False

    def __init__(
        self,
        what: str,
        *,
        plugin: str = "",
        hook: str | None = None,
        why: str | None = None,
        hint: str | None = None,
        answered: bool = False,
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.plugin = plugin
        self.hook = hook
        self.answered = answered


class MissingPackageError(PluginError):
    """A plugin needs a distribution that is not installed, or is of another version.

    Attributes:
        package: Its name; wanted: the requirement as pip takes it; installed: the version found, None for none.
        provider, title: Whom the plugin serves.
    """

    def __init__(
        self,
        what: str,
        *,
        package: str = "",
        wanted: str = "",
        installed: str | None = None,
        provider: str | None = None,
        title: str | None = None,
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, plugin=provider or "", why=why, hint=hint)
        self.package = package
        self.wanted = wanted
        self.installed = installed
        self.provider = provider
        self.title = title


class UnsupportedError(PluginError):
    """The vendor does not offer this: its plugin has no such hook."""

    def __init__(
        self,
        what: str,
        *,
        capability: str = "",
        plugin: str = "",
        hook: str | None = None,
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, plugin=plugin, hook=hook, why=why, hint=hint)
        self.capability = capability


class VetoError(PluginError):
    """A cross-cutting plugin (``.plugin``) refused the call before the vendor saw it."""


class AuthenticationError(QProviderError):
    """The vendor refused the credentials."""


class TransportError(QProviderError):
    """The vendor could not be reached, or the connection broke.

    Attributes:
        retryable: Whether the same call may be sent again without doing harm.
        arrived: False where what was sent certainly did not arrive, or was certainly not acted on (no connection came
            about, a limit of requests); None where that is not known. The core sends a submission again on False, and
            asks the vendor for its key first on None.
        retry_after_s: How long the vendor asks to wait, in seconds; None where it does not say.
    """

    arrived: bool | None = None
    retry_after_s: float | None = None

    def __init__(
        self,
        what: str,
        *,
        retryable: bool = True,
        arrived: bool | None = None,
        retry_after_s: float | None = None,
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.retryable = retryable
        if arrived is not None:
            self.arrived = arrived
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s


class DeadlineError(TransportError, TimeoutError):
    """No answer in time.

    Attributes:
        timeout_s: How long was waited, in seconds.
    """

    def __init__(
        self,
        what: str,
        *,
        timeout_s: float | None = None,
        retryable: bool = True,
        arrived: bool | None = None,
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, retryable=retryable, arrived=arrived, why=why, hint=hint)
        self.timeout_s = timeout_s


class LedgerError(QProviderError):
    """The ledger, the record of all jobs on this machine, cannot be read or written.

    Attributes:
        path: The file.
        copy: Where a copy of it was kept; None when there was nothing to keep.
    """

    def __init__(
        self, what: str, *, path: str = "", copy: str | None = None, why: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.path = path
        self.copy = copy


class DamagedLedgerError(LedgerError):
    """The ledger's file is damaged. It is left as it is, and `qprovider jobs repair` saves what can be read."""


class ResponseError(QProviderError):
    """An answer is not of the agreed form.

    Attributes:
        path: Where in the answer, such as ``qubits[3].t1.value``; empty for the whole.
    """

    def __init__(self, what: str, *, path: str = "", why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.path = path


class InvalidInputError(QProviderError, ValueError):
    """The caller passed something that cannot be used; nothing was sent anywhere."""


def near_matches(name: str, choices: Iterable[str]) -> tuple[str, ...]:
    """The choices that `name` may be a slip of, best first; at most three."""
    from difflib import get_close_matches  # late: only errors need it

    known = list(dict.fromkeys(choices))
    folded = {choice.casefold(): choice for choice in known}
    close = get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.6)
    found = [folded[choice] for choice in close]
    found += [c for c in known if name and name.casefold() in c.casefold() and c not in found]
    return tuple(found[:3])


class UnknownNameError(InvalidInputError):
    """A name that nothing answers to.

    Attributes:
        name: What was asked for.
        choices: What there is.
        suggestions: The choices that come near, best first.
    """

    kind = "name"

    def __init__(
        self,
        name: str,
        choices: Iterable[str] = (),
        *,
        what: str | None = None,
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.name = name
        self.choices = tuple(choices)
        self.suggestions = near_matches(name, self.choices)
        if hint is None:
            if self.suggestions:
                hint = f"Did you mean {_spoken(self.suggestions)}?"
            elif self.choices:
                shown = ", ".join(sorted(self.choices)[:12])
                more = len(self.choices) - 12
                hint = f"Choose one of: {shown}{f' and {more} more' if more > 0 else ''}."
        super().__init__(what or f"Unknown {self.kind}: {name!r}.", why=why, hint=hint)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.name, self.choices), self.__dict__)


def _spoken(names: tuple[str, ...]) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + f" or {quoted[-1]}"


class UnknownProviderError(UnknownNameError):
    """No installed plugin announces this provider."""

    kind = "provider"


class UnknownAccountError(UnknownNameError):
    """No account of this name is saved."""

    kind = "account"


class UnknownBackendError(UnknownNameError):
    """No account lists a backend of this name, or several do."""

    kind = "backend"


class UnknownAttributeError(UnknownNameError):
    """A query names an attribute that no backend has."""

    kind = "attribute"


class UnknownOptionError(UnknownNameError):
    """An option that neither the core nor the vendor knows."""

    kind = "option"


class UnknownJobError(UnknownNameError):
    """The vendor has no job of this id."""

    kind = "job"


class UnknownSessionError(UnknownNameError):
    """The vendor has no session or batch of this id."""

    kind = "session"


class WhereError(InvalidInputError):
    """A query text that cannot be read.

    Attributes:
        text: The query.
        position: Index of the first character that does not fit, from 0; None when unknown.
    """

    def __init__(
        self,
        what: str,
        *,
        text: str = "",
        position: int | None = None,
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.text = text
        self.position = position


class CircuitError(InvalidInputError):
    """A circuit that the backend cannot run as it is; nothing was submitted.

    Attributes:
        index: Position of the circuit in the list that was passed, from 0; None for all of them.
    """

    def __init__(self, what: str, *, index: int | None = None, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.index = index


class NoMatchingBackendError(QProviderError):
    """No backend satisfies the criteria.

    Attributes:
        reasons: Full name of each rejected backend, and why.
        errors: Text of each vendor's failure to answer, if any.
    """

    def __init__(
        self,
        what: str,
        *,
        reasons: Mapping[str, str] | None = None,
        errors: Iterable[str] = (),
        hint: str | None = None,
    ) -> None:
        self.reasons = dict(reasons or {})
        self.errors = tuple(errors)
        lines = [f"  {name}: {reason}" for name, reason in list(self.reasons.items())[:20]]
        if len(self.reasons) > 20:
            lines.append(f"  … and {len(self.reasons) - 20} more")
        lines += [f"  {error}" for error in self.errors]
        super().__init__(what, why="\n".join(lines) or None, hint=hint)


class SessionClosedError(QProviderError):
    """The session or batch takes no more jobs: it was closed, or its time is over. The job was not taken.

    Attributes:
        session_id: The vendor's id of it; None where the vendor has no sessions.
        state: The vendor's word for how it stands; None when not known.
        closed_at: When it was closed, aware UTC; None when not known.
    """

    def __init__(
        self,
        what: str,
        *,
        session_id: str | None = None,
        state: str | None = None,
        closed_at: datetime | None = None,
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.session_id = session_id
        self.state = state
        self.closed_at = closed_at


class JobError(QProviderError):
    """Something about one job.

    Attributes:
        job_id: The vendor's id of the job; None before it has one.
    """

    def __init__(
        self, what: str, *, job_id: str | None = None, why: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.job_id = job_id


class JobFailedError(JobError):
    """The job ended in ERROR; the vendor's reason is in the message.

    Attributes:
        code: The vendor's code for it; None when it has none.
    """

    def __init__(
        self,
        what: str,
        *,
        job_id: str | None = None,
        code: str | None = None,
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, job_id=job_id, why=why, hint=hint)
        self.code = code


class JobCancelledError(JobError):
    """The job was cancelled, so it has no result."""


class JobTimeoutError(JobError, TimeoutError):
    """The job did not finish in time. It goes on: wait again, or come back later.

    Attributes:
        job: The handle (`Job`), to go on with.
        jobs: The handles of all that have not ended, where several were waited for.
    """

    def __init__(
        self,
        what: str,
        *,
        job: Any = None,
        jobs: Iterable[Any] = (),
        job_id: str | None = None,
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, job_id=job_id, why=why, hint=hint)
        self.job = job
        self.jobs = tuple(jobs)

    def __reduce__(self) -> tuple[object, ...]:
        # A handle holds connections and locks, which do not travel.
        return (type(self), self.args, {**self.__dict__, "job": None, "jobs": ()})


class SubmitUnknownError(JobError):
    """Whether the job arrived is not known, and the vendor has no way to tell. It is never sent again by itself.

    Attributes:
        key: The key under which the ledger keeps the submission.
    """

    def __init__(
        self,
        what: str,
        *,
        key: str = "",
        job_id: str | None = None,
        why: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, job_id=job_id, why=why, hint=hint)
        self.key = key


class ResultError(JobError):
    """The job is done, but its result cannot be had or read."""

"""The contract between the core and a vendor's plugin. It reads from top to bottom: announce, account,
backend, job, session.

A plugin is a module or an object with functions of these names, each marked with `hookimpl`. Arguments and
answers are plain records, texts, numbers and bytes, or Qiskit circuits on the way in. What holds everywhere:

- Name only the arguments you use, without defaults. Every hook but the announcement and
  `qprovider_foreign_accounts` may also take ``connection`` (what your own `qprovider_open_account` returned),
  ``account`` (an `AccountRef`) and ``deadline`` (a `Deadline`; after it the answer is not waited for any more).
- A hook is called in a worker thread and may be called from several at once.
- None means "I do not answer this". A hook that has done its work returns something else.
- Leave out a hook that the vendor cannot serve: the core then says so clearly when it is asked for.
- Raise `AuthenticationError`, `TransportError`, `UnknownBackendError` or `UnknownJobError` where they fit;
  any other exception is reported with your plugin's name.

Cross-cutting plugins (a budget guard, a recorder) write the same hooks with ``hookimpl(wrapper=True)``. A wrapper
sees the arguments before and the answer after. Raising before its ``yield`` vetoes the call. It cannot repeat,
skip or alter a call: whatever it returns or raises afterwards, the vendor's answer stands, and its own error is
reported as a warning. What answers in the vendor's place (a replayer) is an implementation with
``hookimpl(tryfirst=True)`` that returns something else than None; `NO_ANSWER` where the answer is to be None.

Hooks and arguments are only ever added; see the plugin guide for how they are retired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:  # records are loaded where they are used
    from qiskit.transpiler import Target

    from qprovider_core.records import (
        AccountInfo,
        AccountRef,
        BackendConfiguration,
        BackendInfo,
        BackendProperties,
        BackendRef,
        BackendStatus,
        Deadline,
        ForeignAccount,
        JobDetails,
        JobInfo,
        JobPage,
        JobQuery,
        JobRef,
        JobRequest,
        JobResult,
        ProviderSpec,
        SessionInfo,
        SessionRequest,
        Submission,
    )

PROJECT = "qprovider"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class _NoAnswer:
    def __repr__(self) -> str:
        return "NO_ANSWER"


NO_ANSWER = _NoAnswer()
"""What an implementation with ``tryfirst`` returns to say None in the vendor's place: its None would ask the vendor."""

# ---------------------------------------------------------------------------------------------------- announce


@hookspec(firstresult=True)
def qprovider_provider() -> ProviderSpec | None:
    """Say which provider this plugin serves.

    Called once, when plugins are loaded. No I/O and no heavy import here: it runs for every command.
    """


# ----------------------------------------------------------------------------------------------------- account


@hookspec(firstresult=True)
def qprovider_foreign_accounts() -> Sequence[ForeignAccount] | None:
    """The accounts that the vendor's own client saved on this machine, in its order.

    Called when accounts are looked for, before any is opened, and each time anew. Read local files only, change
    nothing, ask nobody: it is waited for a few seconds at most. One damaged entry must not hide the others: give
    it with its `problem`. An empty answer when there is no such file.
    """


@hookspec(firstresult=True)
def qprovider_open_account(credentials: Any, account: AccountRef, deadline: Deadline) -> Any:
    """Open an account and return the connection: an object of your own, passed back to every other hook.

    Called once an account, before its first use. `credentials` is an instance of the class that the
    announcement named, or None when it named none. Raise `AuthenticationError` when the vendor refuses them;
    it is fine to find that out later, at the first real call. Must not return None.
    """


@hookspec(firstresult=True)
def qprovider_account_info(connection: Any, account: AccountRef, deadline: Deadline) -> AccountInfo | None:
    """Whose account it is, its instances, plan and quota."""


@hookspec(firstresult=True)
def qprovider_close_account(connection: Any, account: AccountRef, deadline: Deadline) -> bool | None:
    """Release what the connection holds. True when done. Called at most once, and not at interpreter exit."""


# ----------------------------------------------------------------------------------------------------- backend


@hookspec(firstresult=True)
def qprovider_list_backends(connection: Any, account: AccountRef, deadline: Deadline) -> Sequence[BackendInfo] | None:
    """List the backends that this account may use.

    Called once a query at most: what was told less than `ProviderSpec.list_age_s` ago is remembered. One cheap call
    to the vendor: leave a field None rather than ask again for each backend. One unreadable backend must not hide
    the others.
    """


@hookspec(firstresult=True)
def qprovider_backend_configuration(
    connection: Any, backend: BackendRef, account: AccountRef, deadline: Deadline
) -> BackendConfiguration | None:
    """What the backend can run. Needed to open one. The core remembers it for a day, and for as long as the backend
    says the same version."""


@hookspec(firstresult=True)
def qprovider_backend_status(
    connection: Any, backend: BackendRef, account: AccountRef, deadline: Deadline
) -> BackendStatus | None:
    """The backend's status now: remember none of your own, the core does for `ProviderSpec.list_age_s`."""


@hookspec(firstresult=True)
def qprovider_backend_properties(
    connection: Any, backend: BackendRef, at: datetime | None, account: AccountRef, deadline: Deadline
) -> BackendProperties | None:
    """Its newest calibration, or the newest one before `at` (aware UTC). None where there is none."""


@hookspec(firstresult=True)
def qprovider_backend_defaults(
    connection: Any, backend: BackendRef, account: AccountRef, deadline: Deadline
) -> Mapping[str, Any] | None:
    """The vendor's default settings of the backend, as it sends them. None where there are none."""


@hookspec(firstresult=True)
def qprovider_backend_target(
    connection: Any, backend: BackendRef, account: AccountRef, deadline: Deadline
) -> Target | None:
    """A ready Qiskit `Target`, in-process only, for vendors that have one. Without this hook the core builds
    it from the configuration and the properties."""


# --------------------------------------------------------------------------------------------------------- job


@hookspec(firstresult=True)
def qprovider_submit_job(
    connection: Any, request: JobRequest, account: AccountRef, deadline: Deadline
) -> JobInfo | None:
    """Submit one job and return as soon as the vendor has it, with its id. Send it once: the core repeats."""


@hookspec(firstresult=True)
def qprovider_get_job(
    connection: Any, job: JobRef, wait_s: float, account: AccountRef, deadline: Deadline
) -> JobInfo | None:
    """The job as it stands now. Called again and again while a user waits: make it cheap.

    The caller would look again after `wait_s` seconds. A plugin that learns of changes by itself may hold its answer
    until the state changes, so long at most; the others leave the argument out and answer at once.

    A status word that you do not know is `JobState.UNKNOWN` with the word in `state_text`. Raise
    `UnknownJobError` when there is no such job.
    """


@hookspec(firstresult=True)
def qprovider_job_result(connection: Any, job: JobRef, account: AccountRef, deadline: Deadline) -> JobResult | None:
    """The result of a job that is DONE: one entry for each pub, in the request's order."""


@hookspec(firstresult=True)
def qprovider_cancel_job(connection: Any, job: JobRef, account: AccountRef, deadline: Deadline) -> bool | None:
    """Ask for the job to be cancelled. True: it will be; False: too late, it had ended."""


@hookspec(firstresult=True)
def qprovider_list_jobs(connection: Any, query: JobQuery, account: AccountRef, deadline: Deadline) -> JobPage | None:
    """One page of jobs, newest first. What the vendor cannot filter, filter here."""


@hookspec(firstresult=True)
def qprovider_find_submission(connection: Any, key: str, account: AccountRef, deadline: Deadline) -> Submission | None:
    """Whether the submission with this key (`JobRequest.key`) arrived: FOUND with the job, ABSENT, or UNKNOWN
    when the vendor cannot tell."""


@hookspec(firstresult=True)
def qprovider_update_job_tags(
    connection: Any, job: JobRef, tags: tuple[str, ...], account: AccountRef, deadline: Deadline
) -> bool | None:
    """Replace the job's tags. True when done."""


@hookspec(firstresult=True)
def qprovider_delete_job(connection: Any, job: JobRef, account: AccountRef, deadline: Deadline) -> bool | None:
    """Delete the job at the vendor, for good. True when done."""


@hookspec(firstresult=True)
def qprovider_job_details(connection: Any, job: JobRef, account: AccountRef, deadline: Deadline) -> JobDetails | None:
    """What else the vendor keeps: logs, metrics, inputs, times of steps."""


# ----------------------------------------------------------------------------------------------------- session


@hookspec(firstresult=True)
def qprovider_open_session(
    connection: Any, request: SessionRequest, account: AccountRef, deadline: Deadline
) -> SessionInfo | None:
    """Open a session or a batch, once: what is opened may be charged. Refuse a mode that the account may not use, with
    an error that says which one it may."""


@hookspec(firstresult=True)
def qprovider_close_session(
    connection: Any, session_id: str, cancel: bool, account: AccountRef, deadline: Deadline
) -> bool | None:
    """Take no more jobs into it, so that those that come are refused; with `cancel`, also drop those that wait. What
    runs goes on. True when done, and when it was over already."""


@hookspec(firstresult=True)
def qprovider_session_details(
    connection: Any, session_id: str, account: AccountRef, deadline: Deadline
) -> SessionInfo | None:
    """The session as it stands now, whether it is open or over; `UnknownSessionError` where there is none of that id.
    It is asked when a job of that session was refused, too: `accepting_jobs=False` or `closed_at` says why."""

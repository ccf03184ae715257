"""A session by its id: which account has it. No Qiskit here."""

from __future__ import annotations

from concurrent.futures import Future, as_completed
from typing import Any

from qprovider_core import config
from qprovider_core._account import Account
from qprovider_core._concurrency import in_background
from qprovider_core._session_state import told_now
from qprovider_core.errors import InvalidInputError, UnknownSessionError, failure_text
from qprovider_core.fleet import fleet
from qprovider_core.records import Deadline, SessionInfo

_HOOK = "qprovider_session_details"


def found_session(
    session_id: Any, *, service: Any, backend: Any, account: Any, provider: Any, timeout: float | None
) -> tuple[Account, SessionInfo]:
    """The account that has it, and what its vendor tells of it; see `Session.from_id`.

    Raises:
        UnknownSessionError: No account that fits has it.
    """
    if not isinstance(session_id, str) or not session_id.strip():
        raise InvalidInputError(f"A session's id is a text, not {session_id!r}.")
    accounts, problems = _asked(service, backend, account, provider)
    if len(accounts) == 1 and not problems:
        return accounts[0], told_now(accounts[0], session_id, timeout)
    able = [one for one in accounts if one.supports(_HOOK)]
    deadline = Deadline.after(config.timeout_s(timeout))
    calls = {_call(one, session_id, deadline): one for one in able}
    pending = set(calls)
    try:
        for call in as_completed(calls, timeout=deadline.timeout):
            pending.discard(call)
            exc = call.exception()
            if exc is None and call.result() is not None:
                return calls[call], call.result()
            if exc is not None and not isinstance(exc, UnknownSessionError):
                problems.append(f"{calls[call].label}: {failure_text(exc)}")
    except TimeoutError:
        problems += [f"{calls[call].label}: no answer in time" for call in calls if call in pending]
    names = ", ".join(one.label for one in able)
    raise UnknownSessionError(
        session_id,
        what=f"No account has a session or batch {session_id!r}.",
        why="\n".join([f"Asked: {names}." if able else "No account here is of a vendor that has sessions.", *problems]),
        hint="Check the id, and the account and the instance that it was opened with.",
    )


def _call(account: Account, session_id: str, deadline: Deadline) -> Future[Any]:
    return in_background(
        lambda: account.call(_HOOK, session_id=session_id, deadline=deadline), f"{account.label}-session"
    )


def _asked(service: Any, backend: Any, account: Any, provider: Any) -> tuple[list[Account], list[str]]:
    """Whom to ask, and what keeps others from being asked."""
    given = [one for one in (service, backend, account) if one is not None and not isinstance(one, str)]
    if not given and not isinstance(service, str):
        party = fleet().party(provider, account)
        return list(party.accounts), [str(error) for error in party.errors]
    owner = _owner(given[0]) if given else None
    if owner is None:
        raise InvalidInputError(
            f"A session is looked for at an account, not at {(given or [service])[0]!r}.",
            hint="Give backend=, an account from open_account(), or the names account= and provider=.",
        )
    return [owner], []


def _owner(thing: Any) -> Account | None:
    """The account behind an account, a backend's handle, or a vendor's own face of an account."""
    for one in (thing, getattr(thing, "account", None), getattr(thing, "_account", None)):
        if isinstance(one, Account):
            return one
    return None

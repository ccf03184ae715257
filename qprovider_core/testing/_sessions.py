"""Checks of sessions and batches."""

from __future__ import annotations

import uuid

import attrs
import pytest

from qprovider_core._account import Account
from qprovider_core._backend import Backend
from qprovider_core.errors import QProviderError, SessionClosedError, UnknownSessionError
from qprovider_core.records import SessionInfo, SessionRequest
from qprovider_core.testing import circuits
from qprovider_core.testing._base import ContractBase, explained, needs


class SessionChecks(ContractBase):
    """What is promised of sessions, where a vendor has them."""

    def opened(self, account: Account, backend: Backend) -> SessionInfo:
        """A new session, as the plugin tells of it."""
        session = account.ask("qprovider_open_session", request=SessionRequest(backend=backend.info.ref))
        assert isinstance(session, SessionInfo), f"qprovider_open_session gave {session!r}"
        assert session.id, "the session has no id"
        return session

    @needs("supports_sessions")
    def test_a_session_opens_and_closes(self, account: Account, backend: Backend) -> None:
        session = self.opened(account, backend)
        told = account.ask("qprovider_session_details", session_id=session.id)
        assert told.id == session.id, f"asked for session {session.id}, told of {told.id}"
        assert told.accepting_jobs is not False, "a session that was just opened takes no jobs"
        closed = account.ask("qprovider_close_session", session_id=session.id, cancel=True)
        assert closed is True, f"qprovider_close_session answers True when done, not {closed!r}"
        after = account.ask("qprovider_session_details", session_id=session.id)
        assert after.accepting_jobs is not True, "a closed session still takes jobs"

    @needs("supports_running", "supports_sessions")
    def test_a_job_in_a_session_joins_it(self, account: Account, backend: Backend) -> None:
        with backend.open_session() as session:
            job = self.finished(backend)
        told = self.look(account, job).session_id
        assert told == session.session_id, (
            f"a job was sent with the session {session.session_id}, and is told to be in {told!r}; "
            "`JobRequest.session_id` says which one it is to join, `JobInfo.session_id` which one it is in"
        )
        outside = self.look(account, self.finished(backend)).session_id
        assert outside is None, f"a job that was sent without a session is told to be in {outside!r}"
        if self.supports_list_jobs:
            listed = [one.job_id() for one in account.jobs(session_id=session.session_id, limit=None)]
            assert listed == [job.job_id()], f"the session of one job lists {listed}"

    @needs("supports_running", "supports_sessions")
    def test_a_closed_session_takes_no_jobs(self, account: Account, backend: Backend) -> None:
        session = self.opened(account, backend)
        account.ask("qprovider_close_session", session_id=session.id, cancel=False)
        ready = self.compile([circuits.number(1, 1)[0]], backend)
        request = backend._checked_request(ready, self.shots, None, None, None, None, self.run_options)
        problem: QProviderError | None = None
        try:
            job = backend._submit(attrs.evolve(request, session_id=session.id))
            job.wait_for_final_state(timeout=self.max_run_seconds)
        except QProviderError as exc:
            problem = exc
        assert problem is not None, "a closed session took a job, or the job ran outside of it: refuse it"
        explained(problem)
        assert isinstance(problem, SessionClosedError), (
            f"a job in a closed session is refused with {type(problem).__name__}, from which nobody learns that the "
            "session is closed: qprovider_session_details tells it with accepting_jobs=False, or closed_at"
        )

    @needs("supports_sessions")
    def test_an_unknown_session_is_told_to_be_none(self, account: Account) -> None:
        nobody = f"no-session-{uuid.uuid4().hex}"
        try:
            told = account.ask("qprovider_session_details", session_id=nobody)
        except UnknownSessionError as exc:
            explained(exc)
        except QProviderError as exc:
            pytest.fail(f"a session that there is not is {type(exc).__name__}; raise UnknownSessionError")
        else:
            assert told is None, f"a session that there is not is told of as {told!r}"

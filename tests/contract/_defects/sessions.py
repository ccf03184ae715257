"""Defects in sessions: opening and closing, jobs in them, what is told of them."""

from __future__ import annotations

from typing import Any

import attrs
from good_vendor import GoodVendor

import qprovider_core as qp
from _defects import defect


@defect("test_a_session_opens_and_closes", "a closed session still takes jobs")
class SessionsStayOpen(GoodVendor):
    """Closing a session is said to be done, and is not."""

    @qp.hookimpl
    def qprovider_close_session(self, connection: Any, session_id: str, deadline: Any) -> Any:
        return True


@defect("test_a_session_opens_and_closes", "told of session-")
class AnotherSession(GoodVendor):
    """A session's details have another id than the session."""

    @qp.hookimpl
    def qprovider_session_details(self, connection: Any, session_id: str, deadline: Any) -> Any:
        session = super().qprovider_session_details(connection, session_id, deadline)
        return attrs.evolve(session, id=f"session-{session.id}")


@defect("test_a_session_opens_and_closes", "qprovider_close_session answers True when done, not None")
class SilentClosing(GoodVendor):
    """A session is closed, and nothing is answered."""

    @qp.hookimpl
    def qprovider_close_session(self, connection: Any, session_id: str, deadline: Any) -> Any:
        super().qprovider_close_session(connection, session_id, deadline)


@defect("test_a_session_opens_and_closes", "a session that was just opened takes no jobs")
class BornClosed(GoodVendor):
    """A session that waits for its first job is told to be closed."""

    def session(self, row: Any) -> Any:
        return attrs.evolve(super().session(row), accepting_jobs=False)


@defect("test_a_job_in_a_session_joins_it", "and is told to be in None")
class SessionsAreIgnored(GoodVendor):
    """Jobs run outside of the session that they were sent with."""

    def order(self, request: Any) -> Any:
        return {**super().order(request), "session": None}


@defect("test_a_job_in_a_session_joins_it", "a job that was sent without a session is told to be in")
class SessionsStick(GoodVendor):
    """The last session is joined by all that comes after it."""

    last: Any = None

    def order(self, request: Any) -> Any:
        self.last = request.session_id or self.last
        return super().order(request)

    def told(self, row: Any) -> Any:
        return attrs.evolve(super().told(row), session_id=self.last)


@defect("test_a_job_in_a_session_joins_it", "the session of one job lists")
class ListsOfAllSessions(GoodVendor):
    """A list of one session's jobs has those of all."""

    def asked(self, query: Any) -> Any:
        return {**super().asked(query), "session": None}


@defect("test_a_closed_session_takes_no_jobs", "a closed session took a job")
class ClosedSessionsAreLeftOut(GoodVendor):
    """A job that was to run in a closed session runs outside of it, without a word."""

    @qp.hookimpl
    def qprovider_submit_job(self, connection: Any, request: Any, deadline: Any) -> Any:
        try:
            return super().qprovider_submit_job(connection, request, deadline)
        except qp.InvalidInputError:
            return super().qprovider_submit_job(connection, attrs.evolve(request, session_id=None), deadline)


@defect("test_a_closed_session_takes_no_jobs", "is refused with InvalidInputError, from which nobody learns")
class NobodyLearnsThatItIsClosed(GoodVendor):
    """Whether a session takes jobs is not told."""

    def session(self, row: Any) -> Any:
        return attrs.evolve(super().session(row), accepting_jobs=None, closed_at=None)


@defect("test_an_unknown_session_is_told_to_be_none", "is told of as SessionInfo")
class AnySessionIsThere(GoodVendor):
    """A session that nobody opened is told of."""

    @qp.hookimpl
    def qprovider_session_details(self, connection: Any, session_id: str, deadline: Any) -> Any:
        try:
            return super().qprovider_session_details(connection, session_id, deadline)
        except qp.UnknownSessionError:
            return qp.SessionInfo(id=session_id, state="closed", accepting_jobs=False)


@defect("test_an_unknown_session_is_told_to_be_none", "is PluginError; raise UnknownSessionError")
class UnknownSessionsBreak(GoodVendor):
    """A session that nobody opened is an error of the client's own."""

    @qp.hookimpl
    def qprovider_session_details(self, connection: Any, session_id: str, deadline: Any) -> Any:
        try:
            return super().qprovider_session_details(connection, session_id, deadline)
        except qp.UnknownSessionError as exc:
            raise KeyError(session_id) from exc

"""Checks of jobs: states, cancelling, finding them again, what is told of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qprovider_core._account import Account
from qprovider_core._backend import Backend
from qprovider_core._job import Job
from qprovider_core.errors import JobCancelledError, UnknownJobError
from qprovider_core.records import (
    JobInfo,
    JobQuery,
    JobRef,
    JobState,
    SessionRequest,
    SubmissionOutcome,
)
from qprovider_core.testing import circuits
from qprovider_core.testing._base import ContractBase, explained, needs

_RANK = {
    JobState.INITIALIZING: 0,
    JobState.VALIDATING: 1,  # vendors validate before or after they queue
    JobState.QUEUED: 1,
    JobState.RUNNING: 2,
    JobState.CANCELLED: 3,
    JobState.DONE: 3,
    JobState.ERROR: 3,
}
_NOBODY = "no-such-job-0"


class JobChecks(ContractBase):
    """What is promised of jobs."""

    # -- states -------------------------------------------------------------------------------------------

    @needs("supports_running")
    def test_states_are_known_and_only_go_forwards(self, account: Account, backend: Backend) -> None:
        job = self.submit(backend, circuits.coin())
        seen = self._watch(account, job)
        states = [info.state for info in seen]
        shown = " → ".join(dict.fromkeys(state.name for state in states))
        unknown = [info.state_text for info in seen if info.state not in _RANK]
        assert not unknown, f"a plain job passed through states that its plugin does not know: {unknown}"
        ranks = [_RANK[state] for state in states]
        assert ranks == sorted(ranks), f"the job's state went backwards: {shown}"
        assert states[-1] is JobState.DONE, f"a plain job ended as {shown}; error: {seen[-1].error!r}"
        assert seen[-1].error is None, f"a job that is DONE tells of an error: {seen[-1].error!r}"

    @needs("supports_running")
    def test_an_ended_job_does_not_change(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend)
        looks = [account.ask("qprovider_get_job", job=job.ref) for _ in range(3)]
        for look in looks:
            assert (look.state, look.created_at, look.started_at, look.ended_at) == (
                looks[0].state,
                looks[0].created_at,
                looks[0].started_at,
                looks[0].ended_at,
            ), f"a job that has ended was told of as {looks[0]!r}, then as {look!r}"
        assert looks[0].state is JobState.DONE, f"a job with a result is {looks[0].state.name}"

    @needs("supports_running")
    def test_submitting_tells_which_job_it_is(self, account: Account, backend: Backend) -> None:
        job = self.submit(backend, circuits.coin())
        told = account.ask("qprovider_get_job", job=job.ref)
        for info in (job.info, told):
            assert info.id == job.job_id(), f"asked for job {job.job_id()}, told of {info.id}"
            assert info.backend in (None, backend.name), f"sent to {backend.name}, told it is on {info.backend}"
            assert info.instance == backend.instance, (
                f"sent to instance {backend.instance!r}, told of {info.instance!r}: the job could not be found again"
            )
            assert info.shots in (None, self.shots), f"{self.shots} shots were sent, told of {info.shots}"
        job.result(timeout=self.max_run_seconds)

    # -- cancelling ---------------------------------------------------------------------------------------

    @needs("supports_running", "supports_cancel")
    def test_a_cancelled_job_ends_cancelled(self, account: Account, backend: Backend) -> None:
        ready = self.compile([circuits.coin(2 if backend.num_qubits != 1 else 1)], backend)[0]
        jobs = [backend.run(ready, shots=self.shots, **self.run_options) for _ in range(3)]
        stopped = jobs[-1].cancel()
        assert type(stopped) is bool, f"cancel gave {stopped!r}; True: it will be, False: it had ended"
        self._watch(account, jobs[-1])
        info = jobs[-1].refresh()
        if stopped:
            assert info.state is JobState.CANCELLED, f"cancel said True, and the job ended as {info.state.name}"
            with pytest.raises(JobCancelledError) as caught:
                jobs[-1].result(timeout=self.max_run_seconds)
            explained(caught.value)
        else:
            assert info.state is not JobState.CANCELLED, "cancel said False (too late), and the job was cancelled"
        for job in jobs[:-1]:
            assert job.result(timeout=self.max_run_seconds).get_counts(), "cancelling one job cost another its result"

    @needs("supports_running", "supports_cancel")
    def test_cancelling_an_ended_job_is_too_late(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend)
        answer = account.ask("qprovider_cancel_job", job=job.ref)
        assert answer is False, f"qprovider_cancel_job of a job that is done must answer False, not {answer!r}"
        told = account.ask("qprovider_get_job", job=job.ref)
        assert told.state is JobState.DONE, f"a late cancel turned a done job into {told.state.name}"

    # -- finding jobs again -------------------------------------------------------------------------------

    @needs("supports_running")
    def test_a_job_is_retrieved_by_its_id(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend, circuits.registers({1, 5}, backend.num_qubits)[0])
        self._same(account.retrieve_job(job.job_id(), instance=job.info.instance), job)

    @needs("supports_running", "supports_reconnecting")
    def test_a_job_is_retrieved_through_another_connection(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend, circuits.registers({1, 5}, backend.num_qubits)[0])
        with self.another(account) as other:
            self._same(other.retrieve_job(job.job_id(), instance=job.info.instance), job)

    @needs("supports_running")
    @pytest.mark.parametrize(
        "hook", ["get_job", "job_result", "cancel_job", "update_job_tags", "delete_job", "job_details"]
    )
    def test_an_unknown_job_is_said_to_be_unknown(self, account: Account, hook: str) -> None:
        name = f"qprovider_{hook}"
        if not account.supports(name):
            pytest.skip(f"the plugin has no {name}")
        more: dict[str, Any] = {"tags": ()} if hook == "update_job_tags" else {}
        try:
            answer = account.ask(name, job=JobRef(id=_NOBODY), **more)
        except UnknownJobError as exc:
            explained(exc)
        except Exception as exc:  # noqa: BLE001  whatever the plugin raises instead
            pytest.fail(f"{name} of a job that there is not must raise UnknownJobError, not {exc!r}")
        else:
            pytest.fail(f"{name} of a job that there is not answers {answer!r}; it must raise UnknownJobError")

    @needs("supports_running", "supports_find_submission")
    def test_a_submission_is_found_by_its_key(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend)
        assert job._request is not None
        found = account.ask("qprovider_find_submission", key=job._request.key)
        assert found.outcome is SubmissionOutcome.FOUND, f"a job that arrived is {found.outcome.name} by its key"
        assert found.job is not None, "FOUND comes with the job"
        assert found.job.id == job.job_id(), f"the key of {job.job_id()} finds {found.job.id}"
        other = account.ask("qprovider_find_submission", key=uuid.uuid4().hex)
        assert other.outcome is not SubmissionOutcome.FOUND, "a key that was never sent is FOUND"

    # -- lists --------------------------------------------------------------------------------------------

    @needs("supports_running", "supports_list_jobs")
    def test_jobs_are_listed_newest_first(self, account: Account, backend: Backend) -> None:
        made = [self.finished(backend).job_id() for _ in range(3)]
        listed = [job.job_id() for job in account.jobs(limit=50)]
        assert [one for one in listed if one in made] == made[::-1], f"made {made} in this order, listed {listed[:5]}"
        times = [job.creation_date() for job in account.jobs(limit=50)]
        known = [moment for moment in times if moment is not None]
        assert known == sorted(known, reverse=True), "the list is not in the order of creation, newest first"

    @needs("supports_running", "supports_list_jobs")
    def test_lists_of_jobs_keep_to_their_filters(self, account: Account, backend: Backend) -> None:
        job, other = self.finished(backend), self.finished(backend)
        begin = job.info.created_at or datetime.now(UTC) - timedelta(hours=1)
        keeps: list[tuple[dict[str, Any], Callable[[JobInfo], bool], bool]] = [
            ({"ids": (job.job_id(),)}, lambda info: info.id == job.job_id(), True),
            ({"backend": backend.name}, lambda info: info.backend == backend.name, True),
            ({"backend": "no_such_backend_0"}, lambda info: False, False),
            ({"states": (JobState.DONE,)}, lambda info: info.state is JobState.DONE, True),
            ({"states": (JobState.ERROR,)}, lambda info: info.state is JobState.ERROR, False),
            ({"pending": False}, lambda info: info.state.final, True),
            ({"pending": True}, lambda info: not info.state.final, False),
            ({"created_after": begin}, lambda info: not info.created_at or info.created_at >= begin, True),
            ({"created_before": begin}, lambda info: not info.created_at or info.created_at <= begin, True),
            ({"created_before": begin - timedelta(days=3650)}, lambda info: False, False),
            ({"tags": ("no such tag",)}, lambda info: "no such tag" in info.tags, False),
            ({"name": "no such name"}, lambda info: info.name == "no such name", False),
        ]
        for query, fits, included in keeps:
            infos = [found.info for found in account.jobs(limit=50, **query)]
            strangers = [info for info in infos if not fits(info)]
            assert not strangers, f"a list with {query} holds {strangers[0]!r}"
            if included:
                assert job.job_id() in [info.id for info in infos], f"a list with {query} lacks a job that fits"
        assert job.job_id() != other.job_id()

    @needs("supports_running", "supports_list_jobs")
    def test_lists_of_jobs_keep_to_their_limit_and_page_through(self, account: Account, backend: Backend) -> None:
        made = {self.finished(backend).job_id() for _ in range(3)}
        assert len(account.jobs(limit=2)) == 2, "three jobs exist, limit=2 must list two"
        seen: list[str] = []
        query = JobQuery(ids=tuple(made), limit=1)
        for _ in range(10):
            page = account.ask("qprovider_list_jobs", query=query)
            assert len(page.jobs) <= 1, f"limit=1, but a page of {len(page.jobs)} jobs"
            seen += [info.id for info in page.jobs]
            if page.cursor is None:
                break
            query = JobQuery(ids=tuple(made), limit=1, cursor=page.cursor)
        assert sorted(seen) == sorted(made), f"pages of one job gave {seen}, the jobs are {sorted(made)}"

    # -- tags and names -----------------------------------------------------------------------------------

    @needs("supports_running", "supports_tags")
    def test_a_job_keeps_its_tags(self, account: Account, backend: Backend) -> None:
        tag = f"contract-{uuid.uuid4().hex[:8]}"
        job = self.finished(backend, job_tags=[tag, "zwei: ü"])
        for found in (job, account.retrieve_job(job.job_id(), instance=job.info.instance)):
            assert set(found.tags()) == {tag, "zwei: ü"}, f"sent with two tags, has {found.tags()}"
        if self.supports_list_jobs:
            listed = [one.job_id() for one in account.jobs(tags=(tag,))]
            assert listed == [job.job_id()], f"the tag of one job lists {listed}"

    @needs("supports_running", "supports_tags", "supports_update_tags")
    def test_tags_can_be_replaced(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend, job_tags=["before"])
        job.update_tags(["after", "more"])
        told = account.retrieve_job(job.job_id(), instance=job.info.instance)
        assert set(told.tags()) == {"after", "more"}, f"the tags were replaced, and are {told.tags()}"

    @needs("supports_running", "supports_names")
    def test_a_job_keeps_its_name(self, account: Account, backend: Backend) -> None:
        name = f"contract {uuid.uuid4().hex[:8]}"
        job = self.finished(backend, name=name)
        told = account.retrieve_job(job.job_id(), instance=job.info.instance)
        assert told.name() == name, f"the job was named {name!r}, and is {told.name()!r}"
        if self.supports_list_jobs:
            listed = [one.job_id() for one in account.jobs(name=name)]
            assert listed == [job.job_id()], f"the name of one job lists {listed}"

    # -- what is told -------------------------------------------------------------------------------------

    @needs("supports_running", "supports_job_times")
    def test_job_times_are_aware_and_in_order(self, account: Account, backend: Backend) -> None:
        before = datetime.now(UTC)
        info = account.ask("qprovider_get_job", job=self.finished(backend).ref)
        after, skew = datetime.now(UTC), timedelta(seconds=self.clock_skew_s)
        times = [moment for moment in (info.created_at, info.started_at, info.ended_at) if moment is not None]
        assert info.created_at is not None, "supports_job_times is declared, but created_at is None"
        for moment in times:
            assert moment.tzinfo is not None, f"the time {moment} has no offset"
            assert before - skew <= moment <= after + skew, (
                f"the job ran between {before:%H:%M:%S} and {after:%H:%M:%S} UTC, its vendor says {moment}: "
                "is it local time taken for UTC?"
            )
        assert times == sorted(times), f"created, started and ended are not in order: {times}"

    @needs("supports_running", "supports_details")
    def test_details_belong_to_the_job(self, backend: Backend) -> None:
        circuit, expected = circuits.number(1, 1)
        details = self.finished(backend, circuit).details()
        assert details is not None, "qprovider_job_details gave nothing for a job that is done"
        if details.circuits is not None:
            assert len(details.circuits) == 1, f"one circuit was sent, {len(details.circuits)} come back"
            assert details.circuits[0].num_clbits == len(expected), "another circuit comes back than was sent"
        assert all(moment.tzinfo is not None for moment in details.steps.values()), "the time of a step has no offset"

    @needs("supports_running", "supports_delete")
    def test_a_deleted_job_is_gone(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend)
        answer = account.ask("qprovider_delete_job", job=job.ref)
        assert answer is True, f"qprovider_delete_job answers True when done, not {answer!r}"
        with pytest.raises(UnknownJobError):
            account.retrieve_job(job.job_id(), instance=job.info.instance)

    @needs("supports_sessions")
    def test_a_session_opens_and_closes(self, account: Account, backend: Backend) -> None:
        session = account.ask("qprovider_open_session", request=SessionRequest(backend=backend.info.ref))
        assert session is not None, "qprovider_open_session gave nothing"
        assert session.id, "the session has no id"
        told = account.ask("qprovider_session_details", session_id=session.id)
        assert told.id == session.id, f"asked for session {session.id}, told of {told.id}"
        closed = account.ask("qprovider_close_session", session_id=session.id, cancel=True)
        assert closed is True, f"qprovider_close_session answers True when done, not {closed!r}"
        after = account.ask("qprovider_session_details", session_id=session.id)
        assert after.accepting_jobs is not True, "a closed session still takes jobs"

    # -- helpers ------------------------------------------------------------------------------------------

    def _watch(self, account: Account, job: Job) -> list[JobInfo]:
        """What the plugin told of the job from its submission to its end."""
        seen: list[JobInfo] = [job.info]
        end = time.monotonic() + self.max_run_seconds
        while not seen[-1].state.final:
            if time.monotonic() > end:
                pytest.fail(
                    f"after {self.max_run_seconds:g} s the job is still {seen[-1].state.name}; a queue that takes "
                    "longer is declared with max_run_seconds"
                )
            time.sleep(min(account.spec.min_poll_s, 1.0))
            seen.append(account.ask("qprovider_get_job", job=job.ref))
        return seen

    def _same(self, found: Job, job: Job) -> None:
        """A retrieved job is the one that was sent, with its counts and their spaces between registers."""
        assert found.job_id() == job.job_id(), f"asked for {job.job_id()}, retrieved {found.job_id()}"
        counts = found.result(timeout=self.max_run_seconds).get_counts()
        sent = job.result(timeout=self.max_run_seconds).get_counts()
        assert counts == sent, f"the retrieved job has the counts {counts}, the sent one {sent}"

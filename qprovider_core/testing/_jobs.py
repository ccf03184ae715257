"""Checks of jobs: their states, their tags and names, and what is told of them."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from math import isfinite

import pytest

from qprovider_core._account import Account
from qprovider_core._backend import Backend
from qprovider_core._job import make_job
from qprovider_core.errors import DeadlineError, JobTimeoutError, UnknownJobError
from qprovider_core.records import JobInfo, JobState
from qprovider_core.testing import circuits
from qprovider_core.testing._base import RANKS, ContractBase, explained, needs

_STRANGE = "Teleporting"  # a word that no vendor has for a job's status


class JobChecks(ContractBase):
    """What is promised of jobs."""

    # -- states -------------------------------------------------------------------------------------------

    @needs("supports_running")
    def test_states_are_known_and_only_go_forwards(self, account: Account, backend: Backend) -> None:
        job = self.submit(backend, circuits.coin())
        seen = self.watch(account, job)
        states = [info.state for info in seen]
        shown = " → ".join(dict.fromkeys(state.name for state in states))
        unknown = [info.state_text for info in seen if info.state not in RANKS]
        assert not unknown, f"a plain job passed through states that its plugin does not know: {unknown}"
        ranks = [RANKS[state] for state in states]
        assert ranks == sorted(ranks), f"the job's state went backwards: {shown}"
        assert states[-1] is JobState.DONE, f"a plain job ended as {shown}; error: {seen[-1].error!r}"
        assert seen[-1].error is None, f"a job that is DONE tells of an error: {seen[-1].error!r}"

    def test_an_unknown_status_is_kept_as_text(self, account: Account) -> None:
        info = self.job_with_status(account, _STRANGE)
        if info is None:
            pytest.skip("declared: job_with_status gives None, no job can be made to have a status of our own")
        assert isinstance(info, JobInfo), f"job_with_status gave {info!r}; it must give what qprovider_get_job tells"
        assert info.state is JobState.UNKNOWN, (
            f"the vendor calls a job's status {_STRANGE!r}, and the plugin takes it for {info.state.name}; a word that "
            "it does not know is JobState.UNKNOWN, so that nobody waits for, or gives up, the wrong thing"
        )
        assert info.state_text == _STRANGE, (
            f"the vendor calls a job's status {_STRANGE!r}, and the plugin tells {info.state_text!r}; put the vendor's "
            "word into state_text as it came"
        )
        nearest = make_job(account, info).nearest_status
        assert nearest.name not in ("DONE", "ERROR", "CANCELLED"), f"an unknown status is told to be an end: {nearest}"

    @needs("supports_running")
    def test_looking_at_a_job_keeps_to_its_time(self, account: Account, backend: Backend) -> None:
        job = self.long_job(backend) if self.supports_cancel else self.submit(backend, circuits.coin())
        self._long_jobs.append(job)
        for wait_s in (0.0, 0.3):
            started, limit = time.monotonic(), wait_s + self.max_look_seconds
            try:
                self.look(account, job, wait_s=wait_s, timeout=limit)
            except DeadlineError as exc:
                pytest.fail(f"qprovider_get_job with wait_s={wait_s:g} gave no answer in {limit:g} s: {exc}")
            taken = time.monotonic() - started
            assert taken <= limit, (
                f"qprovider_get_job with wait_s={wait_s:g} took {taken:.1f} s; it tells how a job stands now, and may "
                f"hold its answer for wait_s at most (max_look_seconds is {self.max_look_seconds:g})"
            )
        if not self.look(account, job).state.final:
            try:
                job.result(timeout=0.05)
            except JobTimeoutError as exc:
                explained(exc)
            else:  # it may have ended meanwhile
                assert self.look(account, job).state.final, "result(timeout=0.05) gave the result of a job that runs"

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

    # -- tags and names -----------------------------------------------------------------------------------

    @needs("supports_running", "supports_tags")
    def test_a_job_keeps_its_tags(self, account: Account, backend: Backend) -> None:
        tag = f"contract-{uuid.uuid4().hex[:8]}"
        job = self.finished(backend, job_tags=[tag, "zwei: ü"])
        for found in (job, account.retrieve_job(job.job_id(), instance=job.info.instance)):
            assert set(found.tags()) == {tag, "zwei: ü"}, f"sent with two tags, has {found.tags()}"
        told = self.look(account, job).tags
        assert set(told) == {tag, "zwei: ü"}, f"sent with two tags, is told with {told}"
        if self.supports_list_jobs:
            listed = [one.job_id() for one in account.jobs(tags=(tag,))]
            assert listed == [job.job_id()], f"the tag of one job lists {listed}"

    @needs("supports_running", "supports_tags", "supports_update_tags")
    def test_tags_can_be_replaced(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend, job_tags=["before"])
        job.update_tags(["after", "more"])
        told = account.retrieve_job(job.job_id(), instance=job.info.instance)
        for tags in (told.tags(), self.look(account, job).tags):
            assert set(tags) == {"after", "more"}, f"the tags were replaced, and are {tags}"

    @needs("supports_running", "supports_names")
    def test_a_job_keeps_its_name(self, account: Account, backend: Backend) -> None:
        name = f"contract {uuid.uuid4().hex[:8]}"
        job = self.finished(backend, name=name)
        told = account.retrieve_job(job.job_id(), instance=job.info.instance)
        for kept in (told.name(), self.look(account, job).name):
            assert kept == name, f"the job was named {name!r}, and is {kept!r}"
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

    @needs("supports_running")
    def test_usage_is_in_seconds(self, account: Account, backend: Backend) -> None:
        usage = self.look(account, self.finished(backend)).usage
        if usage is None:
            return  # not reported
        for name in ("quantum_s", "estimated_s"):
            seconds = getattr(usage, name)
            assert seconds is None or (isfinite(seconds) and 0 <= seconds <= self.max_run_seconds), (
                f"a job of {self.shots} shots that was over in {self.max_run_seconds:g} s is told to have used "
                f"{name} = {seconds!r}: is it in milliseconds or nanoseconds? Not reported is None"
            )

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

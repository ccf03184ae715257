"""Checks of finding jobs again: by id, by key, in lists, through another connection and in another process."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from qprovider_core._account import Account
from qprovider_core._backend import Backend
from qprovider_core._job import Job
from qprovider_core.errors import UnknownJobError
from qprovider_core.records import JobInfo, JobQuery, JobRef, JobState, SubmissionOutcome
from qprovider_core.testing import circuits
from qprovider_core.testing._base import ContractBase, explained, needs
from qprovider_core.testing._processes import ended, in_a_fresh_process

_NOBODY = "no-such-job-0"


class FindingChecks(ContractBase):
    """What is promised of jobs that are looked for."""

    # -- finding jobs again -------------------------------------------------------------------------------

    @needs("supports_running")
    def test_a_job_is_retrieved_by_its_id(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend, circuits.registers({1, 5}, backend.num_qubits)[0])
        self._same(account.retrieve_job(job.job_id(), instance=job.info.instance), job)
        self._found(account, job)

    @needs("supports_running", "supports_reconnecting")
    def test_a_job_is_retrieved_through_another_connection(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend, circuits.registers({1, 5}, backend.num_qubits)[0])
        with self.another(account) as other:
            self._same(other.retrieve_job(job.job_id(), instance=job.info.instance), job)
            self._found(other, job)

    @needs("supports_running", "supports_reconnecting", "supports_other_processes")
    def test_a_job_is_retrieved_in_a_new_process(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend, circuits.registers({1, 5}, backend.num_qubits)[0])
        where = {"id": job.job_id(), "instance": job.info.instance}
        report = in_a_fresh_process(account, "retrieve", self.plugin, self.max_run_seconds, job=where)
        ended(report, "retrieved a job")
        assert report["id"] == job.job_id(), f"asked for {job.job_id()}, a new process retrieved {report['id']}"
        counts = dict(job.result(timeout=self.max_run_seconds).get_counts())
        assert report["counts"] == counts, (
            f"in a new process the job has the counts {report['counts']}, here {counts}; declare "
            "supports_other_processes = False if its jobs end with the process that sent them"
        )

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

    @needs("supports_running", "supports_list_jobs", "supports_cancel", "supports_queue")
    def test_jobs_that_wait_are_listed_as_pending(self, account: Account, backend: Backend) -> None:
        job = self.caught(account, backend, "queued_job", JobState.QUEUED, "supports_queue")
        for query, included in (
            (JobQuery(ids=(job.job_id(),)), True),
            (JobQuery(pending=True, limit=50), True),
            (JobQuery(pending=False, limit=50), False),
        ):
            page = account.ask("qprovider_list_jobs", query=query)
            if self.look(account, job).state.final:
                return  # it had its turn meanwhile
            found = job.job_id() in [info.id for info in page.jobs]
            assert found is included, f"a job that waits is {'not ' if included else ''}in a list with {query!r}"

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

    def _found(self, account: Account, job: Job) -> None:
        """The plugin itself finds the job and its result by the id alone; the core knows them by its own record."""
        ref = JobRef(id=job.job_id(), instance=job.info.instance)
        info = account.ask("qprovider_get_job", job=ref)
        assert info is not None, f"qprovider_get_job of job {ref.id} gives nothing"
        assert info.state is JobState.DONE, f"a job with a result is told to be {info.state.name} by its id"
        result = account.ask("qprovider_job_result", job=ref)
        assert result is not None, f"qprovider_job_result of job {ref.id} gives nothing when it is asked by its id"
        assert result == job.result(timeout=self.max_run_seconds).record, "the job's id gives another result"

    def _same(self, found: Job, job: Job) -> None:
        """A retrieved job is the one that was sent, with its counts and their spaces between registers."""
        assert found.job_id() == job.job_id(), f"asked for {job.job_id()}, retrieved {found.job_id()}"
        counts = found.result(timeout=self.max_run_seconds).get_counts()
        sent = job.result(timeout=self.max_run_seconds).get_counts()
        assert counts == sent, f"the retrieved job has the counts {counts}, the sent one {sent}"

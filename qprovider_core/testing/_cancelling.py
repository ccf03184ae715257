"""Checks of cancelling: before a job runs, while it does, and after its end."""

from __future__ import annotations

from typing import Any

import pytest

from qprovider_core._account import Account
from qprovider_core._backend import Backend
from qprovider_core._job import Job
from qprovider_core.errors import JobCancelledError
from qprovider_core.records import JobState
from qprovider_core.testing import circuits
from qprovider_core.testing._base import ContractBase, explained, needs


class CancellingChecks(ContractBase):
    """What is promised of cancelling."""

    @needs("supports_running", "supports_cancel")
    def test_a_cancelled_job_ends_cancelled(self, account: Account, backend: Backend) -> None:
        ready = self.compile([circuits.coin(2 if backend.num_qubits != 1 else 1)], backend)[0]
        jobs = [backend.run(ready, shots=self.shots, **self.run_options) for _ in range(3)]
        stopped = jobs[-1].cancel()
        assert type(stopped) is bool, f"cancel gave {stopped!r}; True: it will be, False: it had ended"
        self.watch(account, jobs[-1])
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

    @needs("supports_running", "supports_cancel", "supports_queue")
    def test_cancelling_a_queued_job(self, account: Account, backend: Backend) -> None:
        job = self.caught(account, backend, "queued_job", JobState.QUEUED, "supports_queue")
        self._stopped(account, job, "a job that is QUEUED")
        info = self.look(account, job)
        assert info.started_at is None, f"a job that was cancelled in its queue is told to have started: {info!r}"

    @needs("supports_running", "supports_cancel", "supports_cancel_running")
    def test_cancelling_a_running_job(self, account: Account, backend: Backend) -> None:
        job = self.caught(account, backend, "long_job", JobState.RUNNING, "supports_cancel_running")
        self._stopped(account, job, "a job that is RUNNING")
        assert self.finished(backend).result().get_counts(), "after a running job was cancelled, the next has no result"

    @needs("supports_running", "supports_cancel")
    def test_cancelling_twice_is_fine(self, account: Account, backend: Backend) -> None:
        job = self.long_job(backend)
        self._long_jobs.append(job)
        answers = [account.ask("qprovider_cancel_job", job=job.ref) for _ in range(2)]
        assert all(type(answer) is bool for answer in answers), (
            f"cancelling a job twice answers {answers}; True: it will be, False: it had ended"
        )
        state = self.watch(account, job)[-1].state
        assert state is (JobState.CANCELLED if answers[0] else JobState.DONE), (
            f"cancelled twice, answered {answers}, and the job ended as {state.name}"
        )
        answer = account.ask("qprovider_cancel_job", job=job.ref)
        assert answer is False, f"qprovider_cancel_job of a job that has ended must answer False, not {answer!r}"
        assert self.look(account, job).state is state, "cancelling a job that had ended changed its state"

    def _stopped(self, account: Account, job: Job, what: str) -> None:
        """Cancel it, and see that it ends so."""
        answer: Any = account.ask("qprovider_cancel_job", job=job.ref)
        assert answer is True, (
            f"{what}, qprovider_cancel_job answers {answer!r}; True: it will be cancelled, False: it had ended. "
            "What the vendor cannot stop is declared: supports_queue, supports_cancel_running = False"
        )
        states = [info.state for info in self.watch(account, job)]
        assert states[-1] is JobState.CANCELLED, (
            f"{what} was cancelled with the answer True, and went "
            f"{' → '.join(dict.fromkeys(state.name for state in states))}"
        )
        with pytest.raises(JobCancelledError) as caught:
            job.result(timeout=self.max_run_seconds)
        explained(caught.value)

"""A job's result for coroutines."""

import asyncio
import threading
import time

import pytest

from qprovider_core._job import Job
from qprovider_core.errors import InvalidInputError, JobFailedError, JobTimeoutError
from qprovider_core.records import JobInfo, JobResult, JobState, ProviderSpec, SamplePubResult

pytestmark = pytest.mark.usefixtures("isolated")
COUNTS = JobResult(pubs=[SamplePubResult.from_counts({"0": 3, "1": 5})])


@pytest.fixture
def jobs(account):
    """Jobs that run until they are told to end; `looks` counts what was asked of each."""

    class Running:
        def __init__(self):
            self.states = {}
            self.looks = {}
            self.account = account(
                spec=ProviderSpec(name="acme", title="Acme", min_poll_s=0.01),
                get_job=lambda job: self.look(job),
                job_result=lambda: COUNTS,
            )

        def look(self, job):
            self.looks[job.id] = self.looks.get(job.id, 0) + 1
            return JobInfo(id=job.id, state=self.states[job.id])

        def job(self, name, state=JobState.RUNNING):
            self.states[name] = state
            return Job(self.account, JobInfo(id=name, state=JobState.RUNNING))

    return Running()


def waiting():
    return [thread for thread in threading.enumerate() if thread.name.startswith("qprovider-await")]


def test_await_gives_the_result(jobs):
    async def main():
        return await jobs.job("a", JobState.DONE)

    assert asyncio.run(main()).get_counts() == {"0": 3, "1": 5}


def test_others_run_while_it_waits(jobs):
    job = jobs.job("a")

    async def end():
        await asyncio.sleep(0)
        jobs.states["a"] = JobState.DONE
        return "ended"

    async def main():
        return await asyncio.gather(job.aresult(timeout=20), end())

    result, told = asyncio.run(main())
    assert (result.get_counts(), told) == ({"0": 3, "1": 5}, "ended")


def test_several_are_gathered(jobs):
    many = [jobs.job(f"a{number}", JobState.DONE) for number in range(10)]

    async def main():
        return await asyncio.gather(*many)

    assert [result.get_counts() for result in asyncio.run(main())] == [{"0": 3, "1": 5}] * 10


def test_errors_come_through(jobs):
    failed, slow = jobs.job("a", JobState.ERROR), jobs.job("b")

    async def main():
        return await asyncio.gather(failed, slow.aresult(timeout=0.1), return_exceptions=True)

    first, second = asyncio.run(main())
    assert isinstance(first, JobFailedError)
    assert isinstance(second, JobTimeoutError)
    assert second.job is slow

    async def wrong():
        await slow.aresult(timeout=-1)

    with pytest.raises(InvalidInputError):
        asyncio.run(wrong())


@pytest.mark.parametrize("how", ["cancel", "wait_for"])
def test_a_coroutine_that_is_cancelled_leaves_nobody_asking(how, jobs):
    job = jobs.job("a")

    async def main():
        if how == "wait_for":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(job.aresult(), 0.1)
            return
        task = asyncio.ensure_future(job.aresult())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    end = time.monotonic() + 20
    while waiting():
        assert time.monotonic() < end
        time.sleep(0.01)
    looks = jobs.looks["a"]
    time.sleep(0.2)
    assert jobs.looks["a"] == looks
    assert job.info.state is JobState.RUNNING  # the job itself goes on
    jobs.states["a"] = JobState.DONE
    assert job.result(timeout=20).get_counts() == {"0": 3, "1": 5}

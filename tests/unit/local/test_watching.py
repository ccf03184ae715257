"""Looks at a job that hold their answer until something changes."""

import threading
import time

import pytest

import qprovider_local as plugin
from qprovider_core.records import JobState

FOR_LONG = 60.0


@pytest.fixture
def watch():
    """Look at a job in a thread, holding the answer; gives a function that waits for it."""

    def start(account, job):
        seen = []

        def look():
            seen.append(plugin.qprovider_get_job(connection=account.connection, job=job.ref, wait_s=FOR_LONG))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()

        def answer():
            thread.join(30)
            assert seen, "the look still holds its answer"
            return seen[0]

        return answer

    return start


def test_a_look_that_holds_answers_when_the_job_is_cancelled(own_local, endless, watch):
    job = own_local.submit(endless, shots=10_000)
    own_local.wait_running(job)
    answer = watch(own_local, job)
    own_local.cancel(job)
    assert answer().state is JobState.CANCELLED


def test_a_look_that_holds_tells_each_step_of_a_job(own_local, bell, endless, watch):
    blocker = own_local.submit(endless, shots=10_000)
    own_local.wait_running(blocker)
    behind = own_local.submit(endless, shots=10_000)
    answer = watch(own_local, behind)
    own_local.cancel(blocker)
    assert answer().state is JobState.RUNNING


def test_looks_that_hold_do_not_keep_a_new_job_from_its_worker(open_local, bell, endless, watch):
    account = open_local(workers=2)
    long = account.submit(endless, shots=10_000)
    account.wait_running(long)
    answers = [watch(account, long) for _ in range(4)]
    assert account.wait(account.submit(bell)).state is JobState.DONE
    account.cancel(long)
    assert {answer().state for answer in answers} == {JobState.CANCELLED}


def test_a_look_that_holds_gives_up_in_time(own_local, endless):
    job = own_local.submit(endless, shots=10_000)
    own_local.wait_running(job)
    started = time.monotonic()
    told = plugin.qprovider_get_job(connection=own_local.connection, job=job.ref, wait_s=0.05)
    assert told.state is JobState.RUNNING
    assert time.monotonic() - started >= 0.05


def test_a_job_that_has_ended_is_told_at_once(own_local, bell):
    job = own_local.submit(bell)
    own_local.wait(job)
    started = time.monotonic()
    plugin.qprovider_get_job(connection=own_local.connection, job=job.ref, wait_s=FOR_LONG)
    assert time.monotonic() - started < FOR_LONG / 2

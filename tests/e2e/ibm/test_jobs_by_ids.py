"""Many jobs of IBM Quantum at once: what it costs to ask for them by their ids, and to wait for them."""

import pytest

from qprovider_core import as_completed, wait
from qprovider_core._job import Job
from qprovider_core.errors import TransportError
from qprovider_core.records import Deadline, JobInfo, JobQuery, JobRef, JobState
from qprovider_ibm import IBMProvider

BODY = {
    "program_id": "sampler",
    "backend": "ibmq_qasm_simulator",
    "params": {"pubs": [["OPENQASM 3.0; bit[1] c;", [], 1]], "version": 2},
}


@pytest.fixture
def everywhere(emulator):
    """An account that uses all instances."""
    with IBMProvider(emulator.api_key) as provider:
        provider.jobs(limit=1)
        yield provider


@pytest.fixture
def queued(everywhere, emulator):
    """Puts so many jobs that stay in the queue into an instance; their ids and the instance's CRN."""
    client = everywhere.account.connection().client

    def make(number, instance="premium-eu"):
        emulator.fault("job_stuck")
        crn = emulator.instances[instance]
        ids = [client.create_job(crn, BODY, Deadline.after(10))["id"] for _ in range(number)]
        emulator.clear_faults()
        emulator.clear_requests()
        return ids, crn

    return make


def found(provider, *ids, **query):
    page = provider.account.ask("qprovider_list_jobs", query=JobQuery(ids=ids, **query))
    return {info.id: info for info in page.jobs}


def paths(emulator):
    seen = [one["path"] for one in emulator.requests()]
    emulator.clear_requests()
    return seen


def cancel(provider, job_id, crn):
    assert provider.account.ask("qprovider_cancel_job", job=JobRef(id=job_id, instance=crn))


def test_jobs_that_wait_come_from_one_list(everywhere, emulator, queued):
    ids, crn = queued(100)
    told = found(everywhere, *ids, instance=crn)
    assert set(told) == set(ids)
    assert {info.state for info in told.values()} == {JobState.QUEUED}
    assert paths(emulator) == ["/api/v1/jobs"]


def test_only_those_that_have_ended_are_asked_for_by_themselves(everywhere, emulator, queued):
    ids, crn = queued(20)
    for one in ids[:3]:
        cancel(everywhere, one, crn)
    emulator.clear_requests()
    told = found(everywhere, *ids, instance=crn)
    assert [told[one].state for one in ids] == [JobState.CANCELLED] * 3 + [JobState.QUEUED] * 17
    assert sorted(paths(emulator)) == ["/api/v1/jobs", *sorted(f"/api/v1/jobs/{one}" for one in ids[:3])]
    assert set(found(everywhere, *ids, instance=crn, pending=True)) == set(ids[3:])
    emulator.clear_requests()
    assert set(found(everywhere, *ids[:4], instance=crn, pending=False)) == set(ids[:3])
    assert "/api/v1/jobs" not in paths(emulator)


def test_two_ids_are_not_worth_a_list(everywhere, emulator, queued):
    ids, crn = queued(2)
    assert set(found(everywhere, *ids, instance=crn)) == set(ids)
    assert sorted(paths(emulator)) == sorted(f"/api/v1/jobs/{one}" for one in ids)


def test_ids_of_several_instances_are_found_and_unknown_ones_are_left_out(everywhere, emulator, queued):
    ids = [*queued(3)[0], *queued(3, "open-main")[0]]
    assert set(found(everywhere, *ids, "nothing")) == set(ids)
    lists = [path for path in paths(emulator) if path == "/api/v1/jobs"]
    assert len(lists) == len(emulator.instances)


def test_jobs_beyond_the_first_pages_are_asked_for_by_themselves(everywhere, emulator, queued, monkeypatch):
    monkeypatch.setattr("qprovider_ibm._job_lists.JOBS_A_PAGE", 5)
    monkeypatch.setattr("qprovider_ibm._job_lists._PENDING_READ", 10)
    ids, crn = queued(12)
    assert set(found(everywhere, *ids, instance=crn)) == set(ids)
    assert sorted(paths(emulator)) == sorted(["/api/v1/jobs"] * 2 + [f"/api/v1/jobs/{one}" for one in ids[:2]])


def test_a_list_that_fails_costs_no_request_for_each(everywhere, emulator, queued):
    ids, crn = queued(50)
    emulator.fault("rate_limit", path="/api/v1/jobs", method="GET", retry_after=100)
    with pytest.raises(TransportError) as caught:
        found(everywhere, *ids, instance=crn)
    assert caught.value.retry_after_s == 100
    assert set(paths(emulator)) == {"/api/v1/jobs"}


def test_jobs_that_are_waited_for_together_cost_a_list_a_round(everywhere, emulator, queued):
    ids, crn = queued(30)
    jobs = [Job(everywhere.account, JobInfo(id=one, instance=crn, state=JobState.QUEUED)) for one in ids]
    done, late = wait(jobs, timeout=0.5)
    assert (done, late) == ([], jobs)
    assert set(paths(emulator)) == {"/api/v1/jobs"}
    for one in ids:
        cancel(everywhere, one, crn)
    emulator.clear_requests()
    assert {job.job_id() for job in as_completed(jobs, timeout=60)} == set(ids)
    assert len(paths(emulator)) <= 1 + 30


def test_real_jobs_are_given_as_they_end(provider, bell):
    simulator = provider.get_backend("ibmq_qasm_simulator")
    jobs = [simulator.run(bell, shots=10) for _ in range(4)]
    assert {job.job_id() for job in as_completed(jobs, timeout=60)} == {job.job_id() for job in jobs}
    assert all(job.done() for job in jobs)

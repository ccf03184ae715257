"""Sessions, batches, usage and workloads."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from qprovider_ibm.emulator import Emulator
from qprovider_ibm.emulator._sessions import Session


@pytest.fixture
def params(tools, bell):
    return tools.sampler_params(bell, shots=10)


def _later(start, seconds):
    return start + timedelta(seconds=seconds)


def open_session(api, **body):
    answer = api.send("POST", "/sessions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_batch_on_the_open_plan(api, params):
    session = open_session(api, mode="batch", backend="ibmq_belem", instance=api.crn)
    assert session["mode"] == "batch"
    assert session["state"] == "open"
    assert session["accepting_jobs"] is True
    assert session["max_ttl"] == 28_800
    assert session["elapsed_time"] is None
    path = f"/sessions/{session['id']}"
    jobs = [api.submit(params, session_id=session["id"]) for _ in range(2)]
    for job in jobs:
        assert api.wait(job)["session_id"] == session["id"]
    assert {job["id"] for job in api.json("/jobs", session_id=session["id"])["jobs"]} == set(jobs)
    active = api.json(path)
    assert active["state"] == "inactive"
    assert active["last_job_started"] < active["last_job_completed"]
    words = [change["status"] for change in active["timestamps"]]
    once = ["open", "active", "inactive"]
    assert words in (once, [*once, "active", "inactive"])  # the first may have ended before the second came
    assert active["elapsed_time"] > 0
    assert api.send("PATCH", path, json={"accepting_jobs": False}).status_code == 204
    closed = api.json(path)
    assert closed["state"] == "closed"
    assert closed["closed_at"]
    assert closed["elapsed_time"] > 0
    answer = api.post_job(params, session_id=session["id"])
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == 1352


def test_dedicated_sessions_are_refused_on_the_open_plan(api, premium, tools):
    assert tools.error_of(api.send("POST", "/sessions", json={"mode": "dedicated"}))[:2] == (400, 1352)
    assert open_session(premium, mode="dedicated", max_ttl=60)["interactive_ttl"] == 60


def test_a_session_that_takes_no_more_jobs_runs_those_it_has(premium, params):
    premium.emulator.fault("job_stuck", times=1)
    session = open_session(premium, mode="dedicated", backend="ibm_hanoi")
    stuck = premium.submit(params, "ibm_hanoi", session_id=session["id"])
    path = f"/sessions/{session['id']}"
    assert premium.send("PATCH", path, json={"accepting_jobs": False}).status_code == 204
    assert premium.json(path)["state"] == "open"
    assert premium.post_job(params, "ibm_hanoi", session_id=session["id"]).status_code == 400
    assert premium.send("DELETE", path + "/close").status_code == 204
    assert premium.job(stuck)["state"]["status"] == "Cancelled"
    assert premium.json(path)["state"] == "closed"


def test_a_session_ends_with_its_time(premium, params):
    session = open_session(premium, mode="batch", max_ttl=1)
    end = time.monotonic() + 5
    while premium.json(f"/sessions/{session['id']}")["state"] != "closed":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert premium.post_job(params, session_id=session["id"]).status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"mode": "other"}, 400),
        ({"mode": "batch", "backend": "ibm_nowhere"}, 404),
        ({"mode": "batch", "max_ttl": 0}, 400),
        ({"mode": "batch", "name": "mine"}, 400),
        ({"mode": "batch", "instance": "crn:other"}, 403),
    ],
)
def test_wrong_sessions_are_refused(api, tools, body, status):
    assert tools.error_of(api.send("POST", "/sessions", json=body))[0] == status


def test_a_session_is_for_one_backend_and_one_instance(api, premium, tools, params):
    session = open_session(api, mode="batch", backend="ibmq_belem")
    assert tools.error_of(api.post_job(params, "ibm_hanoi", session_id=session["id"]))[0] == 400
    assert tools.error_of(premium.get(f"/sessions/{session['id']}"))[0] == 404
    assert tools.error_of(api.send("PATCH", "/sessions/unknown", json={"accepting_jobs": False}))[0] == 404
    assert tools.error_of(api.send("PATCH", f"/sessions/{session['id']}", json={"other": 1}))[0] == 400


def test_usage_of_an_instance(api, premium, params):
    before = api.json("/instances/usage")
    assert before["instance_id"] == api.crn
    assert before["usage_limit_seconds"] == 600
    assert before["usage_limit_reached"] is False
    assert set(before["usage_period"]) == {"start_time", "end_time"}
    job = api.wait(api.submit(params))
    after = api.json("/instances/usage")
    used = after["usage_consumed_seconds"] - before["usage_consumed_seconds"]
    assert used == pytest.approx(job["estimated_running_time_seconds"], abs=0.01)
    assert "usage_limit_seconds" not in premium.json("/instances/usage")
    assert api.json("/instances/configuration") == {"instance_limit": 600}
    assert {"name": "ibmq_belem"} in api.json("/instance")["backends"]


def test_an_account_is_told_to_its_own_users(api, tools):
    account = api.crn.split(":")[6].removeprefix("a/")
    assert api.json(f"/accounts/{account}")["account_id"] == account
    assert tools.error_of(api.get("/accounts/other"))[0] == 403


@pytest.fixture(scope="module")
def brief(api_of):
    """A service whose sessions without jobs are soon inactive, and whose jobs queue for a while."""
    with Emulator(interactive_ttl_s=0.5, queue_time_s=0.3, usage_allocation_s=9000) as emulator:
        yield api_of(emulator, "premium-eu")


def test_a_session_without_jobs_becomes_inactive_and_active_again(brief, params):
    session = open_session(brief, mode="dedicated", backend="ibmq_belem")
    path = f"/sessions/{session['id']}"
    assert session["interactive_ttl"] == 1
    assert (session["state"], session["activated_at"], session["active_ttl"]) == ("open", None, 28_800)
    brief.wait(brief.submit(params, session_id=session["id"]))
    active = brief.json(path)
    assert (active["state"], active["elapsed_time"]) == ("active", None)
    assert active["active_ttl"] <= 28_800
    inactive = brief.wait_session(path, "inactive")
    # A session uses its time, and at least what its jobs were charged for: here they were charged for more.
    assert inactive["elapsed_time"] > 1
    assert inactive["accepting_jobs"] is True
    brief.wait(brief.submit(params, session_id=session["id"]))
    assert brief.json(path)["state"] == "active"
    assert brief.send("PATCH", path, json={"accepting_jobs": False}).status_code == 204
    closed = brief.json(path)
    assert [change["status"] for change in closed["timestamps"]] == ["open", "active", "inactive", "active", "closed"]
    assert closed["timestamps"] == sorted(closed["timestamps"], key=lambda change: change["timestamp"])
    assert (closed["state_reason"], closed["active_ttl"]) == ("Closed by the user.", 0)
    assert closed["closed_at"] >= closed["last_job_completed"] > closed["last_job_started"]


def test_the_jobs_of_an_active_session_do_not_queue(brief, params):
    """The first one queues like any other; then a job outside waits while those of the session run."""
    session = open_session(brief, mode="dedicated", backend="ibmq_belem")["id"]
    first = brief.wait(brief.submit(params, session_id=session))
    outside = brief.submit(params)
    inside = [brief.submit(params, session_id=session) for _ in range(3)]
    times = {job: brief.json(f"/jobs/{job}/metrics")["timestamps"] for job in map(brief.ended, [*inside, outside])}
    assert max(times[job]["finished"] for job in inside) <= times[outside]["running"]
    first_times = brief.json(f"/jobs/{first['id']}/metrics")["timestamps"]
    waited = datetime.fromisoformat(first_times["running"]) - datetime.fromisoformat(first_times["created"])
    assert waited.total_seconds() >= 0.3


def test_a_session_whose_time_is_over_cancels_what_is_queued_and_lets_run_what_runs(brief, params, tools):
    session = open_session(brief, mode="dedicated", backend="ibmq_qasm_simulator", max_ttl=1)
    path = f"/sessions/{session['id']}"
    slow = tools.sampler_params(tools.endless(), shots=5000)
    running = brief.submit(slow, "ibmq_qasm_simulator", session_id=session["id"])
    brief.wait(running, lambda job: job["state"]["status"] == "Running")
    queued = brief.submit(params, "ibmq_qasm_simulator", session_id=session["id"])
    ending = brief.wait_session(path, "pending_closed")
    assert ending["accepting_jobs"] is False
    assert ending["elapsed_time"] is None
    assert brief.job(queued)["state"]["status"] == "Cancelled"
    assert tools.error_of(brief.post_job(params, "ibmq_qasm_simulator", session_id=session["id"]))[:2] == (400, 1352)
    assert tools.error_of(brief.send("PATCH", path, json={"accepting_jobs": True}))[:2] == (400, 1352)
    assert brief.job(running)["state"]["status"] == "Running"
    assert brief.send("POST", f"/jobs/{running}/cancel").status_code == 204
    closed = brief.wait_session(path, "closed")
    assert closed["state_reason"] == "The maximum time to live is over."
    assert closed["elapsed_time"] > 1


def test_jobs_are_taken_again_until_the_session_is_closed(premium, params, tools):
    premium.emulator.fault("job_stuck", times=1)
    session = open_session(premium, mode="batch")["id"]
    assert premium.json(f"/sessions/{session}")["backend_name"] is None
    premium.submit(params, session_id=session)
    path = f"/sessions/{session}"
    for wanted in (False, True):
        assert premium.send("PATCH", path, json={"accepting_jobs": wanted}).status_code == 204
        assert premium.json(path)["accepting_jobs"] is wanted
    assert premium.json(path)["backend_name"] == "ibmq_belem"
    assert premium.send("DELETE", path + "/close").status_code == 204
    assert premium.send("DELETE", path + "/close").status_code == 204
    assert premium.json(path)["elapsed_time"] == 0
    assert tools.error_of(premium.send("PATCH", path, json={"accepting_jobs": True}))[:2] == (400, 1352)
    assert premium.send("PATCH", path, json={"accepting_jobs": False}).status_code == 204


def test_a_session_whose_state_is_a_word_of_its_own(premium):
    premium.emulator.fault("session_state", times=1)
    assert open_session(premium, mode="dedicated")["state"] == "pending_inactive"
    premium.emulator.fault("session_state", state="hibernating", backend="ibm_hanoi")
    assert open_session(premium, mode="dedicated", backend="ibmq_belem")["state"] == "open"
    assert open_session(premium, mode="dedicated", backend="ibm_hanoi")["state"] == "hibernating"


def test_a_session_is_not_opened_on_a_backend_that_is_offline(premium, tools):
    premium.emulator.fault("backend_status", backend="ibm_hanoi", status="offline")
    answer = premium.send("POST", "/sessions", json={"mode": "dedicated", "backend": "ibm_hanoi"})
    assert tools.error_of(answer)[:2] == (400, 1004)


def test_users_of_one_account_see_each_others_sessions(premium, api_of):
    session = open_session(premium, mode="batch")
    other = api_of(premium.emulator, "premium-eu", key=premium.emulator.api_keys[1])
    assert other.json(f"/sessions/{session['id']}") == premium.json(f"/sessions/{session['id']}")
    assert open_session(other, mode="batch")["user_id"] != session["user_id"]


def test_a_plan_that_gives_time_without_a_limit(brief):
    usage = brief.json("/instances/usage")
    assert usage["usage_allocation_seconds"] == 9000
    assert "usage_limit_seconds" not in usage
    assert usage["usage_limit_reached"] is False
    assert brief.json("/instance")["usage_allocation_seconds"] == "9000"
    account = brief.crn.split(":")[6].removeprefix("a/")
    plans = brief.json(f"/accounts/{account}")["plans"]
    assert [plan["usage_allocation_seconds"] for plan in plans] == [9000, 9000]


def test_a_session_is_charged_for_the_time_that_it_holds_its_backend():
    session = Session(mode="dedicated", backend="x", crn="c", user="u", max_ttl=100, interactive_ttl_s=60)
    start = session.created = session.created - timedelta(seconds=1000)
    for first, last in ((1, 2), (30, 31), (200, 201)):  # the third one comes when the session was inactive for long
        job = SimpleNamespace(created=_later(start, first), running=_later(start, first), finished=_later(start, last))
        job.final, job.usage = True, lambda: {"qpu_charge_time_seconds": 2.0}
        session.jobs.append(job)
    session.refused_at = _later(start, 210)
    assert session.usage_s() == (31 + 60 - 1) + (210 - 200)
    words = [change["status"] for change in session.document()["timestamps"]]
    assert words == ["open", "active", "inactive", "active", "closed"]


# ------------------------------------------------------------------------------------------------------- workloads


@pytest.fixture(scope="module")
def worked(ibm_emulator_process, api_of, tools, bell):
    """Jobs and a batch of an instance that no other test uses."""
    api = api_of(ibm_emulator_process, "premium-eu")
    params = tools.sampler_params(bell, shots=1)
    ids = []
    for place in range(4):
        ids.append(api.submit(params, tags=["workload", f"place-{place}"]))
        time.sleep(0.002)
    ids.append(open_session(api, mode="batch", backend="ibmq_belem")["id"])
    for job in ids[:4]:
        api.wait(job)
    return ids


def test_workloads_are_jobs_and_sessions(premium, worked):
    listed = premium.json("/workloads", limit=50, user="me")
    entries = {entry["id"]: entry for entry in listed["workloads"]}
    assert set(worked) <= set(entries)
    job, batch = entries[worked[0]], entries[worked[4]]
    assert (job["mode"], job["status"], job["tags"]) == ("job", "completed", ["workload", "place-0"])
    assert job["usage"]["qpu_charge_time_seconds"] >= 0
    assert (batch["mode"], batch["status"], batch["accepting_jobs"]) == ("batch", "pending", True)
    assert listed["total_count"] == len(entries)


def test_cursors_lead_through_workloads_and_back(premium, worked):
    query = {"tags": "workload", "limit": "3", "sort": "createdAt"}
    first = premium.json("/workloads", **query)
    assert [entry["id"] for entry in first["workloads"]] == worked[:3]
    assert "previous" not in first
    cursor = parse_qs(urlsplit(first["next"]["href"]).query)["next"][0]
    second = premium.json("/workloads", **query, next=cursor)
    assert [entry["id"] for entry in second["workloads"]] == worked[3:4]
    assert "next" not in second
    cursor = parse_qs(urlsplit(second["previous"]["href"]).query)["previous"][0]
    assert premium.json("/workloads", **query, previous=cursor)["workloads"] == first["workloads"]
    assert premium.get("/workloads", params={"next": "nonsense"}).status_code == 400


def test_filters_of_workloads(premium, worked):
    def found(**query):
        return [entry["id"] for entry in premium.json("/workloads", limit=50, **query)["workloads"]]

    assert found(tags="workload") == worked[3::-1]
    assert worked[4] in found(mode="batch")
    assert not set(worked[:4]) & set(found(mode="batch"))
    assert found(search="place-2") == [worked[2]]
    assert found(search=worked[1]) == [worked[1]]
    assert found(tags="workload", status=["failed", "canceled"]) == []
    assert len(found(tags="workload", status=["completed", "failed"])) == 4
    assert found(tags="workload", backend="ibm_boston") == []
    created = premium.job(worked[2])["created"]
    assert found(tags="workload", created_after=created) == [worked[3], worked[2]]
    assert premium.json("/workloads", limit=51)["limit"] == 10

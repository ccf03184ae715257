"""Sessions, batches, usage and workloads."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import pytest


@pytest.fixture
def params(tools, bell):
    return tools.sampler_params(bell, shots=10)


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
    assert [change["status"] for change in active["timestamps"]] == ["open", "active"]
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
    assert premium.json(path)["state"] == "active"
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

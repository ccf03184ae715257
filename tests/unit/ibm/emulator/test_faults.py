"""Faults on request, and the log of requests."""

from __future__ import annotations

import json
import time

import pytest
import requests

from qprovider_core.errors import ResponseError
from qprovider_core.qiskit_schema import configuration_from_document, properties_from_document


@pytest.fixture
def params(tools, bell):
    return tools.sampler_params(bell, shots=10)


def test_latency_of_all_requests_or_of_some(api):
    api.emulator.fault("latency", seconds=0.2, path="/api/v1/backends", method="get")
    start = time.monotonic()
    api.json("/backends/ibmq_belem/status")
    assert time.monotonic() - start < 0.15
    start = time.monotonic()
    api.json("/backends")
    assert time.monotonic() - start >= 0.2
    api.emulator.clear_faults()
    api.emulator.fault("latency", seconds=0.1)
    start = time.monotonic()
    api.token()
    assert time.monotonic() - start >= 0.1


def test_tokens_expire_on_request(api, tools):
    assert api.get("/backends").status_code == 200
    api.emulator.fault("expire_tokens")
    assert tools.error_of(api.get("/backends"))[:2] == (401, 1201)
    fresh = {"Authorization": f"Bearer {api.token()}"}
    assert api.get("/backends", headers=fresh).status_code == 200
    assert api.emulator.faults() == []


def test_too_many_requests_so_many_times(api, tools):
    api.emulator.fault("rate_limit", times=2, retry_after=3, path="/api/v1/jobs", method="GET")
    for _ in range(2):
        answer = api.get("/jobs")
        assert tools.error_of(answer)[:2] == (429, 1202)
        assert answer.headers["Retry-After"] == "3"
    assert api.get("/jobs").status_code == 200
    api.emulator.fault("rate_limit", retry_after=None)
    assert "Retry-After" not in api.get("/jobs").headers


def test_server_errors_with_three_kinds_of_bodies(api, tools):
    api.emulator.fault("status", status=503, times=1)
    assert tools.error_of(api.get("/backends"))[:2] == (503, 1000)
    api.emulator.fault("status", status=520, body="html", times=1)
    answer = api.get("/backends")
    assert answer.status_code == 520
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<html>" in answer.text
    api.emulator.fault("status", status=500, body="empty", times=1)
    answer = api.get("/backends")
    assert (answer.status_code, answer.content) == (500, b"")
    api.emulator.fault("status", status=403, code=1200, path="*", times=1)
    assert tools.error_of(api.get("/backends"))[:2] == (403, 1200)
    assert api.get("/backends").status_code == 200


def test_a_fault_lets_some_requests_pass_before(api):
    api.emulator.fault("status", status=500, after=2, times=1)
    assert [api.get("/backends").status_code for _ in range(4)] == [200, 200, 500, 200]


def test_iam_is_only_struck_when_a_path_says_so(api):
    api.emulator.fault("status", status=500)
    assert api.token()
    api.emulator.clear_faults()
    api.emulator.fault("status", status=500, path="/identity/*", times=1)
    assert requests.post(f"{api.base}/identity/token", timeout=10).status_code == 500


def test_a_connection_that_drops_before_the_job_is_accepted(api, params):
    api.emulator.fault("drop_before", path="/api/v1/jobs", method="POST", times=1)
    with pytest.raises(requests.ConnectionError):
        api.post_job(params, tags=["dropped-before"])
    assert api.json("/jobs", tags="dropped-before")["count"] == 0
    assert api.emulator.requests()[-2]["status"] is None


def test_a_connection_that_drops_after_the_job_was_accepted(api, params):
    api.emulator.fault("drop_after", path="/api/v1/jobs", method="POST", times=1)
    with pytest.raises(requests.ConnectionError):
        api.post_job(params, tags=["dropped-after"])
    (job,) = api.json("/jobs", tags="dropped-after")["jobs"]
    assert api.wait(job["id"])["state"]["status"] == "Completed"


def test_an_answer_that_is_cut(api):
    whole = api.get("/backends").content
    api.emulator.fault("cut_body", times=1)
    answer = api.get("/backends", stream=True, headers={"Accept-Encoding": "identity"})
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(whole)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        _ = answer.content
    assert api.get("/backends").content == whole


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_an_answer_of_which_half_comes_as_if_it_were_all(api, encoding):
    whole = api.get("/backends").text
    api.emulator.fault("cut_body", how="short", times=1)
    answer = api.get("/backends", headers={"Accept-Encoding": encoding})
    assert (answer.status_code, answer.text) == (200, whole[: len(whole) // 2])
    assert int(answer.headers["Content-Length"]) == len(answer.content)


@pytest.mark.parametrize("path", ["/identity/token", "/v3/resources/search", "/globalcatalog/api/v1/x", "/api/v1/jobs"])
@pytest.mark.parametrize(("kind", "more"), [("cut_body", {"how": "short"}), ("html_body", {}), ("cut_body", {})])
def test_bodies_are_spoilt_at_every_address(api, path, kind, more):
    api.emulator.fault(kind, path=path, times=1, **more)
    headers = {name: api.headers[name] for name in ("Authorization", "Service-CRN")}
    method = "POST" if path in ("/identity/token", "/v3/resources/search") else "GET"
    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": api.key}
    body = {"data": form} if path == "/identity/token" else {"json": {"query": "service_name:quantum-computing"}}

    def send():
        return requests.request(method, api.base + path, headers=headers, timeout=10, **body)

    if (kind, more) == ("cut_body", {}):
        with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
            send()
    else:
        answer = send()
        with pytest.raises(json.JSONDecodeError):
            json.loads(answer.text)
        assert answer.headers["Content-Type"].startswith("text/html") is (kind == "html_body")
        assert kind != "html_body" or (answer.status_code, "<html>" in answer.text) == (200, True)
    json.loads(send().text)


@pytest.mark.parametrize(
    ("how", "refused"),
    [
        ("bad_json", json.JSONDecodeError),
        ("html", json.JSONDecodeError),
        ("empty", json.JSONDecodeError),
        ("missing_fields", None),
        ("wrong_types", ResponseError),
    ],
)
@pytest.mark.parametrize(
    ("kind", "read"), [("configuration", configuration_from_document), ("properties", properties_from_document)]
)
def test_a_backend_with_corrupt_documents(api, kind, read, how, refused):
    api.emulator.fault(f"corrupt_{kind}", backend="ibm_boston", how=how)
    answer = api.get(f"/backends/ibm_boston/{kind}")
    assert answer.status_code == 200
    if how == "missing_fields":  # what is missing shows when it is used
        assert set(answer.json()) == {"backend_name", "backend_version"}
        return
    with pytest.raises(refused):
        read(json.loads(answer.text))
    read(api.json(f"/backends/ibm_hanoi/{kind}"))


def test_a_backend_whose_configuration_is_gone(api, tools):
    api.emulator.fault("corrupt_configuration", backend="ibm_b*", how="not_found", times=1)
    assert tools.error_of(api.get("/backends/ibm_boston/configuration"))[:2] == (404, 1007)
    assert api.get("/backends/ibm_boston/configuration").status_code == 200


def test_a_slow_backend(api):
    api.emulator.fault("slow_backend", backend="ibm_boston", seconds=0.2)
    start = time.monotonic()
    api.json("/backends/ibm_hanoi/status")
    assert time.monotonic() - start < 0.15
    api.json("/backends/ibm_boston/status")
    assert time.monotonic() - start >= 0.2


def test_a_backend_that_is_offline_or_paused(api, tools, params):
    api.emulator.fault("backend_status", backend="ibmq_belem", reason="cooling down")
    entry = api.json("/backends")["devices"][0]
    assert entry["status"] == {"name": "offline", "reason": "cooling down"}
    status = api.json("/backends/ibmq_belem/status")
    assert (status["state"], status["message"]) == (False, "cooling down")
    assert tools.error_of(api.post_job(params))[:2] == (400, 1004)
    api.emulator.fault("backend_status", backend="ibmq_belem", status="paused")
    assert api.json("/backends/ibmq_belem/status")["state"] is True
    api.emulator.clear_faults()
    assert api.json("/backends")["devices"][0]["status"] == {"name": "online", "reason": ""}


def test_a_faulty_qubit_is_told_and_refused(api, params, tools):
    api.emulator.fault("faulty_qubit", backend="ibmq_belem", qubit=1)
    properties = properties_from_document(api.json("/backends/ibmq_belem/properties"))
    assert tuple(properties.faulty_qubits()) == (1,)
    state = api.failure(params)
    assert state["reason_code"] == 1517
    assert "faulty qubit 1" in state["reason"]
    api.emulator.clear_faults()
    assert api.wait(api.submit(params))["state"]["status"] == "Completed"


def test_jobs_that_fail_as_asked(api, params):
    api.emulator.fault("job_fails", times=1, reason="Fridge open.", code=8888, solution="Close it.", text="Traceback x")
    job = api.submit(params)
    assert api.wait(job)["state"] == {
        "status": "Failed",
        "reason": "Fridge open.",
        "reason_code": 8888,
        "reason_solution": "Close it.",
    }
    assert api.get(f"/jobs/{job}/results").text == "Traceback x"
    assert api.wait(api.submit(params))["state"]["status"] == "Completed"


def test_a_job_that_runs_too_long(api, params):
    api.emulator.fault("job_too_long", backend="ibmq_b*", times=1)
    job = api.wait(api.submit(params))
    assert job["state"]["status"] == "Cancelled"
    assert job["state"]["reason_code"] == 1305
    assert job["status"] == "Cancelled - Ran too long"


def test_a_job_that_never_leaves_the_queue_blocks_no_other(api, params):
    api.emulator.fault("job_stuck", times=1)
    stuck, other = api.submit(params), api.submit(params)
    assert api.wait(other)["state"]["status"] == "Completed"
    assert api.job(stuck)["state"]["status"] == "Queued"
    assert api.send("POST", f"/jobs/{stuck}/cancel").status_code == 204


def test_a_job_of_an_unknown_state(api, params):
    api.emulator.fault("job_status", status="Levitating", times=1)
    job = api.job(api.submit(params))
    assert job["state"]["status"] == job["status"] == "Levitating"


def test_a_crashed_worker_costs_one_job(api, params):
    api.emulator.fault("job_crashes", times=1)
    state = api.failure(params)
    assert state["reason_code"] == 9999
    assert "ended by signal 9" in state["reason"]
    assert api.wait(api.submit(params))["state"]["status"] == "Completed"


def test_armed_faults_are_listed_and_cleared(api):
    number = api.emulator.fault("latency", seconds=0.0, times=5)
    (fault,) = api.emulator.faults()
    assert fault == {"id": number, "kind": "latency", "seconds": 0.0, "times": 5}
    api.emulator.clear_faults()
    assert api.emulator.faults() == []


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("gremlins", {}, "gremlins"),
        ("latency", {}, "latency.seconds"),
        ("status", {"status": 200}, "400"),
        ("status", {"status": 500, "times": 0}, "times"),
        ("corrupt_properties", {}, "backend"),
        ("drop_before", {"paths": "*"}, "unknown key"),
        ("faulty_qubit", {"backend": "ibmq_belem", "qubit": 5}, "no such qubit"),
        ("backend_status", {"backend": "ibm_nowhere"}, "no backend"),
    ],
)
def test_faults_that_make_no_sense_are_refused(api, kind, settings, words):
    with pytest.raises(ValueError, match=words):
        api.emulator.fault(kind, **settings)
    assert api.emulator.faults() == []


def test_the_log_of_requests_holds_no_secret(api):
    api.emulator.clear_requests()
    api.get("/backends", params={"fields": "wait_time_seconds"}, headers={"X-Qx-Client-Application": "me"})
    api.get("/jobs/unknown")
    token = api.token()
    seen = api.emulator.requests()
    assert seen[0] == {
        "method": "GET",
        "path": "/api/v1/backends",
        "query": "fields=wait_time_seconds",
        "status": 200,
        "crn": api.crn,
        "client": "me",
        "encoding": "gzip, deflate",
    }
    assert [(entry["method"], entry["status"]) for entry in seen] == [("GET", 200), ("GET", 404), ("POST", 200)]
    assert token not in str(seen)
    assert api.key not in str(seen)
    api.emulator.clear_requests()
    assert api.emulator.requests() == []


@pytest.mark.parametrize("status", [500, 503])
def test_a_job_that_was_accepted_and_answered_with_a_failure(api, params, status):
    api.emulator.fault("status_after", status=status, path="/api/v1/jobs", method="POST", times=1)
    assert api.post_job(params, tags=[f"failed-{status}"]).status_code == status
    (job,) = api.json("/jobs", tags=f"failed-{status}")["jobs"]
    assert api.wait(job["id"])["state"]["status"] == "Completed"


def test_an_answer_that_comes_when_nobody_waits_any_more(api, params):
    api.emulator.fault("stall_after", seconds=2, path="/api/v1/jobs", method="POST", times=1)
    body = {"program_id": "sampler", "backend": "ibmq_belem", "params": params, "tags": ["stalled-after"]}
    with pytest.raises(requests.ReadTimeout):
        api.send("POST", "/jobs", json=body, timeout=0.3)
    assert api.json("/jobs", tags="stalled-after")["count"] == 1


def test_a_job_that_lists_have_only_later(api, params):
    api.emulator.fault("job_unlisted", seconds=1.0, times=1)
    job = api.post_job(params, tags=["late"]).json()["id"]
    assert api.json("/jobs", tags="late")["count"] == 0
    assert api.job(job)["id"] == job  # by its id it is there
    time.sleep(1.1)
    assert api.json("/jobs", tags="late")["count"] == 1

"""The life of jobs, what is told of them, and everything that is refused."""

from __future__ import annotations

import time

import pytest
import requests
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter

SIMULATOR = "ibmq_qasm_simulator"
LONG_TAG = "x" * 87


@pytest.fixture
def params(tools, bell):
    return tools.sampler_params(bell)


# ------------------------------------------------------------------------------------------------------------ life


def test_a_job_is_queued_runs_and_completes(api, tools, params, bell):
    answer = api.post_job(params, tags=["a", "b"], log_level="debug", cost=300)
    assert answer.status_code == 200
    created = answer.json()
    assert created == {"id": created["id"], "backend": "ibmq_belem"}
    assert len(created["id"]) == 20
    job = api.wait(created["id"])
    assert job["state"] == {"status": "Completed"}
    assert job["status"] == "Completed"
    assert job["program"] == {"id": "sampler"}
    assert job["cost"] == 300
    assert job["tags"] == ["a", "b"]
    assert job["created"].endswith("Z")
    assert job["estimated_running_time_seconds"] > 0
    assert "params" not in job
    assert "private" not in job
    assert "usage.seconds" not in job["usage"]
    assert api.job(created["id"])["params"] == params
    metrics = api.json(f"/jobs/{created['id']}/metrics")
    times = metrics["timestamps"]
    assert times["created"] <= times["running"] <= times["finished"]
    assert metrics["circuits_execution_time_ns"] >= 0
    assert metrics["qiskit_version"]


def test_usage_is_pending_until_it_is_complete(api, params):
    job = api.submit(params)
    usage = api.wait(job)["usage"]
    assert usage["status"] == "pending"
    settled = api.wait(job, lambda job: job["usage"]["status"] == "complete")
    assert settled["usage"]["qpu_charge_time_seconds"] == settled["estimated_running_time_seconds"] > 0


def test_results_are_there_when_the_job_has_completed(start, api_of, params):
    emulator = start(queue_time_s=1.0)
    api = api_of(emulator)
    first, second = api.submit(params), api.submit(params)
    other = api.submit(params, "ibmq_qasm_simulator")
    assert api.get(f"/jobs/{first}/results").status_code == 204
    assert api.get(f"/jobs/{first}/logs").status_code == 404
    assert api.job(first, exclude_params="true")["state"]["status"] == "Queued"
    listed = {entry["name"]: entry["queue_length"] for entry in api.json("/backends")["devices"]}
    base = api.json("/backends/ibmq_qasm_simulator/status")["length_queue"]
    assert base == 1
    assert listed["ibmq_qasm_simulator"] == 1
    metrics = api.json(f"/jobs/{first}/metrics")
    assert "running" not in metrics["timestamps"]
    old = {"headers": {"IBM-API-Version": "2026-02-01"}}
    assert api.get(f"/jobs/{second}/metrics", **old).json()["position_in_queue"] == 2
    assert api.send("DELETE", f"/jobs/{first}").status_code == 400
    started = time.monotonic()
    for job in (first, second, other):
        assert api.wait(job)["state"]["status"] == "Completed"
        assert api.get(f"/jobs/{job}/results").status_code == 200
    assert time.monotonic() - started < 20
    times = [api.json(f"/jobs/{job}/metrics")["timestamps"] for job in (first, second)]
    assert times[0]["finished"] <= times[1]["running"]


def test_fields_of_older_versions(api, params):
    job = api.submit(params)
    api.wait(job)
    for version, in_job, in_usage, on_top in (
        ("2026-02-01", True, True, False),
        ("2026-03-15", False, True, False),
        ("2026-04-15", False, False, True),
    ):
        headers = {"IBM-API-Version": version}
        document = api.get(f"/jobs/{job}", headers=headers).json()
        assert ("bss" in document) is in_job
        assert ("seconds" in document["usage"]) is in_job
        metrics = api.get(f"/jobs/{job}/metrics", headers=headers).json()
        assert ("circuits_execution_time_ns" in metrics["usage"]) is in_usage
        assert ("circuits_execution_time_ns" in metrics) is on_top


def test_the_caller_stands_in_the_metrics(api, params):
    client = {"X-Qx-Client-Application": "my-client/1.0"}
    answer = api.send(
        "POST", "/jobs", json={"program_id": "sampler", "backend": "ibmq_belem", "params": params}, headers=client
    )
    assert api.json(f"/jobs/{answer.json()['id']}/metrics")["caller"] == "my-client/1.0"


def test_logs_are_complete_after_the_end(api, params):
    job = api.submit(params)
    api.wait(job)
    logs = api.get(f"/jobs/{job}/logs")
    assert logs.headers["Content-Type"].startswith("text/plain")
    assert "ended as Completed" in logs.text


def test_a_queued_job_is_cancelled(api, tools, params):
    api.emulator.fault("job_stuck", times=1)
    job = api.submit(params)
    assert api.send("POST", f"/jobs/{job}/cancel").status_code == 204
    assert api.job(job)["state"]["status"] == "Cancelled"
    assert tools.error_of(api.send("POST", f"/jobs/{job}/cancel"))[0] == 409
    assert api.get(f"/jobs/{job}/results").status_code == 204


def test_cancelling_a_running_job_ends_its_worker(start, api_of, tools, params):
    api = api_of(start())
    job = api.submit(tools.sampler_params(tools.endless(), shots=5000), SIMULATOR)
    api.wait(job, lambda job: job["state"]["status"] == "Running")
    (worker,) = api.emulator.state()["workers"]
    assert api.send("POST", f"/jobs/{job}/cancel").status_code == 204
    assert api.job(job)["state"]["status"] == "Cancelled"
    assert api.wait(api.submit(params))["state"]["status"] == "Completed"
    assert api.emulator.state()["workers"] != [worker]


def test_a_job_over_its_maximum_time_is_cancelled_as_too_long(api, tools):
    state = api.wait(api.submit(tools.sampler_params(tools.endless(), shots=5000), SIMULATOR, cost=1))
    assert state["state"]["status"] == "Cancelled"
    assert state["state"]["reason_code"] == 1305
    assert state["status"] == "Cancelled - Ran too long"


def test_private_jobs_tell_no_params_and_their_result_once(api, params):
    answer = api.post_job(params, private=True)
    assert answer.json()["private"] is True
    job = answer.json()["id"]
    assert api.wait(job)["private"] is True
    assert "params" not in api.job(job)
    assert api.get(f"/jobs/{job}/results").status_code == 200
    assert api.get(f"/jobs/{job}/results").status_code == 204


def test_tags_are_replaced_and_searched(api, tools, params):
    job = api.submit(params, tags=["emulator-first"])
    assert api.send("PUT", f"/jobs/{job}/tags", json={"tags": ["emulator-second", "x"]}).status_code == 204
    assert api.job(job)["tags"] == ["emulator-second", "x"]
    assert api.json("/tags", type="job", search="emulator-") == {"tags": ["emulator-second"]}
    assert tools.error_of(api.get("/tags", params={"search": "em"}))[0] == 400
    assert tools.error_of(api.send("PUT", f"/jobs/{job}/tags", json={"tags": ["t"] * 9}))[:2] == (400, 1204)
    assert tools.error_of(api.send("PUT", f"/jobs/{job}/tags", json={"tags": [LONG_TAG]}))[:2] == (400, 1205)
    assert tools.error_of(api.send("PUT", f"/jobs/{job}/tags", json={"labels": []}))[0] == 400
    assert api.send("PUT", f"/jobs/{job}/tags", json={"tags": []}).status_code == 204
    assert api.job(job)["tags"] == []


def test_a_deleted_job_is_gone(api, tools, params):
    job = api.submit(params)
    api.wait(job)
    assert api.send("DELETE", f"/jobs/{job}").status_code == 204
    assert tools.error_of(api.get(f"/jobs/{job}"))[:2] == (404, 1291)


@pytest.mark.parametrize("part", ["", "/results", "/metrics", "/logs"])
def test_a_job_of_another_instance_is_not_found(api, premium, tools, params, part):
    job = api.submit(params)
    assert tools.error_of(premium.get(f"/jobs/{job}{part}"))[:2] == (404, 1291)


def test_a_mocks_job_is_listed_when_asked_for(api, params):
    job = api.submit(params, "mock_belem")
    assert api.wait(job)["usage"]["qpu_charge_time_seconds"] == 0
    assert job not in [entry["id"] for entry in api.json("/jobs")["jobs"]]
    assert job in [entry["id"] for entry in api.json("/jobs", include_mocks="True")["jobs"]]


# ------------------------------------------------------------------------------------------------------------ list


@pytest.fixture(scope="module")
def many(ibm_emulator_process, api_of, tools, bell):
    """Five jobs with tags of their own, in the order of their creation."""
    api = api_of(ibm_emulator_process)
    params = tools.sampler_params(bell, shots=1)
    jobs = []
    for place in range(5):
        backend = "ibmq_belem" if place % 2 else "ibmq_qasm_simulator"
        jobs.append(api.submit(params, backend, tags=["listing", f"number-{place}"]))
        time.sleep(0.002)
    for job in jobs:
        api.wait(job)
    return jobs


def ids(api, **query):
    return [job["id"] for job in api.json("/jobs", **{"tags": "listing", **query})["jobs"]]


def test_the_newest_job_stands_first(api, many):
    assert ids(api) == many[::-1]
    assert ids(api, sort="ASC") == many


def test_pages_of_jobs(api, many):
    page = api.json("/jobs", tags="listing", limit=2, offset=2)
    assert [job["id"] for job in page["jobs"]] == many[::-1][2:4]
    assert (page["count"], page["limit"], page["offset"]) == (5, 2, 2)


@pytest.mark.parametrize("limit", [0, 201, "many"])
def test_a_limit_out_of_range_means_the_default(api, many, limit):
    assert api.json("/jobs", limit=limit)["limit"] == 200


def test_filters_of_jobs(api, premium, many):
    assert ids(api, backend="ibmq_belem") == [many[3], many[1]]
    assert ids(api, program="estimator") == []
    assert ids(api, pending="true") == []
    assert ids(api, pending="false") == many[::-1]
    assert ids(api, tags=["listing", "number-3"]) == [many[3]]
    assert ids(api, tags=["number-2", "number-3"]) == []
    assert ids(api, session_id="none") == []
    assert ids(premium) == []


def test_times_of_jobs_are_inclusive(api, many):
    created = api.job(many[2])["created"]
    assert ids(api, created_after=created) == many[:1:-1]
    assert ids(api, created_before=created) == many[2::-1]
    assert ids(api, created_after=created.replace("Z", "+00:00"), created_before=created) == [many[2]]
    assert api.get("/jobs", params={"created_after": "soon"}).status_code == 400


def test_params_of_listed_jobs_come_on_request(api, many):
    assert "params" not in api.json("/jobs", tags="listing")["jobs"][0]
    assert "params" in api.json("/jobs", tags="listing", exclude_params="false")["jobs"][0]


# --------------------------------------------------------------------------------------------------------- refused


def broken(tools, bell, **changes):
    return {**tools.sampler_params(bell), **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unknown": 1}, "params.unknown: unknown key"),
        ({"version": 1}, "params.version"),
        ({"support_qiskit": "yes"}, "params.support_qiskit"),
        ({"shots": 0}, "params.shots"),
        ({"pubs": []}, "params.pubs"),
        ({"options": {"shots": 1}}, "params.options.shots: unknown key"),
        ({"options": {"twirling": {"strategy": "none"}}}, "params.options.twirling.strategy"),
        ({"options": {"twirling": {"num_randomizations": 0}}}, "num_randomizations"),
        ({"options": {"dynamical_decoupling": {"enable": 1}}}, "dynamical_decoupling.enable"),
        ({"options": {"execution": {"rep_delay": 250}}}, "not within the backend's range of 0.0 to 0.0005 s"),
        ({"options": {"execution": {"meas_type": "raw"}}}, "meas_type"),
        ({"options": {"resilience": {}}}, "params.options.resilience: unknown key"),
        ({"options": {"default_shots": True}}, "default_shots"),
        ({"options": {"default_shots": 8193}, "pubs": None}, "8193 shots are more than the backend's limit of 8192"),
    ],
)
def test_wrong_params_are_refused(api, tools, bell, changes, words):
    if changes.get("pubs", ()) is None:
        changes = {**changes, "pubs": [[tools.pack_circuit(bell)]]}
    status, code, message = tools.error_of(api.post_job(broken(tools, bell, **changes)))
    assert (status, code) == (400, 1239)
    assert words in message


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, "qreg q[1];", "OPENQASM"),
        (0, {"__type__": "QuantumCircuit", "__value__": "%%%"}, "base64"),
        (0, {"__type__": "ndarray", "__value__": ""}, "__type__ QuantumCircuit"),
        (0, None, "__type__ QuantumCircuit"),
        (1, "text", "expected a number"),
        (1, {"__type__": "ndarray", "__value__": "%%%"}, "base64"),
        (1, [[1.0], [1.0, 2.0]], "not of one length"),
        (1, {"__type__": "BindingsArray", "__value__": "x"}, "expected an object"),
        (1, {"__type__": "BindingsArray", "__value__": {"shape": ["x"]}}, "expected an integer"),
        (2, 0, "at least 1"),
        (2, 1.5, "expected an integer"),
        (2, 8193, "8193 shots"),
    ],
)
def test_wrong_pubs_are_refused(api, tools, bell, place, value, words):
    params = tools.sampler_params(bell)
    params["pubs"][0][place] = value
    status, code, message = tools.error_of(api.post_job(params))
    assert (status, code) == (400, 1239)
    assert words in message


def test_a_pub_of_four_is_refused(api, tools, bell):
    params = tools.sampler_params(bell)
    params["pubs"][0].append(1)
    assert "[circuit, parameter values, shots]" in tools.error_of(api.post_job(params))[2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resilience_level": 3}, "resilience_level"),
        ({"precision": 0}, "precision"),
        ({"shots": 5}, "params.shots: unknown key"),
        ({"options": {"resilience": {"zne": {"amplifier": "none"}}}}, "amplifier"),
        ({"options": {"execution": {"meas_type": "classified"}}}, "meas_type: unknown key"),
        ({"pubs": 0.0}, "greater than 0"),
        ({"pubs": "QQ"}, "no Pauli text"),
        ({"pubs": []}, "observables"),
    ],
)
def test_wrong_estimator_params_are_refused(api, tools, changes, words):
    circuit = tools.pack_circuit(QuantumCircuit(2))
    value = changes.get("pubs")
    observables = {"ZZ": 1.0} if value is None or value == 0.0 else value
    pubs = [[circuit, observables, None, value if value == 0.0 else None]]
    answer = api.post_job(changes | {"pubs": pubs}, program="estimator")
    status, code, message = tools.error_of(answer)
    assert (status, code) == (400, 1239)
    assert words in message


def test_newer_qpy_is_refused_with_the_way_out(api, tools, bell):
    answer = api.post_job(tools.sampler_params(tools.pack_circuit(bell, 18)))
    status, _, message = tools.error_of(answer)
    assert status == 400
    assert "QPY version is 18" in message
    assert "version=17" in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"backend": "ibm_nowhere"}, (404, 1007)),
        ({"program_id": "circuit-runner"}, (404, 1287)),
        ({"program_id": "executor"}, (400, 1239)),
        ({"name": "my job"}, (400, 1239)),
        ({"shots": 5}, (400, 1239)),
        ({"tags": ["t"] * 9}, (400, 1204)),
        ({"tags": [LONG_TAG]}, (400, 1205)),
        ({"tags": "t"}, (400, 1239)),
        ({"cost": 0}, (400, 1239)),
        ({"log_level": "loud"}, (400, 1239)),
        ({"private": "yes"}, (400, 1239)),
        ({"session_id": "none"}, (404, 1352)),
        ({"calibration_id": 7}, (400, 1239)),
        ({"start_session": True}, (400, 1239)),
        ({"params": [1]}, (400, 1239)),
    ],
)
def test_wrong_jobs_are_refused(api, tools, params, changes, expected):
    body = {"program_id": "sampler", "backend": "ibmq_belem", "params": params, **changes}
    assert tools.error_of(api.send("POST", "/jobs", json=body))[:2] == expected


@pytest.mark.parametrize("name", ["program_id", "backend", "params"])
def test_incomplete_jobs_are_refused(api, tools, params, name):
    body = {"program_id": "sampler", "backend": "ibmq_belem", "params": params}
    del body[name]
    status, _, message = tools.error_of(api.send("POST", "/jobs", json=body))
    assert status == 400
    assert name in message


@pytest.mark.parametrize("body", ["", "{", "[]"])
def test_a_body_that_is_no_object_is_refused(api, tools, body):
    assert tools.error_of(api.send("POST", "/jobs", data=body))[0] == 400


def test_a_pinned_calibration_is_told_at_once_and_later(api, params):
    answer = api.post_job(params, calibration_id="cal-1").json()
    assert answer["calibration_id"] == "cal-1"
    assert api.job(answer["id"])["calibration_id"] == "cal-1"
    assert "calibration_id" not in api.post_job(params).json()


def test_a_longer_time_than_is_possible_is_capped(api, params):
    assert api.job(api.submit(params, cost=100_000))["cost"] == 10_800


def test_five_jobs_a_minute(start, api_of, tools, params):
    api = api_of(start(rate_limit=True))
    for _ in range(5):
        api.submit(params)
    answer = api.post_job(params)
    assert tools.error_of(answer)[:2] == (429, 1202)
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    other = api_of(api.emulator, key=api.emulator.api_keys[1])
    assert other.post_job(params).status_code == 200
    assert api.get("/jobs").status_code == 200


# ------------------------------------------------------------------------------------------------------------- ISA


def circuit_of(width, *steps):
    circuit = QuantumCircuit(width, 1)
    for name, *arguments in steps:
        getattr(circuit, name)(*arguments)
    return circuit


def named_register(name, size=1):
    from qiskit import ClassicalRegister

    return QuantumCircuit(QuantumRegister(1), ClassicalRegister(size, name))


@pytest.mark.parametrize(
    ("backend", "circuit", "words"),
    [
        ("ibmq_belem", circuit_of(1, ("h", 0)), "instruction h on qubits (0,)"),
        ("ibmq_belem", circuit_of(5, ("cx", 0, 4)), "instruction cx on qubits (0, 4)"),
        ("ibmq_belem", circuit_of(6), "has 6 qubits"),
        ("ibm_boston", circuit_of(2, ("rzz", 2.0, 0, 1)), "range [0, pi/2]"),
        ("ibm_boston", circuit_of(2, ("rzz", -0.1, 0, 1)), "range [0, pi/2]"),
        ("ibmq_belem", named_register("if"), "'if'"),
        ("ibmq_belem", named_register("a-b"), "'a-b'"),
        ("ibmq_belem", named_register("c", 0), "size 0"),
        ("ibmq_qasm_simulator", circuit_of(33), "has 33 qubits"),
        ("ibmq_qasm_simulator", circuit_of(4, ("rcccx", 0, 1, 2, 3)), "instruction rcccx"),
    ],
)
def test_a_circuit_that_does_not_fit_fails_with_1517(api, tools, backend, circuit, words):
    state = api.failure(tools.sampler_params(circuit), backend)
    assert state["reason_code"] == 1517
    assert words in state["reason"]
    assert state["reason_solution"]


def test_a_failed_jobs_result_is_a_traceback(api, tools):
    job = api.submit(tools.sampler_params(circuit_of(1, ("h", 0))))
    api.wait(job)
    answer = api.get(f"/jobs/{job}/results")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.startswith("Traceback")
    assert "instruction h" in answer.text


def test_bound_rzz_angles_are_checked(api, tools):
    angle = Parameter("t")
    circuit = circuit_of(2, ("rzz", 2 * angle, 0, 1), ("measure", 0, 0))
    fine = tools.sampler_params(circuit, [[0.1], [0.5]], shots=2)
    assert tools.field(api.run(fine, "ibm_boston"), "c")["array"].shape == (2, 2, 1)
    state = api.failure(tools.sampler_params(circuit, [[0.1], [1.0]]), "ibm_boston")
    assert state["reason_code"] == 1517
    assert "angle (2.0)" in state["reason"]


def test_decoupling_and_control_flow_do_not_meet(api, tools):
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    options = {"dynamical_decoupling": {"enable": True}}
    assert "dynamic circuits" in api.failure(tools.sampler_params(circuit, options=options), "ibm_boston")["reason"]


def test_wrong_numbers_of_values_fail_the_job(api, tools, bell):
    params = tools.sampler_params(bell, [[0.5, 0.5]])
    assert "0 parameters" in api.failure(params)["reason"]


def test_a_job_over_the_usage_limit_is_refused(start, api_of, tools, params):
    api = api_of(start(usage_limit_s=1.0))
    api.wait(api.submit(params))
    assert tools.error_of(api.post_job(params))[0] == 409
    usage = api.json("/instances/usage")
    assert usage["usage_limit_reached"] is True


def test_gzipped_answers_are_the_plain_ones(api, many):
    url = f"{api.base}/api/v1/jobs"
    plain, packed = (
        requests.get(url, headers={**api.headers, "Accept-Encoding": encoding}, params={"tags": "listing"}, timeout=10)
        for encoding in ("identity", "gzip")
    )
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.json() == packed.json()

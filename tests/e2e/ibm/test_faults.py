"""What users see when the service misbehaves, what it costs, and that nothing is lost or sent twice."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

import qprovider_core as qp
from qprovider_core.errors import (
    DeadlineError,
    JobFailedError,
    JobTimeoutError,
    QProviderError,
    ResponseError,
    SubmitUnknownError,
    TransportError,
)
from qprovider_core.records import JobState
from qprovider_ibm import IBMProvider

pytestmark = pytest.mark.slow  # left to `make check`

JOBS = "/api/v1/jobs"


def sent(emulator: Any, method: str | None = None, path: str | None = None) -> list[dict[str, Any]]:
    """The requests that the service received."""
    return [
        one
        for one in emulator.requests()
        if method in (None, one["method"]) and path in (None, one["path"]) and one["path"] != "/identity/token"
    ]


@pytest.fixture
def simulator(provider: IBMProvider, emulator: Any) -> Any:
    backend = provider.get_backend("ibmq_qasm_simulator")
    _ = backend.target  # what is fetched before a submission has been
    emulator.clear_requests()
    return backend


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "0.2")
    monkeypatch.setattr("qprovider_ibm._http._BACKOFF_S", (0.0, 0.01))


# ------------------------------------------------------------------------------------------------- latency


def test_latency_is_paid_once_a_request(provider, emulator):
    emulator.fault("latency", seconds=0.3)
    started = time.monotonic()
    assert len(provider.backends(min_num_qubits=5, simulator=False)) == 5
    assert 0.3 <= time.monotonic() - started < 5  # one request, whatever the machine does beside


def test_a_slow_service_costs_the_query_no_more_than_its_deadline_and_the_others_nothing(emulator, monkeypatch):
    monkeypatch.setenv("QPROVIDER_IBM_TOKEN", emulator.api_key)
    qp.list_backends(provider="ibm")  # signed in
    emulator.fault("latency", seconds=20)
    started = time.monotonic()
    found = qp.list_backends(timeout=1.0)
    assert time.monotonic() - started < 5
    assert {info.provider for info in found} == {"local"}
    assert [error.provider for error in found.errors] == ["ibm"]


def test_a_slow_backend_costs_its_own_row(provider, emulator):
    emulator.fault("slow_backend", backend="ibm_hanoi", seconds=20)
    found = provider.backends(basis_gates="cx", timeout=3.0)
    assert "ibmq_belem" in [backend.name for backend in found]
    assert [one.name for one in found.rejected if "did not come in time" in one.reason] == ["ibm:ibm_hanoi"]


# -------------------------------------------------------------------------------------------------- tokens


def test_tokens_that_expire_at_any_moment_are_renewed_unseen(provider, emulator, simulator, bell):
    emulator.fault("expire_tokens")
    assert provider.backends()
    emulator.fault("expire_tokens")
    job = simulator.run(bell, shots=100)
    emulator.fault("expire_tokens")
    assert sum(job.result().get_counts().values()) == 100
    emulator.fault("expire_tokens")
    assert provider.retrieve_job(job.job_id()).done()
    accepted = [one for one in sent(emulator, "POST", JOBS) if one["status"] == 200]
    assert len(accepted) == 1


def test_twenty_threads_over_an_expiring_token_share_each_exchange(provider, emulator):
    emulator.fault("expire_tokens")
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(3):
                assert len(provider.backends()) == 6
        except BaseException as exc:
            problems.append(exc)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    exchanges = [one for one in emulator.requests() if one["path"] == "/identity/token"]
    assert len(exchanges) == 1


# ----------------------------------------------------------------------------------------- limits, 5xx, lists


def test_a_limit_of_the_rate_is_waited_out_on_lists_and_on_submissions(provider, emulator, simulator, bell):
    emulator.fault("rate_limit", retry_after=1, times=1, path="/api/v1/backends")
    emulator.fault("rate_limit", retry_after=1, times=1, path=JOBS, method="POST")
    started = time.monotonic()
    assert provider.backends()
    job = simulator.run(bell)
    assert time.monotonic() - started >= 2.0
    assert [one["status"] for one in sent(emulator, "POST", JOBS)] == [429, 200]
    assert job.result().get_counts()


def test_a_limit_that_takes_longer_than_the_user_waits_is_told(provider, emulator):
    emulator.fault("rate_limit", retry_after=3600, path="/api/v1/backends")
    with pytest.raises(TransportError, match="code 1202") as caught:
        provider.backends(timeout=2.0)
    assert caught.value.status == 429
    assert caught.value.retry_after_s == 3600
    assert caught.value.retryable


@pytest.mark.parametrize("body", ["json", "html", "empty"])
def test_a_broken_answer_is_asked_for_again_and_in_the_end_named(provider, emulator, body):
    emulator.fault("status", status=503, body=body, times=2, path="/api/v1/backends")
    assert len(provider.backends()) == 6
    emulator.clear_requests()
    emulator.fault("status", status=502, body=body, path="/api/v1/backends")
    with pytest.raises(TransportError, match="502|Service Unavailable|Bad Gateway|HTML|code") as caught:
        provider.backends()
    assert caught.value.status == 502
    assert "<html" not in str(caught.value)
    assert len(sent(emulator, "GET", "/api/v1/backends")) <= 12  # two calls of at most six


def test_a_body_cut_in_half_is_asked_for_again(provider, emulator):
    emulator.fault("cut_body", times=1, path="/api/v1/backends")
    assert len(provider.backends()) == 6


def test_a_connection_dropped_on_a_list_is_tried_again(provider, emulator):
    emulator.fault("drop_before", times=1, path="/api/v1/backends")
    emulator.fault("drop_after", times=1, path="/api/v1/backends")
    assert len(provider.backends()) == 6


# ------------------------------------------------------------------------------------------- submissions


@pytest.mark.parametrize("body", ["json", "html", "empty"])
def test_a_submission_that_was_refused_with_500_is_sent_again_after_a_look(simulator, emulator, bell, body):
    emulator.fault("status", status=500, body=body, times=1, path=JOBS, method="POST")
    job = simulator.run(bell, shots=10)
    assert sum(job.result().get_counts().values()) == 10
    calls = [(one["method"], one["status"]) for one in sent(emulator, path=JOBS)]
    assert (calls[0], calls[-1]) == (("POST", 500), ("POST", 200))
    assert set(calls[1:-1]) == {("GET", 200)}  # the looks for the job's key stand between


def test_a_submission_that_fails_for_ever_is_an_error_and_no_job(provider, simulator, emulator, bell):
    before = len(provider.jobs(limit=None))
    emulator.fault("status", status=503, path=JOBS, method="POST")
    with pytest.raises(TransportError) as caught:
        simulator.run(bell)
    assert caught.value.status == 503
    assert len(sent(emulator, "POST", JOBS)) == 4
    assert len(provider.jobs(limit=None)) == before
    (kept,) = qp.list_jobs(offline=True)
    assert (kept.info.state, kept.job_id, kept.attempts) == (JobState.ERROR, None, 4)


@pytest.mark.parametrize("fault", ["drop_after", "cut_body"])
def test_a_job_whose_answer_was_lost_is_found_and_runs_once(provider, simulator, emulator, bell, fault):
    before = len(provider.jobs(limit=None))
    emulator.clear_requests()
    emulator.fault(fault, times=1, path=JOBS, method="POST")
    job = simulator.run(bell, shots=10, job_tags=["lost"], name="precious")
    assert sum(job.result().get_counts().values()) == 10
    assert (job.tags(), job.name(), job.instance) == (["lost"], "precious", simulator.instance)
    assert len(sent(emulator, "POST", JOBS)) == 1
    assert len(provider.jobs(limit=None)) == before + 1


@pytest.mark.parametrize("answer", [(500, {}, b""), (502, {}, b"<html>"), (524, {}, b"{}")])
def test_a_job_that_was_accepted_and_answered_with_a_failure_is_found_and_runs_once(emulator, gateway, bell, answer):
    lost: list[str] = []

    def lose(method: str, path: str, told: Any) -> Any:
        if (method, path) == ("POST", JOBS) and not lost:
            lost.append(json.loads(told[2])["id"])
            return answer
        return told

    places = {**emulator.endpoints(), "api": f"{gateway(lose).base}/api/v1"}
    with IBMProvider(emulator.api_key, instance="premium-eu", endpoints=places) as provider:
        backend = provider.get_backend("ibmq_qasm_simulator")
        before = len(provider.jobs(limit=None))
        emulator.clear_requests()
        job = backend.run(bell, shots=10)
        assert [job.job_id()] == lost
        assert sum(job.result().get_counts().values()) == 10
        assert [one["method"] for one in sent(emulator, path=JOBS)] == ["POST", "GET"]
        assert len(provider.jobs(limit=None)) == before + 1


def test_a_submission_that_is_not_answered_leaves_time_to_look_for_the_job(emulator, gateway, bell, monkeypatch):
    monkeypatch.setattr("qprovider_core._submission.SUBMIT_TIMEOUT_S", 10.0)
    monkeypatch.setattr("qprovider_ibm._client._SUBMIT_SHARE", 0.15)
    accepted: list[str] = []

    def stall(method: str, path: str, told: Any) -> Any:
        if (method, path) == ("POST", JOBS):
            accepted.append(json.loads(told[2])["id"])
            time.sleep(10)
        return told

    places = {**emulator.endpoints(), "api": f"{gateway(stall).base}/api/v1"}
    with IBMProvider(emulator.api_key, instance="premium-eu", endpoints=places) as provider:
        job = provider.get_backend("ibmq_qasm_simulator").run(bell, shots=10)
        assert [job.job_id()] == accepted


def test_a_token_that_expires_between_the_job_and_the_look_for_it_is_renewed(provider, simulator, emulator, bell):
    emulator.fault("status", status=500, times=1, path=JOBS, method="POST")
    emulator.fault("status", status=401, code=1201, times=1, path=JOBS, method="GET")
    assert sum(simulator.run(bell, shots=10).result().get_counts().values()) == 10
    calls = [(one["method"], one["status"]) for one in sent(emulator, path=JOBS)]
    assert calls[:3] == [("POST", 500), ("GET", 401), ("GET", 200)]
    assert [method for method, _ in calls].count("POST") == 2


def test_a_limit_on_submissions_that_does_not_say_how_long_is_told_and_nothing_is_sent_again(simulator, emulator, bell):
    emulator.fault("rate_limit", retry_after=None, path=JOBS, method="POST")
    with pytest.raises(TransportError, match="code 1202") as caught:
        simulator.run(bell)
    assert caught.value.retryable
    assert len(sent(emulator, "POST", JOBS)) == 1


def test_a_submission_that_broke_before_it_arrived_is_sent_again_once_that_is_certain(
    provider, simulator, emulator, bell, monkeypatch
):
    before = len(provider.jobs(limit=None))
    emulator.clear_requests()
    emulator.fault("drop_before", times=1, path=JOBS, method="POST")
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "1.2")
    job = simulator.run(bell, shots=10)
    assert sum(job.result().get_counts().values()) == 10
    calls = [one["method"] for one in sent(emulator, path=JOBS)]
    assert (calls[0], calls[-1], calls.count("POST")) == ("POST", "POST", 2)
    assert len(calls) >= 4  # it was looked for at once, and when its time to settle was over
    assert len(provider.jobs(limit=None)) == before + 1


def test_a_job_that_the_service_lists_late_is_found_and_not_sent_again(simulator, emulator, bell, monkeypatch):
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "3")
    emulator.fault("job_unlisted", seconds=1.0, times=1)
    emulator.fault("drop_after", times=1, path=JOBS, method="POST")
    job = simulator.run(bell, shots=10)
    assert sum(job.result().get_counts().values()) == 10
    assert len(sent(emulator, "POST", JOBS)) == 1
    what = [event.what for event in job.record().events]
    assert what.index("not known") < what.index("accepted")


def test_a_look_up_that_fails_too_leaves_a_job_of_which_nobody_knows(simulator, emulator, bell, caplog):
    emulator.fault("drop_after", times=1, path=JOBS, method="POST")
    emulator.fault("status", status=500, path=JOBS, method="GET")
    job = simulator.run(bell, shots=10)
    assert job.info.state is JobState.SUBMIT_UNKNOWN
    assert job.job_id() == job.key == job.info.key
    assert "is not known" in caplog.text
    with pytest.raises(SubmitUnknownError, match="cannot be cancelled"):
        job.cancel()
    emulator.clear_faults()
    assert sum(job.result(timeout=60).get_counts().values()) == 10
    assert job.job_id() != job.key
    assert len(sent(emulator, "POST", JOBS)) == 1


# --------------------------------------------------------------------------------------- one bad backend


@pytest.mark.parametrize("how", ["bad_json", "missing_fields", "wrong_types", "html", "empty", "not_found"])
def test_a_corrupt_configuration_costs_that_backend_only(provider, emulator, how):
    emulator.fault("corrupt_configuration", backend="ibm_hanoi", how=how)
    names = [backend.name for backend in provider.backends(where="n_registers >= 0 or num_qubits > 0")]
    assert len(names) == 6  # the list itself does not need it
    found = provider.backends(basis_gates="rz")
    assert {"ibmq_belem", "ibm_sherbrooke"} <= {backend.name for backend in found}
    if how not in ("missing_fields",):  # then what is left may be enough to say which gates there are
        assert "ibm:ibm_hanoi" in [one.name for one in found.rejected]
        with pytest.raises(QProviderError):
            provider.get_backend("ibm_hanoi")


@pytest.mark.parametrize("how", ["bad_json", "wrong_types", "html"])
def test_a_corrupt_calibration_is_a_clear_error_of_that_backend(provider, emulator, how):
    emulator.fault("corrupt_properties", backend="ibm_hanoi", how=how)
    backend = provider.get_backend("ibm_hanoi")
    with pytest.raises(ResponseError):
        _ = backend.target
    assert provider.get_backend("ibmq_belem").target.num_qubits == 5
    emulator.clear_faults()
    assert backend.target.num_qubits == 27  # the failure is not kept


@pytest.fixture
def half_down(gateway, emulator) -> Any:
    """A provider over both instances, and a function that takes one down: it answers everything with what is given."""
    down: dict[str, Any] = {}

    def instead(method: str, path: str, headers: dict[str, str]) -> Any:
        told = down.get(headers.get("service-crn", ""))
        return told() if callable(told) else told

    server = gateway(instead=instead)
    places = {**emulator.endpoints(), "api": f"{server.base}/api/v1"}
    with IBMProvider(emulator.api_key, endpoints=places) as provider:

        def take_down(name: str, told: Any) -> str:
            down.clear()
            down[emulator.instances[name]] = told
            return str(emulator.instances[name])

        yield provider, take_down


MOVED = (400, {}, b'{"errors": [{"code": 1000, "message": "This instance is being moved."}]}')


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (MOVED, "This instance is being moved"),
        ((503, {}, b""), "HTTP status 503"),
        ((429, {"Retry-After": "3600"}, b""), "HTTP status 429"),
        ((401, {}, b'{"errors": [{"code": 1200, "message": "Not authorized."}]}'), "Not authorized"),
        ((200, {}, b"<html>"), "not JSON"),
        ((200, {}, b'{"devices": 7}'), "not of the expected form"),
    ],
)
@pytest.mark.parametrize("name", ["open-main", "premium-eu"])
def test_one_instance_that_is_down_is_named_beside_the_backends_of_the_other(half_down, emulator, name, told, reason):
    provider, take_down = half_down
    crn = take_down(name, told)
    found = provider.backends()
    assert len(found) == 6
    assert {backend.instance for backend in found} == set(emulator.instances.values()) - {crn}
    assert [f"instance {name}: " in error.reason and reason in error.reason for error in found.errors] == [True]


def test_one_instance_that_stalls_leaves_time_for_the_configurations_of_the_others(half_down, emulator):
    provider, take_down = half_down
    take_down("open-main", lambda: time.sleep(20))
    started = time.monotonic()
    found = provider.backends(basis_gates="cx", timeout=4.0)
    assert time.monotonic() - started < 8
    assert {"ibmq_belem", "ibm_hanoi"} <= {backend.name for backend in found}
    assert ["instance open-main" in error.reason for error in found.errors] == [True]


def test_a_job_of_the_instance_that_is_up_is_found_while_the_other_is_down(half_down, emulator, bell):
    provider, take_down = half_down
    job = provider.get_backend("ibmq_qasm_simulator", instance="premium-eu").run(bell)
    take_down("open-main", (503, {"Retry-After": "0"}, b""))
    found = provider.retrieve_job(job.job_id())
    assert found.instance == emulator.instances["premium-eu"]
    with pytest.raises(TransportError, match="503"):  # it may be there: nobody can say that there is no such job
        provider.retrieve_job("d80uuta71sl7abjb8e00")
    with pytest.raises(TransportError, match="503"):  # a part of the list would look like all of it
        provider.jobs()


# ------------------------------------------------------------------------------------------------- jobs


def test_a_crashed_worker_is_a_failed_job_and_the_next_one_runs(simulator, emulator, bell):
    emulator.fault("job_crashes", times=1)
    with pytest.raises(JobFailedError) as caught:
        simulator.run(bell).result(timeout=60)
    assert caught.value.code == "9999"
    assert simulator.run(bell).result(timeout=60).get_counts()


def test_a_wait_holds_its_timeout_while_the_service_stalls_or_is_gone(simulator, emulator, bell):
    emulator.fault("job_stuck", times=1)
    job = simulator.run(bell)
    for kind, settings in (("latency", {"seconds": 30}), ("drop_before", {}), ("status", {"status": 503})):
        emulator.clear_faults()
        emulator.fault(kind, path="/api/v1/jobs/*", **settings)
        started = time.monotonic()
        with pytest.raises(JobTimeoutError) as caught:
            job.wait_for_final_state(timeout=1.0)
        assert time.monotonic() - started < 6
        assert caught.value.job is job
    emulator.clear_faults()
    assert job.cancel()


def test_a_wait_survives_a_service_that_comes_back(simulator, emulator, bell):
    job = simulator.run(bell)
    emulator.fault("status", status=503, times=8, path="/api/v1/jobs/*")
    assert job.result(timeout=60).get_counts()


def test_an_unknown_status_word_ends_no_wait(simulator, emulator, bell):
    emulator.fault("job_status", status="Pondering", times=1)
    job = simulator.run(bell)
    with pytest.raises(JobTimeoutError, match="it is 'Pondering'"):
        job.wait_for_final_state(timeout=1.0)
    assert job.state().state is JobState.UNKNOWN
    assert job.state().text == "Pondering"
    assert not job.in_final_state()


def test_a_process_with_calls_outstanding_exits_at_once(emulator):
    emulator.fault("latency", seconds=60, path="/api/v1/backends")
    code = f"""
import threading, time
from qprovider_ibm import IBMProvider
provider = IBMProvider({emulator.api_key!r})
threading.Thread(target=provider.backends, daemon=True).start()
time.sleep(0.3)
print("leaving", flush=True)
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == "leaving\n"
    assert time.monotonic() - started < 25


def test_a_deadline_abandons_the_call_and_says_so(provider, emulator):
    emulator.fault("latency", seconds=10, path="/api/v1/backends")
    with pytest.raises(DeadlineError):
        provider.account.ask("qprovider_list_backends", timeout=0.3)

"""Jobs of a service on the command line: submitted, left alone, fetched later, looked for."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qprovider_ibm.emulator import Emulator

pytestmark = pytest.mark.slow

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Listed = Callable[..., list[dict[str, Any]]]


def submitted(run: Run, bell: str, *arguments: str) -> str:
    done = run("run", bell, "--backend", "ibm:ibm_hanoi", "--no-wait", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ------------------------------------------------------------------------------------------- jobs that go on elsewhere


def test_a_job_is_submitted_left_and_fetched_later(run: Run, service: Emulator, bell: str, listed: Listed) -> None:
    done = run("run", bell, "-b", "ibm:ibm_hanoi", "--no-wait", "--shots", "200", "--tag", "night", "--name", "later")
    assert done.returncode == 0, done.stderr
    id = done.stdout.strip()
    assert f"qprovider result {id}" in done.stderr
    result = run("result", id, "--json", "--timeout", "60")
    assert result.returncode == 0, result.stderr
    assert sum(json.loads(result.stdout)["results"][0]["counts"].values()) == 200
    (job,) = listed("--provider", "ibm", "--tag", "night")
    assert (job["id"], job["state"], job["name"]) == (id, "done", "later")
    again = run("rerun", id)
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip() != id
    assert run("result", again.stdout.strip()).returncode == 0


def test_a_result_that_was_read_costs_no_request(run: Run, service: Emulator, bell: str) -> None:
    id = submitted(run, bell)
    first = run("result", id, "--json").stdout
    service.clear_requests()
    assert run("result", id, "--json").stdout == first
    assert service.requests() == []


def test_expectation_values_are_a_table(
    run: Run, service: Emulator, environment: dict[str, str], tmp_path: Path
) -> None:
    script = """
import qprovider_core as qp
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qprovider_ibm import IBMEstimator
circuit = QuantumCircuit(1)
circuit.x(0)
backend = qp.get_backend("ibm:ibm_hanoi")
isa = backend.transpile(circuit)
observables = [SparsePauliOp(text).apply_layout(isa.layout) for text in ("Z", "X")]
print(IBMEstimator(mode=backend).run([(isa, observables)]).job_id())
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert ran.returncode == 0, ran.stderr
    id = ran.stdout.strip()
    document = json.loads(run("result", id, "--json").stdout)["results"][0]
    assert document["shape"] == [2]
    assert document["evs"][0] == pytest.approx(-1, abs=0.2)
    assert document["evs"][1] == pytest.approx(0, abs=0.2)
    head, *rows = run("result", id).stdout.splitlines()
    assert head.split("  ") == ["index", "expectation value", "standard error"]
    assert [float(row.split()[1]) for row in rows] == pytest.approx(document["evs"], abs=1e-4)


def test_each_job_that_is_cancelled_tells_what_came_of_it(run: Run, service: Emulator, bell: str) -> None:
    ended = submitted(run, bell)
    assert run("result", ended).returncode == 0
    service.fault("job_stuck")
    stuck = [submitted(run, bell) for _ in range(2)]
    done = run("cancel", stuck[0], ended, stuck[1])
    assert done.returncode == 1
    assert done.stdout == "".join(f"{id}  cancelled\n" for id in stuck)
    assert done.stderr.startswith(f"Error: Job {ended} cannot be cancelled: it has ended (done).")
    result = run("result", stuck[0])
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"Error: Job {stuck[0]} was cancelled.\n  Run it again: qprovider rerun {stuck[0]}\n"


def test_a_failed_job_tells_the_reason_the_code_and_what_to_do(run: Run, service: Emulator, bell: str) -> None:
    service.fault("job_fails", reason="The fridge is warm", code=9123, solution="Wait until it is cold.")
    id = submitted(run, bell)
    result = run("result", id)
    assert (result.returncode, result.stdout) == (1, "")
    for part in ("9123", "The fridge is warm", "Wait until it is cold.", f"qprovider rerun {id}"):
        assert part in result.stderr
    shown = run("job", id).stdout
    assert "error code" in shown
    assert "9123" in shown


def test_a_job_runs_again_without_a_record_from_what_its_vendor_keeps(
    run: Run, service: Emulator, bell: str, listed: Listed
) -> None:
    id = submitted(run, bell, "--no-ledger")
    again = run("rerun", id, "--no-ledger")
    assert again.returncode == 0, again.stderr
    assert listed("--offline") == []
    assert run("result", again.stdout.strip()).returncode == 0


def test_a_wait_that_runs_out_says_how_to_come_back(run: Run, service: Emulator, bell: str, listed: Listed) -> None:
    service.fault("job_stuck")
    id = submitted(run, bell)
    result = run("result", id, "--timeout", "1")
    assert (result.returncode, result.stdout) == (1, "")
    assert f"Error: Job {id} has not ended within 1 s: it is queued." in result.stderr
    assert f"Come back with: qprovider result {id}" in result.stderr
    assert listed("--status", "queued")[0]["id"] == id


def test_an_interrupt_names_the_command_for_the_result(
    in_terminal: Callable[..., Any], service: Emulator, bell: str, listed: Listed
) -> None:
    service.fault("job_stuck")
    with in_terminal("run", bell, "--backend", "ibm:ibm_hanoi") as terminal:
        terminal.read_until("queued, ")
        terminal.interrupt()
        assert terminal.wait() == 130
    id = listed("--provider", "ibm", "--limit", "1")[0]["id"]
    assert f"goes on there. Its result: qprovider result {id}" in terminal.shown


def test_vendors_that_do_not_answer_are_named_beside_what_is_known(run: Run, service: Emulator, bell: str) -> None:
    id = submitted(run, bell)
    service.fault("status", path="/api/v1/jobs*", method="GET", status=404)
    done = run("jobs")
    assert done.returncode == 0
    assert id in done.stdout
    assert "environment/ibm: " in done.stderr
    as_json = json.loads(run("jobs", "--json").stdout)
    assert [error["provider"] for error in as_json["errors"]] == ["ibm"]


def test_the_exit_code_is_1_when_nothing_at_all_could_be_read(run: Run, service: Emulator) -> None:
    service.fault("status", path="/api/v1/jobs*", method="GET", status=404)
    done = run("jobs", "--provider", "ibm")
    assert (done.returncode, done.stdout) == (1, "")


def test_a_local_job_cannot_be_left_alone(run: Run, service: Emulator, bell: str, listed: Listed) -> None:
    done = run("run", bell, "--backend", "local:aer_simulator", "--no-wait")
    assert (done.returncode, done.stdout) == (1, "")
    assert "A job of local ends with this command" in done.stderr
    assert listed("--provider", "local") == []
    left = run("run", bell, "--no-wait")
    assert left.returncode == 0
    assert left.stderr.startswith("Backend ibm:")


# ----------------------------------------------------------------------------------------------- what may have arrived


def test_a_job_that_may_have_arrived_is_said_plainly_and_found_later(
    run: Run, service: Emulator, environment: dict[str, str], bell: str
) -> None:
    environment |= {"QPROVIDER_SETTLE_TIME": "0", "QPROVIDER_TIMEOUT": "5"}
    service.fault("drop_after", path="/api/v1/jobs", method="POST", times=1)
    service.fault("status", path="/api/v1/jobs*", method="GET", status=404)
    done = run("run", bell, "--backend", "ibm:ibm_hanoi", "--no-wait")
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip()
    assert "Whether this job arrived at ibm:ibm_hanoi is not known. Do not send it again" in done.stderr
    assert "qprovider jobs reconcile" in done.stderr
    assert run("job", key).stderr == "Whether this job arrived is not known. Find out: qprovider jobs reconcile\n"
    still = run("jobs", "reconcile", "--timeout", "1")
    assert still.returncode == 1
    assert f"{key}  still not known at ibm:ibm_hanoi" in still.stdout
    service.clear_faults()
    service.clear_requests()
    found = run("jobs", "reconcile")
    assert found.returncode == 0, found.stderr
    id = found.stdout.split()[0]
    assert found.stdout == f"{id}  found at ibm:ibm_hanoi (key {key})\n"
    assert not [seen for seen in service.requests() if seen["method"] == "POST" and seen["path"].endswith("/jobs")]
    assert run("jobs", "reconcile").stderr == "Nothing to find out: of every job it is known whether it arrived.\n"
    assert run("result", key).returncode == 0


def test_an_interrupt_while_a_job_is_sent_says_where_to_find_it(
    in_terminal: Callable[..., Any], service: Emulator, environment: dict[str, str], bell: str, listed: Listed
) -> None:
    environment["QPROVIDER_SETTLE_TIME"] = "0"
    service.fault("latency", path="/api/v1/jobs", method="POST", seconds=5)
    with in_terminal("run", bell, "--backend", "ibm:ibm_hanoi") as terminal:
        while not listed("--offline"):  # it is written down before it is sent
            time.sleep(0.1)
        terminal.interrupt()
        assert terminal.wait() == 130
    assert "find out with: qprovider jobs reconcile" in terminal.shown
    (job,) = listed("--offline")
    assert job["state"] == "submit_unknown"

"""Circuits split into several jobs, over an emulated service on 127.0.0.1."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.exceptions import QiskitError
from qiskit.providers import JobStatus, JobV1

from qprovider_core._job import make_job
from qprovider_core.errors import (
    InvalidInputError,
    JobCancelledError,
    JobFailedError,
    JobTimeoutError,
    TransportError,
    UnknownJobError,
    UnsupportedError,
)
from qprovider_core.records import Deadline, JobInfo, JobState
from qprovider_ibm import IBMCompositeJob, IBMProvider, job_monitor
from qprovider_ibm import _composite_job as module
from qprovider_ibm import _composite_parts as parts_module
from qprovider_ibm._composite_parts import Part, parts_of
from qprovider_ibm._job import IBMJob
from qprovider_ibm.emulator import Emulator

JOBS = {"path": "/api/v1/jobs", "method": "POST"}


@pytest.fixture(scope="module")
def process() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(process: Emulator) -> Iterator[Emulator]:
    process.clear_faults()
    process.clear_requests()
    yield process
    process.clear_faults()


@pytest.fixture(scope="module")
def provider(process: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IBMProvider]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        with IBMProvider(process.api_key, instance="premium-eu", endpoints=process.endpoints()) as provider:
            yield provider


@pytest.fixture
def backend(provider: IBMProvider, emulator: Emulator) -> Any:
    found = provider.get_backend("ibmq_qasm_simulator")
    emulator.clear_requests()
    return found


def number(value: int) -> QuantumCircuit:
    """A circuit that gives this number of four bits, and is named by it."""
    circuit = QuantumCircuit(4, name=f"number-{value}")
    for qubit in range(4):
        if value >> qubit & 1:
            circuit.x(qubit)
    circuit.measure_all()
    return circuit


NUMBERS = [number(value) for value in range(12)]


def counts_of(result: Any) -> list[dict[str, int]]:
    return [dict(counts) for counts in result.get_counts()]


def forget() -> None:
    """As in a new process: composite jobs of this one are not known any more."""
    gc.collect()
    module._known.clear()


EXPECTED = [{f"{value:04b}": 20} for value in range(12)]


# ---------------------------------------------------------------------------------------------- one of them


def test_circuits_are_split_and_their_results_are_one(backend, emulator):
    job = backend.run(NUMBERS, shots=20, max_circuits_per_job=5)
    assert isinstance(job, IBMCompositeJob)
    assert isinstance(job, JobV1)
    assert re.fullmatch(r"ibm_composite_job_id_[0-9a-f]{32}_", job.job_id())
    result = job.result(30)
    assert counts_of(result) == EXPECTED
    assert result.get_counts(7) == {"0111": 20}
    assert result.get_counts("number-11") == result.get_counts(NUMBERS[11]) == {"1011": 20}
    assert (result.job_id, result.success, len(result)) == (job.job_id(), True, 12)
    assert result[9].data.meas.get_counts() == {"1001": 20}
    assert [entry["circuits"] for entry in result.metadata["jobs"]] == [[0, 4], [5, 9], [10, 11]]
    assert job.result() is result
    assert len([one for one in emulator.requests() if (one["method"], one["path"]) == ("POST", JOBS["path"])]) == 3
    assert job.status() is JobStatus.DONE
    assert job.done()
    assert job.backend() is backend
    assert job.error_message() is None
    assert job.queue_info() is None
    assert job.properties() is None  # of a simulator
    assert [len(one.circuits()) for one in job.sub_jobs()] == [5, 5, 2]
    assert [circuit.name for circuit in job.circuits()] == [circuit.name for circuit in NUMBERS]
    assert job.sub_job(10) is job.sub_jobs()[2]
    assert job.cancel() is False
    steps = job.time_per_step()
    assert list(steps) == ["CREATED", "RUNNING", "FINISHED"]
    assert job.creation_date() == steps["CREATED"] == job.sub_jobs()[0].creation_date()
    assert job.usage().estimated_s == pytest.approx(sum(one.usage().estimated_s for one in job.sub_jobs()))


def test_few_circuits_are_one_plain_job(backend):
    job = backend.run(NUMBERS, shots=20, max_circuits_per_job=12)
    assert type(job) is IBMJob
    assert counts_of(job.result(30)) == EXPECTED


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "10"])
def test_the_size_is_a_whole_number(backend, emulator, size):
    with pytest.raises(InvalidInputError, match="max_circuits_per_job is a whole number of at least 1"):
        backend.run(NUMBERS, max_circuits_per_job=size)
    assert emulator.requests() == []


def test_bound_parameters_are_circuits_of_their_own(backend):
    angle = Parameter("angle")
    circuit = QuantumCircuit(1)
    circuit.rx(angle, 0)
    circuit.measure_all()
    values = [0, 3.141592653589793] * 4
    job = backend.run(circuit, shots=5, parameter_binds=[{angle: value} for value in values], max_circuits_per_job=3)
    assert counts_of(job.result(30)) == [{"0": 5}, {"1": 5}] * 4
    assert len(job.sub_jobs()) == 3
    forget()
    assert counts_of(backend.provider.retrieve_job(job.job_id()).result(30)) == [{"0": 5}, {"1": 5}] * 4


def test_what_is_wrong_with_any_circuit_shows_before_anything_is_sent(backend, emulator):
    with pytest.raises(InvalidInputError, match="Circuit 12"):
        backend.run([*NUMBERS, QuantumCircuit(1)], max_circuits_per_job=5)
    with pytest.raises(InvalidInputError, match="at most 5 tags; there are 6"):
        backend.run(NUMBERS, max_circuits_per_job=5, job_tags=list("abcdef"))
    with pytest.raises(InvalidInputError, match="at most 4 tags beside a name"):
        backend.run(NUMBERS, max_circuits_per_job=5, job_tags=list("abcde"), name="mine")
    assert [one for one in emulator.requests() if one["method"] == "POST"] == []


def test_many_jobs_are_looked_at_with_one_request(backend, emulator):
    emulator.fault("job_stuck", times=4)
    job = backend.run(NUMBERS, shots=5, max_circuits_per_job=3)
    assert job.block_for_submit(10)
    emulator.clear_requests()
    assert job.status() is JobStatus.QUEUED
    assert [(one["method"], one["path"]) for one in emulator.requests()] == [("GET", JOBS["path"])]
    assert str(job.state()) == "queued (0 of 4 jobs have ended)"
    assert job.queue_info().backend_name == backend.name
    with pytest.raises(InvalidInputError, match="circuit 12: there are 12"):
        job.sub_job(12)
    assert job.cancel() is True
    assert job.status() is JobStatus.CANCELLED
    assert job.cancelled()
    with pytest.raises(JobCancelledError, match="4 of the 4 jobs"):
        job.result()
    assert job.report().count("Status: job has been cancelled") == 4


def test_job_monitor_follows_it_to_the_end(backend, capsys):
    job = backend.run(NUMBERS, shots=5, max_circuits_per_job=6)
    job_monitor(job)
    assert capsys.readouterr().out.endswith("Job Status: job has successfully run\n")


def test_sub_jobs_are_listed_as_plain_jobs_and_bear_the_users_tags(backend, emulator):
    job = backend.run(NUMBERS[:4], shots=5, max_circuits_per_job=2, job_tags=["mine"], name="pair")
    job.wait_for_final_state(30)
    listed = backend.provider.jobs(limit=2)
    assert [type(one) for one in listed] == [IBMJob, IBMJob]
    assert {one.job_id() for one in listed} == {one.job_id() for one in job.sub_jobs()}
    assert [(one.tags(), one.name()) for one in listed] == [(["mine"], "pair")] * 2
    assert [one.tags() for one in job.sub_jobs()] == [["mine"]] * 2
    assert len(backend.provider.jobs(job_tags=[job.job_id()])) == 2  # the id is a tag of theirs
    assert job.update_tags(["ours", "new"]) == ["ours", "new"]
    assert job.update_name("couple") == "couple"
    forget()
    found = backend.provider.retrieve_job(job.job_id())  # changed tags did not take its own away
    assert (found.tags(), found.name(), found.sub_jobs()[1].tags()) == (["ours", "new"], "couple", ["ours", "new"])
    found.delete()
    forget()
    with pytest.raises(UnknownJobError, match="no composite job"):
        backend.provider.retrieve_job(job.job_id())


# ------------------------------------------------------------------------------------------- found again


def test_the_same_process_finds_the_same_object(backend):
    job = backend.run(NUMBERS[:4], shots=5, max_circuits_per_job=2)
    assert backend.provider.backend.job(job.job_id()) is job
    assert backend.provider.backend.retrieve_job(job.job_id()) is job
    assert backend.provider.retrieve_job(job.job_id(), instance="premium-eu") is job
    job.result(30)


def test_another_process_puts_it_together_again(backend, emulator, tmp_path):
    job = backend.run(NUMBERS, shots=20, max_circuits_per_job=5, job_tags=["mine"])
    job.result(30)
    program = f"""
import json
from qprovider_ibm import IBMProvider
job = IBMProvider().backend.job({job.job_id()!r})
result = job.result(30)
print(json.dumps([type(job).__name__, job.report(), job.tags(), [one.job_id() for one in job.sub_jobs()],
    result.get_counts(), result.get_counts("number-7"), str(job.creation_date()), job.status().name]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"HOME": str(tmp_path), "QPROVIDER_CONFIG_DIR": str(tmp_path), **emulator.environment("premium-eu")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    kind, report, tags, ids, counts, named, created, status = json.loads(ended.stdout)
    assert (kind, report, tags, status) == ("IBMCompositeJob", job.report(), ["mine"], "DONE")
    assert ids == [one.job_id() for one in job.sub_jobs()]
    assert (counts, named, created) == (EXPECTED, {"0111": 20}, str(job.creation_date()))


def test_an_id_of_no_composite_job_is_unknown(provider):
    with pytest.raises(UnknownJobError, match="Check the id and the instance"):
        provider.retrieve_job("ibm_composite_job_id_0_")


def info(index: int, total: int, first: int, last: int, **more: Any) -> JobInfo:
    return JobInfo(
        id=f"job-{index}", state=JobState.DONE, extra={"composite_part": f"{index}/{total}:{first}-{last}"}, **more
    )


def test_tags_tell_of_parts_that_are_missing_and_the_newest_job_of_each_holds():
    again = attrs.evolve(info(1, 4, 3, 5), id="again")
    parts, newest = parts_of([again, info(3, 4, 9, 9), info(1, 4, 3, 5)])
    assert [(part.first, part.last) for part in parts] == [(0, 2), (3, 5), (6, 8), (9, 9)]
    assert {index: one.id for index, one in newest.items()} == {1: "again", 3: "job-3"}


@pytest.mark.parametrize("part", ["", "x", "4/4:0-1", "0/1:3-2", "0/1:0-", "1/2:0-1 "])
def test_tags_that_cannot_be_read_tell_of_no_part(part):
    assert parts_of([JobInfo(id="a", state=JobState.DONE, extra={"composite_part": part})]) == ([], {})


def test_a_part_that_another_process_did_not_send_is_waited_for_a_while_and_then_lost(backend, monkeypatch):
    job = backend.run(NUMBERS, shots=20, max_circuits_per_job=5)
    job.result(30)
    job.sub_jobs()[1].delete()
    forget()
    found = backend.provider.retrieve_job(job.job_id())
    assert found.status() is JobStatus.RUNNING
    assert "Circuits 5-9:\n      Job index: 1\n      Status: job has not been submitted yet" in found.report()
    forget()
    monkeypatch.setattr(module, "_GRACE", timedelta(0))
    lost = backend.provider.retrieve_job(job.job_id())
    assert lost.status() is JobStatus.ERROR
    assert lost.error_message() == (
        "Circuits 5-9: it could not be submitted: the process that began to submit it ended before."
    )
    assert counts_of_done(lost.result(partial=True)) == [*EXPECTED[:5], *EXPECTED[10:]]
    with pytest.raises(
        InvalidInputError, match="Circuits 5-9: the job never arrived, and its circuits are not at hand"
    ):
        lost.rerun_failed()


def counts_of_done(result: Any) -> list[dict[str, int]]:
    return [dict(result.get_counts(i)) for i, one in enumerate(result.results) if one.success]


# ------------------------------------------------------------------------------------------- what fails


def test_a_submission_that_fails_loses_no_other_and_can_be_repeated(backend, emulator, caplog):
    emulator.fault("status", status=400, times=1, after=1, **JOBS)
    emulator.fault("job_fails", reason="Out of order", times=1, after=2)
    job = backend.run(NUMBERS, shots=20, max_circuits_per_job=3, job_tags=["mine"])
    job.wait_for_final_state(30)
    assert job.status() is JobStatus.ERROR
    assert "Circuits 3-5 could not be submitted" in caplog.text
    numbers = dict(re.findall(r"(\w+) jobs: +(\d+)", job.report(detailed=False)))
    assert numbers == {"Total": "4", "Successful": "2", "Failed": "2", "Cancelled": "0", "Running": "0", "Pending": "0"}
    lines = job.error_message().splitlines()
    assert lines[0].startswith("Circuits 3-5: it could not be submitted: IBM Quantum did not do POST /jobs")
    assert lines[1].startswith("Circuits 9-11: Out of order (code 9999).")
    with pytest.raises(JobFailedError, match="2 of the 4 jobs") as caught:
        job.result()
    assert "rerun_failed()" in str(caught.value)
    assert "Circuits 9-11: job incurred error: Out of order" in str(caught.value)

    part = job.result(partial=True)
    assert part.success is False
    assert counts_of_done(part) == [*EXPECTED[:3], *EXPECTED[6:9]]
    assert part.get_counts("number-7") == EXPECTED[7]
    with pytest.raises(QiskitError, match="circuit 10 has no result: Out of order"):
        part.get_counts(10)

    arrived = [one.job_id() for one in job.sub_jobs()]
    job.rerun_failed()
    assert job.status() is not JobStatus.ERROR
    assert counts_of(job.result(30)) == EXPECTED
    ids = [one.job_id() for one in job.sub_jobs()]
    assert [ids[0], ids[2]] == arrived[:2]
    assert ids[3] != arrived[2]
    forget()
    assert [one.job_id() for one in backend.provider.retrieve_job(job.job_id()).sub_jobs()] == ids


def test_another_process_repeats_failed_jobs_with_what_the_service_keeps(backend, emulator):
    emulator.fault("job_fails", times=1, after=1)
    job = backend.run(NUMBERS, shots=20, max_circuits_per_job=6, job_tags=["mine"], max_execution_time=77)
    job.wait_for_final_state(30)
    forget()
    found = backend.provider.retrieve_job(job.job_id())
    assert found.status() is JobStatus.ERROR
    found.rerun_failed()
    assert counts_of(found.result(30)) == EXPECTED
    again = found.sub_jobs()[1]
    assert again.job_id() != job.sub_jobs()[1].job_id()
    assert (again.tags(), again.refresh().extra["cost"]) == (["mine"], 77)


def test_private_jobs_cannot_be_repeated_by_another_process(backend, emulator):
    emulator.fault("job_fails", times=1)
    job = backend.run(NUMBERS, shots=20, max_circuits_per_job=6, private=True)
    job.wait_for_final_state(30)
    forget()
    found = backend.provider.retrieve_job(job.job_id())
    found.rerun_failed()
    found.wait_for_final_state(30)
    assert isinstance(found._parts[0].error, UnsupportedError)
    assert "the service gives nobody its inputs. It was private." in found.error_message()
    assert counts_of_done(found.result(partial=True)) == EXPECTED[6:]


def test_a_job_whose_answer_was_lost_does_not_run_twice(backend, emulator):
    emulator.fault("drop_after", times=1, **JOBS)  # it arrived, and is found by its key
    job = backend.run(NUMBERS, shots=20, max_circuits_per_job=6)
    assert counts_of(job.result(30)) == EXPECTED
    assert len(backend.provider.jobs(limit=None, job_tags=[job.job_id()])) == 2


def test_rerun_looks_for_what_may_have_arrived_first(backend, emulator):
    job = backend.run(NUMBERS, shots=20, max_circuits_per_job=6)
    job.result(30)
    part = job._parts[0]  # as if its answer had been lost, and the service had not listed it at that time
    was, part.job = part.job, None
    part.error = TransportError("The connection ended.")
    part.error.retryable = False
    job.info = attrs.evolve(job.info, state=JobState.ERROR)
    job.rerun_failed()
    assert counts_of(job.result(30)) == EXPECTED
    assert job.sub_jobs()[0].job_id() == was.job_id()


def test_submission_waits_out_the_limit_of_the_rate(backend, emulator):
    emulator.fault("rate_limit", retry_after=1, times=1, after=1, **JOBS)
    started = time.monotonic()
    job = backend.run(NUMBERS[:4], shots=20, max_circuits_per_job=2)
    assert counts_of(job.result(30)) == EXPECTED[:4]
    assert time.monotonic() - started >= 1


def test_cancelling_stops_what_has_not_been_sent(backend, emulator):
    emulator.fault("latency", seconds=0.5, **JOBS)
    job = backend.run(NUMBERS, shots=20, max_circuits_per_job=3)
    with pytest.raises(InvalidInputError, match="still being submitted"):
        job.rerun_failed()
    assert job.cancel() is True
    emulator.clear_faults()
    job.wait_for_final_state(10)
    assert len(job.sub_jobs()) <= 1
    assert job.report().count("Status: job was cancelled before it was submitted") >= 3
    job.rerun_failed()
    assert counts_of(job.result(30)) == EXPECTED


def test_an_orderly_end_of_the_program_sends_what_was_asked_for(backend, emulator, tmp_path):
    emulator.fault("latency", seconds=0.3, **JOBS)
    program = """
from qiskit import QuantumCircuit
from qprovider_ibm import IBMProvider
circuit = QuantumCircuit(1)
circuit.measure_all()
backend = IBMProvider().get_backend("ibmq_qasm_simulator")
print(backend.run([circuit] * 3, shots=5, max_circuits_per_job=1).job_id())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"HOME": str(tmp_path), "QPROVIDER_CONFIG_DIR": str(tmp_path), **emulator.environment("premium-eu")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0
    assert ended.stderr == (
        "jobs of a composite job are still being submitted; Ctrl-C leaves out those that were not yet\n"
    )
    emulator.clear_faults()
    found = backend.provider.retrieve_job(ended.stdout.strip())
    assert len(found.sub_jobs()) == 3
    assert counts_of(found.result(30)) == [{"0": 5}] * 3


def test_a_fault_of_our_own_loses_no_other_job(backend, monkeypatch):
    def broken(account: Any, told: JobInfo, **more: Any) -> Any:
        if told.extra["composite_part"].startswith("1/"):
            raise ZeroDivisionError("oops")
        return make_job(account, told, **more)

    monkeypatch.setattr(parts_module, "make_job", broken)
    job = backend.run(NUMBERS, shots=20, max_circuits_per_job=5)
    job.wait_for_final_state(30)
    assert job.error_message() == "Circuits 5-9: it could not be submitted: ZeroDivisionError: oops"
    assert counts_of_done(job.result(partial=True)) == [*EXPECTED[:5], *EXPECTED[10:]]


def test_a_timeout_holds_and_the_jobs_go_on(backend, emulator):
    emulator.fault("job_stuck", times=1)
    job = backend.run(NUMBERS[:4], shots=5, max_circuits_per_job=2)
    started = time.monotonic()
    with pytest.raises(JobTimeoutError, match="It goes on"):
        job.result(0.3, partial=True)
    assert time.monotonic() - started < 8
    assert job.block_for_submit(10)
    end = time.monotonic() + 30
    while not any(one.refresh().state is JobState.DONE for one in job.sub_jobs()) and time.monotonic() < end:
        time.sleep(0.05)  # the one that is not stuck has a result to be read
    job.cancel()
    job.wait_for_final_state(10)
    with pytest.raises(JobTimeoutError):
        job.result(0, partial=True)


def test_the_thread_ends_with_its_work(backend):
    job = backend.run(NUMBERS[:4], shots=5, max_circuits_per_job=2)
    job.result(30)
    names = [thread.name for thread in threading.enumerate()]
    assert "qprovider-ibm-composite" not in names


def test_a_part_says_where_it_stands():
    part = Part(index=0, first=3, last=3)
    assert (part.circuits, part.state) == ("Circuit 3", JobState.INITIALIZING)
    part.cancelled = True
    assert part.state is JobState.CANCELLED


# ------------------------------------------------------------------------------------------- the backend


def test_active_jobs_and_what_limits_them(backend, emulator):
    emulator.fault("job_stuck", times=3)
    jobs = [backend.run(NUMBERS[0], shots=5) for _ in range(3)]
    assert [one.job_id() for one in backend.active_jobs()] == [one.job_id() for one in reversed(jobs)]
    assert len(backend.active_jobs(limit=2)) == 2
    limit = backend.job_limit()
    assert (limit.maximum_jobs, limit.running_jobs, limit.submissions_a_minute) == (None, 3, 5)
    assert backend.remaining_jobs_count() is None
    for job in jobs:
        job.cancel()
    assert backend.active_jobs() == []


def test_creation_before_anything_was_sent_is_now(backend, emulator):
    emulator.fault("latency", seconds=0.3, times=1, **JOBS)
    job = backend.run(NUMBERS[:4], shots=5, max_circuits_per_job=2)
    assert abs(job.creation_date() - datetime.now(UTC)) < timedelta(seconds=2)
    assert job.status() is JobStatus.INITIALIZING
    assert repr(job) == f"<IBMCompositeJob {job.job_id()} of 2 jobs, initializing>"
    job.result(30)


def test_the_service_keeps_what_tells_the_parts(backend):
    job = backend.run(NUMBERS[:3], shots=5, max_circuits_per_job=2)
    told = [one._connection().client.job(one.instance, one.job_id(), Deadline.after(10)) for one in job.sub_jobs()]
    marks = [[tag for tag in one["tags"] if tag.startswith("ibm_composite")] for one in told]
    assert marks == [
        [job.job_id(), "ibm_composite_job_part:0/2:0-1"],
        [job.job_id(), "ibm_composite_job_part:1/2:2-2"],
    ]
    job.result(30)

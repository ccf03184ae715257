"""Jobs of the emulated service that the ledger keeps: in new processes, without the service, after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import qprovider_core as qp
from qprovider_core import _plugins, fleet
from qprovider_core.errors import InvalidInputError, JobFailedError
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import JobState
from qprovider_ibm.emulator import Emulator

pytestmark = pytest.mark.slow  # left to `make check`

SIMULATOR = "ibm:ibmq_qasm_simulator"
JOBS = "/api/v1/jobs"
POST = {"path": JOBS, "method": "POST", "times": 1}
SUBMIT = """
    import sys
    import qprovider_core as qp
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2, name="bell")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    job = qp.get_backend("ibm:ibmq_qasm_simulator").run(circuit, shots=10, job_tags=["mine"], name="first")
    print(job.job_id(), flush=True)
"""
RESULT = """
    import sys
    import qprovider_core as qp

    job = qp.job(sys.argv[1])
    print(sorted(job.result().get_counts().items()), job.tags(), job.name(), job.status().name)
"""


@pytest.fixture
def signed_in(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The service, with the account of its user in the environment."""
    for name, value in emulator.environment("premium-eu").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "0.5")
    monkeypatch.setenv("QPROVIDER_PLUGINS", "ibm")
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())
    monkeypatch.setattr(fleet, "_fleet", fleet.Fleet())
    return emulator


@pytest.fixture
def python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes that end with the test at the latest."""
    started: list[subprocess.Popen[str]] = []

    def start(text: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", textwrap.dedent(text), *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=60)


def told(process: subprocess.Popen[str]) -> str:
    """What a process printed; it must have gone well."""
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out.strip()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def sent(emulator: Emulator, method: str) -> list[dict[str, Any]]:
    return [one for one in emulator.requests() if (one["method"], one["path"]) == (method, JOBS)]


# -------------------------------------------------------------------------------------------- results in the ledger


def test_a_second_result_costs_no_request_in_this_process_and_in_a_new_one(signed_in, bell, python):
    job = qp.get_backend(SIMULATOR).run(bell, shots=10, job_tags=["mine"], name="first")
    counts = job.result().get_counts()
    job.record()
    signed_in.clear_requests()
    for one in (job, qp.job(job.job_id()), qp.job(job.key)):
        assert one.result().get_counts() == counts
    shown = f"{sorted(counts.items())} ['mine'] first DONE"
    assert told(python(RESULT, job.job_id())) == shown
    assert told(python(RESULT, job.key)) == shown
    assert signed_in.requests() == []


def test_a_result_is_there_when_the_service_is_not(signed_in, python, monkeypatch):
    with Emulator() as other:
        for name, value in other.environment("premium-eu").items():
            monkeypatch.setenv(name, value)
        job_id = told(python(SUBMIT))
        first = told(python(RESULT, job_id))
    assert told(python(RESULT, job_id)) == first
    monkeypatch.setenv("QPROVIDER_PLUGINS", "none")  # nor the plugin
    assert told(python(RESULT, job_id)) == first
    [record] = qp.list_jobs(offline=True)
    assert (record.job_id, record.has_result, record.info.name) == (job_id, True, "first")


def test_a_failed_job_tells_reason_code_and_hint_in_a_new_process(signed_in, bell, monkeypatch):
    signed_in.fault("job_fails", times=1, code=8055, reason="Ran too hot", solution="Let it cool down.")
    job = qp.get_backend(SIMULATOR).run(bell)
    with pytest.raises(JobFailedError) as first:
        job.result(timeout=60)
    signed_in.clear_requests()
    monkeypatch.setenv("QPROVIDER_PLUGINS", "none")
    with pytest.raises(JobFailedError) as caught:
        qp.job(job.job_id()).result()
    assert (caught.value.code, caught.value.why, caught.value.hint) == (
        first.value.code,
        first.value.why,
        first.value.hint,
    )
    assert caught.value.code == "8055"
    assert signed_in.requests() == []


def test_the_calibration_of_a_device_is_kept_with_its_job(signed_in, monkeypatch):
    from qiskit import QuantumCircuit, transpile

    backend = qp.get_backend("ibm:ibmq_belem")
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    job = backend.run(transpile(circuit, backend), shots=10)
    until(lambda: job.record().has_calibration)
    document = ledger_in_use().calibration(job.key)
    assert document["backend_name"] == "ibmq_belem"
    assert len(document["qubits"]) == 5
    assert ledger_in_use().backend(job.key)["name"] == "ibmq_belem"


# --------------------------------------------------------------------------------------- processes that are ended


def test_a_process_that_is_killed_while_it_submits_loses_nothing(signed_in, python, bell):
    signed_in.fault("stall_after", **POST, seconds=30.0)
    process = python(SUBMIT)
    until(lambda: sent(signed_in, "POST"))
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    [record] = qp.list_jobs(offline=True)
    assert (record.info.state, record.job_id) == (JobState.SUBMIT_UNKNOWN, None)
    found = qp.reconcile().found
    assert [one.key for one in found] == [record.key]
    assert sum(qp.job(record.key).result(timeout=60).get_counts().values()) == 10
    assert len(sent(signed_in, "POST")) == 1


def test_one_that_did_not_arrive_is_sent_again_by_one_of_several_processes(signed_in, python):
    signed_in.fault("latency", path=JOBS, method="POST", seconds=30.0, times=1)
    process = python(SUBMIT)
    until(lambda: len(qp.list_jobs(offline=True)) == 1)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    signed_in.clear_faults()
    settle = "import qprovider_core as qp; told = qp.reconcile(); print(len(told.found), len(told.sent_again))"
    answers = [tuple(map(int, told(one).split())) for one in [python(settle) for _ in range(3)]]
    [record] = qp.list_jobs(offline=True)
    assert record.job_id is not None
    assert sum(map(sum, answers)) >= 1
    assert record.attempts <= 2
    listed = qp.list_jobs(tags=["mine"], provider="ibm", limit=None)
    assert len({one.id for one in listed if one.key == record.key}) == 1
    assert sum(qp.job(record.key).result(timeout=60).get_counts().values()) == 10


def test_an_interrupted_submission_is_found_and_never_sent_again(signed_in, python):
    signed_in.fault("drop_before", **{**POST, "times": None})
    process = python("import os\nos.environ['QPROVIDER_SETTLE_TIME'] = '60'\n" + textwrap.dedent(SUBMIT))
    until(lambda: any(event.what == "not known" for record in records() for event in record.events))
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    signed_in.clear_faults()
    number = len(sent(signed_in, "POST"))
    gone = qp.reconcile().absent
    assert [one.info.state for one in gone] == [JobState.ERROR]
    assert len(sent(signed_in, "POST")) == number


def records() -> list[Any]:
    return [ledger_in_use().find(record.key, events=True) for record in qp.list_jobs(offline=True)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_writes_to_the_same_ledger(signed_in, bell):
    backend = qp.get_backend(SIMULATOR)
    backend.run(bell, shots=10).result()
    child = os.fork()
    if child == 0:
        try:
            backend.run(bell, shots=10).result(timeout=60)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [record.has_result for record in qp.list_jobs(offline=True)] == [True, True]


# ------------------------------------------------------------------------------------------------- lists, tags, …


def test_the_list_has_each_job_once_and_tells_how_it_stands_now(signed_in, bell):
    backend = qp.get_backend(SIMULATOR)
    mark = f"mark-{time.time_ns()}"
    jobs = [backend.run(bell, shots=10, job_tags=[mark]) for _ in range(3)]
    qp.wait(jobs, timeout=60)
    for key in (job.key for job in jobs):
        with ledger_in_use()._file.writing() as db:
            db.execute("UPDATE jobs SET state = 'queued', final = 0 WHERE key = ?", (key,))
    found = qp.list_jobs(tags=mark, limit=None)
    assert [record.id for record in found] == [job.job_id() for job in reversed(jobs)]
    assert {record.info.state for record in found} == {JobState.DONE}
    assert qp.list_jobs(tags=mark, pending=True) == []
    assert {record.info.state for record in qp.list_jobs(tags=mark, offline=True)} == {JobState.DONE}
    assert len(qp.list_jobs(tags=mark, backend="ibmq_*", limit=2)) == 2


def test_a_service_that_is_down_costs_a_row_and_the_ledger_is_listed(signed_in, bell):
    job = qp.get_backend(SIMULATOR).run(bell, shots=10)
    job.result()
    signed_in.fault("status", path="/api/v1/*", status=503)
    found = qp.list_jobs(timeout=3)
    assert [record.id for record in found] == [job.job_id()]
    assert [error.provider for error in found.errors] == ["ibm"]
    assert qp.job(job.job_id()).result().get_counts()


def test_the_key_takes_one_of_eight_tags_and_is_never_dropped(signed_in, bell):
    backend = qp.get_backend(SIMULATOR)
    seven = [f"tag-{number}" for number in range(7)]
    job = backend.run(bell, shots=10, job_tags=seven)
    assert job.tags() == seven
    with pytest.raises(InvalidInputError):
        backend.run(bell, job_tags=[*seven, "one more"])
    job.update_tags(["other"])
    key = job.key
    with ledger_in_use()._file.writing() as db:
        db.execute("DELETE FROM jobs")
    [again] = [one for one in qp.list_jobs(tags="other", limit=None) if one.id == job.job_id()]
    assert (again.key, again.info.tags) == (key, ("other",))


def test_a_job_runs_again_from_the_ledger_and_from_the_service(signed_in, bell, monkeypatch):
    job = qp.get_backend(SIMULATOR).run(bell, shots=10, job_tags=["mine"])
    job.result()
    second = qp.job(job.job_id()).rerun()
    assert sum(second.result(timeout=60).get_counts().values()) == 10
    assert (second.tags(), second.record().rerun_of) == (["mine"], job.key)
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    third = qp.job(job.job_id()).rerun()
    assert sum(third.result(timeout=60).get_counts().values()) == 10
    assert third.tags() == ["mine"]


def test_a_job_with_parameters_runs_again_from_the_service(signed_in, monkeypatch):
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    circuit = QuantumCircuit(1, 1)
    circuit.rx(Parameter("a"), 0)
    circuit.measure(0, 0)
    job = qp.get_backend(SIMULATOR).run(circuit, shots=10, parameter_binds=[{circuit.parameters[0]: 3.141592653589793}])
    assert job.result().get_counts() == {"1": 10}
    assert qp.job(job.job_id()).rerun().result(timeout=60).get_counts() == {"1": 10}


def test_a_finished_job_cannot_be_cancelled_and_nobody_is_asked(signed_in, bell):
    job = qp.get_backend(SIMULATOR).run(bell, shots=10)
    job.result()
    signed_in.clear_requests()
    assert qp.job(job.job_id()).cancel() is False
    assert signed_in.requests() == []

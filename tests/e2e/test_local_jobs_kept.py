"""Local jobs that the ledger keeps: over processes, kills and the end of their account."""

from __future__ import annotations

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
from qprovider_core.errors import JobFailedError, UnknownJobError
from qprovider_core.ledger import PROCESS_ENDED, ledger_in_use
from qprovider_core.records import JobState

pytestmark = pytest.mark.slow  # left to `make check`

BEGIN = """
    import sys, time
    import qprovider_core as qp
    from qiskit import QuantumCircuit

    def bell():
        circuit = QuantumCircuit(2, 2)
        circuit.h(0)
        circuit.cx(0, 1)
        circuit.measure([0, 1], [0, 1])
        return circuit

    def long():
        circuit = QuantumCircuit(24, 24)
        for _ in range(400):
            circuit.h(range(24))
            circuit.cx(range(23), range(1, 24))
        circuit.measure(range(24), range(24))
        return circuit

    backend = qp.get_backend("local:aer_simulator_statevector")
"""
RESULT = """
    import sys
    import qprovider_core as qp

    job = qp.job(sys.argv[1])
    print(sorted(job.result().get_counts().items()), job.tags(), job.name(), job.status().name)
"""


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch) -> Iterator[None]:
    """Just the local simulators, and a fleet of its own that is closed at the end."""
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("QPROVIDER_PLUGINS", "local")
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())
    own = fleet.Fleet()
    monkeypatch.setattr(fleet, "_fleet", own)
    yield
    own.close()


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
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_result_that_was_read_is_there_in_a_new_process(python):
    run = 'job = backend.run(bell(), shots=10, seed_simulator=7, job_tags=["mine"], name="first")'
    shown = "print(job.job_id(), sorted(job.result().get_counts().items()))"
    job_id, _, counts = told(python(f"{BEGIN}\n    {run}\n    {shown}")).partition(" ")
    assert told(python(RESULT, job_id)) == f"{counts} ['mine'] first DONE"
    found = fleet.fleet().party("local").accounts[0].retrieve_job(job_id)
    assert str(sorted(found.result().get_counts().items())) == counts
    assert [job.job_id() for job in qp.jobs(tags="mine")] == [job_id]
    assert [job.job_id() for job in fleet.fleet().party("local").accounts[0].jobs()] == [job_id]


def test_a_result_that_nobody_asked_for_is_there_too(python):
    ends = """
    jobs = [backend.run(bell(), shots=10) for _ in range(5)]
    qp.wait(jobs)
    print(*(job.job_id() for job in jobs))
    """
    for job_id in told(python(BEGIN + ends)).split():
        assert sum(qp.job(job_id).result().get_counts().values()) == 10


def test_what_runs_in_another_process_goes_on_and_ends_with_it(python):
    run = """
    job = backend.run(long(), shots=10, job_tags=["mine"])
    print(job.job_id(), flush=True)
    time.sleep(300)
    """
    process = python(BEGIN + run)
    job_id = process.stdout.readline().strip()
    job = qp.job(job_id)
    until(lambda: job.state().state in (JobState.QUEUED, JobState.RUNNING))
    assert [record.id for record in qp.list_jobs(pending=True)] == [job_id]
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    with pytest.raises(JobFailedError, match=PROCESS_ENDED) as caught:
        job.result(timeout=60)
    assert "rerun" in caught.value.hint
    assert qp.list_jobs(pending=True) == []
    record = qp.find_job(job_id)
    assert (record.info.state, record.info.error_code) == (JobState.ERROR, PROCESS_ENDED)
    second = job.rerun()
    assert (second.tags(), second.record().rerun_of) == (["mine"], job.key)
    assert second.circuits() == job.circuits()
    assert second.cancel()
    assert qp.job(second.job_id()).info.state is JobState.CANCELLED


def test_what_was_still_to_run_at_the_orderly_end_of_a_process_is_marked_too(python):
    run = """
    done = backend.run(bell(), shots=10)
    done.wait_for_final_state()
    jobs = [backend.run(long(), shots=10) for _ in range(2)]
    print(done.job_id(), *(job.job_id() for job in jobs))
    """
    done, *others = told(python(BEGIN + run)).split()
    assert sum(qp.job(done).result().get_counts().values()) == 10
    for job_id in others:
        assert qp.find_job(job_id).info.error_code == PROCESS_ENDED


def test_jobs_that_end_with_their_account_are_marked():
    account = qp.open_account("local")
    backend = account.get_backend("aer_simulator_statevector")
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(24, 24)
    for _ in range(400):
        circuit.h(range(24))
        circuit.cx(range(23), range(1, 24))
    circuit.measure(range(24), range(24))
    short = QuantumCircuit(1, 1)
    short.measure(0, 0)
    done = backend.run(short, shots=10)
    done.wait_for_final_state(timeout=100)
    running = backend.run(circuit, shots=10)
    account.close()
    assert sum(qp.job(done.job_id()).result().get_counts().values()) == 10
    assert ledger_in_use().find(running.key).info.state is JobState.CANCELLED


def test_deleting_and_naming_a_local_job(python):
    job_id = told(python(BEGIN + "    job = backend.run(bell(), shots=10); job.result(); print(job.job_id())"))
    job = qp.job(job_id)
    job.update_name("mine")
    job.set_note("a note")
    job.update_tags(["x"])
    again = qp.job(job_id)
    assert (again.name(), again.note(), again.tags()) == ("mine", "a note", ["x"])
    own = qp.get_backend("local:aer_simulator_statevector").run(job.circuits(), shots=10)
    own.result()
    own.delete()
    with pytest.raises(UnknownJobError):
        qp.job(own.job_id())
    assert [record.id for record in qp.list_jobs()] == [job_id]


def test_without_a_ledger_a_local_job_is_what_it_was(monkeypatch):
    from qiskit import QuantumCircuit

    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    job = qp.get_backend("local:aer_simulator").run(circuit, shots=10, name="n", job_tags=["t"])
    assert job.result(timeout=100).get_counts() == {"1": 10}
    assert (job.name(), job.tags(), job.note(), job.record()) == ("n", ["t"], None, None)
    assert job.rerun().result(timeout=100).get_counts() == {"1": 10}
    assert [one.job_id() for one in qp.jobs(tags="t")][-1] == job.job_id()
    job.update_tags(["u"])
    assert job.tags() == ["u"]
    assert qp.job(job.job_id()).circuits() == [circuit]
    job.delete()
    with pytest.raises(UnknownJobError):
        qp.job(job.job_id())


def test_circuits_are_kept_as_they_were_run_whatever_is_done_to_them_afterwards():
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    job = qp.get_backend("local:aer_simulator").run([circuit, circuit], shots=5)
    circuit.x(0)
    kept = ledger_in_use().request(job.key) if job.record().has_circuits else None
    assert kept is not None
    assert [pub.circuit.count_ops()["x"] for pub in kept.pubs] == [1, 1]
    assert kept.pubs[0].circuit is kept.pubs[1].circuit
    assert qp.job(job.job_id()).rerun().result(timeout=60).get_counts() == [{"1": 5}, {"1": 5}]

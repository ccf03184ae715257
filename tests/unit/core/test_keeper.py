"""Jobs that end with this process are seen to their end, and their results kept."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core import _context, _keeper, hookimpl
from qprovider_core.errors import JobFailedError, LedgerError, UnknownJobError
from qprovider_core.ledger import PROCESS_ENDED, Ledger, ledger_in_use
from qprovider_core.records import (
    JobInfo,
    JobResult,
    JobState,
    ProviderSpec,
    SamplePubResult,
)

pytestmark = pytest.mark.usefixtures("isolated")

COUNTS = JobResult(pubs=[SamplePubResult.from_counts({"0": 3, "1": 5})])
BOUND = ProviderSpec(name="acme", title="Acme", min_poll_s=0.001, settle_time_s=0.0, process_bound=True)


def bit():
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def bound(service):
    """A vendor whose jobs end with this process: they run until they are told to end."""

    def make(held=False, **hooks):
        changed = threading.Condition()

        def info(job):
            if job.id not in acme.jobs:
                raise UnknownJobError(job.id)
            return acme.jobs[job.id][0]

        def hold(job, wait_s):
            with changed:
                before = info(job)
                changed.wait_for(lambda: info(job) is not before, wait_s)
                return info(job)

        def take(request):
            job = JobInfo(id=f"a{len(acme.jobs)}", state=JobState.QUEUED, backend="line")
            acme.jobs[job.id] = (job, request)
            return job

        def end(job, state=JobState.DONE, **more):
            with changed:
                acme.jobs[job.job_id()] = (JobInfo(id=job.job_id(), state=state, **more), None)
                changed.notify_all()

        given = {"get_job": hold if held else info, "submit_job": take, "job_result": lambda job: result(job), **hooks}
        acme = service(spec=BOUND, **given)
        acme.end, acme.results = end, []

        def result(job):
            acme.results.append(job.id)
            return COUNTS

        return acme

    yield make
    for keeper in _keeper._keepers.values():
        keeper.finish()
    _keeper._keepers.clear()


@pytest.mark.parametrize("held", [True, False])
def test_results_are_kept_although_nobody_asks(held, bound):
    acme = bound(held)
    jobs = [acme.backend.run(bit()) for _ in range(3)]
    acme.end(jobs[2])
    until(lambda: jobs[2].record().has_result)  # the first ones go on meanwhile
    acme.end(jobs[0], JobState.RUNNING)
    until(lambda: jobs[0].record().info.state is JobState.RUNNING)
    acme.end(jobs[0])
    acme.end(jobs[1], JobState.ERROR, error="It broke.")
    until(lambda: jobs[0].record().has_result and jobs[1].record().info.state.final)
    assert jobs[1].record().info.error == "It broke."
    acme.jobs.clear()
    qp.unregister_plugin("acme")
    assert qp.job(jobs[0].key).result().get_counts() == {"0": 3, "1": 5}
    until(lambda: not any("keeper" in thread.name for thread in threading.enumerate()))
    assert sorted(acme.results) == ["a0", "a2"]


def test_what_somebody_waits_for_is_fetched_once(bound, monkeypatch):
    monkeypatch.setattr(_keeper, "_HEAD_START_S", 5.0)
    acme = bound(True)
    job = acme.backend.run(bit())
    acme.end(job)
    assert job.result(timeout=20).get_counts() == {"0": 3, "1": 5}
    monkeypatch.setattr(_keeper, "_HEAD_START_S", 0.0)
    until(lambda: not any("keeper" in thread.name for thread in threading.enumerate()))
    assert acme.results == ["a0"]


@pytest.mark.parametrize("how", ["gone", "none", "odd", "no result", "deleted", "full"])
def test_one_that_cannot_be_kept_keeps_no_other(how, bound, monkeypatch, caplog):
    acme = bound()
    first, second = acme.backend.run(bit()), acme.backend.run(bit())
    plugin = acme.backend._account.vendor._plugin

    def broken(job):
        if job.id == "a0":
            if how == "none":
                return None
            raise KeyError("odd") if how == "odd" else TypeError("no line")
        return JobInfo(id=job.id, state=JobState.DONE)

    if how in ("none", "odd"):
        plugin.qprovider_get_job = hookimpl(broken)
    elif how == "gone":
        del acme.jobs["a0"]
    elif how == "no result":
        plugin.qprovider_job_result = hookimpl(lambda job: None if job.id == "a0" else COUNTS)
    elif how == "deleted":
        ledger_in_use().delete(first.key)
    else:
        told = Ledger.told

        def fails(self, key, info):
            if key == first.key:
                raise ZeroDivisionError("odd")
            told(self, key, info)

        monkeypatch.setattr(Ledger, "told", fails)
    acme.backend._account.vendor.wire([])
    if "a0" in acme.jobs:
        acme.end(first)
    acme.end(second)
    until(lambda: second.record().has_result)
    assert (first.record() or second).info.state is not None


def test_closing_the_account_keeps_what_has_ended_and_marks_what_has_not(bound):
    acme = bound(True)
    ended, running = acme.backend.run(bit()), acme.backend.run(bit())
    with ledger_in_use()._file.writing():
        pass
    acme.end(ended)
    acme.backend._account.close()
    acme.backend._account.close()
    record = ledger_in_use().find(ended.key)
    assert (record.info.state, record.has_result) == (JobState.DONE, True)
    record = ledger_in_use().find(running.key)
    assert (record.info.state, record.info.error) == (
        JobState.CANCELLED,
        "The account that ran it was closed before it ended.",
    )


def test_an_account_is_closed_although_the_ledger_is_broken(bound, monkeypatch):
    acme = bound()
    acme.backend.run(bit())

    def full(*_):
        raise LedgerError("The disk is full.")

    monkeypatch.setattr(Ledger, "told", full)
    acme.backend._account.close()
    assert acme.backend._account.closed


def test_a_plugin_that_hangs_keeps_no_account_open(bound, hang, monkeypatch):
    monkeypatch.setattr(_keeper, "_LAST_S", 0.1)
    acme = bound(get_job=lambda: hang())
    acme.backend.run(bit())
    assert hang.entered.wait(20)
    acme.backend._account.close()
    assert qp.list_jobs(offline=True)[0].info.state is JobState.CANCELLED


def test_without_a_ledger_nobody_sees_to_anything(bound, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    acme = bound()
    job = acme.backend.run(bit())
    assert _keeper._keepers == {}
    acme.end(job)
    assert job.result().get_counts() == {"0": 3, "1": 5}


SCRIPT = """
    import sys, time
    import qprovider_core as qp
    from qprovider_core import hookimpl, register_plugin
    from qiskit import QuantumCircuit

    JOBS = {}

    class Acme:
        @hookimpl
        def qprovider_provider(self):
            return qp.ProviderSpec(name="acme", title="Acme", process_bound=True)
        @hookimpl
        def qprovider_open_account(self):
            return 1
        @hookimpl
        def qprovider_list_backends(self):
            return [qp.BackendInfo(name="line", num_qubits=1)]
        @hookimpl
        def qprovider_backend_configuration(self):
            return qp.BackendConfiguration(backend_name="line", n_qubits=1, basis_gates=("x",))
        @hookimpl
        def qprovider_submit_job(self, request):
            info = qp.JobInfo(id=f"a{len(JOBS)}", state=qp.JobState.RUNNING)
            JOBS[info.id] = info
            return info
        @hookimpl
        def qprovider_get_job(self, job):
            if job.id not in JOBS:
                raise qp.UnknownJobError(job.id)
            return JOBS[job.id]
        @hookimpl
        def qprovider_job_result(self, job):
            return qp.JobResult(pubs=[qp.SamplePubResult.from_counts({"0": 3, "1": 5})])

    register_plugin(Acme(), "acme")
"""
RUNS = """
    backend = qp.get_backend("acme:line")
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    jobs = [backend.run(circuit) for _ in range(20)]
    for job in jobs[:10]:
        JOBS[job.job_id()] = qp.JobInfo(id=job.job_id(), state=qp.JobState.DONE)
    print(flush=True)
    if sys.argv[1] == "wait":
        time.sleep(60)
"""


def run(text, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT + text), *arguments], stdout=subprocess.PIPE, text=True
    )


def test_results_of_jobs_that_have_ended_are_kept_when_the_process_ends():
    process = run(RUNS, "end")
    process.communicate(timeout=100)
    assert process.returncode == 0
    records = sorted(qp.list_jobs(limit=None, offline=True), key=lambda one: int(one.id[1:]))
    assert [record.has_result for record in records] == [True] * 10 + [False] * 10
    for record in records[10:]:
        assert (record.info.state, record.info.error_code) == (JobState.ERROR, PROCESS_ENDED)


def test_a_job_of_a_living_process_goes_on_and_one_of_a_killed_process_can_be_run_again(bound):
    process = run(RUNS, "wait")
    process.stdout.readline()
    try:
        acme = bound()
        until(lambda: sum(record.has_result for record in qp.list_jobs(limit=None, offline=True)) == 10)
        done, running = qp.job("a3"), qp.job("a13")
        assert done.result().get_counts() == {"0": 3, "1": 5}
        assert running.status().name == "RUNNING"
        assert acme.backend._account.retrieve_job("a13").status().name == "RUNNING"
        with pytest.raises(qp.JobTimeoutError):
            running.result(timeout=0.2)
    finally:
        process.kill()
        process.communicate(timeout=60)
    with pytest.raises(JobFailedError, match="process_ended") as caught:
        running.result(timeout=20)
    assert "rerun" in caught.value.hint
    second = running.rerun()
    acme.end(second)
    assert second.result(timeout=20).get_counts() == {"0": 3, "1": 5}
    assert second.record().rerun_of == running.key


def test_a_job_of_another_process_that_never_was_is_unknown(bound):
    acme = bound()
    with pytest.raises(UnknownJobError):
        acme.backend._account.retrieve_job("nonsense")
    job = acme.backend.run(bit())
    del acme.jobs[job.job_id()]
    ledger_in_use().delete(job.key)
    with pytest.raises(UnknownJobError):
        job.refresh()


def test_tags_of_a_job_of_another_process_are_kept_here(bound):
    process = run(RUNS, "wait")
    process.stdout.readline()
    try:
        acme = bound()

        def unknown(job):
            raise UnknownJobError(job.id)

        acme.backend._account.vendor._plugin.qprovider_update_job_tags = hookimpl(unknown)
        qp.unregister_plugin("acme")
        qp.register_plugin(acme.backend._account.vendor._plugin, "acme")
        qp.job("a13").update_tags(["x"])
        assert qp.job("a13").tags() == ["x"]
    finally:
        process.kill()
        process.communicate(timeout=60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_begins_with_nothing_to_do(service):
    acme = service(lambda request: JobInfo(id="a0", state=JobState.RUNNING), spec=BOUND)
    acme.jobs["a0"] = (JobInfo(id="a0", state=JobState.RUNNING), None)
    acme.backend.run(bit())
    gate = threading.Event()
    _context._clerk.do(lambda: gate.wait(20))
    child = os.fork()
    if child == 0:
        os._exit(_context._clerk._left + len(_keeper._keepers))
    gate.set()
    acme.jobs["a0"] = (JobInfo(id="a0", state=JobState.DONE), None)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

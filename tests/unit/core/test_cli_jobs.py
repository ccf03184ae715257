"""The commands about jobs, in this process, at a small vendor. How they look to a shell is tested in tests/e2e."""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core import _plugins, fleet, hookimpl
from qprovider_core.cli._app import app
from qprovider_core.cli._results_shown import record_documents, result_documents, say_results
from qprovider_core.errors import ResultError
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    EstimatePubResult,
    GateConfiguration,
    JobInfo,
    JobPage,
    JobResult,
    JobState,
    ProviderSpec,
    QueueInfo,
    SamplePubResult,
)


class Acme:
    """A vendor whose jobs wait once and end as `ends` says, in turn."""

    def __init__(self) -> None:
        self.ends = itertools.cycle([JobState.DONE])
        self.jobs: dict[str, list[JobInfo]] = {}

    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return ProviderSpec(name="acme", title="Acme", min_poll_s=0.001)

    @hookimpl
    def qprovider_open_account(self) -> str:
        return "connection"

    @hookimpl
    def qprovider_list_backends(self) -> list[BackendInfo]:
        return [BackendInfo(name="line", num_qubits=2, operational=True, pending_jobs=0)]

    @hookimpl
    def qprovider_backend_configuration(self) -> BackendConfiguration:
        names = ("x", "measure")
        gates = (GateConfiguration(name="x"),)
        return BackendConfiguration(
            backend_name="line", n_qubits=2, basis_gates=("x",), supported_instructions=names, gates=gates
        )

    @hookimpl
    def qprovider_submit_job(self, request: Any) -> JobInfo:
        known = {
            "id": f"acme-{len(self.jobs)}",
            "backend": "line",
            "tags": request.tags,
            "created_at": datetime.now(UTC),
        }
        waiting = JobInfo(**known, state=JobState.QUEUED, queue=QueueInfo(position=3))
        end = next(self.ends)
        failed = {"error": "The fridge is warm.", "error_code": "77"} if end is JobState.ERROR else {}
        self.jobs[known["id"]] = [waiting, waiting, JobInfo(**known, state=end, ended_at=datetime.now(UTC), **failed)]
        return waiting

    @hookimpl
    def qprovider_get_job(self, job: Any) -> JobInfo:
        if job.id not in self.jobs:
            raise qp.UnknownJobError(job.id)
        told = self.jobs[job.id]
        return told.pop(0) if len(told) > 1 else told[0]

    @hookimpl
    def qprovider_list_jobs(self, query: Any) -> JobPage:
        found = [told[0] for id, told in self.jobs.items() if not query.ids or id in query.ids]
        if query.ids:
            found = [self.qprovider_get_job(one) for one in found]
        return JobPage(jobs=tuple(one for one in found if query.pending in (None, not one.state.final)))

    @hookimpl
    def qprovider_job_result(self) -> JobResult:
        return JobResult(pubs=[SamplePubResult.from_counts({"0": 3, "1": 5})])

    @hookimpl
    def qprovider_cancel_job(self, job: Any) -> bool:
        from attrs import evolve

        self.jobs[job.id] = [evolve(self.jobs[job.id][0], state=JobState.CANCELLED)]
        return True

    @hookimpl
    def qprovider_update_job_tags(self) -> bool:
        return True


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Acme:
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setattr(_plugins.Registry, "_entries", lambda self: [])  # without the installed plugins
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())
    monkeypatch.setattr(fleet, "_fleet", fleet.Fleet())
    vendor = Acme()
    qp.register_plugin(vendor, name="acme")
    return vendor


@pytest.fixture
def run(acme: Acme) -> Callable[..., Any]:
    def run(end: JobState = JobState.DONE, **options: Any) -> Any:
        acme.ends = itertools.cycle([end])
        circuit = QuantumCircuit(1, 1)
        circuit.x(0)
        circuit.measure(0, 0)
        return qp.get_backend("acme:line").run(circuit, shots=8, **options)

    return run


def call(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments), prog_name="qprovider")
    assert result.exit_code == code, result.output
    return result


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


# ------------------------------------------------------------------------------------------------------ listing


def test_jobs_are_listed_as_a_table_as_json_and_as_csv(run):
    first = run(job_tags=["a", "b"], name="one")
    first.set_note("look again")
    run()
    table = call("jobs").stdout
    assert "acme:line" in table
    assert "a, b" in table
    assert "look again" in table
    told = json.loads(call("jobs", "--json", "--tag", "a").stdout)
    assert [(job["id"], job["name"], job["note"]) for job in told["jobs"]] == [("acme-0", "one", "look again")]
    assert call("jobs", "--csv", "--limit", "1").stdout.splitlines()[1].startswith("acme-1,acme,")
    since = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    assert call("jobs", "--since", since).stdout == ""
    assert "acme-0" in call("jobs", "--until", datetime.now(UTC).date().isoformat(), "--since", "2h", "--all").stdout
    assert "acme-1" in call("jobs", "--offline", "-p", "acme", "-b", "li*", "-s", "pending").stdout
    for wrong in (["--since", "yesterday"], ["--status", "finished"], ["--limit", "0"]):
        call("jobs", *wrong, code=2)


def test_without_jobs_it_says_how_to_begin(acme):
    assert "qprovider run" in call("jobs").stderr


def test_a_job_is_shown_with_its_timeline(run):
    job = run(JobState.ERROR, name="hot")
    job.wait_for_final_state(timeout=10)
    shown = call("job", "acme-0").stdout
    for words in ("hot", "The fridge is warm.", "77", "written", "accepted", "acme:line"):
        assert words in shown
    told = json.loads(call("job", "acme-0", "--json").stdout)
    assert (told["job_id"], told["info"]["error_code"]) == ("acme-0", "77")
    assert "acme-0" in call("job", "acme-9", code=2).stderr


# ------------------------------------------------------------------------------------------------ doing something


def test_a_result_is_waited_for_and_shown(run):
    run()
    assert [line.split()[:2] for line in call("result", "acme-0").stdout.splitlines()] == [["1", "5"], ["0", "3"]]
    told = json.loads(call("result", "acme-0", "--json").stdout)
    assert told["results"][0]["counts"] == {"0": 3, "1": 5}


@pytest.mark.parametrize(("end", "words"), [(JobState.ERROR, "The fridge is warm."), (JobState.CANCELLED, "cancelled")])
def test_a_job_without_a_result_says_why_and_what_to_do(run, end, words):
    run(end)
    told = call("result", "acme-0", code=1).stderr
    assert words in told
    assert "qprovider rerun acme-0" in told


def test_jobs_are_cancelled_and_ended_ones_are_errors_that_stop_no_other(run):
    run().wait_for_final_state(timeout=10)
    run()
    told = call("cancel", "acme-0", "acme-1", code=1)
    assert "acme-0 cannot be cancelled" in told.stderr
    assert qp.job("acme-1").state().state is JobState.CANCELLED
    run()
    call("cancel", "acme-2")


def test_a_job_is_run_again(run):
    run(job_tags=["t"])
    told = call("rerun", "acme-0")
    assert told.stdout.strip() == "acme-1"
    assert "qprovider result acme-1" in told.stderr
    assert "1" in call("rerun", "acme-0", "--wait").stdout
    assert qp.find_job("acme-2").rerun_of == qp.find_job("acme-0").key


def test_tags_a_name_and_a_note(run):
    run(job_tags=["a"])
    told = call("tag", "acme-0", "b", "--name", "n", "--note", "m")
    assert "tags a, b; name n; note m" in told.output
    call("tag", "acme-0", "a", "--remove")
    call("tag", "acme-0", "c", "--replace", "--name", "", "--note", "")
    record = qp.find_job("acme-0")
    assert (record.info.tags, record.note) == (("c",), None)
    call("tag", "acme-0", code=2)
    call("tag", "acme-0", "x", "--remove", "--replace", code=2)


# ------------------------------------------------------------------------------------------------------ watching


def test_changes_of_watched_jobs_are_lines(run):
    run()
    run(JobState.ERROR)
    told = call("watch", code=1)
    assert "acme-0  done" in told.stdout
    assert "2 jobs have ended: 1 " in told.stderr
    assert "Job acme-1 failed: The fridge is warm." in told.stderr
    assert "No job is waiting" in call("watch").stderr
    run()
    assert "qprovider result acme-2" in call("watch", "acme-2", "acme-2").stderr
    run()
    qp.job("acme-3")
    assert "acme-3" in call("watch", "acme-3", "--timeout", "0", "--interval", "30", code=1).stderr


def test_an_interrupt_leaves_watched_jobs_alone(run, monkeypatch):
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    run()
    monkeypatch.setattr("qprovider_core._waiting.watch_jobs", interrupted)
    assert "Come back with: qprovider watch acme-0" in call("watch", "acme-0", code=130).stderr
    assert "qprovider result acme-0" in call("result", "acme-0", code=130).stderr


def test_on_a_terminal_jobs_are_a_table_with_a_bar(run, monkeypatch):
    from qprovider_core.cli._watching import Table, tell_end

    ends = [JobState.DONE, JobState.ERROR, JobState.CANCELLED, *[JobState.DONE] * 5]
    jobs = [run(end, name="n" if number == 0 else None) for number, end in enumerate(ends)]
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("LINES", "11")
    monkeypatch.setenv("COLUMNS", "120")
    with Table(jobs) as table:
        for job in qp.as_completed(jobs, timeout=30):
            table.look(job)
    assert "8 of 8 have ended: 6 done, 1 error, 1 cancelled" in screen.getvalue()
    assert "… and 3 more" in screen.getvalue()
    assert tell_end(jobs) is False


# ------------------------------------------------------------------------------------------------------ the record


def test_what_became_of_unsure_jobs_is_found_out(run, acme, monkeypatch):
    run()
    ledger = ledger_in_use()
    told = json.loads(call("jobs", "reconcile", "--json").stdout)
    assert told["found"] == told["unknown"] == []
    assert "Nothing to find out" in call("jobs", "reconcile").stderr
    gone = ledger.adopt("gone", "default", JobInfo(id="", key="k" * 32, state=JobState.SUBMIT_UNKNOWN))
    told = call("jobs", "reconcile", "--no-resend", "--timeout", "1", code=1)
    assert "still not known" in told.stdout
    assert "qprovider jobs" in call("job", gone).output or gone in call("job", gone).output
    call("jobs", "forget", gone, code=2)
    call("jobs", "forget", gone, "--yes")


def test_old_jobs_are_forgotten(run):
    run().result(timeout=10)
    call("jobs", "prune", code=2)
    call("jobs", "prune", "--older-than", "2999-01-01", code=2)
    assert "No job that has ended" in call("jobs", "prune", "--older-than", "1d").stderr
    ledger = ledger_in_use()
    ledger.adopt("acme", "default", JobInfo(id="old", state=JobState.DONE, created_at=datetime(2020, 1, 1, tzinfo=UTC)))
    assert "no terminal" in call("jobs", "prune", "--older-than", "1d", code=2).stderr
    assert "Forgot the data of 1 job" in call("jobs", "prune", "--older-than", "1d", "--data-only", "--yes").stderr
    assert "Forgot 1 job" in call("jobs", "prune", "--older-than", "1d", "--yes").stderr


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "sqlite3"])
def test_all_jobs_are_exported(run, tmp_path, form):
    run().result(timeout=10)
    file = tmp_path / f"jobs.{form}"
    more = ["--results"] if form == "jsonl" else []
    assert "Wrote 1 job" in call("jobs", "export", str(file), *more).stderr
    if form == "jsonl":
        assert json.loads(file.read_text())["results"][0]["counts"] == {"0": 3, "1": 5}
    elif form != "sqlite3":
        assert "acme-0" in file.read_text()
    call("jobs", "export", str(file), *more, code=2)
    call("jobs", "export", str(file), *more, "--force")
    call("jobs", "export", str(tmp_path / "jobs.txt"), code=2)
    call("jobs", "export", str(tmp_path / "x.csv"), "--results", code=2)


def test_a_damaged_record_is_repaired_and_a_sound_one_left_alone(run):
    run().result(timeout=10)
    path = Path(ledger_in_use().path)
    assert "is sound" in call("jobs", "repair").stderr
    ledger_in_use().close()
    path.write_bytes(b"?" * 100 + path.read_bytes()[100:])
    assert "is damaged" in call("jobs", code=0).stderr  # the vendor was asked all the same
    assert "Saved" in call("jobs", "repair").stderr


def test_another_place_and_none_at_all(run, tmp_path):
    run()
    qp.use_ledger(None)
    try:
        assert "acme-0" not in call("--ledger", str(tmp_path / "other.sqlite3"), "jobs", "--offline").output
        assert "off" in call("--no-ledger", "jobs", "prune", "--older-than", "1d", "--yes", code=1).stderr
    finally:
        qp.use_ledger(None)


# ------------------------------------------------------------------------------------------------------ results


def test_expectation_values_are_a_table(capsys):
    record = JobResult(
        pubs=[EstimatePubResult(evs=(0.5, -1.0), stds=(0.01, 0.02)), EstimatePubResult(evs=(0.25,))],
    )
    documents = record_documents(record)
    assert [one["evs"] for one in documents] == [[0.5, -1.0], [0.25]]
    say_results(documents)
    shown = capsys.readouterr().out
    assert "expectation value" in shown
    assert "-1" in shown
    with pytest.raises(ResultError, match="cannot be shown"):
        result_documents(object())


def test_results_of_primitives_are_read_too():
    from qiskit.primitives import StatevectorEstimator, StatevectorSampler
    from qiskit.quantum_info import SparsePauliOp

    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    sampled = StatevectorSampler().run([circuit], shots=4).result()
    assert [one["counts"] for one in result_documents(sampled)] == [{"1": 4}]
    bare = QuantumCircuit(1)
    bare.x(0)
    estimated = StatevectorEstimator().run([(bare, SparsePauliOp("Z"))]).result()
    assert result_documents(estimated)[0]["evs"] == [-1.0]

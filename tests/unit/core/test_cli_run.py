"""`qprovider run` with a small vendor that answers at once."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from qiskit import QuantumCircuit, qpy
from qiskit.exceptions import QiskitError

import qprovider_core as qp
from qprovider_core import _plugins, hookimpl
from qprovider_core.cli import run as run_command
from qprovider_core.cli._app import app
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendRef,
    GateConfiguration,
    JobInfo,
    JobRef,
    JobRequest,
    JobResult,
    JobState,
    ProviderSpec,
    SamplePub,
    SamplePubResult,
)

BELL = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
h q[0];
cx q[0],q[1];
measure q -> c;
"""
Call = Callable[..., Result]


class Acme:
    """Two backends of two and five qubits whose jobs are done at the second look."""

    def __init__(self, local: bool = False, seeds: bool = False) -> None:
        self.local = local
        self.seeds = seeds
        self.requests: list[JobRequest] = []
        self.looks = 0
        self.interrupt = False

    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        options = ("seed_simulator",) if self.seeds else ()
        return ProviderSpec(name="acme", title="Acme", run_options=options, min_poll_s=0.001, process_bound=self.local)

    @hookimpl
    def qprovider_open_account(self) -> str:
        return "connection"

    @hookimpl
    def qprovider_list_backends(self) -> list[BackendInfo]:
        return [
            BackendInfo(name="small", num_qubits=2, operational=True, pending_jobs=0),
            BackendInfo(name="large", num_qubits=5, operational=True, pending_jobs=3),
            BackendInfo(name="vague", num_qubits=7, operational=True),
        ]

    @hookimpl
    def qprovider_backend_configuration(self, backend: BackendRef) -> BackendConfiguration:
        size = {"small": 2, "large": 5, "vague": 7}[backend.name]
        names = ("rz", "sx", "x", "cx", "measure")
        return BackendConfiguration(
            backend_name=backend.name,
            n_qubits=size,
            basis_gates=names[:4],
            supported_instructions=names,
            gates=tuple(GateConfiguration(name=name) for name in names[:4]),
            local=self.local,
        )

    @hookimpl
    def qprovider_submit_job(self, request: JobRequest) -> JobInfo:
        self.requests.append(request)
        self.looks = 0
        return JobInfo(id="job-1", state=JobState.QUEUED, backend=request.backend.name)

    @hookimpl
    def qprovider_get_job(self, job: JobRef) -> JobInfo:
        self.looks += 1
        return JobInfo(id=job.id, state=JobState.DONE if self.looks > 1 else JobState.RUNNING)

    @hookimpl
    def qprovider_job_result(self) -> JobResult:
        pubs = []
        for pub in self.requests[-1].pubs:
            assert isinstance(pub, SamplePub)
            width = pub.circuit.num_clbits
            pubs.append(
                SamplePubResult.from_counts({"0" * width: pub.shots - pub.shots // 4, "1" * width: pub.shots // 4})
            )
        return JobResult(pubs=tuple(pubs))


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Acme]:
    monkeypatch.setattr(_plugins.Registry, "_entries", lambda self: [])  # without the installed plugins
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())

    def register(**options: bool) -> Acme:
        acme = Acme(**options)
        qp.register_plugin(acme, name="acme")
        return acme

    return register


@pytest.fixture
def bell(tmp_path: Path) -> str:
    path = tmp_path / "bell.qasm"
    path.write_text(BELL)
    return str(path)


@pytest.fixture
def call() -> Call:
    return lambda *arguments: CliRunner().invoke(app, ["run", *arguments], prog_name="qprovider")


def sent_shots(request: JobRequest) -> list[int]:
    return [pub.shots for pub in request.pubs if isinstance(pub, SamplePub)]


def test_counts_are_shown_as_a_histogram(call: Call, vendor: Callable[..., Acme], bell: str) -> None:
    vendor()
    result = call(bell, "--backend", "small")
    assert result.exit_code == 0, result.output
    assert [line.split()[:3] for line in result.stdout.splitlines()] == [
        ["00", "768", "0.750"],
        ["11", "256", "0.250"],
    ]


def test_the_circuit_is_transpiled_for_the_backend(call: Call, vendor: Callable[..., Acme], bell: str) -> None:
    acme = vendor()
    arguments = ["--shots", "40", "--tag", "a", "--tag", "b"]
    assert call(bell, "--backend", "acme:small", *arguments).exit_code == 0
    (request,) = acme.requests
    (pub,) = request.pubs
    assert isinstance(pub, SamplePub)
    assert set(pub.circuit.count_ops()) <= {"rz", "sx", "cx", "measure"}
    assert (pub.shots, request.tags[1:]) == (40, ("a", "b"))  # the first tag is the key's
    assert pub.circuit.name == "bell"


def test_without_a_backend_the_least_busy_that_fits_is_taken_and_named(
    call: Call, vendor: Callable[..., Acme], bell: str
) -> None:
    acme = vendor()
    result = call(bell)
    assert acme.requests[0].backend.name == "small"
    assert result.stderr == "Backend acme:small: the least busy of 3 with at least 2 qubits; 0 jobs waiting.\n"
    assert call(bell, "--where", "num_qubits > 2").exit_code == 0
    assert acme.requests[1].backend.name == "large"
    assert "its queue is not reported" in call(bell, "--where", "name == 'vague'").stderr


def test_nothing_fits_is_told_with_the_reasons(call: Call, vendor: Callable[..., Acme], bell: str) -> None:
    vendor()
    result = call(bell, "--where", "num_qubits > 100")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "acme:large: num_qubits is 5" in result.stderr


def test_a_backend_and_criteria_exclude_each_other(call: Call, vendor: Callable[..., Acme], bell: str) -> None:
    vendor()
    assert call(bell, "--backend", "small", "--where", "simulator").exit_code == 2


def test_several_circuits_of_a_qpy_file_run_as_one_job(call: Call, vendor: Callable[..., Acme], tmp_path: Path) -> None:
    acme = vendor()
    circuits = [QuantumCircuit(n, n, name=name) for n, name in ((1, "one"), (2, "two"))]
    for circuit in circuits:
        circuit.measure(circuit.qubits, circuit.clbits)
    path = tmp_path / "two.qpy"
    with path.open("wb") as file:
        qpy.dump(circuits, file)
    result = call(str(path), "--shots", "8")
    assert [sent_shots(request) for request in acme.requests] == [[8, 8]]
    lines = result.stdout.splitlines()
    assert [lines[0], lines[3], lines[4]] == ["one", "", "two"]
    assert lines[5].split()[:2] == ["00", "6"]


def test_json_is_one_document_and_the_choice_goes_to_standard_error(
    call: Call, vendor: Callable[..., Acme], bell: str
) -> None:
    vendor()
    result = call(bell, "--shots", "4", "--json")
    assert json.loads(result.stdout) == {
        "backend": "acme:small",
        "job_id": "job-1",
        "shots": 4,
        "results": [{"circuit": "bell", "counts": {"00": 3, "11": 1}}],
    }
    assert "least busy" in result.stderr


@pytest.mark.parametrize(("seeds", "options"), [(True, {"seed_simulator": 7}), (False, {})])
def test_a_seed_goes_to_the_vendors_that_take_one(
    call: Call, vendor: Callable[..., Acme], bell: str, seeds: bool, options: dict[str, int]
) -> None:
    acme = vendor(seeds=seeds)
    assert call(bell, "--seed", "7").exit_code == 0
    assert acme.requests[0].options == options


@pytest.mark.parametrize(
    ("text", "arguments", "code", "what"),
    [
        (BELL.replace("h q[0];", "h q[0]"), [], 1, "line 6, column 1: needed ';'"),
        (BELL.replace("measure q -> c;\n", ""), [], 1, "measures nothing"),
        (BELL.replace("[2]", "[3]"), ["--backend", "small"], 1, "has 3 qubits; acme:small has 2"),
        (BELL, ["--shots", "0"], 2, "--shots"),
        (BELL, ["--backend", "smal"], 2, "acme:small"),
        (BELL, ["--where", "qubits > 3"], 2, "num_qubits"),
    ],
)
def test_what_cannot_run_is_a_clear_error_before_anything_is_sent(
    call: Call,
    vendor: Callable[..., Acme],
    tmp_path: Path,
    text: str,
    arguments: list[str],
    code: int,
    what: str,
) -> None:
    acme = vendor()
    path = tmp_path / "bell.qasm"
    path.write_text(text)
    result = call(str(path), *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert what in result.stderr
    assert acme.requests == []


def test_a_file_that_is_not_there_is_wrong_usage(call: Call) -> None:
    assert call("/nowhere/bell.qasm").exit_code == 2


def test_what_the_transpiler_cannot_do_is_an_error_of_the_circuit(
    call: Call, vendor: Callable[..., Acme], bell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qiskit.transpiler import PassManager

    def run(self: object, *arguments: object, **options: object) -> None:
        raise QiskitError("no way")

    vendor()
    monkeypatch.setattr(PassManager, "run", run)
    result = call(bell, "--backend", "small")
    assert result.exit_code == 1
    assert "cannot be made to fit acme:small" in result.stderr
    assert "no way" in result.stderr


@pytest.mark.parametrize(("local", "what"), [(False, "goes on there"), (True, "ends with this command")])
def test_an_interrupt_says_what_becomes_of_the_job(
    call: Call,
    vendor: Callable[..., Acme],
    bell: str,
    monkeypatch: pytest.MonkeyPatch,
    local: bool,
    what: str,
) -> None:
    def watch_jobs(jobs: object, **options: Any) -> None:
        raise KeyboardInterrupt

    vendor(local=local)
    monkeypatch.setattr("qprovider_core._waiting.watch_jobs", watch_jobs)
    result = call(bell, "--backend", "small")
    assert result.exit_code == 130
    assert "job job-1 on acme:small" in result.stderr
    assert what in result.stderr


def test_a_terminal_shows_the_jobs_state_on_one_line(
    vendor: Callable[..., Acme], bell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    vendor()
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    run_command.command.main([bell, "--backend", "small"], standalone_mode=False)
    shown = stream.getvalue()
    assert "\r\x1b[KJob job-1: running, 0 s" in shown
    assert shown.endswith("\r\x1b[K")
    assert "\n" not in shown

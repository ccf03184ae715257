"""Jobs on the command line: those of this machine's record and of services, in processes of their own."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qprovider_core import JobInfo, JobState
from qprovider_core.cli.jobs import STATES
from qprovider_core.ledger import Ledger
from qprovider_ibm.emulator import Emulator

Run = Callable[..., "subprocess.CompletedProcess[str]"]
BELL = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""
SUBMIT = """
import qprovider_core as qp
from qiskit import QuantumCircuit
bell = QuantumCircuit(2, 2, name="bell")
bell.h(0)
bell.cx(0, 1)
bell.measure([0, 1], [0, 1])
backend = qp.get_backend("local:aer_simulator")
for number, name in enumerate(["first", "second", "third"]):
    tags = ["lab", f"run-{number}"]
    backend.run(bell, shots=100 + number, name=name, job_tags=tags, seed_simulator=5).result()
"""
PROBE = """
import sys
from qprovider_core.cli import main
try:
    main()
finally:
    print([name for name in ("qiskit", "numpy", "rich", "pandas") if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(backends=2, queue_time_s=0.0) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def three_jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with three jobs of the local simulator, the newest last."""
    place = tmp_path_factory.mktemp("three")
    subprocess.run(
        [sys.executable, "-c", SUBMIT], env=os.environ | {"QPROVIDER_DATA_DIR": str(place)}, check=True, timeout=100
    )
    return place


@pytest.fixture
def environment(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return environment | {"QPROVIDER_DATA_DIR": str(tmp_path / "data"), "QPROVIDER_TIMEOUT": "20"}


@pytest.fixture
def record(tmp_path: Path, three_jobs: Path) -> Path:
    """The three jobs as this test's own ledger."""
    shutil.copytree(three_jobs, tmp_path / "data")
    return tmp_path / "data" / "jobs.sqlite3"


@pytest.fixture
def service(emulator: Emulator, environment: dict[str, str]) -> Iterator[Emulator]:
    """The emulated service, with an account in the environment."""
    environment |= emulator.environment("premium-eu")
    yield emulator
    emulator.clear_faults()


@pytest.fixture
def bell(tmp_path: Path) -> str:
    path = tmp_path / "bell.qasm"
    path.write_text(BELL)
    return str(path)


def listed(run: Run, *arguments: str) -> list[dict[str, Any]]:
    done = run("jobs", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    jobs: list[dict[str, Any]] = json.loads(done.stdout)["jobs"]
    return jobs


def names(run: Run, *arguments: str) -> list[str]:
    return [job["name"] for job in listed(run, *arguments)]


def submitted(run: Run, bell: str, *arguments: str) -> str:
    done = run("run", bell, "--backend", "ibm:ibm_hanoi", "--no-wait", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ------------------------------------------------------------------------------------------------------- the list


def test_the_list_has_what_other_processes_ran_newest_first(run: Run, record: Path) -> None:
    done = run("jobs", "--provider", "local")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split("  ")[0] == "id"
    assert "created (UTC)" in head
    assert [row.split()[-3:] for row in rows] == [
        ["third", "lab,", "run-2"],
        ["second", "lab,", "run-1"],
        ["first", "lab,", "run-0"],
    ]
    assert all("done" in row and "local:aer_simulator" in row for row in rows)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--tag", "run-1"], ["second"]),
        (["--tag", "lab", "--tag", "run-0"], ["first"]),
        (["--tag", "run-0", "--tag", "run-1"], []),
        (["--name", "third"], ["third"]),
        (["--status", "DONE", "--backend", "aer_*"], ["third", "second", "first"]),
        (["--status", "pending"], []),
        (["--backend", "fake_belem"], []),
        (["--since", "1h"], ["third", "second", "first"]),
        (["--until", "1h"], []),
        (["--since", "2001-01-01", "--until", "2002-01-01T12:00+02:00"], []),
        (["--limit", "1"], ["third"]),
        (["--account", "default", "--all"], ["third", "second", "first"]),
    ],
)
def test_filters_restrict_the_list(run: Run, record: Path, filters: list[str], expected: list[str]) -> None:
    assert names(run, "--provider", "local", *filters) == expected


def test_a_list_that_was_cut_says_so(run: Run, record: Path) -> None:
    done = run("jobs", "--provider", "local", "--limit", "2")
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "These are the newest 2. More: --limit N, or --all.\n"


def test_the_states_of_the_filter_are_those_of_jobs() -> None:
    assert set(STATES) == {state.value for state in JobState} | {"pending", "final"}


def test_an_empty_record_says_what_to_do(run: Run) -> None:
    done = run("jobs", "--offline")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "There is no job yet. Run one: qprovider run FILE\n"
    assert run("jobs", "--offline", "--tag", "x").stderr == "No job matches.\n"
    assert json.loads(run("jobs", "--offline", "--json").stdout)["jobs"] == []


def test_comma_separated_values_have_a_head_and_a_line_a_job(run: Run, record: Path) -> None:
    head, *rows = run("jobs", "--csv", "--offline").stdout.splitlines()
    assert head.split(",")[:4] == ["id", "provider", "account", "backend"]
    assert len(rows) == 3


@pytest.mark.parametrize(
    "arguments", [["jobs"], ["jobs", "--json"], ["jobs", "--csv"], ["job", "ID"], ["jobs", "export", "all.jsonl"]]
)
def test_lists_import_neither_qiskit_nor_numpy(
    environment: dict[str, str], tmp_path: Path, record: Path, run: Run, arguments: list[str]
) -> None:
    given = [listed(run, "--offline")[0]["id"] if word == "ID" else word for word in arguments]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *given], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs", "--status", "finished"],
        ["jobs", "--provider", "lokal"],
        ["jobs", "--since", "yesterday"],
        ["jobs", "--since", "99999999999d"],
        ["jobs", "--since", "1d", "--until", "2d"],
        ["jobs", "--limit", "0"],
        ["jobs", "--limit", "3", "--all"],
        ["jobs", "--json", "repair"],
        ["jobs", "reconsile"],
        ["jobs", "d1b0xyz123"],
        ["jobs", "prune"],
        ["jobs", "prune", "--older-than", "0s"],
        ["jobs", "prune", "--older-than", "9999-01-01"],
        ["jobs", "export", "all.txt"],
        ["jobs", "export", "all.csv", "--results"],
        ["job", "nobody-has-this"],
        ["result", "nobody-has-this"],
        ["cancel", "nobody-has-this"],
        ["rerun", "nobody-has-this"],
        ["watch", "nobody-has-this"],
        ["tag", "nobody-has-this", "x"],
        ["tag", "some"],
        ["tag", "some", "--remove"],
        ["tag", "some", "x", "--remove", "--replace"],
        ["--ledger", "x", "--no-ledger", "jobs"],
        ["--ledger", "", "jobs"],
    ],
)
def test_wrong_usage_exits_with_2_and_leaves_everything_alone(run: Run, record: Path, arguments: list[str]) -> None:
    before = record.read_bytes()
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert record.read_bytes() == before


def test_what_a_vendor_or_a_user_wrote_cannot_steer_the_terminal(run: Run, record: Path) -> None:
    id = listed(run, "--offline")[0]["id"]
    assert run("tag", id, "--note", "red \x1b[31m line\nsecond").returncode == 0
    for arguments in (["jobs", "--offline"], ["job", id], ["jobs", "--csv", "--offline"], ["job", id, "--json"]):
        shown = run(*arguments)
        assert "\x1b" not in shown.stdout + shown.stderr
    assert listed(run, "--offline")[0]["note"] == "red \x1b[31m line\nsecond"


# -------------------------------------------------------------------------------------------------------- one job


def test_a_result_is_shown_in_a_new_process_even_without_the_plugin(
    run: Run, record: Path, environment: dict[str, str]
) -> None:
    id = listed(run, "--name", "second")[0]["id"]
    first = json.loads(run("result", id, "--json").stdout)
    assert sum(first["results"][0]["counts"].values()) == first["shots"] == 101
    environment["QPROVIDER_DISABLE_PLUGINS"] = "local"
    done = run("result", id, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == first
    shown = run("result", id[:8]).stdout
    assert {line.split()[0] for line in shown.splitlines()} == {"00", "11"}


def test_one_job_is_shown_with_its_timeline(run: Run, record: Path) -> None:
    id = listed(run, "--name", "first")[0]["id"]
    done = run("job", id)
    assert (done.returncode, done.stderr) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in done.stdout.partition("\n\n")[0].splitlines())
    assert (facts["name"], facts["state"], facts["shots"]) == ("first", "done", "100")
    assert "kept here  circuits, result" in done.stdout
    timeline = done.stdout.partition("timeline (UTC)\n")[2].splitlines()
    assert timeline[0].endswith("  written")
    assert timeline[1].endswith(f"  accepted: {id}")
    document = json.loads(run("job", id, "--json").stdout)
    assert document["id"] == id
    assert [event["what"] for event in document["events"]][:2] == ["written", "accepted"]


def test_an_unknown_id_has_near_matches(run: Run, record: Path) -> None:
    id = listed(run, "--offline")[0]["id"]
    done = run("job", f"{id[:-1]}x", "--offline")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Did you mean {id!r}?" in done.stderr


def test_an_id_that_two_vendors_have_is_a_choice(run: Run, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "data" / "jobs.sqlite3")
    for provider in ("ibm", "local"):
        ledger.adopt(provider, "default", JobInfo(id="twice-there", state=JobState.DONE, backend="some"))
    ledger.close()
    done = run("job", "twice-there", "--offline")
    assert done.returncode == 2
    assert "ibm:twice-there" in done.stderr
    assert "local:twice-there" in done.stderr
    assert run("job", "ibm:twice-there", "--offline").returncode == 0


def test_tags_are_added_removed_and_replaced(run: Run, record: Path) -> None:
    id = listed(run, "--name", "first")[0]["id"]
    assert run("tag", id, "new", "lab").stderr == f"Job {id}: tags lab, run-0, new; name first.\n"
    assert run("tag", id, "run-0", "--remove").returncode == 0
    assert listed(run, "--name", "first")[0]["tags"] == ["lab", "new"]
    missing = run("tag", id, "old", "--remove")
    assert missing.returncode == 2
    assert f"Job {id} has no tag 'old'" in missing.stderr
    assert run("tag", id, "only", "--replace", "--name", "renamed", "--note", "worth keeping").returncode == 0
    job = listed(run, "--tag", "only")[0]
    assert (job["tags"], job["name"], job["note"]) == (["only"], "renamed", "worth keeping")
    assert run("tag", id, "--replace", "--name", "", "--note", "").stderr == f"Job {id}: no tags.\n"


def test_a_finished_job_cannot_be_cancelled(run: Run, record: Path) -> None:
    id = listed(run)[0]["id"]
    done = run("cancel", id)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: Job {id} cannot be cancelled: it has ended (done).")


def test_a_local_job_runs_again_while_the_command_waits(run: Run, record: Path) -> None:
    id = listed(run, "--name", "second")[0]["id"]
    refused = run("rerun", id)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--wait" in refused.stderr
    done = run("rerun", id, "--wait", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["job_id"] != id
    assert sum(document["results"][0]["counts"].values()) == 101
    assert (
        json.loads(run("job", document["job_id"], "--json").stdout)["rerun_of"]
        == json.loads(run("job", id, "--json").stdout)["key"]
    )


def test_ids_are_completed_from_the_record(run: Run, record: Path, environment: dict[str, str], tmp_path: Path) -> None:
    ids = [job["id"] for job in listed(run, "--offline")]
    words = f"qprovider result {ids[0][:5]}"
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['qprovider']; from qprovider_core.cli import main; main()"],
        env=environment | {"_QPROVIDER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "2"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == (f"plain,{ids[0]}\n", "")


# ------------------------------------------------------------------------------------------- jobs that go on elsewhere


def test_a_job_is_submitted_left_and_fetched_later(run: Run, service: Emulator, bell: str) -> None:
    done = run("run", bell, "-b", "ibm:ibm_hanoi", "--no-wait", "--shots", "200", "--tag", "night", "--name", "later")
    assert done.returncode == 0, done.stderr
    id = done.stdout.strip()
    assert f"qprovider result {id}" in done.stderr
    result = run("result", id, "--json", "--timeout", "60")
    assert result.returncode == 0, result.stderr
    assert sum(json.loads(result.stdout)["results"][0]["counts"].values()) == 200
    (job,) = listed(run, "--provider", "ibm", "--tag", "night")
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


def test_a_job_runs_again_without_a_record_from_what_its_vendor_keeps(run: Run, service: Emulator, bell: str) -> None:
    id = submitted(run, bell, "--no-ledger")
    again = run("rerun", id, "--no-ledger")
    assert again.returncode == 0, again.stderr
    assert listed(run, "--offline") == []
    assert run("result", again.stdout.strip()).returncode == 0


def test_a_wait_that_runs_out_says_how_to_come_back(run: Run, service: Emulator, bell: str) -> None:
    service.fault("job_stuck")
    id = submitted(run, bell)
    result = run("result", id, "--timeout", "1")
    assert (result.returncode, result.stdout) == (1, "")
    assert f"Error: Job {id} has not ended within 1 s: it is queued." in result.stderr
    assert f"Come back with: qprovider result {id}" in result.stderr
    assert listed(run, "--status", "queued")[0]["id"] == id


def test_an_interrupt_names_the_command_for_the_result(
    in_terminal: Callable[..., Any], run: Run, service: Emulator, bell: str
) -> None:
    service.fault("job_stuck")
    with in_terminal("run", bell, "--backend", "ibm:ibm_hanoi") as terminal:
        terminal.read_until("queued, ")
        terminal.interrupt()
        assert terminal.wait() == 130
    id = listed(run, "--provider", "ibm", "--limit", "1")[0]["id"]
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


def test_a_local_job_cannot_be_left_alone(run: Run, service: Emulator, bell: str) -> None:
    done = run("run", bell, "--backend", "local:aer_simulator", "--no-wait")
    assert (done.returncode, done.stdout) == (1, "")
    assert "A job of local ends with this command" in done.stderr
    assert listed(run, "--provider", "local") == []
    left = run("run", bell, "--no-wait")
    assert left.returncode == 0
    assert left.stderr.startswith("Backend ibm:")


# --------------------------------------------------------------------------------------------- what may have arrived


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
    in_terminal: Callable[..., Any], run: Run, service: Emulator, environment: dict[str, str], bell: str
) -> None:
    environment["QPROVIDER_SETTLE_TIME"] = "0"
    service.fault("latency", path="/api/v1/jobs", method="POST", seconds=5)
    with in_terminal("run", bell, "--backend", "ibm:ibm_hanoi") as terminal:
        while not listed(run, "--offline"):  # it is written down before it is sent
            time.sleep(0.1)
        terminal.interrupt()
        assert terminal.wait() == 130
    assert "find out with: qprovider jobs reconcile" in terminal.shown
    (job,) = listed(run, "--offline")
    assert job["state"] == "submit_unknown"


# ------------------------------------------------------------------------------------------------- the record itself


def test_the_record_can_lie_elsewhere(run: Run, record: Path, bell: str, tmp_path: Path) -> None:
    place = tmp_path / "other.sqlite3"
    done = run("--ledger", str(place), "run", bell, "--backend", "aer_simulator", "--name", "elsewhere")
    assert done.returncode == 0, done.stderr
    there = run("--ledger", str(place), "jobs", "--json", "--offline")
    assert [job["name"] for job in json.loads(there.stdout)["jobs"]] == ["elsewhere"]
    assert len(listed(run, "--offline")) == 3


def test_about_tells_where_jobs_are_written_down(run: Run, record: Path) -> None:
    assert f"{record} (journal: wal)" in run("about").stdout
    assert "not written down" in run("--no-ledger", "about").stdout


def test_a_broken_record_stops_nobody_who_goes_on_without(run: Run, record: Path, bell: str) -> None:
    record.write_bytes(b"not a database at all")
    stopped = run("run", bell, "--backend", "aer_simulator")
    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert "--no-ledger" in stopped.stderr
    for arguments in (["run", bell, "--no-ledger"], ["--no-ledger", "run", bell]):
        done = run(*arguments, "--backend", "aer_simulator")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_a_damaged_record_is_repaired(run: Run, record: Path) -> None:
    record.write_bytes(b"?" * 4096 + record.read_bytes()[4096:])
    told = run("jobs", "--offline")
    assert (told.returncode, told.stdout) == (1, "")
    assert "qprovider jobs repair" in told.stderr
    done = run("jobs", "repair")
    assert done.returncode == 0, done.stderr
    assert str(record) in done.stderr
    assert run("jobs", "--offline").returncode == 0
    assert list(record.parent.glob("jobs.sqlite3.replaced-*"))


def test_pruning_asks_and_forgets_what_has_ended(
    in_terminal: Callable[..., Any], run: Run, record: Path, tmp_path: Path
) -> None:
    ledger = Ledger(record)
    ledger.adopt("ibm", "default", JobInfo(id="still-going", state=JobState.QUEUED, backend="some"))
    ledger.close()
    refused = run("jobs", "prune", "--older-than", "1s")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    with in_terminal("jobs", "prune", "--older-than", "1s") as terminal:
        terminal.read_until("Forget 3 jobs created before")
        terminal.write("n\n")
        assert terminal.wait() == 130
    assert len(listed(run, "--offline")) == 4
    assert run("jobs", "prune", "--older-than", "1s", "--data-only", "--yes").stderr == "Forgot the data of 3 jobs.\n"
    assert len(listed(run, "--offline")) == 4
    with in_terminal("jobs", "prune", "--older-than", "1s") as terminal:
        terminal.read_until("Forget 3 jobs created before")
        terminal.write("y\n")
        assert terminal.wait() == 0
    assert [job["id"] for job in listed(run, "--offline")] == ["still-going"]
    assert run("jobs", "prune", "--older-than", "1s", "--yes").returncode == 0
    assert [job["id"] for job in listed(run, "--offline")] == ["still-going"]


def test_the_record_is_exported_in_every_form(run: Run, record: Path, tmp_path: Path) -> None:
    for name in ("all.csv", "all.json", "all.jsonl", "all.sqlite3", "all.db"):
        assert run("jobs", "export", name).stderr == f"Wrote 3 jobs into {name}.\n"
        before = (tmp_path / name).read_bytes()
        refused = run("jobs", "export", name)
        assert refused.returncode == 2
        assert "--force" in refused.stderr
        assert (tmp_path / name).read_bytes() == before
        assert run("jobs", "export", name, "--force").returncode == 0
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 4
    assert [job["name"] for job in json.loads((tmp_path / "all.json").read_text())] == ["third", "second", "first"]
    with sqlite3.connect(tmp_path / "all.db") as copy:
        assert copy.execute("SELECT count(*) FROM jobs").fetchone() == (3,)
    copy.close()
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert lines[0]["events"][0]["what"] == "written"
    assert "results" not in lines[0]
    assert run("jobs", "export", "all.jsonl", "--force", "--results").returncode == 0
    counts = [json.loads(line)["results"][0]["counts"] for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [sum(found.values()) for found in counts] == [102, 101, 100]
    assert not list(tmp_path.glob(".qprovider-*"))


def test_the_record_is_never_exported_over_itself(run: Run, record: Path) -> None:
    done = run("jobs", "export", "--force", str(record))
    assert done.returncode == 1
    assert "is the ledger itself" in done.stderr
    assert len(listed(run, "--offline")) == 3


def test_commands_about_the_record_need_one(run: Run) -> None:
    for arguments in (["jobs", "repair"], ["jobs", "reconcile"], ["jobs", "export", "all.csv"]):
        done = run("--no-ledger", *arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: The ledger is switched off.")

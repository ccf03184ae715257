"""`qprovider watch`: a live table on a terminal, lines elsewhere, over jobs of all vendors."""

import re
import signal
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
COMMAND = [sys.executable, "-m", "qprovider_core.cli"]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  (\S+)  (.+)  (\S+:\S+)")
BELL = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""
# Submits that many jobs and prints their ids: one process is enough for all.
SUBMIT = """
import sys
import qprovider_core as qp
from qiskit import qasm3
backend = qp.get_backend("ibm:ibm_hanoi")
circuit = backend.transpile(qasm3.loads(sys.stdin.read()))
for number in range(int(sys.argv[1])):
    print(backend.run(circuit, shots=10).job_id())
"""


@pytest.fixture
def submit(environment: dict[str, str], tmp_path: Path, service: Emulator) -> Callable[[int], list[str]]:
    """Submits jobs to the service and gives their ids."""

    def call(number: int) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", SUBMIT, str(number)],
            input=BELL,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return call


def changes(text: str) -> list[tuple[str, ...]]:
    """Id, state and place of each line."""
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(found), text
    return [line.groups() for line in found if line is not None]


def test_each_change_has_a_line_where_there_is_no_terminal(run: Run, submit: Callable[[int], list[str]]) -> None:
    (id,) = submit(1)
    done = run("watch", id)
    assert done.returncode == 0, done.stderr
    told = changes(done.stdout)
    assert {(job, place) for job, _, place in told} == {(id, "ibm:ibm_hanoi")}
    states = [state for _, state, _ in told]
    assert states[-1] == "done"
    assert len(set(states)) == len(states)
    assert done.stderr == f"Its result: qprovider result {id}\n"
    again = run("watch", id)
    assert [state for _, state, _ in changes(again.stdout)] == ["done"]


def test_without_an_id_all_that_have_not_ended_are_watched(
    run: Run, service: Emulator, submit: Callable[[int], list[str]]
) -> None:
    (ended,) = submit(1)
    assert run("watch", ended).returncode == 0
    service.fault("job_stuck")
    stuck = submit(2)
    done = run("watch", "--timeout", "2", "--interval", "0.5")
    assert done.returncode == 1
    told = {job for job, _, _ in changes(done.stdout)}
    assert told >= set(stuck)  # the service may have others from before
    assert ended not in told
    assert re.fullmatch(
        r"Error: (\d+) of \1 jobs have not ended within 2 s\.\n"
        r"  The jobs go on\. Come back with: qprovider watch\n",
        done.stderr,
    )


def test_nothing_to_watch_is_said(run: Run) -> None:
    done = run("watch")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "No job is waiting or running.\n")


def test_a_job_that_failed_is_told_with_its_reason(
    run: Run, service: Emulator, submit: Callable[[int], list[str]]
) -> None:
    service.fault("job_fails", reason="The fridge is warm", times=1)
    failed, good = submit(2)
    done = run("watch", failed, good)
    assert done.returncode == 1
    assert "2 jobs have ended: " in done.stderr
    assert f"Job {failed} failed: " in done.stderr
    assert "The fridge is warm" in done.stderr
    assert f"qprovider job {failed}" in done.stderr
    assert {state for job, state, _ in changes(done.stdout) if job == good} >= {"done"}


def test_a_terminal_shows_a_table_until_all_have_ended(
    in_terminal: Callable[..., Any], submit: Callable[[int], list[str]]
) -> None:
    ids = submit(2)
    with in_terminal("watch", *ids) as terminal:
        assert terminal.wait() == 0, terminal.shown
    assert "\x1b[" in terminal.shown
    assert "elapsed" in terminal.shown
    assert all(id in terminal.shown for id in ids)
    assert "have ended: 2 done." in terminal.shown
    assert terminal.shown.count("\x1b[?25h") == 1  # the cursor is back


def test_many_jobs_have_a_bar(
    in_terminal: Callable[..., Any], service: Emulator, submit: Callable[[int], list[str]]
) -> None:
    ids = submit(6)
    service.fault("job_stuck")
    (stuck,) = submit(1)
    with in_terminal("watch", *ids, stuck) as terminal:
        terminal.read_until("6 of 7 have ended: 6 done, 1 queued")
        terminal.interrupt()
        assert terminal.wait() == 130
    assert "━" in terminal.shown
    assert "Come back with: qprovider watch\r\n" in terminal.shown


def test_an_interrupt_leaves_the_jobs_running_and_says_how_to_come_back(
    in_terminal: Callable[..., Any], run: Run, service: Emulator, submit: Callable[[int], list[str]]
) -> None:
    service.fault("job_stuck")
    (id,) = submit(1)
    with in_terminal("watch", id) as terminal:
        terminal.read_until("queued")
        terminal.interrupt()
        assert terminal.wait() == 130
    assert f"The jobs go on. Come back with: qprovider watch {id}" in terminal.shown
    assert "Interrupted." in terminal.shown
    assert "Traceback" not in terminal.shown
    assert "queued" in run("job", id).stdout
    assert run("cancel", id).returncode == 0


def test_a_dumb_terminal_gets_plain_lines(
    in_terminal: Callable[..., Any], environment: dict[str, str], submit: Callable[[int], list[str]]
) -> None:
    environment["TERM"] = "dumb"
    (id,) = submit(1)
    with in_terminal("watch", id) as terminal:
        assert terminal.wait() == 0, terminal.shown
    assert "\x1b" not in terminal.shown
    *lines, last = terminal.shown.splitlines()
    assert changes("\n".join(lines))[-1][:2] == (id, "done")
    assert last == f"Its result: qprovider result {id}"


def test_a_local_job_whose_process_is_killed_ends_the_watch(
    run: Run, environment: dict[str, str], tmp_path: Path, submit: Callable[[int], list[str]]
) -> None:
    path = tmp_path / "long.qasm"
    layer = "".join(f"cx q[{i}],q[{i + 1}]; rx(0.{i + 1}) q[{i}];\n" for i in range(25))
    head = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[26];\ncreg c[26];\n'
    path.write_text(head + layer * 100 + "measure q -> c;\n")
    (remote,) = submit(1)
    line = [*COMMAND, "run", str(path), "--backend", "aer_simulator_statevector", "--shots", "1"]
    with subprocess.Popen(line, env=environment, cwd=tmp_path, start_new_session=True) as runner:
        try:
            while not (local := run("jobs", "--offline", "--provider", "local", "--csv").stdout.splitlines()[1:]):
                assert runner.poll() is None
                time.sleep(0.2)
            id = local[0].split(",")[0]
            with subprocess.Popen(
                [*COMMAND, "watch", id, remote], env=environment, cwd=tmp_path, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True,
            ) as watcher:  # fmt: skip
                assert watcher.stdout is not None
                first = watcher.stdout.readline()
                assert LINE.fullmatch(first.rstrip())
                refused = run("cancel", id)
                assert refused.returncode == 1
                assert f"Job {id} runs in another process" in refused.stderr
                runner.send_signal(signal.SIGKILL)
                rest, told = watcher.communicate(timeout=60)
        finally:
            runner.kill()
    assert watcher.returncode == 1
    ends = {job: state for job, state, _ in changes(first + rest)}
    assert ends == {id: "error", remote: "done"}
    assert f"Job {id} failed: The process that ran it ended before it did." in told
    done = run("result", id)
    assert done.returncode == 1
    assert f"Run it again: qprovider rerun {id}" in done.stderr

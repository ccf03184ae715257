"""The real command in processes of its own: what it imports, prints, hides and returns."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
TOKEN = "tok-1234567890-secret"
BELL = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""
# Runs the command in this process and then names what it has imported of a list.
PROBE = """
import sys
from qprovider_core.cli import main
wanted, sys.argv[1:] = sys.argv[1].split(","), sys.argv[2:]
try:
    main()
finally:
    print([name for name in wanted if name in sys.modules], file=sys.stderr)
"""
HEAVY = "qiskit,qiskit_aer,numpy,scipy,requests,rich,attr,attrs,cattrs,pluggy,asyncio,importlib.metadata,sqlite3"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "qprovider_core.cli", *arguments]


@pytest.fixture
def probe(environment: dict[str, str], tmp_path: Path) -> Callable[..., str]:
    """The modules of a list that the command with these arguments imports."""

    def call(wanted: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", PROBE, wanted, *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert "Traceback" not in done.stderr
        return done.stderr.splitlines()[-1]

    return call


# ---------------------------------------------------------------------------------------------------- speed


def test_the_version_imports_nothing(probe: Callable[..., str]) -> None:
    assert probe(f"{HEAVY},click", "--version") == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["backends", "-h"],
        ["accounts", "add", "-h"],
        ["jobs", "-h"],
        ["jobs", "export", "-h"],
        ["job", "-h"],
        ["result", "-h"],
        ["cancel", "-h"],
        ["rerun", "-h"],
        ["tag", "-h"],
        ["watch", "-h"],
    ],
)
def test_help_imports_click_only(probe: Callable[..., str], arguments: list[str]) -> None:
    heavy = HEAVY if len(arguments) == 1 else "qiskit,numpy,requests,rich,cattrs,pluggy,asyncio"
    assert probe(f"{heavy},click", *arguments) == "['click']"


@pytest.mark.parametrize(
    "arguments", [["backends"], ["backends", "--json"], ["plugins"], ["about"], ["accounts", "list"]]
)
def test_listings_do_not_import_qiskit(probe: Callable[..., str], arguments: list[str]) -> None:
    assert probe("qiskit,qiskit_aer,numpy,rich", *arguments) == "[]"


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_backends_import_what_they_need_and_no_more(probe: Callable[..., str], form: str) -> None:
    slow = "cattrs,importlib.metadata,sqlite3,asyncio,requests,rich,hashlib,statistics,html,uuid"
    records = ",".join(f"qprovider_core.records.{name}" for name in ("jobs", "results", "properties", "configurations"))
    core = "qprovider_core.serialization,qprovider_core.ledger,qprovider_local._pool"
    told = probe(f"{slow},{records},{core}", "backends", "--provider", "local", form)
    assert told in ("[]", "['uuid']")  # click has it, on some versions


# ------------------------------------------------------------------------------------- exit codes and streams


def test_a_command_that_works_exits_with_0(run: Run) -> None:
    done = run("backends", "--provider", "local")
    assert (done.returncode, done.stderr) == (0, "")
    assert "local:aer_simulator" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["backends", "--nonsense"],
        ["backends", "--where", "num_qubits >> 3"],
        ["backends", "--provider", "lokal"],
        ["backend", "local:aer_simulatr"],
        ["run", "nowhere.qasm"],
    ],
)
def test_wrong_usage_exits_with_2_and_no_traceback(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_program_exits_with_1_and_shows_the_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "broken.qasm"
    path.write_text(BELL.replace("h q[0];", "h q[0]"))
    done = run("run", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"Error: {path}, line 6, column 1: missing ';' at 'cx'.",
        "  6 | cx q[0], q[1];",
        "    | ^",
    ]


def test_machine_formats_have_standard_output_to_themselves(run: Run) -> None:
    done = run("backends", "--json")
    document = json.loads(done.stdout)
    assert {backend["provider"] for backend in document["backends"]} == {"local"}
    assert run("backends", "--csv").stdout.startswith("full_name,")


def test_output_in_a_pipe_has_no_escape_sequences(run: Run) -> None:
    for arguments in (["backends", "--explain", "--where", "noisy"], ["backend", "fake_belem"], ["plugins"]):
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr


def test_a_reader_that_stops_reading_is_no_error(environment: dict[str, str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("backends", "--json", "--provider", "local"),
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 0


# ------------------------------------------------------------------------------------------------- running


def test_a_circuit_runs_on_the_least_busy_backend(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bell.qasm"
    path.write_text(BELL)
    done = run("run", str(path), "--where", "provider == 'local' and not noisy", "--shots", "1000", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("Backend local:aer_simulator: the least busy of ")
    counts = {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines()}
    assert set(counts) == {"00", "11"}
    assert sum(counts.values()) == 1000


def test_a_seed_repeats_the_counts(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bell.qasm"
    path.write_text(BELL)
    arguments = ("run", str(path), "--backend", "aer_simulator", "--shots", "1000", "--seed", "7", "--json")
    first, second = (json.loads(run(*arguments).stdout) for _ in range(2))
    assert first["results"] == second["results"]
    assert first["backend"] == "local:aer_simulator"


def test_an_interrupt_while_waiting_is_told_calmly(in_terminal: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "long.qasm"
    layer = "".join(f"cx q[{i}],q[{i + 1}]; rx(0.{i + 1}) q[{i}];\n" for i in range(25))
    head = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[26];\ncreg c[26];\n'
    path.write_text(head + layer * 100 + "measure q -> c;\n")
    # The terminal tells when the job runs; the interrupt comes then.
    with in_terminal("run", str(path), "--backend", "aer_simulator_statevector", "--shots", "1") as terminal:
        terminal.read_until("running, ")
        terminal.interrupt()
        assert terminal.wait() == 130
    assert "ends with this command" in terminal.shown
    assert "Interrupted." in terminal.shown
    assert "Traceback" not in terminal.shown


# -------------------------------------------------------------------------------------------------- terminals


def test_a_terminal_gets_a_styled_table(in_terminal: Callable[..., Any]) -> None:
    with in_terminal("backends", "--provider", "local") as terminal:
        assert terminal.wait() == 0
    assert "\x1b[1m" in terminal.shown
    assert "local:aer_simulator" in terminal.shown


def test_no_color_is_respected_on_a_terminal(environment: dict[str, str], in_terminal: Callable[..., Any]) -> None:
    environment["NO_COLOR"] = "1"
    with in_terminal("backends") as terminal:
        assert terminal.wait() == 0
    assert "\x1b[3" not in terminal.shown
    assert "\x1b[2m" not in terminal.shown


def test_a_token_is_typed_without_being_shown(in_terminal: Callable[..., Any], run: Run) -> None:
    with in_terminal("accounts", "add", "ibm", "--name", "work") as terminal:
        terminal.read_until("token")
        time.sleep(0.2)  # until the terminal's echo is off, which nothing on it tells
        terminal.write(TOKEN + "\n")
        assert terminal.wait() == 0, terminal.shown
    assert TOKEN not in terminal.shown
    listed = json.loads(run("accounts", "list", "--json").stdout)["accounts"]
    assert [(account["provider"], account["name"]) for account in listed] == [("ibm", "work")]


def test_a_piped_token_is_saved_for_the_user_only(run: Run, tmp_path: Path) -> None:
    done = run("accounts", "add", "ibm", input=TOKEN + "\n")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert TOKEN not in done.stderr
    (path,) = (tmp_path / "home").rglob("accounts.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert TOKEN in path.read_text()
    for arguments in (["accounts", "list"], ["accounts", "list", "--json"], ["about"], ["--debug", "plugins"]):
        shown = run(*arguments)
        assert TOKEN not in shown.stdout + shown.stderr
    assert run("accounts", "remove", "ibm", "--yes").returncode == 0
    assert TOKEN not in path.read_text()


def test_a_damaged_accounts_file_is_named_and_left_alone(run: Run, environment: dict[str, str]) -> None:
    folder = Path(environment["HOME"]) / "settings"
    folder.mkdir(parents=True)
    environment["QPROVIDER_CONFIG_DIR"] = str(folder)
    path = folder / "accounts.json"
    path.write_text('{"accounts": [')
    done = run("accounts", "list")
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_text() == '{"accounts": ['


def test_completion_works_in_bash(run: Run, environment: dict[str, str], tmp_path: Path) -> None:
    environment |= {
        "_QPROVIDER_COMPLETE": "bash_complete",
        "COMP_WORDS": "qprovider backend fake_b",
        "COMP_CWORD": "2",
    }
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['qprovider']; from qprovider_core.cli import main; main()"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "plain,fake_belem\n"
    assert done.stderr == ""
    assert time.monotonic() - started < 10


def test_run_goes_on_to_a_backend_that_can_run_the_circuit(tmp_path: Path) -> None:
    file = tmp_path / "conditional.qasm"
    file.write_text(
        'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\n'
        "x q[0];\nc[0] = measure q[0];\nif (c[0]) { x q[1]; }\nc[1] = measure q[1];\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "from qprovider_core.cli import main; main()", "run", str(file), "--where", "noisy"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Not local:fake_belem" in done.stderr
    assert done.stdout.splitlines()[0].startswith("11")

"""`qprovider emulate` as people use it: started in one terminal, its lines pasted into another one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Started:
    """`qprovider emulate ibm` in a process of its own.

    Attributes:
        lines: What it printed, up to where it is ready.
    """

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        command = [sys.executable, "-m", "qprovider_core.cli", "emulate", "ibm", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        self.lines: list[str] = []
        while not self.lines or not self.lines[-1].startswith(("export GLOBAL_CATALOG_URL", "set -gx GLOBAL_CATALOG")):
            line = self.process.stdout.readline()
            assert line, self.process.communicate()
            self.lines.append(line.rstrip("\n"))

    @property
    def base(self) -> str:
        found = re.search(r"http://127\.0\.0\.1:\d+", self.lines[0])
        assert found is not None
        return found.group()

    def workers(self) -> list[int]:
        found: list[int] = requests.get(f"{self.base}/_emulator/state", timeout=10).json()["workers"]
        return found

    def interrupt(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGINT)
        rest, errors = self.process.communicate(timeout=30)
        return self.process.returncode, rest, errors


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., Started]]:
    started: list[Started] = []

    def begin(*arguments: str) -> Started:
        started.append(Started(environment, *arguments))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        for stream in (one.process.stdout, one.process.stderr):
            if stream is not None:
                stream.close()


def is_gone(pid: int) -> bool:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def pasted(lines: list[str], environment: dict[str, str], command: str, **more: Any) -> Any:
    """What a shell says in which the lines were pasted before a command."""
    return subprocess.run(
        ["sh", "-e", "-c", "\n".join([*lines, command])],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        **more,
    )


@pytest.mark.slow
def test_the_lines_point_another_shell_at_it_and_ctrl_c_ends_it(
    start: Callable[..., Started], environment: dict[str, str], tmp_path: Path
) -> None:
    emulator = start("--backends", "3", "--api-key", "it's-mine")
    assert "Instances: open-main, premium-eu." in emulator.lines[0]
    assert any("qprovider backends --provider ibm" in line for line in emulator.lines if line.startswith("#"))
    listing = pasted(emulator.lines, environment, f"{sys.executable} -m qprovider_core.cli backends --json")
    assert listing.returncode == 0, listing.stderr
    told = json.loads(listing.stdout)
    assert told["errors"] == []
    names = {entry["name"] for entry in told["backends"] if entry["provider"] == "ibm"}
    assert names == {"ibmq_belem", "ibm_hanoi", "ibm_sherbrooke"}
    (line,) = [line for line in emulator.lines if "QiskitRuntimeService(" in line]
    (tmp_path / "theirs.py").write_text(
        "from qiskit_ibm_runtime import QiskitRuntimeService\n"
        f"{line.removeprefix('#').strip()}\n"
        "print(len(service.backends()), service.active_instance())"
    )
    theirs = pasted(emulator.lines, environment, f"{sys.executable} -W ignore {tmp_path / 'theirs.py'}")
    assert theirs.stdout.startswith("3 crn:v1:bluemix:public:quantum-computing:us-east:"), theirs.stderr
    workers = emulator.workers()
    assert len(workers) == 1
    assert emulator.interrupt() == (0, "", "")
    assert all(is_gone(pid) for pid in workers)


@pytest.mark.slow
def test_the_lines_of_another_shell(start: Callable[..., Started]) -> None:
    emulator = start("--shell", "fish", "--api-key", "it's a \\ key", "--instance", "mine:flex:eu-de")
    assert "set -gx QPROVIDER_IBM_TOKEN 'it\\'s a \\\\ key'" in emulator.lines
    assert "Instances: mine." in emulator.lines[0]
    emulator.process.terminate()
    assert emulator.process.wait(30) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["ibm", "--backends", "0"], 2, "--backends: 0 is not between"),
        (["ibm", "--nothing"], 2, "unrecognized arguments: --nothing"),
        (["ibmm"], 2, "Did you mean 'ibm'?"),
        (["local"], 1, "Providers that have one: ibm."),
        ([], 2, "PROVIDER"),
    ],
)
def test_what_cannot_be_emulated_is_explained(run: Run, arguments: list[str], code: int, words: str) -> None:
    done = run("emulate", *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_the_emulators_own(run: Run) -> None:
    done = run("emulate", "ibm", "--help")
    assert done.returncode == 0
    for option in ("--port", "--backends", "--latency", "--rate-limit", "--interactive-ttl", "--shell"):
        assert option in done.stdout
    assert "qprovider emulate ibm" in done.stdout
    assert "PROVIDER" in run("emulate", "--help").stdout


def test_a_port_that_is_taken_is_explained(run: Run) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("emulate", "ibm", "--port", str(port))
    assert done.returncode == 1
    assert f"cannot listen on port {port}" in done.stderr


@pytest.mark.parametrize("missing", ["aiohttp", "qiskit_aer"])
def test_what_is_missing_is_named_with_the_extra(
    run: Run, environment: dict[str, str], tmp_path: Path, missing: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.modules[{missing!r}] = None")
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment.get("PYTHONPATH", "")])
    done = run("emulate", "ibm")
    assert done.returncode == 1
    assert missing.replace("_", "-") in done.stderr
    assert "pip install 'qprovider-ibm[emulator]'" in done.stderr


def test_the_names_that_shells_complete_are_those_that_have_one(environment: dict[str, str], tmp_path: Path) -> None:
    environment |= {"_QPROVIDER_COMPLETE": "bash_complete", "COMP_WORDS": "qprovider emulate ", "COMP_CWORD": "2"}
    script = "from qprovider_core.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = ['qprovider']; {script}"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["plain,ibm"], done.stderr


VENDOR = """
import qprovider_core as qp
from qprovider_core import hookimpl

@hookimpl
def qprovider_provider():
    return qp.ProviderSpec(name="acme", title="Acme", emulator={path!r})

@hookimpl
def qprovider_open_account(credentials):
    return object()

@hookimpl
def qprovider_list_backends(connection):
    return []

def serve(arguments):
    print("served with", *arguments)
    return 3

nothing = None
"""


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("acme:serve", 3, "served with --fast ibm"),
        ("acme:absent", 1, "The emulator 'acme:absent' cannot be had"),
        ("nowhere:serve", 1, "The emulator 'nowhere:serve' cannot be had"),
        ("acme:nothing", 1, "'acme:nothing' is no function"),
    ],
)
def test_any_vendor_may_have_one(
    run: Run, environment: dict[str, str], tmp_path: Path, path: str, code: int, words: str
) -> None:
    site = tmp_path / "site"
    info = site / "acme-0.1.dist-info"
    info.mkdir(parents=True)
    (site / "acme.py").write_text(VENDOR.format(path=path))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[qprovider]\nacme = acme\n")
    environment["PYTHONPATH"] = os.pathsep.join([str(site), environment.get("PYTHONPATH", "")])
    done = run("emulate", "acme", "--fast", "ibm")
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr

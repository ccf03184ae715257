"""The real command, in processes and on terminals of its own."""

import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
# Three jobs that have ended, the newest last.
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


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "qprovider_core.cli", *arguments]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    return kept | {
        "HOME": str(tmp_path / "home"),
        "QPROVIDER_DATA_DIR": str(tmp_path / "data"),
        "COLUMNS": "100",
        "TERM": "xterm-256color",
    }


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs `qprovider` in an empty home and gives what came of it."""

    def call(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(*arguments),
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            **options,
        )

    return call


class Terminal:
    """The command in a terminal of its own."""

    def __init__(self, arguments: list[str], environment: dict[str, str], folder: Path) -> None:
        self.master, slave = pty.openpty()
        fcntl.fcntl(self.master, fcntl.F_SETFL, os.O_NONBLOCK)
        # A session's leader that opens a terminal gets it as its own: then /dev/tty is this one.
        line = f'exec "$@" <{os.ttyname(slave)} >{os.ttyname(slave)} 2>&1'
        self.process = subprocess.Popen(
            ["sh", "-c", line, "sh", *command(*arguments)], env=environment, cwd=folder, start_new_session=True
        )
        os.close(slave)
        self.shown = ""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.master)

    def _read(self) -> bool:
        """Take what is shown; False at the end."""
        try:
            data = os.read(self.master, 65536)
        except BlockingIOError:
            time.sleep(0.01)
            return True
        except OSError:  # nobody has the other end open any more
            return self.process.poll() is None
        self.shown += data.decode()
        return bool(data)

    def read_until(self, text: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            assert self._read(), self.shown

    def write(self, text: str) -> None:
        os.write(self.master, text.encode())

    def interrupt(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, seconds: float = 60) -> int:
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, self.shown
            self._read()
        while self._read() and time.monotonic() < end and not self._drained():
            pass
        return self.process.returncode

    def _drained(self) -> bool:
        before = self.shown
        self._read()
        return self.shown == before


@pytest.fixture
def in_terminal(environment: dict[str, str], tmp_path: Path) -> Callable[..., Terminal]:
    """Starts `qprovider` in a terminal of its own."""
    return lambda *arguments: Terminal(list(arguments), environment, tmp_path)


@pytest.fixture
def bell(tmp_path: Path) -> str:
    """A file with a circuit of two qubits."""
    path = tmp_path / "bell.qasm"
    path.write_text(BELL)
    return str(path)


@pytest.fixture
def listed(run: Run) -> Callable[..., list[dict[str, Any]]]:
    """What `qprovider jobs --json` lists."""

    def call(*arguments: str) -> list[dict[str, Any]]:
        done = run("jobs", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        jobs: list[dict[str, Any]] = json.loads(done.stdout)["jobs"]
        return jobs

    return call


@pytest.fixture(scope="session")
def three_jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the ledger of three jobs."""
    place = tmp_path_factory.mktemp("three")
    subprocess.run(
        [sys.executable, "-c", SUBMIT], env=os.environ | {"QPROVIDER_DATA_DIR": str(place)}, check=True, timeout=100
    )
    return place


@pytest.fixture
def record(tmp_path: Path, three_jobs: Path) -> Path:
    """The three jobs as this test's own ledger."""
    shutil.copytree(three_jobs, tmp_path / "data")
    return tmp_path / "data" / "jobs.sqlite3"


@pytest.fixture(scope="module")
def emulated() -> Iterator[Emulator]:
    """An emulated service whose jobs need not queue."""
    with Emulator(backends=2, queue_time_s=0.0) as emulator:
        yield emulator


@pytest.fixture
def service(emulated: Emulator, environment: dict[str, str]) -> Iterator[Emulator]:
    """The emulated service, with an account of it in the environment."""
    environment |= emulated.environment("premium-eu") | {"QPROVIDER_TIMEOUT": "20"}
    emulated.clear_faults()
    yield emulated
    emulated.clear_faults()

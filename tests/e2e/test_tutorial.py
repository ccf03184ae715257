"""The examples as a user runs them: a process of its own, somebody's home folder, and what is printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from qprovider_ibm._credentials import IBMCredentials
from qprovider_ibm.emulator import Emulator

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SECRET = "users-own-key-0123456789"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with accounts that the examples have no business with."""
    for name, account in (
        (".qiskit/qiskit-ibm.json", {"default-ibm-quantum-platform": {"channel": "ibm_cloud", "token": SECRET}}),
        ("config/accounts.json", {"broken": "file"}),
    ):
        file = tmp_path / name
        file.parent.mkdir()
        file.write_text(json.dumps(account))
    return tmp_path


@pytest.fixture
def run(home: Path) -> Callable[[str], str]:
    """Runs an example and gives what it printed; nothing of the user's was read, written or left behind."""

    def contents() -> dict[str, str]:
        files = (file for file in home.rglob("*") if file.is_file() and ".cache" not in file.parts)  # a library's own
        return {str(file): file.read_text() for file in files}

    def call(name: str) -> str:
        before = contents()
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        ended = subprocess.run(
            [sys.executable, str(EXAMPLES / name)],
            env={
                **kept,
                "HOME": str(home),
                "TMPDIR": str(home),
                "QPROVIDER_CONFIG_DIR": str(home / "config"),
                "QISKIT_IBM_TOKEN": SECRET,
                "QPROVIDER_IBM_URL": "https://auth.quantum-computing.ibm.com/api",
                "HTTP_PROXY": "http://127.0.0.1:9",
                "PYTHONIOENCODING": "utf-8",
            },
            cwd=home,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr == ""
        assert SECRET not in ended.stdout
        assert contents() == before
        assert [line for line in ended.stdout.splitlines() if len(line) > 80 or line != line.rstrip()] == []
        return ended.stdout

    return call


def test_the_tutorial_prints_what_the_original_printed(run: Callable[[str], str]) -> None:
    printed = run("tutorial.py")

    headings = re.findall(r"^(.+)\n─+$", printed, re.MULTILINE)
    assert headings == [
        "The account",
        "The provider",
        "Backends",
        "Jobs",
        "The backend service",
        "A long list of circuits",
        "Versions",
    ]

    def after(call: str) -> str:
        """What stands under a call, up to the next one."""
        assert f"\n{call}\n" in printed, call
        return printed.partition(f"\n{call}\n")[2].partition("\n\n")[0]

    assert "token:              ********" in after("IBMProvider.saved_accounts()")
    assert "open-main (open, us-east)" in after("provider.instances()")
    assert "<IBMBackend('ibmq_qasm_simulator')>" in after("provider.backends()")
    devices = after("provider.backends(min_num_qubits=5, simulator=False, operational=True)")
    assert "<IBMBackend('ibmq_belem')>" in devices
    assert "simulator" not in devices
    assert devices == after("provider.backends(simulator=False, operational=True)")
    assert devices in printed.partition("filters=lambda x")[2].partition("\n\n")[0]
    assert after("least_busy(small_devices)") == after("backend.name") == "    ibmq_belem"
    status = after("backend.status()")
    assert [line.split(":")[0].strip() for line in status.splitlines()] == [
        "backend_name",
        "backend_version",
        "operational",
        "pending_jobs",
        "status_msg",
    ]

    qubit = after("props = backend.properties(); describe_qubit(0, props)")
    numbers = {unit: float(number) for number, unit in re.findall(r"of ([\d.]+) (microseconds|ns|GHz)", qubit)}
    assert qubit.count("microseconds") == 2
    assert 10 < numbers["microseconds"] < 1000  # of a superconducting qubit of 2021
    assert 20 < numbers["ns"] < 60
    assert 4 < numbers["GHz"] < 6

    counts = dict(re.findall(r"^    ([01]{3}) +(\d+)", printed, re.MULTILINE))
    assert sum(map(int, counts.values())) == 1024
    assert max(counts, key=lambda bits: int(counts[bits])) == "101"
    assert len(counts) >= 6
    assert "Job Status: job has successfully run" in printed
    assert re.search(r"^    d[a-z0-9]{19} JobStatus\.DONE$", printed, re.MULTILINE)

    report = printed.partition("print(job.report())\n")[2].partition("\n\n")[0]
    assert re.search(r"Composite job ibm_composite_job_id_[0-9a-f]{32}_\n", report)
    assert re.search(r"Total jobs: +5\n +Successful jobs: +5\n +Failed jobs: +0\n", report)
    assert re.findall(r"Circuits (\d+-\d+):\n +Job index: (\d)\n +Job ID: d[a-z0-9]{19}\n", report) == [
        ("0-9", "0"),
        ("10-19", "1"),
        ("20-29", "2"),
        ("30-39", "3"),
        ("40-49", "4"),
    ]
    assert after("job.result().get_counts(5)") == after("job.result().get_counts(15)") == "    {'101': 4096}"
    assert re.search(r"qprovider-ibm   \d+\.\d+\.\d+\n", printed)


def test_the_demo_shows_two_vendors_in_one_list_and_runs_on_both(run: Callable[[str], str]) -> None:
    printed = run("demo.py")
    assert re.search(r"^  ibm:ibmq_belem +5 +\d+ +1\.43%  device$", printed, re.MULTILINE)
    assert re.search(r"^  local:fake_belem +5 +0 +1\.43%  noisy twin$", printed, re.MULTILINE)
    assert re.search(r"Least busy of all: local:fake_\w+, 0 jobs wait there", printed)
    assert re.search(r"Least busy device: ibm:ibm_\w+, \d+ jobs wait there", printed)
    shares = re.search(r"^ +111 +100\.0% +([\d.]+)% +([\d.]+)%$", printed, re.MULTILINE)
    assert shares
    assert all(80 < float(share) < 100 for share in shares.groups())

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    excerpt = readme.partition("From `make demo`:\n\n```text\n")[2].partition("```")[0]
    told, _, shown = excerpt.partition("  bits")
    missing = [line for line in told.splitlines() if line.strip("… ") and line not in printed.splitlines()]
    assert missing == []
    assert f"  bits{shown.splitlines()[0]}" in printed.splitlines()


@pytest.fixture
def emulator(home: Path) -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_of_the_plugin_runs_as_it_stands(emulator: Emulator, tmp_path: Path) -> None:
    *program, test = blocks(ROOT / "plugins" / "ibm" / "README.md")
    code = "\n".join(program).replace("<IBM Cloud API key>", emulator.api_key)
    (tmp_path / "program.py").write_text(code)
    (tmp_path / "test_mine.py").write_text(test)
    environment = {"HOME": str(tmp_path), "QPROVIDER_CONFIG_DIR": str(tmp_path / "new"), "PATH": os.environ["PATH"]}
    for arguments in (["program.py"], ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]):
        ended = subprocess.run(
            [sys.executable, *arguments],
            env={**environment, **emulator.environment()},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert ended.stderr == ""
    assert (tmp_path / "new" / "accounts.json").exists()


def test_the_pages_name_variables_and_fields_that_exist() -> None:
    page = (ROOT / "plugins" / "ibm" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?) \|.*\| (.+?) \|$", page, re.MULTILINE)
    fields = {field.name: field for field in attrs.fields(IBMCredentials)}
    named = {name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)}
    assert named == fields.keys() - {"endpoints"}
    for cell, variables in rows:
        (first, *_) = re.findall(r"`(\w+)`", cell)
        own = f"QPROVIDER_IBM_{first}".upper()
        known = [own, *fields[first].metadata["env"]] if "env" in fields[first].metadata else [own]
        assert re.findall(r"`(\w+)`", variables) == known


@pytest.mark.parametrize("name", ["demo.py", "tutorial.py"])
def test_make_runs_the_examples(name: str) -> None:
    makefile = (EXAMPLES.parent / "Makefile").read_text(encoding="utf-8")
    assert f"\n{name.removesuffix('.py')}: $(INSTALLED)\n\t@$(BIN)/python examples/{name}\n" in makefile
    assert "'plugins/ibm[emulator]'" in makefile  # which both of them need

"""The example of the plugin guide, laid as an installed distribution: it joins without a line changed here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # left to `make check`

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"
FILES = dict(re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE))

Python = Callable[..., str]


def lay(site: Path, name: str, module: str, code: str, group: str = "qprovider") -> None:
    """An installed distribution: its module, and what the installer writes about it."""
    (site / f"{module}.py").write_text(code, encoding="utf-8")
    info = site / f"{name}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n", encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages that holds the example."""
    site = tmp_path / "site"
    site.mkdir()
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    [(name, module)] = project["entry-points"]["qprovider"].items()
    assert (name, project["name"]) == ("acme", "acme")
    lay(site, name, module, FILES[f"{module}.py"])
    return site


@pytest.fixture
def python(site: Path, tmp_path: Path) -> Python:
    """Runs a fresh interpreter that finds the folder, in an empty home; gives what it printed."""

    def run(*arguments: str, limit_s: float = 60.0) -> str:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("QPROVIDER_")}
        done = subprocess.run(
            [sys.executable, *arguments],
            env={
                **kept,
                "PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)]),
                "HOME": str(tmp_path),
                "QPROVIDER_CONFIG_DIR": str(tmp_path / "config"),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=limit_s,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def script(python: Python, code: str) -> Any:
    return json.loads(python("-c", textwrap.dedent(code)).splitlines()[-1])


def test_the_example_is_shorter_than_45_lines() -> None:
    assert len(FILES["acme_plugin.py"].splitlines()) < 45


def test_it_is_listed_filtered_and_chosen_without_qiskit(python: Python) -> None:
    answer = script(
        python,
        """
        import json, sys
        import qprovider_core as qp
        listed = qp.list_backends(provider="acme")
        records = [info.to_dict() for info in listed]
        narrow = qp.list_backends(provider="acme", min_num_qubits=5)
        answer = {
            "plugin": [p.to_dict() for p in qp.plugins() if p.name == "acme"],
            "everywhere": "acme:one" in qp.list_backends().names(),
            "records": records,
            "where": qp.list_backends(provider="acme", where="num_qubits >= 4 and simulator").names(),
            "narrow": [len(narrow), narrow.rejected[0].reason],
            "least busy": qp.least_busy(listed).full_name,
            "errors": [str(error) for error in listed.errors],
            "heavy": sorted({"qiskit", "numpy"} & set(sys.modules)),
        }
        print(json.dumps(answer))
        """,
    )
    [record], [plugin] = answer["records"], answer["plugin"]
    assert (record["full_name"], record["num_qubits"], record["pending_jobs"]) == ("acme:one", 4, 3)
    assert (plugin["status"], plugin["provider"], plugin["title"]) == ("active", "acme", "Acme Quantum")
    assert (plugin["distribution"], plugin["version"]) == ("acme", "0.1")
    assert answer["everywhere"] is True
    assert answer["where"] == ["acme:one"]
    number, reason = answer["narrow"]
    assert number == 0
    assert "4" in reason
    assert answer["least busy"] == "acme:one"
    assert answer["errors"] == answer["heavy"] == []


def test_it_is_run_and_its_jobs_are_retrieved(python: Python) -> None:
    answer = script(
        python,
        """
        import json
        from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
        import qprovider_core as qp
        circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(1, "a"), ClassicalRegister(3, "b"))
        circuit.x(0)
        circuit.h(1)
        circuit.cx(1, 2)
        circuit.measure([0, 1, 2], [1, 0, 3])
        account = qp.open_account("acme")
        backend = account.least_busy(min_num_qubits=3)
        job = backend.run(transpile(circuit, backend), shots=300)
        again = account.retrieve_job(job.job_id())
        chosen = qp.least_busy(provider="acme")
        try:
            qp.get_backend("acme:two")
        except qp.UnknownBackendError as exc:
            unknown = str(exc)
        try:
            job.cancel() or account.ask("qprovider_cancel_job", job=job.ref)
        except qp.UnsupportedError as exc:
            unsupported = exc.what
        print(json.dumps({
            "counts": job.result().get_counts(),
            "memory": len(job.result().get_memory()),
            "again": again.result().get_counts(),
            "state": job.status().name,
            "chosen": chosen.full_name,
            "unknown": unknown,
            "unsupported": unsupported,
        }))
        """,
    )
    counts = answer["counts"]
    assert set(counts) == {"001 0", "101 1"}
    assert sum(counts.values()) == answer["memory"] == 300
    assert answer["again"] == counts
    assert answer["state"] == "DONE"
    assert answer["chosen"] == "acme:one"
    assert "acme:one" in str(answer["unknown"])
    assert answer["unsupported"] == "Acme Quantum does not offer cancelling jobs."


def test_the_command_lists_it(python: Python) -> None:
    command = ("-c", "from qprovider_core.cli import main; main()")
    listed = json.loads(python(*command, "backends", "--provider", "acme", "--json"))
    assert [backend["full_name"] for backend in listed["backends"]] == ["acme:one"]
    assert "Acme Quantum" in python(*command, "plugins")


def test_it_passes_the_contract_tests_that_the_guide_has(python: Python, tmp_path: Path) -> None:
    (tmp_path / "test_acme.py").write_text(FILES["test_acme.py"], encoding="utf-8")
    printed = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme.py", limit_s=150)
    passed = re.search(r"(\d+) passed", printed)
    assert passed is not None, printed
    assert int(passed[1]) >= 60, printed
    assert "failed" not in printed


ANNOUNCED = """
import time
from qprovider_core import BackendInfo, ProviderSpec, hookimpl

@hookimpl
def qprovider_provider():
    return ProviderSpec(name="{name}", title="{name}")

@hookimpl
def qprovider_open_account():
    return object()

@hookimpl
def qprovider_list_backends():
    {listing}
"""
SOUND = 'return [BackendInfo(name="b", num_qubits=1)]'
# What is installed beside it, and what is said of it: as a plugin left out, or as one that does not answer.
BROKEN = {
    "absent": ("import a_module_that_nobody_has\n", "a_module_that_nobody_has"),
    "clash": (ANNOUNCED.format(name="acme", listing=SOUND), "is taken by plugin 'acme'"),
    "exits": ("raise SystemExit(3)\n", "SystemExit"),
    "misspelt": (
        ANNOUNCED.format(name="misspelt", listing=SOUND).replace("list_backends", "list_backend"),
        "list_backend",
    ),
    "syntax": ("def broken(:\n", "SyntaxError"),
    "wrong": (
        ANNOUNCED.format(name="wrong", listing=SOUND).replace("list_backends()", "list_backends(no_such_argument)"),
        "no_such_argument",
    ),
    "garbage": (
        ANNOUNCED.format(name="garbage", listing='return [BackendInfo(name="g", pending_jobs=-1)]'),
        "negative",
    ),
    "hangs": (ANNOUNCED.format(name="hangs", listing="time.sleep(600)"), "no answer within 3 s"),
    "nothing": (ANNOUNCED.format(name="nothing", listing="return None"), "NoneType"),
    "raises": (ANNOUNCED.format(name="raises", listing='raise ValueError("kaputt")'), "kaputt"),
}


def test_broken_neighbours_cost_only_their_own_row(site: Path, python: Python) -> None:
    for name, (code, _) in BROKEN.items():
        lay(site, name, f"{name}_plugin", code)
    answer = script(
        python,
        """
        import json
        import qprovider_core as qp
        listed = qp.list_backends(timeout=3)
        print(json.dumps({
            "names": listed.names(),
            "errors": {error.provider: str(error) for error in listed.errors},
            "plugins": {plugin.name: plugin.status for plugin in qp.plugins()},
        }))
        """,
    )
    errors, plugins = answer["errors"], answer["plugins"]
    assert "acme:one" in answer["names"]
    assert "acme" not in errors
    for name, (_, reason) in BROKEN.items():
        assert reason in errors[name], f"{name}: {errors[name]}"
    left_out = {name for name, status in plugins.items() if status == "left out"}
    assert left_out == {"absent", "clash", "exits", "misspelt", "syntax", "wrong"}

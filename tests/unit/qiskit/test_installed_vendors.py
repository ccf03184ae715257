"""Ten vendors that are installed: they are listed, with their accounts, and none of their packages is imported."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import qprovider_qiskit.vendors

VENDORS = Path(qprovider_qiskit.vendors.__file__).parent
MODULES = (
    "azure", "braket", "iqm", "pytket", "qdk", "qiskit", "qiskit_aer", "qiskit_alice_bob_provider",
    "qiskit_aqt_provider", "qiskit_braket_provider", "qiskit_ibm_runtime", "qiskit_ionq", "qiskit_superstaq",
)  # fmt: skip
PROGRAM = f"""
import json, sys
import qprovider_core as qp
answer = {{"plugins": {{info.name: info.status for info in qp.plugins()}}}}
listed = qp.list_backends()
answer["listed"] = sorted({{info.provider for info in listed}})
answer["errors"] = [str(error) for error in listed.errors]
answer["accounts"] = [str(account) for account in qp.saved_accounts()]
answer["imported"] = sorted(set(sys.modules) & {{*{MODULES!r}, "numpy"}})
print(json.dumps(answer))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Installed packages: the metadata of each that an adapter needs, and modules that may not be loaded."""
    site = tmp_path / "site"
    site.mkdir()
    for entry in entry_points(group="qprovider"):
        if not entry.value.startswith("qprovider_qiskit.vendors."):
            continue
        module, _, name = entry.value.partition(":")
        for wanted in getattr(import_module(module), name).spec.requires:
            match = re.match(r"([\w.-]+)(?:\[[\w,]*\])?(?:>=([\d.]+))?", wanted)
            assert match is not None
            info = site / f"{match[1].replace('-', '_')}-{match[2] or '1.0'}.dist-info"
            info.mkdir(exist_ok=True)
            text = f"Metadata-Version: 2.1\nName: {match[1]}\nVersion: {match[2] or '1.0'}\n"
            (info / "METADATA").write_text(text, "utf-8")
    for module in MODULES:
        (site / module).mkdir()
        (site / module / "__init__.py").write_text(f"raise SystemExit('{module} was imported')\n", "utf-8")
    return site


def test_ten_installed_vendors_are_listed_without_importing_them(site: Path, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QPROVIDER_")}
    environment = {**kept, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)]), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    active = {name for name, status in answer["plugins"].items() if status == "active"}
    adapted = {e.name for e in entry_points(group="qprovider") if e.value.startswith("qprovider_qiskit.vendors.")}
    assert len(adapted) >= 12
    assert adapted <= active, answer["plugins"]
    assert answer["listed"] == ["local"]
    assert answer["errors"] == answer["imported"] == []


@pytest.mark.parametrize("path", sorted(VENDORS.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_vendor_takes_at_most_fifteen_lines_of_declaration(path: Path) -> None:
    declared = [
        node
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign) and node.targets[0].id in ("CONTRACT", "plugin")
    ]
    assert len(declared) == 2
    assert sum(node.end_lineno - node.lineno + 1 for node in declared) <= 15

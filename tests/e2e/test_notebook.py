"""The tutorial's notebook: run as it stands in a fresh kernel, and no other tutorial than `examples/tutorial.py`."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "tutorial.ipynb"
SECRET = "users-own-key-0123456789"
# What `tutorial.py` calls to run the tutorial, not to print what came of it.
_STEPS = {
    *("IBMProvider", "provider", "backend", "job", "result", "retrieved_job", "ran_job", "props", "circuit", "x"),
    *("least_busy", "job_monitor", "transpile", "describe_qubit", "toffoli", "QuantumCircuit"),
}


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def cell_of(notebook: Any, source: str) -> Any:
    """The first cell of that code."""
    return next(cell for cell in code_cells(notebook) if cell.source == source)


def html_of(notebook: Any, source: str) -> str:
    """What the cell shows in a notebook."""
    (shown,) = [output for output in cell_of(notebook, source).outputs if output.output_type == "execute_result"]
    html: str = shown.data["text/html"]
    return html


def check_outputs(notebook: Any) -> None:
    """Every cell ran, in order and once; none complained; only the one that is to fail failed."""
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.name for output in outputs if output.output_type == "stream"} == {"stdout"}
    failed = [cell for cell in cells if any(output.output_type == "error" for output in cell.outputs)]
    assert failed == [cell for cell in cells if "raises-exception" in cell.metadata.get("tags", ())]
    assert len(failed) == 1


@pytest.mark.slow
def test_every_cell_runs_in_a_fresh_kernel(tmp_path: Path) -> None:
    target, home = tmp_path / "out.ipynb", tmp_path / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / "run_notebook.py"), "--output", str(target)],
        env={
            **kept,
            "HOME": str(home),
            "TMPDIR": str(tmp_path),
            "QPROVIDER_CONFIG_DIR": str(home / "config"),
            "QPROVIDER_DATA_DIR": str(home / "data"),
            "QISKIT_IBM_TOKEN": SECRET,
            "HTTP_PROXY": "http://127.0.0.1:9",
        },
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=170,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert SECRET not in target.read_text(encoding="utf-8")
    assert [path for path in home.rglob("*") if path.is_file() and ".cache" not in path.parts] == []
    assert {path.name for path in tmp_path.iterdir()} == {"out.ipynb", "home"}  # nothing is left behind

    fresh = nbformat.read(target, as_version=4)
    check_outputs(fresh)
    counts = ast.literal_eval(cell_of(fresh, "job.result().get_counts()").outputs[0].data["text/plain"])
    assert sum(counts.values()) == 1024
    assert max(counts, key=counts.__getitem__) == "101"
    assert counts["101"] > 512
    shown = html_of(fresh, "job.result()")
    assert "1,024 shots" in shown
    assert shown.index(">101<") < shown.index(">000<")
    assert html_of(fresh, "provider.backends()").count("<tr>") == 1 + 6
    assert html_of(fresh, "backend").count("<circle ") == 5
    assert "✓" in html_of(fresh, "job")

    # What is in the repository is what comes out, but for ids, times and chance.
    kept_cells = code_cells(nbformat.read(NOTEBOOK, as_version=4))
    assert [kinds(cell) for cell in kept_cells] == [kinds(cell) for cell in code_cells(fresh)]


def kinds(cell: Any) -> list[Any]:
    """Of which kinds a cell's outputs are."""
    return [(output.output_type, sorted(output.get("data", ()))) for output in cell.outputs]


def test_the_outputs_in_the_repository_tell_nothing_of_the_machine_that_made_them() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    check_outputs(notebook)
    shown = str([cell.outputs for cell in code_cells(notebook)])
    assert not re.findall(
        r"/(?:home|root|tmp|work|Users|usr)/|127\.0\.0\.1|localhost|https?://(?!cloud\.ibm\.com)", shown
    )
    assert "********" in shown
    assert NOTEBOOK.stat().st_size < 200_000


def test_the_notebook_is_the_tutorial() -> None:
    """Every call of `tutorial.py` that is a step of the tutorial is in the notebook, too, to the letter."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    written = calls("\n".join(cell.source for cell in code_cells(notebook)))
    wanted = calls((EXAMPLES / "tutorial.py").read_text(encoding="utf-8"))
    assert len(wanted) > 50
    assert sorted(wanted - written) == []


def calls(code: str) -> set[str]:
    """Calls of what the tutorial is about, as text."""
    found = {
        ast.unparse(node) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call) and root(node) in _STEPS
    }
    return {
        text.replace("line_discipline='\\n    '", "line_discipline='\\n'") for text in found
    }  # there it is indented


def root(node: ast.expr) -> str | None:
    """The name that an expression of calls, attributes and indices begins with."""
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        else:
            return None
    return node.id

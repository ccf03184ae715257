"""The tables of docs/migrating.md: what their column "here" names exists, and takes what is shown."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import qprovider_core as qp
import qprovider_ibm
from qprovider_core.records import BackendInfo
from qprovider_ibm import IBMBackend, IBMCompositeJob, IBMEstimator, IBMJob, IBMProvider, IBMSampler
from qprovider_ibm._options import EstimatorOptions, SamplerOptions
from qprovider_ibm._service import BackendService

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
REFERENCE = {
    "IBMProvider": IBMProvider,
    "provider": IBMProvider,
    "backend": IBMBackend,
    "job": IBMJob,
    "composite": IBMCompositeJob,
    "sampler": IBMSampler,
    "estimator": IBMEstimator,
    "session": qp.Session,
    "qp": qp,
}
OF_INSTANCES = {"backend.name": str, "provider.backend": BackendService}  # what constructors set
# What a call takes beyond its signature.
MORE = {
    "provider.backends": {field for field in dir(BackendInfo) if not field.startswith("_")},
    "provider.least_busy": {field for field in dir(BackendInfo) if not field.startswith("_")} | {"min_num_qubits"},
    "backend.run": set(qprovider_ibm.qprovider_provider().run_options),
    "backend.sampler": set(SamplerOptions.fields) | {"session_id"},
    "backend.estimator": set(EstimatorOptions.fields) | {"session_id"},
    "session.run": {"shots"},
    "session.estimator": set(EstimatorOptions.fields),
}


def rows() -> list[tuple[str, str, str]]:
    """The three cells of each row of each table."""
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return [row for row in cells if row[0] != "old call" and set(row[0]) != {"-"}]  # type: ignore[misc]


def calls() -> list[str]:
    return sorted({code for row in rows() for code in re.findall(r"`([^`]+)`", row[1])})


def named(node: ast.expr) -> tuple[Any, str]:
    """What an expression refers to, and its dotted name."""
    if isinstance(node, ast.Name):
        return REFERENCE[node.id], node.id
    assert isinstance(node, ast.Attribute), ast.dump(node)
    owner, name = named(node.value)
    name = f"{name}.{node.attr}"
    if name in OF_INSTANCES:
        return OF_INSTANCES[name], name
    assert node.attr in dir(owner) or hasattr(owner, node.attr), name
    found = inspect.getattr_static(owner, node.attr, None)
    return getattr(owner, node.attr, found), name


def test_every_row_has_three_cells_and_says_something():
    assert len(rows()) > 45
    for row in rows():
        assert len(row) == 3, row
        assert all(row), row


@pytest.mark.parametrize("code", calls())
def test_what_the_column_here_names_exists_and_takes_what_is_shown(code):
    tree = ast.parse(code.replace("…", "..."), mode="eval").body
    call = tree if isinstance(tree, ast.Call) else None
    found, name = named(call.func if call else tree)
    if call is None:
        assert name in OF_INSTANCES or name == "backend.drive_channel" or not callable(found), f"{name} is a method"
        return
    assert callable(found), f"{name} is no method"
    parameters = inspect.signature(found).parameters
    free = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    for keyword in call.keywords:
        known = keyword.arg in parameters or (free and keyword.arg in MORE.get(name, set()))
        assert known, f"{name} does not take {keyword.arg}"
    positional = [one for one in parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    assert len(call.args) <= len(positional) or any(one.kind is one.VAR_POSITIONAL for one in parameters.values())


@pytest.mark.parametrize(
    "old",
    [
        "IBMProvider(token)",
        "provider.instances()",
        "hub/group/project",
        "provider.backends(",
        "provider.get_backend(",
        "backend.status()",
        "backend.properties(datetime",
        "backend.configuration()",
        "backend.target_history(",
        "backend.defaults()",
        "drive_channel",
        "backend.run(",
        "meas_level=",
        "noise_model=",
        "shots=`, `memory=",
        "job_tags=",
        "job.update_name(",
        "job.queue_info()",
        "job.queue_position()",
        "job.time_per_step()",
        "job.error_message()",
        "job.usage_estimation",
        "job.wait_for_final_state(",
        "job.result(timeout, partial",
        "job.cancel()",
        "job.circuits()",
        "job.backend_options()",
        "job.header()",
        "job.properties()",
        "job.scheduling_mode()",
        "job.client_version",
        "provider.jobs(limit=10, skip=0",
        "provider.retrieve_job(id)",
        "IBMCompositeJob",
        "backend.open_session()",
        "cancel_session()",
        "provider.active_account()",
        "IBMProvider.save_account(",
        "IBMProvider.saved_accounts()",
        "IBMProvider.delete_account()",
        "provider.reservations(",
        "QiskitRuntimeService(",
        "service.backends(",
        "service.backend(name",
        "service.least_busy(",
        "service.jobs(",
        "service.job(id)",
        "SamplerV2(",
        "EstimatorV2(",
        "Session(backend",
        "Batch(backend",
        "Session.from_id(",
        "session.details()",
        "session.cancel()",
        "job.metrics()",
        "job.usage()",
    ],
)
def test_every_call_of_the_old_clients_has_a_row(old):
    assert any(old in row[0] for row in rows())


def test_what_is_gone_says_why():
    gone = [row for row in rows() if row[1] == "–"]
    assert 3 <= len(gone) <= 6
    assert all(len(row[2]) > 15 for row in gone)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)", TEXT):
        assert (ROOT / "docs" / target).resolve().exists(), target
    for page, anchor in re.findall(r"\]\(([^)#:]+)#([^)]+)\)", TEXT):
        headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in headings}

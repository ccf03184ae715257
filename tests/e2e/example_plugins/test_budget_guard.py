"""The examples as installed plugins, and the budget guard: a budget that processes share."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from qprovider_ibm.emulator import Emulator

pytestmark = pytest.mark.slow  # left to `make check`

FOLDER = Path(__file__).parents[3] / "examples" / "plugins"
MODULES = sorted(FOLDER.rglob("*.py"))
Python = Callable[..., Any]


def submissions(emulator: Emulator) -> list[str]:
    """What was sent to the service's jobs since the last time."""
    seen = [f"{one['method']} {one['path']}" for one in emulator.requests()]
    emulator.clear_requests()
    return [one for one in seen if one.startswith("POST") and one.endswith("/jobs")]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_each_module_is_shorter_than_120_lines(module: Path) -> None:
    assert len(module.read_text("utf-8").splitlines()) < 120


def test_they_are_listed_and_import_nothing_heavy(python: Python) -> None:
    told = python(
        """
        import json, sys
        import qprovider_core as qp
        qp.list_backends()
        rows = {one.name: [one.status, one.kind, one.distribution] for one in qp.plugins()}
        print(json.dumps([rows, sorted({"qiskit", "numpy", "requests"} & set(sys.modules))]))
        """,
        begin="",
    )
    rows, heavy = told
    assert rows["budget_guard"] == ["active", "cross-cutting", "qprovider-budget-guard"]
    assert rows["recorder"] == rows["replayer"] == ["active", "cross-cutting", "qprovider-recorder"]
    assert heavy == []


# -------------------------------------------------------------------------------------------------- the budget


def test_a_job_over_the_budget_is_refused_before_it_is_sent(python: Python, belem: Emulator, tmp_path: Path) -> None:
    settings = {"QPROVIDER_BUDGET_PER_JOB": 1000, "QPROVIDER_BUDGET_PER_DAY": 1500}
    errors, record = python(
        """
        told = []
        for shots, circuits in ((501, 2), (450, 2), (500, 1), (601, 1), (100, 1)):
            try:
                device(shots, circuits)
                told.append(None)
            except qp.VetoError as exc:
                told.append([str(exc), exc.plugin])
        from qprovider_core.ledger import ledger_in_use
        kept = [ledger_in_use().find(one.key, events=True) for one in qp.list_jobs(offline=True)]
        refused = [[one.info.error, [event.what for event in one.events]] for one in kept if one.info.error]
        print(json.dumps([told, refused]))
        """,
        **settings,
    )
    assert [error is None for error in errors] == [False, True, True, False, True]
    (job, by), (day, _) = errors[0], errors[3]
    assert by == "budget_guard"
    assert "per_job is 1,000 shots × circuits, 0 are used, and it asks for 1,002" in job
    assert "per_day is 1,500 shots × circuits, 1,400 are used, and it asks for 601" in day
    assert "Ask for less, raise per_day of the budget, or wait for 00:00 UTC." in day
    assert "QPROVIDER_DISABLE_PLUGINS=budget_guard" in day
    assert len(submissions(belem)) == 3
    assert [what for _, what in record] == [["written", "vetoed"]] * 2
    assert all("shots × circuits" in error for error, _ in record)
    kept = tmp_path / "data" / "budget.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    ((day, jobs),) = json.loads(kept.read_text("utf-8")).items()
    assert day == datetime.now(UTC).date().isoformat()
    assert sorted(jobs.values()) == [100, 500, 900]


def test_simulators_and_other_providers_are_free(python: Python, belem: Emulator, tmp_path: Path) -> None:
    told = python(
        """
        device(10_000, name="ibm:ibmq_qasm_simulator")
        device(10_000, name="local:fake_belem")
        try:
            device(10)
        except qp.VetoError as exc:
            print(json.dumps(exc.what))
        """,
        QPROVIDER_BUDGET_ON="ibm:ibmq_*, local",
        QPROVIDER_BUDGET_PER_DAY=5,
    )
    assert "0 are used, and it asks for 10" in told
    assert len(submissions(belem)) == 1
    assert not (tmp_path / "data" / "budget.json").exists()
    assert python("print(json.dumps(device(10).job_id()))", QPROVIDER_BUDGET_ON="local", QPROVIDER_BUDGET_PER_DAY=5)
    assert len(submissions(belem)) == 1
    assert not (tmp_path / "data" / "budget.json").exists()


def test_processes_share_one_budget(python: Python, belem: Emulator) -> None:
    code = """
    taken = 0
    for _ in range(8):
        try:
            device(100)
            taken += 1
        except qp.VetoError:
            pass
    print(json.dumps(taken))
    """
    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(lambda _: python(code, QPROVIDER_BUDGET_PER_DAY=1000), range(2)))
    assert sum(taken) == len(submissions(belem)) == 10


def test_a_day_that_is_over_does_not_count(python: Python, belem: Emulator, tmp_path: Path) -> None:
    kept = tmp_path / "data" / "budget.json"
    kept.parent.mkdir()
    kept.write_text(json.dumps({"2026-01-01": {"k": 1000}}), "utf-8")
    assert python("print(json.dumps(device(900).job_id()))", QPROVIDER_BUDGET_PER_DAY=1000)
    assert list(json.loads(kept.read_text("utf-8"))) == [datetime.now(UTC).date().isoformat()]


def test_in_doubt_a_job_counts(python: Python, tmp_path: Path) -> None:
    """What certainly did not arrive is taken off again; what may have arrived is not."""
    told = python(
        """
        from pathlib import Path
        told = []
        for fails in (errors.TransportError("no route", arrived=False), errors.InvalidInputError("too wide"),
                      errors.AuthenticationError("no"), errors.TransportError("cut"), errors.ResponseError("odd"),
                      ConnectionError("cut"), KeyError("id")):
            acme.fails = fails
            try:
                state = backend.run(circuit, shots=1).info.state.name
            except qp.QProviderError as exc:
                state = type(exc).__name__
            [jobs] = json.loads((Path(os.environ["QPROVIDER_DATA_DIR"]) / "budget.json").read_text("utf-8")).values()
            told.append([type(fails).__name__, state, len(jobs)])
        print(json.dumps(told))
        """,
        begin="acme",
        TOKEN="not-a-secret",
        QPROVIDER_BUDGET_PER_DAY=100,
        QPROVIDER_SETTLE_TIME=0,
    )
    assert told == [
        ["TransportError", "TransportError", 0],
        ["InvalidInputError", "InvalidInputError", 0],
        ["AuthenticationError", "AuthenticationError", 0],
        ["TransportError", "SUBMIT_UNKNOWN", 1],
        ["ResponseError", "SUBMIT_UNKNOWN", 2],
        ["ConnectionError", "SUBMIT_UNKNOWN", 3],
        ["KeyError", "PluginError", 4],
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"TODAY": 5}'])
def test_a_damaged_count_refuses_and_is_left_as_it_is(
    text: str, python: Python, belem: Emulator, tmp_path: Path
) -> None:
    kept = tmp_path / "data" / "budget.json"
    kept.parent.mkdir()
    kept.write_text(text.replace("TODAY", datetime.now(UTC).date().isoformat()), "utf-8")
    before = kept.read_bytes()
    told = python(
        """
        try:
            device(10)
        except qp.VetoError as exc:
            print(json.dumps(str(exc)))
        """,
        QPROVIDER_BUDGET_PER_DAY=100,
    )
    assert "what was used today cannot be read or written" in told
    assert str(kept) in told
    assert kept.read_bytes() == before
    assert submissions(belem) == []

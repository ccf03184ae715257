"""The budget guard's settings, and what it counts."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from qprovider_core import records

FOLDER = Path(__file__).parents[3] / "examples" / "plugins"


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The module of the budget guard, in this process."""
    monkeypatch.syspath_prepend(FOLDER / "budget_guard")
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path))
    for name in ("", "_ON", "_PER_JOB", "_PER_DAY"):
        monkeypatch.delenv(f"QPROVIDER_BUDGET{name}", raising=False)
    return importlib.import_module("qprovider_budget_guard")


def test_the_environment_goes_before_the_file(guard: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert guard.Budget.read() == guard.Budget(on=["*"], per_job=None, per_day=None)
    (tmp_path / "budget.toml").write_text('on = ["ibm", "ionq:qpu.*"]\nper_job = 1_000\nper_day = 5_000\n', "utf-8")
    read = guard.Budget.read()
    assert read == guard.Budget(on=["ibm", "ionq:qpu.*"], per_job=1000, per_day=5000)
    ibm, ionq = records.AccountRef(provider="ibm"), records.AccountRef(provider="ionq")
    assert [read.covers(ibm, "any"), read.covers(ionq, "qpu.aria"), read.covers(ionq, "simulator")] == [
        True,
        True,
        False,
    ]
    monkeypatch.setenv("QPROVIDER_BUDGET_PER_DAY", "0")
    monkeypatch.setenv("QPROVIDER_BUDGET_ON", "ionq, aqt")
    assert guard.Budget.read() == guard.Budget(on=["ionq", "aqt"], per_job=1000, per_day=0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("per_day = ", "Invalid value"),
        ("per_hour = 5", "per_hour"),
        ("per_day = 5.5", "per_day"),
        ("per_day = -1", "per_day"),
        ('on = "ibm"', "on"),
        (None, "No such file"),
    ],
)
def test_a_budget_that_cannot_be_read_refuses(
    text: str | None, why: str, guard: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    monkeypatch.setenv("QPROVIDER_BUDGET", str(path))
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(guard.BudgetError, match="the budget cannot be read") as caught:
        guard.Budget.read()
    assert why in caught.value.why
    assert str(path) in caught.value.why
    assert "no job is sent" in caught.value.hint


def test_a_variable_that_is_no_number_refuses(guard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QPROVIDER_BUDGET_PER_JOB", "many")
    with pytest.raises(guard.BudgetError) as caught:
        guard.Budget.read()
    assert "many" in caught.value.why


def test_estimates_and_sweeps_count_what_they_take_at_most(guard: Any) -> None:
    estimate = records.EstimatePub(circuit=None, observables=({"Z": 1.0}, {"X": 1.0}), precision=0.1, shape=(3,))
    assert guard.shots_of(estimate) == 2 * 3 * 100
    assert guard.shots_of(records.EstimatePub(circuit=None, observables=({"Z": 1.0},))) == 4096
    assert guard.shots_of(records.SamplePub(circuit=None, shots=7, shape=(2, 5))) == 70

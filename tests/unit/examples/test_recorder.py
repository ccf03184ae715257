"""What the recorder writes of an answer or an error, and what the replayer makes of it."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from qprovider_core import records
from qprovider_core.errors import InvalidInputError, ResponseError, TransportError, UnknownJobError

FOLDER = Path(__file__).parents[3] / "examples" / "plugins"


@pytest.fixture
def tapes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the recorder and the replayer, in this process."""
    monkeypatch.syspath_prepend(FOLDER / "recorder")
    return [importlib.import_module(f"qprovider_recorder.{name}") for name in ("recorder", "replayer")]


NOW = datetime(2026, 3, 1, tzinfo=UTC)
BITS = records.RegisterBits(name="c", num_bits=9, data=b"\x01\x02\0\1")
QUBIT = records.QubitCalibration(values={"T1": records.Measured(value=1e-4, measured_at=NOW)})
DONE = records.JobInfo(id="j", state=records.JobState.DONE)
ANSWERS = [
    records.AccountInfo(owner="me", instances=[records.InstanceInfo(name="a", usage=records.Usage(period_start=NOW))]),
    [records.BackendInfo(name="one", features=["a"], calibrated_at=NOW), records.ListProblem(reason="b is shut")],
    records.BackendConfiguration(backend_name="one", n_qubits=2, coupling_map=[(0, 1)], extra={"own": 1}),
    records.BackendStatus(backend_name="one", pending_jobs=3),
    records.BackendProperties(
        backend_name="one",
        last_update=NOW,
        qubits=[records.QubitCalibration(values={"T1": records.Measured(value=1e-4, measured_at=NOW)})],
    ),
    {"buffer": 10},
    records.JobInfo(id="j", state=records.JobState.RUNNING, created_at=NOW, queue=records.QueueInfo(position=1)),
    records.JobResult(
        pubs=[
            records.SamplePubResult(shots=2, registers=[BITS]),
            records.SamplePubResult.from_counts({"1 01": 3}),
            records.EstimatePubResult(evs=(0.5, -1.0), stds=(0.1, 0.2)),
        ]
    ),
    True,
    records.JobPage(jobs=[DONE], cursor="5"),
    records.Submission(
        outcome=records.SubmissionOutcome.FOUND, job=records.JobInfo(id="j", state=records.JobState.DONE)
    ),
    records.JobDetails(logs="log", steps={"queued": NOW}),
    records.SessionInfo(id="s"),
    None,
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_every_kind_of_answer_comes_back(answer: Any, tapes: Any) -> None:
    recorder, replayer = tapes
    assert replayer.made(json.loads(json.dumps(recorder.told(answer)))) == answer


@pytest.mark.parametrize(
    "exc",
    [
        UnknownJobError("j", hint="Look again."),
        TransportError("slow down", arrived=False),
        ResponseError("odd", path="a.b", why="because"),
        InvalidInputError("no"),
        ConnectionResetError("cut"),
        KeyError("id"),
        type("VendorError", (ValueError,), {})("own"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_every_error_comes_back(exc: Exception, tapes: Any) -> None:
    recorder, replayer = tapes
    with pytest.raises(Exception) as caught:
        replayer.made(json.loads(json.dumps(recorder.told(exc))))
    assert type(caught.value) is (ValueError if type(exc).__name__ == "VendorError" else type(exc))
    assert str(caught.value).strip("'\"") == str(exc).strip("'\"")
    for name in ("what", "why", "hint", "path", "arrived", "retryable"):
        assert getattr(caught.value, name, None) == getattr(exc, name, None)


def test_circuits_of_the_details_stay_behind(tapes: Any) -> None:
    recorder, _ = tapes
    assert recorder.told(records.JobDetails(circuits=["c"], logs="l"))["value"]["circuits"] is None

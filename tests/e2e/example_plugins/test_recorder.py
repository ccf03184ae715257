"""The recorder and the replayer: a script that ran once runs again without its vendor."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qprovider_ibm.emulator import Emulator

pytestmark = pytest.mark.slow  # left to `make check`

Python = Callable[..., Any]

WHOLE = """
    from qiskit.circuit import Parameter
    theta = Parameter("t")
    swept = QuantumCircuit(1, 1)
    swept.rx(theta, 0)
    swept.measure(0, 0)
    listed = qp.list_backends(provider="ibm")
    backend = qp.get_backend("ibm:ibmq_belem")
    ready = transpile(swept, backend, seed_transpiler=1)
    job = backend.run(ready, shots=50, memory=True, job_tags=["lab"], parameter_binds=[{theta: 1.0}])
    memory = job.result(timeout=60).get_memory()
    others = [device(20), device(30, 2)]
    qp.wait(others, timeout=60)
    account = qp.open_account("ibm")
    try:
        account.retrieve_job("nothing")
    except qp.UnknownJobError as exc:
        unknown = str(exc)
    print(json.dumps([
        listed.names(), len(listed.errors), backend.status().to_dict(), backend.properties().t1(0), backend.num_qubits,
        job.job_id(), job.tags(), job.creation_date().isoformat(), memory, [one.job_id() for one in others],
        [one.result().get_counts() for one in others], unknown, account.info().to_dict(),
        [one.id for one in qp.list_jobs(provider="ibm", limit=3)],
    ]))
"""


def test_a_script_is_replayed_when_the_service_is_gone(
    python: Python, environment: dict[str, str], tmp_path: Path
) -> None:
    tape = tmp_path / "calls.jsonl"
    with Emulator(backends=2, queue_time_s=0.0) as emulator:
        environment |= emulator.environment("premium-eu")
        recorded = python(WHOLE, QPROVIDER_RECORD=tape)
        key = emulator.api_key
    text = tape.read_text("utf-8")
    assert key not in text
    assert stat.S_IMODE(tape.stat().st_mode) == 0o600
    assert all(set(json.loads(line)) == {"asked", "key", "told"} for line in text.splitlines())
    assert "OPENQASM 3.0" in text
    variables = {"QPROVIDER_REPLAY": tape, "QPROVIDER_IBM_TOKEN": "made-up", "QPROVIDER_LEDGER": tmp_path / "replay.db"}
    assert python(WHOLE, **variables) == recorded
    assert tape.read_text("utf-8") == text
    del variables["QPROVIDER_LEDGER"]  # and beside the jobs that were recorded, too
    assert python(WHOLE, **variables) == recorded


def test_what_was_not_recorded_is_an_error_and_asks_nobody(python: Python, belem: Emulator, tmp_path: Path) -> None:
    tape = tmp_path / "calls.jsonl"
    once = "print(json.dumps(device(20).result(timeout=60).get_counts()))"
    counts = python(once, QPROVIDER_RECORD=tape)
    belem.clear_requests()
    told = python(
        """
        told = [device(20).result(timeout=60).get_counts()]
        account = qp.open_account("ibm")
        for call in (lambda: device(20), lambda: device(21), lambda: account.info(), lambda: account.retrieve_job("j"),
                     lambda: account.connection().jobs, lambda: qp.open_account("ibm", token="another").open()):
            try:
                call()
            except qp.QProviderError as exc:
                told.append([type(exc).__name__, str(exc)])
        told.append([str(error) for error in qp.list_backends(provider="local").errors])
        print(json.dumps(told))
        """,
        QPROVIDER_REPLAY=tape,
        QPROVIDER_LEDGER="off",
    )
    assert told[0] == counts
    assert len(told) == 8
    for kind, text in told[1:7]:
        assert kind == "QProviderError"
        assert "QPROVIDER_RECORD" in text
    assert "qprovider_submit_job is not in the recording" in told[1][1]
    assert "Nothing more was recorded" in told[1][1]
    assert '"hook": "qprovider_submit_job"' in told[2][1]
    assert "'jobs' cannot be replayed" in told[5][1]
    assert "qprovider_open_account" in told[7][0]
    assert belem.requests() == []


def test_local_jobs_are_replayed_without_a_worker(python: Python, tmp_path: Path) -> None:
    """Their seeds are not given: the same counts are those of the recording."""
    code = """
    told = []
    for name in ("local:aer_simulator", "local:fake_belem"):
        backend = qp.get_backend(name)
        jobs = [device(100 + number, name=name) for number in range(3)]
        for job in qp.as_completed(jobs, timeout=60):
            pass
        properties = backend.properties()
        told.append([[job.job_id(), job.result().get_counts()] for job in jobs])
        told.append([None if properties is None else properties.t1(0), sorted(backend.target.operation_names)])
    connection = qp.get_backend(name).provider.connection()
    print(json.dumps([type(connection).__name__, told]))
    """
    tape = tmp_path / "calls.jsonl"
    kind, recorded = python(code, QPROVIDER_RECORD=tape)
    replayed, again = python(code, QPROVIDER_REPLAY=tape, QPROVIDER_LEDGER="off")
    assert (kind, replayed) == ("Connection", "Offline")
    assert again == recorded
    assert recorded[1][0] is None  # an ideal simulator has no calibration, and its plugin was not asked again
    assert recorded[3][0] > 0


@pytest.mark.parametrize("token", ["very-secret-token", 'quote"back\\slash', "gehéim→42"])
def test_no_secret_is_written(token: str, python: Python, tmp_path: Path) -> None:
    tape = tmp_path / "calls.jsonl"
    python(
        """
        listed = qp.open_account("acme", token=os.environ["TOKEN"]).list_backends()
        job = qp.open_account("acme", token=os.environ["TOKEN"]).get_backend("one").run(circuit, shots=1)
        acme.fails = errors.InvalidInputError(os.environ["TOKEN"])
        for again in (lambda: backend.run(circuit, name=os.environ["TOKEN"]), job.refresh, lambda: 1 / 0):
            try:
                again()
            except Exception:
                pass
        print(json.dumps(listed.names()))
        """,
        begin="acme",
        QPROVIDER_RECORD=tape,
        TOKEN=token,
    )
    text = tape.read_text("utf-8")
    calls = [json.loads(line) for line in text.splitlines()]
    assert {call["asked"]["hook"] for call in calls} >= {"qprovider_list_backends", "qprovider_submit_job"}
    assert token not in text
    assert json.dumps(token)[1:-1] not in text
    assert token not in str(calls)
    assert "********" in text


@pytest.mark.parametrize("text", [None, "no JSON\n", '{"told": 1}\n', "[]\n"])
def test_a_recording_that_cannot_be_read_is_named(text: str | None, python: Python, tmp_path: Path) -> None:
    tape = tmp_path / "calls.jsonl"
    if text is not None:
        tape.write_text(text, "utf-8")
    errors = python(
        """
        import json
        import qprovider_core as qp
        print(json.dumps([str(error) for error in qp.list_backends(provider="local").errors]))
        """,
        begin="",
        QPROVIDER_REPLAY=tape,
    )
    assert len(errors) == 1
    assert f"The recording {tape} cannot be read." in errors[0]


def test_a_recorder_that_cannot_write_stops_nobody(python: Python, tmp_path: Path) -> None:
    told = python(
        """
        import logging
        noted = []
        logging.getLogger("qprovider.plugins").addFilter(lambda record: noted.append(record.getMessage()))
        print(json.dumps([device(10, name="local:aer_simulator").result().success, noted[0]]))
        """,
        QPROVIDER_RECORD=tmp_path,
    )
    assert told[0] is True
    assert "'recorder' raised" in told[1]
    assert "the answer stands" in told[1]


def test_threads_write_whole_lines(python: Python, tmp_path: Path) -> None:
    tape = tmp_path / "calls.jsonl"
    python(
        """
        import json
        from concurrent.futures import ThreadPoolExecutor
        import qprovider_core as qp
        def look(number):
            with qp.open_account("local", all_devices=bool(number % 2)) as account:
                return account.list_backends().names()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(look, range(24)))
        print("0")
        """,
        begin="",
        QPROVIDER_RECORD=tape,
    )
    hooks = [json.loads(line)["asked"]["hook"] for line in tape.read_text("utf-8").splitlines()]
    assert hooks.count("qprovider_open_account") == hooks.count("qprovider_list_backends") == 24

"""The life of a job in the ledger: written before it is sent, told of, sent again by one alone."""

import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from qprovider_core.errors import TransportError
from qprovider_core.ledger import Ledger, LedgerQuery
from qprovider_core.ledger._pack import Packer
from qprovider_core.ledger._requests import PackedRequest
from qprovider_core.records import (
    BackendRef,
    JobInfo,
    JobRequest,
    JobResult,
    JobState,
    JobUsage,
    QueueInfo,
    RegisterBits,
    SamplePub,
    SamplePubResult,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CRN = "crn:v1:one"
RESULT = JobResult(
    pubs=[SamplePubResult(shots=2, registers=[RegisterBits(name="c", num_bits=2, data=b"\x01\x03")])],
    metadata={"version": 2},
)


class Clock:
    """One second later at each look."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path, clock) -> Ledger:
    return Ledger(tmp_path / "kept" / "jobs.sqlite3", now=clock)


def request(key: str | None = None, **more: object) -> JobRequest:
    given = {"tags": ("vqe", "run-7"), "name": "first", "options": {"rep_delay": 2e-4}, **more}
    return JobRequest(
        backend=BackendRef(name="one", instance=CRN),
        pubs=[SamplePub(circuit=None, shots=100)],
        key=uuid.uuid4().hex if key is None else key,
        **given,
    )


def packed(**more: object) -> PackedRequest:
    return PackedRequest(**{"request": Packer().pack({}), "circuits": None, "num_circuits": 1, **more})


def write(ledger: Ledger, key: str = "k1", *, provider: str = "acme", **more: object) -> int:
    kept = {name: more.pop(name) for name in ("process_bound", "rerun_of", "backend") if name in more}
    return ledger.write(request(key, **more), packed(), provider=provider, account="default", **kept)


def events(ledger: Ledger, key: str) -> list[tuple[str, str | None]]:
    return [(event.what, event.text) for event in ledger.find(key, events=True).events]


# -- a job's life -----------------------------------------------------------------------------------------


def test_nothing_is_there_before_the_first_job(ledger):
    assert ledger.find("k1") is None
    assert ledger.select(LedgerQuery()) == []
    assert ledger.with_id("job") == []
    assert ledger.ids() == []
    assert ledger.unsettled() == []
    assert ledger.result("k1") is None
    assert ledger.request("k1") is None
    assert not ledger.path.exists()


def test_a_job_is_written_down_before_it_is_sent(ledger):
    sent = write(ledger, session_id="s-1")
    record = ledger.find("k1")
    assert sent == int((NOON + timedelta(seconds=1)).timestamp() * 1_000_000)
    assert (record.key, record.id, record.job_id) == ("k1", "k1", None)
    assert (record.provider, record.account) == ("acme", "default")
    assert record.info == JobInfo(
        id="k1",
        key="k1",
        state=JobState.INITIALIZING,
        backend="one",
        instance=CRN,
        created_at=NOON + timedelta(seconds=1),
        name="first",
        tags=("vqe", "run-7"),
        kind="sample",
        shots=100,
        session_id="s-1",
    )
    assert record.options == {"rep_delay": 2e-4}
    assert (record.attempts, record.num_circuits, record.process_bound) == (1, 1, False)
    assert record.sent_at == record.written_at == record.updated_at == NOON + timedelta(seconds=1)
    assert {record.has_circuits, record.has_result, record.has_calibration} == {False}
    assert events(ledger, "k1") == [("written", None)]
    assert record.events == ()


def test_a_whole_life_stands_in_its_timeline(ledger):
    write(ledger)
    ledger.accepted("k1", JobInfo(id="job-1", state=JobState.QUEUED, queue=QueueInfo(position=3)))
    assert ledger.find("k1").info.queue == QueueInfo(position=3)
    ledger.told("k1", JobInfo(id="job-1", state=JobState.QUEUED))
    ledger.told("k1", JobInfo(id="job-1", state=JobState.RUNNING, started_at=NOON, extra={"priority": 3}))
    ledger.told("k1", JobInfo(id="job-1", state=JobState.DONE, ended_at=NOON, usage=JobUsage(quantum_s=2.5)))
    ledger.put_result("k1", RESULT)
    record = ledger.find("k1", events=True)
    assert [(event.what, event.text) for event in record.events] == [
        ("written", None),
        ("accepted", "job-1"),
        ("state", "running"),
        ("state", "done"),
        ("result", None),
    ]
    assert [event.at for event in record.events] == sorted(event.at for event in record.events)
    assert record.info.state is JobState.DONE
    assert record.info.queue is None
    assert record.info.usage == JobUsage(quantum_s=2.5)
    assert record.info.extra == {"priority": 3}
    assert (record.info.started_at, record.info.ended_at) == (NOON, NOON)
    assert (record.job_id, record.id, record.has_result) == ("job-1", "job-1", True)
    assert ledger.result("k1") == RESULT
    assert [one.key for one in ledger.with_id("job-1")] == ["k1"]
    assert sorted(ledger.ids()) == ["job-1", "k1"]


def test_another_process_reads_the_same(ledger):
    write(ledger)
    ledger.put_result("k1", RESULT, JobInfo(id="job-1", state=JobState.DONE))
    code = (
        "import sys; from qprovider_core.ledger import Ledger; ledger = Ledger(sys.argv[1]); "
        "print(ledger.find('k1').info.state.name, ledger.result('k1').pubs[0].registers[0].data.hex(), "
        "sorted({'qiskit', 'numpy'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code, str(ledger.path)], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["DONE", "0103", "[]"]


def test_what_the_vendor_leaves_out_stays(ledger):
    write(ledger, options={})
    ledger.accepted("k1", JobInfo(id="job-1", state=JobState.QUEUED))
    record = ledger.find("k1")
    assert (record.info.name, record.info.tags, record.info.shots) == ("first", ("vqe", "run-7"), 100)
    assert (record.info.backend, record.info.instance, record.info.kind) == ("one", CRN, "sample")
    assert record.info.started_at is None
    assert record.info.usage is None
    assert record.options == {}


def test_unknown_facts_stay_none(ledger):
    key = ledger.adopt("acme", "default", JobInfo(id="job-9", state=JobState.QUEUED))
    record = ledger.find(key)
    for name in ("started_at", "ended_at", "name", "error", "shots", "backend", "instance", "session_id", "kind"):
        assert getattr(record.info, name) is None
    assert (record.num_circuits, record.sent_at, record.rerun_of, record.note) == (None, None, None, None)
    assert record.attempts == 0


def test_an_end_is_not_taken_back(ledger):
    write(ledger)
    ledger.accepted("k1", JobInfo(id="job-1", state=JobState.DONE))
    ledger.told("k1", JobInfo(id="job-1", state=JobState.RUNNING, name="late"))
    ledger.not_known("k1", "late")
    ledger.failed("k1", TransportError("late"))
    record = ledger.find("k1")
    assert record.info.state is JobState.DONE
    assert record.info.name == "first"
    assert record.info.error is None
    assert ledger.unsettled() == []


def test_one_end_may_be_corrected_by_another(ledger):
    write(ledger)
    ledger.accepted("k1", JobInfo(id="job-1", state=JobState.ERROR, error="no", error_code="1", error_hint="wait"))
    assert ledger.find("k1").info.error_code == "1"
    ledger.told("k1", JobInfo(id="job-1", state=JobState.DONE))
    info = ledger.find("k1").info
    assert info.state is JobState.DONE
    assert (info.error, info.error_code, info.error_hint) == (None, None, None)


def test_an_error_stays_until_the_job_goes_on(ledger):
    write(ledger)
    ledger.told("k1", JobInfo(id="job-1", state=JobState.ERROR, error="too deep", error_code="9"))
    ledger.told("k1", JobInfo(id="job-1", state=JobState.ERROR))
    info = ledger.find("k1").info
    assert (info.error, info.error_code) == ("too deep", "9")
    assert ("state", "error: too deep") in events(ledger, "k1")


def test_a_word_that_nobody_knows_stands_in_the_timeline(ledger):
    write(ledger)
    ledger.told("k1", JobInfo(id="job-1", state=JobState.UNKNOWN, state_text="Paused\x1b[2J"))
    assert ("state", "unknown (Paused�[2J)") in events(ledger, "k1")


def test_an_id_does_not_change_and_a_second_one_is_told(ledger):
    write(ledger)
    ledger.accepted("k1", JobInfo(id="job-1", state=JobState.QUEUED))
    ledger.accepted("k1", JobInfo(id="job-2", state=JobState.DONE))
    record = ledger.find("k1")
    assert (record.job_id, record.info.state) == ("job-1", JobState.QUEUED)
    assert ("state", "the vendor has it a second time, as job-2") in events(ledger, "k1")


def test_the_key_is_never_taken_for_the_vendors_id(ledger):
    write(ledger)
    ledger.told("k1", JobInfo(id="k1", state=JobState.SUBMIT_UNKNOWN, error="no answer"))
    record = ledger.find("k1")
    assert record.job_id is None
    assert [one.key for one in ledger.unsettled()] == ["k1"]


@pytest.mark.parametrize("what", ["failed", "vetoed"])
def test_what_certainly_failed_is_kept_with_its_error(ledger, what):
    write(ledger)
    ledger.failed("k1", TransportError("No connection.", why="The name is not known.", hint="Look."), what)
    record = ledger.find("k1")
    assert record.info.state is JobState.ERROR
    assert record.info.error == "No connection. The name is not known."
    assert record.info.ended_at == record.updated_at
    assert events(ledger, "k1")[-1] == (what, "No connection. The name is not known.")


def test_a_failure_without_words_is_named(ledger):
    write(ledger)
    ledger.failed("k1", KeyError())
    assert ledger.find("k1").info.error == "KeyError"


def test_an_id_that_comes_after_a_failure_was_noted_is_not_lost(ledger):
    write(ledger)
    ledger.failed("k1", TransportError("No connection."))
    ledger.accepted("k1", JobInfo(id="job-1", state=JobState.QUEUED))
    record = ledger.find("k1")
    assert (record.job_id, record.info.state) == ("job-1", JobState.QUEUED)
    assert (record.info.error, record.info.ended_at) == (None, None)


def test_a_submission_of_unknown_fate_is_told_until_it_is_settled(ledger):
    write(ledger)
    write(ledger, "k2")
    ledger.not_known("k2", "No answer in 30 s.")
    ledger.not_known("k1", "No answer in 30 s.")
    assert [record.key for record in ledger.unsettled()] == ["k1", "k2"]
    assert ledger.find("k1").info.state is JobState.SUBMIT_UNKNOWN
    assert ledger.find("k1").info.error == "No answer in 30 s."
    ledger.accepted("k1", JobInfo(id="job-1", state=JobState.QUEUED))
    assert [record.key for record in ledger.unsettled()] == ["k2"]
    assert ledger.find("k1").info.error is None


def test_errors_are_kept_as_long_as_anybody_reads(ledger):
    write(ledger)
    ledger.not_known("k1", "x" * 100_000)
    assert len(ledger.find("k1").info.error) == 4000


def test_texts_without_utf_8_are_kept_as_far_as_they_can(ledger):
    write(ledger, tags=("a\ud800",), name="b\ud800", options={"c\ud800": "d\ud800"})
    ledger.set_note("k1", "e\ud800")
    ledger.not_known("k1", "f\ud800")
    record = ledger.find("k1")
    assert (record.info.tags, record.info.name, record.note, record.info.error) == (("a?",), "b?", "e?", "f?")
    assert [one.key for one in ledger.select(LedgerQuery(tags=["a\ud800"]))] == ["k1"]
    assert ledger.select(LedgerQuery(name="b\ud800"))


@pytest.mark.parametrize(
    "extra",
    [
        {"raw": b"\x00\x01", "nan": float("nan"), "inf": float("inf")},
        {"when": NOON, "pair": (1, 2), "z": 1 + 2j, "huge": 10**400, 3: "number"},
        {"object": object(), "~": "marked"},
    ],
)
def test_whatever_a_vendor_tells_hides_no_job(ledger, extra):
    write(ledger)
    ledger.accepted("k1", JobInfo(id="job-1", state=JobState.DONE, extra=extra))
    kept = ledger.find("k1").info.extra
    assert set(kept) == set(extra)
    for name in {"raw", "when", "pair", "z", "huge", 3, "~"} & set(extra):
        assert kept[name] == extra[name]


def test_very_long_facts_are_left_out_by_name(ledger):
    write(ledger, options={"short": 1, "long": "x" * 50_000, "deep": {"longer": list(range(20_000)), "kept": 2}})
    options = ledger.find("k1").options
    assert options["short"] == 1
    assert options["deep"]["kept"] == 2
    assert options["long"] == "<50002 characters, left out>"
    assert "left out" in options["deep"]["longer"]


# -- sending again is a claim -----------------------------------------------------------------------------


def test_of_two_that_send_again_one_succeeds(ledger):
    sent = write(ledger)
    ledger.not_known("k1", "No answer.")
    again = ledger.sending("k1", sent)
    assert again > sent
    assert ledger.sending("k1", sent) is None
    record = ledger.find("k1")
    assert (record.attempts, record.info.state, record.info.error) == (2, JobState.INITIALIZING, None)
    assert int(record.sent_at.timestamp()) == again // 1_000_000
    assert ledger.sending("k1", again) > again
    assert events(ledger, "k1")[1:] == [("not known", "No answer."), ("sent", "again"), ("sent", "again")]


def test_a_clock_that_was_set_back_makes_no_second_claim(tmp_path):
    ledger = Ledger(tmp_path / "jobs", now=lambda: NOON)
    sent = write(ledger)
    assert ledger.sending("k1", sent) == sent + 1
    assert ledger.sending("k1", sent) is None


def test_what_has_an_id_or_an_end_is_not_sent_again(ledger):
    sent = write(ledger)
    ledger.accepted("k1", JobInfo(id="job-1", state=JobState.QUEUED))
    assert ledger.sending("k1", sent) is None
    sent = write(ledger, "k2")
    ledger.failed("k2", TransportError("No connection."))
    assert ledger.sending("k2", sent) is None
    assert ledger.sending("nowhere", 1) is None


def test_who_does_not_know_does_not_disturb_who_sends_again(ledger):
    sent = write(ledger)
    ledger.not_known("k1", "No answer.", sent=sent)
    again = ledger.sending("k1", sent)
    ledger.not_known("k1", "Still no answer.", sent=sent)
    assert ledger.find("k1").info.state is JobState.INITIALIZING
    ledger.not_known("k1", "No answer again.", sent=again)
    assert ledger.find("k1").info.error == "No answer again."

"""What the ledger keeps beside a job's life: jobs from elsewhere, tags and notes, results, calibrations; how it
forgets, and that it keeps no secrets."""

import os
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qprovider_core.errors import LedgerError
from qprovider_core.ledger import Ledger, LedgerQuery
from qprovider_core.ledger._pack import Packer
from qprovider_core.ledger._requests import PackedRequest
from qprovider_core.records import (
    BackendRef,
    JobInfo,
    JobRequest,
    JobResult,
    JobState,
    RegisterBits,
    SamplePub,
    SamplePubResult,
)
from qprovider_core.secret import MASK, Secret

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


# -- jobs from elsewhere ----------------------------------------------------------------------------------


def test_a_job_that_was_submitted_elsewhere_is_taken_over_once(ledger):
    info = JobInfo(id="job-9", state=JobState.DONE, backend="two", created_at=NOON - timedelta(days=3), tags=("a",))
    key = ledger.adopt("acme", "work", info)
    assert ledger.adopt("acme", "work", info) == key
    record = ledger.find(key, events=True)
    assert (record.job_id, record.account, record.info.backend, record.info.tags) == ("job-9", "work", "two", ("a",))
    assert record.info.created_at == NOON - timedelta(days=3)
    assert record.info.state is JobState.DONE
    assert record.events[0].text == "it was submitted elsewhere"
    assert [one.key for one in ledger.select(LedgerQuery(tags=["a"]))] == [key]
    assert ledger.adopt("other", "work", info) != key


def test_a_submission_that_is_found_by_its_key_gets_its_id(ledger):
    write(ledger)
    assert ledger.adopt("acme", "default", JobInfo(id="job-1", key="k1", state=JobState.RUNNING)) == "k1"
    record = ledger.find("k1")
    assert (record.job_id, record.info.state) == ("job-1", JobState.RUNNING)
    assert events(ledger, "k1")[-1] == ("accepted", "job-1")


def test_a_key_of_another_machine_is_kept(ledger):
    assert ledger.adopt("acme", "default", JobInfo(id="job-1", key="elsewhere", state=JobState.DONE)) == "elsewhere"


def test_a_copied_key_does_not_make_two_jobs_one(ledger):
    write(ledger)
    ledger.accepted("k1", JobInfo(id="job-1", state=JobState.DONE))
    other = ledger.adopt("acme", "default", JobInfo(id="job-2", key="k1", state=JobState.QUEUED))
    assert other != "k1"
    assert ledger.find("k1").job_id == "job-1"
    assert ledger.find(other).job_id == "job-2"
    foreign = ledger.adopt("other", "default", JobInfo(id="job-3", key="k1", state=JobState.QUEUED))
    assert ledger.find(foreign).provider == "other"


def test_an_id_that_two_vendors_share_gives_both(ledger):
    write(ledger)
    write(ledger, "k2", provider="other")
    for key in ("k1", "k2"):
        ledger.accepted(key, JobInfo(id="42", state=JobState.DONE))
    assert [record.key for record in ledger.with_id("42")] == ["k2", "k1"]
    assert [record.key for record in ledger.with_id("42", "acme")] == ["k1"]


# -- what the user says -----------------------------------------------------------------------------------


def test_tags_names_and_notes_are_replaced(ledger):
    write(ledger)
    ledger.set_tags("k1", ["new", "new", "other"])
    ledger.set_name("k1", "second")
    ledger.set_note("k1", "look at this\nagain")
    record = ledger.find("k1")
    assert (record.info.tags, record.info.name) == (("new", "new", "other"), "second")
    assert record.note == "look at this\nagain"
    assert ledger.select(LedgerQuery(tags=["vqe"])) == []
    assert len(ledger.select(LedgerQuery(tags=["new", "other"], name="second"))) == 1
    ledger.set_tags("k1", [])
    ledger.set_name("k1", None)
    ledger.set_note("k1", None)
    record = ledger.find("k1")
    assert (record.info.tags, record.info.name, record.note) == ((), None, None)
    assert [what for what, _ in events(ledger, "k1")] == ["written", *2 * ["tags", "name", "note"]]


def test_tags_that_the_vendor_tells_are_found(ledger):
    write(ledger)
    ledger.told("k1", JobInfo(id="job-1", state=JobState.QUEUED, tags=("theirs",), name="theirs"))
    assert ledger.select(LedgerQuery(tags=["theirs"], name="theirs"))
    assert ledger.select(LedgerQuery(tags=["vqe"])) == []


def test_steps_may_be_added(ledger):
    write(ledger)
    ledger.note_event("k1", "looked for", "the vendor does not know it")
    assert events(ledger, "k1")[-1] == ("looked for", "the vendor does not know it")


@pytest.mark.parametrize(
    "change",
    [
        lambda ledger: ledger.accepted("gone", JobInfo(id="job", state=JobState.QUEUED)),
        lambda ledger: ledger.told("gone", JobInfo(id="job", state=JobState.QUEUED)),
        lambda ledger: ledger.put_result("gone", RESULT),
        lambda ledger: ledger.set_note("gone", "x"),
        lambda ledger: ledger.delete("gone"),
        lambda ledger: ledger.link_calibration("gone", "x"),
    ],
)
def test_a_job_that_is_gone_is_named(ledger, change):
    write(ledger)
    with pytest.raises(LedgerError, match="has no job gone any more") as failed:
        change(ledger)
    assert failed.value.hint
    assert len(ledger.select(LedgerQuery())) == 1


# -- what belongs to a job --------------------------------------------------------------------------------


def test_the_backend_as_it_was_listed_is_kept(ledger):
    write(ledger, backend={"name": "one", "pending_jobs": 7})
    assert ledger.backend("k1") == {"name": "one", "pending_jobs": 7}
    write(ledger, "k2")
    assert ledger.backend("k2") is None


def test_a_calibration_is_kept_once_for_all_its_jobs(ledger):
    for key in ("k1", "k2"):
        write(ledger, key)
    assert ledger.link_calibration("k1", "digest") is False
    assert ledger.find("k1").has_calibration is False
    ledger.put_calibration("k1", "digest", {"qubits": [1, 2]})
    assert ledger.link_calibration("k2", "digest") is True
    assert ledger.calibration("k1") == ledger.calibration("k2") == {"qubits": [1, 2]}
    assert ledger.find("k2").has_calibration
    ledger.delete("k1")
    assert ledger.calibration("k2") == {"qubits": [1, 2]}
    ledger.delete("k2")
    assert ledger.ids() == []
    write(ledger, "k3")
    assert ledger.link_calibration("k3", "digest") is False


def test_a_result_may_be_kept_again(ledger):
    write(ledger)
    ledger.put_result("k1", JobResult(pubs=[SamplePubResult.from_counts({"0": 1})]))
    ledger.put_result("k1", RESULT, JobInfo(id="job-1", state=JobState.DONE))
    assert ledger.result("k1") == RESULT
    assert ledger.find("k1").info.state is JobState.DONE


def test_a_damaged_result_is_told_and_nothing_else_suffers(ledger):
    write(ledger)
    ledger.put_result("k1", RESULT)
    with ledger._file.writing() as db:
        db.execute("UPDATE results SET result = substr(result, 1, 40)")
    with pytest.raises(LedgerError, match="What the ledger keeps of job k1 cannot be read") as failed:
        ledger.result("k1")
    assert failed.value.hint
    assert ledger.find("k1").has_result


# -- forgetting -------------------------------------------------------------------------------------------


def test_old_jobs_that_have_ended_are_forgotten(ledger, clock):
    write(ledger, "old")
    ledger.told("old", JobInfo(id="job-1", state=JobState.DONE))
    ledger.put_result("old", RESULT)
    ledger.put_calibration("old", "digest", {"a": 1})
    write(ledger, "open")
    write(ledger, "lost")
    ledger.not_known("lost", "No answer.")
    clock.now += timedelta(days=10)
    write(ledger, "new")
    ledger.told("new", JobInfo(id="job-2", state=JobState.DONE))
    assert ledger.prune(NOON + timedelta(days=5)) == 1
    assert {record.key for record in ledger.select(LedgerQuery())} == {"open", "lost", "new"}
    assert ledger.select(LedgerQuery(tags=["vqe"], providers=["acme"]))
    with ledger._file.reading() as db:
        for table in ("results", "calibrations"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert ledger.prune(NOON + timedelta(days=5)) == 0


def test_only_what_is_large_may_be_forgotten(ledger):
    ledger.write(request("k1"), packed(circuits=b"x"), provider="acme", account="default", backend={"name": "one"})
    ledger.told("k1", JobInfo(id="job-1", state=JobState.DONE))
    ledger.put_result("k1", RESULT)
    ledger.put_calibration("k1", "digest", {"a": 1})
    assert ledger.find("k1").has_circuits
    assert ledger.prune(NOON + timedelta(days=5), data_only=True) == 1
    record = ledger.find("k1", events=True)
    assert record.info.state is JobState.DONE
    assert {record.has_circuits, record.has_result, record.has_calibration} == {False}
    assert record.events == ()
    assert ledger.backend("k1") is ledger.calibration("k1") is ledger.result("k1") is None
    assert ledger.select(LedgerQuery(tags=["vqe"]))


def test_room_is_given_back(ledger):
    for number in range(20):
        write(ledger, f"k{number}")
        ledger.told(f"k{number}", JobInfo(id=f"job-{number}", state=JobState.DONE))
        big = RegisterBits(name="c", num_bits=8, data=os.urandom(65536))
        ledger.put_result(f"k{number}", JobResult(pubs=[SamplePubResult(shots=65536, registers=[big])]))
    ledger.close()
    before = ledger.path.stat().st_size
    assert ledger.prune(NOON + timedelta(days=1)) == 20
    assert ledger.path.stat().st_size < before / 5
    log = Path(f"{ledger.path}-wal")
    assert not log.exists() or log.stat().st_size < before / 5


def test_a_copy_is_whole_and_another_ledger(ledger, tmp_path):
    write(ledger)
    ledger.put_result("k1", RESULT)
    copy = ledger.copy_to(tmp_path / "copy.sqlite3")
    write(ledger, "k2")
    other = Ledger(copy)
    assert other.result("k1") == RESULT
    assert other.find("k2") is None
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


def test_a_copy_replaces_nothing(ledger, tmp_path):
    with pytest.raises(LedgerError, match="There is no ledger"):
        ledger.copy_to(tmp_path / "copy.sqlite3")
    assert not (tmp_path / "copy.sqlite3").exists()
    write(ledger)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(LedgerError, match="mine exists"):
        ledger.copy_to(tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"
    with pytest.raises(LedgerError, match="cannot be written: No such file"):
        ledger.copy_to(tmp_path / "nowhere" / "copy")
    assert ledger.find("k1")


# -- secrets and modes ------------------------------------------------------------------------------------


def test_no_secret_stands_in_the_file(ledger):
    token = f"token-{uuid.uuid4().hex}"
    quoted = f'"quo\\ted-{uuid.uuid4().hex}é'
    secrets = [Secret(token), Secret(quoted)]
    for number, text in enumerate((token, quoted)):
        key = f"k{number}"
        made = request(
            key, options={"a": secrets[number], "b": [f"Bearer {text}"]}, tags=(f"x{text}",), name=text, session_id=text
        )
        data = Packer().pack({"options": made.options})
        ledger.write(
            made,
            packed(request=data, left_out=f"because of {text}"),
            provider="acme",
            account="default",
            backend={"description": text},
        )
        ledger.set_note(key, text)
        ledger.note_event(key, "looked for", text)
        ledger.not_known(key, text)
        ledger.set_tags(key, [text, "plain"])
        ledger.told(
            key,
            JobInfo(id=f"job-{key}", state=JobState.UNKNOWN, state_text=text, error=text, error_hint=text, name=text,
                    extra={"header": f"apikey {text}", "raw": (text,)}),
        )  # fmt: skip
        ledger.put_result(key, JobResult(pubs=[SamplePubResult.from_counts({"0": 1})], metadata={"by": text}))
        ledger.put_calibration(key, f"digest {number}", {"by": text})
        assert ledger.find(key).options == {"a": MASK, "b": [f"Bearer {MASK}"]}
        assert key in [record.key for record in ledger.select(LedgerQuery(tags=[text]))]
        assert ledger.result(key).metadata == {"by": MASK}
    files = list(ledger.path.parent.iterdir())
    assert {path.name for path in files} >= {"jobs.sqlite3", "jobs.sqlite3-wal"}
    written = b"".join(path.read_bytes() for path in files)
    for text in (token, quoted):
        assert text.encode() not in written
        assert text[6:].encode() not in written


def test_what_is_kept_is_for_this_user_alone(ledger, monkeypatch):
    write(ledger)
    ledger.copy_to(ledger.path.parent / "copy")
    assert ledger.path.parent.stat().st_mode & 0o777 == 0o700
    found = {path.name: path.stat().st_mode & 0o777 for path in ledger.path.parent.iterdir()}
    assert found.pop("jobs.sqlite3-wal") == 0o600
    assert found.pop("jobs.sqlite3-shm") == 0o600
    assert set(found.values()) == {0o600}

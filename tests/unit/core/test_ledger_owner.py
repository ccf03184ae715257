"""Jobs of processes that have ended: real ones, that were killed, end, or are not reaped by anybody."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from qprovider_core.ledger import PROCESS_ENDED, Ledger, LedgerQuery, _owner
from qprovider_core.records import JobInfo, JobState, JobUsage

WRITER = """
import sys, time
from qprovider_core.ledger import Ledger
from qprovider_core.ledger._pack import Packer
from qprovider_core.ledger._requests import PackedRequest
from qprovider_core.records import BackendRef, JobInfo, JobRequest, JobState, JobUsage, SamplePub

ledger = Ledger(sys.argv[1])

def write(key, **more):
    request = JobRequest(backend=BackendRef(name="one"), pubs=[SamplePub(circuit=None, shots=1)], key=key)
    packed = PackedRequest(request=Packer().pack({}), circuits=None, num_circuits=1)
    return ledger.write(request, packed, provider="acme", account="default", **more)

write("sending")
write("sent")
ledger.accepted("sent", JobInfo(id="job-1", state=JobState.QUEUED))
write("unknown")
ledger.not_known("unknown", "No answer.")
write("here", process_bound=True)
ledger.accepted("here", JobInfo(id="local-1", state=JobState.RUNNING, usage=JobUsage(estimated_s=3.0)))
write("here unknown", process_bound=True)
ledger.not_known("here unknown", "No answer.")
write("done", process_bound=True)
ledger.accepted("done", JobInfo(id="local-2", state=JobState.DONE))
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path / "jobs")


@pytest.fixture
def writer(ledger):
    """Another process that has written some jobs, and is in the middle of them."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(ledger.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def states(ledger: Ledger) -> dict[str, JobState]:
    return {record.key: record.info.state for record in ledger.select(LedgerQuery())}


BEFORE = {
    "sending": JobState.INITIALIZING, "sent": JobState.QUEUED, "unknown": JobState.SUBMIT_UNKNOWN,
    "here": JobState.RUNNING, "here unknown": JobState.SUBMIT_UNKNOWN, "done": JobState.DONE,
}  # fmt: skip
AFTER = {
    "sending": JobState.SUBMIT_UNKNOWN, "sent": JobState.QUEUED, "unknown": JobState.SUBMIT_UNKNOWN,
    "here": JobState.ERROR, "here unknown": JobState.ERROR, "done": JobState.DONE,
}  # fmt: skip


def test_jobs_of_a_process_that_was_killed_are_told_as_such(ledger, writer):
    assert states(ledger) == BEFORE
    assert [record.key for record in ledger.unsettled()] == ["unknown", "here unknown"]
    writer.kill()
    writer.wait()
    assert states(ledger) == AFTER
    info = ledger.find("here").info
    assert info.error == "The process that ran it ended before it did."
    assert info.error_code == PROCESS_ENDED == "process_ended"
    assert "rerun" in info.error_hint
    assert info.usage == JobUsage(estimated_s=3.0)
    assert info.ended_at is not None
    record = ledger.find("sending", events=True)
    assert record.info.error == "The process that sent it ended before it was answered."
    assert [event.what for event in record.events] == ["written", "not known"]
    assert [record.key for record in ledger.unsettled()] == ["sending", "unknown"]
    assert len(ledger.find("here", events=True).events) == 3
    ledger.bury()
    assert len(ledger.find("here", events=True).events) == 3


def test_a_process_that_nobody_has_reaped_is_no_living_one(ledger, writer):
    os.kill(writer.pid, signal.SIGKILL)
    os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert states(ledger) == AFTER


def test_a_stopped_process_is_a_living_one(ledger, writer):
    os.kill(writer.pid, signal.SIGSTOP)
    assert states(ledger) == BEFORE
    os.kill(writer.pid, signal.SIGCONT)


def test_a_submission_that_another_process_takes_up_is_its_own(ledger, writer):
    sent = ledger.find("unknown").sent_at
    writer.kill()
    writer.wait()
    assert ledger.sending("unknown", int((sent - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)))
    assert states(ledger)["unknown"] is JobState.INITIALIZING


def test_what_is_settled_while_it_is_looked_at_stays(ledger, writer, monkeypatch):
    writer.kill()
    writer.wait()
    other = Ledger(ledger.path)

    def settled_meanwhile(owner: str) -> bool:
        monkeypatch.undo()
        other.told("here", JobInfo(id="local-1", state=JobState.DONE))
        other.accepted("sending", JobInfo(id="job-2", state=JobState.QUEUED))
        return False

    monkeypatch.setattr(_owner, "is_alive", settled_meanwhile)
    found = states(ledger)
    assert (found["here"], found["sending"]) == (JobState.DONE, JobState.QUEUED)


def own(ledger: Ledger, owner: str | None) -> None:
    with ledger._file.writing() as db:
        db.execute("UPDATE jobs SET owner = ?", (owner,))


@pytest.mark.parametrize(
    "owner",
    [
        "another/00000000/1 77 123",
        lambda: _owner.me().replace(_owner._machine().split("/")[0], "elsewhere", 1),
        lambda: _owner.me().replace("/" + _owner._machine().split("/")[2] + " ", "/999 ", 1),
    ],
    ids=["another machine", "another name", "another container"],
)
def test_jobs_of_another_machine_are_left_alone_for_a_day(ledger, writer, owner):
    own(ledger, owner if isinstance(owner, str) else owner())
    assert states(ledger) == BEFORE
    ledger._now = lambda: datetime.now(UTC) + timedelta(hours=23)
    assert states(ledger) == BEFORE
    ledger._now = lambda: datetime.now(UTC) + timedelta(hours=25)
    assert states(ledger) == AFTER


def test_a_day_counts_from_when_a_job_was_last_sent(ledger, writer):
    own(ledger, "another/00000000/1 77 123")
    with ledger._file.writing() as db:
        db.execute("UPDATE jobs SET written = written - 10 * 86400 * 1000000")
    assert states(ledger) == BEFORE


@pytest.mark.parametrize(
    "owner",
    [
        lambda: _owner.me().replace("/" + _owner._machine().split("/")[1] + "/", "/00000000/", 1),
        lambda: f"{_owner._machine()} {os.getpid()} 1",
        lambda: f"{_owner._machine()} {2**22 + 5} 1",
        lambda: f"{_owner._machine()} {10**30} 1",
        lambda: "",
        lambda: "garbage",
        lambda: None,
    ],
    ids=["before a restart", "a number that came again", "no such number", "no number", "empty", "garbage", "none"],
)
def test_what_cannot_run_any_more_has_ended(ledger, writer, owner):
    own(ledger, owner())
    assert states(ledger) == AFTER


def test_own_jobs_live_even_where_the_system_tells_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(_owner, "_PROC", tmp_path / "nothing")
    monkeypatch.setattr(sys, "platform", "win32")
    _owner._text.cache_clear()
    _owner._machine.cache_clear()
    try:
        assert _owner.is_alive(_owner.me()) is True
        assert _owner.is_alive(f"{_owner._machine()} 1 ") is None
    finally:
        monkeypatch.undo()
        _owner._text.cache_clear()
        _owner._machine.cache_clear()


def test_without_a_table_of_processes_their_list_is_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(_owner, "_PROC", tmp_path / "nothing")
    own_start = _owner._began(os.getpid())
    assert own_start is not None
    assert own_start.count("_") == 4
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = f"{_owner._machine()} {process.pid} {_owner._began(process.pid)}"
    assert _owner.is_alive(owner) is True
    assert _owner.is_alive(owner.replace("_20", "_19")) is False
    process.communicate(b"\n")
    assert _owner.is_alive(owner) is False
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _owner._began(os.getpid()) is None


def test_a_process_that_may_not_be_seen_is_a_living_one(monkeypatch, tmp_path):
    table = tmp_path / "proc"
    table.mkdir()
    owner = f"{_owner._machine()} {os.getppid()} 12345"
    assert _owner.is_alive(owner) is False
    monkeypatch.setattr(_owner, "_PROC", table)
    assert _owner.is_alive(owner) is True


def test_a_forked_process_is_another_owner(ledger):
    parent = _owner.me()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, _owner.me().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    child = os.read(read, 1000).decode()
    assert child.split()[1] == str(pid)
    assert child != parent == _owner.me()
    assert _owner.is_alive(child) is False

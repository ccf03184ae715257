"""One ledger and many at once: processes that write, fork or are killed, and threads. Nothing is lost or half there."""

import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from qprovider_core.ledger import Ledger, LedgerQuery, ledger_in_use, use_ledger
from qprovider_core.ledger._pack import Packer
from qprovider_core.ledger._requests import PackedRequest
from qprovider_core.records import BackendRef, JobInfo, JobRequest, JobResult, JobState, SamplePub, SamplePubResult

pytestmark = pytest.mark.slow

PROCESSES, SUBMISSIONS, THREADS, KILLS = 16, 32, 20, 40
RESULT = JobResult(pubs=[SamplePubResult.from_counts({"0": 1})])

PREAMBLE = """
import sys
from qprovider_core.ledger import Ledger
from qprovider_core.ledger._pack import Packer
from qprovider_core.ledger._requests import PackedRequest
from qprovider_core.records import *

ledger = Ledger(sys.argv[1])
who = sys.argv[2]
result = JobResult(pubs=[SamplePubResult.from_counts({"0": 1})])

def write(key, ledger=ledger):
    pubs = [SamplePub(circuit=None, shots=1)]
    request = JobRequest(backend=BackendRef(name="one"), pubs=pubs, key=key, tags=("a", "b"))
    packed = PackedRequest(request=Packer().pack({"x": "y" * 500}), circuits=b"c" * 6000, num_circuits=1)
    return ledger.write(request, packed, provider="acme", account="default")

def live(key, ledger=ledger):
    write(key, ledger)
    ledger.accepted(key, JobInfo(id="job-" + key, state=JobState.QUEUED))
    ledger.told(key, JobInfo(id="job-" + key, state=JobState.RUNNING))
    ledger.put_result(key, result, JobInfo(id="job-" + key, state=JobState.DONE))

print("ready", flush=True)
sys.stdin.readline()
"""  # fmt: skip
SUBMIT = PREAMBLE + f"""
for number in range({SUBMISSIONS}):
    live(f"{{who}}-{{number}}")
    if number % 8 == 0:
        assert ledger.find(f"{{who}}-{{number}}", events=True).events
"""  # fmt: skip
CLAIM = PREAMBLE + """
from qprovider_core.ledger._rows import micros
for number in range(20):
    print(number if ledger.sending(f"shared-{number}", int(sys.argv[3])) else "-", flush=True)
"""  # fmt: skip
WRITE_FOR_EVER = PREAMBLE + """
number = 0
while True:
    write(f"{who}-{number}")
    print(number, flush=True)
    ledger.put_result(f"{who}-{number}", result, JobInfo(id=f"job-{who}-{number}", state=JobState.DONE))
    number += 1
"""  # fmt: skip


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path / "jobs.sqlite3")


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def together(processes: list[subprocess.Popen[str]]) -> list[tuple[str, str]]:
    """Let all go on at once, and what each said."""
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.communicate()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate() for process in processes]


def write(ledger: Ledger, key: str) -> int:
    request = JobRequest(backend=BackendRef(name="one"), pubs=[SamplePub(circuit=None, shots=1)], key=key)
    packed = PackedRequest(request=Packer().pack({}), circuits=b"c", num_circuits=1)
    return ledger.write(request, packed, provider="acme", account="default")


def check(path: Path) -> None:
    """The file is whole, and each job has all that belongs to it."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT count(*) FROM jobs WHERE seq NOT IN (SELECT seq FROM requests)").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM jobs WHERE seq NOT IN (SELECT seq FROM events)").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM requests WHERE seq NOT IN (SELECT seq FROM jobs)").fetchone() == (0,)
        half = (
            "SELECT count(*) FROM jobs j WHERE (state = 'done') <> EXISTS (SELECT 1 FROM results r WHERE r.seq = j.seq)"
        )
        assert db.execute(half).fetchone() == (0,)


def test_sixteen_processes_submit_to_one_fresh_ledger(ledger):
    told = together([start(SUBMIT, ledger.path, who) for who in range(PROCESSES)])
    assert told == [("", "")] * PROCESSES
    found = ledger.select(LedgerQuery())
    assert {record.key for record in found} == {f"{w}-{n}" for w in range(PROCESSES) for n in range(SUBMISSIONS)}
    assert {record.info.state for record in found} == {JobState.DONE}
    assert all(record.has_result and record.has_circuits for record in found)
    whole = ["written", "accepted", "state", "result"]
    assert [event.what for event in ledger.find("3-7", events=True).events] == whole
    assert len(ledger.select(LedgerQuery(tags=["a", "b"]))) == PROCESSES * SUBMISSIONS
    check(ledger.path)


def test_of_many_processes_one_sends_each_job_again(ledger):
    ledger._now = lambda: datetime(2026, 3, 1, tzinfo=UTC)
    for number in range(20):
        sent = write(ledger, f"shared-{number}")
    told = together([start(CLAIM, ledger.path, who, sent) for who in range(8)])
    assert [error for _, error in told] == [""] * 8
    claimed = Counter(word for said, _ in told for word in said.split() if word != "-")
    assert claimed == Counter({str(number): 1 for number in range(20)})
    assert {record.attempts for record in ledger.select(LedgerQuery())} == {2}


def test_a_writing_process_is_killed_again_and_again(ledger):
    draw = random.Random(11)
    promised: set[str] = set()
    for kill in range(KILLS):
        process = start(WRITE_FOR_EVER, ledger.path, kill)
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(draw.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        said, error = process.communicate()
        assert error == ""
        promised |= {f"{kill}-{number}" for number in said.split("\n")[:-1]}
        if kill % 8 == 7:
            check(ledger.path)
    found = {record.key: record for record in ledger.select(LedgerQuery())}
    assert promised <= set(found)
    assert len(promised) > KILLS
    assert {record.info.state for record in found.values()} <= {JobState.DONE, JobState.SUBMIT_UNKNOWN}
    for record in found.values():
        assert record.has_circuits
        assert record.has_result == (record.info.state is JobState.DONE)
    check(ledger.path)


def test_processes_are_killed_while_they_begin_one_ledger(tmp_path):
    draw = random.Random(5)
    for turn in range(10):
        path = tmp_path / f"jobs-{turn}"
        processes = [start(WRITE_FOR_EVER, path, who) for who in range(3)]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        time.sleep(draw.random() * 0.02)
        for process in processes:
            process.kill()
        promised = {
            f"{who}-{number}" for who, one in enumerate(processes) for number in one.communicate()[0].split("\n")[:-1]
        }
        ledger = Ledger(path)
        write(ledger, "mine")
        assert promised <= set(ledger.ids())
        check(path)


# -- forks ------------------------------------------------------------------------------------------------


def child(work) -> int:
    """Do it in a fork of this process, which ends as usual. Returns its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_parent_and_child_go_on_after_a_fork(ledger):
    write(ledger, "before")

    def work() -> None:
        for number in range(50):
            write(ledger, f"child-{number}")
        assert "before" in ledger.ids()

    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    for number in range(50):
        write(ledger, f"parent-{number}")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    wanted = {"before"} | {f"{who}-{number}" for who in ("child", "parent") for number in range(50)}
    assert set(ledger.ids()) == wanted
    check(ledger.path)


def test_what_a_child_writes_stays_when_the_parent_lets_go(ledger):
    write(ledger, "before")
    read, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            write(ledger, "child-1")
            os.read(read, 1)  # until the parent has closed the file, as the last that knows of it
            write(ledger, "child-2")
            os._exit(0)
        finally:
            os._exit(1)
    write(ledger, "parent")
    ledger.close()
    os.write(done, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert set(ledger.ids()) == {"before", "child-1", "child-2", "parent"}
    check(ledger.path)


def test_a_fork_waits_for_threads_that_are_writing(ledger):
    stop = threading.Event()
    count = [0, 0]

    def work(who: int) -> None:
        while not stop.is_set():
            write(ledger, f"thread-{who}-{count[who]}")
            count[who] += 1

    threads = [threading.Thread(target=work, args=(who,)) for who in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(20):
            assert child(lambda number=number: write(ledger, f"child-{number}")) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    found = set(ledger.ids())
    assert {f"child-{number}" for number in range(20)} <= found
    assert {f"thread-{who}-{number}" for who in range(2) for number in range(count[who])} <= found
    check(ledger.path)


def test_a_child_ends_as_usual_without_having_touched_the_ledger(ledger):
    code = PREAMBLE + (
        "import os\nwrite('before')\npid = os.fork()\n"
        "if pid == 0: sys.exit(0)\n"
        "os.waitpid(pid, 0)\nwrite('after')\nprint(*ledger.ids())"
    )
    assert together([start(code, ledger.path, "x")]) == [("after before\n", "")]
    check(ledger.path)


def _pooled(number: int) -> str:
    write(ledger_in_use(), f"pool-{number}")
    return ledger_in_use().find(f"pool-{number}").key


@pytest.mark.parametrize("method", ["fork"])
def test_a_pool_of_processes_shares_the_ledger_in_use(tmp_path, method):
    ledger = use_ledger(tmp_path / "jobs")
    try:
        write(ledger, "before")
        with multiprocessing.get_context(method).Pool(4) as pool:
            assert pool.map(_pooled, range(40)) == [f"pool-{number}" for number in range(40)]
        assert len(ledger.ids()) == 41
        check(ledger.path)
    finally:
        use_ledger(None)


# -- threads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False], ids=["one handle", "a handle each"])
def test_twenty_threads_use_one_ledger(ledger, shared):
    failures: list[BaseException] = []
    barrier = threading.Barrier(THREADS)

    def work(who: int) -> None:
        mine = ledger if shared else Ledger(ledger.path)
        try:
            barrier.wait()
            for number in range(10):
                key = f"{who}-{number}"
                write(mine, key)
                mine.accepted(key, JobInfo(id=f"job-{key}", state=JobState.QUEUED))
                mine.put_result(key, RESULT, JobInfo(id=f"job-{key}", state=JobState.DONE))
                assert mine.result(key) == RESULT
                assert mine.select(LedgerQuery(limit=3))
        except BaseException as exc:
            failures.append(exc)
        finally:
            mine.close()

    threads = [threading.Thread(target=work, args=(who,)) for who in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(ledger.select(LedgerQuery(states=[JobState.DONE]))) == THREADS * 10
    check(ledger.path)


def test_jobs_are_listed_and_forgotten_while_others_write(ledger):
    writer = start(WRITE_FOR_EVER, ledger.path, "w")
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("\n")
    writer.stdin.flush()
    assert writer.stdout.readline() == "0\n"

    for turn in range(10):
        ledger.select(LedgerQuery())
        ledger.prune(datetime.now(UTC))
        copy = ledger.copy_to(ledger.path.with_name(f"copy-{turn}"))
        with closing(sqlite3.connect(copy)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert writer.poll() is None
    writer.kill()
    assert writer.communicate()[1] == ""
    check(ledger.path)

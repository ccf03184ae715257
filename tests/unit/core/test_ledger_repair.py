"""A damaged ledger: what can be read of it is saved into a new one, and the damaged one is kept."""

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from qprovider_core.errors import LedgerError
from qprovider_core.ledger import Ledger, LedgerQuery
from qprovider_core.ledger._file import LedgerFile
from qprovider_core.ledger._pack import Packer
from qprovider_core.ledger._requests import PackedRequest
from qprovider_core.records import BackendRef, JobInfo, JobRequest, JobResult, JobState, SamplePub, SamplePubResult

pytestmark = pytest.mark.slow  # left to `make check`

JOBS = 500
RESULT = JobResult(pubs=[SamplePubResult.from_counts({"0": 3, "1": 5})])


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    made = Ledger(tmp_path / "jobs.sqlite3")
    packed = PackedRequest(request=Packer().pack({"a": "x" * 300}), circuits=os.urandom(200), num_circuits=1)
    for number in range(JOBS):
        request = JobRequest(
            backend=BackendRef(name=f"device-{number % 3}"),
            pubs=[SamplePub(circuit=None, shots=1)],
            key=f"key-{number}",
            tags=("all", f"tag-{number}"),
        )
        made.write(request, packed, provider="acme", account="default", process_bound=True)
        made.accepted(f"key-{number}", JobInfo(id=f"job-{number}", state=JobState.DONE))
        if number % 2:
            made.put_result(f"key-{number}", RESULT)
    made.close()
    return made


def numbers(ledger: Ledger) -> set[int]:
    return {int(record.key.removeprefix("key-")) for record in ledger.select(LedgerQuery())}


def check(ledger: Ledger, saved: int) -> None:
    """It is a whole ledger of that many jobs, with which one can go on."""
    with ledger._file.reading() as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        for table in ("events", "requests", "results", "tags"):
            assert db.execute(f"SELECT count(*) FROM {table} WHERE seq NOT IN (SELECT seq FROM jobs)").fetchone() == (
                0,
            )
    assert len({record.key for record in ledger.select(LedgerQuery())}) == saved
    request = JobRequest(backend=BackendRef(name="new"), pubs=[SamplePub(circuit=None, shots=1)], key="key-9999")
    packed = PackedRequest(request=Packer().pack({}), circuits=None, num_circuits=1)
    ledger.write(request, packed, provider="acme", account="default")
    ledger.put_result("key-9999", RESULT)
    assert ledger.path.stat().st_mode & 0o777 == 0o600
    assert not list(ledger.path.parent.glob("*rebuilt*"))


def overwrite(path: Path, pages: list[int], noise: bytes | None = None) -> None:
    with open(path, "r+b") as file:
        for page in pages:
            file.seek(page * 4096)
            file.write(noise or os.urandom(4096))


def test_what_is_whole_is_saved_whole(ledger):
    before = [ledger.find(f"key-{number}", events=True) for number in range(0, JOBS, 50)]
    ledger.close()
    content = ledger.path.read_bytes()
    kept, saved = ledger.repair()
    assert saved == JOBS
    assert kept.read_bytes() == content
    assert kept.name.startswith("jobs.sqlite3.replaced-")
    assert [ledger.find(f"key-{number}", events=True) for number in range(0, JOBS, 50)] == before
    assert ledger.result("key-1") == RESULT
    assert ledger.result("key-2") is None
    assert {record.key for record in ledger.select(LedgerQuery(tags=["all", "tag-7"]))} == {"key-7"}
    check(ledger, JOBS)


def test_what_stands_in_the_log_alone_is_saved(ledger):
    ledger.set_note("key-3", "in the log")
    _, saved = ledger.repair()
    assert saved == JOBS
    assert ledger.find("key-3").note == "in the log"


def leaves(path: Path, table: str) -> list[int]:
    """The numbers of the pages, from 0, that hold rows of a table."""
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    found, ahead = [], [root]
    while ahead:
        page = content[(ahead[0] - 1) * 4096 : ahead[0] * 4096]
        if page[0] in (0x05, 0x02):
            cells = int.from_bytes(page[3:5], "big")
            places = [int.from_bytes(page[12 + 2 * n : 14 + 2 * n], "big") for n in range(cells)]
            ahead += [int.from_bytes(page[place : place + 4], "big") for place in places]
            ahead.append(int.from_bytes(page[8:12], "big"))
        else:
            found.append(ahead[0] - 1)
        ahead.pop(0)
    return found


@pytest.mark.parametrize(
    "noise", [None, b"\x00" * 4096, b"\x0d\x00\x00\xff\xff" + b"\xff" * 4091], ids=["noise", "zeros", "cells"]
)
def test_pages_in_the_middle_cost_their_own_jobs_alone(ledger, noise):
    pages = leaves(ledger.path, "jobs")
    assert len(pages) > 15
    hurt = pages[len(pages) // 2 : len(pages) // 2 + 2]
    overwrite(ledger.path, hurt, noise)
    with pytest.raises(LedgerError, match="is damaged"):
        [ledger.find(f"key-{number}") for number in range(JOBS)]
    kept, saved = ledger.repair()
    a_page = JOBS / len(pages)
    assert JOBS - 6 * a_page <= saved < JOBS
    assert kept.exists()
    found = numbers(ledger)
    assert {0, JOBS - 1} <= found
    whole = [number for number in sorted(found) if number % 2]
    assert all(ledger.result(f"key-{number}") == RESULT for number in whole)
    check(ledger, saved)


def test_lost_places_cost_no_job(ledger):
    overwrite(ledger.path, leaves(ledger.path, "places"))
    with pytest.raises(LedgerError, match="is damaged"):
        ledger.select(LedgerQuery())
    _, saved = ledger.repair()
    assert saved == JOBS
    assert ledger.find("key-1").provider == "unknown"
    assert ledger.result("key-1") == RESULT
    check(ledger, JOBS)


@pytest.mark.parametrize("table", ["events", "requests", "results", "tags", "jobs_listed", "sqlite_autoindex_jobs_1"])
def test_what_else_is_damaged_costs_no_job(ledger, table):
    pages = leaves(ledger.path, table)
    overwrite(ledger.path, pages[len(pages) // 3 : len(pages) // 3 + 2])
    _, saved = ledger.repair()
    assert saved == JOBS
    assert len(ledger.select(LedgerQuery(tags=["all"]))) == JOBS
    check(ledger, JOBS)


def test_a_file_that_was_cut_off_gives_what_is_left(ledger):
    os.truncate(ledger.path, ledger.path.stat().st_size // 2)
    _, saved = ledger.repair()
    assert saved > 0
    check(ledger, saved)


@pytest.mark.parametrize("seed", range(12))
def test_any_damage_leaves_a_whole_ledger(ledger, seed):
    draw = random.Random(seed)
    size = ledger.path.stat().st_size // 4096
    content = bytearray(ledger.path.read_bytes())
    for _ in range(draw.randint(1, 40)):
        at, length = draw.randrange(4096, len(content)), draw.choice([1, 8, 300, 4096])
        content[at : at + length] = draw.randbytes(min(length, len(content) - at))
    ledger.path.write_bytes(bytes(content[: 4096 * draw.choice([size, size, size - 3])]))
    _, saved = ledger.repair()
    check(ledger, saved)


def test_a_file_of_other_bytes_gives_an_empty_ledger_and_is_kept(tmp_path):
    (tmp_path / "jobs").write_bytes(b"no ledger\n" * 1000)
    ledger = Ledger(tmp_path / "jobs")
    kept, saved = ledger.repair()
    assert saved == 0
    assert kept.read_bytes() == b"no ledger\n" * 1000
    assert ledger.ids() == []
    check(ledger, 0)


def test_nothing_to_repair_is_told(tmp_path):
    with pytest.raises(LedgerError, match="There is no ledger"):
        Ledger(tmp_path / "jobs").repair()
    assert list(tmp_path.iterdir()) == []


def test_a_repair_that_fails_leaves_all_as_it_was(ledger, monkeypatch):
    before = ledger.path.read_bytes()

    def full(self: LedgerFile) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LedgerFile, "_make", full)
    with pytest.raises(LedgerError, match="The disk is full"):
        ledger.repair()
    monkeypatch.undo()
    assert ledger.path.read_bytes() == before
    assert not list(ledger.path.parent.glob("*rebuilt*"))
    assert len(numbers(ledger)) == JOBS


def test_of_two_repairs_one_waits_for_the_other(ledger):
    with FileLock(f"{ledger.path}.repair"), pytest.raises(LedgerError, match="Another process is repairing"):
        ledger.repair()
    assert ledger.repair()[1] == JOBS


def test_other_processes_go_on_with_the_new_file(ledger):
    code = (
        "import sys; from qprovider_core.ledger import Ledger; ledger = Ledger(sys.argv[1]); ledger.ids()\n"
        "print('ready', flush=True); sys.stdin.readline(); ledger.set_note('key-5', 'from elsewhere')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(ledger.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    ledger.repair()
    process.communicate("\n")
    assert process.returncode == 0
    assert ledger.find("key-5").note == "from elsewhere"

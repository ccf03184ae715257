"""Where the ledger cannot be used it says what is wrong, why and how to go on, and leaves the file as it was."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import pytest

from qprovider_core.errors import LedgerError
from qprovider_core.ledger import Ledger, LedgerQuery, _schema
from qprovider_core.ledger._file import LedgerFile
from qprovider_core.records import JobInfo, JobState

GO_ON = "To go on without it set QPROVIDER_LEDGER=off, or use --no-ledger."
NOTE = JobInfo(id="job-0", state=JobState.DONE)


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    """One with some jobs, closed."""
    made = Ledger(tmp_path / "jobs.sqlite3")
    for number in range(400):
        made.adopt("acme", "default", JobInfo(id=f"job-{number}", state=JobState.QUEUED, name="x" * 200))
    made.close()
    return made


def impatient(ledger: Ledger) -> Ledger:
    made = Ledger(ledger.path)
    made._file = LedgerFile(ledger.path, locked_s=0.2)
    return made


def reads(ledger: Ledger) -> None:
    ledger.select(LedgerQuery())


def writes(ledger: Ledger) -> None:
    ledger.adopt("acme", "default", JobInfo(id="new", state=JobState.QUEUED))


def refused(work, ledger: Ledger, match: str) -> LedgerError:
    with pytest.raises(LedgerError, match=match) as failed:
        work(ledger)
    assert failed.value.path == str(ledger.path)
    assert GO_ON in failed.value.hint
    assert str(ledger.path) in failed.value.what
    return failed.value


EACH = pytest.mark.parametrize("work", [reads, writes])


# -- files of another kind --------------------------------------------------------------------------------


@EACH
def test_a_ledger_of_a_newer_version_is_left_as_it_is(ledger, work):
    with closing(sqlite3.connect(ledger.path)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("ALTER TABLE jobs ADD COLUMN from_the_future TEXT")
    before = ledger.path.read_bytes()
    error = refused(work, ledger, "was written by a newer version of qprovider")
    assert error.why == f"It is of schema 99; this version knows {len(_schema.STEPS)}."
    assert "Upgrade" in error.hint
    assert ledger.path.read_bytes() == before


@EACH
def test_a_ledger_that_another_process_brings_up_meanwhile_is_noticed(ledger, work):
    reads(ledger)
    with closing(sqlite3.connect(ledger.path)) as db:
        db.execute("PRAGMA user_version = 2")
    refused(work, ledger, "was written by a newer version")


@EACH
def test_a_file_of_another_application_is_left_as_it_is(tmp_path, work):
    path = tmp_path / "cookies.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE cookies (name TEXT)")
        db.commit()
    before = path.read_bytes()
    refused(work, Ledger(path), "is a SQLite file, but not a ledger of jobs")
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["cookies.sqlite3"]


@pytest.mark.parametrize("statement", ["PRAGMA user_version = 1", "PRAGMA application_id = 7"])
def test_an_empty_file_that_is_marked_as_another_ones_is_left_as_it_is(tmp_path, statement):
    with closing(sqlite3.connect(tmp_path / "other")) as db:
        db.execute(statement)
    refused(writes, Ledger(tmp_path / "other"), "not a ledger of jobs")


def test_an_empty_file_becomes_a_ledger(tmp_path):
    (tmp_path / "jobs").touch(mode=0o600)
    ledger = Ledger(tmp_path / "jobs")
    assert ledger.ids() == []
    writes(ledger)
    assert "new" in ledger.ids()


@EACH
@pytest.mark.parametrize("content", [b"hello\n", b"\x00" * 5000, b"SQLite format 2\0" + b"x" * 5000], ids=len)
def test_a_file_of_other_bytes_is_left_as_it_is_and_copied(tmp_path, work, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    error = refused(work, Ledger(path), "is damaged, or no ledger: file is not a database")
    assert path.read_bytes() == content
    assert Path(error.copy).read_bytes() == content
    assert Path(error.copy).stat().st_mode & 0o777 == 0o600
    assert error.copy in error.why
    assert "repair" in error.hint


@EACH
def test_what_is_no_file_is_told(tmp_path, work):
    with pytest.raises(LedgerError) as failed:
        work(Ledger(tmp_path))
    assert GO_ON in failed.value.hint
    with pytest.raises(LedgerError, match="it is no file"):
        writes(Ledger("/dev/null"))


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    error = refused(writes, Ledger(tmp_path / "file" / "jobs"), "cannot be used")
    assert "Check that the file and its folder may be written" in error.hint


# -- damage -----------------------------------------------------------------------------------------------


def overwrite(path: Path, pages: range) -> bytes:
    """Noise over some pages, in the middle of the file."""
    with open(path, "r+b") as file:
        for page in pages:
            file.seek(page * 4096)
            file.write(os.urandom(4096))
    return path.read_bytes()


def test_damaged_pages_are_told_and_copied_once(ledger):
    before = overwrite(ledger.path, range(2, ledger.path.stat().st_size // 4096))
    error = refused(reads, ledger, "is damaged, or no ledger: database disk image is malformed")
    assert ledger.path.read_bytes() == before
    assert Path(error.copy).read_bytes() == before
    assert refused(reads, ledger, "is damaged").copy == error.copy
    refused(writes, ledger, "is damaged")
    assert len(list(ledger.path.parent.glob("*.damaged-*"))) == 1


def test_copies_of_what_is_damaged_do_not_fill_the_disk(ledger):
    overwrite(ledger.path, range(2, ledger.path.stat().st_size // 4096))
    for day in range(6):
        os.utime(ledger.path, (86400 * day, 86400 * day))
        assert refused(reads, ledger, "is damaged").copy
    assert len(list(ledger.path.parent.glob("*.damaged-*"))) == 3


@pytest.mark.parametrize("left", [20, 100, 4096, 3 * 4096, 8 * 4096 + 7])
def test_a_file_that_was_cut_off_is_told(ledger, left):
    os.truncate(ledger.path, left)
    before = ledger.path.read_bytes()
    error = refused(reads, ledger, "is damaged, or no ledger")
    assert ledger.path.read_bytes() == before
    assert Path(error.copy).read_bytes() == before


def test_the_log_of_a_damaged_file_is_copied_with_it(ledger, tmp_path):
    writes(ledger)  # stays in the log
    log = Path(f"{ledger.path}-wal")
    shutil.copy(ledger.path, tmp_path / "hurt")
    shutil.copy(log, tmp_path / "hurt-wal")
    os.truncate(tmp_path / "hurt", 8192)
    error = refused(reads, Ledger(tmp_path / "hurt"), "is damaged")
    assert Path(f"{error.copy}-wal").read_bytes() == log.read_bytes()


def test_where_no_copy_can_be_kept_it_says_so(ledger, caplog, monkeypatch):
    overwrite(ledger.path, range(2, ledger.path.stat().st_size // 4096))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    error = refused(reads, ledger, "is damaged")
    assert error.copy is None
    assert error.why == "It was left as it is."
    assert "no copy of the damaged ledger" in caplog.text
    assert list(ledger.path.parent.glob("*.damaged-*")) == []


# -- locks ------------------------------------------------------------------------------------------------

HOLDER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
if sys.argv[2] != "wal":
    db.execute("PRAGMA journal_mode = delete")
db.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
db.execute("ROLLBACK")
"""


@pytest.fixture
def hold(ledger):
    """Another process keeps the file to itself."""
    processes = []

    def start(mode: str = "wal") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(ledger.path), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("mode", "work"), [("wal", writes), ("delete", writes), ("delete", reads)])
def test_a_file_that_another_process_locks_is_told_and_had_again(ledger, hold, mode, work):
    holder = hold(mode)
    error = refused(work, impatient(ledger), "is kept locked by another process")
    assert error.why == "It was not to be had within 0.2 s."
    holder.communicate("\n")
    work(impatient(ledger))


def test_who_only_writes_locks_nobody_out_who_reads(ledger, hold):
    hold("wal")
    assert len(impatient(ledger).ids()) == 800


def test_a_lock_is_waited_for(ledger, hold):
    holder = hold("wal")
    release = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill {holder.pid}"])
    writes(ledger)
    release.wait()
    assert "new" in ledger.ids()


# -- a full disk ------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk():
    """A file system of a few pages."""
    place = Path(tempfile.mkdtemp(prefix="ledger-disk-"))
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if made.returncode:
        place.rmdir()
        pytest.skip("no file system can be made here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
    place.rmdir()


def test_a_full_disk_is_told_and_loses_nothing(small_disk):
    ledger = Ledger(small_disk / "jobs")
    kept = []

    def fill() -> None:
        while True:
            info = JobInfo(id=f"job-{len(kept)}", state=JobState.DONE, name="x" * 4000)
            kept.append(ledger.adopt("acme", "default", info))

    with pytest.raises(LedgerError, match="The disk is full: the ledger .* cannot be written") as failed:
        fill()
    assert "Make room" in failed.value.hint
    assert GO_ON in failed.value.hint
    ledger.close()
    found = Ledger(small_disk / "jobs").select(LedgerQuery())
    assert {record.key for record in found} == set(kept)
    assert len(kept) > 10


def test_a_disk_that_is_full_from_the_beginning_is_told(small_disk):
    with suppress(OSError):
        (small_disk / "ballast").write_bytes(b"x" * (2 << 20))
    refused(writes, Ledger(small_disk / "jobs"), "The disk is full")
    (small_disk / "ballast").unlink()
    writes(Ledger(small_disk / "jobs"))


def test_a_limit_on_the_size_of_files_is_told_and_loses_nothing(ledger):
    code = (
        "import sys; from pathlib import Path; from qprovider_core.ledger import Ledger; "
        "from qprovider_core.errors import LedgerError; from qprovider_core.records import JobInfo, JobState\n"
        "ledger = Ledger(sys.argv[1]); kept = 0\n"
        "try:\n"
        "    while True: ledger.adopt('acme', 'default', JobInfo(id=f'n{kept}', state=JobState.DONE)); kept += 1\n"
        "except LedgerError as exc: print(kept, exc.what, exc.hint)\n"
    )
    most = ledger.path.stat().st_size // 2
    told = subprocess.run(
        [sys.executable, "-c", code, str(ledger.path)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    ).stdout
    assert "cannot be used: disk I/O error" in told
    assert "a limit on the size of files reached" in told
    assert GO_ON in told
    assert len(Ledger(ledger.path).select(LedgerQuery())) == 400 + int(told.split()[0])

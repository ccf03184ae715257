"""How the ledger's file is opened: journals on disks and over networks, and files of an older schema."""

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from qprovider_core.errors import LedgerError
from qprovider_core.ledger import Ledger, LedgerQuery, _file, _mounts, _schema
from qprovider_core.ledger._file import LedgerFile
from qprovider_core.records import JobInfo, JobState

LOCAL = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
25 22 0:22 / /proc rw,nosuid shared:12 - proc proc rw
26 22 0:23 / /tmp rw shared:13 - tmpfs tmpfs rw,size=1g
40 22 8:1 / /home rw - xfs /dev/sdb1 rw
"""
NETWORK = LOCAL + (
    "50 40 0:50 / /home/ada rw,relatime shared:20 master:3 - nfs4 server:/export/ada rw,vers=4.2,addr=10.0.0.2\n"
    "51 50 0:51 / /home/ada/scratch rw - ext4 /dev/sdc1 rw\n"
    "52 40 0:52 / /home/with\\040space rw - cifs //server/share rw\n"
    "53 40 0:53 / /home/ba\\134ck rw - fuse.sshfs ada@server: rw\n"
    "54 40 0:54 / /home/adam rw - lustre server:/l rw\n"
)


@pytest.fixture
def table(monkeypatch, tmp_path):
    """Lays a table of mounts."""

    def lay(text: str | None) -> None:
        path = tmp_path / "mountinfo"
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(text.encode("utf-8", "surrogateescape"))
        monkeypatch.setattr(_mounts, "_MOUNTS", path)

    return lay


def over_network(path: Path) -> str:
    """A table in which that folder comes over the network."""
    return LOCAL + f"60 22 0:60 / {path} rw - nfs server:/x rw\n"


# -- file systems -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/ada/.local/share/qprovider/jobs.sqlite3", "nfs4"),
        ("/home/ada", "nfs4"),
        ("/home/ada/scratch/jobs", "ext4"),
        ("/home/adam/jobs", "lustre"),
        ("/home/adamant/jobs", "xfs"),
        ("/home/with space/jobs", "cifs"),
        ("/home/ba\\ck/jobs", "fuse.sshfs"),
        ("/var/jobs", "ext4"),
        ("/", "ext4"),
    ],
)
def test_the_nearest_mount_says_what_a_file_lies_on(table, path, kind):
    table(NETWORK)
    assert _mounts.file_system(Path(path)) == kind
    assert _mounts.is_network(Path(path)) == (kind in ("nfs4", "lustre", "cifs", "fuse.sshfs"))


def test_the_later_of_two_mounts_at_one_place_holds(table):
    table(LOCAL + "70 40 0:70 / /home rw - nfs server:/h rw\n71 70 8:2 / /home rw - btrfs /dev/sdd rw\n")
    assert _mounts.file_system(Path("/home/x")) == "btrfs"


@pytest.mark.parametrize("text", [None, "", "garbage\n\n - \n1 2 3\n", "1 2 3 4 /x - \n"])
def test_a_table_that_tells_nothing_means_a_disk(table, text):
    table(text)
    assert _mounts.file_system(Path("/home/x")) is None
    assert _mounts.is_network(Path("/home/x")) is False


def test_a_link_is_followed(table, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    table(over_network(tmp_path / "far"))
    assert _mounts.is_network(tmp_path / "near" / "jobs")


def test_this_machines_own_table_can_be_read():
    assert _mounts.file_system(Path("/proc/self")) == "proc"


# -- journals ---------------------------------------------------------------------------------------------


def journal_of(path: Path) -> str:
    """What the file itself says."""
    return "wal" if path.read_bytes()[18:20] == b"\x02\x02" else "rollback"


def adopt(ledger: Ledger, name: str) -> None:
    ledger.adopt("acme", "default", JobInfo(id=name, state=JobState.DONE))


def test_on_a_disk_there_is_a_write_ahead_log(tmp_path, table):
    table(LOCAL)
    ledger = Ledger(tmp_path / "jobs")
    adopt(ledger, "a")
    assert journal_of(tmp_path / "jobs") == "wal"
    ledger.close()
    assert sorted(os.listdir(tmp_path)) == ["jobs", "mountinfo"]


def test_over_a_network_there_is_none_and_it_is_said_once(tmp_path, table, caplog):
    home = tmp_path / "home"
    table(over_network(home))
    ledger = Ledger(home / "jobs")
    adopt(ledger, "a")
    ledger.close()
    adopt(ledger, "b")
    assert len(ledger.ids()) == 4
    assert journal_of(home / "jobs") == "rollback"
    assert not (home / "jobs-wal").exists()
    assert not (home / "jobs-shm").exists()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "lies on a network file system (nfs)" in caplog.text
    assert "QPROVIDER_LEDGER" in caplog.text


def test_a_file_with_a_log_that_came_to_a_network_is_converted_and_back(tmp_path, table):
    home = tmp_path / "home"
    table(LOCAL)
    ledger = Ledger(home / "jobs")
    adopt(ledger, "a")
    ledger.close()
    assert journal_of(home / "jobs") == "wal"
    table(over_network(home))
    assert len(ledger.ids()) == 2
    assert journal_of(home / "jobs") == "rollback"
    adopt(ledger, "b")
    assert not (home / "jobs-wal").exists()
    ledger.close()
    table(LOCAL)
    adopt(ledger, "c")
    assert journal_of(home / "jobs") == "wal"
    assert len(ledger.ids()) == 6


def test_a_log_that_others_use_is_not_taken_from_them(tmp_path, table):
    home = tmp_path / "home"
    table(LOCAL)
    ledger = Ledger(home / "jobs")
    adopt(ledger, "a")
    table(over_network(home))
    other = LedgerFile(home / "jobs", locked_s=0.1)
    with pytest.raises(LedgerError, match="is kept locked by another process"), other.reading():
        pass
    ledger.close()
    with other.reading() as db:
        assert db.execute("SELECT count(*) FROM jobs").fetchone() == (1,)


def test_a_log_comes_later_where_others_use_the_file_without_one(tmp_path, table):
    home = tmp_path / "home"
    table(over_network(home))
    ledger = Ledger(home / "jobs")
    adopt(ledger, "a")
    ledger.close()
    table(LOCAL)
    with closing(sqlite3.connect(home / "jobs", isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM jobs").fetchone()
        file = LedgerFile(home / "jobs", locked_s=0.1)
        with file.reading() as db:
            assert db.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
        assert journal_of(home / "jobs") == "rollback"
        other.execute("COMMIT")
    file.close()
    with file.writing():
        pass
    assert journal_of(home / "jobs") == "wal"


def test_many_processes_share_a_file_over_a_network(tmp_path, table):
    home = tmp_path / "home"
    table(over_network(home))
    code = (
        "import sys; from pathlib import Path; from qprovider_core.ledger import Ledger, _mounts; "
        "from qprovider_core.records import JobInfo, JobState; _mounts._MOUNTS = Path(sys.argv[2])\n"
        "for number in range(15):\n"
        "    info = JobInfo(id=f'{sys.argv[3]}-{number}', state=JobState.DONE)\n"
        "    Ledger(sys.argv[1]).adopt('acme', 'default', info)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(home / "jobs"), str(_mounts._MOUNTS), str(number)])
        for number in range(6)
    ]
    assert [process.wait() for process in processes] == [0] * 6
    assert len(Ledger(home / "jobs").select(LedgerQuery())) == 90
    assert journal_of(home / "jobs") == "rollback"


# -- older schemas ----------------------------------------------------------------------------------------

SECOND = """
ALTER TABLE jobs ADD COLUMN colour TEXT;
CREATE TABLE colours (name TEXT);
INSERT INTO colours SELECT job_id FROM jobs;
"""
NEWER = (*_schema.STEPS, SECOND)
VERSION = len(NEWER)


@pytest.fixture
def older(tmp_path) -> Path:
    ledger = Ledger(tmp_path / "jobs")
    for number in range(3):
        adopt(ledger, f"job-{number}")
    ledger.close()
    return ledger.path


def test_an_older_file_is_brought_up_and_a_copy_kept(older, caplog):
    caplog.set_level(logging.INFO)
    file = LedgerFile(older, steps=NEWER)
    with file.reading() as db:
        assert db.execute("SELECT count(*) FROM colours").fetchone() == (3,)
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    copy = older.with_name("jobs.schema-1")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert len(Ledger(copy).select(LedgerQuery())) == 3
    assert "is brought from schema 1 to 2" in caplog.text
    assert sorted(path.name for path in older.parent.glob("*.part")) == []


@pytest.mark.parametrize(
    "step",
    ["ALTER TABLE jobs ADD COLUMN colour TEXT;\nCREATE TABLE jobs (x);\n", "CREATE TABLE colours (x);\nnonsense;\n"],
)
def test_a_step_that_fails_leaves_the_file_as_it_was(older, step):
    with pytest.raises(LedgerError), LedgerFile(older, steps=(*_schema.STEPS, step)).reading():
        pass
    with closing(sqlite3.connect(older)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'colours'").fetchone() == (0,)
        assert "colour" not in [row[1] for row in db.execute("PRAGMA table_info(jobs)")]
    assert len(Ledger(older).select(LedgerQuery())) == 3


def test_a_process_that_dies_while_it_brings_a_file_up_leaves_it_whole(older):
    code = (
        "import os, signal, sqlite3, sys; from pathlib import Path; from qprovider_core.ledger import _schema\n"
        "from qprovider_core.ledger._file import LedgerFile\n"
        "class Steps(tuple):\n"
        "    def __getitem__(self, number):\n"
        "        return 'CREATE TABLE colours (x);\\n' if number == 1 else os.kill(os.getpid(), signal.SIGKILL)\n"
        "with LedgerFile(Path(sys.argv[1]), steps=Steps((1, 2, 3))).reading(): pass"
    )
    assert subprocess.run([sys.executable, "-c", code, str(older)]).returncode == -9
    with LedgerFile(older, steps=NEWER).reading() as db:
        assert db.execute("SELECT count(*) FROM colours").fetchone() == (3,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(Ledger(older.with_name("jobs.schema-1")).select(LedgerQuery())) == 3


def test_a_copy_that_was_kept_is_not_written_over(older):
    older.with_name("jobs.schema-1").write_text("the first")
    with LedgerFile(older, steps=NEWER).writing():
        pass
    assert older.with_name("jobs.schema-1").read_text() == "the first"


def test_without_a_copy_nothing_is_changed(older, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_file, "_back_up", full)
    with pytest.raises(LedgerError, match="The disk is full"), LedgerFile(older, steps=NEWER).reading():
        pass
    assert len(Ledger(older).select(LedgerQuery())) == 3


@pytest.mark.parametrize("fresh", [False, True], ids=["an older file", "no file"])
def test_eight_processes_open_a_file_at_once(older, fresh):
    path = older.with_name("new") if fresh else older
    code = (
        "import sys; from pathlib import Path; from qprovider_core.ledger import _schema\n"
        "from qprovider_core.ledger._file import LedgerFile\n"
        f"file = LedgerFile(Path(sys.argv[1]), steps=(*_schema.STEPS, {SECOND!r}))\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "with file.writing() as db: db.execute('INSERT INTO colours VALUES (?)', (sys.argv[2],))\n"
        "with file.reading() as db: print(*db.execute('PRAGMA user_version').fetchone())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(number)], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(8)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate() for process in processes] == [("2\n", "")] * 8
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM colours").fetchone() == (8 if fresh else 11,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# -- turns ------------------------------------------------------------------------------------------------


def test_a_thread_that_keeps_the_file_is_waited_for_and_told(tmp_path):
    file = LedgerFile(tmp_path / "jobs", locked_s=0.1)
    taken, go_on = threading.Event(), threading.Event()

    def keep() -> None:
        with file.writing():
            taken.set()
            go_on.wait(30)

    thread = threading.Thread(target=keep)
    thread.start()
    assert taken.wait(30)
    with pytest.raises(LedgerError, match="is kept locked by another thread of this process"), file.reading():
        pass
    go_on.set()
    thread.join()
    with file.reading() as db:
        assert db is not None


def test_what_is_raised_in_the_middle_undoes_what_was_written(tmp_path):
    file = LedgerFile(tmp_path / "jobs")

    def interrupted() -> None:
        with file.writing() as db:
            db.execute("INSERT INTO tags VALUES ('a', 1)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with file.writing() as db:
        assert db.execute("SELECT count(*) FROM tags").fetchone() == (0,)


def test_a_file_that_is_replaced_while_one_waits_for_it_is_not_written_to(tmp_path):
    old, new = LedgerFile(tmp_path / "jobs"), LedgerFile(tmp_path / "new")
    for file in (old, new):
        with file.writing():
            pass
    new.close()
    with closing(sqlite3.connect(tmp_path / "jobs", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        os.rename(tmp_path / "jobs-wal", tmp_path / "away-wal")
        os.rename(tmp_path / "jobs", tmp_path / "away")
        os.rename(tmp_path / "new", tmp_path / "jobs")
        thread = threading.Timer(0.2, other.execute, ["ROLLBACK"])
        thread.start()
        with old.writing() as db:
            db.execute("INSERT INTO tags VALUES ('a', 1)")
        thread.join()
    with closing(sqlite3.connect(tmp_path / "jobs")) as db:
        assert db.execute("SELECT count(*) FROM tags").fetchone() == (1,)

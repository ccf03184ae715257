"""A ledger that this user may only read: it is read, and what cannot be written is told."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from qprovider_core.ledger import Ledger, LedgerQuery
from qprovider_core.records import JobInfo, JobState

GO_ON = "To go on without it set QPROVIDER_LEDGER=off, or use --no-ledger."


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    """One with some jobs, closed."""
    made = Ledger(tmp_path / "jobs.sqlite3")
    for number in range(400):
        made.adopt("acme", "default", JobInfo(id=f"job-{number}", state=JobState.QUEUED))
    made.close()
    return made


AS_NOBODY = """
import sys, os
from qprovider_core.errors import LedgerError
from qprovider_core.ledger import Ledger, LedgerQuery
from qprovider_core.records import JobInfo, JobState
import filelock, urllib.parse
os.setgid(65534); os.setuid(65534)
for work in (lambda: len(Ledger(sys.argv[1]).select(LedgerQuery())),
             lambda: Ledger(sys.argv[1]).adopt("acme", "me", JobInfo(id="new", state=JobState.DONE)) and "written"):
    try:
        print(work())
    except LedgerError as exc:
        print(exc.what, exc.hint)
"""


@pytest.fixture
def everybodys():
    """A folder that other users can see into."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    place = Path(tempfile.mkdtemp(prefix="ledger-users-"))
    place.chmod(0o755)
    yield place
    place.chmod(0o755)
    shutil.rmtree(place)


def as_nobody(path: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "in use"])
@pytest.mark.parametrize(("folder", "file"), [(0o555, 0o444), (0o555, 0o666), (0o777, 0o444)], ids=oct)
def test_what_may_only_be_read_is_read(ledger, everybodys, folder, file, closed):
    path = Path(shutil.copy(ledger.path, everybodys / "jobs"))
    other = Ledger(path)
    other.told(other.select(LedgerQuery(limit=1))[0].key, JobInfo(id="job-399", state=JobState.DONE))
    if closed:
        other.close()
    for one in everybodys.iterdir():
        one.chmod(file)
    everybodys.chmod(folder)
    listed, written = as_nobody(path)
    assert listed == "400"
    if file == 0o666 and not closed:  # what lies beside it is there, and may be written
        assert written == "written"
        assert len(other.ids()) == 802
    else:
        assert "cannot be used: " in written
        assert GO_ON in written
        assert len(other.ids()) == 800


def test_a_folder_that_may_only_be_read_and_has_no_ledger_yet_is_told(everybodys):
    listed, written = as_nobody(everybodys / "jobs")
    assert listed == "0"
    assert "cannot be used: Permission denied" in written
    assert list(everybodys.iterdir()) == []


def test_a_ledger_of_somebody_else_is_told(ledger, everybodys):
    path = Path(shutil.copy(ledger.path, everybodys / "jobs"))
    path.chmod(0o600)
    for told in as_nobody(path):
        assert "cannot be used: " in told
        assert GO_ON in told


def test_an_older_ledger_that_cannot_be_written_is_told(ledger, everybodys):
    path = Path(shutil.copy(ledger.path, everybodys / "jobs"))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 0")
    path.chmod(0o444)
    everybodys.chmod(0o555)
    assert "is of an older version and cannot be written" in as_nobody(path)[0]

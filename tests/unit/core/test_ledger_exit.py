"""The end of a process that has the ledger open while threads of it go on."""

import subprocess
import sys
from pathlib import Path

from qprovider_core import JobInfo, JobState
from qprovider_core.ledger import Ledger

SCRIPT = """
import sys
import threading
import time
from qprovider_core.ledger import Ledger
ledger = Ledger(sys.argv[1])
def read():
    while True:
        ledger.ids()
for _ in range(3):
    threading.Thread(target=read, daemon=True).start()
time.sleep(0.05)
"""


def test_a_process_ends_cleanly_while_threads_of_it_read(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    ledger = Ledger(path)
    for number in range(200):
        ledger.adopt("acme", "default", JobInfo(id=f"job-{number}", state=JobState.DONE))
    ledger.close()
    for _ in range(8):
        done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")

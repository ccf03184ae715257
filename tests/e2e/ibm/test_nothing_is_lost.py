"""The short form of `benchmarks/stress_jobs.py`: faults of all kinds, and a process killed at each point."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "stress_jobs.py"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_is_lost_doubled_or_damaged_under_faults_and_kills():
    command = [
        sys.executable,
        str(SCRIPT),
        "--jobs",
        "16",
        "--kills",
        "12",
        "--workers",
        "2",
        "--passes",
        "1",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=380)
    assert done.stdout, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert (told["lost"], told["duplicated"], told["corrupt"]) == (0, 0, 0), told
    assert len(told["kills"]) >= 8  # points at which a process was really ended
    assert sum(told["faults"].values()) >= 1
    assert done.returncode == 0

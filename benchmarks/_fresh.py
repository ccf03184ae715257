"""A function in a fresh process, for what is only true once in a process: first calls, imports, peaks of memory.

Run as ``python -m benchmarks._fresh MODULE:FUNCTION ARGUMENTS`` by `sample`; prints the function's measures as JSON.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

from benchmarks._harness import Measure, Sample

ROOT = Path(__file__).parents[1]
SHARED_FOLDER = "BENCH_FOLDER"  # the variable that says where a run's benches leave files for each other
INSIDE = False  # tests of the benches themselves set this, and need no process then
_LONGEST_S = 300.0
_LONGEST_REASON = 300
_ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Expired|Warning)\b")


def sample(function: Callable[..., Sample], *arguments: Any) -> Sample:
    """What `function`, of a module's top level, measures in a process of its own. Arguments are plain values.

    Raises:
        RuntimeError: It failed; the text is the end of what it said.
    """
    if INSIDE:
        return function(*arguments)
    name = f"{function.__module__}:{function.__qualname__}"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._fresh", name, json.dumps(arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{name} failed: {reason(done.stderr)}")
    return tuple(Measure(*fields) for fields in json.loads(done.stdout.splitlines()[-1]))


def reason(text: str) -> str:
    """What a traceback says went wrong, in one line."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    starts = [place for place, line in enumerate(lines) if _ERROR.match(line)]
    words = " ".join(line.strip() for line in lines[starts[-1] if starts else -1 :])
    return words[:_LONGEST_REASON] if words else "it said nothing"


def main() -> None:
    module, _, function = sys.argv[1].partition(":")
    measures = getattr(importlib.import_module(module), function)(*json.loads(sys.argv[2]))
    print(json.dumps([astuple(measure) for measure in measures]))


if __name__ == "__main__":
    main()

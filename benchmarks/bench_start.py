"""How long the command takes to start, beside a bare interpreter and beside importing Qiskit.

Lists from the cache on disk are of the emulated IBM service, whose answer is fetched before the clock starts; a run
that asks the service again is an error.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import _service
from benchmarks._fresh import reason
from benchmarks._harness import Bench, Line, Measure, Sample, Side, timed
from benchmarks._sizes import Sizes

MAIN = "from qprovider_core.cli import main; main()"
BARE = "python -c pass"


def benches(sizes: Sizes) -> Iterator[Bench]:
    group = "The command, beside a bare interpreter"
    commands = {
        "start-version": ["--version"],
        "start-help": ["--help"],
        "start-json": ["backends", "--json", "--provider", "local"],
    }
    for name, words in commands.items():
        line = Line(" ".join(("qprovider", *words)), "qprovider", BARE)
        yield Bench(name, group, (line,), functools.partial(sides, words=words), sizes.rounds(11), warm_up=1)
    kept = f"{sizes.backends} backends in the cache on disk"
    for name, words, goal in (("start-cached-json", ["backends", "--json"], 12), ("start-cached", ["backends"], 25)):
        line = Line(f"{' '.join(('qprovider', *words))}, {kept}", "qprovider", BARE, ratio_at_most=goal)
        prepare = functools.partial(cached, words=words)
        yield Bench(name, group, (line,), prepare, sizes.rounds(11), warm_up=1, emulator=True)
    line = Line("python -c 'import qiskit', which none of these does", "import qiskit", BARE)
    yield Bench("start-qiskit", group, (line,), qiskit, sizes.rounds(5), warm_up=1)


def sides(stack: ExitStack, words: list[str]) -> tuple[Side, Side]:
    place = stack.enter_context(tempfile.TemporaryDirectory())
    return (
        lambda: (Measure(seconds(["-c", MAIN, *words], place)),),
        lambda: (Measure(seconds(["-c", "pass"], place)),),
    )


def qiskit(stack: ExitStack) -> tuple[Side, Side]:
    place = stack.enter_context(tempfile.TemporaryDirectory())
    return (
        lambda: (Measure(seconds(["-c", "import qiskit"], place)),),
        lambda: (Measure(seconds(["-c", "pass"], place)),),
    )


def cached(stack: ExitStack, words: list[str]) -> tuple[Side, Side]:
    place = stack.enter_context(tempfile.TemporaryDirectory())
    keeping = {"QPROVIDER_CACHE": "disk", "QPROVIDER_CACHE_DIR": place}

    def ours() -> Sample:
        seconds(["-c", MAIN, *words], place, keeping)  # the list holds for seconds: fetched anew where it has ended
        _service.control("DELETE", "requests")
        taken = seconds(["-c", MAIN, *words], place, keeping)
        asked = _service.control("GET", "requests")["count"]
        assert asked == 0, f"{asked} requests in spite of the cache"
        return (Measure(taken, asked),)

    return ours, lambda: (Measure(seconds(["-c", "pass"], place)),)


def seconds(arguments: list[str], place: str, more: dict[str, str] | None = None) -> float:
    """Of one process, from its start to its end, in a folder that has nothing to import."""
    command = [sys.executable, *arguments]
    environment = {**os.environ, **(more or {})}
    taken, done = timed(
        lambda: subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {reason(done.stderr)}")
    return taken

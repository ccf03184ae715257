"""How long the command takes to start, beside a bare interpreter and beside importing Qiskit.

``python benchmarks/bench_start.py`` prints medians and their ratio to ``python -c pass``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

REPEATS = 11
MAIN = "from qprovider_core.cli import main; main()"
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "qprovider --version": ["-c", MAIN, "--version"],
    "qprovider --help": ["-c", MAIN, "--help"],
    "qprovider backends --json": ["-c", MAIN, "backends", "--json", "--provider", "local"],
    "python -c 'import qiskit'": ["-c", "import qiskit"],
}


def run(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):  # in turn, so that a noisy moment hits all of them
        for name, arguments in COMMANDS.items():
            times[name].append(run(arguments))
    bare = statistics.median(times["python -c pass"])
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name:<28} {median * 1e3:8.1f} ms   ratio {median / bare:6.2f}")


if __name__ == "__main__":
    main()

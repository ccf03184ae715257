"""A sampler's result of a million shots over 100 bits: our `Result` against Qiskit's `BitArray`, side by side.

``python benchmarks/bench_result.py [--json]`` gives both the same array as it comes out of the decoder, once with all
outcomes different and once with few, and asks for counts or for each shot's bits. Every measurement has a process of
its own. Printed are the median CPU seconds, the median of the ratios, and the ratio of the median peaks of memory
(whole processes, and what each added to its own imports and the array).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.primitives import BitArray

from qprovider_core._result import LazyResult
from qprovider_core.records import JobResult, RegisterBits, SamplePubResult

SHOTS, BITS, SEED, ROUNDS = 1_000_000, 100, 7, 5


def outcomes(kind: str, shots: int = SHOTS) -> NDArray[np.uint8]:
    """The packed bits of all shots."""
    rng = np.random.default_rng(SEED)
    width = (BITS + 7) // 8
    if kind == "few":
        rows = rng.integers(0, 256, (8, width), dtype=np.uint8)[rng.integers(0, 8, shots)]
    else:
        rows = rng.integers(0, 256, (shots, width), dtype=np.uint8)
    rows[:, 0] &= 2 ** (BITS % 8) - 1
    return rows


def result(rows: NDArray[np.uint8]) -> LazyResult:
    register = RegisterBits(name="meas", num_bits=BITS, data=rows.data)
    record = JobResult(pubs=[SamplePubResult(shots=len(rows), registers=[register])])
    return LazyResult(record, backend_name="one", backend_version=None, job_id="job")


WORK: Mapping[str, Mapping[str, Callable[[NDArray[np.uint8]], Any]]] = {
    "counts": {
        "ours": lambda rows: result(rows).get_counts(),
        "qiskit": lambda rows: BitArray(rows, BITS).get_counts(),
    },
    "memory": {
        "ours": lambda rows: result(rows).get_memory(),
        "qiskit": lambda rows: BitArray(rows, BITS).get_bitstrings(),
    },
}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(work: str, kind: str, side: str) -> dict[str, float]:
    """In this process: CPU time and peak of memory of one side."""
    rows = outcomes(kind)
    before = peak_mb()
    started = time.process_time()
    answer = WORK[work][side](rows)
    spent = time.process_time() - started
    assert len(answer) in (8, SHOTS)
    return {"cpu_s": spent, "peak_mb": peak_mb(), "added_mb": peak_mb() - before}


def elsewhere(work: str, kind: str, side: str) -> dict[str, float]:
    """The same in a fresh process."""
    command = [sys.executable, __file__, "--one", work, kind, side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def check() -> None:
    """Both sides say the same. Of few shots: the peak of this process would be counted as its children's."""
    rows = outcomes("all different", 1000)
    for sides in WORK.values():
        assert sides["ours"](rows) == sides["qiskit"](rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one)))
        return
    check()
    table = []
    for work in WORK:
        for kind in ("all different", "few"):
            rounds = [{side: elsewhere(work, kind, side) for side in WORK[work]} for _ in range(ROUNDS)]
            row: dict[str, Any] = {"work": work, "outcomes": kind}
            for side in WORK[work]:
                row[side] = {key: median(one[side][key] for one in rounds) for key in rounds[0][side]}
            row["time_ratio"] = median(one["ours"]["cpu_s"] / one["qiskit"]["cpu_s"] for one in rounds)
            row["memory_ratio"] = row["ours"]["peak_mb"] / row["qiskit"]["peak_mb"]
            table.append(row)
    if arguments.json:
        print(json.dumps(table, indent=2))
        return
    for row in table:
        ours, qiskit = row["ours"], row["qiskit"]
        print(
            f"{row['work']}, outcomes {row['outcomes']:13}  "
            f"{ours['cpu_s']:.3f} s  Qiskit {qiskit['cpu_s']:.3f} s  ratio {row['time_ratio']:.3f}   "
            f"peak {ours['peak_mb']:.0f} MB  Qiskit {qiskit['peak_mb']:.0f} MB  ratio {row['memory_ratio']:.3f}  "
            f"(added {ours['added_mb']:.0f} and {qiskit['added_mb']:.0f} MB)"
        )


if __name__ == "__main__":
    main()

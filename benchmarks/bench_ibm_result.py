"""A sampler's result of 1,000,000 shots over 100 bits: this plugin against qiskit-ibm-runtime and Qiskit's BitArray.

``python benchmarks/bench_ibm_result.py [--json]`` decodes and counts the same answer with both, interleaved in one
process, and prints the median seconds of both and the median of the ratios. "decode" ends where the bits of each shot
can be read, "count" adds their counts. The memory is the most that a fresh process takes beyond what it has after its
imports, by the kernel's own count (Linux only).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

SHOTS, BITS, ROUNDS = 1_000_000, 100, 9
DISTINCT = 50_000  # outcomes that occur: a noisy device repeats its likely ones


def answer() -> bytes:
    """The body of the service's answer, written by IBM's own encoder."""
    from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult
    from qiskit_ibm_runtime import RuntimeEncoder

    random = np.random.default_rng(7)
    seen = np.packbits(random.integers(0, 2, (DISTINCT, 104), dtype=np.uint8), axis=1)
    seen[:, 0] &= 0x0F  # 100 bits in 13 bytes
    rows = seen[random.integers(0, DISTINCT, SHOTS)]
    result = PrimitiveResult([SamplerPubResult(DataBin(meas=BitArray(rows, BITS)))], {"version": 2})
    return json.dumps(result, cls=RuntimeEncoder).encode()


def ours_decode(body: bytes) -> Any:
    from qprovider_ibm._results import IBMResult, parse_result

    return IBMResult(parse_result(body, "sample"), backend_name="b", backend_version="1", job_id="j")


def ours_count(body: bytes) -> dict[str, int]:
    return ours_decode(body).get_counts()


def theirs_decode(body: bytes) -> Any:
    from qiskit_ibm_runtime import RuntimeDecoder

    return json.loads(body.decode("utf-8"), cls=RuntimeDecoder)


def theirs_count(body: bytes) -> dict[str, int]:
    return theirs_decode(body)[0].data.meas.get_counts()


CALLS: dict[str, Callable[[bytes], Any]] = {
    "ours decode": ours_decode,
    "ours count": ours_count,
    "theirs decode": theirs_decode,
    "theirs count": theirs_count,
}


def seconds(call: Callable[[bytes], Any], body: bytes) -> tuple[float, Any]:
    started = time.perf_counter()
    found = call(body)
    return time.perf_counter() - started, found


def kibibytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise LookupError(field)


def measure_memory(name: str, path: Path) -> None:
    """In a fresh process: the most memory that the call takes beyond the answer itself, in MiB."""
    CALLS[name](small_answer())  # imports what it needs
    body = path.read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = kibibytes("VmRSS")
    found = CALLS[name](body)
    peak = kibibytes("VmHWM")
    assert found is not None
    print((peak - before) / 1024)


def small_answer() -> bytes:
    from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult

    from qprovider_ibm._codec import encode

    bits = BitArray(np.zeros((1, 13), dtype=np.uint8), BITS)
    return json.dumps(encode(PrimitiveResult([SamplerPubResult(DataBin(meas=bits))], {}))).encode()


def memory(name: str, path: Path) -> float:
    command = [sys.executable, __file__, "--memory", name, str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--memory", nargs=2, metavar=("CALL", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        measure_memory(arguments.memory[0], Path(arguments.memory[1]))
        return
    body = answer()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.json"
        path.write_bytes(body)
        for work in ("decode", "count"):
            ours, theirs = CALLS[f"ours {work}"], CALLS[f"theirs {work}"]
            pairs = []
            for index in range(ROUNDS + 1):
                second, expected = seconds(theirs, body)
                first, found = seconds(ours, body)
                if work == "count":
                    assert dict(found) == expected, "the counts differ"
                else:
                    assert found[0].data.meas == expected[0].data.meas, "the bits differ"
                del found, expected
                if index:  # the first round warms both up
                    pairs.append((first, second))
            peaks = [(memory(f"ours {work}", path), memory(f"theirs {work}", path)) for _ in range(3)]
            rows.append(
                {
                    "work": work,
                    "ours_s": median(first for first, _ in pairs),
                    "theirs_s": median(second for _, second in pairs),
                    "ratio": median(first / second for first, second in pairs),
                    "ours_mib": median(first for first, _ in peaks),
                    "theirs_mib": median(second for _, second in peaks),
                    "memory_ratio": median(first / second for first, second in peaks),
                }
            )
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(
            f"{row['work']:8} ours {row['ours_s']:.3f} s  theirs {row['theirs_s']:.3f} s  ratio {row['ratio']:.2f}   "
            f"memory {row['ours_mib']:.0f} MiB, theirs {row['theirs_mib']:.0f} MiB, ratio {row['memory_ratio']:.2f}"
        )


if __name__ == "__main__":
    main()

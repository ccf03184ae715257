"""A sampler's result of a million shots over 100 bits: the core's `Result` beside Qiskit's `BitArray`.

Both get the same array as it comes out of the decoder, once with all outcomes different and once with few, and are
asked for counts or for each shot's bits. Every run has a process of its own. The memory is the most that the
process takes beyond its imports, the array included.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from benchmarks import _fresh
from benchmarks._harness import Bench, Line, Measure, Sample, Side, cpu_timed
from benchmarks._memory import added_mib, held_mib
from benchmarks._sizes import Sizes

BITS, SEED = 100, 7
KINDS = {"different": "all outcomes different", "few": "eight outcomes"}


def benches(sizes: Sizes) -> Iterator[Bench]:
    group = f"A result of {sizes.shots:,} shots over {BITS} bits"
    for work, title in (("counts", "counts"), ("memory", "each shot's bits")):
        for kind, said in KINDS.items():
            prepare = functools.partial(sides, work=work, kind=kind, shots=sizes.shots)
            lines = (
                Line(f"{title}, {said}", "Result", "BitArray", unit="CPU s"),
                Line(f"{title}, {said}, memory", "Result", "BitArray", unit="MiB"),
            )
            yield Bench(f"result-{work}-{kind}", group, lines, prepare, sizes.rounds(5))


def sides(stack: ExitStack, work: str, kind: str, shots: int) -> tuple[Side, Side]:
    few = outcomes(kind, min(shots, 1000))
    assert WORK[work]["ours"](few) == WORK[work]["qiskit"](few)
    return (
        lambda: _fresh.sample(measure, work, kind, "ours", shots),
        lambda: _fresh.sample(measure, work, kind, "qiskit", shots),
    )


def measure(work: str, kind: str, side: str, shots: int) -> Sample:
    """In a fresh process: CPU time and memory of one side."""
    WORK[work][side](outcomes(kind, 10))  # imports what it needs
    before_mib = held_mib()
    rows = outcomes(kind, shots)
    mib, (seconds, answer) = added_mib(lambda: cpu_timed(lambda: WORK[work][side](rows)), before_mib)
    return Measure(seconds, answer=f"{len(answer)} entries"), Measure(mib)


def outcomes(kind: str, shots: int) -> Any:
    """The packed bits of all shots."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    width = (BITS + 7) // 8
    if kind == "few":
        rows = rng.integers(0, 256, (8, width), dtype=np.uint8)[rng.integers(0, 8, shots)]
    else:
        rows = rng.integers(0, 256, (shots, width), dtype=np.uint8)
    rows[:, 0] &= 2 ** (BITS % 8) - 1
    return rows


def result(rows: Any) -> Any:
    from qprovider_core._result import LazyResult
    from qprovider_core.records import JobResult, RegisterBits, SamplePubResult

    register = RegisterBits(name="meas", num_bits=BITS, data=rows.data)
    record = JobResult(pubs=[SamplePubResult(shots=len(rows), registers=[register])])
    return LazyResult(record, backend_name="one", backend_version=None, job_id="job")


def bit_array(rows: Any) -> Any:
    from qiskit.primitives import BitArray

    return BitArray(rows, BITS)


WORK: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "counts": {
        "ours": lambda rows: result(rows).get_counts(),
        "qiskit": lambda rows: bit_array(rows).get_counts(),
    },
    "memory": {
        "ours": lambda rows: result(rows).get_memory(),
        "qiskit": lambda rows: bit_array(rows).get_bitstrings(),
    },
}

"""A sampler's result of 1,000,000 shots over 100 bits: the IBM plugin beside qiskit-ibm-runtime.

Both decode and count the same answer, interleaved in one process. "decode" ends where the bits of each shot can be
read, "count" adds their counts. The memory is the most that a fresh process takes beyond what it has after its
imports and the answer itself, by the kernel's own count (Linux only).
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import _fresh
from benchmarks._harness import Bench, Line, Measure, Sample, Side, stopwatch
from benchmarks._memory import added_mib
from benchmarks._sizes import Sizes

BITS, SEED = 100, 7
DISTINCT = 50_000  # outcomes that occur: a noisy device repeats its likely ones
OURS, OTHER = "IBMResult", "RuntimeDecoder, BitArray"


def benches(sizes: Sizes) -> Iterator[Bench]:
    group = f"IBM Quantum: an answer of {sizes.shots:,} shots over {BITS} bits"
    for work, title in (("decode", "decoded"), ("count", "decoded and counted")):
        prepare = functools.partial(times, work=work, shots=sizes.shots)
        yield Bench(f"ibm-result-{work}", group, (Line(title, OURS, OTHER),), prepare, sizes.rounds(9), warm_up=1)
        prepare = functools.partial(memories, work=work, shots=sizes.shots)
        line = Line(f"{title}, memory", OURS, OTHER, unit="MiB")
        yield Bench(f"ibm-result-{work}-memory", group, (line,), prepare, sizes.rounds(3))


def times(stack: ExitStack, work: str, shots: int) -> tuple[Side, Side]:
    body = answer(shots)
    expected, found = CALLS[f"theirs {work}"](body), CALLS[f"ours {work}"](body)
    if work == "count":
        assert dict(found) == expected, "the counts differ"
    else:
        assert found[0].data.meas == expected[0].data.meas, "the bits differ"
    return stopwatch(lambda: CALLS[f"ours {work}"](body)), stopwatch(lambda: CALLS[f"theirs {work}"](body))


def memories(stack: ExitStack, work: str, shots: int) -> tuple[Side, Side]:
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "answer.json"
    path.write_bytes(answer(shots))
    return (
        lambda: _fresh.sample(memory, f"ours {work}", str(path)),
        lambda: _fresh.sample(memory, f"theirs {work}", str(path)),
    )


def memory(name: str, path: str) -> Sample:
    """In a fresh process: the most memory that the call takes beyond the answer itself."""
    CALLS[name](answer(1))  # imports what it needs
    body = Path(path).read_bytes()
    mib, found = added_mib(lambda: CALLS[name](body))
    assert found is not None
    return (Measure(mib),)


def answer(shots: int) -> bytes:
    """The body of the service's answer, written by IBM's own encoder."""
    import numpy as np
    from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult
    from qiskit_ibm_runtime import RuntimeEncoder

    random = np.random.default_rng(SEED)
    distinct = min(DISTINCT, shots)
    seen = np.packbits(random.integers(0, 2, (distinct, 104), dtype=np.uint8), axis=1)
    seen[:, 0] &= 0x0F  # 100 bits in 13 bytes
    rows = seen[random.integers(0, distinct, shots)]
    result = PrimitiveResult([SamplerPubResult(DataBin(meas=BitArray(rows, BITS)))], {"version": 2})
    return json.dumps(result, cls=RuntimeEncoder).encode()


def ours_decode(body: bytes) -> Any:
    from qprovider_ibm._results import IBMResult, parse_result

    return IBMResult(parse_result(body, "sample"), backend_name="b", backend_version="1", job_id="j")


def theirs_decode(body: bytes) -> Any:
    from qiskit_ibm_runtime import RuntimeDecoder

    return json.loads(body.decode("utf-8"), cls=RuntimeDecoder)


CALLS: dict[str, Callable[[bytes], Any]] = {
    "ours decode": ours_decode,
    "ours count": lambda body: ours_decode(body).get_counts(),
    "theirs decode": theirs_decode,
    "theirs count": lambda body: theirs_decode(body)[0].data.meas.get_counts(),
}

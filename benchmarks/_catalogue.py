"""All benches, in the order of the table."""

from __future__ import annotations

from benchmarks import (
    bench_adapter,
    bench_engine,
    bench_ibm_result,
    bench_ibm_service,
    bench_ledger,
    bench_local,
    bench_result,
    bench_start,
    bench_target,
    bench_vendors,
)
from benchmarks._harness import Bench
from benchmarks._sizes import Sizes

_MODULES = (
    bench_ibm_service,
    bench_ibm_result,
    bench_target,
    bench_vendors,
    bench_engine,
    bench_result,
    bench_local,
    bench_adapter,
    bench_ledger,
    bench_start,
)


def benches(sizes: Sizes, only: str = "") -> list[Bench]:
    """Those that have `only` in their name, their group or one of their lines, in any case of letters."""
    word = only.lower()
    return [
        bench
        for module in _MODULES
        for bench in module.benches(sizes)
        if any(word in text.lower() for text in (bench.name, bench.group, *(line.name for line in bench.lines)))
    ]

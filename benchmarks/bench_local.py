"""The local plugin against plain Aer: the same circuits, seeds and threads, interleaved in one process.

``python benchmarks/bench_local.py [--hooks] [--json]`` prints, for each workload, the median seconds of both, the
median of the ratios and the median of the differences. With ``--hooks`` the plugin is called without the core
around it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import quantum_volume
from qiskit_aer import AerSimulator

import qprovider_core as qp
import qprovider_local as plugin
from qprovider_core.records import BackendRef, JobRequest, JobState, SamplePub

SHOTS, SEED, ROUNDS = 1024, 7, 9


def circuits() -> dict[str, list[QuantumCircuit]]:
    wide = quantum_volume(20, 20, seed=1)
    wide.measure_all()
    many = []
    for seed in range(200):
        narrow = quantum_volume(5, 5, seed=seed)
        narrow.measure_all()
        many.append(narrow)
    bell = QuantumCircuit(2, 2)
    bell.h(0)
    bell.cx(0, 1)
    bell.measure([0, 1], [0, 1])
    simulator = AerSimulator()
    work = {"20-qubit quantum volume": [wide], "200 circuits of 5 qubits": many, "one Bell job": [bell]}
    return {name: transpile(group, simulator, optimization_level=0) for name, group in work.items()}


def handle() -> Callable[[Sequence[QuantumCircuit]], list[dict[str, int]]]:
    """The local simulator as users hold it."""
    backend = qp.get_backend("local:aer_simulator")

    def run(group: Sequence[QuantumCircuit]) -> list[dict[str, int]]:
        result = backend.run(list(group), shots=SHOTS, seed_simulator=SEED).result()
        return [result.get_counts(index) for index in range(len(group))]

    return run


class Hooks:
    """The plugin's hooks, without the core around them."""

    def __init__(self) -> None:
        self.connection = plugin.qprovider_open_account(credentials=plugin.LocalOptions())
        self.backend = BackendRef(name="aer_simulator")
        plugin.qprovider_backend_configuration(connection=self.connection, backend=self.backend)

    def run(self, group: Sequence[QuantumCircuit]) -> list[dict[str, int]]:
        request = JobRequest(
            backend=self.backend,
            pubs=tuple(SamplePub(circuit=circuit, shots=SHOTS) for circuit in group),
            options={"seed_simulator": SEED},
        )
        info = plugin.qprovider_submit_job(connection=self.connection, request=request)
        while not info.state.final:
            info = plugin.qprovider_get_job(connection=self.connection, job=info.ref, wait_s=1.0)
        assert info.state is JobState.DONE, info.error
        result = plugin.qprovider_job_result(connection=self.connection, job=info.ref)
        return [dict(pub.counts) for pub in result.pubs]


def plain(simulator: AerSimulator) -> Callable[[Sequence[QuantumCircuit]], list[dict[str, int]]]:
    threads = os.cpu_count()

    def run(group: Sequence[QuantumCircuit]) -> list[dict[str, int]]:
        job = simulator.run(list(group), shots=SHOTS, seed_simulator=SEED, max_parallel_threads=threads)
        result = job.result()
        return [result.get_counts(index) for index in range(len(group))]

    return run


def measure(function: Callable[[Any], Any], group: Sequence[QuantumCircuit]) -> tuple[float, Any]:
    started = time.perf_counter()
    answer = function(group)
    return time.perf_counter() - started, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--hooks", action="store_true", help="call the plugin's hooks, without the core")
    arguments = parser.parse_args()
    local = Hooks().run if arguments.hooks else handle()
    aer = plain(AerSimulator())
    rows = []
    for name, group in circuits().items():
        pairs = []
        for index in range(ROUNDS + 1):
            theirs, expected = measure(aer, group)
            ours, counts = measure(local, group)
            assert counts == expected, f"{name}: the counts differ"
            if index:  # the first round warms both up
                pairs.append((ours, theirs))
        rows.append(
            {
                "workload": name,
                "local_s": median(ours for ours, _ in pairs),
                "aer_s": median(theirs for _, theirs in pairs),
                "ratio": median(ours / theirs for ours, theirs in pairs),
                "extra_ms": 1e3 * median(ours - theirs for ours, theirs in pairs),
            }
        )
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(
            f"{row['workload']:26} local {row['local_s']:.4f} s  Aer {row['aer_s']:.4f} s  "
            f"ratio {row['ratio']:.3f}  extra {row['extra_ms']:+.1f} ms"
        )


if __name__ == "__main__":
    main()

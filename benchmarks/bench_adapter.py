"""The adapter against the vendor's own backend: the same circuits, shots and seeds, interleaved in one process.

``python benchmarks/bench_adapter.py [--json]`` prints the median seconds of both ways to run a job and the median of
what the adapter adds, with the core and its ledger and as hooks alone; and what listing costs, of backends whose facts
are known and of vendors that are only installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from qiskit import QuantumCircuit, transpile
from qiskit.providers.basic_provider import BasicSimulator
from qiskit_aer import AerSimulator

import qprovider_core as qp
from qprovider_core.records import Deadline, JobRequest, SamplePub

SHOTS, ROUNDS = 1024, 60


def ghz(width: int) -> QuantumCircuit:
    circuit = QuantumCircuit(width)
    circuit.h(0)
    for qubit in range(width - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def added(name: str, circuit: QuantumCircuit) -> dict[str, Any]:
    """One job, three ways, interleaved."""
    vendor = {"basic_simulator": BasicSimulator, "aer_simulator": AerSimulator}[name]()
    handle = qp.get_backend({"basic_simulator": "qiskit:basic_simulator", "aer_simulator": "aer:aer_simulator"}[name])
    ready = transpile(circuit, vendor, seed_transpiler=1)
    account = handle.provider

    def direct() -> Any:
        return vendor.run(ready, shots=SHOTS, seed_simulator=7).result().get_counts()

    def ours() -> Any:
        return handle.run(ready, shots=SHOTS, seed_simulator=7).result().get_counts()

    def hooks() -> None:
        pub = SamplePub(circuit=ready, shots=SHOTS)
        request = JobRequest(backend=handle.info.ref, pubs=(pub,), options={"seed_simulator": 7})
        end = Deadline.after(60)
        info = account.call("qprovider_submit_job", request=request, deadline=end)
        while not info.state.final:
            info = account.call("qprovider_get_job", job=info.ref, wait_s=10.0, deadline=end)
        account.call("qprovider_job_result", job=info.ref, deadline=end)

    assert direct() == ours()
    rows = [(timed(direct), timed(ours), timed(hooks)) for _ in range(ROUNDS)]
    return {
        "vendor_s": median(row[0] for row in rows),
        "handle_s": median(row[1] for row in rows),
        "ratio": median(row[1] / row[0] for row in rows),
        "handle_adds_ms": 1e3 * median(row[1] - row[0] for row in rows),
        "adapter_adds_ms": 1e3 * median(row[2] - row[0] for row in rows),
    }


_LIST = "import time, qprovider_core as qp; qp.plugins(); t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def in_a_fresh_process(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", _LIST.format(code)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    work = {
        "a GHZ state of 2 on BasicSimulator": ("basic_simulator", ghz(2)),
        "a GHZ state of 10 on BasicSimulator": ("basic_simulator", ghz(10)),
        "a GHZ state of 2 on Aer": ("aer_simulator", ghz(2)),
        "a GHZ state of 20 on Aer": ("aer_simulator", ghz(20)),
    }
    runs = {title: added(*what) for title, what in work.items()}
    account = qp.get_backend("qiskit:basic_simulator").provider
    listing = {
        "list again, facts known": median(timed(account.list_backends) for _ in range(ROUNDS)),
        "list all, no adapted vendor named": median(in_a_fresh_process("qp.list_backends()") for _ in range(5)),
        "the same without the adapters": median(
            in_a_fresh_process("qp.list_backends(provider=['local', 'ibm'])") for _ in range(5)
        ),
    }
    if as_json:
        print(json.dumps({"runs": runs, "listing_s": listing}, indent=2))
        return
    print(f"{'one job':38} {'vendor':>9} {'handle':>9} {'ratio':>6} {'handle adds':>12} {'adapter adds':>13}")
    for title, row in runs.items():
        print(
            f"{title:38} {1e3 * row['vendor_s']:6.2f} ms {1e3 * row['handle_s']:6.2f} ms {row['ratio']:6.2f}"
            f" {row['handle_adds_ms']:9.2f} ms {row['adapter_adds_ms']:10.2f} ms"
        )
    for title, seconds in listing.items():
        print(f"{title:38} {1e3 * seconds:6.2f} ms")


if __name__ == "__main__":
    main()

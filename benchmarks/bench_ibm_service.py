"""The IBM plugin against qiskit-ibm-runtime: the same calls to one emulated service, side by side.

``python benchmarks/bench_ibm_service.py [--backends 100] [--latency 0.05] [--rounds 3] [--json]`` starts the emulator
with that many backends and that latency a request, and prints for each call the median seconds of both, the ratio,
and how many requests each made. Every round is cold: each side in a fresh process, timed after construction. The
emulator runs on the same machine, so its work is in both sides' figures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from qprovider_ibm.emulator import Emulator

CALLS: tuple[str, ...] = (
    "construct with a CRN",
    "backends()",
    "backends(min_num_qubits=5, simulator=False, operational=True)",
    "least_busy(min_num_qubits=5, simulator=False, operational=True)",
    "filter on basis_gates",
    "Bell job: submit and result",
)


def ours(call: str) -> tuple[float, int]:
    """One call in this process, cold: seconds and jobs polls aside, nothing but the call."""
    from qiskit import QuantumCircuit  # noqa: F401  both sides have Qiskit loaded

    from qprovider_ibm import IBMBackend, IBMProvider  # noqa: F401

    token, instance = os.environ["BENCH_TOKEN"], os.environ["BENCH_INSTANCE"]
    criteria = {"min_num_qubits": 5, "simulator": False, "operational": True}
    if call.startswith("construct"):
        return timed(lambda: IBMProvider(token, instance=instance))
    provider = IBMProvider(token, instance=instance)
    if call == "backends()":
        return timed(provider.backends)
    if call.startswith("backends("):
        return timed(lambda: provider.backends(**criteria))
    if call.startswith("least_busy"):
        return timed(lambda: provider.least_busy(**criteria))
    if call.startswith("filter"):
        return timed(lambda: provider.backends(basis_gates="cx"))
    backend = provider.get_backend("ibmq_belem")
    circuit = bell(backend)
    return timed(lambda: backend.run(circuit, shots=1000).result().get_counts())


def theirs(call: str) -> tuple[float, int]:
    """The same with qiskit-ibm-runtime."""
    import warnings

    warnings.simplefilter("ignore")
    from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2

    token, instance, url = (os.environ[name] for name in ("BENCH_TOKEN", "BENCH_INSTANCE", "BENCH_URL"))

    def service() -> Any:
        return QiskitRuntimeService(channel="ibm_quantum_platform", token=token, url=url, instance=instance)

    criteria = {"min_num_qubits": 5, "simulator": False, "operational": True}
    if call.startswith("construct"):
        return timed(service)
    client = service()
    if call == "backends()":
        return timed(client.backends)
    if call.startswith("backends("):
        return timed(lambda: client.backends(**criteria))
    if call.startswith("least_busy"):
        return timed(lambda: client.least_busy(**criteria))
    if call.startswith("filter"):
        return timed(lambda: client.backends(filters=lambda backend: "cx" in backend.configuration().basis_gates))
    backend = client.backend("ibmq_belem")
    circuit = bell(backend)
    sampler = SamplerV2(mode=backend)
    return timed(lambda: sampler.run([circuit], shots=1000).result()[0].data.meas.get_counts())


def bell(backend: Any) -> Any:
    from qiskit import QuantumCircuit, transpile

    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return transpile(circuit, backend, seed_transpiler=1)


def timed(work: Callable[[], Any]) -> tuple[float, int]:
    import requests

    control = f"{os.environ['BENCH_BASE']}/_emulator/requests"
    requests.delete(control, timeout=30)
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    return seconds, requests.get(control, timeout=30).json()["count"]


def side(which: str, call: str, environment: dict[str, str]) -> tuple[float, int]:
    """One call of one side in a fresh process."""
    done = subprocess.run(
        [sys.executable, __file__, "--side", which, "--call", call],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{which}, {call}:\n{done.stderr}")
    seconds, count = json.loads(done.stdout.splitlines()[-1])
    return seconds, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", type=int, default=100)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds a request")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only calls that have this text in them")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    parser.add_argument("--call", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps({"ours": ours, "theirs": theirs}[options.side](options.call)))
        return
    rows = []
    with (
        tempfile.TemporaryDirectory() as home,
        Emulator(backends=options.backends, latency_s=options.latency) as emulator,
    ):
        environment = {
            **os.environ,
            **emulator.environment(),
            "HOME": home,
            "QPROVIDER_CONFIG_DIR": home,
            "BENCH_BASE": emulator.base,
            "BENCH_URL": emulator.runtime_url,
            "BENCH_TOKEN": emulator.api_key,
            "BENCH_INSTANCE": next(iter(emulator.instances.values())),
            **emulator.runtime_environment(),
        }
        for call in (call for call in CALLS if options.only in call):
            pairs = [
                (side("ours", call, environment), side("theirs", call, environment)) for _ in range(options.rounds)
            ]
            mine, other = median(a[0] for a, _ in pairs), median(b[0] for _, b in pairs)
            rows.append(
                {
                    "call": call,
                    "ours_s": mine,
                    "theirs_s": other,
                    "times_faster": other / mine,
                    "our_requests": pairs[0][0][1],
                    "their_requests": pairs[0][1][1],
                }
            )
            if not options.json:
                print(
                    f"{call:<66} {mine:8.3f} s {other:8.3f} s  {other / mine:6.1f} times faster, "
                    f"{rows[-1]['our_requests']} and {rows[-1]['their_requests']} requests",
                    flush=True,
                )
    if options.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

"""The adapter beside the vendor's own backend: the same circuits, shots and seeds, interleaved in one process; and what
vendors that are only installed add to a list.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from benchmarks import _fresh
from benchmarks._harness import Bench, Line, Measure, Sample, Side, stopwatch, timed
from benchmarks._sizes import Sizes

SHOTS, SEED = 1024, 7
VENDORS = {"basic_simulator": "BasicSimulator", "aer_simulator": "AerSimulator"}
PROVIDERS = {"basic_simulator": "qiskit", "aer_simulator": "aer"}


def benches(sizes: Sizes) -> Iterator[Bench]:
    group = f"Qiskit's own backends through the adapter, {SHOTS:,} shots"
    for vendor, width in (
        ("basic_simulator", 2),
        ("basic_simulator", min(10, sizes.qubits)),
        ("aer_simulator", 2),
        ("aer_simulator", sizes.qubits),
    ):
        prepare = functools.partial(job, vendor=vendor, width=width, hooks=False)
        line = Line(f"GHZ of {width} qubits: checked, in the ledger", "a handle", VENDORS[vendor])
        yield Bench(f"adapter-{vendor}-{width}", group, (line,), prepare, sizes.rounds(31), warm_up=2)
    prepare = functools.partial(job, vendor="basic_simulator", width=2, hooks=True)
    line = Line("GHZ of 2 qubits, without the core", "the adapter's hooks", "BasicSimulator")
    yield Bench("adapter-hooks", group, (line,), prepare, sizes.rounds(31), warm_up=2)
    line = Line("list again, facts known", "list_backends", None)
    yield Bench("adapter-list", group, (line,), list_again, sizes.rounds(31), warm_up=2)
    line = Line("list all, no adapted vendor named", "all plugins", "only local and ibm")
    yield Bench("adapter-first-list", group, (line,), first_list, sizes.rounds(5))


def ghz(width: int) -> Any:
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(width)
    circuit.h(0)
    for qubit in range(width - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def job(stack: ExitStack, vendor: str, width: int, hooks: bool) -> tuple[Side, Side]:
    from qiskit import transpile
    from qiskit.providers.basic_provider import BasicSimulator
    from qiskit_aer import AerSimulator

    import qprovider_core as qp
    from qprovider_core.records import Deadline, JobRequest, SamplePub

    own = {"basic_simulator": BasicSimulator, "aer_simulator": AerSimulator}[vendor]()
    handle = qp.get_backend(f"{PROVIDERS[vendor]}:{vendor}")
    ready = transpile(ghz(width), own, seed_transpiler=1)
    account = handle.provider

    def direct() -> Any:
        return own.run(ready, shots=SHOTS, seed_simulator=SEED).result().get_counts()

    def ours() -> Any:
        return handle.run(ready, shots=SHOTS, seed_simulator=SEED).result().get_counts()

    def bare() -> None:
        pub = SamplePub(circuit=ready, shots=SHOTS)
        request = JobRequest(backend=handle.info.ref, pubs=(pub,), options={"seed_simulator": SEED})
        end = Deadline.after(60)
        info = account.call("qprovider_submit_job", request=request, deadline=end)
        while not info.state.final:
            info = account.call("qprovider_get_job", job=info.ref, wait_s=10.0, deadline=end)
        account.call("qprovider_job_result", job=info.ref, deadline=end)

    assert direct() == ours(), "the counts differ"
    return stopwatch(bare if hooks else ours), stopwatch(direct)


def list_again(stack: ExitStack) -> tuple[Side, None]:
    import qprovider_core as qp

    account = qp.get_backend("qiskit:basic_simulator").provider
    return stopwatch(lambda: account.list_backends(refresh=True)), None


def first_list(stack: ExitStack) -> tuple[Side, Side]:
    return lambda: _fresh.sample(list_in_this_process, None), lambda: _fresh.sample(
        list_in_this_process, ["local", "ibm"]
    )


def list_in_this_process(providers: list[str] | None) -> Sample:
    import qprovider_core as qp

    qp.plugins()
    return (Measure(timed(lambda: qp.list_backends(provider=providers))[0]),)

"""The local plugin beside plain Aer: the same circuits, seeds and threads, interleaved in one process."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks._harness import Bench, Line, Side, stopwatch
from benchmarks._sizes import Sizes

SHOTS, SEED = 1024, 7
Run = Callable[[Sequence[Any]], list[dict[str, int]]]


def benches(sizes: Sizes) -> Iterator[Bench]:
    group = f"Local runs, {SHOTS:,} shots"
    work = {
        "wide": f"quantum volume of {sizes.qubits} qubits",
        "batch": f"{sizes.circuits} circuits of 5 qubits",
        "bell": "one Bell job",
    }
    for name, title in work.items():
        prepare = functools.partial(sides, name=name, sizes=sizes, hooks=False)
        line = Line(title, "local:aer_simulator", "AerSimulator")
        yield Bench(f"local-{name}", group, (line,), prepare, sizes.rounds(9), warm_up=1)
    prepare = functools.partial(sides, name="bell", sizes=sizes, hooks=True)
    line = Line("one Bell job, without the core", "the plugin's hooks", "AerSimulator")
    yield Bench("local-hooks", group, (line,), prepare, sizes.rounds(9), warm_up=1)


def sides(stack: ExitStack, name: str, sizes: Sizes, hooks: bool) -> tuple[Side, Side]:
    from qiskit import transpile
    from qiskit_aer import AerSimulator

    simulator = AerSimulator()
    group = transpile(circuits(name, sizes), simulator, optimization_level=0)
    ours, aer = Hooks().run if hooks else handle(), plain(simulator)
    assert ours(group) == aer(group), "the counts differ"
    return stopwatch(lambda: ours(group)), stopwatch(lambda: aer(group))


def circuits(name: str, sizes: Sizes) -> list[Any]:
    from qiskit import QuantumCircuit
    from qiskit.circuit.library import quantum_volume

    if name == "bell":
        bell = QuantumCircuit(2, 2)
        bell.h(0)
        bell.cx(0, 1)
        bell.measure([0, 1], [0, 1])
        return [bell]
    shapes = [(sizes.qubits, 1)] if name == "wide" else [(5, seed) for seed in range(sizes.circuits)]
    made = [quantum_volume(qubits, qubits, seed=seed) for qubits, seed in shapes]
    for circuit in made:
        circuit.measure_all()
    return made


def handle() -> Run:
    """The local simulator as users hold it."""
    import qprovider_core as qp

    backend = qp.get_backend("local:aer_simulator")

    def run(group: Sequence[Any]) -> list[dict[str, int]]:
        result = backend.run(list(group), shots=SHOTS, seed_simulator=SEED).result()
        return [result.get_counts(index) for index in range(len(group))]

    return run


class Hooks:
    """The plugin's hooks, without the core around them."""

    def __init__(self) -> None:
        import qprovider_local as plugin
        from qprovider_core.records import BackendRef

        self.plugin = plugin
        self.connection = plugin.qprovider_open_account(credentials=plugin.LocalOptions())
        self.backend = BackendRef(name="aer_simulator")
        plugin.qprovider_backend_configuration(connection=self.connection, backend=self.backend)

    def run(self, group: Sequence[Any]) -> list[dict[str, int]]:
        from qprovider_core.records import JobRequest, JobState, SamplePub

        request = JobRequest(
            backend=self.backend,
            pubs=tuple(SamplePub(circuit=circuit, shots=SHOTS) for circuit in group),
            options={"seed_simulator": SEED},
        )
        info = self.plugin.qprovider_submit_job(connection=self.connection, request=request)
        while not info.state.final:
            info = self.plugin.qprovider_get_job(connection=self.connection, job=info.ref, wait_s=1.0)
        assert info.state is JobState.DONE, info.error
        result = self.plugin.qprovider_job_result(connection=self.connection, job=info.ref)
        return [dict(pub.counts) for pub in result.pubs]


def plain(simulator: Any) -> Run:
    threads = os.cpu_count()

    def run(group: Sequence[Any]) -> list[dict[str, int]]:
        job = simulator.run(list(group), shots=SHOTS, seed_simulator=SEED, max_parallel_threads=threads)
        result = job.result()
        return [result.get_counts(index) for index in range(len(group))]

    return run

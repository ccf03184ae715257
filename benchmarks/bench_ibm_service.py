"""The IBM plugin beside qiskit-ibm-runtime: the same calls to one emulated service.

Every run has a process of its own, with everything imported and the account open, so that its first call is a first
call. The emulator runs on the same machine: its work is in both sides' figures.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from benchmarks import _fresh, _service
from benchmarks._harness import Bench, Line, Measure, Sample, Side
from benchmarks._sizes import Sizes

OTHER = "qiskit-ibm-runtime"
CRITERIA: dict[str, Any] = {"min_num_qubits": 5, "simulator": False, "operational": True}  # the tutorial's
SMALL, LARGE = "ibmq_belem", "ibm_boston"  # of 5 and 156 qubits
_COLD, _WARM = "first call", "again"


def benches(sizes: Sizes) -> Iterator[Bench]:
    group = f"IBM Quantum, emulated: {sizes.backends} backends, {1e3 * sizes.latency_s:g} ms a request"

    def bench(
        name: str, lines: list[tuple[str, float | None]], rounds: int, prepare: Any = None, warm: int = 0
    ) -> Bench:
        made = tuple(Line(title, "IBMProvider", OTHER, ratio_at_most=goal) for title, goal in lines)
        prepare = prepare or functools.partial(sides, call=name, number=sizes.jobs)
        return Bench(name, group, made, prepare, sizes.rounds(rounds), warm, emulator=True)

    def twice(call: str, goal: float | None) -> list[tuple[str, float | None]]:
        return [(f"{call}, {_COLD}", goal), (f"{call}, {_WARM}", None)]

    yield bench("ibm-construct", [("construct, with an instance's CRN", None)], 5)
    yield bench("ibm-list", twice("backends()", None), 3)
    yield bench("ibm-filter", twice("backends(the tutorial's criteria)", 1 / 40), 3)
    yield bench("ibm-least-busy", twice("least_busy(the same criteria)", 1 / 40), 3)
    yield bench("ibm-gates", [("backends that have the gate cx", 1 / 10)], 3)
    yield bench("ibm-bell", [("a Bell job: submit, wait, counts", None)], 5, warm=1)  # the service's worker
    yield bench("ibm-target", [("a device of 156 qubits: open it, its Target", None)], 5)
    yield bench("ibm-jobs", [(f"list {sizes.jobs:,} jobs", None)], 3, functools.partial(_job_list, number=sizes.jobs))


def sides(stack: ExitStack, call: str, number: int) -> tuple[Side, Side]:
    return lambda: _fresh.sample(ours, call, number), lambda: _fresh.sample(theirs, call, number)


def _job_list(stack: ExitStack, number: int) -> tuple[Side, Side]:
    """A history of jobs: one that runs, and copies of it."""
    if _service.control("GET", "state")["jobs"] < number:
        _fresh.sample(ours, "ibm-bell", number)
        there = _service.control("GET", "state")["jobs"]
        _service.control("POST", "jobs", {"count": max(0, number - there)})
    return sides(stack, "ibm-jobs", number)


# ------------------------------------------------------------------------------------- in a process of their own


def ours(call: str, number: int) -> Sample:
    """The measures of one call with this project; with two lines, of the call and of the same again."""
    from qiskit import QuantumCircuit  # noqa: F401  both sides have Qiskit loaded

    from qprovider_ibm import IBMBackend, IBMProvider  # noqa: F401

    token, instance = _service.credentials()

    def provider() -> Any:
        return IBMProvider(token, instance=instance)

    if call == "ibm-construct":
        return (_service.counted(provider, _nothing),)
    with provider() as opened:
        if call == "ibm-list":
            return _twice(opened.backends, _names)
        if call == "ibm-filter":
            return _twice(lambda: opened.backends(**CRITERIA), _names)
        if call == "ibm-least-busy":
            return _twice(lambda: opened.least_busy(**CRITERIA), _name)
        if call == "ibm-gates":
            return (_service.counted(lambda: opened.backends(basis_gates="cx"), _names),)
        if call == "ibm-target":
            return (_service.counted(lambda: opened.get_backend(LARGE).target, _size),)
        if call == "ibm-jobs":
            return (_service.counted(lambda: opened.jobs(limit=number), _number),)
        backend = opened.get_backend(SMALL)
        circuit = bell(backend)
        return (_service.counted(lambda: backend.run(circuit, shots=1000).result().get_counts(), _shots),)


def theirs(call: str, number: int) -> Sample:
    """The same with qiskit-ibm-runtime."""
    import warnings

    warnings.simplefilter("ignore")
    from qiskit_ibm_runtime import QiskitRuntimeService, SamplerV2

    token, instance = _service.credentials()

    def service() -> Any:
        url = _service.runtime_url()
        return QiskitRuntimeService(channel="ibm_quantum_platform", token=token, url=url, instance=instance)

    if call == "ibm-construct":
        return (_service.counted(service, _nothing),)
    client = service()
    if call == "ibm-list":
        return _twice(client.backends, _names)
    if call == "ibm-filter":
        return _twice(lambda: client.backends(**CRITERIA), _names)
    if call == "ibm-least-busy":
        return _twice(lambda: client.least_busy(**CRITERIA), _name)
    if call == "ibm-gates":
        return (_service.counted(lambda: client.backends(filters=_has_cx), _names),)
    if call == "ibm-target":
        return (_service.counted(lambda: client.backend(LARGE).target, _size),)
    if call == "ibm-jobs":
        return (_service.counted(lambda: client.jobs(limit=number), _number),)
    backend = client.backend(SMALL)
    circuit = bell(backend)
    sampler = SamplerV2(mode=backend)
    return (_service.counted(lambda: sampler.run([circuit], shots=1000).result()[0].data.meas.get_counts(), _shots),)


def bell(backend: Any) -> Any:
    from qiskit import QuantumCircuit, transpile

    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return transpile(circuit, backend, seed_transpiler=1)


def _has_cx(backend: Any) -> bool:
    return "cx" in backend.configuration().basis_gates


def _twice(work: Callable[[], Any], tell: Callable[[Any], str | None]) -> tuple[Measure, Measure]:
    return _service.counted(work, tell), _service.counted(work, tell)


def _nothing(_: Any) -> None:
    return None


def _names(backends: Any) -> str:
    return " ".join(sorted(backend.name for backend in backends))


def _name(backend: Any) -> str:
    return str(backend.name)


def _size(target: Any) -> str:
    """Its gates, without control flow and the like, which stand on no qubits."""
    gates = sorted(name for name in target.operation_names if set(target[name] or {None}) != {None})
    return f"{target.num_qubits} qubits, {' '.join(gates)}"


def _number(jobs: Any) -> str:
    return f"{len(jobs)} jobs"


def _shots(counts: Any) -> str:
    return f"{sum(counts.values())} shots"

"""Backends with the habits of vendors' packages, and an account of an adapter over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.providers import BackendV2, JobStatus, JobV1, Options
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.result import Result
from qiskit.transpiler import Target

import qprovider_core as qp
from qprovider_core import Account, _plugins, fleet
from qprovider_qiskit import QiskitAdapter


class DoneJob(JobV1):  # type: ignore[misc]  # Qiskit has no types
    """A job of a vendor that has run at once."""

    def __init__(self, backend: Any, job_id: str, result: Result) -> None:
        super().__init__(backend, job_id)
        self._result = result

    def submit(self) -> None:
        raise AssertionError("nobody submits it twice")

    def result(self) -> Result:
        return self._result

    def status(self) -> JobStatus:
        return JobStatus.DONE


class Vendor(BackendV2):  # type: ignore[misc]
    """A backend of a vendor: exact, at once. What it is told when it is made reads as its attributes.

    Attributes:
        runs: The circuits and options of each run.
    """

    def __init__(self, name: Any = "one", target: Any = "own", **facts: Any) -> None:
        super().__init__(name=name)
        self._simulator_under = BasicSimulator()
        self._given = self._simulator_under.target if isinstance(target, str) else target
        self.runs: list[tuple[int, dict[str, Any]]] = []
        for fact, value in facts.items():
            setattr(self, fact, value)

    @property
    def target(self) -> Target:
        return self._given() if callable(self._given) else self._given

    @property
    def max_circuits(self) -> int | None:
        return getattr(self, "most", None)

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=1024)

    def run(self, run_input: Any, shots: int = 1024, **options: Any) -> DoneJob:
        circuits = [run_input] if isinstance(run_input, QuantumCircuit) else run_input
        self.runs.append((len(circuits), {"shots": shots, **options}))
        done = self._simulator_under.run(transpile(circuits, self._simulator_under), shots=shots, memory=True).result()
        return DoneJob(self, f"vendor-{len(self.runs)}", done)


@pytest.fixture
def adapt(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Callable[..., Account]]:
    """Opens the account of an adapter over these backends; arguments as of `QiskitAdapter`."""
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("QPROVIDER_PLUGINS", "none")
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())
    monkeypatch.setattr(fleet, "_fleet", fleet.Fleet())
    opened: list[Account] = []

    def make(*backends: Any, factory: Any = None, **given: Any) -> Account:
        settings = {"name": "acme", "title": "Acme", "local": True, **given}
        qp.register_plugin(QiskitAdapter(factory or (lambda _: list(backends)), **settings), name=settings["name"])
        account = qp.open_account(settings["name"])
        opened.append(account)
        return account

    yield make
    for account in opened:
        account.close()


def flip() -> QuantumCircuit:
    """01: the first of two qubits is flipped."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure([0, 1], [0, 1])
    return circuit

"""Local accounts with real workers, and short ways to run something on them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from qiskit import QuantumCircuit

import qprovider_local as plugin
from qprovider_core.records import (
    BackendRef,
    JobInfo,
    JobRequest,
    JobResult,
    JobState,
    SamplePub,
    SamplePubResult,
)


class Local:
    """One open account, driven through the plugin's hooks."""

    def __init__(self, **options: Any) -> None:
        self.connection = plugin.qprovider_open_account(credentials=plugin.LocalOptions(**options))

    def submit(
        self,
        circuits: QuantumCircuit | Sequence[QuantumCircuit],
        backend: str = "aer_simulator",
        *,
        shots: int | Sequence[int] = 1000,
        values: Sequence[Sequence[float]] | None = None,
        memory: bool = False,
        tags: Sequence[str] = (),
        name: str | None = None,
        key: str = "",
        **options: Any,
    ) -> JobInfo:
        circuits = [circuits] if isinstance(circuits, QuantumCircuit) else circuits
        each = [shots] * len(circuits) if isinstance(shots, int) else shots
        pubs = [
            SamplePub(circuit=circuit, shots=number, parameter_values=tuple(values[i]) if values else ())
            for i, (circuit, number) in enumerate(zip(circuits, each, strict=True))
        ]
        request = JobRequest(
            backend=BackendRef(name=backend),
            pubs=pubs,
            memory=memory,
            options=options,
            tags=tags,
            name=name,
            key=key,
        )
        return plugin.qprovider_submit_job(connection=self.connection, request=request)

    def info(self, job: JobInfo) -> JobInfo:
        return plugin.qprovider_get_job(connection=self.connection, job=job.ref, wait_s=0.0)

    def wait(self, job: JobInfo, until: Callable[[JobInfo], bool] = lambda info: info.state.final) -> JobInfo:
        """Poll as the core does, until `until`."""
        end = time.monotonic() + 60
        while not until(info := self.info(job)):
            assert time.monotonic() < end, f"still {info}"
            time.sleep(0.001)
        return info

    def wait_running(self, job: JobInfo) -> JobInfo:
        return self.wait(job, lambda info: info.state is not JobState.QUEUED)

    def result(self, job: JobInfo) -> JobResult:
        info = self.wait(job)
        assert info.state is JobState.DONE, info.error
        return plugin.qprovider_job_result(connection=self.connection, job=job.ref)

    def run(self, circuits: Any, backend: str = "aer_simulator", **options: Any) -> tuple[SamplePubResult, ...]:
        return self.result(self.submit(circuits, backend, **options)).pubs

    def counts(self, circuit: QuantumCircuit, backend: str = "aer_simulator", **options: Any) -> dict[str, int]:
        return dict(self.run(circuit, backend, **options)[0].counts)

    def cancel(self, job: JobInfo) -> bool:
        return plugin.qprovider_cancel_job(connection=self.connection, job=job.ref)

    def pid(self) -> int:
        """The process id of a worker that is ready."""
        self.counts(_bell())
        return self.connection.pool.pids()[0]

    def close(self) -> None:
        plugin.qprovider_close_account(connection=self.connection)


@pytest.fixture(scope="session")
def local() -> Iterator[Local]:
    """An account that tests share while they leave its worker alive."""
    account = Local(all_devices=True)
    yield account
    account.close()


@pytest.fixture
def own_local() -> Iterator[Local]:
    """An account for a test that ends its worker."""
    account = Local()
    yield account
    account.close()


def _bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def _endless() -> QuantumCircuit:
    """A circuit that keeps a simulator busy for minutes: single shots of many random rotations."""
    circuit = QuantumCircuit(22, 22)
    for layer in range(400):
        for qubit in range(22):
            circuit.rx(0.1 + layer, qubit)
        for qubit in range(21):
            circuit.cx(qubit, qubit + 1)
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.x(1)
    circuit.measure(range(22), range(22))
    return circuit


def _gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether the process ends in time; one that ended and was not waited for counts as gone."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            if os.path.isdir("/proc/self"):
                return True
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
        time.sleep(0.01)
    return False


@pytest.fixture
def bell() -> QuantumCircuit:
    return _bell()


@pytest.fixture
def endless() -> QuantumCircuit:
    return _endless()


@pytest.fixture
def gone() -> Callable[..., bool]:
    return _gone


@pytest.fixture
def open_local() -> Iterator[Callable[..., Local]]:
    """Open accounts that are closed at the end of the test."""
    accounts: list[Local] = []

    def opened(**options: Any) -> Local:
        accounts.append(Local(**options))
        return accounts[-1]

    yield opened
    for account in accounts:
        account.close()

"""IonQ's package through the adapter, against a service behind a port of this machine.

python -m pytest tools/vendors/test_ionq.py       where qiskit-ionq, qprovider-core and qprovider-qiskit are installed
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from ionq_service import IonQService
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core.errors import AuthenticationError, JobFailedError, TransportError
from qprovider_core.records import JobInfo, JobRef, JobState
from qprovider_core.testing import ProviderContract, circuits
from qprovider_qiskit.vendors.ionq import CONTRACT


@pytest.fixture(scope="module")
def service() -> Iterator[IonQService]:
    with IonQService(step_s=0.02) as running:
        yield running


@pytest.fixture(scope="module")
def account(service: IonQService) -> Iterator[qp.Account]:
    with qp.open_account("ionq", token=service.key, url=service.url) as opened:
        yield opened


@pytest.fixture
def simulator(account: qp.Account) -> qp.Backend:
    return account.get_backend("ionq_simulator")


class TestIonQ(ProviderContract):
    """What is promised of every plugin."""

    @pytest.fixture(autouse=True)
    def _the_service(self, service: IonQService) -> None:
        self.service = service
        self.wrong_credentials = {"token": "not-a-key", "url": service.url}  # nobody else is asked

    def long_job(self, backend: Any) -> Any:
        with self.service.saying("started"):
            return self.submit(backend, circuits.coin())

    def queued_job(self, backend: Any) -> Any:
        with self.service.saying("ready"):
            return self.submit(backend, circuits.coin())

    def job_with_status(self, account: Any, word: str) -> JobInfo:
        with self.service.saying(word):
            job = self.submit(account.get_backend("ionq_simulator"), circuits.coin())
        return self.look(account, job)

    def silent_account(self, account: Any) -> Any:
        return self.unopened(account, token=self.service.key, url=f"http://{self.silent_address()}/v0.4")


for _name, _value in CONTRACT.items():
    setattr(TestIonQ, _name, _value)


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def test_the_service_tells_which_devices_there_are_and_how_good(account: qp.Account) -> None:
    listed = {info.name: info for info in account.list_backends()}
    assert [*listed] == ["ionq_simulator", "ionq_qpu.aria-1", "ionq_qpu.forte-1"]
    simulator, device = listed["ionq_simulator"], listed["ionq_qpu.forte-1"]
    assert (simulator.simulator, simulator.num_qubits, simulator.max_shots) == (True, 29, None)
    assert (device.simulator, device.num_qubits, device.max_shots) == (False, 36, 10_000)
    assert device.median_two_qubit_error == pytest.approx(0.0069)
    assert device.median_readout_error == pytest.approx(0.0038)
    assert account.get_backend("ionq_qpu.forte-1").status().operational is True


def test_listing_again_asks_nothing(account: qp.Account, service: IonQService) -> None:
    account.list_backends()
    asked = len(service.requests)
    account.list_backends()
    assert len(service.requests) == asked


def test_a_job_that_failed_says_why_also_when_it_is_retrieved(account: qp.Account, service, simulator) -> None:
    with service.saying("failed"):
        job = simulator.run(bell(), shots=10)
    with pytest.raises(JobFailedError, match="The ions have left the trap"):
        job.result()
    with qp.open_account("ionq", token=service.key, url=service.url) as other:
        told = other.call("qprovider_get_job", job=job.ref, deadline=qp.Deadline.after(10))
    assert told.state is JobState.ERROR
    assert "The ions have left the trap" in (told.error or "")


def test_it_is_found_by_ionqs_id_and_by_ours(account: qp.Account, service, simulator) -> None:
    job = simulator.run([bell(), bell()], shots=10)
    [vendors] = job.info.extra["vendor_jobs"]
    assert vendors in service.jobs
    counts = job.result().get_counts(1)
    assert set(counts) <= {"00", "11"}
    with qp.open_account("ionq", token=service.key, url=service.url) as other:
        deadline = qp.Deadline.after(10)
        for ref in (JobRef(id=job.job_id()), JobRef(id=vendors), JobRef(id="any", extra=job.info.extra)):
            told = other.call("qprovider_get_job", job=ref, deadline=deadline)
            assert (told.id, told.state) == (ref.id, JobState.DONE)
            assert told.backend in (None, "ionq_simulator")
            assert len(other.call("qprovider_job_result", job=ref, deadline=deadline).pubs) == 2


def test_each_shot_of_a_device(account: qp.Account, service) -> None:
    device = account.get_backend("ionq_qpu.aria-1")
    circuit = QuantumCircuit(3, 3)
    circuit.x(2)
    circuit.h(0)
    circuit.measure(range(3), range(3))
    job = device.run(circuit, shots=50, memory=True)
    memory = job.result().get_memory()
    assert len(memory) == 50
    assert set(memory) == {"100", "101"}
    with qp.open_account("ionq", token=service.key, url=service.url) as other:
        ref = JobRef(id=job.job_id(), extra=job.info.extra)
        [pub] = other.call("qprovider_job_result", job=ref, deadline=qp.Deadline.after(10)).pubs
        assert pub.registers is not None


def test_a_key_that_is_taken_back_is_told_as_such(service, simulator) -> None:
    job = simulator.run(bell(), shots=10)
    key, service.key = service.key, "another"
    try:
        for ask in (job.refresh, lambda: simulator.run(bell(), shots=10)):
            with pytest.raises(AuthenticationError, match="IonQ refused the credentials"):
                ask()
    finally:
        service.key = key
    assert job.result().get_counts()


def test_nobody_there_is_told_as_such() -> None:
    with pytest.raises(TransportError), qp.open_account("ionq", token="x" * 20, url="http://127.0.0.1:1/v0.4") as gone:
        gone.list_backends()


def test_a_seed_gives_the_same_counts_in_another_process(service, simulator) -> None:
    job = simulator.run(bell(), shots=1000, sampler_seed=7)
    counts = dict(job.result().get_counts())
    code = (
        "import sys, json, qprovider_core as qp\n"
        "account = qp.open_account('ionq', token=sys.argv[1], url=sys.argv[2])\n"
        "print(json.dumps(account.retrieve_job(sys.argv[3]).result().get_counts()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, service.key, service.url, job.job_id()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "QPROVIDER_LEDGER": "off"},
    )
    assert json.loads(done.stdout) == counts

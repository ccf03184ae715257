"""Superstaq's package through the adapter, against a stub behind a port of this machine that answers as its source
expects. It shows that the two fit; not that the service answers like that.

    python -m pytest tools/vendors/test_superstaq.py      where qiskit-superstaq, qprovider-core and -qiskit are
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import qiskit_superstaq as qss
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.providers.basic_provider import BasicSimulator

import qprovider_core as qp
from qprovider_core.errors import AuthenticationError
from qprovider_core.records import JobState

_TARGETS = {
    "ss_unconstrained_simulator": {"supports_submit": True, "available": True, "accessible": True},
    "cq_sqale_qpu": {"supports_submit": True, "available": False, "accessible": True},
}
_INFO = {"num_qubits": 5, "native_gate_set": ["rz", "sx", "x", "cz"], "max_circuits": None, "coupling_map": None}


class Stub:
    """The service: its key, its jobs, and whether its terms were accepted."""

    def __init__(self) -> None:
        self.key = f"key-{uuid.uuid4().hex}"
        self.jobs: dict[str, dict[str, Any]] = {}
        self.terms = True
        self.held = False

    def answer(self, path: str, body: Any) -> Any:
        match path.removeprefix("/v0.2.0"):
            case "/targets":
                return {"superstaq_targets": _TARGETS}
            case "/target_info":
                return {"target_info": _INFO}
            case "/jobs":
                return {"job_ids": [self.run(one, body) for one in qss.deserialize_circuits(body["qiskit_circuits"])]}
            case "/fetch_jobs" if {*body["job_ids"]} <= {*self.jobs}:
                return {one: self.jobs[one] for one in body["job_ids"]}
            case "/cancel_jobs":
                for one in body["job_ids"]:
                    self.jobs[one]["status"] = "Cancelled"
                return {"succeeded": body["job_ids"]}
        return None

    def run(self, circuit: QuantumCircuit, body: Any) -> str:
        simulator, job_id = BasicSimulator(), str(uuid.uuid4())
        counts = simulator.run(transpile(circuit, simulator), shots=body["shots"]).result().get_counts()
        measured = sorted(qss.classical_bit_mapping(circuit))  # samples have these alone, bit 0 leftmost
        samples = {"".join(key.replace(" ", "")[::-1][bit] for bit in measured): some for key, some in counts.items()}
        self.jobs[job_id] = {
            "status": "Queued" if self.held else "Done",
            "target": body["target"],
            "shots": body["shots"],
            "samples": samples,
            "input_circuit": qss.serialize_circuits(circuit),
        }
        return job_id


@pytest.fixture
def stub() -> Iterator[tuple[Stub, str]]:
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = 200, None
            if self.headers["Authorization"] != stub.key:
                status, answer = 401, "Not authorized."
            elif not stub.terms:
                status, answer = 401, "You must accept the Terms of Use (superstaq.infleqtion.com/terms_of_use)."
            else:
                answer = stub.answer(self.path, body)
                status = 404 if answer is None else 200
            text = json.dumps(answer if answer is not None else {"message": "not found"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield stub, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def account(stub: tuple[Stub, str]) -> Iterator[qp.Account]:
    with qp.open_account("superstaq", token=stub[0].key, url=stub[1]) as opened:
        yield opened


def registers() -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(1, "a"), ClassicalRegister(3, "b"))
    circuit.x([0, 2])
    circuit.measure([0, 1, 2], [1, 0, 3])
    return circuit


def test_its_targets_are_listed_with_what_they_say(account: qp.Account) -> None:
    listed = {info.name: info for info in account.list_backends()}
    assert {name: info.simulator for name, info in listed.items()} == {
        "ss_unconstrained_simulator": True,
        "cq_sqale_qpu": False,
    }
    assert listed["cq_sqale_qpu"].num_qubits == 5
    assert account.get_backend("cq_sqale_qpu").status().operational is False


def test_counts_are_in_qiskits_order_also_in_another_connection(account: qp.Account, stub: tuple[Stub, str]) -> None:
    backend = account.get_backend("ss_unconstrained_simulator")
    ready = transpile([registers(), registers()], backend)
    job = backend.run(ready, shots=30)
    assert [job.result().get_counts(index) for index in (0, 1)] == [{"101 0": 30}] * 2
    with qp.open_account("superstaq", token=stub[0].key, url=stub[1]) as other:
        found = other.retrieve_job(backend.run(ready[0], shots=30).job_id())
        assert found.result().get_counts() == {"101 0": 30}


def test_a_job_is_cancelled(account: qp.Account, stub: tuple[Stub, str]) -> None:
    stub[0].held = True
    backend = account.get_backend("ss_unconstrained_simulator")
    job = backend.run(transpile(registers(), backend), shots=10)
    assert job.refresh().state is JobState.QUEUED
    assert job.cancel() is True
    assert job.refresh().state is JobState.CANCELLED


def test_a_wrong_key_and_terms_that_were_not_accepted_are_told(stub: tuple[Stub, str]) -> None:
    with pytest.raises(AuthenticationError, match="Superstaq refused"):
        qp.open_account("superstaq", token="not-a-key", url=stub[1]).list_backends()  # noqa: S106  it is none
    stub[0].terms = False
    with pytest.raises(AuthenticationError, match="terms of use"):
        qp.open_account("superstaq", token=stub[0].key, url=stub[1]).list_backends()

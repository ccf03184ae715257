"""An emulator, and a plain HTTP client of the Quantum API."""

from __future__ import annotations

import base64
import io
import json
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import requests
from qiskit import QuantumCircuit, qpy, transpile

from qprovider_ibm.emulator import Emulator
from qprovider_ibm.emulator._isa import target_of
from qprovider_ibm.emulator.fixtures import ibm_emulator, ibm_emulator_process  # noqa: F401

VERSION = "2026-04-15"


class Api:
    """Requests as one user of one instance sends them."""

    def __init__(self, emulator: Emulator, instance: str = "open-main", key: str | None = None) -> None:
        self.emulator = emulator
        self.base = emulator.base
        self.session = requests.Session()
        self.key = key or emulator.api_key
        self.crn = emulator.instances.get(instance, instance)
        self.headers = {
            "Authorization": f"Bearer {self.token()}",
            "Service-CRN": self.crn,
            "IBM-API-Version": VERSION,
            "Accept": "application/json",
        }

    def token(self) -> str:
        form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": self.key}
        answer = self.session.post(f"{self.base}/identity/token", data=form, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def send(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {name: value for name, value in {**self.headers, **more.pop("headers", {})}.items() if value}
        return self.session.request(
            method, f"{self.base}/api/v1{path}", headers=headers, timeout=more.pop("timeout", 30), **more
        )

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.send("GET", path, **more)

    def json(self, path: str, **params: Any) -> Any:
        answer = self.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    # -- jobs --------------------------------------------------------------------------------------------------

    def post_job(self, params: Any, backend: str = "ibmq_belem", program: str = "sampler", **more: Any) -> Any:
        body = {"program_id": program, "backend": backend, "params": params, **more}
        return self.send("POST", "/jobs", json=body)

    def submit(self, params: Any, backend: str = "ibmq_belem", program: str = "sampler", **more: Any) -> str:
        answer = self.post_job(params, backend, program, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    def job(self, job_id: str, **params: Any) -> Any:
        return self.json(f"/jobs/{job_id}", **params)

    def wait(self, job_id: str, until: Callable[[Any], bool] | None = None) -> Any:
        """The job's document once it has ended, or once `until` is true of it."""
        until = until or (lambda job: job["state"]["status"] in ("Completed", "Failed", "Cancelled"))
        end = time.monotonic() + 40
        while not until(job := self.job(job_id, exclude_params="true")):
            assert time.monotonic() < end, job
            time.sleep(0.005)
        return job

    def ended(self, job_id: str) -> str:
        return self.wait(job_id)["id"]

    def wait_session(self, path: str, state: str) -> Any:
        """The session's document once it is in a state."""
        end = time.monotonic() + 40
        while (session := self.json(path))["state"] != state:
            assert time.monotonic() < end, session
            time.sleep(0.02)
        return session

    def result(self, job_id: str) -> Any:
        job = self.wait(job_id)
        assert job["state"]["status"] == "Completed", job
        answer = self.get(f"/jobs/{job_id}/results")
        assert answer.status_code == 200
        return json.loads(answer.text, object_hook=untag)

    def run(self, *args: Any, **more: Any) -> Any:
        return self.result(self.submit(*args, **more))

    def failure(self, *args: Any, **more: Any) -> Any:
        """The state of a job that fails."""
        job = self.wait(self.submit(*args, **more))
        assert job["state"]["status"] == "Failed", job
        return job["state"]


def untag(item: Any) -> Any:
    """Tagged objects as plain values; arrays as numpy's."""
    kind, value = item.get("__type__"), item.get("__value__")
    if kind == "ndarray":
        return np.load(io.BytesIO(zlib.decompress(base64.b64decode(value))), allow_pickle=False)
    return item if kind is None else value


def error_of(answer: requests.Response) -> tuple[int, int, str]:
    """Status, code and message of a refusal, whose form is checked."""
    body = answer.json()
    assert set(body) == {"errors", "trace"}
    assert len(body["trace"]) == 32
    (error,) = body["errors"]
    assert set(error) == {"code", "message", "solution", "more_info"}
    return answer.status_code, error["code"], error["message"]


def pack_circuit(circuit: QuantumCircuit, version: int = 17) -> dict[str, str]:
    file = io.BytesIO()
    qpy.dump(circuit, file, version=version)
    text = base64.b64encode(zlib.compress(file.getvalue())).decode()
    return {"__type__": "QuantumCircuit", "__value__": text}


def pack_array(values: Any) -> dict[str, str]:
    file = io.BytesIO()
    np.save(file, np.asarray(values), allow_pickle=False)
    return {"__type__": "ndarray", "__value__": base64.b64encode(zlib.compress(file.getvalue())).decode()}


def sampler_params(circuit: Any, values: Any = None, shots: int | None = 100, **more: Any) -> dict[str, Any]:
    packed = pack_circuit(circuit) if isinstance(circuit, QuantumCircuit) else circuit
    return {"pubs": [[packed, values, shots]], "version": 2, "support_qiskit": True, **more}


def fit(circuit: QuantumCircuit, source: str = "belem") -> QuantumCircuit:
    """The circuit in a device's instructions, on its qubits in the circuit's order."""
    return transpile(
        circuit, target=target_of(source), optimization_level=0, initial_layout=list(range(circuit.num_qubits))
    )


def bits_of(field: Any) -> np.ndarray:
    """A register's outcomes: shape (*sets, shots, bits), bit k in column k."""
    rows = field["array"][..., ::-1]
    return np.unpackbits(rows, axis=-1, bitorder="little", count=field["num_bits"])


def field(result: Any, name: str, pub: int = 0) -> Any:
    return result["pub_results"][pub]["data"]["fields"][name]


def endless():
    """A circuit that keeps a simulator busy for minutes."""
    circuit = QuantumCircuit(19, 19)
    for layer in range(60):
        for qubit in range(19):
            circuit.rx(0.1 + layer, qubit)
        for qubit in range(18):
            circuit.cx(qubit, qubit + 1)
        circuit.measure(0, 0)
        circuit.reset(1)
    circuit.measure(range(19), range(19))
    return circuit


class Tools:
    """Functions that test modules share."""

    error_of = staticmethod(error_of)
    pack_circuit = staticmethod(pack_circuit)
    pack_array = staticmethod(pack_array)
    sampler_params = staticmethod(sampler_params)
    fit = staticmethod(fit)
    bits_of = staticmethod(bits_of)
    field = staticmethod(field)
    endless = staticmethod(endless)


@pytest.fixture(scope="session")
def tools() -> type[Tools]:
    return Tools


@pytest.fixture
def api(ibm_emulator: Emulator) -> Api:  # noqa: F811
    return Api(ibm_emulator)


@pytest.fixture
def premium(ibm_emulator: Emulator) -> Api:  # noqa: F811
    return Api(ibm_emulator, "premium-eu")


@pytest.fixture(scope="session")
def api_of() -> type[Api]:
    return Api


@pytest.fixture(scope="session")
def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return fit(circuit)


@pytest.fixture
def start() -> Iterator[Callable[..., Emulator]]:
    """Start emulators that end with the test."""
    started: list[Emulator] = []

    def begin(**settings: Any) -> Emulator:
        started.append(Emulator(**settings))
        return started[-1]

    yield begin
    for emulator in started:
        emulator.close()

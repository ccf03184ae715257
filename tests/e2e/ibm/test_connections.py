"""Connections are used again and answers come packed: counted between the plugin and the emulated service."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests

from qprovider_ibm import IBMProvider
from qprovider_ibm.emulator import Emulator

DEVICES = 24


class Wire:
    """A port of 127.0.0.1 that passes everything on to another one.

    Attributes:
        connections: How many were ever opened; open: how many are now; most: the most at a time.
        received: Bytes that came from the other side.
    """

    def __init__(self, port: int) -> None:
        self._behind = port
        self._lock = threading.Lock()
        self.connections = self.open = self.most = self.received = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._behind))
                with self._lock:
                    self.connections += 1
                    self.open += 1
                    self.most = max(self.most, self.open)
                    self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._pass, args=(source, sink, source is far), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if counted:
                    with self._lock:
                        self.received += len(data)
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        if not counted:
            with self._lock:
                self.open -= 1

    def close(self) -> None:
        self._listener.close()
        for one in self._sockets:
            one.close()


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are remembered, as they are by default."""
    monkeypatch.delenv("QPROVIDER_CACHE")


@pytest.fixture(scope="module")
def service() -> Iterator[Emulator]:
    with Emulator(backends=DEVICES, latency_s=0.01) as emulator:
        yield emulator


@pytest.fixture
def wire(service: Emulator) -> Iterator[Wire]:
    passing = Wire(int(service.base.rpartition(":")[2]))
    yield passing
    passing.close()


@pytest.fixture
def connect(service: Emulator, wire: Wire) -> Iterator[Callable[..., IBMProvider]]:
    """Opens providers whose every request goes through the wire."""
    opened: list[IBMProvider] = []

    def begin(key: str = service.api_key) -> IBMProvider:
        behind = f"127.0.0.1:{wire.port}"
        places = {name: f"http://{behind}{url[len(service.base) :]}" for name, url in service.endpoints().items()}
        opened.append(IBMProvider(key, instance=service.instances["premium-eu"], endpoints=places))
        return opened[-1]

    yield begin
    for provider in opened:
        provider.close()


def test_one_request_after_another_uses_one_connection(connect, wire, service):
    provider = connect()
    service.clear_requests()
    hanoi = provider.get_backend("ibm_hanoi")
    for _ in range(30):
        assert hanoi.status().backend_name == "ibm_hanoi"
    provider.backends(refresh=True)
    provider.jobs()
    assert len(service.requests()) > 30
    assert wire.connections == 1


def test_another_account_and_the_same_one_again_use_the_connections_that_are_there(connect, wire, service):
    connect().backends()
    connect().backends()
    connect(service.api_keys[1]).backends()
    assert wire.connections == 1


def test_configurations_of_many_backends_come_over_few_connections_which_are_used_again(connect, wire, service):
    provider = connect()
    service.clear_requests()
    found = provider.account.list_backends(where="'cz' in basis_gates or num_qubits > 0", basis_gates=["rz", "x"])
    assert found.requests == {"info": 1, "configuration": DEVICES}
    assert len(service.requests()) == DEVICES + 1
    assert 1 < wire.connections <= 32
    before = wire.connections
    again = provider.account.list_backends(basis_gates=["rz", "x"], refresh=True)
    assert again.requests == {"info": 1, "configuration": DEVICES}
    assert again.names() == found.names()
    # More of them may be out at once than the first time, and none is opened beside one that is idle.
    assert before <= wire.connections <= 32 < len(service.requests())
    before = wire.connections
    provider.account.list_backends(basis_gates=["rz", "x"])
    assert len(service.requests()) == 2 * (DEVICES + 1)
    assert wire.connections == before


def test_many_threads_use_no_more_connections_than_there_are_turns(connect, wire, service):
    provider = connect()
    hanoi = provider.get_backend("ibm_hanoi")
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                assert hanoi.status().backend_name == "ibm_hanoi"
        except BaseException as exc:
            problems.append(exc)

    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert wire.connections <= 32


def unpacked(service: Emulator, path: str, token: str) -> int:
    """How many bytes an answer has by itself."""
    answer = requests.get(
        f"{service.base}/api/v1{path}",
        headers={
            "Authorization": f"Bearer {token}",
            "Service-CRN": service.instances["premium-eu"],
            "Accept-Encoding": "identity",
        },
        timeout=10,
    )
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers
    return len(answer.content)


@pytest.mark.parametrize(("what", "times"), [("properties", 5), ("configuration", 4)])
def test_what_is_large_comes_packed(connect, wire, service, what, times):
    provider = connect()
    boston = provider.get_backend("ibm_boston")
    assert boston.num_qubits == 156
    before = wire.received
    value: Any = boston.properties() if what == "properties" else boston.configuration(refresh=True)
    assert len(value.qubits if what == "properties" else value.basis_gates) > 2
    came = wire.received - before
    grant = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": service.api_key}
    token = requests.post(f"{service.base}/identity/token", data=grant, timeout=10).json()["access_token"]
    whole = unpacked(service, f"/backends/ibm_boston/{what}", token)
    assert 1000 < came < whole / times
    asked = [one for one in service.requests() if one["path"].endswith(f"ibm_boston/{what}")]
    assert "gzip" in asked[0]["encoding"]

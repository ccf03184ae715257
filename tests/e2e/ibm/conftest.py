"""A server that does what a test tells it, and an emulated service with an account of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from qprovider_ibm import IBMProvider
from qprovider_ibm.emulator import Emulator
from qprovider_ibm.emulator.fixtures import ibm_emulator, ibm_emulator_process  # noqa: F401


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and configuration: nobody's accounts, and no variable of any client. Nothing is remembered: most
    tests count what is asked; those of what is remembered say so."""
    import os

    for name in list(os.environ):
        if name.startswith(("QPROVIDER_IBM_", "QISKIT_IBM_", "IAM_", "GLOBAL_", "HTTP_PROXY", "HTTPS_PROXY")):
            monkeypatch.delenv(name)
    # A port that an earlier test's server had may come again, and with it that server's token.
    monkeypatch.setattr("qprovider_ibm._auth._sources", {})
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("QPROVIDER_CACHE", "off")
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture
def emulator(ibm_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:  # noqa: F811
    """The emulated service, its addresses in the environment."""
    for name, value in ibm_emulator.environment().items():
        if not name.endswith(("TOKEN", "INSTANCE")):
            monkeypatch.setenv(name, value)
    return ibm_emulator


@pytest.fixture
def provider(emulator: Emulator) -> Iterator[IBMProvider]:
    with IBMProvider(emulator.api_key, instance="premium-eu") as provider:
        emulator.clear_requests()
        yield provider


class Server:
    """An HTTP server on 127.0.0.1 that answers with what `answer` returns, and keeps what it was asked.

    Attributes:
        answer: Called with method, path, headers and body; returns status, headers and body, or None to hang up.
        seen: Method, path, headers and body of each request.
    """

    def __init__(self, answer: Callable[..., Any], context: Any = None) -> None:
        self.answer = answer
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _reply(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.seen.append((self.command, self.path, headers, body))
                told = outer.answer(self.command, self.path, headers, body)
                if told is None:
                    self.close_connection = True
                    return
                status, more, content = told
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_CONNECT = _reply

            def log_message(self, *args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                pass

        self._server = Quiet(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.base = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers that end with the test."""
    started: list[Server] = []

    def begin(answer: Callable[..., Any], context: Any = None) -> Server:
        started.append(Server(answer, context))
        return started[-1]

    yield begin
    for server in started:
        server.close()


@pytest.fixture
def gateway(serve: Callable[..., Server], emulator: Emulator) -> Callable[..., Server]:
    """Start a server in front of the emulated service, which may change what passes.

    Its argument is called with method, path and the answer (status, headers, body), and returns the answer to give.
    It may be used as the service itself, or as a proxy before it. `behind` is another service than the usual one.
    `instead` is called with method, path and the request's headers; an answer from it keeps the request from passing.
    """
    from http.client import HTTPConnection

    def begin(
        change: Callable[..., Any] = lambda method, path, answer: answer,
        behind: Emulator = emulator,
        instead: Callable[..., Any] = lambda method, path, headers: None,
    ) -> Server:
        place = behind.base.removeprefix("http://")

        def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
            path = path.removeprefix(behind.base)
            if (told_instead := instead(method, path, headers)) is not None:
                return told_instead
            passed = {name: value for name, value in headers.items() if name not in ("host", "accept-encoding")}
            connection = HTTPConnection(place, timeout=30)
            try:
                connection.request(method, path, body or None, passed)
                told = connection.getresponse()
                content = told.read()
            finally:
                connection.close()
            kept = {"Content-Type": told.headers["Content-Type"]} if told.headers["Content-Type"] else {}
            return change(method, path, (told.status, kept, content))

        return serve(answer)

    return begin


@pytest.fixture
def bell() -> Any:
    """A circuit of two qubits for the simulator, which needs no transpiling."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2, name="bell")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit

"""An emulated service, and IBM's own client, qiskit-ibm-runtime, on it. Nothing but loopback is contacted."""

from __future__ import annotations

import ipaddress
import socket
import warnings

import pytest
from qiskit import QuantumCircuit
from qiskit.transpiler import generate_preset_pass_manager

from qprovider_ibm.emulator import Emulator


@pytest.fixture(scope="module", autouse=True)
def _loopback_only():
    """Refuse every connection that leaves this machine, and every look-up of a name."""
    patch = pytest.MonkeyPatch()
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def is_loopback(host):
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def guarded_connect(self, address):
        assert self.family == socket.AF_UNIX or is_loopback(address[0]), f"a connection to {address}"
        return connect(self, address)

    def guarded_resolve(host, *args, **more):
        assert is_loopback(host), f"a look-up of {host}"
        return resolve(host, *args, **more)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket, "getaddrinfo", guarded_resolve)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def emulator():
    with Emulator(seed=7) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults(emulator):
    emulator.clear_faults()
    emulator.clear_requests()


@pytest.fixture(scope="module")
def environment(emulator, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("QISKIT_IBM_TOKEN", "QISKIT_IBM_INSTANCE", "QISKIT_IBM_URL", "QISKIT_IBM_CHANNEL"):
        patch.delenv(name, raising=False)
    for name, value in emulator.runtime_environment().items():
        patch.setenv(name, value)
    yield
    patch.undo()


def open_service(emulator, instance):
    from qiskit_ibm_runtime import QiskitRuntimeService

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return QiskitRuntimeService(
            channel="ibm_quantum_platform",
            token=emulator.api_key,
            url=emulator.runtime_url,
            instance=emulator.instances[instance],
        )


@pytest.fixture(scope="module")
def service(emulator, environment):
    return open_service(emulator, "open-main")


@pytest.fixture(scope="module")
def premium(emulator, environment):
    return open_service(emulator, "premium-eu")


@pytest.fixture(scope="module")
def belem(service):
    return service.backend("ibmq_belem")


@pytest.fixture(scope="module")
def bell(belem):
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return generate_preset_pass_manager(1, backend=belem, seed_transpiler=1).run(circuit)

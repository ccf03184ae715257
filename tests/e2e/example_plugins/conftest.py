"""The example plugins installed as pip does it, and scripts that use them in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qprovider_ibm.emulator import Emulator

FOLDER = Path(__file__).parents[3] / "examples" / "plugins"

# What scripts begin with: a circuit of a device's own gates, and one job of it.
DEVICE = """
import json, os, sys
import qprovider_core as qp
from qiskit import QuantumCircuit, transpile

def device(shots, circuits=1, name="ibm:ibmq_belem"):
    backend = qp.get_backend(name)
    circuit = QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return backend.run([circuit] * circuits, shots=shots)
"""
# A vendor that tells its token wherever it can, and fails at what it is told to.
ACME = """
import json, os
import qprovider_core as qp
from qiskit import QuantumCircuit
from qprovider_core import errors

class Acme:
    fails = None

    @qp.hookimpl
    def qprovider_provider(self):
        return qp.ProviderSpec(name="acme", title="Acme", credentials=qp.TokenCredentials)

    @qp.hookimpl
    def qprovider_open_account(self, credentials):
        return {"token": credentials.token.reveal()}

    @qp.hookimpl
    def qprovider_list_backends(self, connection):
        text = f"of {connection['token']}"
        return [qp.BackendInfo(name="one", num_qubits=2, description=text, extra={connection["token"]: text})]

    @qp.hookimpl
    def qprovider_backend_configuration(self, backend):
        return qp.BackendConfiguration(backend_name="one", n_qubits=2, basis_gates=("sx", "cx"))

    @qp.hookimpl
    def qprovider_submit_job(self, connection, request):
        if self.fails is not None:
            raise self.fails
        return qp.JobInfo(id="j", state=qp.JobState.QUEUED, extra={"seen": connection["token"]})

    @qp.hookimpl
    def qprovider_get_job(self, connection, job):
        raise errors.UnknownJobError(job.id, hint=f"{connection['token']} has none.")

acme = Acme()
qp.register_plugin(acme, "acme")
backend = qp.open_account("acme", token=os.environ["TOKEN"]).get_backend("one")
circuit = QuantumCircuit(1, 1)
circuit.measure(0, 0)
"""


BEGINNINGS = {"device": DEVICE, "acme": ACME, "": ""}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both examples installed, as pip does it."""
    site = tmp_path_factory.mktemp("site")
    folders = [str(FOLDER / name) for name in ("budget_guard", "recorder")]
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "install", *options, "--target", str(site), *folders]
    subprocess.run(pip, check=True, timeout=120)
    return site


@pytest.fixture
def python(site: Path, environment: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Runs a script in a fresh interpreter that finds the examples; gives what its last line says, as JSON."""

    def run(code: str, begin: str = "device", **variables: Any) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", BEGINNINGS[begin] + textwrap.dedent(code)],
            env=environment | {"PYTHONPATH": str(site)} | {name: str(value) for name, value in variables.items()},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture(scope="module")
def emulated() -> Iterator[Emulator]:
    with Emulator(queue_time_s=0.0) as emulator:
        yield emulator


@pytest.fixture
def belem(service: Emulator) -> Emulator:
    """The emulated service, nothing asked of it yet."""
    service.clear_requests()
    return service

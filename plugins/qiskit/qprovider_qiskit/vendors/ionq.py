"""IonQ's devices and cloud simulator, through qiskit-ionq.

Its `IonQProvider` is not used: it knows two backends only, asks IonQ's own address for their sizes whatever address it
is given, takes them for four qubits where it gets no answer, and is content with no token. The backends are those that
the service lists. Run against a service on this machine; *unverified* against IonQ's own: what it answers a wrong key
at `/jobs`, and the word `2q` for the fidelity of gates.
"""

from __future__ import annotations

from typing import Any

import attrs

from qprovider_core.records import TokenCredentials
from qprovider_core.secret import Secret
from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit.vendors._declared import REMOTE, STATIC, lacking


@attrs.frozen(kw_only=True, repr=False)
class IonQCredentials(TokenCredentials):
    """An account of IonQ. Only the token is needed."""

    token: Secret = attrs.field(metadata={"help": "API key", "env": ("IONQ_API_KEY",)})
    url: str = attrs.field(
        default="https://api.ionq.co/v0.4", metadata={"help": "address of the service", "env": ("IONQ_API_URL",)}
    )


class _Place:
    """What qiskit-ionq's backends ask of their provider."""

    custom_headers = None

    def __init__(self, credentials: IonQCredentials) -> None:
        self.credentials = {"token": credentials.token.reveal(), "url": credentials.url}


def backends(credentials: IonQCredentials) -> list[Any]:
    from qiskit_ionq.ionq_backend import IonQBackend
    from qiskit_ionq.ionq_client import IonQClient

    client = IonQClient(credentials.token.reveal(), credentials.url)
    _asked(client, "jobs", limit=1)  # whether the key is taken: everybody may list the backends
    found = []
    for told in _asked(client, "backends"):
        simulator = told["backend"] == "simulator"
        backend = IonQBackend(
            provider=_Place(credentials),
            name=f"ionq_{told['backend']}",
            description="IonQ's cloud simulator" if simulator else "IonQ's trapped ions",
            gateset="qis",
            num_qubits=told["qubits"],
            simulator=simulator,
        )
        if not simulator:
            backend.max_shots = 10_000  # as qiskit-ionq has it
        found.append(backend)
    return found


def _asked(client: Any, *path: str, **parameters: Any) -> Any:
    from qiskit_ionq.exceptions import IonQAPIError

    answer = client.get_with_retry(client.make_path(*path), parameters, client.api_headers)
    IonQAPIError.raise_for_status(answer)
    return answer.json()


def _status(backend: Any) -> Any:
    """What its list says. Its own `status()` says yes where there is any calibration."""
    return _asked(backend.client, "backends", backend.name.removeprefix("ionq_"))["status"]


def _errors(backend: Any) -> tuple[float | None, float | None]:
    calibration = backend.calibration()
    fidelity = calibration.fidelity if calibration else {}
    two_qubit, readout = ((fidelity.get(name) or {}).get("median") for name in ("2q", "spam"))
    return None if two_qubit is None else 1 - two_qubit, None if readout is None else 1 - readout


def _retrieved(backend: Any, job_id: str) -> Any:
    from qiskit_ionq.ionq_job import IonQJob

    # Given a circuit, of whatever kind, it does not ask for the state, which it could not tell of a job that failed.
    return IonQJob(backend, job_id, circuit=[], passed_args={"memory": True})


# Its simulator takes gates, then measurements; of devices there are medians.
CONTRACT = {
    **REMOTE,
    **STATIC,
    **lacking("properties"),
    "noiseless_backend": "ionq_simulator",
    "wrong_credentials": {"token": "not-a-key"},
}

plugin = QiskitAdapter(
    backends, name="ionq", title="IonQ", errors=_errors, status=_status, retrieve=_retrieved,
    job_status=lambda job: job.backend().client.retrieve_job(job.job_id())["status"],
    run_options=["sampler_seed", "noise_model", "error_mitigation", "job_settings", "extra_metadata"],
    requires=["qiskit-ionq>=1.1,<2"], credentials=IonQCredentials,
    credentials_help="Make an API key on https://cloud.ionq.com (Settings, API Keys).",
    contract=f"{__name__}:CONTRACT",
)  # fmt: skip

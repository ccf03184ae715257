"""Alice & Bob's cat qubits: the emulators of their package, which run in this process; with an API key, their cloud.

The cloud has emulators of the same names, so an account with a key has those of the cloud alone. *Unverified*, since
nothing was run against it: all of the cloud. Its provider is not used: it asks the package index for newer versions
whenever it is made, and what it makes prints as it goes.

Half of the emulators are of physical cats, which have neither `h` nor any other gate that leaves the basis.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import attrs

from qprovider_core.secret import Secret
from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit.vendors._declared import ADAPTED_AER, lacking

_REQUEST_S = 30.0  # for one request to the cloud; the package itself would wait without end


@attrs.frozen(kw_only=True)
class AliceBobCredentials:
    """An account of Alice & Bob's cloud. The emulators in this process need no key."""

    api_key: Secret | None = attrs.field(default=None, metadata={"help": "API key for the cloud"})
    url: str = attrs.field(default="https://api-gcp.alice-bob.com/", metadata={"help": "address of the cloud"})


def backends(credentials: AliceBobCredentials | None) -> list[Any]:
    if credentials is None or credentials.api_key is None:
        from qiskit_alice_bob_provider import AliceBobLocalProvider

        return list(AliceBobLocalProvider().backends())
    from qiskit_alice_bob_provider.remote.api.client import ApiClient
    from qiskit_alice_bob_provider.remote.api.targets import list_targets
    from qiskit_alice_bob_provider.remote.backend import AliceBobRemoteBackend

    client = ApiClient(credentials.api_key.reveal(), credentials.url, retries=2)
    client._session.request = partial(client._session.request, timeout=_REQUEST_S)
    return [AliceBobRemoteBackend(client, target) for target in list_targets(client)]


def _in_this_process(backend: Any) -> bool:
    return hasattr(backend, "_execution_backend")


def _mend(backend: Any) -> None:
    if not _in_this_process(backend):
        backend._verbose = False
        backend.run = partial(_sent, backend.run)
        return
    from qiskit_aer import AerSimulator

    # All have one and the same, so that what is set for one holds for all.
    backend._execution_backend = AerSimulator(n_qubits=backend.num_qubits)


def _sent(run: Any, circuit: Any, **options: Any) -> Any:
    return _watched(run(circuit, **options))


def _watched(job: Any) -> Any:
    """A job of the cloud that does not take a word that it does not know for an error, and says why it failed."""
    job.status = partial(_told, job)
    job.error_message = lambda: "; ".join(map(str, job._last_response["errors"]))
    return job


def _told(job: Any) -> Any:
    from qiskit_alice_bob_provider.remote.api.jobs import get_job
    from qiskit_alice_bob_provider.remote.api.models import AliceBobEventType

    job._last_response = get_job(job._api_client, job.job_id())  # where its result looks
    word = job._last_response["events"][-1]["type"]
    known = AliceBobEventType.__members__.get(word)
    return word if known in (None, AliceBobEventType.UNKNOWN) else known.to_qiskit_status()


def _retrieved(backend: Any, job_id: str) -> Any:
    from qiskit_alice_bob_provider.remote.api.jobs import get_job
    from qiskit_alice_bob_provider.remote.job import AliceBobRemoteJob

    told = get_job(backend._api_client, job_id)
    if told.get("target", backend.name) != backend.name:
        raise LookupError(job_id)
    memory = bool(told["inputParams"].get("memory"))
    unknown = SimpleNamespace(name=None, num_clbits=None)  # the circuit; of which it asks no more
    return _watched(AliceBobRemoteJob(backend, backend._api_client, job_id, unknown, verbose=False, has_memory=memory))


CONTRACT = {
    **ADAPTED_AER,
    "backend_name": "EMU:40Q:LOGICAL_NOISELESS",
    "tolerance": 0.05,  # rotations are approximated, by some three hundred gates each
    "long_shots": 50,
    **lacking("properties", "parameters"),  # values are put in before a circuit is compiled, not after
}

plugin = QiskitAdapter(
    backends, name="alice_bob", title="Alice & Bob", simulator=lambda backend: backend.name.startswith("EMU:"),
    noisy=lambda backend: not backend.name.endswith("NOISELESS"), local=_in_this_process, fixup=_mend,
    retrieve=_retrieved, run_options=["seed_simulator"], requires=["qiskit-alice-bob-provider>=3,<4"],
    credentials=AliceBobCredentials,
    credentials_help="Ask Alice & Bob for an API key (https://alice-bob.com), or get one with Felis on Google Cloud.",
    contract=f"{__name__}:CONTRACT",
)  # fmt: skip

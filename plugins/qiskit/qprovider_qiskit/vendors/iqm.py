"""IQM's quantum computers, on its cloud Resonance or on a site of one's own, and the fake devices of its package.

*Unverified*, since nothing was run against a server of IQM: all but the fake devices. On Deneb, qubits meet in a
resonator between them; the moves to it and back are put in when a circuit is run. A bit can be measured into once only.
"""

from __future__ import annotations

import copy
import os
from functools import partial
from math import exp
from typing import Any

import attrs

from qprovider_core.secret import Secret
from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit.vendors._declared import ADAPTED_AER, STATIC, lacking

_REQUEST_S = 30.0


@attrs.frozen(kw_only=True)
class IQMCredentials:
    """An account of a server of IQM. The fake devices, which run in this process, need none of it."""

    token: Secret | None = attrs.field(default=None, metadata={"help": "API token", "env": ("IQM_TOKEN",)})
    url: str = attrs.field(
        default="https://resonance.iqm.tech", metadata={"help": "address of the server", "env": ("IQM_SERVER_URL",)}
    )
    quantum_computer: str | None = attrs.field(
        default=None, metadata={"help": "only this quantum computer, such as garnet", "env": ("IQM_QUANTUM_COMPUTER",)}
    )


def backends(credentials: IQMCredentials | None) -> list[Any]:
    from iqm.qiskit_iqm.iqm_provider import facade_names

    # Its import makes one of each, which takes seconds; nothing changes them.
    found = list(facade_names.values())
    if credentials is not None and credentials.token is not None:
        found += _devices(credentials.url, credentials.token.reveal(), credentials.quantum_computer)
    return found


def _devices(url: str, token: str, only: str | None) -> list[Any]:
    from iqm.qiskit_iqm import IQMProvider

    # The package takes no token where the environment has one, be it the same.
    given = {} if os.environ.get("IQM_TOKEN") == token else {"token": token}
    names = [name for name in _names(url, token) if only in (None, name)]
    return [IQMProvider(url, quantum_computer=name, **given).get_backend() for name in names]


def _names(url: str, token: str) -> list[str]:
    """Of all quantum computers of the server. The package lists them in its errors only."""
    import requests

    place, headers = f"{url.rstrip('/')}/api/v1/quantum-computers", {"Authorization": f"Bearer {token}"}
    answer = requests.get(place, headers=headers, timeout=_REQUEST_S)
    answer.raise_for_status()
    return [one["alias"] for one in answer.json()["quantum_computers"]]


def _in_this_process(backend: Any) -> bool:
    return hasattr(backend, "error_profile")


def _mend(backend: Any) -> Any:
    """Of a device with resonators one without, which has the moves put in when it is run. None of any other.

    A circuit with moves is wider than the device, and has a gate that the target has not.
    """
    if not backend.has_resonators():
        return None
    from qiskit.transpiler import Target

    target = Target(num_qubits=backend.target.num_qubits)  # the compiler stage puts in moves for IQM's own class only
    for name in backend.target.operation_names:
        target.add_instruction(backend.target.operation_from_name(name), backend.target[name], name=name)
    mended = copy.copy(backend)
    mended._target = target
    mended.run = partial(_run_with_moves, backend)
    return mended


def _run_with_moves(backend: Any, circuits: Any, **options: Any) -> Any:
    from qiskit import transpile

    return backend.run(transpile(circuits, backend=backend, optimization_level=0), **options)


def _retrieved(backend: Any, job_id: str) -> Any:
    from exa.common.errors.iqm_error import NotFoundError

    try:
        return backend.retrieve_job(job_id)
    except NotFoundError as exc:
        raise LookupError(job_id) from exc


def _errors(backend: Any) -> tuple[float | None, float | None]:
    """Medians of what the noise of a fake device does; the target says nothing of it."""
    if not _in_this_process(backend):
        return None, None
    from statistics import median  # late: it loads fractions and decimals, and most commands ask no fake device

    profile = backend.error_profile
    pairs = profile.two_qubit_gate_depolarizing_error_parameters["cz"]
    return (
        median(_gate_error(profile, pair, share) for pair, share in pairs.items()),
        median((one["0"] + one["1"]) / 2 for one in profile.readout_errors.values()),
    )


def _gate_error(profile: Any, pair: tuple[str, str], depolarizing: float) -> float:
    """The average gate infidelity of a CZ that depolarizes, while its qubits relax.

    Both channels are diagonal in Pauli operators, but for a shift that has no part in the fidelity: of a qubit, Z is
    kept by exp(-t/T1), X and Y are by exp(-t/T2); all but the identity by one less the depolarizing parameter.
    """
    time_ns = profile.two_qubit_gate_durations["cz"]
    kept = 1.0
    for qubit in pair:
        kept *= (1 + exp(-time_ns / profile.t1s[qubit]) + 2 * exp(-time_ns / profile.t2s[qubit])) / 4
    process_fidelity = (1 - depolarizing) * kept + depolarizing / 16
    return (1 - process_fidelity) * 4 / 5


# It may measure in the middle of a circuit, but not twice into one bit, as the checks do.
CONTRACT = {**ADAPTED_AER, **STATIC, **lacking("properties"), "backend_name": "IQMFakeDenebBackend"}

plugin = QiskitAdapter(
    backends, name="iqm", title="IQM", simulator=_in_this_process, noisy=True, local=_in_this_process,
    errors=_errors, fixup=_mend, retrieve=_retrieved, run_options=["use_timeslot"],
    requires=["iqm-client[qiskit]>=36,<37"], credentials=IQMCredentials,
    credentials_help="Generate a token at https://resonance.iqm.tech (Dashboard); of another server, ask who runs it.",
    contract=f"{__name__}:CONTRACT",
)  # fmt: skip

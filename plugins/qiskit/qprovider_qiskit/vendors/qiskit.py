"""Qiskit's own: `BasicSimulator`, and `GenericBackendV2` of 5 and of 20 qubits."""

from __future__ import annotations

from typing import Any

from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit.vendors._declared import ADAPTED


def backends(_: None) -> list[Any]:
    from qiskit.providers.basic_provider import BasicSimulator
    from qiskit.providers.fake_provider import GenericBackendV2

    return [BasicSimulator(), GenericBackendV2(5, seed=1), GenericBackendV2(20, seed=1)]


CONTRACT = {
    **ADAPTED,
    "noiseless_backend": "basic_simulator",
    "long_shots": 200,  # each is simulated in Python
    "supports_conditionals": False,
}

plugin = QiskitAdapter(
    backends, name="qiskit", title="Qiskit's own simulators",
    simulator=True, local=True, run_options=["seed_simulator"], contract=f"{__name__}:CONTRACT",
)  # fmt: skip

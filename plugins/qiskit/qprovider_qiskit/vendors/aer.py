"""Qiskit Aer in this process. `qprovider-local` runs it in processes of its own, with a queue and noisy twins."""

from __future__ import annotations

from typing import Any

from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit.vendors._declared import ADAPTED_AER


def backends(_: None) -> Any:
    from qiskit_aer import AerSimulator

    return AerSimulator()


CONTRACT = {**ADAPTED_AER, "noiseless_backend": "aer_simulator", "supports_properties": False}

plugin = QiskitAdapter(
    backends, name="aer", title="Qiskit Aer", simulator=True, local=True,
    run_options=["seed_simulator"], requires=["qiskit-aer>=0.15"], contract=f"{__name__}:CONTRACT",
)  # fmt: skip

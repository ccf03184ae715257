"""tket's compiler in front of Qiskit Aer, through pytket-qiskit. No seed is passed on."""

from __future__ import annotations

from typing import Any

from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit.vendors._declared import ADAPTED_AER, lacking
from qprovider_qiskit.vendors._tket import compiled_by_tket


def backends(_: None) -> Any:
    from pytket.extensions.qiskit import AerBackend

    return compiled_by_tket(AerBackend(), "aer_simulator")


CONTRACT = {**ADAPTED_AER, **lacking("properties"), "noiseless_backend": "aer_simulator"}

plugin = QiskitAdapter(
    backends, name="tket", title="tket", simulator=True, noisy=False, local=True,
    requires=["pytket-qiskit>=0.70,<1", "qiskit-aer>=0.15"], contract=f"{__name__}:CONTRACT",
)  # fmt: skip

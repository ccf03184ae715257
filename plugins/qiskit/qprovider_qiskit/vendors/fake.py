"""IBM's fake devices: snapshots of real ones, with the noise of one day."""

from __future__ import annotations

from functools import cache
from typing import Any

from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit.vendors._declared import ADAPTED_AER


@cache  # they are read from files, which takes seconds, and keep no state
def backends(_: None) -> Any:
    from qiskit_ibm_runtime.fake_provider import FakeProviderForBackendV2

    return FakeProviderForBackendV2()


CONTRACT = {**ADAPTED_AER, "backend_name": "fake_manila", "tolerance": 0.35, "max_backends": 5}

plugin = QiskitAdapter(
    backends, name="fake", title="IBM's fake devices", simulator=True, noisy=True, local=True,
    run_options=["seed_simulator"], requires=["qiskit-ibm-runtime>=0.40", "qiskit-aer>=0.15"],
    contract=f"{__name__}:CONTRACT",
)  # fmt: skip

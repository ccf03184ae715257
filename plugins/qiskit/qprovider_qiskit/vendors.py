"""The known vendors' Qiskit packages: what has to be said of each, once.

Nothing of a vendor is imported here, nor when backends of others are listed: its factory is loaded when an account
of it is opened.
"""

from __future__ import annotations

from qprovider_qiskit._adapter import QiskitAdapter

_CONTRACTS = "qprovider_qiskit.contracts"

qiskit = QiskitAdapter(
    "qprovider_qiskit._factories:qiskit",
    name="qiskit",
    title="Qiskit's own simulators",
    simulator=True,
    local=True,
    run_options=("seed_simulator",),
    contract=f"{_CONTRACTS}:Qiskit",
)
aer = QiskitAdapter(
    "qprovider_qiskit._factories:aer",
    name="aer",
    title="Qiskit Aer",
    simulator=True,
    local=True,
    run_options=("seed_simulator",),
    requires=["qiskit-aer>=0.15"],
    contract=f"{_CONTRACTS}:Aer",
)
fake = QiskitAdapter(
    "qprovider_qiskit._factories:fake",
    name="fake",
    title="IBM's fake devices",
    simulator=True,
    noisy=True,
    local=True,
    run_options=("seed_simulator",),
    requires=["qiskit-ibm-runtime>=0.40", "qiskit-aer>=0.15"],
    contract=f"{_CONTRACTS}:Fake",
)

"""Any Qiskit provider as a plugin of qprovider.

    from qprovider_qiskit import QiskitAdapter

    plugin = QiskitAdapter("acme_client.qiskit:AcmeProvider", name="acme", title="Acme", requires=["acme-client>=2"])

An entry point of the group ``qprovider`` that names `plugin` is all that a vendor with a Qiskit package needs. The
adapters of the known vendors are in `qprovider_qiskit.vendors`.
"""

from __future__ import annotations

from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit._registered import adopt

__all__ = ["QiskitAdapter", "adopt"]
__version__ = "0.1.0"

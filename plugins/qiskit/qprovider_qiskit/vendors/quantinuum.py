"""Quantinuum's local emulators H1-1LE, H2-1LE and H2-2LE, through tket. They are without noise, whatever their names.

There are no devices: pytket-quantinuum has no code any more that sends anything to Quantinuum's service (0.59.3). The
package of Azure Quantum, which is a vendor of its own here, knows them.
"""

from __future__ import annotations

from typing import Any

from qprovider_qiskit._adapter import QiskitAdapter
from qprovider_qiskit.vendors._declared import ADAPTED, lacking
from qprovider_qiskit.vendors._tket import compiled_by_tket


def backends(_: None) -> list[Any]:
    from pytket.extensions.quantinuum import QuantinuumAPIOffline, QuantinuumBackend

    offline = QuantinuumAPIOffline()
    known = [info.device_name for info in QuantinuumBackend.available_devices(api_handler=offline)]
    return [
        compiled_by_tket(QuantinuumBackend(name, api_handler=offline), name) for name in known if name.endswith("LE")
    ]


CONTRACT = {**ADAPTED, **lacking("properties"), "noiseless_backend": "H1-1LE", "long_shots": 200}

plugin = QiskitAdapter(
    backends, name="quantinuum", title="Quantinuum", simulator=True, noisy=False, local=True,
    requires=["pytket-qiskit>=0.70,<1", "pytket-quantinuum[pecos]>=0.59,<1", "pytket-pecos>=0.3,<1"],
    contract=f"{__name__}:CONTRACT",
)  # fmt: skip

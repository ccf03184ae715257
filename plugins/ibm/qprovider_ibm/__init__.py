"""IBM Quantum as a provider: the announcement, and what an account consists of."""

from __future__ import annotations

from qprovider_core.hookspecs import hookimpl
from qprovider_core.records import ProviderSpec
from qprovider_ibm._credentials import API_KEY_HELP, IBMCredentials
from qprovider_ibm.version import __version__

__all__ = ["IBMCredentials", "__version__"]


@hookimpl
def qprovider_provider() -> ProviderSpec:
    return ProviderSpec(
        name="ibm",
        title="IBM Quantum",
        description="Quantum computers of the IBM Quantum Platform.",
        credentials=IBMCredentials,
        credentials_help=API_KEY_HELP,
        extra_fields=("physical_qubits", "two_qubit_error_best", "two_qubit_error_layered", "mock"),
        max_tags=8,
        min_poll_s=1.0,
    )

"""What the contract tests are told of every adapted vendor; each adds what is its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What the adapter does not do, whatever the vendor: its jobs are this process's, and its packages need Qiskit to list.
ADAPTED: Mapping[str, Any] = {
    "lists_without_qiskit": False,
    "supports_account_info": False,
    "supports_defaults": False,
    "supports_delete": False,
    "supports_other_processes": False,
    "supports_reconnecting": False,
    "supports_sessions": False,
}

# Of a service, whose jobs outlive the process.
REMOTE: Mapping[str, Any] = {**ADAPTED, "supports_other_processes": True, "supports_reconnecting": True}


def lacking(*capabilities: str) -> dict[str, Any]:
    """Declarations that the vendor has none of these."""
    return {f"supports_{name}": False for name in capabilities}


# Of vendors whose circuits end with their measurements.
STATIC = lacking("mid_circuit", "conditionals", "reset")

# Of simulators that are made of Qiskit Aer. It holds Python's global lock from the start of a simulation to its end: no
# thread can see meanwhile that a job waits behind it, or stop it, and a look at a job takes as long as the simulation.
ADAPTED_AER: Mapping[str, Any] = {
    **ADAPTED,
    **lacking("queue", "cancel_running"),
    "max_look_seconds": 60.0,
    "long_shots": 2_000,
}

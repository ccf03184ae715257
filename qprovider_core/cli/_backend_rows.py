"""A backend as a row of the command's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qprovider_core.records import BackendInfo

TITLES = ("name", "qubits", "status", "queue", "two-qubit error", "readout error", "kind")
RIGHT = frozenset({"qubits", "queue", "two-qubit error", "readout error"})


def row_of(info: BackendInfo) -> list[object]:
    from qprovider_core._tables import kind_word, status_word  # late: help needs no core

    return [
        info.full_name,
        info.num_qubits,
        status_word(info),
        info.pending_jobs,
        info.median_two_qubit_error,
        info.median_readout_error,
        kind_word(info),
    ]

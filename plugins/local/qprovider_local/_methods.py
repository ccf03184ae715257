"""Aer's simulation methods: what each can run and how wide, known without importing Aer.

Source of the gate sets, limits and widths: qiskit-aer 0.18.2, `AerSimulator(method=...).configuration()`; a
test compares them with the Aer that is installed. Aer's internal ``roerror`` is left out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from qprovider_core.records import BackendConfiguration

MAX_SHOTS = 1_000_000  # AerSimulator's own limit of one circuit


def _gates(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_PLAIN = _gates(
    "ccx cp cx cy cz diagonal ecr h id p pauli r rx rxx ry ryy rz rzx rzz s sdg swap sx sxdg t tdg",
    "u u1 u2 u3 unitary x y z",
)
_DENSITY_MATRIX = _PLAIN | {"cu1"}
_MATRIX_PRODUCT_STATE = _PLAIN | {"cswap", "csx", "store"}
_STATEVECTOR = (
    _DENSITY_MATRIX
    | _MATRIX_PRODUCT_STATE
    | _gates(
        "ccz crx cry crz cu cu2 cu3 mcp mcphase mcr mcrx mcry mcrz mcswap mcsx mcu mcu1 mcu2 mcu3",
        "mcx mcx_gray mcy mcz multiplexer",
    )
)
# Aer also lists rz for these two, and refuses all angles but a few once the job runs. Without it, circuits are
# compiled to gates that do run, or are refused before they are submitted.
_STABILIZER = _gates("cx cy cz ecr h id pauli s sdg store swap sx sxdg x y z")
_EXTENDED_STABILIZER = _gates("ccx ccz cx cz ecr h id p pauli s sdg store swap sx sxdg t tdg u1 x y z")
_CONTROL_FLOW = ("if_else", "for_loop", "while_loop", "switch_case", "break_loop", "continue_loop")


@attrs.frozen(kw_only=True)
class Method:
    """One simulation method as a backend.

    Attributes:
        name: Aer's name of the method.
        bytes_per_state: Size of n qubits' state is 16 bytes times 2 to the power of ``n * memory_power``;
            0 where memory is no bound.
        fixed_width: Aer's width of the methods that memory does not bound.
        more: Instructions beside the gates, measure, reset and delay.
    """

    name: str
    description: str
    gates: frozenset[str]
    memory_power: int = 0
    fixed_width: int = 0
    more: tuple[str, ...] = ()

    @property
    def backend_name(self) -> str:
        return "aer_simulator" if self.name == "automatic" else f"aer_simulator_{self.name}"

    @property
    def num_qubits(self) -> int | None:
        """As many as Aer takes on this machine; None when the size of its memory is not told."""
        if not self.memory_power:
            return self.fixed_width
        memory = _memory_bytes()
        return None if memory is None else int(math.log2(memory / 16)) // self.memory_power

    def configuration(self, version: str | None) -> BackendConfiguration:
        """No coupling map: every gate acts on any qubits."""
        from qprovider_core.records import BackendConfiguration  # late: listing makes none

        gates = tuple(sorted(self.gates))
        return BackendConfiguration(
            backend_name=self.backend_name,
            backend_version=version,
            n_qubits=self.num_qubits,
            basis_gates=gates,
            supported_instructions=(*gates, "measure", "reset", "delay", *self.more),
            simulator=True,
            local=True,
            conditional="if_else" in self.more,
            open_pulse=False,
            memory=True,
            max_shots=MAX_SHOTS,
            description=self.description,
            extra={"method": self.name},
        )


def _memory_bytes() -> int | None:
    """The machine's memory, as Aer counts it: all of it, used or not."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None


METHODS: Mapping[str, Method] = {
    method.backend_name: method
    for method in (
        Method(
            name="automatic",
            description="Ideal simulator; Aer picks the method for each circuit",
            gates=_STATEVECTOR,
            memory_power=1,
            more=("initialize", "kraus", "superop", *_CONTROL_FLOW),
        ),
        Method(
            name="statevector",
            description="Ideal simulator of the state vector",
            gates=_STATEVECTOR,
            memory_power=1,
            more=("initialize", "kraus", *_CONTROL_FLOW),
        ),
        Method(
            name="density_matrix",
            description="Ideal simulator of the density matrix",
            gates=_DENSITY_MATRIX,
            memory_power=2,
            more=("kraus", "superop", *_CONTROL_FLOW),
        ),
        Method(
            name="stabilizer",
            description="Ideal simulator of Clifford circuits, very wide",
            gates=_STABILIZER,
            fixed_width=10_000,
            more=_CONTROL_FLOW,
        ),
        Method(
            name="matrix_product_state",
            description="Ideal simulator for little entanglement",
            gates=_MATRIX_PRODUCT_STATE,
            fixed_width=63,
            more=("initialize", "kraus", *_CONTROL_FLOW),
        ),
        Method(
            name="extended_stabilizer",
            description="Approximate simulator of Clifford circuits with few T gates",
            gates=_EXTENDED_STABILIZER,
            fixed_width=63,
        ),
    )
}

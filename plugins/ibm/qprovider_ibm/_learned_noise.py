"""What a noise learner job found; the service sends it inside results and takes it as an option of the estimator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np


def _floats(value: Any) -> Any:
    return np.asarray(value, dtype=float)


@attrs.frozen(eq=False)
class PauliLindbladError:
    """A channel exp(sum_j rate_j (P_j . P_j - .)).

    Attributes:
        generators: The Paulis P_j, a `qiskit.quantum_info.PauliList`.
        rates: Their rates, shape (number of generators,).
    """

    generators: Any
    rates: Any = attrs.field(converter=_floats)

    def __attrs_post_init__(self) -> None:
        if self.rates.shape != (len(self.generators),):
            raise ValueError("a Pauli-Lindblad error has one rate for each generator")

    @property
    def num_qubits(self) -> int:
        return int(self.generators.num_qubits)


@attrs.frozen(eq=False)
class LayerError:
    """The noise of one layer of gates.

    Attributes:
        circuit: The layer; None where it cannot be read.
        qubits: The device's qubit of each of its qubits.
        error: Its noise; None: not known, or switched off.
    """

    circuit: Any
    qubits: list[int]
    error: PauliLindbladError | None = None


@attrs.frozen(eq=False)
class NoiseLearnerResult:
    """The layers whose noise was learnt; reads as a list of `LayerError`."""

    data: list[Any]
    metadata: Mapping[str, Any] = attrs.field(factory=dict)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Any) -> Any:
        return self.data[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.data)

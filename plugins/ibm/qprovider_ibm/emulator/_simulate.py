"""Circuits through Aer, and their outcomes as bits. Imports Qiskit and Aer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, Measure, Reset
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from qprovider_ibm.emulator import _snapshots
from qprovider_ibm.emulator._isa import JobError
from qprovider_ibm.emulator._noise import noise_model, used_places

# Beyond this many active qubits a state vector takes too long for each noisy shot.
_WIDE = 20
# The second kinds of measurement and reset do the same as the first ones.
_TWINS: Mapping[str, type] = {"measure_2": Measure, "reset_2": Reset}


class Simulation:
    """How the circuits of one job are to be simulated.

    Args:
        source: Of the device whose noise they get.
        model: A noise model in Aer's form, instead of the device's.
        readout_errors: Whether measurements are noisy.
    """

    def __init__(
        self,
        *,
        source: str,
        threads: int,
        seed: int | None = None,
        model: Mapping[str, Any] | None = None,
        readout_errors: bool = True,
    ) -> None:
        self._source = source
        self._threads = threads
        self._seed = seed
        self._readout_errors = readout_errors
        try:
            self._model = None if model is None else NoiseModel.from_dict(dict(model))
        except Exception as exc:
            raise JobError(f"options.simulator.noise_model cannot be read: {exc}", code=1239) from exc

    def run(self, circuits: Sequence[QuantumCircuit], shots: int) -> list[NDArray[np.uint8]]:
        """Outcomes of each circuit: shape (shots, classical bits), bit k in column k.

        Raises:
            JobError: A circuit cannot be simulated.
        """
        circuits = [_with_plain_names(circuit) for circuit in circuits]
        options: dict[str, Any] = {"max_parallel_threads": self._threads, "memory": True}
        model = self._noise(circuits)
        if model is not None:
            options["noise_model"] = model
        if self._seed is not None:
            options["seed_simulator"] = self._seed
            self._seed += 1000  # further circuits of this job get other numbers
        wide = max(_active_qubits(circuit) for circuit in circuits) > _WIDE
        simulator = AerSimulator(method="matrix_product_state" if wide else "automatic")
        result = simulator.run(list(circuits), shots=shots, **options).result()
        if not result.success:
            status = next((entry.status for entry in result.results if not entry.success), result.status)
            raise JobError(f"The circuit could not be simulated: {status}")
        return [
            _bits(getattr(entry.data, "memory", None), circuit.num_clbits, shots)
            for circuit, entry in zip(circuits, result.results, strict=True)
        ]

    def _noise(self, circuits: Sequence[QuantumCircuit]) -> NoiseModel | None:
        if self._model is not None or self._source == _snapshots.SIMULATOR:
            return self._model
        places = used_places(circuits)
        if not self._readout_errors:
            places = frozenset(place for place in places if place[0] != "measure")
        return noise_model(self._source, places)


def _with_plain_names(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with standard instructions for the vendor's own ones, and without its metadata."""
    if not any(name in _TWINS for name in circuit.count_ops()) and not any(
        isinstance(instruction.operation, ControlFlowOp) for instruction in circuit.data
    ):
        return circuit
    plain = circuit.copy_empty_like()
    for instruction in circuit.data:
        operation = instruction.operation
        if operation.name in _TWINS:
            instruction = instruction.replace(operation=_TWINS[operation.name]())
        elif isinstance(operation, ControlFlowOp):
            blocks = [_with_plain_names(block) for block in operation.blocks]
            instruction = instruction.replace(operation=operation.replace_blocks(blocks))
        plain._append(instruction)
    return plain


def _active_qubits(circuit: QuantumCircuit) -> int:
    used = {qubit for item in circuit.data if item.operation.name not in ("barrier", "delay") for qubit in item.qubits}
    return len(used)


def _bits(memory: Sequence[str] | None, size: int, shots: int) -> NDArray[np.uint8]:
    """Aer's hexadecimal outcomes as bits."""
    if memory is None or not size:  # nothing was measured
        return np.zeros((shots, size), dtype=np.uint8)
    digits = 2 * ((size + 7) // 8)
    packed = np.frombuffer(bytes.fromhex("".join(value[2:].zfill(digits) for value in memory)), dtype=np.uint8)
    return np.unpackbits(packed.reshape(shots, -1)[:, ::-1], axis=1, bitorder="little", count=size)


def packed_rows(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rows of bits, lowest first, as big-endian numbers of whole bytes."""
    return np.packbits(bits, axis=-1, bitorder="little")[..., ::-1]

"""Circuits through Aer, and their outcomes as bits. Imports Qiskit and Aer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from qprovider_ibm.emulator import _snapshots
from qprovider_ibm.emulator._isa import JobError
from qprovider_ibm.emulator._noise import noise_model, used_places
from qprovider_ibm.emulator._parts import active_qubits, independent_parts, with_plain_names
from qprovider_ibm.emulator._variables import without_variables

# Up to this many active qubits with noise, one density matrix serves all shots. Beyond, each shot is simulated by
# itself, and that is quicker with matrix product states (measured: 12 qubits, 4096 shots: 2 s instead of 15 s).
_WIDE_WITH_NOISE = 10
# Without noise, up to this many a state vector is worked out once.
_WIDE_WITHOUT_NOISE = 24
# With a bond of 64, up to 12 qubits are exact.
_WIDE_OPTIONS: Mapping[str, Any] = {
    "matrix_product_state_max_bond_dimension": 64,
    "matrix_product_state_truncation_threshold": 1e-8,
}


class Simulation:
    """How the circuits of one job are to be simulated.

    Args:
        source: Of the device whose noise they get.
        model: A noise model in Aer's form, instead of the device's.
        readout_errors: Whether measurements are noisy.
        mock: Whether outcomes are random, and nothing is simulated.
    """

    def __init__(
        self,
        *,
        source: str,
        threads: int,
        seed: int | None = None,
        model: Mapping[str, Any] | None = None,
        readout_errors: bool = True,
        mock: bool = False,
    ) -> None:
        self._source = source
        self._threads = threads
        self._seed = seed
        self._order = np.random.default_rng(seed)
        self._readout_errors = readout_errors
        self._mock = mock
        try:
            self._model = None if model is None else NoiseModel.from_dict(dict(model))
        except Exception as exc:
            raise JobError(f"options.simulator.noise_model cannot be read: {exc}", code=1239) from exc

    def run(self, circuits: Sequence[QuantumCircuit], shots: int) -> list[NDArray[np.uint8]]:
        """Outcomes of each circuit: shape (shots, classical bits), bit k in column k.

        Raises:
            JobError: A circuit cannot be simulated.
        """
        sizes = [circuit.num_clbits for circuit in circuits]
        if self._mock:
            return [self._order.integers(2, size=(shots, size), dtype=np.uint8) for size in sizes]
        circuits = [with_plain_names(without_variables(circuit)) for circuit in circuits]
        model = self._noise(circuits)
        parts_of = [independent_parts(circuit) for circuit in circuits]
        outcomes = iter(self._run_parts([part.circuit for parts in parts_of for part in parts], shots, model))
        found = []
        for circuit, parts, size in zip(circuits, parts_of, sizes, strict=True):
            bits = np.zeros((shots, circuit.num_clbits), dtype=np.uint8)
            for part in parts:
                bits[:, list(part.clbits)] = next(outcomes)
            found.append(bits[:, :size])  # behind these stand the circuit's variables
        return found

    def _run_parts(
        self, circuits: Sequence[QuantumCircuit], shots: int, model: NoiseModel | None
    ) -> list[NDArray[np.uint8]]:
        found: list[NDArray[np.uint8]] = [np.empty(0, np.uint8)] * len(circuits)
        limit = _WIDE_WITHOUT_NOISE if model is None else _WIDE_WITH_NOISE
        wide = [active_qubits(circuit) > limit for circuit in circuits]
        for method, options in (("automatic", {}), ("matrix_product_state", _WIDE_OPTIONS)):
            chosen = [place for place, is_wide in enumerate(wide) if is_wide == (method != "automatic")]
            if not chosen:
                continue
            simulator = AerSimulator(method=method, max_parallel_threads=self._threads, **options)
            if model is not None:
                simulator.set_options(noise_model=model)
            if self._seed is not None:
                simulator.set_options(seed_simulator=self._seed)
                self._seed += 1000  # further circuits of this job get other numbers
            result = simulator.run([circuits[place] for place in chosen], shots=shots).result()
            if not result.success:
                status = next((entry.status for entry in result.results if not entry.success), result.status)
                raise JobError(f"The circuit could not be simulated: {status}")
            for place, entry in zip(chosen, result.results, strict=True):
                counts = getattr(entry.data, "counts", None)
                found[place] = self._shots(counts, circuits[place].num_clbits, shots)
        return found

    def _shots(self, counts: Mapping[str, int] | None, size: int, shots: int) -> NDArray[np.uint8]:
        """Aer's hexadecimal outcomes as bits, one row a shot, in a random order.

        The shots of a circuit do not depend on each other, so counts tell all but the order. Aer's list of every
        shot's outcome would take far longer to make and to read.
        """
        if not counts or not size:  # nothing was measured
            return np.zeros((shots, size), dtype=np.uint8)
        digits = 2 * ((size + 7) // 8)
        packed = np.frombuffer(bytes.fromhex("".join(value[2:].zfill(digits) for value in counts)), dtype=np.uint8)
        bits = np.unpackbits(packed.reshape(len(counts), -1)[:, ::-1], axis=1, bitorder="little", count=size)
        order = np.repeat(np.arange(len(counts)), list(counts.values()))
        self._order.shuffle(order)
        shuffled: NDArray[np.uint8] = bits[order]
        return shuffled

    def _noise(self, circuits: Sequence[QuantumCircuit]) -> NoiseModel | None:
        if self._model is not None or self._source == _snapshots.SIMULATOR:
            return self._model
        places = used_places(circuits)
        if not self._readout_errors:
            places = frozenset(place for place in places if place[0] != "measure")
        return noise_model(self._source, places)


def packed_rows(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rows of bits, lowest first, as big-endian numbers of whole bytes."""
    return np.packbits(bits, axis=-1, bitorder="little")[..., ::-1]

"""mitiq mitigates the errors of a device's noisy twin, through one of our handles.

Zero-noise extrapolation, and the inversion of readout errors, each on a circuit whose exact value is 1: what they give
has to be closer to it than what was measured. Prints one line of JSON; exits with 1 when it is not.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version

import numpy as np
from mitiq import MeasurementResult, Observable, PauliString, rem, zne
from mitiq.benchmarks import generate_rb_circuits
from qiskit import QuantumCircuit, transpile

import qprovider_core as qp

BACKEND = "local:fake_belem"
SHOTS, SEED = 8192, 20


def extrapolated(backend: qp.Backend) -> tuple[float, float]:
    """How often a random sequence of gates that ends where it began reads 00: as measured, and without noise."""
    [circuit] = generate_rb_circuits(2, 6, return_type="qiskit", seed=SEED)

    def zeros(circuits: list[QuantumCircuit]) -> list[float]:  # for this annotation mitiq sends them all at once
        measured = [one.measure_all(inplace=False) for one in circuits]
        ready = transpile(measured, backend, optimization_level=0)  # another level would undo the folding
        result = backend.run(ready, shots=SHOTS, seed_simulator=SEED).result()
        return [result.get_counts(place).get("00", 0) / SHOTS for place in range(len(ready))]

    factory = zne.inference.ExpFactory([1.0, 2.0, 3.0], asymptote=1 / 4)  # two qubits of which nothing is left
    mitigated = zne.execute_with_zne(circuit, zeros, factory=factory, scale_noise=zne.scaling.fold_global)
    return zeros([circuit])[0], float(mitigated)


def inverted(backend: qp.Backend) -> tuple[float, float]:
    """<ZZ> of two flipped qubits: as measured, and with the errors of the readout undone that the calibration tells."""
    circuit, zz = QuantumCircuit(2), Observable(PauliString("ZZ"))
    circuit.x([0, 1])
    calibration = backend.properties()
    errors = [calibration.readout_error(qubit) for qubit in (0, 1)]
    confusion = [np.array([[1 - error, error], [error, 1 - error]]) for error in errors]

    def bits(circuit: QuantumCircuit) -> MeasurementResult:
        ready = transpile(circuit, backend, optimization_level=0)  # mitiq has added the measurements
        memory = backend.run(ready, shots=SHOTS, memory=True, seed_simulator=SEED).result().get_memory()
        return MeasurementResult([[int(bit) for bit in reversed(shot)] for shot in memory])

    inverse = rem.generate_tensored_inverse_confusion_matrix(2, confusion)
    raw, mitigated = (
        rem.execute_with_rem(circuit, bits, zz, inverse_confusion_matrix=one) for one in (np.eye(4), inverse)
    )
    return float(np.real(raw)), float(np.real(mitigated))


def main() -> int:
    backend = qp.get_backend(BACKEND)
    values = {"extrapolated": extrapolated(backend), "readout inverted": inverted(backend)}
    passed = all(abs(mitigated - 1) < abs(raw - 1) for raw, mitigated in values.values())
    detail = ", ".join(f"{what}: {raw:.3f} to {mitigated:.3f} of 1" for what, (raw, mitigated) in values.items())
    print(json.dumps({"name": "mitiq", "version": version("mitiq"), "passed": passed, "detail": detail}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

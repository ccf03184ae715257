"""What qprovider does, in one minute and without an account: list, filter, choose, run, compare.

Run it with ``make demo``, or with ``python examples/demo.py`` where qprovider is installed.
"""

from pathlib import Path

import qprovider_core as qp

CIRCUIT = Path(__file__).with_name("toffoli.qasm")
SHOTS = 2000


def bars(counts: dict[str, int], ideal: dict[str, int]) -> None:
    """A histogram of the outcomes, each beside its ideal share."""
    print(f"{'bits':>6}  {'share':>6}  {'ideal':>6}")
    for bits in sorted({*counts, *ideal}, key=lambda bits: -counts.get(bits, 0)):
        share, wanted = counts.get(bits, 0) / SHOTS, ideal.get(bits, 0) / SHOTS
        print(f"{bits:>6}  {share:6.1%}  {wanted:6.1%}  {'█' * round(40 * share)}")


print("All backends of all installed plugins\n")
everything = qp.list_backends()
print(everything)

print("\nNoisy devices with at least 3 qubits and a two-qubit error below 2 %\n")
query = "noisy and num_qubits >= 3 and operational and median_two_qubit_error < 0.02"
fitting = qp.backends(where=query)
print(fitting)

backend = qp.least_busy(fitting)
queue = backend.status().pending_jobs
print(f"\nThe least busy of these {len(fitting)} is {backend.full_name}: {queue} jobs wait there.")

from qiskit import QuantumCircuit  # noqa: E402  only now: listing backends does not need Qiskit

circuit = QuantumCircuit.from_qasm_file(str(CIRCUIT))
compiled = backend.transpile(circuit, optimization_level=2, seed_transpiler=7)
two_qubit_gates = compiled.num_nonlocal_gates()
print(f"\n{CIRCUIT.name}: {circuit.num_qubits} qubits, {two_qubit_gates} two-qubit gates once transpiled.")

ideal_backend = qp.get_backend("local:aer_simulator")
ideal_job = ideal_backend.run(ideal_backend.transpile(circuit), shots=SHOTS)
job = backend.run(compiled, shots=SHOTS, job_tags=["demo"])
print(f"Running {SHOTS} shots as job {job.job_id()} …\n")

ideal, counts = ideal_job.result().get_counts(), job.result().get_counts()
bars(counts, ideal)
distance = sum(abs(counts.get(bits, 0) - ideal.get(bits, 0)) for bits in {*counts, *ideal}) / (2 * SHOTS)
print(f"\n{1 - distance:.1%} of the shots agree with the ideal; the noise of {backend.name} moved the rest.")

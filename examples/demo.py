"""What qprovider does, in one minute and without an account: list, filter, choose, run, compare.

Two vendors: simulators on this machine, and IBM Quantum, which is emulated here: its devices are made of published
calibrations of real ones. Run it with ``make demo``, or with ``python examples/demo.py`` where qprovider and
``qprovider-ibm[emulator]`` are installed.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from emulated_account import emulated_account

import qprovider_core as qp

CIRCUIT = Path(__file__).with_name("toffoli.qasm")
SHOTS = 2000


def told(value: float | None, form: str = "") -> str:
    """A value, or a dash where it is not reported."""
    return "–" if value is None else format(value, form)


def table(backends: Iterable[Any]) -> None:
    """Backends in 80 columns; ``print(backends)`` shows more of them."""
    print(f"  {'backend':<41}{'qubits':>6}  {'waiting':>7}  {'2q error':>8}  kind")
    for info in backends:
        error = info.median_two_qubit_error
        kind = "device" if not info.simulator else "noisy twin" if info.noisy else "simulator"
        cells = f"{told(info.num_qubits):>6}  {told(info.pending_jobs):>7}  {told(error, '.2%'):>8}"
        print(f"  {info.full_name:<41}{cells}  {kind}")


def compare(columns: dict[str, dict[str, int]]) -> None:
    """The share of each outcome, one column a backend."""
    print(f"  {'bits':>4}" + "".join(f"  {name:>20}" for name in columns))
    outcomes = {bits for counts in columns.values() for bits in counts}
    for bits in sorted(outcomes, key=lambda bits: [-counts.get(bits, 0) for counts in columns.values()]):
        shares = "".join(f"  {counts.get(bits, 0) / SHOTS:>20.1%}" for counts in columns.values())
        print(f"  {bits:>4}{shares}")


def main() -> None:
    everything = qp.list_backends()
    print(f"All {len(everything)} backends of both accounts, in one list\n")
    table(everything)

    query = "operational and num_qubits >= 3 and median_two_qubit_error < 0.01"
    fitting = qp.backends(where=query)
    print(f"\n{len(fitting)} of them satisfy\n  {query}\n")

    backend = qp.least_busy(fitting)
    device = qp.least_busy(where=f"{query} and not simulator")
    for chosen, words in ((backend, "Least busy of all"), (device, "Least busy device")):
        print(f"  {words}: {chosen.full_name}, {chosen.info.pending_jobs} jobs wait there")

    from qiskit import QuantumCircuit  # only now: listing backends does not need Qiskit

    circuit = QuantumCircuit.from_qasm_file(str(CIRCUIT))
    print(f"\n{CIRCUIT.name}: the same {SHOTS} shots on each, and on an ideal simulator\n")
    jobs = {}
    for chosen in (qp.get_backend("local:aer_simulator"), backend, device):
        compiled = chosen.transpile(circuit, optimization_level=2, seed_transpiler=7)
        jobs[chosen.full_name] = chosen.run(compiled, shots=SHOTS, job_tags=["demo"])
    counts = {name: job.result().get_counts() for name, job in jobs.items()}
    compare({name.replace("local:aer_simulator", "ideal"): found for name, found in counts.items()})

    print("\nWhat the ledger keeps of them, for any process and without a network\n")
    for record in qp.list_jobs(tags="demo", offline=True):
        kept = "result kept" if record.has_result else "no result yet"
        print(f"  {record.id[:20]:<22}{record.info.backend or '':<22}{record.info.state.value:<8}{kept}")

    print("\nIBM Quantum is emulated here. With a key of your own: qprovider accounts add ibm")


if __name__ == "__main__":
    with emulated_account(key_in_environment=True):
        main()

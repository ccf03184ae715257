"""The tutorial of the retired qiskit-ibm-provider, "The IBM Quantum Account", on today's service, section by section.

It needs neither an account nor a network: the service is emulated on this machine. Run it with ``make tutorial``, or
with ``python examples/tutorial.py`` where ``qprovider-ibm[emulator]`` is installed. With an API key of your own the
same lines run on IBM's devices: leave out `emulated_account`.
"""

import textwrap
from typing import Any

import qiskit
from emulated_account import emulated_account
from qiskit import QuantumCircuit, transpile

import qprovider_core
from qprovider_ibm import IBMProvider, job_monitor, least_busy
from qprovider_ibm.version import __version__

MICROSECONDS, NANOSECONDS, GIGAHERTZ = 1e6, 1e9, 1e-9


def heading(title: str) -> None:
    """The beginning of a section."""
    print(f"\n{title}\n{'─' * len(title)}")


def show(call: str, value: Any = "") -> None:
    """A call, and under it what it gives."""
    print(f"\n{call}")
    if value != "":
        print(textwrap.indent(str(value), "    "))


def account(token: str) -> IBMProvider:
    heading("The account")
    IBMProvider.save_account(token, overwrite=True)
    show("IBMProvider.save_account(TOKEN, overwrite=True)")
    show("IBMProvider.saved_accounts()", lines(IBMProvider.saved_accounts()["default"]))
    provider = IBMProvider()  # the saved account
    show("IBMProvider()", provider)
    show("provider.active_account()", lines(provider.active_account()))
    show("provider.instances()", "\n".join(f"{one.name} ({one.plan}, {one.region})" for one in provider.instances()))
    show("IBMProvider.delete_account()", IBMProvider.delete_account())
    show("IBMProvider.saved_accounts()", IBMProvider.saved_accounts())
    return IBMProvider(token)  # an account that is not saved


def lines(fields: dict[str, Any]) -> str:
    """Names and values, one a line; the addresses of the emulator are left out."""
    return "\n".join(f"{name + ':':<20}{value}" for name, value in fields.items() if name != "endpoints")


def the_provider(provider: IBMProvider) -> Any:
    heading("The provider")
    show("provider.backends()", names(provider.backends()))
    show("provider.get_backend('ibmq_qasm_simulator')", provider.get_backend("ibmq_qasm_simulator"))

    show(
        "provider.backends("
        "\n    filters=lambda x: x.configuration().n_qubits >= 5"
        "\n    and not x.configuration().simulator and x.status().operational == True\n)",
        names(
            provider.backends(
                filters=lambda x: (
                    x.configuration().n_qubits >= 5
                    and not x.configuration().simulator
                    and x.status().operational == True  # noqa: E712  as the tutorial has it
                )
            )
        ),
    )
    show(
        "provider.backends(simulator=False, operational=True)",
        names(provider.backends(simulator=False, operational=True)),
    )
    small_devices = provider.backends(min_num_qubits=5, simulator=False, operational=True)
    show("provider.backends(min_num_qubits=5, simulator=False, operational=True)", names(small_devices))
    backend = least_busy(small_devices)
    show("least_busy(small_devices)", backend)
    return backend


def names(backends: list[Any]) -> str:
    """A list as Python shows it, one backend a line."""
    return "[" + ",\n ".join(map(repr, backends)) + "]"


def backends(backend: Any) -> None:
    heading("Backends")
    show("backend.provider", backend.provider)
    show("backend.name", backend.name)
    show("backend.status()", lines(backend.status().to_dict()))

    configuration = backend.configuration().to_dict()
    chosen = ("backend_name", "n_qubits", "basis_gates", "dt", "max_shots", "quantum_volume")
    told = {name: configuration.get(name) for name in chosen}
    show(f"backend.configuration(), {len(told)} of its {len(configuration)} fields", lines(told))

    props = backend.properties()
    show("props = backend.properties(); describe_qubit(0, props)", describe_qubit(0, props))


def describe_qubit(qubit: int, props: Any) -> str:
    """Some of the reported properties of a qubit. Times are in seconds and frequencies in hertz as they come."""
    return (
        f"Qubit {qubit} has a"
        f"\n  - T1 time of {props.t1(qubit) * MICROSECONDS:.1f} microseconds"
        f"\n  - T2 time of {props.t2(qubit) * MICROSECONDS:.1f} microseconds"
        f"\n  - SX gate error of {props.gate_error('sx', qubit):.5f}"
        f"\n  - SX gate duration of {props.gate_length('sx', qubit) * NANOSECONDS:.2f} ns"
        f"\n  - resonant frequency of {props.frequency(qubit) * GIGAHERTZ:.5f} GHz"
    )


def jobs(provider: IBMProvider, backend: Any) -> None:
    heading("Jobs")
    circuit = toffoli()
    mapped_circuit = transpile(circuit, backend=backend, seed_transpiler=7)
    job = backend.run(mapped_circuit, shots=1024)
    show("job = backend.run(mapped_circuit, shots=1024); job.status()", job.status())
    print("\njob_monitor(job)")
    job_monitor(job, line_discipline="\n    ")
    show("job.backend()", job.backend())
    show("job.job_id()", job.job_id())
    show("job.result().get_counts(); without noise all would be 101", bars(job.result().get_counts()))
    show("job.creation_date()", job.creation_date())
    show("job.time_per_step()", lines(job.time_per_step()))
    show("job.queue_info()", f"{job.queue_info()}: it does not wait any more")
    show("job.error_message()", f"{job.error_message()}: nothing went wrong")
    show("job.name()", f"{job.name()}: it was given none")
    show("job.properties().last_update_date, the calibration when it ran", job.properties().last_update_date)
    show("job.cancel()", f"{job.cancel()}: it has ended")


def toffoli() -> QuantumCircuit:
    """The tutorial's circuit, which gives 101 where there is no noise."""
    circuit = QuantumCircuit(3)
    circuit.x(0)
    circuit.x(1)
    circuit.ccx(0, 1, 2)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def bars(counts: dict[str, int]) -> str:
    """A histogram."""
    most = max(counts.values())
    return "\n".join(f"{bits}  {n:>5}  {'█' * round(40 * n / most)}".rstrip() for bits, n in sorted(counts.items()))


def service(provider: IBMProvider) -> None:
    heading("The backend service")
    show("provider.backend.ibmq_belem", repr(provider.backend.ibmq_belem))
    ran_job = None
    told = []
    for ran_job in provider.backend.jobs(limit=5):
        told.append(str(ran_job.job_id()) + " " + str(ran_job.status()))
    show("for ran_job in provider.backend.jobs(limit=5): ...", "\n".join(told))
    assert ran_job is not None
    job = provider.backend.job(ran_job.job_id())
    show("provider.backend.job(ran_job.job_id())", job)
    show(
        "provider.backend.retrieve_job(ran_job.job_id()).status()", provider.backend.retrieve_job(job.job_id()).status()
    )


def long_lists(provider: IBMProvider) -> None:
    heading("A long list of circuits")
    backend = provider.get_backend("ibmq_qasm_simulator")
    circs = transpile([toffoli()] * 50, backend=backend)
    job = backend.run(circs, max_circuits_per_job=10)
    show("job = backend.run(circs, max_circuits_per_job=10); job.job_id()", job.job_id())
    job.wait_for_final_state()
    show("print(job.report())", job.report())
    result = job.result()
    show("job.result().get_counts(5)", result.get_counts(5))  # of the first job
    show("job.result().get_counts(15)", result.get_counts(15))  # of the second one
    retrieved_job = provider.backend.job(job.job_id())
    show("provider.backend.job(job.job_id()).report(detailed=False)", retrieved_job.report(detailed=False))
    show("job.status()", job.status())
    show("job.creation_date()", job.creation_date())
    show("job.sub_jobs()", "\n".join(map(repr, job.sub_jobs())))


def versions() -> None:
    heading("Versions")
    print()
    print(f"    qprovider-ibm   {__version__}")
    print(f"    qprovider-core  {qprovider_core.__version__}")
    print(f"    qiskit          {qiskit.__version__}")


def main(token: str) -> None:
    print("The IBM Quantum account: a tutorial on an emulated service")
    provider = account(token)
    backend = the_provider(provider)
    backends(backend)
    jobs(provider, backend)
    service(provider)
    long_lists(provider)
    versions()


if __name__ == "__main__":
    with emulated_account(key_in_environment=False, queue_time_s=0.3) as emulator:
        main(emulator.api_key)

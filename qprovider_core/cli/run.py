"""`qprovider run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qprovider_core.cli._ledger_place import no_ledger_option
from qprovider_core.cli._output import tell
from qprovider_core.cli.backends import tell_errors
from qprovider_core.cli.completion import backend_names

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from qprovider_core._backend import Backend
    from qprovider_core.records import ProviderSpec


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--backend", "-b", "name", metavar="NAME", shell_complete=backend_names, help="Where to run.")
@click.option("--where", "-w", metavar="EXPR", help="Run on the least busy backend that satisfies this.")
@click.option("--shots", "-n", type=click.IntRange(min=1), default=1024, show_default=True, metavar="N")
@click.option("--tag", "tags", multiple=True, metavar="T", help="Tag the job; may be repeated.")
@click.option("--name", "job_name", metavar="N", help="Name the job.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Repeat the same: transpiler and simulator.")
@click.option("--no-wait", is_flag=True, help="Submit, print the job's id and come back.")
@no_ledger_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(
    ctx: click.Context,
    file: Path,
    name: str | None,
    where: str | None,
    shots: int,
    tags: tuple[str, ...],
    job_name: str | None,
    seed: int | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Run the circuits of a file and show their counts.

    FILE is OpenQASM 2, OpenQASM 3 or QPY; the circuits of a QPY file run as one job. They are transpiled for
    the backend. Without --backend the least busy one that is wide enough is taken.

    With --no-wait just the job's id is printed; `qprovider result ID` shows its counts later. Simulations on this
    machine end with the command, so --no-wait leaves them out.
    """
    if name is not None and where is not None:
        ctx.fail("--backend and --where exclude each other.")
    from qprovider_core.cli import _submitted  # late: help needs none of these
    from qprovider_core.cli._circuits import read_circuits

    circuits = read_circuits(file)
    backend, fitted = _fitted(circuits, name, where, seed, no_wait)
    options: dict[str, Any] = {"shots": shots, "job_tags": list(tags), "name": job_name}
    if seed is not None and "seed_simulator" in backend.options:  # devices take none
        options["seed_simulator"] = seed
    with _submitted.sending():
        job = backend.run(fitted, **options)
    if no_wait:
        _submitted.say_submitted(job, backend.full_name, as_json=as_json)
    else:
        _submitted.say_result(job, backend.full_name, as_json=as_json, shots=shots)


def _fitted(
    circuits: list[QuantumCircuit], name: str | None, where: str | None, seed: int | None, leave: bool
) -> tuple[Backend, list[QuantumCircuit]]:
    """The backend and the circuits as compiled for it: the named one, or the least busy one that is wide enough and
    whose instructions do; says which, and why. `leave`: whether the job is to outlast this process."""
    import qprovider_core as qp
    from qprovider_core.cli._submitted import refuse_to_leave
    from qprovider_core.selection import nothing_runs

    if name is not None:
        backend = qp.get_backend(name)
        if leave and _ends_with_us(backend):
            refuse_to_leave(_spec(backend), "--no-wait", "leave out")
        return backend, backend.transpile(circuits, seed_transpiler=seed)
    width = max(circuit.num_qubits for circuit in circuits)
    listed = qp.backends(where=where, min_num_qubits=width)
    if not listed:
        raise nothing_runs({one.name: one.reason for one in listed.rejected}, map(str, listed.errors))
    tell_errors(listed)
    left = [one for one in listed if not (leave and _ends_with_us(one))]
    if not left:
        refuse_to_leave(_spec(listed[0]), "--no-wait", "leave out")
    while True:
        chosen: Backend = qp.least_busy(left)
        try:
            fitted = chosen.transpile(circuits, seed_transpiler=seed)
            break
        except qp.CircuitError as exc:
            left.remove(chosen)
            if not left:
                raise
            tell(f"Not {chosen.full_name}: {exc.what} {' '.join((exc.why or '').split())}".rstrip(), dim=True)
    waiting = chosen.status().pending_jobs
    queue = "its queue is not reported" if waiting is None else f"{waiting} {_plural(waiting, 'job')} waiting"
    tell(
        f"Backend {chosen.full_name}: the least busy of {len(left)} with at least {width} "
        f"{_plural(width, 'qubit')}; {queue}."
    )
    return chosen, fitted


def _spec(backend: Backend) -> ProviderSpec:
    """What the backend's vendor announces."""
    from qprovider_core._plugins import registry

    assert backend.info.provider is not None  # every listing fills it in
    return registry().spec(backend.info.provider)


def _ends_with_us(backend: Backend) -> bool:
    """Whether its jobs end with this process."""
    return _spec(backend).ends_with_process(backend.info)


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"

"""`qprovider run`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qprovider_core.cli._output import clean, is_terminal, say, say_histogram, say_json, tell
from qprovider_core.cli.backends import tell_errors
from qprovider_core.cli.completion import backend_names

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from qprovider_core._backend import Backend
    from qprovider_core._job import Job


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--backend", "-b", "name", metavar="NAME", shell_complete=backend_names, help="Where to run.")
@click.option("--where", "-w", metavar="EXPR", help="Run on the least busy backend that satisfies this.")
@click.option("--shots", "-n", type=click.IntRange(min=1), default=1024, show_default=True, metavar="N")
@click.option("--tag", "tags", multiple=True, metavar="T", help="Tag the job; may be repeated.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Repeat the same: transpiler and simulator.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(
    ctx: click.Context,
    file: Path,
    name: str | None,
    where: str | None,
    shots: int,
    tags: tuple[str, ...],
    seed: int | None,
    as_json: bool,
) -> None:
    """Run the circuits of a file and show their counts.

    FILE is OpenQASM 2, OpenQASM 3 or QPY; the circuits of a QPY file run as one job. They are transpiled for
    the backend. Without --backend the least busy one that is wide enough is taken.
    """
    if name is not None and where is not None:
        ctx.fail("--backend and --where exclude each other.")
    from qprovider_core.cli._circuits import read_circuits  # late: help needs none of these

    circuits = read_circuits(file)
    backend, fitted = _fitted(circuits, name, where, seed)
    options: dict[str, Any] = {"shots": shots, "job_tags": list(tags)}
    if seed is not None and "seed_simulator" in backend.options:  # devices take none
        options["seed_simulator"] = seed
    job = backend.run(fitted, **options)
    result = _wait(job, backend)
    counts = [result.get_counts(i) for i in range(len(circuits))]
    if as_json:
        say_json(
            {
                "backend": backend.full_name,
                "job_id": job.job_id(),
                "shots": shots,
                "results": [
                    {"circuit": circuit.name, "counts": found} for circuit, found in zip(circuits, counts, strict=True)
                ],
            }
        )
        return
    for i, (circuit, found) in enumerate(zip(circuits, counts, strict=True)):
        if len(circuits) > 1:
            say(f"{'' if i == 0 else chr(10)}{clean(circuit.name)}")
        say_histogram(found)


def _fitted(
    circuits: list[QuantumCircuit], name: str | None, where: str | None, seed: int | None
) -> tuple[Backend, list[QuantumCircuit]]:
    """The backend and the circuits as compiled for it: the named one, or the least busy one that is wide enough and
    whose instructions do; says which, and why."""
    import qprovider_core as qp
    from qprovider_core.selection import nothing_runs

    if name is not None:
        backend = qp.get_backend(name)
        return backend, backend.transpile(circuits, seed_transpiler=seed)
    width = max(circuit.num_qubits for circuit in circuits)
    listed = qp.backends(where=where, min_num_qubits=width)
    if not listed:
        raise nothing_runs({one.name: one.reason for one in listed.rejected}, map(str, listed.errors))
    tell_errors(listed)
    left = list(listed)
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


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"


def _wait(job: Job, backend: Backend) -> Any:
    """The job's result. Meanwhile a line on a terminal tells its state; an interrupt leaves the job alone."""
    started = time.monotonic()
    live = is_terminal(sys.stderr)

    def write(line: str) -> None:
        if live:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()

    def show(job_id: str, status: Any, _: object) -> None:
        write(f"Job {clean(job_id)}: {clean(status.name.lower())}, {time.monotonic() - started:.0f} s")

    try:
        job.wait_for_final_state(callback=show)
        return job.result()
    except KeyboardInterrupt:
        write("")
        where = f"job {job.job_id()} on {backend.full_name}"
        if backend.configuration().local:
            tell(f"Stopped: {where} ends with this command.")
        else:
            tell(f"No longer waiting: {where} goes on there.")
        raise
    finally:
        write("")

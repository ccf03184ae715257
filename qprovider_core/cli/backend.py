"""`qprovider backend`."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import click

from qprovider_core.cli._output import say, say_facts, say_json, say_table
from qprovider_core.cli.completion import backend_names

if TYPE_CHECKING:
    from qprovider_core.records import BackendConfiguration, BackendInfo, BackendProperties, BackendStatus

_MICRO, _NANO, _GIGA = 1e-6, 1e-9, 1e9


@click.command()
@click.argument("name", shell_complete=backend_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(name: str, as_json: bool) -> None:
    """Show one backend, qubit by qubit.

    NAME is as the table of `qprovider backends` shows it; without the provider while it is unique.
    """
    import qprovider_core as qp  # late: help needs no core

    backend = qp.get_backend(name)
    status, configuration, properties = backend.status(), backend.configuration(), backend.properties()
    if as_json:
        say_json(
            {
                "backend": backend.info.to_dict(),
                "status": status.to_dict(),
                "configuration": configuration.to_dict(),
                "properties": None if properties is None else properties.to_dict(),
            }
        )
        return
    _say_facts(backend.info, status, configuration)
    if properties is None:
        say("")
        say("No calibration is reported.")
    else:
        _say_calibration(properties)


def _say_facts(info: BackendInfo, status: BackendStatus, configuration: BackendConfiguration) -> None:
    from qprovider_core._tables import kind_word, status_word

    couplings = configuration.coupling_map
    say_facts(
        [
            ("name", info.full_name),
            ("account", info.account),
            ("instance", info.instance_name),
            ("instance id" if info.instance_name else "instance", info.instance),
            ("description", info.description or configuration.description),
            ("kind", kind_word(info)),
            ("processor", info.processor),
            ("version", configuration.backend_version or info.version),
            ("status", status.status_msg or status_word(info)),
            ("takes jobs", status.operational),
            ("queue", status.pending_jobs),
            ("qubits", configuration.n_qubits if configuration.n_qubits is not None else info.num_qubits),
            ("gates", " ".join(configuration.basis_gates)),
            ("couplings", "any pair" if couplings is None else len(couplings)),
            ("most shots", configuration.max_shots),
            ("most circuits", configuration.max_experiments),
            ("two-qubit error", info.median_two_qubit_error),
            ("readout error", info.median_readout_error),
        ]
    )


def _say_calibration(properties: BackendProperties) -> None:
    when = properties.last_update
    say("")
    say(f"Calibrated {when:%Y-%m-%d %H:%M} UTC" if when else "Calibrated at a time that is not reported")
    say("")
    say_table(
        ["qubit", "T1 (µs)", "T2 (µs)", "frequency (GHz)", "readout error", "operational"],
        [
            [
                qubit,
                _in(properties.t1(qubit), _MICRO, ".1f"),
                _in(properties.t2(qubit), _MICRO, ".1f"),
                _in(properties.frequency(qubit), _GIGA, ".4f"),
                properties.readout_error(qubit),
                properties.is_qubit_operational(qubit),
            ]
            for qubit in range(len(properties.qubits))
        ],
        right=["qubit", "T1 (µs)", "T2 (µs)", "frequency (GHz)", "readout error"],
    )
    rows = _two_qubit_gates(properties)
    if rows:
        titles = ["gate", "pairs", "out of order", "least error", "median error", "most error", "length (ns)"]
        say("")
        say_table(titles, rows, right=titles[1:])


def _two_qubit_gates(properties: BackendProperties) -> list[list[object]]:
    """A row for each two-qubit gate; an error of 1 means "not calibrated" and counts as out of order."""
    by_name: dict[str, list[tuple[int, ...]]] = {}
    for gate in properties.gates:
        if len(gate.qubits) == 2:
            by_name.setdefault(gate.gate, []).append(gate.qubits)
    rows: list[list[object]] = []
    for name, pairs in sorted(by_name.items()):
        reported = [(properties.gate_error(name, p), properties.is_gate_operational(name, p)) for p in pairs]
        errors = [error for error, works in reported if error is not None and error < 1 and works]
        broken = sum(1 for error, works in reported if error == 1 or not works)
        lengths = [length for p in pairs if (length := properties.gate_length(name, p)) is not None]
        spread = [min(errors), median(errors), max(errors)] if errors else [None] * 3
        rows.append([name, len(pairs), broken, *spread, _in(median(lengths) if lengths else None, _NANO, ".0f")])
    return rows


def _in(value: float | None, unit: float, form: str) -> str | None:
    """A value in another unit than its SI one, as text."""
    return None if value is None else format(value / unit, form)

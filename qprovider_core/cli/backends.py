"""`qprovider backends`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from qprovider_core.cli._output import say, say_json, say_table, tell
from qprovider_core.cli.completion import provider_names

if TYPE_CHECKING:
    from qprovider_core._lists import AnswerList, BackendList
    from qprovider_core.records import BackendInfo

_CSV_FIELDS = (
    "full_name", "provider", "account", "instance", "name", "num_qubits", "simulator", "noisy", "operational",
    "pending_jobs", "status_msg", "median_two_qubit_error", "median_readout_error", "processor", "version",
    "max_shots", "max_circuits", "clops", "wait_s", "calibrated_at", "features", "description",
)  # fmt: skip


@click.command()
@click.argument("pattern", metavar="[NAME-PATTERN]", required=False)
@click.option("--provider", "-p", multiple=True, shell_complete=provider_names, help="Only this one; may be repeated.")
@click.option("--where", "-w", metavar="EXPR", help="Criteria, such as 'num_qubits >= 20 and not simulator'.")
@click.option("--min-qubits", type=click.IntRange(min=0), metavar="N", help="At least so many qubits.")
@click.option("--simulator/--no-simulator", default=None, help="Only simulators, or only devices.")
@click.option("--operational/--all", default=False, help="Only those that take jobs now, or all (the default).")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Wait at most S seconds.")
@click.option("--explain", is_flag=True, help="Also say why each other backend was rejected, and what was asked.")
@click.option("--json", "form", flag_value="json", help="Print one JSON document.")
@click.option("--csv", "form", flag_value="csv", help="Print comma-separated values.")
def command(
    pattern: str | None,
    provider: tuple[str, ...],
    where: str | None,
    min_qubits: int | None,
    simulator: bool | None,
    operational: bool,
    timeout: float | None,
    explain: bool,
    form: str | None,
) -> None:
    """List backends of all accounts at once.

    NAME-PATTERN may hold * and ?, as in 'ibm_*' or 'local:*'. Providers that do not answer are named below
    the table; the exit code is 1 when there is no answer at all.
    """
    import qprovider_core as qp  # late: help needs no core

    account, vendor, name = _parts(pattern)
    if vendor is not None and provider:
        raise click.UsageError("NAME-PATTERN names a provider already; leave out --provider.")
    criteria: dict[str, Any] = {
        "account": account,
        "name": name,
        "where": where,
        "min_num_qubits": min_qubits,
        "simulator": simulator,
    }
    if operational:
        criteria["operational"] = True
    given = {name: value for name, value in criteria.items() if value is not None}
    listed = qp.list_backends(provider=vendor or list(provider) or None, timeout=timeout, **given)
    if form == "json":
        _say_json(listed, explain)
    elif form == "csv":
        _say_csv(listed)
    else:
        _say_table(listed)
    if form != "json":
        if explain:
            _explain(listed)
        tell_errors(listed)
        for note in listed.notes:
            tell(note, dim=True)
    if listed.errors and not listed and not listed.rejected:
        click.get_current_context().exit(1)


def _parts(pattern: str | None) -> tuple[str | None, str | None, str | None]:
    """``account/provider:name`` in parts; None for what is not given."""
    if pattern is None or ":" not in pattern:
        return None, None, pattern
    head, _, name = pattern.partition(":")
    account, slash, vendor = head.rpartition("/")
    return (account if slash else None), vendor, name or None


def tell_errors(listed: AnswerList[Any]) -> None:
    """Who did not answer, and what to do about it."""
    for error in listed.errors:
        tell(str(error), colour="red")
        if error.hint:
            tell(f"  {error.hint}", dim=True)


def _say_table(listed: BackendList[BackendInfo]) -> None:
    if not listed:
        looked = len(listed.rejected)
        tell(f"No backend matches; {looked} looked at. See why: add --explain." if looked else "There is no backend.")
        return
    from qprovider_core._tables import kind_word, status_word  # late: help needs no core

    say_table(
        ["name", "qubits", "status", "queue", "two-qubit error", "readout error", "kind"],
        [
            [
                info.full_name,
                info.num_qubits,
                status_word(info),
                info.pending_jobs,
                info.median_two_qubit_error,
                info.median_readout_error,
                kind_word(info),
            ]
            for info in listed
        ],
        right=["qubits", "queue", "two-qubit error", "readout error"],
    )


def _say_json(listed: BackendList[BackendInfo], explain: bool) -> None:
    document: dict[str, object] = {
        "backends": [info.to_dict() for info in listed],
        "errors": [error.to_dict() for error in listed.errors],
        "notes": list(listed.notes),
        "as_of": listed.as_of.isoformat(),
    }
    if explain:
        document["rejected"] = [{"name": r.name, "reason": r.reason} for r in listed.rejected]
        document["requests"] = dict(listed.requests)
    say_json(document)


def _say_csv(listed: BackendList[BackendInfo]) -> None:
    import csv  # late: only this form needs it
    import io

    from qprovider_core.cli._output import clean

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_FIELDS)
    for info in listed:
        row = [getattr(info, field) for field in _CSV_FIELDS]
        writer.writerow(clean(_csv_value(value)) for value in row)
    say(text.getvalue().rstrip("\n"))


def _csv_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return " ".join(value)
    if value is None:
        return ""
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def _explain(listed: BackendList[BackendInfo]) -> None:
    if listed.rejected:
        tell(f"Rejected ({len(listed.rejected)}):")
        for rejection in listed.rejected:
            tell(f"  {rejection}")
    asked = ", ".join(f"{facet} {number}" for facet, number in listed.requests.items())
    tell(f"Requests: {asked or 'none'}. As of {listed.as_of:%Y-%m-%d %H:%M:%S} UTC.", dim=True)

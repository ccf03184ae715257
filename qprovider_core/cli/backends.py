"""`qprovider backends`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from qprovider_core.cli._backend_rows import RIGHT, TITLES, row_of
from qprovider_core.cli._output import is_terminal, say, say_json, say_table, tell
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
@click.option("--refresh", is_flag=True, help="Ask the vendors even where what they told before still holds.")
@click.option("--stale", is_flag=True, help="Where a vendor does not answer, show what it told before.")
@click.option("--explain", is_flag=True, help="Also say which criterion asked for what, and dropped whom and why.")
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
    refresh: bool,
    stale: bool,
    explain: bool,
    form: str | None,
) -> None:
    """List backends of all accounts at once.

    NAME-PATTERN may hold * and ?, as in 'ibm_*' or 'local:*'. Providers that do not answer are named below
    the table; the exit code is 1 when there is no answer at all.
    """
    account, vendor, name = _parts(pattern)
    if vendor is not None and provider:
        raise click.UsageError("NAME-PATTERN names a provider already; leave out --provider.")
    criteria: dict[str, Any] = {
        "name": name,
        "where": where,
        "min_num_qubits": min_qubits,
        "simulator": simulator,
    }
    if operational:
        criteria["operational"] = True
    given = {name: value for name, value in criteria.items() if value is not None}
    given |= {"timeout": timeout, "refresh": refresh, "stale": stale}
    listed = _asked(vendor or list(provider) or None, account, given, watched=form is None and is_terminal(sys.stdout))
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


def _asked(
    provider: str | list[str] | None, account: str | None, given: dict[str, Any], *, watched: bool
) -> BackendList[BackendInfo]:
    """The query, on a terminal with what comes shown as it comes."""
    from qprovider_core._queries import query_records  # late: help needs no core
    from qprovider_core.fleet import fleet

    party = fleet().party(provider, account)
    if not watched:
        return query_records(party.accounts, party=party, **given)
    from qprovider_core.cli._arriving import Arriving  # late: only terminals need it

    with Arriving() as arriving:
        return query_records(party.accounts, party=party, watcher=arriving, **given)


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
    say_table(TITLES, map(row_of, listed), right=RIGHT)


def _say_json(listed: BackendList[BackendInfo], explain: bool) -> None:
    document: dict[str, object] = {
        "backends": [info.to_dict() for info in listed],
        "errors": [error.to_dict() for error in listed.errors],
        "notes": list(listed.notes),
        "as_of": listed.as_of.isoformat(),
        "ages_s": {label: round(age, 3) for label, age in listed.ages_s.items()},
    }
    if explain:
        document["rejected"] = [{"name": r.name, "reason": r.reason} for r in listed.rejected]
        document["requests"] = dict(listed.requests)
        document["remembered"] = dict(listed.remembered)
        document["steps"] = [step.to_dict() for step in listed.steps]
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


_NAMED = 3  # of the backends that a criterion dropped; all of them are below it, with the reasons


def _explain(listed: BackendList[BackendInfo]) -> None:
    """Criterion by criterion: what was asked for it, and whom it dropped; then each backend's reason."""
    if listed.steps:
        tell("Criteria:")
    width = max((len(step.criterion) for step in listed.steps), default=0)
    for step in listed.steps:
        asked = ", ".join(_counted(facet, number) for facet, number in step.requests.items())
        named = ", ".join(step.dropped[:_NAMED]) + (", …" if len(step.dropped) > _NAMED else "")
        dropped = f"dropped {len(step.dropped)}: {named}" if step.dropped else "dropped none"
        tell(f"  {step.criterion:<{width}}  {asked or 'no request'}; {dropped}")
    if listed.rejected:
        tell(f"Rejected ({len(listed.rejected)}):")
        for rejection in listed.rejected:
            tell(f"  {rejection}")
    asked = ", ".join(f"{facet} {number}" for facet, number in listed.requests.items())
    known = ", ".join(f"{facet} {number}" for facet, number in listed.remembered.items())
    told = f" Remembered: {known}." if known else ""
    tell(f"Requests: {asked or 'none'}.{told} As of {listed.as_of:%Y-%m-%d %H:%M:%S} UTC.", dim=True)


def _counted(facet: str, number: int) -> str:
    one, many = _FACET_WORDS[facet]
    return f"{number} {one if number == 1 else many}"


_FACET_WORDS = {
    "info": ("list", "lists"),
    "status": ("status", "statuses"),
    "configuration": ("configuration", "configurations"),
    "properties": ("calibration", "calibrations"),
}

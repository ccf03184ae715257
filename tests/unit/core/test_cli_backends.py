"""`qprovider backends` and `qprovider backend`, with vendors that answer, fail, or send hostile text."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

import qprovider_core as qp
from qprovider_core import _plugins, hookimpl
from qprovider_core.cli._app import app
from qprovider_core.errors import TransportError
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    BackendRef,
    BackendStatus,
    GateCalibration,
    GateConfiguration,
    Measured,
    ProviderSpec,
    QubitCalibration,
    TokenCredentials,
)

HOSTILE = "all well\x1b[2J\x1b]0;owned\x07\u202e[red]"
CALIBRATED = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
Call = Callable[..., Result]


class Acme:
    """Three backends, one of them with a calibration."""

    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return ProviderSpec(name="acme", title="Acme")

    @hookimpl
    def qprovider_open_account(self) -> str:
        return "connection"

    @hookimpl
    def qprovider_list_backends(self) -> list[BackendInfo]:
        return [
            BackendInfo(
                name="large",
                num_qubits=127,
                simulator=False,
                operational=True,
                pending_jobs=12,
                median_two_qubit_error=0.00812345,
                median_readout_error=0.02,
                processor="Heron",
                features=("dynamic_circuits", "fast"),
                calibrated_at=CALIBRATED,
            ),
            BackendInfo(
                name="small",
                num_qubits=2,
                simulator=True,
                noisy=True,
                operational=False,
                pending_jobs=0,
                status_msg=HOSTILE,
                description='says "hi", twice\nand again',
            ),
            BackendInfo(name="quiet"),
        ]

    @hookimpl
    def qprovider_backend_configuration(self, backend: BackendRef) -> BackendConfiguration:
        return BackendConfiguration(
            backend_name=backend.name,
            n_qubits=2,
            basis_gates=("sx", "cx"),
            gates=(
                GateConfiguration(name="sx", coupling_map=((0,), (1,))),
                GateConfiguration(name="cx", coupling_map=((0, 1), (1, 0))),
            ),
            coupling_map=None if backend.name == "quiet" else ((0, 1), (1, 0)),
        )

    @hookimpl
    def qprovider_backend_status(self, backend: BackendRef) -> BackendStatus:
        return BackendStatus(
            backend_name=backend.name, operational=True, pending_jobs=7, status_msg=f"active {HOSTILE}"
        )

    @hookimpl
    def qprovider_backend_properties(self, backend: BackendRef) -> BackendProperties | None:
        if backend.name == "quiet":
            return None
        if backend.name == "small":
            return BackendProperties(backend_name=backend.name)
        values = {"T1": 123.4e-6, "T2": 56.78e-6, "frequency": 4.98765e9, "readout_error": 0.0123}
        return BackendProperties(
            backend_name=backend.name,
            last_update=CALIBRATED,
            qubits=[
                QubitCalibration(values={name: Measured(value) for name, value in values.items()}),
                QubitCalibration(values={"operational": Measured(0)}),
            ],
            gates=[
                GateCalibration(gate="sx", qubits=(0,), values={"gate_error": Measured(1e-4)}),
                _gate("cx", (0, 1), 0.01, 300e-9),
                _gate("cx", (1, 0), 0.03, 400e-9),
                _gate("cz", (0, 1), 1.0, None),
            ],
        )


def _gate(name: str, qubits: tuple[int, int], error: float, length_s: float | None) -> GateCalibration:
    values = {"gate_error": Measured(error)}
    if length_s is not None:
        values["gate_length"] = Measured(length_s)
    return GateCalibration(gate=name, qubits=qubits, values=values)


class Mute(Acme):
    """A vendor whose error comes without advice."""

    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return ProviderSpec(name="mute", title="Mute")

    @hookimpl
    def qprovider_list_backends(self) -> list[BackendInfo]:
        raise TransportError("silence")


class Closed(Acme):
    """A vendor that needs a token, and there is none."""

    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return ProviderSpec(name="closed", title="Closed", credentials=TokenCredentials)


class Garbled(Acme):
    """A vendor whose list has a record that cannot be used."""

    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return ProviderSpec(name="garbled", title="Garbled")

    @hookimpl
    def qprovider_list_backends(self) -> list[BackendInfo]:
        return [BackendInfo(name="one"), BackendInfo(name="two", num_qubits=-1)]


class Down(Acme):
    """A vendor that cannot be reached."""

    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return ProviderSpec(name="down", title="Down")

    @hookimpl
    def qprovider_list_backends(self) -> list[BackendInfo]:
        raise TransportError(f"no route {HOSTILE}", hint="Mend the cable.")


@pytest.fixture(autouse=True)
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plugins.Registry, "_entries", lambda self: [])  # without the installed plugins
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())
    qp.register_plugin(Acme(), name="acme")


@pytest.fixture
def call() -> Call:
    return lambda *arguments: CliRunner().invoke(app, list(arguments), prog_name="qprovider")


def names(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [line.split()[0] for line in result.stdout.splitlines()[1:]]


# --------------------------------------------------------------------------------------------------- backends


def test_backends_are_listed_in_a_table(call: Call) -> None:
    result = call("backends", "--no-simulator")
    head, row = result.stdout.splitlines()
    assert head.split("  ")[0] == "name"
    assert row.split() == ["acme:large", "127", "online", "12", "0.00812", "0.0200", "device"]


def test_what_is_not_reported_is_a_dash(call: Call) -> None:
    assert call("backends", "quiet").stdout.splitlines()[1].split() == ["acme:quiet", *"––––––"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"acme:large", "acme:small", "acme:quiet"}),
        (["l*"], {"acme:large"}),
        (["acme:?mall"], {"acme:small"}),
        (["default/acme:l*"], {"acme:large"}),
        (["acme:"], {"acme:large", "acme:small", "acme:quiet"}),
        (["--min-qubits", "3"], {"acme:large"}),
        (["--simulator"], {"acme:small"}),
        (["--operational"], {"acme:large", "acme:quiet"}),  # what the listing leaves open, the status tells
        (["--all"], {"acme:large", "acme:small", "acme:quiet"}),
        (["--where", "num_qubits < 5 and noisy"], {"acme:small"}),
        (["--provider", "acme", "--timeout", "5"], {"acme:large", "acme:small", "acme:quiet"}),
    ],
)
def test_criteria(call: Call, arguments: list[str], expected: set[str]) -> None:
    assert set(names(call("backends", *arguments))) == expected


def test_who_does_not_answer_is_named_beside_the_table(call: Call) -> None:
    qp.register_plugin(Down(), name="down")
    result = call("backends")
    assert len(names(result)) == 3
    assert "down: no route" in result.stderr
    assert "Mend the cable." in result.stderr
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output


def test_notes_and_records_that_were_left_out_are_told(call: Call) -> None:
    qp.register_plugin(Closed(), name="closed")
    qp.register_plugin(Garbled(), name="garbled")
    result = call("backends")
    assert "garbled:one" in names(result)
    assert "garbled: one backend left out" in result.stderr
    assert "closed: no account" in result.stderr


def test_an_error_may_come_without_advice(call: Call) -> None:
    qp.register_plugin(Mute(), name="mute")
    assert call("backends").stderr == "mute: silence\n"


def test_no_answer_at_all_is_a_failure(call: Call) -> None:
    qp.register_plugin(Down(), name="down")
    assert call("backends", "--provider", "down").exit_code == 1
    assert call("backends", "--provider", "down", "--json").exit_code == 1


def test_no_match_is_said_and_no_failure(call: Call) -> None:
    result = call("backends", "--min-qubits", "1000")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No backend matches; 3 looked at" in result.stderr


def test_no_backend_at_all_is_said(call: Call) -> None:
    qp.unregister_plugin("acme")
    assert "There is no backend." in call("backends").stderr


def test_explain_gives_each_reason_and_what_was_asked(call: Call) -> None:
    result = call("backends", "--min-qubits", "3", "--explain")
    assert "Rejected (2):" in result.stderr
    assert "acme:small: num_qubits is 2" in result.stderr
    assert "Requests: info 1" in result.stderr
    assert "Rejected" not in call("backends", "--explain").stderr


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--where", "num_qubits > > 3"], "^"),
        (["--where", "num_qubit > 3"], "Did you mean 'num_qubits'"),
        (["--provider", "acne"], "Did you mean 'acme'?"),
        (["acme:*", "--provider", "acme"], "names a provider already"),
        (["--timeout", "0"], "--timeout"),
        (["--min-qubits", "-1"], "--min-qubits"),
    ],
)
def test_wrong_criteria_are_wrong_usage(call: Call, arguments: list[str], what: str) -> None:
    result = call("backends", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert what in result.stderr


def test_json_is_one_document(call: Call) -> None:
    qp.register_plugin(Down(), name="down")
    document = json.loads(call("backends", "--min-qubits", "3", "--json").stdout)
    assert set(document) == {"backends", "errors", "notes", "as_of", "ages_s"}
    (large,) = document["backends"]
    assert (large["full_name"], large["num_qubits"], large["simulator"]) == ("acme:large", 127, False)
    assert large["calibrated_at"] == CALIBRATED.isoformat()
    assert [error["provider"] for error in document["errors"]] == ["down"]
    assert datetime.fromisoformat(document["as_of"]).tzinfo is not None


def test_json_explains_when_asked(call: Call) -> None:
    result = call("backends", "--min-qubits", "3", "--json", "--explain")
    document = json.loads(result.stdout)
    assert {one["name"] for one in document["rejected"]} == {"acme:small", "acme:quiet"}
    assert document["requests"]["info"] == 1
    assert result.stderr == ""


def test_csv_is_quoted_and_cleaned(call: Call) -> None:
    text = call("backends", "--csv").stdout
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(text))}
    assert rows["large"]["simulator"] == "false"
    assert rows["large"]["median_two_qubit_error"] == "0.00812345"
    assert rows["large"]["features"] == "dynamic_circuits fast"
    assert rows["large"]["calibrated_at"] == CALIBRATED.isoformat()
    assert rows["quiet"]["num_qubits"] == ""
    assert rows["small"]["description"] == 'says "hi", twice and again'
    assert all(line.isprintable() for line in text.splitlines())


def test_hostile_text_cannot_steer_the_terminal(call: Call) -> None:
    for arguments in (["backends"], ["backends", "--json"], ["backends", "--csv"], ["backend", "small"]):
        shown = call(*arguments).output
        assert "all well" in shown
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "\u202e" not in shown


# ---------------------------------------------------------------------------------------------------- backend


def test_a_backend_is_shown_qubit_by_qubit_in_the_fields_units(call: Call) -> None:
    result = call("backend", "acme:large")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "Calibrated 2026-01-02 03:04 UTC" in lines
    first = next(i for i, line in enumerate(lines) if line.startswith("qubit "))
    assert lines[first + 1].split() == ["0", "123.4", "56.8", "4.9877", "0.0123", "yes"]
    assert lines[first + 2].split() == ["1", "–", "–", "–", "–", "no"]


def test_two_qubit_gates_are_summed_up(call: Call) -> None:
    lines = call("backend", "large").stdout.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("gate "))
    # Of cx: least, median and most of 0.01 and 0.03; the median of 300 and 400 ns. An error of 1 is none.
    assert lines[first + 1].split() == ["cx", "2", "0", "0.0100", "0.0200", "0.0300", "350"]
    assert lines[first + 2].split() == ["cz", "1", "1", "–", "–", "–", "–"]
    assert len(lines) == first + 3


def test_the_facts_of_a_backend(call: Call) -> None:
    lines = call("backend", "acme:large").stdout.splitlines()
    facts = dict(line.split(maxsplit=1) for line in lines if len(line.split()) == 2)
    assert facts["name"] == "acme:large"
    assert facts["queue"] == "7"
    assert facts["couplings"] == "2"
    assert facts["kind"] == "device"


def test_a_backend_without_calibration(call: Call) -> None:
    shown = call("backend", "quiet").stdout
    assert "No calibration is reported." in shown
    assert "any pair" in shown
    assert "time that is not reported" in call("backend", "small").stdout


def test_a_backend_as_json(call: Call) -> None:
    document = json.loads(call("backend", "large", "--json").stdout)
    assert set(document) == {"backend", "status", "configuration", "properties"}
    assert document["status"]["pending_jobs"] == 7
    assert document["properties"]["qubits"][0]["values"]["T1"]["value"] == 123.4e-6
    assert json.loads(call("backend", "quiet", "--json").stdout)["properties"] is None


def test_an_unknown_backend_is_wrong_usage_and_near_ones_are_named(call: Call) -> None:
    result = call("backend", "acme:larg")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "acme:large" in result.stderr

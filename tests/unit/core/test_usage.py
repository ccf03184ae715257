"""What all accounts have used: who says it, who does not, and who does not answer."""

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

import qprovider_core as qp
from qprovider_core._usage import USAGE_COLUMNS, duration_text
from qprovider_core.cli._app import app
from qprovider_core.errors import InvalidInputError, TransportError, UnknownAccountError, UnknownProviderError
from qprovider_core.records import AccountInfo, InstanceInfo, Usage

pytestmark = pytest.mark.usefixtures("isolated")
MARCH, NOON = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 15, 12, tzinfo=UTC)
OPEN = InstanceInfo(
    name="open-main",
    id="crn:1",
    plan="open",
    usage=Usage(consumed_s=75.4, limit_s=600, remaining_s=524.6, period_start=MARCH, period_end=NOON),
)
PREMIUM = InstanceInfo(name="premium", id="crn:2", plan="premium", usage=Usage(consumed_s=0.0))
SPARE = InstanceInfo(name="spare", id="crn:3", plan="open")


def test_each_place_of_each_account_has_a_row(vendor):
    vendor("big", account_info=lambda: AccountInfo(plan="open", instances=[OPEN, PREMIUM, SPARE], usage=OPEN.usage))
    vendor("small", account_info=lambda: AccountInfo(plan="free", usage=Usage(remaining_s=30.0)))
    told = qp.usage()
    assert [(row.provider, row.account, row.instance_name, row.plan) for row in told] == [
        ("big", "default", "open-main", "open"),
        ("big", "default", "premium", "premium"),
        ("small", "default", None, "free"),
    ]
    assert told.to_dicts()[0] == {
        "provider": "big",
        "account": "default",
        "instance": "crn:1",
        "instance_name": "open-main",
        "plan": "open",
        "consumed_s": 75.4,
        "limit_s": 600,
        "remaining_s": 524.6,
        "period_start": MARCH,
        "period_end": NOON,
    }
    assert (told[1].consumed_s, told[1].limit_s, told[1].remaining_s) == (0.0, None, None)
    assert (told[2].consumed_s, told[2].remaining_s) == (None, 30.0)
    assert (told.errors, told.notes) == ([], [])
    assert list(told.to_pandas().columns) == list(USAGE_COLUMNS)
    assert told.to_csv().splitlines()[0] == ",".join(USAGE_COLUMNS)
    assert qp.AccountUsage.from_dict(told[0].to_dict()) == told[0]


def test_who_does_not_say_has_a_row_of_none_never_of_0_and_is_noted(vendor):
    vendor("mute")
    vendor("vague", account_info=lambda: AccountInfo(plan="free", instances=[SPARE]))
    vendor("empty", account_info=lambda: None)
    told = qp.usage()
    assert [row.provider for row in told] == ["empty", "mute", "vague"]
    for row in told:
        assert (row.consumed_s, row.limit_s, row.remaining_s, row.told) == (None, None, None, False)
    assert told.notes == ["not told what was used: empty, mute, vague"]
    assert told.errors == []


def test_who_hangs_or_fails_costs_its_own_row(vendor, hang):
    def fails():
        raise TransportError("The line is cut.", hint="Mend it.")

    def leaves():
        raise SystemExit(3)

    vendor("asleep", account_info=lambda: hang())
    vendor("broken", account_info=fails)
    vendor("leaving", account_info=leaves)
    vendor("good", account_info=lambda: AccountInfo(usage=Usage(consumed_s=1.0)))
    told = qp.usage(timeout=0.3)
    assert [row.provider for row in told] == ["good"]
    reasons = {error.provider: error for error in told.errors}
    assert reasons["asleep"].error == "DeadlineError"
    assert "no answer within 0.3 s" in reasons["asleep"].reason
    assert (reasons["broken"].reason, reasons["broken"].hint) == ("The line is cut.", "Mend it.")
    assert "SystemExit: 3" in reasons["leaving"].reason
    assert set(reasons) == {"asleep", "broken", "leaving"}


def test_a_vendors_own_timeout_is_not_taken_for_ours(vendor):
    def fails():
        raise TimeoutError("theirs")

    vendor("slow", account_info=fails)
    [error] = qp.usage().errors
    assert "theirs" in error.reason


def test_a_place_that_could_not_be_asked_is_an_error_and_the_others_stand(vendor):
    broken = InstanceInfo(name="branch", id="crn:4", problem="HTTP status 503")
    vendor("big", account_info=lambda: AccountInfo(instances=[OPEN, broken]))
    told = qp.usage()
    assert [row.instance_name for row in told] == ["open-main"]
    assert [error.reason for error in told.errors] == ["instance branch: HTTP status 503"]
    vendor("worse", account_info=lambda: AccountInfo(instances=[broken]))
    told = qp.usage(provider="worse")
    assert (list(told), len(told.errors), told.notes) == ([], 1, [])


def test_only_who_is_named_is_asked(vendor):
    asked = []
    for name in ("one", "two"):
        vendor(name, account_info=lambda name=name: asked.append(name))
    qp.usage(provider="two")
    qp.usage(account="def*", provider=["one"])
    assert asked == ["two", "one"]
    with pytest.raises(UnknownProviderError):
        qp.usage(provider="three")
    with pytest.raises(UnknownAccountError):
        qp.usage(account="other")
    for timeout in (0, -1, float("nan")):
        with pytest.raises(InvalidInputError):
            qp.usage(timeout=timeout)
    assert asked == ["two", "one"]


def test_it_reads_in_minutes_and_seconds(vendor):
    vendor("big", account_info=lambda: AccountInfo(instances=[OPEN, PREMIUM]))
    shown = repr(qp.usage())
    for text in ("open-main", "1 min 15 s", "10 min 00 s", "8 min 45 s", "0 s", "2026-03-01"):
        assert text in shown
    assert "<table" in qp.usage()._repr_html_()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, None), (0, "0 s"), (0.004, "0.004 s"), (2.5, "2.5 s"), (59.9, "59.9 s"), (60, "1 min 00 s"),
     (75.4, "1 min 15 s"), (119.7, "2 min 00 s"), (36_061, "601 min 01 s")],
)  # fmt: skip
def test_a_length_of_time_for_people(seconds, text):
    assert duration_text(seconds) == text


def test_no_account_at_all_is_no_error():
    told = qp.usage()
    assert (list(told), told.errors) == ([], [])
    assert "No account" in repr(told)


# --------------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def call():
    return lambda *arguments: CliRunner().invoke(app, ["usage", *arguments])


def test_the_command_shows_minutes_to_people_and_seconds_to_programs(vendor, call):
    vendor("big", account_info=lambda: AccountInfo(instances=[OPEN, PREMIUM]))
    vendor("mute")
    table = call()
    assert table.exit_code == 0
    assert "1 min 15 s" in table.stdout
    assert "mute" in table.stdout
    assert "not told what was used: mute" in table.stderr
    told = json.loads(call("--json").stdout)
    assert [row["consumed_s"] for row in told["usage"]] == [75.4, 0.0, None]
    assert told["notes"] == ["not told what was used: mute"]
    assert (told["errors"], told["usage"][0]["period_start"]) == ([], "2026-03-01T00:00:00+00:00")
    rows = list(csv.DictReader(io.StringIO(call("--csv", "--provider", "big").stdout)))
    assert [row["remaining_s"] for row in rows] == ["524.6", ""]


def test_the_command_names_who_did_not_answer_and_fails_only_without_any_answer(vendor, call, hang):
    vendor("asleep", account_info=lambda: hang())
    failed = call("--timeout", "0.2")
    assert failed.exit_code == 1
    assert "asleep: no answer within 0.2 s" in failed.stderr
    assert json.loads(call("--timeout", "0.2", "--json").stdout)["errors"][0]["provider"] == "asleep"
    vendor("good", account_info=lambda: AccountInfo(usage=Usage(consumed_s=1.0)))
    assert call("--timeout", "0.2").exit_code == 0


def test_the_command_without_an_account_says_what_to_do(call):
    done = call()
    assert done.exit_code == 0
    assert "qprovider accounts add" in done.stderr


def test_it_imports_neither_qiskit_nor_numpy(tmp_path):
    code = """
import sys, qprovider_core as qp
from types import SimpleNamespace
from qprovider_core import AccountInfo, ProviderSpec, Usage, hookimpl
qp.register_plugin(SimpleNamespace(
    qprovider_provider=hookimpl(lambda: ProviderSpec(name="acme", title="Acme")),
    qprovider_open_account=hookimpl(lambda: 1),
    qprovider_list_backends=hookimpl(lambda: []),
    qprovider_account_info=hookimpl(lambda: AccountInfo(usage=Usage(consumed_s=1.0)))), "acme")
print(qp.usage()[0].consumed_s, qp.usage().to_csv()[:3], qp.Session.mode, *({'qiskit', 'numpy'} & set(sys.modules)))
"""
    environment = {"QPROVIDER_PLUGINS": "none", "QPROVIDER_CONFIG_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.stdout.split(), done.stderr) == (["1.0", "pro", "session"], "")

"""What is given while a vendor is down, and what a user may say of remembering."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

import qprovider_core as qp
from qprovider_core import fleet
from qprovider_core.cli._app import app
from qprovider_core.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidInputError,
    NoMatchingBackendError,
    ResponseError,
    TransportError,
)
from qprovider_core.records import (
    BackendInfo,
    BackendRef,
)

ONE = BackendRef(name="one")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bell() -> Any:
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2)
    circuit.measure([0, 1], [0, 1])
    return circuit


# -- stale answers ----------------------------------------------------------------------------------------------------


def warm(**criteria: Any) -> None:
    """What is remembered of acme, made an hour old."""
    qp.list_backends(**criteria)
    cache = fleet.fleet().party("acme").accounts[0].facts._cache
    told = cache._listing
    assert told is not None
    hour = timedelta(hours=1)
    cache._listing = attrs.evolve(told, at=told.at - hour, moment=told.moment - 3600)


@pytest.mark.parametrize(
    "trouble", [TransportError("down"), ResponseError("HTTP status 503"), RuntimeError("a bug"), TimeoutError("slow")]
)
def test_a_stale_answer_is_given_only_where_it_was_asked_for(acme, trouble):
    warm()
    acme.trouble = trouble
    assert qp.list_backends() == []
    listed = qp.list_backends(stale=True, min_num_qubits=6)
    assert listed.names() == ["acme:two"]
    assert listed.notes == ["acme: does not answer; this is what it told 1 h ago"]
    assert listed.ages_s["acme"] >= 3600
    assert (datetime.now(UTC) - listed.as_of).total_seconds() >= 3600
    [error] = listed.errors
    assert error.provider == "acme"
    assert str(trouble) in error.reason
    assert listed.requests == {}
    assert listed.remembered == {"info": 1}
    assert qp.backends(stale=True)[0].name == "one"
    assert qp.least_busy(stale=True).name == "one"
    acme.trouble = None
    listed = qp.list_backends(stale=True)
    assert (listed.notes, listed.errors, listed.ages_s) == ([], [], {"acme": 0.0})


def test_a_stale_answer_stands_in_for_a_vendor_that_hangs(acme, vendor, hang):
    warm()
    acme._heard = hang
    listed = qp.list_backends(stale=True, timeout=0.3)
    assert listed.names() == ["acme:one", "acme:two"]
    assert [error.error for error in listed.errors] == ["DeadlineError"]
    assert listed.notes == ["acme: does not answer; this is what it told 1 h ago"]


@pytest.mark.parametrize("refusal", [AuthenticationError("the key is not accepted"), InvalidInputError("no")])
def test_a_refused_account_gets_no_stale_answer(acme, refusal):
    warm()
    acme.trouble = refusal
    listed = qp.list_backends(stale=True)
    assert listed == []
    assert listed.notes == []
    assert len(listed.errors) == 1


def test_where_nothing_is_remembered_stale_changes_nothing(acme):
    acme.trouble = TransportError("down")
    for stale in (False, True):
        listed = qp.list_backends(stale=stale)
        assert (listed, listed.notes, [error.reason for error in listed.errors]) == ([], [], ["down"])
    with pytest.raises(NoMatchingBackendError, match="down"):
        qp.least_busy(stale=True)


def test_facets_of_a_stale_answer_are_those_that_are_remembered(acme):
    warm(basis_gates="cx", name="one")
    acme.trouble = TransportError("down")
    listed = qp.list_backends(basis_gates="cx", stale=True)
    assert listed.names() == ["acme:one"]
    [left] = listed.rejected
    assert left.name == "acme:two"
    assert "its configuration is not remembered, and the vendor does not answer" in left.reason
    assert listed.remembered == {"info": 1, "configuration": 1}


@pytest.mark.parametrize("stale", [False, True])
def test_a_facet_that_cannot_be_had_may_be_an_earlier_one(acme, stale):
    acme.version = "1"
    warm(basis_gates="cx", name="one")
    acme.listed = [BackendInfo(name=name, version="2") for name in ("one", "two")]
    qp.list_backends(refresh=True)  # tells of another version: the configuration does not hold
    acme.trouble = TransportError("down")
    listed = qp.list_backends(basis_gates="cx", stale=stale)
    assert listed.names() == (["acme:one"] if stale else [])
    if stale:
        assert listed.notes == ["acme: the configuration of 1 of its backends is what it told 0 s ago"]
        assert [error.reason for error in listed.errors] == [
            "the configuration of 1 of its backends could not be had: down"
        ]
    assert any("its configuration could not be had: down" in one.reason for one in listed.rejected)


def test_a_refused_facet_is_not_replaced(acme):
    acme.version = "1"
    warm(basis_gates="cx")
    acme.listed = [BackendInfo(name="one", version="2")]
    qp.list_backends(refresh=True)
    acme.trouble = AuthenticationError("the key is not accepted")
    assert qp.list_backends(basis_gates="cx", stale=True) == []


# -- what a user may say ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["refresh", "stale"])
@pytest.mark.parametrize("value", [1, "yes", 0.0])
def test_refresh_and_stale_are_true_or_false(acme, name, value):
    with pytest.raises(InvalidInputError, match=f"{name} is True or False"):
        qp.list_backends(**{name: value})
    assert acme.since() == []


@pytest.mark.parametrize("where", ["ram", "", "Memory", 5, True, ["memory"], "/tmp/cache"])
def test_use_cache_refuses_what_it_does_not_know(acme, where):
    with pytest.raises(InvalidInputError, match=r"'memory', 'disk', 'off' or a directory as a Path"):
        qp.use_cache(where)
    qp.list_backends()
    qp.list_backends()
    assert acme.since() == ["list"]


def test_use_cache_goes_before_the_environment(acme, monkeypatch):
    monkeypatch.setenv("QPROVIDER_CACHE", "nonsense")
    qp.use_cache("memory")
    qp.list_backends()
    qp.list_backends()
    assert acme.since() == ["list"]
    qp.use_cache("off")
    qp.list_backends()
    assert acme.since() == ["list"]
    qp.use_cache(None)
    with pytest.raises(ConfigurationError, match="QPROVIDER_CACHE is 'nonsense'") as caught:
        qp.list_backends()
    assert "disk" in str(caught.value.hint)
    assert acme.since() == []


def test_a_nonsensical_setting_does_not_come_between_a_job_and_its_answer(acme, monkeypatch):
    one = qp.get_backend("acme:one")
    assert one.target.num_qubits == 5
    monkeypatch.setenv("QPROVIDER_CACHE", "nonsense")
    job = one.run(bell())
    assert job.job_id() == "a1"
    assert job.cancel() is True


@pytest.mark.parametrize("timeout", [0, -1, -0.5, float("nan"), float("inf"), "5", True])
@pytest.mark.parametrize("name", ["timeout", "vendor_timeout"])
def test_a_timeout_is_positive_and_finite(acme, name, timeout):
    for call in (qp.list_backends, qp.backends, qp.least_busy):
        with pytest.raises(InvalidInputError, match="positive, finite number of seconds"):
            call(**{name: timeout})
    if name == "timeout":
        with pytest.raises(InvalidInputError, match="positive, finite number of seconds"):
            qp.get_backend("acme:one", timeout=timeout)
    assert acme.since() == []


def test_contradictory_criteria_are_refused_before_anybody_is_asked(acme):
    for call in (qp.list_backends, qp.backends, qp.least_busy):
        with pytest.raises(InvalidInputError, match="min_num_qubits=6 is above max_num_qubits=5"):
            call(min_num_qubits=6, max_num_qubits=5)
    assert acme.since() == []
    # A query text may say anything; what it rejects it gives reasons for.
    listed = qp.list_backends(where="num_qubits > 5 and num_qubits < 3")
    assert listed == []
    assert [one.reason for one in listed.rejected] == [
        "num_qubits is 5, wanted num_qubits > 5",
        "num_qubits is 9, wanted num_qubits < 3",
    ]


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("", "in memory"),
        ("disk", "on disk, {}"),
        ("off", "off"),
        ("x", "The environment variable QPROVIDER_CACHE is 'x'."),
    ],
)
def test_about_says_where_answers_are_remembered(acme, monkeypatch, tmp_path, word, shown):
    monkeypatch.setenv("QPROVIDER_CACHE", word)
    monkeypatch.setenv("QPROVIDER_CACHE_DIR", str(tmp_path))
    told = CliRunner().invoke(app, ["about"], prog_name="qprovider").stdout
    [line] = [line for line in told.splitlines() if line.startswith("cache ")]
    assert line.removeprefix("cache").strip() == shown.format(tmp_path)

"""What is remembered of backends in memory: how long, what ends it, and who never sees it."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

import qprovider_core as qp
from qprovider_core import fleet
from qprovider_core._cache import CONFIGURATION_AGE_S, PROPERTIES_AGE_S, Cache, Told
from qprovider_core.errors import (
    ResponseError,
    TransportError,
    UnknownBackendError,
)
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    BackendRef,
    BackendStatus,
    JobState,
    ListProblem,
    ProviderSpec,
    TokenCredentials,
)

ONE = BackendRef(name="one")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bell() -> Any:
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2)
    circuit.measure([0, 1], [0, 1])
    return circuit


# -- the list ---------------------------------------------------------------------------------------------------------


def test_a_repeated_query_asks_nobody(acme):
    first = qp.list_backends(min_num_qubits=6, basis_gates="cx")
    assert acme.since() == ["configuration of two", "list"]
    again = qp.list_backends(min_num_qubits=6, basis_gates="cx")
    assert acme.since() == []
    assert again.names() == first.names() == ["acme:two"]
    assert (first.requests, first.remembered) == ({"info": 1, "configuration": 1}, {})
    assert (again.requests, again.remembered) == ({}, {"info": 1, "configuration": 1})
    assert first.ages_s == {"acme": 0.0}
    assert again.ages_s["acme"] > 0
    assert again.as_of == first.as_of


def test_every_way_to_ask_uses_what_is_remembered(acme):
    qp.list_backends(basis_gates="cx")
    acme.since()
    account = fleet.fleet().party("acme").accounts[0]
    assert qp.least_busy().name == "one"
    assert qp.least_busy(qp.backends()).name == "one"
    assert qp.get_backend("acme:two").configuration().basis_gates == ("cx", "rz")
    assert [one.name for one in account.backends(min_num_qubits=9)] == ["two"]
    assert account.least_busy(min_num_qubits=9).name == "two"
    assert account.get_backend("one").num_qubits == 5
    assert account.list_backends().names() == ["acme:one", "acme:two"]
    assert acme.since() == []


def test_refresh_asks_everywhere(acme):
    def costs(call: Any) -> list[str]:
        acme.since()
        call()
        return acme.since()

    handles = qp.backends(basis_gates="cx")
    account = fleet.fleet().party("acme").accounts[0]
    both = ["configuration of one", "configuration of two", "list"]
    assert costs(lambda: qp.list_backends(basis_gates="cx", refresh=True)) == both
    assert costs(lambda: qp.backends(basis_gates="cx", refresh=True)) == both
    assert costs(lambda: qp.least_busy(refresh=True)) == ["list"]
    assert costs(lambda: qp.least_busy(handles)) == []
    assert costs(lambda: qp.least_busy(handles, refresh=True)) == ["status of one", "status of two"]
    assert costs(lambda: qp.get_backend("acme:one", refresh=True)) == ["configuration of one", "list"]
    assert costs(lambda: account.backends(refresh=True)) == ["list"]
    assert costs(lambda: account.list_backends(refresh=True)) == ["list"]
    assert costs(lambda: account.least_busy(refresh=True)) == ["list"]
    assert costs(lambda: account.get_backend("one", refresh=True)) == ["configuration of one", "list"]
    one = handles[0]
    assert costs(one.configuration) == []
    assert costs(lambda: one.configuration(refresh=True)) == ["configuration of one"]
    assert costs(lambda: one.properties(refresh=True)) == ["properties of one"]
    assert costs(one.properties) == []
    one.refresh()
    assert costs(one.configuration) == ["configuration of one"]
    assert costs(one.properties) == ["properties of one"]


def test_a_list_holds_as_long_as_its_vendor_says_and_no_longer():
    listing = (BackendInfo(name="one"),)
    cache = Cache(60.0)
    cache.keep_listing(Told(listing, moment=time.monotonic() - 59))
    assert cache.listing() is not None
    cache.keep_listing(Told(listing, moment=time.monotonic() - 58))
    assert Cache(60.0).listing() is None
    old = Cache(57.0)
    old.keep_listing(Told(listing, moment=time.monotonic() - 58))
    assert old.listing() is None
    kept = old.listing(stale=True)
    assert kept is not None
    assert kept.age_s() >= 58


def test_a_list_that_came_earlier_does_not_replace_a_later_one():
    cache = Cache(60.0)
    cache.keep_listing(later := Told((BackendInfo(name="later"),)))
    cache.keep_listing(Told((BackendInfo(name="earlier"),), moment=later.moment - 1))
    assert cache.listing() is later


def test_a_vendor_with_a_short_age_is_asked_again(asked):
    brief = asked(list_age_s=1e-9)
    qp.list_backends()
    qp.list_backends()
    assert brief.since() == ["list", "list"]


def test_an_age_of_zero_remembers_nothing(asked):
    local = asked(list_age_s=0.0)
    for _ in range(2):
        assert qp.list_backends(basis_gates="cx").remembered == {}
        assert local.since() == ["configuration of one", "configuration of two", "list"]
    local.trouble = TransportError("down")
    assert qp.list_backends(stale=True) == []


@pytest.mark.parametrize("word", ["off", "no", "0", " OFF "])
def test_off_remembers_nothing(acme, monkeypatch, word):
    monkeypatch.setenv("QPROVIDER_CACHE", word)
    qp.list_backends(basis_gates="cx")
    qp.list_backends(basis_gates="cx")
    assert acme.since() == ["configuration of one"] * 2 + ["configuration of two"] * 2 + ["list"] * 2


def test_a_new_backend_is_opened_although_an_older_list_is_remembered(acme):
    qp.list_backends()
    acme.listed.append(BackendInfo(name="three", num_qubits=3))
    assert qp.get_backend("acme:three").num_qubits == 3
    assert acme.since() == ["configuration of three", "list", "list"]
    with pytest.raises(UnknownBackendError, match="acme:one, acme:three, acme:two"):
        qp.get_backend("acme:four")


def test_a_name_that_nobody_has_costs_one_list_where_none_is_remembered(acme):
    with pytest.raises(UnknownBackendError):
        qp.get_backend("acme:four")
    assert acme.since() == ["list"]


def test_a_partial_list_is_not_remembered_as_the_whole(acme):
    whole, acme.listed = acme.listed, [acme.listed[0], ListProblem(reason="one place did not answer")]
    assert [str(error) for error in qp.list_backends().errors] == ["acme: one place did not answer"]
    acme.listed = whole
    listed = qp.list_backends()
    assert (listed.names(), listed.errors) == (["acme:one", "acme:two"], [])
    assert acme.since() == ["list", "list"]


def test_a_partial_list_does_not_take_the_place_of_a_whole_one(acme):
    qp.list_backends()
    acme.listed = [acme.listed[0], ListProblem(reason="one place did not answer")]
    assert qp.list_backends(refresh=True).names() == ["acme:one"]
    acme.trouble = TransportError("down")
    assert qp.list_backends(refresh=True, stale=True).names() == ["acme:one", "acme:two"]


def test_errors_are_not_remembered(acme):
    acme.trouble = TransportError("down")
    assert qp.list_backends().errors[0].reason == "down"
    acme.trouble = None
    assert len(qp.list_backends()) == 2
    acme.since()
    acme.trouble = ResponseError("nonsense")
    assert qp.list_backends(basis_gates="cx") == []
    acme.trouble = None
    assert len(qp.list_backends(basis_gates="cx")) == 2
    assert acme.since() == ["configuration of one"] * 2 + ["configuration of two"] * 2


def test_no_configuration_is_not_remembered_and_no_calibration_is(vendor):
    told: list[str] = []
    answers = iter([None, BackendConfiguration(backend_name="one", n_qubits=5, basis_gates=("cx",))])

    def configuration(backend: BackendRef) -> Any:
        told.append("configuration")
        return next(answers)

    def properties(backend: BackendRef) -> Any:
        told.append("properties")

    vendor("bare", [BackendInfo(name="one")], backend_configuration=configuration, backend_properties=properties)
    for _ in range(2):
        found = qp.list_backends(provider="bare", basis_gates="cx")
    assert found.names() == ["bare:one"]
    for _ in range(2):
        account = fleet.fleet().party("bare").accounts[0]
        assert account.facts.properties(ONE) is None
    assert told == ["configuration", "configuration", "properties"]


# -- queues -----------------------------------------------------------------------------------------------------------


def test_the_status_of_a_handle_is_always_asked_for(acme):
    one = qp.get_backend("acme:one")
    acme.since()
    assert one.status().pending_jobs == 3
    acme.pending = 4
    assert one.status().pending_jobs == 4
    assert acme.since() == ["status of one", "status of one"]


def test_a_status_in_a_query_holds_as_long_as_a_list(acme):
    acme.listed = [BackendInfo(name="one", num_qubits=5)]
    qp.list_backends(max_pending_jobs=3)
    assert qp.list_backends(max_pending_jobs=3).remembered == {"info": 1, "status": 1}
    assert acme.since() == ["list", "status of one"]
    cache = Cache(60.0)
    status = BackendStatus(backend_name="one")
    cache.keep_facet("status", ONE, Told(status, moment=time.monotonic() - 61))
    assert cache.facet("status", ONE) is None
    cache.keep_facet("status", ONE, Told(status, moment=time.monotonic() - 59))
    assert cache.facet("status", ONE) is not None


def test_what_this_process_submits_or_cancels_ends_what_was_told_of_queues(acme):
    acme.listed = [BackendInfo(name="one", num_qubits=5)]
    one = qp.get_backend("acme:one")
    qp.list_backends(max_pending_jobs=9)
    acme.since()
    job = one.run(bell())
    acme.since()
    qp.list_backends(max_pending_jobs=9)
    assert acme.since() == ["list", "status of one"]
    job.cancel()
    qp.list_backends(max_pending_jobs=9)
    assert acme.since() == ["cancellation", "list", "status of one"]
    qp.list_backends(basis_gates="cx")
    assert acme.since() == []  # what it can run has not changed


def test_a_submission_that_fails_ends_it_too(acme):
    one = qp.get_backend("acme:one")
    assert one.target.num_qubits == 5
    acme.trouble = TransportError("lost", arrived=True)
    assert one.run(bell()).state().state is JobState.SUBMIT_UNKNOWN
    acme.trouble = None
    acme.since()
    qp.list_backends()
    assert acme.since() == ["list"]


def test_a_submission_ends_it_for_the_vendors_other_accounts(acme):
    with qp.open_account("acme") as mine, qp.open_account("acme") as other:
        assert mine is not other
        other.list_backends()
        other.list_backends()
        assert acme.since() == ["list"]
        mine.get_backend("one").run(bell())
        acme.since()
        other.list_backends()
        assert acme.since() == ["list"]


def test_what_was_asked_before_a_submission_and_told_after_it_does_not_hold():
    cache = Cache(60.0)
    listed, status = Told((BackendInfo(name="one"),)), Told(BackendStatus(backend_name="one"))
    cache.queue_moved()
    cache.keep_listing(listed)
    cache.keep_facet("status", ONE, status)
    assert cache.listing() is cache.facet("status", ONE) is None


@pytest.mark.parametrize("what", ["list", "status"])
def test_who_asks_after_a_submission_gets_no_answer_from_before_it(acme, vendor, what):
    """An earlier question is still under way then: its answer is for whoever asked it."""
    pending, entered, release = [1], threading.Semaphore(0), threading.Event()

    def answer() -> int:
        told = pending[0]
        entered.release()
        release.wait(30)
        return told

    hooks: dict[str, Any] = {"list": [BackendInfo(name="one")]}
    if what == "list":
        hooks["list"] = lambda: [BackendInfo(name="one", pending_jobs=answer())]
    else:
        hooks["backend_status"] = lambda: BackendStatus(backend_name="one", pending_jobs=answer())
    vendor("slow", hooks.pop("list"), **hooks)
    account = fleet.fleet().party("slow").accounts[0]
    told: list[int | None] = []

    def ask() -> None:
        if what == "list":
            told.append(account.list_backends()[0].pending_jobs)
        else:
            told.append(account.facts.status(ONE).pending_jobs)

    before = threading.Thread(target=ask)
    before.start()
    assert entered.acquire(timeout=30)
    pending[0] = 2
    account.facts.queue_moved()
    after = threading.Thread(target=ask)
    after.start()
    time.sleep(0.2)  # so that it waits for the earlier one's answer, which it might take
    release.set()
    before.join(30)
    after.join(30)
    assert sorted(told) == [1, 2]


# -- configurations and calibrations ----------------------------------------------------------------------------------


def configuration(version: str | None, age_s: float = 0.0) -> Told[Any]:
    value = BackendConfiguration(backend_name="one", backend_version=version)
    return Told(value, moment=time.monotonic() - age_s)


def test_a_configuration_holds_for_a_day():
    cache = Cache(15.0)
    cache.keep_facet("configuration", ONE, configuration("1", CONFIGURATION_AGE_S - 5))
    assert cache.facet("configuration", ONE) is not None
    cache.keep_facet("configuration", ONE, configuration("1", CONFIGURATION_AGE_S))
    assert cache.facet("configuration", ONE) is None
    assert cache.facet("configuration", ONE, stale=True) is not None


@pytest.mark.parametrize("teller", ["list", "status", "properties"])
@pytest.mark.parametrize(("told", "holds"), [("2", False), ("1", True), (None, True)])
def test_a_configuration_holds_while_nobody_tells_of_another_version(teller, told, holds):
    cache = Cache(15.0)
    cache.keep_facet("configuration", ONE, configuration("1"))
    if teller == "list":
        cache.keep_listing(Told((BackendInfo(name="one", version=told),)))
    else:
        record = BackendStatus if teller == "status" else BackendProperties
        cache.keep_facet(teller, ONE, Told(record(backend_name="one", backend_version=told)))
    assert (cache.facet("configuration", ONE) is not None) is holds
    assert cache.facet("configuration", BackendRef(name="two")) is None


def test_a_version_of_the_same_name_in_another_place_is_another_matter():
    cache = Cache(15.0)
    cache.keep_facet("configuration", BackendRef(name="one", instance="a"), configuration("1"))
    cache.keep_listing(Told((BackendInfo(name="one", instance="b", version="2"),)))
    assert cache.facet("configuration", BackendRef(name="one", instance="a")) is not None


def test_a_configuration_without_a_version_holds_for_its_day():
    cache = Cache(15.0)
    cache.keep_facet("configuration", ONE, configuration(None))
    cache.keep_listing(Told((BackendInfo(name="one", version="2"),)))
    assert cache.facet("configuration", ONE) is not None


def test_a_new_version_is_fetched_by_the_next_query(acme):
    acme.version = "1"
    acme.listed = [BackendInfo(name="one", version="1")]
    qp.list_backends(basis_gates="cx")
    acme.version = "2"
    acme.listed = [BackendInfo(name="one", version="2")]
    acme.since()
    qp.list_backends(basis_gates="cx", n_qubits=5)
    assert acme.since() == []  # nobody has told yet
    qp.list_backends(refresh=True)
    assert acme.since() == ["list"]
    qp.list_backends(basis_gates="cx")
    qp.list_backends(basis_gates="cx")
    assert acme.since() == ["configuration of one"]


def properties(updated: datetime | None, age_s: float = 0.0) -> Told[Any]:
    value = BackendProperties(backend_name="one", last_update=updated)
    return Told(value, moment=time.monotonic() - age_s)


def test_a_calibration_holds_until_a_list_tells_of_a_newer_one():
    cache = Cache(15.0)
    cache.keep_facet("properties", ONE, properties(NOON, PROPERTIES_AGE_S + 5))
    assert cache.facet("properties", ONE) is None  # nobody tells when it was calibrated
    cache.keep_listing(Told((BackendInfo(name="one", calibrated_at=NOON),)))
    assert cache.facet("properties", ONE) is not None
    cache.keep_listing(Told((BackendInfo(name="one", calibrated_at=NOON + timedelta(seconds=1)),)))
    assert cache.facet("properties", ONE) is None
    cache.keep_facet("properties", ONE, properties(NOON + timedelta(hours=1)))
    assert cache.facet("properties", ONE) is not None
    cache.keep_facet("properties", ONE, properties(NOON + timedelta(hours=1), CONFIGURATION_AGE_S))
    assert cache.facet("properties", ONE) is None


@pytest.mark.parametrize("updated", [None, NOON])
def test_a_calibration_holds_for_ten_minutes_where_no_list_tells(updated):
    cache = Cache(15.0)
    cache.keep_listing(Told((BackendInfo(name="one"),)))
    cache.keep_facet("properties", ONE, properties(updated, PROPERTIES_AGE_S - 5))
    assert cache.facet("properties", ONE) is not None
    cache.keep_facet("properties", ONE, properties(updated, PROPERTIES_AGE_S))
    assert cache.facet("properties", ONE) is None


def test_a_calibration_time_without_an_offset_is_not_believed():
    cache = Cache(15.0)
    cache.keep_facet("properties", ONE, properties(NOON))
    cache.keep_listing(Told((BackendInfo(name="one", calibrated_at=NOON.replace(tzinfo=None)),)))
    assert cache.facet("properties", ONE) is not None


def test_a_past_calibration_is_asked_for_each_time(acme):
    one = qp.get_backend("acme:one")
    one.properties()
    acme.since()
    one.properties(NOON)
    one.properties(NOON)
    assert acme.since() == ["properties of one"] * 2
    assert one.properties() is not None
    assert acme.since() == []


def test_what_is_remembered_of_one_account_is_bounded():
    cache = Cache(15.0)
    for number in range(201):
        cache.keep_facet("properties", BackendRef(name=f"b{number}"), properties(NOON))
    assert cache.facet("properties", BackendRef(name="b0")) is None
    assert cache.facet("properties", BackendRef(name="b1")) is not None


# -- whose ------------------------------------------------------------------------------------------------------------


def test_other_credentials_never_see_it(asked, monkeypatch):
    acme = asked(credentials=TokenCredentials)
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", "a-token-of-the-first-user")
    qp.list_backends()
    qp.list_backends()
    assert acme.since() == ["list"]
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", "a-token-of-the-second-user")
    acme.listed = acme.listed[:1]
    assert qp.list_backends().names() == ["acme:one"]
    assert acme.since() == ["list"]
    acme.trouble = TransportError("down")
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", "a-token-of-the-third-user")
    assert qp.list_backends(stale=True) == []


def test_two_accounts_of_one_vendor_remember_for_themselves(vendor):
    opened: list[str] = []

    @attrs.frozen
    class Connection:
        user: str

    def listed(connection: Any) -> Any:
        opened.append(connection.user)
        return [BackendInfo(name=f"of-{connection.user}")]

    spec = ProviderSpec(name="acme", title="Acme", credentials=TokenCredentials)
    vendor("acme", listed, spec=spec, open_account=lambda credentials: Connection(credentials.token.reveal()[-3:]))
    qp.save_account("acme", name="work", token="a-token-of-ann")
    qp.save_account("acme", name="home", token="a-token-of-bob")
    for _ in range(2):
        assert sorted(qp.list_backends().names()) == ["home/acme:of-bob", "work/acme:of-ann"]
    assert sorted(opened) == ["ann", "bob"]


# -- calls in flight --------------------------------------------------------------------------------------------------


def test_what_several_queries_want_at_once_is_asked_for_once(acme, vendor):
    release, inside = threading.Event(), threading.Semaphore(0)

    def slow(backend: BackendRef) -> Any:
        acme.asked.append(backend.name)
        inside.release()
        release.wait(30)
        return BackendConfiguration(backend_name=backend.name, basis_gates=("cx",))

    vendor("shared", acme.listed, backend_configuration=slow)
    qp.list_backends(provider="shared")
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(qp.list_backends(provider="shared", basis_gates="cx").names()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for _ in range(2):
        assert inside.acquire(timeout=30)
    release.set()
    for thread in threads:
        thread.join(30)
    assert found == [["shared:one", "shared:two"]] * 8
    assert acme.since() == ["one", "two"]


def test_a_facet_that_hangs_is_left_behind_and_later_queries_work(acme, vendor, hang):
    slow = [True]

    def configuration(backend: BackendRef) -> Any:
        if backend.name == "two" and slow[0]:
            hang()
        return BackendConfiguration(backend_name=backend.name, basis_gates=("cx",))

    vendor("slow", acme.listed, backend_configuration=configuration)
    listed = qp.list_backends(provider="slow", basis_gates="cx", timeout=0.5)
    assert listed.names() == ["slow:one"]
    assert "1 of its backends did not come within" in listed.errors[0].reason
    assert hang.entered.is_set()
    slow[0] = False
    assert qp.list_backends(provider="slow", n_qubits=None, basis_gates="cx", name="one").names() == ["slow:one"]
    assert acme.since() == []

"""All accounts at once: what came is in the answer, the rest is named beside it."""

import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import attrs
import pytest

import qprovider_core as qp
from qprovider_core import fleet
from qprovider_core.errors import (
    DeadlineError,
    InvalidInputError,
    NoAccountError,
    NoMatchingBackendError,
    TransportError,
    UnknownAccountError,
    UnknownAttributeError,
    UnknownBackendError,
    UnknownProviderError,
    UnsupportedError,
)
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendStatus,
    ProviderSpec,
    TokenCredentials,
)

pytestmark = pytest.mark.usefixtures("isolated")


def info(name="one", **fields):
    return BackendInfo(name=name, **fields)


def errors_of(listed):
    return {error.provider: error.reason for error in listed.errors}


# --------------------------------------------------------------------------------------------- partial answers


def raising(exc):
    def fail():
        raise exc

    return fail


def lazily():
    yield info("lazy")


def breaking():
    yield info("lazy")
    raise ValueError("broken off")


@pytest.mark.parametrize(
    ("listing", "reason"),
    [
        (raising(ValueError("boom\nbang")), "failed in qprovider_list_backends: ValueError: boom bang."),
        (raising(SystemExit(3)), "failed in qprovider_list_backends: SystemExit: 3."),
        (raising(KeyboardInterrupt()), "failed in qprovider_list_backends: KeyboardInterrupt."),
        (raising(GeneratorExit()), "failed in qprovider_list_backends: GeneratorExit."),
        (raising(TransportError("The line is cut.", why="No route.")), "The line is cut. No route."),
        (raising(ConnectionError("x")), "Broken could not be reached: ConnectionError: x."),
        (breaking, "failed in qprovider_list_backends: ValueError: broken off."),
        (lambda: None, "listed its backends with a NoneType; a list was expected."),
        (lambda: "one", "listed its backends with a str; a list was expected."),
        (lambda: {"one": 1}, "listed its backends with a dict; a list was expected."),
        (lambda: 5, "listed its backends with a int; a list was expected."),
    ],
)
def test_a_vendor_that_fails_costs_its_row_only(listing, reason, vendor):
    vendor("acme", [info()])
    vendor("broken", listing)
    listed = qp.list_backends()
    assert listed.names() == ["acme:one"]
    (error,) = listed.errors
    assert (error.provider, error.account) == ("broken", "default")
    assert error.reason.endswith(reason)
    assert "\n" not in error.reason
    assert 0 <= error.elapsed_s < 30
    assert str(error) in repr(listed)


@pytest.mark.parametrize("opening", [raising(ValueError("boom")), lambda: None, None])
def test_a_vendor_that_cannot_be_opened_costs_its_row_only(opening, vendor):
    vendor("acme", [info()])
    vendor("broken", [info()], open_account=opening)
    listed = qp.list_backends()
    assert listed.names() == ["acme:one"]
    assert [error.provider for error in listed.errors] == ["broken"]


def test_a_list_may_be_any_iterable(vendor):
    vendor("acme", lazily)
    vendor("beta", lambda: (info("two"),))
    vendor("gamma", [])
    listed = qp.list_backends()
    assert listed.names() == ["acme:lazy", "beta:two"]
    assert listed.errors == []


def test_garbage_is_left_out_one_by_one_with_the_reason(vendor):
    class Trap(str):
        __slots__ = ()

        def isprintable(self):
            raise RuntimeError("trapped")

    @attrs.frozen(kw_only=True, repr=False)
    class Explosive(BackendInfo):
        def flaws(self):
            raise RuntimeError("trapped")

    vendor(
        "acme",
        [info("good"), info(5), "text", None, info("x" * 1000), info("good"), info("neg", pending_jobs=-1),
         info("nan", median_readout_error=float("nan")), info("naive", calibrated_at=datetime(2026, 1, 1)),
         info("huge", clops=10**400, median_readout_error=10**400), Explosive(name="trap"), info(Trap("t")),
         info("good", instance="b"), info("fine", provider="evil", full_name="evil:x"), {"name": "dict"}],
    )  # fmt: skip
    vendor("beta", [info(None)])
    listed = qp.list_backends()
    assert listed.names() == ["acme:good", "acme:good@b", "acme:fine"]
    assert {one.name: one.reason for one in listed.rejected if "not a Backend" not in one.reason} == {
        "acme:(unnamed)": "its name is a int",
        "acme:" + "x" * 299 + "…": "its name has 1000 characters",
        "acme:good": "listed twice; the first one counts",
        "acme:neg": "pending_jobs is negative: -1",
        "acme:nan": "median_readout_error is nan",
        "acme:naive": "calibrated_at has no offset: 2026-01-01T00:00:00",
        "acme:huge": f"median_readout_error is out of range: {10**400}",
        "acme:trap": "it cannot be examined: RuntimeError: trapped",
        "acme:t": "its name is a Trap",
        "beta:(unnamed)": "its name is missing",
    }
    assert errors_of(listed).keys() == {"acme", "beta"}
    assert errors_of(listed)["acme"].startswith("12 backends left out as unusable; acme:(unnamed): its name is a int")
    assert errors_of(listed)["beta"].startswith("one backend left out as unusable")
    assert "report it to its authors" in listed.errors[0].hint


def test_a_vendors_own_record_keeps_its_fields(vendor):
    @attrs.frozen(kw_only=True, repr=False)
    class Own(BackendInfo):
        laser: str = ""

    vendor("acme", [Own(name="a", laser="red")])
    (one,) = qp.list_backends()
    assert (one.laser, one.full_name, one.provider, one.account) == ("red", "acme:a", "acme", "default")


def test_what_survives_is_stamped(vendor):
    vendor("acme", [info("a", num_qubits=5, extra={"x": 1}, calibrated_at=datetime(2026, 1, 1, tzinfo=UTC))])
    (one,) = qp.list_backends()
    assert one == info(
        "a", num_qubits=5, extra={"x": 1}, calibrated_at=datetime(2026, 1, 1, tzinfo=UTC),
        provider="acme", account="default", full_name="acme:a",
    )  # fmt: skip
    assert qp.list_backends(full_name="acme:a").names() == ["acme:a"]
    assert qp.list_backends(full_name="a") == []


# -------------------------------------------------------------------------------------------------- deadlines


def test_a_vendor_that_hangs_costs_its_row_and_no_more_than_the_deadline(vendor, hang):
    vendor("acme", [info()])
    for name in ("slow1", "slow2", "slow3"):
        vendor(name, hang)
    started = time.monotonic()
    listed = qp.list_backends(timeout=1)
    assert time.monotonic() - started < 10
    assert listed.names() == ["acme:one"]
    assert errors_of(listed) == dict.fromkeys(("slow1", "slow2", "slow3"), "no answer within 1 s")
    assert {error.error for error in listed.errors} == {"DeadlineError"}
    assert all(error.elapsed_s >= 1 and "timeout=" in error.hint for error in listed.errors)
    # Asked again, it is not called again.
    assert set(errors_of(qp.list_backends(vendor_timeout=0.05, provider="slow1"))) == {"slow1"}


def test_opening_that_hangs_is_a_row_too(vendor, hang):
    vendor("acme", [info()])
    vendor("slow", [info()], open_account=hang)
    for _ in range(2):
        listed = qp.list_backends(timeout=0.5)
        assert listed.names() == ["acme:one"]
        assert set(errors_of(listed)) == {"slow"}


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "5", True])
def test_a_timeout_is_a_positive_number(timeout, vendor):
    vendor("acme", [info()])
    for limits in ({"timeout": timeout}, {"vendor_timeout": timeout}):
        with pytest.raises(InvalidInputError, match="timeout is a positive, finite number"):
            qp.list_backends(**limits)


def test_one_list_call_an_account_is_outstanding(vendor, hang):
    calls = []

    def listing():
        calls.append(1)
        if len(calls) == 1:
            hang()
        return [info()]

    vendor("acme", listing)
    assert set(errors_of(qp.list_backends(timeout=0.05))) == {"acme"}
    assert hang.entered.is_set()
    again = qp.list_backends(timeout=0.05)
    assert set(errors_of(again)) == {"acme"}
    assert len(calls) == 1


def test_who_comes_second_gets_the_answer_of_the_first(vendor):
    started, go, calls = threading.Event(), threading.Event(), []

    def listing():
        calls.append(1)
        started.set()
        assert go.wait(30)
        return [info()]

    vendor("acme", listing)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(qp.list_backends().names())) for _ in range(2)]
    threads[0].start()
    assert started.wait(30)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(30)
    assert answers == [["acme:one"]] * 2
    assert 1 <= len(calls) <= 2


def test_a_facet_that_hangs_costs_those_backends_and_a_row(vendor, hang):
    threads = []

    def configuration(backend):
        threads.append(backend.name)
        if backend.name != "a":
            hang()
        return BackendConfiguration(backend_name=backend.name, open_pulse=True)

    vendor("acme", [info(name) for name in "abc"], backend_configuration=configuration)
    listed = qp.list_backends(open_pulse=True, timeout=1)
    assert listed.names() == ["acme:a"]
    assert {one.name: "did not come in time" in one.reason for one in listed.rejected} == {
        "acme:b": True,
        "acme:c": True,
    }
    assert "the configuration of 2 of its backends did not come within" in errors_of(listed)["acme"]
    assert listed.requests == {"info": 1, "configuration": 3}


def test_threads_do_not_pile_up_behind_a_vendor_whose_facets_hang(vendor, hang):
    inside = []

    def configuration(backend):
        inside.append(backend.name)
        hang()

    vendor("acme", [info(f"b{i}") for i in range(40)], backend_configuration=configuration)
    for _ in range(3):
        assert qp.list_backends(open_pulse=True, timeout=0.1) == []
    assert len(inside) <= 32


def test_a_process_with_a_hanging_vendor_exits_at_once():
    code = """
import threading, qprovider_core as qp
from types import SimpleNamespace
from qprovider_core import BackendInfo, ProviderSpec, hookimpl
forever = threading.Event()
def add(name, listing):
    qp.register_plugin(SimpleNamespace(
        qprovider_provider=hookimpl(lambda: ProviderSpec(name=name, title=name)),
        qprovider_open_account=hookimpl(lambda: 1),
        qprovider_list_backends=hookimpl(listing)), name)
add("acme", lambda: [BackendInfo(name="one")])
add("slow", lambda: forever.wait())
listed = qp.list_backends(timeout=1)
print(listed.names(), [str(e) for e in listed.errors])
"""
    env = {**os.environ, "QPROVIDER_PLUGINS": "none"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("['acme:one'] ['slow: no answer within 1 s']\n", "")


# --------------------------------------------------------------------------------------------------- what it costs


def test_what_the_listing_tells_costs_one_request_an_account(vendor):
    vendor("acme", [info("a", num_qubits=5, simulator=False, operational=True, pending_jobs=1)])
    listed = qp.list_backends(min_num_qubits=3, simulator=False, where="operational and pending_jobs < 5")
    assert listed.names() == ["acme:a"]
    assert listed.requests == {"info": 1}


def test_facets_are_fetched_for_survivors_only_and_once(vendor):
    asked = []
    vendor(
        "acme",
        [info("a", num_qubits=5), info("b", num_qubits=3), info("c", num_qubits=9)],
        backend_configuration=lambda backend: (
            asked.append(backend.name) or BackendConfiguration(backend_name=backend.name, basis_gates=("cx",))
        ),
        backend_status=lambda backend: BackendStatus(backend_name=backend.name, operational=backend.name == "a"),
        backend_properties=lambda backend, at: None,
    )
    listed = qp.list_backends(min_num_qubits=4, basis_gates="cx", where='operational and "cx" in basis_gates')
    assert listed.names() == ["acme:a"]
    assert listed.requests == {"info": 1, "status": 2, "configuration": 1}
    assert asked == ["a"]
    assert listed.as_of.tzinfo is UTC
    failing = qp.list_backends(max_median_readout_error=0.1)
    assert failing == []
    assert failing.requests["properties"] == 3


def test_a_facet_that_fails_costs_that_backend_only(vendor):
    def status(backend):
        if backend.name == "a":
            raise TransportError("The line is cut.")
        return "nonsense" if backend.name == "b" else BackendStatus(backend_name="c", operational=True)

    vendor("acme", [info(name) for name in "abc"], backend_status=status)
    listed = qp.list_backends(operational=True)
    assert listed.names() == ["acme:c"]
    reasons = {one.name: one.reason for one in listed.rejected}
    assert "its status could not be had: The line is cut." in reasons["acme:a"]
    assert "answered qprovider_backend_status with a str" in reasons["acme:b"]
    assert listed.errors == []


def test_names_are_checked_before_anybody_is_asked(vendor):
    vendor("acme", raising(AssertionError("asked")), spec=ProviderSpec(name="acme", title="A", extra_fields=["region"]))
    for criteria in ({"num_qubit": 5}, {"where": "num_qubit > 5"}, {"regoin": 5}):
        with pytest.raises(UnknownAttributeError):
            qp.list_backends(**criteria)
    for criteria in ({"filters": 5}, {"num_qubits": "5"}, {"where": "num_qubits >"}):
        for ask in (qp.list_backends, qp.backends, qp.least_busy):
            with pytest.raises(InvalidInputError):
                ask(**criteria)


def test_vendors_own_fields_can_be_asked_for(vendor):
    vendor("acme", [info("a", extra={"region": "eu"}), info("b")],
           spec=ProviderSpec(name="acme", title="A", extra_fields=["region"]))  # fmt: skip
    vendor("beta", [info("c")])
    assert qp.list_backends(region="eu").names() == ["acme:a"]
    assert qp.list_backends(where="region is None").names() == ["acme:b", "beta:c"]


# ------------------------------------------------------------------------------------------------------ filters


def test_filters_reject_with_a_reason(vendor):
    vendor("acme", [info("a", num_qubits=5), info("b"), info("c", num_qubits=3)])
    listed = qp.list_backends(filters=lambda one: one.num_qubits > 4)
    assert listed.names() == ["acme:a"]
    reasons = {one.name: one.reason for one in listed.rejected}
    assert reasons["acme:b"].startswith("the filter raised TypeError")
    assert reasons["acme:c"] == "the filter said no"
    assert qp.list_backends(filters=lambda one: False) == []


def test_a_filter_that_fails_everywhere_is_an_error_of_its_own(vendor):
    vendor("acme", [info("a"), info("b")])
    with pytest.raises(InvalidInputError, match="failed on every backend: AttributeError") as caught:
        qp.list_backends(filters=lambda one: one.no_such_thing)
    assert isinstance(caught.value.__cause__, AttributeError)


# ------------------------------------------------------------------------------------------------ who is asked


@pytest.fixture
def three(vendor):
    for name in ("acme", "ajax", "beta"):
        vendor(name, [info()])


@pytest.mark.parametrize(
    ("provider", "names"),
    [
        ("acme", ["acme:one"]),
        (["beta", "acme"], ["acme:one", "beta:one"]),
        (["acme", "acme", "a*"], ["acme:one", "ajax:one"]),
        ("*", ["acme:one", "ajax:one", "beta:one"]),
        ([], []),
    ],
)
def test_providers_are_chosen_by_name_pattern_or_list(provider, names, three):
    assert sorted(qp.list_backends(provider=provider).names()) == names


@pytest.mark.parametrize("provider", ["acmee", "x*", ["acme", "btea"], ""])
def test_an_unknown_provider_is_an_error_with_near_matches(provider, three):
    with pytest.raises(UnknownProviderError) as caught:
        qp.list_backends(provider=provider)
    assert caught.value.hint
    assert caught.value.choices == ("acme", "ajax", "beta")


@pytest.mark.parametrize("wanted", [5, [5], [None]])
def test_a_provider_or_account_is_a_name(wanted, three):
    with pytest.raises(InvalidInputError, match="provider takes a name"):
        qp.list_backends(provider=wanted)
    with pytest.raises(InvalidInputError, match="account takes a name"):
        qp.list_backends(account=wanted)


@pytest.fixture
def work(vendor):
    """A provider with two saved accounts, and one without credentials."""
    vendor(
        "cloud",
        lambda connection: [info("one", operational=True, pending_jobs=len(connection)), info(connection)],
        spec=ProviderSpec(name="cloud", title="Cloud", credentials=TokenCredentials),
        open_account=lambda credentials: credentials.token.reveal(),
        backend_configuration=lambda backend: BackendConfiguration(backend_name=backend.name),
    )
    vendor("acme", [info()])
    qp.save_account("cloud", name="work", token="token-w")
    qp.save_account("cloud", name="home", token="token-home")


def test_several_accounts_put_their_name_in_front(work):
    assert sorted(qp.list_backends().names()) == [
        "acme:one",
        "home/cloud:one",
        "home/cloud:token-home",
        "work/cloud:one",
        "work/cloud:token-w",
    ]
    # Also when one of them is asked alone: the name must open that one.
    assert qp.list_backends(account="work", provider="cloud").names() == ["work/cloud:one", "work/cloud:token-w"]
    assert qp.get_backend("work/cloud:one").full_name == "work/cloud:one"
    assert qp.get_backend("work/cloud:one").provider.name == "work"
    assert qp.least_busy(account="work").full_name == "work/cloud:one"
    with pytest.raises(UnknownBackendError, match="Several backends are called 'one'") as caught:
        qp.get_backend("cloud:one")
    assert "work/cloud:one" in caught.value.hint


@pytest.mark.parametrize(
    ("account", "names"),
    [("work", ["work"]), ("*o*", ["home", "work"]), (["home", "default"], ["default", "home"])],
)
def test_accounts_are_chosen_by_name_pattern_or_list(account, names, work):
    assert sorted({one.account for one in qp.list_backends(account=account)}) == names


@pytest.mark.parametrize("account", ["wrok", "x*"])
def test_an_unknown_account_is_an_error_with_near_matches(account, work):
    with pytest.raises(UnknownAccountError) as caught:
        qp.list_backends(account=account)
    assert set(caught.value.choices) == {"work", "home", "default"}


def test_rejections_name_the_account_too(work):
    listed = qp.list_backends(provider="cloud", min_num_qubits=5)
    assert sorted(one.name for one in listed.rejected)[:2] == ["home/cloud:one", "home/cloud:token-home"]


def test_a_vendor_without_an_account_is_a_note_and_an_error_when_asked_for(vendor):
    vendor("acme", [info()])
    vendor("cloud", [info()], spec=ProviderSpec(name="cloud", title="Cloud", credentials=TokenCredentials))
    listed = qp.list_backends()
    assert listed.names() == ["acme:one"]
    assert listed.errors == []
    assert listed.notes[0].startswith("cloud: no account")
    asked = qp.list_backends(provider="cloud")
    assert [error.error for error in asked.errors] == ["NoAccountError"]
    with pytest.raises(NoAccountError):
        qp.open_account("cloud")


def test_accounts_are_kept_until_their_credentials_change(work):
    def connections():
        return {account.name: account for account in fleet.fleet().party("cloud").accounts}

    first = connections()
    assert connections() == first
    qp.save_account("cloud", name="work", token="token-2", overwrite=True)
    second = connections()
    assert second["home"] is first["home"]
    assert second["work"] is not first["work"]


def test_an_account_that_was_closed_is_opened_again(three):
    (account,) = fleet.fleet().party("acme").accounts
    account.close()
    assert qp.list_backends(provider="acme").errors == []


def test_the_instance_goes_behind_names_that_live_in_several(vendor):
    vendor(
        "acme",
        [info("a", instance="x"), info("a", instance="y", num_qubits=5), info("b", instance="x")],
        backend_configuration=lambda backend: BackendConfiguration(
            backend_name=backend.name, description=backend.instance
        ),
    )
    assert qp.list_backends().names() == ["acme:a@x", "acme:a@y", "acme:b"]
    # Also when the query leaves one of them only.
    assert qp.list_backends(min_num_qubits=5).names() == ["acme:a@y"]
    assert qp.get_backend("acme:a@y").configuration().description == "y"
    assert qp.get_backend("acme:a", instance="x").configuration().description == "x"
    assert qp.get_backend("b@x").name == "b"
    with pytest.raises(UnknownBackendError, match="Several"):
        qp.get_backend("acme:a")
    with pytest.raises(UnknownBackendError):
        qp.get_backend("acme:a", instance="z")


def test_closing_the_fleet_closes_every_account_even_when_one_fails(vendor, caplog):
    closed = []
    vendor("acme", [info()], close_account=raising(ValueError("stuck")))
    vendor("beta", [info()], close_account=lambda connection: closed.append(connection) or True)
    vendor("never", [info()], close_account=lambda: closed.append("never"))
    qp.list_backends(provider=["acme", "beta"])
    fleet.fleet().close()
    assert closed == ["connection of beta"]
    assert "stuck" in caplog.text
    fleet.fleet().close()
    assert closed == ["connection of beta"]


# ---------------------------------------------------------------------------------------------------- opening


@pytest.mark.parametrize("name", ["acme:one", "one", " acme:one ", "acme:x:y/z"])
def test_a_backend_is_opened_by_its_name(name, vendor):
    vendor("acme", [info("one"), info("x:y/z")],
           backend_configuration=lambda backend: BackendConfiguration(backend_name=backend.name))  # fmt: skip
    handle = qp.get_backend(name)
    assert handle.full_name == (name.strip() if ":" in name else "acme:one")


@pytest.mark.parametrize("name", [None, 5, "", "  "])
def test_a_backends_name_is_a_text(name):
    with pytest.raises(InvalidInputError, match="name is a text"):
        qp.get_backend(name)


def test_an_unknown_backend_is_an_error_with_choices_and_what_failed(vendor):
    vendor("acme", [info("torino")])
    vendor("broken", raising(ValueError("boom")))
    with pytest.raises(UnknownBackendError) as caught:
        qp.get_backend("acme:torinno")
    assert caught.value.suggestions == ("acme:torino",)
    with pytest.raises(UnknownBackendError) as caught:
        qp.get_backend("something")
    assert "boom" in caught.value.why
    with pytest.raises(UnknownProviderError, match="acme"):
        qp.get_backend("acmee:torino")
    with pytest.raises(UnsupportedError, match="cannot be opened"):
        qp.get_backend("torino")


def test_a_vendor_class_that_cannot_be_had_costs_its_row_only(vendor):
    vendor("acme", [info()])
    vendor("broken", [info(), info("two")],
           spec=ProviderSpec(name="broken", title="B", backend_class="no_such_module:Backend"))  # fmt: skip
    handles = qp.backends()
    assert handles.names() == ["acme:one"]
    assert "no_such_module:Backend" in errors_of(handles)["broken"]
    assert len(handles.errors) == 1
    assert len(qp.list_backends()) == 3


def test_a_damaged_accounts_file_hides_no_vendor_that_needs_none_of_it(vendor, tmp_path):
    vendor("acme", [info()])
    spec = ProviderSpec(name="cloud", title="Cloud", credentials=TokenCredentials)
    vendor("cloud", [info()], spec=spec, open_account=lambda credentials: credentials)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/accounts.json").write_text("{damaged")
    listed = qp.list_backends()
    assert listed.names() == ["acme:one"]
    assert "accounts.json" in errors_of(listed)["cloud"]
    assert (tmp_path / "config/accounts.json").read_text() == "{damaged"


def test_a_saved_account_that_cannot_be_used_costs_its_row_only(vendor, tmp_path):
    spec = ProviderSpec(name="cloud", title="Cloud", credentials=TokenCredentials)
    vendor("cloud", [info()], spec=spec, open_account=lambda credentials: credentials)
    qp.save_account("cloud", name="good", token="token-good")
    qp.save_account("cloud", name="poor", token="token-poor")
    path = tmp_path / "config/accounts.json"
    path.write_text(path.read_text().replace('"token": "token-poor"', '"tokem": "token-poor"'))
    listed = qp.list_backends()
    assert listed.names() == ["cloud:one"]
    assert [(error.provider, error.account) for error in listed.errors] == [("cloud", "poor")]


def test_least_busy_goes_on_where_a_vendors_own_class_cannot_be_had(vendor):
    odd = ProviderSpec(name="odd", title="Odd", backend_class="nowhere:X")
    vendor("odd", [BackendInfo(name="a", operational=True, pending_jobs=0)], spec=odd)
    vendor("acme", [BackendInfo(name="b", operational=True, pending_jobs=3)])
    assert qp.least_busy().full_name == "acme:b"
    assert qp.least_busy(filters=lambda backend: True).full_name == "acme:b"
    with pytest.raises(NoMatchingBackendError, match="nowhere:X"):
        qp.least_busy(provider="odd")


def test_opening_a_backend_keeps_its_timeout_while_the_configuration_hangs(vendor):
    release = threading.Event()
    vendor("acme", [BackendInfo(name="one")], backend_configuration=lambda: release.wait(60) and None)
    started = time.monotonic()
    try:
        with pytest.raises(DeadlineError):
            qp.get_backend("acme:one", timeout=0.1)
        assert time.monotonic() - started < 10
    finally:
        release.set()


def test_texts_of_vendors_cannot_write_to_the_terminal(vendor):
    vendor("acme", [BackendInfo(name="a\x1b[31mred"), BackendInfo(name="b", operational=False, status_msg="c\x1bd")])
    listed = qp.list_backends()
    shown = [str(error) for error in listed.errors] + [str(one) for one in listed.rejected] + [repr(listed.rejected)]
    with pytest.raises(NoMatchingBackendError) as caught:
        qp.least_busy()
    assert "\x1b" not in "".join([*shown, str(caught.value), repr(listed)])


def test_what_a_filter_cannot_ask_of_a_vendor_is_not_the_users_mistake(vendor):
    vendor("acme", [BackendInfo(name="one")])
    listed = qp.backends(filters=lambda backend: backend.configuration().n_qubits > 3)
    assert listed == []
    assert "does not offer backend configurations" in listed.rejected[0].reason


def test_garbage_records_are_not_chosen():
    records = [BackendInfo(name="a", pending_jobs=-3), BackendInfo(name="b", pending_jobs="1")]
    assert qp.least_busy([*records, BackendInfo(name="c", pending_jobs=9)]).name == "c"
    with pytest.raises(NoMatchingBackendError, match="pending_jobs is negative"):
        qp.least_busy(records)

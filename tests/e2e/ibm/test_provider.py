"""`IBMProvider` over real sockets: accounts, instances, and what the retired provider's calls do today."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import qprovider_core
from qprovider_core.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidInputError,
    NoAccountError,
    TransportError,
    UnknownAccountError,
)
from qprovider_ibm import IBMProvider, least_busy
from qprovider_ibm.emulator import Emulator
from qprovider_ibm.version import __version__

OLD_TOKEN = "0123456789abcdef" * 8
OLD_ENTRY = {
    "channel": "ibm_quantum",
    "token": OLD_TOKEN,
    "url": "https://auth.quantum-computing.ibm.com/api",
    "instance": "ibm-q/open/main",
    "verify": True,
}


def asked(emulator: Emulator) -> list[str]:
    """Methods and paths of the requests since the last time."""
    seen = [f"{one['method']} {one['path']}" for one in emulator.requests()]
    emulator.clear_requests()
    return seen


def names_of(instances: list[Any]) -> list[str]:
    return [instance.name for instance in instances]


def key_of(provider: IBMProvider) -> str:
    return str(provider.account.credentials.token.reveal())


@pytest.fixture(scope="module")
def branches() -> Iterator[Emulator]:
    """A service whose instances offer different backends; two of them share a name."""
    instances = (
        "main:open:us-east:ibmq_belem,ibmq_qasm_simulator",
        "europe:premium:eu-de:ibm_hanoi,ibmq_qasm_simulator",
    )
    with Emulator(instances=instances, duplicate_name=True) as emulator:
        yield emulator


# -------------------------------------------------------------------------------------------- opening


def test_the_names_that_the_tutorial_imports_are_there(provider):
    assert least_busy is qprovider_core.least_busy
    assert __version__.split(".")[0].isdigit()
    backend = least_busy(provider.backends(min_num_qubits=5, simulator=False, operational=True))
    assert backend.name == "ibmq_belem"


def test_a_key_alone_opens_the_account_with_all_its_instances(emulator):
    with IBMProvider(emulator.api_key) as provider:
        assert names_of(provider.active_instances()) == ["open-main", "premium-eu"]
        assert repr(provider) == "<IBMProvider arguments/ibm: all instances>"


def test_login_with_a_crn_takes_two_requests_and_another_one_with_the_same_key_takes_one():
    with Emulator(backends=1) as emulator:  # no token of it is there yet
        settings = {"instance": emulator.instances["open-main"], "endpoints": emulator.endpoints()}
        with IBMProvider(emulator.api_key, **settings):
            assert asked(emulator) == ["POST /identity/token", "GET /api/v1/backends"]
        with IBMProvider(emulator.api_key, **settings):
            assert asked(emulator) == ["GET /api/v1/backends"]


def test_the_retired_providers_arguments_keep_their_places(gateway, emulator):
    proxy = gateway()
    crn = emulator.instances["open-main"]
    with IBMProvider(emulator.api_key, "https://cloud.ibm.com", None, crn, {"http": proxy.base}, True) as provider:
        told = provider.active_account()
        assert (told["url"], told["instance"], told["verify"]) == ("https://cloud.ibm.com", crn, True)
        assert len(provider.backends()) == 6
    assert [path.partition("?")[0] for _, path, _, _ in proxy.seen] == [
        f"{emulator.base}/identity/token",
        f"{emulator.base}/api/v1/backends",
        f"{emulator.base}/api/v1/backends",
    ]


def test_the_retired_providers_keywords_work(emulator):
    with IBMProvider(token=emulator.api_key, url=emulator.base, instance="open-main", proxies={}, verify=False) as one:
        assert names_of(one.active_instances()) == ["open-main"]
        assert one.active_account()["verify"] is False


@pytest.mark.parametrize("channel", ["ibm_quantum_platform", "ibm_cloud"])
def test_both_words_for_the_channel_open_the_same_service(emulator, channel):
    with IBMProvider(emulator.api_key, channel=channel) as provider:
        assert provider.active_account()["channel"] == channel
        assert len(provider.backends()) == 6


def test_region_plans_and_tags_choose_among_the_instances(emulator):
    def chosen(**settings: Any) -> list[str]:
        with IBMProvider(emulator.api_key, **settings) as provider:
            return names_of(provider.active_instances())

    assert chosen(region="eu-de") == ["premium-eu"]
    assert chosen(plans_preference=["premium", "open"]) == ["premium-eu", "open-main"]
    assert chosen(plans_preference=["open"]) == ["open-main"]
    assert chosen(tags=["Team"]) == ["open-main"]
    assert chosen(instance="auto") == ["open-main", "premium-eu"]
    with pytest.raises(AuthenticationError, match="no instance of IBM Quantum that fits region") as caught:
        chosen(region="us-east", tags=["premium"])
    assert "open-main" in caught.value.why
    assert caught.value.hint == "Relax these settings of the account."


def test_a_text_is_not_taken_for_a_list_of_plans_or_tags():
    with pytest.raises(InvalidInputError, match=r"(?s)plans_preference is a list of texts.*\['open'\]"):
        IBMProvider("a-key-0123456789", plans_preference="open")
    with pytest.raises(InvalidInputError, match="tags is a list of texts"):
        IBMProvider("a-key-0123456789", tags="team")


@pytest.mark.parametrize(
    ("private", "region", "host"),
    [
        (False, "us-east", "quantum.cloud.ibm.com"),
        (False, "eu-de", "eu-de.quantum.cloud.ibm.com"),
        (True, "us-east", "private.us-east.quantum.cloud.ibm.com"),
        (True, "eu-de", "private.eu-de.quantum.cloud.ibm.com"),
    ],
)
def test_region_and_private_endpoint_decide_which_host_is_asked(serve, emulator, monkeypatch, private, region, host):
    monkeypatch.setattr("qprovider_ibm._http._BACKOFF_S", (0.0,))
    proxy = serve(lambda *_: (502, {}, b""))
    name = {"us-east": "open-main", "eu-de": "premium-eu"}[region]
    settings = {
        "instance": emulator.instances[name],
        "private_endpoint": private,
        "proxies": {"https": proxy.base},
    }
    monkeypatch.delenv("QPROVIDER_IBM_API_URL")
    with pytest.raises(TransportError, match="proxy"):
        IBMProvider(emulator.api_key, **settings)
    assert {(method, path) for method, path, _, _ in proxy.seen} == {("CONNECT", f"{host}:443")}
    proxy.seen.clear()
    monkeypatch.delenv("QPROVIDER_IBM_IAM_URL")
    with pytest.raises(TransportError, match="proxy"):
        IBMProvider("a-key-without-a-token-yet", **settings)
    iam = "private.iam.cloud.ibm.com:443" if private else "iam.cloud.ibm.com:443"
    assert {path for _, path, _, _ in proxy.seen} == {iam}


def test_endpoints_as_an_argument_win_over_the_environment(emulator, monkeypatch):
    for name in emulator.environment():
        if name.endswith("_URL"):
            monkeypatch.setenv(name, "http://127.0.0.1:9/api/v1")
    with IBMProvider(emulator.api_key, endpoints=emulator.endpoints()) as provider:
        assert len(provider.backends()) == 6


# ------------------------------------------------------------------------------------------- accounts


def test_which_account_is_used(emulator, monkeypatch):
    first, second = emulator.api_keys
    with pytest.raises(NoAccountError, match="ibm"):
        IBMProvider()
    IBMProvider.save_account(first, instance="open-main")
    IBMProvider.save_account(token=second, name="work", instance="premium-eu")
    with IBMProvider() as provider:
        assert (key_of(provider), provider.active_account()["name"]) == (first, "default")
    monkeypatch.setenv("QISKIT_IBM_TOKEN", second)
    with IBMProvider() as provider:  # the environment wins over the saved default
        assert key_of(provider) == second
        assert "environment" in provider.active_account()["source"]
    with IBMProvider(first) as provider:  # an argument wins over the environment
        assert key_of(provider) == first
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "another-key-that-nobody-was-given")
    with IBMProvider(name="work") as provider:  # and so does a name
        assert (key_of(provider), names_of(provider.active_instances())) == (second, ["premium-eu"])
    with IBMProvider(name="work", instance="open-main", verify=False) as provider:  # single fields are replaced
        assert key_of(provider) == second
        assert names_of(provider.active_instances()) == ["open-main"]
        assert provider.active_account()["verify"] is False
    with pytest.raises(UnknownAccountError, match="wrok"):
        IBMProvider(name="wrok")


def test_accounts_are_saved_listed_replaced_and_deleted(emulator, home):
    first, second = emulator.api_keys
    IBMProvider.save_account(first, "https://cloud.ibm.com", "open-main", "one", {"https": "http://proxy:8080"}, False)
    IBMProvider.save_account(second, name="two", set_as_default=True)
    listed = IBMProvider.saved_accounts()
    assert set(listed) == {"one", "two"}
    assert listed["one"]["instance"] == "open-main"
    assert listed["one"]["proxies"] == {"https": "http://proxy:8080"}
    assert listed["one"]["verify"] is False
    assert first not in repr(listed)
    assert set(IBMProvider.saved_accounts(default=True)) == {"two"}
    assert set(IBMProvider.saved_accounts(name="one")) == {"one"}
    with pytest.raises(InvalidInputError, match="one"):
        IBMProvider.save_account(second, name="one")
    IBMProvider.save_account(second, name="one", overwrite=True, set_as_default=True)
    with IBMProvider() as provider:
        assert provider.active_account()["name"] == "one"
        assert key_of(provider) == second
    for file in (home / "config").rglob("*"):
        if file.is_file() and second.encode() in file.read_bytes():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert IBMProvider.delete_account(name="one") is True
    assert IBMProvider.delete_account(name="one") is False
    assert set(IBMProvider.saved_accounts()) == {"two"}


def test_todays_fields_are_saved_too(emulator):
    IBMProvider.save_account(
        emulator.api_key,
        name="team",
        channel="ibm_cloud",
        region="us-east",
        plans_preference=["open"],
        tags=["team"],
        private_endpoint=False,
    )
    with IBMProvider(name="team") as provider:
        assert names_of(provider.active_instances()) == ["open-main"]
        told = provider.active_account()
        assert (told["channel"], told["region"], tuple(told["plans_preference"])) == ("ibm_cloud", "us-east", ("open",))


def test_an_active_account_shows_no_key(emulator):
    with IBMProvider(emulator.api_key) as provider:
        told = provider.active_account()
        assert set(told) >= {"name", "source", "token", "channel", "url"}
        assert emulator.api_key not in repr(told) + str(told["token"]) + json.dumps(told, default=str)


def test_accounts_that_ibms_own_client_saved_are_used(emulator, home):
    file = home / ".qiskit" / "qiskit-ibm.json"
    file.parent.mkdir()
    entries = {
        "default-ibm-quantum-platform": {
            "channel": "ibm_quantum_platform",
            "token": emulator.api_keys[0],
            "instance": emulator.instances["premium-eu"],
        },
        "other": {"channel": "ibm_cloud", "token": emulator.api_keys[1], "instance": "open-main"},
        "default-ibm-quantum": {**OLD_ENTRY, "is_default_account": True},
    }
    text = json.dumps(entries)
    file.write_text(text)
    with IBMProvider() as provider:
        assert names_of(provider.instances())[0] == "premium-eu"
        assert key_of(provider) == emulator.api_keys[0]
    with IBMProvider(name="other") as provider:
        assert names_of(provider.active_instances()) == ["open-main"]
    assert set(IBMProvider.saved_accounts()) == {"default-ibm-quantum-platform", "other"}
    assert file.read_text() == text  # it is another program's


def test_an_entry_of_the_retired_service_is_skipped_with_one_clear_note(emulator, home, caplog):
    file = home / ".qiskit" / "qiskit-ibm.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"default-ibm-quantum": {**OLD_ENTRY, "is_default_account": True}}))
    with pytest.raises(NoAccountError) as caught:
        IBMProvider()
    told = str(caught.value)
    assert told.count("default-ibm-quantum") == 1
    assert "retired IBM Quantum service" in told
    assert "Create an API key" in told
    assert OLD_TOKEN not in told + caplog.text
    IBMProvider.save_account(emulator.api_key)
    IBMProvider.saved_accounts()
    notes = [record.getMessage() for record in caplog.records if "default-ibm-quantum" in record.getMessage()]
    assert len(notes) == 1
    with IBMProvider() as provider:
        assert key_of(provider) == emulator.api_key


def test_the_variables_of_ibms_own_client_are_read(emulator, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", emulator.api_key)
    monkeypatch.setenv("QISKIT_IBM_INSTANCE", emulator.instances["premium-eu"])
    monkeypatch.setenv("QISKIT_IBM_CHANNEL", "ibm_cloud")
    monkeypatch.setenv("QISKIT_IBM_URL", emulator.base)
    for name in emulator.environment():
        monkeypatch.delenv(name, raising=False)  # all addresses follow from the one that QISKIT_IBM_URL has
    with IBMProvider() as provider:
        told = provider.active_account()
        assert (told["channel"], told["instance"]) == ("ibm_cloud", emulator.instances["premium-eu"])
        assert len(provider.backends()) == 6


# ------------------------------------------------------------------------------------------ instances


def test_instances_have_name_crn_and_plan_in_the_place_of_hub_group_and_project(provider, emulator):
    found = provider.instances()
    assert [(one.name, one.id, one.plan, one.region) for one in found] == [
        ("premium-eu", emulator.instances["premium-eu"], "premium", "eu-de"),
        ("open-main", emulator.instances["open-main"], "open", "us-east"),
    ]
    # Each plan is asked for once, and what is known is not asked for again.
    assert sorted(asked(emulator)) == sorted("GET /globalcatalog/api/v1/" + one for one in _plans(provider))
    assert len(provider.instances()) == 2
    assert asked(emulator) == []


def _plans(provider: IBMProvider) -> list[str]:
    directory = provider.account.connection().directory
    from qprovider_core.records import Deadline

    return sorted({one.plan_id for one in directory.all(Deadline.after(10))})


def test_a_hub_group_project_is_refused_with_what_to_give_today():
    with pytest.raises(ConfigurationError) as caught:
        IBMProvider("a-key-0123456789", instance="ibm-q/open/main")
    told = str(caught.value)
    assert "hub/group/project of the retired service" in told
    assert "CRN or the name" in told


def test_an_archived_plan_does_no_harm():
    with (
        Emulator(archived_plan=True, backends=2) as emulator,
        IBMProvider(emulator.api_key, endpoints=emulator.endpoints()) as provider,
    ):
        plans = {one.name: one.plan for one in provider.instances()}
    assert plans == {"open-main": "open", "premium-eu": "premium", "archived": "unknown"}


def test_instances_over_several_pages_are_all_found():
    with Emulator(page_size=1, backends=2) as emulator:
        with IBMProvider(emulator.api_key, endpoints=emulator.endpoints()) as provider:
            assert names_of(provider.instances()) == ["open-main", "premium-eu"]
        searches = [one for one in emulator.requests() if one["path"] == "/v3/resources/search"]
    assert len(searches) == 3  # the last one is an instance without backends


def test_usage_of_the_preferred_and_of_a_named_instance(emulator):
    with IBMProvider(emulator.api_key) as provider:
        own = provider.usage()
        assert (own.limit_s, own.remaining_s) == (600.0, pytest.approx(600.0 - own.consumed_s))
        assert provider.usage("premium-eu").limit_s is None
        assert provider.usage(emulator.instances["open-main"]).limit_s == 600.0


@pytest.mark.parametrize("how", ["crn", "name"])
def test_an_instance_by_crn_or_by_name_restricts_the_account(branches, how):
    wanted = branches.instances["europe"] if how == "crn" else "europe"
    with IBMProvider(branches.api_key, instance=wanted, endpoints=branches.endpoints()) as provider:
        assert sorted(one.name for one in provider.backends()) == ["ibm_hanoi", "ibmq_qasm_simulator"]
        assert {one.instance for one in provider.backends()} == {branches.instances["europe"]}


def test_automatically_a_backend_belongs_to_the_first_instance_that_offers_it(branches):
    with IBMProvider(branches.api_key, endpoints=branches.endpoints(), plans_preference=["premium", "open"]) as one:
        found = {backend.name: backend.instance for backend in one.backends()}
    assert found["ibm_hanoi"] == branches.instances["europe"]
    assert found["ibmq_qasm_simulator"] == branches.instances["europe"]
    assert found["ibmq_belem"] != branches.instances["europe"]


def test_the_instance_stands_on_every_backend_and_job(provider, emulator, bell):
    crn = emulator.instances["premium-eu"]
    backend = provider.get_backend("ibmq_qasm_simulator")
    job = backend.run(bell, shots=10)
    assert {one.instance for one in provider.backends()} == {crn}
    assert (backend.instance, job.instance, job.backend().instance) == (crn, crn, crn)
    again = provider.retrieve_job(job.job_id())
    assert (again.instance, again.backend().instance) == (crn, crn)
    assert {one.instance for one in provider.jobs()} == {crn}


def test_nothing_switches_the_instance_silently(branches, bell):
    main, europe = branches.instances["main"], branches.instances["europe"]
    with IBMProvider(branches.api_key, endpoints=branches.endpoints()) as everywhere:
        job = everywhere.get_backend("ibmq_qasm_simulator", instance="europe").run(bell, shots=10)
        assert job.instance == europe
    with IBMProvider(branches.api_key, instance="main", endpoints=branches.endpoints()) as provider:
        before = provider.active_account()

        def unchanged() -> None:
            assert {one.instance for one in provider.backends()} == {main}
            assert provider.get_backend("ibmq_qasm_simulator").instance == main
            assert {one.instance for one in provider.jobs(limit=None)} <= {main}
            assert names_of(provider.active_instances()) == ["main"]
            assert provider.active_account() == before

        unchanged()
        assert {one.instance for one in provider.backends(instance="europe")} == {europe}
        unchanged()
        elsewhere = provider.get_backend("ibm_hanoi", instance=europe)
        assert elsewhere.provider is provider
        unchanged()
        assert provider.retrieve_job(job.job_id(), instance="europe").instance == europe
        unchanged()
        assert [one.job_id() for one in provider.jobs(instance="europe")] == [job.job_id()]
        unchanged()
        assert provider.least_busy(instance="europe", simulator=False).name == "ibm_hanoi"
        unchanged()
        # A job through a backend of the other instance goes there, and later ones go where they went before.
        assert provider.get_backend("ibmq_qasm_simulator", instance="europe").run(bell, shots=10).instance == europe
        assert provider.get_backend("ibmq_qasm_simulator").run(bell, shots=10).instance == main
        unchanged()


def test_two_threads_use_two_instances_at_once(branches, bell):
    found: dict[str, set[Any]] = {}
    failed: list[BaseException] = []
    with IBMProvider(branches.api_key, endpoints=branches.endpoints()) as provider:
        start = threading.Barrier(2)

        def work(name: str) -> None:
            try:
                start.wait(10)
                seen: set[Any] = set()
                for _ in range(5):
                    seen |= {one.instance for one in provider.backends(instance=name)}
                    job = provider.get_backend("ibmq_qasm_simulator", instance=name).run(bell, shots=1)
                    seen |= {job.instance, provider.retrieve_job(job.job_id(), instance=name).instance}
                found[name] = seen
            except BaseException as exc:
                failed.append(exc)

        threads = [threading.Thread(target=work, args=(name,)) for name in ("main", "europe")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not failed
    assert found == {name: {branches.instances[name]} for name in ("main", "europe")}


def test_providers_of_one_account_are_equal(emulator):
    crn = emulator.instances["open-main"]
    with IBMProvider(emulator.api_key, instance=crn) as one, IBMProvider(emulator.api_key, instance=crn) as other:
        assert one == other
        assert hash(one) == hash(other)
        assert one != IBMProvider(emulator.api_keys[1], instance=crn)


def test_a_closed_provider_says_so(emulator):
    provider = IBMProvider(emulator.api_key, instance="open-main")
    provider.close()
    with pytest.raises(InvalidInputError, match="closed"):
        provider.backends()


# ---------------------------------------------------------------------------- the retired provider's rest


def test_reservations_are_gone(provider):
    backend = provider.get_backend("ibmq_belem")
    assert not hasattr(backend, "reservations")
    assert not hasattr(provider, "services")

"""Accounts that IBM's own client saved: which are used, and what is said of the others."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qprovider_core as qp
import qprovider_ibm
from qprovider_core import _plugins, fleet
from qprovider_core.credentials import build_credentials, credential_fields
from qprovider_core.errors import ConfigurationError, InvalidInputError, NoAccountError, UnknownAccountError
from qprovider_core.records import ForeignAccount
from qprovider_core.secret import Secret
from qprovider_ibm import IBMCredentials
from qprovider_ibm._runtime_accounts import choose, foreign_accounts, read_accounts

KEY = "Ab3-0123456789_abcdefghijklmnopqrstuvwxyzABC"
OTHER = "Zz9-0123456789_abcdefghijklmnopqrstuvwxyzABC"
OLD_TOKEN = "0123456789abcdef" * 8
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef:1111-2222::"
SPEC = qprovider_ibm.qprovider_provider()
PLATFORM, CLOUD = "ibm_quantum_platform", "ibm_cloud"
OLD = {
    "channel": "ibm_quantum",
    "token": OLD_TOKEN,
    "url": "https://auth.quantum-computing.ibm.com/api",
    "instance": "ibm-q/open/main",
    "verify": True,
}


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    for field in credential_fields(SPEC):
        for name in field.variables:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture
def keep(home):
    """Writes the file of IBM's client; its entries, or any text."""

    def write(content):
        path = home / ".qiskit" / "qiskit-ibm.json"
        path.parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def entry(token=KEY, channel=PLATFORM, **more):
    return {"channel": channel, "token": token, **more}


def made(account):
    return build_credentials(SPEC, account.fields)


# -------------------------------------------------------------------------------------------------- the fields


def test_without_the_file_there_is_nothing_and_nothing_is_made(home):
    assert foreign_accounts() == ()
    assert list(home.iterdir()) == []
    (home / ".qiskit").write_text("a file in the folder's place")
    assert foreign_accounts() == ()


def test_every_key_that_ibms_client_writes_becomes_our_field(keep):
    keep(
        {
            "default-ibm-quantum-platform": entry(
                url="https://cloud.ibm.com/",
                instance=CRN,
                verify=False,
                private_endpoint=True,
                is_default_account=True,
                region="us-east",
                plans_preference=["open"],
                tags=["team"],
                proxies={"urls": {"https": "http://proxy:8080"}, "username_ntlm": "u", "password_ntlm": "pass-word"},
                something_new={"a": 1},
            )
        }
    )
    (account,) = foreign_accounts()
    assert (account.name, account.is_default, account.problem) == ("default-ibm-quantum-platform", True, None)
    assert account.source == "qiskit-ibm-runtime, ~/.qiskit/qiskit-ibm.json"
    assert account.removal == "QiskitRuntimeService.delete_account(name='default-ibm-quantum-platform')"
    assert made(account) == IBMCredentials(
        token=Secret(KEY),
        instance=CRN,
        url="https://cloud.ibm.com",
        verify=False,
        private_endpoint=True,
        region="us-east",
        plans_preference=("open",),
        tags=("team",),
        proxies={"https": "http://proxy:8080"},
        proxy_username="u",
        proxy_password=Secret("pass-word"),
        proxy_ntlm=True,
    )
    assert KEY not in repr(account)
    assert "pass-word" not in repr(account)


@pytest.mark.parametrize("channel", [{"channel": PLATFORM}, {"channel": CLOUD}, {"auth": "cloud"}, {}])
def test_token_and_channel_are_enough_and_both_channels_are_one_service(channel, keep):
    keep({"work": {"token": KEY, "instance": None, "verify": None, "proxies": None, **channel}})
    (account,) = foreign_accounts()
    assert made(account) == IBMCredentials(token=Secret(KEY))


def test_an_automatic_instance_and_a_name_are_taken_as_they_are(keep):
    keep({"a": entry(instance="auto"), "b": entry(instance="open-main")})
    assert [made(account).instance for account in foreign_accounts()] == ["auto", "open-main"]


def test_who_signs_in_at_a_proxy_is_taken_out_of_its_address(keep):
    urls = {"http": "http://ann:very%40private@proxy:3128", "https": "http://ann:very%40private@proxy:3128/"}
    keep({"work": entry(proxies={"urls": urls})})
    (account,) = foreign_accounts()
    credentials = made(account)
    assert credentials.proxies == {"http": "http://proxy:3128", "https": "http://proxy:3128/"}
    assert (credentials.proxy_username, credentials.proxy_password) == ("ann", Secret("very@private"))
    assert not credentials.proxy_ntlm
    assert "private" not in repr(account).replace("private_endpoint", "")


# ------------------------------------------------------------------------------------------------ which is used


def chosen(keep, entries, **arguments):
    keep(entries)
    account = choose(read_accounts(), **{"environ": {}, **arguments})
    return account and account.name


def test_a_name_means_that_entry_or_none(keep):
    entries = {"a": entry(), "b": entry(OTHER), "old": OLD}
    assert chosen(keep, entries, name="b") == "b"
    assert chosen(keep, entries, name="c") is None
    assert chosen(keep, entries, name="old", channel=PLATFORM) == "old"


@pytest.mark.parametrize(
    ("entries", "name"),
    [
        ({"a": entry(is_default_account=True), "default-ibm-quantum-platform": entry(), "z": entry()}, "a"),
        ({"a": entry(), "default-ibm-quantum-platform": entry(), "z": entry()}, "default-ibm-quantum-platform"),
        ({"a": entry(), "default": entry(), "z": entry()}, "default"),
        ({"b": entry(), "z": entry(), "a": entry()}, "a"),
        ({"b": entry(), "z": entry(channel=CLOUD, is_default_account=True)}, "b"),
        ({"z": entry(channel=CLOUD)}, "z"),  # the same service by its other name
        ({"z": OLD}, None),
        ({}, None),
    ],
)
def test_of_a_channel_the_default_else_the_default_name_else_the_last_one(entries, name, keep):
    assert chosen(keep, entries, channel=PLATFORM) == name


@pytest.mark.parametrize(
    ("entries", "environ", "name"),
    [
        ({"a": entry(channel=CLOUD, is_default_account=True), "default-ibm-quantum-platform": entry()}, {}, "a"),
        ({"a": entry(channel=CLOUD), "b": entry(), "c": entry(channel=CLOUD)}, {}, "b"),
        ({"a": entry(channel=CLOUD), "b": entry()}, {"QISKIT_IBM_CHANNEL": CLOUD}, "a"),
        ({"default-ibm-cloud": entry(channel=CLOUD), "z": entry(channel=CLOUD)}, {}, "default-ibm-cloud"),
        ({"default": entry(), "z": entry()}, {"QISKIT_IBM_CHANNEL": "ibm_quantum"}, "default"),
        ({"z": entry()}, {"QISKIT_IBM_CHANNEL": "ibm_quantum"}, None),
        ({"default-ibm-quantum": {**OLD, "is_default_account": True}, "work": entry()}, {}, "work"),
        ({"default-ibm-quantum": {**OLD, "is_default_account": True}}, {}, None),
    ],
)
def test_without_a_channel_the_default_else_that_of_the_platform_else_a_default_name(entries, environ, name, keep):
    assert chosen(keep, entries, environ=environ) == name
    marked = [account.name for account in foreign_accounts(environ) if account.is_default]
    assert marked == ([] if name is None else [name])


def test_an_unknown_channel_has_no_account(keep):
    assert chosen(keep, {"a": entry()}, channel="ibm_clod") is None


# ------------------------------------------------------------------------------------------- the retired service


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("default-ibm-quantum", OLD),
        ("mine", {"channel": "ibm_quantum", "token": KEY}),
        ("default-legacy", {"auth": "legacy", "token": KEY}),
        ("default-legacy", {"token": KEY}),
        ("mine", entry(url="https://auth.quantum-computing.ibm.com/api")),
        ("mine", entry(url="https://auth.quantum.ibm.com/api")),
        ("mine", entry(OLD_TOKEN)),
        ("mine", {"token": KEY, "instance": "ibm-q/open/main"}),
    ],
)
def test_an_entry_of_the_retired_service_is_known_by_any_of_its_marks(name, old, keep):
    keep({name: old})
    (account,) = foreign_accounts()
    assert account.problem == "it belongs to the retired IBM Quantum service"
    assert "https://quantum.cloud.ibm.com" in account.hint
    assert not account.is_default
    assert OLD_TOKEN not in repr(account) + str(account.to_dict())


def test_the_still_older_file_is_mentioned_with_them(keep, home):
    keep({"default-ibm-quantum": OLD, "work": entry()})
    (home / ".qiskit" / "qiskitrc").write_text(f"[ibmq]\ntoken = {OLD_TOKEN}\n")
    old, work = foreign_accounts()
    assert old.problem == "it belongs to the retired IBM Quantum service, as does ~/.qiskit/qiskitrc"
    assert (work.problem, work.is_default) == (None, True)


# -------------------------------------------------------------------------------------------------- what is damaged


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (5, "it is not an object"),
        (None, "it is not an object"),
        ([KEY], "it is not an object"),
        ({}, "it has no token"),
        (entry(None), "it has no token"),
        (entry("  "), "it has no token"),
        (entry([KEY]), "it has no token"),
        (entry(channel="ibm_clod"), "its channel is not known"),
        (entry(channel=[PLATFORM]), "its channel is not known"),
        (entry(channel="local"), "it stands for simulators on this machine"),
        (entry(url=5), "its url is not a text"),
        (entry(url="https://ann:very-private@cloud.ibm.com"), "its url holds a user name or password"),
        (entry(proxies=[]), None),
        (entry(proxies="http://proxy"), "its proxies are not of the form"),
        (entry(proxies={"urls": {"https": 5}}), "its proxies are not of the form"),
        (entry(proxies={"urls": ["http://proxy"]}), "its proxies are not of the form"),
        (entry(proxies={"username_ntlm": ["u"]}), "user name or password of its proxies is not a text"),
        (entry(proxies={"urls": {"https": "http://[ann:very-private@proxy"}}), "address of a proxy of it cannot be"),
        (entry(proxies={"urls": {"https": "http://proxy/very-private@x"}}), "address of a proxy of it cannot be"),
        (entry(proxies={"urls": {"http": "http://a:b@p:1", "https": "http://c:d@p:1"}}), "several users"),
        (
            entry(proxies={"urls": {"http": "http://a:b@p:1"}, "username_ntlm": "u", "password_ntlm": "p"}),
            "several users",
        ),
    ],
)
def test_a_damaged_entry_is_named_and_hides_no_other(broken, problem, keep):
    keep({"bad": broken, "good": entry(OTHER)})
    bad, good = foreign_accounts()
    assert made(good).token == Secret(OTHER)
    assert good.is_default
    if problem is None:
        assert bad.problem is None
    else:
        assert problem in bad.problem
    assert "very-private" not in repr(bad) + str(bad.to_dict())


@pytest.mark.parametrize(
    "wrong",
    [{"verify": 5}, {"tags": 5}, {"private_endpoint": "yes"}, {"instance": "crn:v1"}, {"url": "http://cloud.ibm.com"}],
)
def test_a_value_of_a_wrong_type_is_refused_by_the_credentials(wrong, keep):
    keep({"bad": entry(**wrong)})
    (account,) = foreign_accounts()
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        made(account)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("{", "the file is damaged: line 1, column 2"),
        ("[]", "does not hold one object"),
        ("[" * 100_000, "nested too deeply"),
        ("{" + '"a":1' + "9" * 10_000 + "}", "a number that is too long"),
        (f'{{"a": "{KEY}', "the file is damaged: line 1"),
        (" " * (2 << 20), "larger than 1 MiB"),
    ],
)
def test_a_damaged_file_is_one_remark_without_its_content(text, problem, keep):
    path = keep(text)
    (account,) = foreign_accounts()
    assert account.name == ""
    assert problem in account.problem
    assert KEY not in account.problem
    assert path.read_text() == text


def test_a_file_that_cannot_be_read_is_one_remark(keep, home, monkeypatch):
    path = keep({})
    path.write_bytes(b'{"a": "\xff"}')
    assert "byte 7 is not UTF-8" in foreign_accounts()[0].problem
    path.unlink()
    path.mkdir()
    assert "Is a directory" in foreign_accounts()[0].problem
    path.rmdir()
    os.mkfifo(path)
    assert "no plain file" in foreign_accounts()[0].problem
    path.unlink()
    path.symlink_to(path)
    assert "symbolic links" in foreign_accounts()[0].problem
    path.unlink()
    path.symlink_to(home / "nowhere")
    assert foreign_accounts() == ()

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    (account,) = read_accounts(path)
    assert account.problem == "the file cannot be read: Permission denied"
    assert str(path) in account.source


def test_a_byte_order_mark_does_no_harm_and_a_name_must_be_there(keep):
    keep("\ufeff" + json.dumps({"": entry(), "work": entry()}))
    nameless, work = foreign_accounts()
    assert (nameless.name, nameless.problem) == ("", "an entry of the file has no name")
    assert work.is_default


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(
    ["channel", "token", "url", "instance", "verify", "proxies", "tags", "auth", "region", "is_default_account"]
)
proxies = st.fixed_dictionaries({}, optional={"urls": anything, "username_ntlm": anything, "password_ntlm": anything})


@settings(deadline=None)
@given(content=st.dictionaries(st.text(max_size=3), st.dictionaries(keys, anything | proxies) | anything) | anything)
def test_whatever_is_in_the_file_nothing_is_raised(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(content))
    accounts = read_accounts(path)
    assert all(isinstance(account, ForeignAccount) for account in accounts)
    choose(accounts)
    if isinstance(content, dict):
        assert len(accounts) == len(content)


# --------------------------------------------------------------------------------------------- through the core


@pytest.fixture
def core(monkeypatch):
    """The core with this plugin alone."""
    monkeypatch.setattr(_plugins.Registry, "_entries", lambda self: [])
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())
    monkeypatch.setattr(fleet, "_fleet", fleet.Fleet())
    qp.register_plugin(qprovider_ibm, "ibm")


def party():
    return fleet.fleet().party("ibm")


def test_users_of_ibms_client_are_signed_in_as_they_are(keep, core, monkeypatch):
    keep({"default-ibm-quantum": OLD, "home": entry(OTHER), "work": entry(instance=CRN, is_default_account=True)})
    found = party()
    assert [account.name for account in found.accounts] == ["work", "home"]
    assert found.errors == ()
    (note,) = found.notes
    assert note.startswith("ibm: Accounts not used: 'default-ibm-quantum' of qiskit-ibm-runtime, ~/.qiskit/qiskit-ibm")
    assert "Create an API key" in note
    listed = qp.saved_accounts("ibm")
    assert [(a.name, a.is_default, a.problem is None) for a in listed] == [
        ("default-ibm-quantum", False, False),
        ("home", False, True),
        ("work", True, True),
    ]
    assert KEY not in repr(listed)
    with pytest.raises(InvalidInputError, match=r"QiskitRuntimeService.delete_account\(name='work'\)"):
        qp.delete_account("ibm", "work")
    # The same key in the environment is the same account, and wins.
    monkeypatch.setenv("QISKIT_IBM_TOKEN", KEY)
    monkeypatch.setenv("QISKIT_IBM_INSTANCE", CRN)
    assert [account.name for account in party().accounts] == ["environment", "home"]


def test_the_retired_service_alone_is_no_account_and_the_error_says_which_was_ignored(keep, core):
    keep({"default-ibm-quantum": OLD})
    with pytest.raises(NoAccountError, match="'default-ibm-quantum' of qiskit-ibm-runtime") as caught:
        qp.open_account("ibm")
    assert "Create an API key" in caught.value.why
    with pytest.raises(ConfigurationError, match="retired IBM Quantum service"):
        qp.open_account("ibm", "default-ibm-quantum")
    with pytest.raises(UnknownAccountError, match="has no account 'wrk'"):
        qp.open_account("ibm", "wrk")

"""Which account is opened: arguments, then the environment, then saved accounts; and the public functions."""

import sys
import types

import attrs
import pytest

from qprovider_core import credentials as qp
from qprovider_core._provider import Provider
from qprovider_core.credentials import AccountStore, resolve_account, resolve_all, resolve_unsaved
from qprovider_core.errors import (
    AccountsFileError,
    ConfigurationError,
    InvalidInputError,
    NoAccountError,
    UnknownAccountError,
    UnknownOptionError,
    UnknownProviderError,
)
from qprovider_core.records import AccountRef, ProviderSpec, TokenCredentials
from qprovider_core.secret import Secret

TOKEN = "tok-very-hidden-0815"
OTHER = "tok-another-one-4711"


@attrs.frozen(kw_only=True, repr=False)
class AcmeCredentials(TokenCredentials):
    instance: str | None = None


@attrs.frozen(kw_only=True)
class LocalOptions:
    workers: int = 2


ACME = ProviderSpec(
    name="acme", title="Acme", credentials=AcmeCredentials, credentials_help="See https://acme.example/keys."
)
LOCAL = ProviderSpec(name="local", title="Local", credentials=LocalOptions)
FREE = ProviderSpec(name="free", title="Free")


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path))


@pytest.fixture
def store():
    return AccountStore()


def test_arguments_win_over_environment_and_saved_accounts(store, monkeypatch):
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", "tok-of-environment")
    store.save(ACME, "work", {"token": OTHER, "instance": "main"})
    found = resolve_account(ACME, fields={"token": TOKEN, "instance": None})
    assert found.credentials == AcmeCredentials(token=Secret(TOKEN))
    assert found.ref == AccountRef(provider="acme", name="arguments")
    assert found.source == "arguments"
    assert TOKEN not in repr(found)


def test_the_environment_wins_over_saved_accounts(store, monkeypatch):
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", TOKEN)
    store.save(ACME, "work", {"token": OTHER})
    found = resolve_account(ACME)
    assert found.credentials.token == Secret(TOKEN)
    assert found.ref.name == "environment"
    assert found.source == "environment (QPROVIDER_ACME_TOKEN)"


def test_an_environment_without_the_required_fields_is_no_account(store, monkeypatch):
    monkeypatch.setenv("QPROVIDER_ACME_INSTANCE", "main")
    store.save(ACME, "work", {"token": OTHER})
    assert resolve_account(ACME).source == "saved account 'work'"


def test_the_default_saved_account_is_taken_last(store):
    store.save(ACME, "work", {"token": TOKEN, "instance": "main"})
    store.save(ACME, "lab", {"token": OTHER})
    found = resolve_account(ACME)
    assert found.credentials == AcmeCredentials(token=Secret(TOKEN), instance="main")
    assert found.ref.name == "work"
    assert found.source == "saved account 'work'"


def test_a_name_means_the_saved_account_whatever_the_environment_says(store, monkeypatch):
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", TOKEN)
    store.save(ACME, "lab", {"token": OTHER})
    assert resolve_account(ACME, "lab").credentials.token == Secret(OTHER)
    assert resolve_account(ACME, "environment").credentials.token == Secret(TOKEN)


def test_some_fields_replace_those_of_the_account_that_won(store, monkeypatch):
    store.save(ACME, "work", {"token": TOKEN, "instance": "main"})
    for name in (None, "work"):
        found = resolve_account(ACME, name, {"instance": "other"})
        assert found.credentials == AcmeCredentials(token=Secret(TOKEN), instance="other")
        assert found.source == "saved account 'work', instance from arguments"
    found = resolve_account(ACME, "work", {"token": OTHER})
    assert found.credentials == AcmeCredentials(token=Secret(OTHER), instance="main")
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", OTHER)
    monkeypatch.setenv("QPROVIDER_ACME_INSTANCE", "env")
    found = resolve_account(ACME, fields={"instance": "mine"})
    assert found.credentials == AcmeCredentials(token=Secret(OTHER), instance="mine")
    assert found.source.endswith("instance from arguments")


def test_an_unknown_name_is_refused_with_the_near_ones(store, monkeypatch):
    with pytest.raises(UnknownAccountError, match="qprovider accounts add acme"):
        resolve_account(ACME, "work")
    store.save(ACME, "work", {"token": TOKEN})
    with pytest.raises(UnknownAccountError, match="Did you mean 'work'"):
        resolve_account(ACME, "wrok", {"token": TOKEN})
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", TOKEN)
    with pytest.raises(UnknownAccountError) as caught:
        resolve_account(ACME, "zzz")
    assert caught.value.choices == ("work", "environment")


def test_with_nothing_to_sign_in_the_hint_says_how_to_add_an_account():
    with pytest.raises(NoAccountError) as caught:
        resolve_account(ACME)
    text = str(caught.value)
    assert "`qprovider accounts add acme`" in text
    assert "qp.save_account('acme', token=…)" in text
    assert "https://acme.example/keys" in text
    assert caught.value.provider == "acme"
    bare = ProviderSpec(name="bare", title="Bare", credentials=AcmeCredentials)
    with pytest.raises(NoAccountError) as caught:
        resolve_account(bare)
    assert caught.value.hint.endswith("token=…).")


def test_arguments_that_are_not_enough_name_what_is_missing():
    with pytest.raises(NoAccountError, match="'token'"):
        resolve_account(ACME, fields={"instance": "main"})


def test_several_accounts_without_a_default_ask_for_a_choice(store):
    for name in ("a", "b", "c"):
        store.save(ACME, name, {"token": f"{TOKEN}-{name}"})
    store.delete("acme", "a")
    with pytest.raises(NoAccountError, match="none is the default") as caught:
        resolve_account(ACME)
    assert "'b', 'c'" in str(caught.value)
    assert "set_default_account('acme'" in str(caught.value)


def test_unknown_fields_are_refused_before_anything_else(store):
    store.path.write_text("{")
    with pytest.raises(UnknownOptionError, match="'instanc'"):
        resolve_account(ACME, fields={"instanc": "x"})
    with pytest.raises(AccountsFileError):
        resolve_account(ACME)
    assert resolve_account(ACME, fields={"token": TOKEN}).source == "arguments"


def test_a_provider_without_credentials_has_one_account_that_is_simply_there(store):
    store.path.write_text("{")  # the file is not even looked at
    found = resolve_account(FREE)
    assert found == qp.ResolvedAccount(
        ref=AccountRef(provider="free", name="default"), credentials=None, source="no credentials needed"
    )
    assert resolve_account(FREE, "default") == found
    assert resolve_all(FREE) == [found]
    with pytest.raises(UnknownOptionError, match="needs no credentials"):
        resolve_account(FREE, fields={"token": TOKEN})
    with pytest.raises(UnknownAccountError) as caught:
        resolve_account(FREE, "work")
    assert caught.value.choices == ("default",)


def test_a_provider_whose_fields_all_have_defaults_is_there_too_and_can_be_set(store, monkeypatch):
    found = resolve_account(LOCAL)
    assert (found.ref.name, found.credentials, found.source) == (
        "default",
        LocalOptions(),
        "no credentials needed",
    )
    assert resolve_account(LOCAL, "default") == found
    assert resolve_account(LOCAL, "default", {"workers": 3}).credentials == LocalOptions(workers=3)
    assert resolve_account(LOCAL, fields={"workers": 5}).source == "arguments"
    store.save(LOCAL, "big", {"workers": 64})
    assert resolve_account(LOCAL).credentials == LocalOptions(workers=64)
    monkeypatch.setenv("QPROVIDER_LOCAL_WORKERS", "8")
    assert resolve_account(LOCAL).credentials == LocalOptions(workers=8)


# ---------------------------------------------------------------------------------------------- all of them


def named(found):
    return [account.ref.name for account in found]


def test_a_query_asks_the_environments_account_then_the_saved_ones(store, monkeypatch):
    assert resolve_all(ACME) == []
    store.save(ACME, "a", {"token": TOKEN})
    store.save(ACME, "b", {"token": OTHER}, set_as_default=True)
    assert named(resolve_all(ACME)) == ["b", "a"]
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", "tok-of-environment")
    assert named(resolve_all(ACME, store)) == ["environment", "b", "a"]


def test_equal_credentials_are_asked_once(store, monkeypatch):
    store.save(ACME, "a", {"token": TOKEN})
    store.save(ACME, "b", {"token": TOKEN})
    store.save(ACME, "c", {"token": TOKEN, "instance": "main"})
    assert named(resolve_all(ACME)) == ["a", "c"]
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", TOKEN)
    assert named(resolve_all(ACME)) == ["environment", "c"]


def test_an_account_is_simply_there_unless_one_is_saved(store):
    assert named(resolve_all(LOCAL)) == ["default"]
    store.save(LOCAL, "big", {"workers": 64})
    assert named(resolve_all(LOCAL)) == ["big"]


def test_an_account_that_cannot_be_used_is_listed_with_its_error(store, monkeypatch):
    store.save(ACME, "old", {"token": TOKEN})
    store.save(ACME, "new", {"token": OTHER})
    store.path.write_text(store.path.read_text().replace('"secrets": {', '"fields": {"planet": 1}, "secrets": {', 1))
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", " ")
    found = {account.ref.name: account for account in resolve_all(ACME)}
    assert isinstance(found["environment"].error, ConfigurationError)
    assert isinstance(found["old"].error, UnknownOptionError)
    assert found["old"].credentials is None
    assert found["new"].error is None


def test_a_damaged_file_is_the_callers_to_report_and_hides_nobody_who_needs_no_account(store):
    store.path.write_text("{")
    for spec in (ACME, LOCAL):
        with pytest.raises(AccountsFileError):
            resolve_all(spec)
    assert resolve_unsaved(ACME) is None
    assert resolve_unsaved(LOCAL).credentials == LocalOptions()
    assert resolve_unsaved(FREE) == resolve_account(FREE)


# ------------------------------------------------------------------------------------------ public functions


@pytest.fixture
def registry(monkeypatch):
    """The installed providers, for the functions that take a provider's name."""
    known = {spec.name: spec for spec in (ACME, LOCAL, FREE)}

    class Registry:
        def spec(self, name):
            return self.provider(name).spec

        def provider(self, name):
            if name not in known:
                raise UnknownProviderError(name, known)
            return Provider(name, object(), known[name], frozenset())

        def providers(self):
            return list(map(self.provider, known))

    module = types.ModuleType("qprovider_core._plugins")
    module.registry = Registry
    monkeypatch.setitem(sys.modules, "qprovider_core._plugins", module)
    return known


def test_save_list_choose_delete(registry):
    qp.save_account("acme", token=TOKEN)
    qp.save_account("acme", name="lab", token=OTHER, instance="main")
    qp.save_account("local", name="big", workers=64)
    assert [(a.provider, a.name, a.is_default) for a in qp.saved_accounts()] == [
        ("acme", "default", True),
        ("acme", "lab", False),
        ("local", "big", True),
    ]
    assert TOKEN not in repr(qp.saved_accounts())
    with pytest.raises(InvalidInputError, match="overwrite"):
        qp.save_account("acme", token=OTHER)
    qp.save_account("acme", token=OTHER, overwrite=True)
    qp.set_default_account("acme", "lab")
    assert [a.name for a in qp.saved_accounts("acme") if a.is_default] == ["lab"]
    assert qp.delete_account("acme")
    assert not qp.delete_account("acme")
    assert qp.delete_account("acme", "lab")
    assert qp.saved_accounts("acme") == []
    assert not qp.delete_account("acme", "lab")


@pytest.mark.parametrize(
    "call",
    [
        lambda: qp.save_account("acne", token=TOKEN),
        lambda: qp.saved_accounts("acne"),
        lambda: qp.delete_account("acne"),
        lambda: qp.set_default_account("acne", "work"),
    ],
)
def test_an_unknown_provider_names_the_near_ones(registry, call):
    with pytest.raises(UnknownProviderError, match="Did you mean 'acme'"):
        call()


def test_accounts_of_a_provider_that_was_uninstalled_can_be_listed_and_deleted(registry):
    for name in ("a", "b"):
        qp.save_account("acme", name=name, token=TOKEN)
    del registry["acme"]
    assert [account.fields["token"] for account in qp.saved_accounts("acme")] == [Secret(TOKEN)] * 2
    assert TOKEN not in repr(qp.saved_accounts())
    qp.set_default_account("acme", "b")
    assert qp.delete_account("acme", "b")
    assert [account.is_default for account in qp.saved_accounts()] == [True]


def test_a_token_that_somebody_wrote_among_the_plain_fields_is_masked(registry, store):
    store.path.write_text(
        '{"version": 1, "accounts": {"acme": {"a": {"fields": {"token": "by-hand-token", "instance": "m"}}}}}'
    )
    (account,) = qp.saved_accounts()
    assert account.fields == {"token": Secret("by-hand-token"), "instance": "m"}
    assert resolve_account(ACME).credentials.token == Secret("by-hand-token")

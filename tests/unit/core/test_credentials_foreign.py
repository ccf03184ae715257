"""Accounts that a vendor's own client saved on this machine: found, used, listed, and left as they are."""

import logging
import os
import subprocess
import sys
import threading
import time

import attrs
import pytest

import qprovider_core as qp
from qprovider_core import _foreign_accounts, _plugins
from qprovider_core.credentials import AccountStore, ForeignAccounts, resolve_account, resolve_all
from qprovider_core.errors import (
    AccountsFileError,
    ConfigurationError,
    InvalidInputError,
    NoAccountError,
    UnknownAccountError,
    UnknownOptionError,
)
from qprovider_core.records import BackendInfo, ForeignAccount, ProviderSpec, TokenCredentials
from qprovider_core.secret import Secret

pytestmark = pytest.mark.usefixtures("isolated")

TOKEN, OTHER, THIRD = "tok-of-the-lab-0815", "tok-of-the-home-4711", "tok-of-our-own-2222"
KEPT = "acme-client, ~/.acme"


def _at_least_two(instance, attribute, value):
    if value is not None and len(value) < 2:
        raise ValueError("place: it is too short")


@attrs.frozen(kw_only=True, repr=False)
class AcmeCredentials(TokenCredentials):
    place: str | None = attrs.field(default=None, validator=_at_least_two)


ACME = ProviderSpec(name="acme", title="Acme", credentials=AcmeCredentials, credentials_help="Ask at the counter.")


def kept(name="lab", token=TOKEN, **more):
    fields = {"token": Secret(token), **more.pop("fields", {})}
    return ForeignAccount(**{"name": name, "fields": fields, "source": KEPT, **more})


OLD = kept("old", problem="it is out of date", hint="Log in anew.", is_default=True)


@pytest.fixture
def acme(vendor):
    """Registers the vendor with what its own client has saved, and gives a fresh look at that."""

    def register(answer, **hooks):
        hooks = {"foreign_accounts": answer if callable(answer) else lambda: answer, **hooks}
        vendor("acme", [BackendInfo(name="one")], spec=ACME, **hooks)
        return lambda: ForeignAccounts(_plugins.registry().provider("acme"))

    return register


# ------------------------------------------------------------------------------------------------ which is used


def test_it_is_used_when_nothing_else_is_given(acme):
    look = acme([kept("home", OTHER), kept("lab", is_default=True)])
    found = resolve_account(ACME, foreign=look())
    assert found.credentials == AcmeCredentials(token=Secret(TOKEN))
    assert found.ref.name == "lab"
    assert found.source == f"account 'lab' of {KEPT}"
    account = qp.open_account("acme")
    assert account.source == found.source
    assert qp.list_backends().names() == ["lab/acme:one", "home/acme:one"]


def test_arguments_the_environment_and_our_own_accounts_win_over_it(acme, monkeypatch):
    asked = []

    def answer():
        asked.append(1)
        return [kept(is_default=True)]

    look = acme(answer)
    assert resolve_account(ACME, fields={"token": OTHER}, foreign=look()).source == "arguments"
    AccountStore().save(ACME, "mine", {"token": THIRD})
    assert resolve_account(ACME, foreign=look()).source == "saved account 'mine'"
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", OTHER)
    assert resolve_account(ACME, foreign=look()).ref.name == "environment"
    assert asked == []  # it is not even read
    assert resolve_account(ACME, "lab", foreign=look()).credentials.token == Secret(TOKEN)


def test_our_own_account_of_the_same_name_wins(acme):
    look = acme([kept("lab"), attrs.evolve(OLD, name="lab2")])
    AccountStore().save(ACME, "lab", {"token": THIRD})
    AccountStore().save(ACME, "lab2", {"token": OTHER})
    assert resolve_account(ACME, "lab", foreign=look()).credentials.token == Secret(THIRD)
    foreign = look()
    assert [found.source for found in resolve_all(ACME, foreign=foreign)] == [
        "saved account 'lab'",
        "saved account 'lab2'",
    ]
    assert foreign.note() is None
    assert [(a.name, a.source) for a in qp.saved_accounts()] == [("lab", None), ("lab2", None)]


def test_several_of_our_own_without_a_default_are_not_passed_over_for_it(acme):
    look = acme([kept(is_default=True)])
    store = AccountStore()
    for name in ("a", "b", "c"):
        store.save(ACME, name, {"token": f"{THIRD}-{name}"})
    store.delete("acme", "a")
    with pytest.raises(NoAccountError, match="none is the default"):
        resolve_account(ACME, foreign=look())
    assert resolve_account(ACME, "lab", foreign=look()).ref.name == "lab"


def test_the_callers_fields_replace_some_of_its_own(acme):
    look = acme([kept(fields={"place": "cellar"})])
    found = resolve_account(ACME, fields={"place": "attic"}, foreign=look())
    assert found.credentials == AcmeCredentials(token=Secret(TOKEN), place="attic")
    assert found.source == f"account 'lab' of {KEPT}, place from arguments"
    with pytest.raises(UnknownOptionError):
        resolve_account(ACME, fields={"plaze": "attic"}, foreign=look())


def test_without_a_default_the_only_one_is_taken_and_of_several_none(acme):
    accounts = [kept("lab"), OLD]
    look = acme(lambda: accounts)
    assert resolve_account(ACME, foreign=look()).ref.name == "lab"
    accounts.append(kept("home", OTHER))
    with pytest.raises(NoAccountError, match="several accounts") as caught:
        resolve_account(ACME, foreign=look())
    assert "'lab', 'home'" in caught.value.why
    assert caught.value.hint == "Name one."


def test_an_unknown_name_is_refused_with_the_near_ones(acme):
    look = acme([kept("lab")])
    with pytest.raises(UnknownAccountError, match="Did you mean 'lab'"):
        resolve_account(ACME, "lap", foreign=look())
    with pytest.raises(UnknownAccountError, match="Did you mean 'lab'"):
        qp.open_account("acme", "lap")


def test_a_query_over_all_asks_equal_credentials_once(acme, monkeypatch):
    look = acme([kept("home", OTHER), kept("lab"), kept("again"), kept("ours", THIRD)])
    AccountStore().save(ACME, "mine", {"token": THIRD})
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", TOKEN)
    names = [found.ref.name for found in resolve_all(ACME, foreign=look())]
    assert names == ["environment", "mine", "home"]


def test_it_is_read_anew_at_each_look(acme):
    accounts = []
    acme(lambda: accounts)
    assert qp.list_backends().names() == []
    accounts.append(kept())
    assert qp.list_backends().names() == ["acme:one"]
    accounts[0] = kept(token=OTHER)
    assert qp.list_backends().names() == ["acme:one"]


def test_a_damaged_accounts_file_of_our_own_does_not_hide_it(acme):
    look = acme([kept()])
    path = AccountStore().path
    path.parent.mkdir(parents=True)
    path.write_text("{")
    ours, lab = resolve_all(ACME, foreign=look())
    assert isinstance(ours.error, AccountsFileError)
    assert lab.ref.name == "lab"
    listed = qp.list_backends()
    assert listed.names() == ["acme:one"]
    assert len(listed.errors) == 1


def test_a_vendor_without_credentials_is_not_asked(vendor):
    vendor("free", [BackendInfo(name="one")], foreign_accounts=lambda: pytest.fail("asked"))
    assert qp.list_backends().names() == ["free:one"]


# -------------------------------------------------------------------------------------------- what is not used


def test_entries_with_a_problem_cost_one_note_and_no_row(acme):
    bad = kept("short", OTHER, fields={"place": "x"})
    typo = kept("typo", OTHER, fields={"plaze": "attic"})
    acme([OLD, attrs.evolve(OLD, name="older"), bad, typo, kept()])
    listed = qp.list_backends()
    assert listed.names() == ["acme:one"]
    assert listed.errors == []
    (note,) = listed.notes
    assert note.startswith(f"acme: Accounts not used: 'old', 'older' of {KEPT}: it is out of date; 'short' of {KEPT}: ")
    assert "place: it is too short" in note
    assert "'plaze'" in note
    assert note.endswith("Log in anew.")
    assert note.count("Log in anew.") == 1


def test_many_names_do_not_flood_a_note(acme):
    look = acme([attrs.evolve(OLD, name=f"{index}-{'n' * 200}") for index in range(9)])
    note = look().note()
    assert "and 4 more" in note.replace(", 4 more", " and 4 more")
    assert len(note) < 500


def test_without_any_other_account_the_error_names_what_was_ignored(acme):
    look = acme([OLD])
    with pytest.raises(
        NoAccountError, match="'old' of acme-client, ~/.acme: it is out of date. Log in anew."
    ) as caught:
        resolve_account(ACME, foreign=look())
    assert "qprovider accounts add acme" in caught.value.hint
    listed = qp.list_backends(provider="acme")
    (error,) = listed.errors
    assert "it is out of date" in error.reason
    assert listed.notes == []
    listed = qp.list_backends()
    assert listed.errors == []
    assert [note.partition(" ")[0] for note in listed.notes] == ["acme:", "acme:"]


def test_an_account_with_a_problem_is_refused_by_name_with_the_reason(acme):
    look = acme([OLD, kept()])
    with pytest.raises(ConfigurationError, match="cannot be used") as caught:
        resolve_account(ACME, "old", foreign=look())
    assert caught.value.why == "it is out of date."
    assert caught.value.hint == "Log in anew."


def test_fields_that_do_not_fit_are_refused_with_whose_they_are(acme):
    look = acme([kept("short", fields={"place": "x"}, is_default=True), kept("lab", OTHER)])
    for name in (None, "short"):
        with pytest.raises(ConfigurationError, match=f"The account 'short' of {KEPT} cannot be used") as caught:
            resolve_account(ACME, name, foreign=look())
        assert "place: it is too short" in caught.value.why
    # What the caller gives in their place counts.
    assert resolve_account(ACME, fields={"place": "attic"}, foreign=look()).ref.name == "short"


def test_a_default_that_does_not_fit_costs_one_row_where_there_is_nothing_else(acme):
    acme([kept("short", fields={"place": "x"}, is_default=True)])
    listed = qp.list_backends()
    (error,) = listed.errors
    assert "'short'" in error.reason
    assert listed.notes == []


def test_names_that_mean_something_here_cannot_be_its_own(acme):
    look = acme([kept("environment"), kept("arguments")])
    assert look().usable() == []
    with pytest.raises(ConfigurationError, match="cannot be used"):
        resolve_account(ACME, "environment", foreign=look())


def test_a_problem_with_the_whole_source_is_told_once(acme, caplog):
    acme([ForeignAccount(name="", source=KEPT, problem="the file is damaged: line 3", hint="Repair it."), kept()])
    (note,) = qp.list_backends().notes
    assert note == f"acme: Accounts not used: {KEPT}: the file is damaged: line 3. Repair it."
    with caplog.at_level(logging.WARNING):
        assert [account.name for account in qp.saved_accounts()] == ["lab"]
    assert [record.getMessage() for record in caplog.records] == [note]


# ---------------------------------------------------------------------------------------- plugins that misbehave


def boom():
    raise ValueError("boom")


def leave():
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (boom, "failed in qprovider_foreign_accounts: ValueError: boom"),
        (leave, "failed in qprovider_foreign_accounts: SystemExit: 3"),
        ("text", "with a str; a list was expected"),
        (5, "with a int; a list was expected"),
        ({"lab": TOKEN}, "with a dict; a list was expected"),
    ],
)
def test_a_plugin_that_fails_costs_a_note_only(answer, reason, acme, vendor, caplog):
    acme(answer)
    AccountStore().save(ACME, "mine", {"token": THIRD})
    vendor("beta", [BackendInfo(name="two")])
    listed = qp.list_backends()
    assert listed.names() == ["acme:one", "beta:two"]
    assert listed.errors == []
    (note,) = listed.notes
    assert note.startswith("acme: Accounts that other clients saved are not known: ")
    assert reason in note
    assert TOKEN not in note
    assert qp.open_account("acme").source == "saved account 'mine'"
    with caplog.at_level(logging.WARNING):
        assert [account.name for account in qp.saved_accounts()] == ["mine"]
    assert reason in caplog.text
    with pytest.raises(UnknownAccountError, match="are not known"):
        qp.open_account("acme", "lab")


def test_sound_entries_among_nonsense_are_used(acme):
    class Trap(ForeignAccount):
        pass

    look = acme([None, "lab", 5, {"name": "lab"}, Trap(name="trap", source=KEPT), kept(), kept("lab", OTHER)])
    assert [account.name for account in look().usable()] == ["lab"]
    assert look().usable()[0].fields["token"] == Secret(TOKEN)
    assert "each is a ForeignAccount" in look().note()


def test_nothing_to_tell_is_nothing(acme):
    for answer in (None, [], ()):
        look = acme(answer)
        assert (look().all(), look().default(), look().note()) == ([], None, None)
        with pytest.raises(NoAccountError):
            resolve_account(ACME, foreign=look())
        qp.unregister_plugin("acme")


def test_a_token_that_the_plugin_gives_in_the_clear_is_masked_all_the_same(acme):
    acme([ForeignAccount(name="lab", fields={"token": "tok-in-the-clear-99"}, source=KEPT)])
    (account,) = qp.saved_accounts()
    assert account.fields == {"token": Secret("tok-in-the-clear-99")}
    assert "in-the-clear" not in repr(account) + repr(account.to_dict())


def test_a_plugin_that_hangs_is_waited_for_once(acme, hang, monkeypatch):
    monkeypatch.setattr(_foreign_accounts, "_PATIENCE_S", 0.05)
    look = acme(hang)
    AccountStore().save(ACME, "mine", {"token": THIRD})
    before = threading.active_count()
    assert "did not answer qprovider_foreign_accounts within 0.05 s" in look().note()
    monkeypatch.setattr(_foreign_accounts, "_PATIENCE_S", 60)
    begun = time.monotonic()
    for _ in range(5):
        listed = qp.list_backends()
        assert listed.names() == ["acme:one"]
        assert "did not answer" in listed.notes[0]
    assert time.monotonic() - begun < 30
    assert threading.active_count() <= before + 2


def test_a_plugin_that_hangs_does_not_keep_the_process_alive(tmp_path):
    code = """
import threading
import qprovider_core as qp
from qprovider_core import _foreign_accounts
_foreign_accounts._PATIENCE_S = 0.05
class Acme:
    @qp.hookimpl
    def qprovider_provider(self):
        return qp.ProviderSpec(name="acme", title="Acme", credentials=qp.TokenCredentials)
    @qp.hookimpl
    def qprovider_open_account(self):
        return 1
    @qp.hookimpl
    def qprovider_list_backends(self):
        return []
    @qp.hookimpl
    def qprovider_foreign_accounts(self):
        threading.Event().wait()
qp.register_plugin(Acme(), "acme")
print(qp.list_backends().notes[0])
"""
    environment = {**os.environ, "QPROVIDER_PLUGINS": "none", "QPROVIDER_CONFIG_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert "did not answer" in done.stdout
    assert done.returncode == 0


# --------------------------------------------------------------------------------------- listing and changing


def test_it_is_listed_with_its_source(acme):
    acme([kept("home", OTHER), kept("lab", is_default=True), OLD])
    assert [(a.name, a.is_default, a.source, a.problem) for a in qp.saved_accounts("acme")] == [
        ("home", False, KEPT, None),
        ("lab", True, KEPT, None),
        ("old", False, KEPT, "it is out of date. Log in anew."),
    ]
    AccountStore().save(ACME, "mine", {"token": THIRD})
    assert [(a.name, a.is_default) for a in qp.saved_accounts()] == [
        ("mine", True),
        ("home", False),
        ("lab", False),
        ("old", False),
    ]
    for text in (repr(qp.saved_accounts()), str([a.to_dict() for a in qp.saved_accounts()])):
        assert TOKEN not in text


def test_it_is_neither_deleted_nor_made_the_default_here(acme):
    acme([kept("lab", removal="acme-client forget lab"), OLD])
    with pytest.raises(InvalidInputError, match=f"cannot be deleted here: it belongs to {KEPT}") as caught:
        qp.delete_account("acme", "lab")
    assert caught.value.hint == "Delete it with that client: acme-client forget lab."
    with pytest.raises(InvalidInputError, match="belongs to"):
        qp.delete_account("acme", "old")
    assert not qp.delete_account("acme", "nobody")
    with pytest.raises(InvalidInputError, match="cannot be made the default here") as caught:
        qp.set_default_account("acme", "lab")
    assert "save an account of your own" in caught.value.hint
    with pytest.raises(UnknownAccountError):
        qp.set_default_account("acme", "nobody")


def test_deleting_our_own_account_of_the_same_name_uncovers_it(acme):
    acme([kept("lab")])
    qp.save_account("acme", name="lab", token=THIRD)
    assert qp.delete_account("acme", "lab")
    assert [(a.name, a.source) for a in qp.saved_accounts()] == [("lab", KEPT)]
    with pytest.raises(InvalidInputError, match="belongs to"):
        qp.delete_account("acme", "lab")

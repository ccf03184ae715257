"""The accounts file: what it holds, who may read it, and what is done when it cannot be used."""

import fcntl
import json
import logging
import os
import stat
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from qprovider_core import _accounts_file
from qprovider_core.credentials import AccountStore, SavedAccount
from qprovider_core.errors import (
    AccountsFileError,
    ConfigurationError,
    InvalidInputError,
    NoAccountError,
    UnknownAccountError,
)
from qprovider_core.records import ProviderSpec, TokenCredentials
from qprovider_core.secret import MASK, Secret

TOKEN = "tok-very-hidden-0815"


@attrs.frozen(kw_only=True, repr=False)
class AcmeCredentials(TokenCredentials):
    instance: str | None = None
    tags: tuple[str, ...] = ()
    limits: Mapping[str, float] | None = None
    password: Secret | None = None
    anything: object = None


ACME = ProviderSpec(name="acme", title="Acme", credentials=AcmeCredentials)


@pytest.fixture
def path(monkeypatch, tmp_path):
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setattr(_accounts_file, "_noted", False)
    return tmp_path / "config" / "accounts.json"


@pytest.fixture
def store(path):
    return AccountStore()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_saved_comes_back(store):
    fields = {
        "token": TOKEN,
        "instance": "main",
        "tags": ["a", "b"],
        "limits": {"s": 1.5},
        "password": "pw-0815",
    }
    store.save(ACME, "work", fields)
    assert AccountStore().accounts() == [
        SavedAccount(
            provider="acme",
            name="work",
            fields={**fields, "token": Secret(TOKEN), "password": Secret("pw-0815")},
            is_default=True,
        )
    ]
    assert store.get("acme", "work") == store.accounts("acme")[0]
    assert store.accounts("other") == []


def test_the_file_is_readable_and_says_its_version(store, path):
    store.save(ACME, "work", {"token": TOKEN, "instance": "Zürich", "password": None})
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "version": 1,
        "accounts": {"acme": {"work": {"fields": {"instance": "Zürich"}, "secrets": {"token": TOKEN}}}},
        "defaults": {"acme": "work"},
    }
    assert "Zürich" in path.read_text(encoding="utf-8")


def test_no_form_of_a_saved_account_shows_its_secrets(store):
    store.save(ACME, "work", {"token": TOKEN})
    account = store.get("acme", "work")
    assert TOKEN not in repr(account) + str(account) + repr(store.accounts()) + json.dumps(account.to_dict())
    assert account.to_dict()["fields"] == {"token": MASK}


def test_file_backup_and_lock_are_for_the_owner_only(store, path):
    before = os.umask(0)
    try:
        store.save(ACME, "work", {"token": TOKEN})
        store.save(ACME, "lab", {"token": TOKEN})
    finally:
        os.umask(before)
    assert mode(path.parent) == 0o700
    assert {entry.name: mode(entry) for entry in path.parent.iterdir()} == {
        "accounts.json": 0o600,
        "accounts.json.bak": 0o600,
        "accounts.json.lock": 0o600,
    }


def test_a_file_that_others_may_read_is_closed_to_them_on_reading(store, path):
    store.save(ACME, "work", {"token": TOKEN})
    path.chmod(0o644)
    store.accounts()
    assert mode(path) == 0o600


def test_a_directory_of_our_own_is_closed_and_a_shared_one_left_alone(store, path, tmp_path, monkeypatch):
    path.parent.mkdir(mode=0o755)
    store.save(ACME, "work", {"token": TOKEN})
    assert mode(path.parent) == 0o700
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    (shared / "of-somebody-else").touch()
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(shared))
    AccountStore().save(ACME, "work", {"token": TOKEN})
    assert mode(shared) == 0o755
    assert mode(shared / "accounts.json") == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_left_alone(store, path):
    path.parent.mkdir()
    path.parent.chmod(0o755)
    os.chown(path.parent, 12345, -1)
    store.save(ACME, "work", {"token": TOKEN})
    assert mode(path.parent) == 0o755


def test_the_backup_is_what_was_last_written_and_holds_no_deleted_secret(store, path):
    backup = path.with_name("accounts.json.bak")
    store.save(ACME, "work", {"token": TOKEN})
    store.save(ACME, "lab", {"token": "tok-of-the-lab"})
    assert backup.read_bytes() == path.read_bytes()
    store.delete("acme", "work")
    assert TOKEN not in backup.read_text()
    assert "tok-of-the-lab" in backup.read_text()


def test_a_link_stays_and_what_it_leads_to_is_replaced(store, path, tmp_path):
    target = tmp_path / "elsewhere" / "mine.json"
    path.parent.mkdir()
    path.symlink_to(target)
    store = AccountStore()
    store.save(ACME, "work", {"token": TOKEN})
    assert path.is_symlink()
    assert TOKEN in target.read_text()
    assert target.with_name("mine.json.bak").exists()
    assert AccountStore().get("acme", "work").is_default


def test_a_name_that_is_taken_needs_overwrite(store):
    store.save(ACME, "work", {"token": TOKEN, "instance": "main"})
    with pytest.raises(InvalidInputError, match="overwrite=True"):
        store.save(ACME, "work", {"token": "another-token"})
    assert store.get("acme", "work").fields["token"] == Secret(TOKEN)
    store.save(ACME, "work", {"token": "another-token"}, overwrite=True)
    assert store.get("acme", "work").fields == {"token": Secret("another-token")}


@pytest.mark.parametrize(
    "name", ["", " ", " work", "work ", "a/b", "a:b", "a@b", "a\nb", "x" * 101, "environment", "arguments", 7]
)
def test_a_name_that_could_not_be_used_later_is_refused(store, path, name):
    with pytest.raises(InvalidInputError, match="account's name"):
        store.save(ACME, name, {"token": TOKEN})
    assert not path.exists()


@pytest.mark.parametrize("value", [object(), float("nan"), "a\ud800b", {1, 2}])
def test_a_value_without_a_json_form_is_refused(store, path, value):
    with pytest.raises(InvalidInputError, match="'anything'"):
        store.save(ACME, "work", {"token": TOKEN, "anything": value})
    assert not path.exists()


def test_fields_that_do_not_make_credentials_are_not_saved(store, path):
    with pytest.raises(NoAccountError, match="'token'"):
        store.save(ACME, "work", {"instance": "main"})
    with pytest.raises(InvalidInputError, match="needs no credentials"):
        store.save(ProviderSpec(name="free", title="Free"), "work", {})
    assert not path.exists()


# -------------------------------------------------------------------------------------------------- default


def defaults(store) -> list[str]:
    return [account.name for account in store.accounts() if account.is_default]


def test_the_first_account_is_the_default_until_another_is_chosen(store):
    for name in ("b", "a"):
        store.save(ACME, name, {"token": TOKEN})
    assert defaults(store) == ["b"]
    store.save(ACME, "c", {"token": TOKEN}, set_as_default=True)
    assert defaults(store) == ["c"]
    store.set_default("acme", "a")
    assert defaults(store) == ["a"]
    with pytest.raises(UnknownAccountError) as caught:
        store.set_default("acme", "aa")
    assert caught.value.suggestions[0] == "a"


def test_an_only_account_is_the_default_even_when_it_was_not_made_so(store):
    store.save(ACME, "a", {"token": TOKEN}, set_as_default=False)
    assert defaults(store) == ["a"]
    store.save(ACME, "b", {"token": TOKEN})
    assert defaults(store) == ["a"]


def test_deleting_the_default_leaves_the_only_other_one_as_default_else_none(store):
    for name in ("a", "b", "c"):
        store.save(ACME, name, {"token": TOKEN})
    assert store.delete("acme", "a")
    assert defaults(store) == []
    store.save(ACME, "d", {"token": TOKEN})
    assert defaults(store) == []
    assert store.delete("acme", "b")
    assert store.delete("acme", "c")
    assert defaults(store) == ["d"]
    assert store.delete("acme", "d")
    assert not store.delete("acme", "d")
    assert store.accounts() == []


def test_after_the_default_is_deleted_the_account_of_that_name_is_the_default_again(store):
    for name in ("default", "another", "two"):
        store.save(ACME, name, {"token": TOKEN}, set_as_default=name == "two")
    assert defaults(store) == ["two"]
    store.delete("acme", "two")
    assert defaults(store) == ["default"]
    store.delete("acme", "default")
    assert defaults(store) == ["another"]


def test_deleting_another_leaves_the_default(store):
    for name in ("a", "b", "c"):
        store.save(ACME, name, {"token": TOKEN})
    store.delete("acme", "b")
    assert defaults(store) == ["a"]


def test_an_account_that_another_process_deletes_meanwhile_is_not_deleted_twice(store, monkeypatch):
    store.save(ACME, "a", {"token": TOKEN})
    seen = store.accounts("acme")
    store.delete("acme", "a")
    monkeypatch.setattr(AccountStore, "accounts", lambda self, provider=None: seen)
    assert store.delete("acme", "a") is False


def test_an_unknown_account_names_the_near_ones(store):
    with pytest.raises(UnknownAccountError, match="qprovider accounts add acme"):
        store.get("acme", "work")
    store.save(ACME, "work", {"token": TOKEN})
    with pytest.raises(UnknownAccountError, match="Did you mean 'work'"):
        store.get("acme", "wrok")


# -------------------------------------------------------------------------------- written by somebody else


def test_accounts_of_a_provider_that_is_not_installed_are_listed_and_survive(store, path):
    other = {"fields": {"x": [1, {"y": None}]}, "secrets": {"key": "hidden-other-key"}}
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 1, "accounts": {"gone": {"old": other}}, "defaults": {"gone": "old"}}))
    assert "hidden-other-key" not in repr(store.accounts())
    store.save(ACME, "work", {"token": TOKEN})
    store.delete("acme", "work")
    assert json.loads(path.read_text())["accounts"] == {"gone": {"old": other}}
    assert [(a.provider, a.is_default) for a in store.accounts()] == [("gone", True)]


def test_a_default_that_is_not_there_is_no_default(store, path):
    path.parent.mkdir()
    entry = {"secrets": {"token": TOKEN}}
    path.write_text(
        json.dumps({"version": 1, "accounts": {"acme": {"a": entry, "b": entry}}, "defaults": {"acme": "z"}})
    )
    assert defaults(store) == []
    store.delete("acme", "a")
    assert defaults(store) == ["b"]
    assert json.loads(path.read_text())["defaults"] == {"acme": "b"}


def test_a_file_with_a_byte_order_mark_is_read(store, path):
    path.parent.mkdir()
    path.write_text('{"version": 1, "accounts": {"acme": {"a": {"secrets": {"token": "t"}}}}}', "utf-8-sig")
    assert store.get("acme", "a").fields["token"].reveal() == "t"


def test_escapes_of_half_characters_survive_a_rewrite(store, path):
    path.parent.mkdir()
    path.write_text('{"version": 1, "accounts": {"gone": {"a": {"fields": {"x": "\\udc80"}}}}}')
    store.save(ACME, "work", {"token": TOKEN})
    assert store.get("gone", "a").fields["x"] == "\udc80"


def entry(**parts) -> str:
    return json.dumps({"version": 1, "accounts": {"acme": {"work": parts}}})


SECRET_IN_FILE = "leak-me-if-you-can-99"
DAMAGED = {
    "empty": ("", "empty"),
    "cut": ('{"version": 1,\n "accounts": {"a": "' + SECRET_IN_FILE, "Line 2, column 20"),
    "not json": (f"token={SECRET_IN_FILE}", "Line 1, column 1"),
    "not utf-8": (b'{"version": 1, "x": "\xff"}', "Byte 21"),
    "a list": ("[]", "The whole file: expected an object, found a list"),
    "no version": ('{"accounts": {}}', "'version' is missing"),
    "text version": ('{"version": "1"}', "version: expected a whole number, found a text"),
    "true version": ('{"version": true}', "found a truth value"),
    "newer version": ('{"version": 2, "vaults": {}}', "version: 2 is not known"),
    "unknown key": ('{"version": 1, "acounts": {}}', "acounts: unknown key"),
    "accounts list": ('{"version": 1, "accounts": []}', "accounts: expected an object"),
    "provider text": ('{"version": 1, "accounts": {"acme": "x"}}', "accounts.acme: expected an object"),
    "account null": ('{"version": 1, "accounts": {"acme": {"a": null}}}', "accounts.acme.a: .* found null"),
    "entry key": (entry(tokens=SECRET_IN_FILE), "accounts.acme.work.tokens: unknown key"),
    "fields list": (entry(fields=[1]), "accounts.acme.work.fields: expected an object"),
    "secret number": (entry(secrets={"token": 12345678901}), "accounts.acme.work.secrets.token: .* a number"),
    "secrets text": (entry(secrets=SECRET_IN_FILE), "accounts.acme.work.secrets: expected an object"),
    "keyring text": (entry(keyring="token"), "accounts.acme.work.keyring: expected a list"),
    "keyring number": (entry(keyring=["a", 1]), r"accounts.acme.work.keyring\[1\]: expected a text"),
    "default list": ('{"version": 1, "defaults": {"acme": []}}', "defaults.acme: expected a text"),
    "twice": ('{"version": 1, "accounts": {"a": {}, "a": {}}}', "'a' occurs twice"),
    "nan": (entry(fields={"x": float("nan")}), "NaN is not a JSON number"),
    "too large": ('{"version": 1, "accounts": {"a": {"b": {"fields": {"x": 1e999}}}}}', "1e999"),
    "too long": ('{"version": 1' + "0" * 5000 + "}", "4300"),
    "too deep": ('{"version": 1, "accounts": ' + "[" * 200_000, "nested too deeply"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_explained_and_never_overwritten(store, path, kind):
    content, reason = DAMAGED[kind]
    data = content if isinstance(content, bytes) else content.encode()
    path.parent.mkdir()
    path.write_bytes(data)
    attempts = (
        lambda: store.accounts(),
        lambda: store.get("acme", "work"),
        lambda: store.save(ACME, "new", {"token": TOKEN}),
        lambda: store.save(ACME, "work", {"token": TOKEN}, overwrite=True),
        lambda: store.delete("acme", "work"),
        lambda: store.set_default("acme", "work"),
    )
    for attempt in attempts:
        with pytest.raises(AccountsFileError, match=reason) as caught:
            attempt()
        error = caught.value
        assert error.path == str(path)
        assert str(path) in str(error)
        assert "move it away" in str(error)
        shown = "".join(traceback.format_exception(error)) + repr(vars(error))
        assert SECRET_IN_FILE not in shown
        assert "12345678901" not in shown
        assert error.__context__ is None
        assert path.read_bytes() == data
    assert not path.with_name("accounts.json.bak").exists()


def test_the_way_to_repair_names_the_backup_when_there_is_one(store, path):
    store.save(ACME, "work", {"token": TOKEN})
    path.write_text("{")
    with pytest.raises(AccountsFileError) as caught:
        store.accounts()
    assert f"cp '{path}.bak' '{path}'" in str(caught.value)
    path.write_bytes(path.with_name("accounts.json.bak").read_bytes())
    assert store.get("acme", "work").fields["token"] == Secret(TOKEN)


# --------------------------------------------------------------------------- places that cannot be written

UNWRITABLE = {
    "below a file": lambda tmp_path: tmp_path / "file" / "config",
    "a file itself": lambda tmp_path: tmp_path / "qprovider",
    "in /proc": lambda tmp_path: Path("/proc/qprovider-config"),
}


@pytest.mark.parametrize("place", UNWRITABLE)
def test_without_a_writable_place_there_are_no_accounts_and_saving_explains(place, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("x")
    (tmp_path / "qprovider").write_text("x")
    (tmp_path / "qprovider").chmod(0o644)
    monkeypatch.setattr(_accounts_file, "_noted", False)
    directory = UNWRITABLE[place](tmp_path)
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(directory))
    with caplog.at_level(logging.WARNING, logger="qprovider"):
        for _ in range(3):
            assert AccountStore().accounts() == []
    if place != "in /proc":  # whether root "may write" there differs between kernels
        assert len(caplog.records) == 1
        assert str(directory) in caplog.text
        assert "QPROVIDER_CONFIG_DIR" in caplog.text
    with pytest.raises(ConfigurationError, match="cannot be saved") as caught:
        AccountStore().save(ACME, "work", {"token": TOKEN})
    assert str(directory) in caught.value.what
    assert caught.value.why
    assert "QPROVIDER_CONFIG_DIR" in caught.value.hint
    assert "QPROVIDER_IBM_TOKEN" in caught.value.hint
    assert not AccountStore().delete("acme", "work")
    assert (tmp_path / "qprovider").read_text() == "x"
    assert mode(tmp_path / "qprovider") == 0o644


def test_a_missing_file_in_an_unwritable_directory_is_noted_once(store, path, monkeypatch, caplog):
    # A read-only file system cannot be made in a test; the question put to the system is the same.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with caplog.at_level(logging.WARNING, logger="qprovider"):
        for _ in range(3):
            assert store.accounts() == []
    assert len(caplog.records) == 1
    assert "not writable" in caplog.text


def test_a_directory_in_the_place_of_the_file_is_not_an_empty_store(store, path, caplog):
    path.mkdir(parents=True)
    assert store.accounts() == []
    assert "Is a directory" in caplog.text
    with pytest.raises(ConfigurationError, match="Is a directory"):
        store.save(ACME, "work", {"token": TOKEN})


def test_a_lock_that_is_held_is_waited_for_a_bounded_time_and_then_explained(store, path, monkeypatch):
    monkeypatch.setattr(_accounts_file, "LOCK_WAIT_S", 0.05)
    path.parent.mkdir()
    with open(f"{path}.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="is in use") as caught:
            store.save(ACME, "work", {"token": TOKEN})
        assert "accounts.json.lock" in str(caught.value)
        assert "Try again" in str(caught.value)
        assert store.accounts() == []  # reading waits for nobody
    assert not path.exists()
    store.save(ACME, "work", {"token": TOKEN})


FULL_DISK = """
import resource, sys
from qprovider_core.credentials import AccountStore
from qprovider_core.errors import ConfigurationError
from qprovider_core.records import ProviderSpec, TokenCredentials
acme = ProviderSpec(name="acme", title="Acme", credentials=TokenCredentials)
store = AccountStore()
store.save(acme, "first", {"token": "first-token"})
before = store.path.read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
try:
    store.save(acme, "second", {"token": "second-token" * 100})
except ConfigurationError as error:
    print(error)
assert store.path.read_bytes() == before
print(sorted(entry.name for entry in store.path.parent.iterdir()))
"""


def test_when_the_disk_is_full_the_old_file_stays_and_nothing_is_left_lying(path):
    done = subprocess.run([sys.executable, "-c", FULL_DISK], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "cannot be saved" in done.stdout
    assert "['accounts.json', 'accounts.json.bak', 'accounts.json.lock']" in done.stdout


def test_a_temporary_file_of_a_writer_that_died_is_no_obstacle(store, path):
    store.save(ACME, "work", {"token": TOKEN})
    path.with_name("accounts.json.tmp").write_text("half")
    store.save(ACME, "lab", {"token": TOKEN})
    assert not path.with_name("accounts.json.tmp").exists()
    assert len(store.accounts()) == 2

"""Secrets in the system keyring, through the real `keyring` package with a backend in memory."""

import sys

import attrs
import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked, PasswordDeleteError

from qprovider_core.credentials import AccountStore, resolve_account, resolve_all
from qprovider_core.errors import ConfigurationError, InvalidInputError
from qprovider_core.records import ProviderSpec, TokenCredentials
from qprovider_core.secret import Secret

TOKEN = "tok-in-the-keyring-1"


@attrs.frozen(kw_only=True, repr=False)
class AcmeCredentials(TokenCredentials):
    instance: str | None = None
    password: Secret | None = None


ACME = ProviderSpec(name="acme", title="Acme", credentials=AcmeCredentials)


class InMemory(KeyringBackend):
    """A keyring that can be locked, and can lose what it is given."""

    priority = 0  # never chosen by itself

    def __init__(self):
        super().__init__()
        self.entries = {}
        self.locked = False
        self.fails_on = None

    def get_password(self, service, username):
        if self.locked:
            raise KeyringLocked("locked")
        return self.entries.get((service, username))

    def set_password(self, service, username, password):
        if self.locked or (self.fails_on and username.endswith(self.fails_on)):
            raise KeyringLocked("locked")
        self.entries[service, username] = password

    def delete_password(self, service, username):
        if (service, username) not in self.entries:
            raise PasswordDeleteError("none")
        del self.entries[service, username]


@pytest.fixture
def backend():
    before = keyring.get_keyring()
    memory = InMemory()
    keyring.set_keyring(memory)
    yield memory
    keyring.set_keyring(before)


@pytest.fixture
def store(monkeypatch, tmp_path):
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path / "config"))
    return AccountStore()


def test_the_keyring_has_the_secret_and_the_file_only_its_name(backend, store):
    store.save(ACME, "work", {"token": TOKEN, "instance": "main"}, keyring=True)
    assert backend.entries == {("qprovider", "acme/work/token"): TOKEN}
    assert TOKEN not in store.path.read_text()
    assert '"keyring": [\n' in store.path.read_text()
    account = store.get("acme", "work")
    assert account.fields == {"instance": "main", "token": Secret(TOKEN)}
    assert resolve_account(ACME).credentials.token == Secret(TOKEN)


def test_a_listing_does_not_open_the_keyring(backend, store):
    store.save(ACME, "work", {"token": TOKEN, "instance": "main"}, keyring=True)
    backend.locked = True
    (account,) = store.accounts()
    assert account.in_keyring == ("token",)
    assert account.fields == {"instance": "main"}


def test_deleting_the_account_deletes_the_entry(backend, store):
    store.save(ACME, "work", {"token": TOKEN, "password": "pass-word"}, keyring=True)
    assert len(backend.entries) == 2
    assert store.delete("acme", "work")
    assert backend.entries == {}


def test_an_entry_that_is_gone_already_does_not_stop_the_deletion(backend, store, caplog):
    store.save(ACME, "work", {"token": TOKEN}, keyring=True)
    backend.entries.clear()
    assert store.delete("acme", "work")
    assert caplog.text == ""


def test_deleting_with_a_locked_keyring_says_what_is_left_there(backend, store, caplog):
    store.save(ACME, "work", {"token": TOKEN}, keyring=True)
    backend.locked = True
    assert store.delete("acme", "work")
    assert "acme/work/" in caplog.text
    assert "locked" in caplog.text
    assert store.accounts() == []


def test_overwriting_without_the_keyring_takes_the_entries_out(backend, store):
    store.save(ACME, "work", {"token": TOKEN, "password": "pass-word"}, keyring=True)
    store.save(ACME, "work", {"token": "tok-in-the-keyring-2"}, keyring=True, overwrite=True)
    assert backend.entries == {("qprovider", "acme/work/token"): "tok-in-the-keyring-2"}
    store.save(ACME, "work", {"token": TOKEN}, overwrite=True)
    assert backend.entries == {}
    assert store.get("acme", "work").fields == {"token": Secret(TOKEN)}


def test_an_entry_that_somebody_removed_is_explained(backend, store):
    store.save(ACME, "work", {"token": TOKEN}, keyring=True)
    backend.entries.clear()
    with pytest.raises(ConfigurationError, match=r"token of the account 'work'.*not in the system keyring"):
        store.get("acme", "work")


def test_a_locked_keyring_costs_only_its_own_account(backend, store):
    store.save(ACME, "work", {"token": TOKEN}, keyring=True)
    store.save(ACME, "lab", {"token": "tok-of-the-lab"})
    backend.locked = True
    first, second = resolve_all(ACME)
    assert (first.ref.name, first.credentials) == ("work", None)
    assert "locked" in str(first.error)
    assert (second.ref.name, second.error) == ("lab", None)


@pytest.mark.parametrize("fails_on", ["token", "password"])
def test_a_keyring_that_fails_half_way_leaves_nothing_behind(backend, store, fails_on):
    backend.fails_on = fails_on
    with pytest.raises(ConfigurationError, match="system keyring cannot be used"):
        store.save(ACME, "work", {"token": TOKEN, "password": "pass-word"}, keyring=True)
    assert backend.entries == {}
    assert store.accounts() == []


def test_what_was_in_the_keyring_is_put_back_when_saving_fails(backend, store):
    fields = {"token": TOKEN, "password": "pass-word"}
    store.save(ACME, "work", fields, keyring=True)
    before = dict(backend.entries)
    with pytest.raises(InvalidInputError, match="already"):
        store.save(ACME, "work", {"token": "another-token"}, keyring=True)
    assert backend.entries == before
    backend.fails_on = "password"
    with pytest.raises(ConfigurationError):
        store.save(ACME, "work", {"token": "another-token", "password": "x"}, keyring=True, overwrite=True)
    assert backend.entries == before
    assert store.get("acme", "work").fields["token"] == Secret(TOKEN)


def test_a_failing_file_leaves_nothing_in_the_keyring(backend, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="cannot be saved"):
        AccountStore(tmp_path / "file" / "accounts.json").save(ACME, "work", {"token": TOKEN}, keyring=True)
    assert backend.entries == {}
    # The replacement fails after the keyring took the secret: a directory stands where the backup goes.
    store = AccountStore(tmp_path / "accounts.json")
    (tmp_path / "accounts.json.bak" / "x").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="cannot be saved"):
        store.save(ACME, "work", {"token": TOKEN}, keyring=True)
    assert backend.entries == {}
    assert store.accounts() == []


@pytest.mark.parametrize("unusable", [fail.Keyring, null.Keyring])
def test_without_a_keyring_service_nothing_is_saved(backend, store, unusable):
    keyring.set_keyring(unusable())
    with pytest.raises(ConfigurationError, match="No keyring service") as caught:
        store.save(ACME, "work", {"token": TOKEN}, keyring=True)
    assert "without it" in caught.value.hint
    assert not store.path.exists()


def test_a_keyring_that_forgets_is_found_out(backend, store, monkeypatch):
    monkeypatch.setattr(InMemory, "set_password", lambda *_: None)
    with pytest.raises(ConfigurationError, match="did not keep"):
        store.save(ACME, "work", {"token": TOKEN}, keyring=True)
    assert store.accounts() == []


def test_without_the_package_the_hint_says_how_to_install_it(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match="not installed") as caught:
        store.save(ACME, "work", {"token": TOKEN}, keyring=True)
    assert "pip install qprovider-core[keyring]" in caught.value.hint
    assert not store.path.exists()

"""No traceback shows a secret, not even one that prints local variables, as rich's, pytest's and IPython's can."""

import io
import json
import traceback
import types

import attrs
import pytest
from rich.console import Console
from rich.traceback import Traceback

from qprovider_core import _accounts_file, _plugins, credentials, fleet
from qprovider_core._credential_fields import GivenFields
from qprovider_core.credentials import AccountStore
from qprovider_core.errors import (
    AccountsFileError,
    ConfigurationError,
    InvalidInputError,
    UnknownOptionError,
    UnknownProviderError,
)
from qprovider_core.records import ProviderSpec
from qprovider_core.secret import Secret

TOKEN = "tok-very-hidden-0815"  # only ever read from here: a test's own local variables are printed, too
SAVED = "tok-saved-before-4711"


def _refuse(instance, attribute, value):
    if value == "refused":
        raise ValueError("no such instance")


@attrs.frozen(kw_only=True)
class AcmeCredentials:
    token: Secret
    instance: str | None = attrs.field(default=None, validator=_refuse)
    shots: int = 1


ACME = ProviderSpec(name="acme", title="Acme", credentials=AcmeCredentials)
FREE = ProviderSpec(name="free", title="Free")


@pytest.fixture(autouse=True)
def config(monkeypatch, tmp_path):
    directory = tmp_path / "config"
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(directory))
    known = {spec.name: spec for spec in (ACME, FREE)}

    class Registry:
        def spec(self, name):
            if name not in known:
                raise UnknownProviderError(name, known)
            return known[name]

        def provider(self, name):
            return types.SimpleNamespace(spec=self.spec(name))

    monkeypatch.setattr(_plugins, "registry", Registry)
    monkeypatch.setattr(fleet, "registry", Registry)
    return directory


def shown(exc):
    """All that tools may print of an error."""
    out = io.StringIO()
    Console(file=out, width=400).print(
        Traceback.from_exception(
            type(exc),
            exc,
            exc.__traceback__,
            show_locals=True,
            locals_max_length=None,
            locals_max_string=None,
            locals_hide_dunder=False,
        )
    )
    with_locals = traceback.TracebackException.from_exception(exc, capture_locals=True)
    return "\n".join([out.getvalue(), *traceback.format_exception(exc), *with_locals.format()])


def assert_hidden(call, error):
    with pytest.raises(error) as caught:
        call()
    text = shown(caught.value)
    assert "locals" in text  # the tool did print them
    assert error.__name__ in text
    assert TOKEN not in text
    assert SAVED not in text


both = pytest.mark.parametrize("function", [credentials.save_account, fleet.open_account])


def test_these_tools_show_a_local_variable():
    def careless(**fields):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        careless(token=TOKEN)
    assert shown(caught.value).count(TOKEN) == 2


@both
@pytest.mark.parametrize(
    ("provider", "fields", "error"),
    [
        ("acne", lambda: {"token": TOKEN}, UnknownProviderError),
        ("acme", lambda: {"token": TOKEN, "bogus": 1}, UnknownOptionError),
        ("acme", lambda: {"tokne": TOKEN}, UnknownOptionError),
        ("free", lambda: {"token": TOKEN}, UnknownOptionError),
        ("acme", lambda: {"token": TOKEN, "shots": "many"}, ConfigurationError),
        ("acme", lambda: {"shots": "many", "token": TOKEN}, ConfigurationError),
        ("acme", lambda: {"token": [TOKEN]}, ConfigurationError),
        ("acme", lambda: {"token": TOKEN.encode()}, ConfigurationError),
        ("acme", lambda: {"token": TOKEN + "\udcff"}, ConfigurationError),
        ("acme", lambda: {"token": TOKEN, "instance": "refused"}, ConfigurationError),
    ],
)
def test_fields_that_do_not_fit(function, provider, fields, error):
    assert_hidden(lambda: function(provider, **fields()), error)


def test_fields_beside_a_name_that_is_none():
    assert_hidden(lambda: credentials.save_account("acme", name="a/b", token=TOKEN), InvalidInputError)


def test_a_name_that_is_taken():
    credentials.save_account("acme", token=SAVED)
    assert_hidden(lambda: credentials.save_account("acme", token=TOKEN), InvalidInputError)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_file_that_cannot_be_written(monkeypatch, step):
    credentials.save_account("acme", name="old", token=SAVED)

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_accounts_file.os, step, fail)
    assert_hidden(lambda: credentials.save_account("acme", token=TOKEN), ConfigurationError)


def test_a_directory_that_cannot_be_made(config):
    config.write_text("")
    assert_hidden(lambda: credentials.save_account("acme", token=TOKEN), ConfigurationError)


@pytest.mark.parametrize("damage", [lambda text: text[:-3], lambda text: text.replace('"version": 1', '"version": 2')])
def test_a_damaged_file(damage):
    credentials.save_account("acme", name="old", token=SAVED)
    path = AccountStore().path
    path.write_text(damage(path.read_text()))
    assert_hidden(lambda: credentials.save_account("acme", token=TOKEN), AccountsFileError)
    assert_hidden(lambda: fleet.open_account("acme"), AccountsFileError)


def test_a_saved_account_and_the_environments_with_a_field_that_does_not_fit(monkeypatch):
    credentials.save_account("acme", token=SAVED)
    assert_hidden(lambda: fleet.open_account("acme", shots="many"), ConfigurationError)
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", TOKEN)
    assert_hidden(lambda: fleet.open_account("acme", shots="many"), ConfigurationError)


def test_the_file_has_the_secret_itself():
    credentials.save_account("acme", name="a", token=SAVED)
    credentials.save_account("acme", name="b", token=TOKEN)
    accounts = json.loads(AccountStore().path.read_text())["accounts"]["acme"]
    assert [accounts[name]["secrets"]["token"] for name in "ab"] == [SAVED, TOKEN]


def test_given_fields_are_a_mapping_that_shows_names_only():
    fields = GivenFields({"token": TOKEN, "shots": 1})
    assert fields == {"token": TOKEN, "shots": 1}
    assert repr(fields) == "<fields token, shots>"

"""`qprovider accounts`: secrets come by a hidden prompt or a pipe, and never appear anywhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
from click.testing import CliRunner, Result

import qprovider_core as qp
from qprovider_core import _plugins, hookimpl
from qprovider_core.cli import accounts
from qprovider_core.cli._app import app
from qprovider_core.records import ForeignAccount, ProviderSpec, TokenCredentials
from qprovider_core.secret import Secret

TOKEN = "tok-123456789-secret"
Call = Callable[..., Result]


@attrs.frozen(kw_only=True, repr=False)
class Credentials(TokenCredentials):
    second: Secret | None = attrs.field(default=None, metadata={"help": ""})
    place: str = "main"
    fast: bool = False


class Acme:
    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return ProviderSpec(
            name="acme", title="Acme", credentials=Credentials, credentials_help="Get a token at the counter."
        )

    @hookimpl
    def qprovider_open_account(self) -> str:
        return "connection"

    @hookimpl
    def qprovider_list_backends(self) -> list[Any]:
        return []


@pytest.fixture(autouse=True)
def acme(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_plugins.Registry, "_entries", lambda self: [])  # without the installed plugins
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())
    qp.register_plugin(Acme(), name="acme")


@pytest.fixture
def call() -> Call:
    return lambda *arguments, **kwargs: CliRunner().invoke(
        app, ["accounts", *arguments], prog_name="qprovider", **kwargs
    )


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A terminal at which these texts are typed; what was asked is appended."""
    asked: list[str] = []
    answers = [TOKEN, "second-secret"]

    def prompt(text: str, **options: Any) -> str:
        assert options["hide_input"]
        asked.append(text)
        return answers.pop(0)

    monkeypatch.setattr(accounts, "_is_terminal", lambda: True)
    monkeypatch.setattr(click, "prompt", prompt)
    return asked


def saved() -> list[tuple[str, bool, dict[str, Any]]]:
    return [(a.name, a.is_default, dict(a.fields)) for a in qp.saved_accounts("acme")]


def test_a_token_is_read_from_standard_input(call: Call) -> None:
    result = call("add", "acme", input=f"{TOKEN}\n")
    assert result.exit_code == 0
    assert TOKEN not in result.output
    assert qp.open_account("acme").source == "saved account 'default'"
    assert saved() == [("default", True, {"token": Secret(TOKEN)})]


def test_each_secret_field_is_a_line_of_standard_input(call: Call) -> None:
    assert call("add", "acme", "--secret", "second", input=f"{TOKEN}\nsecond-secret").exit_code == 0
    assert saved()[0][2] == {"token": Secret(TOKEN), "second": Secret("second-secret")}


def test_a_token_is_typed_at_a_hidden_prompt(call: Call, typing: list[str]) -> None:
    result = call("add", "acme")
    assert result.exit_code == 0
    assert typing == ["token (API token or key)"]
    assert "Get a token at the counter." in result.stderr
    assert saved()[0][2] == {"token": Secret(TOKEN)}


def test_a_secret_that_may_be_left_out_is_asked_for_when_wanted(call: Call, typing: list[str]) -> None:
    assert call("add", "acme", "--secret", "second").exit_code == 0
    assert typing == ["token (API token or key)", "second"]
    assert saved()[0][2] == {"token": Secret(TOKEN), "second": Secret("second-secret")}
    result = call("add", "acme", "--secret", "sekond")
    assert result.exit_code == 2
    assert "Did you mean 'second'?" in result.stderr


@pytest.mark.parametrize("arguments", [["acme", TOKEN], ["acme", "--token", TOKEN], ["acme", f"--token={TOKEN}"]])
def test_a_token_on_the_command_line_is_refused_and_not_shown(call: Call, arguments: list[str]) -> None:
    result = call("add", *arguments, input="other-token\n")
    assert result.exit_code == 2
    assert TOKEN not in result.output
    assert saved() == []


def test_a_secret_as_a_field_is_refused_and_not_shown(call: Call) -> None:
    result = call("add", "acme", "--field", f"token={TOKEN}", input="other-token\n")
    assert result.exit_code == 2
    assert "token is secret" in result.stderr
    assert TOKEN not in result.output


def test_fields_are_read_as_their_type_demands(call: Call) -> None:
    arguments = ["--field", "place=lab", "--field", "fast=yes", "--name", "work", "--default"]
    assert call("add", "acme", *arguments, input=TOKEN).exit_code == 0
    assert saved() == [("work", True, {"token": Secret(TOKEN), "place": "lab", "fast": True})]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        (["place"], "KEY=VALUE"),
        (["fast=maybe"], "--field fast: expected true or false"),
        (["place=a", "place=b"], "given twice"),
        (["palce=a"], "Did you mean 'place'?"),
    ],
)
def test_a_wrong_field_is_wrong_usage(call: Call, fields: list[str], what: str) -> None:
    result = call("add", "acme", *(part for field in fields for part in ("--field", field)), input=TOKEN)
    assert result.exit_code == 2
    assert what in result.stderr
    assert saved() == []


def test_an_unknown_provider_is_wrong_usage(call: Call) -> None:
    result = call("add", "acne", input=TOKEN)
    assert result.exit_code == 2
    assert "Did you mean 'acme'?" in result.stderr


def test_no_token_at_all_is_an_error(call: Call) -> None:
    result = call("add", "acme", input="")
    assert result.exit_code == 1
    assert "'token'" in result.stderr


def test_an_account_is_replaced_only_when_told_so(call: Call) -> None:
    call("add", "acme", input=TOKEN)
    again = call("add", "acme", input="another-token")
    assert again.exit_code == 1
    assert saved()[0][2] == {"token": Secret(TOKEN)}
    assert call("add", "acme", "--overwrite", input="another-token").exit_code == 0
    assert saved()[0][2] == {"token": Secret("another-token")}


def test_the_list_masks_secrets(call: Call) -> None:
    call("add", "acme", "--field", "place=lab", input=TOKEN)
    result = call("list")
    assert result.stdout.splitlines()[1].split(maxsplit=3)[:3] == ["acme", "default", "yes"]
    assert "token=********" in result.stdout
    assert "place=lab" in result.stdout
    assert TOKEN not in result.output


def test_the_list_as_json_masks_secrets(call: Call) -> None:
    call("add", "acme", input=TOKEN)
    result = call("list", "acme", "--json")
    assert json.loads(result.stdout) == {
        "accounts": [
            {
                "provider": "acme",
                "name": "default",
                "is_default": True,
                "in_keyring": [],
                "fields": {"token": "********"},
                "source": None,
                "problem": None,
            }
        ]
    }


def test_a_secret_in_the_keyring_is_told_of(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from qprovider_core._account_store import SavedAccount

    account = SavedAccount(provider="acme", name="default", in_keyring=("token",))
    monkeypatch.setattr(qp, "saved_accounts", lambda provider=None: [account], raising=False)
    assert "token in the keyring" in call("list").stdout


def test_an_empty_list_says_how_to_add_one(call: Call) -> None:
    result = call("list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "qprovider accounts add" in result.stderr


def test_the_only_account_is_removed_without_its_name(call: Call) -> None:
    call("add", "acme", "--name", "work", input=TOKEN)
    assert call("remove", "acme", "--yes").exit_code == 0
    assert saved() == []


def test_of_several_accounts_one_must_be_named(call: Call) -> None:
    for name in ("work", "home"):
        call("add", "acme", "--name", name, input=f"{TOKEN}-{name}")
    result = call("remove", "acme", "--yes")
    assert result.exit_code == 2
    assert "home, work" in result.stderr
    assert call("remove", "acme", "home", "--yes").exit_code == 0
    assert [name for name, _, _ in saved()] == ["work"]


def test_an_account_that_is_not_there_cannot_be_removed(call: Call) -> None:
    call("add", "acme", "--name", "work", input=TOKEN)
    result = call("remove", "acme", "wrok", "--yes")
    assert result.exit_code == 2
    assert "Did you mean 'work'?" in result.stderr
    assert call("remove", "acme", "--yes").exit_code == 0
    assert call("remove", "acme", "--yes").exit_code == 2


def test_removing_is_asked_about_at_a_terminal(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    call("add", "acme", input=TOKEN)
    assert call("remove", "acme").exit_code == 2, "no terminal to ask at"
    monkeypatch.setattr(accounts, "_is_terminal", lambda: True)
    assert call("remove", "acme", input="n\n").exit_code == 130
    assert len(saved()) == 1
    assert call("remove", "acme", input="y\n").exit_code == 0
    assert saved() == []


def test_another_account_can_be_made_the_default(call: Call) -> None:
    for name in ("work", "home"):
        call("add", "acme", "--name", name, input=f"{TOKEN}-{name}")
    assert call("default", "acme", "home").exit_code == 0
    assert {name: is_default for name, is_default, _ in saved()} == {"work": False, "home": True}
    assert call("default", "acme", "hoem").exit_code == 2


# ------------------------------------------------------------------------------- accounts of the vendor's client


@pytest.fixture
def beta(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor whose own client has saved two accounts on this machine, one of them out of date."""

    class Beta(Acme):
        @hookimpl
        def qprovider_provider(self) -> ProviderSpec:
            return ProviderSpec(name="beta", title="Beta", credentials=Credentials)

        @hookimpl
        def qprovider_foreign_accounts(self) -> list[ForeignAccount]:
            kept = "beta-client, ~/.beta"
            return [
                ForeignAccount(
                    name="lab", fields={"token": Secret(TOKEN)}, source=kept, is_default=True, removal="beta forget lab"
                ),
                ForeignAccount(name="old", source=kept, problem="it is out of date", hint="Log in anew."),
            ]

    qp.register_plugin(Beta(), name="beta")


def test_accounts_of_the_vendors_own_client_are_listed_with_where_they_come_from(call: Call, beta: None) -> None:
    call("add", "acme", input=TOKEN)
    result = call("list")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines == [
        ["provider", "name", "default", "saved", "by", "fields"],
        ["acme", "default", "yes", "qprovider", "token=********"],
        ["beta", "lab", "yes", "beta-client,", "~/.beta", "token=********"],
        ["beta", "old", "no", "beta-client,", "~/.beta", "not", "used"],
    ]
    assert result.stderr == "old of beta is not used: it is out of date. Log in anew.\n"
    listed = json.loads(call("list", "beta", "--json").stdout)["accounts"]
    assert [(one["name"], one["source"], one["problem"]) for one in listed] == [
        ("lab", "beta-client, ~/.beta", None),
        ("old", "beta-client, ~/.beta", "it is out of date. Log in anew."),
    ]
    assert "saved by" not in call("list", "acme").stdout


def test_an_account_of_the_vendors_own_client_is_not_removed_and_it_says_who_can(call: Call, beta: None) -> None:
    result = call("remove", "beta", "lab", "--yes")
    assert result.exit_code == 1
    assert "belongs to beta-client, ~/.beta" in result.stderr
    assert "beta forget lab" in result.stderr
    result = call("default", "beta", "lab")
    assert result.exit_code == 1
    assert "belongs to beta-client" in result.stderr
    assert call("remove", "beta", "--yes").exit_code == 2  # none of our own
    call("add", "beta", "--name", "mine", input="another-token-1")
    assert call("remove", "beta", "--yes").exit_code == 0  # the only one of our own

"""Fields of a credentials class: from arguments and from the environment to one object."""

import enum
import traceback
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from qprovider_core.credentials import build_credentials, credential_fields, resolve_account
from qprovider_core.errors import (
    ConfigurationError,
    NoAccountError,
    PluginError,
    UnknownOptionError,
)
from qprovider_core.records import ProviderSpec, TokenCredentials
from qprovider_core.secret import Secret

TOKEN = "tok-very-hidden-0815"
HELP = "Get a token at https://acme.example/keys."


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@attrs.frozen(kw_only=True)
class Proxy:
    host: str
    port: int = 80


@attrs.frozen(kw_only=True, repr=False)
class AcmeCredentials(TokenCredentials):
    token: Secret = attrs.field(metadata={"help": "Acme API key", "env": ("ACME_TOKEN", "OLD_ACME_TOKEN")})
    user: str = attrs.field(metadata={"help": "your user name"})
    shots: int | None = None
    ratio: float = 0.5
    tls: bool = True
    verify: bool | str = True
    tags: tuple[str, ...] = ()
    sizes: list[int] = attrs.field(factory=list)
    limits: Mapping[str, float] | None = None
    proxy: Proxy | None = None
    size: Size = Size.SMALL
    anything: Any = None
    password: Secret | None = attrs.field(default=None, metadata={"env": "ACME_PASSWORD"})
    derived: str = attrs.field(init=False, default="x")


def spec_of(credentials, **more):
    return ProviderSpec(name="acme", title="Acme", credentials=credentials, credentials_help=HELP, **more)


ACME = spec_of(AcmeCredentials)
NONE_NEEDED = ProviderSpec(name="free", title="Free")


def build(**fields):
    return build_credentials(ACME, {"token": TOKEN, "user": "ann", **fields})


def shown(error: BaseException) -> str:
    """All that a person could see of the error."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


def test_fields_tell_name_requirement_secrecy_help_and_variables():
    fields = {field.name: field for field in credential_fields(ACME)}
    assert fields["token"].required
    assert fields["token"].secret
    assert fields["token"].help == "Acme API key"
    assert fields["token"].variables == ("QPROVIDER_ACME_TOKEN", "ACME_TOKEN", "OLD_ACME_TOKEN")
    assert fields["password"].secret
    assert not fields["password"].required
    assert fields["password"].variables == ("QPROVIDER_ACME_PASSWORD", "ACME_PASSWORD")
    assert not fields["user"].secret
    assert "derived" not in fields
    assert credential_fields(NONE_NEEDED) == ()


def test_a_text_becomes_a_secret_and_a_secret_stays_one():
    assert build().token == Secret(TOKEN)
    assert build(token=Secret("another-token")).token == Secret("another-token")
    assert build(password="pass-word").password == Secret("pass-word")


def test_values_of_the_right_type_are_taken():
    made = build(
        shots=7,
        ratio=1,
        tls=False,
        verify="/etc/ca.pem",
        tags=["a", "b"],
        sizes=(1, 2),
        limits={"cpu": 1.5},
        proxy={"host": "h"},
        size="large",
        anything=object,
    )
    assert (made.shots, made.ratio, made.tls, made.verify) == (7, 1.0, False, "/etc/ca.pem")
    assert (made.tags, made.sizes, made.limits) == (("a", "b"), [1, 2], {"cpu": 1.5})
    assert made.proxy == Proxy(host="h")
    assert made.size is Size.LARGE
    assert made.anything is object
    assert build(proxy=Proxy(host="h", port=1)).proxy.port == 1
    assert build(size=Size.LARGE).size is Size.LARGE
    assert build(verify=False).verify is False


def test_none_means_not_given():
    assert build(shots=None, ratio=None).ratio == 0.5
    with pytest.raises(NoAccountError, match="'user'"):
        build(user=None)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("shots", 1.5, "a whole number"),
        ("shots", "7", "a whole number"),
        ("ratio", "1", "a number"),
        ("ratio", float("nan"), "finite"),
        ("tls", "true", "true or false"),
        ("verify", 1, "true or false"),
        ("user", 5, "a text"),
        ("tags", "a,b", "a list"),
        ("tags", ["a", 1], r"at \[1\]"),
        ("limits", "cpu=1", "names with values"),
        ("limits", {"cpu": "x"}, "a number"),
        ("proxy", {"host": "h", "prot": 1}, "prot"),
        ("size", "huge", "huge"),
        ("user", " ", "empty"),
    ],
)
def test_a_wrong_value_names_its_field_and_what_is_expected(field, value, reason):
    with pytest.raises(ConfigurationError, match=reason) as caught:
        build(**{field: value})
    assert repr(field) in str(caught.value)


@pytest.mark.parametrize("value", [12345678901, b"tok-very-hidden-0815", ["tok-very-hidden-0815"], {"a": 1}])
def test_a_secret_of_the_wrong_type_is_refused_without_showing_it(value):
    with pytest.raises(ConfigurationError, match="'token'") as caught:
        build(token=value)
    assert "12345678901" not in shown(caught.value)
    assert TOKEN not in shown(caught.value)
    assert type(value).__name__ in str(caught.value)


@pytest.mark.parametrize("value", ["", " ", "\t\n", Secret(" ")])
def test_an_empty_secret_is_refused_and_the_help_says_where_to_get_one(value):
    with pytest.raises(ConfigurationError, match="empty") as caught:
        build(token=value)
    assert HELP in str(caught.value)
    assert "Acme API key" in str(caught.value)
    with pytest.raises(ConfigurationError, match="'password'"):
        build(password=" ")


def test_a_secret_that_is_no_whole_text_is_refused():
    with pytest.raises(ConfigurationError, match="whole characters"):
        build(token="abc\udc80defgh")


def test_an_unknown_field_names_the_near_ones():
    with pytest.raises(UnknownOptionError, match="'tokn'") as caught:
        build(tokn=TOKEN)
    assert caught.value.suggestions[0] == "token"
    assert TOKEN not in shown(caught.value)
    with pytest.raises(UnknownOptionError, match="needs no credentials"):
        build_credentials(NONE_NEEDED, {"token": TOKEN})
    assert build_credentials(NONE_NEEDED, {}) is None


def test_a_missing_field_is_named_with_its_help():
    with pytest.raises(NoAccountError) as caught:
        build_credentials(ACME, {"user": "ann"})
    assert "'token' (Acme API key)" in str(caught.value)
    assert HELP in str(caught.value)
    assert caught.value.provider == "acme"


def refusing(make_error):
    def check(instance, attribute, value):
        raise make_error(instance, attribute, value)

    @attrs.frozen(kw_only=True)
    class Strict:
        token: Secret = attrs.field(validator=check)

    return spec_of(Strict)


@pytest.mark.parametrize(
    ("make_error", "reason"),
    [
        (lambda i, a, v: ValueError(f"{a.name}: no good"), "token: no good"),
        (lambda i, a, v: KeyError("k"), "no good|KeyError|k"),
        (lambda i, a, v: ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_what_the_vendors_check_says_is_told(make_error, reason):
    with pytest.raises(ConfigurationError, match=reason):
        build_credentials(refusing(make_error), {"token": TOKEN})


def test_an_error_of_this_project_from_a_vendors_check_passes_as_it_is():
    refusal = ConfigurationError("the vendor's own words")
    with pytest.raises(ConfigurationError) as caught:
        build_credentials(refusing(lambda i, a, v: refusal), {"token": TOKEN})
    assert caught.value is refusal


@pytest.mark.parametrize("token", [TOKEN, "ab", "q"])
def test_a_vendors_check_cannot_give_the_secret_away(token):
    leaky = refusing(lambda i, a, v: ValueError(f"refused <{v.reveal()}>"))
    with pytest.raises(ConfigurationError) as caught:
        build_credentials(leaky, {"token": token})
    assert f"<{token}>" not in shown(caught.value)


def test_a_class_that_cannot_be_read_is_the_plugins_fault():
    class NotAttrs:
        token: Secret

    @attrs.frozen
    class Unresolved:
        token: "NoSuchType"  # noqa: F821

    @attrs.frozen
    class Hidden:
        inner: tuple[Secret, ...] = ()

    @attrs.frozen
    class Nested:
        inner: dict[str, Hidden] = attrs.field(factory=dict)

    for credentials in (NotAttrs, Unresolved, Hidden, Nested):
        with pytest.raises(PluginError, match="credentials class") as caught:
            credential_fields(spec_of(credentials))
        assert caught.value.plugin == "acme"


def test_a_private_attribute_goes_by_its_public_name():
    @attrs.frozen(kw_only=True)
    class Private:
        _token: Secret

    field = credential_fields(spec_of(Private))[0]
    assert (field.name, field.attribute) == ("token", "_token")
    assert build_credentials(spec_of(Private), {"token": TOKEN})._token == Secret(TOKEN)


# ---------------------------------------------------------------------------------------------- environment


@pytest.fixture
def env(monkeypatch, tmp_path):
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path))

    def put(**fields):
        for name, text in {"token": TOKEN, "user": "ann", **fields}.items():
            monkeypatch.setenv(f"QPROVIDER_ACME_{name.upper()}", text)
        return resolve_account(ACME)

    return put


def test_texts_of_the_environment_become_what_the_field_is(env):
    found = env(
        shots="7",
        ratio="1e-3",
        tls="no",
        verify="/etc/ca.pem",
        tags=" a, b ,",
        sizes="1,2",
        limits='{"cpu": 2}',
        proxy='{"host": "h"}',
        size="large",
        anything="text",
        password="pass-word",
    )
    made = found.credentials
    assert made.token == Secret(TOKEN)
    assert (made.shots, made.ratio, made.tls, made.verify) == (7, 0.001, False, "/etc/ca.pem")
    assert (made.tags, made.sizes, made.limits) == (("a", "b"), [1, 2], {"cpu": 2.0})
    assert (made.proxy, made.size, made.anything) == (Proxy(host="h"), Size.LARGE, "text")
    assert made.password == Secret("pass-word")


@pytest.mark.parametrize("text", ["true", "YES", " on ", "1"])
def test_words_for_true(env, text):
    assert env(tls=text, verify=text).credentials.tls is True


def test_a_text_that_may_be_a_truth_value_or_a_path_is_the_first_where_it_can(env):
    assert env(verify="false").credentials.verify is False


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ("shots", "many", "a whole number"),
        ("ratio", "half", "a number"),
        ("tls", "maybe", "true or false"),
        ("sizes", "1,x", "a whole number"),
        ("limits", "{", "a JSON object"),
        ("limits", "[]", "names with values"),
        ("size", "huge", "huge"),
    ],
)
def test_a_text_that_does_not_fit_names_its_variable(env, field, text, reason):
    with pytest.raises(ConfigurationError, match=reason) as caught:
        env(**{field: text})
    assert f"QPROVIDER_ACME_{field.upper()}" in str(caught.value)


def test_a_refusal_names_the_variables_that_the_values_came_from(monkeypatch):
    strict = refusing(lambda i, a, v: ValueError("no good"))
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", TOKEN)
    with pytest.raises(ConfigurationError, match="The environment gave QPROVIDER_ACME_TOKEN"):
        resolve_account(strict)


def test_our_variable_wins_over_a_vendors_older_one_and_an_empty_one_is_not_set(env, monkeypatch):
    monkeypatch.setenv("ACME_TOKEN", "older-token")
    monkeypatch.setenv("OLD_ACME_TOKEN", "oldest-token")
    assert env().credentials.token == Secret(TOKEN)
    monkeypatch.setenv("QPROVIDER_ACME_TOKEN", "")
    found = resolve_account(ACME)
    assert found.credentials.token == Secret("older-token")
    assert found.source == "environment (ACME_TOKEN, QPROVIDER_ACME_USER)"


def test_a_secret_that_looks_like_a_number_stays_a_text(monkeypatch):
    @attrs.frozen(kw_only=True)
    class Odd:
        pin: Secret | None = None

    monkeypatch.setenv("QPROVIDER_ACME_PIN", "001234")
    assert resolve_account(spec_of(Odd)).credentials.pin == Secret("001234")

"""A vendor's credentials class: its fields, and how values and environment variables become an object of it.

No message made here shows a value of a secret field, and no traceback that prints local variables does:
raw values stay inside `GivenFields`, and leave it only for functions that return before anything is raised.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import attrs

from qprovider_core import config
from qprovider_core.errors import (
    ConfigurationError,
    NoAccountError,
    PluginError,
    QProviderError,
    UnknownOptionError,
    failure_text,
)
from qprovider_core.records import ProviderSpec
from qprovider_core.secret import Secret, scrub

if TYPE_CHECKING:
    from cattrs import Converter

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


class GivenFields(Mapping[str, object]):
    """Fields of an account, name to value, as somebody gave them. Its repr has the names only.

    Any of them may be a secret, even under a name that is misspelt or of a provider that does not exist. It is
    no dict, for tools that print local variables look into these.
    """

    __slots__ = ("_values",)

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._values = dict(fields)

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<fields {', '.join(self._values)}>"


@attrs.frozen(kw_only=True)
class CredentialField:
    """One field of an account.

    Attributes:
        name: As it is passed: ``token`` in ``save_account("ibm", token=...)``.
        attribute: Where the object keeps it; not the same when it begins with an underscore.
        kind: Its type annotation.
        required: Whether it has no default.
        secret: Whether it is masked wherever it is shown, and may live in the system keyring.
        help: What it is, one line.
        variables: Environment variables that give it; the first one that is set wins.
    """

    name: str
    attribute: str
    kind: Any
    required: bool
    secret: bool
    help: str
    variables: tuple[str, ...]


def credential_fields(spec: ProviderSpec) -> tuple[CredentialField, ...]:
    """The fields of the provider's credentials class; empty when it needs none.

    Raises:
        PluginError: The class is not one that the core can read.
    """
    if spec.credentials is None:
        return ()
    try:
        hints = get_type_hints(spec.credentials)
        attributes = attrs.fields(spec.credentials)
    except Exception as exc:
        raise _unreadable(spec, failure_text(exc)) from exc
    fields = []
    for attribute in attributes:
        if not attribute.init:
            continue
        name = attribute.alias or attribute.name
        kind = hints.get(attribute.name, Any)
        secret = Secret in _arms(kind)
        if not secret and _holds_a_secret(kind):
            raise _unreadable(spec, f"a secret must be a field of its own, unlike those in {name!r}")
        own = f"QPROVIDER_{spec.name}_{name}".upper()
        fields.append(
            CredentialField(
                name=name,
                attribute=attribute.name,
                kind=kind,
                required=attribute.default is attrs.NOTHING,
                secret=secret,
                help=str(attribute.metadata.get("help", "")),
                variables=(own, *_texts(attribute.metadata.get("env", ()))),
            )
        )
    return tuple(fields)


def check_names(spec: ProviderSpec, fields: Mapping[str, object]) -> None:
    """Refuse names that are not fields of the provider's account.

    Raises:
        UnknownOptionError: With the names that come near.
    """
    known = [field.name for field in credential_fields(spec)]
    for name in fields:
        if name not in known:
            why = None if known else f"{spec.title} needs no credentials."
            raise UnknownOptionError(name, known, what=f"An account of {spec.title} has no field {name!r}.", why=why)


def environment_fields(spec: ProviderSpec) -> tuple[GivenFields, dict[str, str]]:
    """The texts that the environment gives for the provider's fields, and the variable that gave each."""
    texts, origins = {}, {}
    for field in credential_fields(spec):
        for name in field.variables:
            text = config.variable(name)
            if text is not None:
                texts[field.name], origins[field.name] = text, name
                break
    return GivenFields(texts), origins


def build_credentials(
    spec: ProviderSpec, fields: Mapping[str, object], *, origins: Mapping[str, str] | None = None
) -> Any:
    """The provider's credentials object made of `fields`; None for a provider without credentials.

    Args:
        fields: Name to value. None means not given. A plain text does for a secret.
        origins: The environment variables that values come from: such values are texts, and are read as their
            field's type demands (``true``, ``1.5``, ``a,b``, a JSON object).
    Raises:
        UnknownOptionError: A name is no field of the class.
        NoAccountError: A required field is missing.
        ConfigurationError: A value is of the wrong type or empty, or the class refuses it.
    """
    fields = GivenFields(fields)
    check_names(spec, fields)
    if spec.credentials is None:
        return None
    origins = origins or {}
    values = {}
    for field in credential_fields(spec):
        if fields.get(field.name) is not None:
            values[field.name] = _value(spec, field, fields, origins.get(field.name))
        elif field.required:
            raise _missing(spec, field)
    refusal = None
    try:
        return spec.credentials(**values)
    except QProviderError:
        raise
    except Exception as exc:  # noqa: BLE001  # a vendor's validator may raise anything
        refusal = _refusal_text(exc, values)
    # Raised out here, without the cause: a vendor's own text may hold the token.
    hint = f"The environment gave {', '.join(sorted(origins.values()))}." if origins else None
    raise ConfigurationError(f"These credentials for {spec.title} cannot be used.", why=refusal, hint=hint)


def missing_fields(spec: ProviderSpec, fields: Mapping[str, object]) -> tuple[str, ...]:
    """The required fields that `fields` does not give."""
    return tuple(f.name for f in credential_fields(spec) if f.required and fields.get(f.name) is None)


def _value(spec: ProviderSpec, field: CredentialField, fields: GivenFields, origin: str | None) -> Any:
    """The field's value as its type has it."""
    label = f"{field.name!r} (from {origin})" if origin else repr(field.name)
    problem = None
    try:
        return _read(field, fields[field.name], from_environment=origin is not None)
    except _WrongValue as exc:
        problem = str(exc)
    # Raised out here: the frames above hold the value.
    raise ConfigurationError(
        f"The field {label} of an account of {spec.title} cannot be used: {problem}.",
        why=f"It is: {field.help}." if field.help else None,
        hint=(spec.credentials_help or None) if field.secret else None,
    )


class _WrongValue(ValueError):
    """A value does not fit its field; the text never shows a secret."""


def _read(field: CredentialField, given: object, *, from_environment: bool) -> Any:
    if from_environment and isinstance(given, str) and not field.secret:
        given = from_text(given, field.kind)
    value = _structured(given, field.kind)
    text = value.reveal() if isinstance(value, Secret) else value
    if isinstance(text, str) and (field.secret or field.required):
        if not text.strip():
            raise _WrongValue("it is empty")
        if field.secret and not _is_whole(text):
            raise _WrongValue("it is not a text of whole characters")
    return value


_SIMPLE = (str, bool, int)


def _structured(value: object, kind: Any) -> Any:
    arms = _arms(kind)
    if Secret in arms:
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return Secret(value)
        raise _WrongValue(f"expected a text, got a value of type {type(value).__name__}")
    if len(arms) > 1:
        problems = []
        for arm in arms:
            try:
                return _structured(value, arm)
            except _WrongValue as exc:
                problems.append(str(exc))
        raise _WrongValue("; or ".join(problems))
    kind = arms[0]
    if kind is Any or kind is object or (kind in _SIMPLE and type(value) is kind):
        return value
    origin = get_origin(kind) or kind
    if isinstance(origin, type):
        if issubclass(origin, Mapping) and not isinstance(value, Mapping):
            raise _WrongValue(f"expected names with values, got a value of type {type(value).__name__}")
        if isinstance(value, origin) and (attrs.has(origin) or issubclass(origin, Enum)):
            return value
    from qprovider_core.serialization import locate  # late: cattrs is slow to import

    try:
        return _converter().structure(value, kind)
    except Exception as exc:  # the type is the vendor's, and so may be what makes it
        path, reason = locate(exc)
        raise _WrongValue(f"at {path}: {reason}" if path else reason) from exc


@cache
def _converter() -> Converter:
    from qprovider_core.serialization import converter  # late: cattrs is slow to import

    made = converter()
    made.forbid_extra_keys = True  # people write these: an unknown key is a slip
    return made


def from_text(text: str, kind: Any) -> object:
    """What a text from the environment says, for a field of that type."""
    problems = []
    for arm in sorted(_arms(kind), key=lambda arm: arm is str):  # a text fits anything: try it last
        try:
            return _from_text_as(text, arm)
        except ValueError as exc:
            problems.append(str(exc))
    raise _WrongValue("; or ".join(problems))


def _from_text_as(text: str, kind: Any) -> object:
    origin = get_origin(kind) or kind
    if origin is bool:
        word = text.strip().casefold()
        if word in _TRUE | _FALSE:
            return word in _TRUE
        raise ValueError(f"expected true or false, got {text!r}")
    if origin is int or origin is float:
        try:
            return origin(text)
        except ValueError:
            what = "a whole number" if origin is int else "a number"
            raise ValueError(f"expected {what}, got {text!r}") from None
    if isinstance(origin, type) and not issubclass(origin, str):
        if issubclass(origin, tuple | list | set | frozenset):
            inner = (*get_args(kind), str)[0]
            return [_from_text_as(part.strip(), inner) for part in text.split(",") if part.strip()]
        if issubclass(origin, Mapping) or attrs.has(origin):
            try:
                return json.loads(text)
            except ValueError as exc:
                raise ValueError(f"expected a JSON object: {exc}") from None
    return text


def _arms(kind: Any) -> tuple[Any, ...]:
    """The alternatives of a type: those of a union but None, else itself alone."""
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(arm for arm in get_args(kind) if arm is not type(None))
    return (kind,)


def _holds_a_secret(kind: Any) -> bool:
    if kind is Secret:
        return True
    if isinstance(kind, type) and attrs.has(kind):
        return any(_holds_a_secret(inner) for inner in get_type_hints(kind).values())
    return any(_holds_a_secret(inner) for inner in get_args(kind))


def _is_whole(text: str) -> bool:
    """Whether it has a form in UTF-8; bytes of an environment variable that are not UTF-8 have none."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _texts(value: object) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]  # a plugin's metadata


def _refusal_text(exc: Exception, values: Mapping[str, Any]) -> str:
    """What a vendor's class said against the values, unless that gives a secret away."""
    text = exc.args[0] if exc.args and isinstance(exc.args[0], str) else f"{type(exc).__name__}: {exc}"
    for value in values.values():
        # The scrubber leaves very short texts alone; here it is known where they come from.
        if isinstance(value, Secret) and value.reveal() in scrub(text):
            return "The vendor's check refused them; its words are left out, for they hold a secret."
    return scrub(text)


def _missing(spec: ProviderSpec, field: CredentialField) -> NoAccountError:
    about = f" ({field.help})" if field.help else ""
    return NoAccountError(
        f"An account of {spec.title} needs the field {field.name!r}{about}, and it is missing.",
        provider=spec.name,
        hint=spec.credentials_help or None,
    )


def _unreadable(spec: ProviderSpec, why: str) -> PluginError:
    return PluginError(
        f"The credentials class of {spec.title} cannot be read.",
        plugin=spec.name,
        hook="qprovider_provider",
        why=why,
        hint="This is a fault of the plugin: its class must be an attrs class with annotated fields.",
    )

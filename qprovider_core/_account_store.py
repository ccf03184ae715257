"""Saved accounts: several a provider, by name, one of them the default."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from qprovider_core import config
from qprovider_core._accounts_file import AccountsFile, Document
from qprovider_core._credential_fields import GivenFields, build_credentials, credential_fields
from qprovider_core._keyring import Keyring, forget
from qprovider_core.errors import ConfigurationError, InvalidInputError, UnknownAccountError
from qprovider_core.records import ProviderSpec
from qprovider_core.records._base import Record
from qprovider_core.secret import Secret

FILE_NAME = "accounts.json"
DEFAULT = "default"
ENVIRONMENT = "environment"
ARGUMENTS = "arguments"
RESERVED = (ENVIRONMENT, ARGUMENTS)  # names of accounts that are not in the file
_LONGEST_NAME = 100


@attrs.frozen(kw_only=True, repr=False)
class SavedAccount(Record):
    """One account as it is saved.

    Attributes:
        fields: Name to value; secrets are `Secret`, masked wherever they are shown.
        is_default: Whether it is the one used when none is named.
        in_keyring: Names of the secret fields that the system keyring keeps. A listing does not open the
            keyring: they are in `fields` only when this account was asked for by name.
        source: Which other client saved it, and where, such as ``qiskit-ibm-runtime, ~/.qiskit/qiskit-ibm.json``;
            None for one that was saved with us. Such an account is only read.
        problem: Why an account of another client cannot be used, and what to do; None when it can.
    """

    provider: str
    name: str
    fields: Mapping[str, Any] = attrs.field(factory=dict)
    is_default: bool = False
    in_keyring: tuple[str, ...] = ()
    source: str | None = None
    problem: str | None = None


class AccountStore:
    """The accounts file of this user, and the keyring entries it refers to.

    Every method reads the file anew, so many processes may use it at once.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = config.config_dir() / FILE_NAME if path is None else Path(path)
        self._file = AccountsFile(self.path)

    def accounts(self, provider: str | None = None) -> list[SavedAccount]:
        """All saved accounts, or one provider's, by provider and name.

        Raises:
            AccountsFileError: The file is damaged.
        """
        document = self._file.read()
        return [
            _saved(document, owner, name)
            for owner in sorted(document["accounts"])
            if provider in (None, owner)
            for name in sorted(document["accounts"][owner])
        ]

    def get(self, provider: str, name: str) -> SavedAccount:
        """One account, with all its secrets.

        Raises:
            UnknownAccountError: There is none of that name; near matches are named.
            AccountsFileError: The file is damaged.
            ConfigurationError: A secret is in the system keyring and cannot be had from there.
        """
        document = self._file.read()
        _require(document, provider, name)
        return self.with_secrets(_saved(document, provider, name))

    def with_secrets(self, account: SavedAccount) -> SavedAccount:
        """The account as `get` gives it: with the secrets that the system keyring keeps.

        Raises:
            ConfigurationError: A secret is in the system keyring and cannot be had from there.
        """
        if not account.in_keyring:
            return account
        keyring, fields = Keyring(), dict(account.fields)
        for field in account.in_keyring:
            secret = keyring.get(account.provider, account.name, field)
            if secret is None:
                raise ConfigurationError(
                    f"The {field} of the account {account.name!r} of {account.provider} is not in the system"
                    " keyring any more.",
                    hint=f"Save the account again, with its {field} and overwrite=True.",
                )
            fields[field] = secret
        return attrs.evolve(account, fields=fields)

    def save(
        self,
        spec: ProviderSpec,
        name: str,
        fields: Mapping[str, object],
        *,
        overwrite: bool = False,
        set_as_default: bool | None = None,
        keyring: bool = False,
    ) -> None:
        """Save an account. The first one of a provider becomes its default.

        Args:
            overwrite: Replace the account of that name, if there is one.
            set_as_default: Whether to make it the default; None: only when it is the first.
            keyring: Keep its secrets in the system keyring rather than in the file.
        Raises:
            InvalidInputError: The name is taken, or no name; the provider needs no credentials.
            AccountsFileError: The file is damaged. It is left as it is.
            ConfigurationError: A field does not fit, or the file or the keyring cannot be written.
        """
        fields = GivenFields(fields)
        _check_name(name)
        entry, secrets = _entry(spec, fields)
        if keyring:
            entry["keyring"] = list(secrets)
        else:
            entry["secrets"] = secrets
        entry = {key: value for key, value in entry.items() if value}
        stale: list[str] = []
        with (
            _kept_in_keyring(spec.name, name, secrets if keyring else {}) as keep,
            self._file.changing() as document,
        ):
            accounts = document["accounts"].setdefault(spec.name, {})
            if name in accounts and not overwrite:
                raise InvalidInputError(
                    f"{spec.title} has an account {name!r} already.",
                    hint="Pass overwrite=True to replace it, or choose another name.",
                )
            default = _default_name(document, spec.name)
            if set_as_default or (set_as_default is None and not accounts):
                default = name
            stale = [
                field for field in accounts.get(name, {}).get("keyring", ()) if field not in entry.get("keyring", ())
            ]
            accounts[name] = entry
            if default is not None:
                document["defaults"][spec.name] = default
            keep()
        if stale:
            forget(spec.name, name, stale)

    def delete(self, provider: str, name: str) -> bool:
        """Delete an account, its keyring entries too. False when there is none of that name.

        If it was the default, the account called ``default`` becomes it, or the only one that is left; else there is
        none until `set_default` chooses.

        Raises:
            AccountsFileError: The file is damaged. It is left as it is.
            ConfigurationError: The file cannot be written.
        """
        if not any(account.name == name for account in self.accounts(provider)):
            return False
        with self._file.changing() as document:
            accounts = document["accounts"].get(provider, {})
            entry = accounts.pop(name, None)
            default = _default_name(document, provider)
            document["defaults"].pop(provider, None)
            if default is not None:
                document["defaults"][provider] = default
            if not accounts:
                document["accounts"].pop(provider, None)
        if entry is None:  # another process was faster
            return False
        if entry.get("keyring"):
            forget(provider, name, entry["keyring"])
        return True

    def set_default(self, provider: str, name: str) -> None:
        """Make that account the one used when none is named.

        Raises:
            UnknownAccountError: There is none of that name; near matches are named.
            AccountsFileError: The file is damaged. It is left as it is.
            ConfigurationError: The file cannot be written.
        """
        _require(self._file.read(), provider, name)
        with self._file.changing() as document:
            _require(document, provider, name)
            document["defaults"][provider] = name


def _check_name(name: object) -> None:
    problem = None
    if not isinstance(name, str):
        problem = f"is a text, not of type {type(name).__name__}"
    elif not name.strip() or name != name.strip():
        problem = "is not empty, and neither begins nor ends with a space"
    elif not name.isprintable() or len(name) > _LONGEST_NAME:
        problem = f"has at most {_LONGEST_NAME} characters, all of them printable"
    elif set(name) & set("/:@"):
        problem = "is without the characters / : @, which separate the parts of a backend's full name"
    elif name in RESERVED:
        problem = f"is not {name!r}: that one is for credentials that are not saved"
    if problem:
        raise InvalidInputError(f"An account's name {problem}.", hint="Choose another name, such as 'work'.")


def _entry(spec: ProviderSpec, fields: Mapping[str, object]) -> tuple[Document, dict[str, Secret]]:
    """What to keep of the fields: plain values as JSON types, and the secrets."""
    from qprovider_core.serialization import to_json  # late: cattrs is slow to import

    credentials = build_credentials(spec, fields)
    if credentials is None:
        raise InvalidInputError(
            f"{spec.title} needs no credentials, so there is no account to save.",
            hint=f"Open it with qp.open_account({spec.name!r}).",
        )
    plain: dict[str, Any] = {}
    secrets: dict[str, Secret] = {}
    for field in credential_fields(spec):
        if fields.get(field.name) is None:
            continue  # the default of the class at the time of use
        value = getattr(credentials, field.attribute)
        if field.secret:
            secrets[field.name] = value
        else:
            plain[field.name] = to_json(value)
            _check_storable(field.name, plain[field.name])
    return {"fields": plain}, secrets


def _check_storable(field: str, value: object) -> None:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as exc:
        raise InvalidInputError(
            f"The field {field!r} cannot be saved: it has no form in JSON.",
            why=f"{exc}.",
            hint="Pass texts, numbers, truth values, lists and mappings of these.",
        ) from exc


@contextmanager
def _kept_in_keyring(provider: str, name: str, secrets: Mapping[str, Secret]) -> Iterator[Callable[[], None]]:
    """A function that puts the secrets into the keyring; what it put is taken back if the block fails."""
    keyring = Keyring() if secrets else None
    undo: list[tuple[str, Secret | None]] = []

    def keep() -> None:
        for field, secret in secrets.items():
            assert keyring is not None
            undo.append((field, keyring.get(provider, name, field)))
            keyring.put(provider, name, field, secret)

    try:
        yield keep
    except BaseException:
        for field, before in undo:
            assert keyring is not None
            if before is None:
                keyring.remove(provider, name, field)
            else:
                keyring.put(provider, name, field, before)
        raise


def _saved(document: Document, provider: str, name: str) -> SavedAccount:
    entry = document["accounts"][provider][name]
    return SavedAccount(
        provider=provider,
        name=name,
        fields={**entry.get("fields", {}), **entry.get("secrets", {})},
        is_default=_default_name(document, provider) == name,
        in_keyring=tuple(entry.get("keyring", ())),
    )


def _default_name(document: Document, provider: str) -> str | None:
    """The default that the file names, if it is there; else the account of that name, or the only one; else none."""
    accounts = document["accounts"].get(provider, {})
    name: str | None = document["defaults"].get(provider)
    if name in accounts:
        return name
    if DEFAULT in accounts:
        return DEFAULT
    return next(iter(accounts)) if len(accounts) == 1 else None


def _require(document: Document, provider: str, name: str) -> None:
    accounts = document["accounts"].get(provider, {})
    if name not in accounts:
        raise UnknownAccountError(
            name,
            sorted(accounts),
            what=f"No account {name!r} of {provider} is saved.",
            hint=None if accounts else f"Add one with `qprovider accounts add {provider}`.",
        )

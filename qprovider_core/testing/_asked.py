"""What ``pytest --qprovider-contract acme`` was asked for: classes of contract tests of installed plugins."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from typing import Any

import attrs
import pytest

from qprovider_core._account import Account
from qprovider_core._plugins import registry
from qprovider_core._provider import Provider
from qprovider_core.credentials import ForeignAccounts, resolve_account
from qprovider_core.errors import QProviderError, UnknownProviderError
from qprovider_core.fleet import open_account
from qprovider_core.testing._declarations import Declarations
from qprovider_core.testing.contract import ProviderContract

_WORDS = {"true": True, "yes": True, "false": False, "no": False, "none": None}
_DEFAULTS: Mapping[str, Any] = {name: getattr(Declarations, name) for name in Declarations.__annotations__}


@attrs.frozen
class Contract:
    """The contract tests of one plugin.

    Attributes:
        tests: The class; saved_account: the account to open, None for the default one; own_account: whether the class
            brings a fixture of its own instead.
    """

    vendor: Provider
    tests: type[ProviderContract]
    saved_account: str | None
    own_account: bool

    @property
    def name(self) -> str:
        """The provider's."""
        return self.vendor.spec.name

    @contextmanager
    def account(self, session: Any) -> Iterator[Account]:
        """The account, opened. Where that fails the tests fail, and all are given up: none of them could pass."""
        try:
            opened = open_account(self.name, self.saved_account)
        except QProviderError as exc:
            session.shouldfail = f"the account of {self.name} cannot be opened"
            pytest.fail(
                f"The account of {self.name} cannot be opened: {exc}\nSee it with `qprovider accounts`, or add another "
                f"with `qprovider accounts add {self.name}` and name it with --qprovider-account.",
                pytrace=False,
            )
        with opened:
            yield opened


contracts = pytest.StashKey[list[Contract]]()


def load(config: pytest.Config) -> None:
    """Find the plugins that are asked for, and what they declare.

    Raises:
        pytest.UsageError: One is not there, cannot be used, or says of itself what cannot be understood.
    """
    declared = dict(_declaration(text) for text in config.getoption("--qprovider-declare"))
    account = config.getoption("--qprovider-account")
    names = dict.fromkeys(config.getoption("--qprovider-contract"))
    config.stash[contracts] = [_contract(name, declared, account) for name in names]


def header(config: pytest.Config) -> list[str]:
    """Lines about what is checked, and what is not."""
    lines = []
    for one in config.stash[contracts]:
        declared = {name: getattr(one.tests, name) for name in _DEFAULTS}
        lacks = [name for name, value in declared.items() if value is False]
        where = declared["noiseless_backend"] or declared["backend_name"] or "the least busy simulator"
        account = (
            "an account of the contract's own" if one.own_account else f"account {one.saved_account or 'by default'}"
        )
        lines.append(f"contract: {one.vendor.spec.title} ({one.name}), {account}, on {where}")
        lines.append(f"declared: {', '.join(f'{name} = False' for name in lacks) or 'everything is supported'}")
    return lines


def _contract(name: str, declared: Mapping[str, Any], account: str | None) -> Contract:
    vendor = _vendor(name)
    base, said = _declared_by(vendor)
    own = hasattr(base, "account")
    if own and account is not None:
        raise pytest.UsageError(
            f"--qprovider-account {account}: the contract tests of {name} open an account of their own; leave it out"
        )
    if not own:
        _check_account(vendor, account)
    title = "".join(word.capitalize() for word in vendor.spec.name.split("_"))
    doc = f"{vendor.spec.title} keeps the contract."
    tests = type(f"Test{title}", (base,), {**said, **declared, "__test__": True, "__doc__": doc})
    return Contract(vendor, tests, account, own)


def _vendor(name: str) -> Provider:
    providers = {info.name: info.provider for info in registry().infos() if info.provider}  # by plugin, too
    try:
        return registry().provider(providers.get(name, name))
    except UnknownProviderError as exc:
        known = ", ".join(vendor.spec.name for vendor in registry().providers())
        more = "" if "Choose one of" in str(exc) else f"Installed: {known or 'no plugin of a vendor'}."
        raise _usage(f"--qprovider-contract {name}", exc, more) from exc
    except QProviderError as exc:  # what it needs is not installed
        raise _usage(f"--qprovider-contract {name}", exc) from exc


def _declared_by(vendor: Provider) -> tuple[type[ProviderContract], Mapping[str, Any]]:
    """The class of checks, and declarations to be added to it, as the plugin names them."""
    place = vendor.spec.contract
    if place is None:
        return ProviderContract, {}
    module, _, path = place.partition(":")
    try:
        found: Any = reduce(getattr, filter(None, path.split(".")), import_module(module))
    except QProviderError as exc:
        raise _usage(f"The contract of {vendor.spec.name}, {place}, cannot be used", exc) from exc
    except Exception as exc:  # a plugin's own code may raise anything
        raise pytest.UsageError(
            f"The contract of {vendor.spec.name}, {place}, cannot be loaded: {type(exc).__name__}: {exc}"
        ) from exc
    if isinstance(found, Mapping):
        return ProviderContract, {name: _checked(name, value, f"The contract {place}") for name, value in found.items()}
    if isinstance(found, type) and issubclass(found, ProviderContract):
        return found, {}
    raise pytest.UsageError(
        f"The contract of {vendor.spec.name}, {place}, is {found!r}; it must be a subclass of "
        "qprovider_core.testing.ProviderContract, or a mapping of declarations"
    )


def _declaration(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise pytest.UsageError(f"--qprovider-declare takes NAME=VALUE, such as supports_cancel=false, not {text!r}")
    try:
        given = _WORDS[value.lower()] if value.lower() in _WORDS else ast.literal_eval(value)
    except (ValueError, SyntaxError):
        given = value  # a text, such as the name of a backend
    return name.strip(), _checked(name.strip(), given, "--qprovider-declare")


def _checked(name: str, value: Any, where: str) -> Any:
    if name not in _DEFAULTS:
        near = get_close_matches(name, _DEFAULTS, n=1)
        guess = f"did you mean {near[0]}?" if near else f"there are {', '.join(_DEFAULTS)}"
        raise pytest.UsageError(f"{where}: {name} is no declaration; {guess}")
    if type(_DEFAULTS[name]) is bool and type(value) is not bool:
        raise pytest.UsageError(f"{where}: {name} is true or false, not {value!r}")
    if type(_DEFAULTS[name]) in (int, float) and (type(value) not in (int, float) or value <= 0):
        raise pytest.UsageError(f"{where}: {name} is a number above 0, not {value!r}")
    return value


def _check_account(vendor: Provider, name: str | None) -> None:
    try:
        resolve_account(vendor.spec, name=name, foreign=ForeignAccounts(vendor))
    except QProviderError as exc:  # says how to add one
        raise _usage(f"The contract tests of {vendor.spec.name} need an account", exc) from exc


def _usage(what: str, exc: QProviderError, more: str = "") -> pytest.UsageError:
    said = [line for line in str(exc).splitlines() if line.strip()]
    return pytest.UsageError(
        "\n".join([f"{what}: {said[0]}", *said[1:], *([more] if more and more not in said else [])])
    )

"""Accounts that a vendor's own client saved on this machine: asked of its plugin, checked, never changed."""

from __future__ import annotations

from collections.abc import Container, Iterable
from concurrent.futures import Future
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import attrs

from qprovider_core._account_store import RESERVED, SavedAccount
from qprovider_core._concurrency import in_background
from qprovider_core._credential_fields import build_credentials, credential_fields
from qprovider_core.errors import ConfigurationError, DeadlineError, InvalidInputError, PluginError, failure_text
from qprovider_core.records import ForeignAccount
from qprovider_core.secret import Secret

if TYPE_CHECKING:
    from qprovider_core._provider import Provider

HOOK = "qprovider_foreign_accounts"
_PATIENCE_S = 5.0  # a small local file; a home on a slow network may take a moment
_MOST_NAMES = 5  # that a note lists
_LONGEST_NAME = 60  # characters of a name that a note shows


class ForeignAccounts:
    """One vendor's foreign accounts, read when they are first looked at. Make a new one for each look.

    Whatever its plugin does, nothing is raised here: what is wrong is in `note`.
    """

    def __init__(self, vendor: Provider | None = None) -> None:
        self._vendor = vendor
        self._hidden: frozenset[str] = frozenset()

    def hide(self, names: Iterable[str]) -> None:
        """Leave those of these names out: accounts saved with us are called so, and win."""
        self._hidden = frozenset(names)

    def all(self) -> list[ForeignAccount]:
        """Those with a name, in the plugin's order; `problem` says of each that cannot be used why."""
        return [
            attrs.evolve(account, problem=self._problem(account))
            for account in self._read[0]
            if account.name and account.name not in self._hidden
        ]

    def usable(self) -> list[ForeignAccount]:
        """Those that can be opened, the default first."""
        chosen = self.default()
        sound = [account for account in self.all() if account.problem is None]
        return sorted(sound, key=lambda account: chosen is None or account.name != chosen.name)

    def get(self, name: str) -> ForeignAccount | None:
        """The one of that name, as its plugin gave it."""
        if not name or name in self._hidden:
            return None
        return next((account for account in self._read[0] if account.name == name), None)

    def default(self) -> ForeignAccount | None:
        """The one to use when none is named: what the other client would take, else the only one."""
        sound = [a for a in self._read[0] if a.name and a.problem is None and a.name not in self._hidden]
        flagged = [account for account in sound if account.is_default]
        return flagged[0] if flagged else sound[0] if len(sound) == 1 else None

    def note(self, *, listed: bool = False) -> str | None:
        """What is not used and why, as one text; None when there is nothing to say.

        Args:
            listed: Leave out what `all` shows with its problem.
        """
        accounts, failure = self._read
        groups: dict[tuple[str, str], list[str]] = {}
        hints: dict[str, None] = {}
        for account in accounts:
            problem = None if account.name in self._hidden or (listed and account.name) else self._problem(account)
            if problem is not None:
                groups.setdefault((account.source, problem.rstrip(".")), []).append(account.name)
                hints |= {account.hint: None} if account.hint else {}
        parts = [f"{_told(names)}{source}: {problem}" for (source, problem), names in groups.items()]
        sentences = [f"Accounts not used: {'; '.join(parts)}."] if parts else []
        if failure is not None:
            sentences.append(f"Accounts that other clients saved are not known: {failure_text(failure)}")
        return " ".join([*sentences, *hints]) or None

    def refuse_change(self, name: str, verb: str, advice: str | None = None) -> None:
        """Say whose account it is, where it is one of these.

        Raises:
            InvalidInputError: It belongs to another client.
        """
        account = self.get(name)
        if account is None:
            return
        removal = f"Delete it with that client: {account.removal}" if account.removal else "Delete it with that client"
        raise InvalidInputError(
            f"The account {name!r} cannot be {verb} here: it belongs to {account.source}.",
            why="It is only read; what another client keeps is never changed.",
            hint=advice or f"{removal.rstrip('.')}.",
        )

    def refusal(self, account: ForeignAccount) -> ConfigurationError | None:
        """The error for somebody who asks for an account that its plugin calls unusable."""
        if account.problem is None:
            return None
        return ConfigurationError(
            f"The account {account.name!r} of {account.source} cannot be used.",
            why=f"{account.problem.rstrip('.')}.",
            hint=account.hint,
        )

    def _problem(self, account: ForeignAccount) -> str | None:
        return account.problem or self._unfit.get(account.name)

    @cached_property
    def _read(self) -> tuple[tuple[ForeignAccount, ...], BaseException | None]:
        """The sound records of the answer, and what went wrong with it as a whole."""
        if self._vendor is None or not self._vendor.supports(HOOK):
            return (), None
        answer, failure = _asked(self._vendor)
        if failure is not None or answer is None:
            return (), failure
        if not isinstance(answer, tuple):
            return (), _nonsense(self._vendor, f"a {type(answer).__name__}; a list was expected")
        found: dict[object, ForeignAccount] = {}
        secret = {field.name for field in credential_fields(self._vendor.spec) if field.secret}
        for position, item in enumerate(answer):
            try:
                account = _sound(item, secret)
            except Exception as exc:  # noqa: BLE001  whatever the plugin put there
                failure = _nonsense(self._vendor, f"an unusable entry: {failure_text(exc)}")
            else:
                found.setdefault(account.name or position, account)
        return tuple(found.values()), failure

    @cached_property
    def _unfit(self) -> dict[str, str]:
        """Name to reason of those that the provider's own class of credentials refuses."""
        assert self._vendor is not None
        reasons = {}
        for account in self._read[0]:
            if account.name and account.problem is None:
                try:
                    build_credentials(self._vendor.spec, account.fields)
                except Exception as exc:  # noqa: BLE001  what is in the fields is the plugin's doing
                    reasons[account.name] = failure_text(exc)
        return reasons


def listing(vendor: Provider, own: Iterable[str]) -> tuple[list[SavedAccount], str | None]:
    """The vendor's foreign accounts for a listing beside our `own` names, and what it cannot show."""
    foreign, own = ForeignAccounts(vendor), list(own)
    foreign.hide(own)
    chosen = None if own else foreign.default()
    accounts = [
        SavedAccount(
            provider=vendor.spec.name,
            name=account.name,
            fields=account.fields,
            is_default=chosen is not None and account.name == chosen.name,
            source=account.source,
            problem=account.problem and " ".join([f"{account.problem.rstrip('.')}.", *filter(None, [account.hint])]),
        )
        for account in foreign.all()
    ]
    return accounts, foreign.note(listed=True)


_hanging: WeakKeyDictionary[Provider, Future[Any]] = WeakKeyDictionary()


def _asked(vendor: Provider) -> tuple[Any, BaseException | None]:
    """The plugin's answer or what it raised, waited for only so long. While a call hangs no other is made."""
    stuck = _hanging.get(vendor)
    if stuck is None or stuck.done():
        stuck = in_background(lambda: vendor.call(HOOK), f"foreign-{vendor.spec.name}")
        try:
            failure = stuck.exception(timeout=_PATIENCE_S)
        except TimeoutError:
            _hanging[vendor] = stuck
        else:
            return (None, failure) if failure is not None else (stuck.result(), None)
    return None, DeadlineError(
        f"The plugin {vendor.plugin_name!r} did not answer {HOOK} within {_PATIENCE_S:g} s.", timeout_s=_PATIENCE_S
    )


def _sound(item: Any, secret: Container[str]) -> ForeignAccount:
    """The record, what is secret in it masked.

    Raises:
        Exception: It is none.
    """
    if type(item) is not ForeignAccount or type(item.name) is not str:
        raise TypeError(f"each is a ForeignAccount, not a {type(item).__name__}")
    fields = {
        name: Secret(value) if name in secret and isinstance(value, str) else value
        for name, value in dict(item.fields).items()
    }
    if item.name in RESERVED and item.problem is None:
        problem = f"the name {item.name!r} has a meaning of its own here"
        return attrs.evolve(item, fields=fields, problem=problem, hint="Save it under another name.")
    return attrs.evolve(item, fields=fields)


def _nonsense(vendor: Provider, what: str) -> PluginError:
    return PluginError(
        f"The plugin {vendor.plugin_name!r} answered {HOOK} with {what}.", plugin=vendor.plugin_name, hook=HOOK
    )


def _told(names: list[str]) -> str:
    """The names as the beginning of a sentence; empty when the problem is with the whole source."""
    shown = [repr(name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…") for name in names if name]
    if len(shown) > _MOST_NAMES:
        shown[_MOST_NAMES:] = [f"{len(shown) - _MOST_NAMES} more"]
    return f"{', '.join(shown)} of " if shown else ""

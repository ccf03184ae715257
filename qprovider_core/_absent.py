"""An account that cannot be had any more: its plugin was uninstalled, or it was deleted. What the ledger keeps of its
jobs is told all the same."""

from __future__ import annotations

from typing import Any

from qprovider_core._account import Account
from qprovider_core._provider import Provider
from qprovider_core.credentials import ResolvedAccount
from qprovider_core.errors import PluginError
from qprovider_core.records import AccountRef, Deadline, ProviderSpec


class AbsentAccount(Account):
    """An account through which nothing can be asked; every attempt says why."""

    def __init__(self, provider: str, name: str, why: str | None) -> None:
        spec = ProviderSpec(name=provider, title=provider)
        vendor = Provider(f"{provider} (absent)", None, spec, frozenset())
        ref = AccountRef(provider=provider, name=name)
        super().__init__(vendor, ResolvedAccount(ref=ref, credentials=None, source="the ledger"))
        self._why = why

    def supports(self, hook: str) -> bool:
        return False

    def takes(self, hook: str, argument: str) -> bool:
        return False

    def call(self, hook: str, *, deadline: Deadline, **arguments: Any) -> Any:
        raise self._gone()

    def ask(self, hook: str, **arguments: Any) -> Any:
        raise self._gone()

    def open(self, timeout: float | None = None) -> Any:
        raise self._gone()

    def __reduce__(self) -> tuple[Any, ...]:
        return (absent_account, (self.provider, self.name, self._why))

    def _gone(self) -> PluginError:
        return PluginError(
            f"{self.label} cannot be asked: its plugin or its account is gone.",
            plugin=self.provider,
            why=self._why,
            hint=f"What the ledger has of the job can be read. For more, install the plugin of {self.provider} and add "
            "the account again.",
        )


def absent_account(provider: str, name: str, why: str | None = None) -> Account:
    """The account of a job whose plugin or account is gone."""
    return AbsentAccount(provider, name, why)

"""Secrets in the system keyring: a thin border around the optional package `keyring`."""

from __future__ import annotations

from typing import Any

from qprovider_core.errors import ConfigurationError
from qprovider_core.secret import Secret, get_logger

SERVICE = "qprovider"


class Keyring:
    """The system keyring. Entries are named ``provider/account/field``.

    Raises:
        ConfigurationError: The package is missing, or it finds no keyring to use.
    """

    def __init__(self) -> None:
        try:
            import keyring  # late and optional
            from keyring.backends import fail, null
        except ImportError:
            raise ConfigurationError(
                "The system keyring cannot be used.",
                why="The package `keyring` is not installed.",
                hint="Install it: `pip install qprovider-core[keyring]`. Or save the account without it.",
            ) from None
        self._backend: Any = keyring.get_keyring()
        if isinstance(self._backend, fail.Keyring | null.Keyring):
            raise _unusable("No keyring service runs here.")

    def get(self, provider: str, account: str, field: str) -> Secret | None:
        """The secret; None when there is no such entry."""
        text = self._call("get_password", SERVICE, f"{provider}/{account}/{field}")
        return None if text is None else Secret(text)

    def put(self, provider: str, account: str, field: str, secret: Secret) -> None:
        """Keep the secret, and make sure that it is kept: some backends forget without a word."""
        username = f"{provider}/{account}/{field}"
        self._call("set_password", SERVICE, username, secret.reveal())
        if self.get(provider, account, field) != secret:
            raise _unusable("It did not keep what it was given.")

    def remove(self, provider: str, account: str, field: str) -> None:
        """Delete the entry if there is one."""
        if self.get(provider, account, field) is not None:
            self._call("delete_password", SERVICE, f"{provider}/{account}/{field}")

    def _call(self, method: str, *args: str) -> Any:
        kind = None
        try:
            return getattr(self._backend, method)(*args)
        except Exception as exc:  # noqa: BLE001  # a backend talks to the desktop and may raise anything
            kind = f"{type(exc).__name__}: {exc}"
        raise _unusable(kind)


def forget(provider: str, account: str, fields: list[str]) -> None:
    """Delete entries that nothing refers to any more. Where that fails it is said, and not an error."""
    try:
        keyring = Keyring()
        for field in fields:
            keyring.remove(provider, account, field)
    except ConfigurationError as exc:
        get_logger("qprovider").warning(
            "The account is deleted, but its secrets may still be in the system keyring (service %r, entries"
            " '%s/%s/…'): %s",
            SERVICE,
            provider,
            account,
            exc.why,
        )


def _unusable(why: str) -> ConfigurationError:
    return ConfigurationError(
        "The system keyring cannot be used.",
        why=why,
        hint="Unlock or set up a keyring, or save the account without it: its file is readable by you only.",
    )

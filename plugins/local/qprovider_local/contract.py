"""What the contract tests are told of this plugin: ``pytest --qprovider-contract local``. Only they import this."""

from __future__ import annotations

from typing import ClassVar

from qprovider_core.testing import ProviderContract


class LocalContract(ProviderContract):
    """The ideal simulator. Subclass it to run on another backend."""

    noiseless_backend: ClassVar[str | None] = "aer_simulator"
    supports_defaults: ClassVar[bool] = False
    supports_sessions: ClassVar[bool] = False
    supports_reconnecting: ClassVar[bool] = False  # jobs live in the connection's own workers

"""All the checks in one class."""

from __future__ import annotations

from qprovider_core.testing._backends import BackendChecks
from qprovider_core.testing._isolation import IsolationChecks
from qprovider_core.testing._jobs import JobChecks
from qprovider_core.testing._records import RecordChecks
from qprovider_core.testing._running import RunningChecks


class ProviderContract(IsolationChecks, BackendChecks, RecordChecks, RunningChecks, JobChecks):
    """What every plugin promises. Subclass it, define an `account` fixture, declare what is not supported."""

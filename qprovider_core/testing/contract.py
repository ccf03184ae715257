"""All the checks in one class."""

from __future__ import annotations

from qprovider_core.testing._backends import BackendChecks
from qprovider_core.testing._cancelling import CancellingChecks
from qprovider_core.testing._closing import ClosingChecks
from qprovider_core.testing._compiling import CompilingChecks
from qprovider_core.testing._devices import DeviceChecks
from qprovider_core.testing._finding import FindingChecks
from qprovider_core.testing._isolation import IsolationChecks
from qprovider_core.testing._jobs import JobChecks
from qprovider_core.testing._records import RecordChecks
from qprovider_core.testing._running import RunningChecks
from qprovider_core.testing._secrets import SecretChecks
from qprovider_core.testing._sessions import SessionChecks


class ProviderContract(
    IsolationChecks,
    BackendChecks,
    DeviceChecks,
    CompilingChecks,
    RecordChecks,
    RunningChecks,
    JobChecks,
    SessionChecks,
    CancellingChecks,
    FindingChecks,
    SecretChecks,
    ClosingChecks,
):
    """What every plugin promises. Subclass it, define an `account` fixture, declare what is not supported."""

"""Frozen values that cross the plugin border. All are importable from `qprovider_core`.

Each is loaded when it is first used: making a class of records takes half a millisecond, and a listing of backends
needs a few of them only.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qprovider_core.records.accounts import AccountInfo as AccountInfo
    from qprovider_core.records.accounts import AccountRef as AccountRef
    from qprovider_core.records.accounts import Deadline as Deadline
    from qprovider_core.records.accounts import ForeignAccount as ForeignAccount
    from qprovider_core.records.accounts import InstanceInfo as InstanceInfo
    from qprovider_core.records.accounts import ProviderSpec as ProviderSpec
    from qprovider_core.records.accounts import TokenCredentials as TokenCredentials
    from qprovider_core.records.accounts import Usage as Usage
    from qprovider_core.records.backends import BackendInfo as BackendInfo
    from qprovider_core.records.backends import BackendRef as BackendRef
    from qprovider_core.records.backends import BackendStatus as BackendStatus
    from qprovider_core.records.backends import ListProblem as ListProblem
    from qprovider_core.records.configurations import BackendConfiguration as BackendConfiguration
    from qprovider_core.records.configurations import GateConfiguration as GateConfiguration
    from qprovider_core.records.jobs import EstimatePub as EstimatePub
    from qprovider_core.records.jobs import JobDetails as JobDetails
    from qprovider_core.records.jobs import JobInfo as JobInfo
    from qprovider_core.records.jobs import JobPage as JobPage
    from qprovider_core.records.jobs import JobQuery as JobQuery
    from qprovider_core.records.jobs import JobRef as JobRef
    from qprovider_core.records.jobs import JobRequest as JobRequest
    from qprovider_core.records.jobs import JobState as JobState
    from qprovider_core.records.jobs import JobUsage as JobUsage
    from qprovider_core.records.jobs import QueueInfo as QueueInfo
    from qprovider_core.records.jobs import SamplePub as SamplePub
    from qprovider_core.records.jobs import Submission as Submission
    from qprovider_core.records.jobs import SubmissionOutcome as SubmissionOutcome
    from qprovider_core.records.ledger import JobEvent as JobEvent
    from qprovider_core.records.ledger import JobRecord as JobRecord
    from qprovider_core.records.properties import BackendProperties as BackendProperties
    from qprovider_core.records.properties import GateCalibration as GateCalibration
    from qprovider_core.records.properties import Measured as Measured
    from qprovider_core.records.properties import PropertiesContent as PropertiesContent
    from qprovider_core.records.properties import QubitCalibration as QubitCalibration
    from qprovider_core.records.results import EstimatePubResult as EstimatePubResult
    from qprovider_core.records.results import JobResult as JobResult
    from qprovider_core.records.results import RegisterBits as RegisterBits
    from qprovider_core.records.results import SamplePubResult as SamplePubResult
    from qprovider_core.records.sessions import SessionInfo as SessionInfo
    from qprovider_core.records.sessions import SessionRequest as SessionRequest

_HOMES = {
    "accounts": (
        "AccountInfo",
        "AccountRef",
        "Deadline",
        "ForeignAccount",
        "InstanceInfo",
        "ProviderSpec",
        "TokenCredentials",
        "Usage",
    ),
    "backends": (
        "BackendInfo",
        "BackendRef",
        "BackendStatus",
        "ListProblem",
    ),
    "configurations": ("BackendConfiguration", "GateConfiguration"),
    "jobs": (
        "EstimatePub",
        "JobDetails",
        "JobInfo",
        "JobPage",
        "JobQuery",
        "JobRef",
        "JobRequest",
        "JobState",
        "JobUsage",
        "QueueInfo",
        "SamplePub",
        "Submission",
        "SubmissionOutcome",
    ),
    "ledger": (
        "JobEvent",
        "JobRecord",
    ),
    "properties": (
        "BackendProperties",
        "GateCalibration",
        "Measured",
        "PropertiesContent",
        "QubitCalibration",
    ),
    "results": (
        "EstimatePubResult",
        "JobResult",
        "RegisterBits",
        "SamplePubResult",
    ),
    "sessions": (
        "SessionInfo",
        "SessionRequest",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})

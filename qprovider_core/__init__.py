"""One account for every quantum computer.

    import qprovider_core as qp

    backends = qp.backends(min_num_qubits=5, simulator=False, operational=True)
    backends.errors                        # who did not answer, and why
    backend = qp.least_busy(backends)
    job = backend.run(transpile(circuit, backend), shots=1024)
    job.result().get_counts()

Every name is loaded when it is first used: importing this package costs next to nothing, listing backends does not
import Qiskit, and only handles (`backends`, `get_backend`, jobs) do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from qprovider_core._account import Account as Account
    from qprovider_core._backend import Backend as Backend
    from qprovider_core._facts import use_cache as use_cache
    from qprovider_core._job import Job as Job
    from qprovider_core._job_book import find_job as find_job
    from qprovider_core._job_book import list_jobs as list_jobs
    from qprovider_core._jobs import job as job
    from qprovider_core._jobs import jobs as jobs
    from qprovider_core._lists import BackendList as BackendList
    from qprovider_core._lists import JobList as JobList
    from qprovider_core._lists import QueryError as QueryError
    from qprovider_core._monitor import job_monitor as job_monitor
    from qprovider_core._plugins import PluginInfo as PluginInfo
    from qprovider_core._plugins import plugins as plugins
    from qprovider_core._plugins import register_plugin as register_plugin
    from qprovider_core._plugins import unregister_plugin as unregister_plugin
    from qprovider_core._reconcile import Reconciled as Reconciled
    from qprovider_core._reconcile import reconcile as reconcile
    from qprovider_core._register import register_backend as register_backend
    from qprovider_core._session import Batch as Batch
    from qprovider_core._session import Session as Session
    from qprovider_core._target import build_target as build_target
    from qprovider_core._usage import AccountUsage as AccountUsage
    from qprovider_core._usage import UsageList as UsageList
    from qprovider_core._usage import usage as usage
    from qprovider_core._waiting import Waited as Waited
    from qprovider_core._waiting import as_completed as as_completed
    from qprovider_core._waiting import wait as wait
    from qprovider_core.credentials import SavedAccount as SavedAccount
    from qprovider_core.credentials import delete_account as delete_account
    from qprovider_core.credentials import save_account as save_account
    from qprovider_core.credentials import saved_accounts as saved_accounts
    from qprovider_core.credentials import set_default_account as set_default_account
    from qprovider_core.errors import *  # noqa: F403  the error classes, for type checkers
    from qprovider_core.fleet import backends as backends
    from qprovider_core.fleet import get_backend as get_backend
    from qprovider_core.fleet import least_busy as least_busy
    from qprovider_core.fleet import list_backends as list_backends
    from qprovider_core.fleet import open_account as open_account
    from qprovider_core.hookspecs import hookimpl as hookimpl
    from qprovider_core.ledger import Ledger as Ledger
    from qprovider_core.ledger import use_ledger as use_ledger
    from qprovider_core.records import *  # noqa: F403  all records, for type checkers
    from qprovider_core.secret import Secret as Secret

_HOMES = {
    "_account": ("Account",),
    "_backend": ("Backend",),
    "_job": ("Job",),
    "_job_book": ("find_job", "list_jobs"),
    "_jobs": ("job", "jobs"),
    "_facts": ("use_cache",),
    "_lists": ("BackendList", "JobList", "QueryError"),
    "_monitor": ("job_monitor",),
    "_plugins": ("PluginInfo", "plugins", "register_plugin", "unregister_plugin"),
    "_reconcile": ("Reconciled", "reconcile"),
    "_register": ("register_backend",),
    "_session": ("Batch", "Session"),
    "_target": ("build_target",),
    "_usage": ("AccountUsage", "UsageList", "usage"),
    "_waiting": ("Waited", "as_completed", "wait"),
    "credentials": (
        "SavedAccount",
        "delete_account",
        "save_account",
        "saved_accounts",
        "set_default_account",
    ),
    "errors": (
        "AccountsFileError",
        "AuthenticationError",
        "CircuitError",
        "ConfigurationError",
        "DamagedLedgerError",
        "DeadlineError",
        "InvalidInputError",
        "JobCancelledError",
        "JobError",
        "JobFailedError",
        "JobTimeoutError",
        "LedgerError",
        "MissingPackageError",
        "NoAccountError",
        "NoMatchingBackendError",
        "PluginError",
        "QProviderError",
        "ResponseError",
        "ResultError",
        "SessionClosedError",
        "SubmitUnknownError",
        "TransportError",
        "UnknownAccountError",
        "UnknownAttributeError",
        "UnknownBackendError",
        "UnknownJobError",
        "UnknownNameError",
        "UnknownOptionError",
        "UnknownProviderError",
        "UnknownSessionError",
        "UnsupportedError",
        "VetoError",
        "WhereError",
    ),
    "fleet": ("backends", "get_backend", "least_busy", "list_backends", "open_account"),
    "hookspecs": ("hookimpl",),
    "ledger": ("Ledger", "use_ledger"),
    "records": (
        "AccountInfo",
        "AccountRef",
        "BackendConfiguration",
        "BackendInfo",
        "BackendProperties",
        "BackendRef",
        "BackendStatus",
        "Deadline",
        "EstimatePub",
        "EstimatePubResult",
        "ForeignAccount",
        "GateCalibration",
        "GateConfiguration",
        "InstanceInfo",
        "JobDetails",
        "JobEvent",
        "JobInfo",
        "JobPage",
        "JobQuery",
        "JobRecord",
        "JobRef",
        "JobRequest",
        "JobResult",
        "JobState",
        "JobUsage",
        "ListProblem",
        "Measured",
        "PropertiesContent",
        "ProviderSpec",
        "QubitCalibration",
        "QueueInfo",
        "RegisterBits",
        "SamplePub",
        "SamplePubResult",
        "SessionInfo",
        "SessionRequest",
        "Submission",
        "SubmissionOutcome",
        "TokenCredentials",
        "Usage",
    ),
    "secret": ("Secret",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if home in ("_backend", "_job", "_jobs", "_target"):
        from qprovider_core._native import load_qiskit

        load_qiskit()
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})

"""Fixtures of the core's tests: a process of their own as far as plugins, accounts and settings go, and vendors
built from a few functions. Nothing here is automatic: a module asks for `isolated`."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from qprovider_core import _facts, _plugin_loading, _plugins, fleet, hookimpl
from qprovider_core._account import Account
from qprovider_core.errors import UnknownJobError
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    BackendRef,
    BackendStatus,
    JobInfo,
    JobPage,
    JobResult,
    JobState,
    Measured,
    ProviderSpec,
    QubitCalibration,
    RegisterBits,
    SamplePubResult,
    Submission,
    SubmissionOutcome,
)

_SETTINGS = ("QPROVIDER_DISABLE_PLUGINS", "QPROVIDER_TIMEOUT")


@pytest.fixture
def isolated(monkeypatch, tmp_path) -> None:
    """No installed plugin, no account, no setting of the machine; a registry and a fleet that nobody shares."""
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("QPROVIDER_PLUGINS", "none")
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_plugin_loading, "entry_points", lambda group: [])
    monkeypatch.setattr(_plugins, "_registry", _plugins.Registry())
    monkeypatch.setattr(fleet, "_fleet", fleet.Fleet())


@pytest.fixture
def build_vendor() -> Callable[..., Any]:
    """Makes a plugin object of a vendor: hooks by their names without the prefix, as functions; a list of
    backends may stand for the function that gives it."""

    def build(name: str = "acme", backends: Any = (), *, spec: ProviderSpec | None = None, **hooks: Any) -> Any:
        announced = spec or ProviderSpec(name=name, title=name.title())
        given: dict[str, Any] = {
            "provider": lambda: announced,
            "open_account": lambda: f"connection of {name}",
            "list_backends": backends if callable(backends) else lambda: backends,
            **hooks,
        }
        # A method cannot be marked; those of `Cloud` are marked where they stand.
        marked = {
            f"qprovider_{hook}": f if hasattr(f, "qprovider_impl") else hookimpl(f)
            for hook, f in given.items()
            if f is not None
        }
        return SimpleNamespace(**marked)

    return build


@pytest.fixture
def vendor(isolated, build_vendor) -> Callable[..., Any]:
    """The same, registered; the plugin is called like its provider."""

    def register(name: str = "acme", backends: Any = (), **hooks: Any) -> Any:
        plugin = build_vendor(name, backends, **hooks)
        _plugins.register_plugin(plugin, name)
        return plugin

    return register


@pytest.fixture
def account(vendor) -> Callable[..., Account]:
    """Registers such a vendor and gives its account."""

    def make(name: str = "acme", backends: Any = None, **hooks: Any) -> Account:
        vendor(name, [BackendInfo(name="one")] if backends is None else backends, **hooks)
        return fleet.fleet().party(name).accounts[0]

    return make


@pytest.fixture
def hang() -> Iterator[Callable[..., None]]:
    """A call that does not return before the test ends; `hang.entered` is set once somebody is inside."""
    release, entered = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        entered.set()
        release.wait(60)

    wait.entered = entered
    yield wait
    release.set()


class Cloud:
    """A vendor's service in memory: jobs run at once, exactly, on Qiskit's own sampler."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.jobs: dict[str, Any] = {}

    @hookimpl
    def submit_job(self, request: Any) -> Any:
        self.requests.append(request)
        job = JobInfo(
            id=f"acme-{len(self.requests)}", state=JobState.DONE, backend=request.backend.name, tags=request.tags
        )
        self.jobs[job.id] = (job, request)
        return job

    @hookimpl
    def get_job(self, job: Any) -> Any:
        return self.jobs[job.id][0] if job.id in self.jobs else None

    @hookimpl
    def job_result(self, job: Any) -> Any:
        from qiskit.primitives import StatevectorSampler

        pubs = []
        for pub in self.jobs[job.id][1].pubs:
            done = StatevectorSampler(seed=7).run([(pub.circuit, pub.parameter_values, pub.shots)]).result()[0]
            registers = [
                RegisterBits(name=register.name, num_bits=register.size, data=done.data[register.name].array.tobytes())
                for register in pub.circuit.cregs
            ]
            pubs.append(SamplePubResult(shots=pub.shots, registers=registers))
        return JobResult(pubs=pubs)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def device(account, cloud) -> Callable[..., Any]:
    """A handle of a five-qubit line whose qubit 4 is faulty and which runs rz, sx, x and directed cx."""

    def make(*, configuration: dict[str, Any] | None = None, info: dict[str, Any] | None = None, **hooks: Any) -> Any:
        conf = BackendConfiguration(
            **{
                "backend_name": "line",
                "n_qubits": 5,
                "basis_gates": ("rz", "sx", "x", "cx"),
                "coupling_map": ((0, 1), (1, 2), (2, 3), (3, 4)),
                "supported_instructions": ("rz", "sx", "x", "cx", "measure", "reset", "delay", "if_else"),
                "max_shots": 4000,
                "max_experiments": 3,
                **(configuration or {}),
            }
        )
        faulty = {"operational": Measured(0)}
        qubits = [QubitCalibration(values=faulty if q == 4 else {}) for q in range(conf.n_qubits or 0)]
        calls: dict[str, Any] = {
            "backend_configuration": lambda: conf,
            "backend_properties": lambda: BackendProperties(backend_name="line", qubits=qubits),
            "submit_job": cloud.submit_job,
            "get_job": cloud.get_job,
            "job_result": cloud.job_result,
            **hooks,
        }
        listed = BackendInfo(**{"name": "line", "num_qubits": conf.n_qubits, "operational": True, **(info or {})})
        return account("acme", [listed], **calls).get_backend("line")

    return make


COUNTS = JobResult(pubs=[SamplePubResult.from_counts({"0": 3, "1": 5})])


class Service:
    """A vendor whose jobs are done at once, and that fails as it is told: `faults` are met in turn, one a submission.

    A fault is an error, raised before the job is taken; a pair of "after" and an error, raised once it was taken; or a
    function of the request, which does it all.

    Attributes:
        jobs: Id to what is told of the job, and the request; sent, looks: what it was asked.
        backend: The handle of its device.
    """

    backend: Any

    def __init__(self, *faults: Any) -> None:
        self.faults = list(faults)
        self.jobs: dict[str, Any] = {}
        self.sent: list[Any] = []
        self.looks: list[Any] = []
        self.lookup: Any = None  # an error of the look-up, or an outcome
        self.lock = threading.Lock()

    def take(self, request: Any) -> Any:
        job = JobInfo(id=f"a{len(self.jobs)}", state=JobState.DONE, backend=request.backend.name, tags=request.tags)
        self.jobs[job.id] = (job, request)
        return job

    @hookimpl
    def submit_job(self, request: Any) -> Any:
        with self.lock:
            self.sent.append(request)
            fault = self.faults.pop(0) if self.faults else None
            if isinstance(fault, tuple):
                self.take(request)
                fault = fault[1]
            if callable(fault) and not isinstance(fault, BaseException):
                return fault(request)
            if fault is not None:
                raise fault
            return self.take(request)

    @hookimpl
    def find_submission(self, key: Any) -> Any:
        self.looks.append(key)
        if isinstance(self.lookup, BaseException):
            raise self.lookup
        if self.lookup is not None:
            return Submission(outcome=self.lookup)
        found = [job for job, request in list(self.jobs.values()) if request.key == key]
        if not found:
            return Submission(outcome=SubmissionOutcome.ABSENT)
        return Submission(outcome=SubmissionOutcome.FOUND, job=found[0])

    @hookimpl
    def get_job(self, job: Any) -> Any:
        if job.id not in self.jobs:
            raise UnknownJobError(job.id)
        return self.jobs[job.id][0]

    @hookimpl
    def list_jobs(self, query: Any) -> Any:
        self.looks.append(query)
        listed = [job for job, _ in self.jobs.values() if set(query.tags) <= set(job.tags)]
        return JobPage(jobs=[job for job in listed if not query.ids or job.id in query.ids])

    @hookimpl
    def job_result(self) -> Any:
        return COUNTS


@pytest.fixture
def service(device) -> Callable[..., Service]:
    """Makes such a vendor, with a settle time of 0; `find`: whether it has a look-up."""

    def make(*faults: Any, spec: ProviderSpec | None = None, find: bool = True, **hooks: Any) -> Service:
        made = Service(*faults)
        given = {"submit_job": made.submit_job, "get_job": made.get_job, "job_result": made.job_result, **hooks}
        if find:
            given.setdefault("find_submission", made.find_submission)
        quick = ProviderSpec(name="acme", title="Acme", min_poll_s=0.001, settle_time_s=0.0)
        made.backend = device(spec=spec or quick, **given)
        return made

    return make


class Asked:
    """A vendor with two backends that counts what it is asked, and tells what a test puts into it.

    Attributes:
        asked: Words such as ``list`` or ``configuration of one``, in order.
        trouble: Raised by every hook, where it is set.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.trouble: BaseException | None = None
        self.listed: list[Any] = [
            BackendInfo(name="one", num_qubits=5, operational=True, pending_jobs=1),
            BackendInfo(name="two", num_qubits=9, operational=True, pending_jobs=2),
        ]
        self.version: str | None = None  # of configurations, calibrations and statuses
        self.updated: datetime | None = None
        self.pending = 3

    def _heard(self, words: str) -> None:
        self.asked.append(words)
        if self.trouble is not None:
            raise self.trouble

    @hookimpl
    def list_backends(self) -> Any:
        self._heard("list")
        return list(self.listed)

    @hookimpl
    def backend_configuration(self, backend: BackendRef) -> Any:
        self._heard(f"configuration of {backend.name}")
        return BackendConfiguration(
            backend_name=backend.name, backend_version=self.version, n_qubits=5, basis_gates=("cx", "rz")
        )

    @hookimpl
    def backend_status(self, backend: BackendRef) -> Any:
        self._heard(f"status of {backend.name}")
        return BackendStatus(
            backend_name=backend.name, backend_version=self.version, operational=True, pending_jobs=self.pending
        )

    @hookimpl
    def backend_properties(self, backend: BackendRef) -> Any:
        self._heard(f"properties of {backend.name}")
        return BackendProperties(
            backend_name=backend.name, backend_version=self.version, last_update=self.updated, qubits=()
        )

    @hookimpl
    def submit_job(self, request: Any) -> Any:
        self._heard("submission")
        return JobInfo(id="a1", state=JobState.QUEUED, backend=request.backend.name)

    @hookimpl
    def get_job(self, job: Any) -> Any:
        return JobInfo(id=job.id, state=JobState.QUEUED, backend="one")

    @hookimpl
    def cancel_job(self) -> bool:
        self._heard("cancellation")
        return True

    def since(self) -> list[str]:
        """What it was asked since the last time, sorted."""
        asked, self.asked = sorted(self.asked), []
        return asked


@pytest.fixture
def asked(vendor, monkeypatch) -> Callable[..., Asked]:
    """Registers such a vendor; answers are remembered in memory, the default."""
    monkeypatch.delenv("QPROVIDER_CACHE", raising=False)
    monkeypatch.delenv("QPROVIDER_CACHE_DIR", raising=False)
    monkeypatch.setattr(_facts, "_chosen", None)
    hooks = ("backend_configuration", "backend_status", "backend_properties", "submit_job", "get_job", "cancel_job")

    def register(name: str = "acme", **changed: Any) -> Asked:
        made = Asked()
        spec = ProviderSpec(**{"name": name, "title": "Acme", "settle_time_s": 0.0, **changed})
        vendor(name, made.list_backends, spec=spec, **{hook: getattr(made, hook) for hook in hooks})
        return made

    return register


@pytest.fixture
def acme(asked) -> Asked:
    """One called acme."""
    return asked()

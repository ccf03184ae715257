"""One backend of a vendor: what it says of itself, in the core's words."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

from qiskit.circuit import Measure
from qiskit.providers import BackendV2
from qiskit.transpiler import Target

from qprovider_core.errors import PluginError, QProviderError, TransportError, failure_text
from qprovider_core.records import BackendConfiguration, BackendInfo, BackendProperties, BackendStatus, Deadline
from qprovider_qiskit._documents import configuration_of, properties_of
from qprovider_qiskit._reading import Reader, attempted, called, guarded, number, text, whole, within
from qprovider_qiskit._status import status_of

if TYPE_CHECKING:
    from qprovider_qiskit._adapter import QiskitAdapter

_READ_S = 5.0  # for what one backend says of itself; what has not come by then is not known yet
_STATUS_S = 20.0


class Device:
    """A backend, read under a guard and a time limit. Thread-safe.

    Attributes:
        name: Unique in its account.
        backend: The vendor's own object.
        adapter: What was declared of it.
        local: Whether it runs in this process.
    """

    def __init__(self, backend: BackendV2, name: str, adapter: QiskitAdapter) -> None:
        self.name = name
        self.backend = backend
        self.adapter = adapter
        self.local = bool(self._said(adapter.local))
        self._lock = threading.Lock()
        self._reader: Reader | None = None
        self._target: Target | None = None
        self._configuration: BackendConfiguration | None = None
        self._properties: BackendProperties | None = None
        self._properties_read = False

    # -- the listing ------------------------------------------------------------------------------------------

    def read(self) -> Reader:
        """What it says of itself, as far as it has been read. Begins to read where nobody has."""
        with self._lock:
            if self._reader is None:
                self._reader = Reader(
                    {
                        "num_qubits": lambda: whole(guarded(self.backend, "num_qubits")),
                        "simulator": self._simulator,
                        "noisy": lambda: self._said(self.adapter.noisy),
                        "version": lambda: text(guarded(self.backend, "backend_version")),
                        "description": lambda: text(guarded(self.backend, "description")),
                        "max_shots": lambda: most_shots(self.backend),
                        "chunk": lambda: whole(called(self.backend, "max_circuits")),
                        "memory": lambda: hasattr(guarded(self.backend, "options"), "memory"),
                        "errors": self._errors,
                    },
                    self.name,
                )
            return self._reader

    def fact(self, name: str, deadline: Deadline | None = None) -> Any:
        """One fact; None where it is not known, or does not come in time."""
        reader = self.read()
        if name not in reader.facts:
            reader.wait(_READ_S if deadline is None else min(_READ_S, deadline.remaining_s()))
        return reader.facts.get(name)

    def info(self, pending: int | None = None) -> BackendInfo:
        """As the listing tells it: of what has been read so far. A service is not asked how it stands.

        Args:
            pending: Jobs in our own queue, which is the queue of a local one.
        """
        facts = self.read().facts
        two_qubit, readout = facts.get("errors") or (None, None)
        simulator = facts.get("simulator")
        return BackendInfo(
            name=self.name,
            num_qubits=facts.get("num_qubits"),
            simulator=simulator,
            noisy=facts.get("noisy") if simulator else None,
            operational=True if self._is_here else None,
            pending_jobs=pending if self._is_here else None,
            status_msg="active" if self._is_here else None,
            version=facts.get("version"),
            description=facts.get("description"),
            max_shots=facts.get("max_shots"),
            median_two_qubit_error=two_qubit,
            median_readout_error=readout,
            process_bound=self.local,
        )

    @property
    def _is_here(self) -> bool:
        """Whether it stands as this process does: nobody has to be asked."""
        return self.local and self.adapter.status is None

    def _said(self, declared: Any) -> bool | None:
        """What the factory declares, for this backend."""
        value = attempted(lambda: declared(self.backend), self.name) if callable(declared) else declared
        return value if isinstance(value, bool) else None

    def _simulator(self) -> bool | None:
        declared = self._said(self.adapter.simulator)
        configuration = called(self.backend, "configuration") if declared is None else None
        told = (
            declared,
            guarded(self.backend, "simulator"),
            guarded(configuration, "simulator"),
            guarded(self.backend, "_simulator"),
        )
        return next((value for value in told if isinstance(value, bool)), None)

    def _errors(self) -> tuple[float | None, float | None]:
        if self.adapter.errors is None:
            return None, None
        two_qubit, readout = self.adapter.errors(self.backend)
        return _probability(two_qubit), _probability(readout)

    # -- facets -----------------------------------------------------------------------------------------------

    def target(self) -> Target:
        """Its target, with a measurement added where there is none.

        Raises:
            PluginError: It has none.
        """
        with self._lock:
            if self._target is None:
                try:
                    target = self.backend.target
                except (QProviderError, OSError):
                    raise  # of the network: it may have one
                except Exception as exc:
                    raise self._no_target(f"Reading it fails: {failure_text(exc)}.") from exc
                if not isinstance(target, Target):
                    raise self._no_target(f"Its target is {type(target).__name__}.")
                self._target = with_measurement(target)
            return self._target

    def _no_target(self, why: str) -> PluginError:
        return PluginError(
            f"{self.adapter.spec.name}:{self.name} has no Target, so nothing can be compiled for it.",
            plugin=self.adapter.spec.name,
            why=why,
            hint="Update the vendor's package; or give the adapter a `fixup` that gives the backend a target.",
        )

    def configuration(self, deadline: Deadline) -> BackendConfiguration:
        if self._configuration is None:
            self.read().wait(min(_READ_S, deadline.remaining_s()))
            self._configuration = configuration_of(self.info(), self.target(), self.backend, self.local)
        return self._configuration

    def properties(self) -> BackendProperties | None:
        if not self._properties_read:
            self._properties = properties_of(self.name, self.target(), self.backend)
            self._properties_read = True
        return self._properties

    def status(self, deadline: Deadline, pending: int | None) -> BackendStatus:
        """Its status now.

        Args:
            pending: Jobs in our own queue, for a local one.
        """
        if self._is_here:
            return BackendStatus(backend_name=self.name, operational=True, pending_jobs=pending, status_msg="active")
        limit = min(_STATUS_S, deadline.remaining_s())
        try:
            told = within(self._asked_status, limit, self.name)
        except TimeoutError as exc:
            raise TransportError(
                f"The status of {self.adapter.spec.name}:{self.name} did not come within {limit:.0f} s.",
                retryable=True,
            ) from exc
        return status_of(self.name, told)

    def _asked_status(self) -> Any:
        if self.adapter.status is not None:
            return self.adapter.status(self.backend)
        value = getattr(self.backend, "status", None)
        told = value() if callable(value) else value
        queue = guarded(told, "pending_jobs")
        if queue is None:
            queue = called(self.backend, "num_pending_jobs")
        if queue is None:
            queue = called(self.backend, "queue_depth")
        return told, queue


def name_of(backend: Any) -> str:
    """Its name; that of its class where it has none."""
    name = called(backend, "name")
    return name.strip() if isinstance(name, str) and name.strip() else type(backend).__name__


def most_shots(backend: BackendV2) -> int | None:
    """The most shots of a run: said as such, or by the range of the option; None where neither says."""
    options = guarded(backend, "options")
    bounds = guarded(options, "validator")
    found = attempted(lambda: bounds["shots"][1], "the range of shots") if bounds else None
    for value in (guarded(backend, "max_shots"), found, guarded(called(backend, "configuration"), "max_shots")):
        if (limit := whole(value)) is not None:
            return limit
    return None


def with_measurement(target: Target) -> Target:
    """The target, or a copy of it that can measure and says of how many qubits it is."""
    measures = "measure" in target.operation_names
    # Qiskit calls it 0 where only instructions without places were added one by one: it is of any width.
    unbounded = target.num_qubits == 0
    if measures and not unbounded:
        return target
    mended = copy.deepcopy(target) if not unbounded else Target(num_qubits=None, description=target.description)
    for name in target.operation_names if unbounded else ():
        mended.add_instruction(target.operation_from_name(name), name=name)
    if not measures:
        size = mended.num_qubits
        mended.add_instruction(Measure(), None if size is None else {(qubit,): None for qubit in range(size)})
    return mended


def _probability(value: Any) -> float | None:
    found = number(value)
    return found if found is not None and found <= 1 else None

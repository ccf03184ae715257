"""`IBMBackend`: the core's handle with what IBM Quantum has beyond it. Imports Qiskit."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, cast

import attrs
from qiskit import QuantumCircuit
from qiskit.transpiler import Target

from qprovider_core import config
from qprovider_core._backend import Backend
from qprovider_core._job import Job
from qprovider_core._target import build_target
from qprovider_core.errors import CircuitError, InvalidInputError, UnknownBackendError, UnsupportedError
from qprovider_core.qiskit_schema import fractional_gates
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    BackendStatus,
    Deadline,
    JobRequest,
)
from qprovider_core.secret import get_logger
from qprovider_ibm._circuit_checks import check_pubs, refuse_pulses
from qprovider_ibm._composite_job import IBMCompositeJob
from qprovider_ibm._composite_parts import check_size, check_tags
from qprovider_ibm._job import IBMJob
from qprovider_ibm._job_filters import as_moment
from qprovider_ibm._limits import JobLimit
from qprovider_ibm._run_options import GONE, checked_run_options, refuse_gone_options
from qprovider_ibm._tags import check_given_tags

if TYPE_CHECKING:
    from qprovider_core._account import Account
    from qprovider_core._lists import JobList
    from qprovider_ibm._connection import Connection
    from qprovider_ibm._primitives import IBMEstimator, IBMSampler
    from qprovider_ibm._provider import IBMProvider

_log = get_logger(__name__)

_PULSE_ENDED = (
    "IBM Quantum ended pulse-level control in February 2025: its devices have no channels and no default pulses"
    " any more."
)
_PULSE_HINT = "Use fractional gates (get_backend(name, use_fractional_gates=True)) or dynamical decoupling instead."
# Attributes of the configuration that the listing tells, too.
_LISTED = {"n_qubits": "num_qubits", "backend_name": "name", "simulator": "simulator"}
_FIELDS = frozenset(field.name for field in attrs.fields(BackendConfiguration)) - {"extra"}


class IBMBackend(Backend):
    """A device or simulator of IBM Quantum.

    Attributes of its configuration (``basis_gates``, ``coupling_map``, ``dt``, …) read as its own once the
    configuration has been fetched, as `get_backend` does; looking for one never goes over the network, except in a
    function given as ``filters=``.
    """

    _computes = True  # circuits may store classical values where they may branch
    _fractional = False
    _in_filter = False

    @property
    def backend_version(self) -> str | None:
        """Its version, where the listing or a configuration that has been fetched tells it."""
        known = None if self._version else self._readable()
        return self._version or (known.backend_version if known is not None else None)

    @backend_version.setter
    def backend_version(self, version: str | None) -> None:
        self._version = version

    @property
    def provider(self) -> IBMProvider:
        """The `IBMProvider` that it belongs to."""
        from qprovider_ibm._provider import IBMProvider  # late: the provider makes backends

        return IBMProvider.of(self._account)

    def _connection(self) -> Connection:
        return cast("Connection", self._account.connection())

    def _readable(self) -> BackendConfiguration | None:
        """The configuration that attributes are read from: the one that was fetched; in a user's filter, any."""
        known: BackendConfiguration | None = self.__dict__.get("_configuration")
        return self.configuration() if known is None and self._in_filter else known

    def __reduce__(self) -> tuple[Any, ...]:
        make, arguments, state = super().__reduce__()
        return make, arguments, {**state, "_fractional": self._fractional}

    # -- what it is ---------------------------------------------------------------------------------------

    @property
    def max_circuits(self) -> None:
        """None: the service has no such limit; a job's size and time are limited instead."""
        return

    @property
    def physical_qubits(self) -> int | None:
        """Qubits and couplers on the chip; None when not reported."""
        return cast("int | None", self.info.extra.get("physical_qubits"))

    @property
    def processor_type(self) -> Mapping[str, Any] | None:
        """Family, revision and segment, once the configuration has been fetched."""
        known = self._readable()
        return None if known is None else known.processor_type

    @property
    def use_fractional_gates(self) -> bool:
        """Whether gates with angles of their own (rx, rzz) are in its target."""
        return self._fractional

    def with_fractional_gates(self, use: bool = True) -> IBMBackend:
        """The same backend with (or without) its fractional gates in configuration, calibration and target."""
        if use is self._fractional:
            return self
        from qprovider_ibm._connection import read_again  # late: the HTTP client is slow to import

        backend = copy.copy(self)
        backend._fractional = use
        backend.refresh()
        if self._configuration is not None:
            backend._configuration = read_again(self._configuration, fractional=use)
        return backend

    def check_fractional_gates(self) -> None:
        """Refuse a device that has no gates with angles of their own.

        Raises:
            InvalidInputError: It has none.
        """
        gates = self.configuration().basis_gates or ()
        if fractional_gates({"basis_gates": list(gates)}):
            return
        raise InvalidInputError(
            f"{self.full_name} has no fractional gates.",
            why=f"Its gates are {', '.join(gates)}.",
            hint="Leave use_fractional_gates out, or take a device that has them: [backend for backend in"
            " provider.backends(use_fractional_gates=True) if 'rzz' in backend.configuration().basis_gates].",
        )

    def configuration(self, *, timeout: float | None = None, refresh: bool = False) -> BackendConfiguration:
        """What it can run; fetched once, and again with `refresh`."""
        if not self._fractional:
            return super().configuration(timeout=timeout, refresh=refresh)
        with self._lock:
            if self._configuration is None or refresh:
                deadline = Deadline.after(config.timeout_s(timeout))
                self._configuration = self._connection().configuration(self.info.ref, deadline, fractional=True)
            return self._configuration

    def properties(
        self,
        at: dt.datetime | bool | None = None,
        datetime: dt.datetime | None = None,
        *,
        refresh: bool = False,
    ) -> BackendProperties | None:
        """Its newest calibration, or the newest before a time; None where there is none, as for simulators.

        Args:
            at, datetime: The time, under today's and the retired provider's name; without an offset it is local time.
            refresh: Ask again instead of giving what was fetched before.
        """
        if isinstance(at, bool):  # the retired provider's first argument was `refresh`
            refresh, at = at, None
        moment = as_moment(datetime if at is None else at, "datetime")
        if not self._fractional:
            return super().properties(moment, refresh=refresh)
        with self._lock:
            if moment is not None or refresh or not self._properties_known:
                deadline = Deadline.after(config.timeout_s())
                found = self._connection().properties(self.info.ref, moment, deadline, fractional=True)
                if moment is not None:
                    return found
                self._properties, self._properties_known = found, True
            return self._properties

    def target_history(self, at: dt.datetime | None = None, *, datetime: dt.datetime | None = None) -> Target:
        """The target with the calibration that held at a time; without an offset it is local time."""
        return build_target(self.configuration(), self.properties(at, datetime=datetime))

    def defaults(self, refresh: bool = False) -> None:
        """None: pulse control ended, so that there are no default pulses any more."""
        _log.warning("%s.defaults() is None: %s %s", self.name, _PULSE_ENDED, _PULSE_HINT)

    def _no_channel(self, *qubits: Any) -> NoReturn:
        raise UnsupportedError(
            f"{self.full_name} has no pulse channels.", why=_PULSE_ENDED, hint=_PULSE_HINT, capability="pulse"
        )

    drive_channel = measure_channel = acquire_channel = control_channel = _no_channel

    def check_faulty(self, circuit: QuantumCircuit) -> None:
        """Refuse a circuit that uses a qubit or a gate that the calibration marks as faulty.

        Raises:
            CircuitError: It does.
        """
        if not isinstance(circuit, QuantumCircuit):
            raise CircuitError(f"check_faulty takes a QuantumCircuit, not a {type(circuit).__name__}.")
        properties = self.properties()
        if properties is None:
            return
        qubits = set(properties.faulty_qubits())
        gates = {(gate.gate, gate.qubits) for gate in properties.faulty_gates()}
        if not qubits and not gates:
            return
        places = {qubit: place for place, qubit in enumerate(circuit.qubits)}
        for instruction in circuit.data:
            where = tuple(places[qubit] for qubit in instruction.qubits)
            name = instruction.operation.name
            if name == "barrier":
                continue
            broken = qubits.intersection(where)
            if broken or (name, where) in gates:
                what = f"faulty qubit {min(broken)}" if broken else f"faulty gate {name} on {where}"
                raise CircuitError(
                    f"Circuit {circuit.name!r} uses the {what} of {self.full_name}.",
                    hint="Transpile it with backend.transpile(circuit), which chooses qubits that work.",
                )

    # -- running ------------------------------------------------------------------------------------------

    def run(
        self,
        run_input: Any = None,
        *,
        circuits: Any = None,
        shots: int | None = None,
        memory: bool | None = None,
        job_tags: Sequence[str] | None = None,
        name: str | None = None,
        parameter_binds: Any = None,
        max_circuits_per_job: int | None = None,
        **options: Any,
    ) -> IBMJob | IBMCompositeJob:
        """Submit circuits as one job of the service's sampler, and return at once.

        Args:
            run_input: A circuit in this backend's instruction set, or a list of them; circuits: the same under the
                retired provider's name.
            shots: Of each circuit; 4096 when not given, as the service has it.
            memory: Accepted; the outcome of each shot is always there.
            job_tags: At most 7 texts of at most 86 characters.
            name: Travels as a tag: the service has no names.
            parameter_binds: Values of the circuits' parameters; see `qprovider_core.Backend.run`.
            max_circuits_per_job: Split more circuits than that into several jobs, which an `IBMCompositeJob` sees as
                one; bound parameters count as circuits of their own.
            options: rep_delay (in s), init_qubits, dynamical_decoupling, twirling, max_execution_time (in s), private,
                session_id, log_level, meas_level, meas_return, seed_simulator, noise_model, experimental,
                calibration_id, image.
        Raises:
            InvalidInputError: A circuit or an option that this backend cannot take; nothing was submitted.
        """
        if run_input is not None and circuits is not None:
            raise InvalidInputError("run_input and circuits are two words for the same.", hint="Give one of them.")
        run_input = circuits if run_input is None else run_input
        if run_input is None:
            raise InvalidInputError("There is nothing to run.", hint="Pass a circuit, or a list of them.")
        if isinstance(run_input, Iterator):
            run_input = list(run_input)  # it is looked at more than once
        size = None if max_circuits_per_job is None else check_size(max_circuits_per_job)
        refuse_pulses(run_input)
        check_given_tags(self._option("job_tags", job_tags))
        refuse_gone_options(options)
        options = {option: value for option, value in options.items() if value is not None or option not in GONE}
        given = checked_run_options({**self._set_options(), **options}, self.configuration())
        request = self._checked_request(run_input, shots, memory, job_tags, name, parameter_binds, given)
        if size is not None and len(request.pubs) > size:
            check_tags(request.tags, request.name)
            check_pubs(request.pubs, request.options, simulator=bool(self.simulator))
            return IBMCompositeJob.submitted(self, request, size)
        return cast(IBMJob, self._submit(request))

    def _submit(self, request: JobRequest, *, rerun_of: str | None = None) -> Job:
        check_pubs(request.pubs, request.options, simulator=bool(self.simulator))
        return super()._submit(request, rerun_of=rerun_of)

    def active_jobs(self, limit: int | None = 10) -> JobList[IBMJob]:
        """The account's jobs here that have not ended, newest first.

        Args:
            limit: At most so many; None for all.
        """
        return self.provider.jobs(limit, backend_name=self.name, pending=True, instance=self.instance)

    def job_limit(self) -> JobLimit:
        """What limits the number of jobs: not how many wait any more, but how many are submitted in a minute."""
        return JobLimit(running_jobs=len(self.active_jobs(limit=None)))

    def remaining_jobs_count(self) -> None:
        """None: there is no limit to how many jobs may wait; see `job_limit` for what there is."""
        return

    def sampler(self, options: Any = None, **more: Any) -> IBMSampler:
        """Qiskit's `BaseSamplerV2` over the service's sampler."""
        from qprovider_ibm._primitives import IBMSampler  # late: primitives use backends

        return IBMSampler(self, options=options, **more)

    def estimator(self, options: Any = None, **more: Any) -> IBMEstimator:
        """Qiskit's `BaseEstimatorV2` over the service's estimator."""
        from qprovider_ibm._primitives import IBMEstimator  # late: primitives use backends

        return IBMEstimator(self, options=options, **more)

    # -- attributes of the configuration ------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        # Only reached for what is no attribute of the class. It must not fetch: `hasattr` comes here, too.
        if not name.startswith("_"):
            known = self.__dict__.get("_configuration")
            if known is None and self._in_filter and name in _FIELDS:
                known = self.configuration()
            if known is not None:
                try:
                    return getattr(known, name)
                except AttributeError:
                    pass
            elif name in _LISTED and (value := getattr(self.__dict__["info"], _LISTED[name])) is not None:
                return value
            elif name in _FIELDS:
                raise AttributeError(
                    f"The configuration of {self.__dict__['info'].full_name}, which tells {name}, has not been fetched:"
                    f" call backend.configuration().{name}."
                )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __str__(self) -> str:
        return str(self.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.name!r})>"


def reading_filter(test: Any) -> Any:
    """A user's filter in which attributes of a backend's configuration read as ever, fetched where they are not there.

    What is no function is given back as it is, for the core to refuse.
    """
    if not callable(test):
        return test

    def satisfied(backend: IBMBackend) -> bool:
        backend._in_filter = True
        try:
            return bool(test(backend))
        finally:
            del backend._in_filter

    return satisfied


class RetiredBackend(IBMBackend):
    """Stands for a backend that the instance does not offer any more, so that its jobs still tell where they ran."""

    @classmethod
    def of(cls, account: Account, name: str, instance: str | None) -> RetiredBackend:
        """The stand-in for a backend of that name."""
        info = BackendInfo(
            name=name,
            instance=instance,
            provider=account.provider,
            account=account.name,
            operational=False,
            status_msg="retired",
            description="Not offered any more",
            full_name=f"{account.provider}:{name}",
        )
        return cls(account, info)

    def _gone(self) -> NoReturn:
        raise UnknownBackendError(
            self.name,
            what=f"{self.full_name} has been retired, or is not offered to this instance any more.",
            hint="Its jobs and their results can still be read. Choose another one with provider.least_busy().",
        )

    def status(self) -> BackendStatus:
        """Not operational."""
        return BackendStatus(backend_name=self.name, operational=False, status_msg="retired")

    def configuration(self, *, timeout: float | None = None, refresh: bool = False) -> BackendConfiguration:
        self._gone()

    @property
    def num_qubits(self) -> None:
        """None: not known any more."""
        return

    def run(self, *args: Any, **options: Any) -> IBMJob:
        self._gone()

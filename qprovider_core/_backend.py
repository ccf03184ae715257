"""The handle of a backend: a real Qiskit `BackendV2`, the same for every vendor."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
from qiskit import transpile
from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import Target

from qprovider_core._account import Account
from qprovider_core._backend_sessions import CurrentSessions, InSessions
from qprovider_core._checks import (
    check_width,
    checked_circuits,
    checked_memory,
    checked_name,
    checked_options,
    checked_pubs,
    checked_shots,
    checked_tags,
)
from qprovider_core._context import follow, keep_circuits
from qprovider_core._job import Job, make_job
from qprovider_core._submission import submit
from qprovider_core._target import build_target
from qprovider_core._translation import STAGE, FaultyQubitError, stage_is_installed
from qprovider_core._vendor_class import vendor_class
from qprovider_core.errors import (
    CircuitError,
    InvalidInputError,
    PluginError,
    SessionClosedError,
    TransportError,
    UnknownBackendError,
)
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    BackendStatus,
    JobRequest,
)
from qprovider_core.views import UNFETCHED, View

COMMON_OPTIONS = ("shots", "memory", "job_tags", "name", "parameter_binds")


class Backend(InSessions, BackendV2):
    """A backend of any vendor. Nothing is fetched before it is needed; configuration, calibration and target are
    kept until `refresh()`.

    Attributes:
        info: What the listing said of it (`BackendInfo`).
        as_of: When that was, aware UTC.
    """

    def __init__(self, account: Account, info: BackendInfo, as_of: datetime | None = None) -> None:
        super().__init__(provider=account, name=info.name, description=info.description, backend_version=info.version)
        self._options.update_options(**dict.fromkeys(account.spec.run_options))
        self._account = account
        self.info = info
        self.as_of = as_of or datetime.now(UTC)
        self._lock = threading.RLock()
        self._sessions = CurrentSessions()
        self._configuration: BackendConfiguration | None = None
        self._properties: BackendProperties | None = None
        self._properties_known = False
        self._target: Target | None = None

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=None, memory=None, job_tags=None)

    # -- what it is ---------------------------------------------------------------------------------------

    @property
    def full_name(self) -> str:
        """As `get_backend` takes it: ``provider:name``."""
        return self.info.full_name

    @property
    def instance(self) -> str | None:
        """The account's place that offers it and is billed."""
        return self.info.instance

    @property
    def simulator(self) -> bool | None:
        """True for all that is not physical; None when not reported."""
        return self.info.simulator if self.info.simulator is not None else self.configuration().simulator

    @property
    def num_qubits(self) -> int | None:
        """Number of qubits; None where only memory bounds it."""
        if self.info.num_qubits is not None:
            return self.info.num_qubits
        return self.configuration().n_qubits

    @property
    def max_circuits(self) -> int | None:
        """Most circuits of one job; None for no limit."""
        if self.info.max_circuits is not None:
            return self.info.max_circuits
        return self.configuration().max_experiments

    @property
    def max_shots(self) -> int | None:
        """Most shots of one circuit; None for no limit that is told."""
        return self.info.max_shots if self.info.max_shots is not None else self.configuration().max_shots

    @property
    def dtm(self) -> float | None:
        """Time step of the readout in s; None when not reported."""
        return self.configuration().dtm

    @property
    def meas_map(self) -> list[list[int]] | None:
        """Groups of qubits that are measured together; None when not reported."""
        groups = self.configuration().meas_map
        return None if groups is None else [list(group) for group in groups]

    # -- facets -------------------------------------------------------------------------------------------

    def status(self) -> BackendStatus:
        """Whether it takes jobs, and how many wait: asked for now."""
        if self._account.supports("qprovider_backend_status"):
            return self._account.facts.status(self.info.ref)
        listed = self._account.list_backends(refresh=True)
        for info in listed:
            if (info.name, info.instance) == (self.info.name, self.info.instance):
                return BackendStatus(
                    backend_name=info.name,
                    backend_version=info.version,
                    operational=info.operational,
                    pending_jobs=info.pending_jobs,
                    status_msg=info.status_msg,
                )
        if listed.errors:
            raise TransportError(
                f"The status of {self.full_name} cannot be had.", why="\n".join(map(str, listed.errors))
            )
        raise UnknownBackendError(self.name, what=f"{self.full_name} is not listed any more.")

    def configuration(self, *, timeout: float | None = None, refresh: bool = False) -> BackendConfiguration:
        """What it can run; fetched once, and again with `refresh`."""
        with self._lock:
            if self._configuration is None or refresh:
                self._configuration = self._account.facts.configuration(self.info.ref, timeout, refresh=refresh)
            return self._configuration

    def properties(self, at: datetime | None = None, *, refresh: bool = False) -> BackendProperties | None:
        """Its newest calibration, or the newest before `at`; None where there is none.

        Args:
            at: An aware time.
            refresh: Ask again instead of giving what was fetched before.
        """
        if at is not None:
            if not isinstance(at, datetime):
                raise InvalidInputError(f"at is a time such as datetime(2026, 1, 1, tzinfo=UTC), not {at!r}.")
            if at.tzinfo is None:
                raise InvalidInputError(
                    f"{at.isoformat()} has no offset, so it names no moment.",
                    hint="Give an aware time, such as datetime(2026, 1, 1, tzinfo=UTC).",
                )
            return self._account.facts.properties(self.info.ref, at.astimezone(UTC))
        with self._lock:
            if refresh or not self._properties_known:
                self._properties = self._account.facts.properties(self.info.ref, refresh=refresh)
                self._properties_known = True
            return self._properties

    def defaults(self) -> Mapping[str, Any] | None:
        """The vendor's default settings; None where it has none."""
        if not self._account.supports("qprovider_backend_defaults"):
            return None
        answer: Mapping[str, Any] | None = self._account.ask("qprovider_backend_defaults", backend=self.info.ref)
        return answer

    def faulty_qubits(self) -> list[int]:
        """Qubits that the calibration marks as faulty; the target has no instruction on them."""
        properties = self.properties()
        return properties.faulty_qubits() if properties is not None else []

    @property
    def target(self) -> Target:
        """What circuits are compiled for: gates, qubits, durations in s, errors; faulty parts left out."""
        with self._lock:
            if self._target is None:
                self._target = self._make_target()
            return self._target

    def get_translation_stage_plugin(self) -> str:
        """For Qiskit's `transpile`: a stage that explains what Qiskit's own stumbles over, where it could."""
        return STAGE if self.faulty_qubits() and stage_is_installed() else "default"

    def _make_target(self) -> Target:
        if self._account.supports("qprovider_backend_target"):
            target = self._account.ask("qprovider_backend_target", backend=self.info.ref)
            if isinstance(target, Target):
                return target
            if target is not None:
                raise PluginError(
                    f"The plugin of {self.full_name} gave a {type(target).__name__} as its target.",
                    plugin=self._account.provider,
                    hook="qprovider_backend_target",
                )
        return build_target(self.configuration(), self.properties())

    def refresh(self) -> None:
        """Forget configuration, calibration and target, so that they are fetched anew when needed."""
        with self._lock:
            self._configuration = self._properties = self._target = None
            self._properties_known = False
            self._coupling_map = None
            self._account.facts.forget(self.info.ref)

    # -- running ------------------------------------------------------------------------------------------

    def transpile(self, circuits: Any, optimization_level: int | None = None, **options: Any) -> Any:
        """Qiskit's `transpile` for this backend, with its errors explained.

        From level 1 on it also keeps circuits off faulty qubits where Qiskit's own choice of qubits would not.

        Args:
            circuits: A circuit or a list of them.
            optimization_level, options: As Qiskit's `transpile` takes them.
        Raises:
            CircuitError: The circuit cannot be made to fit this backend.
        """
        for index, circuit in enumerate(checked_circuits(circuits)):
            check_width(self, circuit, index)
        options = {"optimization_level": optimization_level, **options}
        try:
            try:
                return transpile(circuits, self, **options)
            except FaultyQubitError:
                if optimization_level == 0 or options.keys() & {"initial_layout", "layout_method"}:
                    raise
                # This method looks at which qubits are connected, and a faulty one is connected to none.
                return transpile(circuits, self, layout_method="sabre", **options)
        except FaultyQubitError:
            raise  # explained already
        except QiskitError as exc:
            faulty = self.faulty_qubits()
            broken = f" Its calibration marks qubits {faulty} as faulty." if faulty else ""
            raise CircuitError(
                f"The circuit cannot be made to fit {self.full_name}.",
                why=f"Qiskit says: {exc.message.rstrip('.')}.{broken}",
                hint="Choose a backend that has dynamic circuits: least_busy(dynamic_circuits=True)."
                if "control-flow" in exc.message
                else "Define the gate in terms of others (gate.definition), or use one that Qiskit knows."
                if "unable to synthesize" in exc.message
                else "Use optimization_level=1 or more, which chooses qubits that work and are connected, "
                "or choose another backend.",
            ) from exc

    def run(
        self,
        run_input: Any,
        *,
        shots: int | None = None,
        memory: bool | None = None,
        job_tags: Sequence[str] | None = None,
        name: str | None = None,
        parameter_binds: Any = None,
        **options: Any,
    ) -> Job:
        """Submit circuits as one job and return at once.

        Args:
            run_input: A circuit in this backend's instruction set (transpile it first), or a list of them.
            shots: Of each circuit; when not given, what the vendor announces (`ProviderSpec.default_shots`).
            memory: Whether the outcome of each shot is wanted, in order.
            job_tags: Texts to find the job by.
            name: The job's name.
            parameter_binds: Values of the circuits' parameters: mappings of parameter to number, each applied to
                every circuit; or one mapping a circuit of parameter to a list of numbers.
            options: The vendor's own, see `ProviderSpec.run_options`. None means not given.
        Returns:
            The job. Where nobody can tell whether it arrived its state is SUBMIT_UNKNOWN: do not run it again, for
            `result` looks for it.
        Raises:
            InvalidInputError: A circuit or an option that this backend cannot take; nothing was submitted.
            LedgerError: It could not be written down; nothing was submitted.
            SessionClosedError: The session that it was to join takes no more jobs.
            QProviderError: It did certainly not arrive.
        """
        return self._submit(self._checked_request(run_input, shots, memory, job_tags, name, parameter_binds, options))

    def _checked_request(
        self,
        run_input: Any,
        shots: int | None,
        memory: bool | None,
        job_tags: Sequence[str] | None,
        name: str | None,
        parameter_binds: Any,
        options: Mapping[str, Any],
    ) -> JobRequest:
        """What `run` submits, with all that can be known before it is sent checked."""
        given = {**self._set_options(), **{key: v for key, v in options.items() if v is not None}}
        unknown = {**options, **given}
        chosen = checked_options(unknown, self._account.spec.run_options, COMMON_OPTIONS)
        named = chosen.pop("session_id", None)  # some vendors' own option, which goes before the current session
        circuits = checked_circuits(run_input)
        number = checked_shots(
            self._option("shots", shots), self.max_shots, self.full_name, self._account.spec.default_shots
        )
        return JobRequest(
            backend=self.info.ref,
            pubs=checked_pubs(self, circuits, number, parameter_binds),
            memory=checked_memory(self._option("memory", memory)),
            options=chosen,
            tags=checked_tags(self._option("job_tags", job_tags), self._account.spec),
            name=checked_name(name),
            key=uuid.uuid4().hex,
            session_id=self._joined(named),
        )

    def _submit(self, request: JobRequest, *, rerun_of: str | None = None) -> Job:
        ledger = ledger_in_use()
        try:
            info = submit(self._account, request, ledger=ledger, backend=self.info, rerun_of=rerun_of)
        except SessionClosedError as exc:
            self._sessions.told_closed(exc)
            raise
        finally:  # attempts that fail are kept, too
            keep_circuits(self._account, ledger, request, self.info)
        job = make_job(self._account, info, backend=self, request=request)
        follow(job)
        return job

    def _option(self, name: str, given: Any) -> Any:
        """What was passed to `run`, else what `set_options` set."""
        return given if given is not None else getattr(self._options, name, None)

    def _set_options(self) -> dict[str, Any]:
        """The vendor's options that `set_options` set."""
        names = self._account.spec.run_options
        return {key: v for key in names if (v := getattr(self._options, key, None)) is not None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        # Libraries copy backends to set options; the account, its connection and its threads are shared.
        copied = copy.copy(self)
        copied._options = copy.deepcopy(self._options, memo)
        return copied

    def __copy__(self) -> Backend:
        copied: Backend = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied._lock = threading.RLock()
        copied._sessions = self._sessions.copy()
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        # Connections do not travel: it is opened anew, with the options that were set, in the same session.
        state = {"_options": self._options, "_sessions": self._sessions}
        return (_reopened, (self._account, self.info, self.as_of), state)

    def _repr_html_(self) -> str | None:
        from qprovider_core._html_backend import backend_html  # late: only notebooks need it

        return backend_html(self)

    def __repr__(self) -> str:
        size = f", {self.info.num_qubits} qubits" if self.info.num_qubits is not None else ""
        return f"<{type(self).__name__} {self.full_name}{size}>"


def _reopened(account: Account, info: BackendInfo, as_of: datetime) -> Backend:
    return make_backend(account, View(info, UNFETCHED, UNFETCHED, UNFETCHED), as_of)


def make_backend(account: Account, view: View, as_of: datetime) -> Backend:
    """The handle of a listed backend, of the vendor's own class where it names one; keeps fetched facets."""
    handle: Backend = vendor_class(account.spec.backend_class, Backend)(account, view.info, as_of)
    if view.configuration is not UNFETCHED:
        handle._configuration = view.configuration
    if view.properties is not UNFETCHED and "properties" not in view.failures:
        handle._properties, handle._properties_known = view.properties, True
    if view.status is not UNFETCHED and view.status is not None:
        told = {
            "operational": view.status.operational,
            "pending_jobs": view.status.pending_jobs,
            "status_msg": view.status.status_msg,
        }
        handle.info = attrs.evolve(handle.info, **{k: v for k, v in told.items() if v is not None})
    return handle

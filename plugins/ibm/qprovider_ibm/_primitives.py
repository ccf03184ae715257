"""`IBMSampler` and `IBMEstimator`: Qiskit's primitives over the service's own programs. Imports Qiskit."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from qiskit import QuantumCircuit
from qiskit.primitives import BaseEstimatorV2, BaseSamplerV2
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub

from qprovider_core._checks import _Fit, _operations, check_width, checked_shots, checked_tags
from qprovider_core._session import Session
from qprovider_core.errors import CircuitError, InvalidInputError
from qprovider_core.records import EstimatePub, JobRequest, SamplePub
from qprovider_ibm._circuit_checks import refuse_pulses
from qprovider_ibm._options import EnvironmentOptions, EstimatorOptions, OptionGroup, SamplerOptions
from qprovider_ibm._params import DEFAULT_SHOTS, DefaultShotsPub, observables_of
from qprovider_ibm._primitive_job import IBMPrimitiveJob
from qprovider_ibm._run_options import checked_run_options
from qprovider_ibm._wire import PRIMITIVE_KEY

if TYPE_CHECKING:
    from qprovider_ibm._backend import IBMBackend


class _Primitive:
    """What both primitives have: a backend, options, and the way to submit."""

    _options_class: ClassVar[type[OptionGroup]]
    version = 2

    def __init__(
        self,
        backend: IBMBackend | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        mode: IBMBackend | Session | None = None,
        job_tags: Sequence[str] | None = None,
        session_id: str | None = None,
        name: str | None = None,
        **more: Any,
    ) -> None:
        """
        Args:
            backend: Where to run; mode: the same, by the word of IBM's own client, which may be a session or a batch.
            options: A mapping, or an object of the options' class; it is copied.
            job_tags: The same as ``options.environment.job_tags``.
            session_id: Session or batch that the jobs belong to. Without it, and without one as `mode`, it is the one
                that is the backend's current one when they are submitted.
            name: The jobs' name.
            more: Options by name; those of ``options.environment`` too, such as ``private=True``.
        Raises:
            UnknownOptionError, InvalidInputError: An option that there is not, or a value that it does not take.
        """
        self._session = mode if isinstance(mode, Session) else None
        if backend is None:
            backend = mode.backend if isinstance(mode, Session) else mode
        if backend is None or not callable(getattr(backend, "_submit", None)):
            raise InvalidInputError(
                f"{type(self).__name__} takes a backend, not {backend!r}.", hint="Open it: provider.get_backend(name)."
            )
        self._backend: IBMBackend = backend
        self._session_id = session_id
        self._name = name
        self._options = self._options_class()
        if options is not None:
            given = options.to_dict() if isinstance(options, OptionGroup) else options
            if not isinstance(given, Mapping):
                raise InvalidInputError(f"options is a mapping of names to values, not {options!r}.")
            self._options.update(given)
        environment = {key: more.pop(key) for key in list(more) if key in EnvironmentOptions.fields}
        if job_tags is not None:
            environment["job_tags"] = job_tags
        self._options.update(more)
        self._options["environment"].update(environment)

    @property
    def options(self) -> Any:
        """What was set; set more by attribute: ``options.twirling.enable_gates = True``."""
        return self._options

    def backend(self) -> IBMBackend:
        """Where the primitive runs."""
        return self._backend

    @property
    def session_id(self) -> str | None:
        """Session or batch that its jobs belong to; None for none."""
        session = self._session or self._backend.session
        return self._session_id or (None if session is None else session.session_id)

    def _joined(self) -> str | None:
        if self._session is None or self._session_id is not None:
            return self._backend._joined(self._session_id)
        self._session.check_open()
        return self._session.session_id

    def _submit(self, kind: Any, pubs: Sequence[SamplePub | EstimatePub]) -> IBMPrimitiveJob:
        options = self._options.to_dict()
        environment = options.pop("environment", {})
        tags = environment.pop("job_tags", None)
        checked = checked_run_options({**options, **environment}, self._backend.configuration())
        request = JobRequest(
            backend=self._backend.info.ref,
            pubs=tuple(pubs),
            kind=kind,
            options=checked,
            tags=checked_tags(tags, self._backend._account.spec),
            name=self._name,
            key=f"{PRIMITIVE_KEY}{uuid.uuid4().hex}",
            session_id=self._joined(),
        )
        handle = self._backend._submit(request)
        return IBMPrimitiveJob(handle._account, handle.info, backend=self._backend, request=request)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self._backend.full_name}>"


def _coerced(kind: Any, pubs: Any, default: Any, call: str) -> list[Any]:
    """Pubs as Qiskit's own objects.

    Raises:
        CircuitError: One is none; `.index` says which.
    """
    if isinstance(pubs, QuantumCircuit | SamplerPub | EstimatorPub | Mapping) or not isinstance(pubs, Iterable):
        raise CircuitError(f"run takes a list of pubs, not a {type(pubs).__name__}.", hint=f"Write {call}.")
    listed = list(pubs)
    if not listed:
        raise CircuitError("There is nothing to run: the list of pubs is empty.")
    refuse_pulses([pub[0] if isinstance(pub, tuple | list) and pub else pub for pub in listed])
    coerced = []
    for index, pub in enumerate(listed):
        try:
            one = kind.coerce(pub, default)
        except (TypeError, ValueError) as exc:  # Qiskit's own checks
            raise CircuitError(f"Pub {index} cannot be run.", index=index, why=str(exc), hint=_hint(exc)) from exc
        coerced.append(one)
    return coerced


def _hint(exc: Exception) -> str | None:
    if "number of qubits of the circuit" in str(exc):
        return "Give the observable the circuit's layout: observable.apply_layout(circuit.layout)."
    return None


def _values(pub: Any, index: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Parameter values, in C order and in the order of the circuit's parameters, and the shape of their sets."""
    array = pub.parameter_values.as_array(pub.circuit.parameters)
    if 0 in array.shape[:-1]:
        raise CircuitError(f"Pub {index} has no set of parameter values: its shape is {array.shape[:-1]}.", index=index)
    if not np.isfinite(array).all():
        raise CircuitError(f"Pub {index} has a parameter value that is not finite.", index=index)
    return tuple(array.ravel().tolist()), tuple(int(size) for size in array.shape[:-1])


class IBMSampler(_Primitive, BaseSamplerV2):
    """Samples circuits: Qiskit's `BaseSamplerV2`."""

    _options_class = SamplerOptions

    def run(self, pubs: Iterable[Any], *, shots: int | None = None) -> IBMPrimitiveJob:
        """Submit one job, and return at once.

        Args:
            pubs: Circuits, or tuples of a circuit, its parameter values and its shots; in the backend's instruction
                set, with their measurements.
            shots: Of pubs that do not say; else ``options.default_shots``, else 4096.
        Raises:
            InvalidInputError: A pub or an option that the backend cannot take; nothing was submitted.
        """
        backend = self._backend
        if shots is not None:
            checked_shots(shots, backend.max_shots, backend.full_name)
        fit = _Fit(backend)
        checked: list[SamplePub] = []
        for index, pub in enumerate(_coerced(SamplerPub, pubs, shots, "sampler.run([circuit])")):
            fit.check(pub.circuit, index)
            values, shape = _values(pub, index)
            kind = DefaultShotsPub if pub.shots is None else SamplePub
            number = checked_shots(
                self._default_shots() if pub.shots is None else pub.shots, backend.max_shots, backend.full_name
            )
            checked.append(kind(circuit=pub.circuit, shots=number, parameter_values=values, shape=shape))
        return self._submit("sample", checked)

    def _default_shots(self) -> int:
        """What comes of shots that nobody gives: the product of twirling's numbers takes precedence."""
        twirling = self._options["twirling"]
        numbers = twirling.num_randomizations, twirling.shots_per_randomization
        if (twirling.enable_gates or twirling.enable_measure) and all(isinstance(one, int) for one in numbers):
            return int(numbers[0] * numbers[1])
        return int(self._options["default_shots"] or DEFAULT_SHOTS)


class IBMEstimator(_Primitive, BaseEstimatorV2):
    """Estimates expectation values: Qiskit's `BaseEstimatorV2`."""

    _options_class = EstimatorOptions

    def run(self, pubs: Iterable[Any], *, precision: float | None = None) -> IBMPrimitiveJob:
        """Submit one job, and return at once.

        Args:
            pubs: Tuples of a circuit in the backend's instruction set, without measurements; observables as wide as
                the circuit; parameter values; and a precision.
            precision: Wanted standard error, > 0, of pubs that do not say; else ``options.default_precision``, else
                the service's 0.015625.
        Raises:
            InvalidInputError: A pub or an option that the backend cannot take; nothing was submitted.
        """
        _check_precision(precision, None)
        fit = _Fit(self._backend)
        checked = []
        for index, pub in enumerate(_coerced(EstimatorPub, pubs, precision, "estimator.run([(circuit, observables)])")):
            _check_precision(pub.precision, index)
            self._check_circuit(fit, pub.circuit, index)
            values, shape = _values(pub, index)
            if pub.observables.size == 0:
                raise CircuitError(f"Pub {index} has no observable.", index=index)
            one = EstimatePub(
                circuit=pub.circuit,
                observables=tuple(pub.observables.ravel().tolist()),
                observables_shape=tuple(int(size) for size in pub.observables.shape),
                parameter_values=values,
                shape=shape,
                precision=None if pub.precision is None else float(pub.precision),
            )
            observables_of(one, index)
            checked.append(one)
        return self._submit("estimate", checked)

    def _check_circuit(self, fit: _Fit, circuit: QuantumCircuit, index: int) -> None:
        label = f"Circuit {index} ({circuit.name!r})"
        check_width(self._backend, circuit, index)
        names = _operations(circuit)
        if "measure" in names:
            raise CircuitError(
                f"{label} measures; an estimator measures its observables itself.",
                index=index,
                hint="Take the measurements out: circuit.remove_final_measurements(inplace=False).",
            )
        if not names <= fit.anywhere:
            fit._check_places(circuit, {qubit: place for place, qubit in enumerate(circuit.qubits)}, label, index)


def _check_precision(precision: Any, index: int | None) -> None:
    if precision is None:
        return
    if isinstance(precision, bool) or not isinstance(precision, Real) or not 0 < float(precision) < math.inf:
        raise InvalidInputError(
            f"precision{'' if index is None else f' of pub {index}'} is a standard error above 0, not {precision!r}."
        )

"""The params of a job: what a request becomes for the service's program, and how they are read back.

Which program runs a kind of job is decided by the encoder that is registered for it: `use_encoder` puts another in
its place.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import attrs
import numpy as np
from qiskit import QuantumCircuit
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.observables_array import ObservablesArray

from qprovider_core.errors import CircuitError, InvalidInputError, ResponseError
from qprovider_core.records import EstimatePub, JobRequest, SamplePub
from qprovider_ibm._circuit_checks import parameter_sets
from qprovider_ibm._codec import Encoder, decode
from qprovider_ibm._run_options import split_options

logger = logging.getLogger(__name__)

DEFAULT_SHOTS = 4096  # the service's
_ESTIMATOR_ONLY = ("resilience", "resilience_level", "default_precision", "seed_estimator")


class ParamsEncoder(Protocol):
    """Makes a request into the params of a program.

    Attributes:
        program: The service's name of the program.
    """

    program: str

    def encode(self, request: JobRequest) -> dict[str, Any]:
        """The params, as JSON types."""
        ...


@attrs.frozen(kw_only=True, repr=False)
class DefaultShotsPub(SamplePub):
    """A pub whose shots the options decide rather than the user; `shots` is what that comes to.

    The service lets some options, such as those of twirling, take precedence over shots that are not given.
    """


class SamplerParams:
    """Version 2 params of the program ``sampler``."""

    program = "sampler"

    def encode(self, request: JobRequest) -> dict[str, Any]:
        """The params of a request of kind ``sample``.

        Raises:
            InvalidInputError: A pub or an option is none of a sampler.
        """
        options = split_options(request.options)[0]
        _refuse(options, _ESTIMATOR_ONLY, "a sampler")
        encoder = Encoder()
        pubs = []
        for index, pub in enumerate(merged_pubs(request.pubs)):
            if not isinstance(pub, SamplePub):
                raise InvalidInputError(f"Pub {index} is not one of a sampler.")
            shots = None if isinstance(pub, DefaultShotsPub) else int(pub.shots)
            pubs.append([encoder.circuit(pub.circuit), encoder.array(_sets(pub, index)), shots])
        return {"pubs": pubs, "options": encoder.encode(options), "version": 2, "support_qiskit": True}


class EstimatorParams:
    """Version 2 params of the program ``estimator``."""

    program = "estimator"

    def encode(self, request: JobRequest) -> dict[str, Any]:
        """The params of a request of kind ``estimate``.

        Raises:
            InvalidInputError: A pub or an option is none of an estimator.
        """
        options = split_options(request.options)[0]
        if "meas_type" in options.get("execution", {}):
            raise InvalidInputError("What a measurement gives is not an option of an estimator.")
        level = options.pop("resilience_level", None)
        encoder = Encoder()
        pubs = []
        for index, pub in enumerate(request.pubs):
            if not isinstance(pub, EstimatePub):
                raise InvalidInputError(f"Pub {index} is not one of an estimator.")
            values = encoder.array(_sets(pub, index))
            pubs.append([encoder.circuit(pub.circuit), observables_of(pub, index), values, pub.precision])
        params = {"pubs": pubs, "options": encoder.encode(options), "version": 2, "support_qiskit": True}
        return params if level is None else {**params, "resilience_level": level}


_encoders: dict[str, ParamsEncoder] = {"sample": SamplerParams(), "estimate": EstimatorParams()}


def encoder_for(kind: str) -> ParamsEncoder:
    """The encoder that makes the params of jobs of this kind."""
    try:
        return _encoders[kind]
    except KeyError:
        raise InvalidInputError(f"IBM Quantum has no program for jobs of the kind {kind!r}.") from None


def use_encoder(kind: str, encoder: ParamsEncoder) -> ParamsEncoder:
    """Let another encoder make the params of jobs of this kind; gives the one before."""
    before = encoder_for(kind)
    _encoders[kind] = encoder
    return before


def _refuse(options: Mapping[str, Any], names: Sequence[str], what: str) -> None:
    for name in names:
        if name in options:
            raise InvalidInputError(f"{name} is not an option of {what}.", hint="Use backend.estimator(…).")


def merged_pubs(pubs: Iterable[SamplePub | EstimatePub]) -> list[SamplePub | EstimatePub]:
    """The pubs as they are sent: neighbours that bind parameters of the same circuit become one with an array of sets.

    The service then has the circuit once, and its result is one, too, of that shape.
    """
    merged: list[SamplePub | EstimatePub] = []
    group: list[SamplePub] = []

    def close() -> None:
        if len(group) == 1:
            merged.append(group[0])
        elif group:
            values = tuple(value for pub in group for value in pub.parameter_values)
            merged.append(attrs.evolve(group[0], parameter_values=values, shape=(len(group),)))
        group.clear()

    for pub in pubs:
        alone = not isinstance(pub, SamplePub) or pub.shape != () or not pub.circuit.num_parameters
        if group and (alone or not _alike(group[0], pub)):
            close()
        if alone:
            merged.append(pub)
        elif isinstance(pub, SamplePub):
            group.append(pub)
    close()
    return merged


def _alike(one: SamplePub, other: SamplePub | EstimatePub) -> bool:
    return type(one) is type(other) and one.circuit is other.circuit and one.shots == getattr(other, "shots", None)


def _sets(pub: SamplePub | EstimatePub, index: int) -> Any:
    """Parameter values of shape (*sets, parameters); (0,) without parameters and sets."""
    return np.ascontiguousarray(parameter_sets(pub, index))


def observables_of(pub: EstimatePub, index: int) -> Any:
    """A pub's observables as nested lists of mappings; one mapping where there is a single one and no axis.

    Raises:
        InvalidInputError: They do not fit their shape, or the circuit.
    """
    count = len(pub.observables)
    shape = (count,) if pub.observables_shape is None else tuple(pub.observables_shape)
    if math.prod(shape) != count:
        raise InvalidInputError(f"Pub {index} has {count} observables; their shape {shape} takes {math.prod(shape)}.")
    width = pub.circuit.num_qubits
    items: list[Any] = []
    for observable in pub.observables:
        for pauli in observable:
            if len(pauli) != width or set(pauli) - set("IXYZ"):
                hint = "Give it the circuit's layout: observable.apply_layout(circuit.layout)."
                if len(pauli) == width:
                    hint = "Write projectors such as 0 or + as sums of Paulis: 0 is (I + Z) / 2."
                raise CircuitError(
                    f"Pub {index}: the observable {pauli[:40]!r} is not {width} of the letters I, X, Y, Z, one for each"
                    " qubit of its circuit.",
                    index=index,
                    hint=hint,
                )
        items.append({pauli: float(coefficient) for pauli, coefficient in observable.items()})
    for size in reversed(shape[1:]):
        items = [items[start : start + size] for start in range(0, len(items), size)]
    return items if shape else items[0]


# ------------------------------------------------------------------------------------------------ reading back


def inputs_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The params with circuits and arrays in place of their texts; circuits that cannot be read are None.

    Raises:
        ResponseError: They are not of their form.
    """
    inputs = decode(dict(params))
    assert isinstance(inputs, dict)
    return inputs


def options_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a job ran with, by the service's names; empty where the server decided all."""
    options = params.get("options")
    found = dict(decode(options)) if isinstance(options, Mapping) else {}
    for name in ("resilience_level", "shots", "precision"):
        if params.get(name) is not None:
            found[name] = params[name]
    return found


def circuits_of(params: Mapping[str, Any]) -> list[QuantumCircuit | None]:
    """The circuits of a job's pubs, in order; None for one that cannot be read here (the log says why)."""
    return [_circuit(_listed(pub, index)[0]) for index, pub in enumerate(_pubs(params))]


def pubs_of(params: Mapping[str, Any], kind: str = "sample") -> list[SamplePub | EstimatePub]:
    """The pubs of a job, as they were sent; circuits that cannot be read are None.

    Args:
        kind: ``sample`` or ``estimate``.
    Raises:
        ResponseError: They are not of their form.
    """
    raw_options = params.get("options")
    options = raw_options if isinstance(raw_options, Mapping) else {}
    found: list[SamplePub | EstimatePub] = []
    for index, raw in enumerate(_pubs(params)):
        pub = _listed(raw, index)
        circuit = _circuit(pub[0])
        rest = [decode(one) for one in pub[1:]] + [None] * 3
        try:
            if kind == "sample":
                values, shape = _values(circuit, rest[0])
                shots = rest[1] or params.get("shots") or options.get("default_shots") or DEFAULT_SHOTS
                found.append(SamplePub(circuit=circuit, shots=int(shots), parameter_values=values, shape=shape))
            else:
                observables = ObservablesArray(rest[0])
                values, shape = _values(circuit, rest[1])
                found.append(
                    EstimatePub(
                        circuit=circuit,
                        observables=tuple(observables.ravel().tolist()),
                        observables_shape=observables.shape,
                        parameter_values=values,
                        shape=shape,
                        precision=rest[2],
                    )
                )
        except Exception as exc:  # Qiskit's classes fail in many ways on values that do not fit
            raise ResponseError(
                "The inputs of a job cannot be read.", path=f"params.pubs[{index}]", why=f"{type(exc).__name__}: {exc}"
            ) from exc
    return found


def whole_pubs_of(params: Mapping[str, Any], kind: str | None) -> tuple[SamplePub | EstimatePub, ...] | None:
    """The pubs of a job, to be sent again; None where one of them cannot be read."""
    if kind not in ("sample", "estimate"):
        return None  # another program's
    try:
        pubs = pubs_of(params, kind)
    except ResponseError:  # who asks for the circuits alone is told
        return None
    return tuple(pubs) if pubs and all(pub.circuit is not None for pub in pubs) else None


def _pubs(params: Mapping[str, Any]) -> list[Any]:
    pubs = params.get("pubs")
    if pubs is None:
        return []  # another program's params
    if not isinstance(pubs, list):
        raise ResponseError("The inputs of a job cannot be read.", path="params.pubs", why="They are no list.")
    return pubs


def _listed(pub: Any, index: int) -> list[Any]:
    if not isinstance(pub, list) or not pub:
        raise ResponseError("The inputs of a job cannot be read.", path=f"params.pubs[{index}]", why="It is no list.")
    return pub


def _circuit(node: Any) -> QuantumCircuit | None:
    """A circuit from its tagged object, or from OpenQASM."""
    if not isinstance(node, str):
        circuit = decode(node)
        return circuit if isinstance(circuit, QuantumCircuit) else None
    from qiskit import qasm2, qasm3  # late: only for these

    try:
        if "OPENQASM 2" in node[:2000]:
            # What a program includes from files is not the server's to say.
            return qasm2.loads(node, include_path=(), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
        return qasm3.loads(node)
    except Exception as exc:  # noqa: BLE001  both readers raise errors of many kinds
        logger.warning("A circuit in OpenQASM cannot be read; it is left out. %s: %s", type(exc).__name__, exc)
        return None


def _values(circuit: QuantumCircuit | None, node: Any) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Parameter values in C order, and the shape of their sets."""
    if node is None:
        return (), ()
    if isinstance(node, Mapping):
        bindings = BindingsArray(node)
        order = None if circuit is None else list(circuit.parameters)
        array = bindings.as_array(order)
    else:
        array = np.asarray(node, dtype=float)
    shape = array.shape[:-1]
    return tuple(array.ravel().tolist()), shape

"""The params of a job, checked as the service does before it accepts them.

Neither Qiskit nor numpy is imported: circuits are looked at as far as their first bytes tell, arrays as far
as their header does. What is deeper fails the job in the worker.
"""

from __future__ import annotations

import ast
import base64
import binascii
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from qprovider_ibm.emulator._schema import (
    Check,
    Invalid,
    any_object,
    anything,
    boolean,
    either,
    integer,
    list_of,
    number,
    one_of,
    optional,
    table,
    text,
)

QPY_VERSIONS = range(13, 18)
DEFAULT_SHOTS = 4096
DEFAULT_PRECISION = 0.015625
_FINEST = 1e-9  # what is finer asks for more shots than any backend has
_auto_or_integer = either(one_of("auto"), integer(1))

_DECOUPLING = table(
    {
        "enable": boolean,
        "sequence_type": one_of("XX", "XpXm", "XY4"),
        "extra_slack_distribution": one_of("middle", "edges"),
        "scheduling_method": one_of("alap", "asap"),
        "skip_reset_qubits": boolean,
    }
)
_TWIRLING = table(
    {
        "enable_gates": boolean,
        "enable_measure": boolean,
        "num_randomizations": _auto_or_integer,
        "shots_per_randomization": _auto_or_integer,
        "strategy": one_of("active", "active-circuit", "active-accum", "all"),
    }
)
_SIMULATOR = table(
    {
        "noise_model": optional(any_object),
        "seed_simulator": optional(integer(0)),
        "coupling_map": optional(list_of(list_of(integer(0)))),
        "basis_gates": optional(list_of(text)),
    }
)
_EXTRAPOLATOR = one_of(
    *("linear", "exponential", "double_exponential", "fallback"),
    *(f"polynomial_degree_{degree}" for degree in range(1, 8)),
)
_ZNE = table(
    {
        "noise_factors": either(one_of("auto"), list_of(number(1))),
        "extrapolated_noise_factors": optional(list_of(number(0))),
        "extrapolator": either(list_of(_EXTRAPOLATOR), _EXTRAPOLATOR),
        "amplifier": one_of("gate_folding", "gate_folding_front", "gate_folding_back", "pea"),
    }
)
_RESILIENCE = table(
    {
        "measure_mitigation": boolean,
        "measure_noise_learning": table(
            {"num_randomizations": integer(1), "shots_per_randomization": _auto_or_integer},
        ),
        "zne_mitigation": boolean,
        "zne": _ZNE,
        "pec_mitigation": boolean,
        "pec": table({"max_overhead": optional(number(above=0)), "noise_gain": either(one_of("auto"), number(0))}),
        "layer_noise_learning": table(
            {
                "max_layers_to_learn": optional(integer(0)),
                "shots_per_randomization": integer(1),
                "num_randomizations": integer(1),
                "layer_pair_depths": list_of(integer(0)),
            }
        ),
        "layer_noise_model": anything,
    }
)


def rep_delay_within(rep_delay_range_s: tuple[float, float] | None) -> Check:
    """Seconds within a backend's range, where it has one."""

    def rep_delay(value: Any, path: str) -> None:
        number(0)(value, path)
        if rep_delay_range_s is not None and not rep_delay_range_s[0] <= value <= rep_delay_range_s[1]:
            low, high = rep_delay_range_s
            raise Invalid(path, f"{value} s is not within the backend's range of {low} to {high} s")

    return rep_delay


def _execution(rep_delay_range_s: tuple[float, float] | None, **more: Check) -> Check:
    return table({"init_qubits": boolean, "rep_delay": optional(rep_delay_within(rep_delay_range_s)), **more})


def _options(program: str, rep_delay_range_s: tuple[float, float] | None) -> Check:
    common = {
        "default_shots": optional(integer(1)),
        "dynamical_decoupling": _DECOUPLING,
        "twirling": _TWIRLING,
        "simulator": optional(_SIMULATOR),
        "experimental": optional(any_object),
    }
    if program == "sampler":
        meas_type = one_of("classified", "kerneled", "avg_kerneled")
        return table({**common, "execution": _execution(rep_delay_range_s, meas_type=meas_type)})
    return table(
        {
            **common,
            "execution": _execution(rep_delay_range_s),
            "default_precision": number(above=0),
            "seed_estimator": optional(integer(0)),
            "resilience": _RESILIENCE,
        }
    )


@attrs.frozen(kw_only=True)
class Work:
    """How much a job asks for.

    Attributes:
        shots: Of all its circuits together.
        circuits: Sets of parameter values, over all pubs.
    """

    shots: int
    circuits: int


def check_params(program: str, params: Any, *, max_shots: int, rep_delay_range_s: tuple[float, float] | None) -> Work:
    """Check the params of a `sampler` or `estimator` job.

    Raises:
        Invalid: They are wrong.
    """
    fields: dict[str, Check] = {
        "pubs": anything,
        "options": _options(program, rep_delay_range_s),
        "version": one_of(2),
        "support_qiskit": boolean,
    }
    if program == "sampler":
        fields["shots"] = optional(integer(1))
    else:
        fields |= {"resilience_level": integer(0, 2), "precision": optional(number(above=0))}
    table(fields)(params, "params")
    pubs = params.get("pubs")
    if not isinstance(pubs, list) or not pubs:
        raise Invalid("params.pubs", "expected a list with at least one pub")
    options = params.get("options", {})
    check_pub = _sampler_pub if program == "sampler" else _estimator_pub
    shots = circuits = 0
    for place, pub in enumerate(pubs):
        path = f"params.pubs[{place}]"
        if not isinstance(pub, list):
            raise Invalid(path, "expected a list")
        sets, each = check_pub(pub, params, options, path)
        if each > max_shots:
            raise Invalid(path, f"{each} shots are more than the backend's limit of {max_shots}")
        shots += sets * each
        circuits += sets
    return Work(shots=shots, circuits=circuits)


def _sampler_pub(pub: list[Any], params: Mapping[str, Any], options: Mapping[str, Any], path: str) -> tuple[int, int]:
    if not 1 <= len(pub) <= 3:
        raise Invalid(path, "expected [circuit, parameter values, shots]")
    _check_circuit(pub[0], f"{path}[0]")
    sets = _sets_of_values(pub[1] if len(pub) > 1 else None, f"{path}[1]")
    shots = pub[2] if len(pub) > 2 else None
    optional(integer(1))(shots, f"{path}[2]")
    return sets, sampler_shots(shots, params, options)


def _estimator_pub(pub: list[Any], params: Mapping[str, Any], options: Mapping[str, Any], path: str) -> tuple[int, int]:
    if not 2 <= len(pub) <= 4:
        raise Invalid(path, "expected [circuit, observables, parameter values, precision]")
    _check_circuit(pub[0], f"{path}[0]")
    _check_observables(pub[1], f"{path}[1]")
    sets = _sets_of_values(pub[2] if len(pub) > 2 else None, f"{path}[2]")
    precision = pub[3] if len(pub) > 3 else None
    optional(number(above=0))(precision, f"{path}[3]")
    return sets, estimator_shots(precision, params, options)


def sampler_shots(shots: int | None, params: Mapping[str, Any], options: Mapping[str, Any]) -> int:
    """Shots of a pub that asks for so many, or for none in particular."""
    by_default = _twirled_shots(options, measurements=False) or options.get("default_shots") or DEFAULT_SHOTS
    return int(shots or params.get("shots") or by_default)


def estimator_shots(precision: float | None, params: Mapping[str, Any], options: Mapping[str, Any]) -> int:
    """Shots that reach a pub's precision for an observable that is a single Pauli."""
    precision = precision or params.get("precision")
    if precision is None and (shots := _twirled_shots(options, measurements=True) or options.get("default_shots")):
        return int(shots)
    wanted = max(precision or options.get("default_precision") or DEFAULT_PRECISION, _FINEST)
    return max(1, math.ceil(1 / wanted**2))


# ------------------------------------------------------------------------------------------------------- twirling
# Source of its numbers: the reference of IBM's client, TwirlingOptions. Their product goes before `default_shots`,
# and after what a pub or the job asks for.


def _twirls(options: Mapping[str, Any], *, measurements: bool) -> bool:
    """Whether anything is twirled; `measurements`: whether these are by default."""
    twirling = options.get("twirling") or {}
    return bool(twirling.get("enable_gates") or twirling.get("enable_measure", measurements))


def _twirled_shots(options: Mapping[str, Any], *, measurements: bool) -> int | None:
    """The product of twirling's two numbers, where both are given and anything is twirled."""
    number, each = _twirling_numbers(options)
    return None if number is None or each is None or not _twirls(options, measurements=measurements) else number * each


def _twirling_numbers(options: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Randomizations, and shots of each; None for those that are to be chosen."""
    twirling = options.get("twirling") or {}
    given = (twirling.get(name, "auto") for name in ("num_randomizations", "shots_per_randomization"))
    number, each = (None if value == "auto" else int(value) for value in given)
    return number, each


def randomizations(options: Mapping[str, Any], shots: int, *, measurements: bool) -> int | None:
    """How many randomizations a pub of that many shots gets; None where nothing is twirled."""
    if not _twirls(options, measurements=measurements):
        return None
    number, each = _twirling_numbers(options)
    return number or math.ceil(shots / (each or max(64, math.ceil(shots / 32))))


# --------------------------------------------------------------------------------------------- circuits and values


def _check_circuit(value: Any, path: str) -> None:
    if isinstance(value, str):
        if "OPENQASM" not in value:
            raise Invalid(path, "the text is no OpenQASM program: it does not say OPENQASM and a version")
        return
    data = _packed(value, "QuantumCircuit", path, first=16)
    if not data.startswith(b"QISKIT") or len(data) < 7:
        raise Invalid(path, "the data is no QPY file")
    if data[6] not in QPY_VERSIONS:
        raise Invalid(
            path,
            f"the QPY version is {data[6]}; versions {QPY_VERSIONS[0]} to {QPY_VERSIONS[-1]} are read."
            f" Write it with qiskit.qpy.dump(..., version={QPY_VERSIONS[-1]})",
        )


def _packed(value: Any, tag: str, path: str, *, first: int) -> bytes:
    """The first bytes of what a tagged object holds, base64 and zlib undone."""
    if not isinstance(value, dict) or value.get("__type__") != tag or not isinstance(value.get("__value__"), str):
        raise Invalid(path, f"expected an object with __type__ {tag} and a text as __value__")
    try:
        return zlib.decompressobj().decompress(base64.b64decode(value["__value__"], validate=True), first)
    except (binascii.Error, ValueError, zlib.error):
        raise Invalid(path, "the text is not base64 of data that zlib compressed") from None


def _sets_of_values(value: Any, path: str) -> int:
    """How many sets of parameter values there are."""
    if value is None:
        return 1
    if isinstance(value, dict) and "__type__" not in value:
        shapes = [_shape(item, f"{path}.{key}") for key, item in value.items()]
        return max((math.prod(shape) for shape in shapes), default=1)
    if isinstance(value, dict) and value.get("__type__") == "BindingsArray":
        inner: Any = value.get("__value__")
        any_object(inner, f"{path}.__value__")
        list_of(integer(0))(inner.get("shape"), f"{path}.__value__.shape")
        return math.prod(inner["shape"])
    shape = _shape(value, path)
    return math.prod(shape[:-1])


def _shape(value: Any, path: str) -> tuple[int, ...]:
    """Of an array, tagged or as nested lists of numbers."""
    if isinstance(value, dict):
        return _npy_shape(_packed(value, "ndarray", path, first=4096), path)
    if isinstance(value, list):
        inner = {_shape(item, f"{path}[{place}]") for place, item in enumerate(value)} or {()}
        if len(inner) > 1:
            raise Invalid(path, "the nested lists are not of one length")
        return (len(value), *inner.pop())
    number()(value, path)
    return ()


def _npy_shape(data: bytes, path: str) -> tuple[int, ...]:
    if not data.startswith(b"\x93NUMPY") or len(data) < 12:
        raise Invalid(path, "the data is no NPY file")
    width = 2 if data[6] == 1 else 4
    size = int.from_bytes(data[8 : 8 + width], "little")
    try:
        header = ast.literal_eval(data[8 + width : 8 + width + size].decode("latin-1").strip())
        kind, shape = str(header["descr"])[1], tuple(header["shape"])
    except (ValueError, SyntaxError, KeyError, TypeError, IndexError):
        raise Invalid(path, "the NPY header cannot be read") from None
    if not all(type(length) is int and length >= 0 for length in shape):
        raise Invalid(path, "the NPY header cannot be read: its shape is none")
    if kind not in "fiu":
        raise Invalid(path, f"parameter values are real numbers, not of type {header['descr']}")
    return shape


def _check_observables(value: Any, path: str) -> None:
    if isinstance(value, dict) and value.get("__type__") == "ObservablesArray":
        value = value.get("__value__")
    if isinstance(value, str):
        _check_pauli(value, path)
    elif isinstance(value, dict):
        if not value:
            raise Invalid(path, "an observable has no terms")
        for pauli, coefficient in value.items():
            _check_pauli(pauli, path)
            number()(coefficient, f"{path}.{pauli[:20]}")
    elif isinstance(value, Sequence) and value:
        for place, item in enumerate(value):
            _check_observables(item, f"{path}[{place}]")
    else:
        raise Invalid(path, "expected observables: {Pauli text: coefficient}, or lists of them")


def _check_pauli(pauli: str, path: str) -> None:
    wrong = set(pauli) - set("IXYZ")
    if wrong or not pauli:
        raise Invalid(path, f"{pauli[:20]!r} is no Pauli text: only I, X, Y and Z may stand there")

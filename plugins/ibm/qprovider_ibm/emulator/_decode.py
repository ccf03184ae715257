"""A job's params as objects: circuits, arrays, observables. Imports Qiskit and numpy."""

from __future__ import annotations

import base64
import io
import json
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit, qasm2, qasm3, qpy

from qprovider_ibm.emulator._isa import JobError


def decode_params(data: bytes) -> dict[str, Any]:
    """The params with every tagged object decoded, from the inside out.

    Raises:
        JobError: One of them cannot be read.
    """
    params: dict[str, Any] = json.loads(data, object_hook=_untag)
    return params


def _untag(item: dict[str, Any]) -> Any:
    decode = _DECODERS.get(item.get("__type__", ""))
    if decode is None:
        if "__type__" in item and "__value__" in item:
            raise JobError(f"A value of type {item['__type__']!r} is not known here.", code=1239)
        return item
    try:
        return decode(item["__value__"])
    except JobError:
        raise
    except Exception as exc:
        raise JobError(f"A {item['__type__']} in the params cannot be read: {exc}", code=1239) from exc


def _circuit(value: str) -> QuantumCircuit:
    circuits = qpy.load(io.BytesIO(zlib.decompress(base64.b64decode(value))))
    if len(circuits) != 1 or not isinstance(circuits[0], QuantumCircuit):
        raise JobError("The QPY file of a pub holds one circuit, and this one does not.", code=1239)
    return circuits[0]


def _ndarray(value: Any) -> NDArray[Any]:
    if not isinstance(value, str):
        return np.asarray(value)
    loaded: NDArray[Any] = np.load(io.BytesIO(zlib.decompress(base64.b64decode(value))), allow_pickle=False)
    return loaded


def _bindings(value: Mapping[str, Any]) -> dict[tuple[str, ...], NDArray[Any]]:
    return {tuple(json.loads(names)): np.asarray(array) for names, array in value["data"].items()}


_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "QuantumCircuit": _circuit,
    "ndarray": _ndarray,
    "BindingsArray": _bindings,
    "ObservablesArray": lambda value: value,
    "complex": lambda value: complex(*value),
    "set": set,
    "NoiseModel": lambda value: value,
}


def circuit_of(value: Any) -> QuantumCircuit:
    """The circuit of a pub, which may be an OpenQASM program.

    Raises:
        JobError: The program cannot be read.
    """
    if isinstance(value, QuantumCircuit):
        return value
    try:
        if "OPENQASM 2" in value:
            return qasm2.loads(value, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
        return qasm3.loads(value)
    except Exception as exc:
        raise JobError(f"The OpenQASM program cannot be read: {exc}", code=1239) from exc


def values_of(value: Any, circuit: QuantumCircuit) -> NDArray[np.float64]:
    """Parameter values of shape (*sets, number of parameters), in the order of the circuit's parameters.

    Raises:
        JobError: They do not fit the circuit.
    """
    names = [parameter.name for parameter in circuit.parameters]
    if value is None:
        value = np.empty((0,))
    if isinstance(value, Mapping):
        array = _from_mapping(value, names)
    else:
        array = np.asarray(value, dtype=np.float64)
        if array.size == 0 and not names and array.shape in ((0,), ()):
            array = np.empty((0,))
        elif array.ndim == 0 or (array.ndim == 1 and len(names) == 1 and len(array) != 1):  # sets of one value
            array = array[..., np.newaxis]
    if array.shape[-1] != len(names):
        raise JobError(
            f"The circuit has {len(names)} parameters, but the array of values has {array.shape[-1]} in its last axis.",
            code=1239,
        )
    return array


def rows_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shape (sets, number of parameters), also when there are no parameters."""
    return values.reshape(math.prod(values.shape[:-1]), values.shape[-1])


def _from_mapping(value: Mapping[Any, Any], names: list[str]) -> NDArray[np.float64]:
    columns: dict[str, NDArray[np.float64]] = {}
    for key, given in value.items():
        array = np.asarray(given, dtype=np.float64)
        if isinstance(key, tuple):
            columns |= {name: array[..., place] for place, name in enumerate(key)}
        elif key in names:
            columns[key] = array
        else:  # a vector: one name, its elements on the last axis
            columns |= {f"{key}[{place}]": array[..., place] for place in range(array.shape[-1] if array.ndim else 0)}
    missing = [name for name in names if name not in columns]
    if missing:
        raise JobError(f"There are no values for the parameters {', '.join(missing)}.", code=1239)
    extra = [name for name in columns if name not in names]
    if extra:
        raise JobError(f"The circuit has no parameters {', '.join(extra)}.", code=1239)
    if not names:
        return np.empty((0,))
    return np.stack(np.broadcast_arrays(*(columns[name] for name in names)), axis=-1)

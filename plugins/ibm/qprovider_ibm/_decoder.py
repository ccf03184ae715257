"""Reads the service's tagged objects; see `_codec`."""

from __future__ import annotations

import io
import json
import logging
import struct
import uuid
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from qiskit.circuit import Parameter
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.quantum_info import Operator, Pauli, PauliLindbladMap, PauliList, SparsePauliOp
from qiskit.result import Result

from qprovider_core.errors import ResponseError, text_of
from qprovider_ibm._learned_noise import LayerError, NoiseLearnerResult, PauliLindbladError
from qprovider_ibm._npy import Budget, read_array, unpacked
from qprovider_ibm._qpy import read_circuits
from qprovider_ibm._spans import SPANS, ExecutionSpans

logger = logging.getLogger(__name__)

PARAMETER = struct.Struct("!H16s")  # QPY's record of a parameter: bytes of its name, UUID; the name follows
# Classes that "settings" and "_json" may name, and the arguments that they may give them.
OPERATORS: Mapping[str, tuple[Any, tuple[str, ...]]] = {
    "Pauli": (Pauli, ("data",)),
    "PauliList": (PauliList, ("data",)),
    "SparsePauliOp": (SparsePauliOp, ("data", "coeffs")),
    "Operator": (Operator, ("data", "input_dims", "output_dims")),
}
LEARNED: Mapping[str, tuple[Any, tuple[str, ...]]] = {
    "PauliLindbladError": (PauliLindbladError, ("generators", "rates")),
    "LayerError": (LayerError, ("circuit", "qubits", "error")),
}
LEARNED_MODULES = ("qiskit_ibm_runtime.utils.noise_learner_result", "qiskit_ibm_runtime.results.noise_learner")
# Source: the reference client's list of extrapolators, which servers have sent as "arrays".
_EXTRAPOLATORS = frozenset(
    ["linear", "exponential", "double_exponential", "fallback", *(f"polynomial_degree_{k}" for k in range(1, 8))]
)


class Decoder:
    """Reads one document.

    Args:
        budget: How much may be decompressed.
        consume: Texts of arrays are taken out of the document once they are read, which frees their memory.
        path: Where in the answer the document stands, for errors.
    """

    def __init__(self, budget: Budget | None = None, *, consume: bool = False, path: str = "") -> None:
        self.budget = budget or Budget()
        self._consume = consume
        self._path: list[str] = [path] if path else []

    @property
    def path(self) -> str:
        """Where in the answer the reader is."""
        return "".join(self._path).lstrip(".")

    def decode(self, node: Any) -> Any:
        """The value behind JSON types, from the inside out.

        Raises:
            ResponseError: A tagged object is not of its form.
        """
        depth = len(self._path)
        try:
            return self._decode(node)
        except RecursionError as exc:
            del self._path[depth:]
            raise ResponseError("An answer of IBM Quantum is nested too deeply to be read.", path=self.path) from exc

    def inside(self, step: str, node: Any) -> Any:
        """As `decode`, of a part: `step` is ``.name`` or ``[index]``."""
        self._path.append(step)
        value = self._decode(node)
        self._path.pop()
        return value

    def refuse(self, why: str, cause: BaseException | None = None) -> ResponseError:
        """The error for what is at the current place."""
        where = f"{self.path}: " if self.path else ""
        error = ResponseError(
            "An answer of IBM Quantum cannot be read.", path=self.path, why=f"{where}{why.rstrip('.')}."
        )
        error.__cause__ = cause
        return error

    def _decode(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.inside(f"[{i}]", one) if isinstance(one, list | dict) else one for i, one in enumerate(node)]
        if not isinstance(node, dict):
            return node
        if "__type__" not in node:
            return {
                key: self.inside(f".{key}", one) if isinstance(one, list | dict) else one for key, one in node.items()
            }
        tag = node["__type__"]
        if "__value__" not in node:
            raise self.refuse(f"it is tagged as {tag!r} and has no value")
        value = self._decode(node["__value__"])
        read = _READERS.get(tag) if isinstance(tag, str) else None
        if read is None:
            logger.warning("An answer of IBM Quantum has a value of the unknown kind %.80r; it is left as it is.", tag)
            return {**node, "__value__": value}
        try:
            made = read(self, value, node)
        except ResponseError:
            raise
        except Exception as exc:  # Qiskit's classes fail in many ways on values that do not fit
            raise self.refuse(f"it is no {tag}: {text_of(exc) or type(exc).__name__}", exc) from exc
        if self._consume and isinstance(value, str):
            node["__value__"] = None
        return made

    # -- the kinds ----------------------------------------------------------------------------------------

    def ndarray(self, value: Any, _: Any) -> Any:
        if isinstance(value, str):
            return value if value in _EXTRAPOLATORS else read_array(value, self.budget)
        if isinstance(value, list):
            return _nested(value)
        if isinstance(value, int | float | complex):
            return np.array(value)
        raise ValueError(f"a {type(value).__name__} is no array")

    def circuit(self, value: Any, _: Any) -> Any:
        circuits = read_circuits(_text(value), self.budget, self._metadata_reader())
        return None if circuits is None else circuits[0]

    def instruction(self, value: Any, node: Any) -> Any:
        circuit = self.circuit(value, node)
        return None if circuit is None else circuit.data[0].operation

    def bindings(self, value: Any, _: Any) -> Any:
        data = {}
        for key, array in (value.get("data") or {}).items():
            names = json.loads(key)
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ValueError("the names of its parameters are no list of texts")
            data[tuple(names)] = array
        shape = value.get("shape")
        return BindingsArray(data, None if shape is None else tuple(shape))

    def operator(self, value: Any, node: Any) -> Any:
        kind, module = node.get("__class__"), node.get("__module__")
        if kind not in OPERATORS or not str(module).startswith("qiskit.quantum_info.operators"):
            return self._unknown_class(value, node)
        return _built(OPERATORS[kind], value)

    def learned(self, value: Any, node: Any) -> Any:
        kind, module = node.get("__class__"), node.get("__module__")
        if kind not in LEARNED or module not in LEARNED_MODULES:
            return self._unknown_class(value, node)
        return _built(LEARNED[kind], value)

    def sparse_matrix(self, value: Any, _: Any) -> Any:
        from scipy.sparse import load_npz  # type: ignore[import-untyped]  # late: only for these

        data = unpacked(_text(value), self.budget, compressed=False)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            total = sum(member.file_size for member in archive.infolist())
        if total > self.budget.value:
            raise ValueError(f"it is larger than {self.budget.value} bytes")
        self.budget.spend(total)
        matrix = load_npz(io.BytesIO(data))
        if hasattr(matrix, "check_format"):
            matrix.check_format(full_check=True)
        return matrix

    def _unknown_class(self, value: Any, node: Any) -> Any:
        logger.warning(
            "An answer of IBM Quantum has an object of the unknown class %.80r; it is left as it is.",
            node.get("__class__"),
        )
        return {**node, "__value__": value}

    def _metadata_reader(self) -> type[json.JSONDecoder]:
        budget = self.budget

        class MetadataDecoder(json.JSONDecoder):
            """Reads circuits' metadata inside QPY, within the same budget."""

            def decode(self, s: str, *args: Any) -> Any:
                return Decoder(budget).decode(super().decode(s, *args))

        return MetadataDecoder


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"its value is a {type(value).__name__}, not a text")
    return value


def _nested(value: list[Any]) -> Any:
    """A nested list as an array, of Python objects where it holds more than numbers."""
    array = np.array(value, dtype=object)
    flat = array.ravel().tolist()
    if all(isinstance(one, bool | int | float | complex) for one in flat):
        return np.array(value)
    return np.array(value) if all(isinstance(one, str) for one in flat) else array


def _complex(value: Any) -> complex:
    real, imaginary = value
    if not isinstance(real, int | float) or not isinstance(imaginary, int | float):
        raise TypeError("its parts are no numbers")
    return complex(real, imaginary)


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _parameter(data: bytes) -> Parameter:
    size, identity = PARAMETER.unpack_from(data)
    name = data[PARAMETER.size : PARAMETER.size + size].decode()
    if len(data) != PARAMETER.size + size:
        raise ValueError("it is cut off")
    return Parameter(name, uuid=uuid.UUID(bytes=identity))


def _int_keys(value: Any) -> Any:
    """Mappings that are marked as such get whole numbers as keys."""
    if not isinstance(value, dict):
        return value
    inner = {key: _int_keys(one) for key, one in value.items() if key != "__int_keys__"}
    if not value.get("__int_keys__"):
        return inner
    return {int(key) if key.lstrip("-").isdecimal() else key: one for key, one in inner.items()}


def _built(known: tuple[Any, tuple[str, ...]], value: Any) -> Any:
    kind, names = known
    arguments = _int_keys(value)
    if not isinstance(arguments, dict) or not set(arguments) <= set(names):
        raise ValueError(f"it takes {', '.join(names)}")
    return kind(**arguments)


def _bit_array(value: Any) -> BitArray:
    bits = value["num_bits"]
    if isinstance(bits, bool) or not isinstance(bits, int) or bits < 0:
        raise ValueError(f"{bits!r} is no number of bits")
    return BitArray(value["array"], bits)


def _is_name(name: str) -> bool:
    """Whether a field may be called so: not like what Python itself looks for in an object."""
    return name.isidentifier() and not (name.startswith("__") and name.endswith("__"))


def _data_bin(value: Any) -> DataBin:
    fields = value["fields"]
    if not isinstance(fields, dict) or not all(map(_is_name, fields)):
        raise ValueError("the names of its fields are not all identifiers")
    named = value.get("field_names")
    if isinstance(named, list) and sorted(map(str, named)) == sorted(fields):
        fields = {name: fields[name] for name in named}  # the order in which the circuit declares its registers
    return DataBin(shape=tuple(value.get("shape") or ()), **fields)


def _pub_result(kind: Any) -> Callable[[Decoder, Any, Any], Any]:
    def read(decoder: Decoder, value: Any, _: Any) -> Any:
        if not isinstance(value["data"], DataBin):
            raise TypeError("its data is no DataBin")
        return kind(value["data"], value.get("metadata") or {})

    return read


def _pauli_lindblad_map(value: Any) -> PauliLindbladMap:
    return PauliLindbladMap.from_sparse_list([tuple(term) for term in value["paulis"]], num_qubits=value["num_qubits"])


_READERS: Mapping[str, Callable[[Decoder, Any, Any], Any]] = {
    "ndarray": Decoder.ndarray,
    "QuantumCircuit": Decoder.circuit,
    "Instruction": Decoder.instruction,
    "complex": lambda d, v, n: _complex(v),
    "set": lambda d, v, n: set(v),
    "datetime": lambda d, v, n: _moment(v),
    "Parameter": lambda d, v, n: _parameter(unpacked(_text(v), d.budget, compressed=False)),
    "ObservablesArray": lambda d, v, n: ObservablesArray(v),
    "BindingsArray": Decoder.bindings,
    "BitArray": lambda d, v, n: _bit_array(v),
    "DataBin": lambda d, v, n: _data_bin(v),
    "SamplerPubResult": _pub_result(SamplerPubResult),
    "PubResult": _pub_result(PubResult),
    "EstimatorPubResult": _pub_result(PubResult),
    "PrimitiveResult": lambda d, v, n: PrimitiveResult(v["pub_results"], v.get("metadata") or {}),
    "ExecutionSpans": lambda d, v, n: ExecutionSpans(v["spans"]),
    "ExecutionSpanCollection": lambda d, v, n: ExecutionSpans(v["spans"]),
    **{tag: (lambda d, v, n, kind=kind: kind.from_wire(v)) for tag, kind in SPANS.items()},  # type: ignore[misc]
    "PauliLindbladMap": lambda d, v, n: _pauli_lindblad_map(v),
    "NoiseLearnerResult": lambda d, v, n: NoiseLearnerResult(v["data"], v.get("metadata") or {}),
    "settings": Decoder.operator,
    "_json": Decoder.learned,
    "Result": lambda d, v, n: Result.from_dict(v),
    "spmatrix": Decoder.sparse_matrix,
    "NoiseModel": lambda d, v, n: v,  # the dict that Aer's NoiseModel.from_dict takes
    "to_json": lambda d, v, n: v,
}

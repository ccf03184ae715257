"""Values as the service takes and sends them: JSON with tagged objects ``{"__type__": T, "__value__": V}``.

What the server sends is not trusted: only the tags below are read, nothing is imported by a name that it gives,
nothing is unpickled, and what decompresses to too much is refused.
"""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, Parameter
from qiskit.circuit.parametertable import ParameterView
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.quantum_info import PauliLindbladMap
from qiskit.result import Result
from qiskit.transpiler import CouplingMap

from qprovider_core.errors import InvalidInputError
from qprovider_ibm._decoder import LEARNED, LEARNED_MODULES, OPERATORS, PARAMETER, Decoder
from qprovider_ibm._learned_noise import LayerError, NoiseLearnerResult, PauliLindbladError
from qprovider_ibm._npy import MAX_VALUE_BYTES, Budget, write_array
from qprovider_ibm._qpy import circuit_text
from qprovider_ibm._spans import ExecutionSpan, ExecutionSpans

logger = logging.getLogger(__name__)


def encode(value: Any) -> Any:
    """A value as JSON types.

    Raises:
        InvalidInputError: It holds something that the service has no form for.
    """
    return Encoder().encode(value)


def decode(data: Any, *, limit: int = MAX_VALUE_BYTES) -> Any:
    """The value behind JSON types; `data` is left as it is.

    Args:
        limit: Most bytes that one compressed value may decompress to.
    Raises:
        ResponseError: A tagged object is not of its form; `.path` says which.
    """
    return Decoder(Budget(limit)).decode(data)


def encode_circuit(circuit: QuantumCircuit) -> dict[str, Any]:
    """A circuit as a tagged object: QPY of a version that the service reads."""
    return _tagged("QuantumCircuit", circuit_text(circuit, MetadataEncoder))


def decode_circuit(text: str, budget: Budget | None = None) -> QuantumCircuit | None:
    """The circuit behind a tagged object's text; None, with a warning in the log, where this Qiskit cannot read it.

    Raises:
        ResponseError: It is no circuit.
    """
    circuit: QuantumCircuit | None = Decoder(budget).decode(_tagged("QuantumCircuit", text))
    return circuit


class MetadataEncoder(json.JSONEncoder):
    """Writes circuits' metadata inside QPY."""

    def default(self, o: Any) -> Any:
        return encode(o)


def _tagged(tag: str, value: Any) -> dict[str, Any]:
    return {"__type__": tag, "__value__": value}


# ----------------------------------------------------------------------------------------------------- writing


class Encoder:
    """Writes the values of one request; a circuit that occurs again is not dumped again."""

    def __init__(self) -> None:
        self._circuits: dict[int, tuple[Any, dict[str, Any]]] = {}

    def encode(self, value: Any) -> Any:
        """A value as JSON types; see `encode`."""
        if isinstance(value, np.generic) and not isinstance(value, np.complexfloating):
            return value.item()
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Mapping):
            return {key if isinstance(key, str) else str(key): self.encode(item) for key, item in value.items()}
        if isinstance(value, list | tuple | ParameterView):
            return [self.encode(item) for item in value]
        for kind, write in _WRITERS:
            if isinstance(value, kind):
                return write(self, value)
        return self._other(value)

    def circuit(self, circuit: QuantumCircuit) -> dict[str, Any]:
        """As `encode_circuit`."""
        known = self._circuits.get(id(circuit))
        if known is None:  # the circuit is kept with it: another one could get its id
            known = self._circuits[id(circuit)] = (circuit, encode_circuit(circuit))
        return known[1]

    def array(self, array: Any) -> dict[str, Any]:
        """A numpy array as a tagged object."""
        if array.dtype == object:
            return _tagged("ndarray", self.encode(array.tolist()))
        return _tagged("ndarray", write_array(array))

    def bindings(self, bindings: BindingsArray) -> dict[str, Any]:
        data = {json.dumps(list(names)): self.array(values) for names, values in bindings.data.items()}
        return _tagged("BindingsArray", {"shape": list(bindings.shape), "data": data})

    def bin(self, data: DataBin) -> dict[str, Any]:
        fields = {name: self.encode(value) for name, value in data.items()}
        return _tagged("DataBin", {"field_names": list(fields), "shape": list(data.shape), "fields": fields})

    def learned(self, error: Any) -> dict[str, Any]:
        kind = type(error).__name__
        value = {name: self.encode(getattr(error, name)) for name in LEARNED[kind][1]}
        return {"__type__": "_json", "__module__": LEARNED_MODULES[0], "__class__": kind, "__value__": value}

    def _other(self, value: Any) -> Any:
        if not isinstance(value, type):
            if hasattr(value, "to_json"):
                return _tagged("to_json", self.encode(value.to_json()))
            if type(value).__module__.startswith("qiskit_aer.") and type(value).__name__ == "NoiseModel":
                return _tagged("NoiseModel", self.encode(value.to_dict()))
            if type(value).__module__.startswith("scipy.sparse"):
                from scipy.sparse import save_npz  # type: ignore[import-untyped]  # late: only for these

                file = io.BytesIO()
                save_npz(file, value)
                return _tagged("spmatrix", _base64(file.getvalue()))
        if callable(value):
            logger.warning("A callable (%s) cannot be sent; null stands in its place.", type(value).__name__)
            return None
        raise InvalidInputError(f"A {type(value).__name__} cannot be sent: the service has no form for it.")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _utc_text(moment: date) -> str:
    """UTC without an offset, as the service writes it; a time without one is taken as that."""
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat()


def _instruction(operation: Instruction) -> str:
    circuit = QuantumCircuit(operation.num_qubits, operation.num_clbits)
    circuit.append(operation, circuit.qubits, circuit.clbits)
    return circuit_text(circuit, MetadataEncoder)


def _settings(operator: Any) -> dict[str, Any]:
    return {"__type__": "settings", "__module__": type(operator).__module__, "__class__": type(operator).__name__}


def _result_value(result: Any) -> dict[str, Any]:
    return {"data": result.data, "metadata": dict(result.metadata)}


_WRITERS: tuple[tuple[Any, Callable[[Encoder, Any], Any]], ...] = (
    (CouplingMap, lambda e, v: [list(edge) for edge in v.get_edges()]),
    (date, lambda e, v: _tagged("datetime", _utc_text(v))),
    (complex, lambda e, v: _tagged("complex", [float(v.real), float(v.imag)])),
    (np.complexfloating, lambda e, v: _tagged("complex", [float(v.real), float(v.imag)])),
    (np.ndarray, Encoder.array),
    (set | frozenset, lambda e, v: _tagged("set", [e.encode(item) for item in v])),
    (QuantumCircuit, Encoder.circuit),
    (Result, lambda e, v: _tagged("Result", e.encode(v.to_dict()))),
    (
        Parameter,
        lambda e, v: _tagged(
            "Parameter", _base64(PARAMETER.pack(len(v.name.encode()), v.uuid.bytes) + v.name.encode())
        ),
    ),
    (Instruction, lambda e, v: _tagged("Instruction", _instruction(v))),
    (ObservablesArray, lambda e, v: _tagged("ObservablesArray", e.encode(v.tolist()))),
    (BindingsArray, Encoder.bindings),
    (BitArray, lambda e, v: _tagged("BitArray", {"array": e.array(v.array), "num_bits": v.num_bits})),
    (DataBin, Encoder.bin),
    (SamplerPub, lambda e, v: e.encode([v.circuit, v.parameter_values.as_array(v.circuit.parameters), v.shots])),
    (
        EstimatorPub,
        lambda e, v: e.encode(
            [v.circuit, v.observables.tolist(), v.parameter_values.as_array(v.circuit.parameters), v.precision]
        ),
    ),
    (SamplerPubResult, lambda e, v: _tagged("SamplerPubResult", e.encode(_result_value(v)))),
    (PubResult, lambda e, v: _tagged("PubResult", e.encode(_result_value(v)))),
    (
        PrimitiveResult,
        lambda e, v: _tagged("PrimitiveResult", e.encode({"pub_results": list(v), "metadata": dict(v.metadata)})),
    ),
    (
        NoiseLearnerResult,
        lambda e, v: _tagged("NoiseLearnerResult", e.encode(_result_value(v))),
    ),
    (PauliLindbladError | LayerError, Encoder.learned),
    (
        PauliLindbladMap,
        lambda e, v: _tagged("PauliLindbladMap", {"paulis": e.encode(v.to_sparse_list()), "num_qubits": v.num_qubits}),
    ),
    (ExecutionSpan, lambda e, v: _tagged(v.tag, e.encode(v.to_wire()))),
    (ExecutionSpans, lambda e, v: _tagged("ExecutionSpans", {"spans": [e.encode(span) for span in v]})),
    (tuple(kind for kind, _ in OPERATORS.values()), lambda e, v: {**_settings(v), "__value__": e.encode(v.settings)}),
)

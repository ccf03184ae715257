"""The `executor` program: circuits with sets of values, or with a recipe that draws them. Imports Qiskit and Aer."""

from __future__ import annotations

import base64
import io
import math
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit, qasm3, qpy

from qprovider_ibm.emulator import _encode, _tensors
from qprovider_ibm.emulator._executor_params import SCHEMAS
from qprovider_ibm.emulator._isa import JobError, check_circuit, check_registers, check_values
from qprovider_ibm.emulator._sampler import iq_points
from qprovider_ibm.emulator._simulate import Simulation


@attrs.frozen
class _Item:
    """One item of a program.

    Attributes:
        shape: Of the sets of values.
        values: Shape (*shape, number of parameters).
        drawn: What the recipe tells beside the values, by name; each array begins with the axes of `shape`.
        chunk_size: At most so many sets at a time; None for all.
    """

    circuit: QuantumCircuit
    shape: tuple[int, ...]
    values: NDArray[np.float64]
    drawn: Mapping[str, NDArray[Any]]
    chunk_size: int | None

    @property
    def rows(self) -> NDArray[np.float64]:
        return self.values.reshape(math.prod(self.shape), self.values.shape[-1])


def run(params: Mapping[str, Any], task: Mapping[str, Any], threads: int) -> bytes:
    """The text of the result.

    Raises:
        JobError: The job cannot run.
    """
    program, (_, packed) = params["quantum_program"], SCHEMAS[params["schema_version"]]
    circuits = _circuits(program["circuits"], packed)
    rng = np.random.default_rng(task["seed"])
    items = [_item(circuit, item, rng, packed=packed) for circuit, item in zip(circuits, program["items"], strict=True)]
    for item in items:
        check_circuit(item.circuit, task["source"], tuple(task["faulty"]))
        check_registers(item.circuit)
        if task["source"] != "simulator":
            check_values(item.circuit, item.rows)
    simulation = Simulation(source=task["source"], threads=threads, seed=task["seed"], mock=task["mock"])
    level, data, chunks = program.get("meas_level", "classified"), [], []
    for place, item in enumerate(items):
        start = datetime.now(UTC)
        results = {**item.drawn, **_registers(item, simulation, program["shots"], level)}
        chunks += _chunks(place, item, start, datetime.now(UTC), whole=not task["session"])
        tensors = {name: _tensors.write(array, packed=packed) for name, array in results.items()}
        # There is no schedule here that could be told.
        data.append({"results": tensors, "metadata": {"scheduler_timing": None, "stretch_values": None}})
    return _encode.text(
        {
            "schema_version": params["schema_version"],
            "data": data,
            "metadata": {"chunk_timing": chunks},
            "passthrough_data": program.get("passthrough_data"),
            "semantic_role": program.get("semantic_role"),
        }
    )


def _circuits(value: Mapping[str, Any], packed: bool) -> list[QuantumCircuit]:
    try:
        if "data" in value:
            return [qasm3.loads(text) for text in value["data"]]
        data = base64.b64decode(value["b64_data"])
        found = qpy.load(io.BytesIO(zlib.decompress(data) if packed else data))
    except Exception as exc:
        raise JobError(f"The program's circuits cannot be read: {exc}", code=1239) from exc
    return list(found)


def _item(circuit: QuantumCircuit, item: Mapping[str, Any], rng: np.random.Generator, *, packed: bool) -> _Item:
    if item.get("item_type", "circuit") == "circuit":
        values = _tensors.read(item["circuit_arguments"], packed=packed)
        shape, drawn = np.broadcast_shapes(tuple(item["shape"]), values.shape[:-1]), {}
        values = np.broadcast_to(values, (*shape, values.shape[-1]))
    else:
        shape = tuple(item["shape"])
        drawn = _drawn(item, shape, rng, packed=packed)
        values = drawn.pop("parameter_values", np.empty((*shape, 0)))
    if values.shape[-1] != circuit.num_parameters:
        raise JobError(
            f"The circuit has {circuit.num_parameters} parameters, but there are {values.shape[-1]} values.", code=1239
        )
    size = item.get("chunk_size", "auto")
    return _Item(circuit, shape, values, drawn, None if size == "auto" else size)


def _drawn(
    item: Mapping[str, Any], shape: tuple[int, ...], rng: np.random.Generator, *, packed: bool
) -> dict[str, NDArray[Any]]:
    """What a samplex draws: arrays that begin with the axes of `shape`.

    An axis along which its arguments vary is one of these; along the others it draws anew for each element.
    """
    from qiskit.quantum_info import PauliLindbladMap
    from samplomatic.serialization import (  # type: ignore[import-untyped]  # optional, and slow to import
        samplex_from_json,
    )

    try:
        samplex = samplex_from_json(item["samplex"]["samplex_json"]).finalize()
        arguments = samplex.inputs().make_broadcastable()
        for name, value in item["samplex_arguments"].items():
            if not isinstance(value, Mapping):
                arguments[name] = value
            elif "sparse_terms" in value:
                terms = [(letters, qubits, rate) for letters, qubits, rate in value["sparse_terms"]]
                arguments[name] = PauliLindbladMap.from_sparse_list(terms, value["num_qubits"])
            else:
                arguments[name] = _tensors.read(value, packed=packed)
        given = (1,) * (len(shape) - arguments.ndim) + arguments.shape
        if np.broadcast_shapes(shape, given) != shape:
            raise ValueError(f"the arguments' shape {arguments.shape} does not broadcast to {shape}")
        free = tuple(size for size, along in zip(shape, given, strict=True) if along == 1)
        found: dict[str, NDArray[Any]] = {}
        for index in np.ndindex(*given):
            drawn = samplex.sample(
                arguments[index[len(shape) - arguments.ndim :]], num_randomizations=math.prod(free), rng=rng
            )
            where = tuple(slice(None) if along == 1 else at for at, along in zip(index, given, strict=True))
            for name, array in drawn.items():
                if name not in found:
                    found[name] = np.empty((*shape, *array.shape[1:]), dtype=array.dtype)
                found[name][where] = array.reshape(*free, *array.shape[1:])
    except JobError:
        raise
    except Exception as exc:
        raise JobError(f"The samplex cannot be used: {type(exc).__name__}: {exc}", code=1239) from exc
    return found


def _registers(item: _Item, simulation: Simulation, shots: int, level: str) -> dict[str, NDArray[Any]]:
    """Outcomes of each register: shape (*sets, shots, bits), or (*sets, bits) where they are averaged."""
    circuits = [item.circuit.assign_parameters(row) if item.circuit.parameters else item.circuit for row in item.rows]
    outcomes = simulation.run(circuits, shots) if circuits else []
    bits = np.array(outcomes, dtype=np.uint8).reshape(*item.shape, shots, item.circuit.num_clbits)
    index = {bit: place for place, bit in enumerate(item.circuit.clbits)}
    found: dict[str, NDArray[Any]] = {}
    for register in item.circuit.cregs:
        chosen = bits[..., [index[bit] for bit in register]]
        if level == "classified":
            found[register.name] = chosen.astype(np.bool_)
        else:
            found[register.name] = iq_points(chosen, average=level == "avg_kerneled")
    return found


def _chunks(place: int, item: _Item, start: datetime, stop: datetime, *, whole: bool) -> list[dict[str, Any]]:
    """When which sets ran: in one chunk, or inside a session in chunks of the size asked for, of equal pace."""
    total = math.prod(item.shape)
    size = total if whole or item.chunk_size is None else item.chunk_size
    found = []
    for first in range(0, total, max(size, 1)):
        last = min(first + size, total)
        times = [start + (stop - start) * (at / total) for at in (first, last)]
        part = {
            "idx_item": place,
            "size": last - first,
            "permutation": list(range(len(item.shape))),
            "element_range": [first, last, 1],
        }
        found.append({"start": _moment(times[0]), "stop": _moment(times[1]), "parts": [part]})
    return found


def _moment(when: datetime) -> str:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")

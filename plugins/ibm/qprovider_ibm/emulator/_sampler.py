"""The `sampler` program. Imports Qiskit and Aer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from qprovider_ibm.emulator import _encode
from qprovider_ibm.emulator._decode import circuit_of, rows_of, values_of
from qprovider_ibm.emulator._isa import JobError, check_circuit, check_registers, check_values
from qprovider_ibm.emulator._params import randomizations, sampler_shots
from qprovider_ibm.emulator._simulate import Simulation, packed_rows

_IQ_SPREAD = 0.35  # of the made-up points of kerneled measurements, around 1 (read 0) and -1 (read 1)


@attrs.frozen
class _Pub:
    circuit: QuantumCircuit
    values: NDArray[np.float64]
    shots: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape[:-1]


def run(params: Mapping[str, Any], task: Mapping[str, Any], threads: int) -> bytes:
    """The text of the result.

    Raises:
        JobError: The job cannot run.
    """
    options = params.get("options") or {}
    pubs = [_pub(pub, params, options) for pub in params["pubs"]]
    for pub in pubs:
        check_circuit(pub.circuit, task["source"], tuple(task["faulty"]))
        check_registers(pub.circuit)
        if task["source"] != "simulator":
            check_values(pub.circuit, rows_of(pub.values))
    check_decoupling([pub.circuit for pub in pubs], options)
    simulator = options.get("simulator") or {}
    seed = simulator.get("seed_simulator")
    simulation = Simulation(
        source=task["source"],
        threads=threads,
        seed=task["seed"] if seed is None else seed,
        model=simulator.get("noise_model"),
        mock=task["mock"],
    )
    start = datetime.now(UTC)
    outcomes = [_outcomes(pub, simulation) for pub in pubs]
    stop = datetime.now(UTC)
    if params.get("support_qiskit") is False:
        return _encode.text(_plain_result(pubs, outcomes))
    kind = (options.get("execution") or {}).get("meas_type", "classified")
    results = []
    for pub, bits in zip(pubs, outcomes, strict=True):
        metadata = {"circuit_metadata": pub.circuit.metadata or {}, **twirling_metadata(options, pub.shots)}
        data = _data_bin(pub, bits, kind)
        results.append(_encode.tagged("SamplerPubResult", {"data": data, "metadata": metadata}))
    spans = _encode.spans(start, stop, [(pub.shape, pub.shots) for pub in pubs])
    metadata = {"execution": {"execution_spans": spans}, "version": 2}
    return _encode.text(_encode.tagged("PrimitiveResult", {"pub_results": results, "metadata": metadata}))


def _pub(pub: list[Any], params: Mapping[str, Any], options: Mapping[str, Any]) -> _Pub:
    circuit = circuit_of(pub[0])
    values = values_of(pub[1] if len(pub) > 1 else None, circuit)
    return _Pub(circuit, values, sampler_shots(pub[2] if len(pub) > 2 else None, params, options))


def check_decoupling(circuits: list[QuantumCircuit], options: Mapping[str, Any]) -> None:
    """Check that dynamical decoupling and control flow do not meet.

    Raises:
        JobError: They do.
    """
    if (options.get("dynamical_decoupling") or {}).get("enable") and any(
        circuit.has_control_flow_op() for circuit in circuits
    ):
        raise JobError("Dynamical decoupling cannot be used with dynamic circuits.", code=1239)


def twirling_metadata(options: Mapping[str, Any], shots: int, *, measurements: bool = False) -> dict[str, int]:
    """The number of randomizations when gates or measurements are twirled; `measurements`: these are by default."""
    number = randomizations(options, shots, measurements=measurements)
    return {} if number is None else {"num_randomizations": number}


def bound_circuits(circuit: QuantumCircuit, values: NDArray[np.float64]) -> list[QuantumCircuit]:
    """The circuit with each set of values."""
    return [circuit.assign_parameters(row) if circuit.parameters else circuit for row in rows_of(values)]


def _outcomes(pub: _Pub, simulation: Simulation) -> NDArray[np.uint8]:
    """Shape (*sets, shots, classical bits)."""
    circuits = bound_circuits(pub.circuit, pub.values)
    bits = simulation.run(circuits, pub.shots) if circuits else []
    return np.array(bits, dtype=np.uint8).reshape(*pub.shape, pub.shots, pub.circuit.num_clbits)


def _registers(circuit: QuantumCircuit) -> dict[str, list[int]]:
    index = {bit: place for place, bit in enumerate(circuit.clbits)}
    return {register.name: [index[bit] for bit in register] for register in circuit.cregs}


def _data_bin(pub: _Pub, bits: NDArray[np.uint8], kind: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, places in _registers(pub.circuit).items():
        chosen = bits if places == list(range(bits.shape[-1])) else bits[..., places]
        if kind == "classified":
            fields[name] = _encode.bit_array(packed_rows(chosen), len(places))
        else:
            fields[name] = _encode.ndarray(iq_points(chosen, average=kind == "avg_kerneled"))
    shown = "BitArray" if kind == "classified" else "numpy.ndarray"
    return _encode.data_bin(fields, [shown] * len(fields), pub.shape)


def iq_points(bits: NDArray[np.uint8], *, average: bool) -> NDArray[np.complex128]:
    """Points in the IQ plane that would be read as these bits; made up, since Aer knows no pulses."""
    spread = np.random.default_rng(int(bits.sum())).normal(scale=_IQ_SPREAD, size=(*bits.shape, 2))
    points: NDArray[np.complex128] = 1.0 - 2.0 * bits + spread[..., 0] + 1j * spread[..., 1]
    return points.mean(axis=-2) if average else points


def _plain_result(pubs: list[_Pub], outcomes: list[NDArray[np.uint8]]) -> dict[str, Any]:
    results = []
    for pub, bits in zip(pubs, outcomes, strict=True):
        data = {}
        for name, places in _registers(pub.circuit).items():
            rows = packed_rows(bits[..., places]).reshape(-1, (len(places) + 7) // 8)
            samples = [hex(int.from_bytes(row.tobytes())) for row in rows]
            data[name] = {"samples": samples, "num_bits": len(places)}
        results.append({"data": data, "metadata": {"circuit_metadata": pub.circuit.metadata or {}}})
    return {"results": results, "metadata": {"version": 2}}

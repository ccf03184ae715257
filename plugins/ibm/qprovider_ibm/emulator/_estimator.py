"""The `estimator` program: expectation values by sampling. Imports Qiskit and Aer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from qiskit import ClassicalRegister, QuantumCircuit

from qprovider_ibm.emulator import _encode
from qprovider_ibm.emulator._decode import circuit_of, rows_of, values_of
from qprovider_ibm.emulator._isa import JobError, check_circuit, check_values
from qprovider_ibm.emulator._params import estimator_shots
from qprovider_ibm.emulator._sampler import check_decoupling, twirling_metadata
from qprovider_ibm.emulator._simulate import Simulation

Observable = Mapping[str, float]


@attrs.frozen
class _Pub:
    circuit: QuantumCircuit
    observables: Any  # an array of observables
    values: NDArray[np.float64]
    precision: float | None
    shots: int


@attrs.frozen
class _Term:
    """A Pauli operator: letters other than I, by qubit."""

    letters: tuple[tuple[int, str], ...]


def run(params: Mapping[str, Any], task: Mapping[str, Any], threads: int) -> bytes:
    """The text of the result.

    Raises:
        JobError: The job cannot run.
    """
    options = params.get("options") or {}
    pubs = [_pub(pub, params, options) for pub in params["pubs"]]
    for pub in pubs:
        check_circuit(pub.circuit, task["source"], tuple(task["faulty"]))
        if task["source"] != "simulator":
            check_values(pub.circuit, rows_of(pub.values))
    check_decoupling([pub.circuit for pub in pubs], options)
    simulator = options.get("simulator") or {}
    seeds = (options.get("seed_estimator"), simulator.get("seed_simulator"), task["seed"])
    resilience = _resilience(params, options)
    simulation = Simulation(
        source=task["source"],
        threads=threads,
        seed=next((seed for seed in seeds if seed is not None), None),
        model=simulator.get("noise_model"),
        # Readout mitigation is emulated by what it aims at: readout without errors.
        readout_errors=not resilience["measure_mitigation"],
        mock=task["mock"],
    )
    outcomes = [_expectations(pub, simulation) for pub in pubs]
    if params.get("support_qiskit") is False:
        return _encode.text(_plain_result(pubs, outcomes))
    results = []
    for pub, (evs, stds) in zip(pubs, outcomes, strict=True):
        fields = {name: _encode.ndarray(array) for name, array in _fields(evs, stds).items()}
        data = _encode.data_bin(fields, ["numpy.ndarray"] * len(fields), evs.shape)
        metadata = {**_metadata(pub), **twirling_metadata(options, pub.shots, measurements=True)}
        results.append(_encode.tagged("PubResult", {"data": data, "metadata": metadata}))
    metadata = {
        "dynamical_decoupling": {"enable": False, "sequence_type": "XX", **(options.get("dynamical_decoupling") or {})},
        "twirling": {"enable_gates": False, "enable_measure": True, **(options.get("twirling") or {})},
        "resilience": resilience,
        "version": 2,
    }
    return _encode.text(_encode.tagged("PrimitiveResult", {"pub_results": results, "metadata": metadata}))


def _resilience(params: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, bool]:
    level = params.get("resilience_level", 1)
    asked = options.get("resilience") or {}
    return {
        "measure_mitigation": asked.get("measure_mitigation", level >= 1),
        "zne_mitigation": asked.get("zne_mitigation", level >= 2),
        "pec_mitigation": asked.get("pec_mitigation", False),
    }


def _fields(evs: NDArray[np.float64], stds: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return {"evs": evs, "stds": stds, "ensemble_standard_error": stds}


def _metadata(pub: _Pub) -> dict[str, Any]:
    return {
        "shots": pub.shots,
        "target_precision": pub.precision if pub.precision is not None else 1 / np.sqrt(pub.shots),
        "circuit_metadata": pub.circuit.metadata or {},
        "resilience": {},
    }


def _plain_result(
    pubs: Sequence[_Pub], outcomes: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]
) -> dict[str, Any]:
    results = [
        {"data": {name: array.tolist() for name, array in _fields(*outcome).items()}, "metadata": _metadata(pub)}
        for pub, outcome in zip(pubs, outcomes, strict=True)
    ]
    return {"results": results, "metadata": {"version": 2}}


# ----------------------------------------------------------------------------------------------------------- input


def _pub(pub: list[Any], params: Mapping[str, Any], options: Mapping[str, Any]) -> _Pub:
    circuit = circuit_of(pub[0])
    if "measure" in circuit.count_ops():
        raise JobError("The circuit of an estimator pub has no measurements.", code=1239)
    observables = _observable_array(pub[1])
    for observable in observables.flat:
        for pauli in observable:
            if len(pauli) != circuit.num_qubits:
                raise JobError(
                    f"The observable {pauli[:40]!r} is {len(pauli)} qubits wide, but the circuit {circuit.num_qubits}.",
                    code=1239,
                    solution="Apply the circuit's layout to the observables.",
                )
    precision = pub[3] if len(pub) > 3 else None
    shots = estimator_shots(precision, params, options)
    values = values_of(pub[2] if len(pub) > 2 else None, circuit)
    try:
        np.broadcast_shapes(observables.shape, values.shape[:-1])
    except ValueError:
        raise JobError(
            f"Observables of shape {observables.shape} and parameter values of shape {values.shape[:-1]}"
            " cannot be broadcast together.",
            code=1239,
        ) from None
    return _Pub(circuit, observables, values, precision or params.get("precision"), shots)


def _observable_array(value: Any) -> Any:
    """Nested lists of observables as an array of them."""
    if isinstance(value, str | Mapping):
        array = np.empty((), dtype=object)
        array[()] = _observable(value)
        return array
    if isinstance(value, np.ndarray):
        value = value.tolist()
    parts = [_observable_array(item) for item in value]
    if len({part.shape for part in parts}) != 1:
        raise JobError("The nested lists of observables are not of one length.", code=1239)
    stacked = np.empty((len(parts), *parts[0].shape), dtype=object)
    for place, part in enumerate(parts):
        stacked[place] = part[()] if part.ndim == 0 else part
    return stacked


def _observable(value: str | Mapping[str, float]) -> Observable:
    return {value: 1.0} if isinstance(value, str) else dict(value)


def _term(pauli: str) -> _Term:
    """The rightmost letter is of qubit 0."""
    return _Term(tuple((qubit, letter) for qubit, letter in enumerate(reversed(pauli)) if letter != "I"))


# ------------------------------------------------------------------------------------------------------ estimation


def _expectations(pub: _Pub, simulation: Simulation) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expectation values and their standard errors, of the broadcast shape."""
    sets = np.arange(int(np.prod(pub.values.shape[:-1], dtype=np.int64))).reshape(pub.values.shape[:-1])
    shape = np.broadcast_shapes(sets.shape, pub.observables.shape)
    which, observables = np.broadcast_to(sets, shape), np.broadcast_to(pub.observables, shape)
    wanted: dict[int, dict[_Term, None]] = {}
    for where, observable in zip(which.flat, observables.flat, strict=True):
        wanted.setdefault(int(where), {}).update(dict.fromkeys(_term(pauli) for pauli in observable))
    rows = rows_of(pub.values)
    place: int
    jobs: list[tuple[int, list[_Term], QuantumCircuit, dict[int, int]]] = []
    for place, terms in wanted.items():
        circuit = pub.circuit.assign_parameters(rows[place]) if pub.circuit.parameters else pub.circuit
        for group, basis in _groups(terms):
            jobs.append((place, group, *_measured(circuit, basis)))
    measured: dict[tuple[int, _Term], float] = {(place, _Term(())): 1.0 for place in wanted}
    outcomes = simulation.run([circuit for _, _, circuit, _ in jobs], pub.shots) if jobs else []
    for (place, group, _, columns), bits in zip(jobs, outcomes, strict=True):
        for term in group:
            parity = bits[:, [columns[qubit] for qubit, _ in term.letters]].sum(axis=1) % 2
            measured[place, term] = float(1.0 - 2.0 * parity.mean())
    evs, stds = np.empty(which.shape), np.empty(which.shape)
    for index in np.ndindex(which.shape):
        mean = variance = 0.0
        for pauli, coefficient in dict(observables[index]).items():
            value = measured[int(which[index]), _term(pauli)]
            mean += coefficient * value
            variance += coefficient**2 * (1.0 - value**2) / pub.shots
        evs[index], stds[index] = mean, np.sqrt(variance)
    return evs, stds


def _groups(terms: Mapping[_Term, None]) -> list[tuple[list[_Term], dict[int, str]]]:
    """Terms that can be measured together, qubit by qubit, each group with its basis."""
    groups: list[tuple[list[_Term], dict[int, str]]] = []
    for term in terms:
        if not term.letters:
            continue
        for group, basis in groups:
            if all(basis.get(qubit, letter) == letter for qubit, letter in term.letters):
                group.append(term)
                basis.update(term.letters)
                break
        else:
            groups.append(([term], dict(term.letters)))
    return groups


def _measured(circuit: QuantumCircuit, basis: Mapping[int, str]) -> tuple[QuantumCircuit, dict[int, int]]:
    """The circuit followed by measurements in a basis, whose gates have no noise; and each qubit's bit."""
    measured = circuit.copy()
    measured.metadata = {}
    first = measured.num_clbits
    register = ClassicalRegister(len(basis))
    measured.add_register(register)
    columns = {}
    for place, qubit in enumerate(sorted(basis)):
        if basis[qubit] == "Y":
            measured.sdg(qubit)
        if basis[qubit] in "XY":
            measured.h(qubit)
        measured.measure(qubit, register[place])
        columns[qubit] = first + place
    return measured, columns

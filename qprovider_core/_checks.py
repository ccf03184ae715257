"""What is checked of circuits before anything is submitted, and what to do about it."""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector

from qprovider_core.errors import CircuitError, InvalidInputError, UnknownOptionError
from qprovider_core.records import ProviderSpec, SamplePub

if TYPE_CHECKING:
    from qiskit.transpiler import Target

    from qprovider_core._backend import Backend

# Instructions that say something to the compiler and are never executed.
_DIRECTIVES = frozenset({"barrier"})
# What a device that has one of these decides by may be computed first, where the vendor's handle says so with
# `_computes`: Qiskit's compiler asks no target for `store`.
_CONTROL_FLOW = frozenset({"if_else", "switch_case", "while_loop"})


def checked_circuits(run_input: Any) -> list[QuantumCircuit]:
    """The circuits as a list.

    Raises:
        CircuitError: There is none, or something else is among them.
    """
    circuits = [run_input] if isinstance(run_input, QuantumCircuit) else run_input
    if isinstance(circuits, str | bytes | Mapping) or not isinstance(circuits, Iterable):
        raise CircuitError(
            f"run takes a QuantumCircuit or a list of them, not a {type(run_input).__name__}.",
            hint="Read OpenQASM with qiskit.qasm2.load or qiskit.qasm3.load first."
            if isinstance(run_input, str)
            else None,
        )
    circuits = list(circuits)
    if not circuits:
        raise CircuitError("There is no circuit to run: the list is empty.")
    for index, circuit in enumerate(circuits):
        if not isinstance(circuit, QuantumCircuit):
            raise CircuitError(f"Item {index} is a {type(circuit).__name__}, not a QuantumCircuit.", index=index)
    return circuits


def checked_shots(shots: Any, most: int | None, name: str, default: int = 1024) -> int:
    """The number of shots.

    Raises:
        InvalidInputError: It is not a whole number from 1 to what the backend allows.
    """
    if shots is None:
        return default if most is None else min(default, most)
    try:
        number = operator.index(shots)
    except TypeError:
        number = 0
    if isinstance(shots, bool) or number < 1:
        raise InvalidInputError(f"shots must be a whole number of at least 1, not {shots!r}.")
    if most is not None and number > most:
        raise InvalidInputError(
            f"{name} runs at most {most} shots a circuit; {number} were asked for.",
            hint="Ask for fewer, or run the circuit several times and add the counts up.",
        )
    return number


# What libraries pass to every backend, as it asks for nothing: no seed (Qiskit's primitives), and that what is measured
# comes as bits (qiskit-experiments).
_ASKS_NOTHING: Mapping[str, Any] = {"seed_simulator": None, "meas_level": 2}


def checked_options(options: Mapping[str, Any], known: Iterable[str], common: Iterable[str]) -> dict[str, Any]:
    """The options that were given; None means not given.

    Raises:
        UnknownOptionError: A name that neither the core nor the vendor knows; near matches are named.
    """
    names = tuple(known)
    for name, value in options.items():
        if name not in names and not (name in _ASKS_NOTHING and value == _ASKS_NOTHING[name]):
            raise UnknownOptionError(name, [*common, *names])
    return {name: value for name, value in options.items() if value is not None and name in names}


def checked_tags(tags: Any, spec: ProviderSpec) -> tuple[str, ...]:
    """A job's tags: a list of texts, as many and as long as the vendor takes."""
    if tags is None:
        return ()
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise InvalidInputError(f"Tags are a list of texts, not {tags!r}.")
    checked = tuple(tags)
    if not all(isinstance(tag, str) and tag for tag in checked):
        raise InvalidInputError(f"Tags are a list of non-empty texts, not {list(checked)!r}.")
    most, longest = spec.max_tags, spec.max_tag_length
    if most is not None and len(checked) > most:
        raise InvalidInputError(
            f"{spec.title} takes at most {most} tags a job; there are {len(checked)}.", hint="Leave some out."
        )
    for tag in checked:
        if longest is not None and len(tag) > longest:
            raise InvalidInputError(
                f"{spec.title} takes tags of at most {longest} characters; {tag[:20]!r}… has {len(tag)}.",
                hint="Shorten it.",
            )
    return checked


def checked_memory(memory: Any) -> bool:
    """Whether the outcome of each shot is wanted."""
    if memory is not None and not isinstance(memory, bool):
        raise InvalidInputError(f"memory is true or false, not {memory!r}.")
    return bool(memory)


def checked_name(name: Any) -> str | None:
    """A job's name: a text, or None."""
    if name is not None and (not isinstance(name, str) or not name):
        raise InvalidInputError(f"A job's name is a non-empty text, not {name!r}.")
    return name


def checked_pubs(
    backend: Backend, circuits: Sequence[QuantumCircuit], shots: int, parameter_binds: Any
) -> tuple[SamplePub, ...]:
    """One pub for each circuit and binding, all of them fit for the backend.

    Raises:
        CircuitError: A circuit that the backend cannot run; `.index` says which.
    """
    most = backend.max_circuits
    bindings = _bindings(circuits, parameter_binds)
    number = sum(map(len, bindings))
    if most is not None and number > most:
        bound = "" if number == len(circuits) else " with the values of parameter_binds"
        raise CircuitError(
            f"{backend.full_name} takes at most {most} circuits a job; there are {number}{bound}.",
            hint=f"Send them in parts of {most}.",
        )
    fit = _Fit(backend)
    for index, circuit in enumerate(circuits):
        fit.check(circuit, index)
    return tuple(
        SamplePub(circuit=circuit, shots=shots, parameter_values=values)
        for circuit, rows in zip(circuits, bindings, strict=True)
        for values in rows
    )


def check_width(backend: Backend, circuit: QuantumCircuit, index: int) -> None:
    """Refuse a circuit that has more qubits than the backend."""
    width = backend.num_qubits
    if width is not None and circuit.num_qubits > width:
        raise CircuitError(
            f"{_label(circuit, index)} has {circuit.num_qubits} qubits; {backend.full_name} has {width}.",
            index=index,
            hint="Choose a larger backend: qp.least_busy(min_num_qubits="
            f"{circuit.num_qubits}), or `qprovider backends --min-qubits {circuit.num_qubits}`.",
        )


def _label(circuit: QuantumCircuit, index: int) -> str:
    return f"Circuit {index} ({circuit.name!r})"


class _Fit:
    """Checks circuits against one backend, remembering what it has seen: circuits repeat their gates."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.name = backend.full_name
        self.target: Target = backend.target
        self.faulty = set(backend.faulty_qubits())
        extra = backend.configuration().supported_instructions or ()
        self.anywhere = {
            name for name in self.target.operation_names if self.target.qargs_for_operation_name(name) is None
        } | _DIRECTIVES
        if getattr(backend, "_computes", False) and not _CONTROL_FLOW.isdisjoint(self.target.operation_names):
            self.anywhere |= {"store"}
        # What a simulator lists and its target cannot express (instructions of any width) runs on any qubits.
        if backend.configuration().coupling_map is None:
            self.anywhere |= set(extra)
        self.seen: set[tuple[str, tuple[int, ...]]] = set()
        self.done: set[int] = set()

    def check(self, circuit: QuantumCircuit, index: int) -> None:
        if id(circuit) in self.done:
            return
        label = _label(circuit, index)
        check_width(self.backend, circuit, index)
        names = _operations(circuit)
        if not circuit.num_clbits or "measure" not in names:
            raise CircuitError(
                f"{label} measures nothing, so it has no counts.",
                index=index,
                hint="Add circuit.measure_all() or circuit.measure(qubits, clbits).",
            )
        if not names <= self.anywhere:
            places = {qubit: place for place, qubit in enumerate(circuit.qubits)}
            self._check_places(circuit, places, label, index)
        self.done.add(id(circuit))

    def _check_places(self, circuit: QuantumCircuit, places: Mapping[Any, int], label: str, index: int) -> None:
        for instruction in circuit.data:
            name = instruction.operation.name
            qubits = tuple(places[qubit] for qubit in instruction.qubits)
            if (name, qubits) not in self.seen:
                if name not in self.anywhere and not self.target.instruction_supported(name, qubits):
                    raise self._misfit(name, qubits, label, index)
                self.seen.add((name, qubits))
            for block in getattr(instruction.operation, "blocks", ()):
                inner = dict(zip(block.qubits, qubits, strict=True))
                self._check_places(block, inner, label, index)

    def _misfit(self, name: str, qubits: tuple[int, ...], label: str, index: int) -> CircuitError:
        where = f"qubit {qubits[0]}" if len(qubits) == 1 else f"qubits {', '.join(map(str, qubits))}"
        hint = "Transpile it for this backend first: transpile(circuit, backend)."
        broken = sorted(self.faulty & set(qubits))
        if broken:
            return CircuitError(
                f"{label} uses qubit {broken[0]}, which {self.name} reports as faulty.",
                index=index,
                why=f"The instruction is {name} on {where}.",
                hint="Transpile it with backend.transpile(circuit), which chooses qubits that work.",
            )
        if name not in self.target.operation_names:
            known = ", ".join(sorted(self.target.operation_names))
            return CircuitError(
                f"{label} has the instruction {name!r}, which {self.name} does not have.",
                index=index,
                why=f"It has: {known}.",
                hint=hint,
            )
        return CircuitError(f"{label}: {self.name} has no {name} on {where}.", index=index, hint=hint)


def _operations(circuit: QuantumCircuit) -> set[str]:
    """Names of all instructions, those inside blocks of control flow included."""
    names = set(circuit.count_ops())
    if circuit.has_control_flow_op():
        for instruction in circuit.data:
            for block in getattr(instruction.operation, "blocks", ()):
                names |= _operations(block)
    return names


# ------------------------------------------------------------------------------------------------- parameters


def _bindings(circuits: Sequence[QuantumCircuit], binds: Any) -> list[list[tuple[float, ...]]]:
    """For each circuit its rows of values, one experiment a row.

    `binds` is a list of mappings from parameters (or their names) to numbers, each of which is applied to every
    circuit; or, as Qiskit Aer takes it, one mapping a circuit from parameters to lists of numbers. A vector of
    parameters takes a list of numbers, one for each of its elements.
    """
    for index, circuit in enumerate(circuits):
        if circuit.num_parameters and not binds:
            names = ", ".join(parameter.name for parameter in circuit.parameters)
            raise CircuitError(
                f"Circuit {index} ({circuit.name!r}) has parameters without values: {names}.",
                index=index,
                hint="Give them: run(…, parameter_binds=[{theta: 0.1}]), or circuit.assign_parameters(…).",
            )
    if not binds:
        return [[()] for _ in circuits]
    if isinstance(binds, Mapping):
        binds = [binds]
    if not isinstance(binds, Sequence) or not all(isinstance(one, Mapping) for one in binds):
        raise InvalidInputError(f"parameter_binds is a list of mappings from parameters to values, not {binds!r}.")
    binds = [_by_name(one) for one in binds]
    known = {parameter.name for circuit in circuits for parameter in circuit.parameters}
    for given in sorted({name for one in binds for name in one} - known):
        raise UnknownOptionError(given, known, what=f"No circuit has the parameter {given!r} of parameter_binds.")
    if any(_is_list(value) for one in binds for value in one.values()):
        if len(binds) != len(circuits):
            raise InvalidInputError(
                f"parameter_binds has {len(binds)} mappings with lists of values for {len(circuits)} circuits.",
                hint="Give one for each circuit.",
            )
        return [
            [_row(circuit, row, i) for row in _unzipped(one)]
            for i, (circuit, one) in enumerate(zip(circuits, binds, strict=True))
        ]
    return [[_row(circuit, one, i) for one in binds] for i, circuit in enumerate(circuits)]


def _by_name(bind: Mapping[Any, Any]) -> dict[str, Any]:
    """The mapping by the parameters' names, vectors taken apart."""
    named: dict[str, Any] = {}
    for key, value in bind.items():
        pairs = [(key.name if isinstance(key, Parameter) else str(key), value)]
        if isinstance(key, ParameterVector):
            pairs = _elements(key, value)
        for name, one in pairs:
            if name in named:
                raise InvalidInputError(f"parameter_binds gives values for {name} twice.")
            named[name] = one
    return named


def _elements(vector: ParameterVector, values: Any) -> list[tuple[str, Any]]:
    """The names of a vector's elements with their values."""
    size = len(vector)
    if not _is_list(values) or any(_is_list(value) for value in values):
        raise InvalidInputError(
            f"The vector {vector.name!r} of parameter_binds takes a list of {size} numbers, not"
            f" {reprlib.repr(values)}.",
            hint="For several sets of values give one mapping a set: [{vector: row} for row in rows].",
        )
    if len(values) != size:
        raise InvalidInputError(
            f"The vector {vector.name!r} of parameter_binds has {size} elements, and was given {len(values)} values.",
            hint="Give one number for each element.",
        )
    return [(element.name, value) for element, value in zip(vector, values, strict=True)]


def _is_list(value: Any) -> bool:
    return (isinstance(value, Sequence) and not isinstance(value, str)) or getattr(value, "ndim", 0) == 1


def _unzipped(bind: Mapping[str, Any]) -> list[dict[str, Any]]:
    """``{a: [1, 2], b: [3, 4]}`` as ``[{a: 1, b: 3}, {a: 2, b: 4}]``."""
    lengths = {len(values) if _is_list(values) else 1 for values in bind.values()}
    if len(lengths) > 1:
        raise InvalidInputError("The lists of values in parameter_binds differ in length.")
    count = lengths.pop() if lengths else 1
    if count == 0:
        raise InvalidInputError("The lists of values in parameter_binds are empty.")
    return [{key: v[i] if _is_list(v) else v for key, v in bind.items()} for i in range(count)]


def _row(circuit: QuantumCircuit, bind: Mapping[str, Any], index: int) -> tuple[float, ...]:
    missing = [parameter.name for parameter in circuit.parameters if parameter.name not in bind]
    if missing:
        raise CircuitError(
            f"Circuit {index} ({circuit.name!r}) has no value for {', '.join(missing)} in parameter_binds.",
            index=index,
        )
    try:
        row = tuple(float(bind[parameter.name]) for parameter in circuit.parameters)
    except (TypeError, ValueError, OverflowError) as exc:
        raise CircuitError(f"Circuit {index}: a parameter's value is no number: {exc}.", index=index) from exc
    if not all(map(math.isfinite, row)):
        raise CircuitError(f"Circuit {index}: a parameter's value is not finite: {row}.", index=index)
    return row

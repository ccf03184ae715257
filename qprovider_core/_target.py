"""From a backend's records to the `Target` that Qiskit's transpiler reads. Imports Qiskit."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from qiskit import QuantumCircuit, qasm2
from qiskit.circuit import Delay, Gate, Instruction, Measure, Parameter, Reset
from qiskit.circuit.controlflow import (
    BoxOp,
    BreakLoopOp,
    ContinueLoopOp,
    ForLoopOp,
    IfElseOp,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.library import (
    DiagonalGate,
    Initialize,
    MCPhaseGate,
    MCXGate,
    PauliGate,
    PermutationGate,
    UCGate,
    UnitaryGate,
)
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.circuit.store import Store
from qiskit.providers import QubitProperties
from qiskit.transpiler import InstructionProperties, Target

from qprovider_core.errors import ResponseError
from qprovider_core.records import BackendConfiguration, BackendProperties, GateConfiguration
from qprovider_core.records.properties import BareValues

_CONTROL_FLOW: Mapping[str, type] = {
    "if_else": IfElseOp,
    "for_loop": ForLoopOp,
    "while_loop": WhileLoopOp,
    "switch_case": SwitchCaseOp,
    "break_loop": BreakLoopOp,
    "continue_loop": ContinueLoopOp,
    "box": BoxOp,
    "store": Store,
}
_LOOPS = {"for_loop", "while_loop"}
# Instructions of any width: a `Target` takes their classes, on any qubits.
_ANY_WIDTH: Mapping[str, type] = {
    "diagonal": DiagonalGate,
    "initialize": Initialize,
    "mcp": MCPhaseGate,
    "mcphase": MCPhaseGate,
    "mcx": MCXGate,
    "multiplexer": UCGate,
    "pauli": PauliGate,
    "permutation": PermutationGate,
    "unitary": UnitaryGate,
}
_MOST_QUBITS = 100_000  # no device is that wide, and a target lists its qubits
_NOT_GATES = ("measure", "reset", "delay")
_QASM_GATE = re.compile(r"\s*gate\s+(?P<name>\w+)\s*(\((?P<params>[^)]*)\))?\s*(?P<qubits>[\w\s,]+?)\s*\{")

# The places where an instruction may stand, with what is known of it there; None: anywhere, empty: nowhere.
Places = dict[tuple[int, ...], InstructionProperties | None] | None


def build_target(configuration: BackendConfiguration, properties: BackendProperties | None) -> Target:
    """The `Target` of a backend: its gates, where they act, how long they take and how often they fail.

    Faulty qubits take no instruction at all, faulty gates are left out where they are faulty. A device
    without a coupling map gets instructions that act anywhere, or where something is faulty, on all places
    that work. Names that neither Qiskit nor the configuration defines are left out: nothing says on how many
    qubits they act.
    """
    return _Builder(configuration, properties).target()


class _Builder:
    """One device's records, and what is worked out of them on the way to its target."""

    def __init__(self, configuration: BackendConfiguration, properties: BackendProperties | None) -> None:
        self.conf = configuration
        self.known = properties.bare if properties else BareValues(qubits=(), gates=())
        self.size = configuration.n_qubits
        self.gate_confs = {gate.name: gate for gate in configuration.gates}
        self.faulty = set(properties.faulty_qubits()) if properties else set()
        self.calibrated: dict[str, dict[tuple[int, ...], Mapping[str, float]]] = {}
        self.broken: set[tuple[str, tuple[int, ...]]] = set()
        self.standard = get_standard_gate_name_mapping()

    def target(self) -> Target:
        if self.size is not None and not 1 <= self.size <= _MOST_QUBITS:
            raise self._contradiction(f"{self.size} qubits", "n_qubits")
        self._read_gate_calibration()
        target = Target(
            num_qubits=self.size,
            dt=self.conf.dt,
            qubit_properties=self._qubit_properties(),
            **self._timing(),
        )
        for name in self._gate_names():
            self._add_gate(target, name)
        target.add_instruction(Measure(), self._measure_places(), name="measure")
        for name, instruction in (("reset", Reset()), ("delay", Delay(Parameter("t")))):
            if self._supports(name):
                target.add_instruction(instruction, self._places(name, 1), name=name)
        for name in self._control_flow():
            target.add_instruction(_CONTROL_FLOW[name], name=name)
        self._add_signatures(target)
        return target

    # -- names ------------------------------------------------------------------------------------------------

    def _gate_names(self) -> list[str]:
        """Native gates in the configuration's order."""
        listed = self.conf.basis_gates or tuple(self.gate_confs)
        # A simulator names its wide instructions beside the native gates; a device repeats its gates there,
        # and old ones add pulse commands.
        more = [name for name in self.conf.supported_instructions or () if name in _ANY_WIDTH]
        names = dict.fromkeys([*listed, *more])
        return [name for name in names if name not in _NOT_GATES and name not in _CONTROL_FLOW]

    def _supports(self, name: str) -> bool:
        listed = self.conf.supported_instructions
        return listed is None or name in listed or name in self.conf.basis_gates

    def _control_flow(self) -> list[str]:
        listed = {*(self.conf.supported_instructions or ()), *self.conf.basis_gates}
        names = [name for name in _CONTROL_FLOW if name in listed]
        if listed & _LOOPS:
            names += [name for name in ("break_loop", "continue_loop") if name not in names]
        return names

    # -- calibration ------------------------------------------------------------------------------------------

    def _read_gate_calibration(self) -> None:
        for gate, qubits, values in self.known.gates:
            if values.get("operational", True):
                self.calibrated.setdefault(gate, {})[qubits] = values
            else:
                self.broken.add((gate, qubits))

    def _qubit_properties(self) -> list[QubitProperties] | None:
        if not self.known.qubits or self.size is None:
            return None
        found = [
            QubitProperties(t1=values.get("T1"), t2=values.get("T2"), frequency=values.get("frequency"))
            for values in self.known.qubits[: self.size]
        ]
        return [*found, *(QubitProperties() for _ in range(self.size - len(found)))]

    def _timing(self) -> dict[str, int]:
        known = ("granularity", "min_length", "pulse_alignment", "acquire_alignment")
        constraints = self.conf.timing_constraints or {}
        return {name: constraints[name] for name in known if name in constraints}

    # -- places -----------------------------------------------------------------------------------------------

    def _places(self, name: str, width: int | None) -> Places:
        """Where `name` acts: as configured, else as calibrated, else wherever its width fits the device."""
        places = self._bare_places(name, width)
        if places is None:
            return None
        calibrated = self.calibrated.get(name, {})
        return {place: _properties(calibrated.get(place)) for place in places}

    def _bare_places(self, name: str, width: int | None) -> Iterable[tuple[int, ...]] | None:
        configured = self.gate_confs[name].coupling_map if name in self.gate_confs else None
        calibrated = self.calibrated.get(name)
        if configured or calibrated:
            places: Iterable[tuple[int, ...]] = configured or calibrated or ()
            self._check_places(name, width, places)
        elif self.size is None or not width:  # no width: a global phase
            return None
        elif width == 1 and self.conf.coupling_map is not None:
            places = [(qubit,) for qubit in range(self.size)]
        elif width == 2 and self.conf.coupling_map is not None:
            places = self.conf.coupling_map
            self._check_places(name, width, places)
        elif not self._has_faults(name):
            return None
        else:
            places = self._sound_places(self.size, width)
        if not self.faulty and not self.broken:
            return places
        return [place for place in places if self._works(name, place)]

    def _check_places(self, name: str, width: int | None, places: Iterable[tuple[int, ...]]) -> None:
        """Qiskit's `Target` would grow to hold a qubit that the device has not."""
        odd = [place for place in places if width and len(place) != width]
        qubits = {*itertools.chain.from_iterable(places)}
        if odd or min(qubits, default=0) < 0 or (self.size is not None and max(qubits, default=-1) >= self.size):
            shown = odd[0] if odd else f"{min(qubits)} to {max(qubits)}"
            raise self._contradiction(f"{name} on qubits {shown}", "gates")

    def _contradiction(self, what: str, path: str) -> ResponseError:
        size = "" if self.size is None else f" of {self.size} qubits"
        return ResponseError(f"The documents of {self.conf.backend_name}{size} cannot be right: {what}.", path=path)

    def _has_faults(self, name: str) -> bool:
        """Whether `name` cannot act anywhere on the device, since something is faulty."""
        if self.size is None:
            return False
        if self.conf.coupling_map is None:
            # Qiskit finds no connections, and so chooses no places, once one two-qubit gate acts anywhere.
            return bool(self.faulty or self.broken)
        return bool(self.faulty) or any(gate == name for gate, _ in self.broken)

    def _sound_places(self, size: int, width: int) -> Iterable[tuple[int, ...]]:
        """Every choice of working qubits, in every order: what "anywhere" means where something is faulty."""
        working = [qubit for qubit in range(size) if qubit not in self.faulty]
        # Qiskit cannot route for gates of three qubits that act on some places only, and there are too many to
        # list. The gate then acts nowhere: the transpiler takes it apart, and never lands on a faulty qubit.
        if width > 2:
            return ()
        return itertools.permutations(working, width)

    def _works(self, name: str, place: tuple[int, ...]) -> bool:
        return self.faulty.isdisjoint(place) and (name, place) not in self.broken

    def _measure_places(self) -> Places:
        if self.size is None:
            return self._places("measure", 1)
        places = self._bare_places("measure", 1)
        if places is None and self.known.qubits:
            places = [(qubit,) for qubit in range(self.size)]
        if places is None:
            return None
        gates = self.calibrated.get("measure", {})
        return {place: self._readout(place, gates.get(place)) for place in places}

    def _readout(self, place: tuple[int, ...], gate: Mapping[str, float] | None) -> InstructionProperties | None:
        """What is known of the measurement at `place`, where `gate` is its gate entry."""
        # The readout values of the qubits tell more than a gate entry for "measure" of the same device.
        if len(place) == 1 and 0 <= place[0] < len(self.known.qubits):
            values = self.known.qubits[place[0]]
            if "readout_error" in values:
                return InstructionProperties(values.get("readout_length"), values["readout_error"])
        # Aer reads the error of every measurement that has properties, and stumbles over None.
        return _properties(gate) if gate is not None and "gate_error" in gate else None

    # -- instructions -----------------------------------------------------------------------------------------

    def _add_gate(self, target: Target, name: str) -> None:
        if name in self.standard:
            gate = self.standard[name]
            self._add_where_it_acts(target, gate, name, gate.num_qubits)
        elif name in _ANY_WIDTH:
            # A `Target` takes no places for a class: where something is faulty, the transpiler has to take
            # these instructions apart.
            if not self._has_faults(name):
                target.add_instruction(_ANY_WIDTH[name], name=name)
        elif name in self.gate_confs:
            custom = _custom_gate(self.gate_confs[name], tuple(self.calibrated.get(name, ())))
            if custom is not None:
                self._add_where_it_acts(target, custom, name, custom.num_qubits)

    def _add_where_it_acts(self, target: Target, instruction: Instruction, name: str, width: int) -> None:
        places = self._places(name, width)
        if places is None or places or not self._has_faults(name):
            target.add_instruction(instruction, places, name=name)

    def _add_signatures(self, target: Target) -> None:
        """Instructions of the vendor's own, such as a second kind of measurement."""
        signatures = self.conf.extra.get("instruction_signatures")
        for signature in signatures if isinstance(signatures, list) else ():
            try:
                name, width = signature["name"], signature["num_qubits"]
                parameters = [Parameter(str(parameter)) for parameter in signature.get("parameters") or ()]
                instruction = Instruction(name, width, signature.get("num_clbits") or 0, parameters)
            except (KeyError, TypeError, AttributeError, ValueError):
                continue  # free-form data of the vendor: one entry less, the device stays usable
            if name not in target.operation_names:
                self._add_where_it_acts(target, instruction, name, width)


def _properties(values: Mapping[str, float] | None) -> InstructionProperties | None:
    """How long an instruction takes at a place, and how often it fails there."""
    if values is None:
        return None
    # 1 means "not calibrated", and some devices send more. As the worst probability there is, the transpiler
    # avoids the place and a noise model treats it as useless; None would mean perfect.
    error = values.get("gate_error")
    return InstructionProperties(values.get("gate_length"), error if error is None or error <= 1.0 else 1.0)


def _custom_gate(conf: GateConfiguration, calibrated: tuple[tuple[int, ...], ...]) -> Gate | None:
    """A gate that Qiskit does not know; None when nothing says on how many qubits it acts."""
    match = _QASM_GATE.match(conf.qasm_def or "")
    if match is not None:
        width = len(match["qubits"].split(","))
        parameters = [text.strip() for text in (match["params"] or "").split(",") if text.strip()]
    elif conf.coupling_map or calibrated:
        width = len((conf.coupling_map or calibrated)[0])
        parameters = []
    else:
        return None
    gate = Gate(conf.name, width, [Parameter(name) for name in conf.parameters or parameters])
    if match is not None and not parameters and match["name"] == conf.name:
        gate.definition = _definition(conf.name, width, conf.qasm_def or "")
    return gate


def _definition(name: str, width: int, qasm_def: str) -> QuantumCircuit | None:
    """What the gate does, from its OpenQASM 2 definition; None where that cannot be read."""
    wires = ",".join(f"q[{index}]" for index in range(width))
    program = f'OPENQASM 2.0; include "qelib1.inc"; {qasm_def} qreg q[{width}]; {name} {wires};'
    try:
        definition: Any = qasm2.loads(program).data[0].operation.definition
    except qasm2.QASM2ParseError:
        return None
    return definition

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

from qprovider_core.records import BackendConfiguration, BackendProperties, GateConfiguration

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
        self.props = properties
        self.size = configuration.n_qubits
        self.gate_confs = {gate.name: gate for gate in configuration.gates}
        self.faulty = set(self.props.faulty_qubits()) if self.props else set()
        self.calibrated: dict[str, dict[tuple[int, ...], InstructionProperties | None]] = {}
        self.broken: set[tuple[str, tuple[int, ...]]] = set()
        self.standard = get_standard_gate_name_mapping()

    def target(self) -> Target:
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
        if self.props is None:
            return
        for gate in self.props.gates:
            operational = gate.values.get("operational")
            if operational is not None and not operational.value:
                self.broken.add((gate.gate, gate.qubits))
                continue
            error, length = gate.values.get("gate_error"), gate.values.get("gate_length")
            self.calibrated.setdefault(gate.gate, {})[gate.qubits] = InstructionProperties(
                # 1 means "not calibrated", and some devices send more. As the worst probability there is, the
                # transpiler avoids the place and a noise model treats it as useless; None would mean perfect.
                error=None if error is None else min(error.value, 1.0),
                duration=None if length is None else length.value,
            )

    def _qubit_properties(self) -> list[QubitProperties] | None:
        if self.props is None or not self.props.qubits or self.size is None:
            return None
        known = len(self.props.qubits)
        return [
            QubitProperties(t1=self.props.t1(q), t2=self.props.t2(q), frequency=self.props.frequency(q))
            if q < known
            else QubitProperties()
            for q in range(self.size)
        ]

    def _timing(self) -> dict[str, int]:
        known = ("granularity", "min_length", "pulse_alignment", "acquire_alignment")
        constraints = self.conf.timing_constraints or {}
        return {name: constraints[name] for name in known if name in constraints}

    # -- places -----------------------------------------------------------------------------------------------

    def _places(self, name: str, width: int | None) -> Places:
        """Where `name` acts: as configured, else as calibrated, else wherever its width fits the device."""
        configured = self.gate_confs[name].coupling_map if name in self.gate_confs else None
        calibrated = self.calibrated.get(name, {})
        if configured:
            places: Iterable[tuple[int, ...]] = configured
        elif calibrated:
            places = calibrated
        elif self.size is None or not width:  # no width: a global phase
            return None
        elif width == 1 and self.conf.coupling_map is not None:
            places = [(qubit,) for qubit in range(self.size)]
        elif width == 2 and self.conf.coupling_map is not None:
            places = self.conf.coupling_map
        elif not self._has_faults(name):
            return None
        else:
            places = self._sound_places(self.size, width)
        return {place: calibrated.get(place) for place in places if self._works(name, place)}

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
        return not self.faulty.intersection(place) and (name, place) not in self.broken

    def _measure_places(self) -> Places:
        places = self._places("measure", 1)
        if self.props is None or self.size is None:
            return places
        if places is None and self.props.qubits:
            places = dict.fromkeys((qubit,) for qubit in range(self.size))
        # The readout values of the qubits tell more than a gate entry for "measure" of the same device.
        return None if places is None else {place: self._readout(place, values) for place, values in places.items()}

    def _readout(self, place: tuple[int, ...], values: InstructionProperties | None) -> InstructionProperties | None:
        """What is known of the measurement at `place`, where `values` are those of its gate entry."""
        assert self.props is not None
        if len(place) == 1 and place[0] < len(self.props.qubits):
            error, duration = self.props.readout_error(place[0]), self.props.readout_length(place[0])
            if error is not None:
                return InstructionProperties(error=error, duration=duration)
        # Aer reads the error of every measurement that has properties, and stumbles over None.
        return None if values is None or values.error is None else values

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

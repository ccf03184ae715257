"""Classical variables as classical bits: Aer computes with bits, and stumbles over variables. Imports Qiskit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import (
    CircuitInstruction,
    ClassicalRegister,
    ControlFlowOp,
    ForLoopOp,
    Measure,
    Qubit,
    Store,
    SwitchCaseOp,
)
from qiskit.circuit.classical import expr, types

from qprovider_ibm.emulator._isa import JobError

# What Aer 0.18 works out.
_KNOWN = {
    *(expr.Unary.Op.BIT_NOT, expr.Unary.Op.LOGIC_NOT),
    *(expr.Binary.Op.BIT_AND, expr.Binary.Op.BIT_OR, expr.Binary.Op.BIT_XOR),
    *(expr.Binary.Op.LOGIC_AND, expr.Binary.Op.LOGIC_OR),
    *(expr.Binary.Op.EQUAL, expr.Binary.Op.NOT_EQUAL, expr.Binary.Op.LESS, expr.Binary.Op.LESS_EQUAL),
    *(expr.Binary.Op.GREATER, expr.Binary.Op.GREATER_EQUAL),
}


def without_variables(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with a register behind its own ones for each of its variables, those of blocks included.

    Raises:
        JobError: It has a variable or computes something that cannot be simulated.
    """
    if not computes(circuit):
        return circuit
    if circuit.num_input_vars:
        names = ", ".join(var.name for var in circuit.iter_input_vars())
        raise JobError(f"The circuit has the input variables {names}, and a job gives them no values.", code=1239)
    variables = list(_declared(circuit))
    registers = [ClassicalRegister(_width(variable), f"_variable_{k}") for k, variable in enumerate(variables)]
    place_of = {
        variable: expr.Var(register if isinstance(variable.type, types.Uint) else register[0], variable.type)
        for variable, register in zip(variables, registers, strict=True)
    }
    return _with_room(_rewritten(circuit, registers, _Translation(place_of)))


def _with_room(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with its last bit measured at the beginning: with noise, Aer has bits up to the last measured one."""
    if not circuit.num_qubits or not circuit.num_clbits:
        return circuit
    last = circuit.clbits[-1]
    measured = (item.qubits[0] for item in circuit.data if isinstance(item.operation, Measure))
    begun = circuit.copy_empty_like()
    begun.measure(next(measured, circuit.qubits[0]), last)  # of a qubit that is still as it was prepared
    begun.store(last, False)
    for item in circuit.data:
        begun._append(item)
    return begun


def computes(circuit: QuantumCircuit) -> bool:
    """Whether it has variables or stores; what a store reads and writes, its item does not tell."""
    return bool(
        circuit.num_vars
        or circuit.num_stretches
        or any(isinstance(item.operation, Store) or any(map(computes, _blocks(item))) for item in circuit.data)
    )


def _blocks(item: CircuitInstruction) -> Sequence[QuantumCircuit]:
    return item.operation.blocks if isinstance(item.operation, ControlFlowOp) else ()


def _declared(circuit: QuantumCircuit) -> Iterator[expr.Var]:
    yield from circuit.iter_declared_vars()
    for item in circuit.data:
        for block in _blocks(item):
            yield from _declared(block)


def _width(variable: expr.Var) -> int:
    if isinstance(variable.type, types.Bool):
        return 1
    if isinstance(variable.type, types.Uint):
        return int(variable.type.width)
    raise _unsupported(f"the variable {variable.name} of type {variable.type}")


def _rewritten(
    circuit: QuantumCircuit, registers: Sequence[ClassicalRegister], translation: _Translation
) -> QuantumCircuit:
    if circuit.num_stretches:
        raise _unsupported("a stretch")
    plain = QuantumCircuit(
        circuit.qubits or [Qubit()],
        circuit.clbits,
        *circuit.qregs,
        *circuit.cregs,
        *registers,
        name=circuit.name,
        global_phase=circuit.global_phase,
        metadata=circuit.metadata,
    )
    more = [bit for register in registers for bit in register]
    for item in circuit.data:
        operation = item.operation
        if isinstance(operation, Store):
            operation = Store(translation.of(operation.lvalue), translation.of(operation.rvalue))
            item = item.replace(operation=operation)
        elif isinstance(operation, ControlFlowOp):
            blocks = [_rewritten(block, registers, translation) for block in operation.blocks]
            flow = _flow(operation, blocks, translation)
            # Aer keeps in order what shares a qubit: a block without one would be done before its condition is known.
            item = CircuitInstruction(flow, item.qubits or plain.qubits[:1], [*item.clbits, *more])
        plain._append(item)
    return plain


def _flow(operation: ControlFlowOp, blocks: Sequence[QuantumCircuit], translation: _Translation) -> ControlFlowOp:
    """The operation with other blocks, and with what it decides by translated."""
    if isinstance(operation, SwitchCaseOp):
        cases = [(values, blocks[place]) for place, (values, _) in enumerate(operation.cases_specifier())]
        return SwitchCaseOp(translation.of(operation.target), cases, label=operation.label)
    if isinstance(operation, ForLoopOp):
        indices, parameter, _ = operation.params
        if isinstance(parameter, expr.Var) or not isinstance(indices, range | tuple | list):
            raise _unsupported("a for loop over a variable")
        return operation.replace_blocks(blocks)
    condition = getattr(operation, "condition", None)
    if condition is None:
        return operation.replace_blocks(blocks)
    return type(operation)(translation.of(condition), *blocks, label=operation.label)


class _Translation(expr.ExprVisitor[Any]):  # type: ignore[misc]  # Qiskit has no types
    """Expressions over variables as expressions over bits.

    Args:
        place_of: Each variable's register or bit.
    """

    def __init__(self, place_of: Mapping[expr.Var, expr.Var]) -> None:
        self._place_of = place_of

    def of(self, value: Any) -> Any:
        """An expression translated; bits, registers and pairs of these with a value as they are."""
        return value.accept(self) if isinstance(value, expr.Expr) else value

    def visit_var(self, node: Any, /) -> Any:
        return self._place_of[node] if node.standalone else node

    def visit_value(self, node: Any, /) -> Any:
        return node

    def visit_cast(self, node: Any, /) -> Any:
        return expr.Cast(self.of(node.operand), node.type, implicit=node.implicit)

    def visit_unary(self, node: Any, /) -> Any:
        self._check(node.op)
        return expr.Unary(node.op, self.of(node.operand), node.type)

    def visit_binary(self, node: Any, /) -> Any:
        self._check(node.op)
        return expr.Binary(node.op, self.of(node.left), self.of(node.right), node.type)

    def visit_index(self, node: Any, /) -> Any:
        target, index = self.of(node.target), node.index
        if not isinstance(target, expr.Var) or not isinstance(index, expr.Value):
            raise _unsupported("an index that is not a number, or of something else than a variable or register")
        return expr.Var(target.var[index.value], types.Bool())

    def visit_generic(self, node: Any, /) -> Any:
        raise _unsupported(f"the expression {node}")

    @staticmethod
    def _check(operator: Any) -> None:
        if operator not in _KNOWN:
            raise _unsupported(f"the operator {operator.name}")


def _unsupported(what: str) -> JobError:
    return JobError(
        f"The circuit computes with {what}, which is not supported.",
        code=1239,
        solution="Compute with Bool and Uint, comparisons and the operators of bits and logic, or after the job.",
    )

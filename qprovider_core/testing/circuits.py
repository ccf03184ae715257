"""Circuits whose outcome is known, each with the bit string that Qiskit's order gives it.

Three classical registers of 1, 3 and 2 bits tell every mix-up apart: reversed bits, registers in the wrong order, a
lost leading zero, and qubits taken for bits.
"""

from __future__ import annotations

from collections.abc import Collection
from math import pi

from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter

SIZES = (1, 3, 2)
"""Bits of the registers ``a``, ``b`` and ``c``."""

# Which bit qubit 0, 1, ... is measured into: neither sorted nor its own mirror image.
_BIT_OF_QUBIT = (1, 5, 0, 3, 4, 2)

PATTERNS: tuple[frozenset[int], ...] = tuple(
    map(frozenset, [(), (1,), (5,), (0, 3), (1, 5), (0, 1), (4, 5, 1), (0, 1, 2, 3, 4, 5)])
)
"""Sets of bits that are to be 1: among them every mix-up of bits or registers shows."""


def registers(ones: Collection[int], num_qubits: int | None = None) -> tuple[QuantumCircuit, str]:
    """A circuit with X on the qubits whose bits are in `ones` (numbered through all registers from 0), and the key
    of its counts. A narrow device measures fewer bits; the others stay 0."""
    width = len(_BIT_OF_QUBIT) if num_qubits is None else min(num_qubits, len(_BIT_OF_QUBIT))
    parts = [ClassicalRegister(size, name) for size, name in zip(SIZES, "abc", strict=True)]
    circuit = QuantumCircuit(QuantumRegister(width, "q"), *parts, name=f"ones_{'_'.join(map(str, sorted(ones)))}")
    bits = ["0"] * sum(SIZES)
    for qubit, bit in enumerate(_BIT_OF_QUBIT[:width]):
        if bit in ones:
            circuit.x(qubit)
            bits[bit] = "1"
    for qubit, bit in enumerate(_BIT_OF_QUBIT[:width]):
        circuit.measure(qubit, bit)
    return circuit, spaced(bits)


def spaced(bits: Collection[str]) -> str:
    """Bits, lowest first, as a key of counts: the last register leftmost, bit 0 of each rightmost."""
    rest, parts = list(bits), []
    for size in SIZES:
        parts.append("".join(reversed(rest[:size])))
        rest = rest[size:]
    return " ".join(reversed(parts))


def number(value: int, width: int) -> tuple[QuantumCircuit, str]:
    """A circuit that gives `value` in binary, on `width` qubits."""
    circuit = QuantumCircuit(width, width, name=f"number_{value}")
    for qubit in range(width):
        if value >> qubit & 1:
            circuit.x(qubit)
    circuit.measure(range(width), range(width))
    return circuit, format(value, f"0{width}b")


def coin(width: int = 1) -> QuantumCircuit:
    """Every bit is 0 or 1 with equal chance."""
    circuit = QuantumCircuit(width, width, name="coin")
    circuit.h(range(width))
    circuit.measure(range(width), range(width))
    return circuit


def wide_registers(num_qubits: int | None = None) -> tuple[QuantumCircuit, str]:
    """Registers of 11 and 9 bits, which take two bytes each, with ones in both bytes; and the key of the counts.
    A device of one or two qubits measures fewer of them."""
    ones = [("low", 9), ("high", 0), ("high", 8), ("low", 2)][: 4 if num_qubits is None else num_qubits]
    parts = {"low": ClassicalRegister(11, "low"), "high": ClassicalRegister(9, "high")}
    circuit = QuantumCircuit(QuantumRegister(len(ones), "q"), *parts.values(), name="wide_registers")
    bits = {name: ["0"] * part.size for name, part in parts.items()}
    for qubit, (name, bit) in enumerate(ones):
        circuit.x(qubit)
        circuit.measure(qubit, parts[name][bit])
        bits[name][bit] = "1"
    return circuit, " ".join("".join(reversed(bits[name])) for name in ("high", "low"))


def entangled(num_qubits: int | None = None) -> tuple[QuantumCircuit, str]:
    """A flip carried from qubit to qubit over pairs that no line or cross of qubits has all of, so that compiling moves
    qubits about; measured into the registers of `registers`, and the key of its counts."""
    width = len(_BIT_OF_QUBIT) if num_qubits is None else min(num_qubits, len(_BIT_OF_QUBIT))
    circuit, _ = registers((), width)
    steps = QuantumCircuit(*circuit.qregs, *circuit.cregs)
    steps.x(0)
    values = [1] + [0] * (width - 1)
    for control, flipped in ((0, 3), (3, 1), (1, 0)):
        if max(control, flipped) < width:
            steps.cx(control, flipped)
            values[flipped] ^= values[control]
    bits = ["0"] * sum(SIZES)
    for qubit, value in enumerate(values):
        bits[_BIT_OF_QUBIT[qubit]] = str(value)
    made = steps.compose(circuit)
    made.name = "entangled"
    return made, spaced(bits)


def long(num_qubits: int | None = None, *, mid_circuit: bool = True) -> QuantumCircuit:
    """A circuit that simulators need long for when it is run with many shots: measured again and again, so that each
    shot is a run of its own, or else wide and deep."""
    most = 5 if mid_circuit else 20
    width = most if num_qubits is None else min(num_qubits, most)
    circuit = QuantumCircuit(width, width, name="long")
    for layer in range(60):
        for qubit in range(width):
            circuit.ry(0.3 + 0.01 * layer, qubit)
        for qubit in range(layer % 2, width - 1, 2):
            circuit.cx(qubit, qubit + 1)
        if mid_circuit:
            circuit.measure(range(width), range(width))
    circuit.measure(range(width), range(width))
    return circuit


def bell() -> QuantumCircuit:
    """Two bits that always agree."""
    circuit = QuantumCircuit(2, 2, name="bell")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def phases(width: int) -> tuple[QuantumCircuit, str]:
    """Phases turned into the number 1 by an inverse Fourier transform. Where the sign of a phase is wrong, another
    number comes out: 2**width - 1."""
    circuit = QuantumCircuit(width, width, name="phases")
    circuit.h(range(width))
    for qubit in range(width):
        circuit.p(2 * pi * 2**qubit / 2**width, qubit)
    for low in range(width // 2):
        circuit.swap(low, width - 1 - low)
    for qubit in range(width):
        for before in range(qubit):
            circuit.cp(-pi / 2 ** (qubit - before), before, qubit)
        circuit.h(qubit)
    circuit.measure(range(width), range(width))
    return circuit, format(1, f"0{width}b")


def kickback() -> tuple[QuantumCircuit, str]:
    """A controlled X whose target is the difference of 0 and 1 turns the phase of its control. Where phases turn the
    other way on all qubits alike, which most circuits do not show, the control stays 0."""
    circuit = QuantumCircuit(2, 2, name="kickback")
    circuit.x(1)
    circuit.h([0, 1])
    circuit.cx(0, 1)
    circuit.h([0, 1])
    circuit.measure([0, 1], [0, 1])
    return circuit, "11"


def rotation() -> tuple[QuantumCircuit, Parameter, Parameter]:
    """Two rotations whose parameters were made in the opposite order of their names: (circuit, on qubit 0, on
    qubit 1). An angle of pi gives 1, of 0 gives 0."""
    first, second = Parameter("zeta"), Parameter("alpha")
    circuit = QuantumCircuit(2, 2, name="rotation")
    circuit.ry(first, 0)
    circuit.ry(second, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit, first, second


def mid_circuit() -> tuple[QuantumCircuit, str]:
    """A qubit measured, flipped and measured again: 1, then 0."""
    circuit = QuantumCircuit(1, 2, name="mid_circuit")
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.x(0)
    circuit.measure(0, 1)
    return circuit, "01"


def reset() -> tuple[QuantumCircuit, str]:
    """A qubit set to 1 and reset."""
    circuit = QuantumCircuit(1, 1, name="reset")
    circuit.x(0)
    circuit.reset(0)
    circuit.measure(0, 0)
    return circuit, "0"


def conditional() -> tuple[QuantumCircuit, str]:
    """A flip that depends on a measured 1, and one that depends on a 0 and must not happen."""
    circuit = QuantumCircuit(2, 3, name="conditional")
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    with circuit.if_test((circuit.clbits[0], 0)):
        circuit.x(1)
    circuit.measure(1, 2)
    return circuit, "111"

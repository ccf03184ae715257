"""Circuits through tket, for the vendors that it compiles for: its `TketBackend`, and counts in the order of Qiskit."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any


def compiled_by_tket(backend: Any, name: str) -> Any:
    """A pytket backend as one of Qiskit's, whose circuits go through tket's compiler."""
    from pytket.extensions.qiskit.tket_backend import TketBackend
    from pytket.passes import CustomPass, SequencePass
    from qiskit.circuit import IfElseOp

    # The least that makes it fit: more takes seconds, in which Python stands still.
    made = TketBackend(backend, SequencePass([CustomPass(_renamed), backend.default_compilation_pass(1)]))
    made.name = name
    made.description = f"{backend.backend_info.device_name}, through tket's compiler"
    made.target.add_instruction(IfElseOp, name="if_else")  # of what it takes it lists gates alone
    made.run = partial(_run, made.run)
    return made


def _run(run: Any, circuits: Any, **options: Any) -> Any:
    from pytket.circuit import Bit

    listed = circuits if isinstance(circuits, list) else [circuits]
    job = run(listed, **options)
    for told, circuit in zip(job._jobinfos, listed, strict=True):
        # Without bits of its compiler's own, which simulators do not give.
        told.cbits = [Bit(_safe(register.name), index) for register in circuit.cregs for index in range(register.size)]
    job.result = partial(_in_qiskits_order, job.result, listed)
    return job


def _renamed(circuit: Any) -> Any:
    from pytket.circuit import Bit

    circuit.rename_units({bit: Bit(_safe(bit.reg_name), bit.index) for bit in circuit.bits})
    return circuit


def _safe(name: str) -> str:
    """The name of a register: those with two underscores, as in Qiskit's estimator, Quantinuum's emulators keep to
    themselves and give zeros for."""
    return f"c{name}" if name.startswith("__") else name


def _in_qiskits_order(result: Any, circuits: Any) -> Any:
    """The result with all bits of a shot as Qiskit has them, the last one leftmost. tket puts registers into the order
    of their names, the first one leftmost, and says nothing of it."""
    told = result()
    for entry, circuit in zip(told.results, circuits, strict=True):
        by_name = sorted(circuit.cregs, key=lambda register: _safe(register.name))
        given = [(register.name, index) for register in by_name for index in reversed(range(register.size))]
        # Of a bit that is in several registers tket knows the last one.
        known = {bit: (register.name, index) for register in circuit.cregs for index, bit in enumerate(register)}
        order = [given.index(known[bit]) for bit in reversed(circuit.clbits)]
        shots = (format(int(shot, 16), f"0{len(given)}b") for shot in entry.data.memory)
        entry.data.memory = ["".join(shot[place] for place in order) for shot in shots]
        entry.data.counts = dict(Counter(entry.data.memory))
    return told

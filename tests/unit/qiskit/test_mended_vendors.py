"""What is mended of vendors' packages, as far as it shows without them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Executor
from types import SimpleNamespace
from typing import Any

import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit
from qiskit.circuit.classical import expr

from qprovider_core.errors import InvalidInputError
from qprovider_core.records import JobState
from qprovider_qiskit._faults import http_status
from qprovider_qiskit._jobs import Part
from qprovider_qiskit._remote import look_at
from qprovider_qiskit.vendors import _tket, azure, braket


def conditional(condition: Any) -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(1, "q"), ClassicalRegister(2, "c"))
    with circuit.if_test(condition(circuit.cregs[0])):
        circuit.x(0)
    return circuit


# -- the QDK -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [lambda c: (c, 1), lambda c: expr.less(c, 2), lambda c: expr.logic_not(expr.equal(c, 3))],
    ids=["equality", "less", "nested"],
)
def test_conditions_on_registers_are_refused_by_the_qdk(condition: Any) -> None:
    with pytest.raises(InvalidInputError, match="wrong way round"):
        azure._run(lambda circuits: circuits, [conditional(condition)])


def test_conditions_on_registers_inside_of_others_are_refused_by_the_qdk() -> None:
    circuit = QuantumCircuit(QuantumRegister(1, "q"), ClassicalRegister(2, "c"))
    with circuit.if_test((circuit.clbits[0], 1)), circuit.while_loop((circuit.cregs[0], 1)):
        circuit.x(0)
    with pytest.raises(InvalidInputError):
        azure._run(lambda circuits: circuits, circuit)


def test_a_switch_over_a_register_is_refused_by_the_qdk() -> None:
    circuit = QuantumCircuit(QuantumRegister(1, "q"), ClassicalRegister(2, "c"))
    with circuit.switch(circuit.cregs[0]) as case, case(1):
        circuit.x(0)
    with pytest.raises(InvalidInputError):
        azure._run(lambda circuits: circuits, circuit)


def test_conditions_on_bits_and_loops_pass() -> None:
    single = conditional(lambda c: (c[0], 1))
    both = conditional(lambda c: expr.logic_and(c[0], expr.logic_not(c[1])))
    loop = QuantumCircuit(1)
    with loop.for_loop(range(3)):
        loop.x(0)
    assert azure._run(lambda circuits: circuits, [single, both, loop]) == [single, both, loop]


def test_a_seed_of_0_is_a_seed() -> None:
    seeds = [azure._run(lambda _, seed: seed, QuantumCircuit(1), seed=seed) for seed in (0, 1, 2)]
    assert all(seeds)
    assert len({*seeds}) == 3


def test_work_is_done_at_once_and_its_error_comes_with_the_result() -> None:
    here: Executor = azure.Here()
    assert here.submit(pow, 2, 5).result() == 32
    failed = here.submit(pow, 2, "x")
    assert failed.done()
    with pytest.raises(TypeError):
        failed.result()


# -- tket ----------------------------------------------------------------------------------------------------------


def tkets(shots: list[str]) -> Any:
    return lambda: SimpleNamespace(results=[SimpleNamespace(data=SimpleNamespace(memory=shots))])


def test_registers_come_in_qiskits_order_whatever_their_names() -> None:
    circuit = QuantumCircuit(ClassicalRegister(1, "b"), ClassicalRegister(2, "__z"), ClassicalRegister(1, "a"))
    # Of a, b and __z, which is sent as c__z, the first one leftmost.
    [entry] = _tket._in_qiskits_order(tkets(["0x6", "0x6", "0x9"]), [circuit]).results
    assert entry.data.memory == ["0101", "0101", "1010"]
    assert entry.data.counts == Counter({"0101": 2, "1010": 1})


def test_bits_that_are_not_in_the_order_of_their_registers_are_told_apart() -> None:
    bits = [Clbit() for _ in range(3)]
    circuit = QuantumCircuit(bits, ClassicalRegister(bits=[bits[2]], name="y"))
    circuit.add_register(ClassicalRegister(bits=[bits[1], bits[0]], name="x"))
    [entry] = _tket._in_qiskits_order(tkets(["0x4"]), [circuit]).results  # x[1], which is bit 0
    assert entry.data.memory == ["001"]


# -- AWS -----------------------------------------------------------------------------------------------------------


class RefusedByAWS(Exception):
    def __init__(self) -> None:
        super().__init__("The security token included in the request is invalid")
        self.response = {"Error": {"Code": "UnrecognizedClient"}, "ResponseMetadata": {"HTTPStatusCode": 403}}


def test_an_error_of_aws_tells_its_status() -> None:
    assert http_status(RefusedByAWS()) == 403


def test_the_state_of_several_tasks_is_that_of_the_one_that_is_least_far() -> None:
    def state(*states: str) -> str:
        tasks = [SimpleNamespace(state=lambda one=one: one, metadata=dict) for one in states]
        told: str = braket._mended(SimpleNamespace(_tasks=tasks)).status()
        return told

    assert state("COMPLETED", "CREATED") == "CREATED"
    assert state("COMPLETED", "RUNNING", "FAILED") == "RUNNING"
    assert state("COMPLETED", "CANCELLED", "FAILED") == "FAILED"
    assert state("COMPLETED", "COMPLETED") == "COMPLETED"
    assert state("COMPLETED", "ODD") == "ODD"


# -- words that a package does not know ----------------------------------------------------------------------------


class Puzzled:
    def status(self) -> Any:
        return {}["TimedOut"]  # as packages do that have a table of all words


def test_a_word_that_the_package_does_not_know_is_asked_for() -> None:
    part = Part((0,), [], 1, job=Puzzled())
    look_at(part, lambda _: "TimedOut")
    assert (part.state, part.state_text) == (JobState.UNKNOWN, "TimedOut")


def test_where_nobody_knows_the_word_the_error_is_told() -> None:
    with pytest.raises(KeyError):
        look_at(Part((0,), [], 1, job=Puzzled()), None)

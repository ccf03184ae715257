"""Circuits that compute with classical variables, through the sampler."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Duration
from qiskit.circuit.classical import expr, types

SIMULATOR = "ibmq_qasm_simulator"
U4 = types.Uint(4)


def coin():
    """A fair coin in bit 0, its side in a variable; bit 1 is for what is made of it."""
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    return circuit, circuit.add_var("side", expr.lift(circuit.clbits[0]))


def number(value=5):
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit, circuit.add_var("number", expr.lift(value, U4))


def shown(circuit, condition):
    """The circuit with bit 1 telling whether the condition holds."""
    with circuit.if_test(condition):
        circuit.x(1)
    circuit.measure(1, 1)
    return circuit


def a_copied_bit():
    circuit, side = coin()
    return shown(circuit, expr.lift(side))


def negated_twice():
    circuit, side = coin()
    circuit.store(side, expr.logic_not(side))
    return shown(circuit, expr.logic_not(side))


def stored_into_a_bit():
    circuit, side = coin()
    circuit.store(circuit.clbits[1], side)
    return circuit


def stored_in_a_branch():
    circuit, side = coin()
    seen = circuit.add_var("seen", False)
    with circuit.if_test(expr.lift(side)):
        circuit.store(seen, True)
    return shown(circuit, expr.lift(seen))


def declared_in_a_branch():
    circuit, side = coin()
    total = circuit.add_var("total", expr.lift(0, U4))
    with circuit.for_loop(range(3)):
        own = circuit.add_var("own", expr.lift(1, U4))
        with circuit.if_test(expr.lift(side)):
            circuit.store(total, expr.bit_xor(total, own))
    return shown(circuit, expr.equal(total, 1))


def a_cast():
    circuit, side = coin()
    wide = circuit.add_var("wide", expr.cast(side, U4))
    return shown(circuit, expr.equal(wide, 1))


@pytest.mark.parametrize(
    "make", [a_copied_bit, negated_twice, stored_into_a_bit, stored_in_a_branch, declared_in_a_branch, a_cast]
)
def test_variables_follow_what_was_measured(api, tools, make):
    bits = tools.bits_of(tools.field(api.run(tools.sampler_params(make(), shots=200), SIMULATOR), "c"))
    assert bits.shape == (200, 2)
    assert (bits[:, 0] == bits[:, 1]).all()
    assert 50 < bits[:, 0].sum() < 150


@pytest.mark.parametrize("make", [a_copied_bit, stored_into_a_bit, stored_in_a_branch, declared_in_a_branch])
def test_variables_are_computed_with_on_a_device_with_its_noise(api, tools, make):
    params = tools.sampler_params(tools.fit(make(), "torino"), shots=200)
    bits = tools.bits_of(tools.field(api.run(params, "ibm_torino"), "c"))
    assert (bits[:, 0] == bits[:, 1]).mean() > 0.8
    assert 50 < bits[:, 0].sum() < 150


def a_loop():
    circuit, value = number(12)
    with circuit.while_loop(expr.greater(value, 3)):
        circuit.store(value, expr.bit_and(value, expr.lift(3, U4)))
    return shown(circuit, expr.equal(value, 0))


def a_switch():
    circuit, value = number(9)
    with circuit.switch(value) as case:
        with case(1, 2):
            circuit.reset(1)
        with case(9):
            circuit.x(1)
        with case(case.DEFAULT):
            circuit.reset(1)
    circuit.measure(1, 1)
    return circuit


def one_bit_of_a_number():
    circuit, value = number(4)
    return shown(circuit, expr.index(value, 2))


def among_many_qubits():
    """Wide enough to be simulated in parts."""
    circuit = QuantumCircuit(12, 2)
    circuit.h(range(12))
    circuit.reset(0)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.store(circuit.clbits[1], expr.lift(circuit.clbits[0]))
    return circuit


@pytest.mark.parametrize("make", [a_loop, a_switch, one_bit_of_a_number, among_many_qubits])
def test_numbers_are_computed_with(api, tools, make):
    bits = tools.bits_of(tools.field(api.run(tools.sampler_params(make(), shots=5), SIMULATOR), "c"))
    assert np.array_equal(bits, [[1, 1]] * 5)


def added():
    circuit, value = number()
    circuit.store(value, expr.add(value, expr.lift(1, U4)))
    return circuit


def shifted():
    circuit, value = number()
    return shown(circuit, expr.equal(expr.shift_left(value, 1), 10))


def given_from_outside():
    circuit = QuantumCircuit(1, 1)
    circuit.add_input("angle", types.Uint(4))
    circuit.measure(0, 0)
    return circuit


def a_float():
    circuit = QuantumCircuit(1, 1)
    circuit.add_var("part", expr.lift(0.5))
    circuit.measure(0, 0)
    return circuit


def a_time():
    circuit = QuantumCircuit(1, 1)
    circuit.add_var("time", expr.lift(Duration.ns(10)))
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (added, "the operator ADD"),
        (shifted, "the operator SHIFT_LEFT"),
        (given_from_outside, "the input variables angle"),
        (a_float, "the variable part of type Float"),
        (a_time, "the variable time of type Duration"),
    ],
)
def test_what_cannot_be_computed_fails_the_job_and_says_so(api, tools, make, what):
    job = api.submit(tools.sampler_params(make(), shots=1), SIMULATOR)
    told = api.wait(job)
    assert told["status"] == "Failed"
    assert what in told["state"]["reason"]
    assert told["state"]["reason_code"] == 1239

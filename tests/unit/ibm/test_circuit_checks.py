"""Circuits that the service would refuse, or fail on, are refused before they are sent."""

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ClassicalRegister, Clbit, Parameter, QuantumRegister
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit_ibm_runtime.utils.utils import is_valid_rzz_pub

from qprovider_core.errors import CircuitError
from qprovider_core.records import EstimatePub, SamplePub
from qprovider_ibm._circuit_checks import check_pubs, refuse_pulses


def pub(circuit, *values, shape=()):
    return SamplePub(circuit=circuit, shots=1, parameter_values=values, shape=shape)


def refused(circuit, *values, shape=(), match, **more):
    good = QuantumCircuit(1, 1)
    with pytest.raises(CircuitError, match=match) as info:
        check_pubs([pub(good), pub(circuit, *values, shape=shape)], **more)
    assert info.value.index == 1
    return info.value


@pytest.mark.parametrize(
    ("register", "match"),
    [
        (ClassicalRegister(0, "c"), "it is empty"),
        (ClassicalRegister(1, "my-bits"), "letters, digits and underscores"),
        (ClassicalRegister(1, "1c"), "letters, digits and underscores"),
        (ClassicalRegister(1, "lambda"), "a word of the Python language"),
        (ClassicalRegister(1, "shape"), "needs that name for itself"),
        (ClassicalRegister(1, "_data"), "needs that name for itself"),
    ],
)
def test_registers_that_the_service_has_no_result_for_are_refused(register, match):
    error = refused(QuantumCircuit(QuantumRegister(1), register), match=match)
    assert repr(register.name) in error.what


def test_bits_outside_registers_are_refused_and_bits_in_two_are_not():
    loose = QuantumCircuit(QuantumRegister(1), ClassicalRegister(1, "c"), [Clbit()])
    refused(loose, match="the classical bit 1 lies in no register")
    bits = [Clbit(), Clbit()]
    shared = QuantumCircuit(bits, ClassicalRegister(bits=bits, name="a"), ClassicalRegister(bits=bits[:1], name="b"))
    check_pubs([pub(shared)])


def test_registers_of_estimated_circuits_do_not_matter():
    circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(1, "lambda"))
    check_pubs([EstimatePub(circuit=circuit, observables=({"Z": 1},))])


def rzz(angle, nested=False):
    circuit = QuantumCircuit(2, 1)
    if nested:
        with circuit.if_test((0, 1)), circuit.for_loop(range(2)):
            circuit.rzz(angle, 0, 1)
    else:
        circuit.rzz(angle, 0, 1)
    return circuit


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("angle", [-0.1, 1.6, math.pi, -1e-9])
def test_fixed_angles_of_rzz_outside_their_range_are_refused(angle, nested):
    error = refused(rzz(angle, nested), match=r"has rzz\(.*devices take angles from 0 to pi/2")
    assert "without fractional gates" in error.hint
    check_pubs([pub(rzz(angle, nested))], simulator=True)


@pytest.mark.parametrize("angle", [0, 0.7, math.pi / 2, math.pi / 2 + 1e-13])
def test_angles_inside_are_taken(angle):
    check_pubs([pub(rzz(angle)), pub(rzz(angle, nested=True))])


@pytest.mark.parametrize("nested", [False, True])
def test_angles_are_looked_at_for_every_set_of_values(nested):
    a, b = Parameter("a"), Parameter("b")
    circuit = rzz(2 * b - a, nested)
    good = (0.1, 0.5, 0.2, 0.3)
    check_pubs([pub(circuit, *good, shape=(2,))])
    error = refused(circuit, *good, 0.5, 0.2, shape=(3,), match=r"rzz\(-0\.1\) with a=0\.5, b=0\.2")
    assert error.index == 1
    with pytest.raises(CircuitError):
        check_pubs([EstimatePub(circuit=circuit, observables=({"ZZ": 1},), parameter_values=(0.5, 0.2))])


def test_angles_without_free_parameters_are_numbers_and_the_variables_of_loops_are_left_alone():
    theta = Parameter("theta")
    refused(rzz((theta - 5).bind({theta: 0.0})), match="devices take angles")
    circuit = QuantumCircuit(2)
    with circuit.for_loop(range(3), theta):
        circuit.rzz(theta, 0, 1)
    check_pubs([pub(circuit)])


def test_angles_are_judged_as_ibms_own_client_does():
    random = np.random.default_rng(5)
    a, b = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(2)
    circuit.rzz(a, 0, 1)
    circuit.rzz(a * b + 0.1, 0, 1)
    verdicts = set()
    for _ in range(30):
        values = random.uniform(-0.1, 1.6, size=(2, 2))
        theirs = is_valid_rzz_pub(SamplerPub.coerce((circuit, values, 1))) == ""
        try:
            check_pubs([pub(circuit, *values.ravel(), shape=(2,))])
            ours = True
        except CircuitError:
            ours = False
        assert ours is theirs
        verdicts.add(ours)
    assert verdicts == {True, False}


def test_values_that_are_not_as_many_as_the_parameters_are_refused():
    refused(rzz(Parameter("a")), 0.1, 0.2, match="has 2 parameter values")


def test_dynamical_decoupling_does_not_go_with_control_flow():
    error = refused(rzz(0.1, nested=True), match="has control flow", options={"dynamical_decoupling": {"enable": True}})
    assert "Switch dynamical decoupling off" in error.hint
    refused(rzz(0.1, nested=True), match="has control flow", options={"dynamical_decoupling": True})
    check_pubs([pub(rzz(0.1, nested=True))], {"dynamical_decoupling": {"enable": False}})
    check_pubs([pub(rzz(0.1))], {"dynamical_decoupling": {"enable": True}})


def test_schedules_are_refused_with_the_reason_and_the_alternatives():
    class ScheduleBlock:
        """What Qiskit 1 had."""

        def __iter__(self):
            return iter(())

    class Mine(ScheduleBlock):
        pass

    for run_input, index in ((Mine(), 0), ([QuantumCircuit(1), ScheduleBlock()], 1)):
        with pytest.raises(CircuitError, match="schedules of pulses cannot be run") as info:
            refuse_pulses(run_input)
        assert info.value.index == index
        assert "ended" in info.value.why
        assert "qiskit-dynamics" in info.value.hint
    circuit = QuantumCircuit(1)
    circuit.calibrations = {"x": {}}
    with pytest.raises(CircuitError, match="brings pulses of its own"):
        refuse_pulses([circuit])
    for harmless in (QuantumCircuit(1), [QuantumCircuit(1)], "text", None, 3, {"a": 1}):
        refuse_pulses(harmless)

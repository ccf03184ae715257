"""What is checked before anything is submitted."""

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Gate, Parameter, ParameterVector
from qiskit.circuit.classical import expr

from qprovider_core.errors import CircuitError, InvalidInputError, UnknownOptionError
from qprovider_core.records import ProviderSpec

pytestmark = pytest.mark.usefixtures("isolated")


def measured(qubits=1, *build):
    circuit = QuantumCircuit(qubits, 1)
    for name, *arguments in build:
        getattr(circuit, name)(*arguments)
    circuit.measure(0, 0)
    return circuit


@pytest.fixture
def refused(device, cloud):
    """Runs what is to be refused, checks that nothing was submitted, and gives the error."""
    handle = device()

    def run(circuits, error=CircuitError, **options):
        with pytest.raises(error) as caught:
            handle.run(circuits, **options)
        assert cloud.requests == []
        assert isinstance(caught.value, InvalidInputError)
        return caught.value

    return run


# ------------------------------------------------------------------------------------------------------- circuits


@pytest.mark.parametrize(
    ("circuits", "what"),
    [
        ([], "the list is empty"),
        ((), "the list is empty"),
        (5, "not a int"),
        (None, "not a NoneType"),
        ({"a": 1}, "not a dict"),
        ("OPENQASM 2.0;", "not a str"),
        ([measured(), "x"], "Item 1 is a str, not a QuantumCircuit"),
    ],
)
def test_only_circuits_run(circuits, what, refused):
    error = refused(circuits)
    assert what in error.what
    assert (error.hint is None) == (not isinstance(circuits, str))


def test_a_circuit_that_is_too_wide_is_refused(refused):
    error = refused([measured(), measured(6)])
    assert "has 6 qubits; acme:line has 5" in error.what
    assert error.index == 1
    assert "min_num_qubits=6" in error.hint


def test_a_circuit_that_measures_nothing_is_refused(refused):
    for circuit in (QuantumCircuit(1), QuantumCircuit(1, 1)):
        error = refused(circuit)
        assert "measures nothing" in error.what
        assert "measure_all" in error.hint


def conditional(body, qubits=(0,)):
    circuit = QuantumCircuit(5, 2)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        body(circuit)
    return circuit


def test_a_measurement_inside_a_block_counts(device, cloud):
    circuit = QuantumCircuit(2, 2)
    inner = QuantumCircuit(1, 1)
    inner.measure(0, 0)
    circuit.if_test((circuit.clbits[0], 0), inner, [1], [1])
    device().run(circuit)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize(
    ("circuit", "what", "hint"),
    [
        (measured(1, ("h", 0)), "has the instruction 'h', which acme:line does not have", "Transpile"),
        (measured(2, ("cx", 1, 0)), "acme:line has no cx on qubits 1, 0", "Transpile"),
        (measured(3, ("cx", 0, 2)), "acme:line has no cx on qubits 0, 2", "Transpile"),
        (measured(5, ("x", 4)), "uses qubit 4, which acme:line reports as faulty", "backend.transpile(circuit)"),
        (measured(5, ("cx", 3, 4)), "uses qubit 4, which acme:line reports as faulty", "backend.transpile(circuit)"),
        (conditional(lambda c: c.h(0)), "has the instruction 'h'", "Transpile"),
        (conditional(lambda c: c.x(4)), "uses qubit 4", "backend.transpile(circuit)"),
        (conditional(lambda c: c.cx(2, 1)), "no cx on qubits 2, 1", "Transpile"),
        (measured(1, ("append", Gate("mine", 1, []), [0])), "has the instruction 'mine'", "Transpile"),
    ],
)
def test_a_circuit_in_other_instructions_is_refused_with_what_to_do(circuit, what, hint, refused):
    error = refused([measured(), circuit])
    assert what in error.what
    assert hint in error.hint
    assert error.index == 1


def test_blocks_are_looked_into_where_gates_act_anywhere(device, cloud):
    # Without a coupling map each instruction of the target stands anywhere; those in blocks are checked all the same.
    handle = device(configuration={"coupling_map": None}, backend_properties=lambda: None)
    handle.run(conditional(lambda c: c.x(0)))
    with pytest.raises(CircuitError, match="has the instruction 'h'"):
        handle.run(conditional(lambda c: c.h(0)))
    nested = conditional(lambda c: c.if_test((c.clbits[1], 1), conditional_body(), [0], []))
    with pytest.raises(CircuitError, match="has the instruction 'y'"):
        handle.run(nested)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize(
    ("computes", "instructions"), [(False, ("if_else",)), (True, ())], ids=["as its vendor says", "as it cannot branch"]
)
def test_a_device_that_computes_nothing_takes_no_stores(device, monkeypatch, computes, instructions):
    circuit = measured()
    circuit.store(circuit.clbits[0], True)
    handle = device(configuration={"supported_instructions": instructions})
    monkeypatch.setattr(type(handle), "_computes", computes, raising=False)
    with pytest.raises(CircuitError, match="has the instruction 'store'"):
        handle.run(circuit)


def test_a_device_that_branches_takes_what_is_computed_for_it(device, cloud, monkeypatch):
    circuit = conditional(lambda c: c.x(0))
    circuit.store(circuit.clbits[1], expr.lift(circuit.clbits[0]))
    handle = device()
    monkeypatch.setattr(type(handle), "_computes", True, raising=False)
    handle.run(circuit)
    assert len(cloud.requests) == 1


def conditional_body():
    body = QuantumCircuit(1)
    body.y(0)
    return body


def test_what_fits_is_submitted(device, cloud):
    circuit = measured(4, ("x", 0), ("cx", 0, 1), ("barrier",), ("reset", 2), ("delay", 100, 3), ("rz", 0.1, 3))
    again = measured(2, ("sx", 0))
    device().run([circuit, again, circuit])
    (request,) = cloud.requests
    assert [pub.circuit for pub in request.pubs] == [circuit, again, circuit]


def test_a_simulator_of_any_width_takes_wide_instructions(device, cloud):
    handle = device(
        configuration={
            "n_qubits": None,
            "coupling_map": None,
            "basis_gates": ("h", "unitary"),
            "supported_instructions": ("h", "unitary", "measure", "save_state"),
        },
        backend_properties=lambda: None,
    )
    handle.run(
        measured(3, ("unitary", np.eye(8), [0, 1, 2]), ("h", 2), ("append", Gate("save_state", 3, []), [0, 1, 2]))
    )
    assert len(cloud.requests) == 1


def test_too_many_circuits_are_refused(refused, device):
    error = refused([measured()] * 4)
    assert error.what == "acme:line takes at most 3 circuits a job; there are 4."
    assert error.hint == "Send them in parts of 3."


# ------------------------------------------------------------------------------------------------------- shots


@pytest.mark.parametrize("shots", [0, -1, True, False, 10.0, "10", [10], np.bool_(True), np.float64(3)])
def test_shots_are_a_whole_number_of_at_least_one(shots, refused):
    assert "shots must be a whole number" in refused(measured(), InvalidInputError, shots=shots).what


def test_too_many_shots_are_refused(refused):
    error = refused(measured(), InvalidInputError, shots=4001)
    assert error.what == "acme:line runs at most 4000 shots a circuit; 4001 were asked for."


@pytest.mark.parametrize(
    ("given", "most", "used"),
    [(None, 4000, 1024), (None, 100, 100), (None, None, 1024), (np.int64(7), 4000, 7), (1, 1, 1)],
)
def test_the_shots_that_are_sent(given, most, used, device, cloud):
    device(configuration={"max_shots": most}).run(measured(), shots=given)
    assert cloud.requests[0].pubs[0].shots == used
    assert type(cloud.requests[0].pubs[0].shots) is int


# ------------------------------------------------------------------------------------------------------ options


@pytest.mark.parametrize(
    ("options", "near"),
    [
        ({"shot": 5}, "shots"),
        ({"seed": 3}, None),
        ({"memry": True}, "memory"),
        ({"laser": None}, None),
        ({"powr": 1}, "power"),
    ],
)
def test_an_unknown_option_is_refused_with_near_matches(options, near, device, cloud):
    handle = device(spec=ProviderSpec(name="acme", title="Acme", run_options=["power"]))
    with pytest.raises(UnknownOptionError) as caught:
        handle.run(measured(), **options)
    assert near is None or near in caught.value.suggestions
    assert cloud.requests == []


def test_options_travel_and_none_is_not_given(device, cloud):
    handle = device(spec=ProviderSpec(name="acme", title="Acme", run_options=["power", "colour"]))
    handle.run(measured(), power=3, colour=None, seed_simulator=None)
    handle.set_options(colour="red", shots=5, memory=True, job_tags=["t"])
    handle.run(measured(), power=None)
    handle.run(measured(), colour="blue", shots=6, memory=False, job_tags=[])
    with pytest.raises(UnknownOptionError):
        handle.run(measured(), seed_simulator=3)
    assert [request.options for request in cloud.requests] == [{"power": 3}, {"colour": "red"}, {"colour": "blue"}]
    assert [request.pubs[0].shots for request in cloud.requests] == [1024, 5, 6]
    assert [request.memory for request in cloud.requests] == [False, True, False]
    assert [request.tags[1:] for request in cloud.requests] == [(), ("t",), ()]  # the first is the key's
    assert len({request.key for request in cloud.requests}) == 3


def test_what_libraries_pass_to_every_backend_and_asks_for_nothing_is_taken(device, cloud):
    handle = device()
    handle.run(measured(), meas_level=2, seed_simulator=None)
    for asked in ({"meas_level": 1}, {"seed_simulator": 2}):
        with pytest.raises(UnknownOptionError):
            handle.run(measured(), **asked)
    assert [request.options for request in cloud.requests] == [{}]


def test_it_travels_to_a_vendor_that_has_such_an_option(device, cloud):
    device(spec=ProviderSpec(name="acme", title="Acme", run_options=["meas_level"])).run(measured(), meas_level=2)
    assert [request.options for request in cloud.requests] == [{"meas_level": 2}]


@pytest.mark.parametrize("tags", ["toffoli", [5], [""], 5, ["a", "b", "c"]])
def test_tags_are_a_list_of_texts_and_not_too_many(tags, device, cloud):
    handle = device(spec=ProviderSpec(name="acme", title="Acme", max_tags=2))
    with pytest.raises(InvalidInputError, match="(?i)tags"):
        handle.run(measured(), job_tags=tags)
    handle.run(measured(), job_tags=("a", "b"))
    assert cloud.requests[0].tags[1:] == ("a", "b")  # the first is the key's


@pytest.mark.parametrize("name", ["", 5])
def test_a_jobs_name_is_a_text(name, refused, device):
    assert "name is a non-empty text" in refused(measured(), InvalidInputError, name=name).what


# --------------------------------------------------------------------------------------------------- parameters

THETA, PHI = Parameter("theta"), Parameter("phi")


def rotated(*parameters):
    circuit = QuantumCircuit(1, 1)
    for parameter in parameters:
        circuit.rz(parameter, 0)
    circuit.measure(0, 0)
    return circuit


def test_parameters_without_values_are_refused(refused):
    error = refused([measured(), rotated(PHI, THETA)])
    assert "has parameters without values: phi, theta" in error.what
    assert error.index == 1


@pytest.mark.parametrize(
    ("circuits", "binds", "rows"),
    [
        ([rotated(THETA)], [{THETA: 0.5}], [(0.5,)]),
        ([rotated(THETA)], {THETA: 0.5}, [(0.5,)]),
        ([rotated(THETA)], [{"theta": np.float64(0.5)}], [(0.5,)]),
        ([rotated(THETA, PHI)], [{THETA: 1, PHI: 2}, {"phi": 4, "theta": 3}], [(2, 1), (4, 3)]),
        ([rotated(THETA)], [{THETA: [1, 2]}], [(1,), (2,)]),
        ([rotated(THETA)], [{THETA: np.array([1, 2])}], [(1,), (2,)]),
        ([rotated(THETA), measured()], [{THETA: [1, 2]}, {}], [(1,), (2,), ()]),
        ([measured()], None, [()]),
        ([measured()], [], [()]),
        ([measured(), measured()], [{}], [(), ()]),
    ],
)
def test_values_are_bound_in_the_order_of_the_circuits_parameters(circuits, binds, rows, device, cloud):
    device().run(circuits, parameter_binds=binds)
    assert [pub.parameter_values for pub in cloud.requests[0].pubs] == rows


@pytest.mark.parametrize(
    ("circuits", "binds", "what"),
    [
        ([rotated(THETA)], [{PHI: 1}], "No circuit has the parameter 'phi'"),
        ([rotated(THETA)], [{}], "has no value for theta"),
        ([rotated(THETA)], [{THETA: "a"}], "no number"),
        ([rotated(THETA)], [{THETA: None}], "no number"),
        ([rotated(THETA)], [{THETA: 1j}], "no number"),
        ([rotated(THETA)], [{THETA: 10**400}], "no number"),
        ([rotated(THETA)], [{THETA: float("nan")}], "not finite"),
        ([rotated(THETA)], [5], "is a list of mappings"),
        ([rotated(THETA)], 5, "is a list of mappings"),
        ([rotated(THETA), rotated(THETA)], [{THETA: [1]}], "1 mappings with lists of values for 2 circuits"),
        ([rotated(THETA, PHI)], [{THETA: [1, 2], PHI: [1]}], "differ in length"),
        ([rotated(THETA)], [{THETA: []}], "are empty"),
        ([rotated(THETA)], [{THETA: i} for i in range(4)], "at most 3 circuits a job; there are 4 with the values"),
        ([rotated(THETA)], [{THETA: [1, 2, 3, 4]}], "at most 3 circuits a job; there are 4 with the values"),
    ],
)
def test_values_that_do_not_fit_are_refused(circuits, binds, what, refused):
    assert what in refused(circuits, InvalidInputError, parameter_binds=binds).what


def test_elements_of_a_vector_are_parameters_too(device, cloud):
    vector = ParameterVector("v", 2)
    device().run(rotated(*vector), parameter_binds=[{vector[0]: 1, vector[1]: 2}])
    assert cloud.requests[0].pubs[0].parameter_values == (1, 2)


VECTOR = ParameterVector("v", 12)


@pytest.mark.parametrize(
    ("binds", "rows"),
    [
        ({VECTOR: range(12), THETA: 0.5}, [(0.5, *range(12))]),
        ([{VECTOR: list(range(12)), "theta": 0.5}], [(0.5, *range(12))]),
        ([{VECTOR: np.arange(12.0) + k, THETA: k} for k in range(2)], [(0, *range(12)), (1, *range(1, 13))]),
    ],
)
def test_a_vector_of_parameters_takes_one_value_for_each_element(binds, rows, device, cloud):
    device().run(rotated(THETA, *VECTOR), parameter_binds=binds)
    assert [pub.parameter_values for pub in cloud.requests[0].pubs] == rows


@pytest.mark.parametrize(
    ("bind", "what", "hint"),
    [
        (
            {VECTOR: [1.0] * 11},
            "The vector 'v' of parameter_binds has 12 elements, and was given 11 values",
            "for each",
        ),
        ({VECTOR: []}, "has 12 elements, and was given 0 values", "for each"),
        ({VECTOR: 1.0}, "takes a list of 12 numbers, not 1.0", "[{vector: row} for row in rows]"),
        ({VECTOR: np.zeros((2, 12))}, "takes a list of 12 numbers", "[{vector: row} for row in rows]"),
        ({VECTOR: [[1.0, 2.0]] * 12}, "takes a list of 12 numbers", "[{vector: row} for row in rows]"),
        ({VECTOR: [1.0] * 12, VECTOR[3]: 1}, "gives values for v[3] twice", None),
        ({ParameterVector("w", 2): [1, 2]}, "No circuit has the parameter 'w[0]'", None),
    ],
)
def test_values_that_do_not_fit_a_vector_are_refused(bind, what, hint, refused):
    error = refused(rotated(*VECTOR), InvalidInputError, parameter_binds=[bind])
    assert what in error.what
    assert hint is None or hint in error.hint


def test_several_registers_are_no_obstacle(device, cloud):
    circuit = QuantumCircuit(
        QuantumRegister(1, "a"), QuantumRegister(1, "b"), ClassicalRegister(1), ClassicalRegister(2)
    )
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 2])
    device().run(circuit)
    assert len(cloud.requests) == 1

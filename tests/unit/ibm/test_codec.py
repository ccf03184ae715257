"""Values on the wire, both ways, against IBM's own encoder and decoder; and what a hostile server may send."""

import base64
import io
import json
import logging
import pickle
import zipfile
import zlib
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import ClassicalRegister, Parameter, ParameterVector, QuantumRegister
from qiskit.circuit.library import RXGate
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.quantum_info import Operator, Pauli, PauliLindbladMap, PauliList, SparsePauliOp
from qiskit.result import Result
from qiskit.transpiler import CouplingMap
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder, execution_span
from qiskit_ibm_runtime.results import noise_learner as their_noise
from scipy.sparse import csr_matrix

from qprovider_core.errors import CircuitError, InvalidInputError, ResponseError
from qprovider_ibm import _codec, _qpy, _spans
from qprovider_ibm._codec import Encoder, decode, decode_circuit, encode, encode_circuit
from qprovider_ibm._learned_noise import LayerError, NoiseLearnerResult, PauliLindbladError

START = datetime(2026, 11, 22, 6, 26, 41, 428660, tzinfo=UTC)
STOP = datetime(2026, 11, 22, 6, 26, 43, 645204, tzinfo=UTC)
# Source: the protocol's own example of an array.
EXAMPLE = (
    "eJyb7BfqGxDJyFDGUK2eklqcXKRupaBuk2ahrqOgnpZfVFKUmBefX5SSChJ3S8wpTgWKF2ckFqQC+RpGOpo6CrUKFAAuBjD4YQ+hWRwAFlYc2A=="
)


def circuit():
    theta = Parameter("theta")
    made = QuantumCircuit(
        QuantumRegister(3, "q"), ClassicalRegister(1, "a"), ClassicalRegister(2, "b"), name="three", metadata={"k": 1}
    )
    made.h(0)
    made.rx(theta + 1, 1)
    made.measure([0, 1, 2], [0, 1, 2])
    with made.if_test((made.clbits[0], 1)):
        made.x(2)
    return made


def to_theirs(value):
    """Written by us, read by them."""
    return json.loads(json.dumps(encode(value)), cls=RuntimeDecoder)


def from_theirs(value):
    """Written by them, read by us."""
    return decode(json.loads(json.dumps(value, cls=RuntimeEncoder)))


def through(value):
    return decode(json.loads(json.dumps(encode(value))))


WAYS = pytest.mark.parametrize("way", [to_theirs, from_theirs, through])


def tagged(tag, value):
    return {"__type__": tag, "__value__": value}


def packed(data):
    return base64.b64encode(zlib.compress(data)).decode()


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


# ------------------------------------------------------------------------------------------------- both ways


def test_the_example_of_the_protocol_is_written_byte_for_byte_and_read():
    assert encode(np.array([1.5, 2.5])) == tagged("ndarray", EXAMPLE)
    assert decode(tagged("ndarray", EXAMPLE)).tolist() == [1.5, 2.5]


@WAYS
@pytest.mark.parametrize(
    "array",
    [
        np.array(3.5),
        np.zeros((0,)),
        np.zeros((4, 0)),
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([1 + 2j, -3j]),
        np.array([True, False]),
        np.arange(3, dtype=">i4"),
        np.array(["linear", "x"]),
        np.random.default_rng(7).random(200_000),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_go_both_ways(way, array):
    back = way(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert np.array_equal(back, array)
    assert back.flags.writeable


@WAYS
def test_arrays_of_objects_are_nested_lists(way):
    back = way(np.array([1, "two"], dtype=object))
    assert back.tolist() in ([1, "two"], ["1", "two"])  # theirs makes one array of texts of it


def test_arrays_are_also_read_from_numbers_lists_and_the_names_of_extrapolators():
    assert decode(tagged("ndarray", 4)).tolist() == 4
    assert decode(tagged("ndarray", [[1, 2], [3, 4]])).tolist() == [[1, 2], [3, 4]]
    assert decode(tagged("ndarray", "polynomial_degree_2")) == "polynomial_degree_2"


@WAYS
def test_circuits_go_both_ways(way):
    made = circuit()
    assert way(made) == made
    assert way(made).metadata == {"k": 1}


def test_circuits_are_written_as_a_version_that_the_service_reads():
    data = zlib.decompress(base64.b64decode(encode_circuit(circuit())["__value__"]))
    assert data[:6] == b"QISKIT"
    assert data[6] == min(17, qpy.QPY_VERSION)


def test_metadata_of_circuits_is_tagged_json_too():
    made = circuit()
    made.metadata = {"when": START, "spins": np.array([1, 2]), "pair": (1, 2j)}
    back = through(made).metadata
    assert back["when"] == START
    assert back["spins"].tolist() == [1, 2]
    assert back["pair"] == [1, 2j]


def test_a_circuit_that_cannot_be_written_is_refused_by_name():
    made = circuit()
    made.metadata = {"it": object()}
    with pytest.raises(CircuitError, match="'three' cannot be written as QPY 17"):
        encode(made)


def test_one_circuit_is_written_once_in_a_request(monkeypatch):
    calls = []
    monkeypatch.setattr(_codec, "circuit_text", lambda *args: calls.append(args) or "text")
    one, other = circuit(), circuit()
    Encoder().encode([one, [one, other], {"again": one}])
    assert len(calls) == 2
    Encoder().encode(one)
    assert len(calls) == 3


@WAYS
def test_parameters_instructions_and_couplings_go_both_ways(way):
    theta = Parameter("ϑ")
    assert way(theta) == theta
    assert way(RXGate(0.25)) == RXGate(0.25)
    assert way(CouplingMap([(0, 1), (1, 2)])) == [[0, 1], [1, 2]]


@WAYS
@pytest.mark.parametrize("value", [2 - 3j, {1, 2}, [1, "x", None, True, 2.5], {"a": {"b": [1]}}])
def test_plain_values_go_both_ways(way, value):
    assert way(value) == value


def test_numbers_of_numpy_become_numbers():
    for value in (np.int64(3), np.uint8(3), np.float64(3.0), np.float32(3.0), np.bool_(True)):
        assert json.loads(json.dumps(encode(value))) == value
    assert encode(np.complex64(1j)) == tagged("complex", [0.0, 1.0])


def test_times_are_utc_without_offset_on_the_wire_and_aware_here():
    east = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert encode(east) == tagged("datetime", "2026-01-02T01:00:00")
    assert through(east) == east
    assert through(east).tzinfo is UTC
    assert decode(tagged("datetime", "2026-01-02T03:00:00+02:00")) == east
    assert decode(tagged("datetime", "2026-01-02T03:00:00Z")).hour == 3
    assert through(date(2026, 1, 2)) == datetime(2026, 1, 2, tzinfo=UTC)
    assert from_theirs(datetime(2026, 1, 2, 3)) == datetime(2026, 1, 2, 3, tzinfo=UTC)


@WAYS
def test_operators_go_both_ways(way):
    operator = SparsePauliOp(["ZI", "XX"], [0.5, 1j])
    assert way(operator) == operator
    assert way(PauliList(["ZI", "-XX"])) == PauliList(["ZI", "-XX"])
    assert way(Pauli("XY")) == Pauli("XY")
    assert way(Operator(Pauli("XY"))) == Operator(Pauli("XY"))
    noise = PauliLindbladMap.from_sparse_list([("XZ", (0, 2), 0.5)], num_qubits=3)
    assert way(noise) == noise


@WAYS
def test_matrices_and_old_results_go_both_ways(way):
    matrix = csr_matrix([[0, 2.0], [0, 0]])
    assert (way(matrix) != matrix).nnz == 0
    result = Result(
        backend_name="b", backend_version="1", job_id="j", success=True, results=[], header={}, date=None, status="DONE"
    )
    assert way(result).to_dict() == result.to_dict()


def test_noise_models_are_written_as_they_write_them_and_read_as_a_mapping():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["x"])
    theirs = json.loads(json.dumps(model, cls=RuntimeEncoder))
    assert json.loads(json.dumps(encode(model))) == theirs
    assert decode(theirs)["errors"][0]["operations"] == ["x"]


@WAYS
def test_observables_and_bindings_go_both_ways(way):
    observables = ObservablesArray([["ZI", {"XX": 0.5, "YY": 2}]])
    assert way(observables).tolist() == observables.tolist()
    vector = ParameterVector("v", 2)
    bindings = BindingsArray({tuple(vector): np.ones((2, 3, 2)), "b": np.zeros((2, 3))})
    back = way(bindings)
    assert back.shape == (2, 3)
    assert back.data.keys() == bindings.data.keys()
    assert all(np.array_equal(back.data[key], bindings.data[key]) for key in bindings.data)


def test_pubs_are_written_as_lists_that_they_read():
    made = circuit()
    got = to_theirs([SamplerPub.coerce((made, [[0.1], [0.2]], 100))])
    assert got[0][0] == made
    assert got[0][1].tolist() == [[0.1], [0.2]]
    assert got[0][2] == 100
    bare = made.remove_final_measurements(inplace=False)
    pub = EstimatorPub.coerce((bare, ["ZII", {"XXI": 0.5}], [0.1], 0.02))
    ours, theirs = json.loads(json.dumps(encode(pub))), json.loads(json.dumps(pub, cls=RuntimeEncoder))
    assert ours[1:] == theirs[1:]
    assert decode(ours[0]) == decode(theirs[0])


def result():
    a = BitArray(np.array([[[0], [1], [1]], [[1], [0], [0]]], dtype=np.uint8), 1)
    b = BitArray(np.arange(12, dtype=np.uint8).reshape(2, 3, 2) & 1, 9)
    data = DataBin(z=a, b=b, shape=(2,))
    return PrimitiveResult([SamplerPubResult(data, {"circuit_metadata": {}})], {"version": 2})


@WAYS
def test_results_go_both_ways_with_registers_in_order(way):
    back = way(result())
    assert type(back[0]) is SamplerPubResult
    assert list(back[0].data) == ["z", "b"]
    assert back[0].data.shape == (2,)
    assert back[0].data.b == result()[0].data.b
    assert back.metadata == {"version": 2}
    evs = PrimitiveResult([PubResult(DataBin(evs=np.array([1.0, 2.0]), stds=np.zeros((2,)), shape=(2,)), {"shots": 7})])
    assert way(evs)[0].data.evs.tolist() == [1.0, 2.0]
    assert way(evs)[0].metadata == {"shots": 7}


def test_the_order_of_registers_is_that_of_the_names_not_of_the_object():
    value = encode(result())
    bin_value = value["__value__"]["pub_results"][0]["__value__"]["data"]["__value__"]
    bin_value["fields"] = dict(reversed(bin_value["fields"].items()))
    assert list(decode(value)[0].data) == ["z", "b"]


THEIR_SPANS = [
    execution_span.SliceSpan(START, STOP, {0: ((2, 5), slice(3, 9)), 2: ((4,), slice(0, 4))}),
    execution_span.DoubleSliceSpan(START, STOP, {1: ((2, 3, 5), slice(1, 4), slice(2, 5))}),
    execution_span.TwirledSliceSpan(START, STOP, {0: ((3, 2, 5), True, slice(1, 4), slice(0, 2))}),
    execution_span.TwirledSliceSpan(START, STOP, {0: ((2, 3, 5), False, slice(1, 4), slice(0, 2))}),
    execution_span.TwirledSliceSpanV2(START, STOP, {0: ((3, 2, 5), True, slice(1, 4), slice(0, 4), 13)}),
]


@pytest.mark.parametrize("theirs", THEIR_SPANS, ids=lambda span: type(span).__name__)
def test_spans_mean_what_theirs_mean(theirs):
    ours = from_theirs(theirs)
    assert (ours.start, ours.stop, ours.duration) == (theirs.start, theirs.stop, theirs.duration)
    assert ours.pub_idxs == theirs.pub_idxs
    assert ours.size == sum(int(theirs.mask(index).sum()) for index in theirs.pub_idxs)
    for index in theirs.pub_idxs:
        assert np.array_equal(ours.mask(index), theirs.mask(index))
    assert ours.contains_pub(theirs.pub_idxs[0])
    assert not ours.contains_pub([17, 18])
    assert ours.filter_by_pub([17]).pub_idxs == []
    with pytest.raises(KeyError):
        ours.mask(17)
    assert through(ours) == ours
    back = to_theirs(ours)
    assert type(back) is type(theirs)
    assert all(np.array_equal(back.mask(index), theirs.mask(index)) for index in theirs.pub_idxs)
    assert type(ours).__name__ in repr(ours)


@pytest.mark.parametrize("tag", ["ExecutionSpans", "ExecutionSpanCollection"])
def test_spans_come_as_a_list(tag):
    later = {"start": STOP, "stop": STOP + timedelta(seconds=1), "data_slices": {3: ((4,), slice(0, 4))}}
    theirs = execution_span.ExecutionSpans([execution_span.SliceSpan(**later), *THEIR_SPANS])
    data = json.loads(json.dumps(theirs, cls=RuntimeEncoder))
    data["__type__"] = tag
    spans = decode(data)
    assert isinstance(spans, _spans.ExecutionSpans)
    assert len(spans) == 6
    assert (spans.start, spans.stop) == (START, STOP + timedelta(seconds=1))
    assert spans.duration == (STOP - START).total_seconds() + 1
    assert spans.pub_idxs == [0, 1, 2, 3]
    assert spans.sort(inplace=False)[-1] == spans[0]
    assert [type(span).__name__ for span in spans[1:3]] == ["SliceSpan", "DoubleSliceSpan"]
    assert len(spans[[0, 2]]) == 2
    assert spans.filter_by_pub(3)[0] == spans[0]
    assert spans.sort() is spans
    assert through(spans) == spans
    assert isinstance(to_theirs(spans), execution_span.ExecutionSpans)


def test_learned_noise_goes_both_ways():
    theirs = their_noise.NoiseLearnerResult(
        [
            their_noise.LayerError(
                QuantumCircuit(2), [3, 4], their_noise.PauliLindbladError(PauliList(["XX", "ZI"]), [0.1, 0.2])
            )
        ],
        {"k": 1},
    )
    ours = from_theirs(theirs)
    assert isinstance(ours, NoiseLearnerResult)
    assert isinstance(ours[0], LayerError)
    assert isinstance(ours[0].error, PauliLindbladError)
    assert ours[0].qubits == [3, 4]
    assert ours[0].error.rates.tolist() == [0.1, 0.2]
    assert ours[0].error.num_qubits == 2
    assert len(list(ours)) == len(ours) == 1
    back = to_theirs(ours)
    assert isinstance(back.data[0], their_noise.LayerError)
    assert back.data[0].error.generators == PauliList(["XX", "ZI"])


def test_whole_numbers_as_keys_are_restored_where_they_are_marked():
    value = {
        "__type__": "_json",
        "__module__": "qiskit_ibm_runtime.results.noise_learner",
        "__class__": "LayerError",
        "__value__": {"circuit": None, "qubits": {"1": 5, "-2": 6, "x": {"7": 1}, "__int_keys__": True}},
    }
    assert decode(value).qubits == {1: 5, -2: 6, "x": {"7": 1}}


def test_what_has_its_own_json_is_passed_on_and_callables_become_null(caplog):
    class Own:
        def to_json(self):
            return {"x": 1}

    assert encode(Own()) == tagged("to_json", {"x": 1})
    assert through(Own()) == {"x": 1}
    with caplog.at_level(logging.WARNING):
        assert encode([len]) == [None]
    assert "callable" in caplog.text
    with pytest.raises(InvalidInputError, match="A object cannot be sent"):
        encode(object())


# ------------------------------------------------------------------------------------------ what is not trusted


def refused(data, *, path="", match=None):
    with pytest.raises(ResponseError, match=match) as info:
        decode(data)
    assert info.value.path == path
    return info.value


def test_unknown_kinds_stay_as_they_are_with_a_warning(caplog):
    data = {"new": {"__type__": "Quaternion", "__value__": [tagged("complex", [0, 1])], "__module__": "os"}}
    with caplog.at_level(logging.WARNING):
        assert decode(data) == {"new": {"__type__": "Quaternion", "__value__": [1j], "__module__": "os"}}
    assert "'Quaternion'" in caplog.text
    assert decode({"__type__": ["x"], "__value__": 1}) == {"__type__": ["x"], "__value__": 1}


@pytest.mark.parametrize("tag", ["settings", "_json"])
@pytest.mark.parametrize(
    ("module", "kind", "value"),
    [
        ("subprocess", "Popen", {"args": ["true"]}),
        ("qiskit.quantum_info.operators.random", "random_pauli", {"num_qubits": 1}),
        ("qiskit_ibm_runtime.results.noise_learner", "NoiseLearnerResult", {}),
        ("os", "PauliList", {"data": ["ZZ"]}),
    ],
)
def test_classes_outside_the_list_are_not_made(tag, module, kind, value, caplog):
    data = {"__type__": tag, "__module__": module, "__class__": kind, "__value__": value}
    assert decode(data) == data
    assert "unknown class" in caplog.text


def test_classes_take_only_their_own_arguments():
    data = {
        "__type__": "settings",
        "__module__": "qiskit.quantum_info.operators.symplectic",
        "__class__": "PauliList",
        "__value__": {"data": ["ZZ"], "x": 1},
    }
    refused([data], path="[0]", match="it takes data")


def test_pickled_arrays_are_not_loaded():
    class Boom:
        def __reduce__(self):
            return (pytest.fail, ("code of the server ran",))

    file = npy(np.array([Boom()], dtype=object), allow_pickle=True)
    refused(tagged("ndarray", packed(file)), match="arrays of object are not read")
    refused(tagged("ndarray", packed(pickle.dumps([1]))), match="ndarray")
    structured = npy(np.zeros(2, dtype=[("a", "f8")]))
    refused(tagged("ndarray", packed(structured)), match="are not read")


def test_arrays_that_decompress_to_too_much_are_refused_before_they_do():
    bomb = packed(npy(np.zeros(2**21, dtype=np.uint8)))
    assert decode(tagged("ndarray", bomb), limit=2**21).size == 2**21
    with pytest.raises(ResponseError, match="larger than"):
        decode(tagged("ndarray", bomb), limit=2**20)
    head = npy(np.zeros(4, dtype=np.uint8)).replace(b"(4,), }", b"(4,), }")
    refused(tagged("ndarray", packed(head + bytes(10**6))), match="more than the 4 bytes")
    huge = b"\x93NUMPY\x01\x00" + b"\x76\x00" + b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999999,), }"
    refused(tagged("ndarray", packed(huge.ljust(128))), match="larger than")


def test_circuits_that_decompress_to_too_much_are_refused():
    with pytest.raises(ResponseError, match="larger than"):
        decode(tagged("QuantumCircuit", packed(bytes(2**22))), limit=2**20)


def test_many_values_together_may_not_be_too_much_either():
    one = tagged("ndarray", packed(npy(np.zeros(2**20 - 128, dtype=np.uint8))))
    with pytest.raises(ResponseError, match="the whole is larger") as info:
        decode([one] * 6, limit=2**20)
    assert info.value.path == "[4]"


def test_what_breaks_qiskits_reader_is_refused(monkeypatch):
    class PanicException(BaseException):
        """As the compiled part of Qiskit raises it."""

    text = encode_circuit(circuit())["__value__"]
    for error in (RuntimeError("no"), PanicException("no")):

        def load(*args, error=error, **options):
            raise error

        monkeypatch.setattr(qpy, "load", load)
        with pytest.raises(ResponseError, match="Qiskit cannot read it"):
            decode_circuit(text)
    monkeypatch.setattr(qpy, "load", lambda *args, **options: [])
    with pytest.raises(ResponseError, match="holds no circuit"):
        decode_circuit(text)

    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(qpy, "load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decode_circuit(text)


def test_metadata_inside_circuits_counts_against_the_same_limit(monkeypatch):
    made = QuantumCircuit(1, metadata={"x": np.zeros(2**19)})
    for _ in range(3):
        made = QuantumCircuit(1, metadata={"inner": made})
    with pytest.raises(ResponseError):
        decode(encode_circuit(made), limit=2**20)


def test_sparse_matrices_that_unpack_to_too_much_or_point_outside_are_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.npy", bytes(2**22))
    with pytest.raises(ResponseError, match="larger than"):
        decode(tagged("spmatrix", base64.b64encode(file.getvalue()).decode()), limit=2**20)
    file = io.BytesIO()
    arrays = {"data": [1.0], "indices": [99], "indptr": [0, 1], "shape": [1, 2], "format": b"csr"}
    np.savez(file, **{name: np.array(value) for name, value in arrays.items()})
    refused(tagged("spmatrix", base64.b64encode(file.getvalue()).decode()), match="spmatrix")


@pytest.mark.parametrize("cut", [1, 3, 4, 40, 100])
@pytest.mark.parametrize("tag", ["ndarray", "QuantumCircuit"])
def test_what_is_cut_off_is_refused(tag, cut):
    text = encode(circuit() if tag == "QuantumCircuit" else np.random.default_rng(1).random(50))["__value__"]
    refused({"x": [1, tagged(tag, text[:-cut])]}, path="x[1]", match=rf"x\[1\]: it is no {tag}")


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("ndarray", "%%%%"),
        ("ndarray", "ä" * 8),
        ("ndarray", None),
        ("ndarray", packed(npy(np.zeros(3)))[:-4] + "AAAA"),
        ("ndarray", base64.b64encode(zlib.compress(npy(np.zeros(3))) + b"tail").decode()),
        ("ndarray", packed(npy(np.zeros(3))[:-1])),
        ("ndarray", packed(b"\x93NUMPY\x09\x00" + bytes(100))),
        ("ndarray", packed(b"")),
        ("QuantumCircuit", 17),
        ("QuantumCircuit", packed(b"OPENQASM 2.0;")),
        ("QuantumCircuit", packed(b"QISKIT\x11" + bytes(50))),
        ("Instruction", packed(b"QISKIT")),
        ("complex", [1]),
        ("complex", "12"),
        ("complex", [1, [2]]),
        ("set", [[1]]),
        ("set", 4),
        ("datetime", "yesterday"),
        ("datetime", 17),
        ("Parameter", base64.b64encode(b"\x00\x09" + bytes(16) + b"short").decode()),
        ("ObservablesArray", [{"AB": "x"}]),
        ("BindingsArray", {"shape": [2], "data": {"not json": 1}}),
        ("BindingsArray", {"shape": [2], "data": {"[1]": 1}}),
        ("BindingsArray", 3),
        ("BitArray", {"array": [1, 2], "num_bits": 2}),
        ("BitArray", {"array": tagged("ndarray", EXAMPLE), "num_bits": 2}),
        ("BitArray", {"array": encode(np.zeros((4, 1), dtype=np.uint8)), "num_bits": 9}),
        ("BitArray", {"array": encode(np.zeros((4, 1), dtype=np.uint8)), "num_bits": True}),
        ("DataBin", {"fields": {"__class__": 1}, "shape": []}),
        ("DataBin", {"fields": {"keys": 1}, "shape": []}),
        ("DataBin", {"fields": {"a": tagged("ndarray", EXAMPLE)}, "shape": [3]}),
        ("DataBin", {"shape": []}),
        ("SamplerPubResult", {"data": {"x": 1}}),
        ("PrimitiveResult", {"pub_results": 5}),
        ("PrimitiveResult", []),
        ("ExecutionSpans", {"spans": [1]}),
        ("DoubleSliceSpan", {"start": "x", "stop": "y", "data_slices": {}}),
        ("PauliLindbladMap", {"paulis": [["XX", [0, 9], 0.1]], "num_qubits": 2}),
        ("Result", {"x": 1}),
        ("spmatrix", "AAAA"),
    ],
)
def test_what_is_not_of_its_form_is_refused_with_its_place(tag, value):
    error = refused({"metadata": {"it": tagged(tag, value)}}, path="metadata.it", match="cannot be read")
    assert "metadata.it" in error.why


@pytest.mark.parametrize(
    "entry",
    [
        [[2, 10], 0, 2, 0],
        [[2, -1], 0, 2, 0, 10],
        [[2, 2**60], 0, 2, 0, 10],
        [[], 0, 2, 0, 10],
        [[2, 10], None, 2, 0, 10],
        [[2, 10], 0.5, 2, 0, 10],
        "abcde",
    ],
)
def test_spans_that_could_not_be_masked_are_refused(entry):
    moment = tagged("datetime", "2026-01-01T00:00:00")
    refused(tagged("DoubleSliceSpan", {"start": moment, "stop": moment, "data_slices": {"0": entry}}))
    refused(tagged("DoubleSliceSpan", {"start": moment, "stop": moment, "data_slices": {"-1": [[2, 9], 0, 2, 0, 9]}}))


def test_values_without_a_value_and_endless_nesting_are_refused():
    refused({"a": [{"__type__": "ndarray"}]}, path="a[0]", match="has no value")
    nested = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ResponseError, match="nested too deeply"):
        decode(nested)


def test_a_circuit_of_a_newer_qiskit_is_left_out_and_the_rest_is_kept(caplog):
    data = bytearray(zlib.decompress(base64.b64decode(encode_circuit(circuit())["__value__"])))
    data[6] = qpy.QPY_VERSION + 1
    with caplog.at_level(logging.WARNING):
        assert decode([[tagged("QuantumCircuit", packed(bytes(data))), 100]]) == [[None, 100]]
    assert "Update Qiskit" in caplog.text
    data[6] = _qpy.OLDEST - 1
    assert decode_circuit(packed(bytes(data))) is None
    assert "not safe to read" in caplog.text

"""Results: registers, shapes, fields, and what a hostile server may send."""

import json
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, PubResult, SamplerPubResult
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder
from qiskit_ibm_runtime.execution_span import DoubleSliceSpan, ExecutionSpans

from qprovider_core.errors import ResponseError, ResultError
from qprovider_core.records import EstimatePubResult, JobResult, SamplePubResult
from qprovider_ibm import _spans
from qprovider_ibm._codec import encode
from qprovider_ibm._results import IBMResult, parse_result, primitive_result

RANDOM = np.random.default_rng(11)


def bits(num_bits, shots, shape=()):
    return BitArray.from_bool_array(RANDOM.integers(0, 2, (*shape, shots, num_bits)).astype(bool))


def body(result):
    """As the service sends it: written by IBM's own encoder."""
    return json.dumps(result, cls=RuntimeEncoder).encode()


def sampled(shape=(), shots=50, metadata=None):
    data = DataBin(z=bits(1, shots, shape), b=bits(9, shots, shape), a=bits(3, shots, shape), shape=shape)
    return PrimitiveResult([SamplerPubResult(data, {"circuit_metadata": {}})], metadata or {"version": 2})


def lazy(record):
    return IBMResult(record, backend_name="ibm_x", backend_version="1", job_id="j1")


def joined_counts(pub, loc=None):
    """The second method: Qiskit's own join of the registers, spaces put between them."""
    sizes = [array.num_bits for array in pub.data.values()]
    counts = pub.join_data(list(pub.data)).get_counts(loc)
    ends = np.cumsum([0, *reversed(sizes)])
    return {" ".join(key[start:end] for start, end in pairwise(ends)): number for key, number in counts.items()}


def test_registers_keep_their_order_and_counts_are_as_qiskit_joins_them():
    theirs = sampled()
    record = parse_result(body(theirs))
    (pub,) = record.pubs
    assert isinstance(pub, SamplePubResult)
    assert [(one.name, one.num_bits) for one in pub.registers] == [("z", 1), ("b", 9), ("a", 3)]
    assert (pub.shots, pub.shape) == (50, ())
    assert dict(lazy(record).get_counts()) == joined_counts(theirs[0])
    assert lazy(record).get_memory()[7].replace(" ", "") == theirs[0].join_data().get_bitstrings()[7]


def test_a_pub_with_an_array_of_sets_is_one_experiment_each():
    theirs = sampled((2, 3), 20)
    record = parse_result(body(theirs))
    assert record.pubs[0].shape == (2, 3)
    result = lazy(record)
    assert len(result) == 1
    assert len(result.results) == 6
    found = [dict(counts) for counts in result.get_counts()]
    assert found == [joined_counts(theirs[0], loc) for loc in np.ndindex(2, 3)]
    assert result[0].data.b == theirs[0].data.b
    assert result[0].data.shape == (2, 3)


def test_no_byte_of_the_bits_is_copied_on_the_way_to_qiskit():
    record = parse_result(body(sampled((2,), 30)))
    array = primitive_result(record)[0].data.b.array
    assert np.shares_memory(array, np.frombuffer(record.pubs[0].registers[1].data, dtype=np.uint8))


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_a_result_reads_as_ibms_own_decoder_reads_it(shape):
    data = body(sampled(shape))
    theirs, ours = json.loads(data, cls=RuntimeDecoder), primitive_result(parse_result(data))
    assert type(ours[0]) is type(theirs[0]) is SamplerPubResult
    assert list(ours[0].data) == list(theirs[0].data)
    assert all(ours[0].data[name] == theirs[0].data[name] for name in theirs[0].data)
    assert ours[0].metadata == theirs[0].metadata
    assert ours.metadata == theirs.metadata


def test_execution_spans_stay_json_in_the_record_and_are_objects_in_the_result():
    span = DoubleSliceSpan(
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC),
        {0: ((2, 50), slice(0, 2), slice(0, 50))},
    )
    record = parse_result(
        body(sampled((2,), metadata={"execution": {"execution_spans": ExecutionSpans([span])}, "version": 2}))
    )
    assert json.loads(json.dumps(record.metadata))["execution"]["execution_spans"]["__type__"] == "ExecutionSpans"
    result = lazy(record)
    spans = result.metadata["execution"]["execution_spans"]
    assert isinstance(spans, _spans.ExecutionSpans)
    assert spans.duration == 3
    assert spans[0].mask(0).sum() == 100
    assert result.primitive() is result.primitive()
    assert JobResult.from_dict(json.loads(json.dumps(record.to_dict()))).metadata == record.metadata


def test_a_result_serves_both_kinds_of_users():
    record = parse_result(body(sampled()))
    result = lazy(record)
    assert result.success
    assert sum(result.get_counts().values()) == 50
    assert [pub.data.z.num_shots for pub in result] == [50]
    assert result[-1].data.b.num_bits == 9
    assert result.metadata == {"version": 2}
    assert isinstance(result.primitive(), PrimitiveResult)


def estimated(shape=(2,), **more):
    fields = {"evs": RANDOM.random(shape), "stds": RANDOM.random(shape), **more}
    return PrimitiveResult(
        [PubResult(DataBin(shape=shape, **fields), {"shots": 4096, "resilience": {}})], {"version": 2}
    )


@pytest.mark.parametrize("shape", [(), (2,), (3, 1, 2)])
def test_expectation_values_keep_their_shapes_and_all_their_fields(shape):
    theirs = estimated(
        shape, ensemble_standard_error=RANDOM.random(shape), evs_extrapolated=RANDOM.random((*shape, 2, 4))
    )
    record = parse_result(body(theirs), "estimate")
    (pub,) = record.pubs
    assert isinstance(pub, EstimatePubResult)
    assert pub.shape == shape
    assert pub.evs == tuple(theirs[0].data.evs.ravel())
    assert set(pub.fields) == {"ensemble_standard_error", "evs_extrapolated"}
    ours = primitive_result(record)
    assert ours[0].metadata == theirs[0].metadata
    for name in theirs[0].data:
        assert ours[0].data[name].shape == theirs[0].data[name].shape
        assert np.array_equal(ours[0].data[name], theirs[0].data[name])
    with pytest.raises(ResultError, match="no counts"):
        lazy(record)


def test_both_tags_of_estimates_are_read_without_being_told_the_kind():
    for tag in ("PubResult", "EstimatorPubResult"):
        data = json.loads(body(estimated()))
        data["__value__"]["pub_results"][0]["__type__"] = tag
        assert isinstance(parse_result(json.dumps(data).encode()).pubs[0], EstimatePubResult)


@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("average", [False, True])
def test_kerneled_data_is_kept_in_the_metadata_and_given_back(shape, average):
    more = () if average else (20,)
    fields = {
        name: RANDOM.random((*shape, *more, size)) + 1j * RANDOM.random((*shape, *more, size))
        for name, size in (("b", 2), ("a", 3))
    }
    theirs = PrimitiveResult([SamplerPubResult(DataBin(shape=shape, **fields), {"x": 1})], {})
    record = parse_result(body(theirs), "sample")
    assert record.pubs[0].registers == ()
    assert record.pubs[0].shots == (0 if average else 20)
    assert JobResult.from_dict(json.loads(json.dumps(record.to_dict()))) is not None
    result = lazy(record)
    assert np.array_equal(result[0].data.a, fields["a"])
    assert result[0].metadata == {"x": 1}
    with pytest.raises(ResultError, match="kerneled"):
        result.get_counts()
    both = np.concatenate([fields["b"], fields["a"]], axis=-1)
    if shape:
        assert all(np.array_equal(result.get_memory(i), both[i]) for i in range(3))
        assert len(result.get_memory()) == 3
    else:
        assert np.array_equal(result.get_memory(), both)


def test_plain_results_are_read_too():
    data = {
        "results": [
            {"data": {"c": {"samples": ["0x3", "0x0", "0x102"], "num_bits": 9}}, "metadata": {"a": 1}},
            {"data": {"c": {"samples": ["0x1"], "num_bits": 1}, "d": {"samples": ["0x2"], "num_bits": 2}}},
        ],
        "metadata": {"version": 2},
    }
    record = parse_result(json.dumps(data).encode())
    result = lazy(record)
    assert result.get_counts(0) == {"000000011": 1, "000000000": 1, "100000010": 1}
    assert result.get_counts(1) == {"10 1": 1}
    assert result.metadata == {"version": 2}
    evs = {"results": [{"data": {"evs": [0.5, 1.0], "stds": [0.1, 0.2]}, "metadata": {}}]}
    pub = parse_result(json.dumps(evs).encode(), "estimate").pubs[0]
    assert (pub.evs, pub.stds, pub.shape) == ((0.5, 1.0), (0.1, 0.2), (2,))
    assert primitive_result(parse_result(json.dumps(evs).encode()))[0].data.evs.tolist() == [0.5, 1.0]


def test_a_pub_without_registers_is_empty():
    record = parse_result(body(PrimitiveResult([SamplerPubResult(DataBin())])))
    assert record.pubs[0].registers == ()
    assert len(primitive_result(record)[0].data) == 0


def test_counts_alone_cannot_be_a_primitive_result():
    with pytest.raises(ResultError, match="counts only"):
        primitive_result(JobResult(pubs=(SamplePubResult.from_counts({"0": 1}),)))


# ------------------------------------------------------------------------------------------ what is not trusted


def changed(change):
    data = json.loads(body(sampled((2,))))
    value = data["__value__"]
    pub = value["pub_results"][0]["__value__"]
    change(data, value, pub, pub["data"]["__value__"])
    return json.dumps(data).encode()


def put(target, key, value):
    target[key] = value


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda d, v, p, b: put(d, "__type__", "Other"), ""),
        (lambda d, v, p, b: put(v, "pub_results", {"a": 1}), ""),
        (lambda d, v, p, b: put(v, "pub_results", [3]), "pub_results[0]"),
        (lambda d, v, p, b: put(v, "metadata", 3), "metadata"),
        (lambda d, v, p, b: put(p, "metadata", [1]), "pub_results[0].metadata"),
        (lambda d, v, p, b: put(p, "data", 3), "pub_results[0].data"),
        (lambda d, v, p, b: put(b, "shape", [3]), "pub_results[0].data"),
        (lambda d, v, p, b: put(b, "shape", []), "pub_results[0].data"),
        (lambda d, v, p, b: put(b, "fields", 3), "pub_results[0].data"),
        (lambda d, v, p, b: put(b["fields"], "x", encode(np.zeros(2))), "pub_results[0].data"),
        (
            lambda d, v, p, b: put(b["fields"], "x", encode(bits(2, 7, (2,)))),
            "pub_results[0].data",
        ),
        (
            lambda d, v, p, b: put(b["fields"]["a"]["__value__"], "num_bits", 30),
            "pub_results[0].data.fields.a",
        ),
        (
            lambda d, v, p, b: put(b["fields"]["a"]["__value__"]["array"], "__value__", "AAAA"),
            "pub_results[0].data.fields.a.array",
        ),
    ],
)
def test_what_is_not_of_its_form_is_refused_with_its_place(change, path):
    with pytest.raises(ResponseError) as info:
        parse_result(changed(change))
    assert info.value.path == path


@pytest.mark.parametrize(
    "data",
    [
        {"samples": ["0x4"], "num_bits": 2},
        {"samples": ["-0x1"], "num_bits": 2},
        {"samples": ["x"], "num_bits": 2},
        {"samples": [3], "num_bits": 2},
        {"samples": "0x1", "num_bits": 2},
        {"samples": ["0x1"], "num_bits": 10**9},
        {"samples": ["0x1"]},
        [["a"]],
        [1.0],
    ],
)
def test_plain_samples_that_are_none_are_refused(data):
    with pytest.raises(ResponseError) as info:
        parse_result(json.dumps({"results": [{"data": {"c": data}}]}).encode())
    assert info.value.path == "results[0].data.c"


@pytest.mark.parametrize(
    "fields",
    [
        {"stds": np.zeros(2)},
        {"evs": np.zeros(2), "stds": np.zeros((2, 3))},
        {"evs": np.zeros(2) + 1j},
        {"evs": np.array(["x", "y"])},
    ],
)
def test_estimates_that_are_none_are_refused(fields):
    data = PrimitiveResult([PubResult(DataBin(shape=(2,), **fields))])
    with pytest.raises(ResponseError):
        parse_result(body(data), "estimate")


@pytest.mark.parametrize("data", [b"", b"<html>busy</html>", b"\xff\xfe", b"[" * 100_000, b"17", b"null", b"{}"])
def test_a_body_that_is_no_result_is_refused(data):
    with pytest.raises(ResponseError):
        parse_result(data)


def test_a_result_that_decompresses_to_too_much_is_refused():
    data = body(PrimitiveResult([SamplerPubResult(DataBin(c=BitArray(np.zeros((2**20, 4), dtype=np.uint8), 32)))]))
    assert len(data) < 50_000
    with pytest.raises(ResponseError, match="larger than"):
        parse_result(data, limit=2**20)

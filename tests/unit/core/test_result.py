"""Results: bit order, laziness, and results that cannot belong to a job."""

import json
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.result import Result
from qiskit.result.models import ExperimentResult, ExperimentResultData

from qprovider_core._result import LazyResult, check_result
from qprovider_core.errors import ResultError
from qprovider_core.records import EstimatePubResult, JobResult, RegisterBits, SamplePub, SamplePubResult


def packed(name, size, values):
    """A register from the number that each shot read in it."""
    width = (size + 7) // 8
    return RegisterBits(name=name, num_bits=size, data=b"".join(value.to_bytes(width, "big") for value in values))


def sampled(sizes, shots):
    """Shots as one tuple of register values each."""
    registers = [packed(f"r{i}", size, [shot[i] for shot in shots]) for i, size in enumerate(sizes)]
    return SamplePubResult(shots=len(shots), registers=registers)


def lazy(*pubs, circuits=None, **metadata):
    sent = None if circuits is None else [SamplePub(circuit=c, shots=1) for c in circuits]
    return LazyResult(
        JobResult(pubs=pubs, metadata=metadata), backend_name="one", backend_version="1", job_id="j1", pubs=sent
    )


def plain(sizes, shots, memory=True):
    """The same as Qiskit's own Result, from whole numbers."""
    slots = sum(sizes)
    numbers = []
    for shot in shots:
        number, place = 0, 0
        for size, value in zip(sizes, shot, strict=True):
            number |= value << place
            place += size
        numbers.append(hex(number))
    data = ExperimentResultData(
        counts={n: numbers.count(n) for n in numbers}, **({"memory": numbers} if memory else {})
    )
    header = {"name": "circuit-0", "creg_sizes": [[f"r{i}", s] for i, s in enumerate(sizes)], "memory_slots": slots}
    return Result(
        backend_name="one", backend_version="1", job_id="j1", success=True,
        results=[ExperimentResult(shots=len(shots), success=True, data=data, header=header)],
    )  # fmt: skip


@st.composite
def outcomes(draw, least=1):
    sizes = draw(st.lists(st.integers(0, 70), min_size=1, max_size=4).filter(lambda s: sum(s) >= least))
    shot = st.tuples(*(st.integers(0, 2**size - 1) for size in sizes))
    few = draw(st.lists(shot, min_size=1, max_size=3))
    return sizes, draw(st.lists(st.sampled_from(few), min_size=1, max_size=12))


@settings(max_examples=120, deadline=None)
@given(outcomes())
def test_counts_and_memory_are_those_of_qiskit(told):
    sizes, shots = told
    ours, theirs = lazy(sampled(sizes, shots)), plain(sizes, shots)
    assert dict(ours.get_counts()) == dict(theirs.get_counts())
    assert ours.get_memory() == theirs.get_memory()
    assert ours.data() == theirs.data()
    assert ours.get_counts().int_outcomes() == theirs.get_counts().int_outcomes()
    assert ours.get_counts().hex_outcomes() == theirs.get_counts().hex_outcomes()
    assert ours.get_counts().most_frequent() in ours.get_counts() if len(set(shots)) == 1 else True
    # And Qiskit's own methods, reading our data, agree.
    assert dict(Result.get_counts(ours)) == dict(theirs.get_counts())
    assert Result.get_memory(ours) == theirs.get_memory()


@settings(max_examples=80, deadline=None)
@given(outcomes())
def test_bits_are_spelt_with_bit_0_rightmost_and_the_last_register_leftmost(told):
    sizes, shots = told
    expected = [
        " ".join(
            format(value, f"0{size}b") if size else "" for size, value in reversed(list(zip(sizes, shot, strict=True)))
        )
        for shot in shots
    ]
    result = lazy(sampled(sizes, shots))
    assert result.get_memory() == expected
    assert dict(result.get_counts()) == {bits: expected.count(bits) for bits in expected}


def test_registers_of_1_9_and_3_bits_by_hand():
    shots = [(1, 0b1_0000_0010, 0b110), (0, 0, 0b001), (1, 0b1_0000_0010, 0b110)]
    result = lazy(sampled([1, 9, 3], shots))
    assert result.get_memory() == ["110 100000010 1", "001 000000000 0", "110 100000010 1"]
    assert result.get_counts() == {"110 100000010 1": 2, "001 000000000 0": 1}
    assert result.data()["memory"] == ["0x1a05", "0x400", "0x1a05"]


def test_unused_bits_of_a_byte_do_not_matter():
    pub = SamplePubResult(shots=2, registers=[RegisterBits(name="c", num_bits=3, data=bytes([0b1111_1101, 0b101]))])
    assert lazy(pub).get_counts() == {"101": 2}


def test_no_shots_and_no_bits_are_possible():
    empty = lazy(sampled([3], []))
    assert empty.get_counts() == {}
    assert empty.get_memory() == []
    bare = lazy(SamplePubResult(shots=4, registers=[]))
    assert bare.get_memory() == [""] * 4
    assert bare.data()["counts"] == {"0x0": 4}
    assert lazy(SamplePubResult(shots=0, registers=[])).data()["counts"] == {}


@pytest.mark.parametrize("size", [8, 63, 64, 65, 200])
def test_registers_of_many_bits(size):
    top, low = 1 << (size - 1), 1
    result = lazy(sampled([size], [(top,), (low,), (top,)]))
    assert result.get_counts() == {"1" + "0" * (size - 1): 2, "0" * (size - 1) + "1": 1}


# ------------------------------------------------------------------------------------------------- counts only


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"1 01": 3, "0 00": 5}, {"1 01": 3, "0 00": 5}),
        ({"101": 3, "000": 5}, {"1 01": 3, "0 00": 5}),  # the spaces may be left out
        ({"1 01": 3, "0 00": 0}, {"1 01": 3}),
        ({}, {}),
    ],
)
def test_counts_without_shots_take_the_registers_of_the_circuit(counts, expected):
    circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(2, "a"), ClassicalRegister(1, "b"))
    result = lazy(SamplePubResult.from_counts(counts), circuits=[circuit])
    check_result(result.record, [SamplePub(circuit=circuit, shots=8)], "j1")
    assert result.get_counts() == expected
    assert result.results[0].header["creg_sizes"] == [["a", 2], ["b", 1]]
    with pytest.raises(Exception, match="No memory"):
        result.get_memory()
    assert not hasattr(result.results[0].data, "memory")


def test_counts_of_an_unknown_circuit_name_their_registers_by_number():
    result = lazy(SamplePubResult.from_counts({"1 01": 3}, circuit_name="mine"))
    assert result.get_counts() == {"1 01": 3}
    assert result.results[0].header["creg_sizes"] == [["c0", 2], ["c1", 1]]
    assert result.results[0].header["name"] == "mine"
    assert result.data() == {"counts": {"0x5": 3}}


# ------------------------------------------------------------------------------------------------ as Qiskit's own


@pytest.fixture
def two():
    first, second = QuantumCircuit(1, 1, name="first"), QuantumCircuit(1, 2, name="second", metadata={"k": 1})
    pubs = [
        SamplePubResult(shots=2, registers=[packed("c", 1, [0, 1])]),
        SamplePubResult(shots=1, registers=[packed("c", 2, [2])], metadata={"took": 3}),
    ]
    return lazy(*pubs, circuits=[first, second], note="x"), first, second


def test_several_circuits_are_told_one_by_one_or_all_at_once(two):
    result, first, second = two
    assert result.get_counts() == [{"0": 1, "1": 1}, {"10": 1}]
    for key in (1, -1, "second", second):
        assert result.get_counts(key) == {"10": 1}
        assert result.get_memory(key) == ["10"]
    assert result.get_counts(first) == {"0": 1, "1": 1}
    with pytest.raises(Exception, match="Data for experiment|could not be found|index"):
        result.get_counts("third")
    with pytest.raises(Exception, match="could not be found"):
        result.get_counts(2)
    with pytest.raises(Exception, match="You have to select a circuit|no circuit|Please"):
        result.get_memory()
    assert lazy().get_counts() == []


def test_a_result_reads_like_qiskits(two):
    result, *_ = two
    assert isinstance(result, Result)
    assert (result.job_id, result.backend_name, result.success, result.status) == ("j1", "one", True, "COMPLETED")
    assert [one.shots for one in result.results] == [2, 1]
    assert result.results[0] is result.results[0]
    assert [one.header["name"] for one in result.results[0:2]] == ["first", "second"]
    assert result.results[1].header["metadata"] == {"k": 1}
    assert result.results[1].header["vendor_metadata"] == {"took": 3}
    assert result.header == {"note": "x"}
    assert repr(result) == "<Result of job j1 on one: 2 experiment(s) of 2, 1 shots>"
    assert "…" in repr(lazy(*[sampled([1], [(0,)])] * 6))
    told = json.loads(json.dumps(result.to_dict()))
    assert told["results"][1]["data"] == {"counts": {"0x2": 1}, "memory": ["0x2"]}
    assert Result.from_dict(told).get_counts(1) == {"10": 1}
    again = pickle.loads(pickle.dumps(result))
    assert again.get_counts() == result.get_counts()
    assert "counts, memory" in repr(result.results[0].data)


def test_counts_of_a_million_shots_make_no_memory():
    rng = np.random.default_rng(7)
    data = rng.integers(0, 4, 1_000_000, dtype=np.uint8).tobytes()
    result = lazy(SamplePubResult(shots=1_000_000, registers=[RegisterBits(name="c", num_bits=2, data=data)]))
    tracemalloc.start()
    counts = result.get_counts()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(counts.values()) == 1_000_000
    assert peak < 64e6  # a million texts would be several hundred


@pytest.mark.parametrize("wide", [False, True])
def test_a_hundred_bits_of_many_shots_are_never_unpacked_at_once(wide):
    shots, sizes = 200_000, [100] if not wide else [37, 1, 62]
    rng = np.random.default_rng(7)
    registers = [
        RegisterBits(name=f"r{size}", num_bits=size, data=rng.integers(0, 4, (shots, (size + 7) // 8), dtype=np.uint8))
        for size in sizes
    ]
    few = RegisterBits(name="few", num_bits=100, data=np.zeros((shots, 13), dtype=np.uint8))
    results = (
        lazy(SamplePubResult(shots=shots, registers=registers)),
        lazy(SamplePubResult(shots=shots, registers=[few])),
    )
    tracemalloc.start()
    assert results[1].get_counts() == {"0" * 100: shots}
    assert tracemalloc.get_traced_memory()[1] < 8e6  # 20 MB unpacked
    _, numbers = results[0]._samples_of(None)._counted
    assert tracemalloc.get_traced_memory()[1] < 20e6  # rows, words, their order, and the answer
    tracemalloc.stop()
    assert sum(numbers) == shots


@pytest.mark.parametrize("bits", [3, 16, 64, 65, 100, 200])
@pytest.mark.parametrize("distinct", [2, 5000])
def test_counts_of_parts_add_up(bits, distinct, monkeypatch):
    monkeypatch.setattr("qprovider_core._bits._BITS_AT_ONCE", 40 * bits)
    rng = np.random.default_rng(bits)
    rows = rng.integers(0, 256, (distinct, (bits + 7) // 8), dtype=np.uint8)[rng.integers(0, distinct, 1000)]
    pub = SamplePubResult(shots=1000, registers=[RegisterBits(name="c", num_bits=bits, data=rows.tobytes())])
    texts = [format(int.from_bytes(row.tobytes(), "big") & (2**bits - 1), f"0{bits}b") for row in rows]
    assert list(lazy(pub).get_counts().items()) == [(text, texts.count(text)) for text in sorted(set(texts))]
    assert lazy(pub).get_memory() == texts


def test_counts_can_be_changed_without_changing_the_next_ones():
    for result in (lazy(sampled([2], [(1,), (2,)])), lazy(SamplePubResult.from_counts({"01": 1, "10": 1}))):
        result.get_counts().clear()
        assert result.get_counts() == {"01": 1, "10": 1}


# ------------------------------------------------------------------------------------------ sets of parameters


def test_a_circuit_with_sets_of_parameters_is_one_experiment_for_each_in_c_order():
    circuit = QuantumCircuit(2, 2, name="swept")
    values = np.arange(6, dtype=np.uint8).reshape(2, 3) % 4  # one shot value for each set
    data = np.repeat(values[..., np.newaxis, np.newaxis], 5, axis=2)
    swept = SamplePubResult(
        shots=5, shape=(2, 3), registers=[RegisterBits(name="c", num_bits=2, data=data)], metadata={"k": 1}
    )
    single = SamplePubResult(shots=1, registers=[packed("c", 2, [2])])
    record = JobResult(pubs=[swept, single])
    result = lazy(swept, single, circuits=[circuit, QuantumCircuit(1, 2, name="single")])
    assert check_result(record, [SamplePub(circuit=circuit, shots=5)] * 2, "j1") is record
    assert result.get_counts() == [{f"{value:02b}": 5} for value in values.ravel()] + [{"10": 1}]
    assert [len(result.get_memory(index)) for index in range(7)] == [5] * 6 + [1]
    assert [one.header["name"] for one in result.results] == ["swept"] * 6 + ["single"]
    assert result.results[4].header["vendor_metadata"] == {"k": 1}
    assert [one.shots for one in result.results] == [5] * 6 + [1]
    assert len(lazy(SamplePubResult(shots=5, shape=(0, 3), registers=[packed("c", 2, [])])).results) == 0


def test_sets_of_parameters_come_from_several_registers_too():
    registers = [packed("a", 1, [0, 1, 1, 0]), packed("none", 0, [0] * 4), packed("b", 9, [256, 1, 2, 3])]
    result = lazy(SamplePubResult(shots=2, shape=(2,), registers=registers))
    assert result.get_memory(0) == ["100000000  0", "000000001  1"]
    assert result.get_memory(1) == ["000000010  1", "000000011  0"]


def test_an_estimate_has_no_counts():
    with pytest.raises(ResultError, match="estimated observables"):
        lazy(EstimatePubResult(evs=(1.0,)))


# ------------------------------------------------------------------------------------------------------ misfits

AB = QuantumCircuit(QuantumRegister(3), ClassicalRegister(2, "a"), ClassicalRegister(1, "b"))


@pytest.mark.parametrize(
    ("pubs", "what"),
    [
        ([], "0 circuits, 1 were sent"),
        ([SamplePubResult.from_counts({"000": 1})] * 2, "2 circuits, 1 were sent"),
        ([SamplePubResult.from_counts({"0x1": 1})], "not keyed by bit strings"),
        ([SamplePubResult.from_counts({"0 00": 1, "00 0": 1})], "differ in length"),
        ([SamplePubResult(shots=3, counts={"0 00": 1})], "do not add up to its 3 shots"),
        ([SamplePubResult(shots=1, counts={"0 00": 2, "1 00": -1})], "do not add up"),
        ([SamplePubResult.from_counts({"00 0": 1})], "not of the registers a[2], b[1]"),
        ([SamplePubResult.from_counts({"0000": 1})], "not of the registers a[2], b[1]"),
        ([SamplePubResult(shots=1, registers=[packed("b", 1, [0]), packed("a", 2, [0])])], "not b[1], a[2]"),
        ([SamplePubResult(shots=1, registers=[packed("a", 3, [0]), packed("b", 1, [0])])], "not a[3], b[1]"),
    ],
)
def test_a_result_that_cannot_be_the_jobs_is_refused(pubs, what):
    with pytest.raises(ResultError) as caught:
        check_result(JobResult(pubs=pubs), [SamplePub(circuit=AB, shots=1)], "j1")
    assert what in caught.value.what
    assert caught.value.job_id == "j1"


@pytest.mark.parametrize(
    "pub",
    [
        SamplePubResult.from_counts({"0 00": 1}),
        SamplePubResult.from_counts({"000": 1}),
        SamplePubResult.from_counts({}),
        SamplePubResult(shots=1, registers=[packed("a", 2, [0]), packed("b", 1, [0])]),
        SamplePubResult(shots=1, registers=[packed("other", 3, [0])]),
        EstimatePubResult(evs=(1.0,)),
    ],
)
def test_a_result_that_fits_is_taken(pub):
    record = JobResult(pubs=[pub])
    assert check_result(record, [SamplePub(circuit=AB, shots=1)], "j1") is record
    assert check_result(record, None, "j1") is record


def test_bits_in_no_register_leave_the_registers_to_the_vendor():
    from qiskit.circuit import Clbit, Qubit

    loose = QuantumCircuit([Qubit(), Qubit()], [Clbit(), Clbit()])
    result = lazy(SamplePubResult.from_counts({"01": 2}), circuits=[loose])
    assert result.get_counts() == {"01": 2}

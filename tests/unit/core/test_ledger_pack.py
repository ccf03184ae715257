"""Values as bytes and back: every kind of value, and bytes that somebody has damaged."""

import enum
import json
import struct
import tracemalloc
import zlib
from array import array
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qprovider_core.ledger._pack import Packer, UnreadableError, from_json_form, unpack
from qprovider_core.records import (
    EstimatePubResult,
    JobResult,
    JobUsage,
    QueueInfo,
    RegisterBits,
    SamplePub,
    SamplePubResult,
)
from qprovider_core.secret import MASK, Secret

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIMPLE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.text(st.characters())
    | st.binary(max_size=300)
    | st.complex_numbers(allow_nan=False)
    | st.datetimes(timezones=st.just(UTC))
    | st.datetimes()
    | st.lists(st.floats(allow_nan=False), min_size=16, max_size=40).map(tuple)
)
KEYS = st.text(max_size=5) | st.just("~") | st.integers() | st.booleans() | st.tuples(st.text(), st.integers())
VALUES = st.recursive(
    SIMPLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=20,
)


def there_and_back(value: object) -> object:
    return unpack(Packer().pack(value))


def same(one: object, other: object) -> bool:
    """Equal, and of the same types all the way."""
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return isinstance(other, dict) and one == other and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


# -- what comes back --------------------------------------------------------------------------------------


@given(VALUES)
@settings(deadline=None)
def test_values_come_back_as_they_were(value):
    assert same(value, there_and_back(value))


@given(VALUES)
@settings(deadline=None)
def test_values_come_back_from_json_alone(value):
    packer = Packer()
    form = json.loads(json.dumps(packer.json_form(value), allow_nan=False))
    assert same(value, from_json_form(form))
    assert packer.lost == set()


@given(
    hnp.arrays(
        st.one_of(
            hnp.boolean_dtypes(), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(),
            hnp.floating_dtypes(sizes=(16, 32, 64)), hnp.complex_number_dtypes(),
        ),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
    )
)  # fmt: skip
@settings(deadline=None)
def test_arrays_come_back_with_their_shape_and_kind(value):
    found = there_and_back(value)
    if value.ndim == 0:
        np.testing.assert_array_equal(found, value)
    else:
        assert found.dtype == value.dtype.newbyteorder("<")
        assert found.shape == value.shape
        np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_beyond_json_come_back(number):
    found = there_and_back([number, {"a": number}, (number,) * 20, complex(number, 1)])
    assert repr(found) == repr([number, {"a": number}, (number,) * 20, complex(number, 1)])


@pytest.mark.parametrize(
    "value",
    [
        np.arange(12).reshape(3, 4)[:, ::2],
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.array(["ab", "c"]),
        np.array([b"ab", b"c"]),
        np.array([{"a": 1}, None, (1, 2)], dtype=object),
    ],
)
def test_arrays_of_other_orders_and_kinds_come_back_as_their_values(value):
    packer = Packer()
    found = unpack(packer.pack(value))
    np.testing.assert_array_equal(np.asarray(found, dtype=value.dtype), value)
    assert packer.lost == set()


@pytest.mark.parametrize("value", [np.float64(0.5), np.int64(3), np.bool_(True), np.complex128(1j), np.float32(0.5)])
def test_numpys_scalars_come_back_as_plain_numbers(value):
    found = there_and_back({"a": value})["a"]
    assert type(found) in (bool, int, float, complex)
    assert found == value


def test_long_doubles_come_back():
    value = np.longdouble(1) / 3
    assert there_and_back([value]) == [value]


class Colour(enum.Enum):
    RED = "red"


class Word(str, enum.Enum):  # noqa: UP042  the older way, whose text is another one
    ONE = "one"


class Number(enum.IntEnum):
    TWO = 2


class Shout(str):
    def __str__(self) -> str:
        return "LOUD"


def test_enumerations_and_subclasses_become_what_they_stand_for():
    found = there_and_back([Colour.RED, Word.ONE, Number.TWO, Shout("quiet"), bytearray(b"x"), array("d", [0.5])])
    assert same(found, ["red", "one", 2, "quiet", b"x", [0.5]])


def test_sets_become_lists_in_a_fixed_order():
    assert there_and_back({3, 1, 2}) == [1, 2, 3]
    assert there_and_back(frozenset("ba")) == ["a", "b"]


@pytest.mark.parametrize(
    "view", [memoryview(array("d", [1.0, 2.0])), memoryview(b"abcdef")[::2], memoryview(np.eye(3)), memoryview(b"")]
)
def test_views_of_any_item_are_kept_as_their_bytes(view):
    assert there_and_back([view, b"behind"]) == [view.tobytes(), b"behind"]


def test_times_come_back_in_utc():
    berlin = datetime(2026, 3, 1, 13, 30, tzinfo=timezone(timedelta(hours=1)))
    found = there_and_back(berlin)
    assert found == berlin
    assert found.tzinfo is UTC


RECORDS = [
    QueueInfo(position=3, estimated_start=NOON),
    JobUsage(quantum_s=1.5),
    SamplePub(circuit=0, shots=10, parameter_values=(0.5,) * 20, shape=(20,)),
    JobResult(
        pubs=[
            SamplePubResult(
                shots=3,
                registers=[
                    RegisterBits(name="c", num_bits=9, data=b"\x01\x02" * 6),
                    RegisterBits(name="d", num_bits=0, data=b""),
                ],
                shape=(2,),
            ),
            SamplePubResult.from_counts({"00": 3, "11": 5}, when=NOON),
            EstimatePubResult(evs=(0.5,) * 20, stds=(0.1,) * 20, shape=(4, 5), fields={"raw": (1.0, float("inf"))}),
        ],
        metadata={"spans": [NOON, (1, 2)]},
    ),
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_come_back(record):
    assert there_and_back(record) == record
    assert from_json_form(json.loads(json.dumps(Packer().json_form(record)))) == record


@attrs.frozen(kw_only=True, repr=False)
class VendorsBits(RegisterBits):
    colour: str = "blue"


@attrs.frozen(kw_only=True, repr=False)
class VendorsResult(JobResult):
    credits: int = 7


def test_a_vendors_subclass_comes_back_as_ours():
    pub = SamplePubResult(shots=1, registers=[VendorsBits(name="c", num_bits=1, data=np.ones(1, np.uint8))])
    found = there_and_back(VendorsResult(pubs=[pub]))
    assert type(found) is JobResult
    assert type(found.pubs[0].registers[0]) is RegisterBits
    assert bytes(found.pubs[0].registers[0].data) == b"\x01"


def test_fields_of_a_later_version_are_left_aside():
    form = Packer().json_form(JobUsage(quantum_s=1.0))
    form["v"]["energy_j"] = 3
    assert from_json_form(form) == JobUsage(quantum_s=1.0)


def test_what_has_no_form_becomes_its_text_and_is_counted():
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    class Broken(dict):
        def items(self):
            raise RuntimeError("no")

    packer = Packer()
    found = unpack(packer.pack({"a": Decimal("1.5"), "b": Odd(), "c": Broken(x=1), "d": np.datetime64("2026"), "e": 1}))
    assert found["a"] == "Decimal('1.5')"
    assert found["b"] == "<Odd>"
    assert found["c"] == "{'x': 1}"
    assert "2026" in found["d"]
    assert found["e"] == 1
    assert packer.lost == {"Decimal", "Odd", "Broken", "datetime64"}


def test_what_contains_itself_comes_to_an_end():
    inner: list[object] = []
    inner.append(inner)
    packer = Packer()
    assert unpack(packer.pack({"a": inner, "b": 1}))["b"] == 1
    assert packer.lost == {"list"}


def test_secrets_are_masked_wherever_they_stand():
    secret = Secret("abcdef-token")
    found = there_and_back({"a": secret, "b": "x abcdef-token y", "c": [("abcdef-token",)], "d": {secret}})
    assert found == {"a": MASK, "b": f"x {MASK} y", "c": [(MASK,)], "d": [MASK]}


def test_what_shrinks_is_deflated_and_random_bits_are_not():
    assert len(Packer().pack(b"\x00" * 100_000)) < 2_000
    noise = np.random.default_rng(1).bytes(100_000)
    assert 100_000 < len(Packer().pack(noise)) < 100_200


# -- damaged bytes ----------------------------------------------------------------------------------------


WHOLE = {
    "plain": Packer().pack({"a": (1.0,) * 20, "b": b"xyz", "c": np.arange(3)}),
    "deflated": Packer().pack({"a": [NOON] * 40, "b": b"x" * 1000, "c": (1.0,) * 200, "d": RECORDS[-1]}),
}
HEAD = struct.Struct("<4sBQQ")


def made(form: object, blobs: bytes = b"", *, size: int | None = None, deflate: bool = False) -> bytes:
    text = json.dumps(form).encode()
    body = text + blobs
    head = HEAD.pack(b"QPL1", deflate, len(text), len(body) if size is None else size)
    return head + (zlib.compress(body) if deflate else body)


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
def test_every_truncation_is_told(whole):
    for length in range(len(whole)):
        with pytest.raises(UnreadableError):
            unpack(whole[:length])
    with pytest.raises(UnreadableError):
        unpack(whole + b"x")


@given(st.sampled_from(sorted(WHOLE)), st.data())
@settings(deadline=None, max_examples=400)
def test_changed_bytes_give_a_value_or_are_told(name, data):
    whole = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(UnreadableError):
        unpack(bytes(whole))


FORMS = st.recursive(
    st.none() | st.integers(-3, 10**400) | st.floats() | st.text(max_size=4) | st.just("A" * 8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["v", "k", "at", "t", "s", "x"]), inner, max_size=4)
    | st.fixed_dictionaries(
        {
            "~": st.sampled_from(
                ["tuple", "record", "pairs", "complex", "time", "float", "int", "text", "bytes", "floats", "array", "?"]
            )
        },
        optional={
            "v": inner | st.sampled_from(["nan", "0xzz", "2026-01-01", "0001-01-01T00:00:00+14:00"]),
            "k": st.sampled_from(["JobUsage", "RegisterBits", "JobResult", "Nothing", 3]),
            "at": st.integers(-3, 3) | st.text(max_size=4) | inner,
            "t": st.sampled_from(["<f8", "<f3", "|b1", "O", "<U4", "<M8[s]", ",", "f8,f8", 8, "<c16", "<i99"]),
            "s": st.lists(st.integers(-2, 10**30), max_size=3) | inner,
        },
    ),
    max_leaves=12,
)  # fmt: skip


@given(FORMS, st.lists(st.integers(-4, 20) | st.booleans() | st.text(max_size=1), max_size=3), st.booleans())
@settings(deadline=None, max_examples=400)
def test_made_up_forms_give_a_value_or_are_told(form, lengths, deflate):
    with suppress(UnreadableError):
        unpack(made({"v": form, "b": lengths}, b"12345678" * 2, deflate=deflate))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"QPL1",
        b"PK\x03\x04" + b"x" * 100,
        made([1, 2]),
        made({"v": 1}),
        made({"v": 1, "b": [5]}),
        made({"v": 1, "b": [-1, 1]}),
        made({"v": {"~": "bytes", "at": 7}, "b": []}),
        made({"v": {"~": "new form", "at": 0}, "b": [1]}, b"x"),
        made({"v": {"~": "record", "k": "JobInfo", "v": {}}, "b": []}),
        made({"v": {"~": "record", "k": "RegisterBits", "v": {"name": "c"}}, "b": []}),
        made({"v": {"~": "pairs", "v": [[[], 1]]}, "b": []}),
        made({"v": {"~": "array", "t": "O", "s": [1], "at": 0}, "b": [8]}, b"12345678"),
        made({"v": {"~": "array", "t": "<f8", "s": [10**30], "at": 0}, "b": [8]}, b"12345678"),
        made({"v": 1, "b": []}, size=1 << 40),
        made({"v": 1, "b": []}, size=(1 << 30) + 1, deflate=True),
        HEAD.pack(b"QPL1", 0, 1 << 63, 1 << 63),
        HEAD.pack(b"QPL1", 0, 20_000, 20_000) + b"[" * 20_000,
        HEAD.pack(b"QPL1", 0, 9_000, 9_000) + b"9" * 9_000,
    ],
)
def test_other_bytes_are_told(data):
    with pytest.raises(UnreadableError):
        unpack(data)


@pytest.mark.parametrize("said", [100, 1 << 20])
def test_what_swells_does_not_grow_beyond_what_it_says(said):
    bomb = HEAD.pack(b"QPL1", 1, 10, said) + zlib.compress(b"\x00" * (200 << 20), 9)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match="too long"):
            unpack(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()

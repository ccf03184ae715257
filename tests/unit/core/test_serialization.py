"""How values become JSON and back."""

from datetime import UTC, datetime
from enum import Enum
from typing import Literal

import attrs
import pytest
from cattrs.gen import make_dict_structure_fn, override

from qprovider_core.errors import ResponseError
from qprovider_core.records import BackendInfo, JobState
from qprovider_core.secret import MASK, Secret
from qprovider_core.serialization import converter, from_json, locate, to_json


class Colour(Enum):
    RED = "red"


@attrs.frozen
class Inner:
    size: int = 0


@attrs.frozen
class Outer:
    data: bytes = b""
    when: datetime | None = None
    inner: Inner | None = None
    several: tuple[Inner, ...] = ()
    pair: tuple[int, float] = (0, 0.0)
    token: Secret | None = None
    mode: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED


FULL = Outer(
    data=b"\x00\xff",
    when=datetime(2026, 1, 1, tzinfo=UTC),
    inner=Inner(3),
    several=(Inner(1), Inner(2)),
    pair=(1, 2.0),
    mode="b",
)


def test_values_become_json_types():
    told = to_json(FULL)
    assert told == {
        "data": "AP8=",
        "when": "2026-01-01T00:00:00+00:00",
        "inner": {"size": 3},
        "several": [{"size": 1}, {"size": 2}],
        "pair": [1, 2.0],
        "token": None,
        "mode": "b",
        "colour": "red",
    }
    assert from_json(told, Outer) == FULL


def test_a_secret_goes_in_and_never_out():
    outer = from_json({"token": "very-secret"}, Outer)
    assert outer.token.reveal() == "very-secret"
    assert to_json(outer)["token"] == MASK


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        ({"data": "%%%"}, "data", "base64"),
        ({"data": 5}, "data", "a text"),
        ({"inner": []}, "inner", "an object"),
        ({"several": [{"size": 1}, {"size": "x" * 100}]}, "several[1].size", "a whole number, got 'xxx"),
        ({"pair": [1]}, "pair", "2 values"),
        ({"token": 5}, "token", "a text"),
        ({"mode": "c"}, "mode", ""),
        ({"colour": "blue"}, "colour", "blue"),
        ({"when": "0001-01-01T00:00:00+05:00"}, "when", "year 1 to 9999"),
    ],
)
def test_a_bad_value_is_named_with_its_path_and_reason(data, path, reason):
    with pytest.raises(ResponseError) as caught:
        from_json(data, Outer, what="The answer")
    assert caught.value.path == path
    assert caught.value.what.startswith("The answer is not of the expected form at " + path)
    assert reason in caught.value.what
    assert len(caught.value.what) < 200


@pytest.mark.parametrize(
    ("value", "kind"),
    [("x", int), (True, int), (1.0, int), ("1", float), (True, float), (float("inf"), float), (10**400, float),
     (1, bool), (1, str), (None, datetime), ("2026-01-01", datetime), ("9999-12-31T23:59-10:00", datetime)],
)  # fmt: skip
def test_a_bare_value_is_strict_too(value, kind):
    with pytest.raises(ResponseError, match="not of the expected form: "):
        from_json(value, kind)
    assert from_json(3, float) == 3.0


def test_nobody_shares_a_converter():
    mine = converter()
    mine.register_structure_hook(
        BackendInfo, make_dict_structure_fn(BackendInfo, mine, pending_jobs=override(rename="queue_length"))
    )
    assert from_json({"name": "a", "queue_length": 3}, BackendInfo, conv=mine).pending_jobs == 3
    assert BackendInfo.from_dict({"name": "a", "queue_length": 3}).pending_jobs is None


def test_unknown_keys_are_refused_where_they_are_forbidden():
    mine = converter()
    mine.register_structure_hook(Inner, make_dict_structure_fn(Inner, mine, _cattrs_forbid_extra_keys=True))
    with pytest.raises(ResponseError, match="unknown key 'sise'") as caught:
        from_json({"inner": {"sise": 1}}, Outer, conv=mine)
    assert caught.value.path == "inner"


def test_an_error_without_words_is_told_by_its_class():
    assert locate(ValueError()) == ("", "ValueError")
    assert locate(KeyError("key")) == ("key", "missing")


def test_enums_travel_as_their_values():
    assert to_json(JobState.DONE) == "done"
    assert from_json("done", JobState) is JobState.DONE

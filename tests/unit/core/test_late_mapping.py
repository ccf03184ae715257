import copy
import pickle

import pytest

from qprovider_core._late import LateMapping


def counted():
    made = []

    def make():
        made.append(1)
        return {"a": [1], "b": 2}

    return LateMapping(["a", "b"], make), made


def test_keys_are_known_before_the_values_are_made():
    late, made = counted()
    assert "a" in late
    assert "c" not in late
    assert len(late) == 2
    with pytest.raises(KeyError):
        late["c"]
    assert not made


def test_values_are_made_once():
    late, made = counted()
    assert late["a"] == [1]
    assert late["b"] == 2
    assert list(late) == ["a", "b"]
    assert made == [1]


def test_it_compares_copies_and_pickles_as_a_dictionary():
    late, _ = counted()
    assert late == {"a": [1], "b": 2}
    assert repr(late) == "{'a': [1], 'b': 2}"
    for twin in (copy.deepcopy(late), pickle.loads(pickle.dumps(late)), copy.copy(late)):
        assert type(twin) is dict
        assert twin == late

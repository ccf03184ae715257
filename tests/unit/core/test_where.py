"""Query texts: what they mean (against a second evaluation by brute force), and what is refused."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qprovider_core.errors import QProviderError, UnknownAttributeError, WhereError
from qprovider_core.query import BackendQuery, sift
from qprovider_core.records import BackendConfiguration, BackendInfo, BackendProperties, BackendStatus
from qprovider_core.views import UNFETCHED, Needs, View
from qprovider_core.where import parse_where

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def verdict(text, info=None, **facets):
    """True, False or None (undecided), of a backend whose facets are all known."""
    view = View(info or BackendInfo(name="one"), **facets)
    outcomes = [criterion.outcome(view) for criterion in parse_where(text, ("region", "tags"))]
    assert not any(isinstance(outcome, Needs) for outcome in outcomes)
    return False if False in outcomes else None if None in outcomes else True


# ------------------------------------------------------------------------------------------- against an oracle

# Three-valued logic as tables, and comparisons as functions, written apart from the parser.
NUMBERS = ("num_qubits", "pending_jobs", "median_readout_error")
FLAGS = ("simulator", "operational", "noisy")
SIGNS = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}

constants = st.integers(0, 4)
leaves = st.one_of(
    st.tuples(st.just("flag"), st.sampled_from(FLAGS)),
    st.tuples(st.just("compare"), st.sampled_from(NUMBERS), st.sampled_from([*SIGNS]), constants),
    st.tuples(st.just("flipped"), st.sampled_from(NUMBERS), st.sampled_from([*SIGNS]), constants),
    st.tuples(st.just("names"), st.sampled_from(NUMBERS), st.sampled_from([*SIGNS]), st.sampled_from(NUMBERS)),
    st.tuples(st.just("between"), constants, st.sampled_from(NUMBERS), constants),
    st.tuples(st.just("in"), st.sampled_from(NUMBERS), st.lists(constants, max_size=3), st.booleans()),
    st.tuples(st.just("none"), st.sampled_from(NUMBERS + FLAGS), st.booleans()),
    st.tuples(st.just("constant"), st.booleans()),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=8,
)
facts = st.fixed_dictionaries(
    {name: st.none() | st.integers(0, 4) for name in NUMBERS} | {name: st.none() | st.booleans() for name in FLAGS}
)


def render(tree):
    match tree:
        case ("flag", name):
            return name
        case ("compare", name, sign, number):
            return f"{name} {sign} {number}"
        case ("flipped", name, sign, number):
            return f"{number} {sign} {name}"
        case ("names", left, sign, right):
            return f"{left} {sign} {right}"
        case ("between", low, name, high):
            return f"{low} <= {name} < {high}"
        case ("in", name, numbers, positive):
            return f"{name} {'in' if positive else 'not in'} {numbers}"
        case ("none", name, positive):
            return f"{name} {'is' if positive else 'is not'} None"
        case ("constant", value):
            return str(value).lower()
        case ("not", inner):
            return f"not ({render(inner)})"
        case (word, inner):
            return f" {word} ".join(f"({render(one)})" for one in inner)


def truth(tree, known):
    """1 true, 0 false, 1/2 undecided: `and` is the least, `or` the greatest, `not` the complement."""
    match tree:
        case ("flag", name):
            return 0.5 if known[name] is None else float(known[name])
        case ("compare", name, sign, number):
            return 0.5 if known[name] is None else float(SIGNS[sign](known[name], number))
        case ("flipped", name, sign, number):
            return 0.5 if known[name] is None else float(SIGNS[sign](number, known[name]))
        case ("names", left, sign, right):
            return 0.5 if None in (known[left], known[right]) else float(SIGNS[sign](known[left], known[right]))
        case ("between", low, name, high):
            return 0.5 if known[name] is None else float(low <= known[name] < high)
        case ("in", name, numbers, positive):
            return 0.5 if known[name] is None else float((known[name] in numbers) is positive)
        case ("none", name, positive):
            return float((known[name] is None) is positive)
        case ("constant", value):
            return float(value)
        case ("not", inner):
            return 1 - truth(inner, known)
        case ("and", inner):
            return min(truth(one, known) for one in inner)
        case ("or", inner):
            return max(truth(one, known) for one in inner)


@settings(max_examples=150, deadline=None)
@given(tree=trees, known=facts)
def test_a_text_means_what_three_valued_logic_says(tree, known):
    info = BackendInfo(name="one", **known)
    expected = {1.0: True, 0.0: False, 0.5: None}[truth(tree, known)]
    assert verdict(render(tree), info) is expected
    # Sifted as a whole (with its short cuts), only what is true is taken.
    taken, rejected = sift(BackendQuery.build(where=render(tree)), [info], lambda *_: None)
    assert bool(taken) is (expected is True)
    assert len(rejected) == (expected is not True)
    assert all("wanted" in one.reason for one in rejected)


@settings(max_examples=150, deadline=None)
@given(tree=trees, known=facts, status=facts)
def test_a_text_asks_for_a_facet_only_while_the_listing_leaves_it_open(tree, known, status):
    info = BackendInfo(name="one", **known)
    told = BackendStatus(backend_name="one", operational=status["operational"], pending_jobs=status["pending_jobs"])
    fetched = []

    def fetch(facet, views):
        fetched.append(facet)
        for view in views:
            setattr(view, facet, told if facet == "status" else None)

    available = {"status", "configuration", "properties"}
    taken, _ = sift(BackendQuery.build(where=render(tree)), [info], fetch, available)
    merged = {name: getattr(told, name, None) if value is None else value for name, value in known.items()}
    assert bool(taken) is (truth(tree, merged) == 1)
    assert len(fetched) == len(set(fetched))


# ---------------------------------------------------------------------------------------------------- meaning


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name == "ibm_torino"', True),
        ('name == "ibm_*"', True),
        ('"ibm_*" == name', True),
        ('name != "ibm_*"', False),
        ('name == "ibm_?orino"', True),
        ('name == "IBM_*"', False),
        ('name in ["x", "ibm_*"]', True),
        ('name not in ["x", "ibm_*"]', False),
        ('name in ["x", "y"]', False),
        ('name < "j"', True),
        ('version == "1.*"', False),  # no wildcards here
        ('"cx" in basis_gates', True),
        ('"cz" not in basis_gates', True),
        ('basis_gates == ["cx", "sx"]', True),
        ('status_msg == "active"', None),
        ("num_qubits == 127 and n_qubits == 127", True),
        ("100 < num_qubits <= 127", True),
        ("100 < num_qubits < 127", False),
        ("num_qubits > -1", True),
        ("num_qubits > +1", True),
        ("num_qubits < 1e999", True),
        ("num_qubits == 127.0", True),
        ("pending_jobs == None", True),
        ("pending_jobs != null", False),
        ("none == pending_jobs", True),
        ("num_qubits is not None", True),
        ("num_qubits in [5, 127, None]", True),
        ("not simulator", True),
        ("simulator == false", True),
        ("simulator or true", True),
        ('calibrated_at > "2026-02-28"', True),
        ('calibrated_at >= "2026-03-01T12:00:00Z"', True),
        ('calibrated_at == "2026-03-01T13:00:00+01:00"', True),
        ('"2026-03-02" < calibrated_at', False),
        ('calibrated_at in ["2026-03-01T12:00", "2026-03-03"]', True),
        ('region == "eu"', True),
        ('region != "eu"', False),
        ('region > 3', False),  # cannot be compared: does not match
        ('region in ["eu", 3]', True),
        ("tags == [1, 2]", True),
        ("tags != [1, 2]", False),
        ("1 in tags", True),
        ("tags", True),
        ("coupling_map == [[0, 1]]", True),
        ("dynamic_circuits", True),
        ("open_pulse", None),
    ],
)  # fmt: skip
def test_what_a_text_means(text, expected):
    info = BackendInfo(
        name="ibm_torino",
        num_qubits=127,
        simulator=False,
        version="1.0",
        calibrated_at=NOON,
        extra={"region": "eu", "tags": [1, 2]},
    )
    configuration = BackendConfiguration(
        backend_name="ibm_torino",
        basis_gates=("cx", "sx"),
        coupling_map=((0, 1),),
        supported_features=("dynamic_circuits",),
    )
    assert verdict(text, info, configuration=configuration) is expected
    taken, _ = sift(
        BackendQuery.build(where=text, extra_fields=("region", "tags")),
        [info],
        lambda facet, views: [setattr(view, facet, configuration) for view in views],
        {"configuration"},
    )
    assert bool(taken) is (expected is True)


def test_a_field_that_can_hold_anything_matches_nothing_it_cannot_be_compared_with():
    info = BackendInfo(name="one", extra={"region": np.array([1, 2]), "tags": SimpleNamespace()})
    for text in ("region == 1", "region < 1", "region", "not region and false", "tags < 3", "region in [1]"):
        assert verdict(text, info) is False


def test_a_text_becomes_a_criterion_for_each_part_and_so_does_the_reason():
    criteria = parse_where("num_qubits > 5 and (simulator or operational) and not noisy")
    assert [criterion.text for criterion in criteria] == ["num_qubits > 5", "simulator or operational", "not noisy"]
    assert str(BackendQuery(tuple(criteria))) == "num_qubits > 5 and simulator or operational and not noisy"
    info = BackendInfo(name="one", num_qubits=3, simulator=False)
    _, rejected = sift(BackendQuery.build(where="simulator or num_qubits > 5"), [info], lambda *_: None)
    assert rejected[0].reason == "simulator is False, num_qubits is 3, wanted simulator or num_qubits > 5"


def test_a_reason_does_not_blame_what_was_never_asked_for():
    info = BackendInfo(name="one", simulator=True)
    query = BackendQuery.build(where="not (simulator or open_pulse)")
    _, rejected = sift(query, [info], lambda *_: None, {"configuration"})
    assert rejected[0].reason == "simulator is True, wanted not (simulator or open_pulse)"
    _, rejected = sift(BackendQuery.build(where="false"), [info], lambda *_: None)
    assert rejected[0].reason == "wanted false"


def test_a_needed_facet_is_the_cheapest_one():
    view = View(BackendInfo(name="one"), UNFETCHED, UNFETCHED, UNFETCHED)
    (criterion,) = parse_where("calibrated_at is None or open_pulse or pending_jobs > 5")
    assert criterion.outcome(view) == Needs("status")
    view.status = None
    assert criterion.outcome(view) == Needs("configuration")
    view.configuration = BackendConfiguration(backend_name="one", open_pulse=True)
    assert criterion.outcome(view) is True
    view.configuration = None
    view.properties = BackendProperties(backend_name="one")
    assert criterion.outcome(view) is True  # calibrated_at is None


# ----------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "\n", "num_qubits >", "(num_qubits > 5", "num_qubits > 5)", "num_qubits 5", "5", '"text"', "None",
        "[1, 2]", "num_qubits", "name", "basis_gates", "calibrated_at", "num_qubits = 5", "num_qubits := 5",
        "(x := 5)", "print(1)", "__import__('os')", "name.upper()", "name.__class__", "name[0]", "name[0:1]",
        "num_qubits + 1 > 5", "num_qubits * 2 > 5", "num_qubits ** 2 > 5", "-num_qubits > 5", "~num_qubits > 5",
        "-'a' == name", "-True == simulator", "lambda: True", "lambda x: x", "f'{num_qubits}' == name",
        "f\"{num_qubits!r:{'x'}}\"", "[x for x in basis_gates]", "{x for x in basis_gates}", "{x: 1 for x in name}",
        "(x for x in basis_gates)", "all(x for x in basis_gates)", "true if simulator else false", "*name", "[*name]",
        "{'a': 1} == name", "yield 1", "await name", "...", "num_qubits > ...", "b'x' == name", "1j == num_qubits",
        "num_qubits > 5; simulator", "import os", "num_qubits > 5\nsimulator", "num_qubits\x00", "\x00", "\ud800",
        "num_qubits == 'five'", "num_qubits == true", "simulator == 1", "simulator > 'a'", "name > 5",
        "num_qubits is 5", "num_qubits is name", "num_qubits < None", "None is None", "5 is None", "5 in [5]", "1 < 2",
        "num_qubits in 5", "num_qubits in name", "'a' in name", "5 in basis_gates", "basis_gates in basis_gates",
        "num_qubits in ['a']", "name in [5]", "simulator in [1]", "basis_gates > ['cx']", "basis_gates == 'cx'",
        "calibrated_at > 5", "calibrated_at > 'yesterday'", "calibrated_at in ['never']", "num_qubits in [num_qubits]",
        "(" * 500 + "simulator" + ")" * 500, "not " * 3000 + "simulator", "-" * 3000 + "1 == num_qubits",
        "[" * 90 + "1" + "]" * 90 + " + 1", "simulator or " * 400, "num_qubits > " + "9" * 5000, "not simulator " * 300,
    ],
    ids=lambda text: repr(text[:30]),
)  # fmt: skip
def test_whatever_is_not_a_condition_is_refused(text):
    with pytest.raises(WhereError) as caught:
        parse_where(text)
    assert caught.value.text == text
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("text", [None, 5, b"num_qubits > 5"])
def test_only_a_text_is_a_query_text(text):
    with pytest.raises(WhereError):
        parse_where(text)


@pytest.mark.parametrize("depth", [10, 60, 90])
def test_a_text_may_be_nested_as_deep_as_it_is_read(depth):
    text = "not (" * depth + "simulator" + ")" * depth
    info = BackendInfo(name="one", simulator=True)
    assert verdict(text, info) is (depth % 2 == 0)
    assert len(sift(BackendQuery.build(where=text), [info], lambda *_: None)[0]) == (depth % 2 == 0)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("num_qubits + 1 > 5", 0),
        ("  num_qubits > name.x", 15),
        ('"é" == name and lambda: 5', 16),
        ('"é" != name.x', 7),
        ("simulator and (num_qubits\n > name.x)", 29),
        ("\n\n simulator and (name.x)", 18),
        ("num_qubits = 5", 11),
        ("  num_qubits 5", 13),
        ("simulator and foo(1)", 14),
    ],
)
def test_the_position_is_where_the_text_goes_wrong(text, position):
    with pytest.raises(WhereError) as caught:
        parse_where(text)
    assert caught.value.position == position


def test_the_message_points_there_and_says_what_to_write():
    with pytest.raises(WhereError) as caught:
        parse_where(" num_qubits = 5")
    assert caught.value.why == "   num_qubits = 5\n              ^"
    assert "==" in caught.value.hint
    with pytest.raises(WhereError) as caught:
        parse_where("simulator and num_qubits")
    assert caught.value.what == "num_qubits is a number, not a condition: num_qubits"
    assert caught.value.hint == "Compare it: num_qubits == …"
    with pytest.raises(WhereError) as caught:
        parse_where("(num_qubits ==\n 5")
    assert caught.value.why is None
    with pytest.raises(WhereError, match="is not: num_qubits in"):
        parse_where('num_qubits in ["a"]')


def test_an_unknown_attribute_has_near_matches():
    with pytest.raises(UnknownAttributeError) as caught:
        parse_where("num_qubit > 5")
    assert "num_qubits" in caught.value.suggestions
    assert caught.value.__notes__ == ["in the query text: num_qubit > 5"]
    with pytest.raises(UnknownAttributeError) as caught:
        parse_where("regiom == 'eu'", ("region",))
    assert caught.value.suggestions == ("region",)


words = st.sampled_from(
    ["num_qubits", "simulator", "name", "and", "or", "not", "in", "is", "None", "true", "==", "<", "=", "(", ")", "[",
     "]", ",", "5", "1.5", "-", "'a'", '"', "f'", "lambda", ":", "x", ".", "*", "{", "}", "for", "if", "\n", "é", "\\"]
)  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(st.text(max_size=40) | st.lists(words, max_size=12).map(" ".join))
@example("f'{\"\\n\"}'")
@example("\x0c num_qubits")
@example("num_qubits \\\n > 5 .x")
@example("'''a\nb''' == name.x")
def test_no_text_does_anything_but_parse_or_be_refused(text):
    try:
        criteria = parse_where(text)
    except QProviderError as exc:
        position = getattr(exc, "position", None)
        assert position is None or 0 <= position <= len(text)
        assert str(exc)
    else:
        view = View(BackendInfo(name="one", num_qubits=5))
        assert all(criterion.outcome(view) in (True, False, None) for criterion in criteria)

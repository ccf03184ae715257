"""The query engine: what is taken, what is fetched for it, and why the others are rejected."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qprovider_core.criteria import keyword_criterion
from qprovider_core.errors import InvalidInputError, ResponseError, UnknownAttributeError
from qprovider_core.query import BackendQuery, Rejected, Rejections, sift
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    BackendStatus,
    GateCalibration,
    Measured,
    QubitCalibration,
)
from qprovider_core.views import UNFETCHED, View

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FACETS = ("status", "configuration", "properties")


def never(*_):
    raise AssertionError("nothing is to be fetched")


def names(views):
    return [view.info.name for view in views]


def taken(infos, fetch=never, available=frozenset(), extra_fields=(), **criteria):
    views, _ = sift(BackendQuery.build(extra_fields=extra_fields, **criteria), infos, fetch, available)
    return names(views)


# ------------------------------------------------------------------------------------------- against an oracle

few = st.none() | st.integers(0, 3)
maybe = st.none() | st.booleans()


@st.composite
def devices(draw):
    """A backend whose facts lie scattered over its facets, each of them reported or not, here or there."""
    name = draw(st.sampled_from("abcdef"))
    error = draw(st.none() | st.sampled_from([0.1, 0.2]))
    readout = {} if error is None else {"readout_error": Measured(error)}
    return {
        "info": BackendInfo(
            name=name,
            num_qubits=draw(few),
            simulator=draw(maybe),
            operational=draw(maybe),
            pending_jobs=draw(few),
            features=draw(st.none() | st.sampled_from([(), ("dynamic_circuits",), ("x",)])),
            max_shots=draw(few),
            median_readout_error=draw(st.none() | st.sampled_from([0.1, 0.2])),
            extra=draw(st.sampled_from([{}, {"region": "eu"}, {"region": 3}])),
        ),
        "status": draw(
            st.none() | st.builds(BackendStatus, backend_name=st.just(name), operational=maybe, pending_jobs=few)
        ),
        "configuration": draw(
            st.none()
            | st.builds(
                BackendConfiguration,
                backend_name=st.just(name),
                n_qubits=few,
                simulator=maybe,
                open_pulse=maybe,
                max_shots=few,
                basis_gates=st.sampled_from([(), ("cx",), ("cx", "sx")]),
                supported_features=st.none() | st.sampled_from([(), ("dynamic_circuits",)]),
            )
        ),
        "properties": draw(
            st.none()
            | st.builds(lambda: BackendProperties(backend_name=name, qubits=[QubitCalibration(values=readout)]))
        ),
    }


def first(*values):
    return next((value for value in values if value is not None), None)


def read(device, name):
    """An attribute's value when everything is known: brute force."""
    info, status, conf, props = (device[facet] for facet in ("info", *FACETS))
    of = lambda record, field: None if record is None else getattr(record, field)  # noqa: E731
    return {
        "name": lambda: info.name,
        "num_qubits": lambda: first(info.num_qubits, of(conf, "n_qubits")),
        "n_qubits": lambda: first(info.num_qubits, of(conf, "n_qubits")),
        "simulator": lambda: first(info.simulator, of(conf, "simulator")),
        "operational": lambda: first(info.operational, of(status, "operational")),
        "pending_jobs": lambda: first(info.pending_jobs, of(status, "pending_jobs")),
        "max_shots": lambda: first(info.max_shots, of(conf, "max_shots")),
        "open_pulse": lambda: of(conf, "open_pulse"),
        "basis_gates": lambda: of(conf, "basis_gates"),
        "features": lambda: first(info.features, of(conf, "supported_features")),
        "median_readout_error": lambda: first(info.median_readout_error, of(props, "median_readout_error")),
        "dynamic_circuits": lambda: first(
            True if info.features and "dynamic_circuits" in info.features else None, of(conf, "dynamic_circuits")
        ),
        "region": lambda: info.extra.get("region"),
    }[name]()  # fmt: skip


wishes = st.one_of(
    *(st.tuples(st.just(n), st.booleans()) for n in ("simulator", "operational", "open_pulse", "dynamic_circuits")),
    *(st.tuples(st.just(n), st.integers(0, 3)) for n in ("num_qubits", "n_qubits", "pending_jobs", "max_shots")),
    *(st.tuples(st.just(f"{p}_{n}"), st.integers(0, 3)) for p in ("min", "max")
      for n in ("num_qubits", "pending_jobs")),
    st.tuples(st.just("num_qubits"), st.just(range(1, 3))),
    st.tuples(st.just("num_qubits"), st.lists(st.integers(0, 3), max_size=2)),
    st.tuples(st.just("max_median_readout_error"), st.sampled_from([0.05, 0.1, 0.3])),
    st.tuples(st.just("basis_gates"), st.sampled_from(["cx", ["cx", "sx"], {"h"}])),
    st.tuples(st.just("features"), st.just("dynamic_circuits")),
    st.tuples(st.just("name"), st.sampled_from(["a", "[a-c]", ["b", "?"], "x*"])),
    st.tuples(st.just("region"), st.sampled_from(["eu", 3])),
    st.tuples(st.just("pending_jobs"), st.just(lambda n: n % 2 == 0)),
)  # fmt: skip
MATCHES = {"a": "a", "[a-c]": "abc", "x*": ""}


def satisfied(device, name, wanted):
    prefix, _, rest = name.partition("_")
    if prefix in ("min", "max") and name != "max_shots":
        value = read(device, rest)
        return value is not None and (value >= wanted if prefix == "min" else value <= wanted)
    value = read(device, name)
    if value is None:
        return False
    if callable(wanted):
        return wanted(value)
    if name == "name":
        return True if isinstance(wanted, list) else value in MATCHES[wanted]
    if name in ("basis_gates", "features"):
        return ({wanted} if isinstance(wanted, str) else set(wanted)) <= set(value)
    return value in wanted if isinstance(wanted, list | range) else value == wanted


@settings(max_examples=80, deadline=None)
@given(st.lists(devices(), max_size=6), st.dictionaries(st.nothing(), st.nothing()) | st.lists(wishes, max_size=4))
def test_the_sieve_agrees_with_brute_force_and_fetches_each_facet_once_for_survivors(fleet, wanted):
    # One wish a name: keywords cannot repeat.
    criteria = dict(wanted)
    numbers = (criteria.get("min_num_qubits"), criteria.get("max_num_qubits"))
    queue = (criteria.get("min_pending_jobs"), criteria.get("max_pending_jobs"))
    if any(None not in pair and pair[0] > pair[1] for pair in (numbers, queue)):
        with pytest.raises(InvalidInputError):
            BackendQuery.build(extra_fields=("region",), **criteria)
        return
    query = BackendQuery.build(extra_fields=("region",), **criteria)
    infos = [device["info"] for device in fleet]
    by_record = {id(device["info"]): device for device in fleet}
    fetched = Counter()
    order = []

    def fetch(facet, views):
        order.append(facet)
        for view in views:
            device = by_record[id(view.info)]
            fetched[id(view.info), facet] += 1
            # Nothing that the cheaper facets decide: the backend survives what is known of it so far.
            known = {f: None if getattr(view, f) is UNFETCHED else getattr(view, f) for f in FACETS}
            for name, value in criteria.items():
                told = read({"info": view.info, **known}, _attribute(name))
                assert told is None or satisfied({"info": view.info, **known}, name, value)
            setattr(view, facet, device[facet])

    views, rejected = sift(query, infos, fetch, set(FACETS))
    expected = [d["info"] for d in fleet if all(satisfied(d, name, value) for name, value in criteria.items())]
    assert [id(view.info) for view in views] == [id(info) for info in expected]
    assert len(views) + len(rejected) == len(infos)
    assert max(fetched.values(), default=1) == 1
    assert order == sorted(order, key=FACETS.index)
    assert all(one.reason and one.criterion in one.reason for one in rejected)
    # A vendor that can be asked for nothing more is judged by its list alone.
    views, _ = sift(query, infos, never)
    alone = [{**dict.fromkeys(FACETS), "info": d["info"]} for d in fleet]
    assert len(views) == sum(all(satisfied(d, n, v) for n, v in criteria.items()) for d in alone)


def _attribute(name):
    return name if name == "max_shots" else name.removeprefix("min_").removeprefix("max_")


# ------------------------------------------------------------------------------------------------------ facets


def test_a_facet_that_fails_costs_that_backend_only_and_says_why():
    infos = [BackendInfo(name="good"), BackendInfo(name="bad"), BackendInfo(name="silent")]

    def fetch(facet, views):
        for view in views:
            if view.info.name == "good":
                view.configuration = BackendConfiguration(backend_name="good", open_pulse=True)
            elif view.info.name == "bad":
                view.configuration = None
                view.failures = {facet: "its configuration could not be had: boom"}

    views, rejected = sift(BackendQuery.build(open_pulse=True), infos, fetch, {"configuration"})
    assert names(views) == ["good"]
    assert [str(one) for one in rejected] == [
        "bad: open_pulse is not known: its configuration could not be had: boom, wanted open_pulse == True",
        "silent: open_pulse is not reported, wanted open_pulse == True",
    ]


def test_a_calibration_that_proves_damaged_when_it_is_read_costs_that_backend_only():
    def damaged():
        raise ResponseError("Content is damaged at qubits[3].", path="qubits[3]")

    gate = GateCalibration(gate="cx", qubits=(0, 1), values={"gate_error": Measured(0.01)})
    documents = {
        "sound": BackendProperties(backend_name="sound", qubits=[QubitCalibration()] * 2, gates=[gate]),
        "damaged": BackendProperties.deferred(damaged, backend_name="damaged"),
    }

    def fetch(facet, views):
        for view in views:
            view.properties = documents[view.info.name]

    infos = [BackendInfo(name="damaged"), BackendInfo(name="sound")]
    for criteria in ({"max_median_two_qubit_error": 0.02}, {"where": "median_two_qubit_error < 0.02"}):
        views, rejected = sift(BackendQuery.build(**criteria), infos, fetch, {"properties"})
        assert names(views) == ["sound"]
        assert "its properties cannot be read: Content is damaged at qubits[3]." in rejected[0].reason


def test_a_configuration_of_wrong_types_costs_that_backend_only():
    odd = {
        "a": BackendConfiguration(backend_name="a", basis_gates=5, n_qubits="five"),
        "b": BackendConfiguration(backend_name="b", basis_gates=("cx",), n_qubits=5),
    }

    def fetch(facet, views):
        for view in views:
            view.configuration = odd[view.info.name]

    infos = [BackendInfo(name="a"), BackendInfo(name="b")]
    for criteria in (
        {"basis_gates": "cx"},
        {"min_num_qubits": 3},
        {"num_qubits": range(3, 6)},
        {"where": "num_qubits > 3"},
        {"where": '"cx" in basis_gates'},
    ):
        assert taken(infos, fetch, {"configuration"}, **criteria) == ["b"]


def test_each_facet_is_asked_for_in_order_of_cost():
    asked = []

    def fetch(facet, views):
        asked.append((facet, names(views)))
        for view in views:
            if facet == "status":
                view.status = BackendStatus(backend_name="x", operational=view.info.name != "c")
            elif facet == "configuration":
                view.configuration = BackendConfiguration(backend_name="x", open_pulse=view.info.name == "a")
            else:
                view.properties = BackendProperties(backend_name="x", last_update=NOON)

    infos = [BackendInfo(name=name, num_qubits=5) for name in "abc"] + [BackendInfo(name="d", num_qubits=3)]
    found = taken(
        infos, fetch, set(FACETS), min_calibrated_at=NOON, open_pulse=True, operational=True, min_num_qubits=5
    )
    assert found == ["a"]
    assert asked == [("status", ["a", "b", "c"]), ("configuration", ["a", "b"]), ("properties", ["a"])]


# ---------------------------------------------------------------------------------------------------- keywords


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({}, "abc"),
        ({"num_qubits": None}, "abc"),
        ({"num_qubits": 5}, "a"),
        ({"num_qubits": np.int64(5)}, "a"),
        ({"num_qubits": 5.0}, "a"),
        ({"num_qubits": range(5, 28)}, "ab"),
        ({"num_qubits": {5, 127}}, "a"),
        ({"num_qubits": []}, ""),
        ({"num_qubits": lambda n: n > 5}, "b"),
        ({"min_num_qubits": 5, "max_num_qubits": 5}, "a"),
        ({"min_num_qubits": np.int64(6)}, "b"),
        ({"name": "?"}, "abc"),
        ({"name": "[!a]"}, "bc"),
        ({"name": ["a", "c*"]}, "ac"),
        ({"name": "A"}, ""),
        ({"processor": "Heron*"}, "a"),
        ({"version": "1.*"}, ""),
        ({"version": ["1.0", "2.0"]}, "a"),
        ({"features": "x"}, "a"),
        ({"features": ("x", "y")}, "a"),
        ({"features": ["x", "z"]}, ""),
        ({"features": lambda words: len(words) == 2}, "a"),
        ({"region": "eu"}, "a"),
        ({"region": ["e", "u"]}, "b"),
        ({"region": {"k": [1]}}, "c"),
        ({"min_region": "ea"}, "a"),
        ({"max_region": 3}, ""),
        ({"min_depth": 3}, "a"),  # a vendor's own field, not a bound
        ({"min_depth": 3, "max_depth": 1}, "a"),  # nor are these contradictory
        ({"calibrated_at": NOON}, "a"),
        ({"min_calibrated_at": NOON - timedelta(days=1)}, "a"),
        ({"max_calibrated_at": NOON - timedelta(days=1)}, ""),
        ({"simulator": True}, ""),
        ({"full_name": "a"}, "a"),
        ({"backend_name": "a"}, "a"),
        ({"backend_version": "1.0"}, "a"),
    ],
)  # fmt: skip
def test_what_a_keyword_means(criteria, expected):
    infos = [
        BackendInfo(
            name="a", num_qubits=5, processor="Heron r2", version="1.0", features=("x", "y"), calibrated_at=NOON,
            extra={"region": "eu", "min_depth": 3, "max_depth": 1},
        ),
        BackendInfo(name="b", num_qubits=27, extra={"region": ("e", "u")}),
        BackendInfo(name="c", extra={"region": {"k": (1,)}}),
    ]  # fmt: skip
    own = ("region", "min_depth", "max_depth")
    assert taken(infos, extra_fields=own, **criteria) == list(expected)


@pytest.mark.parametrize(
    "criteria",
    [
        {"num_qubits": "5"},
        {"num_qubits": True},
        {"num_qubits": float("nan")},
        {"num_qubits": ["5"]},
        {"num_qubits": int},
        {"simulator": 1},
        {"simulator": "yes"},
        {"simulator": range(2)},
        {"name": 5},
        {"name": ["a", 5]},
        {"basis_gates": 5},
        {"basis_gates": ["cx", 5]},
        {"basis_gates": {"cx": 1}},
        {"calibrated_at": "2026-01-01"},
        {"calibrated_at": datetime(2026, 1, 1)},
        {"min_calibrated_at": datetime(2026, 1, 1)},
        {"min_num_qubits": "5"},
        {"min_num_qubits": float("nan")},
        {"min_num_qubits": lambda n: n},
        {"min_name": "a"},
        {"max_simulator": True},
        {"min_basis_gates": "cx"},
        {"min_num_qubits": 6, "max_num_qubits": 5},
        {"min_calibrated_at": NOON, "max_calibrated_at": NOON - timedelta(1)},
        {"max_region": datetime(2026, 1, 1)},
    ],
)
def test_a_value_that_could_never_match_is_refused_before_anybody_is_asked(criteria):
    with pytest.raises(InvalidInputError) as caught:
        BackendQuery.build(extra_fields=("region",), **criteria)
    assert next(iter(criteria)).removeprefix("min_").removeprefix("max_") in caught.value.what


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("num_qubit", "num_qubits"),
        ("simulater", "simulator"),
        ("min_num_qubit", "min_num_qubits"),
        ("max_pendingjobs", "max_pending_jobs"),
        ("regoin", "region"),
        ("min_regoin", "region"),
        ("min_", None),
        ("max", None),
        ("provider_name", None),
    ],
)
def test_an_unknown_name_is_refused_with_near_matches(name, near):
    with pytest.raises(UnknownAttributeError) as caught:
        BackendQuery.build(extra_fields=("region",), **{name: 5})
    assert caught.value.name == name
    assert near is None or near in caught.value.suggestions


def test_unknown_names_come_before_contradictions():
    with pytest.raises(UnknownAttributeError):
        BackendQuery.build(min_shots=5, max_shots=3)


def test_a_test_that_fails_rejects_with_what_it_raised():
    def tested(n):
        return 1 / (n - 5) > 0

    infos = [BackendInfo(name="a", num_qubits=5), BackendInfo(name="b", num_qubits=6), BackendInfo(name="c")]
    views, rejected = sift(BackendQuery.build(num_qubits=tested), infos, never)
    assert names(views) == ["b"]
    assert {one.name: one.reason for one in rejected} == {
        "a": "num_qubits is 5, on which tested raised ZeroDivisionError: division by zero",
        "c": "num_qubits is not reported, wanted num_qubits to satisfy tested",
    }


def test_a_test_may_be_any_callable():
    class Even:
        def __call__(self, n):
            return n % 2 == 0

    infos = [BackendInfo(name="a", num_qubits=5)]
    _, rejected = sift(BackendQuery.build(num_qubits=Even()), infos, never)
    assert rejected[0].reason == "num_qubits is 5, wanted num_qubits to satisfy Even"


def test_a_vendors_field_can_hold_anything():
    infos = [BackendInfo(name="a", extra={"region": np.array([1, 2])})]
    for wanted in ("eu", [1, 2], 5, lambda value: value > 1):
        assert taken(infos, extra_fields=("region",), region=wanted) == []
    assert taken(infos, extra_fields=("region",), min_region=5) == []


def test_wide_and_narrow_words_for_the_same_thing():
    configuration = BackendConfiguration(
        backend_name="a",
        backend_version="1",
        n_qubits=5,
        max_experiments=3,
        supported_features=("q",),
        supported_instructions=("if_else",),
    )

    def fetch(facet, views):
        for view in views:
            view.configuration = configuration

    for criteria in (
        {"num_qubits": 5},
        {"n_qubits": 5},
        {"version": "1"},
        {"backend_version": "1"},
        {"features": "q"},
        {"supported_features": "q"},
        {"max_circuits": 3},
        {"max_experiments": 3},
        {"dynamic_circuits": True},
    ):
        assert taken([BackendInfo(name="a")], fetch, {"configuration"}, **criteria) == ["a"]
    listed = BackendInfo(name="a", features=("dynamic_circuits",), max_circuits=3, version="1")
    for criteria in ({"dynamic_circuits": True}, {"max_experiments": 3}, {"backend_version": "1"}):
        assert taken([listed], never, {"configuration"}, **criteria) == ["a"]


def test_a_query_reads_like_what_was_asked():
    query = BackendQuery.build(min_num_qubits=5, name=["a", "b*"], simulator=False, min_calibrated_at=NOON)
    assert str(query) == (
        "num_qubits >= 5 and name one of 'a', 'b*' and simulator == False and "
        "calibrated_at >= 2026-03-01T12:00:00+00:00"
    )
    assert str(BackendQuery()) == "anything"
    assert repr(UNFETCHED) == "UNFETCHED"
    assert keyword_criterion("num_qubits", range(5, 28)).text == "num_qubits in 5..27"


# -------------------------------------------------------------------------------------------------- rejections


def test_rejections_are_a_sequence_put_into_words_when_looked_at():
    infos = [BackendInfo(name=f"b{i:02}", num_qubits=i % 3) for i in range(30)]
    _, rejected = sift(BackendQuery.build(num_qubits=5), infos, never, prefix="acme:")
    rejected.add("the filter said no", "acme:", [BackendInfo(name="z")])
    assert len(rejected) == 31
    assert rejected[0] == Rejected(infos[0], "acme:b00", "num_qubits is 0, wanted num_qubits == 5", "num_qubits == 5")
    assert rejected[-1].reason == "the filter said no"
    assert rejected[-1].criterion is None
    assert [one.name for one in rejected[1:3]] == ["acme:b01", "acme:b02"]
    with pytest.raises(IndexError):
        rejected[31]
    lines = repr(rejected).splitlines()
    assert lines[0] == "acme:b00: num_qubits is 0, wanted num_qubits == 5"
    assert lines[-1] == "… and 11 more"
    assert repr(Rejections()) == "none rejected"
    assert not Rejections()


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (BackendInfo(name="a"), "acme:a"),
        (BackendInfo(name="a", provider="acme", full_name="acme:a"), "acme:a"),
        (BackendInfo(name="a", provider="other"), "acme:a"),
        (BackendInfo(name="a", provider="other", full_name=["x"]), "acme:a"),
        (BackendInfo(name=5, provider="other"), "acme:(unnamed)"),
        (BackendInfo(name=""), "acme:(unnamed)"),
        (BackendInfo(name="x" * 200), "acme:" + "x" * 200),
        (BackendInfo(name="x" * 1000), "acme:" + "x" * 299 + "…"),
    ],
)
def test_a_rejected_record_has_a_name_whatever_the_vendor_put_there(record, name):
    rejected = Rejections()
    rejected.add("garbage", "acme:", [record])
    assert rejected[0].name == name


def test_long_values_are_cut_in_reasons():
    view = View(BackendInfo(name="a", description="x" * 100, calibrated_at=NOON))
    criterion = keyword_criterion("description", "y")
    assert len(criterion.reason(view)) < 120
    assert keyword_criterion("calibrated_at", NOON + timedelta(1)).reason(view).startswith(
        "calibrated_at is 2026-03-01T12:00:00+00:00, wanted"
    )  # fmt: skip

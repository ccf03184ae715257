"""Documents of Qiskit's classic backend schema: units, times, unknown keys and wrong types."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qprovider_core.errors import ResponseError
from qprovider_core.qiskit_schema import (
    configuration_from_document,
    features,
    fractional_gates,
    processor_text,
    properties_from_document,
    summary_from_documents,
    without_gates,
)
from qprovider_core.records import BackendConfiguration

CONFIGURATION = {
    "backend_name": "ibm_made_up",
    "backend_version": "1.0.4",
    "n_qubits": 3,
    "basis_gates": ["cz", "rz", "sx"],
    "gates": [
        {"name": "cz", "parameters": [], "qasm_def": "gate cz a,b {}", "coupling_map": [[0, 1], [1, 2]]},
        {"name": "rz", "parameters": ["theta"], "qasm_def": "gate rz(theta) a {}", "coupling_map": [[0], [1]]},
        {"name": "reset", "parameters": None, "qasm_def": None},
    ],
    "coupling_map": [[0, 1], [1, 2]],
    "supported_instructions": ["cz", "rz", "sx", "measure", "if_else"],
    "supported_features": ["qasm3"],
    "simulator": False,
    "max_shots": 100_000,
    "max_experiments": 300,
    "dt": 0.5,
    "dtm": 2,
    "rep_delay_range": [0.0, 500.0],
    "default_rep_delay": 250.0,
    "rep_times": [1000],
    "timing_constraints": {"granularity": 16, "min_length": 64},
    "processor_type": {"family": "Heron", "revision": "2"},
    "quantum_volume": None,
    "clops_h": "None",
    "url": "None",
    "online_date": "2024-02-06T05:00:00-05:00",
    "qubit_lo_range": [[4.5, 5.5]],
    "acquisition_latency": [],
    "something": {"new": [1, 2]},
}

PROPERTIES = {
    "backend_name": "ibm_made_up",
    "backend_version": "1.0.4",
    "last_update_date": "2026-04-17T12:19:24+02:00",
    "qubits": [
        [
            {"name": "T1", "unit": "us", "value": 281.04, "date": "2026-04-16T13:46:57+02:00"},
            {"name": "T2", "unit": "µs", "value": 400, "date": "2026-04-16T13:46:57"},
            {"name": "frequency", "unit": "GHz", "value": 4.5, "date": "2026-04-16T13:46:57Z"},
            {"name": "readout_error", "unit": "", "value": 0.25, "date": "2026-04-16T13:46:57Z"},
            {"name": "readout_length", "unit": "ns", "value": 2200, "date": "2026-04-16T13:46:57Z"},
        ],
        [{"name": "readout_error", "unit": "", "value": 0.5}, {"name": "T1", "unit": "us", "value": None}],
    ],
    "gates": [
        {
            "gate": "cz",
            "qubits": [0, 1],
            "parameters": [
                {"name": "gate_error", "unit": "", "value": 0.00117, "date": "2026-04-16T13:46:57Z"},
                {"name": "gate_length", "unit": "ns", "value": 68, "date": "2026-04-16T13:46:57Z"},
            ],
        },
        {"gate": "cz", "qubits": [1, 2], "parameters": [{"name": "gate_error", "unit": "", "value": 1}]},
    ],
    "general": [{"name": "jq_01", "unit": "GHz", "value": 0.00062, "date": "2026-04-16T13:46:57Z"}],
    "general_qlists": [{"name": "lf_2", "qubits": [0, 1]}],
}


def changed(document, path, value):
    """A copy of the document with one value replaced."""
    document = copy.deepcopy(document)
    *steps, last = path
    inner = document
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return document


# ----------------------------------------------------------------------------------------------- configuration


def test_times_become_seconds_and_frequencies_hertz():
    conf = configuration_from_document(CONFIGURATION)
    assert (conf.dt, conf.dtm) == (0.5e-9, 2e-9)
    assert conf.rep_delay_range == (0.0, 500e-6)
    assert conf.default_rep_delay == 250e-6
    assert conf.rep_times == (1e-3,)
    assert conf.qubit_lo_range == [[4.5e9, 5.5e9]]


def test_gates_keep_their_places_and_definitions():
    cz, rz, reset = configuration_from_document(CONFIGURATION).gates
    assert (cz.name, cz.parameters, cz.coupling_map) == ("cz", (), ((0, 1), (1, 2)))
    assert (rz.parameters, rz.qasm_def) == (("theta",), "gate rz(theta) a {}")
    assert (reset.parameters, reset.coupling_map, reset.qasm_def) == ((), None, None)


def test_the_text_none_of_old_documents_is_none():
    conf = configuration_from_document(CONFIGURATION)
    assert conf.clops_h is None
    assert conf.url is None


def test_unknown_keys_are_kept_and_survive_a_round_trip():
    conf = configuration_from_document(CONFIGURATION)
    assert conf.something == {"new": [1, 2]}
    assert conf.acquisition_latency == []
    assert BackendConfiguration.from_dict(conf.to_dict()) == conf


def test_the_online_date_is_kept_in_utc_and_one_without_offset_is_utc():
    assert configuration_from_document(CONFIGURATION).online_date == datetime(2024, 2, 6, 10, tzinfo=UTC)
    naive = configuration_from_document({**CONFIGURATION, "online_date": "2024-02-06T05:00:00"})
    assert naive.online_date == datetime(2024, 2, 6, 5, tzinfo=UTC)


def test_a_document_is_left_as_it_was():
    before = copy.deepcopy(CONFIGURATION)
    configuration_from_document(CONFIGURATION)
    assert before == CONFIGURATION


def test_lists_that_are_null_are_empty():
    conf = configuration_from_document({"backend_name": "x", "gates": None, "basis_gates": None})
    assert (conf.gates, conf.basis_gates) == ((), ())


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["n_qubits"], "3", "n_qubits"),
        (["n_qubits"], 3.5, "n_qubits"),
        (["simulator"], "false", "simulator"),
        (["dt"], "fast", "dt"),
        (["dt"], True, "dt"),
        (["dt"], float("nan"), "dt"),
        (["dt"], 10**400, "dt"),
        (["clops_h"], 10**400, "clops_h"),
        (["coords"], [[0, float("inf")]], "coords[0][1]"),
        (["coords"], [[0, 10**400]], "coords[0][1]"),
        (["online_date"], "0001-01-01T00:00:00+05:00", "online_date"),
        (["rep_delay_range"], [0, "x"], "rep_delay_range[1]"),
        (["rep_delay_range"], [0], "rep_delay_range"),
        (["qubit_lo_range"], [[1.0, None]], "qubit_lo_range[0][1]"),
        (["coupling_map"], [[0, 1], [1, "2"]], "coupling_map[1][1]"),
        (["gates", 0, "name"], 7, "gates[0].name"),
        (["gates"], "cz", "gates"),
        (["gates", 1], "cz", "gates[1]"),
        (["online_date"], "yesterday", "online_date"),
        (["backend_name"], None, "backend_name"),
    ],
)
def test_a_wrong_type_is_an_error_with_its_path(path, value, named):
    with pytest.raises(ResponseError) as caught:
        configuration_from_document(changed(CONFIGURATION, path, value))
    assert caught.value.path == named


@pytest.mark.parametrize("document", [None, [], "text", 3])
def test_what_is_no_object_is_refused(document):
    with pytest.raises(ResponseError):
        configuration_from_document(document)
    with pytest.raises(ResponseError):
        properties_from_document(document)


# -------------------------------------------------------------------------------------------------- properties


def test_values_are_in_si_units_exactly():
    props = properties_from_document(PROPERTIES)
    assert props.t1(0) == pytest.approx(281.04e-6, rel=1e-15)
    assert props.t2(0) == 400e-6
    assert props.frequency(0) == 4.5e9
    assert props.readout_length(0) == 2.2e-6
    assert props.gate_length("cz", (0, 1)) == 6.8e-8
    assert props.gate_error("cz", [0, 1]) == 0.00117
    assert props.general["jq_01"].value == pytest.approx(620e3)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("s", 1), ("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("μs", 1e-6), ("ns", 1e-9),
        ("Hz", 1), ("kHz", 1e3), ("MHz", 1e6), ("GHz", 1e9), ("", 1), ("dt", 1), ("m", 1),
    ],
)  # fmt: skip
def test_each_prefix_is_applied_to_seconds_and_hertz_only(unit, factor):
    document = {"backend_name": "x", "qubits": [[{"name": "v", "unit": unit, "value": 3}]]}
    assert properties_from_document(document).qubit_property(0, "v").value == pytest.approx(3 * factor)


def test_every_value_has_its_time_in_utc_whatever_the_offset():
    props = properties_from_document(PROPERTIES)
    assert props.last_update == datetime(2026, 4, 17, 10, 19, 24, tzinfo=UTC)
    assert props.qubit_property(0, "T1").measured_at == datetime(2026, 4, 16, 11, 46, 57, tzinfo=UTC)
    assert props.qubit_property(0, "T2").measured_at == datetime(2026, 4, 16, 13, 46, 57, tzinfo=UTC)
    assert props.qubit_property(1, "readout_error").measured_at is None


def test_a_null_value_is_not_reported():
    assert properties_from_document(PROPERTIES).t1(1) is None


def test_only_the_head_is_read_until_something_is_asked():
    broken = {**PROPERTIES, "qubits": [[{"name": "T1", "unit": "us", "value": "long"}]]}
    props = properties_from_document(broken)
    assert props.backend_name == "ibm_made_up"
    with pytest.raises(ResponseError):
        props.t1(0)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (["qubits", 0, 3, "value"], "low", "qubits[0][3].value"),
        (["qubits", 0, 3, "value"], True, "qubits[0][3].value"),
        (["qubits", 0, 3, "value"], float("inf"), "qubits[0][3].value"),
        (["qubits", 0, 3, "value"], 10**400, "qubits[0][3].value"),
        (["qubits", 0, 3, "unit"], [], "qubits[0][3].unit"),
        (["qubits", 0, 3, "date"], {}, "qubits[0][3].date"),
        (["qubits", 0, 3, "date"], "9999-12-31T23:59:59-05:00", "qubits[0][3].date"),
        (["qubits", 0, 1, "name"], None, "qubits[0][1].name"),
        (["qubits", 0, 1, "unit"], 3, "qubits[0][1].unit"),
        (["qubits", 0, 1, "date"], "today", "qubits[0][1].date"),
        (["qubits", 0, 1, "date"], 5, "qubits[0][1].date"),
        (["qubits", 1], {}, "qubits[1]"),
        (["qubits", 1, 0], "x", "qubits[1][0]"),
        (["qubits"], "x", "qubits"),
        (["gates", 1], 3, "gates[1]"),
        (["gates", 1, "gate"], None, "gates[1].gate"),
        (["gates", 1, "qubits"], 3, "gates[1].qubits"),
        (["gates", 1, "qubits", 0], "1", "gates[1].qubits[0]"),
        (["gates", 0, "parameters", 1, "value"], "x", "gates[0].parameters[1].value"),
        (["general", 0, "value"], [], "general[0].value"),
    ],
)
def test_a_wrong_value_inside_is_an_error_with_its_path(path, value, named):
    for ask in (lambda props: props.qubits, lambda props: props.bare, lambda props: props.faulty_qubits()):
        with pytest.raises(ResponseError) as caught:
            ask(properties_from_document(changed(PROPERTIES, path, value)))
        assert caught.value.path == named


@pytest.mark.parametrize(
    ("key", "value"),
    [("backend_name", 3), ("backend_name", None), ("backend_version", 1.0), ("last_update_date", 0)],
)
def test_a_wrong_head_is_an_error_at_once(key, value):
    with pytest.raises(ResponseError) as caught:
        properties_from_document({**PROPERTIES, key: value})
    assert caught.value.path == key


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["name", "unit", "value", "date", "gate", "qubits", "parameters"]), inner, max_size=4
        ),
        max_leaves=8,
    ),
    st.sampled_from(["qubits", "gates", "general"]),
)  # fmt: skip
def test_garbage_is_read_or_refused_with_a_path_and_never_anything_else(garbage, key):
    props = properties_from_document({"backend_name": "x", key: garbage})
    path = key
    try:
        _ = props.qubits
    except ResponseError as error:
        path = error.path
    assert path.startswith(key)
    summary_from_documents({}, {key: garbage})


# ----------------------------------------------------------------------------------------------------- summary


def test_a_summary_tells_what_a_listing_shows():
    assert summary_from_documents(CONFIGURATION, PROPERTIES) == {
        "num_qubits": 3,
        "version": "1.0.4",
        "processor": "Heron r2",
        "features": ("dynamic_circuits",),
        "max_shots": 100_000,
        "max_circuits": 300,
        "median_two_qubit_error": 0.00117,  # the uncalibrated pair is left out
        "median_readout_error": median([0.25, 0.5]),
        "calibrated_at": datetime(2026, 4, 17, 10, 19, 24, tzinfo=UTC),
    }


def test_its_medians_are_those_of_the_structured_properties():
    props = properties_from_document(PROPERTIES)
    summary = summary_from_documents(CONFIGURATION, PROPERTIES)
    assert summary["median_two_qubit_error"] == props.median_two_qubit_error
    assert summary["median_readout_error"] == props.median_readout_error


@pytest.mark.parametrize("unreadable", ["low", True, None, float("nan"), 10**400])
def test_a_summary_leaves_unreadable_values_out(unreadable):
    summary = summary_from_documents(CONFIGURATION, changed(PROPERTIES, ["qubits", 0, 3, "value"], unreadable))
    assert summary["median_readout_error"] == 0.5


def test_without_properties_what_they_would_tell_is_not_reported():
    summary = summary_from_documents({"n_qubits": "many", "max_shots": True})
    assert {value for key, value in summary.items() if key != "features"} == {None}


@pytest.mark.parametrize(
    ("processor", "text"),
    [
        ({"family": "Falcon", "revision": 4, "segment": "T"}, "Falcon r4T"),
        ({"family": "Falcon", "revision": 5.11}, "Falcon r5.11"),
        ({"family": "Eagle", "revision": 3.0}, "Eagle r3"),
        ({"family": "Heron", "revision": "2"}, "Heron r2"),
        ({"family": "Canary"}, "Canary"),
        ({"revision": 1}, None),
        (None, None),
        ("Heron", None),
    ],
)
def test_processors_are_written_as_people_write_them(processor, text):
    assert processor_text(processor) == text


def test_fractional_gates_are_those_with_an_angle_beside_the_frame_changes():
    gates = [{"name": "rz", "parameters": ["t"]}, {"name": "rzz", "parameters": ["t"]}, {"name": "x"}]
    assert features({"gates": gates, "basis_gates": ["rz", "x"]}) == ()
    assert features({"gates": gates, "basis_gates": ["rz", "x", "rzz"]}) == ("fractional_gates",)
    assert features({"supported_features": ["dynamic_circuits"]}) == ("dynamic_circuits",)


# ------------------------------------------------------------------------------------------------------ filter


def test_the_table_of_gates_with_angles_is_qiskits():
    from qiskit.circuit.library import get_standard_gate_name_mapping

    standard = get_standard_gate_name_mapping()
    fractional = {name for name, gate in standard.items() if gate.params} - {"rz", "p", "u1", "delay"}
    assert fractional_gates({"basis_gates": [*standard, "unheard_of", ["x"], None]}) == fractional
    assert fractional_gates({"basis_gates": ["cz", "rz", "sx"]}) == fractional_gates({}) == frozenset()


def test_gates_can_be_taken_out_of_both_documents():
    configuration, properties = copy.deepcopy(CONFIGURATION), copy.deepcopy(PROPERTIES)
    properties["gates"].append({"gate": "rz", "qubits": [0], "parameters": []})
    before = copy.deepcopy((configuration, properties))
    left = without_gates(configuration, properties, ["cz", "sx"])
    assert (configuration, properties) == before
    conf, props = configuration_from_document(left[0]), properties_from_document(left[1])
    assert conf.basis_gates == ("rz",)
    assert [gate.name for gate in conf.gates] == ["rz", "reset"]
    assert conf.supported_instructions == ("rz", "measure", "if_else")
    assert [gate.gate for gate in props.gates] == ["rz"]
    assert props.t1(0) == properties_from_document(PROPERTIES).t1(0)
    assert without_gates(configuration, None, ["cz"])[1] is None
    assert without_gates(configuration, properties, []) == (configuration, properties)
    assert without_gates({"basis_gates": ["r", "z", "rzz"]}, {}, "rzz") == ({"basis_gates": ["r", "z"]}, {})


def test_taking_gates_out_leaves_what_is_wrong_to_the_readers():
    broken = {"basis_gates": "cz", "gates": [3, {"name": []}, {"name": "cz"}], "supported_instructions": [None, "cz"]}
    assert without_gates(broken, {"gates": None}, ["cz"]) == (
        {"basis_gates": "cz", "gates": [3, {"name": []}], "supported_instructions": [None]},
        {"gates": None},
    )

"""The quick readers of the two documents give what the thorough ones give, errors included."""

from __future__ import annotations

import copy
import json
import pickle
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit_ibm_runtime.fake_provider import FakeBelemV2, FakeFez, FakeHanoiV2, FakeSherbrooke

from qprovider_core import _configuration_document, _properties_document
from qprovider_core._document_values import Unusual
from qprovider_core.errors import ResponseError
from qprovider_core.qiskit_schema import configuration_from_document, properties_from_document
from qprovider_core.records import BackendConfiguration, Measured
from qprovider_core.records.properties import BareValues

WHEN = "2026-04-16T13:46:57+02:00"


def value(name, number, unit=""):
    return {"name": name, "unit": unit, "value": number, "date": WHEN}


CONFIGURATION = {
    "backend_name": "made_up",
    "n_qubits": 2,
    "basis_gates": ["cz", "rz"],
    "gates": [
        {"name": "cz", "parameters": [], "qasm_def": "gate cz a,b {}", "coupling_map": [[0, 1], [1, 0]]},
        {"name": "rz", "parameters": ["theta"], "coupling_map": [[0], [1]], "latency_map": [[1]]},
        {"name": "reset", "parameters": None, "qasm_def": None},
        {"name": "id"},
    ],
    "coupling_map": [[0, 1], [1, 0]],
    "supported_instructions": ["cz"],
    "simulator": False,
    "dt": 4,
    "timing_constraints": {"granularity": 1},
    "rep_delay_range": [0, 500.0],
    "rep_times": [1, 2.5],
    "meas_map": [[0, 1], []],
    "meas_levels": [1, 2],
    "coords": [[0, 1], [2.5, 3]],
    "processor_type": {"family": "Heron", "revision": "2"},
    "online_date": "2024-05-14T04:00:00+00:00",
    "clops_h": 195000,
    "clops_v": "None",
    "qubit_lo_range": [[4.5, 5], [6, 7.5]],
    "meas_lo_range": [],
    "extra": 3,
    "hamiltonian": {"h_latex": ""},
}
PROPERTIES = {
    "backend_name": "made_up",
    "last_update_date": WHEN,
    "qubits": [
        [value("T1", 281.04, "us"), value("frequency", 5, "GHz"), value("T1", 300, "us"), value("operational", 0)],
        [],
        [value("T2", None, "us"), value("readout_error", 0.25), {**value("angle", 2**60, "kHz"), "date": None}],
    ],
    "gates": [
        {"gate": "cz", "qubits": [0, 1], "parameters": [value("gate_error", 1), value("gate_length", 68, "ns")]},
        {"gate": "rz", "qubits": [], "parameters": [], "name": "rz"},
        {"gate": "cz", "qubits": [0, 1], "parameters": [value("operational", 0), value("strange", 3, "dt")]},
    ],
    "general": [value("jq_01", 0.00062, "GHz"), value("jq_01", None, "GHz"), {**value("x", 1), "unit": None}],
}


@contextmanager
def only_thorough():
    """Every document is read by the thorough readers."""
    with (
        mock.patch.object(_configuration_document, "_directly", side_effect=Unusual),
        mock.patch.object(_properties_document, "_Columns", side_effect=Unusual),
    ):
        yield


def outcome(read, document):
    """What became of it: the value with its types, or the error."""
    try:
        record = read(copy.deepcopy(document))
        if isinstance(record, BackendConfiguration):
            return record, repr([getattr(record, field.name) for field in attrs.fields(BackendConfiguration)])
        return record, record.bare, repr((record.last_update, record.qubits, record.gates, record.general))
    except ResponseError as error:
        return error.path, error.what


def assert_read_alike(read, document):
    quick = outcome(read, document)
    with only_thorough():
        assert quick == outcome(read, document)


@pytest.mark.parametrize("fake", [FakeBelemV2, FakeHanoiV2, FakeSherbrooke, FakeFez])
def test_documents_of_devices_are_read_quickly_and_alike(fake):
    backend = fake()
    folder = Path(backend.dirname)
    configuration = json.loads((folder / backend.conf_filename).read_text())
    properties = json.loads((folder / backend.props_filename).read_text())
    with mock.patch("qprovider_core.serialization.from_json", side_effect=AssertionError):
        configuration_from_document(configuration)
    with mock.patch.object(_properties_document, "_content", side_effect=AssertionError):
        _ = properties_from_document(properties).qubits
        _ = properties_from_document(properties).bare
    assert_read_alike(configuration_from_document, configuration)
    assert_read_alike(properties_from_document, properties)


def test_every_field_of_a_configuration_has_a_quick_reader():
    fields = {field.name for field in attrs.fields(BackendConfiguration)} - {"extra"}
    assert _configuration_document._readers().keys() == fields


def test_bare_values_are_those_of_the_records():
    quick = properties_from_document(PROPERTIES)
    assert quick.bare == BareValues.of(quick._content)
    assert quick.bare.qubits[0] == {"T1": 3e-4, "frequency": 5e9, "operational": 0}
    assert quick.bare.qubits[2] == {"readout_error": 0.25, "angle": 2.0**60 * 1e3}
    assert (quick.faulty_qubits(), quick.t2(2)) == ([0], None)
    assert [gate.qubits for gate in quick.faulty_gates()] == [(0, 1), (0, 1)]


def test_records_made_quickly_are_like_any_other():
    one = properties_from_document(PROPERTIES).qubits[0].values["frequency"]
    assert one == Measured(5e9, one.measured_at)
    assert hash(one) == hash(Measured(5e9, one.measured_at))
    assert pickle.loads(pickle.dumps(one)) == attrs.evolve(one) == one
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.value = 3


# -------------------------------------------------------------------------------------------------- odd documents

odd = st.sampled_from(
    [None, True, 0, 1, -3, 2.5, "", "x", "None", [], {}, [[]], [1], [[1, 2]], [["a"]], {"a": 1}, {"a": None},
     float("nan"), float("inf"), 10**400, (), (1, 2), "2024-01-01", "0001-01-01T00:00:00+05:00", {1: 2}]
)  # fmt: skip


def places(inner, path=()):
    """Paths to everything in a document."""
    steps = inner.items() if isinstance(inner, dict) else enumerate(inner) if isinstance(inner, list) else ()
    for step, below in steps:
        yield (*path, step)
        yield from places(below, (*path, step))


@st.composite
def damaged(draw, document):
    """The document with one or two things replaced or gone."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 2))):
        *steps, last = draw(st.sampled_from(list(places(document))))
        inner = document
        for step in steps:
            inner = inner[step]
        if draw(st.booleans()):
            inner[last] = copy.deepcopy(draw(odd))
        else:
            del inner[last]
    return document


@settings(max_examples=300, deadline=None)
@given(damaged(CONFIGURATION))
def test_odd_configurations_are_read_or_refused_alike(document):
    assert_read_alike(configuration_from_document, document)


@settings(max_examples=300, deadline=None)
@given(damaged(PROPERTIES))
def test_odd_properties_are_read_or_refused_alike(document):
    assert_read_alike(properties_from_document, document)

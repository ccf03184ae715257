"""The catalogue of attributes: which kind each is of, and which facet tells it."""

import pytest

from qprovider_core.attributes import CATALOGUE, FACETS, Kind, find_attribute
from qprovider_core.errors import UnknownAttributeError
from qprovider_core.records import BackendInfo


@pytest.mark.parametrize(
    ("name", "kind", "facets"),
    [
        ("num_qubits", Kind.NUMBER, ["info", "configuration"]),
        ("operational", Kind.FLAG, ["info", "status"]),
        ("pending_jobs", Kind.NUMBER, ["info", "status"]),
        ("status_msg", Kind.TEXT, ["info", "status"]),
        ("basis_gates", Kind.WORDS, ["configuration"]),
        ("features", Kind.WORDS, ["info", "configuration"]),
        ("coupling_map", Kind.OTHER, ["configuration"]),
        ("calibrated_at", Kind.TIME, ["info", "properties"]),
        ("median_two_qubit_error", Kind.NUMBER, ["info", "properties"]),
        ("dynamic_circuits", Kind.FLAG, ["info", "configuration"]),
        ("backend_version", Kind.TEXT, ["info", "status", "configuration"]),
        ("online_date", Kind.TIME, ["configuration"]),
    ],
)
def test_an_attribute_is_of_a_kind_and_told_by_facets_in_order_of_cost(name, kind, facets):
    attribute = find_attribute(name)
    assert attribute.kind is kind
    assert [facet for facet, _ in attribute.places] == facets


def test_every_attribute_is_told_by_some_facet_cheapest_first():
    assert "extra" not in CATALOGUE
    for name, attribute in CATALOGUE.items():
        facets = [facet for facet, _ in attribute.places]
        assert attribute.name == name
        assert facets
        assert facets == sorted(facets, key=FACETS.index)


def test_a_vendors_own_field_is_read_from_extra_and_never_hides_a_field_of_the_record():
    own = find_attribute("region", ["region", "num_qubits"])
    assert own.kind is Kind.OTHER
    assert own.places[0][1](BackendInfo(name="a", extra={"region": "eu"})) == "eu"
    assert own.places[0][1](BackendInfo(name="a")) is None
    assert find_attribute("num_qubits", ["num_qubits"]) is CATALOGUE["num_qubits"]


def test_an_unknown_attribute_names_near_matches():
    with pytest.raises(UnknownAttributeError, match="simulator"):
        find_attribute("simulatr")

"""The list of backends and their documents."""

from __future__ import annotations

import gzip
import json

import pytest

from qprovider_core.qiskit_schema import configuration_from_document, properties_from_document

NAMES = ["ibmq_belem", "ibm_hanoi", "ibm_sherbrooke", "ibm_torino", "ibm_boston", "ibmq_qasm_simulator"]


def test_the_list_tells_what_a_choice_needs(api):
    devices = {entry["name"]: entry for entry in api.json("/backends")["devices"]}
    assert list(devices) == NAMES
    assert [devices[name]["qubits"] for name in NAMES] == [5, 27, 127, 133, 156, 32]
    boston = devices["ibm_boston"]
    assert boston["status"] == {"name": "online", "reason": ""}
    assert boston["is_simulator"] is False
    assert boston["clops"] == {"type": "hardware", "value": 340000}
    assert boston["processor_type"]["family"] == "Heron"
    assert boston["queue_length"] >= 1
    assert "wait_time_seconds" not in boston
    metrics = boston["performance_metrics"]
    assert metrics["two_q_error_best"]["gate"] == "cz"
    assert 0 < metrics["two_q_error_best"]["value"] <= metrics["two_q_error_median"]["value"] < 0.1
    simulator = devices["ibmq_qasm_simulator"]
    assert simulator["is_simulator"] is True
    assert simulator["queue_length"] == 0
    assert simulator["processor_type"] is None


def test_medians_are_those_of_the_calibration(api):
    entry = next(entry for entry in api.json("/backends")["devices"] if entry["name"] == "ibmq_belem")
    properties = properties_from_document(api.json("/backends/ibmq_belem/properties"))
    readout = sorted(properties.readout_error(qubit) for qubit in range(5))
    assert entry["performance_metrics"]["readout_error_median"]["value"] == readout[2]


def test_wait_times_come_when_they_are_asked_for(api):
    devices = api.json("/backends", fields="wait_time_seconds")["devices"]
    assert set(devices[0]["wait_time_seconds"]) == {"average", "p50", "p95"}


def test_mocks_come_when_they_are_asked_for(api):
    devices = api.json("/backends", include_mocks="True")["devices"]
    mocks = [entry["name"] for entry in devices if entry.get("class") == "mock"]
    assert mocks == ["mock_belem", "mock_hanoi", "mock_sherbrooke", "mock_torino", "mock_boston"]
    assert api.json("/backends/mock_belem/configuration")["backend_name"] == "mock_belem"


@pytest.mark.parametrize("version", [None, "2024-01-01"])
def test_old_versions_list_bare_names(api, version):
    assert api.get("/backends", headers={"IBM-API-Version": version}).json() == {"devices": NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_configurations_are_complete_and_in_the_services_units(api, name):
    document = api.json(f"/backends/{name}/configuration")
    required = "backend_name backend_version basis_gates conditional coords coupling_map gates local memory n_qubits"
    assert {*required.split(), "online_date"} <= set(document)
    assert document["backend_name"] == name
    record = configuration_from_document(document)
    if not document["simulator"]:
        assert document["dt"] in (0.2222222222222222, 4.0)  # ns
        assert record.dt == document["dt"] / 1e9
        assert document["rep_delay_range"][1] in (500.0, 2000.0)  # us


@pytest.mark.parametrize("name", ["ibm_boston", "ibm_torino"])
def test_fractional_gates_are_listed(api, name):
    document = api.json(f"/backends/{name}/configuration")
    gates = {gate["name"]: gate for gate in document["gates"]}
    for fractional in ("rx", "rzz"):
        assert fractional in document["basis_gates"]
        assert fractional in document["supported_instructions"]
        assert gates[fractional]["parameters"] == ["theta"]
        assert gates[fractional]["coupling_map"]


def test_the_simulator_has_no_coupling_map_and_no_calibration(api):
    assert api.json("/backends/ibmq_qasm_simulator/configuration")["coupling_map"] is None
    assert api.json("/backends/ibmq_qasm_simulator/properties") == {}


@pytest.mark.parametrize("kind", ["configuration", "properties"])
def test_compressed_documents_are_the_plain_ones(api, kind):
    path = f"/backends/ibm_boston/{kind}"
    plain = api.get(path, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    packed = api.get(path, headers={"Accept-Encoding": "gzip"}, stream=True)
    assert packed.headers["Content-Encoding"] == "gzip"
    raw = packed.raw.read(decode_content=False)
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 5


def test_a_calibration_of_the_past_is_the_newest_before_that_time(api):
    path = "/backends/ibm_boston/properties"
    newest = api.json(path)
    assert newest["last_update_date"] == "2026-04-17T12:19:24+02:00"
    assert newest["qubits"][0][0] == {
        "name": "T1",
        "unit": "us",
        "value": 281.0427180437223,
        "date": "2026-04-16T13:46:57+02:00",
    }
    before = api.json(path, updated_before="2026-04-17T10:19:24Z")  # the same moment: not before it
    assert before["last_update_date"] == "2026-04-16T12:19:24+02:00"
    assert api.json(path, updated_before="2026-04-17T10:19:25Z") == newest
    assert api.json(path, updated_before="2026-04-17T12:19:25+02:00") == newest
    assert before == api.json(path, updated_before="2026-04-17T00:00:00")
    values = [document["qubits"][0][0]["value"] for document in (newest, before)]
    assert values[0] != values[1]
    assert 0.9 <= values[1] / values[0] <= 1.1
    assert api.json(path, updated_before="2026-01-01T00:00:00Z") == {}
    assert properties_from_document(before).t1(0) == pytest.approx(values[1] * 1e-6)


def test_an_unreadable_time_is_refused(api, tools):
    answer = api.get("/backends/ibm_boston/properties", params={"updated_before": "yesterday"})
    assert tools.error_of(answer)[0] == 400


def test_the_status_of_a_backend(api):
    listed = next(entry for entry in api.json("/backends")["devices"] if entry["name"] == "ibm_hanoi")
    status = api.json("/backends/ibm_hanoi/status")
    assert status == {
        "state": True,
        "status": "active",
        "message": "",
        "backend_version": "1.3.3",
        "length_queue": listed["queue_length"],
    }
    assert api.json("/backends/ibm_hanoi/defaults") == {}


@pytest.mark.parametrize("kind", ["configuration", "properties", "status", "defaults"])
def test_an_unknown_backend_is_not_found(api, tools, kind):
    assert tools.error_of(api.get(f"/backends/ibm_nowhere/{kind}"))[:2] == (404, 1007)


def test_clones_and_instances_with_some_backends(start, api_of):
    emulator = start(backends=100, instances=["all:open", "few:premium:us-east:ibm_boston,ibm_clone_017"])
    names = [entry["name"] for entry in api_of(emulator, "all").json("/backends")["devices"]]
    assert len(names) == 100
    assert names[:6] == NAMES
    assert names[17] == "ibm_clone_017"
    few = api_of(emulator, "few")
    assert [entry["name"] for entry in few.json("/backends")["devices"]] == ["ibm_boston", "ibm_clone_017"]
    clone = few.get("/backends/ibm_clone_017/configuration", headers={"Accept-Encoding": "gzip"}).json()
    assert clone["backend_name"] == "ibm_clone_017"
    assert clone == json.loads(few.get("/backends/ibm_clone_017/configuration").text)
    assert few.get("/backends/ibm_hanoi/status").status_code == 404

"""Bundled and installed snapshots, and the twins made of them."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime, timedelta

import pytest
from qiskit_ibm_runtime.fake_provider import FakeBelemV2

import qprovider_local as plugin
from qprovider_core.qiskit_schema import summary_from_documents
from qprovider_core.records import BackendRef, BackendStatus
from qprovider_local import _snapshots

BUNDLED = {snapshot.name: snapshot for snapshot in _snapshots.bundled()}
bundled = pytest.mark.parametrize("name", sorted(BUNDLED))


def hooks(local, name):
    ref = BackendRef(name=name)
    configuration = plugin.qprovider_backend_configuration(connection=local.connection, backend=ref)
    properties = plugin.qprovider_backend_properties(connection=local.connection, backend=ref, at=None)
    return configuration, properties


def test_a_few_devices_are_bundled_the_tutorials_among_them():
    assert {name: snapshot.facts["num_qubits"] for name, snapshot in BUNDLED.items()} == {
        "fake_belem": 5,
        "fake_hanoi": 27,
        "fake_sherbrooke": 127,
        "fake_fez": 156,
    }


@bundled
def test_the_index_equals_what_the_documents_say(name):
    snapshot = BUNDLED[name]
    assert snapshot.facts == summary_from_documents(
        _snapshots.read_document(snapshot.configuration_path),
        _snapshots.read_document(snapshot.properties_path),
    )


@bundled
def test_the_listing_equals_configuration_and_properties(name, local):
    configuration, properties = hooks(local, name)
    info = BUNDLED[name].info(0)
    assert info.flaws() is None
    assert info.simulator is True
    assert info.noisy is True
    assert info.num_qubits == configuration.n_qubits == len(properties.qubits)
    assert info.median_two_qubit_error == properties.median_two_qubit_error
    assert info.median_readout_error == properties.median_readout_error
    assert info.calibrated_at == properties.last_update
    assert info.version == configuration.backend_version == properties.backend_version
    assert info.max_shots == configuration.max_shots
    assert ("dynamic_circuits" in info.features) is configuration.dynamic_circuits


def test_a_twin_carries_its_own_name_and_remembers_the_devices(local):
    configuration, properties = hooks(local, "fake_belem")
    assert configuration.backend_name == properties.backend_name == "fake_belem"
    assert configuration.device_name == "ibmq_belem"
    assert configuration.simulator is True


def test_belems_values_are_those_of_the_fake_device_in_si_units(local):
    configuration, properties = hooks(local, "fake_belem")
    target = FakeBelemV2().target
    assert configuration.dt == pytest.approx(target.dt)
    assert set(configuration.coupling_map) == set(target["cx"])
    for qubit, expected in enumerate(target.qubit_properties):
        assert properties.t1(qubit) == pytest.approx(expected.t1)
        assert properties.t2(qubit) == pytest.approx(expected.t2)
        assert properties.frequency(qubit) == pytest.approx(expected.frequency)
        assert 1e-6 < properties.t1(qubit) < 1e-3
        assert 4e9 < properties.frequency(qubit) < 6e9
        assert properties.readout_error(qubit) == target["measure"][(qubit,)].error
        assert math.isclose(properties.readout_length(qubit), target["measure"][(qubit,)].duration)
    for pair, expected in target["cx"].items():
        assert properties.gate_error("cx", pair) == expected.error
        assert math.isclose(properties.gate_length("cx", pair), expected.duration)


def test_there_is_no_calibration_before_the_snapshot_and_the_snapshots_after_it(local):
    ref = BackendRef(name="fake_belem")
    taken = BUNDLED["fake_belem"].facts["calibrated_at"]
    ask = plugin.qprovider_backend_properties
    assert ask(connection=local.connection, backend=ref, at=taken - timedelta(seconds=1)) is None
    assert ask(connection=local.connection, backend=ref, at=datetime.now(UTC)).last_update == taken


def test_an_ideal_simulator_has_no_calibration(local):
    ref = BackendRef(name="aer_simulator")
    assert plugin.qprovider_backend_properties(connection=local.connection, backend=ref, at=None) is None


def test_all_devices_of_an_installed_package_are_listed_by_option_and_sound(local):
    infos = plugin.qprovider_list_backends(connection=local.connection)
    twins = [info for info in infos if info.noisy]
    assert len(twins) > 50
    assert len({info.name for info in infos}) == len(infos)
    assert [info.flaws() for info in infos if info.flaws()] == []
    assert all(info.simulator for info in infos)


def test_the_plain_listing_shows_the_bundled_ones_only(own_local):
    infos = plugin.qprovider_list_backends(connection=own_local.connection)
    assert [info.name for info in infos if info.noisy] == list(BUNDLED)


def test_unreadable_snapshots_are_left_out_one_by_one_with_a_warning(tmp_path, monkeypatch, caplog):
    good = _snapshots.runtime_folder() / "belem"
    for name, conf, props in (
        ("good", (good / "conf_belem.json").read_text(), (good / "props_belem.json").read_text()),
        ("cut", '{"backend_name": "cut', "{}"),
        ("list", "[]", "[]"),
        ("nameless", "{}", "{}"),
        ("alone", '{"backend_name": "alone"}', None),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"conf_{name}.json").write_text(conf)
        if props is not None:
            (folder / f"props_{name}.json").write_text(props)
    monkeypatch.setattr(_snapshots, "runtime_folder", lambda: tmp_path)
    with caplog.at_level(logging.WARNING):
        assert [snapshot.name for snapshot in _snapshots.installed()] == ["fake_good"]
    for name in ("cut", "list", "nameless", "alone"):
        assert f"conf_{name}.json" in caplog.text


def test_without_the_package_the_bundled_ones_remain_and_the_log_says_why(monkeypatch, caplog):
    monkeypatch.setattr(_snapshots, "find_spec", lambda name: None)
    assert list(_snapshots.installed()) == []
    assert "qiskit-ibm-runtime is not installed" in caplog.text


def test_status_is_fresh_and_names_the_backend(local):
    status = plugin.qprovider_backend_status(connection=local.connection, backend=BackendRef(name="fake_belem"))
    assert status == BackendStatus(
        backend_name="fake_belem",
        backend_version="1.0.3",
        operational=True,
        pending_jobs=0,
        status_msg="active",
    )

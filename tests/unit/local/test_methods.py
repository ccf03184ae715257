"""What the ideal simulators are said to run, against the Aer that is installed."""

from __future__ import annotations

import pytest
from qiskit_aer import AerSimulator
from qiskit_aer.backends.name_mapping import NAME_MAPPING

import qprovider_local as plugin
from qprovider_core._target import build_target
from qprovider_core.records import BackendRef
from qprovider_local._methods import MAX_SHOTS, METHODS

names = pytest.mark.parametrize("name", sorted(METHODS))
# Aer's own tools beside circuits' instructions: noise and things to save or set.
AER_ONLY = {"roerror", "qerror_loc", "quantum_channel"}


def aer(name: str) -> AerSimulator:
    return AerSimulator(method=METHODS[name].name)


def aer_instructions(name: str) -> set[str]:
    listed = set(aer(name).configuration().basis_gates)
    kept = {word for word in listed if not word.startswith(("save_", "set_"))} - AER_ONLY
    # Aer lists rz for its stabilizer methods, and refuses most angles once a job runs: we leave it out.
    return kept - {"rz"} if name.endswith("stabilizer") else kept


@names
def test_the_names_are_aers(name):
    assert aer(name).name == name


@names
def test_gates_and_other_instructions_are_those_of_the_installed_aer(name):
    method = METHODS[name]
    listed = aer_instructions(name)
    assert set(method.gates) == listed - {"measure", "reset", "delay", *method.more}
    assert {*method.gates, *method.more} == listed - {"measure", "reset", "delay"}


@names
def test_the_width_is_what_aer_derives_from_the_machine(name):
    assert METHODS[name].num_qubits == aer(name).num_qubits


def test_the_shots_limit_is_aers():
    assert aer("aer_simulator").configuration().max_shots == MAX_SHOTS


@names
def test_the_configuration_makes_a_target_without_places_that_holds_all_that_qiskit_can_name(name, local):
    ref = BackendRef(name=name)
    configuration = plugin.qprovider_backend_configuration(connection=local.connection, backend=ref)
    target = build_target(configuration, None)
    aers = aer(name).target
    named = {word for word in aer_instructions(name) if word in aers.operation_names}
    unnamed = {word for word in named if word in NAME_MAPPING and "qiskit_aer" in str(NAME_MAPPING[word])}
    missing = named - unnamed - set(target.operation_names)
    # Qiskit has no instruction of these names that stands alone.
    assert missing <= {"cu2", "mcu", "mcu1", "mcx_gray", "kraus", "superop"}
    assert {"measure", "reset", "delay"} <= set(target.operation_names)
    assert target.num_qubits == aers.num_qubits
    assert target.build_coupling_map() is None
    assert all(target[operation] in (None, {None: None}) for operation in target.operation_names)

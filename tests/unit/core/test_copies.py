"""Copying and pickling what users hold."""

import copy
import pickle

import pytest
from qiskit import QuantumCircuit
from qiskit.result import Result, marginal_counts

import qprovider_core as qp

LOCAL = "local:aer_simulator"


@pytest.fixture(scope="module")
def backend():
    return qp.get_backend(LOCAL)


@pytest.fixture
def circuit():
    made = QuantumCircuit(2, 2)
    made.x(0)
    made.measure([0, 1], [0, 1])
    return made


def test_a_copied_handle_has_options_of_its_own_and_runs(backend, circuit):
    copied = copy.deepcopy(backend)
    copied.set_options(shots=7)
    assert backend.options.shots is None
    assert copied.run(circuit).result().get_counts() == {"01": 7}
    assert copied.provider is backend.provider


def test_a_pickled_handle_is_opened_anew(backend, circuit):
    again = pickle.loads(pickle.dumps(backend))
    assert again.full_name == LOCAL
    assert again.run(circuit, shots=5).result().get_counts() == {"01": 5}


def test_an_account_of_its_own_credentials_does_not_travel():
    with qp.open_account("local", all_devices=True) as account, pytest.raises(qp.InvalidInputError, match="travel"):
        pickle.dumps(account)


def test_a_list_and_what_it_rejected_travel():
    listed = qp.list_backends(provider="local", num_qubits=5)
    again = pickle.loads(pickle.dumps(listed))
    assert again == listed
    assert list(again.rejected) == list(listed.rejected) != []


def test_qiskit_may_change_a_result(backend, circuit):
    result = backend.run(circuit, shots=10, memory=True).result()
    small = marginal_counts(result, [0])
    assert small.get_counts() == {"1": 10}
    assert small.get_memory() == ["1"] * 10
    assert result.get_counts() == {"01": 10}
    changed = copy.deepcopy(result)
    changed.results[0].data.counts = {"0x2": 3}
    assert changed.get_counts() == {"10": 3}
    assert Result.from_dict(result.to_dict()).get_counts() == {"01": 10}


def test_an_account_takes_the_full_names_that_it_tells(backend):
    with qp.open_account("local") as account:
        assert account.get_backend(LOCAL).full_name == LOCAL

"""What people write: the retired provider's order of arguments, numpy's values, wrong types, copies and pickles.

Each either works as it did or is a clear error before anything is sent.
"""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.primitives import PrimitiveResult

from qprovider_core.errors import CircuitError, InvalidInputError, UnknownOptionError
from qprovider_ibm import IBMEstimator, IBMProvider, IBMSampler

SECRET_FREE = "which do not travel"


@pytest.fixture
def saved(emulator) -> Any:
    """A provider over the saved account, which can be opened again elsewhere."""
    IBMProvider.save_account(emulator.api_key, instance="premium-eu")
    with IBMProvider() as provider:
        yield provider


@pytest.fixture
def simulator(provider):
    return provider.get_backend("ibmq_qasm_simulator")


# ------------------------------------------------------------------------------------- instances and backends


@pytest.mark.parametrize("instance", [5, "", ["open-main"]])
def test_what_is_no_instance_is_refused_in_every_call(provider, emulator, instance):
    for call in (
        lambda: provider.backends(instance=instance),
        lambda: provider.get_backend("ibmq_belem", instance=instance),
        lambda: provider.jobs(instance=instance),
        lambda: provider.retrieve_job("x", instance),
        lambda: provider.usage(instance),
    ):
        with pytest.raises(InvalidInputError, match="the CRN or the name of an instance"):
            call()
    assert emulator.requests() == []


def test_a_hub_group_project_for_one_call_is_refused_as_such(provider):
    with pytest.raises(InvalidInputError, match="hub/group/project of the retired service") as caught:
        provider.backends(instance="ibm-q/open/main")
    assert "open-main, premium-eu" in str(caught.value)
    assert "Did you mean" not in str(caught.value)


def test_auto_stands_for_all_instances_in_every_call(emulator):
    with IBMProvider(emulator.api_key) as provider:
        assert len(provider.backends(instance="auto")) == len(provider.backends())
        assert provider.get_backend("ibmq_belem", instance="auto").instance == provider.active_instances()[0].id
        assert provider.usage("auto").limit_s == provider.usage().limit_s
        provider.jobs(instance="auto")


def test_a_name_that_is_no_text_is_refused(provider):
    for call in (provider.get_backend, provider.account.get_backend):
        with pytest.raises(InvalidInputError, match="A backend's name is a text, not 5"):
            call(5)


def test_the_second_argument_of_get_backend_may_be_the_instance(provider, emulator):
    backend = provider.get_backend("ibmq_belem", "open-main")
    assert backend.instance == emulator.instances["open-main"]


def test_numpys_values_are_criteria(provider):
    found = provider.backends(simulator=np.bool_(False), operational=np.True_, min_num_qubits=np.int64(100))
    assert {backend.name for backend in found} == {"ibm_sherbrooke", "ibm_torino", "ibm_boston"}


# ------------------------------------------------------------------------------------------------- calibration


def test_properties_take_the_retired_providers_order(provider):
    belem = provider.get_backend("ibmq_belem")
    assert belem.properties(False, datetime(2000, 1, 1, tzinfo=UTC)) is None
    assert belem.properties(True, datetime.now(UTC)) == belem.properties()
    assert belem.defaults(refresh=True) is None


def test_qubits_may_be_numpys_and_what_is_none_is_refused(provider):
    calibration = provider.get_backend("ibmq_belem").properties()
    assert calibration.gate_error("cx", np.array([0, 1])) == calibration.gate_error("cx", [0, 1])
    assert calibration.gate_length("sx", np.int64(2)) == calibration.gate_length("sx", [2])
    for wrong in (None, "01", 1.5):
        with pytest.raises(InvalidInputError, match="Qubits are a number or a list of numbers"):
            calibration.gate_error("cx", wrong)


def test_only_circuits_are_checked_for_faulty_qubits(provider):
    with pytest.raises(CircuitError, match="takes a QuantumCircuit, not a str"):
        provider.get_backend("ibmq_belem").check_faulty("circuit")


# ------------------------------------------------------------------------------------------------------ running


def test_circuits_may_come_from_a_generator(simulator, bell):
    result = simulator.run((bell for _ in range(3)), shots=10).result()
    assert len(result.results) == 3


def test_circuits_under_both_words_are_refused(simulator, bell, emulator):
    emulator.clear_requests()
    with pytest.raises(InvalidInputError, match="two words for the same"):
        simulator.run(bell, circuits=bell)
    assert [request["path"] for request in emulator.requests() if request["method"] == "POST"] == []


def test_options_that_are_gone_may_be_there_as_none(simulator, bell):
    job = simulator.run(circuits=bell, shots=10, dynamic=None, header=None, init_circuit=None, use_measure_esp=None)
    assert sum(job.result().get_counts().values()) == 10


@pytest.mark.parametrize(
    ("option", "instead"),
    [("resilience_level", r"backend\.estimator\("), ("optimization_level", r"transpile\(circuit, backend")],
)
def test_options_of_other_calls_say_where_they_belong(simulator, bell, option, instead):
    with pytest.raises(UnknownOptionError, match=instead):
        simulator.run(bell, **{option: 1})


@pytest.mark.parametrize("kind", [IBMSampler, IBMEstimator])
def test_a_primitive_takes_a_backend_and_no_name(kind):
    with pytest.raises(InvalidInputError, match="takes a backend, not 'ibmq_belem'"):
        kind("ibmq_belem")
    with pytest.raises(InvalidInputError, match="takes a backend, not None"):
        kind()


@pytest.mark.parametrize("kind", [IBMSampler, IBMEstimator])
def test_a_primitive_takes_its_backend_as_mode_too(kind, simulator):
    assert kind(mode=simulator, options={"default_shots": 10}).backend() is simulator


# ------------------------------------------------------------------------------------------- copies and pickles


def test_jobs_are_copied_and_pickled_without_the_key(saved, bell, emulator):
    simulator = saved.get_backend("ibmq_qasm_simulator")
    job = simulator.run([bell, bell], shots=50, seed_simulator=3)
    counts = job.result().get_counts()
    for other in (copy.copy(job), copy.deepcopy({"of": [job]})["of"][0], pickle.loads(pickle.dumps(job))):
        assert type(other) is type(job)
        assert other.job_id() == job.job_id()
        assert other.result().get_counts() == counts
    assert emulator.api_key.encode() not in pickle.dumps(job)
    assert pickle.loads(pickle.dumps(job)).backend().name == simulator.name


def test_a_waiting_job_that_was_pickled_is_followed_to_its_end(saved, bell):
    job = pickle.loads(pickle.dumps(saved.get_backend("ibmq_qasm_simulator").run(bell, shots=10)))
    job.wait_for_final_state(60)
    assert job.done()
    assert [circuit.num_qubits for circuit in job.circuits()] == [2]


def test_jobs_of_primitives_and_composite_jobs_travel_too(saved, bell):
    simulator = saved.get_backend("ibmq_qasm_simulator")
    sampled = pickle.loads(pickle.dumps(simulator.sampler().run([bell], shots=10)))
    assert isinstance(sampled.result(), PrimitiveResult)
    assert sampled.result()[0].data.c.num_shots == 10
    composite = simulator.run([bell] * 3, shots=10, max_circuits_per_job=2)
    assert len(pickle.loads(pickle.dumps(composite)).result().results) == 3
    assert copy.deepcopy(composite) is composite


def test_an_account_of_arguments_does_not_travel(simulator, bell):
    job = simulator.run(bell, shots=10)
    for thing in (simulator, job):
        with pytest.raises(InvalidInputError, match=SECRET_FREE):
            pickle.dumps(thing)


# ----------------------------------------------------------------------------------------------------- accounts


def test_an_argument_that_there_is_not_is_named_with_the_call(emulator):
    with pytest.raises(TypeError, match=r"IBMProvider\.save_account\(\) got an unexpected keyword argument 'filename'"):
        IBMProvider.save_account(emulator.api_key, filename="accounts.json")
    assert IBMProvider.saved_accounts() == {}


def test_a_pause_that_is_none_is_named_as_such(simulator, bell):
    with pytest.raises(InvalidInputError, match="wait is a number of seconds"):
        simulator.run(bell, shots=5).wait_for_final_state(60, wait=-1)


def test_numpys_seconds_are_a_timeout(simulator):
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    assert simulator.run(circuit, shots=np.int64(5)).result(timeout=np.int64(60)).get_counts() == {"0": 5}


@pytest.mark.parametrize(
    "proxies",
    [
        {"https": "http://ann:very-private@proxy:8080"},
        {"urls": {"https": "http://ann:very-private@proxy:8080"}},
        {"urls": {"https": "http://proxy:8080"}, "username_ntlm": "ann", "password_ntlm": "very-private"},
    ],
)
def test_who_signs_in_at_a_proxy_may_stand_in_its_address_and_is_kept_masked(emulator, proxies):
    IBMProvider.save_account(emulator.api_key, proxies=proxies)
    (saved,) = IBMProvider.saved_accounts().values()
    assert saved["proxies"] == {"https": "http://proxy:8080"}
    assert saved["proxy_username"] == "ann"
    assert saved.get("proxy_ntlm", False) is ("username_ntlm" in proxies)
    assert "very-private" not in repr(saved)


@pytest.mark.parametrize(
    ("proxies", "words"),
    [
        ({"https": 8080}, "not of the form"),
        ({"urls": ["http://proxy"]}, "not of the form"),
        ({"https": "ann:very-private@proxy:8080"}, "cannot be read"),
        ({"urls": {"https": "http://ann:very-private@proxy:1"}, "username_ntlm": "bob"}, "several users"),
        ({"urls": {}, "user": "ann"}, "unknown key 'user'"),
    ],
)
def test_proxies_of_another_form_are_refused_without_their_password(emulator, proxies, words):
    with pytest.raises(InvalidInputError, match=words) as caught:
        IBMProvider.save_account(emulator.api_key, proxies=proxies)
    assert "very-private" not in str(caught.value)
    assert caught.value.__context__ is None

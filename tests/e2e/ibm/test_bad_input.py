"""Bad input: a clear error that says what, why and what to do, before a job is sent; and no secret in any of it."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import logging
import math
import os
import pickle
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Gate, Parameter

from qprovider_core.errors import (
    AuthenticationError,
    CircuitError,
    ConfigurationError,
    InvalidInputError,
    JobFailedError,
    QProviderError,
    TransportError,
    UnknownBackendError,
    UnknownOptionError,
)
from qprovider_ibm import IBMProvider
from qprovider_ibm.emulator import Emulator

FOREIGN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef:1111-2222::"
OLD_TOKEN = "0123456789abcdef" * 8


def sent(emulator: Emulator) -> list[str]:
    """Methods and paths of the requests since the last time."""
    seen = [f"{one['method']} {one['path']}" for one in emulator.requests()]
    emulator.clear_requests()
    return seen


@pytest.fixture
def refused(emulator) -> Callable[..., QProviderError]:
    """Call something that must be refused before a job is sent, and give the error."""

    def check(kind: type[QProviderError], call: Callable[[], Any], *words: str) -> QProviderError:
        emulator.clear_requests()
        with pytest.raises(kind) as caught:
            call()
        assert "POST /api/v1/jobs" not in sent(emulator)
        for word in words:
            assert word in str(caught.value)
        return caught.value

    return check


# ------------------------------------------------------------------------------------ keys and instances


def test_a_wrong_key(emulator, refused):
    def opened() -> None:
        IBMProvider("a-key-that-nobody-was-given-0123456789", instance=emulator.instances["open-main"])

    error = refused(AuthenticationError, opened, "does not accept this API key", "Provided API key could not be found")
    assert (error.code, error.status) == ("BXNIM0415E", 400)
    assert error.trace
    assert error.hint.startswith("Create an API key at https://quantum.cloud.ibm.com")


def test_a_token_of_the_retired_service_is_known_by_its_form(emulator, refused):
    error = refused(
        ConfigurationError, lambda: IBMProvider(OLD_TOKEN), "retired IBM Quantum service", "create an API key"
    )
    assert OLD_TOKEN not in str(error)
    assert sent(emulator) == []


@pytest.mark.parametrize("key", ["with a space", "with\na break", "wïth", ""])
def test_a_key_that_can_be_none_is_sent_nowhere(emulator, refused, key):
    refused(ConfigurationError, lambda: IBMProvider(key), "token")
    assert sent(emulator) == []


def test_a_foreign_crn_shows_at_once(emulator, refused):
    def opened() -> None:
        IBMProvider(emulator.api_key, instance=FOREIGN)

    error = refused(AuthenticationError, opened, FOREIGN, "cannot be used with this API key", "You are not authorized")
    assert (error.code, error.status) == ("1200", 403)
    assert "Check the CRN with provider.instances()" in error.hint
    assert error.trace in error.why


def test_a_foreign_crn_for_one_call(provider, refused):
    for call in (
        lambda: provider.backends(instance=FOREIGN),
        lambda: provider.jobs(instance=FOREIGN),
        lambda: provider.retrieve_job("d0123456789", instance=FOREIGN),
        lambda: provider.usage(FOREIGN),
    ):
        refused(AuthenticationError, call, "You are not authorized to use this instance", "Verify the instance's CRN")
    assert len(provider.backends()) == 6


@pytest.mark.parametrize(
    ("crn", "word"),
    [
        ("crn:v1:bluemix", "is not a whole CRN"),
        (
            FOREIGN.replace("quantum-computing", "cloud-object-storage"),
            "is the CRN of an instance of cloud-object-storage",
        ),
        (FOREIGN + "\n", "has a space or a line break in it"),
        (FOREIGN.replace("us-east", "evil.example/"), "has no region"),
    ],
)
def test_what_is_no_crn_of_an_instance_is_sent_nowhere(emulator, refused, crn, word):
    refused(ConfigurationError, lambda: IBMProvider(emulator.api_key, instance=crn), word)
    assert sent(emulator) == []


@pytest.fixture(scope="module")
def doubled() -> Iterator[Emulator]:
    with Emulator(duplicate_name=True, backends=2) as emulator:
        yield emulator


def test_an_ambiguous_instance_name_lists_the_choices(doubled):
    def settings(name: str) -> dict[str, Any]:
        return {"instance": name, "endpoints": doubled.endpoints()}

    with pytest.raises(InvalidInputError, match="Several instances of this account are called 'team'") as caught:
        IBMProvider(doubled.api_key, **settings("team"))
    assert caught.value.why.count("crn:v1:bluemix") == 2
    assert "premium, us-east" in caught.value.why
    assert "pay-as-you-go, eu-de" in caught.value.why
    assert caught.value.hint == "Give the CRN of the one you mean as instance=."
    with IBMProvider(doubled.api_key, region="eu-de", **settings("team")) as provider:  # or say more of it
        assert [(one.name, one.region) for one in provider.active_instances()] == [("team", "eu-de")]
    with (
        IBMProvider(doubled.api_key, **settings("open-main")) as provider,
        pytest.raises(InvalidInputError, match="Several instances"),
    ):
        provider.backends(instance="team")


def test_an_unknown_instance_name_has_near_matches(emulator, refused):
    def opened() -> None:
        IBMProvider(emulator.api_key, instance="open-mian")

    refused(
        InvalidInputError,
        opened,
        "no instance called 'open-mian'",
        "open-main, premium-eu",
        "Did you mean 'open-main'?",
    )


# --------------------------------------------------------------------------------------------- backends


def test_a_retired_backend(provider, refused):
    error = refused(
        UnknownBackendError, lambda: provider.get_backend("ibmq_lima"), "ibmq_lima", "may have been retired"
    )
    assert error.hint
    far = refused(UnknownBackendError, lambda: provider.get_backend("zzz"), "may have been retired")
    assert "ibmq_belem" in far.hint


def test_a_backend_that_is_retired_between_listing_and_use(gateway, emulator, bell):
    """Its handle is there, and the service does not know it any more."""

    def gone(method: str, path: str, answer: Any) -> Any:
        if "ibmq_qasm_simulator" not in path:
            return answer
        errors = [{"code": 1007, "message": "Backend ibmq_qasm_simulator not found.", "solution": "Choose another."}]
        return 404, {}, json.dumps({"errors": errors, "trace": "t1"}).encode()

    places = {**emulator.endpoints(), "api": f"{gateway(gone).base}/api/v1"}
    with IBMProvider(emulator.api_key, instance=emulator.instances["premium-eu"], endpoints=places) as provider:
        backend = provider.backends("ibmq_qasm_simulator")[0]
        emulator.clear_requests()
        with pytest.raises(UnknownBackendError, match="no backend 'ibmq_qasm_simulator'") as caught:
            backend.run(bell)
    assert (caught.value.code, caught.value.trace) == ("1007", "t1")
    assert "may have been retired" in caught.value.hint
    assert "POST /api/v1/jobs" not in sent(emulator)


# --------------------------------------------------------------------------------------------- circuits


@pytest.fixture
def belem(provider) -> Any:
    return provider.get_backend("ibmq_belem")


def measured(qubits: int = 5) -> QuantumCircuit:
    circuit = QuantumCircuit(qubits, 1, name="mine")
    circuit.sx(0)
    circuit.measure(0, 0)
    return circuit


def test_a_circuit_that_is_too_wide(belem, refused):
    error = refused(CircuitError, lambda: belem.run(measured(6)), "'mine'", "has 6 qubits", "ibmq_belem has 5")
    assert "min_num_qubits=6" in error.hint
    refused(CircuitError, lambda: belem.run([measured(), measured(6)]), "Circuit 1")
    refused(CircuitError, lambda: belem.transpile(measured(6)), "has 6 qubits")


def test_a_circuit_that_is_not_in_the_backends_gates(belem, refused, bell):
    error = refused(CircuitError, lambda: belem.run(bell), "instruction 'h'", "ibmq_belem does not have", "It has: cx")
    assert error.hint == "Transpile it for this backend first: transpile(circuit, backend)."
    apart = QuantumCircuit(5, 1)
    apart.cx(0, 4)
    apart.measure(0, 0)
    refused(CircuitError, lambda: belem.run(apart), "no cx on qubits 0, 4", "Transpile it")
    refused(CircuitError, lambda: belem.sampler().run([bell]), "instruction 'h'", "Transpile it")


def test_a_gate_that_nobody_knows(belem, provider, refused):
    circuit = QuantumCircuit(1, 1)
    circuit.append(Gate("mystery", 1, []), [0])
    circuit.measure(0, 0)
    refused(CircuitError, lambda: belem.run(circuit), "instruction 'mystery'", "does not have")
    simulator = provider.get_backend("ibmq_qasm_simulator")
    refused(CircuitError, lambda: simulator.run(circuit), "instruction 'mystery'", "does not have")
    refused(CircuitError, lambda: belem.transpile(circuit), "mystery", "Define the gate")


def test_control_flow_on_a_device_without_it(belem, refused):
    circuit = QuantumCircuit(2, 1)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.x(1)
    refused(CircuitError, lambda: belem.run(circuit), "'if_else'", "does not have")
    refused(CircuitError, lambda: belem.transpile(circuit), "least_busy(dynamic_circuits=True)")


@pytest.mark.parametrize(
    ("name", "word"), [("class", "Python language"), ("a b", "letters"), ("items", "needs that name")]
)
def test_a_register_whose_name_the_result_cannot_have(belem, refused, name, word):
    circuit = QuantumCircuit(1)
    circuit.add_register(ClassicalRegister(1, name))
    circuit.measure(0, 0)
    refused(CircuitError, lambda: belem.run(circuit), repr(name), word, "another name")


def test_a_circuit_that_measures_nothing(belem, refused):
    refused(CircuitError, lambda: belem.run(QuantumCircuit(1)), "measures nothing", "measure_all")


@pytest.mark.parametrize("wrong", [[], "OPENQASM 3.0;", 7, [3]])
def test_what_is_no_circuit(belem, refused, wrong):
    refused(CircuitError, lambda: belem.run(wrong))
    refused(InvalidInputError, lambda: belem.run(), "nothing to run", "Pass a circuit")


def test_a_noise_model_for_a_device(belem, refused):
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    words = "takes no noise_model", "provider.backends(simulator=True)"
    refused(InvalidInputError, lambda: belem.run(circuit, noise_model={"errors": []}), *words)
    sampler = belem.sampler(options={"simulator": {"noise_model": {"errors": []}}})
    refused(InvalidInputError, lambda: sampler.run([circuit]), *words)


class TestRzz:
    """Angles outside 0 to pi/2: as numbers, bound, and somewhere in a sweep."""

    @pytest.fixture
    def torino(self, provider) -> Any:
        return provider.get_backend("ibm_torino", use_fractional_gates=True)

    @staticmethod
    def circuit(angle: Any) -> QuantumCircuit:
        circuit = QuantumCircuit(2, 2)
        circuit.rzz(angle, 0, 1)
        circuit.measure([0, 1], [0, 1])
        return circuit

    @pytest.mark.parametrize("angle", [-0.1, 2.0, math.nan])
    def test_fixed(self, torino, refused, angle):
        run = lambda: torino.run(self.circuit(angle))  # noqa: E731
        refused(CircuitError, run, f"rzz({angle:g})", "from 0 to pi/2", "Bind the parameters before you transpile")

    def test_bound(self, torino, refused):
        theta = Parameter("theta")
        circuit = self.circuit(2 * theta)
        refused(CircuitError, lambda: torino.run(circuit, parameter_binds=[{theta: 1.0}]), "rzz(2) with theta=1")
        refused(CircuitError, lambda: torino.run(circuit.assign_parameters([1.0])), "rzz(2)")

    def test_in_a_sweep(self, torino, refused):
        theta = Parameter("theta")
        circuit = self.circuit(theta)
        values = [0.1, 0.2, 1.58, 0.3]
        refused(CircuitError, lambda: torino.run(circuit, parameter_binds=[{theta: values}]), "theta=1.58")
        refused(CircuitError, lambda: torino.sampler().run([(circuit, values)]), "theta=1.58")
        refused(CircuitError, lambda: torino.run([measured(2), circuit], parameter_binds=[{theta: 3.0}]), "rzz(3)")

    def test_the_ends_of_the_range_are_inside(self, torino, emulator):
        theta = Parameter("theta")
        torino.run(self.circuit(theta), shots=1, parameter_binds=[{theta: [0.0, math.pi / 2]}]).cancel()
        assert "POST /api/v1/jobs" in sent(emulator)


def test_a_faulty_qubit(provider, emulator, refused):
    emulator.fault("faulty_qubit", backend="ibmq_belem", qubit=0)
    backend = provider.get_backend("ibmq_belem")
    for run in (lambda: backend.run(measured()), lambda: backend.sampler().run([measured()])):
        error = refused(CircuitError, run, "uses qubit 0", "reports as faulty")
        assert "chooses qubits that work" in error.hint


def test_a_qubit_that_became_faulty_after_the_calibration_was_read(belem, emulator):
    belem.target  # noqa: B018
    emulator.fault("faulty_qubit", backend="ibmq_belem", qubit=0)
    job = belem.run(measured())
    with pytest.raises(JobFailedError, match="faulty qubit 0") as caught:
        job.result()
    assert caught.value.code == "1517"
    assert caught.value.hint


# ----------------------------------------------------------------------------------------------- options


def test_too_many_tags(belem, refused):
    error = refused(InvalidInputError, lambda: belem.run(measured(), job_tags=list("abcdefgh")), "at most 7", "8")
    assert "one carries the job's key" in error.why
    assert error.hint.startswith("Leave some out")
    named = refused(
        InvalidInputError, lambda: belem.run(measured(), job_tags=list("abcdefg"), name="n"), "takes another"
    )
    assert named.hint == "Give at most 6."


def test_seven_tags_of_86_characters_are_taken(belem, provider):
    tags = [f"{number}".ljust(86, "x") for number in range(7)]
    job = belem.run(measured(), shots=1, job_tags=tags)
    assert provider.retrieve_job(job.job_id()).tags() == tags


def test_tags_that_cannot_be_set_on_a_job(provider, belem, emulator):
    job = belem.run(measured(), shots=1, job_tags=["kept"])
    emulator.clear_requests()
    for wrong in (list("abcdefgh"), ["x" * 87], "text", [1], None):
        with pytest.raises(InvalidInputError):
            job.update_tags(wrong)
    assert not [one for one in sent(emulator) if one.startswith("PUT")]
    assert provider.retrieve_job(job.job_id()).tags() == ["kept"]


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (["x" * 87], ["at most 86 characters", "has 87", "Shorten"]),
        ("text", ["list of texts"]),
        ([""], ["non-empty"]),
        (["name:x"], ["kept for the job's key and name", "name="]),
        (["qprovider:x"], ["kept for the job's key and name"]),
    ],
)
def test_tags_that_are_none(belem, refused, tags, words):
    refused(InvalidInputError, lambda: belem.run(measured(), job_tags=tags), *words)


def test_a_name_that_is_too_long(belem, refused):
    refused(InvalidInputError, lambda: belem.run(measured(), name="x" * 82), "at most 81 characters", "as a tag")


@pytest.mark.parametrize("shots", [0, -1, 1.5, "10", True])
def test_shots_that_are_none(belem, refused, shots):
    refused(InvalidInputError, lambda: belem.run(measured(), shots=shots), "whole number of at least 1", repr(shots))


def test_shots_over_the_limit(belem, refused):
    error = refused(InvalidInputError, lambda: belem.run(measured(), shots=8193), "at most 8192 shots", "8193")
    assert error.hint
    refused(InvalidInputError, lambda: belem.sampler().run([measured()], shots=8193), "8192")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("rep_delay", 100, ["seconds", "looks like microseconds"]),
        ("max_execution_time", 10801, ["1 to 10800"]),
        ("dynamical_decoupling", {"sequence_type": "XY5"}, ["'XY4'", "'XY5'"]),
        ("twirling", {"enable_gate": True}, ["enable_gates"]),
        ("meas_level", 0, ["raw readout", "ended"]),
        ("private", "yes", ["private"]),
        ("log_level", "loud", ["log_level"]),
    ],
)
def test_values_that_an_option_does_not_take(belem, refused, option, value, words):
    refused(InvalidInputError, lambda: belem.run(measured(), **{option: value}), *words)


def test_an_option_that_nobody_knows(belem, refused):
    refused(
        UnknownOptionError,
        lambda: belem.run(measured(), dynamical_decupling=True),
        "Did you mean 'dynamical_decoupling'?",
    )


# ------------------------------------------------------------------------------------------------- dates


@pytest.fixture
def denver(monkeypatch) -> Iterator[dt.timezone]:
    """Local time is seven hours behind UTC."""
    monkeypatch.setenv("TZ", "XXX+7")
    time.tzset()
    yield dt.timezone(dt.timedelta(hours=-7))
    monkeypatch.undo()
    time.tzset()


def test_naive_dates_are_local_time(provider, emulator, denver):
    provider.jobs(start_datetime=dt.datetime(2026, 1, 31, 20, 0), end_datetime=dt.datetime(2026, 2, 1))
    provider.jobs(created_after="2026-01-31T20:00", created_before=dt.datetime(2026, 2, 2, tzinfo=dt.UTC))
    first, second = (one["query"] for one in emulator.requests())
    assert "created_after=2026-02-01T03:00:00Z" in first
    assert "created_before=2026-02-01T07:00:00Z" in first
    assert "created_after=2026-02-01T03:00:00Z" in second
    assert "created_before=2026-02-02T00:00:00Z" in second
    assert "local time" in IBMProvider.jobs.__doc__


def test_naive_dates_of_calibrations_are_local_time(belem, emulator, denver):
    newest = belem.properties().last_update_date
    naive = newest.astimezone(denver).replace(tzinfo=None)
    emulator.clear_requests()
    before = belem.properties(datetime=naive)
    after = belem.properties(datetime=naive + dt.timedelta(seconds=1))
    assert before.last_update_date == newest - dt.timedelta(days=1)
    assert after.last_update_date == newest
    assert belem.target_history(datetime=naive).num_qubits == 5
    expected = f"updated_before={newest:%Y-%m-%dT%H:%M:%S}Z"
    assert emulator.requests()[0]["query"] == expected


def test_a_job_is_found_by_the_local_time_of_its_creation(provider, belem, denver):
    job = belem.run(measured(), shots=1, job_tags=["by local time"])
    created = job.creation_date().astimezone(denver).replace(tzinfo=None)
    found = provider.jobs(job_tags=["by local time"], start_datetime=created, end_datetime=created)
    assert [one.job_id() for one in found] == [job.job_id()]


@pytest.mark.parametrize("wrong", ["yesterday", 20260131, dt.date(2026, 1, 31)])
def test_what_is_no_time(provider, refused, belem, wrong):
    refused(InvalidInputError, lambda: provider.jobs(created_after=wrong), "created_after")
    refused(InvalidInputError, lambda: provider.jobs(end_datetime=wrong), "end_datetime")
    refused(InvalidInputError, lambda: belem.properties(datetime=wrong), "datetime")


# ------------------------------------------------------------------------------- addresses in the environment

OLD_HOST = "https://auth.quantum-computing.ibm.com/api"


@pytest.mark.parametrize(
    ("variable", "address", "words"),
    [
        ("QISKIT_IBM_URL", OLD_HOST, ["auth.quantum-computing.ibm.com is a host of the retired", "unset"]),
        (
            "QISKIT_IBM_URL",
            "https://quantum.cloud.ibm.com/api/v1",
            ["is the Quantum API itself", "https://cloud.ibm.com"],
        ),
        ("QPROVIDER_IBM_API_URL", "https://api.quantum-computing.ibm.com/api/v1", ["retired", "unset"]),
        ("QPROVIDER_IBM_API_URL", "http://127.0.0.1:8080", ["ends in /api/v1"]),
        ("QPROVIDER_IBM_API_URL", "http://quantum.cloud.ibm.com/api/v1", ["unencrypted", "use https"]),
        ("QPROVIDER_IBM_API_URL", "ftp://127.0.0.1/api/v1", ["begins with https://"]),
        ("QPROVIDER_IBM_IAM_URL", "http://iam.cloud.ibm.com", ["unencrypted", "use https"]),
        ("QPROVIDER_IBM_IAM_URL", "http://10.0.0.7:8080", ["unencrypted"]),
        ("QPROVIDER_IBM_SEARCH_URL", "http://search.example", ["unencrypted"]),
        ("QPROVIDER_IBM_CATALOG_URL", "http://catalog.example", ["unencrypted"]),
        ("QPROVIDER_IBM_RESOURCE_CONTROLLER_URL", "https://user:word@host.example", ["user name or password"]),
    ],
)
def test_a_stale_or_wrong_address_in_the_environment(emulator, refused, monkeypatch, variable, address, words):
    monkeypatch.setenv(variable, address)
    monkeypatch.setenv("QISKIT_IBM_TOKEN", emulator.api_key)
    monkeypatch.setenv("QISKIT_IBM_INSTANCE", emulator.instances["open-main"])
    error = refused(ConfigurationError, IBMProvider, variable, *words)
    assert "user:word" not in str(error)
    assert sent(emulator) == []
    if variable != "QISKIT_IBM_URL":  # that one belongs to the environment's own account
        given = refused(ConfigurationError, lambda: IBMProvider(emulator.api_key), variable, words[0])
        assert f"Unset {variable}" in given.hint
        assert sent(emulator) == []


def test_a_stale_address_does_not_reach_an_account_of_arguments(emulator, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_URL", OLD_HOST)
    with IBMProvider(emulator.api_key, instance=emulator.instances["open-main"]) as provider:
        assert provider.active_account()["url"] == "https://cloud.ibm.com"


def test_an_address_of_the_retired_service_as_an_argument(emulator, refused):
    refused(ConfigurationError, lambda: IBMProvider(emulator.api_key, OLD_HOST), "retired", "leave url out")


def test_wrong_endpoints_as_an_argument(emulator, refused):
    for places, word in (
        ({"aip": "https://x.example/api/v1"}, "did you mean 'api'?"),
        ({"api": "http://x.example/api/v1"}, "unencrypted"),
        ({"api": "https://x.example"}, "ends in /api/v1"),
    ):
        refused(ConfigurationError, lambda places=places: IBMProvider(emulator.api_key, endpoints=places), word)


@pytest.mark.parametrize(
    ("channel", "word"),
    [("ibm_quantum", "has been shut down"), ("local", "open the provider 'local'"), ("cloud", "'ibm_cloud'")],
)
def test_a_channel_that_is_none(emulator, refused, channel, word):
    refused(ConfigurationError, lambda: IBMProvider(emulator.api_key, channel=channel), word)


# ----------------------------------------------------------------------------------------------- secrets


def _failing_run(emulator: Emulator) -> tuple[list[str], list[BaseException]]:
    """Much of what can go wrong in one run: what was shown of objects, and what was raised."""
    shown: list[str] = []
    raised: list[BaseException] = []

    def attempt(call: Callable[[], Any]) -> None:
        try:
            shown.append(repr(call()))
        except Exception as exc:
            raised.append(exc)

    provider = IBMProvider(emulator.api_key, instance=emulator.instances["premium-eu"])
    backend = provider.get_backend("ibmq_qasm_simulator")
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    attempt(lambda: IBMProvider(emulator.api_key, instance=FOREIGN))
    attempt(lambda: IBMProvider(emulator.api_key, instance="nowhere"))
    attempt(lambda: IBMProvider(emulator.api_key, OLD_HOST))
    attempt(lambda: IBMProvider(emulator.api_key + " "))
    attempt(lambda: provider.get_backend("nowhere"))
    attempt(lambda: provider.retrieve_job("nowhere"))
    attempt(lambda: backend.run(circuit, shots=0))
    for kind, settings in (
        ("status", {"status": 500, "body": "html"}),
        ("status", {"status": 400}),
        ("status", {"status": 401}),
        ("drop_before", {}),
        ("drop_after", {}),
        ("cut_body", {}),
        ("rate_limit", {"retry_after": 0}),
    ):
        emulator.fault(kind, **settings)
        attempt(lambda: provider.backends().errors)
        attempt(lambda: backend.run(circuit))
        emulator.clear_faults()
    emulator.fault("expire_tokens")
    emulator.fault("job_fails", times=1)
    job = backend.run(circuit)
    attempt(job.result)
    attempt(job.error_message)
    good = backend.run(circuit)
    result = good.result()
    attempt(result.to_dict)
    account = provider.account
    for thing in (
        provider,
        provider.backend,
        backend,
        job,
        good,
        result,
        account,
        account.credentials,
        emulator.state(),
    ):
        shown.append(repr(thing) + str(thing))
        attempt(lambda thing=thing: pickle.dumps(thing))
        attempt(lambda thing=thing: json.dumps(vars(thing), default=repr))
    connection = account.connection()
    shown.append(repr(vars(connection)) + repr(vars(connection.client)) + repr(vars(connection.client._tokens)))
    shown.append(repr(provider.active_account()) + json.dumps(provider.active_account(), default=str))
    IBMProvider.save_account(emulator.api_key, name="saved")
    shown.append(repr(IBMProvider.saved_accounts()))
    return shown, raised


def test_no_output_of_a_failing_run_shows_a_secret(emulator, capfd, caplog, monkeypatch):
    monkeypatch.setattr("qprovider_ibm._http._BACKOFF_S", (0.0,))
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "0.2")
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    caplog.set_level(logging.DEBUG)
    shown, raised = _failing_run(emulator)
    assert len(raised) > 15
    reports = []  # a list of its own: the frames hold the other one
    for exc in raised:
        reports.append("".join(traceback.TracebackException.from_exception(exc, capture_locals=True).format()))
        reports.append(f"{exc!r} {exc} {vars(exc)} {exc.args}")
        if isinstance(exc, QProviderError):
            reports.append(repr(pickle.dumps(exc)))
    captured = capfd.readouterr()
    text = "\n".join(
        [*shown, *reports, captured.out, captured.err, caplog.text, *(repr(vars(one)) for one in caplog.records)]
    )
    assert "/api/v1/backends" in caplog.text  # the libraries did speak
    for secret in emulator.api_keys:
        assert secret not in text
    assert "eyJ" not in text  # how every bearer token begins
    assert "Bearer " not in text.replace("'Bearer '", "")


SCRIPT = """
import http.client, logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
http.client.HTTPConnection.debuglevel = 1
from qprovider_ibm import IBMProvider
provider = IBMProvider()
print(provider, provider.active_account(), provider.account.credentials)
print(provider.retrieve_job("nowhere"))
"""


def test_a_script_that_fails_prints_no_secret(emulator, home):
    token = {"QISKIT_IBM_TOKEN": emulator.api_key, "QISKIT_IBM_INSTANCE": emulator.instances["open-main"]}
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", SCRIPT],
        env={**os.environ, **token, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    output = ran.stdout + ran.stderr
    assert "IBM Quantum has no job 'nowhere'" in ran.stderr
    assert "/api/v1/jobs/nowhere" in output
    assert emulator.api_key not in output
    assert "eyJ" not in output


def test_a_server_that_is_not_there_is_named_and_the_key_is_not(emulator, monkeypatch):
    monkeypatch.setattr("qprovider_ibm._http._BACKOFF_S", (0.0,))
    monkeypatch.setenv("QPROVIDER_IBM_IAM_URL", "http://127.0.0.1:9")
    with pytest.raises(TransportError, match=r"127\.0\.0\.1:9 cannot be reached for the token exchange") as caught:
        IBMProvider(emulator.api_key, instance=FOREIGN)
    assert caught.value.__cause__ is not None
    assert emulator.api_key not in "".join(traceback.format_exception(caught.value))
    assert "_QuietConnection(" not in caught.value.what
    assert caught.value.hint == (
        "Its address comes from the environment variable QPROVIDER_IBM_IAM_URL: is it still the right one?"
    )

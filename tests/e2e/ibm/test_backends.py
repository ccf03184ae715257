"""Backends over real sockets: lists and what they cost, `provider.backend`, and what an `IBMBackend` tells."""

from __future__ import annotations

import copy
import datetime as dt
import json
import logging
import pickle
import time
from typing import Any

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.classical import expr
from qiskit.providers import BackendV2

from qprovider_core.errors import (
    CircuitError,
    InvalidInputError,
    NoMatchingBackendError,
    UnknownAttributeError,
    UnknownBackendError,
    UnsupportedError,
)
from qprovider_ibm import IBMProvider, least_busy
from qprovider_ibm.emulator import Emulator

LIST = "GET /api/v1/backends"


def asked(emulator: Emulator) -> list[str]:
    """Methods and paths of the requests since the last time."""
    seen = [f"{one['method']} {one['path']}" for one in emulator.requests()]
    emulator.clear_requests()
    return seen


def names_of(backends: Any) -> list[str]:
    return [backend.name for backend in backends]


DEVICES = ["ibmq_belem", "ibm_hanoi", "ibm_sherbrooke", "ibm_torino", "ibm_boston"]


# ---------------------------------------------------------------------------------- lists, and their cost


def test_all_backends_are_one_request(provider, emulator):
    assert names_of(provider.backends()) == [*DEVICES, "ibmq_qasm_simulator"]
    assert asked(emulator) == [LIST]


def test_the_tutorials_filter_and_least_busy_are_one_request_each(provider, emulator):
    found = provider.backends(min_num_qubits=5, simulator=False, operational=True)
    assert names_of(found) == DEVICES
    assert asked(emulator) == [LIST]
    assert least_busy(found).name == "ibmq_belem"
    assert len(asked(emulator)) <= 1
    emulator.clear_requests()
    chosen = provider.least_busy(min_num_qubits=100, simulator=False, operational=True)
    assert chosen.name == min(found[2:], key=lambda one: one.info.pending_jobs).name
    assert asked(emulator) == [LIST]


def test_a_device_that_is_off_or_paused_is_no_candidate(provider, emulator):
    emulator.fault("backend_status", backend="ibmq_belem", status="offline", reason="calibrating")
    emulator.fault("backend_status", backend="ibm_torino", status="paused", reason="reserved")
    assert "ibmq_belem" in names_of(provider.backends())
    found = provider.backends(simulator=False, operational=True)
    assert "ibmq_belem" not in names_of(found)
    status = provider.get_backend("ibmq_belem").status()
    assert (status.operational, status.status_msg) == (False, "maintenance")
    paused = provider.get_backend("ibm_torino").status()
    assert (paused.operational, paused.status_msg) == (True, "internal")
    emulator.clear_requests()
    assert provider.least_busy(simulator=False, operational=True).name not in ("ibmq_belem", "ibm_torino")
    # Whether a paused one takes jobs, its status call alone says: one more request, for that one.
    assert asked(emulator) == [LIST, "GET /api/v1/backends/ibm_torino/status"]


def test_backends_by_name_pattern_and_facts_of_the_list(provider, emulator):
    assert names_of(provider.backends("ibm_hanoi")) == ["ibm_hanoi"]
    assert names_of(provider.backends(name="ibm_*")) == DEVICES[1:]
    assert names_of(provider.backends(backend_name="ibmq_belem")) == ["ibmq_belem"]
    assert names_of(provider.backends(n_qubits=27)) == ["ibm_hanoi"]
    assert names_of(provider.backends(simulator=True)) == ["ibmq_qasm_simulator"]
    assert names_of(provider.backends(None, lambda backend: backend.num_qubits > 130)) == ["ibm_torino", "ibm_boston"]
    assert asked(emulator) == [LIST] * 6


def test_criteria_on_configurations_ask_for_each_once(provider, emulator):
    assert names_of(provider.backends(dynamic_circuits=True)) == [*DEVICES[1:], "ibmq_qasm_simulator"]
    seen = asked(emulator)
    assert seen[0] == LIST
    assert sorted(seen[1:]) == sorted(f"GET /api/v1/backends/{name}/configuration" for name in all_names())
    assert names_of(provider.backends(min_num_qubits=100, basis_gates=["cz", "id", "rz", "sx", "x"])) == [
        "ibm_torino",
        "ibm_boston",
    ]
    assert len(asked(emulator)) == 4  # the list, and the three that are large enough


def all_names() -> list[str]:
    return [*DEVICES, "ibmq_qasm_simulator"]


def test_a_filter_may_look_at_any_field_of_the_configuration(provider, emulator):
    """The examples of the retired provider's documentation."""
    assert names_of(provider.backends(filters=lambda backend: backend.max_shots > 50000)) == all_names()[1:]
    assert names_of(provider.backends(filters=lambda backend: "cz" in backend.basis_gates)) == [
        "ibm_torino",
        "ibm_boston",
        "ibmq_qasm_simulator",
    ]
    assert names_of(provider.backends(filters=lambda one: one.configuration().n_qubits < 30)) == [
        "ibmq_belem",
        "ibm_hanoi",
    ]
    assert names_of(provider.backends(filters=lambda one: getattr(one, "local", True))) == []
    seen = asked(emulator)
    assert seen.count(LIST) == 4
    assert len(seen) == 4 + 4 * 6
    least = provider.least_busy(filters=lambda one: "ecr" in one.basis_gates and not one.simulator)
    assert least.name == "ibm_sherbrooke"
    one = provider.get_backend(
        filters=lambda backend: not backend.simulator and backend.coupling_map and backend.n_qubits < 6
    )
    assert one.name == "ibmq_belem"


def test_a_filter_over_configurations_asks_for_them_side_by_side():
    with Emulator(backends=40, latency_s=0.25) as emulator:
        settings = {"instance": emulator.instances["premium-eu"], "endpoints": emulator.endpoints()}
        with IBMProvider(emulator.api_key, **settings) as provider:
            started = time.monotonic()
            found = provider.backends(filters=lambda backend: "cz" in backend.basis_gates)
            elapsed = time.monotonic() - started
    assert len(found) > 10
    assert elapsed < 41 * 0.25 / 2  # one after another it would be twice that


def test_a_filter_that_cannot_work_is_refused(provider):
    with pytest.raises(InvalidInputError, match="filters takes a function"):
        provider.backends(filters="simulator")
    with pytest.raises(InvalidInputError, match="failed on every backend.*nonsense"):
        provider.backends(filters=lambda backend: backend.nonsense)


def test_a_criterion_that_no_backend_knows_is_refused_before_anything_is_asked(provider, emulator):
    with pytest.raises(UnknownAttributeError, match="operatonal") as caught:
        provider.backends(operatonal=True)
    assert "operational" in str(caught.value)
    assert asked(emulator) == []


@pytest.mark.parametrize("how", ["bad_json", "missing_fields", "wrong_types", "html", "empty", "not_found"])
def test_one_bad_backend_never_hides_the_others(provider, emulator, caplog, how):
    emulator.fault("corrupt_configuration", backend="ibm_hanoi", how=how)
    assert names_of(provider.backends()) == all_names()
    assert not caplog.records
    found = provider.backends(dynamic_circuits=True)
    told = [text.partition(":")[0] for text in caplog.messages]
    assert told == ([] if how == "missing_fields" else ["ibm_hanoi"])  # what it leaves out is not reported, no more
    assert names_of(found) == ["ibm_sherbrooke", "ibm_torino", "ibm_boston", "ibmq_qasm_simulator"]
    assert any("ibm_hanoi" in str(problem) for problem in [*found.errors, *found.rejected])
    through = provider.backends(filters=lambda backend: backend.max_shots > 50000)
    assert names_of(through) == ["ibm_sherbrooke", "ibm_torino", "ibm_boston", "ibmq_qasm_simulator"]


def test_nothing_that_fits_says_why_for_each(provider):
    with pytest.raises(NoMatchingBackendError) as caught:
        provider.least_busy(min_num_qubits=999)
    assert set(caught.value.reasons) == {f"ibm:{name}" for name in all_names()}
    with pytest.raises(UnknownBackendError, match="num_qubits is 5, wanted num_qubits >= 999"):
        provider.get_backend(min_num_qubits=999)
    with pytest.raises(UnknownBackendError, match="6 backends satisfy"):
        provider.get_backend()


def test_get_backend_by_criteria(provider):
    assert provider.get_backend(simulator=True).name == "ibmq_qasm_simulator"
    assert provider.get_backend(min_num_qubits=150).name == "ibm_boston"


# ---------------------------------------------------------------------------------------- provider.backend


def test_the_tab_key_lists_names_for_one_request(provider, emulator):
    listed = dir(provider.backend)
    assert set(all_names()) <= set(listed)
    assert {"backends", "jobs", "retrieve_job"} <= set(listed)
    assert asked(emulator) == [LIST]


def test_the_tab_key_does_not_fail_without_a_network(provider, emulator, monkeypatch):
    monkeypatch.setattr("qprovider_ibm._http._BACKOFF_S", (0.0,))
    emulator.fault("status", status=500, path="/api/v1/backends")
    assert "retrieve_job" in dir(provider.backend)


def test_an_attribute_opens_the_backend(provider, emulator):
    backend = provider.backend.ibmq_belem
    assert backend.name == "ibmq_belem"
    assert asked(emulator) == [LIST, "GET /api/v1/backends/ibmq_belem/configuration"]
    with pytest.raises(AttributeError, match=r"ibmq_bellem(.|\n)*Did you mean ibm:ibmq_belem"):
        provider.backend.ibmq_bellem  # noqa: B018
    emulator.clear_requests()
    assert not hasattr(provider.backend, "_repr_html_")
    assert not hasattr(provider.backend, "__wrapped__")
    assert asked(emulator) == []


def test_the_service_has_the_providers_calls(provider, bell):
    assert names_of(provider.backend.backends("ibm_*", min_num_qubits=100)) == DEVICES[2:]
    job = provider.get_backend("ibmq_qasm_simulator").run(bell, shots=5, job_tags=["by the service"])
    assert [one.job_id() for one in provider.backend.jobs(job_tags=["by the service"])] == [job.job_id()]
    assert provider.backend.retrieve_job(job.job_id()).job_id() == job.job_id()
    assert provider.backend.job(job.job_id()).job_id() == job.job_id()


# ------------------------------------------------------------------------------------------- one backend


@pytest.fixture
def torino(provider, emulator) -> Any:
    backend = provider.get_backend("ibm_torino")
    emulator.clear_requests()
    return backend


def test_a_backend_is_qiskits_and_belongs_to_its_provider(provider, torino):
    assert isinstance(torino, BackendV2)
    assert torino.provider is provider
    assert all(one.provider is provider for one in provider.backends())
    assert (str(torino), repr(torino)) == ("ibm_torino", "<IBMBackend('ibm_torino')>")


def test_attributes_of_the_configuration_read_as_its_own(torino, emulator):
    configuration = torino.configuration()
    assert torino.n_qubits == torino.num_qubits == 133
    assert torino.basis_gates == configuration.basis_gates == ("cz", "id", "rz", "sx", "x")
    assert torino.backend_name == "ibm_torino"
    assert torino.backend_version == configuration.backend_version == "1.0.54"
    assert (torino.simulator, torino.local) == (False, False)
    assert torino.max_shots == 100_000
    assert torino.processor_type == {"family": "Heron", "revision": "1"}
    assert torino.dtm == pytest.approx(4e-9)  # seconds
    assert torino.rep_delay_range == pytest.approx((0.0, 500e-6))
    assert torino.default_rep_delay == pytest.approx(250e-6)
    assert torino.max_circuits is None
    assert sorted(torino.meas_map[0]) == list(range(133))
    assert asked(emulator) == []
    assert torino.dt == pytest.approx(4e-9)


def test_looking_for_an_attribute_and_showing_a_backend_send_nothing(provider, emulator):
    listed = provider.backends()[0]
    opened = provider.get_backend("ibmq_belem")
    emulator.clear_requests()
    for backend in (listed, opened):
        assert not hasattr(backend, "anything")
        assert not hasattr(backend, "_ipython_display_")
        assert hasattr(backend, "n_qubits")
        assert hasattr(backend, "max_circuits")
        assert "ibmq_belem" in repr(backend) + str(backend)
        assert backend.provider is provider
        dir(backend)
    assert not hasattr(listed, "basis_gates")
    assert hasattr(opened, "basis_gates")
    with pytest.raises(AttributeError, match=r"call backend\.configuration\(\)\.basis_gates"):
        listed.basis_gates  # noqa: B018
    assert asked(emulator) == []
    assert listed.configuration().basis_gates == listed.basis_gates
    assert asked(emulator) == ["GET /api/v1/backends/ibmq_belem/configuration"]


def test_physical_qubits_come_with_the_list(gateway, emulator):
    def without(method: str, path: str, answer: Any) -> Any:
        status, headers, body = answer
        if path.partition("?")[0] != "/api/v1/backends":
            return answer
        document = json.loads(body)
        del document["devices"][0]["physical_qubits"]
        return status, headers, json.dumps(document).encode()

    server = gateway(without)
    places = {**emulator.endpoints(), "api": f"{server.base}/api/v1"}
    with IBMProvider(emulator.api_key, instance=emulator.instances["premium-eu"], endpoints=places) as provider:
        found = {backend.name: backend for backend in provider.backends()}
    assert found["ibmq_belem"].physical_qubits is None
    # The qubits, and the tunable couplers between them.
    assert (found["ibm_torino"].num_qubits, found["ibm_torino"].physical_qubits) == (133, 283)


def test_status_is_asked_for_each_time(torino, emulator):
    status = torino.status()
    assert (status.backend_name, status.operational, status.status_msg) == ("ibm_torino", True, "active")
    assert status.backend_version == "1.0.54"
    assert status.pending_jobs == torino.info.pending_jobs
    emulator.fault("backend_status", backend="ibm_torino", status="offline")
    assert torino.status().operational is False
    assert asked(emulator) == ["GET /api/v1/backends/ibm_torino/status"] * 2


def test_properties_now_and_at_a_time(torino, emulator):
    newest = torino.properties()
    assert newest.last_update_date.utcoffset() == dt.timedelta(0)
    assert torino.properties() is newest
    assert len(asked(emulator)) == 1
    # T1 is in seconds, whatever unit the document has.
    assert 1e-6 < newest.t1(0) < 1e-2
    older = torino.properties(datetime=newest.last_update_date)
    assert older.last_update_date == newest.last_update_date - dt.timedelta(days=1)
    assert older.t1(0) != newest.t1(0)
    same = torino.properties(at=newest.last_update_date.astimezone(dt.timezone(dt.timedelta(hours=2))))
    assert same.last_update_date == older.last_update_date
    assert torino.properties(datetime=dt.datetime(2001, 1, 1, tzinfo=dt.UTC)) is None
    assert torino.properties() is newest
    query = emulator.requests()[0]["query"]
    assert query == f"updated_before={newest.last_update_date:%Y-%m-%dT%H:%M:%S}Z"
    emulator.clear_requests()
    assert torino.properties(refresh=True) is not newest
    assert torino.properties(True).last_update_date == newest.last_update_date  # the retired spelling
    assert len(asked(emulator)) == 2


def test_a_simulator_has_no_properties(provider):
    assert provider.get_backend("ibmq_qasm_simulator").properties() is None


def test_the_target_of_now_and_of_then(torino):
    newest = torino.properties()
    then = torino.target_history(datetime=newest.last_update_date)
    older = torino.properties(datetime=newest.last_update_date)
    assert torino.target["cz"][(0, 1)].error == newest.gate_error("cz", (0, 1))
    assert then["cz"][(0, 1)].error == older.gate_error("cz", (0, 1)) != newest.gate_error("cz", (0, 1))
    assert torino.target_history(newest.last_update_date).num_qubits == 133
    assert torino.target_history().num_qubits == 133


def test_refresh_forgets_and_fetches_anew(torino, emulator):
    target = torino.target
    emulator.fault("faulty_qubit", backend="ibm_torino", qubit=7)
    assert torino.target is target
    asked(emulator)
    torino.refresh()
    assert not torino.target.instruction_supported("sx", (7,))
    assert sorted(asked(emulator)) == [
        "GET /api/v1/backends/ibm_torino/configuration",
        "GET /api/v1/backends/ibm_torino/properties",
    ]


def test_faulty_qubits_are_named_and_circuits_on_them_refused(provider, emulator):
    emulator.fault("faulty_qubit", backend="ibmq_belem", qubit=2)
    backend = provider.get_backend("ibmq_belem")
    assert backend.faulty_qubits() == [2]
    good, bad = QuantumCircuit(5, 1), QuantumCircuit(5, 1, name="on the faulty one")
    good.sx(1)
    bad.sx(2)
    good.barrier()
    backend.check_faulty(good)
    with pytest.raises(CircuitError, match="'on the faulty one' uses the faulty qubit 2") as caught:
        backend.check_faulty(bad)
    assert "backend.transpile" in caught.value.hint


# -------------------------------------------------------------------------------------- fractional gates


def test_fractional_gates_come_on_request_only(provider):
    plain = provider.get_backend("ibm_torino")
    for fractional in (
        provider.get_backend("ibm_torino", use_fractional_gates=True),
        provider.backends("ibm_torino", use_fractional_gates=True)[0],
        provider.least_busy(name="ibm_torino", use_fractional_gates=True),
    ):
        assert fractional.use_fractional_gates is True
        assert {"rx", "rzz"} <= set(fractional.target.operation_names)
        assert {"rx", "rzz"} <= set(fractional.configuration().basis_gates)
        assert {"rx", "rzz"} <= {gate.gate for gate in fractional.properties().gates}
    assert plain.use_fractional_gates is False
    assert not {"rx", "rzz"} & set(plain.target.operation_names)
    assert not {"rx", "rzz"} & set(plain.configuration().basis_gates)
    assert not {"rx", "rzz"} & {gate.name for gate in plain.configuration().gates}
    assert not {"rx", "rzz"} & set(plain.configuration().supported_instructions)
    assert not {"rx", "rzz"} & {gate.gate for gate in plain.properties().gates}
    assert "rz" in plain.target.operation_names  # a standard gate with a parameter that is no fractional one


def test_a_circuit_for_fractional_gates_keeps_its_rzz(provider):
    circuit = QuantumCircuit(2, 2)
    circuit.rzz(0.5, 0, 1)
    circuit.measure([0, 1], [0, 1])
    fractional = provider.get_backend("ibm_torino", use_fractional_gates=True)
    assert "rzz" in transpile(circuit, fractional, optimization_level=0).count_ops()
    assert "rzz" not in transpile(circuit, provider.get_backend("ibm_torino"), optimization_level=0).count_ops()


@pytest.mark.parametrize("criteria", [{"name": "ibm_torino"}, {"name": "ibm_tor*", "dynamic_circuits": True}])
def test_a_backend_with_fractional_gates_costs_no_second_configuration(provider, emulator, criteria):
    fractional = provider.get_backend(use_fractional_gates=True, **criteria)
    assert "rzz" in fractional.configuration().basis_gates
    assert [path.rpartition("/")[2] for path in asked(emulator)] == ["backends", "configuration"]
    plain = fractional.with_fractional_gates(False)
    assert "rzz" not in plain.configuration().basis_gates
    assert plain.configuration().to_dict() == provider.get_backend("ibm_torino").configuration().to_dict()


@pytest.mark.parametrize("criteria", [{"name": "ibmq_belem"}, {"name": "ibmq_b*", "simulator": False}])
def test_a_device_without_fractional_gates_is_refused_where_they_are_asked_for(provider, criteria):
    with pytest.raises(InvalidInputError, match="ibm:ibmq_belem has no fractional gates") as caught:
        provider.get_backend(use_fractional_gates=True, **criteria)
    assert "Its gates are" in caught.value.why
    assert "sx" in caught.value.why
    assert "Leave use_fractional_gates out" in caught.value.hint
    having = provider.backends(use_fractional_gates=True)
    assert [one.name for one in having if "rzz" in one.configuration().basis_gates and not one.simulator]


def test_a_simulator_has_its_gates_with_angles_either_way(provider):
    simulator = provider.get_backend("ibmq_qasm_simulator", use_fractional_gates=True)
    assert "rzz" in simulator.configuration().basis_gates


def test_a_device_computes_what_a_circuit_decides_by(provider):
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    side = circuit.add_var("side", expr.lift(circuit.clbits[0]))
    with circuit.if_test(expr.lift(side)):
        circuit.x(1)
    circuit.measure(1, 1)
    torino = provider.get_backend("ibm_torino")
    counts = torino.run(torino.transpile(circuit), shots=100).result().get_counts()
    assert counts["11"] > 70


# --------------------------------------------------------------------------------------------- pulse ended


def test_there_are_no_default_pulses_and_the_reason_is_logged(torino, emulator, caplog):
    with caplog.at_level(logging.WARNING):
        assert torino.defaults() is None
    assert "ended pulse-level control in February 2025" in caplog.text
    assert "use_fractional_gates=True" in caplog.text
    assert asked(emulator) == []


@pytest.mark.parametrize("kind", ["drive", "measure", "acquire", "control"])
def test_there_are_no_channels(torino, kind):
    with pytest.raises(UnsupportedError, match="has no pulse channels") as caught:
        getattr(torino, f"{kind}_channel")(0)
    assert "ended pulse-level control" in caught.value.why
    assert "dynamical decoupling" in caught.value.hint


# ----------------------------------------------------------------------------------------------- copies


def test_copies_share_the_account_and_pickles_hold_no_key(provider, emulator, torino):
    copied = copy.deepcopy(torino)
    assert copied.provider is provider
    copied.set_options(shots=7)
    assert torino.options.shots is None
    with pytest.raises(InvalidInputError, match="do not travel"):
        pickle.dumps(torino)
    IBMProvider.save_account(emulator.api_key, instance="premium-eu", name="saved")
    with IBMProvider(name="saved") as saved:
        backend = saved.get_backend("ibmq_belem")
        packed = pickle.dumps(backend)
        assert emulator.api_key.encode() not in packed
        again = pickle.loads(packed)
        assert (again.name, again.instance) == (backend.name, backend.instance)
        assert again.configuration().n_qubits == 5


def test_qiskits_own_primitives_over_a_backend_run_on_the_service(provider):
    from qiskit import transpile
    from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
    from qiskit.quantum_info import SparsePauliOp

    backend = provider.get_backend("ibmq_belem")
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    ready = transpile(circuit, backend, seed_transpiler=3)
    # It names its registers after observables, with underscores in front.
    job = BackendEstimatorV2(backend=backend).run([(ready, SparsePauliOp("ZZ").apply_layout(ready.layout))])
    assert 0.7 < job.result()[0].data.evs <= 1.0
    circuit.measure_all()
    counts = BackendSamplerV2(backend=backend).run([transpile(circuit, backend)], shots=50).result()[0].data.meas
    assert sum(counts.get_counts().values()) == 50

"""The handle of a backend: a real BackendV2 that fetches nothing before it is needed."""

import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from qiskit import QuantumCircuit
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.providers import BackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import Target

import qprovider_core as qp
from qprovider_core import _submission
from qprovider_core._backend import Backend
from qprovider_core._vendor_class import vendor_class
from qprovider_core.errors import (
    CircuitError,
    InvalidInputError,
    PluginError,
    SubmitUnknownError,
    TransportError,
    UnknownBackendError,
)
from qprovider_core.records import (
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    BackendStatus,
    JobInfo,
    JobState,
    ProviderSpec,
)

pytestmark = pytest.mark.usefixtures("isolated")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bell(qubits=2):
    circuit = QuantumCircuit(qubits, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def test_a_handle_is_a_real_backend(device):
    handle = device(info={"version": "1.2", "description": "a line"})
    assert isinstance(handle, BackendV2)
    assert (handle.name, handle.full_name, handle.description) == ("line", "acme:line", "a line")
    assert (handle.backend_version, handle.num_qubits, handle.version) == ("1.2", 5, 2)
    assert set(handle.operation_names) >= {"rz", "sx", "x", "cx", "measure", "reset", "delay", "if_else"}
    assert sorted(handle.coupling_map.get_edges()) == [(0, 1), (1, 2), (2, 3)]  # qubit 4 is faulty
    assert handle.provider.name == "default"
    assert repr(handle) == "<Backend acme:line, 5 qubits>"
    assert handle.options.shots is None


def test_what_the_listing_leaves_out_is_told_by_the_configuration(device):
    handle = device(
        info={"num_qubits": None},
        configuration={"simulator": True, "dtm": 1e-9, "meas_map": [[0, 1], [2]], "max_experiments": 7, "max_shots": 9},
    )
    assert (handle.num_qubits, handle.simulator, handle.max_circuits, handle.max_shots) == (5, True, 7, 9)
    assert (handle.dtm, handle.meas_map) == (1e-9, [[0, 1], [2]])
    assert repr(handle) == "<Backend acme:line>"


def test_what_the_listing_tells_is_not_asked_for(account):
    acme = account(
        "acme", [BackendInfo(name="a", num_qubits=3, simulator=False, max_circuits=2, max_shots=5, instance="i")]
    )
    (handle,) = acme.backends()
    assert (handle.num_qubits, handle.simulator, handle.max_circuits, handle.max_shots) == (3, False, 2, 5)
    assert handle.instance == "i"


def test_no_meas_map_is_none(device):
    handle = device()
    assert handle.meas_map is None
    assert handle.dtm is None
    assert handle.defaults() is None


def test_facets_are_fetched_once_until_refreshed(account):
    asked = []

    def configuration(backend):
        asked.append("configuration")
        return BackendConfiguration(backend_name=backend.name, n_qubits=1, basis_gates=("x",))

    def properties(backend, at):
        asked.append("properties")
        return BackendProperties(backend_name=backend.name, last_update=NOON)

    handle = account("acme", backend_configuration=configuration, backend_properties=properties).get_backend("one")
    for _ in range(2):
        handle.configuration()
        handle.properties()
        _ = handle.target, handle.faulty_qubits(), handle.coupling_map
    assert asked == ["configuration", "properties"]
    target = handle.target
    handle.refresh()
    assert handle.target is not target
    assert asked == ["configuration", "properties"] * 2
    handle.properties(refresh=True)
    assert asked[4:] == ["properties"]


def test_facets_that_a_query_fetched_are_kept(account):
    asked = []

    def note(name, answer):
        asked.append(name)
        return answer

    acme = account(
        "acme",
        [BackendInfo(name="one", pending_jobs=5)],
        backend_configuration=lambda: note("c", BackendConfiguration(backend_name="one", open_pulse=True)),
        backend_properties=lambda: note("p", BackendProperties(backend_name="one", last_update=NOON)),
        backend_status=lambda: note("s", BackendStatus(backend_name="one", operational=True, status_msg="active")),
    )
    (handle,) = acme.backends(open_pulse=True, min_calibrated_at=NOON, operational=True)
    assert sorted(asked) == ["c", "p", "s"]
    assert handle.configuration().open_pulse
    assert handle.properties().last_update == NOON
    assert (handle.info.operational, handle.info.status_msg, handle.info.pending_jobs) == (True, "active", 5)
    assert sorted(asked) == ["c", "p", "s"]


def test_a_failure_to_fetch_is_not_kept(account):
    answers = iter([TransportError("The line is cut."), BackendConfiguration(backend_name="one")])

    def configuration():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    (handle,) = account(backend_configuration=configuration).backends()
    with pytest.raises(TransportError):
        handle.configuration()
    assert handle.configuration().backend_name == "one"


# --------------------------------------------------------------------------------------------------------- status


def test_the_status_is_asked_for_now(device):
    queue = iter([3, 5])
    handle = device(
        backend_status=lambda: BackendStatus(backend_name="line", operational=True, pending_jobs=next(queue))
    )
    assert [handle.status().pending_jobs for _ in range(2)] == [3, 5]


def test_without_a_status_the_listing_tells_it(account):
    listed = [BackendInfo(name="one", operational=True, pending_jobs=3, status_msg="active", version="1")]
    (handle,) = account("acme", lambda: list(listed)).backends()
    listed[0] = BackendInfo(name="one", operational=False, pending_jobs=4)
    assert handle.status() == BackendStatus(backend_name="one", operational=False, pending_jobs=4)
    listed[0] = BackendInfo(name="other")
    with pytest.raises(UnknownBackendError, match="acme:one is not listed any more"):
        handle.status()


def test_a_listing_that_fails_is_not_taken_for_a_backend_that_is_gone(account):
    answers = iter([[BackendInfo(name="one")]])

    def listing():
        try:
            return next(answers)
        except StopIteration:
            raise TransportError("The line is cut.") from None

    (handle,) = account("acme", listing).backends()
    with pytest.raises(TransportError, match="The line is cut"):
        handle.status()


# ----------------------------------------------------------------------------------------------------- properties


def test_calibration_at_a_past_time(device):
    asked = []

    def properties(at):
        asked.append(at)
        return

    handle = device(backend_properties=properties)
    east = timezone(timedelta(hours=9))
    assert handle.properties(at=NOON.astimezone(east)) is None
    assert asked == [NOON]
    assert asked[0].tzinfo is UTC
    for at in (datetime(2026, 1, 1), "2026-01-01", 5):
        with pytest.raises(InvalidInputError, match="datetime"):
            handle.properties(at=at)
    assert handle.properties() is None
    assert handle.faulty_qubits() == []


def test_defaults_and_a_ready_target_are_taken_from_a_vendor_that_has_them(device):
    ready = Target(num_qubits=2)
    handle = device(backend_defaults=lambda: {"buffer": 10}, backend_target=lambda: ready)
    assert handle.defaults() == {"buffer": 10}
    assert handle.target is ready


def test_a_target_of_another_type_is_the_plugins_fault(device):
    with pytest.raises(PluginError, match="gave a str as its target"):
        _ = device(backend_target=lambda: "target").target


def test_a_target_of_none_is_built_from_the_records(device):
    assert device(backend_target=lambda: None).target.num_qubits == 5


# -------------------------------------------------------------------------------------------------------- running


def test_a_run_is_one_request_with_everything_in_it(device, cloud):
    handle = device(info={"instance": "i"})
    job = handle.run(handle.transpile(bell()), shots=100, job_tags=["t"], name="mine", memory=True)
    (request,) = cloud.requests
    assert (request.backend.name, request.backend.instance) == ("line", "i")
    assert (request.name, request.memory, request.kind) == ("mine", True, "sample")
    assert request.tags == (f"qprovider:{request.key}", "t")  # the key travels among the tags
    assert len(request.key) == 32
    assert (job.info.backend, job.ref.instance) == ("line", "i")
    counts = job.result().get_counts()
    assert set(counts) <= {"00", "11"}
    assert sum(counts.values()) == 100
    assert len(job.result().get_memory()) == 100


def test_a_submission_whose_answer_is_lost_is_not_said_to_have_failed(device, hang, monkeypatch, caplog):
    monkeypatch.setattr(_submission, "SUBMIT_TIMEOUT_S", 0.05)
    handle = device(submit_job=lambda: hang())
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    job = handle.run(circuit)
    assert job.state().state is JobState.SUBMIT_UNKNOWN
    assert not job.in_final_state()
    assert "do not send it again" in caplog.text
    with pytest.raises(SubmitUnknownError, match="the vendor cannot tell"):
        job.result(timeout=5)


def test_qiskits_primitives_take_a_handle(device):
    handle = device()
    sampled = BackendSamplerV2(backend=handle).run([handle.transpile(bell())], shots=64).result()[0]
    assert set(sampled.data.c.get_counts()) <= {"00", "11"}
    assert sampled.data.c.num_shots == 64
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.cx(0, 1)
    ready = handle.transpile(circuit, initial_layout=[0, 1])
    observable = SparsePauliOp.from_list([("ZZ", 1), ("IZ", 2)]).apply_layout(ready.layout)
    estimated = BackendEstimatorV2(backend=handle).run([(ready, observable)], precision=0.1).result()[0]
    assert estimated.data.evs == pytest.approx(1 - 2)


def test_what_cannot_be_made_to_fit_is_explained(device):
    handle = device()
    with pytest.raises(CircuitError, match="has 6 qubits"):
        handle.transpile(QuantumCircuit(6))
    with pytest.raises(CircuitError):
        handle.transpile("text")


# -------------------------------------------------------------------------------------------------- vendors' classes


class OwnBackend(Backend):
    """A vendor's own handle."""

    def colour(self):
        return self.configuration().colour


@pytest.fixture
def own_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "acme_handles", sys.modules[__name__])


def test_a_vendor_may_have_a_backend_class_of_its_own(own_module, device):
    handle = device(
        spec=ProviderSpec(name="acme", title="A", backend_class="acme_handles:OwnBackend"),
        configuration={"extra": {"colour": "red"}},
    )
    assert type(handle) is OwnBackend
    assert handle.colour() == "red"
    assert repr(handle) == "<OwnBackend acme:line, 5 qubits>"
    assert type(qp.least_busy()) is OwnBackend


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("no_such_module_of_ours:X", "ModuleNotFoundError"),
        ("acme_handles:NoSuchClass", "AttributeError"),
        ("acme_handles", "AttributeError"),
        (":X", "ValueError"),
        ("acme_handles:bell", "is not a subclass of Backend"),
        ("builtins:dict", "is not a subclass of Backend"),
    ],
)
def test_a_class_that_cannot_be_had_is_the_plugins_fault(path, what, own_module, account):
    with pytest.raises(PluginError, match=what):
        vendor_class(path, Backend)
    acme = account(
        spec=ProviderSpec(name="acme", title="A", backend_class=path, job_class=path),
        backend_configuration=lambda: BackendConfiguration(backend_name="one"),
        get_job=lambda: JobInfo(id="j1", state=JobState.DONE),
    )
    with pytest.raises(PluginError):
        acme.get_backend("one")
    with pytest.raises(PluginError):
        acme.retrieve_job("j1")


def test_a_module_that_ends_the_process_is_the_plugins_fault_too(tmp_path, monkeypatch):
    (tmp_path / "exiting_handles.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match="SystemExit: 3"):
        vendor_class("exiting_handles:X", Backend)


def test_a_circuit_that_needs_more_working_qubits_than_there_are_is_explained(device):
    handle = device()
    circuit = QuantumCircuit(5)
    for qubit in range(4):
        circuit.cx(qubit, qubit + 1)
    with pytest.raises(CircuitError) as caught:
        handle.transpile(circuit)
    assert "[4]" in str(caught.value) or "4" in caught.value.what

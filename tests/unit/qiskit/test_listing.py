"""What adapted backends say of themselves: guarded, in time, and unknown where nothing is known."""

from __future__ import annotations

import enum
import logging
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from qiskit.circuit.library import CXGate, RXGate, XGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import InstructionProperties, Target

from qprovider_core.errors import NoMatchingBackendError, PluginError, TransportError, UnknownBackendError
from qprovider_core.records import BackendStatus
from qprovider_qiskit._status import job_state, status_of

from .conftest import Vendor, flip


def hidden(**raising: Any) -> Any:
    """A backend whose attributes of these names raise or hang."""
    kind = type("Hidden", (Vendor,), {name: property(work) for name, work in raising.items()})
    return kind()


def failing(_: Any) -> Any:
    raise RuntimeError("the vendor's server is on fire")


def test_what_is_not_known_is_none(adapt) -> None:
    [info] = adapt(Vendor(), local=None).list_backends()
    assert (info.name, info.simulator, info.noisy, info.operational, info.pending_jobs) == (
        "one",
        None,
        None,
        None,
        None,
    )
    assert (info.max_shots, info.version, info.median_two_qubit_error, info.process_bound) == (None, None, None, False)


def test_declarations_win_over_what_a_backend_says(adapt) -> None:
    backends = [Vendor("a", simulator=False), Vendor("b", _simulator=True), Vendor("c", simulator=SimpleNamespace())]
    told = adapt(*backends).list_backends()
    assert [info.simulator for info in told] == [False, True, None]
    declared = adapt(*backends, name="other", simulator=lambda backend: backend.name == "c", noisy=True).list_backends()
    assert [info.simulator for info in declared] == [False, False, True]
    assert [info.noisy for info in declared] == [None, None, True]  # nobody says it of a device


def test_facts_that_raise_are_not_known(adapt, caplog) -> None:
    caplog.set_level(logging.DEBUG, "qprovider.qiskit")
    broken = hidden(simulator=failing, max_shots=failing, max_circuits=failing, num_qubits=failing)
    [info] = adapt(broken).list_backends()
    assert (info.simulator, info.max_shots, info.num_qubits) == (None, None, None)
    assert "the vendor's server is on fire" in caplog.text


def test_a_fact_that_hangs_costs_itself_and_what_follows(adapt, monkeypatch) -> None:
    monkeypatch.setattr("qprovider_qiskit._connection._LIST_S", 0.1)
    monkeypatch.setattr("qprovider_qiskit._device._READ_S", 0.1)
    release = threading.Event()
    slow = hidden(simulator=lambda _: release.wait(30))
    account = adapt(slow, Vendor("quick", simulator=True), local=None)
    try:
        first, second = account.list_backends()
        assert (first.name, first.num_qubits, first.simulator) == ("one", None, None)
        assert second.simulator is True
        before = threading.active_count()
        account.list_backends()
        assert threading.active_count() <= before  # it is not asked again while it hangs
    finally:
        release.set()


def test_a_listing_reads_each_fact_once(adapt) -> None:
    read = []
    counted = hidden(simulator=lambda _: read.append(1) or True)
    account = adapt(counted, local=None)
    for _ in range(3):
        assert account.list_backends()[0].simulator is True
    assert len(read) == 1


def test_the_most_shots_are_those_of_the_option(adapt) -> None:
    told, optional = Vendor("a", max_shots=5000), Vendor("b")
    optional.options.set_validator("shots", (1, 2000))
    assert [info.max_shots for info in adapt(told, optional).list_backends()] == [5000, 2000]


def test_errors_are_those_of_the_target_or_of_a_function(adapt) -> None:
    generic = GenericBackendV2(3, seed=4)
    listed = adapt(generic, errors=lambda backend: (0.01, 7)).list_backends()  # 7 is no probability
    assert (listed[0].median_two_qubit_error, listed[0].median_readout_error) == (0.01, None)
    properties = adapt(generic, name="other").get_backend(generic.name).properties()
    target = generic.target
    assert properties.t1(1) == target.qubit_properties[1].t1
    assert properties.gate_error("cx", (0, 1)) == target["cx"][0, 1].error
    assert properties.readout_error(2) == target["measure"][2,].error
    assert adapt(Vendor(), name="third").get_backend("one").properties() is None


# ---------------------------------------------------------------------------------- names, targets, other things


def test_names_are_unique_and_never_missing(adapt) -> None:
    names = [info.name for info in adapt(Vendor("a"), Vendor("a"), Vendor(None), Vendor(" ")).list_backends()]
    assert names == ["a", "a_2", "Vendor", "Vendor_2"]


def test_what_is_no_backend_is_refused_with_the_reason(adapt) -> None:
    listed = adapt(SimpleNamespace(name="old"), Vendor()).list_backends()
    assert listed.names() == ["acme:one"]
    assert "old is a SimpleNamespace, not a Qiskit BackendV2" in str(listed.errors[0])


@pytest.mark.parametrize("target", [None, "no target", lambda: failing(None)], ids=["none", "text", "raises"])
def test_a_backend_without_a_target_is_refused_when_it_is_opened(adapt, target) -> None:
    account = adapt(Vendor(target=(lambda: "text") if target == "no target" else target), Vendor("sound"))
    assert len(account.list_backends()) == 2
    with pytest.raises(PluginError, match="acme:one has no Target, so nothing can be compiled for it") as caught:
        account.get_backend("one").target  # noqa: B018  reading it asks
    assert "fixup" in caught.value.hint
    assert account.get_backend("sound").run(flip()).result().get_counts() == {"01": 1024}


def test_a_target_gets_the_measurement_that_it_lacks(adapt) -> None:
    bare = Target(num_qubits=2)
    bare.add_instruction(XGate(), {(q,): None for q in range(2)})
    bare.add_instruction(CXGate(), {(0, 1): InstructionProperties(error=0.1)})
    backend = adapt(Vendor(target=bare)).get_backend("one")
    assert backend.target.operation_names >= {"x", "cx", "measure"}
    assert "measure" not in bare.operation_names  # the vendor's own is left alone
    assert backend.configuration().coupling_map == ((0, 1),)
    assert backend.configuration().basis_gates == ("x", "cx")
    assert backend.run(flip()).result().get_counts() == {"01": 1024}


def test_a_target_of_any_width_is_measured_anywhere(adapt) -> None:
    from qiskit.circuit import Parameter

    bare = Target()
    bare.add_instruction(RXGate(Parameter("t")))
    bare.add_instruction(XGate())
    backend = adapt(Vendor(target=bare)).get_backend("one")
    assert (backend.num_qubits, backend.configuration().n_qubits) == (None, None)
    assert backend.run(flip()).result().get_counts() == {"01": 1024}


def test_a_fixup_mends_a_backend_or_gives_another(adapt) -> None:
    def fixup(backend: Any) -> Any:
        backend.description = "mended"
        return Vendor("other") if backend.name == "b" else None

    listed = adapt(Vendor("a"), Vendor("b"), fixup=fixup).list_backends()
    assert [(info.name, info.description) for info in listed] == [("a", "mended"), ("other", None)]


def test_an_unknown_backend_is_said_to_be_unknown(adapt) -> None:
    account = adapt(Vendor("torino"))
    with pytest.raises(UnknownBackendError, match="torno"):
        account.get_backend("torno")


# -------------------------------------------------------------------------------------------------------- status


class Word(enum.Enum):
    ONLINE = 1
    MAINTENANCE = 2


@pytest.mark.parametrize(
    ("told", "operational", "pending", "message"),
    [
        (SimpleNamespace(operational=True, pending_jobs=4, status_msg="active"), True, 4, "active"),
        (True, True, None, None),
        (False, False, None, None),
        ("AVAILABLE", True, None, "AVAILABLE"),
        ("on fire", None, None, "on fire"),
        (Word.ONLINE, True, None, "ONLINE"),
        (Word.MAINTENANCE, False, None, "MAINTENANCE"),
        (None, None, None, None),
        (7, None, None, None),
    ],
)
@pytest.mark.parametrize("called", [True, False], ids=["method", "attribute"])
def test_a_status_of_every_form_is_read(adapt, told, operational, pending, message, called) -> None:
    backend = adapt(Vendor(status=(lambda: told) if called else told), local=None).get_backend("one")
    status = backend.status()
    assert (status.operational, status.pending_jobs, status.status_msg) == (operational, pending, message)


@pytest.mark.parametrize("name", ["num_pending_jobs", "queue_depth"])
def test_a_queue_told_elsewhere_is_found(adapt, name) -> None:
    backend = adapt(Vendor(status=True, **{name: 12}), local=None).get_backend("one")
    assert backend.status().pending_jobs == 12


def test_a_status_may_be_a_function_of_the_factory(adapt) -> None:
    told = BackendStatus(backend_name="one", operational=True, pending_jobs=2)
    assert adapt(Vendor(), local=None, status=lambda _: told).get_backend("one").status() == told
    assert adapt(Vendor(), name="b", status=lambda _: "paused").get_backend("one").status().operational is False


def test_a_status_that_raises_or_hangs_is_an_error_of_its_own(adapt, monkeypatch) -> None:
    broken = adapt(Vendor(status=lambda: failing(None)), local=None)
    with pytest.raises(PluginError, match="on fire"):
        broken.get_backend("one").status()
    monkeypatch.setattr("qprovider_qiskit._device._STATUS_S", 0.1)
    release = threading.Event()
    slow = adapt(Vendor(status=lambda: release.wait(30)), name="slow", local=None)
    try:
        with pytest.raises(TransportError, match="did not come within 0 s"):
            slow.get_backend("one").status()
    finally:
        release.set()


def test_what_takes_jobs_is_found_by_its_status(adapt) -> None:
    account = adapt(Vendor("up", status=True), Vendor("down", status=False), Vendor("silent"), local=None)
    assert account.list_backends(operational=True).names() == ["acme:up"]
    with pytest.raises(NoMatchingBackendError):
        account.least_busy(name="down")


def test_words_of_jobs_are_known_or_kept() -> None:
    assert job_state("In Progress")[0].name == "RUNNING"
    assert job_state("CANCELED")[0].name == "CANCELLED"
    assert job_state("teleported") == (job_state("?")[0], "teleported")
    assert job_state(3)[0].name == job_state(None)[0].name == "UNKNOWN"
    assert status_of("one", (True, 3)).pending_jobs == 3


VENDORS = (
    "aer",
    "alice_bob",
    "aqt",
    "azure",
    "braket",
    "fake",
    "ionq",
    "iqm",
    "qiskit",
    "quantinuum",
    "superstaq",
    "tket",
)


def test_vendors_are_listed_without_importing_them() -> None:
    code = (
        "import sys, qprovider_core as qp; found = {p.provider: p.status for p in qp.plugins()}; qp.list_backends();"
        "print(*sorted({'qiskit', 'numpy', 'qiskit_aer', 'qiskit_ibm_runtime', 'requests'} & set(sys.modules)));"
        f"print(*(found.get(name) for name in {VENDORS}), sep=';')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    heavy, states = done.stdout.splitlines()
    assert heavy == ""
    assert set(states.split(";")) <= {"active", "needs a package"}

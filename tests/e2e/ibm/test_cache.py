"""What is remembered of IBM's backends: which calls make no request, which do, and what stands in for a service that is
down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from qprovider_core import _facts
from qprovider_core.errors import AuthenticationError, InvalidInputError
from qprovider_ibm import IBMProvider

LIST = "/api/v1/backends"


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """The default."""
    monkeypatch.delenv("QPROVIDER_CACHE")
    monkeypatch.setattr(_facts, "_chosen", None)


@pytest.fixture
def costs(provider, emulator) -> Callable[[Callable[[], Any]], Counter[str]]:
    """The paths that a call asks for."""

    def count(call: Callable[[], Any]) -> Counter[str]:
        emulator.clear_requests()
        call()
        return Counter(one["path"].removeprefix(f"{LIST}/") for one in emulator.requests())

    return count


def test_repeated_queries_make_no_request(provider, costs):
    def sitting() -> None:
        found = provider.backends(min_num_qubits=5, simulator=False, operational=True, basis_gates=["rz"])
        assert found
        assert provider.least_busy(found) in found
        assert provider.least_busy(min_num_qubits=5, simulator=False, operational=True) is not None
        assert provider.get_backend("ibm_hanoi").target.num_qubits == 27
        assert provider.get_backend("ibm_hanoi").properties().backend_name == "ibm_hanoi"
        assert provider.backend.ibm_hanoi.name == "ibm_hanoi"
        assert provider.account.least_busy(filters=lambda backend: "rz" in backend.configuration().basis_gates)

    first = costs(sitting)
    assert first[LIST] == 1
    assert first["ibm_hanoi/configuration"] == first["ibm_hanoi/properties"] == 1
    assert costs(sitting) == {}


def test_refresh_asks_by_every_way(provider, costs):
    def everything(refresh: bool) -> list[Counter[str]]:
        return [
            costs(lambda: provider.backends(refresh=refresh)),
            costs(lambda: provider.least_busy(refresh=refresh)),
            costs(lambda: provider.backend.backends(refresh=refresh)),
            costs(lambda: provider.get_backend("ibm_hanoi", refresh=refresh)),
            costs(lambda: provider.get_backend("*hanoi", refresh=refresh)),
        ]

    everything(False)
    hanoi = provider.get_backend("ibm_hanoi")
    hanoi.properties()
    assert everything(False) == [{}] * 5
    once = {LIST: 1}
    assert everything(True) == [once, once, once, once | {"ibm_hanoi/configuration": 1}, once]
    assert costs(lambda: hanoi.configuration(refresh=True)) == {"ibm_hanoi/configuration": 1}
    assert costs(lambda: hanoi.properties(refresh=True)) == {"ibm_hanoi/properties": 1}
    hanoi.refresh()
    assert costs(lambda: hanoi.target) == {"ibm_hanoi/configuration": 1, "ibm_hanoi/properties": 1}
    with pytest.raises(InvalidInputError, match="refresh is True or False"):
        provider.backends(refresh="yes")


def test_a_status_is_never_a_remembered_one(provider, costs, emulator):
    hanoi = provider.get_backend("ibm_hanoi")
    assert hanoi.status().operational
    emulator.fault("backend_status", backend="ibm_hanoi", status="offline", reason="maintenance")
    assert not hanoi.status().operational
    assert costs(hanoi.status) == {"ibm_hanoi/status": 1}


def test_a_job_ends_what_was_told_of_queues_for_every_instance(provider, costs, emulator, bell):
    with IBMProvider(emulator.api_key) as whole:
        whole.backends()
        provider.backends()
        assert costs(provider.backends) == costs(whole.backends) == {}
        job = whole.get_backend("ibmq_qasm_simulator", instance=emulator.instances["open-main"]).run(bell, shots=1)
        assert costs(provider.backends)[LIST] == 1
        assert costs(whole.backends)[LIST] == 2  # of its two instances
        assert costs(whole.backends) == {}
        job.result(timeout=60)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503, "body": "html"},
        {"kind": "status", "status": 500},
        {"kind": "drop_before"},
        {"kind": "cut_body"},
        {"kind": "html_body"},
        {"kind": "latency", "seconds": 5, "path": "/api/v1/*"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_what_was_told_before_stands_in_for_a_service_that_is_down_where_that_is_wanted(provider, emulator, fault):
    whole = provider.account.list_backends(basis_gates=["rz"])
    emulator.fault(**fault)
    broken = {"basis_gates": ["rz"], "refresh": True, "timeout": 0.7}
    without = provider.account.list_backends(**broken)
    assert (without, len(without.errors)) == ([], 1)
    stale = provider.account.list_backends(**broken, stale=True)
    assert list(stale) == list(whole)
    assert [error.provider for error in stale.errors] == ["ibm"]
    [note] = stale.notes
    assert note.startswith(f"{provider.account.label}: does not answer; this is what it told ")
    emulator.clear_faults()
    again = provider.account.list_backends(basis_gates=["rz"], refresh=True, stale=True)
    assert (list(again), again.errors, again.notes) == (list(whole), [], [])


def test_a_refusal_is_not_a_service_that_is_down(provider, emulator):
    provider.backends()
    for status in (401, 403):
        emulator.fault("status", status=status, path="/api/v1/*")
        with pytest.raises(AuthenticationError):
            provider.backends(refresh=True, stale=True)
        emulator.clear_faults()
    assert provider.backends(refresh=True, stale=True).errors == []

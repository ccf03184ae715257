"""Lists and configurations that cannot be had: raised, and never an empty list or a missing attribute."""

from __future__ import annotations

import time
from typing import Any

import pytest

from qprovider_core.errors import DeadlineError, ResponseError, TransportError

BACKENDS = "/api/v1/backends"
CORRUPT = ("corrupt_configuration", {"how": "wrong_types", "backend": "ibm_torino"})


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qprovider_ibm._http._BACKOFF_S", (0.0, 0.01))


def times_asked(emulator: Any) -> int:
    return sum(one["path"] == BACKENDS for one in emulator.requests())


@pytest.mark.parametrize("criteria", [{}, {"name": "ibm_*"}, {"dynamic_circuits": True}, {"filters": bool}])
def test_a_service_that_fails_every_request_is_no_empty_list(provider, emulator, criteria):
    emulator.fault("status", status=500)
    with pytest.raises(TransportError, match="Internal error"):
        provider.backends(**criteria)
    assert times_asked(emulator) == 6  # five times again, and not the whole once more


def test_a_list_that_fails_once_is_no_empty_list(provider, emulator):
    emulator.fault("status", status=501, times=1, path=BACKENDS)  # not repeated by itself
    with pytest.raises(TransportError, match="Internal error"):
        provider.backends()
    assert len(provider.backends()) == 6


def test_a_list_that_comes_too_late_is_given_up_when_its_time_is_over(provider, emulator):
    emulator.fault("latency", seconds=20, path=BACKENDS)
    started = time.monotonic()
    with pytest.raises(DeadlineError) as caught:
        provider.backends(timeout=0.5)
    assert time.monotonic() - started < 10
    assert caught.value.hint


@pytest.mark.parametrize("name", ["target", "dt", "dtm", "meas_map", "coupling_map", "max_shots", "operation_names"])
@pytest.mark.parametrize("fault", [("status", {"status": 500, "path": "*/configuration"}), CORRUPT])
def test_what_cannot_be_fetched_is_no_missing_attribute(provider, emulator, name, fault):
    backend = provider.backends("ibm_torino")[0]
    emulator.fault(fault[0], **fault[1])
    with pytest.raises((TransportError, ResponseError)):
        hasattr(backend, name)
    assert not hasattr(backend, "no_such_thing")

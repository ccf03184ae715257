"""The vendor's words as records, also those that the contract tests never bring
about."""

from typing import Any

from qprovider_core import JobState

from qprovider_acme import _wire

ROW: dict[str, Any] = {
    "id": "1",
    "machine": "simulator",
    "status": "FINISHED",
    "created": "2026-01-01T08:00:00+00:00",
    "started": None,
    "ended": None,
    "name": None,
    "tags": [],
    "fault": None,
    "shots": 100,
}


def test_every_word_of_the_vendor_is_a_state() -> None:
    for word, state in _wire.STATES.items():
        assert _wire.job_info({**ROW, "status": word}).state is state


def test_a_word_that_nobody_knows_is_kept() -> None:
    info = _wire.job_info({**ROW, "status": "ON THE ROCKS"})
    assert (info.state, info.state_text) == (JobState.UNKNOWN, "ON THE ROCKS")


def test_a_failed_job_tells_why() -> None:
    info = _wire.job_info({**ROW, "status": "FAILED", "fault": "out of helium"})
    assert (info.state, info.error) == (JobState.ERROR, "out of helium")


def test_a_row_of_a_register_is_a_big_endian_number_of_whole_bytes() -> None:
    register = _wire.register({"name": "c", "bits": 9, "values": [0b1_0000_0001, 2]})
    assert bytes(register.data) == b"\x01\x01\x00\x02"

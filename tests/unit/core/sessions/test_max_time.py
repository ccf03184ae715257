"""How long a session may live, as people write it."""

from datetime import timedelta

import pytest

from qprovider_core._max_time import seconds_of
from qprovider_core.errors import InvalidInputError

pytestmark = pytest.mark.usefixtures("isolated")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (None, None),
        (90, 90.0),
        (0.5, 0.5),
        ("8h", 28_800.0),
        ("30m", 1800.0),
        ("90s", 90.0),
        ("1h 30m", 5400.0),
        ("1h30m", 5400.0),
        (" 2H 30M 40S ", 9040.0),
        ("1d 1h", 90_000.0),
        ("1.5h", 5400.0),
        (timedelta(minutes=2), 120.0),
    ],
)
def test_a_length_of_time_is_read(given, seconds):
    assert seconds_of(given) == seconds


@pytest.mark.parametrize(
    "given",
    [0, -1, 0.0, float("nan"), float("inf"), True, False, "", " ", "0h", "soon", "30", "1m 1h", "1h 1h", "-5m", "h",
     "1e400h", 10**400, [60], timedelta(0), b"1h", 1j],
)  # fmt: skip
def test_what_is_no_length_of_time_is_refused_before_anything_is_sent(given, acme):
    for open_one in (acme.backend.open_session, acme.backend.open_batch):
        with pytest.raises(InvalidInputError, match="max_time is a length of time above 0") as caught:
            open_one(max_time=given)
        assert "'1h 30m'" in caught.value.hint
    assert acme.rooms.requests == []
    assert acme.backend.session is None

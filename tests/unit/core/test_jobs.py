"""What may be asked of an account's jobs."""

from datetime import datetime

import pytest

from qprovider_core.errors import InvalidInputError
from qprovider_core.records import JobPage, JobState

pytestmark = pytest.mark.usefixtures("isolated")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"created_after": "x"}, "created_after must be a time"),
        ({"created_after": datetime(2026, 1, 1)}, "created_after must be an aware time"),
        ({"states": "GONE"}, "no job state 'GONE'"),
        ({"states": 5}, "states must be job states"),
        ({"tags": "abc"}, "tags must be a list of texts"),
        ({"ids": 5}, "ids must be a list of texts"),
        ({"pending": "x"}, "pending must be a bool"),
        ({"backend": 5}, "backend must be a str"),
    ],
)
def test_wrong_values_are_refused_before_the_vendor_is_asked(account, query, told):
    asked = []
    acme = account(list_jobs=lambda query: asked.append(query))
    with pytest.raises(InvalidInputError, match=told):
        acme.jobs(**query)
    assert asked == []


@pytest.mark.parametrize("states", ["done", ["DONE"], JobState.DONE, [JobState.DONE]])
def test_states_are_members_or_names(account, states):
    asked = []
    acme = account(list_jobs=lambda query: asked.append(query) or JobPage())
    assert acme.jobs(states=states) == []
    assert asked[0].states == (JobState.DONE,)

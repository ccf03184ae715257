"""Which jobs are asked for: the words that users give, over vendors and the ledger."""

from datetime import UTC, datetime, timedelta

import pytest
from qiskit.providers import JobStatus

import qprovider_core as qp
from qprovider_core._job_query import AskedJobs
from qprovider_core.errors import (
    InvalidInputError,
)
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import JobInfo, JobPage, JobState, ProviderSpec

pytestmark = pytest.mark.usefixtures("isolated")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def info(job_id, minutes=0, state=JobState.DONE, /, **more):
    return JobInfo(id=job_id, state=state, created_at=NOON + timedelta(minutes=minutes), **more)


class Listing:
    """What a vendor lists, and how it was asked; a page holds `size` jobs."""

    def __init__(self, *infos, size=100, ignores=()):
        self.infos = list(infos)
        self.size = size
        self.ignores = ignores  # filters that it does not know
        self.queries = []

    def page(self, query):
        self.queries.append(query)
        found = sorted(
            (one for one in self.infos if self.fits(one, query)), key=lambda one: one.created_at, reverse=True
        )
        start = int(query.cursor or 0)
        end = start + min(self.size, query.limit or self.size)
        return JobPage(jobs=found[start:end], cursor=str(end) if end < len(found) else None)

    def fits(self, one, query):
        return (
            (not query.ids or one.id in query.ids)
            and query.backend in (None, one.backend)
            and (not query.states or one.state in query.states)
            and (query.pending is None or query.pending is not one.state.final)
            and ("tags" in self.ignores or set(query.tags) <= set(one.tags))
            and ("name" in self.ignores or query.name in (None, one.name))
        )


@pytest.fixture
def lists(account):
    """A vendor that lists these jobs; its account has the listing as `listing`."""

    def make(*infos, name="acme", spec=None, size=100, ignores=(), **hooks):
        listing = Listing(*infos, size=size, ignores=ignores)
        spec = spec or ProviderSpec(name=name, title=name)
        made = account(name, spec=spec, **{"list_jobs": lambda query: listing.page(query), **hooks})
        made.listing = listing
        return made

    return make


def keep(*infos, provider="acme", account="default"):
    """Put jobs into the ledger."""
    return [ledger_in_use().adopt(provider, account, one) for one in infos]


def ids(listed):
    return [record.id for record in listed]


@pytest.mark.parametrize(
    ("backend", "found"),
    [("one", ["a3", "a0"]), ("t*", ["a2", "a1"]), (["one", "two"], ["a3", "a1", "a0"]), ("four", [])],
)
def test_backends_are_names_patterns_or_several_also_where_vendors_know_none(backend, found, lists):
    names = ("one", "two", "three", "one")
    acme = lists(*(info(f"a{n}", n, backend=name) for n, name in enumerate(names)), size=1)
    assert ids(qp.list_jobs(backend=backend)) == found
    keep(*acme.listing.infos)
    assert ids(qp.list_jobs(backend=backend, offline=True)) == found
    assert ids(qp.list_jobs(backend=backend, limit=1)) == found[:1]


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("DONE", ["a0"]),
        ("done", ["a0"]),
        (JobState.RUNNING, ["a1"]),
        (JobStatus.RUNNING, ["a1"]),
        (["done", JobState.QUEUED], ["a2", "a0"]),
        ("final", ["a3", "a0"]),
        ("pending", ["a2", "a1"]),
        (["final", "RUNNING"], ["a3", "a1", "a0"]),
        (("submit-unknown",), []),
    ],
)
def test_states_are_asked_for_by_many_words(status, found, lists):
    states = (JobState.DONE, JobState.RUNNING, JobState.QUEUED, JobState.ERROR)
    acme = lists(*(info(f"a{n}", n, state) for n, state in enumerate(states)))
    assert ids(qp.list_jobs(status=status)) == found
    keep(*acme.listing.infos)
    assert ids(qp.list_jobs(status=status)) == found
    assert ids(qp.list_jobs(status=status, offline=True)) == found


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"status": "dnoe"}, "no job state 'dnoe'"),
        ({"status": 5}, "no job state 5"),
        ({"status": "final", "pending": True}, "contradict"),
        ({"pending": "yes"}, "pending is true or false"),
        ({"limit": 0}, "limit is a whole number"),
        ({"limit": True}, "limit is a whole number"),
        ({"limit": 2.5}, "limit is a whole number"),
        ({"tags": 5}, "tags takes a text"),
        ({"tags": [""]}, "tags takes a text"),
        ({"backend": [5]}, "backend takes a text"),
        ({"name": 5}, "name is a text"),
        ({"session_id": 5}, "session_id is a text"),
        ({"created_after": "yesterday"}, "created_after is a time"),
        ({"created_before": datetime(2026, 1, 1)}, "has no offset"),
        ({"timeout": -1}, "timeout"),
        ({"provider": "acmee"}, "acmee"),
        ({"provider": 5}, "provider"),
        ({"account": "wrok"}, "wrok"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anybody_is_asked(query, told, lists):
    acme = lists(info("a1"))
    for offline in (False, True):
        with pytest.raises(InvalidInputError, match=told):
            qp.list_jobs(**query, offline=offline)
    assert acme.listing.queries == []


def test_a_near_miss_is_named():
    with pytest.raises(InvalidInputError) as caught:
        qp.list_jobs(status="runing")
    assert caught.value.hint == "Did you mean 'RUNNING'?"


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ({}, True),
        ({"created_after": NOON}, True),
        ({"created_after": NOON + timedelta(seconds=1)}, False),
        ({"created_before": NOON}, True),
        ({"created_before": NOON - timedelta(seconds=1)}, False),
        ({"session_id": "s"}, True),
        ({"session_id": "t"}, False),
        ({"instance": "i"}, True),
        ({"instance": "j"}, False),
        ({"tags": ("x",)}, True),
        ({"tags": ("x", "z")}, False),
        ({"backends": ("o*",)}, True),
        ({"backends": ("p*", "q")}, False),
        ({"pending": False}, True),
        ({"pending": True}, False),
        ({"name": "n"}, True),
        ({"name": "m"}, False),
        ({"states": (JobState.ERROR,)}, False),
    ],
)
def test_each_filter_restricts(query, fits):
    job = info("a1", session_id="s", instance="i", tags=("x", "y"), backend="one", name="n")
    assert AskedJobs(**query).fits(job) is fits


def test_a_job_whose_time_or_backend_is_not_told_is_not_left_out_for_its_time():
    job = JobInfo(id="a", state=JobState.DONE)
    assert AskedJobs(created_after=NOON, created_before=NOON).fits(job)
    assert not AskedJobs(backends=("one",)).fits(job)

"""The jobs of all vendors and of the ledger as one list."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

import qprovider_core as qp
from qprovider_core import fleet
from qprovider_core.errors import (
    QProviderError,
    TransportError,
    UnknownAccountError,
    UnknownJobError,
    UnknownProviderError,
)
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import JobInfo, JobPage, JobState, ProviderSpec, QueueInfo

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


# --------------------------------------------------------------------------------------------------------- merging


def test_jobs_of_vendors_and_ledger_come_newest_first_each_once(lists):
    lists(info("a1", 1), info("a3", 3))
    lists(info("b2", 2), name="beta")
    keep(info("a1", 1), info("a0", 0))
    keep(info("b4", 4), provider="beta")
    found = qp.list_jobs()
    assert ids(found) == ["b4", "a3", "b2", "a1", "a0"]
    assert (found.errors, found.notes) == ([], [])
    assert [bool(record.key) for record in found] == [True, False, False, True, True]
    assert [job.job_id() for job in qp.jobs()] == ids(found)
    assert ids(qp.list_jobs(offline=True)) == ["b4", "a1", "a0"]


def test_the_same_id_at_two_vendors_is_two_jobs(lists):
    lists(info("1", 1))
    lists(info("1", 2), name="beta")
    assert [record.provider for record in qp.list_jobs()] == ["beta", "acme"]


@pytest.mark.parametrize(("limit", "number"), [(None, 25), (10, 10), (1, 1), (24, 24), (100, 25)])
def test_the_limit_is_of_the_whole_list(limit, number, lists):
    acme = lists(*(info(f"a{n}", 2 * n) for n in range(15)), size=4)
    keep(*(info(f"k{n}", 2 * n + 1) for n in range(10)))
    found = qp.list_jobs(limit=limit)
    assert len(found) == number
    times = [record.info.created_at for record in found]
    assert times == sorted(times, reverse=True)
    assert len(qp.jobs(limit=limit)) == number
    if limit == 1:
        assert len(acme.listing.queries) <= 2  # no more pages than needed


def test_a_page_that_shifts_gives_no_job_twice(lists):
    pages = {None: JobPage(jobs=[info("a", 3), info("b", 2)], cursor="x"), "x": JobPage(jobs=[info("b", 2), info("c")])}
    lists(list_jobs=lambda query: pages[query.cursor])
    assert ids(qp.list_jobs(limit=None)) == ["a", "b", "c"]


def test_a_vendor_that_turns_in_circles_costs_a_row_and_what_it_listed_stays(lists):
    turn = iter(range(100))
    lists(list_jobs=lambda query: JobPage(jobs=[info(f"a{next(turn)}")], cursor="x"))
    found = qp.list_jobs(limit=None)
    assert len(found) >= 2
    assert "again and again" in found.errors[0].reason


def test_a_vendor_that_lists_nothing_at_all_is_no_error(lists):
    lists(list_jobs=lambda: None)
    assert (qp.list_jobs(), qp.list_jobs().errors) == ([], [])


# ------------------------------------------------------------------------------------------- what vendors tell anew


def test_a_state_that_the_ledger_knew_is_refreshed_and_noted(lists):
    acme = lists(info("a1", 0, JobState.DONE, started_at=NOON))
    [key] = keep(info("a1", 0, JobState.QUEUED, name="mine", tags=("t",)))
    [record] = qp.list_jobs()
    assert (record.info.state, record.info.name, record.info.tags) == (JobState.DONE, "mine", ("t",))
    assert ledger_in_use().find(key).info.state is JobState.DONE
    acme.listing.queries.clear()


def test_jobs_that_the_list_does_not_reach_are_asked_for_by_their_ids(lists):
    acme = lists(*(info(f"n{n}", 10 + n) for n in range(5)), info("old", 0, JobState.DONE))
    keep(info("old", 0, JobState.RUNNING))
    found = qp.list_jobs(pending=True)
    assert ids(found) == []
    assert acme.listing.queries[-1].ids == ("old",)
    [record] = qp.list_jobs(status="done", offline=True)
    assert record.id == "old"


def test_those_that_do_not_satisfy_the_query_any_more_make_room_for_others(lists):
    lists(*(info(f"a{n}", n, JobState.DONE if n > 4 else JobState.QUEUED) for n in range(10)))
    keep(*(info(f"a{n}", n, JobState.QUEUED) for n in range(10)))
    assert ids(qp.list_jobs(pending=True, limit=3)) == ["a4", "a3", "a2"]
    assert ids(qp.list_jobs(status=JobState.DONE, limit=2)) == ["a9", "a8"]


def test_an_end_is_not_taken_back(lists):
    lists(info("a1", 0, JobState.QUEUED))
    keep(info("a1", 0, JobState.CANCELLED))
    assert qp.list_jobs()[0].info.state is JobState.CANCELLED


def test_nothing_is_written_where_nothing_has_changed(lists):
    lists(info("a1", 0, JobState.QUEUED, queue=QueueInfo(position=4)))
    [key] = keep(info("a1", 0, JobState.QUEUED, queue=QueueInfo(position=9)))
    before = ledger_in_use().find(key).updated_at
    assert qp.list_jobs()[0].info.queue.position == 4
    assert ledger_in_use().find(key).updated_at == before


def test_names_and_tags_that_only_the_ledger_has_are_found_while_a_job_goes_on(lists):
    bare = ProviderSpec(name="acme", title="Acme", max_tags=0)
    lists(info("a1", 0, JobState.RUNNING), spec=bare)
    keep(info("a1", 0, JobState.QUEUED, name="mine", tags=("t",)))
    for query in ({"name": "mine"}, {"tags": "t"}, {"name": "mine", "pending": True}):
        [record] = qp.list_jobs(**query)
        assert (record.id, record.info.state, record.info.name) == ("a1", JobState.RUNNING, "mine")
    assert qp.list_jobs(name="another") == []


def test_a_submission_of_unknown_fate_that_is_listed_is_settled(lists, service):
    acme = service(("after", TransportError("lost")), list_jobs=lambda: JobPage())
    acme.lookup = qp.SubmissionOutcome.UNKNOWN
    job = acme.backend.run(circuit())
    assert [record.id for record in qp.list_jobs(status="submit_unknown")] == [job.key]
    acme.backend._account.vendor._plugin.qprovider_list_jobs = acme.list_jobs
    qp.unregister_plugin("acme")
    qp.register_plugin(acme.backend._account.vendor._plugin, "acme")
    [record] = qp.list_jobs()
    assert (record.id, record.job_id, record.key) == ("a0", "a0", job.key)
    assert ledger_in_use().find(job.key).job_id == "a0"
    assert qp.list_jobs(status="submit_unknown") == []


def circuit():
    from qiskit import QuantumCircuit

    made = QuantumCircuit(1, 1)
    made.measure(0, 0)
    return made


def test_a_copied_key_makes_no_two_jobs_one(lists):
    lists(info("copy", 2, tags=(f"qprovider:{'k' * 32}", "t")))
    keep(info("a1", 1, key="k" * 32))
    found = qp.list_jobs()
    assert [(record.id, record.key) for record in found] == [("copy", ""), ("a1", "k" * 32)]
    assert found[0].info.tags == ("t",)


def test_a_vendor_without_lists_is_asked_for_each_open_job(account):
    told = {"a1": info("a1", 0, JobState.DONE), "a2": None}

    def get_job(job):
        if job.id == "a3":
            raise UnknownJobError("a3")
        if job.id == "a4":
            raise TransportError("No line.")
        return told[job.id]

    account("acme", get_job=get_job)
    keep(*(info(f"a{n}", n, JobState.QUEUED) for n in (1, 2, 3, 4)))
    found = qp.list_jobs()
    assert [record.info.state for record in found] == [JobState.QUEUED] * 3 + [JobState.DONE]
    assert found.errors[0].reason == "No line."


# ------------------------------------------------------------------------------------------------ vendors that fail


def test_a_vendor_that_is_down_costs_a_row_and_its_known_jobs_stay(lists):
    lists(info("b1", 1), name="beta")

    def fail():
        raise TransportError("Nobody there.")

    lists(list_jobs=fail)
    keep(info("a1", 2, JobState.QUEUED))
    found = qp.list_jobs()
    assert ids(found) == ["a1", "b1"]
    assert [(error.provider, error.reason) for error in found.errors] == [("acme", "Nobody there.")]
    assert qp.jobs().errors == found.errors or len(qp.jobs().errors) == 1


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3), TimeoutError("late")])
def test_whatever_a_plugin_raises_costs_its_row_alone(error, lists):
    def fail():
        raise error

    lists(list_jobs=fail)
    lists(info("b1"), name="beta")
    found = qp.list_jobs()
    assert ids(found) == ["b1"]
    assert len(found.errors) == 1


def test_a_vendor_that_hangs_is_left_at_the_deadline(lists, hang):
    lists(list_jobs=lambda: hang())
    lists(info("b1"), name="beta")
    keep(info("a1"))
    found = qp.list_jobs(timeout=0.3)
    assert set(ids(found)) == {"a1", "b1"}
    assert [(error.provider, error.reason, error.error) for error in found.errors] == [
        ("acme", "no answer in time", "DeadlineError")
    ]


def test_what_came_before_the_deadline_is_told(lists, hang):
    pages = iter([JobPage(jobs=[info("a1", 1)], cursor="x")])
    lists(list_jobs=lambda query: next(pages, None) or hang())
    found = qp.list_jobs(timeout=0.3)
    assert ids(found) == ["a1"]
    assert found.errors[0].reason == "no answer in time"


def test_a_lane_whose_deadline_is_over_asks_for_no_more_pages(lists):
    import time

    def slow(query):
        time.sleep(0.1)
        return JobPage(jobs=[info(f"a{len(acme.listing.queries)}")], cursor=f"{len(acme.listing.queries)}")

    acme = lists()
    acme.listing.page = lambda query: acme.listing.queries.append(query) or slow(query)
    assert qp.list_jobs(timeout=0.05, limit=None).errors
    time.sleep(0.3)
    assert len(acme.listing.queries) == 1


def test_a_ledger_that_cannot_be_read_costs_a_row(lists):
    lists(info("a1", tags=(f"qprovider:{'k' * 32}",)))
    keep(info("a0"))
    ledger_in_use().close()
    ledger_in_use().path.write_bytes(b"no database" * 500)
    found = qp.list_jobs()
    assert ids(found) == ["a1"]
    assert [error.provider for error in found.errors] == ["ledger"]
    assert [error.provider for error in qp.list_jobs(offline=True).errors] == ["ledger"]


def test_a_ledger_that_cannot_be_written_tells_what_the_vendor_told(lists, monkeypatch):
    lists(info("a1", 0, JobState.DONE), info("a2", 0, JobState.RUNNING))
    keep(info("a1", 0, JobState.QUEUED), info("a2", 0, JobState.QUEUED))

    def full(*_):
        raise qp.LedgerError("The disk is full.")

    monkeypatch.setattr(type(ledger_in_use()), "told", full)
    found = qp.list_jobs()
    assert {record.id: record.info.state for record in found} == {"a1": JobState.DONE, "a2": JobState.RUNNING}
    assert [(error.provider, error.reason) for error in found.errors] == [("ledger", "The disk is full.")]


def test_with_the_ledger_off_vendors_are_listed_alone(lists, monkeypatch):
    lists(info("a1"))
    keep(info("a0"))
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    assert ids(qp.list_jobs()) == ["a1"]
    assert qp.list_jobs(offline=True) == []


# ------------------------------------------------------------------------------- plugins and accounts that are gone


def test_jobs_of_a_plugin_that_is_gone_are_listed_and_those_that_go_on_are_told_of(lists):
    lists(info("b1"), name="beta")
    keep(info("a1", 1), info("a2", 2, JobState.QUEUED))
    found = qp.list_jobs()
    assert ids(found) == ["a2", "a1", "b1"]
    assert [error.provider for error in found.errors] == ["acme"]
    assert "last known" in found.errors[0].reason
    assert "as they were last known" in str(found.errors[0])
    assert [job.job_id() for job in qp.jobs()] == ids(found)
    assert ids(qp.list_jobs(provider="beta")) == ["b1"]
    assert qp.list_jobs(provider="beta").errors == []


def test_such_a_plugin_may_be_named(lists):
    lists(info("b1"), name="beta")
    keep(info("a1", 1))
    found = qp.list_jobs(provider=["acme", "beta"])
    assert ids(found) == ["a1", "b1"]
    assert [error.provider for error in found.errors] == ["acme"]
    assert ids(qp.list_jobs(provider="acme")) == ["a1"]
    assert ids(qp.list_jobs(provider="acme", offline=True)) == ["a1"]
    assert ids(qp.list_jobs(provider="acme", status="error")) == []
    with pytest.raises(UnknownProviderError):
        qp.list_jobs(provider="gamma")


def test_jobs_of_a_deleted_account_are_listed(lists):
    lists(info("b1"))
    keep(info("a1", 1), account="work")
    found = qp.list_jobs(account=["work", "default"])
    assert ids(found) == ["a1", "b1"]
    assert [error.account for error in found.errors] == ["work"]
    assert [error.account for error in qp.list_jobs(account="work").errors] == ["work"]
    with pytest.raises(UnknownAccountError):
        qp.list_jobs(account="wrok")


# --------------------------------------------------------------------------------------- jobs of one account, local


def test_an_account_of_local_jobs_lists_those_of_other_processes_too(lists):
    local = ProviderSpec(name="acme", title="Acme", process_bound=True)
    acme = lists(info("mine", 2, JobState.RUNNING), spec=local)
    keep(info("others", 1), info("gone", 0, JobState.ERROR))
    assert [job.job_id() for job in acme.jobs(limit=None)] == ["mine", "others", "gone"]
    assert [job.job_id() for job in acme.jobs(states="done")] == ["others"]
    assert [job.job_id() for job in acme.jobs(backend="elsewhere")] == []
    assert [job.job_id() for job in acme.jobs(ids=["mine"])] == ["mine"]


def test_jobs_of_a_process_that_are_stale_in_the_ledger_are_refreshed(lists):
    local = ProviderSpec(name="acme", title="Acme", process_bound=True)
    lists(info("mine", 2, JobState.DONE), spec=local)
    keep(info("mine", 2, JobState.RUNNING), info("theirs", 1, JobState.RUNNING))
    assert ids(qp.list_jobs(pending=True)) == ["theirs"]
    assert qp.list_jobs().errors == []


def test_the_fleet_is_asked_by_name(lists):
    lists(info("a1"))
    lists(info("b1"), name="beta")
    assert ids(qp.list_jobs(provider="a*")) == ["a1"]
    assert ids(qp.list_jobs(provider=["beta"], account="default")) == ["b1"]
    assert len(fleet.fleet().party().accounts) == 2
    assert attrs.evolve(info("a1"), id="b").id == "b"
    with pytest.raises(QProviderError):
        qp.list_jobs(provider="z*")

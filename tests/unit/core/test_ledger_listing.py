"""Listings of the ledger: every query gives what looking at each job gives, newest first."""

import random
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qprovider_core.ledger import Ledger, LedgerQuery, _select
from qprovider_core.ledger._pack import Packer
from qprovider_core.ledger._requests import PackedRequest
from qprovider_core.records import BackendRef, JobInfo, JobRecord, JobRequest, JobState, SamplePub

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PROVIDERS, ACCOUNTS, BACKENDS = ["acme", "other"], ["default", "work"], ["one", "two", "two_b"]
INSTANCES, TAGS, NAMES = [None, "crn:a", "crn:b"], ["common", "often", "rare", 'a"b', "a", "none"], ["vqe", "n-1", None]
STATES = [JobState.DONE, JobState.ERROR, JobState.QUEUED, JobState.CANCELLED, JobState.RUNNING]
COUNT = 200


@pytest.fixture(scope="module")
def ledger(tmp_path_factory) -> Ledger:
    draw = random.Random(5)
    made = Ledger(tmp_path_factory.mktemp("listing") / "jobs")
    for number in range(COUNT):
        at = BEGAN + timedelta(minutes=number // 2)  # two at a time
        tags = [tag for tag, odds in zip(TAGS, (0.9, 0.5, 0.03, 0.2, 0.2, 0), strict=True) if draw.random() < odds]
        request = JobRequest(
            backend=BackendRef(name=draw.choice(BACKENDS), instance=draw.choice(INSTANCES)),
            pubs=[SamplePub(circuit=None, shots=1)],
            tags=tags,
            name=draw.choice(NAMES),
            key=uuid.UUID(int=draw.getrandbits(128)).hex,
            session_id=draw.choice([None, "s-1", "s-2"]),
        )
        made._now = lambda at=at: at
        packed = PackedRequest(request=Packer().pack({}), circuits=None, num_circuits=1)
        made.write(request, packed, provider=draw.choice(PROVIDERS), account=draw.choice(ACCOUNTS))
        made.accepted(request.key, JobInfo(id=f"job-{number}", state=draw.choice(STATES)))
    return made


class Everything(list[JobRecord]):
    """All jobs, shown in short."""

    def __repr__(self) -> str:
        return f"<{len(self)} jobs>"


@pytest.fixture(scope="module")
def everything(ledger) -> Everything:
    return Everything(ledger.select(LedgerQuery()))


def some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from([*values, "t*", "?ne", "*", "nowhere"]), max_size=2)


QUERIES = st.builds(
    LedgerQuery,
    providers=some(PROVIDERS),
    accounts=some(ACCOUNTS),
    backends=some(BACKENDS),
    instance=st.none() | st.sampled_from(["crn:a", "crn:none"]),
    states=st.lists(st.sampled_from(STATES), max_size=2),
    pending=st.none() | st.booleans(),
    tags=st.lists(st.sampled_from(TAGS), max_size=2),
    name=st.none() | st.sampled_from(["vqe", "n-1", "nowhere"]),
    created_after=st.none() | st.integers(0, 100).map(lambda n: BEGAN + timedelta(minutes=n)),
    created_before=st.none() | st.integers(0, 100).map(lambda n: BEGAN + timedelta(minutes=n)),
    session_id=st.none() | st.sampled_from(["s-1", "s-2", "s-3"]),
    limit=st.none() | st.integers(0, 20),
)


def fits(record: JobRecord, query: LedgerQuery) -> bool:
    info = record.info
    named = [(query.providers, record.provider), (query.accounts, record.account), (query.backends, info.backend)]
    return (
        all(not names or any(fnmatchcase(value, name) for name in names) for names, value in named)
        and query.instance in (None, info.instance)
        and (not query.states or info.state in query.states)
        and query.pending in (None, not info.state.final)
        and set(query.tags) <= set(info.tags)
        and query.name in (None, info.name)
        and (query.created_after is None or info.created_at >= query.created_after)
        and (query.created_before is None or info.created_at <= query.created_before)
        and query.session_id in (None, info.session_id)
    )


@pytest.mark.parametrize("few", [4000, 20, 0])
@given(query=QUERIES)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_query_gives_what_looking_at_each_job_gives(ledger, everything, monkeypatch, few, query):
    monkeypatch.setattr(_select, "_FEW", few)  # how rare a tag is decides how it is looked for
    wanted = [record for record in everything if fits(record, query)][: query.limit]
    assert ledger.select(query) == wanted


def test_all_are_there_newest_first(everything):
    assert len(everything) == COUNT
    assert [record.job_id for record in everything] == [f"job-{number}" for number in reversed(range(COUNT))]


def test_a_vendors_later_time_moves_a_job_up(ledger, everything):
    oldest = everything[-1]
    ledger.told(oldest.key, JobInfo(id=oldest.job_id, state=JobState.DONE, created_at=BEGAN + timedelta(days=9)))
    assert ledger.select(LedgerQuery(limit=1))[0].key == oldest.key
    ledger.told(oldest.key, JobInfo(id=oldest.job_id, state=JobState.DONE, created_at=BEGAN))
    assert ledger.select(LedgerQuery())[-1].key == oldest.key


def plan(ledger: Ledger, query: LedgerQuery) -> str:
    """How SQLite goes about it."""
    asked = []
    with ledger._file.reading() as db:
        db.set_trace_callback(asked.append)
        _select.rows(db, query)
        db.set_trace_callback(None)
        statement = next(text for text in asked if text.startswith("WITH found"))
        return "\n".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}"))


@pytest.mark.parametrize(
    "query",
    [
        LedgerQuery(limit=5),
        LedgerQuery(providers=["acme"], states=[JobState.ERROR], limit=5),
        LedgerQuery(providers=["acme"], pending=False, limit=5),
        LedgerQuery(created_after=BEGAN, backends=["t*"], limit=5),
    ],
)
def test_filters_are_read_from_one_index_in_order(ledger, query):
    told = plan(ledger, query)
    assert "COVERING INDEX jobs_listed" in told
    assert "SEARCH j USING INTEGER PRIMARY KEY" in told
    assert "SCAN j\n" not in told


def test_rare_things_are_looked_up(ledger, monkeypatch):
    assert "jobs_name" in plan(ledger, LedgerQuery(name="n-1", pending=True))
    assert "jobs_open" in plan(ledger, LedgerQuery(pending=True, providers=["acme"]))
    assert "jobs_listed" not in plan(ledger, LedgerQuery(tags=["rare"], providers=["acme"]))
    assert "jobs_session" in plan(ledger, LedgerQuery(session_id="s-1", tags=["rare"]))
    monkeypatch.setattr(_select, "_FEW", 0)
    for query in (LedgerQuery(tags=["common"], providers=["acme"]), LedgerQuery(name="vqe", pending=True)):
        assert "COVERING INDEX jobs_listed" in plan(ledger, query)


NONSENSE = [
    ("state", "strange"),
    ("created", "soon"),
    ("updated", 1 << 62),
    ("tags", "{"),
    ("tags", '{"a": 1}'),
    ("tags", "[1]"),
    ("more", "["),
    ("more", "[]"),
    ("more", '{"extra": {"~": "bytes", "at": 5}}'),
    ("more", '{"no_such_field": 1}'),
    ("options", '{"~": "record", "k": "x"}'),
    ("options", "[" * 5000),
    ("name", sqlite3.Binary(b"\xff")),
]


@pytest.mark.parametrize(("column", "value"), NONSENSE)
def test_a_row_of_nonsense_hides_no_other_job(tmp_path, column, value):
    ledger = Ledger(tmp_path / "jobs")
    for key in ("k1", "k2"):
        request = JobRequest(backend=BackendRef(name="one"), pubs=[SamplePub(circuit=None, shots=1)], key=key)
        packed = PackedRequest(request=Packer().pack({}), circuits=None, num_circuits=1)
        ledger.write(request, packed, provider="acme", account="default")
    with ledger._file.writing() as db:
        db.execute(f"UPDATE jobs SET {column} = ? WHERE key = 'k1'", (value,))
    assert {record.key for record in ledger.select(LedgerQuery())} == {"k1", "k2"}
    ledger.told("k1", JobInfo(id="job-1", state=JobState.DONE, created_at=BEGAN))
    assert ledger.find("k1").info.state is JobState.DONE


def test_text_that_is_no_utf_8_is_read_as_far_as_it_can(tmp_path):
    ledger = Ledger(tmp_path / "jobs")
    ledger.adopt("acme", "default", JobInfo(id="job-1", state=JobState.DONE, name="x"))
    with ledger._file.writing() as db:
        db.execute("UPDATE jobs SET name = CAST(x'61ff62' AS TEXT)")
    assert ledger.select(LedgerQuery())[0].info.name == "a�b"

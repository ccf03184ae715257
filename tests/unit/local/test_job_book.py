"""Which jobs are found, and how long they are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from qprovider_core.errors import InvalidInputError, UnknownJobError
from qprovider_core.records import JobQuery, JobState
from qprovider_local._jobs import JobBook, LocalJob

START = datetime(2026, 3, 1, tzinfo=UTC)


def job(number, state=JobState.DONE, **fields):
    made = LocalJob(
        id=f"j{number}",
        backend=fields.pop("backend", "aer_simulator"),
        task={},
        payload=b"x" * 10,
        shots=1,
        created_at=START + timedelta(minutes=number),
        **fields,
    )
    made.state = state
    return made


def book(*jobs, **limits):
    made = JobBook(**limits)
    for entry in jobs:
        made.add(entry)
    return made


def ids(page):
    return [info.id for info in page.jobs]


def test_jobs_come_newest_first_and_pages_join_without_gap_or_repeat():
    full = book(*(job(n) for n in range(7)))
    seen, cursor = [], None
    while True:
        page = full.page(JobQuery(limit=3, cursor=cursor))
        seen += ids(page)
        if (cursor := page.cursor) is None:
            break
    assert seen == [f"j{n}" for n in range(6, -1, -1)]


def test_a_last_page_that_is_just_full_has_no_cursor():
    assert book(job(1), job(2)).page(JobQuery(limit=2)).cursor is None


def test_jobs_that_come_between_two_pages_do_not_shift_them():
    growing = book(job(1), job(2), job(3))
    first = growing.page(JobQuery(limit=2))
    growing.add(job(4))
    assert ids(growing.page(JobQuery(limit=2, cursor=first.cursor))) == ["j1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (JobQuery(ids=["j2", "j9"]), ["j2"]),
        (JobQuery(backend="fake_belem"), ["j3"]),
        (JobQuery(instance="elsewhere"), []),
        (JobQuery(session_id="s"), []),
        (JobQuery(states=[JobState.ERROR, JobState.QUEUED]), ["j4", "j2"]),
        (JobQuery(tags=["a"]), ["j3", "j1"]),
        (JobQuery(tags=["a", "b"]), ["j3"]),
        (JobQuery(name="mine"), ["j1"]),
        (JobQuery(pending=True), ["j4"]),
        (JobQuery(pending=False), ["j3", "j2", "j1"]),
        (JobQuery(created_after=START + timedelta(minutes=3)), ["j4", "j3"]),
        (JobQuery(created_before=START + timedelta(minutes=2)), ["j2", "j1"]),
    ],
)
def test_each_filter_restricts(query, expected):
    full = book(
        job(1, tags=("a",), name="mine"),
        job(2, JobState.ERROR),
        job(3, tags=("a", "b"), backend="fake_belem"),
        job(4, JobState.QUEUED),
    )
    assert ids(full.page(query)) == expected


def test_a_cursor_of_another_kind_is_refused():
    with pytest.raises(InvalidInputError, match="cursor"):
        book().page(JobQuery(cursor="page two"))


def test_an_unknown_job_says_where_local_jobs_live():
    with pytest.raises(UnknownJobError, match="in this process"):
        book()["nowhere"]


def test_the_oldest_lose_their_data_first_and_the_newest_never():
    full = book(kept_bytes=25)
    jobs = [job(n) for n in range(4)]
    for entry in jobs:
        full.add(entry)
        entry.outcomes = b""
        full.ended(entry)
    assert [entry.payload is None for entry in jobs] == [True, True, False, False]
    huge = job(9)
    huge.payload = b"x" * 100
    full.add(huge)
    full.ended(huge)
    assert huge.payload is not None
    assert all(entry.payload is None for entry in jobs)
    assert ids(full.page(JobQuery())) == ["j9", "j3", "j2", "j1", "j0"]


def test_beyond_the_limit_the_oldest_finished_jobs_are_forgotten_and_those_that_wait_are_not():
    full = book(kept_jobs=2)
    waiting = job(0, JobState.QUEUED)
    full.add(waiting)
    for number in (1, 2, 3):
        entry = job(number, key=f"k{number}")
        full.add(entry)
        full.ended(entry)
    assert ids(full.page(JobQuery())) == ["j3", "j2", "j0"]
    assert full.by_key("k1") is None
    assert full.by_key("k3") is full["j3"]

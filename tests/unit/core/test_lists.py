"""Answers: lists that know what is missing from them."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from qprovider_core._lists import AnswerList, BackendList, JobList, QueryError
from qprovider_core.query import Rejections
from qprovider_core.records import BackendInfo, JobInfo, JobState

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ERROR = QueryError(provider="ibm", account="work", reason="no answer within 1 s", elapsed_s=1.0)


def test_an_error_names_who_and_why():
    assert str(ERROR) == "work/ibm: no answer within 1 s"
    assert str(QueryError(provider="ibm", account="default", reason="r")) == "ibm: r"
    assert str(QueryError(provider="ibm", reason="r")) == "ibm: r"
    assert QueryError.from_dict(ERROR.to_dict()) == ERROR


def test_backends_are_a_list_with_a_table_and_what_is_missing():
    infos = [BackendInfo(name="a", num_qubits=5, full_name="acme:a"), BackendInfo(name="b")]
    listed = BackendList(infos, errors=[ERROR], notes=["ibm: no account."], as_of=NOON, requests={"info": 1})
    assert listed == infos
    assert listed.names() == ["acme:a", "b"]
    assert listed.as_of == NOON
    assert listed.requests == {"info": 1}
    shown = repr(listed).splitlines()
    assert shown[0].startswith("backend")
    assert shown[2].startswith("acme:a")
    assert shown[-2:] == ["! work/ibm: no answer within 1 s", "ibm: no account."]
    html = listed._repr_html_()
    assert ">acme:a</th>" in html
    assert ">work/ibm</th>" in html
    assert ">no answer within 1 s</td>" in html


def test_vendors_words_cannot_write_to_the_terminal_or_the_page():
    hostile = QueryError(provider="acme", reason="\x1b[2J<script>")
    listed = BackendList([], errors=[hostile], notes=["\x07"])
    assert "\x1b" not in repr(listed) + listed._repr_html_()
    assert "\x07" not in repr(listed) + listed._repr_html_()
    assert "<script>" not in listed._repr_html_()


def test_an_empty_answer_says_whether_there_was_anything():
    assert repr(BackendList()) == "No backends."
    rejected = Rejections()
    rejected.add("too small", "acme:", [BackendInfo(name="a")])
    assert repr(BackendList(rejected=rejected)) == "No backend satisfies the query; 1 rejected, see .rejected."
    assert "No backends." in BackendList()._repr_html_()
    assert BackendList().as_of.tzinfo is UTC


def test_handles_and_records_are_shown_alike():
    info = BackendInfo(name="a", full_name="acme:a")
    assert repr(BackendList([SimpleNamespace(info=info)])) == repr(BackendList([info]))


def test_jobs_are_a_list_with_a_table():
    jobs = [
        SimpleNamespace(info=JobInfo(id="j1", state=JobState.DONE, created_at=NOON, tags=("a", "b"), backend="x")),
        SimpleNamespace(info=JobInfo(id="j2", state=JobState.QUEUED)),
    ]
    shown = repr(JobList(jobs, errors=[ERROR])).splitlines()
    assert shown[2].split() == ["j1", "done", "x", "2026-03-01", "12:00:00+00:00", "a,", "b", "–"]
    assert shown[3].split() == ["j2", "queued", "–", "–", "–", "–"]
    assert repr(JobList()) == "No jobs."


def test_the_base_leaves_the_words_to_its_subclasses():
    with pytest.raises(NotImplementedError):
        repr(AnswerList())
    with pytest.raises(NotImplementedError):
        repr(AnswerList([1]))

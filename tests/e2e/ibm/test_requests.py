"""What the client sends, as a service that takes the protocol by its words sees it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from qprovider_core.records import Deadline
from qprovider_ibm import IBMProvider
from qprovider_ibm._errors import IBMTransportError
from qprovider_ibm._http import Transport

CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef:1111-2222::"


def answer_json(data: Any, status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {}, json.dumps(data).encode()


def send(server: Any, method: str, **more: Any) -> Any:
    deadline = Deadline.after(20)
    return Transport().send(method, f"{server.base}/x", deadline=deadline, place="the test", data={}, **more)


@pytest.mark.parametrize(
    ("method", "status", "headers", "sent"),
    [
        ("POST", 429, {}, 1),
        ("POST", 429, {"Retry-After": "later"}, 1),
        ("POST", 429, {"Retry-After": "0"}, 2),
        ("POST", 413, {}, 1),
        ("POST", 413, {"Retry-After": "0"}, 1),
        ("PATCH", 429, {}, 1),
        ("PUT", 429, {"Retry-After": "0"}, 2),
        ("PUT", 413, {"Retry-After": "0"}, 2),
    ],
)
def test_a_limit_is_waited_out_on_what_creates_something_only_where_the_service_says_how_long(
    serve, method, status, headers, sent
):
    answers = iter([(status, headers, b""), (200, {}, b"{}")])
    server = serve(lambda *_: next(answers))
    assert send(server, method).status == (200 if sent == 2 else status)
    assert len(server.seen) == sent


@pytest.mark.parametrize("text", ["a client of €", "two\nlines: x", "  spaces  ", "\ttab", "plain"])
def test_any_text_in_the_environment_makes_a_header(serve, monkeypatch, text):
    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        if path == "/identity/token":
            return answer_json({"access_token": "a-bearer-of-this-test", "expires_in": 3600})
        return answer_json({"devices": []})

    server = serve(answer)
    monkeypatch.setenv("QISKIT_IBM_RUNTIME_CUSTOM_CLIENT_APP_HEADER", text)
    monkeypatch.setenv("QISKIT_FUNCTIONS_IDENTIFIER", text)
    IBMProvider("a" * 44, instance=CRN, endpoints={"iam": server.base, "api": f"{server.base}/api/v1"})
    _, _, headers, _ = server.seen[-1]
    cleaned = {"a client of €": "a client of ?", "two\nlines: x": "two?lines: x"}.get(text, text.strip())
    assert headers["ibm-api-function-id"] == cleaned
    assert headers["x-qx-client-application"].endswith(f"/{cleaned}")


@pytest.mark.parametrize("counted", [True, False])
def test_each_page_of_jobs_is_asked_for_once(serve, counted):
    jobs = [
        {
            "id": f"d80uuta71sl7abj{number:05d}",
            "backend": "ibm_boston",
            "state": {"status": "Completed"},
            "status": "Completed",
            "program": {"id": "sampler"},
            "created": f"2026-11-22T{23 - number // 60:02d}:{59 - number % 60:02d}:40.071888Z",
            "cost": 10800,
        }
        for number in range(401)
    ]

    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        if path == "/identity/token":
            return answer_json({"access_token": "a-bearer-of-this-test", "expires_in": 3600})
        query = {name: int(value) for name, (value,) in parse_qs(urlsplit(path).query).items() if value.isdigit()}
        if "offset" not in query:
            return answer_json({"devices": []})
        page = {"jobs": jobs[query["offset"] :][: query["limit"]], **query}
        return answer_json(page | ({"count": len(jobs)} if counted else {}))

    server = serve(answer)
    endpoints = {"iam": server.base, "api": f"{server.base}/api/v1"}
    with IBMProvider("a" * 44, instance=CRN, endpoints=endpoints) as provider:
        for limit, offsets in ((None, ["0", "200", "400"]), (400, ["0", "200"]), (401, ["0", "200", "400"])):
            server.seen.clear()
            found = provider.jobs(limit=limit)
            assert [job.job_id() for job in found] == [job["id"] for job in jobs[:limit]]
            asked = [parse_qs(urlsplit(path).query)["offset"][0] for _, path, _, _ in server.seen]
            assert asked == offsets


# --------------------------------------------------------------------------------------------- the search


def all_in_one(server: Any) -> dict[str, str]:
    return {
        "iam": server.base,
        "search": server.base,
        "catalog": f"{server.base}/globalcatalog/api/v1",
        "resource_controller": server.base,
        "api": f"{server.base}/api/v1",
    }


TOKEN = answer_json({"access_token": "a.b.c", "expires_in": 3600})


def test_an_empty_page_of_the_search_is_not_the_last_one(serve):
    item = {"crn": CRN, "name": "only one", "doc": {"extensions": {"a": 1}}}
    pages = iter([{"items": [], "search_cursor": "next"}, {"items": [item]}])

    def answer(method: str, path: str, *_: Any) -> Any:
        return TOKEN if path == "/identity/token" else answer_json(next(pages))

    provider = IBMProvider("a-key-for-empty-pages", endpoints=all_in_one(serve(answer)))
    assert [one.id for one in provider.instances()] == [CRN]


def test_a_name_is_looked_up_at_once_elsewhere_when_the_search_is_out_of_order(serve):
    found = {"resources": [{"crn": CRN, "name": "team & co"}]}

    def answer(method: str, path: str, *_: Any) -> Any:
        if path == "/identity/token":
            return TOKEN
        return (503, {}, b"") if path.startswith("/v3/") else answer_json(found)

    server = serve(answer)
    IBMProvider("a-key-for-a-broken-search", instance="team & co", endpoints=all_in_one(server))
    assert [path for _, path, *_ in server.seen[:3]] == [
        "/identity/token",
        "/v3/resources/search?limit=100",
        "/v2/resource_instances?name=team%20%26%20co",
    ]


def test_a_page_of_html_is_told_with_its_status(serve):
    def answer(method: str, path: str, *_: Any) -> Any:
        return TOKEN if path == "/identity/token" else (501, {}, b"<html>no</html>")

    provider_of = {"instance": CRN, "endpoints": all_in_one(serve(answer))}
    with pytest.raises(IBMTransportError, match="HTTP status 501"):
        IBMProvider("a-key-for-a-page", **provider_of).usage()

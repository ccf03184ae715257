"""A service that answers nonsense: clear errors or sound partial answers, never a raw exception or an endless loop."""

from __future__ import annotations

import base64
import io
import json
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit

from qprovider_core.errors import QProviderError
from qprovider_core.records import BackendInfo, BackendRef, JobRef, JobRequest, JobState, SamplePub
from qprovider_ibm import IBMProvider

pytestmark = pytest.mark.slow  # left to `make check`

KEY = "an-api-key-of-the-hostile-service-0123456789"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef:1111-2222::"
DEEP = "[" * 100_000

JOB = {
    "id": "d80uuta71sl7abjb8e00",
    "backend": "ibm_boston",
    "state": {"status": "Queued"},
    "status": "Queued",
    "program": {"id": "sampler"},
    "created": "2026-11-22T06:26:40.071888Z",
    "cost": 10800,
}
DEVICE = {"name": "ibm_boston", "status": {"name": "online", "reason": ""}, "queue_length": 28, "qubits": 156}

NONSENSE: list[Any] = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"17",
    b'"text"',
    b"<html>Sign in</html>",
    b"\xff\xfe\x00",
    b'{"devices": {}, "jobs": {}, "items": {}}',
    b'{"devices": [null, 7, "x", [], {"name": null}], "jobs": [null, 7, "x", [], {"id": 3}]}',
    DEEP.encode(),
    b'{"devices": NaN, "jobs": Infinity}',
]


class Hostile:
    """A service that answers one thing to everything but the login, or what `routes` say."""

    def __init__(self, serve: Callable[..., Any]) -> None:
        self.routes: dict[str, Any] = {}
        self.body: bytes | None = None
        self.status = 200
        self.server = serve(self._answer)
        endpoints = {"iam": self.server.base, "search": self.server.base, "api": f"{self.server.base}/api/v1"}
        self.routes["/backends"] = {"devices": [DEVICE]}
        self.provider = IBMProvider(KEY, instance=CRN, endpoints=endpoints)
        self.account = self.provider.account

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        if path == "/identity/token":
            return 200, {}, b'{"access_token": "a-bearer-of-the-hostile-service", "expires_in": 3600}'
        short = path.removeprefix("/api/v1").partition("?")[0]
        if short in self.routes:
            told = self.routes[short]
            return 200, {}, told if isinstance(told, bytes) else json.dumps(told).encode()
        return self.status, {}, self.body if self.body is not None else b"{}"

    def job(self, **changes: Any) -> Any:
        told = {**JOB, **changes}
        told = {name: value for name, value in told.items() if value != "(missing)"}
        self.routes[f"/jobs/{JOB['id']}"] = told
        return self.account.ask("qprovider_get_job", job=JobRef(id=JOB["id"], instance=CRN))

    def listed(self, *devices: Any) -> list[BackendInfo]:
        self.routes["/backends"] = {"devices": list(devices)}
        return list(self.account.list_backends())


@pytest.fixture
def hostile(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Hostile:
    monkeypatch.setattr("qprovider_ibm._http._BACKOFF_S", (0.0,))
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "0.2")
    return Hostile(serve)


def request() -> JobRequest:
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    return JobRequest(
        backend=BackendRef(name="ibm_boston", instance=CRN), pubs=(SamplePub(circuit=circuit, shots=1),), key="k1"
    )


CALLS: dict[str, Callable[[Hostile], Any]] = {
    "backends": lambda h: h.account.ask("qprovider_list_backends"),
    "configuration": lambda h: h.account.ask(
        "qprovider_backend_configuration", backend=BackendRef(name="ibm_boston", instance=CRN)
    ),
    "properties": lambda h: h.account.ask(
        "qprovider_backend_properties", backend=BackendRef(name="ibm_boston", instance=CRN)
    ),
    "status": lambda h: h.account.ask("qprovider_backend_status", backend=BackendRef(name="ibm_boston", instance=CRN)),
    "submit": lambda h: h.account.ask("qprovider_submit_job", request=request()),
    "job": lambda h: h.account.ask("qprovider_get_job", job=JobRef(id="x", instance=CRN)),
    "result": lambda h: h.account.ask("qprovider_job_result", job=JobRef(id="x", instance=CRN)),
    "details": lambda h: h.account.ask("qprovider_job_details", job=JobRef(id="x", instance=CRN)),
    "jobs": lambda h: list(h.provider.jobs(limit=None)),
    "find": lambda h: h.account.ask("qprovider_find_submission", key="k1"),
    "cancel": lambda h: h.account.ask("qprovider_cancel_job", job=JobRef(id="x", instance=CRN)),
    "tags": lambda h: h.account.ask("qprovider_update_job_tags", job=JobRef(id="x", instance=CRN), tags=("a",)),
    "delete": lambda h: h.account.ask("qprovider_delete_job", job=JobRef(id="x", instance=CRN)),
    "usage": lambda h: h.provider.usage(),
    "instances": lambda h: h.provider.instances(),
    "info": lambda h: h.account.info(),
    "session": lambda h: h.account.ask("qprovider_session_details", session_id="s"),
}


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize("call", CALLS)
def test_nonsense_is_an_error_of_ours_or_a_sound_answer(hostile, call, status):
    hostile.status = status
    for body in NONSENSE:
        hostile.routes.clear()
        hostile.body = body
        started = time.monotonic()
        try:
            CALLS[call](hostile)
        except QProviderError as exc:
            text = str(exc)
            assert type(exc).__name__ != "PluginError", f"{call} on {body[:40]!r}: {exc}"
            assert len(text) < 3000
            assert text.isprintable() or "\n" in text
        assert time.monotonic() - started < 10, f"{call} on {body[:40]!r} took too long"


@pytest.mark.parametrize("field", ["state", "status", "program", "created", "cost", "backend"])
def test_a_job_without_a_field_is_read_all_the_same(hostile, field):
    info = hostile.job(**{field: "(missing)"})
    assert info.id == JOB["id"]
    assert not info.state.final


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"state": {"status": "completed"}}, JobState.DONE),
        ({"state": {"status": "CANCELLED"}}, JobState.CANCELLED),
        ({"state": {"status": "Cancelled", "reasonCode": 1305}}, JobState.ERROR),
        ({"state": {"status": "Cancelled", "reason_code": "1305"}}, JobState.ERROR),
        ({"state": {"status": "Cancelled"}, "status": "Cancelled - Ran too long"}, JobState.ERROR),
        ({"state": "Running"}, JobState.RUNNING),
        ({"state": {"status": 7}, "status": None}, JobState.UNKNOWN),
        ({"state": {"status": "Completed?"}}, JobState.UNKNOWN),
        ({"state": None, "status": "Failed"}, JobState.ERROR),
    ],
)
def test_states_in_all_spellings(hostile, changes, state):
    assert hostile.job(**changes).state is state


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": "text"},
        {"tags": 7},
        {"tags": True},
        {"tags": [1, None, "good"]},
        {"tags": {"a": 1}},
        {"created": 17},
        {"created": "yesterday"},
        {"created": "9999-12-31T23:59:59-23:00"},
        {"usage": "much"},
        {"usage": {"qpu_charge_time_seconds": -1, "status": "complete"}},
        {"usage": {"qpu_charge_time_seconds": 10**400, "status": "complete"}},
        {"estimated_running_time_seconds": "soon"},
        {"session_id": 5},
        {"program": "sampler"},
        {"backend": ["x"]},
        {"state": {"status": "Failed", "reason": {"a": 1}, "reason_code": [1], "reason_solution": 9}},
        {"position_in_queue": -4},
        {"unknown": {"of": "today"}},
    ],
)
def test_fields_of_the_wrong_kind_are_not_reported_and_break_nothing(hostile, changes):
    info = hostile.job(**changes)
    assert info.id == JOB["id"]
    assert info.tags in ((), ("good",))
    assert info.usage is None or info.usage.quantum_s is None


@pytest.mark.parametrize(
    "changes",
    [
        {"queue_length": -1},
        {"queue_length": "28"},
        {"queue_length": None},
        {"qubits": 1.5},
        {"qubits": None, "clops": None, "processor_type": None, "wait_time_seconds": None},
        {"status": "online"},
        {"status": None},
        {"status": {"name": 3}},
        {"clops": {"value": "fast"}},
        {"processor_type": "Heron"},
        {"performance_metrics": {"two_q_error_median": {"value": 7}}},
        {"performance_metrics": [1]},
        {"is_simulator": "no"},
        {"wait_time_seconds": {"average": -5}},
    ],
)
def test_a_device_with_fields_of_the_wrong_kind_stays_in_the_list(hostile, changes):
    (info,) = hostile.listed({**DEVICE, **changes})
    assert info.name == "ibm_boston"
    assert info.flaws() is None
    assert info.pending_jobs in (None, 28)


def test_a_bad_entry_of_the_list_costs_only_itself(hostile):
    names = ["ibm_a", "ibm_b"]
    hostile.routes["/backends"] = {
        "devices": [{**DEVICE, "name": "ibm_a"}, {"queue_length": 1}, 7, {**DEVICE, "name": "ibm_b"}]
    }
    found = hostile.account.list_backends()
    assert [info.name for info in found] == names
    assert len(found.errors) == 2
    assert hostile.listed("ibm_bare")[0].name == "ibm_bare"  # the form of API versions before 2025


def test_names_that_are_no_part_of_a_path_stay_one_part(hostile):
    hostile.account.ask("qprovider_cancel_job", job=JobRef(id="../../x?a=b#c", instance=CRN))
    paths = [path for _, path, _, _ in hostile.server.seen]
    assert paths[-1] == "/api/v1/jobs/..%2F..%2Fx%3Fa%3Db%23c/cancel"
    with pytest.raises(QProviderError, match="no name"):
        hostile.account.ask("qprovider_cancel_job", job=JobRef(id="..", instance=CRN))
    assert len(hostile.server.seen) == len(paths)


def test_texts_that_steer_a_terminal_are_shown_without_that(hostile):
    hostile.status = 400
    hostile.body = json.dumps(
        {"errors": [{"code": 1, "message": "\x1b[2J\x07gone", "solution": "\x1b]0;x\x07"}]}
    ).encode()
    with pytest.raises(QProviderError) as caught:
        hostile.account.ask("qprovider_cancel_job", job=JobRef(id="x", instance=CRN))
    assert "\x1b" not in str(caught.value)
    assert "gone" in str(caught.value)


@pytest.mark.parametrize("count", [None, 10**9, "many"])
def test_pages_that_repeat_for_ever_end(hostile, count):
    page = [{**JOB, "id": f"job-{number}"} for number in range(200)]
    hostile.routes["/jobs"] = {"jobs": page, **({} if count is None else {"count": count})}
    assert len(hostile.provider.jobs(limit=None)) == 200
    assert len(hostile.provider.jobs(limit=None, status="done")) == 0
    asked = [path for _, path, _, _ in hostile.server.seen if path.startswith("/api/v1/jobs")]
    assert len(asked) < 12


@pytest.mark.parametrize("life", [0, -5, "soon", None, True, 1e300])
def test_a_life_of_the_token_that_is_none_does_no_harm(serve, life):
    def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        if path == "/identity/token":
            return 200, {}, json.dumps({"access_token": "a-bearer-of-this-test", "expires_in": life}).encode()
        return 200, {}, b'{"devices": []}'

    server = serve(answer)
    provider = IBMProvider(KEY, instance=CRN, endpoints={"iam": server.base, "api": f"{server.base}/api/v1"})
    provider.account.list_backends()
    assert [path for _, path, _, _ in server.seen if path == "/identity/token"] == ["/identity/token"]


@pytest.mark.parametrize("token", [None, 7, "", "two words", "line\nbreak", "schlüssel"])
def test_a_token_that_is_none_is_an_error(serve, token):
    server = serve(lambda *_: (200, {}, json.dumps({"access_token": token, "expires_in": 3600}).encode()))
    with pytest.raises(QProviderError, match="token"):
        IBMProvider(KEY, instance=CRN, endpoints={"iam": server.base, "api": f"{server.base}/api/v1"})
    assert len(server.seen) == 1


def packed(array: Any) -> dict[str, Any]:
    """An array as the service sends it."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return {"__type__": "ndarray", "__value__": base64.b64encode(zlib.compress(file.getvalue())).decode()}


def bits(rows: Any) -> dict[str, Any]:
    """Outcomes of two bits, one row a shot."""
    return {"__type__": "BitArray", "__value__": {"array": packed(np.array(rows, dtype=np.uint8)), "num_bits": 2}}


def result_of(*data: Any) -> dict[str, Any]:
    """A result with this data of its pubs."""
    pubs = [{"__type__": "PubResult", "__value__": {"data": one, "metadata": {}}} for one in data]
    return {"__type__": "PrimitiveResult", "__value__": {"pub_results": pubs, "metadata": {}}}


def fields(**named: Any) -> dict[str, Any]:
    return {"__type__": "DataBin", "__value__": {"field_names": [*named], "shape": [], "fields": named}}


@pytest.mark.parametrize(
    ("program", "result", "words"),
    [
        ("sampler", result_of(), "is empty"),
        ("estimator", result_of(), "is empty"),
        ("sampler", result_of({}), "circuit 0 has no outcomes"),
        ("estimator", result_of({}), "none of the program estimator"),
        ("sampler", result_of(fields()), "circuit 0 has no outcomes"),
        ("sampler", result_of(fields(c=bits([[0], [3]]) | {"__type__": 10**400})), "cannot be read"),
        ("sampler", result_of({"c": 10**400}), "neither samples nor numbers"),
        ("sampler", result_of(fields(c=json.loads("[" * 100 + "]" * 100))), "it is no array"),
        ("estimator", result_of(fields(evs=json.loads("[" * 100 + "]" * 100))), "it is no array"),
        ("sampler", result_of(fields(c=bits(np.zeros((0, 1))))), "it has no shots"),
        ("sampler", result_of(fields(evs=packed(np.array(0.5)))), "none of the program sampler"),
        ("estimator", result_of(fields(c=bits([[0], [3]]))), "none of the program estimator"),
        ("estimator", result_of(fields(evs="half")), "no real numbers"),
    ],
)
def test_a_result_that_is_none_gives_no_counts_and_no_values(hostile, program, result, words):
    hostile.job(state={"status": "Completed"}, program={"id": program})
    hostile.routes[f"/jobs/{JOB['id']}/results"] = result
    job = hostile.provider.retrieve_job(JOB["id"])
    with pytest.raises(QProviderError, match=words) as caught:
        job.result(timeout=10)
    assert type(caught.value).__name__ in ("ResponseError", "ResultError")


def test_a_sound_result_of_the_same_making_is_read(hostile):
    hostile.job(state={"status": "Completed"})
    hostile.routes[f"/jobs/{JOB['id']}/results"] = result_of(fields(c=bits([[0], [3], [3]])))
    assert hostile.provider.retrieve_job(JOB["id"]).result(timeout=10).get_counts() == {"00": 1, "11": 2}


# ------------------------------------------------------------------------------------------ the search, names, sizes


def item(crn: Any = CRN, name: Any = "mine", **more: Any) -> dict[str, Any]:
    """An instance as Global Search lists it."""
    return {"crn": crn, "name": name, "service_plan_unique_id": "p", "doc": {"extensions": {"x": 1}}, **more}


@pytest.fixture
def searched(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Open a provider whose search gives these pages, one after another without end; and the searches it made."""
    monkeypatch.setattr("qprovider_ibm._client._MOST_PAGES", 7)

    def begin(*pages: dict[str, Any], instance: str | None = None) -> tuple[IBMProvider, list[Any]]:
        searches: list[Any] = []

        def answer(method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
            if path == "/identity/token":
                return 200, {}, b'{"access_token": "a-bearer-of-the-hostile-service", "expires_in": 3600}'
            if path.startswith("/v3/resources/search"):
                searches.append(json.loads(body).get("search_cursor"))
                return 200, {}, json.dumps(pages[(len(searches) - 1) % len(pages)]).encode()
            return 200, {}, json.dumps({"devices": [DEVICE]}).encode()

        base = serve(answer).base
        places = {"iam": base, "search": base, "catalog": f"{base}/globalcatalog/api/v1", "api": f"{base}/api/v1"}
        return IBMProvider(KEY, instance=instance, endpoints=places), searches

    return begin


@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        ([{"items": [item()], "search_cursor": "a"}], [None, "a"]),  # the same page again and again
        ([{"items": [item()], "search_cursor": c} for c in "ab"], [None, "a", "b"]),
        ([{"items": [item(), item()], "search_cursor": 7}], [None]),
        ([{"items": [item()], "search_cursor": str(n)} for n in range(20)], [None, *"012345"]),  # without end
    ],
)
@pytest.mark.parametrize("instance", [None, "mine"])
def test_a_search_whose_pages_repeat_ends_and_gives_each_instance_once(searched, pages, asked, instance):
    provider, searches = searched(*pages, instance=instance)
    assert [one.id for one in provider.active_instances()] == [CRN]
    assert searches == asked
    assert len(provider.backends()) == 1


@pytest.mark.parametrize(
    "crn",
    [
        "crn:",
        "crn:v1:bluemix:public:quantum-computing:evil.example/:a/1:2::",
        "crn:v1:bluemix:public:databases:us-east:a/1:2::",
        "crn:v1:bluemix:public:quantum-computing:us-east:a/1:2::\r\nX-Header: y",
        "not a crn",
        7,
        None,
        {"crn": CRN},
    ],
)
def test_an_instance_without_a_whole_crn_is_not_used_and_hides_no_other(searched, crn):
    provider, _ = searched({"items": [item(crn, "bad"), 7, None, item()]})
    assert [one.name for one in provider.active_instances()] == ["mine"]
    with pytest.raises(QProviderError, match="sees no instance"):
        searched({"items": [item(crn, "bad")]})


@pytest.mark.parametrize(
    "more", [{"doc": None}, {"doc": {}}, {"doc": {"extensions": {}}}, {"doc": "x"}, {"tags": "team"}, {"name": 7}]
)
def test_fields_of_an_instance_of_the_wrong_kind(searched, more):
    provider, _ = searched(
        {"items": [item(**more), item("crn:v1:bluemix:public:quantum-computing:eu-de:a/1:2::", "b")]}
    )
    names = [one.name for one in provider.active_instances()]
    assert names == (["b"] if "doc" in more else sorted(["b", CRN if "name" in more else "mine"]))


NAMES = ("a/b", "..", "ünï", "a b", "*", "x@y", "-", "ibm:x")


def test_names_of_backends_are_taken_as_they_are_or_left_out_one_by_one(hostile):
    told = [*NAMES, "\x1b[2Jx", "", "x" * 5000, "a\nb", "-"]
    hostile.routes["/backends"] = {"devices": [{**DEVICE, "name": name} for name in told]}
    found = hostile.provider.backends()
    assert [backend.name for backend in found] == [*NAMES]
    assert len(found.rejected) == 4
    assert "\x1b" not in repr(found) + found._repr_html_() + str(found.rejected[0]) + str(found.errors[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_backend_stays_one_part_of_the_path(hostile, name):
    hostile.listed({**DEVICE, "name": name})
    hostile.server.seen.clear()
    with pytest.raises(QProviderError):  # there is no configuration here
        hostile.account.facts.configuration(BackendRef(name=name, instance=CRN))
    paths = [path for _, path, _, _ in hostile.server.seen]
    assert all(path.count("/") == 5 and path.endswith("/configuration") for path in paths)
    assert len(paths) == (0 if name == ".." else 1)


def test_fifty_megabytes_of_an_answer_are_read_and_not_shown(hostile):
    hostile.routes["/backends"] = json.dumps({"devices": [DEVICE], "more": "x" * (50 << 20)}).encode()
    assert len(hostile.account.ask("qprovider_list_backends")) == 1
    hostile.status, hostile.body = 400, b"y" * (50 << 20)
    with pytest.raises(QProviderError) as caught:
        hostile.account.ask("qprovider_get_job", job=JobRef(id="x", instance=CRN))
    assert len(str(caught.value)) < 1000

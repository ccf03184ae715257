"""Jobs at a vendor's service that takes one circuit a job: ours are made of several of theirs."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from qiskit import QuantumCircuit
from qiskit.providers import JobError, JobStatus, JobV1

from qprovider_core.errors import (
    AuthenticationError,
    ResultError,
    TransportError,
    UnknownJobError,
    UnsupportedError,
)
from qprovider_core.records import (
    BackendRef,
    Deadline,
    JobInfo,
    JobQuery,
    JobRef,
    JobRequest,
    JobState,
    SamplePub,
    SubmissionOutcome,
)
from qprovider_qiskit import QiskitAdapter
from qprovider_qiskit._connection import Connection
from qprovider_qiskit._faults import says_absent

from .conftest import Vendor


class ApiError(Exception):
    """What the vendor's client raises where the service refuses."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the service says {status}")
        self.status_code = status


class WrappedError(Exception):
    """What some clients make of the error of the HTTP client below them."""


class Service:
    """The vendor's service: its jobs with what they say of themselves, and what goes wrong next.

    Attributes:
        says: Vendor's job id to its status: a word, a `JobStatus`, or an error to raise.
        results: Vendor's job id to its result.
        asked: What was asked of it, in order.
        fails: What it raises when a job is sent, one for each; None: it takes it.
    """

    def __init__(self) -> None:
        self.says: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.asked: list[str] = []
        self.fails: Iterator[Exception | None] = iter(())
        self.ids: Iterator[str] = (f"job-{number}" for number in itertools.count(1))
        self.cancel: Callable[[str], Any] = lambda job_id: self.says.update({job_id: "CANCELLED"})

    def ask(self, what: str, job_id: str) -> Any:
        self.asked.append(f"{what} {job_id}")
        if job_id not in self.says:
            raise ApiError(404)
        said = self.says[job_id]
        if isinstance(said, Exception):
            raise said
        return said


class RemoteJob(JobV1):  # type: ignore[misc]  # Qiskit has no types
    def __init__(self, backend: Any, job_id: str) -> None:
        super().__init__(backend, job_id)
        self._service = backend.service

    def submit(self) -> None:
        raise AssertionError("nobody submits it twice")

    def status(self) -> Any:
        return self._service.ask("status", self.job_id())

    def result(self) -> Any:
        self._service.ask("result", self.job_id())
        found = self._service.results[self.job_id()]
        if isinstance(found, Exception):
            raise found
        return found

    def cancel(self) -> None:
        self._service.asked.append(f"cancel {self.job_id()}")
        self._service.cancel(self.job_id())


class Remote(Vendor):
    """A backend of that service. It runs exactly, at once, and tells so when its job is `DONE`."""

    def run(self, run_input: Any, shots: int = 1024, **options: Any) -> Any:
        failure = next(self.service.fails, None)
        if failure is not None:
            raise failure
        job_id = next(self.service.ids)
        self.service.results[job_id] = super().run(run_input, shots=shots, **options).result()
        self.service.says[job_id] = JobStatus.QUEUED
        return RemoteJob(self, job_id)

    def retrieve_job(self, job_id: str) -> Any:
        return RemoteJob(self, job_id)


def number(value: int, width: int = 3) -> QuantumCircuit:
    circuit = QuantumCircuit(width, width)
    for qubit in range(width):
        if value >> qubit & 1:
            circuit.x(qubit)
    circuit.measure(range(width), range(width))
    return circuit


def request(*values: int, shots: int | Sequence[int] = 20, backend: str = "one", key: str = "") -> JobRequest:
    each = [shots] * len(values) if isinstance(shots, int) else shots
    pubs = [SamplePub(circuit=number(value), shots=one) for value, one in zip(values, each, strict=True)]
    return JobRequest(backend=BackendRef(name=backend), pubs=pubs, key=key)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def connect(service: Service) -> Iterator[Callable[..., Connection]]:
    """A new connection, as another process has one; arguments as of `QiskitAdapter`."""
    opened: list[Connection] = []

    def make(*names: str, most: int | None = 1, **given: Any) -> Connection:
        backends = [Remote(name, service=service, most=most) for name in names or ("one",)]
        opened.append(Connection(QiskitAdapter(lambda _: backends, name="acme", title="Acme", **given), None))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def connection(connect: Callable[..., Connection]) -> Connection:
    return connect()


def looked(connection: Connection, job: JobInfo) -> JobInfo:
    return connection.job(JobRef(id=job.id), 0.0)


def outcomes(connection: Connection, ref: JobRef) -> list[int]:
    """The number that each circuit gave, whichever form the shots come in."""
    pubs = connection.result(ref).pubs
    return [int(next(iter(p.counts)), 2) if p.counts else p.registers[0].data[0] for p in pubs]


# -- jobs of several ------------------------------------------------------------------------------------------


def test_each_circuit_is_a_job_of_the_vendor_and_results_come_in_order(connection, service) -> None:
    job = connection.submit(request(1, 2, 5, shots=[20, 30, 40]))
    assert job.extra["vendor_jobs"] == ["job-1", "job-2", "job-3"]
    for vendors in ("job-3", "job-1", "job-2"):
        service.says[vendors] = "DONE"
    ref = JobRef(id=job.id)
    assert looked(connection, job).state is JobState.DONE
    assert outcomes(connection, ref) == [1, 2, 5]
    assert [pub.shots for pub in connection.result(ref).pubs] == [20, 30, 40]


def test_circuits_of_equal_shots_go_together_as_many_as_the_vendor_takes(connect, service) -> None:
    connection = connect(most=2)
    job = connection.submit(request(1, 2, 3, 4, 5, shots=[9, 9, 9, 8, 8]))
    assert job.extra["parts"] == [[0, 1], [2], [3, 4]]
    assert job.extra["shots"] == [9, 9, 8]
    service.says.update(dict.fromkeys(service.says, "DONE"))
    looked(connection, job)
    assert outcomes(connection, JobRef(id=job.id)) == [1, 2, 3, 4, 5]


def test_a_result_is_fetched_once(connection, service) -> None:
    job = connection.submit(request(1, 2))
    service.says.update(dict.fromkeys(service.says, "DONE"))
    for _ in range(3):
        connection.result(JobRef(id=job.id))
    assert [one for one in service.asked if one.startswith("result")] == ["result job-1", "result job-2"]


def test_shots_of_a_vendor_that_gives_counts_come_in_an_order_that_stays(connect, service) -> None:
    connection = connect()
    coin = QuantumCircuit(2, 2)
    coin.h([0, 1])
    coin.measure([0, 1], [0, 1])
    sent = attrs.evolve(request(0), pubs=[SamplePub(circuit=coin, shots=400)] * 2, memory=True)
    job = connection.submit(sent)
    for vendors, result in service.results.items():
        del result.results[0].data.memory
        result.results[0].data.counts = {"0x0": 100, "0x1": 100, "0x2": 100, "0x3": 100}
        service.says[vendors] = "DONE"
    looked(connection, job)
    [first, second] = connection.result(JobRef(id=job.id)).pubs
    shots = [list(pub.registers[0].data) for pub in (first, second)]
    assert [[one.count(value) for value in range(4)] for one in shots] == [[100] * 4] * 2
    assert shots[0] != sorted(shots[0])
    assert shots[0] != shots[1]
    assert first.metadata["memory"] == "counts in random order"
    again = connect().result(JobRef(id=job.id, extra=job.extra)).pubs
    assert [list(pub.registers[0].data) for pub in again] == shots


def test_states_only_go_forwards(connection, service) -> None:
    job = connection.submit(request(1, 2))
    seen = [job.state]
    for first, second in [
        ("INITIALIZING", "QUEUED"),
        ("RUNNING", "QUEUED"),
        ("QUEUED", "QUEUED"),
        ("teleporting", "RUNNING"),
        ("QUEUED", "QUEUED"),
        ("DONE", "QUEUED"),
        ("DONE", "DONE"),
        ("QUEUED", "RUNNING"),
    ]:
        service.says.update({"job-1": first, "job-2": second})
        seen.append(looked(connection, job).state)
    assert seen == [
        JobState.QUEUED,
        JobState.QUEUED,
        JobState.RUNNING,
        JobState.RUNNING,
        JobState.UNKNOWN,
        JobState.UNKNOWN,
        JobState.RUNNING,
        JobState.DONE,
        JobState.DONE,
    ]


def test_a_part_that_failed_is_told_at_once_while_the_others_can_still_be_cancelled(connection, service) -> None:
    job = connection.submit(request(1, 2, 3))
    service.says.update({"job-1": "RUNNING", "job-2": "ERROR", "job-3": "DONE"})
    told = looked(connection, job)
    assert told.state is JobState.RUNNING
    assert told.error == "Circuits 1 failed in job job-2: The vendor says: ERROR."
    service.says["job-1"] = "DONE"
    told = looked(connection, job)
    assert (told.state, told.error) == (JobState.ERROR, "Circuits 1 failed in job job-2: The vendor says: ERROR.")
    with pytest.raises(ResultError, match="has no result: it is error"):
        connection.result(JobRef(id=job.id))
    assert connection.details(JobRef(id=job.id)).metrics["vendor_jobs"] == ["job-1", "job-2", "job-3"]


def test_a_part_that_was_cancelled_at_the_vendor_ends_the_job_cancelled(connection, service) -> None:
    job = connection.submit(request(1, 2))
    service.says.update({"job-1": "CANCELLED", "job-2": "RUNNING"})
    assert looked(connection, job).state is JobState.RUNNING
    service.says["job-2"] = "DONE"
    assert looked(connection, job).state is JobState.CANCELLED


# -- submitting -----------------------------------------------------------------------------------------------


def test_what_was_sent_is_cancelled_where_the_next_part_fails(connection, service) -> None:
    service.fails = iter([None, None, ApiError(400)])
    with pytest.raises(ApiError):
        connection.submit(request(1, 2, 3))
    assert service.asked == ["cancel job-1", "cancel job-2"]
    assert connection.jobs(JobQuery()).jobs == ()


def test_what_cannot_be_cancelled_then_is_logged(connection, service, caplog) -> None:
    def refuse(_: str) -> None:
        raise NotImplementedError

    service.fails, service.cancel = iter([None, ApiError(400)]), refuse
    with caplog.at_level(logging.WARNING, "qprovider.qiskit"), pytest.raises(ApiError):
        connection.submit(request(1, 2))
    assert "job job-1 was sent before another part of the same job failed, and cannot be cancelled" in caplog.text


def test_ids_are_ours_and_lead_to_the_vendors(connection, service) -> None:
    alone, several = connection.submit(request(1)), connection.submit(request(1, 2))
    assert alone.id == "one.job-1"
    assert len(several.id) == 32
    service.ids = iter(["('a', 1)", "job-1"])
    odd, again = connection.submit(request(1)), connection.submit(request(1))
    assert odd.extra["vendor_jobs"] == ["('a', 1)"]
    assert len({alone.id, several.id, odd.id, again.id}) == 4
    assert len(odd.id) == len(again.id) == 32


def test_a_submission_is_found_by_its_key_here_and_unknown_elsewhere(connect) -> None:
    first, second = connect(), connect()
    job = first.submit(request(1, key="abc"))
    found = first.find_submission("abc")
    assert found.job is not None
    assert found.job.id == job.id
    assert second.find_submission("abc").outcome is SubmissionOutcome.UNKNOWN


# -- cancelling -----------------------------------------------------------------------------------------------


def test_cancelling_stops_what_has_not_ended(connection, service) -> None:
    job = connection.submit(request(1, 2, 3))
    service.says["job-2"] = "DONE"
    assert connection.cancel(JobRef(id=job.id)) is True
    assert [one for one in service.asked if one.startswith("cancel")] == ["cancel job-1", "cancel job-3"]
    assert looked(connection, job).state is JobState.CANCELLED
    assert connection.cancel(JobRef(id=job.id)) is False


def test_a_cancel_that_takes_its_time_is_true(connection, service) -> None:
    job = connection.submit(request(1))
    service.cancel = lambda job_id: None
    assert connection.cancel(JobRef(id=job.id)) is True
    assert looked(connection, job).state is JobState.QUEUED


def test_a_cancel_that_comes_too_late_is_false(connection, service) -> None:
    job = connection.submit(request(1))

    def too_late(job_id: str) -> None:
        service.says[job_id] = "DONE"
        raise ApiError(409)

    service.cancel = too_late
    assert connection.cancel(JobRef(id=job.id)) is False


def test_a_cancel_that_fails_says_so(connection, service) -> None:
    job = connection.submit(request(1, 2))

    def fail(job_id: str) -> None:
        if job_id == "job-1":
            raise ConnectionError("the line is dead")
        service.says[job_id] = "CANCELLED"

    service.cancel = fail
    with pytest.raises(ConnectionError):
        connection.cancel(JobRef(id=job.id))
    assert "cancel job-2" in service.asked


def test_a_vendor_that_cannot_cancel_says_so(connection, service) -> None:
    job = connection.submit(request(1))

    def cannot(_: str) -> None:
        raise NotImplementedError

    service.cancel = cannot
    with pytest.raises(UnsupportedError, match="Acme cannot cancel jobs from here"):
        connection.cancel(JobRef(id=job.id))


# -- retrieving -----------------------------------------------------------------------------------------------


def test_a_job_is_found_in_another_process_by_what_was_kept_of_it(connect, service) -> None:
    job = connect("zero", "one").submit(request(1, 2, 5, shots=[20, 30, 40]))
    service.says.update(dict.fromkeys(service.says, "DONE"))
    other = connect("zero", "one")
    ref = JobRef(id=job.id, extra=job.extra)
    told = other.job(ref, 0.0)
    assert (told.id, told.state, told.backend, told.shots) == (job.id, JobState.DONE, "one", 20)
    assert told.created_at == job.created_at
    assert told.extra == job.extra
    assert outcomes(other, ref) == [1, 2, 5]
    assert other.jobs(JobQuery()).jobs == ()  # it is asked for, not listed: the core's ledger has its age


def test_a_job_of_one_is_found_by_its_id_alone(connect, service) -> None:
    job = connect("zero", "one").submit(request(6))
    service.says["job-1"] = "DONE"
    told = connect("zero", "one").job(JobRef(id=job.id), 0.0)
    assert (told.id, told.state, told.backend) == ("one.job-1", JobState.DONE, "one")
    assert told.created_at is None
    assert outcomes(connect("zero", "one"), JobRef(id=job.id)) == [6]


def test_a_job_is_found_by_the_vendors_id(connect, service) -> None:
    connect().submit(request(6))
    service.says["job-1"] = "DONE"
    ref = JobRef(id="job-1")
    alone, several = connect(), connect("zero", "one")
    assert alone.job(ref, 0.0).backend == "one"
    assert several.job(ref, 0.0).backend is None  # any device could ask for it
    assert outcomes(several, ref) == [6]


def test_it_can_be_cancelled_from_another_process(connect, service) -> None:
    job = connect().submit(request(1, 2))
    assert connect().cancel(JobRef(id=job.id, extra=job.extra)) is True
    assert service.says == {"job-1": "CANCELLED", "job-2": "CANCELLED"}


def test_a_job_that_the_vendor_has_no_more_is_unknown(connect, service) -> None:
    connection = connect()
    job = connection.submit(request(1, 2))
    del service.says["job-2"]
    with pytest.raises(UnknownJobError) as here:
        looked(connection, job)
    assert "Acme does not know its job job-2 any more" in str(here.value)
    with pytest.raises(UnknownJobError) as there:
        connect().job(JobRef(id=job.id, extra=job.extra), 0.0)
    assert "Acme does not know its job job-1, job-2 any more" in str(there.value)
    with pytest.raises(UnknownJobError):
        connect().job(JobRef(id="nobody's"), 0.0)


def test_what_was_kept_may_be_damaged(connect, service) -> None:
    job = connect().submit(request(6))
    service.says["job-1"] = "DONE"
    for wrong in ({"parts": "x"}, {"shots": [None]}, {"registers": [1]}, {"created_at": 5}, {"backend": "gone"}):
        ref = JobRef(id=job.id, extra={**job.extra, **wrong})
        connection = connect()
        assert connection.job(ref, 0.0).state is JobState.DONE
        assert outcomes(connection, ref) == [6]


def test_a_vendor_with_a_way_of_its_own_to_retrieve_is_asked_that_way(connect, service) -> None:
    job = connect().submit(request(1))
    seen: list[str] = []

    def retrieve(backend: Any, job_id: str) -> Any:
        seen.append(job_id)
        return RemoteJob(backend, job_id)

    connect(retrieve=retrieve).job(JobRef(id=job.id), 0.0)
    assert seen == ["job-1"]


# -- what a vendor's errors mean ------------------------------------------------------------------------------


def test_a_job_that_says_by_an_error_that_it_failed_has_failed(connect, service) -> None:
    class Told(RemoteJob):
        def status(self) -> Any:
            if "status job-1" not in service.asked:
                service.asked.append("status job-1")
                raise JobError("The ions have left the trap.")
            return JobStatus.ERROR

    connection = connect()
    job = connection.submit(request(1))
    [adapted] = connection._book.all()
    adapted.parts[0].job = Told(adapted.device.backend, "job-1")
    told = looked(connection, job)
    assert (told.state, told.error) == (JobState.ERROR, "The ions have left the trap")


@pytest.mark.parametrize("word", [None, lambda job: "teleporting"])
def test_a_word_that_the_package_does_not_know_is_kept(connect, service, word) -> None:
    connection = connect(job_status=word)
    job = connection.submit(request(1))
    service.says["job-1"] = JobError("no such status: teleporting")
    told = looked(connection, job)
    assert told.state is JobState.UNKNOWN
    assert told.state_text == ("no such status: teleporting" if word is None else "teleporting")
    service.says["job-1"] = "DONE"
    assert looked(connection, job).state is JobState.DONE


def test_a_state_that_the_package_leaves_out_is_asked_for(connect, service) -> None:
    connection = connect(job_status=lambda job: "teleporting")
    job = connection.submit(request(1))
    service.says["job-1"] = None
    assert looked(connection, job).state_text == "teleporting"


def test_a_result_that_the_vendor_refuses_is_told_in_its_words(connection, service) -> None:
    job = connection.submit(request(1))
    service.says["job-1"], service.results["job-1"] = "DONE", JobError("the ideal simulator has none")
    with pytest.raises(ResultError, match="has no result: the ideal simulator has none"):
        connection.result(JobRef(id=job.id))


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_told_as_such_wherever(connection, service, status) -> None:
    job = connection.submit(request(1))
    service.says["job-1"] = ApiError(status)
    service.fails = iter([ApiError(status)])
    for ask in (lambda: looked(connection, job), lambda: connection.submit(request(1))):
        with pytest.raises(AuthenticationError, match="Acme refused the credentials") as caught:
            ask()
        assert caught.value.why == f"the service says {status}"
        assert caught.value.hint


def test_errors_hidden_in_errors_of_a_client_are_seen(connection, service) -> None:
    job = connection.submit(request(1))
    dead, busy, refused = WrappedError("retry"), WrappedError("retry"), WrappedError("retry")
    dead.__cause__ = ConnectionError("the line is dead")
    busy._cause = ApiError(503)  # type: ignore[attr-defined]
    refused.__cause__ = ApiError(401)
    for error, kind in ((dead, TransportError), (busy, TransportError), (refused, AuthenticationError)):
        service.says["job-1"] = error
        with pytest.raises(kind):
            looked(connection, job)
    service.says["job-1"] = ApiError(418)
    with pytest.raises(ApiError):  # the core tells what the plugin does not know
        looked(connection, job)


# -- opening --------------------------------------------------------------------------------------------------


def test_opening_takes_no_longer_than_its_deadline_and_what_comes_late_is_closed() -> None:
    gate, closed = threading.Event(), threading.Event()

    def slow(_: Any) -> Any:
        gate.wait(30)
        return SimpleNamespace(backends=lambda: [Vendor()], close=closed.set)

    adapter = QiskitAdapter(slow, name="acme", title="Acme")
    with pytest.raises(TransportError, match="Acme did not answer while the account was opened"):
        adapter.qprovider_open_account(credentials=None, deadline=Deadline.after(0.01))
    gate.set()
    assert closed.wait(30)


def test_credentials_that_are_refused_at_opening_are_told_as_such() -> None:
    def refuse(_: Any) -> Any:
        raise ApiError(401)

    adapter = QiskitAdapter(refuse, name="acme", title="Acme", credentials_help="Ask Acme.")
    with pytest.raises(AuthenticationError) as caught:
        adapter.qprovider_open_account(credentials=None, deadline=Deadline.after(30))
    assert caught.value.hint == "Ask Acme."


@pytest.mark.parametrize(
    ("error", "absent"),
    [
        (KeyError("no job 7"), True),
        (ValueError("no job 7"), True),
        (json.JSONDecodeError("Expecting value", "<html>", 0), False),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), False),
        (ConnectionError("reset"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_answer_that_cannot_be_read_does_not_say_that_a_job_is_gone(error, absent) -> None:
    assert says_absent(error) is absent

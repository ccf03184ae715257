"""Choosing the least busy: among records, handles and others' objects."""

import threading
from types import SimpleNamespace

import pytest

import qprovider_core as qp
from qprovider_core.errors import InvalidInputError, NoMatchingBackendError, TransportError
from qprovider_core.records import BackendConfiguration, BackendInfo, BackendStatus
from qprovider_core.selection import least_busy_info, rank, unfit

pytestmark = pytest.mark.usefixtures("isolated")


def info(name, pending_jobs=0, operational=True, **fields):
    return BackendInfo(name=name, pending_jobs=pending_jobs, operational=operational, **fields)


class Foreign:
    """A backend of some other library."""

    def __init__(self, name, pending_jobs=0, operational=True, status_msg=None):
        self.name = name
        self._status = SimpleNamespace(operational=operational, pending_jobs=pending_jobs, status_msg=status_msg)

    def status(self):
        if isinstance(self._status.pending_jobs, BaseException):
            raise self._status.pending_jobs
        return self._status


@pytest.fixture(params=["records", "foreign", "handles", "mixed"])
def choose(request, vendor):
    """Chooses among backends told as (name, pending jobs, operational, status text), and gives the name."""
    listed = []
    vendor("acme", listed)

    def by_records(*backends):
        return qp.least_busy([info(n, q, o, status_msg=m) for n, q, o, m in backends]).name

    def by_foreign(*backends):
        return qp.least_busy([Foreign(n, q, o, m) for n, q, o, m in backends]).name

    def by_handles(*backends):
        listed[:] = [info(n, q, o, status_msg=m) for n, q, o, m in backends]
        return qp.least_busy(qp.backends(refresh=True)).name

    def by_both(*backends):
        return qp.least_busy(
            [info(n, q, o, status_msg=m) if i % 2 else Foreign(n, q, o, m) for i, (n, q, o, m) in enumerate(backends)]
        ).name

    return {"records": by_records, "foreign": by_foreign, "handles": by_handles, "mixed": by_both}[request.param]


def test_the_shortest_queue_is_taken(choose):
    assert choose(("a", 5, True, None), ("b", 2, True, "active"), ("c", 3, True, None)) == "b"


def test_ties_go_by_name(choose):
    assert choose(("c", 2, True, None), ("a", 2, True, None), ("b", 2, True, None)) == "a"


def test_an_unknown_queue_sorts_last(choose):
    assert choose(("a", None, True, None), ("b", 99, True, None)) == "b"
    assert rank("a", True, None) > rank("b", True, 10**6)


def test_of_equal_queues_the_one_that_is_known_to_run_is_taken(choose):
    assert choose(("a", 3, None, None), ("b", 3, True, None)) == "b"
    assert choose(("a", 0, None, None), ("b", None, True, None)) == "a"


@pytest.mark.parametrize(
    "word", ["paused", "maintenance", "Under Maintenance", "offline", "retired", "internal", "down", "suspended"]
)
def test_what_takes_no_jobs_is_never_taken(choose, word):
    assert choose(("a", 0, True, word), ("b", 0, False, None), ("c", 50, True, "active")) == "c"
    with pytest.raises(NoMatchingBackendError) as caught:
        choose(("a", 0, True, word), ("b", 0, False, "gone"))
    assert sorted(name.rpartition(":")[2] for name in caught.value.reasons) == ["a", "b"]
    assert f"status is {word!r}" in caught.value.reasons.values()
    assert "not operational ('gone')" in caught.value.reasons.values()


@pytest.mark.parametrize("word", [None, "", "active", "online", "downtown", "calibrating"])
def test_other_words_speak_against_nothing(word):
    assert unfit(True, word) is None
    assert unfit(None, word) is None


def test_an_empty_list_is_an_error():
    with pytest.raises(NoMatchingBackendError, match="no backend to choose from"):
        qp.least_busy([])


def test_an_empty_answer_says_why_it_is_empty(vendor):
    def broken():
        raise TransportError("The line is cut.")

    vendor("acme", [info("a", num_qubits=3)])
    vendor("broken", broken)
    with pytest.raises(NoMatchingBackendError) as caught:
        qp.least_busy(qp.backends(min_num_qubits=5))
    assert "num_qubits is 3" in caught.value.reasons["acme:a"]
    assert caught.value.errors == ("broken: The line is cut.",)
    with pytest.raises(NoMatchingBackendError) as caught:
        qp.least_busy(min_num_qubits=5)
    assert "num_qubits is 3" in caught.value.reasons["acme:a"]
    assert caught.value.errors == ("broken: The line is cut.",)


@pytest.mark.parametrize("backends", [5, "acme:a", [5], ["a"], [info("a"), 5], [SimpleNamespace(status=3)]])
def test_only_backends_can_be_chosen_from(backends):
    with pytest.raises(InvalidInputError, match="least_busy takes"):
        qp.least_busy(backends)


@pytest.mark.parametrize(
    "criteria", [{"min_num_qubits": 5}, {"provider": "acme"}, {"account": "x"}, {"name": "a"}, {"where": "simulator"},
                 {"filters": bool}]
)  # fmt: skip
def test_a_list_and_criteria_together_are_an_error(criteria, account):
    with pytest.raises(InvalidInputError, match="not both"):
        qp.least_busy([info("a")], **criteria)
    if "account" not in criteria and "provider" not in criteria:
        with pytest.raises(InvalidInputError, match="not both"):
            account().least_busy([info("a")], **criteria)


def test_a_list_may_come_with_a_timeout():
    assert qp.least_busy([Foreign("a")], timeout=30).name == "a"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Foreign("b", TransportError("The line is cut.")), "its status could not be had: The line is cut."),
        (Foreign("b", ValueError("x\ny")), "its status could not be had: ValueError: x y"),
        (Foreign("b", SystemExit()), "its status could not be had: SystemExit"),
        (Foreign("b", "3"), "its status says pending_jobs='3', which is no number of jobs"),
        (Foreign("b", -1), "its status says pending_jobs=-1, which is no number of jobs"),
        (Foreign("b", True), "its status says pending_jobs=True, which is no number of jobs"),
        (Foreign("b", 0, "yes"), "its status says operational='yes', which is not true or false"),
        (Foreign("b", 0, True, 5), "its status says status_msg=5, which is not a text"),
    ],
)
def test_a_status_that_fails_or_is_garbage_excludes_that_one_only(bad, reason):
    assert qp.least_busy([bad, Foreign("a", 10)]).name == "a"
    with pytest.raises(NoMatchingBackendError) as caught:
        qp.least_busy([bad])
    assert caught.value.reasons == {"b": reason}


def test_a_status_that_hangs_excludes_that_one_only(hang):
    slow = SimpleNamespace(name="slow", status=hang)
    assert qp.least_busy([slow, Foreign("a", 10)], timeout=1).name == "a"
    with pytest.raises(NoMatchingBackendError) as caught:
        qp.least_busy([slow], timeout=0.05)
    assert caught.value.reasons == {"slow": "its status did not come within 0.05 s"}


def test_an_object_that_tells_nothing_is_taken_when_there_is_no_other():
    silent = SimpleNamespace(status=lambda: None)
    assert qp.least_busy([silent]) is silent
    method = SimpleNamespace(name=lambda: "z", status=lambda: None)
    assert qp.least_busy([method, Foreign("a")]).name == "a"


# ------------------------------------------------------------------------------------------------- as a query


def test_as_a_query_it_costs_one_request_where_the_listing_tells_all(vendor):
    asked = []

    def status(backend):
        asked.append(backend.name)
        return BackendStatus(backend_name=backend.name, operational=True, pending_jobs=1)

    vendor(
        "acme",
        [
            info("a", 5),
            info("b", None),
            info("c", None, False),
            info("d", None, None, status_msg="paused"),
            info("e", 2),
        ],
        backend_status=status,
    )
    chosen = qp.least_busy()
    assert chosen.full_name == "acme:b"
    assert chosen.info.pending_jobs == 1
    # Only the queue that the listing left open was asked for; what does not run anyway was not.
    assert asked == ["b"]


def test_as_a_query_a_failing_status_excludes_that_one_only(vendor):
    def status(backend):
        if backend.name == "a":
            raise TransportError("The line is cut.")
        return BackendStatus(backend_name=backend.name, operational=backend.name == "b", pending_jobs=9)

    vendor("acme", [BackendInfo(name=name) for name in "abc"], backend_status=status)
    assert qp.least_busy().name == "b"
    with pytest.raises(NoMatchingBackendError) as caught:
        qp.least_busy(name=["a", "c"])
    assert caught.value.reasons == {
        "acme:a": "its status could not be had: The line is cut.",
        "acme:b": "name is 'b', wanted name one of 'a', 'c'",
        "acme:c": "not operational",
    }


def test_as_a_query_it_takes_filters_of_the_handle(vendor):
    vendor(
        "acme",
        [info("a", 1), info("b", 2)],
        backend_configuration=lambda backend: BackendConfiguration(
            backend_name=backend.name, open_pulse=backend.name == "b"
        ),
    )
    assert qp.least_busy(filters=lambda backend: backend.configuration().open_pulse).name == "b"
    with pytest.raises(NoMatchingBackendError) as caught:
        qp.least_busy(filters=lambda backend: False)
    assert caught.value.reasons == dict.fromkeys(("acme:a", "acme:b"), "the filter said no")
    with pytest.raises(InvalidInputError, match="filters takes a function"):
        qp.least_busy(filters=5)


def test_old_handles_are_asked_for_their_status_again(vendor, monkeypatch):
    from datetime import timedelta

    fresh = threading.Event()

    def status(backend):
        fresh.set()
        return BackendStatus(backend_name=backend.name, operational=True, pending_jobs={"a": 9, "b": 0}[backend.name])

    vendor("acme", [info("a", 1), info("b", 2)], backend_status=status)
    handles = qp.backends()
    assert qp.least_busy(handles).name == "a"
    assert not fresh.is_set()
    for handle in handles:
        handle.as_of -= timedelta(hours=1)
    assert qp.least_busy(handles).name == "b"
    assert fresh.is_set()


def test_records_are_chosen_by_their_full_names():
    first = info("z", provider="a", full_name="a:z")
    assert least_busy_info([info("b", provider="b", full_name="b:b"), first]) is first

"""What a query says of its cost: which criterion asked for what and dropped whom; and rows that come one by one."""

import io
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

import qprovider_core as qp
from qprovider_core import fleet
from qprovider_core._lists import Step
from qprovider_core._queries import query_records
from qprovider_core.cli import _arriving
from qprovider_core.cli._app import app
from qprovider_core.cli._arriving import Arriving
from qprovider_core.errors import TransportError
from qprovider_core.records import BackendInfo

Call = Callable[..., Result]


@pytest.fixture
def acme(asked):
    """Four backends, of which two say nothing of their queue."""
    made = asked()
    made.listed = [
        BackendInfo(name="small", num_qubits=2, pending_jobs=1),
        BackendInfo(name="busy", num_qubits=5, pending_jobs=90),
        BackendInfo(name="quiet", num_qubits=5),
        BackendInfo(name="large", num_qubits=9),
    ]
    return made


@pytest.fixture
def call() -> Call:
    return lambda *arguments: CliRunner().invoke(app, list(arguments), prog_name="qprovider")


# -- steps ------------------------------------------------------------------------------------------------------------


def test_each_criterion_says_what_was_asked_for_it_and_whom_it_dropped(acme):
    listed = qp.list_backends(min_num_qubits=5, max_pending_jobs=10, basis_gates="cz")
    width, queue, gates = listed.steps
    assert (width.requests, width.dropped) == ({}, ("acme:small",))
    assert (queue.requests, queue.dropped) == ({"status": 2}, ("acme:busy",))
    assert gates.requests == {"configuration": 2}
    assert set(gates.dropped) == {"acme:quiet", "acme:large"}
    assert [step.criterion for step in listed.steps] == [
        "num_qubits >= 5",
        "pending_jobs <= 10",
        "basis_gates with cz",
    ]
    assert listed.requests == {"info": 1, "status": 2, "configuration": 2}
    assert sum(len(step.dropped) for step in listed.steps) == len(listed.rejected)


def test_what_is_remembered_costs_no_step_a_request(acme):
    qp.list_backends(max_pending_jobs=10)
    again = qp.list_backends(max_pending_jobs=10)
    assert again.steps == (Step(criterion="pending_jobs <= 10", dropped=("acme:busy",)),)
    assert (again.requests, again.remembered) == ({}, {"info": 1, "status": 2})


def test_a_facet_is_charged_to_the_criterion_that_wanted_it_first(acme):
    listed = qp.list_backends(basis_gates="cx", where="num_qubits >= 9 and 'rz' in basis_gates")
    by_text = {step.criterion: step.requests for step in listed.steps}
    assert by_text["num_qubits >= 9"] == {}
    assert sum(n for requests in by_text.values() for n in requests.values()) == 1
    assert by_text["basis_gates with cx"] == {"configuration": 1}


def test_a_query_without_criteria_has_no_steps(acme):
    assert qp.list_backends().steps == ()
    assert qp.backends(filters=lambda backend: False).steps == ()


def test_steps_travel(acme):
    import pickle

    listed = qp.list_backends(min_num_qubits=5)
    again = pickle.loads(pickle.dumps(listed))
    assert again.steps == listed.steps
    assert (again.ages_s, again.remembered) == (listed.ages_s, listed.remembered)


# -- the command ------------------------------------------------------------------------------------------------------


def test_explain_puts_it_into_words(acme, call):
    result = call("backends", "--min-qubits", "5", "--where", "pending_jobs <= 10", "--explain")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ["acme:quiet", "acme:large"]
    lines = result.stderr.splitlines()
    assert lines[:3] == [
        "Criteria:",
        "  num_qubits >= 5     no request; dropped 1: acme:small",
        "  pending_jobs <= 10  2 statuses; dropped 1: acme:busy",
    ]
    assert lines[3] == "Rejected (2):"
    assert lines[-1].startswith("Requests: info 1, status 2. As of 20")
    again = call("backends", "--min-qubits", "5", "--where", "pending_jobs <= 10", "--explain").stderr.splitlines()
    assert "  pending_jobs <= 10  no request; dropped 1: acme:busy" in again
    assert again[-1].startswith("Requests: none. Remembered: info 1, status 2. As of 20")
    anew = call("backends", "--where", "'cz' in basis_gates", "--refresh", "--explain").stderr.splitlines()
    assert "  'cz' in basis_gates  4 configurations; dropped 4: acme:small, acme:busy, acme:quiet, …" in anew


def test_explain_is_in_the_document_too(acme, call):
    result = call("backends", "--json", "--explain", "--min-qubits", "5")
    document = json.loads(result.stdout)
    assert document["steps"] == [{"criterion": "num_qubits >= 5", "requests": {}, "dropped": ["acme:small"]}]
    assert (document["requests"], document["remembered"]) == ({"info": 1}, {})
    assert [one["name"] for one in document["rejected"]] == ["acme:small"]
    assert document["ages_s"] == {"acme": 0.0}
    again = json.loads(call("backends", "--json", "--explain", "--min-qubits", "5").stdout)
    assert (again["requests"], again["remembered"]) == ({}, {"info": 1})
    assert again["ages_s"]["acme"] >= 0
    assert again["as_of"] == document["as_of"]
    plain = json.loads(call("backends", "--json").stdout)
    assert not {"steps", "rejected", "requests", "remembered"} & set(plain)
    assert "ages_s" in plain


def test_refresh_and_stale_reach_the_query(acme, call):
    call("backends")
    call("backends")
    assert acme.since() == ["list"]
    call("backends", "--refresh")
    assert acme.since() == ["list"]
    acme.trouble = TransportError("down")
    assert call("backends", "--refresh").exit_code == 1
    result = call("backends", "--refresh", "--stale")
    assert result.exit_code == 0
    assert "acme:large" in result.stdout
    assert "acme: down" in result.stderr
    assert "acme: does not answer; this is what it told 0 s ago" in result.stderr
    form = call("backends", "--refresh", "--stale", "--csv")
    assert "acme:large" in form.stdout
    assert "does not answer" in form.stderr


# -- rows as they come ------------------------------------------------------------------------------------------------


def drawn(arriving: Arriving, height: int = 24) -> list[str]:
    """What stands on a screen of that height."""
    text = io.StringIO()
    console = Console(file=text, width=100, height=height, markup=False, highlight=False)
    console.print(arriving.drawn(height))
    return [line.rstrip() for line in text.getvalue().splitlines()]


def watched(arriving: Arriving, **criteria: Any) -> Any:
    party = fleet.fleet().party()
    return query_records(party.accounts, party=party, watcher=arriving, **criteria)


def test_what_has_come_is_shown_above_who_is_still_out(acme, vendor):
    release, shown = threading.Event(), threading.Event()

    def slow() -> Any:
        release.wait(30)
        return [BackendInfo(name="late")]

    vendor("slow", slow)
    vendor("down", lambda: (_ for _ in ()).throw(TransportError("no route \x1b[2J")))
    seen: list[list[str]] = []

    class Watching(Arriving):
        def answered(self, answer: Any) -> None:
            super().answered(answer)
            seen.append(drawn(self))
            if len(seen) == 2:
                shown.set()

    found: list[Any] = []
    with Watching() as arriving:
        arriving._show = lambda: None
        asking = threading.Thread(target=lambda: found.append(watched(arriving, min_num_qubits=5)))
        asking.start()
        assert shown.wait(30)
        release.set()
        asking.join(30)
    two = "\n".join(seen[1])
    assert [line.split()[0] for line in seen[1] if line.startswith("acme:")] == [
        "acme:busy",
        "acme:quiet",
        "acme:large",
    ]
    assert "down: no route" in two
    assert "\x1b" not in two
    assert "slow has not answered yet" in seen[1][-1]
    assert not [line for line in seen[1] if "acme has not" in line or "down has not" in line]
    assert not [line for line in seen[2] if "has not answered" in line]
    assert found[0].names() == ["acme:busy", "acme:quiet", "acme:large"]


def test_no_more_rows_are_shown_than_there_is_room_for(asked):
    made = asked()
    made.listed = [BackendInfo(name=f"b{number}") for number in range(30)]
    with Arriving() as arriving:
        arriving._show = lambda: None
        watched(arriving)
        lines = drawn(arriving, height=10)
        assert len(lines) <= 10
        assert lines[-1] == "… and 23 more"
        assert len(drawn(arriving, height=2)) == 3  # a head, a row, and how many more


def test_a_quick_answer_is_not_shown_and_leaves_no_thread(acme, monkeypatch, capsys):
    monkeypatch.setattr(_arriving, "_QUIET_S", 60.0)
    with Arriving() as arriving:
        watched(arriving)
    timer = arriving._timer
    assert timer is not None
    timer.join(30)
    assert not timer.is_alive()
    assert capsys.readouterr().out == ""
    arriving._show()  # the timer that was too late to be stopped
    assert arriving._live is None
    assert capsys.readouterr().out == ""

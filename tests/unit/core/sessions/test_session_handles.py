"""Sessions as they are held: what they tell, vendors that have none, copies, and sessions by their id."""

import copy
import json
import pickle

import attrs
import pytest
from click.testing import CliRunner
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core.cli._app import app
from qprovider_core.errors import (
    InvalidInputError,
    SessionClosedError,
    TransportError,
    UnknownBackendError,
    UnknownSessionError,
    UnsupportedError,
)
from qprovider_core.records import SessionInfo

pytestmark = pytest.mark.usefixtures("isolated")


def bit():
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


@pytest.fixture
def plain(service, spec):
    """A vendor without sessions."""
    return service(spec=spec)


def joined(acme):
    return [request.session_id for request in acme.sent]


# ------------------------------------------------------------------------------------------------------- what is told


def test_what_is_told_is_asked_now(acme):
    session = acme.backend.open_session()
    acme.rooms.rooms["s1"] = attrs.evolve(acme.rooms.rooms["s1"], state="active", usage_s=2.5, backend="other")
    told = session.details()
    assert (told.state, told.usage_s, told.backend) == ("active", 2.5, "other")
    assert (session.status(), session.usage()) == ("active", 2.5)
    assert not session.closed
    acme.rooms.expire("s1")
    assert not session.closed
    assert session.details().over
    assert session.closed


def test_a_vendor_that_tells_nothing_more_is_believed_what_it_told(service):
    acme = service(open_session=lambda: SessionInfo(id="s", state="open"))
    session = acme.backend.open_session()
    assert (session.status(), session.usage(), session.details().backend) == ("open", None, "line")
    session.close()  # only here
    assert session.closed


def test_its_repr_says_what_it_is_and_how_it_stands(acme):
    session = qp.Session(acme.backend)
    assert repr(session) == "<Session s1 on line, open>"
    session.close()
    assert repr(session) == "<Session s1 on line, closed>"
    batch = qp.Batch(acme.backend)
    batch.cancel()
    assert repr(batch) == "<Batch s2 on line, cancelled>"


def test_a_session_needs_the_handle_of_a_backend():
    with pytest.raises(InvalidInputError, match="Session takes the handle of a backend, not 'line'") as caught:
        qp.Session("line")
    assert "get_backend" in caught.value.hint


def test_primitives_are_the_vendors_own(acme):
    session = qp.Session(acme.backend)
    for make in (session.sampler, session.estimator):
        with pytest.raises(UnsupportedError, match="acme:line has no (sampler|estimator) of its own") as caught:
            make()
        assert "V2(backend=session.backend)" in caught.value.hint


def test_the_command_lists_the_jobs_of_a_session(acme):
    with acme.backend.open_session():
        inside = acme.backend.run(bit())
    acme.backend.run(bit())

    def listed(*arguments):
        done = CliRunner().invoke(app, ["jobs", "--offline", *arguments])
        assert done.exit_code == 0
        return done

    told = json.loads(listed("--session", "s1", "--json").stdout)["jobs"]
    assert [(job["id"], job["session_id"]) for job in told] == [(inside.job_id(), "s1")]
    assert len(json.loads(listed("--json").stdout)["jobs"]) == 2
    assert "No job matches" in listed("--session", "nope").stderr


# ------------------------------------------------------------------------------------------------ vendors without them


def test_a_vendor_without_sessions_says_so_and_its_jobs_are_ordinary_ones(plain, caplog):
    backend = plain.backend
    with backend.open_session(max_time="1h") as session:
        job = backend.run(bit())
        session.run(bit())
        assert (session.supported, session.session_id, session.closed, session.usage()) == (False, None, False, None)
        assert session.status() == "not offered"
        assert "has no sessions" in session.details().state_reason
        assert session.jobs() == []
        assert "account.jobs()" in session.jobs().notes[0]
        assert repr(session) == "<Session on acme:line: not offered, its jobs are ordinary ones>"
    assert job.result().get_counts() == {"0": 3, "1": 5}
    assert joined(plain) == [None, None]
    assert caplog.text.count("The provider 'acme' has no sessions. The jobs of this session on acme:line are") == 1
    with pytest.raises(SessionClosedError):
        session.run(bit())
    session.cancel()
    backend.cancel_session()


# ----------------------------------------------------------------------------------------- copies, and by its id


def test_copies_that_are_made_meanwhile_have_it_and_others_do_not(acme):
    before = copy.copy(acme.backend)
    with acme.backend.open_session() as session:
        for handle in (copy.copy(acme.backend), copy.deepcopy(acme.backend), before):
            handle.run(bit())
        assert copy.copy(session) is session
        assert copy.deepcopy(session) is session
        with before.open_batch():
            acme.backend.run(bit())
    assert joined(acme) == ["s1", "s1", None, "s1"]


def test_a_pickled_handle_and_a_pickled_session_are_the_same_by_its_id(acme):
    with acme.backend.open_session() as session:
        for pair in ((acme.backend, session), (session, acme.backend)):
            again = pickle.loads(pickle.dumps(pair))
            one = next(item for item in again if isinstance(item, qp.Session))
            handle = next(item for item in again if not isinstance(item, qp.Session))
            assert one.session_id == "s1"
            assert handle.session is one
            assert one.backend is handle
            handle.run(bit())
    assert joined(acme) == ["s1", "s1"]
    assert pickle.loads(pickle.dumps(session)).closed


def test_from_id_gives_what_it_is(acme):
    qp.Session(acme.backend)
    qp.Batch(acme.backend)
    acme.rooms.rooms["s1"] = attrs.evolve(acme.rooms.rooms["s1"], backend="line")
    session = qp.Session.from_id("s1")
    assert type(session) is qp.Session
    assert session.backend.full_name == "acme:line"
    session.run(bit())
    assert type(qp.Session.from_id("s2", provider="acme")) is qp.Batch
    assert type(qp.Batch.from_id("s2", account="default")) is qp.Batch
    assert qp.Session.from_id("s1", acme.backend._account).session_id == "s1"
    assert qp.Session.from_id("s1", backend=acme.backend).backend is acme.backend
    assert joined(acme) == ["s1"]
    with pytest.raises(InvalidInputError, match="is no batch but a session"):
        qp.Batch.from_id("s1")


def test_from_id_of_a_closed_one_tells_that_it_is(acme):
    qp.Session(acme.backend).close()
    session = qp.Session.from_id("s1", acme.backend)
    assert session.closed
    with pytest.raises(SessionClosedError, match="not taken"):
        session.run(bit())
    assert acme.sent == []


@pytest.mark.parametrize("session_id", ["", " ", None, 5])
def test_an_id_is_a_text(session_id, acme):
    with pytest.raises(InvalidInputError, match="A session's id is a text"):
        qp.Session.from_id(session_id)


@pytest.mark.parametrize("place", ["acme", 5, object()])
def test_a_session_is_looked_for_at_an_account(place, acme):
    with pytest.raises(InvalidInputError, match="looked for at an account"):
        qp.Session.from_id("s1", place)


def test_a_session_that_nobody_has_is_an_error_that_names_who_was_asked(acme, vendor, hang):
    with pytest.raises(UnknownSessionError, match="nope"):
        qp.Session.from_id("nope", acme.backend)

    def fails(session_id):
        raise TransportError("The line is cut.")

    vendor("broken", session_details=fails)
    vendor("asleep", session_details=lambda session_id: hang())
    vendor("plain")
    with pytest.raises(UnknownSessionError, match="No account has a session or batch 'nope'") as caught:
        qp.Session.from_id("nope", timeout=2.0)
    assert "Asked: acme, asleep, broken." in caught.value.why
    assert "broken: The line is cut." in caught.value.why
    assert "asleep: no answer in time" in caught.value.why
    qp.Session(acme.backend)
    assert qp.Session.from_id("s1", timeout=20).account is acme.backend._account  # nobody waits for the others
    with pytest.raises(UnsupportedError, match="Plain does not offer sessions"):
        qp.Session.from_id("nope", provider="plain")


def test_a_session_of_another_backend_is_not_taken_for_this_one(acme):
    qp.Session(acme.backend)
    acme.rooms.rooms["s1"] = attrs.evolve(acme.rooms.rooms["s1"], backend="other")
    with pytest.raises(InvalidInputError, match="is for other, not for line"):
        qp.Session.from_id("s1", backend=acme.backend)
    with pytest.raises(UnknownBackendError):
        _ = qp.Session.from_id("s1").backend


def test_where_the_backend_is_not_told_it_has_to_be_said(acme):
    qp.Session(acme.backend)
    session = qp.Session.from_id("s1", acme.backend._account)
    with pytest.raises(InvalidInputError, match="does not say which backend session s1 is for") as caught:
        _ = session.backend
    assert "backend=backend" in caught.value.hint
    assert repr(session) == "<Session s1, open>"


def test_a_backend_that_is_listed_for_another_place_is_used_in_the_sessions_own(acme):
    qp.Session(acme.backend)
    acme.rooms.rooms["s1"] = attrs.evolve(acme.rooms.rooms["s1"], backend="line", instance="annex")
    session = qp.Session.from_id("s1")
    session.run(bit())
    assert session.backend.instance == "annex"
    assert acme.sent[0].backend.instance == "annex"

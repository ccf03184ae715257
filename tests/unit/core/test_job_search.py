"""One job by its id, whoever has it."""

import pytest

import qprovider_core as qp
from qprovider_core.errors import InvalidInputError, TransportError, UnknownJobError, UnknownProviderError
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import JobInfo, JobState

pytestmark = pytest.mark.usefixtures("isolated")
KEY = "0123456789abcdef" * 2


def keep(job_id, provider="acme", account="default", **more):
    """Put a job into the ledger; its key."""
    told = JobInfo(id=job_id, state=more.pop("state", JobState.DONE), **more)
    return ledger_in_use().adopt(provider, account, told)


@pytest.fixture
def knows(account):
    """A vendor that knows these ids; its account has the ids that it was asked for as `asked`."""

    def make(*ids, name="acme", **hooks):
        asked = []

        def get_job(job):
            asked.append(job.id)
            if job.id not in ids:
                raise UnknownJobError(job.id)
            return JobInfo(id=job.id, state=JobState.QUEUED)

        made = account(name, **{"get_job": get_job, **hooks})
        made.asked = asked
        return made

    return make


def test_the_ledger_is_looked_at_first_and_gives_the_timeline(knows):
    acme = knows("job-1")
    key = keep("job-1")
    record = qp.find_job("job-1")
    assert (record.key, record.id, record.info.state) == (key, "job-1", JobState.DONE)
    assert [event.what for event in record.events] == ["written"]
    assert qp.find_job(key) == record
    assert qp.find_job("  job-1 ") == record
    assert qp.job(key).job_id() == "job-1"
    assert acme.asked == []


def test_what_the_ledger_has_not_is_asked_of_all_vendors_at_once(knows):
    knows("job-1")
    knows("job-2", name="beta")
    record = qp.find_job("job-2")
    assert (record.provider, record.job_id, record.key, record.events) == ("beta", "job-2", "", ())
    assert qp.job("job-2").status().name == "QUEUED"
    with pytest.raises(UnknownJobError):
        qp.find_job("job-2", offline=True)


def test_a_job_that_two_vendors_have_is_named_with_its_choices(knows):
    knows("1")
    knows("1", name="beta")
    with pytest.raises(UnknownJobError, match="Several jobs are meant by '1'") as caught:
        qp.job("1")
    assert set(caught.value.choices) == {"acme:1", "beta:1"}
    assert "acme:1, beta:1" in caught.value.hint
    assert qp.job("beta:1").account.provider == "beta"
    assert qp.find_job("default/acme:1").provider == "acme"
    assert qp.find_job("1", provider="beta").provider == "beta"


def test_the_same_in_the_ledger(knows):
    keep("1")
    keep("1", provider="beta")
    with pytest.raises(UnknownJobError) as caught:
        qp.find_job("1")
    assert set(caught.value.choices) == {"acme:1", "beta:1"}
    assert qp.find_job("beta:1").provider == "beta"  # whose plugin is not even there
    assert qp.find_job("1", provider="a*").provider == "acme"


def test_two_accounts_of_one_vendor_are_told_apart(knows):
    keep("1")
    keep("2")
    ledger = ledger_in_use()
    with ledger._file.writing() as db:
        db.execute("INSERT INTO places (provider, account, instance, backend) VALUES ('acme', 'work', '', '')")
        db.execute("UPDATE jobs SET job_id = '1', place = (SELECT max(id) FROM places) WHERE job_id = '2'")
    with pytest.raises(UnknownJobError) as caught:
        qp.find_job("1")
    assert set(caught.value.choices) == {"default/acme:1", "work/acme:1"}
    for choice in caught.value.choices:
        assert qp.find_job(choice).account == choice.partition("/")[0]
    assert qp.find_job("1", account=["work"]).account == "work"


def test_a_vendors_id_may_hold_colons_and_slashes(knows):
    arn = "arn:aws:braket:us-east-1:123:quantum-task/0a-1b"
    knows(arn)
    assert qp.find_job(arn).job_id == arn
    assert qp.find_job(f"acme:{arn}").job_id == arn
    keep("acme:x")
    assert qp.find_job("acme:x").id == "acme:x"
    assert qp.find_job("acme:acme:x").id == "acme:x"


def test_the_beginning_of_an_id_will_do_where_it_means_one_job(knows):
    knows()
    key = keep("d2abcdefgh", key=KEY)
    for beginning in ("d2abcd", "d2abcdefg", KEY[:8], f"acme:{KEY[:12]}"):
        assert qp.find_job(beginning).key == key
    for short in ("d2abc", KEY[:5]):
        with pytest.raises(UnknownJobError):
            qp.find_job(short)
    keep("d2abcdxyz")
    with pytest.raises(UnknownJobError, match="Several jobs") as caught:
        qp.find_job("d2abcd")
    assert len(caught.value.choices) == 2


def test_a_whole_id_goes_before_the_beginning_of_another(knows):
    """Else `cancel job-10` would cancel job-100."""
    knows("job-10")
    keep("job-100")
    assert qp.find_job("job-10").id == "job-10"
    assert qp.find_job("job-10", offline=True).id == "job-100"


def test_an_id_that_nobody_knows_is_named_with_near_ones(knows):
    knows()
    with pytest.raises(UnknownJobError) as caught:
        qp.job("job-17")
    assert caught.value.hint == "See those that are known with `qprovider jobs`, or qp.jobs()."
    keep("job-15")
    with pytest.raises(UnknownJobError, match="'job-17'") as caught:
        qp.job("job-17")
    assert caught.value.suggestions == ("job-15",)
    assert caught.value.hint == "Did you mean 'job-15'?"


def test_who_could_not_be_asked_is_told_with_it(knows, hang):
    def fail():
        raise TransportError("Nobody there.")

    knows(get_job=fail)
    knows(name="beta", get_job=lambda: hang())
    knows(name="gamma", get_job=None)  # it cannot tell of jobs at all
    knows(name="delta", get_job=lambda: None)
    with pytest.raises(UnknownJobError) as caught:
        qp.find_job("x", timeout=0.3)
    assert caught.value.why.splitlines() == ["acme: Nobody there.", "beta: no answer in time"]


def test_a_job_that_the_ledger_waits_for_is_settled_when_its_vendor_tells_of_it(service):
    acme = service(("after", TransportError("lost")))
    acme.lookup = qp.SubmissionOutcome.UNKNOWN
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    job = acme.backend.run(circuit)
    record = qp.find_job("a0")
    assert (record.key, record.job_id) == (job.key, "a0")
    assert [event.what for event in record.events][-1] == "accepted"


@pytest.mark.parametrize("id", ["", "  ", None, 5, b"x"])
def test_an_id_is_a_text(id, knows):
    acme = knows()
    with pytest.raises(InvalidInputError, match="A job's id is a text"):
        qp.job(id)
    with pytest.raises(InvalidInputError, match="timeout"):
        qp.job("x", timeout=-1)
    assert acme.asked == []


def test_a_provider_that_nobody_is_called_is_refused(knows):
    knows()
    with pytest.raises(UnknownProviderError):
        qp.find_job("x", provider="acmee")
    keep("x", provider="gone")
    assert qp.find_job("x", provider="gone").id == "x"
    with pytest.raises(UnknownJobError) as caught:
        qp.find_job("y", provider="gone")
    assert "gone" in caught.value.why


def test_a_ledger_that_cannot_be_read_does_not_hide_the_vendors(knows):
    knows("job-1")
    keep("job-0")
    ledger_in_use().close()
    ledger_in_use().path.write_bytes(b"no database" * 500)
    assert qp.find_job("job-1").id == "job-1"
    with pytest.raises(UnknownJobError) as caught:
        qp.find_job("job-0")
    assert "damaged" in caught.value.why


def test_with_the_ledger_off_vendors_are_asked(knows, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    knows("job-1")
    assert qp.job("acme:job-1").job_id() == "job-1"
    with pytest.raises(UnknownJobError):
        qp.job("unknown:job-1")
    with pytest.raises(UnknownJobError):
        qp.job("job-1", offline=True)


def test_the_handle_of_a_job_whose_plugin_is_gone_tells_what_the_ledger_has():
    keep("1", state=JobState.ERROR, error="It broke.", error_code="77", error_hint="Mend it.")
    job = qp.job("1")
    assert job.status().name == "ERROR"
    with pytest.raises(qp.JobFailedError, match="code 77") as caught:
        job.result()
    assert (caught.value.code, caught.value.why, caught.value.hint) == ("77", "It broke.", "Mend it.")


def test_what_such_a_handle_cannot_do_is_told_with_the_reason():
    import pickle

    keep("1", state=JobState.QUEUED)
    job = pickle.loads(pickle.dumps(qp.job("1")))
    assert job.tags() == []
    for ask in (job.status, job.result, job.cancel, job.account.open, job.account.info, lambda: job.update_tags([])):
        with pytest.raises(qp.PluginError, match="its plugin or its account is gone") as caught:
            ask()
        assert "acme" in caught.value.why
    assert not job.account.takes("qprovider_get_job", "wait_s")
    unsent = ledger_in_use().adopt("acme", "default", JobInfo(id="2", state=JobState.QUEUED))
    with ledger_in_use()._file.writing() as db:
        db.execute("UPDATE jobs SET job_id = NULL, state = 'submit_unknown' WHERE key = ?", (unsent,))
    with pytest.raises(qp.PluginError, match="is gone"):
        qp.job(unsent).result()

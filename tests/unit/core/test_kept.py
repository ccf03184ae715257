"""What the ledger keeps of a job, and what is read from it instead of asking the vendor."""

import time

import pytest
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core import _context, _kept, hookimpl
from qprovider_core.errors import (
    InvalidInputError,
    JobFailedError,
    LedgerError,
    QProviderError,
    TransportError,
    UnknownJobError,
)
from qprovider_core.ledger import ledger_in_use, use_ledger
from qprovider_core.ledger._pack import Packer
from qprovider_core.records import (
    BackendProperties,
    JobInfo,
    JobResult,
    JobState,
    Measured,
    ProviderSpec,
    QubitCalibration,
    SamplePubResult,
)

pytestmark = pytest.mark.usefixtures("isolated")
COUNTS = JobResult(pubs=[SamplePubResult.from_counts({"0": 3, "1": 5})])


def bit():
    circuit = QuantumCircuit(1, 1, name="one bit")
    circuit.x(0)
    circuit.measure(0, 0)
    return circuit


@pytest.fixture
def said(monkeypatch, caplog):
    """What was said of the ledger, each warning once."""
    monkeypatch.setattr(_kept, "_said", set())
    return lambda: [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]


@pytest.fixture
def counted(service):
    """A vendor that counts what its hooks are asked; `asked` has their names."""

    def make(**hooks):
        asked = []

        def counting(name, hook):
            def call(job):
                asked.append(name)
                return hook(job)

            return call

        acme = service(
            get_job=counting("get", lambda job: acme.jobs[job.id][0] if job.id in acme.jobs else None),
            job_result=counting("result", lambda job: COUNTS),
            **hooks,
        )
        acme.asked = asked
        return acme

    return make


def break_ledger():
    _context._clerk.flush(20)  # who has the file open may not notice
    ledger_in_use().close()
    ledger_in_use().path.write_bytes(b"this is no database at all" * 100)


# --------------------------------------------------------------------------------------------------------- results


def test_a_result_is_asked_for_once_in_all_handles(counted):
    acme = counted()
    job = acme.backend.run(bit())
    first = job.result()
    assert acme.asked == ["result"]
    for other in (qp.job(job.job_id()), qp.job(job.key), acme.backend._account.retrieve_job(job.job_id())):
        assert other.result().get_counts() == first.get_counts() == {"0": 3, "1": 5}
        assert other.status().name == "DONE"
    assert acme.asked == ["result"]
    assert other.result().results[0].header["name"] == "one bit"


def test_it_is_there_without_the_plugin_and_without_circuits(counted, monkeypatch):
    monkeypatch.setenv("QPROVIDER_LEDGER_CIRCUITS", "off")
    job = counted().backend.run(bit())
    job.result()
    qp.unregister_plugin("acme")
    late = qp.job(job.job_id())
    assert late.result().get_counts() == {"0": 3, "1": 5}
    assert late.circuits() is None


def test_a_handle_that_knew_the_job_unfinished_takes_the_result_from_the_ledger(counted):
    acme = counted()
    job = acme.backend.run(bit())
    waiting = acme.backend._account.retrieve_job(job.job_id())
    waiting.info = JobInfo(id=job.job_id(), state=JobState.QUEUED)
    job.result()
    del acme.asked[:]
    assert waiting.result().get_counts() == {"0": 3, "1": 5}
    assert waiting.info.state is JobState.DONE
    assert acme.asked == []


def test_the_result_of_a_job_that_was_submitted_elsewhere_is_kept_too(counted):
    acme = counted()
    acme.jobs["x1"] = (JobInfo(id="x1", state=JobState.DONE, backend="line"), None)
    acme.backend._account.retrieve_job("x1").result()
    del acme.asked[:]
    assert qp.job("x1", offline=True).result().get_counts() == {"0": 3, "1": 5}
    assert acme.asked == []
    [record] = qp.list_jobs(offline=True)
    assert (record.job_id, record.has_result, record.attempts) == ("x1", True, 0)


def test_a_damaged_result_is_asked_for_again(counted, said):
    acme = counted()
    job = acme.backend.run(bit())
    job.result()
    with ledger_in_use()._file.writing() as db:
        db.execute("UPDATE results SET result = x'00'")
    for _ in range(2):
        assert qp.job(job.job_id()).result().get_counts() == {"0": 3, "1": 5}
    assert acme.asked == ["result", "result"]  # the second time it was put in order
    assert len(said()) == 1


def test_a_ledger_that_breaks_while_a_job_runs_is_told_once(counted, said):
    acme = counted()
    job, other = acme.backend.run(bit()), acme.backend.run(bit())
    break_ledger()
    for one in (job, other):
        assert one.result().get_counts() == {"0": 3, "1": 5}
        assert (one.note(), one.record(), one.properties() is not None) == (None, None, True)
    assert len(said()) <= 2
    assert "jobs go on, but the ledger does not keep up" in said()[0]


def test_a_failed_job_tells_reason_code_and_hint_from_the_ledger(service):
    told = JobInfo(id="a0", state=JobState.ERROR, error="It broke.", error_code="77", error_hint="Mend it.")
    acme = service(lambda request: told)
    acme.backend.run(bit())
    qp.unregister_plugin("acme")
    with pytest.raises(JobFailedError, match="code 77") as caught:
        qp.job("a0").result()
    assert (caught.value.code, caught.value.why, caught.value.hint) == ("77", "It broke.", "Mend it.")


# ---------------------------------------------------------------------------------------------------- what is noted


def test_each_new_state_is_noted_and_an_old_one_is_not(service):
    states = iter([JobState.QUEUED, JobState.RUNNING, JobState.RUNNING, JobState.DONE])
    acme = service(
        lambda request: JobInfo(id="a0", state=JobState.QUEUED),
        get_job=lambda: JobInfo(id="a0", state=next(states), state_text="word"),
    )
    job = acme.backend.run(bit())
    for _ in range(4):
        job.refresh()
    assert [event.text for event in job.record().events if event.what == "state"] == ["running", "done"]


def test_names_and_notes_are_kept_here(counted):
    acme = counted()
    job = acme.backend.run(bit(), name="first")
    job.set_note("good qubits")
    assert job.update_name("second") == "second"
    other = qp.job(job.job_id())
    assert (other.name(), other.note(), job.name()) == ("second", "good qubits", "second")
    assert [record.id for record in qp.list_jobs(name="second", offline=True)] == [job.job_id()]
    other.update_name(None)
    other.set_note("")
    again = qp.job(job.job_id())
    assert (again.name(), again.note()) == (None, None)
    for wrong in (5, b"x"):
        with pytest.raises(InvalidInputError):
            job.set_note(wrong)
        with pytest.raises(InvalidInputError):
            job.update_name(wrong)


def test_a_note_takes_a_job_of_elsewhere_into_the_ledger(counted):
    acme = counted()
    acme.jobs["x1"] = (JobInfo(id="x1", state=JobState.QUEUED, backend="line"), None)
    job = acme.backend._account.retrieve_job("x1")
    assert (job.key, job.note(), job.record()) == (None, None, None)
    job.set_note("from the website")
    assert job.key
    assert qp.job(job.key).note() == "from the website"


def test_a_name_that_cannot_be_kept_is_an_error(counted):
    job = counted().backend.run(bit())
    break_ledger()
    with pytest.raises(LedgerError):
        job.set_note("x")


def test_tags_never_lose_the_key(service):
    sent = []
    acme = service(
        spec=ProviderSpec(name="acme", title="Acme", max_tags=3),
        update_job_tags=lambda tags: sent.append(tags) or True,
        get_job=lambda job: JobInfo(id=job.id, state=JobState.RUNNING, tags=sent[-1] if sent else ()),
    )
    job = acme.backend.run(bit(), job_tags=["a", "b", "c"])
    job.update_tags(["d"])
    assert sent == [(f"qprovider:{job.key}", "d")]
    assert job.tags() == qp.job(job.job_id()).tags() == ["d"]
    assert [record.id for record in qp.list_jobs(tags="d", offline=True)] == [job.job_id()]
    assert qp.list_jobs(tags="a", offline=True) == []
    with pytest.raises(InvalidInputError):
        job.update_tags(["1", "2", "3", "4"])
    with pytest.raises(InvalidInputError):
        job.update_tags(None)


def test_a_deleted_job_is_forgotten(service):
    answers = iter([None, True])
    acme = service(delete_job=lambda: next(answers))
    job = acme.backend.run(bit())
    job.delete()
    assert job.record() is not None  # the vendor did not say that it was done
    job.delete()
    assert qp.list_jobs(offline=True) == []
    acme.jobs.clear()
    with pytest.raises(UnknownJobError):
        acme.backend._account.retrieve_job("a0")


def test_a_deleted_job_is_deleted_although_the_ledger_is_broken(service, said):
    job = service(delete_job=lambda: True).backend.run(bit())
    break_ledger()
    job.delete()
    assert len(said()) == 1


def test_a_copied_key_gives_nobody_the_result_of_another_job(counted):
    acme = counted()
    job = acme.backend.run(bit())
    job.result()
    acme.jobs["x1"] = (JobInfo(id="x1", state=JobState.DONE, tags=(f"qprovider:{job.key}",)), None)
    copy = acme.backend._account.retrieve_job("x1")
    del acme.asked[:]
    assert copy.record() is None
    copy.result()
    assert acme.asked == ["result"]
    assert qp.find_job("x1").key != job.key
    assert qp.find_job(job.key).job_id == "a0"


def test_another_ledger_may_be_taken_meanwhile(counted, tmp_path):
    job = counted().backend.run(bit())
    first = ledger_in_use()
    try:
        use_ledger(tmp_path / "other.sqlite3")
        job.result()
        [record] = qp.list_jobs(offline=True)
        assert (record.job_id, record.has_result) == ("a0", True)
        assert record.key == job.key
        assert not first.find(job.key).has_result
    finally:
        use_ledger(None)


# ----------------------------------------------------------------------------------------------------- calibration


def properties(number=1.0):
    return BackendProperties(backend_name="line", qubits=[QubitCalibration(values={"T1": Measured(number)})] * 5)


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_calibration_comes_from_the_ledger(counted):
    asked = []
    acme = counted(backend_properties=lambda at: asked.append(at) or properties())
    job = acme.backend.run(bit())
    job.result()
    until(lambda: job.record().has_calibration)
    number = len(asked)
    qp.unregister_plugin("acme")
    assert qp.job("a0").properties() == properties()
    assert len(asked) == number


def test_a_calibration_that_cannot_be_read_is_none(counted, said):
    acme = counted(backend_properties=lambda: properties())
    job = acme.backend.run(bit())
    until(lambda: job.record().has_calibration)
    qp.unregister_plugin("acme")
    wrong = [{"qubits": 5}, {"backend_name": "line", "qubits": 5}]
    for damage in (*map(Packer().pack, wrong), b"\0"):
        with ledger_in_use()._file.writing() as db:
            db.execute("UPDATE calibrations SET document = ?", (damage,))
        with pytest.raises(QProviderError, match="is gone"):
            qp.job("a0").properties()
    assert len([text for text in said() if "cannot be read" in text]) == 3


# ---------------------------------------------------------------------------------------------- asked for by the id


def test_a_job_that_has_ended_and_is_whole_is_not_asked_for(counted):
    acme = counted()
    account = acme.backend._account
    job = acme.backend.run(bit())
    assert account.retrieve_job("a0").status().name == "DONE"
    assert acme.asked == ["get"]
    job.result()
    del acme.asked[:]
    assert account.retrieve_job("a0").result().get_counts() == {"0": 3, "1": 5}
    assert acme.asked == []


@pytest.mark.parametrize("kept", [True, False])
def test_a_vendor_that_cannot_be_reached_leaves_what_was_last_known(kept, service):
    acme = service(lambda request: JobInfo(id="a0", state=JobState.RUNNING))
    acme.backend.run(bit())

    def fail():
        raise TransportError("Nobody there.")

    acme.backend._account.vendor._plugin.qprovider_get_job = hookimpl(fail)
    acme.backend._account.vendor.wire([])
    if kept:
        assert acme.backend._account.retrieve_job("a0").info.state is JobState.RUNNING
    else:
        with pytest.raises(TransportError):
            acme.backend._account.retrieve_job("a9")


def test_a_job_that_its_vendor_has_forgotten_is_told_as_it_ended(counted):
    acme = counted()
    acme.backend.run(bit())

    def forgotten(job):
        raise UnknownJobError(job.id)

    acme.backend._account.vendor._plugin.qprovider_get_job = hookimpl(forgotten)
    acme.backend._account.vendor.wire([])
    assert acme.backend._account.retrieve_job("a0").info.state is JobState.DONE
    with pytest.raises(UnknownJobError):
        acme.backend._account.retrieve_job("a9")


def test_what_is_asked_for_is_noted(service):
    acme = service(lambda request: JobInfo(id="a0", state=JobState.QUEUED))
    job = acme.backend.run(bit())
    acme.jobs["a0"] = (JobInfo(id="a0", state=JobState.RUNNING), None)
    acme.backend._account.retrieve_job("a0")
    assert job.record().info.state is JobState.RUNNING


# -------------------------------------------------------------------------------------------------------- circuits


def test_circuits_come_from_the_ledger(counted):
    job = counted().backend.run(bit())
    assert qp.job(job.job_id()).circuits() == [bit()]


def test_circuits_that_cannot_be_read_are_none(counted, said):
    job = counted().backend.run(bit())
    with ledger_in_use()._file.writing() as db:
        db.execute("UPDATE requests SET circuits = x'00'")
    late = qp.job(job.job_id())
    assert late.circuits() is None
    assert late.result().get_counts() == {"0": 3, "1": 5}


def test_a_ledger_that_cannot_be_opened_is_none(counted, said, monkeypatch):
    job = counted().backend.run(bit())

    def closed():
        raise LedgerError("It cannot be opened.")

    monkeypatch.setattr(_kept, "ledger_in_use", closed)
    assert job._kept.ledger is None
    assert said() == ["jobs go on, but the ledger does not keep up: It cannot be opened. "]

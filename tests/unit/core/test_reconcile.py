"""Submissions that are left over are looked for, and settled."""

import threading
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from qiskit import QuantumCircuit

import qprovider_core as qp
from qprovider_core import _reconcile, hookimpl
from qprovider_core._reconcile import look_back
from qprovider_core.errors import AuthenticationError, InvalidInputError, TransportError, UnknownJobError
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import JobInfo, JobState, ProviderSpec, Submission, SubmissionOutcome

pytestmark = pytest.mark.usefixtures("isolated")
SPEC = ProviderSpec(name="acme", title="Acme", min_poll_s=0.001, settle_time_s=0.0)
UNKNOWN = SubmissionOutcome.UNKNOWN


def bit():
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    return circuit


def lost():
    return TransportError("The line is cut.")


@pytest.fixture
def unsure(service):
    """A vendor with jobs of which nobody knows whether they arrived; its look-up works again."""

    def make(*faults, **settings):
        acme = service(*faults, **settings)
        acme.lookup = UNKNOWN
        acme.left = [acme.backend.run(bit()) for _ in faults]
        assert all(job.info.state is JobState.SUBMIT_UNKNOWN for job in acme.left)
        acme.lookup = None
        return acme

    return make


def keys(records):
    return [record.key for record in records]


def test_each_submission_is_found_or_sent_again_with_its_key(unsure):
    acme = unsure(("after", lost()), lost())
    found, again = acme.left
    told = qp.reconcile()
    assert keys(told.found) == [found.key]
    assert keys(told.sent_again) == [again.key]
    assert (told.absent, told.unknown, told.errors) == ((), (), ())
    assert [record.job_id for record in (*told.found, *told.sent_again)] == ["a0", "a1"]
    assert len(acme.sent) == 3
    assert found.result().get_counts() == again.result().get_counts() == {"0": 3, "1": 5}
    assert qp.reconcile() == _reconcile.Reconciled()
    assert len(told.to_dict()["found"]) == 1


def test_without_a_ledger_there_is_nothing_to_find_out(unsure, monkeypatch):
    unsure(lost())
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    assert qp.reconcile() == _reconcile.Reconciled()


def test_what_did_not_arrive_is_only_marked_where_that_is_wished(unsure):
    acme = unsure(lost())
    told = qp.reconcile(resend=False)
    assert keys(told.absent) == [acme.left[0].key]
    assert told.absent[0].info.state is JobState.ERROR
    assert told.errors == ()
    assert len(acme.sent) == 1
    assert acme.left[0].rerun().job_id() == "a0"


def test_what_is_old_is_not_sent_unasked(unsure, monkeypatch):
    acme = unsure(lost())
    monkeypatch.setattr(_reconcile, "_TOO_OLD_S", 0.0)
    assert keys(qp.reconcile().absent) == [acme.left[0].key]
    assert len(acme.sent) == 1


def test_the_settle_time_is_waited_for(unsure, monkeypatch):
    acme = unsure(lost())
    monkeypatch.setattr(_reconcile, "_PAUSE_S", 0.01)
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "0.5")
    before = len(acme.looks)
    assert keys(qp.reconcile().sent_again) == [acme.left[0].key]
    assert len(acme.looks) - before > 2


def test_but_not_beyond_the_timeout(unsure, monkeypatch):
    acme = unsure(lost())
    monkeypatch.setenv("QPROVIDER_SETTLE_TIME", "1000")
    told = qp.reconcile(timeout=0.2)
    assert (keys(told.unknown), told.errors) == ([acme.left[0].key], ())
    assert len(acme.sent) == 1


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (lost(), "is not known"),
        (AuthenticationError("The token has expired."), "The token has expired."),
        (UNKNOWN, "cannot tell now"),
    ],
)
def test_what_cannot_be_asked_stays_and_is_told_once(problem, said, unsure):
    acme = unsure(lost(), lost())
    acme.lookup = problem
    told = qp.reconcile(timeout=0.2)
    assert keys(told.unknown) == keys(acme.left)
    assert 1 <= len(told.errors) <= 2  # the key stands in some of them
    assert said in told.errors[0].reason
    assert (told.errors[0].provider, told.errors[0].account) == ("acme", "default")
    assert len(acme.sent) == 2


def test_one_that_fails_when_it_is_sent_again_is_told_with_its_error(unsure):
    acme = unsure(lost())
    acme.faults.append(InvalidInputError("Too wide by now."))
    told = qp.reconcile()
    assert told.absent[0].info.error == "Too wide by now."
    assert told.errors == ()


def test_one_that_is_lost_again_is_still_not_known(unsure):
    acme = unsure(lost())

    def lose_again(request):
        acme.lookup = UNKNOWN
        raise lost()

    acme.faults.append(lose_again)
    told = qp.reconcile()
    assert keys(told.unknown) == [acme.left[0].key]
    assert told.unknown[0].attempts == 2


def test_one_that_another_process_has_given_up_meanwhile_is_absent(unsure, monkeypatch):
    acme = unsure(lost())
    key = acme.left[0].key
    unsettled = type(ledger_in_use()).unsettled

    def then_failed(self):
        found = unsettled(self)
        self.failed(key, InvalidInputError("No."))
        return found

    monkeypatch.setattr(type(ledger_in_use()), "unsettled", then_failed)
    assert keys(qp.reconcile().absent) == [key]


def test_one_vendor_or_account_or_job_alone(unsure):
    acme = unsure(lost(), lost())
    assert qp.reconcile(provider="other") == qp.reconcile(account="o*") == _reconcile.Reconciled()
    assert keys(qp.reconcile(key=acme.left[1].key, provider=["acme"], account="def*").sent_again) == [acme.left[1].key]
    with pytest.raises(UnknownJobError, match="no job of the key 'nonsense'"):
        qp.reconcile(key="nonsense")
    assert keys(qp.reconcile().sent_again) == [acme.left[0].key]


def test_a_plugin_that_is_gone_is_told(unsure):
    acme = unsure(lost())
    qp.unregister_plugin("acme")
    told = qp.reconcile()
    assert keys(told.unknown) == [acme.left[0].key]
    assert "acme" in told.errors[0].reason
    assert "install its plugin" in told.errors[0].hint


def test_another_account_finds_a_job_and_never_sends_it(unsure):
    acme = unsure(("after", lost()), lost())
    ledger = ledger_in_use()
    with ledger._file.writing() as db:
        db.execute("UPDATE places SET account = 'gone'")
    told = qp.reconcile()
    assert keys(told.found) == [acme.left[0].key]
    assert keys(told.unknown) == [acme.left[1].key]
    assert told.errors[0].account == "gone"
    assert len(acme.sent) == 2


def test_a_job_of_a_process_is_left_to_it(unsure):
    acme = unsure(lost(), spec=attrs.evolve(SPEC, process_bound=True))
    assert qp.reconcile() == _reconcile.Reconciled()
    assert len(acme.sent) == 1


def test_a_vendor_that_hangs_keeps_no_other_waiting(unsure, vendor, hang, monkeypatch):
    monkeypatch.setattr(_reconcile, "_GRACE_S", 0.1)
    acme = unsure(lost())
    ledger = ledger_in_use()
    record = ledger.find(acme.left[0].key)
    request = ledger.request(record.key)

    class Packed:
        request, circuits, num_circuits, left_out = b"", None, 1, None

    vendor("slow", spec=attrs.evolve(SPEC, name="slow"), find_submission=lambda: hang())
    other = attrs.evolve(request, key="b" * 32)
    ledger.write(other, Packed, provider="slow", account="default")
    ledger.not_known("b" * 32, "lost")
    told = qp.reconcile(timeout=0.3)
    assert keys(told.sent_again) == [record.key]
    assert keys(told.unknown) == ["b" * 32]
    assert told.errors[0].provider == "slow"


def test_two_that_reconcile_at_once_send_each_job_once(unsure):
    acme = unsure(*[lost() for _ in range(6)])
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(qp.reconcile())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(acme.jobs) == 6
    assert len(acme.sent) == 12
    assert sum(len(told.sent_again) for told in answers) >= 6
    assert all(ledger_in_use().find(job.key).job_id for job in acme.left)


def test_a_long_wait_looks_for_those_of_its_accounts_and_sends_none(unsure):
    acme = unsure(("after", lost()), lost())
    look_back([acme.backend._account])
    assert [ledger_in_use().find(job.key).job_id for job in acme.left] == ["a0", None]
    assert len(acme.sent) == 2
    look_back([])


def test_a_plugin_that_raises_nonsense_costs_its_own_row(unsure, monkeypatch):
    acme = unsure(lost())

    def broken(record):
        raise ZeroDivisionError("odd")

    monkeypatch.setattr(_reconcile, "own_account", broken)
    told = qp.reconcile()
    assert keys(told.unknown) == [acme.left[0].key]
    assert "ZeroDivisionError" in told.errors[0].reason


def test_a_job_that_was_found_by_someone_else_is_found(unsure):
    acme = unsure(lost())
    key = acme.left[0].key

    def find():
        ledger_in_use().accepted(key, JobInfo(id="a77", state=JobState.QUEUED))
        return Submission(outcome=SubmissionOutcome.ABSENT)

    acme.backend._account.vendor._plugin.qprovider_find_submission = hookimpl(find)
    acme.backend._account.vendor.wire([])
    assert [record.job_id for record in qp.reconcile().found] == ["a77"]
    assert len(acme.sent) == 1


def test_times_of_the_clock_do_not_matter_to_whom_sends(unsure):
    """The moment of the last attempt is compared to the microsecond, whatever floats make of it."""
    ledger = ledger_in_use()
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    acme = unsure(*[lost() for _ in range(8)])
    with ledger._file.writing() as db:
        for number, job in enumerate(acme.left):
            at = int((start + timedelta(days=number)).timestamp()) * 10**6 + 123457 + 111111 * number
            db.execute("UPDATE jobs SET sent = ?, updated = ? WHERE key = ?", (at, at, job.key))
    for job in acme.left:
        job.settle()
    assert [job.info.state for job in acme.left] == [JobState.DONE] * 8

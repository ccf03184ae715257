"""Accounts: opened once, shared between threads, never waited for past a deadline."""

import threading

import pytest

import qprovider_core as qp
from qprovider_core import _account
from qprovider_core.errors import (
    AuthenticationError,
    DeadlineError,
    InvalidInputError,
    PluginError,
    QProviderError,
    TransportError,
    UnknownBackendError,
    UnknownOptionError,
    UnknownProviderError,
    UnsupportedError,
    failure_text,
)
from qprovider_core.records import (
    AccountInfo,
    BackendConfiguration,
    BackendInfo,
    BackendRef,
    JobInfo,
    JobPage,
    JobState,
    ProviderSpec,
    TokenCredentials,
)
from qprovider_core.secret import Secret

pytestmark = pytest.mark.usefixtures("isolated")
ONE = BackendRef(name="one")


def test_an_account_is_opened_once_whoever_asks_first(account):
    opened, go = [], threading.Event()

    def open_account():
        opened.append(1)
        assert go.wait(30)
        return object()

    acme = account(open_account=open_account)
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(len(acme.list_backends()))) for _ in range(4)]
    threads += [threading.Thread(target=acme.open)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(30)
    assert seen == [1] * 4
    assert opened == [1]


def test_a_failure_to_open_is_not_kept(account):
    attempts = []

    def open_account():
        attempts.append(1)
        if len(attempts) == 1:
            raise AuthenticationError("The token is wrong.")
        return object()

    acme = account(open_account=open_account)
    with pytest.raises(AuthenticationError):
        acme.open()
    assert acme.open() is acme


def test_opening_is_not_waited_for_past_its_deadline(account, hang):
    acme = account(open_account=hang)
    with pytest.raises(DeadlineError, match=r"acme: no answer to open_account within 0\.05 s") as caught:
        acme.open(timeout=0.05)
    assert caught.value.timeout_s == 0.05
    # It is still being opened: who comes later waits for the same call, and no longer than allowed.
    with pytest.raises(DeadlineError):
        acme.ask("qprovider_list_backends", timeout=0.05)


def test_opening_with_none_is_the_plugins_fault(account):
    with pytest.raises(PluginError, match="opened acme with None"):
        account(open_account=lambda: None).open()


def test_a_failure_while_others_wait_reaches_them_all(account):
    inside, go = threading.Event(), threading.Event()

    def open_account():
        inside.set()
        assert go.wait(30)
        raise TimeoutError("the vendor's own limit")

    acme = account(open_account=open_account)
    caught = []

    def ask():
        try:
            acme.ask("qprovider_list_backends")
        except QProviderError as exc:
            caught.append(type(exc))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    threads[0].start()
    assert inside.wait(30)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(30)
    assert caught == [TransportError] * 3


def test_a_closed_account_says_so_and_is_closed_once(account):
    closed = []
    acme = account(close_account=lambda connection: closed.append(connection) or True)
    with acme:
        acme.open()
    acme.close()
    assert closed == ["connection of acme"]
    assert acme.closed
    with pytest.raises(InvalidInputError, match="account acme is closed"):
        acme.ask("qprovider_list_backends")
    listed = acme.list_backends()
    assert listed == []
    assert "is closed" in listed.errors[0].reason


def test_an_account_that_was_never_opened_has_nothing_to_close(account):
    closed = []
    acme = account(close_account=lambda: closed.append(1))
    acme.close()
    assert closed == []
    plain = account("beta")
    plain.open()
    plain.close()


def test_an_account_closed_while_it_is_opened_is_released_all_the_same(account):
    inside, go, closed = threading.Event(), threading.Event(), threading.Event()

    def open_account():
        inside.set()
        assert go.wait(30)
        return "late connection"

    def close_account(connection):
        assert connection == "late connection"
        closed.set()
        return True

    acme = account(open_account=open_account, close_account=close_account)
    refused = []

    def ask():
        try:
            acme.open()
        except InvalidInputError as exc:
            refused.append(exc.what)

    opening = threading.Thread(target=ask)
    opening.start()
    assert inside.wait(30)
    acme.close()
    go.set()
    opening.join(30)
    assert closed.wait(10)
    assert refused == ["The account acme was closed while it was being opened."]


def test_a_call_is_not_waited_for_past_its_deadline(account, hang):
    acme = account(backend_configuration=lambda backend: hang())
    with pytest.raises(DeadlineError, match=r"acme: no answer to backend_configuration within 0\.05 s") as caught:
        acme.facts.configuration(ONE, timeout=0.05)
    assert "QPROVIDER_TIMEOUT" in caught.value.hint


def test_a_call_that_answers_nothing_where_something_is_needed_is_the_plugins_fault(account):
    acme = account(backend_configuration=lambda: None, account_info=lambda: None, backend_status=lambda: None)
    for call in (lambda: acme.facts.configuration(ONE), lambda: acme.facts.status(ONE), acme.info):
        with pytest.raises(PluginError, match="gave no answer to qprovider_"):
            call()


def test_what_the_vendor_does_not_tell_is_none_or_an_error(account):
    acme = account()
    assert acme.facts.properties(ONE) is None
    with pytest.raises(UnsupportedError):
        acme.info()
    with pytest.raises(UnsupportedError):
        acme.facts.status(ONE)


def test_an_account_tells_who_it_is(account):
    acme = account(account_info=lambda account: AccountInfo(owner=account.name))
    assert acme.info().owner == "default"
    assert (acme.provider, acme.name, acme.label) == ("acme", "default", "acme")
    assert acme.spec.title == "Acme"
    assert repr(acme) == "<Account acme from no credentials needed>"


def test_an_account_is_asked_alone(vendor, account):
    vendor("beta", [BackendInfo(name="two")])
    acme = account(backend_configuration=lambda backend: BackendConfiguration(backend_name=backend.name))
    assert acme.list_backends().names() == ["acme:one"]
    assert [handle.full_name for handle in acme.backends("o*")] == ["acme:one"]
    assert acme.get_backend("one").provider is acme
    assert acme.least_busy().full_name == "acme:one"
    with pytest.raises(UnknownBackendError):
        acme.get_backend("two")


def test_an_account_lists_and_retrieves_jobs(account):
    job = JobInfo(id="j1", state=JobState.DONE)
    acme = account(
        list_jobs=lambda query: JobPage(jobs=[job]), get_job=lambda job: JobInfo(id=job.id, state=JobState.DONE)
    )
    assert [one.job_id() for one in acme.jobs()] == ["j1"]
    assert acme.retrieve_job("j1").info == job


def test_an_account_is_opened_by_hand(vendor):
    vendor("acme", [BackendInfo(name="one")], open_account=lambda credentials: credentials.token.reveal(),
           spec=ProviderSpec(name="acme", title="Acme", credentials=TokenCredentials))  # fmt: skip
    opened = qp.open_account("acme", token="a-secret-token")
    assert opened.source == "arguments"
    assert "a-secret-token" not in repr(opened)
    with pytest.raises(UnknownOptionError):
        qp.open_account("acme", tokne="x")
    with pytest.raises(UnknownProviderError):
        qp.open_account("acmee")


def test_a_failure_is_one_line_without_secrets():
    Secret("hunter2-hunter2")
    assert failure_text(ValueError("a\n  b hunter2-hunter2")) == "ValueError: a b ********"
    assert failure_text(ValueError()) == "ValueError"
    assert failure_text(TransportError("Cut.", why="a\nb", hint="c")) == "Cut. a b"


@pytest.mark.parametrize("stage", ["open_account", "list_backends"])
def test_a_deadline_that_the_vendor_itself_reports_reaches_all_who_wait(stage, account):
    inside, go = threading.Event(), threading.Event()

    def late():
        inside.set()
        assert go.wait(30)
        raise DeadlineError("The vendor's own limit has passed.")

    acme = account(**({"backends": late} if stage == "list_backends" else {stage: late}))
    told = []

    def ask():
        told.extend(error.reason for error in acme.list_backends().errors)
        try:
            acme.open()
        except DeadlineError as exc:
            told.append(exc.what)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    threads[0].start()
    assert inside.wait(30)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(30)
    assert set(told) == {"The vendor's own limit has passed."}


def test_a_vendor_that_hangs_keeps_a_limited_number_of_threads(account, monkeypatch):
    monkeypatch.setattr(_account, "_MOST_OUTSTANDING", 3)
    release = threading.Event()
    acme = account(account_info=lambda: release.wait(60) and None)
    acme.open()
    before = threading.active_count()
    try:
        for _ in range(3):
            with pytest.raises(DeadlineError, match="no answer to account_info"):
                acme.info(timeout=0.02)
        with pytest.raises(DeadlineError, match="3 earlier calls have not come back"):
            acme.info(timeout=0.02)
        assert threading.active_count() <= before + 3
    finally:
        release.set()

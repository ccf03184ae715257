"""The contract tests' own helpers: what they find, and what they say about it."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

import qprovider_local
from qprovider_core import (
    Account,
    BackendConfiguration,
    BackendInfo,
    BackendStatus,
    JobInfo,
    JobState,
    JobUsage,
    ProviderSpec,
    TransportError,
    hookimpl,
    open_account,
    register_plugin,
    unregister_plugin,
)
from qprovider_core.testing import ProviderContract, _closing
from qprovider_core.testing._isolation import at_once
from qprovider_core.testing._processes import ended, import_string
from qprovider_core.testing._secrets import _assert_hidden, _forms, _overheard


class Stub:
    """A plugin with one device and nothing to run. Subclasses leave things behind."""

    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return ProviderSpec(name="stub", title="Stub")

    @hookimpl
    def qprovider_open_account(self) -> Any:
        return self.opened()

    def opened(self) -> Any:
        return self

    @hookimpl
    def qprovider_list_backends(self) -> Any:
        return self.listed()

    def listed(self) -> Any:
        return [BackendInfo(name="one", num_qubits=1, simulator=False, operational=True, version="2")]

    @hookimpl
    def qprovider_backend_configuration(self) -> BackendConfiguration:
        return BackendConfiguration(backend_name="one", n_qubits=1, basis_gates=("x",), simulator=False)

    @hookimpl
    def qprovider_backend_status(self) -> BackendStatus:
        return self.status()

    def status(self) -> BackendStatus:
        return BackendStatus(backend_name="one", operational=True, backend_version="2")


module_level = Stub()


class Probe(ProviderContract):
    """Its checks are called by hand."""

    __test__ = False
    supports_running: ClassVar[bool] = False
    max_list_seconds: ClassVar[float] = 1.0


@pytest.fixture
def at() -> Iterator[Callable[[Stub], Account]]:
    """An account at such a plugin."""
    opened: list[Account] = []

    def begin(plugin: Stub) -> Account:
        register_plugin(plugin, name="stub")
        opened.append(open_account("stub"))
        return opened[-1]

    yield begin
    for account in opened:
        account.close()
    unregister_plugin("stub")


# -- declarations and the backend -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("noisless_backend", "one", "did you mean noiseless_backend"),
        ("lists_with_qiskit", False, "did you mean lists_without_qiskit"),
        ("supports_cancel", "no", "supports_cancel is True or False, not 'no'"),
    ],
)
def test_a_declaration_that_says_nothing_is_found(name: str, value: Any, said: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception), match=said):
        type("Slip", (Probe,), {name: value})().test_declarations_are_ones_that_exist()
    type("Own", (Probe,), {"emulator": 1})().test_declarations_are_ones_that_exist()


def test_no_job_is_sent_to_a_device_unasked(at: Any) -> None:
    account, make = at(Stub()), ProviderContract.backend._get_wrapped_function()  # type: ignore[attr-defined]
    with pytest.raises(pytest.fail.Exception, match="(?s)not sent to a device unasked.*Declare `backend_name`"):
        make(Probe(), account)
    chosen = type("Chosen", (Probe,), {"backend_name": "one"})
    assert make(chosen(), account).name == "one"


# -- what is left behind --------------------------------------------------------------------------------------


class Leaving(Stub):
    """Each connection has a thread and a socket of its own, and no end."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.sockets: list[socket.socket] = []

    def opened(self) -> Any:
        threading.Thread(target=self.over.wait, name="stub-heartbeat", daemon=True).start()
        self.sockets.append(socket.create_server(("127.0.0.1", 0)))
        return self


def test_threads_and_files_that_outlive_their_account_are_found(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_closing, "_LEAVING_S", 0.1)
    plugin = Leaving()
    account = at(plugin)
    try:
        with pytest.raises(AssertionError, match=r"threads still run: \['stub-heartbeat'\]"):
            Probe().test_closing_leaves_no_thread(account)
        with pytest.raises(AssertionError, match="these are still open: .*socket"):
            Probe().test_closing_leaves_no_file_open(account)
    finally:
        plugin.over.set()
        for one in plugin.sockets:
            one.close()


def test_what_leaves_nothing_passes(at: Any) -> None:
    account = at(Stub())
    Probe().test_closing_leaves_no_thread(account)
    Probe().test_closing_leaves_no_file_open(account)


# -- a silent vendor ------------------------------------------------------------------------------------------


class Silent(Stub):
    """Its list is what the test says."""

    answer: Callable[[], Any]

    def listed(self) -> Any:
        return self.answer()


class AtSilent(Probe):
    def silent_account(self, account: Account) -> Account | None:
        return self.unopened(account)


def _fail_as(exc: Exception) -> Any:
    raise exc


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda over: over.wait(), "it still waits for a vendor that does not answer: pass deadline.timeout on"),
        (lambda over: [], r"gives \(\); it must raise TransportError"),
        (lambda over: _fail_as(KeyError("x")), "must raise TransportError, not PluginError"),
        (lambda over: _fail_as(TransportError("Stub is silent.")), "says neither why nor what to do"),
    ],
)
def test_a_plugin_that_does_not_bear_silence_is_found(
    at: Any, monkeypatch: pytest.MonkeyPatch, answer: Any, said: str
) -> None:
    monkeypatch.setattr(_closing, "_DEADLINE_S", 0.05)
    monkeypatch.setattr(_closing, "_GRACE_S", 0.05 if "still waits" in said else 60.0)
    over, plugin = threading.Event(), Silent()
    plugin.answer = lambda: answer(over)  # type: ignore[method-assign]
    try:
        with pytest.raises((AssertionError, pytest.fail.Exception), match=said):
            AtSilent().test_a_silent_vendor_costs_no_more_than_the_deadline(at(plugin))
    finally:
        over.set()


def test_a_plugin_that_bears_silence_passes(at: Any) -> None:
    plugin = Silent()
    plugin.answer = lambda: _fail_as(TransportError("Stub is silent.", why="no answer"))  # type: ignore[method-assign]
    AtSilent().test_a_silent_vendor_costs_no_more_than_the_deadline(at(plugin))
    with pytest.raises(pytest.skip.Exception, match="silent_account gives None"):
        Probe().test_a_silent_vendor_costs_no_more_than_the_deadline(plugin)  # type: ignore[arg-type]


def test_a_silent_address_takes_connections_until_the_check_is_over() -> None:
    probe = Probe()
    host, _, port = probe.silent_address().partition(":")
    with socket.create_connection((host, int(port)), timeout=5):
        pass
    steps = ProviderContract._nothing_is_left_running._get_wrapped_function()(probe)  # type: ignore[attr-defined]
    next(steps)
    assert next(steps, None) is None
    with pytest.raises(OSError, match=".*"):
        socket.create_connection((host, int(port)), timeout=5)


# -- status, words, usage -------------------------------------------------------------------------------------


def test_a_status_that_contradicts_the_listing_each_time_is_found(at: Any) -> None:
    class Apart(Stub):
        def status(self) -> BackendStatus:
            return BackendStatus(backend_name="one", operational=False)

    with pytest.raises(AssertionError, match="operational is True in the listing, False in the status"):
        Probe().test_status_and_listing_agree(at(Apart()))


def test_a_status_that_changes_in_between_is_none_of_the_plugins_faults(at: Any) -> None:
    class Turning(Stub):
        looks = 0

        def status(self) -> BackendStatus:
            self.looks += 1
            return BackendStatus(backend_name="one", operational=self.looks > 1)

    Probe().test_status_and_listing_agree(at(Turning()))


@pytest.mark.parametrize(
    ("state", "text", "said"),
    [
        (JobState.QUEUED, "Teleporting", "takes it for QUEUED"),
        (JobState.UNKNOWN, None, "put the vendor's word into state_text"),
        (JobState.UNKNOWN, "teleporting", "put the vendor's word into state_text"),
        (JobState.UNKNOWN, "Teleporting", None),
    ],
)
def test_a_word_that_is_not_kept_is_found(at: Any, state: JobState, text: str | None, said: str | None) -> None:
    class Teleporting(Probe):
        def job_with_status(self, account: Account, word: str) -> JobInfo | None:
            return JobInfo(id="one", state=state, state_text=text)

    account = at(Stub())
    if said is None:
        Teleporting().test_an_unknown_status_is_kept_as_text(account)
    else:
        with pytest.raises(AssertionError, match=said):
            Teleporting().test_an_unknown_status_is_kept_as_text(account)


@pytest.mark.parametrize("usage", [JobUsage(quantum_s=5000.0), JobUsage(estimated_s=-1.0)])
def test_usage_in_another_unit_is_found(usage: JobUsage) -> None:
    class Used(Probe):
        supports_running: ClassVar[bool] = True

        def finished(self, *args: Any, **options: Any) -> Any:
            return None

        def look(self, *args: Any, **options: Any) -> JobInfo:
            return JobInfo(id="one", state=JobState.DONE, usage=usage)

    with pytest.raises(AssertionError, match="is it in milliseconds"):
        Used().test_usage_is_in_seconds(None, None)  # type: ignore[arg-type]


# -- secrets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"", b"u:", b"user:", b"user-x:"])
def test_a_secret_is_found_in_base64_wherever_it_stands(before: bytes) -> None:
    shown = b64encode(before + b"token-of-the-stub" + b":more").decode()
    with pytest.raises(AssertionError, match="the header shows a secret"):
        _assert_hidden(["token-of-the-stub"], [("header", f"Basic {shown}")])


def test_a_secret_is_found_in_addresses_and_json() -> None:
    assert {'a/b ü"', "a%2Fb%20%C3%BC%22", 'a/b \\u00fc\\"'} <= _forms('a/b ü"')
    _assert_hidden(["abc"], [("text", "the abc of it")])  # too short to tell
    _assert_hidden(["token-of-the-stub"], [("text", "nothing of it")])


def test_all_loggers_and_warnings_are_overheard_and_left_as_they_were() -> None:
    closed = logging.getLogger("contract.closed")
    closed.propagate = False
    closed.setLevel(logging.ERROR)
    with _overheard() as lines:
        closed.debug("said %s", "quietly")
        warnings.warn("beware", stacklevel=1)
    assert ("log of contract.closed", "contract.closed said quietly") in lines
    assert any(where == "warning" and text.startswith("beware") for where, text in lines)
    assert closed.level == logging.ERROR


# -- processes and threads ------------------------------------------------------------------------------------


def test_a_plugin_is_found_by_other_processes() -> None:
    name = Stub.__module__
    assert import_string("nobody", sys) == "sys"  # a module
    assert import_string("local", qprovider_local) == "qprovider_local"
    if name in sys.modules:
        assert import_string("stub", module_level) == f"{name}:module_level"
    assert import_string("stub", Stub()) == f"{name}:Stub"


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({"stuck": True, "threads": ["heartbeat"], "last_words": ""}, r"kept by the threads \['heartbeat'\]"),
        ({"stuck": True, "threads": [], "last_words": ""}, "what keeps it is no thread"),
        ({"stuck": False, "threads": [], "last_words": "Traceback (most recent call last)\n"}, "ended with an error"),
    ],
)
def test_a_process_that_does_not_end_well_is_found(report: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        ended(report, "listed it")


def test_twenty_threads_begin_together() -> None:
    running, most, lock, all_there = 0, 0, threading.Lock(), threading.Event()

    def work(index: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == 20:
                all_there.set()
        all_there.wait(30)
        return index

    assert at_once(work) == list(range(20))
    assert most == 20


def test_a_job_that_is_never_caught_in_its_state_says_what_to_declare() -> None:
    class Hasty(Probe):
        supports_cancel: ClassVar[bool] = False

        def queued_job(self, backend: Any) -> Any:
            info = JobInfo(id="one", state=JobState.RUNNING)
            return SimpleNamespace(info=info, wait_for_final_state=lambda timeout: None)

        def look(self, *args: Any, **options: Any) -> JobInfo:
            return JobInfo(id="one", state=JobState.DONE)

    account: Any = SimpleNamespace(spec=SimpleNamespace(min_poll_s=0.001))
    with pytest.raises(pytest.fail.Exception, match="RUNNING → DONE.*else declare supports_queue = False"):
        Hasty().caught(account, None, "queued_job", JobState.QUEUED, "supports_queue")  # type: ignore[arg-type]

"""The contract tests themselves: a vendor with every hook keeps all of them, and wrong declarations are found."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest

from qprovider_core import Account, BackendInfo, JobState, hookimpl, open_account, register_plugin, unregister_plugin
from qprovider_core.testing import Declarations, ProviderContract, circuits

TOKEN = "a-token-of-the-whole-vendor"


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        # Importable by name: the checks load it in a fresh process, too.
        whole_vendor = import_module("whole_vendor")

        register_plugin(whole_vendor, name="whole")
        with open_account("whole", token=TOKEN) as account:
            yield account
        unregister_plugin("whole")
        whole_vendor.service().close()
        del sys.modules["whole_vendor"]


class TestWhole(ProviderContract):
    noiseless_backend: ClassVar[str | None] = "aer_simulator"
    wrong_credentials: ClassVar[Mapping[str, Any] | None] = {"token": "another-token-entirely"}
    supports_other_processes: ClassVar[bool] = False  # the service is an object of this process


class _Probe(ProviderContract):
    """Not collected: its checks are called by hand."""


class _Noisy(_Probe):
    tolerance: ClassVar[float] = 0.2


class _Exact(_Probe):
    noiseless_backend: ClassVar[str | None] = "one"


@pytest.mark.parametrize(
    ("got", "said"),
    [
        ("0 001 10", "registers are in reverse order"),
        ("0 100 01", "bits are in reverse order"),
        ("100010", "spaces between the registers"),
        ("01 100 0", "wrong places"),
        ("11 001 0", "Bit 0 of a register is rightmost"),
    ],
)
def test_a_failure_says_what_kind_of_mix_up_it_looks_like(got: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        _Exact().expect({got: 10}, "10 001 0", "X on two bits")


def test_lost_leading_zeros_are_named() -> None:
    with pytest.raises(AssertionError, match="Leading zeros were lost"):
        _Exact().expect({"1": 10}, "001", "the number 1")


def test_a_noisy_backend_may_be_wrong_as_often_as_declared() -> None:
    _Noisy().expect({"1": 80, "0": 20}, "1", "X")
    with pytest.raises(AssertionError, match="too many shots are wrong"):
        _Noisy().expect({"1": 79, "0": 21}, "1", "X")
    with pytest.raises(AssertionError):
        _Exact().expect({"1": 99, "0": 1}, "1", "X")


def test_a_misspelt_declaration_is_found() -> None:
    class Misspelt(_Probe):
        supports_cancle = False

    with pytest.raises(pytest.fail.Exception, match="did you mean supports_cancel"):
        Misspelt().test_declarations_are_ones_that_exist()


def test_a_declaration_that_the_hooks_contradict_is_found(account: Account) -> None:
    class Modest(_Probe):
        supports_cancel: ClassVar[bool] = False

    with pytest.raises(AssertionError, match="implements qprovider_cancel_job"):
        Modest().test_declarations_agree_with_the_hooks(account)


def test_what_is_declared_as_unsupported_is_skipped_with_the_reason(account: Account) -> None:
    class Modest(_Probe):
        supports_sessions: ClassVar[bool] = False

    with pytest.raises(pytest.skip.Exception, match="declared: supports_sessions = False"):
        Modest().test_a_session_opens_and_closes(account, None)  # type: ignore[arg-type]


def test_every_declaration_has_a_default_and_a_description() -> None:
    assert Declarations.__doc__ is not None
    for name in Declarations.__annotations__:
        assert hasattr(Declarations, name)
        assert name in Declarations.__doc__


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6, None])
def test_the_patterns_tell_mix_ups_apart_on_every_width(width: int | None) -> None:
    keys = [circuits.registers(ones, width)[1] for ones in circuits.PATTERNS]
    assert all(len(key) == 8 for key in keys)
    plain = [key.replace(" ", "") for key in keys]
    assert any(key != key[::-1] for key in plain)
    assert any(key != " ".join(reversed(key.split(" "))) for key in keys)


class _Wrong:
    """A plugin with faults in its listing."""

    @hookimpl
    def qprovider_provider(self) -> Any:
        from qprovider_core import ProviderSpec

        return ProviderSpec(name="wrong", title="Wrong")

    @hookimpl
    def qprovider_open_account(self) -> Any:
        return self

    @hookimpl
    def qprovider_list_backends(self) -> Any:
        return [BackendInfo(name="a", pending_jobs=-1), BackendInfo(name="b", noisy=True), BackendInfo(name="b")]


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("test_every_listed_record_is_sound", "pending_jobs is negative"),
        ("test_listed_names_are_unique", "listed more than once"),
        ("test_a_noisy_twin_is_a_simulator", "nobody asking for simulator=False"),
    ],
)
def test_a_faulty_listing_is_caught(check: str, said: str) -> None:
    register_plugin(_Wrong(), name="wrong")
    try:
        with open_account("wrong") as account, pytest.raises(AssertionError, match=said):
            getattr(_Probe(), check)(account)
    finally:
        unregister_plugin("wrong")


def test_states_that_go_backwards_are_caught(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    import attrs

    probe, backend, ask = _Exact(), account.get_backend("aer_simulator"), account.ask
    words = iter([JobState.RUNNING, JobState.QUEUED])

    def lying(hook: str, **given: Any) -> Any:
        answer = ask(hook, **given)
        if hook == "qprovider_get_job":
            answer = attrs.evolve(answer, state=next(words, JobState.DONE))
        return attrs.evolve(answer, state=JobState.QUEUED) if hook == "qprovider_submit_job" else answer

    monkeypatch.setattr(account, "ask", lying)
    with pytest.raises(AssertionError, match="went backwards: QUEUED → RUNNING → DONE"):
        probe.test_states_are_known_and_only_go_forwards(account, backend)

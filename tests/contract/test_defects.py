"""A good vendor keeps every promise, and each planted defect is caught by the check named for it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

import pytest

from qprovider_core import Account
from qprovider_core.testing import ProviderContract, _closing

HERE = str(Path(__file__).parent)

with pytest.MonkeyPatch.context() as _patch:
    _patch.syspath_prepend(HERE)  # importable by name: the checks load plugins in fresh processes, too
    defects = import_module("_defects")
    rig = import_module("_defects.rig")
    good_vendor = import_module("good_vendor")


@pytest.fixture(scope="module", autouse=True)
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, rig.running_service() as variables:
        patch.syspath_prepend(HERE)
        patch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))  # not the user's own accounts
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="class")
def good_account(service: None) -> Iterator[Account]:
    with rig.opened(good_vendor.vendor) as account:
        yield account


class TestGood(rig.GoodDeclarations, ProviderContract):  # type: ignore[name-defined, misc]
    """It has every hook, so that no check may be left out."""

    @pytest.fixture
    def account(self, good_account: Account) -> Account:
        return good_account

    @pytest.fixture(autouse=True)
    def _nothing_is_skipped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(reason: str = "") -> None:
            pytest.fail(f"the good vendor is not checked: {reason}")

        monkeypatch.setattr(pytest, "skip", refuse)


DEFECTS = defects.all_defects()


# A closed account is refused by the core, whatever the plugin does: there is nothing that a plugin could do wrong.
GUARDED_BY_THE_CORE = {"test_a_closed_account_says_so"}


class _Checked(rig.GoodDeclarations, ProviderContract):  # type: ignore[name-defined, misc]
    """Not collected: its checks are called by hand."""

    max_run_seconds: ClassVar[float] = 10.0


def _make(test: Any, defect: Any, request: pytest.FixtureRequest) -> None:
    """Make the check of a defect with each of its sets of values, under what is declared for it."""
    suite = type(defect.name, (_Checked,), {"plugin": f"_defects:{defect.name}", **defect.declared})()
    suite.__dict__ = vars(test)  # what the check leaves running is what the fixtures of the test end
    check = getattr(suite, defect.check)
    for values in rig.parameters(check):
        asked = [name for name in signature(check).parameters if name not in values]
        check(**values, **{name: request.getfixturevalue(name) for name in asked})


@pytest.mark.slow
class TestDefects(rig.GoodDeclarations):  # type: ignore[name-defined, misc]
    """Each defect is caught by the check that is named for it, with the words that tell what is wrong."""

    max_run_seconds: ClassVar[float] = 5.0  # for what is left running

    @pytest.fixture(params=DEFECTS.values(), ids=DEFECTS)
    def defect(self, request: pytest.FixtureRequest) -> Any:
        return request.param

    @pytest.fixture
    def account(self, defect: Any) -> Iterator[Account]:
        with rig.opened(defect.vendor) as account:
            yield account

    @pytest.fixture(autouse=True)
    def _hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What never comes need not be waited for as patiently as in earnest."""
        monkeypatch.setattr(_closing, "_LEAVING_S", 0.5)
        monkeypatch.setattr(_closing, "_GRACE_S", 0.5)

    def test_it_is_caught(self, defect: Any, account: Account, request: pytest.FixtureRequest) -> None:
        with pytest.raises((Exception, pytest.fail.Exception)) as caught:
            _make(self, defect, request)
        assert not isinstance(caught.value, pytest.skip.Exception), f"{defect.check} is skipped: {caught.value}"
        assert defect.said in str(caught.value), f"{defect.check} says something else: {caught.value!r}"


@pytest.mark.slow
class TestWhatIsDeclaredForDefects(rig.GoodDeclarations):  # type: ignore[name-defined, misc]
    """What is declared for a defect is not what makes the check fail: the good vendor passes with it. (In one case the
    declaration is the defect.)"""

    @pytest.fixture
    def account(self, good_account: Account) -> Account:
        return good_account

    @pytest.mark.parametrize(
        "name", [one.name for one in DEFECTS.values() if one.declared and one.name != "MisspeltDeclaration"]
    )
    def test_the_good_vendor_passes_with_it(self, name: str, request: pytest.FixtureRequest) -> None:
        _make(self, DEFECTS[name], request)


def test_there_are_many_defects_and_each_check_has_one() -> None:
    assert len(DEFECTS) >= 150
    assert len({type(one.vendor) for one in DEFECTS.values()}) == len(DEFECTS)
    for one in DEFECTS.values():
        assert isinstance(one.vendor, good_vendor.GoodVendor)
        assert type(one.vendor).__doc__, f"{one.name} does not say what is wrong with it"
        assert one.said, f"{one.name}: what its check must say is not named"
    checks = {name for name in dir(ProviderContract) if name.startswith("test_")}
    without = checks - {one.check for one in DEFECTS.values()}
    assert without == GUARDED_BY_THE_CORE, f"checks that no defect shows to work: {sorted(without)}"

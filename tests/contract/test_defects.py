"""The kit's own test: a good vendor keeps every promise, and each planted defect is caught by the check named for it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from qprovider_core import Account
from qprovider_core.testing import ProviderContract

HERE = str(Path(__file__).parent)

with pytest.MonkeyPatch.context() as _patch:
    _patch.syspath_prepend(HERE)  # importable by name: the checks load plugins in fresh processes, too
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


@pytest.fixture(scope="module")
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

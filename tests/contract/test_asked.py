"""What ``pytest --qprovider-contract acme`` is asked for, found and refused, in this process."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

import qprovider_core
from qprovider_core import (
    AuthenticationError,
    BackendInfo,
    ProviderSpec,
    TokenCredentials,
    _pytest_plugin,
    hookimpl,
    register_plugin,
    unregister_plugin,
)
from qprovider_core.testing import ProviderContract
from qprovider_core.testing._asked import Contract, contracts, header, load
from qprovider_core.testing._installed import ContractModule


class Asked:
    """A configuration of pytest as far as it is looked at."""

    def __init__(self, *names: str, declare: tuple[str, ...] = (), account: str | None = None) -> None:
        self.args: list[str] = ["here"]
        self.args_source, self.ArgsSource = "nothing", SimpleNamespace(ARGS="arguments")
        self.stash = pytest.Stash()
        self._options = {
            "--qprovider-contract": list(names),
            "--qprovider-declare": list(declare),
            "--qprovider-account": account,
        }

    def getoption(self, name: str) -> Any:
        return self._options[name]


class Vendor:
    """A plugin that announces what it is told to."""

    def __init__(self, **spec: Any) -> None:
        self.spec = ProviderSpec(name="my_vendor", title="My Vendor", **spec)

    @hookimpl
    def qprovider_provider(self) -> ProviderSpec:
        return self.spec

    @hookimpl
    def qprovider_open_account(self, credentials: Any) -> Any:
        if credentials is not None:
            raise AuthenticationError("My Vendor does not know this token.", hint="Create another one.")
        return self

    @hookimpl
    def qprovider_list_backends(self) -> Any:
        return [BackendInfo(name="one", simulator=True)]


class Declared(ProviderContract):
    __test__ = False
    backend_name: ClassVar[str | None] = "one"
    supports_running: ClassVar[bool] = False


class WithAccount(ProviderContract):
    __test__ = False
    account = "a fixture of its own"


TABLE: Mapping[str, Any] = {"supports_running": False, "shots": 50}
WRONG_TABLE: Mapping[str, Any] = {"suports_running": False}


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "my_vendor_tests", sys.modules[__name__])
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path))  # nobody's accounts


@pytest.fixture
def register() -> Iterator[Callable[..., None]]:
    """Register the vendor with this in its announcement."""

    def begin(**spec: Any) -> None:
        register_plugin(Vendor(**spec), name="my_plugin")

    yield begin
    unregister_plugin("my_plugin")


def loaded(*names: str, **given: Any) -> list[Contract]:
    config: Any = Asked(*names, **given)
    load(config)
    return config.stash[contracts]


def test_a_plugin_that_says_nothing_has_the_plain_contract(register: Any) -> None:
    register()
    [one] = loaded("my_vendor", "my_vendor")  # asked for twice, checked once
    assert (one.tests.__name__, one.tests.__mro__[1]) == ("TestMyVendor", ProviderContract)
    assert (one.name, one.saved_account, one.own_account) == ("my_vendor", None, False)


def test_a_plugin_is_found_by_its_own_name_too(register: Any) -> None:
    register()
    assert loaded("my_plugin")[0].name == "my_vendor"


def test_what_the_plugin_declares_holds_unless_the_command_says_otherwise(register: Any) -> None:
    register(contract="my_vendor_tests:Declared")
    [one] = loaded("my_vendor", declare=("supports_running=true", "shots=10", "backend_name=two", "supports_cancel=No"))
    assert issubclass(one.tests, Declared)
    tests = one.tests
    assert (tests.supports_running, tests.shots, tests.backend_name, tests.supports_cancel) == (True, 10, "two", False)
    assert not Declared.supports_running


def test_a_mapping_of_declarations_will_do(register: Any) -> None:
    register(contract="my_vendor_tests:TABLE")
    [one] = loaded("my_vendor", declare=('wrong_credentials={"token": "x"}', "noiseless_backend=none"))
    assert (one.tests.supports_running, one.tests.shots) == (False, 50)
    assert (one.tests.wrong_credentials, one.tests.noiseless_backend) == ({"token": "x"}, None)


def test_the_header_says_what_is_checked_and_what_is_not(register: Any) -> None:
    register(contract="my_vendor_tests:Declared")
    config: Any = Asked("my_vendor")
    _pytest_plugin.pytest_configure(config)
    assert _pytest_plugin.pytest_report_header(config) == [
        "contract: My Vendor (my_vendor), account by default, on one",
        "declared: supports_running = False",
    ]
    assert header(config) == _pytest_plugin.pytest_report_header(config)
    assert _pytest_plugin.pytest_report_header(Asked()) == []  # type: ignore[arg-type]


def test_only_the_contract_runs_unless_paths_are_given(register: Any) -> None:
    register()
    config: Any = Asked("my_vendor")
    _pytest_plugin.pytest_configure(config)
    assert [Path(arg).name for arg in config.args] == ["_installed.py"]
    config = Asked("my_vendor")
    config.args_source = config.ArgsSource.ARGS
    _pytest_plugin.pytest_configure(config)
    assert [Path(arg).name for arg in config.args] == ["here", "_installed.py"]
    config = Asked()
    _pytest_plugin.pytest_configure(config)
    assert config.args == ["here"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"declare": ("supports_cancle=false",)}, "did you mean supports_cancel?"),
        ({"declare": ("colour=red",)}, "colour is no declaration; there are plugin, backend_name"),
        ({"declare": ("supports_cancel",)}, "takes NAME=VALUE"),
        ({"declare": ("supports_cancel=maybe",)}, "supports_cancel is true or false, not 'maybe'"),
        ({"declare": ("shots=0",)}, "shots is a number above 0, not 0"),
        ({"account": "work"}, "need an account: My Vendor has no account 'work'"),
    ],
)
def test_what_cannot_be_understood_is_refused(register: Any, given: dict[str, Any], said: str) -> None:
    register(credentials=TokenCredentials)
    with pytest.raises(pytest.UsageError, match=said):
        loaded("my_vendor", **given)


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        ("my_vendor_tests:WRONG_TABLE", "suports_running is no declaration; did you mean supports_running"),
        ("my_vendor_tests:nothing", "cannot be loaded: AttributeError"),
        ("no_such_module_0:Name", "cannot be loaded: ModuleNotFoundError"),
        ("my_vendor_tests:TOKEN", "cannot be used: It is not there"),
        ("my_vendor_tests:Vendor", "must be a subclass of qprovider_core.testing.ProviderContract, or a mapping"),
    ],
)
def test_a_contract_that_cannot_be_used_is_refused(
    register: Any, contract: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        if name == "TOKEN":
            raise qprovider_core.PluginError("It is not there.", hint="Install it.")
        raise AttributeError(name)

    monkeypatch.setattr(sys.modules[__name__], "__getattr__", missing, raising=False)
    register(contract=contract)
    with pytest.raises(pytest.UsageError, match=said):
        loaded("my_vendor")


def test_an_unknown_plugin_is_refused_with_what_is_near_and_what_there_is(register: Any) -> None:
    register()
    with pytest.raises(pytest.UsageError, match=r"(?s)Did you mean 'my_vendor'\?.*Installed: .*my_vendor"):
        loaded("my_vender")
    with pytest.raises(pytest.UsageError, match="Choose one of: .*my_vendor") as caught:
        loaded("something_else")
    assert "Installed" not in str(caught.value)


def test_a_plugin_that_needs_a_package_is_refused_with_what_to_install(register: Any) -> None:
    register(requires=("no-such-client-0>=2",))
    with pytest.raises(pytest.UsageError, match=r"(?s)no-such-client-0 is not installed.*pip install 'no-such"):
        loaded("my_vendor")


def test_a_missing_account_is_refused_with_how_to_add_one(register: Any) -> None:
    register(credentials=TokenCredentials)
    with pytest.raises(pytest.UsageError, match=r"(?s)need an account.*qprovider accounts add my_vendor"):
        loaded("my_vendor")


def test_a_contract_with_an_account_of_its_own_takes_no_other(register: Any) -> None:
    register(credentials=TokenCredentials, contract="my_vendor_tests:WithAccount")
    assert loaded("my_vendor")[0].own_account
    with pytest.raises(pytest.UsageError, match="an account of their own; leave it out"):
        loaded("my_vendor", account="work")


@pytest.mark.parametrize("given", [{"declare": ("shots=10",)}, {"account": "work"}])
def test_options_without_a_plugin_are_refused(given: dict[str, Any]) -> None:
    config: Any = Asked(**given)
    with pytest.raises(pytest.UsageError, match="goes with --qprovider-contract NAME"):
        _pytest_plugin.pytest_configure(config)


def test_an_account_that_cannot_be_opened_fails_and_gives_up_the_rest(
    register: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(credentials=TokenCredentials)
    monkeypatch.setenv("QPROVIDER_MY_VENDOR_TOKEN", "a-token-of-my-vendor")
    [one] = loaded("my_vendor")
    session = SimpleNamespace(shouldfail=False)
    with pytest.raises(pytest.fail.Exception, match="(?s)does not know this token.*accounts add my_vendor"):  # noqa: SIM117
        with one.account(session):
            pass
    assert session.shouldfail == "the account of my_vendor cannot be opened"


def test_a_class_is_made_for_each_plugin_with_an_account_opened_for_it(register: Any) -> None:
    register()
    config: Any = Asked("my_vendor")
    load(config)
    module: ModuleType = ContractModule._getobj(SimpleNamespace(config=config))  # type: ignore[arg-type]
    tests = module.TestMyVendor
    make = module.account._get_wrapped_function()
    opened = make(SimpleNamespace(cls=tests, session=None))
    account = next(opened)
    assert [info.name for info in account.list_backends()] == ["one"]
    assert next(opened, None) is None
    assert account.closed


def test_only_the_place_of_the_contract_is_collected_so(register: Any) -> None:
    register()
    elsewhere: Any = SimpleNamespace(config=Asked("my_vendor"))
    assert _pytest_plugin.pytest_pycollect_makemodule(Path("test_other.py"), elsewhere) is None
    unasked: Any = SimpleNamespace(config=Asked())
    assert _pytest_plugin.pytest_pycollect_makemodule(_pytest_plugin._PLACE, unasked) is None


@pytest.mark.parametrize("module", [qprovider_core, _pytest_plugin])
def test_what_every_run_of_pytest_loads_can_be_loaded_anew(module: ModuleType) -> None:
    assert module.__file__ is not None
    again = runpy.run_path(module.__file__, run_name=f"{module.__name__}.again")
    assert {name for name in vars(module) if name.startswith("pytest_")} <= again.keys()
    assert again.get("__all__") == getattr(module, "__all__", None)

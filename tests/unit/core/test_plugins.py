"""Finding plugins: each by itself, so that a broken one costs its own row."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import qprovider_core as qp
from qprovider_core import _installed, _plugin_loading, _plugins, hookimpl
from qprovider_core._plugin_loading import ENTRY_POINT_GROUP
from qprovider_core._plugins import Registry
from qprovider_core._provider import HOOKS
from qprovider_core.errors import PluginError, UnknownProviderError, UnsupportedError
from qprovider_core.records import BackendInfo, ProviderSpec

pytestmark = pytest.mark.usefixtures("isolated")

WORKING = """
    from qprovider_core import BackendInfo, ProviderSpec, hookimpl

    @hookimpl
    def qprovider_provider():
        return ProviderSpec(name=__name__, title=__name__.title())

    @hookimpl
    def qprovider_open_account():
        return object()

    @hookimpl
    def qprovider_list_backends():
        return [BackendInfo(name="one", num_qubits=5)]
"""
NEEDED = "from qprovider_core import ProviderSpec, hookimpl\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Lays a plugin as an installed distribution on a folder of the search path."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.delenv("QPROVIDER_PLUGINS")
    # Plugins that are really installed on this machine are none of these tests' business.
    monkeypatch.setattr(
        _plugin_loading,
        "entry_points",
        lambda group: [e for e in _installed.entry_points(group) if Path(e.dist.place).parent == site],
    )
    before = set(sys.modules)

    def lay(module, code=WORKING, *, entry=None, value=None, dist=None, metadata=True):
        (site / f"{module}.py").write_text(textwrap.dedent(code))
        info = site / f"{dist or module}-0.1.dist-info"
        info.mkdir()
        if metadata:
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist or module}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{entry or module} = {value or module}\n")
        return site

    yield lay
    for name in set(sys.modules) - before:
        if str(site) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def row(name):
    return next(info for info in qp.plugins() if info.name == name)


def test_an_installed_plugin_is_found_and_asked(install):
    install("acme")
    assert row("acme") == _plugins.PluginInfo(
        name="acme",
        kind="vendor",
        provider="acme",
        title="Acme",
        distribution="acme",
        version="0.1",
        hooks=("qprovider_list_backends", "qprovider_open_account", "qprovider_provider"),
    )
    listed = qp.list_backends()
    assert listed.names() == ["acme:one"]
    assert listed.errors == []


def test_a_plugin_may_be_an_object_in_a_module(install):
    install(
        "acme",
        NEEDED
        + """
class Acme:
    @hookimpl
    def qprovider_provider(self):
        return ProviderSpec(name="acme", title="Acme")

plugin = Acme()
""",
        value="acme:plugin",
    )
    assert row("acme").status == "active"


BROKEN = {
    "missing": ("import no_such_package_of_ours", "ModuleNotFoundError: No module named 'no_such", "pip install"),
    "syntax": ("def (:", "SyntaxError", "Upgrade broken"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3", "Upgrade broken"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt", "Upgrade broken"),
    "raises": ("1 / 0", "ZeroDivisionError: division by zero", "QPROVIDER_DISABLE_PLUGINS=broken"),
    "argument": (
        NEEDED + "@hookimpl\ndef qprovider_list_backends(conection): ...",
        "conection",
        "do not fit: upgrade both",
    ),
    "hook": (NEEDED + "@hookimpl\ndef qprovider_list_backend(): ...", "unknown hook", "do not fit: upgrade both"),
    "mark": (
        NEEDED + "@hookimpl\ndef qprovider_provider(): ...\ndef qprovider_list_backends(): ...",
        "qprovider_list_backends is not marked with @hookimpl",
        "Upgrade broken",
    ),
    "empty": ("", "it implements no hook", "Upgrade broken"),
    "announcement": (
        NEEDED + "@hookimpl\ndef qprovider_provider():\n    raise OSError('no disk')",
        "failed in qprovider_provider: OSError: no disk",
        "report it to its authors",
    ),
    "nothing": (NEEDED + "@hookimpl\ndef qprovider_provider(): ...", "it announces no provider", "fault of the plugin"),
    "type": (
        NEEDED + "@hookimpl\ndef qprovider_provider():\n    return 'acme'",
        "answered qprovider_provider with a str; a ProviderSpec was expected",
        "report it to its authors",
    ),
    "name": (
        NEEDED + "@hookimpl\ndef qprovider_provider():\n    return ProviderSpec(name='A B', title='x')",
        "a provider's name is letters",
        "report it to its authors",
    ),
    "wrapper": (
        NEEDED + "@hookimpl(wrapper=True)\ndef qprovider_list_backends(): return 5",
        "generator",
        "do not fit: upgrade both",
    ),
    "unreadable": (
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E()",
        "E",
        "Upgrade broken",
    ),
    "credentials": (
        NEEDED + "@hookimpl\ndef qprovider_provider():\n"
        "    return ProviderSpec(name='broken', title='B', credentials=dict)",
        "credentials",
        "",
    ),
    "annotation": (
        NEEDED + "import attrs\n@attrs.frozen\nclass C:\n    token: 'attrs.Nope'\n"
        "@hookimpl\ndef qprovider_provider():\n    return ProviderSpec(name='broken', title='B', credentials=C)",
        "Nope",
        "",
    ),
    "fields": (
        NEEDED + "@hookimpl\ndef qprovider_provider():\n"
        "    return ProviderSpec(name='broken', title='B', extra_fields=5)",
        "extra_fields must be a list of texts, not 5",
        "fault of the plugin",
    ),
    "attribute": ("class P:\n    x = 5", "AttributeError", "Upgrade broken"),
    "class": (
        NEEDED + "class P:\n    @hookimpl\n    def qprovider_provider(self): ...",
        "it is a class, whose hooks need an instance",
        "Give P().",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_left_out_with_reason_and_hint_and_the_others_work(case, install):
    code, reason, hint = BROKEN[case]
    values = {"attribute": "broken:nothing_of_that_name", "class": "broken:P"}
    install("broken", code, value=values.get(case))
    install("acme")
    broken = row("broken")
    assert broken.status == "left out"
    assert reason in broken.reason
    assert hint in broken.hint
    assert broken.distribution == "broken"
    assert row("acme").status == "active"
    listed = qp.list_backends()
    assert listed.names() == ["acme:one"]
    assert [str(error) for error in listed.errors] == [f"broken: its plugin was left out: {broken.reason}"]
    asked = qp.list_backends(provider="broken")
    assert asked == []
    assert [(error.provider, error.hint) for error in asked.errors] == [("broken", broken.hint)]
    with pytest.raises(UnknownProviderError, match="Its plugin was left out"):
        qp.open_account("broken")


def test_of_two_providers_of_one_name_the_first_is_kept(install):
    install("acme")
    install("zeta", WORKING.replace("name=__name__", "name='acme'"))
    assert row("acme").status == "active"
    assert row("zeta").reason == "the provider name 'acme' is taken by plugin 'acme'"
    assert qp.list_backends().names() == ["acme:one"]


def test_of_two_plugins_of_one_name_the_second_is_not_loaded(install):
    install("acme")
    install("zeta", "raise AssertionError('not to be imported')", entry="acme")
    clashing = [info for info in qp.plugins() if info.name == "acme"]
    assert [info.status for info in clashing] == ["active", "left out"]
    assert clashing[1].reason == "another installed plugin has the same name"
    assert "zeta" not in sys.modules
    assert qp.list_backends().names() == ["acme:one"]


def test_an_import_that_hangs_costs_its_time_limit_only(install, monkeypatch):
    monkeypatch.setattr(_plugin_loading, "LOAD_TIMEOUT_S", 1.0)
    gate = threading.Event()
    monkeypatch.setattr(threading, "_gate_of_the_test", gate, raising=False)
    install("slow", "import threading\nthreading._gate_of_the_test.wait(60)")
    install("acme")
    try:
        assert row("slow").reason == "it did not load within 1 s"
        assert qp.list_backends().names() == ["acme:one"]
    finally:
        gate.set()


def test_settings_restrict_and_block_without_importing(install, monkeypatch):
    for name in ("acme", "beta", "gamma"):
        install(name)
    monkeypatch.setenv("QPROVIDER_PLUGINS", "acme, beta")
    monkeypatch.setenv("QPROVIDER_DISABLE_PLUGINS", "beta")
    assert {info.name: (info.status, info.reason) for info in qp.plugins()} == {
        "acme": ("active", None),
        "beta": ("blocked", "left out by QPROVIDER_DISABLE_PLUGINS"),
        "gamma": ("blocked", "left out by QPROVIDER_PLUGINS"),
    }
    assert not {"beta", "gamma"} & set(sys.modules)
    assert qp.list_backends().errors == []
    with pytest.raises(UnknownProviderError):
        qp.list_backends(provider="beta")


def test_an_installation_without_metadata_does_not_hide_the_others(install):
    install("acme")
    install("bare", metadata=False)
    assert (row("bare").status, row("bare").distribution) == ("active", None)
    assert row("acme").status == "active"


def test_one_object_under_two_names_does_not_disturb_the_vendors(install):
    code = NEEDED + "@hookimpl(wrapper=True)\ndef qprovider_list_backends():\n    return (yield)"
    site = install("guard", code)
    (site / "guard-0.1.dist-info/entry_points.txt").write_text(
        f"[{ENTRY_POINT_GROUP}]\nguard = guard\nguard_again = guard\n"
    )
    install("acme")
    assert row("guard").status == "active"
    assert row("guard_again").reason == "it is registered already, as 'guard'"
    assert qp.list_backends().names() == ["acme:one"]


def test_a_plugin_is_found_in_a_fresh_process(install):
    site = install("acme")
    install("broken", "raise SystemExit")
    code = (
        "import qprovider_core as qp\n"
        "listed = qp.list_backends(provider=['acme', 'broken'])\n"
        "print(listed.names(), [str(e) for e in listed.errors])\n"
        "import sys; assert 'qiskit' not in sys.modules and 'numpy' not in sys.modules"
    )
    path = os.pathsep.join([str(site), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    env = {**os.environ, "PYTHONPATH": path, "QPROVIDER_PLUGINS": "acme,broken"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout == "['acme:one'] ['broken: its plugin was left out: SystemExit']\n"


# ------------------------------------------------------------------------------------------------ registered


def test_a_plugin_can_be_registered_and_forgotten(build_vendor):
    info = qp.register_plugin(build_vendor("acme", [BackendInfo(name="one")]), "acme")
    assert (info.kind, info.provider, info.status) == ("vendor", "acme", "active")
    assert qp.list_backends().names() == ["acme:one"]
    qp.unregister_plugin("acme")
    assert qp.plugins() == []
    assert qp.list_backends() == []
    with pytest.raises(PluginError, match="no plugin named 'acme'"):
        qp.unregister_plugin("acme")
    qp.register_plugin(build_vendor("acme"), "acme")


def test_a_registered_plugin_is_called_by_its_name_or_its_class(build_vendor):
    module = ModuleType("my_plugin")
    vars(module).update(vars(build_vendor("acme")))
    assert qp.register_plugin(module).name == "my_plugin"
    assert qp.register_plugin(build_vendor("beta")).name == "SimpleNamespace"


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (None, "it implements no hook"),
        (SimpleNamespace(), "it implements no hook"),
        (SimpleNamespace(qprovider_provider=lambda: None), "not marked with @hookimpl"),
        (SimpleNamespace(qprovider_provider=hookimpl(lambda: None)), "it announces no provider"),
        (SimpleNamespace(qprovider_provider=hookimpl(lambda: 1 / 0)), "ZeroDivisionError"),
        (SimpleNamespace(qprovider_provider=hookimpl(lambda: sys.exit(3))), "SystemExit: 3"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_refused(plugin, reason):
    with pytest.raises(PluginError, match=reason):
        qp.register_plugin(plugin, "broken")
    assert qp.plugins() == []


def test_names_are_taken_once(build_vendor):
    qp.register_plugin(build_vendor("acme"), "acme")
    with pytest.raises(PluginError, match="named 'acme' is registered already"):
        qp.register_plugin(build_vendor("beta"), "acme")
    with pytest.raises(PluginError, match="provider name 'acme' is taken by plugin 'acme'"):
        qp.register_plugin(build_vendor("acme"), "other")
    guard = SimpleNamespace(qprovider_list_backends=hookimpl(lambda: None))
    qp.register_plugin(guard, "guard")
    with pytest.raises(PluginError, match="registered already, as 'guard'"):
        qp.register_plugin(guard, "guard again")
    assert [info.name for info in qp.plugins()] == ["acme", "guard"]


def test_no_vendor_ever_sees_anothers_connection(build_vendor):
    seen = []

    def make(name):
        def note(connection):
            seen.append((name, connection))
            return [BackendInfo(name="one")]

        qp.register_plugin(build_vendor(name, note, open_account=lambda: f"{name}'s own"), name)

    make("acme")
    account = qp.open_account("acme")
    account.list_backends()
    make("beta")  # while the other is in use
    account.list_backends()
    qp.list_backends()
    make("gamma")
    qp.list_backends(provider="gamma")
    assert {(name, connection) for name, connection in seen if connection != f"{name}'s own"} == set()
    assert {name for name, _ in seen} == {"acme", "beta", "gamma"}


def test_an_account_goes_on_after_its_plugin_was_forgotten(account):
    one = account("acme")
    qp.unregister_plugin("acme")
    assert [info.name for info in one.list_backends()] == ["one"]


def test_a_missing_hook_is_a_clear_error_when_it_is_asked_for(account):
    acme = account("acme", spec=ProviderSpec(name="acme", title="Acme Inc."))
    for hook in HOOKS:
        if not acme.supports(hook):
            with pytest.raises(UnsupportedError, match=r"Acme Inc\. does not offer") as caught:
                acme.ask(hook)
            assert caught.value.capability == hook.removeprefix("qprovider_")
            assert (caught.value.plugin, caught.value.hook) == ("acme", hook)


def test_the_announcement_can_be_read(vendor):
    vendor("acme", spec=ProviderSpec(name="acme", title="Acme", max_tags=3))
    assert _plugins.registry().spec("acme").max_tags == 3
    assert [provider.spec.name for provider in _plugins.registry().providers()] == ["acme"]
    with pytest.raises(UnknownProviderError, match="Did you mean 'acme'"):
        _plugins.registry().provider("acmee")


def test_plugins_are_looked_for_once_whoever_asks_first(monkeypatch):
    calls, both = [], threading.Barrier(2)

    def slow(group):
        calls.append(group)
        return []

    monkeypatch.setattr(_plugin_loading, "entry_points", slow)
    registry = Registry()

    def ask():
        both.wait(10)
        registry.infos()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert calls == [ENTRY_POINT_GROUP]


# ------------------------------------------------------------------------------------------ worse than broken


def test_a_malformed_entry_points_file_costs_its_own_distribution(install, monkeypatch):
    site = install("acme")
    distributions = metadata.distributions
    monkeypatch.setattr(metadata, "distributions", lambda: distributions(path=[str(site)]))
    bad = site / "bad-0.1.dist-info"
    bad.mkdir()
    (bad / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 0.1\n")
    (bad / "entry_points.txt").write_text("[qprovider]\nno equals sign\n")
    assert row("acme").status == "active"
    assert "entry_points.txt cannot be read" in row("bad").reason
    assert qp.list_backends().names() == ["acme:one"]


def test_an_interrupt_while_loading_does_not_leave_half_a_registry(install, monkeypatch):
    install("acme")
    real, calls = _plugin_loading.Loader.begin, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(_plugin_loading.Loader, "begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        qp.plugins()
    assert row("acme").status == "active"


def test_several_modules_that_hang_cost_one_time_limit_and_not_the_plugins_behind_them(install, monkeypatch):
    monkeypatch.setattr(_plugin_loading, "LOAD_TIMEOUT_S", 1.0)
    monkeypatch.setattr(_plugins, "_PATIENCE_S", 0.05)
    for name in ("aaa", "bbb", "ccc"):
        install(name, "import time\ntime.sleep(1000)")
    install("zeta")
    started = time.monotonic()
    assert qp.list_backends().names() == ["zeta:one"]
    assert time.monotonic() - started < 20
    assert {row(name).reason for name in ("aaa", "bbb", "ccc")} == {"it did not load within 1 s"}


def test_a_plugin_may_ask_for_the_plugins_while_it_is_imported(install):
    install("acme", "import qprovider_core as qp\nqp.plugins()\n" + textwrap.dedent(WORKING))
    assert row("acme").status == "active"


def test_a_blocked_provider_is_named_as_blocked(install, monkeypatch):
    install("acme")
    monkeypatch.setenv("QPROVIDER_DISABLE_PLUGINS", "acme")
    with pytest.raises(UnknownProviderError, match="was blocked: left out by QPROVIDER_DISABLE_PLUGINS"):
        qp.list_backends(provider="acme")


def test_an_error_that_forgets_its_base_costs_its_own_row(install):
    install("acme")
    raising = WORKING.replace("return [BackendInfo", "raise Odd() or [BackendInfo")
    odd = "import qprovider_core\nclass Odd(qprovider_core.QProviderError):\n    def __init__(self): pass\n"
    install("odd", odd + textwrap.dedent(raising))
    listed = qp.list_backends()
    assert listed.names() == ["acme:one"]
    assert [error.provider for error in listed.errors] == ["odd"]

"""Vendors whose package is not installed, and vendors that are slow to open: nobody pays for them who does not ask."""

from __future__ import annotations

import pickle

import attrs
import pytest

import qprovider_core as qp
from qprovider_core import _requirements
from qprovider_core.errors import MissingPackageError, PluginError, UnknownProviderError
from qprovider_core.records import BackendInfo, JobInfo, JobRef, JobState, ProviderSpec, TokenCredentials

pytestmark = pytest.mark.usefixtures("isolated")

ONE = [BackendInfo(name="one")]


def spec(**fields):
    return ProviderSpec(name="acme", title="Acme", **fields)


def row(name="acme"):
    return next(info for info in qp.plugins() if info.name == name)


# ------------------------------------------------------------------------------------------- packages it needs


def test_a_missing_package_is_told_to_whoever_asks(vendor) -> None:
    vendor("acme", ONE, spec=spec(requires=["no-such-client>=2,<3"]))
    told = row()
    assert (told.status, told.provider, told.title) == ("needs a package", "acme", "Acme")
    assert "no-such-client is not installed" in told.reason
    assert told.hint == "Install it: pip install 'no-such-client>=2,<3'"
    for ask in (
        lambda: qp.open_account("acme"),
        lambda: qp.list_backends(provider="acme"),
        lambda: qp.get_backend("acme:one"),
        lambda: qp.save_account("acme"),
    ):
        with pytest.raises(MissingPackageError, match="cannot be used yet: no-such-client is not installed") as caught:
            ask()
        assert (caught.value.package, caught.value.installed) == ("no-such-client", None)
        assert "pip install 'no-such-client>=2,<3'" in caught.value.hint


def test_a_near_miss_of_its_name_is_named(vendor) -> None:
    vendor("acme", ONE, spec=spec(requires=["no-such-client"]))
    with pytest.raises(UnknownProviderError, match="Did you mean 'acme'"):
        qp.list_backends(provider="acmee")


def test_nobody_else_hears_of_it(vendor) -> None:
    vendor("acme", ONE, spec=spec(requires=["no-such-client"]))
    vendor("other", ONE)
    listed = qp.list_backends()
    assert listed.names() == ["other:one"]
    assert listed.errors == []


def test_the_wrong_version_is_named(vendor) -> None:
    vendor("acme", ONE, spec=spec(requires=["pluggy>=0.1", "attrs>=9999"]))
    with pytest.raises(
        MissingPackageError, match=rf"attrs {attrs.__version__} is installed, not attrs>=9999"
    ) as caught:
        qp.open_account("acme")
    assert caught.value.installed == attrs.__version__
    assert "pip install 'pluggy>=0.1' 'attrs>=9999'" in caught.value.hint


def test_what_is_there_is_used(vendor) -> None:
    vendor("acme", ONE, spec=spec(requires=["attrs>=20", "pluggy", "packaging>=1; python_version >= '3'"]))
    assert row().status == "active"


def test_a_package_that_was_installed_meanwhile_is_found(vendor, monkeypatch) -> None:
    vendor("acme", ONE, spec=spec(requires=["no-such-client>=2"]))
    monkeypatch.setattr(_requirements, "installed_version", lambda name: "2.1")
    assert qp.list_backends(provider="acme").names() == ["acme:one"]
    assert row().status == "active"


def test_a_requirement_that_nobody_can_read_leaves_the_plugin_out(vendor) -> None:
    with pytest.raises(PluginError, match="is no requirement"):
        vendor("acme", ONE, spec=spec(requires=["==2"]))


def test_one_name_is_taken_also_while_its_package_is_missing(vendor) -> None:
    vendor("acme", ONE, spec=spec(requires=["no-such-client"]))
    with pytest.raises(PluginError, match="is taken by plugin 'acme'"):
        vendor("acme2", ONE, spec=spec())
    qp.unregister_plugin("acme")
    vendor("acme2", ONE, spec=spec())
    assert qp.list_backends().names() == ["acme:one"]


def test_the_error_travels() -> None:
    error = MissingPackageError("a", package="b", wanted="b>=1", installed="0", provider="p", title="P", hint="h")
    again = pickle.loads(pickle.dumps(error))
    assert (again.package, again.wanted, again.installed, again.hint) == ("b", "b>=1", "0", "h")


# ------------------------------------------------------------------------------------------ asked when named


def test_a_slow_vendor_is_asked_when_named(vendor) -> None:
    opened = []
    vendor("acme", ONE, spec=spec(on_request=True), open_account=lambda: opened.append(1) or "open")
    vendor("other", ONE)
    listed = qp.list_backends()
    assert listed.names() == ["other:one"]
    assert listed.notes == ["asked only when named, such as provider='acme': acme"]
    assert not opened
    assert qp.list_backends(provider="acme").names() == ["acme:one"]
    assert qp.list_backends(provider="ac*").names() == ["acme:one"]
    assert qp.open_account("acme").list_backends().names() == ["acme:one"]


def test_a_saved_account_is_asked_always(vendor) -> None:
    vendor("acme", ONE, spec=spec(on_request=True, credentials=TokenCredentials), open_account=lambda: "open")
    assert qp.list_backends().names() == []
    qp.save_account("acme", token="a-token-that-was-saved")
    listed = qp.list_backends()
    assert listed.names() == ["acme:one"]
    assert listed.notes == []


# ------------------------------------------------------------------------------------- jobs and their process


@pytest.mark.parametrize(
    ("announced", "told", "bound"),
    [(True, None, True), (True, False, False), (False, None, False), (False, True, True)],
)
def test_a_backend_says_whether_its_jobs_end_with_the_process(announced, told, bound) -> None:
    backend = BackendInfo(name="one", process_bound=told)
    assert spec(process_bound=announced).ends_with_process(backend) is bound
    assert spec(process_bound=announced).ends_with_process(None) is announced


def test_what_is_no_flag_is_a_flaw() -> None:
    assert "process_bound is a str" in BackendInfo(name="one", process_bound="yes").flaws()


def test_a_plugin_gets_its_own_facts_back_with_the_job() -> None:
    info = JobInfo(id="7", state=JobState.QUEUED, extra={"vendor_jobs": ["a"]})
    assert info.ref.extra == {"vendor_jobs": ["a"]}
    assert info.ref == JobRef(id="7")  # it does not count
    assert JobRef.from_dict(info.ref.to_dict()).extra == {"vendor_jobs": ["a"]}

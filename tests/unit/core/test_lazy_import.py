"""Two speeds: records and listings never import Qiskit or numpy; handles do, at first use."""

import subprocess
import sys

import pytest

import qprovider_core as qp

VENDOR = """
import sys, qprovider_core as qp
from types import SimpleNamespace
from qprovider_core import BackendInfo, JobInfo, ProviderSpec, hookimpl
qp.register_plugin(SimpleNamespace(
    qprovider_provider=hookimpl(lambda: ProviderSpec(name="acme", title="Acme")),
    qprovider_open_account=hookimpl(lambda: 1),
    qprovider_list_backends=hookimpl(lambda: [BackendInfo(name="one", operational=True, pending_jobs=1)])), "acme")
"""


def fresh(code, monkeypatch, tmp_path):
    monkeypatch.setenv("QPROVIDER_PLUGINS", "none")
    monkeypatch.setenv("QPROVIDER_CONFIG_DIR", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    "code",
    [
        "import sys, qprovider_core",
        "import sys, qprovider_core as qp; qp.plugins(); qp.saved_accounts()",
        VENDOR + "assert qp.list_backends(min_num_qubits=0, where='operational').rejected",
        VENDOR + "assert qp.least_busy(qp.list_backends()).name == 'one'",
        VENDOR + "repr(qp.list_backends()); qp.list_backends()._repr_html_(); qp.list_backends()[0].to_dict()",
        VENDOR + "account = qp.open_account('acme'); account.list_backends(); account.close()",
        "import sys; from qprovider_core import BackendProperties, JobResult, errors, hookimpl, Secret",
    ],
)
def test_records_need_neither_qiskit_nor_numpy(code, monkeypatch, tmp_path):
    told = fresh(code + "\nprint(*({'qiskit', 'numpy'} & set(sys.modules)))", monkeypatch, tmp_path)
    assert told == []


def test_importing_the_package_imports_almost_nothing(monkeypatch, tmp_path):
    code = "import sys; before = set(sys.modules); import qprovider_core; print(*(set(sys.modules) - before))"
    packages = {name.partition(".")[0] for name in fresh(code, monkeypatch, tmp_path)}
    assert packages <= {"qprovider_core"} | set(sys.stdlib_module_names)


def test_handles_import_qiskit_at_first_use(monkeypatch, tmp_path):
    code = VENDOR + "qp.backends(); print('qiskit' in sys.modules)"
    assert fresh(code, monkeypatch, tmp_path) == ["True"]


def test_every_public_name_can_be_had_and_is_listed():
    for name in qp.__all__:
        assert getattr(qp, name) is not None
    assert set(qp.__all__) <= set(dir(qp))
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = qp.no_such_name


def test_no_submodule_hides_a_public_name():
    import qprovider_core.fleet
    import qprovider_core.records

    assert callable(qp.plugins)
    assert callable(qp.backends)
    assert callable(qprovider_core.fleet.least_busy)

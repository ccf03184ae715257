"""Tables and the libraries of their frames: nobody needs them who does not ask for a frame."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from qprovider_core._exports import Table
from qprovider_core.errors import ConfigurationError

TABLE = Table({"name": "text"}, [["a"]])


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_a_missing_library_is_told_with_the_command_that_installs_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError) as caught:
        getattr(TABLE, f"to_{name}")()
    assert str(caught.value) == (
        f"to_{name} needs {name}, which is not installed.\nInstall it: pip install 'qprovider-core[tables]'"
    )


def test_a_broken_library_is_told_with_its_own_words(monkeypatch, tmp_path):
    (tmp_path / "polars.py").write_text("raise ImportError('wrong processor')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "polars")
    with pytest.raises(ConfigurationError, match=r"cannot be imported\.\nwrong processor"):
        TABLE.to_polars()


def test_texts_and_dicts_need_no_library(tmp_path):
    code = """
import sys, qprovider_core as qp
from types import SimpleNamespace
from qprovider_core import BackendInfo, BackendProperties, JobInfo, JobList, JobState, ProviderSpec, hookimpl
qp.register_plugin(SimpleNamespace(
    qprovider_provider=hookimpl(lambda: ProviderSpec(name="acme", title="Acme")),
    qprovider_open_account=hookimpl(lambda: 1),
    qprovider_list_backends=hookimpl(lambda: [BackendInfo(name="one", num_qubits=5)])), "acme")
properties = BackendProperties(backend_name="a")
jobs = JobList([JobInfo(id="j", state=JobState.DONE)])
for table in (qp.list_backends(), jobs, properties, properties.gate_table()):
    table.to_dicts(), table.to_csv(), table.to_json(), repr(table)
print(qp.list_backends().to_dicts()[0]["account"], *({"numpy", "pandas", "polars", "qiskit"} & set(sys.modules)))
"""
    env = {**os.environ, "QPROVIDER_PLUGINS": "none", "QPROVIDER_CONFIG_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env)
    assert (done.stdout.split(), done.stderr) == (["default"], "")


def test_the_extra_names_both_libraries():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert {name.partition(">")[0] for name in project["optional-dependencies"]["tables"]} == {"pandas", "polars"}

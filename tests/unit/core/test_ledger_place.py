"""Which ledger is in use, and what it costs to import it."""

import subprocess
import sys
from pathlib import Path

import pytest

from qprovider_core.ledger import Ledger, ledger_in_use, use_ledger
from qprovider_core.ledger._pack import Packer
from qprovider_core.ledger._requests import PackedRequest
from qprovider_core.records import (
    BackendRef,
    JobRequest,
    SamplePub,
)


def write(ledger: Ledger, key: str = "k1") -> None:
    request = JobRequest(backend=BackendRef(name="one"), pubs=[SamplePub(circuit=None, shots=1)], key=key)
    packed = PackedRequest(request=Packer().pack({}), circuits=None, num_circuits=1)
    ledger.write(request, packed, provider="acme", account="default")


@pytest.fixture
def places(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("QPROVIDER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("QPROVIDER_LEDGER", raising=False)
    yield tmp_path
    use_ledger("off")
    monkeypatch.undo()
    use_ledger(None)


def test_the_ledger_lies_in_the_users_data_unless_another_place_is_named(places, monkeypatch):
    assert use_ledger(None).path == places / "data" / "jobs.sqlite3"
    monkeypatch.setenv("QPROVIDER_LEDGER", str(places / "other"))
    assert ledger_in_use().path == places / "other"
    assert ledger_in_use() is ledger_in_use()
    assert use_ledger(places).path == places / "jobs.sqlite3"
    assert use_ledger("off") is None
    assert ledger_in_use() is None
    monkeypatch.setenv("QPROVIDER_LEDGER", "off")
    assert use_ledger(None) is None


def test_a_ledger_that_was_in_use_goes_on(places):
    first = use_ledger(places / "first")
    write(first)
    second = use_ledger(places / "second")
    assert second.ids() == []
    write(first, "k2")
    assert use_ledger(places / "first").ids() == ["k2", "k1"]
    assert repr(second) == f"<Ledger {places / 'second'}>"


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path):
    ledger = Ledger(tmp_path / "jobs")
    write(ledger)
    ledger.path.rename(ledger.path.with_name("away"))
    assert ledger.find("k1") is None
    write(ledger, "k2")
    assert ledger.ids() == ["k2"]


def test_importing_it_needs_neither_qiskit_nor_numpy():
    code = (
        "import sys, qprovider_core.ledger; "
        "print(*({'qiskit', 'numpy', 'cattrs', 'requests', 'asyncio', 'subprocess'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []

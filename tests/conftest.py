"""What holds for every test: the record of jobs is its own, and starts empty."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def data_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own: nobody's jobs."""
    place = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("QPROVIDER_DATA_DIR", str(place))
    for name in ("QPROVIDER_LEDGER", "QPROVIDER_LEDGER_CIRCUITS", "QPROVIDER_SETTLE_TIME"):
        monkeypatch.delenv(name, raising=False)
    return place

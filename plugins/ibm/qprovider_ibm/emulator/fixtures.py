"""Pytest fixtures: ``from qprovider_ibm.emulator.fixtures import ibm_emulator`` in a conftest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qprovider_ibm.emulator import Emulator


@pytest.fixture(scope="session")
def ibm_emulator_process() -> Iterator[Emulator]:
    """One emulator for all tests; override it to start one with other settings, or of another scope."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def ibm_emulator(ibm_emulator_process: Emulator) -> Iterator[Emulator]:
    """An emulator without faults and with an empty request log. Jobs of earlier tests are still there."""
    ibm_emulator_process.clear_faults()
    ibm_emulator_process.clear_requests()
    yield ibm_emulator_process
    ibm_emulator_process.clear_faults()

"""How each vendor's backends are had: called when an account is opened, and nothing is imported before."""

from __future__ import annotations

from typing import Any


def qiskit(_: None) -> list[Any]:
    from qiskit.providers.basic_provider import BasicSimulator
    from qiskit.providers.fake_provider import GenericBackendV2

    return [BasicSimulator(), GenericBackendV2(5, seed=1), GenericBackendV2(20, seed=1)]


def aer(_: None) -> Any:
    from qiskit_aer import AerSimulator

    return AerSimulator()


def fake(_: None) -> Any:
    from qiskit_ibm_runtime.fake_provider import FakeProviderForBackendV2

    return FakeProviderForBackendV2()

"""Checks of compiling: what Qiskit makes for the backend runs on it, and its primitives take the handle."""

from __future__ import annotations

from typing import Any

import pytest
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.quantum_info import SparsePauliOp

from qprovider_core._backend import Backend
from qprovider_core._checks import checked_pubs
from qprovider_core.testing import circuits
from qprovider_core.testing._base import ContractBase, needs

_LEVELS = [0, 1, 2, 3]
_PRECISION = 0.1  # of an expectation value: a hundred shots
_SIGMAS = 6


class CompilingChecks(ContractBase):
    """What is promised of circuits that were compiled for the backend."""

    @pytest.mark.parametrize("level", _LEVELS)
    def test_what_is_transpiled_passes_the_checks_of_run(self, backend: Backend, level: int) -> None:
        _skip_if_faulty(backend, level)
        several = [circuits.registers({1, 5}, backend.num_qubits)[0], circuits.coin()]
        if backend.num_qubits is None or backend.num_qubits > 1:
            several.append(circuits.bell())
        for circuit in self.compile(several, backend, level):
            checked_pubs(backend, [circuit], 1, None)  # raises, with the reason

    @needs("supports_running", "supports_several_registers")
    @pytest.mark.parametrize("level", _LEVELS)
    def test_every_level_gives_the_right_counts(self, backend: Backend, level: int) -> None:
        _skip_if_faulty(backend, level)
        made = [circuits.entangled(backend.num_qubits), circuits.registers({1, 5}, backend.num_qubits)]
        ready = self.compile([circuit for circuit, _ in made], backend, level)
        for compiled, (circuit, expected) in zip(ready, made, strict=True):
            counts = self.counts_of(backend, compiled)
            self.expect(counts, expected, f"{circuit.name}, transpiled at level {level}, into three registers")

    @needs("supports_running", "supports_memory", "supports_several_registers")
    def test_qiskits_primitives_run_on_the_handle(self, backend: Backend) -> None:
        options = {"run_options": dict(self.run_options)} if self.run_options else {}
        circuit, expected = circuits.registers({1, 5}, backend.num_qubits)
        [ready] = self.compile([circuit], backend)
        sampled = BackendSamplerV2(backend=backend, options=options).run([ready], shots=self.shots).result()[0].data
        for register, key in zip(circuit.cregs, reversed(expected.split(" ")), strict=True):
            counts = sampled[register.name].get_counts()
            self.expect(counts, key, f"BackendSamplerV2, the register {register.name} of X on the bits 1 and 5")

        flipped = circuits.number(1, 1)[0].remove_final_measurements(inplace=False)
        [ready] = self.compile([flipped], backend)
        observables = [SparsePauliOp(text).apply_layout(ready.layout) for text in ("Z", "X")]
        estimator = BackendEstimatorV2(backend=backend)
        values: Any = estimator.run([(ready, observables)], precision=_PRECISION).result()[0].data.evs
        least = 1.0 if self.exact else 1 - 2 * self.tolerance
        assert values[0] <= -least, f"BackendEstimatorV2 gives {values[0]:g} for Z of a flipped qubit; -1 is right"
        slack = _SIGMAS * _PRECISION + (0.0 if self.exact else self.tolerance)
        assert abs(values[1]) <= slack, f"BackendEstimatorV2 gives {values[1]:g} for X of a flipped qubit, not 0"


def _skip_if_faulty(backend: Backend, level: int) -> None:
    if level == 0 and backend.faulty_qubits():
        pytest.skip("level 0 does not choose qubits, and this backend has faulty ones")

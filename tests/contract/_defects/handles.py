"""Handles of a vendor's own that do one thing wrong. Imports Qiskit."""

from __future__ import annotations

from typing import Any

from qprovider_core import Backend, InvalidInputError


class Bending(Backend):
    """Makes something of every number of shots."""

    def run(self, run_input: Any, *, shots: Any = None, **options: Any) -> Any:
        if type(shots) is int:
            shots = max(1, min(shots, self.max_shots or shots))
        return super().run(run_input, shots=shots, **options)


class Trusting(Backend):
    """Sends a job of the largest size in place of one that is too large, and then says that it was."""

    def run(self, run_input: Any, *, shots: Any = None, **options: Any) -> Any:
        if type(shots) is int and self.max_shots and shots > self.max_shots:
            super().run(run_input, shots=self.max_shots, **options)
            raise InvalidInputError("The service refused the job.", hint="Ask for fewer shots.")
        return super().run(run_input, shots=shots, **options)


class Terse(Backend):
    """Refuses without a word."""

    def run(self, run_input: Any, **options: Any) -> Any:
        try:
            return super().run(run_input, **options)
        except InvalidInputError:
            raise InvalidInputError("Invalid.") from None

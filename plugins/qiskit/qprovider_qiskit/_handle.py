"""The handle of an adapted backend: the core's, with the compiler stages that the vendor's package brings."""

from __future__ import annotations

from qprovider_core import Backend


class AdaptedBackend(Backend):
    """As `Backend`. Qiskit's `transpile` uses the vendor's own stages with it."""

    def get_translation_stage_plugin(self) -> str:
        own = self.configuration().extra.get("translation_stage")
        return str(own) if own else super().get_translation_stage_plugin()

    def get_scheduling_stage_plugin(self) -> str:
        return str(self.configuration().extra.get("scheduling_stage") or "default")

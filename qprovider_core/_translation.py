"""A translation stage for backends with faulty qubits: it says what is wrong before Qiskit's passes stumble.

A target has no instruction on a faulty qubit. At optimization level 0 Qiskit puts circuits on the first qubits
whatever they are, at level 1 it does so for those without two-qubit gates, and then fails with "unable to
synthesize measure". Handles of backends with faulty qubits name this stage, which is Qiskit's own behind one check.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from qiskit.dagcircuit import DAGCircuit
from qiskit.transpiler import AnalysisPass, PassManager, Target, TranspilerError
from qiskit.transpiler.preset_passmanagers.plugin import PassManagerStagePlugin, PassManagerStagePluginManager

from qprovider_core.errors import CircuitError

STAGE = "qprovider_explained"  # the name of the entry point


@cache
def stage_is_installed() -> bool:
    """Whether Qiskit finds the stage: it does not where the package is only on the search path, uninstalled."""
    return bool(entry_points(group="qiskit.transpiler.translation", name=STAGE))


class FaultyQubitError(CircuitError, TranspilerError):
    """A circuit was put on a qubit that the calibration marks as faulty."""


class ExplainedTranslation(PassManagerStagePlugin):
    """Qiskit's default translation behind `_RefuseFaultyQubits`."""

    def pass_manager(self, pass_manager_config: Any, optimization_level: int | None = None) -> PassManager:
        stages = PassManager([_RefuseFaultyQubits(pass_manager_config.target)])
        default = PassManagerStagePluginManager().get_passmanager_stage(
            "translation", "default", pass_manager_config, optimization_level=optimization_level
        )
        stages.append(default.to_flow_controller())
        return stages


class _RefuseFaultyQubits(AnalysisPass):
    """Raises `FaultyQubitError` for a circuit that acts on a qubit without any instruction."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target

    def run(self, dag: DAGCircuit) -> None:
        if self.target is None or dag.num_qubits() != self.target.num_qubits:
            return
        working = {qubit for places in self.target.qargs or () for qubit in places}
        idle = set(dag.idle_wires(ignore=["barrier", "delay"]))
        for qubit in dag.qubits:
            index = dag.find_bit(qubit).index
            if qubit not in idle and index not in working:
                raise FaultyQubitError(
                    f"The circuit was put on qubit {index}, which its calibration marks as faulty.",
                    hint="Use backend.transpile(circuit), which chooses qubits that work; or give Qiskit's transpile "
                    "layout_method='sabre' with optimization_level=1 or more, or an initial_layout without it.",
                )

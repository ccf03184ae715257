"""qiskit-experiments characterises a device's noisy twin, through one of our handles.

The relaxation time of a qubit, the error of its readout, and that of a gate by randomised benchmarking have to come out
near what the calibration says of which the twin was made. Prints one line of JSON; exits with 1 when they do not.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
from qiskit_experiments.framework import BaseExperiment
from qiskit_experiments.library import T1, LocalReadoutError, StandardRB

import qprovider_core as qp

BACKEND, QUBIT = "local:fake_belem", 1
SHOTS, SEED = 4000, 7


def found(experiment: BaseExperiment, backend: qp.Backend, name: str) -> Any:
    """The value of that name which the experiment's analysis gives."""
    data = experiment.run(backend, shots=SHOTS, seed_simulator=SEED).block_for_results()
    if data.status().name != "DONE":
        raise RuntimeError(f"{experiment.experiment_type}: {data.status().name}: {data.errors()}")
    [value] = data.analysis_results(name, dataframe=True)["value"]
    return value


def main() -> int:
    backend = qp.get_backend(BACKEND)
    calibration = backend.properties()
    t1 = calibration.t1(QUBIT)
    relaxation = found(T1([QUBIT], np.linspace(1e-6, 3 * t1, 20)), backend, "T1")
    readout = found(LocalReadoutError([0, QUBIT]), backend, "Local Readout Mitigator")
    gate = found(StandardRB([QUBIT], [1, 100, 300, 900], seed=SEED), backend, "EPG_sx")
    values = {  # as found, as calibrated, and by which part of it they may differ
        "T1 in s": (relaxation.nominal_value, t1, 0.1),
        "readout error": (
            1 - float(np.trace(readout.assignment_matrix(QUBIT))) / 2,
            calibration.readout_error(QUBIT),
            0.2,
        ),
        "error of sx": (gate.nominal_value, calibration.gate_error("sx", QUBIT), 0.6),
    }
    passed = all(abs(value / expected - 1) < part for value, expected, part in values.values())
    detail = ", ".join(f"{name} {value:.3g} (calibrated {told:.3g})" for name, (value, told, _) in values.items())
    package = "qiskit-experiments"
    print(json.dumps({"name": package, "version": version(package), "passed": passed, "detail": detail}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

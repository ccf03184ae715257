"""From a device's two JSON documents to its `Target`: qprovider against qiskit-ibm-runtime, side by side.

``python benchmarks/bench_target.py [--json]`` reads the documents of a 156-qubit device as both would get them from
the service, as bytes, and prints the median CPU time of each side and the median of the ratios: for one document
after another in one process, and for the first one in a fresh process (with everything imported).
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from qiskit.transpiler import Target
from qiskit_ibm_runtime.fake_provider import backends
from qiskit_ibm_runtime.utils.backend_converter import convert_to_target
from qiskit_ibm_runtime.utils.backend_decoder import configuration_from_server_data, properties_from_server_data

from qprovider_core import build_target
from qprovider_core.qiskit_schema import configuration_from_document, properties_from_document

ROUNDS, PROCESSES = 21, 7
FOLDER = Path(backends.__file__).parent / "fez"
CONFIGURATION = (FOLDER / "conf_fez.json").read_bytes()
PROPERTIES = (FOLDER / "props_fez.json").read_bytes()


def target_only() -> Target:
    """Ours; the records of the calibration are left for their first access."""
    configuration = configuration_from_document(json.loads(CONFIGURATION))
    return build_target(configuration, properties_from_document(json.loads(PROPERTIES)))


def everything() -> Target:
    """Ours, with every value of the calibration in its record, times included."""
    configuration = configuration_from_document(json.loads(CONFIGURATION))
    properties = properties_from_document(json.loads(PROPERTIES))
    _ = properties.qubits, properties.gates, properties.general
    return build_target(configuration, properties)


def runtime() -> Target:
    """qiskit-ibm-runtime's, as its backend does it: with fractional gates, which this device's document lacks."""
    configuration = configuration_from_server_data(json.loads(CONFIGURATION), use_fractional_gates=None)
    properties = properties_from_server_data(json.loads(PROPERTIES), use_fractional_gates=None)
    return convert_to_target(configuration, properties)


SIDES: dict[str, Callable[[], Target]] = {"target only": target_only, "everything": everything, "runtime": runtime}


def cpu_s(function: Callable[[], Any]) -> float:
    gc.collect()  # no side pays for what the other left
    started = time.process_time()
    function()
    return time.process_time() - started


def first_s(side: str) -> float:
    """CPU time of the first document of a fresh process."""
    command = [sys.executable, __file__, "--first", side]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def check() -> None:
    """Both sides make the same device."""
    ours, theirs = target_only(), runtime()
    for name in theirs.operation_names:
        assert (ours[name] or {}).keys() == (theirs[name] or {}).keys(), name


def compare(rounds: int, measure: Callable[[str], float]) -> dict[str, Any]:
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side, measured in times.items():
            measured.append(measure(side))
    ratios = {
        side: median(ours / theirs for ours, theirs in zip(times[side], times["runtime"], strict=True))
        for side in ("target only", "everything")
    }
    return {"cpu_s": {side: median(measured) for side, measured in times.items()}, "ratio": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument("--first", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.first:
        print(cpu_s(SIDES[arguments.first]))
        return
    check()  # warms up, too
    found = {
        "a document": compare(ROUNDS, lambda side: cpu_s(SIDES[side])),
        "the first document": compare(PROCESSES, first_s),
    }
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    for what, row in found.items():
        for side, ratio in row["ratio"].items():
            print(
                f"{what:19} {side:12} {1e3 * row['cpu_s'][side]:6.1f} ms  "
                f"runtime {1e3 * row['cpu_s']['runtime']:6.1f} ms  ratio {ratio:.3f}"
            )


if __name__ == "__main__":
    main()

"""Write the emulator's device snapshots and their index from an installed qiskit-ibm-runtime.

Run with the package importable: ``python plugins/ibm/tools/bundle_devices.py``. The output depends on the
installed documents only: the same version gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from qprovider_ibm.emulator import _snapshots

DEVICES = ("belem", "hanoi", "sherbrooke", "torino", "boston")


def main() -> None:
    spec = find_spec("qiskit_ibm_runtime")
    if spec is None or spec.origin is None:
        raise SystemExit("qiskit-ibm-runtime is not installed")
    folder = Path(spec.origin).parent / "fake_provider" / "backends"
    entries = {}
    for device in DEVICES:
        documents = {}
        for kind in ("conf", "props"):
            name = f"{kind}_{device}.json"
            documents[kind] = json.loads((folder / device / name).read_text(encoding="utf-8"))
            text = json.dumps(documents[kind], separators=(",", ":"))
            # mtime=0: the time of packing must not change the bytes.
            (_snapshots.DATA / f"{name}.gz").write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
        entries[device] = summary(documents["conf"], documents["props"])
    source = f"qiskit-ibm-runtime {version('qiskit-ibm-runtime')}, fake_provider/backends, Apache-2.0"
    index = json.dumps({"source": source, "devices": entries}, indent=1)
    (_snapshots.DATA / "index.json").write_text(index + "\n", encoding="utf-8")


def summary(configuration: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    """What the list of backends shows of a device, so that listing opens no document."""
    clops = configuration.get("clops_h")
    return {
        "name": configuration["backend_name"],
        "version": configuration["backend_version"],
        "qubits": configuration["n_qubits"],
        "physical_qubits": physical_qubits(configuration),
        "max_shots": configuration["max_shots"],
        "rep_delay_range": configuration["rep_delay_range"],
        "default_rep_delay": configuration["default_rep_delay"],
        "clops": {"type": "hardware", "value": clops} if isinstance(clops, int) else None,
        "processor_type": configuration.get("processor_type"),
        "performance_metrics": metrics(properties),
    }


def physical_qubits(configuration: dict[str, Any]) -> int:
    """Qubits and tunable couplers, which are qubits of their own on the chip; older families couple without them."""
    tunable = (configuration.get("processor_type") or {}).get("family") in ("Heron", "Nighthawk")
    pairs = {tuple(sorted(pair)) for pair in configuration["coupling_map"]} if tunable else set()
    return int(configuration["n_qubits"]) + len(pairs)


def metrics(properties: dict[str, Any]) -> dict[str, Any]:
    """Best and median two-qubit error and the median readout error, of places that are calibrated."""
    errors = []
    for gate in properties["gates"]:
        if len(gate["qubits"]) == 2 and gate["gate"] != "rzz":
            error = value(gate["parameters"], "gate_error")
            if error is not None and error < 1:
                errors.append((error, gate["gate"], gate["qubits"]))
    readout = [value(entries, "readout_error") for entries in properties["qubits"]]
    best = min(errors)
    return {
        "two_q_error_best": {"value": best[0], "gate": best[1], "qubits": best[2], "unit": ""},
        "two_q_error_median": {"value": median(error for error, _, _ in errors), "unit": ""},
        "readout_error_median": {"value": median(error for error in readout if error is not None), "unit": ""},
    }


def value(entries: list[dict[str, Any]], name: str) -> float | None:
    return next((entry["value"] for entry in entries if entry["name"] == name), None)


if __name__ == "__main__":
    main()

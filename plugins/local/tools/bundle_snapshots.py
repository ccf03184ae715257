"""Write the bundled device snapshots and their index from an installed qiskit-ibm-runtime.

Run with the package importable: ``python plugins/local/tools/bundle_snapshots.py``. The output depends on the
installed documents only: the same version gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
from importlib.metadata import version
from pathlib import Path

from qprovider_local import _snapshots

DEVICES = ("belem", "hanoi", "sherbrooke", "fez")
DATA = Path(_snapshots.__file__).parent / "data"


def main() -> None:
    folder = _snapshots.runtime_folder()
    if folder is None:
        raise SystemExit("qiskit-ibm-runtime is not installed")
    entries = {}
    for device in DEVICES:
        snapshot = _snapshots.read_snapshot(folder / device / f"conf_{device}.json")
        names = {}
        for kind, path in (
            ("configuration", snapshot.configuration_path),
            ("properties", snapshot.properties_path),
        ):
            names[kind] = f"{path.name}.gz"
            text = json.dumps(_snapshots.read_document(path), separators=(",", ":"))
            # mtime=0: the time of packing must not change the bytes.
            (DATA / names[kind]).write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
        entries[snapshot.name] = {
            "device": snapshot.device,
            **names,
            "facts": _snapshots.facts_to_json(snapshot.facts),
        }
    source = f"qiskit-ibm-runtime {version('qiskit-ibm-runtime')}, fake_provider/backends, Apache-2.0"
    index = json.dumps({"source": source, "snapshots": entries}, indent=1)
    (DATA / "index.json").write_text(index + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

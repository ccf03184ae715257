"""Published snapshots of real devices: the bundled ones, and those inside an installed qiskit-ibm-runtime.

A snapshot is two documents of Qiskit's classic backend schema. `data/index.json` holds what a listing shows
of the bundled ones, so that listing opens nothing else; `tools/bundle_snapshots.py` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from qprovider_core.errors import ResponseError
from qprovider_core.records import BackendInfo
from qprovider_core.secret import get_logger
from qprovider_local._methods import MAX_SHOTS

if TYPE_CHECKING:
    from qprovider_core.records import BackendConfiguration, BackendProperties

_DATA = Path(__file__).parent / "data"
_log = get_logger(__name__)


def read_document(path: Path) -> Any:
    """The JSON document in a file, gzipped or not."""
    import gzip  # late: listing reads none of them

    data = path.read_bytes()
    return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


@attrs.define(kw_only=True, slots=False)
class Snapshot:
    """One device at one moment, offered as its noisy twin.

    Attributes:
        name: Of the twin, such as ``fake_belem``.
        device: The device's own name, such as ``ibmq_belem``.
        facts: What `qprovider_core.qiskit_schema.summary_from_documents` tells.
        configuration_path, properties_path: Its documents.
    """

    name: str
    device: str
    facts: Mapping[str, Any]
    configuration_path: Path
    properties_path: Path

    def info(self, pending_jobs: int) -> BackendInfo:
        """The listing's record. What limits the device's shots and circuits does not limit its twin."""
        calibrated = self.facts["calibrated_at"]
        return BackendInfo(
            name=self.name,
            num_qubits=self.facts["num_qubits"],
            simulator=True,
            noisy=True,
            operational=True,
            pending_jobs=pending_jobs,
            status_msg="active",
            version=self.facts["version"],
            description=f"Noisy twin of {self.device}"
            + (f" as calibrated on {calibrated:%Y-%m-%d}" if calibrated else ""),
            processor=self.facts["processor"],
            features=self.facts["features"],
            max_shots=MAX_SHOTS,
            median_two_qubit_error=self.facts["median_two_qubit_error"],
            median_readout_error=self.facts["median_readout_error"],
            calibrated_at=calibrated,
        )

    @cached_property
    def configuration(self) -> BackendConfiguration:
        """The device's, under the twin's name and with the simulator's limits."""
        from qprovider_core.qiskit_schema import configuration_from_document  # late: cattrs is slow to import

        device = configuration_from_document(read_document(self.configuration_path))
        return attrs.evolve(
            device,
            backend_name=self.name,
            simulator=True,
            local=True,
            memory=True,
            open_pulse=False,
            max_shots=MAX_SHOTS,
            max_experiments=None,
            extra={**device.extra, "device_name": self.device},
        )

    @cached_property
    def properties(self) -> BackendProperties:
        from qprovider_core.qiskit_schema import properties_from_document  # late: cattrs is slow to import

        return properties_from_document({**read_document(self.properties_path), "backend_name": self.name})


def bundled() -> list[Snapshot]:
    """The snapshots that come with this package."""
    index = json.loads((_DATA / "index.json").read_text(encoding="utf-8"))
    return [
        Snapshot(
            name=name,
            device=entry["device"],
            facts=facts_from_json(entry["facts"]),
            configuration_path=_DATA / entry["configuration"],
            properties_path=_DATA / entry["properties"],
        )
        for name, entry in index["snapshots"].items()
    ]


def facts_to_json(facts: Mapping[str, Any]) -> dict[str, Any]:
    """JSON types of a device's facts."""
    calibrated = facts["calibrated_at"]
    return {
        **facts,
        "features": list(facts["features"]),
        "calibrated_at": calibrated.isoformat() if calibrated else None,
    }


def facts_from_json(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `facts_to_json` wrote."""
    calibrated = facts["calibrated_at"]
    return {
        **facts,
        "features": tuple(facts["features"]),
        "calibrated_at": datetime.fromisoformat(calibrated) if calibrated else None,
    }


def installed() -> Iterator[Snapshot]:
    """The snapshots inside an installed qiskit-ibm-runtime, read as files: importing it takes seconds.

    Unreadable ones are left out one by one, with a warning in the log.
    """
    folder = runtime_folder()
    if folder is None:
        _log.warning("all_devices is set, but qiskit-ibm-runtime is not installed: only bundled twins are listed")
        return
    for path in sorted(folder.glob("*/conf_*.json")):
        try:
            yield read_snapshot(path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ResponseError) as exc:
            _log.warning("The device snapshot %s cannot be read and is left out: %s", path.name, exc)


def runtime_folder() -> Path | None:
    """Where qiskit-ibm-runtime keeps its snapshots; None when it is not installed."""
    spec = find_spec("qiskit_ibm_runtime")  # of a top-level package: found, not imported
    for location in spec.submodule_search_locations or () if spec else ():
        folder = Path(location) / "fake_provider" / "backends"
        if folder.is_dir():
            return folder
    return None


def read_snapshot(path: Path) -> Snapshot:
    """The snapshot whose configuration is in ``conf_NAME.json``; its properties lie beside it."""
    from qprovider_core.qiskit_schema import summary_from_documents  # late: cattrs is slow to import

    short = path.stem.removeprefix("conf_")
    properties_path = path.with_name(f"props_{short}.json")
    configuration = read_document(path)
    return Snapshot(
        name=f"fake_{short}",
        device=str(configuration["backend_name"]),
        facts=summary_from_documents(configuration, read_document(properties_path)),
        configuration_path=path,
        properties_path=properties_path,
    )

"""The backends of an emulated service: what lists show, and their documents ready to be sent."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from qprovider_ibm.emulator import _snapshots

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class Body:
    """A document that many backends share but for its first field, the backend's name; plain and gzipped.

    The compressed form is put together of two pieces of one deflate stream, so that the long one is worked
    out once however many backends there are.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        rest = {key: value for key, value in document.items() if key != "backend_name"}
        self._rest = b", " + json.dumps(rest).encode()[1:]
        self._packed = _deflate(self._rest, last=True)

    def plain(self, name: str) -> bytes:
        return self._start(name) + self._rest

    def gzipped(self, name: str) -> bytes:
        start = self._start(name)
        check = zlib.crc32(self._rest, zlib.crc32(start))
        size = (len(start) + len(self._rest)) % 2**32
        tail = check.to_bytes(4, "little") + size.to_bytes(4, "little")
        return _GZIP_HEADER + _deflate(start, last=False) + self._packed + tail

    @staticmethod
    def _start(name: str) -> bytes:
        return b'{"backend_name": ' + json.dumps(name).encode()


def _deflate(data: bytes, *, last: bool) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH)


@lru_cache(maxsize=64)
def configuration_body(source: str) -> Body:
    return Body(_snapshots.configuration(source))


@lru_cache(maxsize=64)
def properties_body(source: str, age: int, faulty: tuple[int, ...]) -> Body:
    return Body(_snapshots.properties(source, age, faulty))


class Device:
    """One backend.

    Attributes:
        source: Whose documents it has.
        summary: Of the bundled index.
        status: The list's word: online, paused or offline.
        base_queue: Jobs of other users that always wait here.
        faulty: Qubits that do not work.
    """

    def __init__(self, name: str, source: str, summary: Mapping[str, Any]) -> None:
        self.name = name
        self.source = source
        self.summary = summary
        self.status = "online"
        self.reason = ""
        simulator = source == _snapshots.SIMULATOR
        self.base_queue = 0 if simulator else 1 + zlib.crc32(name.encode()) % 60
        self.faulty: tuple[int, ...] = ()

    @property
    def simulator(self) -> bool:
        return self.source == _snapshots.SIMULATOR

    @property
    def max_shots(self) -> int:
        return int(self.summary["max_shots"])

    def entry(self, waiting: int, *, wait_time: bool, mock: bool = False) -> dict[str, Any]:
        """Of the list of backends."""
        queue = 0 if mock else self.base_queue + waiting
        entry: dict[str, Any] = {
            "name": mock_name(self.name) if mock else self.name,
            "status": {"name": self.status, "reason": self.reason},
            "is_simulator": self.simulator,
            "qubits": self.summary["qubits"],
            "physical_qubits": self.summary["physical_qubits"],
            "clops": self.summary["clops"],
            "processor_type": self.summary["processor_type"],
            "queue_length": queue,
            "performance_metrics": self.summary["performance_metrics"],
        }
        if mock:
            entry["class"] = "mock"
        if wait_time:
            entry["wait_time_seconds"] = {"average": 37 * queue, "p50": 29 * queue, "p95": 81 * queue}
        return entry

    def calibration_before(self, moment: datetime | None) -> int | None:
        """Age of the newest calibration that was finished before `moment`; None when there is none."""
        if self.simulator:
            return None
        for age in range(_snapshots.PAST_CALIBRATIONS + 1):
            finished = _snapshots.last_update(self.source, age)
            if moment is None or (finished is not None and finished < moment):
                return age
        return None

    def status_document(self, waiting: int) -> dict[str, Any]:
        """Of the status call."""
        words = {"online": (True, "active"), "paused": (True, "internal"), "offline": (False, "maintenance")}
        state, word = words.get(self.status, (False, self.status))
        return {
            "state": state,
            "status": word,
            "message": self.reason,
            "length_queue": self.base_queue + waiting,
            "backend_version": self.summary["version"],
        }


def mock_name(name: str) -> str:
    return "_".join(("mock", *name.split("_")[1:]))


def make_devices(number: int | None) -> dict[str, Device]:
    """The bundled backends, then clones of the devices among them until there are `number`."""
    summaries = _snapshots.index()
    devices = [Device(summary["name"], source, summary) for source, summary in summaries.items()]
    devices.append(Device(_snapshots.SIMULATOR_NAME, _snapshots.SIMULATOR, _simulator_summary()))
    if number is not None:
        sources = list(summaries)
        for place in range(len(devices), number):
            source = sources[place % len(sources)]
            devices.append(Device(f"ibm_clone_{place:03d}", source, summaries[source]))
        devices = devices[:number]
    return {device.name: device for device in devices}


def _simulator_summary() -> dict[str, Any]:
    document = _snapshots.configuration(_snapshots.SIMULATOR)
    return {
        "version": document["backend_version"],
        "qubits": document["n_qubits"],
        "physical_qubits": None,
        "max_shots": document["max_shots"],
        "rep_delay_range": None,
        "default_rep_delay": None,
        "clops": None,
        "processor_type": None,
        "performance_metrics": None,
    }

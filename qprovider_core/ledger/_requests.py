"""A job's request as bytes: its circuits as QPY, the rest beside them."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import attrs

from qprovider_core._native import load_qiskit
from qprovider_core.errors import LedgerError, failure_text
from qprovider_core.ledger._pack import MOST_BYTES, Packer, from_json_form, inflated, unpack
from qprovider_core.records.backends import BackendRef
from qprovider_core.records.jobs import JobRequest
from qprovider_core.secret import get_logger

_log = get_logger("qprovider.ledger")
_SIZES = struct.Struct("<Q")
# Qiskit writes a QPY file in one go with the interpreter's lock held: small files let other threads run in between.
_INSTRUCTIONS_A_FILE = 2000


@attrs.frozen(kw_only=True)
class PackedRequest:
    """A request as the ledger keeps it.

    Attributes:
        request: All but the circuits.
        circuits: None where they are not kept.
        num_circuits: How many pubs there are.
        left_out: Why something of it is not kept, in words; None when all is.
    """

    request: bytes
    circuits: bytes | None
    num_circuits: int
    left_out: str | None = None


def different_circuits(request: JobRequest) -> tuple[list[Any], list[int]]:
    """The circuits of a request, each once, and for each pub the place of its own among them. They are told apart by
    identity: a sweep over parameters has one circuit."""
    places: dict[int, int] = {}
    circuits: list[Any] = []
    for pub in request.pubs:
        if places.setdefault(id(pub.circuit), len(circuits)) == len(circuits):
            circuits.append(pub.circuit)
    return circuits, [places[id(pub.circuit)] for pub in request.pubs]


def pack_request(request: JobRequest, most_bytes: int | None) -> PackedRequest:
    """The request as bytes.

    Args:
        most_bytes: Circuits that are larger, packed, are left out; 0: all are. None: they follow later.
    """
    circuits, places = different_circuits(request)
    pubs = [attrs.evolve(pub, circuit=place) for pub, place in zip(request.pubs, places, strict=True)]
    packer = Packer()
    data = {
        "pubs": tuple(pubs),
        "backend": [request.backend.name, request.backend.instance],
        **{name: getattr(request, name) for name in ("kind", "memory", "options", "tags", "name", "session_id")},
    }
    packed = packer.pack(data)
    left_out = [f"options of the kind {', '.join(sorted(packer.lost))} are kept as text only"] if packer.lost else []
    files, why = (None, None) if most_bytes is None else pack_circuits(circuits, most_bytes)
    if why:
        left_out.append(why)
    return PackedRequest(
        request=packed, circuits=files, num_circuits=len(pubs), left_out="; ".join(left_out) if left_out else None
    )


def pack_circuits(circuits: Sequence[Any], most_bytes: int) -> tuple[bytes | None, str | None]:
    """The circuits as bytes, or why they are not kept."""
    if not most_bytes:
        return None, "circuits are not kept"
    try:
        files = _packed_circuits(circuits)
    except Exception as exc:  # noqa: BLE001  Qiskit's own writer; what it cannot write may run all the same
        return None, f"Qiskit cannot write its circuits: {failure_text(exc)}"
    if len(files) > most_bytes:
        sizes = f"{len(files) / 2**20:.1f} MiB, more than the {most_bytes / 2**20:.1f} that are kept"
        return None, f"its circuits take {sizes}"
    return files, None


def unpack_request(key: str, request: bytes, circuits: bytes | None, path: str) -> JobRequest | None:
    """The request that was packed; None where its circuits were not kept.

    Raises:
        LedgerError: What the ledger keeps cannot be read.
    """
    if circuits is None:
        return None
    try:
        data = unpack(request)
        loaded = _unpacked_circuits(circuits)
        name, instance = data["backend"]
        return JobRequest(
            backend=BackendRef(name=name, instance=instance),
            pubs=tuple(attrs.evolve(pub, circuit=loaded[pub.circuit]) for pub in data["pubs"]),
            kind=data["kind"],
            memory=data["memory"],
            options=data["options"] if isinstance(data["options"], Mapping) else {},
            tags=tuple(data["tags"]),
            name=data["name"],
            session_id=data["session_id"],
            key=key,
        )
    except Exception as exc:
        raise LedgerError(
            f"The circuits of job {key} cannot be read from the ledger.",
            path=path,
            why=f"{type(exc).__name__}: {exc}",
            hint="They may have been written by a newer Qiskit: upgrade it, and try again.",
        ) from exc


class _Metadata(json.JSONEncoder):
    """Users may put anything into a circuit's metadata."""

    def encode(self, o: Any) -> str:
        return json.dumps(Packer().json_form(o))


class _Read(json.JSONDecoder):
    """What `_Metadata` wrote."""

    def decode(self, s: str, *args: Any) -> Any:
        return from_json_form(super().decode(s))


def _packed_circuits(circuits: Sequence[Any]) -> bytes:
    from qiskit import qpy  # late: whoever has circuits has loaded it

    files = []
    start = instructions = 0
    for end, circuit in enumerate(circuits, start=1):
        instructions += len(circuit.data)
        if instructions >= _INSTRUCTIONS_A_FILE or end == len(circuits):
            file = BytesIO()
            qpy.dump(circuits[start:end], file, metadata_serializer=_Metadata)
            packed = zlib.compress(file.getvalue(), 1)
            files += [_SIZES.pack(len(packed)), packed]
            start, instructions = end, 0
    return b"".join(files)


def _unpacked_circuits(data: bytes) -> list[Any]:
    load_qiskit()
    from qiskit import qpy  # late: only running again needs it

    circuits: list[Any] = []
    start, left = 0, MOST_BYTES
    while start < len(data):
        (size,) = _SIZES.unpack_from(data, start)
        start += _SIZES.size
        file = inflated(data[start : start + size], left)
        left -= len(file)
        circuits += qpy.load(BytesIO(file), metadata_deserializer=_Read)
        start += size
    return circuits

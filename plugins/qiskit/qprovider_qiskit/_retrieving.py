"""Finding a job at its vendor again, in another process than the one that sent it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from qprovider_core.records import JobRef
from qprovider_qiskit._device import Device
from qprovider_qiskit._faults import says_absent
from qprovider_qiskit._jobs import AdaptedJob, Part, unknown_job
from qprovider_qiskit._outcomes import Layout
from qprovider_qiskit._reading import attempted, whole
from qprovider_qiskit._remote import look_at, vendors_id


def retrieved(ref: JobRef, devices: Sequence[Device], title: str) -> AdaptedJob | None:
    """The job: by the vendor's ids that came with it, else by the one in its own id, else taken for an id of the
    vendor; None where there is none.

    Args:
        devices: Those whose jobs outlive the process; title: of the vendor.
    Raises:
        UnknownJobError: The vendor does not know its parts.
    """
    ids = ref.extra.get("vendor_jobs")
    if not isinstance(ids, list) or not ids:
        return _by_our_id(ref.id, devices) or _by_vendors_id(ref.id, devices)
    name = ref.extra.get("backend")
    parts = _fetched(_that_first(devices, name), [str(one) for one in ids])
    if parts is None:
        if devices:
            raise unknown_job(ref.id, f"{title} does not know its job {', '.join(map(str, ids))} any more.")
        return None
    device, made = parts
    _restore(made, ref.extra)
    layouts = [Layout.from_json(one) for one in _list(ref.extra.get("registers"))]
    size = 1 + max((place for part in made for place in part.positions), default=0)
    return AdaptedJob(
        device=device,
        told_backend=name in (None, device.name),
        parts=made,
        layouts=list(layouts) if len(layouts) == size else [None] * size,
        id=ref.id,
        memory=ref.extra.get("memory") is True,
        created_at=_moment(ref.extra.get("created_at")),
    )


def _by_our_id(job_id: str, devices: Sequence[Device]) -> AdaptedJob | None:
    for device in devices:
        vendors = vendors_id(job_id, device.name)
        found = None if vendors is None else _fetched([device], [vendors])
        if found is not None:
            return AdaptedJob(device=device, parts=found[1], layouts=[None], id=job_id, created_at=None)
    return None


def _by_vendors_id(job_id: str, devices: Sequence[Device]) -> AdaptedJob | None:
    found = _fetched(devices, [job_id])
    if found is None:
        return None
    device, parts = found
    # Many services give any job to whichever device asks.
    sure = len(devices) == 1
    return AdaptedJob(device=device, told_backend=sure, parts=parts, layouts=[None], id=job_id, created_at=None)


def _fetched(devices: Iterable[Device], ids: Sequence[str]) -> tuple[Device, list[Part]] | None:
    """The vendor's jobs, and the first device that has them all; None where none has."""
    for device in devices:
        try:
            return device, [_part(device, index, one) for index, one in enumerate(ids)]
        except LookupError:
            continue
    return None


def _part(device: Device, index: int, vendor_id: str) -> Part:
    """The vendor's job.

    Raises:
        LookupError: It has none of this id, or its package cannot fetch jobs.
    """
    fetch = getattr(device.backend, "retrieve_job", None)
    part = Part((index,), [], None)
    try:
        if device.adapter.retrieve is not None:
            job = device.adapter.retrieve(device.backend, vendor_id)
        else:
            job = fetch(vendor_id) if callable(fetch) else None
        if job is not None:
            part.sent(job)
            look_at(part, device.adapter.job_status)  # some packages make a job of any text, and ask for it only now
    except Exception as exc:
        if says_absent(exc):
            raise LookupError(vendor_id) from exc
        raise
    if job is None:
        raise LookupError(vendor_id)
    part.job_id = vendor_id
    return part


def _restore(parts: list[Part], extra: Any) -> None:
    """Which circuits each part has, and how many shots, as it was written down."""
    places, shots = _list(extra.get("parts")), _list(extra.get("shots"))
    numbers = attempted(lambda: [tuple(map(int, one)) for one in places], "the circuits of each part") or []
    for index, part in enumerate(parts):
        part.positions = numbers[index] if len(numbers) == len(parts) else (index,)
        part.shots = whole(shots[index]) if len(shots) == len(parts) else None


def _that_first(devices: Sequence[Device], name: Any) -> list[Device]:
    return sorted(devices, key=lambda device: device.name != name)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _moment(value: Any) -> datetime | None:
    told = attempted(lambda: datetime.fromisoformat(value), "created_at") if isinstance(value, str) else None
    return told if isinstance(told, datetime) and told.tzinfo is not None else None

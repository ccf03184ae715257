"""Finding a job at its vendor again, in another process than the one that sent it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qprovider_core.records import JobRef
from qprovider_qiskit._device import Device
from qprovider_qiskit._jobs import AdaptedJob, Part, unknown_job
from qprovider_qiskit._outcomes import Layout

_ABSENT = frozenset({400, 404, 410, 422})  # how services answer an id that they do not know


def retrieved(ref: JobRef, devices: Sequence[Device], title: str) -> AdaptedJob | None:
    """The job: by the vendor's ids that came with it, else taken for an id of the vendor; None where there is none.

    Args:
        devices: Those whose jobs outlive the process; title: of the vendor.
    Raises:
        UnknownJobError: The vendor does not know its parts.
    """
    ids, parts = ref.extra.get("vendor_jobs"), ref.extra.get("parts")
    if not isinstance(ids, list) or not ids:
        return _by_vendors_id(ref, devices)
    if not isinstance(parts, list) or len(parts) != len(ids):
        parts = [[index] for index in range(len(ids))]
    layouts = [Layout.from_json(one) for one in ref.extra.get("registers") or ()]
    for device in devices:
        try:
            jobs = [_fetched(device, str(one)) for one in ids]
        except LookupError:
            continue
        made = [Part(tuple(places), [], None, job=job) for places, job in zip(parts, jobs, strict=True)]
        for part, vendor_id in zip(made, ids, strict=True):
            part.sent(part.job)
            part.job_id = str(vendor_id)
        size = 1 + max((place for part in made for place in part.positions), default=0)
        return AdaptedJob(
            device=device,
            parts=made,
            layouts=list(layouts) if len(layouts) == size else [None] * size,
            id=ref.id,
        )
    if devices:
        raise unknown_job(ref.id, f"{title} does not know its job {', '.join(map(str, ids))} any more.")
    return None


def _by_vendors_id(ref: JobRef, devices: Sequence[Device]) -> AdaptedJob | None:
    for device in devices:
        try:
            job = _fetched(device, ref.id)
        except LookupError:
            continue
        part = Part((0,), [], None)
        part.sent(job)
        part.job_id = ref.id
        return AdaptedJob(device=device, parts=[part], layouts=[None], id=ref.id)
    return None


def _fetched(device: Device, vendor_id: str) -> Any:
    """The vendor's job.

    Raises:
        LookupError: It has none of this id, or its package cannot fetch jobs.
    """
    fetch = getattr(device.backend, "retrieve_job", None)
    try:
        if device.adapter.retrieve is not None:
            job = device.adapter.retrieve(device.backend, vendor_id)
        elif callable(fetch):
            job = fetch(vendor_id)
        else:
            job = None
        status = getattr(job, "status", None)
        if callable(status):
            status()  # some packages make a job of any text, and ask for it only now
    except Exception as exc:
        if _says_absent(exc):
            raise LookupError(vendor_id) from exc
        raise
    if job is None:
        raise LookupError(vendor_id)
    return job


def _says_absent(exc: Exception) -> bool:
    """Whether a vendor's error means that there is no such job; not one of the network, or of the credentials."""
    if isinstance(exc, OSError):
        status = getattr(getattr(exc, "response", None), "status_code", None)
    else:
        status = getattr(exc, "status_code", None) or getattr(getattr(exc, "response", None), "status_code", None)
        if status is None:
            return isinstance(exc, LookupError | ValueError | NotImplementedError)
    return status in _ABSENT

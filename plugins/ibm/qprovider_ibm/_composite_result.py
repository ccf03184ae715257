"""The results of several jobs as one. Imports Qiskit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qprovider_core.errors import JobError, QProviderError
from qprovider_core.records import Deadline, JobInfo, JobResult, JobState, SamplePub, SamplePubResult
from qprovider_core.secret import get_logger
from qprovider_ibm._composite_parts import Part
from qprovider_ibm._instances import side_by_side, whole
from qprovider_ibm._results import IBMResult

if TYPE_CHECKING:
    from qprovider_ibm._job import IBMJob

_log = get_logger(__name__)


def joined(info: JobInfo, parts: Sequence[Part], backend: Any, deadline: Deadline) -> IBMResult:
    """One result of all parts; circuits of parts that are not done have no counts, and say why.

    Raises:
        QProviderError: The result of a part that is done cannot be had.
    """
    done = [part for part in parts if part.state is JobState.DONE]
    if not done:
        raise JobError(f"No job of {info.id} has a result.", job_id=info.id, hint="See job.report().")
    read = dict(zip((part.index for part in done), _read(done, deadline), strict=True))
    results: list[Any] = []
    pubs: list[SamplePub] = []
    jobs: list[dict[str, Any]] = []
    for part in parts:
        if part.index in read:
            record, sent = read[part.index]
            results += record.pubs
            pubs += sent
            assert part.job is not None
            jobs.append({"job_id": part.job.info.id, "circuits": [part.first, part.last], **record.metadata})
        else:
            number = part.last - part.first + 1
            circuits = [pub.circuit for pub in part.request.pubs] if part.request else [None] * number
            results += [SamplePubResult(shots=0, counts={})] * number
            pubs += [SamplePub(circuit=circuit, shots=0) for circuit in circuits]
    result = IBMResult(
        JobResult(pubs=tuple(results), metadata={"jobs": jobs}),
        backend_name=info.backend,
        backend_version=backend.backend_version if backend is not None else None,
        job_id=info.id,
        pubs=pubs,
    )
    _mark(result, [part for part in parts if part.index not in read])
    return result


def _mark(result: IBMResult, failed: Sequence[Part]) -> None:
    """Qiskit's own sign of an experiment that failed: its counts cannot be read, and the error says the status."""
    for part in failed:
        why = "its job was cancelled" if part.state is JobState.CANCELLED else part.why_failed()
        for index in range(part.first, part.last + 1):
            result.results[index].success = False
            result.results[index].status = f"circuit {index} has no result: {why}"
    if failed:
        result.success = False
        result.status = "PARTIAL COMPLETED"


def _read(parts: Sequence[Part], deadline: Deadline) -> list[tuple[JobResult, list[SamplePub]]]:
    """For each part its result, and what was sent, for the circuits' names."""

    def read(part: Part) -> tuple[JobResult, list[SamplePub]]:
        assert part.job is not None
        found = part.job.result(deadline.remaining_s())
        record: JobResult = found.record
        return record, part.job._sample_pubs() or _asked_for(part.job, record)

    return whole(side_by_side(read, parts, deadline, "results"))


def _asked_for(job: IBMJob, record: JobResult) -> list[SamplePub]:
    """What another process sent, from the service; circuits without names where it does not give them back."""
    try:
        circuits = job.circuits() or []
    except QProviderError as exc:
        _log.info("the circuits of job %s cannot be had: %s", job.info.id, exc.what)
        circuits = []
    if len(circuits) != len(record.pubs):
        circuits = [None] * len(record.pubs)
    shots = [getattr(pub, "shots", 0) for pub in record.pubs]
    return [SamplePub(circuit=circuit, shots=number) for circuit, number in zip(circuits, shots, strict=True)]

"""What the vendor's client says, as qprovider's records, and what it is sent.

REPLACE the words and the units of the stand-in with those of your vendor. Always:

- not reported is None, never 0 or "";
- units are SI (seconds, hertz), probabilities lie in [0, 1], times are aware;
- a status that you do not know is `JobState.UNKNOWN`, with its word in `state_text`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from qprovider_core import (
    BackendConfiguration,
    BackendInfo,
    BackendStatus,
    InvalidInputError,
    JobInfo,
    JobRequest,
    JobResult,
    JobState,
    RegisterBits,
    SamplePub,
    SamplePubResult,
)

Row = Mapping[str, Any]
"""One JSON object of the vendor's."""

STATES: Mapping[str, JobState] = {
    "WAITING": JobState.QUEUED,
    "EXECUTING": JobState.RUNNING,
    "FINISHED": JobState.DONE,
    "FAILED": JobState.ERROR,
    "STOPPED": JobState.CANCELLED,
}


def backend_info(row: Row) -> BackendInfo:
    """A machine of the listing."""
    return BackendInfo(
        name=row["id"],
        num_qubits=row["size"],
        # True for all that is no physical device; `noisy=True` says that it mimics one.
        simulator=row["kind"] == "simulator",
        operational=row["online"],
        pending_jobs=row["waiting"],
        max_shots=row["max_shots"],
        max_circuits=row["max_programs"],
    )


def status(row: Row) -> BackendStatus:
    """Whether a machine takes jobs now."""
    return BackendStatus(
        backend_name=row["id"],
        operational=row["online"],
        pending_jobs=row["waiting"],
    )


def configuration(row: Row) -> BackendConfiguration:
    """What a machine can run."""
    return BackendConfiguration(
        backend_name=row["id"],
        n_qubits=row["size"],
        basis_gates=tuple(row["gates"]),
        # Directed pairs of qubits; None: any pair.
        coupling_map=tuple((one, other) for one, other in row["pairs"]),
        # What else a circuit may hold. Control flow ("if_else") is said here, too.
        supported_instructions=(*row["gates"], "measure", "reset", "delay"),
        simulator=row["kind"] == "simulator",
        memory=True,
        max_shots=row["max_shots"],
        max_experiments=row["max_programs"],
    )


def order(request: JobRequest) -> dict[str, Any]:
    """A job as the client takes it. qprovider has checked it against the limits."""
    return {
        "machine": request.backend.name,
        "programs": [program(pub) for pub in request.pubs],
        # As they come: one of them carries qprovider's own key of the submission.
        "tags": list(request.tags),
        "name": request.name,
    }


def program(pub: object) -> dict[str, Any]:
    """One circuit as the vendor takes it: OpenQASM 3."""
    from qiskit import qasm3  # late: importing Qiskit takes seconds

    if not isinstance(pub, SamplePub) or pub.shape:
        raise InvalidInputError(
            "Acme Quantum runs circuits with one set of parameter values each.",
            hint="Send the sets as circuits of their own.",
        )
    # It fits the machine already: it is sent gate by gate, and never compiled again.
    circuit = pub.circuit.assign_parameters(list(pub.parameter_values))
    return {"qasm": qasm3.dumps(circuit), "shots": pub.shots}


def job_info(row: Row) -> JobInfo:
    """How a job stands."""
    return JobInfo(
        id=row["id"],
        state=STATES.get(row["status"], JobState.UNKNOWN),
        state_text=row["status"],
        backend=row["machine"],
        created_at=_time(row["created"]),
        started_at=_time(row["started"]),
        ended_at=_time(row["ended"]),
        name=row["name"],
        tags=tuple(row["tags"]),
        error=row["fault"],
        kind="sample",
        shots=row["shots"],
    )


def result(rows: Sequence[Row]) -> JobResult:
    """What the circuits of a job gave.

    A vendor that has only counts sends `SamplePubResult.from_counts({"10 001": 97})`:
    bit 0 of a register rightmost, the last register leftmost, a space between
    registers, leading zeros kept.
    """
    return JobResult(pubs=[outcomes(row) for row in rows])


def outcomes(row: Row) -> SamplePubResult:
    """What one circuit gave."""
    registers = [register(each) for each in row["registers"]]
    return SamplePubResult(shots=row["shots"], registers=registers)


def register(row: Row) -> RegisterBits:
    """The outcomes of one classical register, in the order of the shots."""
    size = (row["bits"] + 7) // 8
    return RegisterBits(
        name=row["name"],
        num_bits=row["bits"],
        data=b"".join(value.to_bytes(size, "big") for value in row["values"]),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

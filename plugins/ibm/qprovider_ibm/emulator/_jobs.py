"""Jobs of the emulated service, and the documents that tell of them."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qprovider_ibm.emulator._errors import ServiceError, bad_request
from qprovider_ibm.emulator._times import now, stamp

if TYPE_CHECKING:
    from qprovider_ibm.emulator._sessions import Session

QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED = "Queued", "Running", "Completed", "Failed", "Cancelled"
FINAL = (COMPLETED, FAILED, CANCELLED)
RAN_TOO_LONG = 1305
MAX_COST_S = 10_800
MAX_TAGS, MAX_TAG_LENGTH = 8, 86
_ALPHABET = string.ascii_lowercase + string.digits
# Billing is not final at once: usage says "pending" for this long after the end.
_BILLING_S = 0.2


def new_id() -> str:
    return "d" + "".join(secrets.choice(_ALPHABET) for _ in range(19))


class Job:
    """One job.

    Attributes:
        params: Their JSON text.
        session: What it was sent in; None outside of sessions and batches.
        estimate_s: What it will be charged for.
        shown_status: A word that is told instead of the state, when a fault asks for it.
        listed_from: From when on lists have it, when a fault asks for it.
        stuck, planned, too_long, crash: What a fault asks for: never to leave the queue; to fail with reason, code,
            solution and text; to be cancelled as running too long; to lose its worker.
        result: Its text; None until there is one, or when it may not be read again.
    """

    def __init__(
        self,
        *,
        program: str,
        backend: str,
        source: str,
        crn: str,
        user: str,
        caller: str,
        params: bytes,
        mock: bool,
        **more: Any,
    ) -> None:
        self.id = new_id()
        self.program = program
        self.backend = backend
        self.source = source
        self.crn = crn
        self.user = user
        self.caller = caller
        self.params = params
        self.mock = mock
        self.cost: int = more.get("cost") or MAX_COST_S
        self.tags: list[str] = list(more.get("tags") or ())
        self.session: Session | None = more.get("session")
        self.private: bool = bool(more.get("private"))
        self.log_level: str = more.get("log_level") or "WARNING"
        self.calibration_id: str | None = more.get("calibration_id")
        self.number = 0
        self.estimate_s = 0.0
        self.created = now()
        self.listed_from: datetime | None = None
        self.running: datetime | None = None
        self.finished: datetime | None = None
        self.state = QUEUED
        self.reason: str | None = None
        self.reason_code: int | None = None
        self.reason_solution: str | None = None
        self.failure_text = ""
        self.result: bytes | None = None
        self.shown_status: str | None = None
        self.stuck = False
        self.planned: dict[str, Any] | None = None
        self.too_long = False
        self.crash = False

    # -- life --------------------------------------------------------------------------------------------------

    @property
    def final(self) -> bool:
        return self.state in FINAL

    def begin(self) -> None:
        self.state, self.running = RUNNING, now()

    def complete(self, result: bytes) -> None:
        self.state, self.finished, self.result = COMPLETED, now(), result

    def fail(self, reason: str, code: int, solution: str, text: str = "") -> None:
        self.state, self.finished = FAILED, now()
        self.reason, self.reason_code, self.reason_solution = reason, code, solution
        self.failure_text = text or f"Traceback (most recent call last):\n  ...\nRuntimeError: {reason}\n"

    def cancel(self) -> None:
        self.state, self.finished = CANCELLED, now()

    def cancel_as_too_long(self) -> None:
        self.cancel()
        self.reason, self.reason_code = "Job ran longer than its maximum execution time.", RAN_TOO_LONG
        self.reason_solution = "Reduce the work of the job, or raise its maximum execution time."

    # -- documents ---------------------------------------------------------------------------------------------

    def usage(self) -> dict[str, Any]:
        """Charged are jobs that ran to their end; "pending" while that may change."""
        charged = self.estimate_s if self.running is not None and self.state != QUEUED and not self.mock else 0.0
        settled = self.finished is not None and (now() - self.finished).total_seconds() >= _BILLING_S
        seconds = charged if self.final else 0.0
        return {"qpu_charge_time_seconds": round(seconds, 3), "status": "complete" if settled else "pending"}

    def document(self, *, version: str) -> dict[str, Any]:
        """What is told of the job, without its params."""
        state: dict[str, Any] = {"status": self.shown_status or self.state}
        for name in ("reason", "reason_code", "reason_solution"):
            if getattr(self, name) is not None:
                state[name] = getattr(self, name)
        too_long = self.state == CANCELLED and self.reason_code == RAN_TOO_LONG
        usage = self.usage()
        if version < "2026-03-15":
            usage |= {"seconds": usage["qpu_charge_time_seconds"], "quantum_seconds": usage["qpu_charge_time_seconds"]}
        document: dict[str, Any] = {
            "id": self.id,
            "backend": self.backend,
            "state": state,
            "status": "Cancelled - Ran too long" if too_long else state["status"],
            "program": {"id": self.program},
            "created": stamp(self.created),
            "cost": self.cost,
            "tags": self.tags,
            "user_id": self.user,
            "usage": usage,
            "estimated_running_time_seconds": round(self.estimate_s, 3),
        }
        if self.finished is not None:
            document["ended"] = stamp(self.finished)
        if self.session is not None:
            document["session_id"] = self.session.id
        if self.private:
            document["private"] = True
        if self.calibration_id is not None:
            document["calibration_id"] = self.calibration_id
        if version < "2026-03-15":
            document["bss"] = {"seconds": usage["qpu_charge_time_seconds"]}
        return document

    def text(self, *, version: str, with_params: bool) -> bytes:
        """The document as JSON text; params are put in as they came."""
        text = json.dumps(self.document(version=version)).encode()
        if with_params and not self.private:
            return text[:-1] + b', "params": ' + self.params + b"}"
        return text

    def metrics(self, *, version: str, qiskit_version: str, ahead: int) -> dict[str, Any]:
        times = {"created": self.created, "running": self.running, "finished": self.finished}
        usage = self.usage()
        nanoseconds = int(usage["qpu_charge_time_seconds"] * 1e9)
        metrics: dict[str, Any] = {
            "timestamps": {name: stamp(moment) for name, moment in times.items() if moment is not None},
            "usage": usage,
            "qiskit_version": qiskit_version,
            "caller": self.caller,
        }
        if version < "2026-04-15":
            usage["circuits_execution_time_ns"] = nanoseconds
        else:
            metrics["circuits_execution_time_ns"] = nanoseconds
        if version < "2026-03-15":
            usage |= {"seconds": usage["qpu_charge_time_seconds"], "quantum_seconds": usage["qpu_charge_time_seconds"]}
            metrics["bss"] = {"seconds": usage["qpu_charge_time_seconds"]}
            metrics["position_in_queue"] = ahead + 1 if self.state == QUEUED else None
        return metrics

    def log(self) -> str:
        """What the job's run wrote, complete once it has ended."""
        lines = [f"{stamp(self.created)} INFO: job {self.id} queued on {self.backend}"]
        if self.running is not None:
            lines.append(f"{stamp(self.running)} INFO: {self.program} started")
        if self.failure_text:
            lines.append(self.failure_text.rstrip())
        lines.append(f"{stamp(self.finished)} INFO: ended as {self.state}")
        return "\n".join(lines) + "\n"


def check_tags(tags: Any) -> list[str]:
    """The tags.

    Raises:
        ServiceError: They are too many, too long, or no texts.
    """
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise bad_request("tags: expected a list of texts.")
    if len(tags) > MAX_TAGS:
        raise ServiceError(400, 1204, f"Too many tags: at most {MAX_TAGS} are allowed.", "Use fewer tags.")
    if any(len(tag) > MAX_TAG_LENGTH for tag in tags):
        raise ServiceError(
            400, 1205, f"A tag is too long: at most {MAX_TAG_LENGTH} characters are allowed.", "Use shorter tags."
        )
    return tags


def has_tags(job: Job, tags: Sequence[str]) -> bool:
    return all(tag in job.tags for tag in tags)

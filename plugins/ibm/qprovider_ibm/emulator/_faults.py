"""Faults that were asked for, and which of them a request, a backend or a job meets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import attrs

from qprovider_ibm.emulator._schema import (
    Check,
    Invalid,
    integer,
    number,
    one_of,
    optional,
    table,
    text,
)

_WHERE: dict[str, Check] = {"path": text, "method": text, "times": optional(integer(1)), "after": integer(0)}
_JOB: dict[str, Check] = {"backend": text, "times": optional(integer(1)), "after": integer(0)}
_CORRUPT: dict[str, Check] = {
    "backend": text,
    "how": one_of("bad_json", "missing_fields", "wrong_types", "html", "not_found", "empty"),
    "times": optional(integer(1)),
}
_STATUS = {**_WHERE, "status": integer(400, 599), "body": one_of("json", "html", "empty"), "code": integer(0)}
KINDS: dict[str, dict[str, Check]] = {
    "latency": {**_WHERE, "seconds": number(0)},
    "expire_tokens": {},
    "rate_limit": {**_WHERE, "retry_after": optional(number(0))},
    "status": _STATUS,
    "status_after": _STATUS,
    "stall_after": {**_WHERE, "seconds": number(0)},
    "drop_before": _WHERE,
    "drop_after": _WHERE,
    "cut_body": {**_WHERE, "how": one_of("hang_up", "short")},
    "html_body": {**_WHERE, "status": integer(200, 599)},
    "corrupt_configuration": _CORRUPT,
    "corrupt_properties": _CORRUPT,
    "slow_backend": {"backend": text, "seconds": number(0)},
    "backend_status": {"backend": text, "status": text, "reason": text},
    "faulty_qubit": {"backend": text, "qubit": integer(0)},
    "job_fails": {**_JOB, "reason": text, "code": integer(0), "solution": text, "text": text},
    "job_too_long": _JOB,
    "job_stuck": _JOB,
    "job_status": {**_JOB, "status": text},
    "job_crashes": _JOB,
    "job_unlisted": {**_JOB, "seconds": number(0)},
    "session_state": {**_JOB, "state": text},
}
REQUEST_KINDS = (
    "latency", "rate_limit", "status", "status_after", "stall_after", "drop_before", "drop_after", "cut_body",
    "html_body",
)  # fmt: skip
JOB_KINDS = ("job_fails", "job_too_long", "job_stuck", "job_status", "job_crashes", "job_unlisted")
_BACKEND_KINDS = ("corrupt_configuration", "corrupt_properties", "slow_backend", "backend_status", "faulty_qubit")
_NEEDED = {
    "latency": ("seconds",),
    "stall_after": ("seconds",),
    "slow_backend": ("seconds",),
    "job_unlisted": ("seconds",),
    "faulty_qubit": ("qubit",),
    "status": ("status",),
    "status_after": ("status",),
}


@attrs.define
class Fault:
    """One armed fault.

    Attributes:
        times: How often it still strikes; None without end.
        after: How many matching requests or jobs pass before.
    """

    id: int
    kind: str
    settings: dict[str, Any]
    times: int | None
    after: int

    def document(self) -> dict[str, Any]:
        return {"id": self.id, "kind": self.kind, **self.settings, "times": self.times}


class Faults:
    """All armed faults, oldest first."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._number = 0

    def arm(self, kind: Any, settings: dict[str, Any]) -> Fault:
        """Arm one.

        Raises:
            Invalid: There is no such fault, or it cannot be set like this.
        """
        if kind not in KINDS:
            raise Invalid("kind", f"{kind!r} is not one of {', '.join(KINDS)}")
        table(KINDS[kind])(settings, kind)
        needed = _NEEDED.get(kind, ()) + (("backend",) if kind in _BACKEND_KINDS else ())
        for name in needed:
            if name not in settings:
                raise Invalid(f"{kind}.{name}", "it is needed")
        settings = dict(settings)
        times, after = settings.pop("times", None), settings.pop("after", 0)
        self._number += 1
        fault = Fault(self._number, kind, settings, times, after)
        self._armed.append(fault)
        return fault

    def disarm(self, fault: Fault) -> None:
        self._armed.remove(fault)

    def clear(self) -> None:
        self._armed.clear()

    def armed(self) -> list[Fault]:
        return [*self._armed]

    def of_request(self, method: str, path: str) -> Iterator[Fault]:
        """Those that strike this request; each is counted."""
        for fault in self.armed():
            if fault.kind in REQUEST_KINDS:
                # Latency is of the whole service, the others are the Quantum API's, unless a path says otherwise.
                pattern = fault.settings.get("path", "*" if fault.kind == "latency" else "/api/v1/*")
                wanted = fault.settings.get("method", "*")
                if fnmatchcase(path, pattern) and fnmatchcase(method, wanted.upper()) and self._strikes(fault):
                    yield fault

    def of_job(self, backend: str) -> Iterator[Fault]:
        """Those that strike a new job; each is counted."""
        return self._of_new(JOB_KINDS, backend)

    def of_session(self, backend: str) -> Iterator[Fault]:
        """Those that strike a new session or batch; each is counted."""
        return self._of_new(("session_state",), backend)

    def _of_new(self, kinds: Sequence[str], backend: str) -> Iterator[Fault]:
        for fault in self.armed():
            here = fault.kind in kinds and fnmatchcase(backend, fault.settings.get("backend", "*"))
            if here and self._strikes(fault):
                yield fault

    def of_backend(self, kind: str, backend: str) -> Fault | None:
        """The fault of this kind that strikes a request about a backend; it is counted."""
        for fault in self.armed():
            if fault.kind == kind and fnmatchcase(backend, fault.settings["backend"]) and self._strikes(fault):
                return fault
        return None

    def _strikes(self, fault: Fault) -> bool:
        if fault.after > 0:
            fault.after -= 1
            return False
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._armed.remove(fault)
        return True

"""A service behind a port of this machine that speaks as much of IonQ's API (v0.4) as qiskit-ionq 1.1 uses.

It evaluates the circuits that it is sent, so that counts are right; its queue can be held, and jobs can be told to be
in any state, in whatever words.

    with IonQService() as service:
        IonQProvider(service.key, service.url)
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import numpy as np
from ionq_circuits import probabilities

_BASE = "/v0.4"
_ENDS = ("completed", "failed", "canceled")
_STEPS = ("submitted", "ready", "started")
_DEVICES: Mapping[str, int] = {"simulator": 29, "qpu.aria-1": 25, "qpu.forte-1": 36}  # and their qubits
_FIDELITY = {"spam": {"median": 0.9962, "stderr": None}, "2q": {"median": 0.9931, "stderr": None}}


class Refusal(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"statusCode": status, "error": error, "message": message}


class IonQService:
    """The service and its jobs.

    Attributes:
        key: The API key that it takes.
        jobs: All that it has, by their ids, as it tells of them.
        requests: Method and path of all requests so far.
        step_s: How long a job stays in each state before its end.
    """

    def __init__(self, step_s: float = 0.0) -> None:
        self.key = f"key-{uuid.uuid4().hex}"
        self.jobs: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.step_s = step_s
        self._results: dict[str, Any] = {}
        self._said: str | None = None
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{_BASE}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def saying(self, word: str) -> Iterator[None]:
        """Jobs that are sent meanwhile are told to be in that state, and stay in it until they are cancelled."""
        self._said = word
        try:
            yield
        finally:
            self._said = None

    def release(self, job_id: str) -> None:
        """Let a job go on that was held in some state."""
        with self._lock:
            self.jobs[job_id]["_said"] = None

    # -- what it answers ----------------------------------------------------------------------------------

    def answer(self, method: str, path: str, key: str, body: Any) -> Any:
        """The answer to a request; what is raised is a refusal or a fault."""
        self.requests.append(f"{method} {path}")
        with self._lock:
            match method, path.removeprefix(_BASE).strip("/").split("/"):
                case "GET", ["backends"]:
                    return [self._backend(name) for name in _DEVICES]
                case "GET", ["backends", name] if name in _DEVICES:
                    return self._backend(name)
                case "GET", ["backends", name, "characterizations"] if name in _DEVICES:
                    return {"characterizations": self._characterizations(name), "pages": 1}
                case _, ["jobs", *_] if key != f"apiKey {self.key}":
                    raise Refusal(401, "Unauthorized Error", "The API key is invalid.")
                case "POST", ["jobs"]:
                    return self._create(body)
                case "GET", ["jobs"]:
                    return {"jobs": [self._told(job_id) for job_id in self.jobs]}
                case "GET", ["jobs", job_id] if job_id in self.jobs:
                    return self._told(job_id)
                case "DELETE", ["jobs", job_id] if job_id in self.jobs:
                    return {"id": self.jobs.pop(job_id)["id"], "status": "deleted"}
                case "PUT", ["jobs", job_id, "status", "cancel"] if job_id in self.jobs:
                    return self._cancel(job_id)
                case "GET", ["jobs", job_id, "results", kind] if (job_id, kind) in self._results:
                    return self._results[job_id, kind]
        raise Refusal(404, "Not Found Error", "Resource not found.")

    def _backend(self, name: str) -> dict[str, Any]:
        return {
            "backend": name,
            "qubits": _DEVICES[name],
            "status": "available",
            "average_queue_time": 0,
            "last_updated": "2026-11-01T00:00:00Z",
        }

    def _characterizations(self, name: str) -> list[dict[str, Any]]:
        if name == "simulator":
            return []
        about = {"id": str(uuid.uuid4()), "backend": name, "qubits": _DEVICES[name], "date": "2026-11-01T00:00:00Z"}
        return [{**about, "connectivity": [], "fidelity": _FIDELITY, "timing": {"readout": 250e-6, "t1": 100}}]

    def _create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        device, shots, given = body["backend"], body["shots"], body["input"]
        if device not in _DEVICES:
            raise Refusal(400, "Bad Request Error", f"There is no backend {device}.")
        if body["type"] not in ("ionq.circuit.v1", "ionq.multi-circuit.v1"):
            raise Refusal(400, "Bad Request Error", f"Jobs of the type {body['type']} are not taken here.")
        if type(shots) is not int or not 1 <= shots <= 1_000_000:
            raise Refusal(400, "Bad Request Error", "The number of shots is invalid.")
        several = "circuits" in given
        circuits = [one["circuit"] for one in given["circuits"]] if several else [given["circuit"]]
        exact = device == "simulator" and (body.get("noise") or {}).get("model", "ideal") == "ideal"
        ids = [str(uuid.uuid4()) for _ in circuits]
        try:
            found = [probabilities(circuit, max(1, given["qubits"])) for circuit in circuits]
        except ValueError as exc:
            raise Refusal(400, "Bad Request Error", f"The circuit is invalid: {exc}.") from exc
        drawn = [None if exact else _drawn(one, shots) for one in found]
        seen = [one if some is None else _shares(some) for one, some in zip(found, drawn, strict=True)]
        for job_id, one, some in zip(ids, seen, drawn, strict=True):
            self._results[job_id, "probabilities"] = one
            self._results[job_id, "shots"] = some
            self._keep(job_id, {**body, "type": "ionq.circuit.v1"}, 1, shots=some is not None)
        if not several:
            return {"id": ids[0], "status": "submitted", "session_id": None}
        whole = str(uuid.uuid4())
        self._results[whole, "probabilities"] = dict(zip(ids, seen, strict=True))
        self._keep(whole, body, len(circuits), shots=False)
        self.jobs[whole]["child_job_ids"] = ids
        return {"id": whole, "status": "submitted", "session_id": None}

    def _keep(self, job_id: str, body: Mapping[str, Any], circuits: int, *, shots: bool) -> None:
        kinds = ("probabilities", "shots") if shots else ("probabilities",)
        self.jobs[job_id] = {
            "id": job_id,
            "type": body["type"],
            "backend": body["backend"],
            "name": body.get("name"),
            "shots": body["shots"],
            "metadata": body.get("metadata") or {},
            "stats": {"qubits": body["input"]["qubits"], "circuits": circuits},
            "results": {kind: {"url": f"{_BASE}/jobs/{job_id}/results/{kind}"} for kind in kinds},
            "execution_duration_ms": 8,
            "_at": time.monotonic(),
            "_said": self._said,
            "_canceled": False,
        }

    def _status(self, job: Mapping[str, Any]) -> str:
        if job["_canceled"]:
            return "canceled"
        if job["_said"] is not None:
            return str(job["_said"])
        if self.step_s <= 0:
            return "completed"
        step = int((time.monotonic() - job["_at"]) / self.step_s)
        return (*_STEPS, "completed")[min(step, len(_STEPS))]

    def _told(self, job_id: str) -> dict[str, Any]:
        job = self.jobs[job_id]
        status = self._status(job)
        told = {name: value for name, value in job.items() if not name.startswith("_")}
        if status != "completed":
            told["results"] = None
        if status == "failed":
            told["failure"] = {"code": "SystemError", "error": "The ions have left the trap."}
        return {**told, "status": status}

    def _cancel(self, job_id: str) -> dict[str, Any]:
        job = self.jobs[job_id]
        if self._status(job) not in _ENDS:
            job["_canceled"] = True
        return {"id": job_id, "status": self._status(job)}


def _drawn(found: Mapping[str, float], shots: int) -> list[str]:
    """The outcome of each shot."""
    weights = np.array(list(found.values()))
    return [str(one) for one in np.random.default_rng().choice(list(found), shots, p=weights / weights.sum())]


def _shares(drawn: list[str]) -> dict[str, float]:
    return {one: drawn.count(one) / len(drawn) for one in dict.fromkeys(drawn)}


def _handler(service: IonQService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            status, answer = 200, None
            try:
                body = json.loads(self.rfile.read(size)) if size else None
                path = self.path.split("?")[0]
                answer = service.answer(self.command, path, self.headers.get("Authorization", ""), body)
            except Refusal as exc:
                status, answer = exc.status, exc.body
            except (KeyError, TypeError, ValueError) as exc:
                message = f"The request is invalid: {type(exc).__name__}: {exc}"
                status, answer = 400, {"statusCode": 400, "error": "Bad Request Error", "message": message}
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = _respond

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    return Handler

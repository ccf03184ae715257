"""The good vendor's service, on a loopback port of a process of its own: machines with queues, behind a token.

    python service.py TOKEN

prints its address, and ends when its standard input does. Circuits come as QPY; results go out as the numbers that each
shot left in each register.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import numpy as np
from machines import MACHINES
from qiskit import qpy
from simulator import sample

ENDED = ("FINISHED", "FAILED", "STOPPED")
KNOWN = ("RECEIVED", "WAITING", "EXECUTING", *ENDED)
_LEAST_RUN_S = 0.002  # so that EXECUTING can be seen


class Refusal(Exception):
    """An answer that is no 200."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Job:
    """One job and all that is kept of it."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.stop = False
        self.results: list[dict[str, Any]] = []
        self.row: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "status": "RECEIVED",
            "machine": order["machine"],
            "instance": "lab",
            "created": _now(),
            "started": None,
            "ended": None,
            "name": order.get("name"),
            "tags": order.get("tags", []),
            "session": order.get("session"),
            "shots": order["circuits"][0]["shots"],
            "used_ms": None,
            "fault": None,
        }

    @property
    def ended(self) -> bool:
        return self.row["status"] in ENDED


class Service:
    """All jobs and sessions. One lock, and everybody who waits is woken when something changes."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.jobs: dict[str, Job] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.queues: dict[str, deque[Job]] = {name: deque() for name in MACHINES}
        for name in MACHINES:
            threading.Thread(target=self._work, args=(name,), daemon=True).start()

    # -- machines at work ---------------------------------------------------------------------------------

    def _work(self, name: str) -> None:
        rng = np.random.default_rng()
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.queues[name])
                job = self.queues[name].popleft()
                self._until_stopped(job, job.order["options"].get("queue_s", 0))
                if job.ended:
                    continue
                self._turn(job, "EXECUTING", started=_now())
                self._until_stopped(job, max(job.order["options"].get("run_s", 0), _LEAST_RUN_S))
                stopped = job.stop
            try:
                if not stopped:
                    job.results = [_run(one, rng) for one in job.order["circuits"]]
                fault = None
            except Exception as exc:
                fault = f"{type(exc).__name__}: {exc}"
            with self.changed:
                used = sum(one["shots"] for one in job.order["circuits"]) * 0.25  # milliseconds: 250 µs a shot
                status = "STOPPED" if job.stop else "FAILED" if fault else "FINISHED"
                self._turn(job, status, ended=_now(), fault=fault, used_ms=used)

    def _until_stopped(self, job: Job, seconds: float) -> None:
        self.changed.wait_for(lambda: job.stop or job.ended, timeout=seconds)

    def _turn(self, job: Job, status: str, **more: Any) -> None:
        job.row.update(status=status, **more)
        self.changed.notify_all()

    # -- what is asked ------------------------------------------------------------------------------------

    def job(self, name: str) -> Job:
        if name not in self.jobs:
            raise Refusal(404, f"no job {name}")
        return self.jobs[name]

    def submit(self, order: dict[str, Any]) -> dict[str, Any]:
        machine = _machine(order["machine"])
        if any(not 1 <= one["shots"] <= machine["max_shots"] for one in order["circuits"]):
            raise Refusal(400, f"{machine['name']} takes 1 to {machine['max_shots']} shots")
        session = order.get("session")
        if session is not None and not self.sessions.get(session, {}).get("open"):
            raise Refusal(400, f"the session {session} takes no jobs")
        with self.changed:
            job = Job(order)
            answer = dict(job.row)
            self.jobs[job.row["id"]] = job
            self.queues[order["machine"]].append(job)
            self._turn(job, "WAITING")
        return answer

    def look(self, name: str, query: dict[str, list[str]]) -> dict[str, Any]:
        with self.changed:
            job = self.job(name)
            before = job.row["status"]
            self.changed.wait_for(
                lambda: job.ended or job.row["status"] != before, timeout=float(query.get("wait", ["0"])[0])
            )
            queue = self.queues[job.row["machine"]]
            return {**job.row, "place": queue.index(job) + 1 if job in queue else None}

    def stop(self, name: str) -> dict[str, Any]:
        with self.changed:
            job = self.job(name)
            if job.ended:
                return {"stopping": False}
            job.stop = True
            if job.row["status"] != "EXECUTING":
                self._turn(job, "STOPPED", ended=_now())
            self.changed.notify_all()
            return {"stopping": True}

    def result(self, name: str) -> dict[str, Any]:
        job = self.job(name)
        if job.row["status"] != "FINISHED":
            raise Refusal(409, f"job {name} is {job.row['status']}")
        return {"circuits": job.results}

    def details(self, name: str) -> dict[str, Any]:
        job = self.job(name)
        times = {step: job.row[step] for step in ("created", "started", "ended") if job.row[step]}
        return {
            "log": f"{len(job.order['circuits'])} circuits on {job.row['machine']}",
            "circuits": [one["qpy"] for one in job.order["circuits"]],
            "options": job.order["options"],
            "times": times,
        }

    def page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        with self.changed:
            rows = [dict(job.row) for job in reversed(self.jobs.values()) if _fits(job.row, query)]
        after = query.get("cursor", [""])[0]
        names = [row["id"] for row in rows]
        rows = rows[names.index(after) + 1 :] if after in names else rows
        limit = int(query.get("limit", ["20"])[0])
        return {"jobs": rows[:limit], "cursor": rows[limit - 1]["id"] if len(rows) > limit else None}

    def relabel(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        with self.changed:
            self.job(name).row["tags"] = body["tags"]
        return {}

    def mark(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Give a job any status, as only tests want it."""
        with self.changed:
            self._turn(self.job(name), body["status"])
        return {}

    def delete(self, name: str) -> dict[str, Any]:
        with self.changed:
            self.job(name)
            del self.jobs[name]
        return {}

    def open_session(self, body: dict[str, Any]) -> dict[str, Any]:
        name = uuid.uuid4().hex
        self.sessions[name] = {"id": name, "open": True, "created": _now(), "closed": None, **body}
        return self.sessions[name]

    def session(self, name: str) -> dict[str, Any]:
        if name not in self.sessions:
            raise Refusal(404, f"no session {name}")
        return self.sessions[name]

    def close_session(self, name: str) -> dict[str, Any]:
        self.session(name).update(open=False, closed=_now())
        return {}


def _machine(name: str) -> dict[str, Any]:
    if name not in MACHINES:
        raise Refusal(404, f"no machine {name}")
    return MACHINES[name]


def _calibration(name: str, query: dict[str, list[str]]) -> dict[str, Any] | None:
    calibration: dict[str, Any] = _machine(name)["calibration"]
    before = query.get("before")
    return calibration if before is None or calibration["measured_at"] <= before[0] else None


def _fits(row: dict[str, Any], query: dict[str, list[str]]) -> bool:
    status = row["status"] if row["status"] in KNOWN else "OTHER"
    return (
        row["id"] in query.get("id", [row["id"]])
        and row["machine"] in query.get("machine", [row["machine"]])
        and status in query.get("status", [status])
        and set(query.get("tag", [])) <= set(row["tags"])
        and row["name"] in query.get("name", [row["name"]])
        and row["session"] in query.get("session", [row["session"]])
        and query.get("after", [""])[0] <= row["created"] <= query.get("before", ["9"])[0]
    )


def _run(one: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    circuit = qpy.load(io.BytesIO(base64.b64decode(one["qpy"])))[0]
    if one["values"]:
        circuit = circuit.assign_parameters(one["values"])
    numbers = sample(circuit, one["shots"], rng)
    registers = [
        {"name": register.name, "bits": register.size, "shots": values}
        for register, values in zip(circuit.cregs, numbers, strict=True)
    ]
    return {"shots": one["shots"], "registers": registers}


class Handler(BaseHTTPRequestHandler):
    """The routes."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet
    disable_nagle_algorithm = True
    service: ClassVar[Service]
    token: ClassVar[str]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.headers.get("Authorization") != f"Bearer {self.token}":
                raise Refusal(401, "unknown token")
            code, answer = 200, self._routed(json.loads(body) if body else {})
        except Refusal as exc:
            code, answer = exc.code, {"error": str(exc)}
        text = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def _routed(self, body: Any) -> Any:
        url, service = urlsplit(self.path), self.service
        query = parse_qs(url.query)
        routes: list[tuple[str, Callable[..., Any]]] = [
            ("GET /account", lambda: {"owner": "ada", "plan": "open", "instances": ["lab"], "left_s": 600.0}),
            ("GET /machines", lambda: {"machines": [_brief(machine) for machine in MACHINES.values()]}),
            ("GET /machines/([^/]+)", _machine),
            ("GET /machines/([^/]+)/state", lambda name: {"waiting": len(service.queues[_machine(name)["name"]])}),
            ("GET /machines/([^/]+)/calibration", lambda name: _calibration(name, query)),
            ("GET /machines/([^/]+)/defaults", lambda name: {"machine": _machine(name)["name"], "meas_level": 2}),
            ("POST /jobs", lambda: service.submit(body)),
            ("GET /jobs", lambda: service.page(query)),
            ("GET /jobs/([^/]+)", lambda name: service.look(name, query)),
            ("GET /jobs/([^/]+)/result", service.result),
            ("GET /jobs/([^/]+)/details", service.details),
            ("POST /jobs/([^/]+)/stop", service.stop),
            ("PUT /jobs/([^/]+)/tags", lambda name: service.relabel(name, body)),
            ("PUT /jobs/([^/]+)/status", lambda name: service.mark(name, body)),
            ("DELETE /jobs/([^/]+)", service.delete),
            ("POST /sessions", lambda: service.open_session(body)),
            ("GET /sessions/([^/]+)", service.session),
            ("DELETE /sessions/([^/]+)", service.close_session),
        ]
        for pattern, answer in routes:
            if found := re.fullmatch(pattern, f"{self.command} {url.path}"):
                return answer(*found.groups())
        raise Refusal(404, f"no route {url.path}")


def _brief(machine: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in machine.items() if key not in ("calibration", "gates", "pairs")}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    Handler.service, Handler.token = Service(), sys.argv[1]
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()

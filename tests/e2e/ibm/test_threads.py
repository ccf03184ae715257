"""Many threads over one provider: nothing of one call is seen in another, and nothing is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from qprovider_core.records import JobRef
from qprovider_ibm import IBMProvider

KEY = "an-api-key-of-many-threads-0123456789-0123456"
THREADS = 20


def together(work: Callable[[int], Any], number: int = THREADS) -> list[BaseException]:
    """What went wrong when so many threads did the work at once."""
    problems: list[BaseException] = []
    gate = threading.Barrier(number)

    def run(index: int) -> None:
        try:
            gate.wait(30)
            work(index)
        except BaseException as exc:
            problems.append(exc)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


def crn(index: int) -> str:
    return f"crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef:{index:04d}-2222::"


class Rotating:
    """A service that rejects a token after some requests, and counts how many exchanges go on at a time."""

    def __init__(self, serve: Callable[..., Any]) -> None:
        self._lock = threading.Lock()
        self.good, self.left, self.exchanging, self.most, self.rejected = 0, 0, 0, 0, 0
        self.server = serve(self._answer)

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Any:
        if path == "/identity/token":
            with self._lock:
                self.exchanging += 1
                self.most = max(self.most, self.exchanging)
            time.sleep(0.02)
            with self._lock:
                self.exchanging -= 1
                self.good += 1
                self.left = 300  # so many that no thread, however starved, meets two that have ended within one request
                return 200, {}, json.dumps({"access_token": f"bearer-{self.good:012d}", "expires_in": 3600}).encode()
        with self._lock:
            self.left -= 1
            if headers["authorization"] != f"Bearer bearer-{self.good:012d}" or self.left < 0:
                self.rejected += 1
                return 401, {}, b'{"errors": [{"code": 1201, "message": "Invalid credentials."}]}'
        job_id = path.rpartition("/")[2].partition("?")[0]
        told = {"id": job_id, "backend": "ibm_boston", "state": {"status": "Queued"}, "tags": [headers["service-crn"]]}
        return 200, {}, json.dumps({**told, "devices": []}).encode()


def test_no_thread_gets_the_headers_or_the_answer_of_another(serve):
    service = Rotating(serve)
    base = service.server.base
    with IBMProvider(KEY, instance=crn(999), endpoints={"iam": base, "api": f"{base}/api/v1"}) as provider:
        service.server.seen.clear()

        def work(index: int) -> None:
            for turn in range(20):
                name = f"job-{index}-{turn}"
                info = provider.account.ask("qprovider_get_job", job=JobRef(id=name, instance=crn(index)))
                assert (info.id, info.instance, info.tags) == (name, crn(index), (crn(index),))

        assert together(work) == []
    asked = [(path, headers) for _, path, headers, _ in service.server.seen if path.startswith("/api/v1/jobs/")]
    assert all(headers["service-crn"] == crn(int(path.split("-")[1])) for path, headers in asked)
    assert len({path for path, _ in asked}) == 20 * THREADS
    exchanges = [headers for _, path, headers, _ in service.server.seen if path == "/identity/token"]
    assert service.most == 1
    assert service.rejected > 0
    assert 1 <= len(exchanges) <= 2  # a token each 300 of 400 requests, however many threads had the old one
    assert not any("authorization" in headers or "service-crn" in headers for headers in exchanges)


def test_threads_that_list_submit_and_poll_while_the_token_expires_lose_nothing(emulator, bell):
    with IBMProvider(emulator.api_key) as provider:
        names = {crn: name for name, crn in emulator.instances.items()}
        places = sorted(emulator.instances.values())
        backends = [provider.get_backend("ibmq_qasm_simulator", instance=place) for place in places]
        emulator.clear_requests()
        sent: dict[str, tuple[int, str]] = {}

        def work(index: int) -> None:
            place = places[index % 2]
            found = provider.backends(instance=names[place])
            assert {backend.instance for backend in found} == {place}
            job = backends[index % 2].run(bell, shots=10 + index, job_tags=[f"thread-{index}"])
            sent[job.job_id()] = (index, place)
            if index == 0:
                emulator.fault("expire_tokens")
            assert sum(job.result(timeout=60).get_counts().values()) == 10 + index
            again = provider.retrieve_job(job.job_id())
            assert (again.tags(), again.instance) == ([f"thread-{index}"], place)

        assert together(work) == []
        requests = emulator.requests()
        accepted = [one for one in requests if (one["method"], one["path"]) == ("POST", "/api/v1/jobs")]
        assert Counter(one["crn"] for one in accepted if one["status"] == 200) == dict.fromkeys(places, THREADS // 2)
        polls = [one for one in requests if one["path"].rpartition("/")[2] in sent and one["status"] == 200]
        assert {one["crn"] == sent[one["path"].rpartition("/")[2]][1] for one in polls} == {True}
        exchanges = [one for one in requests if one["path"] == "/identity/token"]
        assert len(exchanges) == 1


def test_a_closed_provider_leaves_no_thread_that_keeps_the_process(emulator, bell):
    before = {thread.ident for thread in threading.enumerate()}
    with IBMProvider(emulator.api_key) as provider:
        assert provider.backends(basis_gates="cx")
        job = provider.get_backend("ibmq_qasm_simulator").run(bell)
        emulator.fault("latency", seconds=3, path="/api/v1/jobs/*")
        threading.Thread(target=job.refresh, daemon=True).start()
        time.sleep(0.3)
    left = [thread for thread in threading.enumerate() if thread.ident not in before]
    assert [thread.name for thread in left if not thread.daemon] == []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(thread.is_alive() for thread in left):
        time.sleep(0.05)
    assert [thread.name for thread in left if thread.is_alive()] == []


CALLS = """
import sys, threading, time
from qiskit import QuantumCircuit
from qprovider_ibm import IBMProvider
provider = IBMProvider(sys.argv[1], instance="premium-eu")
simulator = provider.get_backend("ibmq_qasm_simulator")
circuit = QuantumCircuit(1, 1)
circuit.measure(0, 0)
job = simulator.run(circuit)
_ = simulator.target
print("armed", flush=True)
sys.stdin.readline()
for call in (provider.backends, lambda: provider.backends(basis_gates="cx"), job.result, job.refresh, provider.jobs,
             lambda: simulator.run(circuit), simulator.status):
    threading.Thread(target=call, daemon=True).start()
time.sleep(0.5)
print("leaving", flush=True)
"""


def test_a_process_exits_at_once_with_calls_of_every_kind_outstanding(emulator):
    process = subprocess.Popen(
        [sys.executable, "-c", CALLS, emulator.api_key],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "armed\n"
        emulator.fault("latency", seconds=60, path="/api/v1/*")
        started = time.monotonic()
        out, err = process.communicate("\n", timeout=50)
    assert (process.returncode, out, err) == (0, "leaving\n", "")
    assert time.monotonic() - started < 15

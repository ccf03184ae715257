"""Many queries and many threads at once: bounded for each host, each thing asked once, and no wrong answer while
tokens expire."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qprovider_core.errors import DeadlineError
from qprovider_core.records import Deadline
from qprovider_ibm import IBMProvider
from qprovider_ibm._http import Transport
from qprovider_ibm._pools import MOST_AT_A_TIME, turn_at
from qprovider_ibm.emulator import Emulator

DEVICES = 40
THREADS = 200
LIFETIME_S = 2.0


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are remembered, as they are by default."""
    monkeypatch.delenv("QPROVIDER_CACHE")


@pytest.fixture(scope="module")
def many() -> Iterator[Emulator]:
    """A service of many backends."""
    with Emulator(backends=DEVICES, latency_s=0.05) as emulator:
        yield emulator


def together(work: Callable[[int], Any], number: int) -> list[str]:
    """What went wrong when so many threads did the work at once."""
    problems: list[str] = []
    gate = threading.Barrier(number)

    def run(index: int) -> None:
        try:
            gate.wait(60)
            work(index)
        except BaseException as exc:
            problems.append(f"{type(exc).__name__}: {exc}")

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


def paths(service: Emulator) -> Counter[str]:
    return Counter(one["path"] for one in service.requests())


def open_provider(service: Emulator, key: str | None = None, **endpoints: str) -> IBMProvider:
    places = {**service.endpoints(), **endpoints}
    return IBMProvider(key or service.api_key, instance=service.instances["premium-eu"], endpoints=places)


# -- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_accounts_together_have_no_more_than_so_many_requests_open_at_one_host(many, gateway):
    lock = threading.Lock()
    under_way, most = 0, 0

    def came(method: str, path: str, headers: dict[str, str]) -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)

    def goes(method: str, path: str, answer: Any) -> Any:
        nonlocal under_way
        with lock:
            under_way -= 1
        return answer

    base = gateway(goes, behind=many, instead=came).base
    providers = [open_provider(many, key, api=f"{base}/api/v1") for key in many.api_keys]
    many.fault("latency", seconds=0.3, path="/api/v1/backends/*")

    def work(index: int) -> None:
        found = providers[index].account.list_backends(basis_gates=["rz", "x"])
        assert (len(found) > DEVICES / 2, found.errors) == (True, [])

    try:
        assert together(work, 2) == []
    finally:
        many.clear_faults()
        for provider in providers:
            provider.close()
    assert under_way == 0
    assert MOST_AT_A_TIME / 2 < most <= MOST_AT_A_TIME


def test_whoever_gets_no_turn_before_the_deadline_is_told_that_nothing_was_sent(serve):
    server = serve(lambda *request: (200, {}, b"{}"))
    url, host = f"{server.base}/x", server.base.removeprefix("http://")
    turns = [turn_at(host, None) for _ in range(MOST_AT_A_TIME)]
    assert all(turn.__enter__() for turn in turns)
    with pytest.raises(DeadlineError, match=f"32 earlier requests to {host} wait for answers") as caught:
        Transport().send("POST", url, deadline=Deadline.after(0.05), place="a job")
    assert caught.value.arrived is False
    assert server.seen == []
    turns.pop().__exit__(None, None, None)
    assert Transport().send("POST", url, deadline=Deadline.after(20), place="a job").status == 200
    for turn in turns:
        turn.__exit__(None, None, None)
    other = serve(lambda *request: (200, {}, b"{}"))
    assert Transport().send("GET", f"{other.base}/x", deadline=Deadline.after(20), place="it").status == 200


def test_each_configuration_is_asked_for_once_although_several_queries_want_it(many):
    with open_provider(many) as provider:
        many.clear_requests()
        found: list[list[str]] = []
        queries = ({"basis_gates": "rz"}, {"basis_gates": ["rz", "x"]}, {"where": "'x' in basis_gates"})
        problems = together(lambda index: found.append(provider.account.list_backends(**queries[index % 3]).names()), 9)
    assert problems == []
    asked = {path: number for path, number in paths(many).items() if path.endswith("/configuration")}
    assert len(asked) == DEVICES
    assert set(asked.values()) == {1}
    assert paths(many)["/api/v1/backends"] == 1
    assert len(found[0]) > DEVICES / 2
    assert all(names == found[0] for names in found)


def test_a_facet_that_does_not_come_is_left_behind_at_the_deadline_and_later_queries_work(many):
    with open_provider(many) as provider:
        whole = provider.account.list_backends().names()
        many.fault("slow_backend", backend="ibm_hanoi", seconds=4)
        listed = provider.account.list_backends(where="num_qubits > 0 and 'rz' in basis_gates", timeout=1.5)
        assert set(whole) - set(listed.names()) == {"ibm:ibm_hanoi"}
        [error] = listed.errors
        assert "the configuration of 1 of its backends did not come within" in error.reason
        many.clear_faults()
        assert provider.account.list_backends("ibm_boston", basis_gates="rz").names() == ["ibm:ibm_boston"]
        later = provider.account.list_backends(where="num_qubits > 0 and 'rz' in basis_gates")
        assert (set(later.names()), later.errors) == (set(whole), [])


# -- two hundred threads, while tokens expire -------------------------------------------------------------------------


class Sitting:
    """What one account is asked by many threads, and what it must answer."""

    def __init__(self, provider: IBMProvider) -> None:
        self.account = provider.account
        self.provider = provider
        self.backends = provider.backends(simulator=False)
        self.names = provider.account.list_backends().names()
        self.with_cz = provider.account.list_backends(basis_gates="cz").names()
        self.job_ids = {job.job_id() for job in provider.jobs(limit=None)}
        self.qubits = {backend.name: backend.configuration().n_qubits for backend in self.backends}

    def turn(self, chance: random.Random) -> None:
        """One question, and whether its answer is right."""
        backend = chance.choice(self.backends)
        refresh = chance.random() < 0.5
        match chance.randrange(7):
            case 0:
                assert self.account.list_backends(refresh=refresh).names() == self.names
            case 1:
                found = self.account.list_backends(basis_gates="cz", refresh=refresh)
                assert (found.names(), found.errors) == (self.with_cz, [])
            case 2:
                assert backend.status().backend_name == backend.name
            case 3:
                properties = backend.properties(refresh=refresh)
                assert properties is not None
                assert properties.backend_name == backend.name
            case 4:
                configuration = backend.configuration(refresh=refresh)
                assert (configuration.backend_name, configuration.n_qubits) == (
                    backend.name,
                    self.qubits[backend.name],
                )
            case 5:
                assert {job.job_id() for job in self.provider.jobs(limit=None)} == self.job_ids
            case _:
                job_id = chance.choice(sorted(self.job_ids))
                assert self.provider.retrieve_job(job_id).job_id() == job_id


@pytest.mark.slow
def test_two_hundred_threads_get_right_answers_and_one_token_a_lifetime(bell):
    before = {thread.ident for thread in threading.enumerate()}
    with Emulator(backends=6, latency_s=0.01, token_lifetime_s=LIFETIME_S) as service:
        with open_provider(service) as provider:
            simulator = provider.get_backend("ibmq_qasm_simulator")
            for _ in range(3):
                simulator.run(bell, shots=10).result(timeout=60)
            sitting = Sitting(provider)
            service.clear_requests()
            begun, stop = time.monotonic(), threading.Event()
            turns, expired = Counter[int](), 0

            def work(index: int) -> None:
                chance = random.Random(index)
                while not stop.is_set():
                    sitting.turn(chance)
                    turns[index] += 1

            def end() -> None:
                nonlocal expired
                time.sleep(1.5 * LIFETIME_S)  # it ends by its time,
                while expired < 10 and not any(one["status"] == 401 for one in service.requests()):
                    service.fault(
                        "expire_tokens"
                    )  # and is refused in the middle of its life, if it was not just renewed
                    expired += 1
                    time.sleep(0.25 * LIFETIME_S)
                time.sleep(LIFETIME_S)
                stop.set()

            ending = threading.Thread(target=end)
            ending.start()
            problems = together(work, THREADS)
            ending.join()
            took_s = time.monotonic() - begun
            requests = service.requests()
        exchanges = [one for one in requests if one["path"] == "/identity/token"]
        refused = [one for one in requests if one["status"] == 401]
        assert problems == []
        assert len(turns) == THREADS
        assert {one["status"] for one in requests} <= {200, 401}
        # Renewed at 0.8 of its life at the earliest; the first one and those after a refusal are the more.
        assert 3 <= len(exchanges) <= took_s / (0.8 * LIFETIME_S) + 1 + expired
        assert {one["status"] for one in exchanges} == {200}
        assert refused
    deadline = time.monotonic() + 20
    left: list[threading.Thread] = []
    while time.monotonic() < deadline:
        left = [thread for thread in threading.enumerate() if thread.ident not in before and thread.is_alive()]
        if not left:
            break
        time.sleep(0.05)
    assert [thread.name for thread in left] == []

"""Handles in other processes: forked ones, and pickled ones."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from typing import Any

import pytest

from qprovider_ibm import IBMProvider
from qprovider_ibm._auth import token_source
from qprovider_ibm._http import Transport

forks = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the system does not fork")
# Python 3.12 warns of forks where there are threads; the test runner may have some.
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def in_forks(number: int, work: Any) -> list[Any]:
    """What `work` gives, or the text of its error, in each of so many forked processes at once."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def run(index: int) -> None:
        try:
            answers.put(work(index))
        except Exception as exc:
            answers.put(f"{type(exc).__name__}: {exc}")

    processes = [context.Process(target=run, args=(index,)) for index in range(number)]
    for process in processes:
        process.start()
    try:
        return [answers.get(timeout=60) for _ in processes]
    finally:
        for process in processes:
            process.join(10)
            process.kill()


@forks
@quiet
def test_forked_processes_do_not_mix_their_requests(provider, bell):
    simulator = provider.get_backend("ibmq_qasm_simulator")
    simulator.status()  # a connection stands open when it forks

    def work(index: int) -> list[int]:
        shots = [10 * (index + 1) + step for step in range(5)]
        return [simulator.run(bell, shots=one).result().get_counts().shots() - one for one in shots]

    assert in_forks(3, work) == [[0] * 5] * 3
    assert simulator.status().operational  # the parent's connections are as they were


@forks
@quiet
def test_a_lock_that_a_thread_held_does_not_stop_a_forked_process(provider):
    source = token_source(Transport(), "http://127.0.0.1:9", provider.account.credentials.token)
    release, held = threading.Event(), threading.Event()

    def hold() -> None:
        with source._exchanging:
            held.set()
            release.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        assert in_forks(1, lambda index: source._exchanging.acquire(timeout=5)) == [True]
    finally:
        release.set()
        thread.join()


def test_a_pickled_backend_keeps_its_fractional_gates_and_options(emulator):
    IBMProvider.save_account(emulator.api_key, instance="premium-eu")
    with IBMProvider() as provider:
        backend = provider.get_backend("ibm_torino", use_fractional_gates=True)
        backend.set_options(shots=77)
        again = pickle.loads(pickle.dumps(backend))
        assert again.use_fractional_gates
        assert "rzz" in again.operation_names
        assert again.options.shots == 77
        plain = pickle.loads(pickle.dumps(provider.get_backend("ibm_torino")))
        assert "rzz" not in plain.operation_names


def test_a_filter_may_ask_for_the_processor_and_the_version(provider):
    found = provider.backends(filters=lambda backend: backend.processor_type["family"] == "Heron")
    assert {backend.name for backend in found} == {"ibm_torino", "ibm_boston"}
    assert provider.backends(filters=lambda backend: backend.backend_version is None) == []

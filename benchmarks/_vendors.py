"""Vendors of this process, that answer as they are told to."""

from __future__ import annotations

import threading
import time
from typing import Any

import qprovider_core as qp

CRITERIA: dict[str, Any] = {"min_num_qubits": 100, "simulator": False, "operational": True}


def records(number: int) -> list[qp.BackendInfo]:
    """Records of that many backends; about a fifth of them satisfy `CRITERIA`."""
    return [
        qp.BackendInfo(
            name=f"device_{i}",
            num_qubits=31 * i % 157,
            pending_jobs=i % 53,
            operational=i % 11 != 0,
            simulator=i % 3 == 0,
        )
        for i in range(number)
    ]


def fits(record: qp.BackendInfo) -> bool:
    """`CRITERIA`, written by hand."""
    return (record.num_qubits or 0) >= 100 and record.simulator is False and record.operational is True


def queue(record: qp.BackendInfo) -> tuple[int, str]:
    """The order of least busy, written by hand."""
    return record.pending_jobs or 0, record.name


class Vendor:
    """A vendor whose list has new records at every call.

    Attributes:
        number: Of its backends.
        delay_s: What its service takes to answer.
        spent_s: Its own time of all calls so far, in seconds.
    """

    def __init__(self, name: str, number: int = 1, delay_s: float = 0.0) -> None:
        self.name, self.number, self.delay_s = name, number, delay_s
        self.spent_s = 0.0

    @qp.hookimpl
    def qprovider_provider(self) -> qp.ProviderSpec:
        return qp.ProviderSpec(name=self.name, title=self.name)

    @qp.hookimpl
    def qprovider_open_account(self) -> Vendor:
        return self

    @qp.hookimpl
    def qprovider_list_backends(self, connection: Vendor) -> list[qp.BackendInfo]:
        return connection.listed()

    def listed(self) -> list[qp.BackendInfo]:
        started = time.perf_counter()
        made = self.answer()
        self.spent_s += time.perf_counter() - started
        return made

    def answer(self) -> list[qp.BackendInfo]:
        time.sleep(self.delay_s)
        return records(self.number)


class Failing(Vendor):
    """One that cannot be reached."""

    def answer(self) -> list[qp.BackendInfo]:
        raise ConnectionError("the service is down")


class Hanging(Vendor):
    """One that does not answer until it is let go."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._go, self._idle = threading.Event(), threading.Condition()
        self._calls = 0

    def answer(self) -> list[qp.BackendInfo]:
        with self._idle:
            self._calls += 1
        try:
            self._go.wait(60)
            return []
        finally:
            with self._idle:
                self._calls -= 1
                self._idle.notify_all()

    def let_go(self) -> None:
        """End the calls that hang, and wait until they have ended."""
        self._go.set()
        with self._idle:
            self._idle.wait_for(lambda: not self._calls)
        time.sleep(0.05)  # until who called has noticed
        self._go.clear()

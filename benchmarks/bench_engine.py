"""The query engine: 100,000 backend records, and many vendors at once.

Beside ours runs what a user would write by hand: a list comprehension and `min` over the same records, and the
vendors asked one after another. Prints medians and their ratio.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import qprovider_core as qp
from qprovider_core.query import BackendQuery, sift
from qprovider_core.selection import least_busy_info

COUNT, REPEATS = 100_000, 5


class Vendor:
    """A vendor that answers with the same records after the same delay."""

    def __init__(self, name: str, records: list[qp.BackendInfo], delay_s: float = 0.0) -> None:
        self.name, self.records, self.delay_s = name, records, delay_s

    @qp.hookimpl
    def qprovider_provider(self) -> qp.ProviderSpec:
        return qp.ProviderSpec(name=self.name, title=self.name)

    @qp.hookimpl
    def qprovider_open_account(self) -> Vendor:
        return self

    @qp.hookimpl
    def qprovider_list_backends(self, connection: Vendor) -> list[qp.BackendInfo]:
        time.sleep(connection.delay_s)
        return connection.records


def interleaved(*runs: Callable[[], object]) -> list[float]:
    """The median seconds of each, run in turn so that a noisy moment hits all of them."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(REPEATS):
        for run, taken in zip(runs, times, strict=True):
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def show(what: str, ours: float, theirs: float, alternative: str) -> None:
    print(f"{what:<44} {ours * 1e3:8.1f} ms   {alternative}: {theirs * 1e3:8.1f} ms   ratio {ours / theirs:.2f}")


def main() -> None:
    records = [
        qp.BackendInfo(
            name=f"device_{i}", num_qubits=i % 157, pending_jobs=i % 53, operational=i % 11 != 0, simulator=i % 3 == 0
        )
        for i in range(COUNT)
    ]
    query = BackendQuery.build(min_num_qubits=100, simulator=False, operational=True)

    def engine() -> str:
        return least_busy_info(view.info for view in sift(query, records, lambda *_: None)[0]).name

    def by_hand() -> str:
        fit = [r for r in records if (r.num_qubits or 0) >= 100 and r.simulator is False and r.operational]
        return min(fit, key=lambda r: (r.pending_jobs, r.name)).name

    assert engine() == by_hand()
    show(f"{COUNT:,} records, 3 criteria, least busy", *interleaved(engine, by_hand), "by hand")

    qp.register_plugin(Vendor("large", records), "large")

    def whole() -> object:
        return qp.list_backends(provider="large", min_num_qubits=100, simulator=False, operational=True)

    show("the same as a query, checked and stamped", *interleaved(whole, by_hand), "by hand")

    one = [qp.BackendInfo(name="one", num_qubits=5)]
    for i in range(20):
        qp.register_plugin(Vendor(f"v{i}", one, 0.1), f"v{i}")
    names = [f"v{i}" for i in range(20)]

    def together() -> object:
        return qp.list_backends(provider=names)

    def in_turn() -> object:
        return [qp.list_backends(provider=name) for name in names]

    show("20 vendors of 100 ms", *interleaved(together, in_turn), "in turn")


if __name__ == "__main__":
    main()

"""The query engine: 100,000 records, and 10,000 backends of one vendor, beside what a user would write by hand.

By hand is a list comprehension and `min` over the same records, and, where users hold backends, a plain `BackendV2`
made of each record. Of whole queries only the time beyond the vendor's own is told, on both sides.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks._harness import Bench, Line, Measure, Sample, Side, stopwatch, timed
from benchmarks._sizes import Sizes

if TYPE_CHECKING:
    from benchmarks._vendors import Vendor

HAND = "by hand"
HANDLE_STEPS = ("listed as handles", "filtered by three criteria", "least busy of the same criteria")
RECORD_STEPS = ("listed as records", "filtered by three criteria, as records")


def benches(sizes: Sizes) -> Iterator[Bench]:
    group = f"The query engine, {sizes.records:,} records"
    line = Line("three criteria, least busy", "sift, least_busy_info", HAND)
    yield Bench("engine", group, (line,), functools.partial(engine, number=sizes.records), sizes.rounds(9), warm_up=1)
    line = Line("the same as a query: asked, checked and stamped", "list_backends", HAND)
    yield Bench("query", group, (line,), functools.partial(query, number=sizes.records), sizes.rounds(5), warm_up=1)
    group = f"{sizes.many:,} backends of one vendor, beyond the vendor's own time"
    lines = tuple(Line(step, "qprovider-core", "plain BackendV2, by hand") for step in HANDLE_STEPS)
    whole = Line("all three", "qprovider-core", "plain BackendV2, by hand", below=0.5)
    prepare = functools.partial(many_handles, number=sizes.many)
    yield Bench("many", group, (*lines, whole), prepare, sizes.rounds(9), warm_up=1)
    lines = tuple(Line(step, "qprovider-core", None) for step in RECORD_STEPS)
    prepare = functools.partial(many_records, number=sizes.many)
    yield Bench("many-records", group, lines, prepare, sizes.rounds(9), warm_up=1)


def engine(stack: ExitStack, number: int) -> tuple[Side, Side]:
    from benchmarks._vendors import CRITERIA, fits, queue, records
    from qprovider_core.query import BackendQuery, sift
    from qprovider_core.selection import least_busy_info

    listed = records(number)
    asked = BackendQuery.build(**CRITERIA)

    def ours() -> str:
        return least_busy_info(view.info for view in sift(asked, listed, lambda *_: None)[0]).name

    def by_hand() -> str:
        return min((record for record in listed if fits(record)), key=queue).name

    assert ours() == by_hand()
    return stopwatch(ours), stopwatch(by_hand)


def query(stack: ExitStack, number: int) -> tuple[Side, Side]:
    import qprovider_core as qp
    from benchmarks._vendors import CRITERIA, fits

    vendor = register(stack, "large", number)

    def ours() -> list[str]:
        return [one.name for one in qp.list_backends(provider="large", refresh=True, **CRITERIA)]

    def by_hand() -> list[str]:
        return [one.name for one in vendor.listed() if fits(one)]

    assert sorted(ours()) == sorted(by_hand())
    return beyond(vendor, ours), beyond(vendor, by_hand)


def many_handles(stack: ExitStack, number: int) -> tuple[Side, Side]:
    vendor = register(stack, "many", number)
    return steps(vendor, our_handles()), steps(vendor, plain_backends(vendor))


def many_records(stack: ExitStack, number: int) -> tuple[Side, None]:
    vendor = register(stack, "many", number)
    works = our_records()

    def side() -> Sample:
        return tuple(Measure(beyond_s(vendor, work)) for work in works)

    return side, None


# ------------------------------------------------------------------------------------- what is also a growth curve


def register(stack: ExitStack, name: str, number: int) -> Vendor:
    """A vendor of that many backends."""
    import qprovider_core as qp
    from benchmarks._vendors import Vendor

    vendor = Vendor(name, number)
    qp.register_plugin(vendor, name)
    stack.callback(qp.unregister_plugin, name)
    return vendor


def our_handles() -> list[Callable[[], Any]]:
    """The steps of `HANDLE_STEPS` with this project; each asks the vendor anew."""
    import qiskit  # noqa: F401  handles need it

    import qprovider_core as qp
    from benchmarks._vendors import CRITERIA

    asked: dict[str, Any] = {"provider": "many", "refresh": True}
    return [
        lambda: qp.backends(**asked),
        lambda: qp.backends(**asked, **CRITERIA),
        lambda: qp.least_busy(**asked, **CRITERIA).name,
    ]


def our_records() -> list[Callable[[], Any]]:
    import qprovider_core as qp
    from benchmarks._vendors import CRITERIA

    asked: dict[str, Any] = {"provider": "many", "refresh": True}
    return [lambda: qp.list_backends(**asked), lambda: qp.list_backends(**asked, **CRITERIA)]


def plain_backends(vendor: Vendor) -> list[Callable[[], Any]]:
    """The same steps with a `BackendV2` that has nothing but its record."""
    from qiskit.providers import BackendV2, Options

    from benchmarks._vendors import fits, queue

    class Plain(BackendV2):  # type: ignore[misc]
        def __init__(self, record: Any) -> None:
            super().__init__(name=record.name)
            self.record = record

        @classmethod
        def _default_options(cls) -> Options:
            return Options()

        @property
        def target(self) -> None:
            return None

        @property
        def max_circuits(self) -> None:
            return None

        def run(self, run_input: Any, **options: Any) -> None:
            raise NotImplementedError

    return [
        lambda: [Plain(record) for record in vendor.listed()],
        lambda: [Plain(record) for record in vendor.listed() if fits(record)],
        lambda: Plain(min((record for record in vendor.listed() if fits(record)), key=queue)).name,
    ]


def steps(vendor: Vendor, works: list[Callable[[], Any]]) -> Side:
    """A side that does one step after another, and tells of each and of all."""

    def side() -> Sample:
        taken = [beyond_s(vendor, work) for work in works]
        return (*map(Measure, taken), Measure(sum(taken)))

    return side


def beyond(vendor: Vendor, work: Callable[[], Any]) -> Side:
    return lambda: (Measure(beyond_s(vendor, work)),)


def beyond_s(vendor: Vendor, work: Callable[[], Any]) -> float:
    """Seconds that a call takes without those of the vendor itself."""
    vendor.spent_s = 0.0
    seconds, _ = timed(work)
    return max(seconds - vendor.spent_s, time.get_clock_info("perf_counter").resolution)

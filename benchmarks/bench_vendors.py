"""Several vendors at once: one hangs and one fails, and twenty that take a tenth of a second.

By hand they are asked one after another, each in a thread that is given up at the deadline.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks._harness import Bench, Line, Measure, Sample, Side, stopwatch, timed
from benchmarks._sizes import Sizes

if TYPE_CHECKING:
    from benchmarks._vendors import Vendor

OURS, HAND = "list_backends", "one after another"


def benches(sizes: Sizes) -> Iterator[Bench]:
    group = f"Several vendors, {1e3 * sizes.delay_s:g} ms each"
    line = Line(f"five, one hangs and one fails; deadline {sizes.deadline_s:g} s", OURS, f"{HAND}, with a deadline")
    prepare = functools.partial(trouble, delay_s=sizes.delay_s, deadline_s=sizes.deadline_s)
    yield Bench("five-vendors", group, (line,), prepare, sizes.rounds(7), warm_up=1)
    prepare = functools.partial(twenty, delay_s=sizes.delay_s)
    yield Bench("twenty-vendors", group, (Line("twenty", OURS, HAND),), prepare, sizes.rounds(7), warm_up=1)


def trouble(stack: ExitStack, delay_s: float, deadline_s: float) -> tuple[Side, Side]:
    import qprovider_core as qp
    from benchmarks._vendors import Failing, Hanging, Vendor

    hanging = Hanging("hangs")
    vendors: list[Vendor] = [
        *(Vendor(f"answers_{i}", delay_s=delay_s) for i in range(2)),
        hanging,
        Failing("fails"),
        Vendor("answers_2", delay_s=delay_s),
    ]
    names = _register(stack, vendors)

    def ours() -> tuple[int, int]:
        found = qp.list_backends(provider=names, timeout=deadline_s, refresh=True)
        return len(found), len(found.errors)

    def by_hand() -> tuple[int, int]:
        found: list[Any] = []
        errors = []
        for vendor in vendors:
            try:
                found += in_thread(vendor, deadline_s)
            except (TimeoutError, ConnectionError) as exc:
                errors.append(exc)
        return len(found), len(errors)

    def side(work: Any) -> Side:
        def run() -> Sample:
            seconds, (found, errors) = timed(work)
            hanging.let_go()
            return (Measure(seconds, answer=f"{found} backends, {errors} errors"),)

        return run

    return side(ours), side(by_hand)


def twenty(stack: ExitStack, delay_s: float) -> tuple[Side, Side]:
    from benchmarks._vendors import Vendor

    vendors = [Vendor(f"vendor_{i}", delay_s=delay_s) for i in range(20)]
    return together(stack, vendors), in_turn(vendors)


def together(stack: ExitStack, vendors: Sequence[Vendor]) -> Side:
    """One query of all of them."""
    import qprovider_core as qp

    names = _register(stack, vendors)
    return stopwatch(lambda: qp.list_backends(provider=names, refresh=True))


def in_turn(vendors: Sequence[Vendor]) -> Side:
    return stopwatch(lambda: [record for vendor in vendors for record in vendor.listed()])


def in_thread(vendor: Vendor, deadline_s: float) -> list[Any]:
    """What a user writes who wants a deadline for a call that has none.

    Raises:
        TimeoutError: It did not answer in time.
        ConnectionError: It failed.
    """
    told: list[Any] = []

    def ask() -> None:
        try:
            told.append(vendor.listed())
        except ConnectionError as exc:
            told.append(exc)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(deadline_s)
    if not told:
        raise TimeoutError(vendor.name)
    if isinstance(told[0], ConnectionError):
        raise told[0]
    return list(told[0])


def _register(stack: ExitStack, vendors: Sequence[Vendor]) -> list[str]:
    import qprovider_core as qp

    for vendor in vendors:
        qp.register_plugin(vendor, vendor.name)
        stack.callback(qp.unregister_plugin, vendor.name)
    return [vendor.name for vendor in vendors]

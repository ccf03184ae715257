"""From a device's two JSON documents to its `Target`: the core beside qiskit-ibm-runtime.

Both read the documents of a 156-qubit device as they would get them from the service, as bytes: one document after
another in one process, and the first one of a fresh process (with everything imported).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import _fresh
from benchmarks._harness import Bench, Line, Measure, Sample, Side, cpu_timed
from benchmarks._sizes import Sizes

DEVICE, OTHER = "fez", "qiskit-ibm-runtime"
WORK = {
    "target": "to a Target",
    "everything": "to a Target and all records",  # every value of the calibration in its record, times included
}


def benches(sizes: Sizes) -> Iterator[Bench]:
    group = "The documents of a device of 156 qubits"
    for work, title in WORK.items():
        prepare = functools.partial(in_turn, work=work)
        line = Line(title, "qprovider-core", OTHER, unit="CPU s")
        yield Bench(f"target-{work}", group, (line,), prepare, sizes.rounds(21), warm_up=1)
        prepare = functools.partial(first, work=work)
        line = Line(f"{title}, the first of a process", "qprovider-core", OTHER, unit="CPU s")
        yield Bench(f"target-{work}-first", group, (line,), prepare, sizes.rounds(7))


def in_turn(stack: ExitStack, work: str) -> tuple[Side, Side]:
    ours, theirs = side(work), side("runtime")
    mine, other = ours(), theirs()
    for name in other.operation_names:  # both sides make the same device
        assert (mine[name] or {}).keys() == (other[name] or {}).keys(), name
    return (lambda: (Measure(cpu_timed(ours)[0]),)), (lambda: (Measure(cpu_timed(theirs)[0]),))


def first(stack: ExitStack, work: str) -> tuple[Side, Side]:
    return lambda: _fresh.sample(measure_first, work), lambda: _fresh.sample(measure_first, "runtime")


def measure_first(name: str) -> Sample:
    return (Measure(cpu_timed(side(name))[0]),)


def side(name: str) -> Callable[[], Any]:
    """What makes a Target of the documents; what it needs is imported."""
    from qiskit_ibm_runtime.fake_provider import backends

    folder = Path(backends.__file__).parent / DEVICE
    configuration_text = (folder / f"conf_{DEVICE}.json").read_bytes()
    properties_text = (folder / f"props_{DEVICE}.json").read_bytes()
    if name == "runtime":
        from qiskit_ibm_runtime.utils.backend_converter import convert_to_target
        from qiskit_ibm_runtime.utils.backend_decoder import (
            configuration_from_server_data,
            properties_from_server_data,
        )

        def runtime() -> Any:
            """As its backend does it: with fractional gates, which this device's document lacks."""
            configuration = configuration_from_server_data(json.loads(configuration_text), use_fractional_gates=None)
            properties = properties_from_server_data(json.loads(properties_text), use_fractional_gates=None)
            return convert_to_target(configuration, properties)

        return runtime
    from qprovider_core import build_target
    from qprovider_core.qiskit_schema import configuration_from_document, properties_from_document

    def ours() -> Any:
        configuration = configuration_from_document(json.loads(configuration_text))
        properties = properties_from_document(json.loads(properties_text))
        if name == "everything":
            _ = properties.qubits, properties.gates, properties.general
        return build_target(configuration, properties)

    return ours

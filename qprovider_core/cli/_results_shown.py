"""Results as text and as JSON: counts of sampled circuits, expectation values of observables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from qprovider_core.cli._output import clean, say, say_histogram, say_table

if TYPE_CHECKING:
    from qprovider_core.records import EstimatePubResult, JobResult, SamplePubResult

_DIGITS = 6  # of an expectation value


def result_documents(result: Any) -> list[dict[str, Any]]:
    """What a job's `result()` gave, a document for each circuit and set of parameters.

    Raises:
        ResultError: It is neither Qiskit's `Result` nor a primitive's.
    """
    from qiskit.primitives import PrimitiveResult  # late: Qiskit takes seconds
    from qiskit.result import Result

    if isinstance(result, Result):
        return [
            {"circuit": _name(one.header, position), "counts": dict(result.get_counts(position))}
            for position, one in enumerate(result.results)
        ]
    if isinstance(result, PrimitiveResult):
        return [document for position, pub in enumerate(result) for document in _of_primitive(pub, position)]
    from qprovider_core.errors import ResultError

    raise ResultError(
        f"A result of type {type(result).__name__} cannot be shown here.",
        hint="Read it from Python: qp.job(ID).result().",
    )


def record_documents(record: JobResult) -> list[dict[str, Any]]:
    """The same of a result as the ledger keeps it."""
    from qprovider_core.records import EstimatePubResult  # late: help needs no core

    found: list[dict[str, Any]] = []
    for position, pub in enumerate(record.pubs):
        if isinstance(pub, EstimatePubResult):
            found.append(_estimates(pub, position))
        else:
            found += _samples(pub, position)
    return found


def _name(header: Any, position: int) -> str:
    name = header.get("name") if isinstance(header, Mapping) else getattr(header, "name", None)
    return str(name or f"circuit-{position}")


def _estimates(pub: EstimatePubResult, position: int) -> dict[str, Any]:
    shape = pub.shape if pub.shape or len(pub.evs) == 1 else (len(pub.evs),)
    return _values(_name(pub.metadata, position), shape, pub.evs, pub.stds)


def _values(name: str, shape: Sequence[int], evs: Sequence[float], stds: Sequence[float] | None) -> dict[str, Any]:
    errors = None if stds is None else list(stds)
    return {"circuit": name, "shape": list(shape), "evs": list(evs), "stds": errors}


def _samples(pub: SamplePubResult, position: int) -> Iterator[dict[str, Any]]:
    from qprovider_core._result import Samples  # late: imports Qiskit

    name = str(pub.metadata.get("circuit_name") or f"circuit-{position}")
    for index in range(pub.num_sets):
        yield {"circuit": name, "counts": Samples(pub, None, index).counts}


def _of_primitive(pub: Any, position: int) -> Iterator[dict[str, Any]]:
    import numpy as np  # late: comes with Qiskit

    name, data = _name(pub.metadata, position), pub.data
    if "evs" in data:
        evs = np.asarray(data["evs"])
        stds = np.asarray(data["stds"]).ravel().tolist() if "stds" in data else None
        yield _values(name, evs.shape, evs.ravel().tolist(), stds)
        return
    from collections import Counter

    registers = list(data.values())
    for place in np.ndindex(data.shape):
        # The last register is the leftmost, as in Qiskit's counts.
        outcomes = zip(*(register[place].get_bitstrings() for register in reversed(registers)), strict=True)
        yield {"circuit": name, "counts": dict(Counter(map(" ".join, outcomes)))}


def say_results(documents: Sequence[Mapping[str, Any]]) -> None:
    """Bars for counts, a table for expectation values; with the circuit's name where there are several."""
    for number, document in enumerate(documents):
        if len(documents) > 1:
            say(f"{'' if number == 0 else chr(10)}{clean(document['circuit'])}")
        if "counts" in document:
            say_histogram(document["counts"])
        else:
            _say_values(document)


def _say_values(document: Mapping[str, Any]) -> None:
    shape, evs, stds = document["shape"], document["evs"], document["stds"]
    places = product(*map(range, shape))
    rows = []
    for number, (place, value) in enumerate(zip(places, evs, strict=True)):
        row = [", ".join(map(str, place)), f"{value:.{_DIGITS}g}"]
        if stds is not None:
            row.append(f"{stds[number]:.2g}")
        rows.append(row if shape else row[1:])
    titles = ["index", "expectation value", "standard error"]
    shown = titles[0 if shape else 1 : 2 if stds is None else 3]
    say_table(shown, rows, right=shown)

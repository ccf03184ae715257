"""Kerneled results (``meas_level=1``): complex values for each bit in the place of bits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qprovider_core.records import SamplePubResult
from qprovider_ibm._codec import decode

KERNELED = "kerneled"  # register to its complex data as a tagged array: (*shape, shots, bits) or (*shape, bits)


def kerneled_data(pub: SamplePubResult) -> dict[str, NDArray[np.complex128]]:
    """Register to its data, (*shape, shots, bits) or (*shape, bits)."""
    data: dict[str, NDArray[np.complex128]] = decode(pub.metadata.get(KERNELED, {}))
    return data


def kerneled_of_each(pubs: Iterable[SamplePubResult]) -> list[NDArray[np.complex128] | None] | None:
    """For each set of parameters of each pub its data, registers one after another: (shots, bits) or (bits,).

    Returns:
        None for a set without any; None in place of the list where no pub has any.
    """
    found: list[NDArray[np.complex128] | None] = []
    for pub in pubs:
        data = list(kerneled_data(pub).values())
        if not data:
            found += [None] * pub.num_sets
            continue
        joined = np.concatenate(data, axis=-1)
        found.extend(joined.reshape((math.prod(pub.shape), *joined.shape[len(pub.shape) :])))
    return None if all(values is None for values in found) else found


class KerneledData:
    """What `ExperimentResult.data` is for kerneled outcomes: no counts; memory in Qiskit's pairs of real numbers."""

    _data_attributes = ("memory",)

    def __init__(self, values: NDArray[np.complex128]) -> None:
        self._values = values

    @cached_property
    def memory(self) -> list[Any]:
        pairs: list[Any] = np.stack([self._values.real, self._values.imag], axis=-1).tolist()
        return pairs

    def to_dict(self) -> dict[str, Any]:
        return {"memory": self.memory}

    def __repr__(self) -> str:
        return f"<data: kerneled memory of shape {self._values.shape}>"

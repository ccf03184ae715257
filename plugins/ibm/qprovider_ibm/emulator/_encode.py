"""Results as the service writes them: JSON with tagged objects. Imports numpy."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray


def tagged(kind: str, value: Any) -> dict[str, Any]:
    return {"__type__": kind, "__value__": value}


def ndarray(array: NDArray[Any]) -> dict[str, Any]:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return tagged("ndarray", base64.b64encode(zlib.compress(file.getvalue())).decode())


def bit_array(array: NDArray[np.uint8], num_bits: int) -> dict[str, Any]:
    return tagged("BitArray", {"array": ndarray(array), "num_bits": num_bits})


def data_bin(fields: Mapping[str, Any], types: Sequence[str], shape: Sequence[int]) -> dict[str, Any]:
    return tagged(
        "DataBin",
        {"field_names": list(fields), "field_types": list(types), "shape": list(shape), "fields": dict(fields)},
    )


def moment(when: datetime) -> dict[str, Any]:
    """In UTC, without an offset."""
    return tagged("datetime", when.astimezone(UTC).replace(tzinfo=None).isoformat())


def spans(start: datetime, stop: datetime, shapes: Sequence[tuple[Sequence[int], int]]) -> dict[str, Any]:
    """One span over everything: the pubs' shapes, each with its shots."""
    slices = {
        str(place): [[*shape, shots], 0, int(np.prod(shape, dtype=np.int64)), 0, shots]
        for place, (shape, shots) in enumerate(shapes)
    }
    span = tagged("DoubleSliceSpan", {"start": moment(start), "stop": moment(stop), "data_slices": slices})
    return tagged("ExecutionSpans", {"spans": [span]})


def text(document: Any) -> bytes:
    return json.dumps(document, default=_plain).encode()


def _plain(value: Any) -> Any:
    """What a circuit's metadata may hold beside JSON types."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return ndarray(value)
    if isinstance(value, complex):
        return tagged("complex", [value.real, value.imag])
    if isinstance(value, set | frozenset):
        return tagged("set", list(value))
    return str(value)

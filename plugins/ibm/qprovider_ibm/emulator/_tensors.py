"""Tensors of the `executor` program: C order, little-endian, booleans packed, the first one lowest. Imports numpy."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qprovider_ibm.emulator._executor_params import SIZES
from qprovider_ibm.emulator._isa import JobError


def read(value: Mapping[str, Any], *, packed: bool) -> NDArray[Any]:
    """The array.

    Raises:
        JobError: The data does not fit its shape and type.
    """
    shape, kind = tuple(value["shape"]), value["dtype"]
    try:
        data = base64.b64decode(value["data"], validate=True)
        data = zlib.decompress(data) if packed else data
    except (ValueError, zlib.error) as exc:
        raise JobError(f"A tensor's data cannot be read: {exc}", code=1239) from exc
    size = math.prod(shape)
    if len(data) != math.ceil(size * SIZES[kind]):
        raise JobError(f"A tensor of {kind} of shape {list(shape)} has {len(data)} bytes of data.", code=1239)
    if kind == "bool":
        bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=size, bitorder="little")
        return bits.astype(np.bool_).reshape(shape)
    array: NDArray[Any] = np.frombuffer(data, dtype=f"<{kind[0]}{int(kind[1:]) // 8}").reshape(shape)
    return array


def write(array: NDArray[Any], *, packed: bool) -> dict[str, Any]:
    """The tensor of an array of any type that there is for tensors."""
    if array.dtype == np.bool_:
        kind, data = "bool", np.packbits(array, bitorder="little").tobytes()
    else:
        size = array.dtype.itemsize
        kind = f"{array.dtype.kind}{8 * size}"
        if kind not in SIZES:
            raise JobError(f"There is no tensor of the type {array.dtype}.")
        data = array.astype(f"<{array.dtype.kind}{size}").tobytes()
    text = base64.b64encode(zlib.compress(data) if packed else data).decode()
    return {"data": text, "shape": list(array.shape), "dtype": kind}

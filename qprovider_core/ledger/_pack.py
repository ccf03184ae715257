"""Values as bytes and back: JSON for the form, plain bytes beside it for what is long. Nothing is pickled, nothing is
imported by name, and nothing grows beyond what its own header says.

A value that has no form here becomes its text, and is counted in `Packed.lost`.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from array import array
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import attrs

from qprovider_core.records.jobs import EstimatePub, JobUsage, QueueInfo, SamplePub
from qprovider_core.records.results import EstimatePubResult, JobResult, RegisterBits, SamplePubResult
from qprovider_core.secret import MASK, Secret

MOST_BYTES = 1 << 30  # of one packed value, in either form
_HEAD = struct.Struct("<4sBQQ")  # mark, whether deflated, length of the JSON, length of all
_MARK = b"QPL1"
_TAG = "~"
_MANY = 16  # numbers from which on a tuple of them is kept as bytes
_SAMPLE = 1 << 16
_RECORDS: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (EstimatePub, EstimatePubResult, JobResult, JobUsage, QueueInfo, RegisterBits, SamplePub,
                 SamplePubResult)
}  # fmt: skip


class UnreadableError(ValueError):
    """Bytes that are not of this form."""


class Packer:
    """Packs one value.

    Attributes:
        lost: Kinds of the values that could only be kept as text.
    """

    def __init__(self) -> None:
        self.lost: set[str] = set()
        self._blobs: list[bytes | memoryview] = []

    def pack(self, value: Any) -> bytes:
        """The value as bytes."""
        form = json.dumps({"v": self.form(value), "b": [len(blob) for blob in self._blobs]}).encode()
        body = b"".join([form, *self._blobs])
        size = len(body)
        deflated = _worth_deflating(body)
        return _HEAD.pack(_MARK, deflated, len(form), size) + (zlib.compress(body, 1) if deflated else body)

    def form(self, value: Any) -> Any:
        """The value in JSON types; bytes are put aside."""
        if value is None or isinstance(value, bool | str):
            return str(value) if isinstance(value, str) and type(value) is not str else value
        if isinstance(value, Enum):
            return self.form(value.value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {_TAG: "float", "v": repr(float(value))}
        return self._composed(value)

    def _composed(self, value: Any) -> Any:
        if isinstance(value, bytes | bytearray | memoryview):
            return {_TAG: "bytes", "at": self._aside(bytes(value) if isinstance(value, bytearray) else value)}
        if isinstance(value, list | tuple):
            if isinstance(value, tuple) and len(value) >= _MANY and all(type(one) is float for one in value):
                return {_TAG: "floats", "at": self._aside(array("d", value).tobytes())}
            items = [self.form(one) for one in value]
            return items if isinstance(value, list) else {_TAG: "tuple", "v": items}
        if isinstance(value, Mapping):
            if all(type(key) is str and key != _TAG for key in value):
                return {key: self.form(one) for key, one in value.items()}
            return {_TAG: "pairs", "v": [[self.form(key), self.form(one)] for key, one in value.items()]}
        if isinstance(value, datetime):
            return {_TAG: "time", "v": value.isoformat()}
        if isinstance(value, complex):
            return {_TAG: "complex", "v": [self.form(value.real), self.form(value.imag)]}
        if isinstance(value, set | frozenset):
            return [self.form(one) for one in sorted(value, key=repr)]
        return self._known(value)

    def _known(self, value: Any) -> Any:
        for kind in type(value).__mro__:  # a vendor's own subclass is kept as what it is a subclass of
            if _RECORDS.get(kind.__name__) is kind:
                fields = {field.name: self.form(getattr(value, field.name)) for field in attrs.fields(kind)}
                return {_TAG: "record", "k": kind.__name__, "v": fields}
        if isinstance(value, Secret):
            return MASK
        if hasattr(value, "__array_interface__"):
            return self._array(value)
        self.lost.add(type(value).__name__)
        try:
            text = repr(value)
        except Exception:  # noqa: BLE001  a stranger's object may fail at this
            text = f"<{type(value).__name__}>"
        return {_TAG: "text", "v": text[:2000]}

    def _array(self, value: Any) -> Any:
        import numpy as np  # late: whoever has an array has loaded it

        found = np.asarray(value)
        if found.dtype.kind not in "biufc":
            return self.form(found.tolist()) if found.dtype.kind in "US" else self._known(found.tolist())
        if found.ndim == 0:
            return self.form(found.item())
        data = np.ascontiguousarray(found).astype(found.dtype.newbyteorder("<"), copy=False)
        return {_TAG: "array", "t": data.dtype.str, "s": list(data.shape), "at": self._aside(data.tobytes())}

    def _aside(self, blob: bytes | memoryview) -> int:
        self._blobs.append(blob)
        return len(self._blobs) - 1


def _worth_deflating(body: bytes) -> bool:
    """Random bits do not shrink, and trying takes longer than writing them."""
    if len(body) < 200:
        return False
    middle = max(0, len(body) // 2 - _SAMPLE // 2)
    sample = body[middle : middle + _SAMPLE]
    return len(zlib.compress(sample, 1)) < 0.9 * len(sample)


def unpack(data: bytes) -> Any:
    """The value that was packed.

    Raises:
        UnreadableError: They are other bytes.
    """
    try:
        mark, deflated, form_size, size = _HEAD.unpack_from(data)
        if mark != _MARK or not form_size <= size <= MOST_BYTES:
            raise UnreadableError("its head is damaged")
        body = memoryview(data)[_HEAD.size :]
        if deflated:
            inflater = zlib.decompressobj()
            body = memoryview(inflater.decompress(body, size + 1))
        if len(body) != size:
            raise UnreadableError("it is cut short, or too long")
        read = json.loads(bytes(body[:form_size]))
        blobs, start = [], form_size
        for length in read["b"]:
            blobs.append(body[start : start + length])
            start += length
        if start != size:
            raise UnreadableError("its parts do not add up")
        return _value(read["v"], blobs)
    except UnreadableError:
        raise
    except (struct.error, zlib.error, ValueError, TypeError, KeyError, IndexError, AttributeError) as exc:
        raise UnreadableError(f"{type(exc).__name__}: {exc}") from exc


def _value(form: Any, blobs: list[memoryview]) -> Any:
    if isinstance(form, list):
        return [_value(one, blobs) for one in form]
    if not isinstance(form, dict):
        return form
    if _TAG not in form:
        return {key: _value(one, blobs) for key, one in form.items()}
    tag = form[_TAG]
    if tag == "tuple":
        return tuple(_value(one, blobs) for one in form["v"])
    if tag == "record":
        kind = _RECORDS[form["k"]]
        known = {field.name for field in attrs.fields(kind)}
        return kind(**{name: _value(one, blobs) for name, one in form["v"].items() if name in known})
    if tag == "pairs":
        return {_value(key, blobs): _value(one, blobs) for key, one in form["v"]}
    if tag == "complex":
        return complex(*(_value(one, blobs) for one in form["v"]))
    if tag == "time":
        moment = datetime.fromisoformat(form["v"])
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    if tag == "float":
        return float(form["v"])
    if tag == "text":
        return form["v"]
    blob = blobs[form["at"]]
    if tag == "bytes":
        return bytes(blob)
    if tag == "floats":
        numbers = array("d")
        numbers.frombytes(blob)
        return tuple(numbers)
    if tag == "array":
        return _array(form, blob)
    raise UnreadableError(f"unknown form {tag!r}")


def _array(form: Mapping[str, Any], blob: memoryview) -> Any:
    import numpy as np  # late: only results with arrays need it

    kind = np.dtype(form["t"])
    if kind.kind not in "biufc":
        raise UnreadableError(f"unknown numbers {form['t']!r}")
    return np.frombuffer(blob, dtype=kind).reshape(form["s"]).copy()

"""Values as bytes and back: JSON for the form, plain bytes beside it for what is long. Nothing is pickled, nothing is
imported by name, and nothing grows beyond what its own header says.

A value that has no form here becomes its text, and is counted in `Packer.lost`. Secrets are masked wherever they stand,
but in the keys of mappings.
"""

from __future__ import annotations

import json
import math
import re
import struct
import sys
import zlib
from array import array
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import attrs

from qprovider_core.records.jobs import EstimatePub, JobUsage, QueueInfo, SamplePub
from qprovider_core.records.results import EstimatePubResult, JobResult, RegisterBits, SamplePubResult
from qprovider_core.secret import MASK, Secret, scrub

MOST_BYTES = 1 << 30  # of one packed value, in either form
_HEAD = struct.Struct("<4sBQQ")  # mark, whether deflated, length of the JSON, length of all
_MARK = b"QPL1"
_TAG = "~"
_MANY = 16  # numbers from which on a tuple of them is kept as bytes
_DEEPEST = 100  # of values within values
_SAMPLE = 1 << 16
_EXACT = 1 << 63  # whole numbers below it are written in decimal
_LONGEST_TEXT = 2000  # of what stands for a value without a form
_NUMBERS = re.compile(r"[<>|=]?(b1|[iufc]\d{1,2})")  # numpy's names of the kinds of numbers that are kept
_RECORDS: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (EstimatePub, EstimatePubResult, JobResult, JobUsage, QueueInfo, RegisterBits, SamplePub,
                 SamplePubResult)
}  # fmt: skip
# Whatever a damaged value can bring the constructors to raise.
_FAULTS = (
    struct.error, zlib.error, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError,
    MemoryError,
)  # fmt: skip


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
        self._within = False  # whether bytes stand within the JSON
        self._depth = 0

    def pack(self, value: Any) -> bytes:
        """The value as bytes."""
        form = json.dumps({"v": self.form(value), "b": [len(blob) for blob in self._blobs]}).encode()
        body = b"".join([form, *self._blobs])
        deflated = _worth_deflating(body)
        return _HEAD.pack(_MARK, deflated, len(form), len(body)) + (zlib.compress(body, 1) if deflated else body)

    def json_form(self, value: Any) -> Any:
        """The value in JSON types alone."""
        self._within = True
        return self.form(value)

    def form(self, value: Any) -> Any:
        """The value in JSON types; bytes are put aside."""
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return scrub(str.__str__(value))
        if isinstance(value, int):
            number = int(value)
            return number if -_EXACT <= number < _EXACT else {_TAG: "int", "v": hex(number)}
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {_TAG: "float", "v": repr(float(value))}
        if self._depth > _DEEPEST:
            return self._as_text(value)
        self._depth += 1
        try:
            return self._composed(value)
        except Exception:  # noqa: BLE001  a stranger's object may fail at anything
            return self._as_text(value)
        finally:
            self._depth -= 1

    def _composed(self, value: Any) -> Any:
        if isinstance(value, bytes | bytearray | memoryview):
            return {_TAG: "bytes", "at": self._aside(value)}
        if isinstance(value, tuple) and len(value) >= _MANY and all(type(one) is float for one in value):
            return {_TAG: "floats", "at": self._aside(_swapped(array("d", value)).tobytes())}
        if isinstance(value, list | array):
            return [self.form(one) for one in value]
        if isinstance(value, tuple):
            return {_TAG: "tuple", "v": [self.form(one) for one in value]}
        if isinstance(value, Mapping):
            if all(type(key) is str and key != _TAG for key in value):
                return {key: self.form(one) for key, one in value.items()}
            return {_TAG: "pairs", "v": [[self.form(key), self.form(one)] for key, one in value.items()]}
        if isinstance(value, datetime):
            return {_TAG: "time", "v": datetime.isoformat(value)}
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
        return self._as_text(value)

    def _array(self, value: Any) -> Any:
        import numpy as np  # late: whoever has an array has loaded it

        found = np.asarray(value)
        if found.dtype.kind not in "biufc":
            return self.form(found.tolist()) if found.dtype.kind in "OUS" and found.ndim else self._as_text(value)
        if found.ndim == 0 and type(found.item()) in (bool, int, float, complex):
            return self.form(found.item())
        data = np.ascontiguousarray(found).astype(found.dtype.newbyteorder("<"), copy=False)
        return {_TAG: "array", "t": data.dtype.str, "s": list(found.shape), "at": self._aside(data.tobytes())}

    def _as_text(self, value: Any) -> Any:
        self.lost.add(type(value).__name__)
        try:
            text = repr(value)
        except Exception:  # noqa: BLE001  a stranger's object may fail at this
            text = f"<{type(value).__name__}>"
        return {_TAG: "text", "v": scrub(text)[:_LONGEST_TEXT]}

    def _aside(self, blob: bytes | bytearray | memoryview) -> int | str:
        is_view = isinstance(blob, memoryview) and blob.c_contiguous and blob.nbytes  # which need not be copied
        plain = memoryview(blob).cast("B") if is_view else bytes(blob)
        if self._within:
            return b64encode(plain).decode()
        self._blobs.append(plain)
        return len(self._blobs) - 1


def _swapped(numbers: array[float]) -> array[float]:
    """As they are kept: the lowest byte first."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


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
            body = memoryview(inflated(body, size))
        if len(body) != size:
            raise UnreadableError("it is cut short, or too long")
        read = json.loads(bytes(body[:form_size]))
        blobs, start = [], form_size
        for length in read["b"]:
            if not 0 <= length <= size - start:
                raise UnreadableError("its parts do not add up")
            blobs.append(body[start : start + length])
            start += length
        if start != size:
            raise UnreadableError("its parts do not add up")
        return value_of(read["v"], blobs)
    except UnreadableError:
        raise
    except _FAULTS as exc:
        raise UnreadableError(f"{type(exc).__name__}: {exc}") from exc


def inflated(data: bytes | memoryview, most: int) -> bytes:
    """What was deflated.

    Raises:
        UnreadableError: It is more than `most` bytes, or cut short.
        zlib.error: It is damaged.
    """
    inflater = zlib.decompressobj()
    plain = inflater.decompress(data, most + 1)
    if len(plain) > most or not inflater.eof or inflater.unused_data:
        raise UnreadableError("it is cut short, or too long")
    return plain


def from_json_form(form: Any) -> Any:
    """The value of a `Packer.json_form`.

    Raises:
        UnreadableError: It is of another form.
    """
    try:
        return value_of(form, ())
    except UnreadableError:
        raise
    except _FAULTS as exc:
        raise UnreadableError(f"{type(exc).__name__}: {exc}") from exc


def value_of(form: Any, blobs: Sequence[memoryview]) -> Any:
    """The value of a form; whatever is wrong with it is raised as it comes."""
    if isinstance(form, list):
        return [value_of(one, blobs) for one in form]
    if not isinstance(form, dict):
        return form
    if _TAG not in form:
        return {key: value_of(one, blobs) for key, one in form.items()}
    tag = form[_TAG]
    if tag == "tuple":
        return tuple(value_of(one, blobs) for one in form["v"])
    if tag == "record":
        kind = _RECORDS[form["k"]]
        known = {field.name for field in attrs.fields(kind)}
        return kind(**{name: value_of(one, blobs) for name, one in form["v"].items() if name in known})
    if tag == "pairs":
        return {value_of(key, blobs): value_of(one, blobs) for key, one in form["v"]}
    if tag == "complex":
        return complex(*(value_of(one, blobs) for one in form["v"]))
    if tag == "time":
        moment = datetime.fromisoformat(form["v"])
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    if tag == "float":
        return float(form["v"])
    if tag == "int":
        return int(form["v"], 16)
    if tag == "text":
        return form["v"]
    at = form["at"]
    blob = memoryview(b64decode(at, validate=True)) if isinstance(at, str) else blobs[at]
    if tag == "bytes":
        return bytes(blob)
    if tag == "floats":
        numbers = array("d")
        numbers.frombytes(blob)
        return tuple(_swapped(numbers))
    if tag == "array":
        return _array(form, blob)
    raise UnreadableError(f"unknown form {tag!r}")


def _array(form: Mapping[str, Any], blob: memoryview) -> Any:
    import numpy as np  # late: only results with arrays need it

    if not _NUMBERS.fullmatch(form["t"]):
        raise UnreadableError(f"unknown numbers {form['t']!r}")
    kind = np.dtype(form["t"])
    numbers = np.frombuffer(blob, dtype=kind) if len(blob) else np.empty(0, dtype=kind)
    return numbers.reshape(form["s"]).copy()

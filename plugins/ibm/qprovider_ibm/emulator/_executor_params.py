"""The params of an `executor` job, checked as the service does before it accepts them.

Like the checks of the other programs these import neither Qiskit nor numpy.

Schema v2.0, which is what IBM's client writes, and v1.0 and v1.1, which are the same but for the compression of
circuits and tensors. The published schemas v1.0 and v1.1 take QPY of versions 13 to 17; v2.0 names no highest one, and
IBM's client 0.51 with Qiskit 2.6 writes 18 there, so 13 to 18 are read. Pubs of the other programs stay at 13 to 17.
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from qprovider_ibm.emulator._params import QPY_VERSIONS, Work, rep_delay_within
from qprovider_ibm.emulator._schema import (
    Check,
    Invalid,
    any_object,
    anything,
    boolean,
    either,
    integer,
    list_of,
    one_of,
    optional,
    table,
    text,
)

# By schema: the versions of QPY and whether circuits and tensors are compressed.
SCHEMAS: Mapping[str, tuple[range, bool]] = {
    "v1.0": (QPY_VERSIONS, False),
    "v1.1": (QPY_VERSIONS, False),
    "v2.0": (range(QPY_VERSIONS[0], QPY_VERSIONS[-1] + 2), True),
}
SIZES = {
    "f16": 2,
    "f32": 4,
    "f64": 8,
    "c64": 8,
    "c128": 16,
    **{f"{kind}{bits}": bits // 8 for kind in "iu" for bits in (8, 16, 32, 64)},
    "bool": 0.125,
}
MEAS_LEVELS = ("classified", "kerneled", "avg_kerneled")
_HEAD = 18  # QISKIT, the versions of QPY and of Qiskit, and the number of circuits
_chunk_size = either(one_of("auto"), integer(1))
_shape = list_of(integer(0))


def tensor(*types: str) -> Check:
    """Of one of these types, of all where none is named."""
    known = types or tuple(SIZES)

    def check(value: Any, path: str) -> None:
        table({"data": text, "shape": _shape, "dtype": one_of(*known)})(value, path)
        for name in ("data", "shape", "dtype"):
            if name not in value:
                raise Invalid(f"{path}.{name}", "it is needed")

    return check


_NOISE = table({"sparse_terms": list_of(anything), "num_qubits": integer(0)})


def _argument(value: Any, path: str) -> None:
    """Of a samplex."""
    if isinstance(value, dict):
        (_NOISE if "sparse_terms" in value else tensor())(value, path)
    elif not isinstance(value, bool):
        integer(-(2**63), 2**63 - 1)(value, path)


def check_executor_params(
    params: Any, *, max_shots: int, rep_delay_range_s: tuple[float, float] | None, samplomatic: bool | None = None
) -> Work:
    """Check the params of an `executor` job.

    Args:
        samplomatic: Whether IBM's package of this name is there, which items of the type `samplex` need; looked up
            without.

    Raises:
        Invalid: They are wrong.
    """
    any_object(params, "params")
    if params.get("schema_version") not in SCHEMAS:
        raise Invalid(
            "params.schema_version", f"{params.get('schema_version')!r} is not one of {', '.join(map(repr, SCHEMAS))}"
        )
    versions, packed = SCHEMAS[params["schema_version"]]
    options = table(
        {
            "init_qubits": boolean,
            "rep_delay": optional(rep_delay_within(rep_delay_range_s)),
            "scheduler_timing": boolean,
            "stretch_values": boolean,
            "experimental": any_object,
        }
    )
    table({"schema_version": text, "quantum_program": any_object, "options": options})(params, "params")
    for name in ("quantum_program", "options"):
        if name not in params:
            raise Invalid(f"params.{name}", "it is needed")
    program, path = params["quantum_program"], "params.quantum_program"
    table(
        {
            "shots": integer(1),
            "circuits": any_object,
            "items": list_of(any_object),
            "meas_level": one_of(*MEAS_LEVELS),
            "semantic_role": optional(text),
            "passthrough_data": anything,
        }
    )(program, path)
    for name in ("shots", "circuits", "items"):
        if name not in program:
            raise Invalid(f"{path}.{name}", "it is needed")
    shots = program["shots"]
    if shots > max_shots:
        raise Invalid(f"{path}.shots", f"{shots} shots are more than the backend's limit of {max_shots}")
    number_of_circuits = _check_circuits(program["circuits"], f"{path}.circuits", versions, packed)
    items = program["items"]
    if number_of_circuits != len(items):
        raise Invalid(path, f"there are {number_of_circuits} circuits, but {len(items)} items: each item has one")
    sets = sum(_check_item(item, f"{path}.items[{place}]", samplomatic) for place, item in enumerate(items))
    if len({item.get("chunk_size", "auto") == "auto" for item in items}) > 1:
        raise Invalid(f"{path}.items", "chunk_size is 'auto' for some items and a number for others")
    return Work(shots=sets * shots, circuits=sets)


def _check_circuits(value: dict[str, Any], path: str, versions: range, packed: bool) -> int:
    """Check a file of circuits, or OpenQASM 3 programs.

    Returns:
        How many they are.
    """
    if packed and set(value) == {"data"}:
        list_of(text)(value["data"], f"{path}.data")
        return len(value["data"])
    table({"b64_data": text, "qpy_version": integer(0), "num_programs": integer(1)})(value, path)
    if len(value) != 3:
        raise Invalid(path, "expected b64_data, qpy_version and num_programs")
    head = _head(value["b64_data"], f"{path}.b64_data", packed)
    if not head.startswith(b"QISKIT") or len(head) < _HEAD:
        raise Invalid(f"{path}.b64_data", "the data is no QPY file")
    version, programs = head[6], int.from_bytes(head[10:18])
    if version not in versions:
        raise Invalid(
            f"{path}.qpy_version",
            f"the QPY version is {version}; versions {versions[0]} to {versions[-1]} are read."
            f" Write it with qiskit.qpy.dump(..., version={versions[-1]})",
        )
    if (version, programs) != (value["qpy_version"], value["num_programs"]):
        raise Invalid(
            path,
            f"the file is of version {version} and holds {programs} circuits, not of version {value['qpy_version']}"
            f" with {value['num_programs']}",
        )
    return programs


def _head(value: str, path: str, packed: bool) -> bytes:
    try:
        if not packed:
            return base64.b64decode(value[:64], validate=True)
        return zlib.decompressobj().decompress(base64.b64decode(value, validate=True), _HEAD)
    except (binascii.Error, ValueError, zlib.error):
        what = "base64 of data that zlib compressed" if packed else "base64"
        raise Invalid(path, f"the text is not {what}") from None


def _check_item(item: dict[str, Any], path: str, samplomatic: bool | None) -> int:
    """Check one item.

    Returns:
        How many sets of parameter values it has.
    """
    fields: dict[str, Check] = {"item_type": text, "shape": _shape, "chunk_size": _chunk_size}
    kind = item.get("item_type", "circuit")
    if kind == "circuit":
        table({**fields, "circuit_arguments": tensor("f64")})(item, path)
        for name in ("circuit_arguments", "shape"):
            if name not in item:
                raise Invalid(f"{path}.{name}", "it is needed")
        arguments = item["circuit_arguments"]["shape"]
        if not arguments:
            raise Invalid(
                f"{path}.circuit_arguments", "its last axis is over the circuit's parameters, and it has none"
            )
        return math.prod(broadcast(item["shape"], arguments[:-1], path))
    if kind != "samplex":
        raise Invalid(f"{path}.item_type", f"{kind!r} is not one of 'circuit', 'samplex'")
    samplex = table({"ssv": integer(1), "samplex_json": text})
    table({**fields, "samplex": samplex, "samplex_arguments": any_object})(item, path)
    for name in ("samplex", "samplex_arguments", "shape"):
        if name not in item:
            raise Invalid(f"{path}.{name}", "it is needed")
    for name, value in item["samplex_arguments"].items():
        _argument(value, f"{path}.samplex_arguments.{name}")
    if not (importlib.util.find_spec("samplomatic") if samplomatic is None else samplomatic):
        raise Invalid(path, "this emulator needs IBM's package samplomatic to run a samplex (pip install samplomatic)")
    return math.prod(item["shape"])


def broadcast(one: Sequence[int], other: Sequence[int], path: str) -> tuple[int, ...]:
    """The shape that two shapes broadcast to, by numpy's rules.

    Raises:
        Invalid: They do not.
    """
    length = max(len(one), len(other))
    padded = [[1] * (length - len(shape)) + list(shape) for shape in (one, other)]
    found = []
    for first, second in zip(*padded, strict=True):
        if first != second and 1 not in (first, second):
            raise Invalid(f"{path}.shape", f"{list(one)} and the arguments' {list(other)} do not broadcast")
        found.append(second if first == 1 else first)
    return tuple(found)

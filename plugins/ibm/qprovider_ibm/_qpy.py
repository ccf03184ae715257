"""Circuits as text: base64 of zlib of a QPY file, of the versions that the service reads."""

from __future__ import annotations

import binascii
import io
import json
import logging
import zlib
from typing import Any

from qiskit import QuantumCircuit, qpy

from qprovider_core.errors import CircuitError, text_of
from qprovider_ibm._npy import Budget, unpacked

logger = logging.getLogger(__name__)

# The service reads 13 to 17; older files can hold code in the forms of their formulas.
OLDEST, NEWEST = 13, 17


def circuit_text(circuit: QuantumCircuit, metadata: type[json.JSONEncoder]) -> str:
    """The text of a circuit.

    Args:
        metadata: Writes what JSON does not know in the circuit's metadata.
    Raises:
        CircuitError: It holds something that QPY cannot express.
    """
    file = io.BytesIO()
    try:
        qpy.dump(circuit, file, metadata_serializer=metadata, version=min(NEWEST, qpy.QPY_VERSION))
    except Exception as exc:  # Qiskit's writer fails in many ways; all of them are about this circuit
        raise CircuitError(
            f"The circuit {circuit.name!r} cannot be written as QPY {NEWEST}, which IBM Quantum reads.",
            why=text_of(exc) or type(exc).__name__,
            hint="Transpile it for the backend, and keep its metadata to numbers, texts, lists and mappings.",
        ) from exc
    return binascii.b2a_base64(zlib.compress(file.getbuffer()), newline=False).decode("ascii")


def read_circuits(text: str, budget: Budget, metadata: type[json.JSONDecoder]) -> list[QuantumCircuit] | None:
    """The circuits of a file's text; None, with a warning in the log, where this Qiskit cannot read its version.

    Qiskit's reader trusts the sizes in a file of the right form; a forged one may ask for more memory than there is.

    Raises:
        ValueError: It is no QPY file.
    """
    data = unpacked(text, budget)
    if data[:6] != b"QISKIT" or len(data) < 7:
        raise ValueError("it is no QPY file")
    version = data[6]
    if version > qpy.QPY_VERSION:
        logger.warning(
            "A circuit was written by a newer Qiskit (QPY %d) than the installed one, which reads up to %d; it is left"
            " out. Update Qiskit to read it.",
            version,
            qpy.QPY_VERSION,
        )
        return None
    if version < OLDEST:
        logger.warning(
            "A circuit was written by an old Qiskit (QPY %d), in a form that is not safe to read; it is left out.",
            version,
        )
        return None
    try:
        circuits: list[Any] = qpy.load(io.BytesIO(data), metadata_deserializer=metadata)
    except Exception as exc:  # Qiskit's reader fails in many ways on a broken file
        raise ValueError(f"Qiskit cannot read it: {text_of(exc) or type(exc).__name__}") from exc
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":  # of its compiled part, on a broken file
            raise
        raise ValueError("Qiskit cannot read it") from exc
    if not circuits or not all(isinstance(circuit, QuantumCircuit) for circuit in circuits):
        raise ValueError("it holds no circuit")
    return circuits

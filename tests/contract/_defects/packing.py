"""Circuits as text, and back. Imports Qiskit."""

from __future__ import annotations

import base64
import io

from qiskit import QuantumCircuit, qpy


def packed(circuit: QuantumCircuit) -> str:
    """A circuit as the service takes it."""
    buffer = io.BytesIO()
    qpy.dump(circuit, buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def unpacked(text: str) -> QuantumCircuit:
    """The circuit that was packed."""
    [circuit] = qpy.load(io.BytesIO(base64.b64decode(text)))
    return circuit

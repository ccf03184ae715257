"""Frames, circuits and counts between the processes."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from qprovider_local import _wire


def pipe():
    read, write = os.pipe()
    return os.fdopen(read, "rb", buffering=0), os.fdopen(write, "wb", buffering=0)


def test_a_frame_comes_back_as_it_went():
    read, write = pipe()
    with read, write:
        _wire.send(write, {"a": [1, "é"]}, b"\x00\xff")
        _wire.send(write, None)
        assert _wire.receive(read) == ({"a": [1, "é"]}, b"\x00\xff")
        assert _wire.receive(read) == (None, b"")


@pytest.mark.parametrize("cut", [0, 5, 12, 14, -1])
def test_a_stream_that_ends_anywhere_is_a_closed_channel(cut, tmp_path):
    whole = tmp_path / "frame"
    with open(whole, "wb", buffering=0) as write:
        _wire.send(write, {"a": 1}, b"payload")
    data = whole.read_bytes()
    whole.write_bytes(data[:cut])
    with open(whole, "rb", buffering=0) as read, pytest.raises(_wire.ChannelClosed):
        _wire.receive(read)


def test_nobody_reading_is_a_closed_channel():
    read, write = pipe()
    read.close()
    with write, pytest.raises(_wire.ChannelClosed):
        _wire.send(write, {})
    with pytest.raises(_wire.ChannelClosed):
        _wire.send(write, {})


def test_circuits_keep_their_order_over_several_files(monkeypatch):
    monkeypatch.setattr(_wire, "_INSTRUCTIONS_A_FILE", 5)
    circuits = []
    for width in range(1, 12):
        circuit = QuantumCircuit(width, name=f"c{width}")
        circuit.rx(Parameter("angle"), range(width))
        circuits.append(circuit)
    sizes, payload = _wire.pack_circuits(circuits)
    assert len(sizes) > 3
    assert sum(sizes) == len(payload)
    assert _wire.unpack_circuits(sizes, payload) == circuits


def test_metadata_that_is_not_json_does_not_keep_a_circuit_from_running():
    circuit = QuantumCircuit(1, metadata={"when": object(), 3: {1, 2}})
    assert _wire.unpack_circuits(*_wire.pack_circuits([circuit])) == [circuit]


@given(
    st.integers(0, 70).flatmap(
        lambda width: st.dictionaries(st.text("01 ", min_size=width, max_size=width), st.integers(0, 2**40))
    )
)
def test_counts_come_back_as_they_went(counts):
    width = len(next(iter(counts), ""))
    data = _wire.pack_counts("".join(counts).encode(), counts.values())
    assert _wire.unpack_counts(width, data) == counts

"""From Aer's hexadecimal outcomes to registers, against Qiskit's own formatting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit
from qiskit.result.postprocess import format_counts_memory

from qprovider_local import _outcomes, _wire


def keys(circuit, outcomes):
    entry, data = _outcomes.counts_entry(circuit, {hex(value): 1 for value in outcomes})
    return list(_wire.unpack_counts(entry["width"], data))


def rows(circuit, outcomes):
    entry, data = _outcomes.memory_entry(circuit, [hex(value) for value in outcomes])
    found, start = [], 0
    for name, bits in entry["registers"]:
        size = (bits + 7) // 8
        stop = start + size * len(outcomes)
        values = [int.from_bytes(data[i : i + size], "big") for i in range(start, stop, size)] if size else []
        found.append((name, bits, values))
        start = stop
    assert start == len(data)
    return found


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.data())
def test_registers_are_cut_as_qiskit_cuts_them(sizes, data):
    circuit = QuantumCircuit(QuantumRegister(1), *(ClassicalRegister(size, f"r{i}") for i, size in enumerate(sizes)))
    total = sum(sizes)
    values = data.draw(st.lists(st.integers(0, 2**total - 1), min_size=1, max_size=5, unique=True))
    header = {"creg_sizes": [[f"r{i}", size] for i, size in enumerate(sizes)], "memory_slots": total}
    expected = [format_counts_memory(hex(value), header) for value in values]
    assert keys(circuit, values) == expected
    texts = [text.split(" ")[::-1] for text in expected]
    for index, (name, bits, numbers) in enumerate(rows(circuit, values)):
        assert (name, bits) == (f"r{index}", sizes[index])
        assert numbers == [int(text[index], 2) for text in texts]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.data())
def test_many_outcomes_get_the_same_keys_as_few(sizes, data):
    circuit = QuantumCircuit(QuantumRegister(1), *(ClassicalRegister(size) for size in sizes), [Clbit(), Clbit()])
    most = 2**circuit.num_clbits - 1
    values = data.draw(st.lists(st.integers(0, most), min_size=1, max_size=9, unique=True))
    with pytest.MonkeyPatch.context() as patch:
        few = keys(circuit, values)
        patch.setattr(_outcomes, "_MANY_KEYS", 0)
        patch.setattr(_outcomes, "_ROWS", 4)
        assert keys(circuit, values) == few


def test_many_shots_are_unpacked_in_pieces_without_a_seam(monkeypatch):
    monkeypatch.setattr(_outcomes, "_ROWS", 3)
    circuit = QuantumCircuit(1, 11)
    values = [1, 1024, 2047, 0, 5, 6, 7, 1025]
    assert rows(circuit, values) == [("c", 11, values)]


def test_bits_without_any_register_form_one_group():
    circuit = QuantumCircuit([Clbit() for _ in range(3)])
    assert keys(circuit, [0b110]) == ["110"]
    assert rows(circuit, [0b110]) == [("loose", 3, [0b110])]


def test_loose_bits_beside_registers_come_last_as_a_group():
    first, last = Clbit(), Clbit()
    circuit = QuantumCircuit([first], ClassicalRegister(2, "a"), [last])
    # Bits in the circuit's order: loose, a[0], a[1], loose.
    assert keys(circuit, [0b1010]) == ["10 01"]
    assert rows(circuit, [0b1010]) == [("a", 2, [0b01]), ("loose", 2, [0b10])]


def test_a_bit_shared_by_two_registers_shows_in_both():
    bits = [Clbit() for _ in range(3)]
    circuit = QuantumCircuit(
        bits, ClassicalRegister(bits=bits[:2], name="low"), ClassicalRegister(bits=bits[1:], name="high")
    )
    assert keys(circuit, [0b010]) == ["01 10"]
    assert rows(circuit, [0b010]) == [("low", 2, [0b10]), ("high", 2, [0b01])]


@pytest.mark.parametrize("size", [8, 16, 63, 64, 65])
def test_widths_at_the_borders_of_bytes_and_words(size):
    circuit = QuantumCircuit(1, size)
    value = 1 << (size - 1) | 1
    assert rows(circuit, [value]) == [("c", size, [value])]
    assert keys(circuit, [value]) == ["1" + "0" * (size - 2) + "1"]

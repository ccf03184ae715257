"""Results as vendors give them: whatever form they have, the counts are Qiskit's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit
from qiskit.result import Result

from qprovider_core.errors import ResultError
from qprovider_core.records import SamplePubResult
from qprovider_qiskit._outcomes import Layout, pub_results, registered


def circuit(measured: int = 4) -> QuantumCircuit:
    """Registers of 1 and 3 bits; the first `measured` of the bits a0, b1, b2, b0 are measured into."""
    a, b = ClassicalRegister(1, "a"), ClassicalRegister(3, "b")
    made = QuantumCircuit(QuantumRegister(4, "q"), a, b)
    for qubit, bit in list(enumerate([a[0], b[1], b[2], b[0]]))[:measured]:
        made.measure(qubit, bit)
    return made


def result(counts: Any = None, memory: Any = None, header: Any = None, **entry: Any) -> Result:
    data = {name: value for name, value in (("counts", counts), ("memory", memory)) if value is not None}
    shots = sum(counts.values()) if counts else len(memory or ())
    one = {"shots": shots, "success": True, "data": data, "header": header, **entry}
    return Result.from_dict(
        {"backend_name": "x", "backend_version": "1", "job_id": "j", "success": True, "results": [one]}
    )


def read(given: Any, made: QuantumCircuit | None, shots: int | None = None) -> SamplePubResult:
    [pub] = pub_results(given, [None if made is None else Layout.of(made)], shots, "j")
    return pub


@pytest.mark.parametrize(
    "counts",
    [
        {"0xc": 3, "0x0": 1},
        {"1100": 3, "0000": 1},
        {"110 0": 3, "000 0": 1},
        {"1100": 3, "0": 1},  # leading zeros lost
        {12: 3, 0: 1},
        {"001100": 3, "000000": 1},  # wider than the circuit, with nothing in it
    ],
    ids=["hex", "bits", "spaces", "no leading zeros", "numbers", "padded"],
)
def test_keys_of_every_form_are_read(counts: Any) -> None:
    given = SimpleNamespace(results=[SimpleNamespace(data=SimpleNamespace(counts=counts), header=None)])
    assert read(given, circuit()).counts == {"110 0": 3, "000 0": 1}


def test_bits_of_what_was_measured_only_are_put_in_their_places() -> None:
    # a0, b1 and b2 are measured into; the lowest of them is rightmost.
    assert read(result({"101": 5, "010": 2}), circuit(3)).counts == {"100 1": 5, "010 0": 2}
    assert read(result({"0x5": 5}, header={"memory_slots": 3}), circuit(3)).counts == {"100 1": 5}
    assert read(result({"0xd": 5}, header={"memory_slots": 4}), circuit(3)).counts == {"110 1": 5}


def test_a_memory_keeps_its_order_and_its_leading_zeros() -> None:
    pub = read(result({"0xc": 2, "0x1": 1}, memory=["0xc", "0x1", "0xc"]), circuit())
    assert pub.shots == 3
    assert [(register.name, register.num_bits) for register in pub.registers or ()] == [("a", 1), ("b", 3)]
    assert [bytes(register.data) for register in pub.registers or ()] == [bytes([0, 1, 0]), bytes([6, 0, 6])]


def test_a_memory_of_the_measured_bits_follows_its_counts() -> None:
    pub = read(result({"001": 1, "100": 1}, memory=["0x1", "0x4"]), circuit(3))
    assert [bytes(register.data) for register in pub.registers or ()] == [bytes([1, 0]), bytes([0, 4])]


def test_registers_wider_than_a_byte() -> None:
    wide = QuantumCircuit(12, 12)
    wide.measure(range(12), range(12))
    [register] = read(result({"0x801": 1}, memory=["0x801"]), wide).registers or ()
    assert (register.row_bytes, bytes(register.data)) == (2, bytes([0x08, 0x01]))


def test_loose_bits_and_shared_registers_are_told_apart() -> None:
    bits = [Clbit() for _ in range(3)]
    made = QuantumCircuit([*bits])
    made.add_register(ClassicalRegister(bits=[bits[2], bits[0]], name="mixed"))
    whole = registered(made)
    assert Layout.of(whole).registers == (("mixed", (2, 0)), ("loose", (1,)))
    assert Layout.of(whole).spaced("100") == "0 01"  # bit 2 is bit 0 of `mixed`
    assert len(made.cregs) == 1, "the user's circuit was changed"
    assert registered(whole) is whole


def test_a_register_of_loose_bits_takes_a_free_name() -> None:
    made = QuantumCircuit(QuantumRegister(1, "loose"), [Clbit()], ClassicalRegister(1, "loose_"))
    assert [register.name for register in registered(made).cregs] == ["loose_", "loose__"]


def test_a_layout_survives_json() -> None:
    layout = Layout.of(circuit(3))
    assert Layout.from_json(layout.to_json()) == layout
    for damaged in (None, {}, {"size": "x", "registers": [], "bits": []}, []):
        assert Layout.from_json(damaged) is None


def test_what_somebody_else_sent_is_read_by_its_header() -> None:
    header = {"creg_sizes": [["a", 1], ["b", 3]], "memory_slots": 4}
    assert read(result({"0xc": 3}, header=header), None).counts == {"110 0": 3}
    assert read(result({"110 0": 3}), None).counts == {"110 0": 3}
    assert read(result({"0x1": 3}, header={"memory_slots": 3}), None).counts == {"001": 3}
    assert read(result({"0x5": 3}), None).counts == {"101": 3}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (result({"110000": 3}), "has the outcome '110000' for 4 classical bits"),
        (result({"what": 3}), "has the outcome 'what'"),
        (result(), "has no counts of circuit 0"),
        (result(success=False, status="too hot"), "Circuit 0 of job j failed: too hot"),
        (SimpleNamespace(results=[]), "has 0 entries for 1 circuits"),
        (SimpleNamespace(), "has 0 entries for 1 circuits"),
        (None, "has 0 entries"),
    ],
)
def test_what_cannot_be_read_is_said(given: Any, said: str) -> None:
    with pytest.raises(ResultError, match=said):
        read(given, circuit())


def test_counts_of_an_own_kind_are_asked_for() -> None:
    class Own:
        results = (SimpleNamespace(data=None),)

        def get_counts(self, index: int) -> dict[str, float]:
            return {"1100": 2.0}

    assert read(Own(), circuit()).counts == {"110 0": 2}


def test_a_memory_of_another_length_is_not_taken_for_shots() -> None:
    assert read(result({"0xc": 3}, memory=["0xc"]), circuit()).counts == {"110 0": 3}

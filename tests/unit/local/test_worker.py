"""The worker's own work, without a process around it."""

from __future__ import annotations

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from qprovider_local import _wire, _worker


@pytest.fixture(scope="module")
def worker():
    return _worker.Worker(max_threads=1)


def task(circuits, shots=100, values=None, memory=False, **options):
    sizes, payload = _wire.pack_circuits(circuits)
    pubs = [[i, shots, values[i] if values else []] for i in range(len(circuits))]
    header = {"method": "automatic", "sizes": sizes, "pubs": pubs, "memory": memory, "options": options}
    return header, payload


def counts(reply, data):
    found, start = [], 0
    for entry in reply["pubs"]:
        found.append(_wire.unpack_counts(entry["width"], data[start : start + entry["size"]]))
        start += entry["size"]
    return found


def turned():
    circuit = QuantumCircuit(1, 1)
    circuit.rx(Parameter("angle"), 0)
    circuit.measure(0, 0)
    return circuit


def test_circuits_that_come_again_are_kept_loaded_and_bound_anew(worker, monkeypatch):
    loads = []
    load = _wire.unpack_circuits
    monkeypatch.setattr(_wire, "unpack_circuits", lambda *args: loads.append(1) or load(*args))
    circuits = [turned()]
    for angle, expected in ((0.0, {"0": 100}), (3.141592653589793, {"1": 100}), (0.0, {"0": 100})):
        assert counts(*worker.answer(*task(circuits, values=[[angle]]))) == [expected]
    assert len(loads) == 1


def test_the_loaded_circuits_have_a_bound_and_the_least_recently_used_go(worker, monkeypatch):
    monkeypatch.setattr(worker, "_circuits", {})
    tasks = [task([QuantumCircuit(width, 1)]) for width in (1, 2, 3)]
    monkeypatch.setattr(_worker, "_KEPT_BYTES", len(tasks[0][1]) + len(tasks[2][1]))
    for index in (0, 1, 0, 2):
        worker.answer(*tasks[index])
    assert list(worker._circuits) == [tasks[0][1], tasks[2][1]]


def test_a_circuit_that_measures_nothing_leaves_its_bits_at_zero(worker):
    assert counts(*worker.answer(*task([QuantumCircuit(2, 3)]))) == [{"000": 100}]
    reply, data = worker.answer(*task([QuantumCircuit(2, 3)], memory=True))
    assert (reply["pubs"][0]["registers"], data) == ([["c", 3]], bytes(100))


def test_whatever_is_raised_is_the_jobs_error(worker):
    reply, data = worker.answer(*task([turned()]))
    assert "parameter" in reply["error"]
    assert data == b""
    reply, _ = worker.answer({"sizes": [3], "pubs": []}, b"abc")
    assert "error" in reply


@pytest.mark.parametrize(
    ("shots", "stretches"),
    [([5], [(0, 1)]), ([5, 5], [(0, 2)]), ([5, 6, 6, 5], [(0, 1), (1, 3), (3, 4)]), ([], [])],
)
def test_neighbours_with_equally_many_shots_run_together(shots, stretches):
    assert list(_worker._runs_of_equal(shots)) == stretches

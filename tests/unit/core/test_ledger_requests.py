"""A request in the ledger: its circuits come back whole, and what cannot be kept stops no submission."""

import warnings
import zlib

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Gate, Instruction, Parameter, ParameterVector
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import efficient_su2
from qiskit.quantum_info import Operator

from qprovider_core.errors import LedgerError
from qprovider_core.ledger import Ledger, _requests
from qprovider_core.ledger._requests import pack_request, unpack_request
from qprovider_core.records import BackendRef, EstimatePub, JobRequest, SamplePub
from qprovider_core.secret import MASK, Secret

MOST = 16 << 20


def asked(*circuits: object, **more: object) -> JobRequest:
    pubs = [SamplePub(circuit=circuit, shots=10) for circuit in circuits]
    return JobRequest(backend=BackendRef(name="one", instance="crn"), **{"pubs": pubs, "key": "k1", **more})


def there_and_back(request: JobRequest) -> JobRequest:
    packed = pack_request(request, MOST)
    found = unpack_request("k1", packed.request, packed.circuits, "file")
    assert found is not None
    assert packed.num_circuits == len(request.pubs)
    return found


def registers() -> QuantumCircuit:
    q, a = QuantumRegister(3, "q"), QuantumRegister(1, "ancilla")
    c, d = ClassicalRegister(2, "c"), ClassicalRegister(3, "late")
    circuit = QuantumCircuit(q, a, c, d, name="several", global_phase=0.25)
    circuit.h(q)
    circuit.cx(q[0], a[0])
    circuit.measure(q[:2], c)
    circuit.measure([*q], d)
    return circuit


def branches() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    stored = circuit.add_var("stored", expr.lift(5, types.Uint(8)))
    with circuit.if_test((circuit.clbits[0], True)) as otherwise:
        circuit.x(1)
    with otherwise:
        circuit.h(1)
    with circuit.for_loop(range(3)):
        circuit.sx(1)
    with circuit.while_loop(expr.less(stored, 7)):
        circuit.store(stored, expr.lift(9, types.Uint(8)))
    with circuit.switch(stored) as case, case(5):
        circuit.z(0)
    circuit.measure(1, 1)
    return circuit


def own_gate() -> QuantumCircuit:
    gate = Gate("mine", 2, [0.5])
    definition = QuantumCircuit(2)
    definition.cx(0, 1)
    gate.definition = definition
    circuit = QuantumCircuit(2)
    circuit.append(gate, [0, 1])
    circuit.unitary(Operator(np.eye(4)), [0, 1])
    circuit.delay(100, 0, unit="dt")
    circuit.measure_all()
    return circuit


@pytest.mark.parametrize("make", [registers, branches, own_gate], ids=lambda make: make.__name__)
def test_circuits_come_back_whole(make):
    circuit = make()
    found = there_and_back(asked(circuit)).pubs[0].circuit
    assert found == circuit
    assert found.name == circuit.name
    assert [register.name for register in found.cregs] == [register.name for register in circuit.cregs]


def test_parameters_come_back_in_the_order_of_their_values():
    vector, single = ParameterVector("t", 11), Parameter("a")
    circuit = QuantumCircuit(1)
    for one in reversed(vector):
        circuit.rz(one + 2 * single, 0)
    values = tuple(float(number) for number in range(24))
    request = asked(pubs=[SamplePub(circuit=circuit, shots=5, parameter_values=values, shape=(2,))])
    pub = there_and_back(request).pubs[0]
    assert [one.name for one in pub.circuit.parameters] == [one.name for one in circuit.parameters]
    assert (pub.parameter_values, pub.shape, pub.shots) == (values, (2,), 5)
    bound = pub.circuit.assign_parameters(values[:12])
    assert bound == circuit.assign_parameters(values[:12])


def test_a_sweep_is_kept_once():
    ansatz = efficient_su2(6, reps=8)
    values = tuple(0.1 for _ in ansatz.parameters)
    request = asked(pubs=[SamplePub(circuit=ansatz, shots=1, parameter_values=values) for _ in range(50)])
    packed = pack_request(request, MOST)
    assert packed.num_circuits == 50
    assert len(packed.circuits) < 2 * len(pack_request(asked(ansatz), MOST).circuits)
    found = there_and_back(request)
    assert len({id(pub.circuit) for pub in found.pubs}) == 1
    assert found.pubs[49].parameter_values == values


def test_all_else_of_a_request_comes_back():
    pub = EstimatePub(
        circuit=QuantumCircuit(2),
        observables=({"ZZ": 0.5, "IX": -1.0}, {"YY": 2.0}),
        observables_shape=(2, 1),
        precision=0.01,
    )
    request = asked(
        pubs=[pub], kind="estimate", memory=True, options={"a": (1, 2), "b": {"c": None}, "d": np.arange(3)},
        tags=("x", "y"), name="mine", session_id="s-1",
    )  # fmt: skip
    found = there_and_back(request)
    assert found.pubs[0].observables == pub.observables
    assert (found.pubs[0].observables_shape, found.pubs[0].precision) == ((2, 1), 0.01)
    assert found.options.pop("d").tolist() == [0, 1, 2]
    assert found.options == {"a": (1, 2), "b": {"c": None}}
    for name in ("backend", "kind", "memory", "tags", "name", "session_id", "key"):
        assert getattr(found, name) == getattr(request, name)


class Stranger:
    def __repr__(self) -> str:
        return "<stranger>"


def test_metadata_that_is_no_json_comes_back_as_far_as_it_can():
    circuit = QuantumCircuit(1)
    circuit.metadata = {
        "plain": 1, "array": np.arange(3), (1, 2): "pair", "nan": float("nan"), "stranger": Stranger(),
        "token": Secret("metadata-token"), "text": "Bearer metadata-token",
    }  # fmt: skip
    packed = pack_request(asked(circuit), MOST)
    found = there_and_back(asked(circuit)).pubs[0].circuit.metadata
    assert packed.left_out is None
    assert (found["plain"], found[1, 2], found["stranger"]) == (1, "pair", "<stranger>")
    assert found["array"].tolist() == [0, 1, 2]
    assert found["nan"] != found["nan"]
    assert (found["token"], found["text"]) == (MASK, f"Bearer {MASK}")
    assert b"metadata-token" not in zlib.decompress(packed.circuits[8:])


def test_large_jobs_are_kept_in_parts(monkeypatch):
    monkeypatch.setattr(_requests, "_INSTRUCTIONS_A_FILE", 20)
    circuits = [registers() for _ in range(12)]
    for number, circuit in enumerate(circuits):
        circuit.rz(number, 0)
    packed = pack_request(asked(*circuits), MOST)
    monkeypatch.undo()
    assert packed.circuits.count(b"\x78\x01") >= 5
    found = unpack_request("k1", packed.request, packed.circuits, "file")
    assert [pub.circuit for pub in found.pubs] == circuits


def odd() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.append(Instruction("odd", 1, 0, [Stranger()]), [0])
    return circuit


@pytest.mark.parametrize("circuit", [Stranger(), odd()], ids=["no circuit", "a parameter of a strange kind"])
def test_circuits_that_nobody_can_write_are_left_out_and_it_is_said(circuit):
    packed = pack_request(asked(circuit, options={"odd": Stranger()}), MOST)
    assert packed.circuits is None
    assert packed.num_circuits == 1
    assert "Qiskit cannot write its circuits: " in packed.left_out
    assert "options of the kind Stranger are kept as text only" in packed.left_out
    assert unpack_request("k1", packed.request, None, "file") is None


def test_circuits_that_are_too_large_are_left_out():
    circuit = efficient_su2(10, reps=30).decompose()
    packed = pack_request(asked(circuit), 1000)
    assert packed.circuits is None
    assert packed.left_out.startswith("its circuits take 0.0 MiB, more than")
    assert pack_request(asked(circuit), MOST).left_out is None


def test_circuits_are_left_out_where_that_is_wished():
    packed = pack_request(asked(QuantumCircuit(1)), 0)
    assert (packed.circuits, packed.left_out) == (None, "circuits are not kept")


def test_options_that_are_no_json_come_back_as_text():
    packed = pack_request(asked(QuantumCircuit(1), options={"noise": Stranger(), "shots": 3}), MOST)
    assert packed.left_out == "options of the kind Stranger are kept as text only"
    found = unpack_request("k1", packed.request, packed.circuits, "file")
    assert found.options == {"noise": "<stranger>", "shots": 3}


def test_a_ledger_gives_the_request_back(tmp_path):
    ledger = Ledger(tmp_path / "jobs")
    request = asked(registers(), tags=("a",))
    ledger.write(request, pack_request(request, MOST), provider="acme", account="default")
    bare = asked(registers(), key="k2")
    ledger.write(bare, pack_request(bare, 0), provider="acme", account="default")
    assert Ledger(tmp_path / "jobs").request("k1") == request
    assert ledger.find("k1").has_circuits
    assert ledger.request("k2") is None
    assert not ledger.find("k2").has_circuits
    assert ledger.find("k2", events=True).events[0].text == "circuits are not kept"
    assert ledger.request("nowhere") is None


@pytest.mark.parametrize("cut", [1, 7, 8, 20, -1])
def test_damaged_circuits_are_told(tmp_path, cut):
    ledger = Ledger(tmp_path / "jobs")
    request = asked(registers())
    ledger.write(request, pack_request(request, MOST), provider="acme", account="default")
    with ledger._file.writing() as db:
        db.execute("UPDATE requests SET circuits = substr(circuits, 1, length(circuits) * (? < 0) + ?)", (cut, cut))
    with pytest.raises(LedgerError, match="The circuits of job k1 cannot be read from the ledger") as failed:
        ledger.request("k1")
    assert failed.value.path == str(tmp_path / "jobs")
    assert failed.value.hint


def test_changed_circuits_give_a_clear_error_or_a_request():
    packed = pack_request(asked(registers()), MOST)
    plain = bytearray(zlib.decompress(packed.circuits[8:]))
    rng = np.random.default_rng(3)
    for _ in range(60):
        hurt = bytearray(plain)
        hurt[int(rng.integers(len(hurt)))] ^= 1 << int(rng.integers(8))
        file = zlib.compress(bytes(hurt))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Qiskit's, of a file of a version that it does not know
            try:
                found = unpack_request("k1", packed.request, len(file).to_bytes(8, "little") + file, "file")
            except LedgerError as exc:
                assert exc.hint
            else:
                assert isinstance(found, JobRequest)


def test_circuits_that_swell_are_told():
    packed = pack_request(asked(registers()), MOST)
    file = zlib.compress(b"\x00" * 1000)
    with pytest.raises(LedgerError):
        unpack_request("k1", packed.request, len(file).to_bytes(8, "little") + file, "file")

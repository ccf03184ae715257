"""The program `executor` on the wire."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import Parameter

from qprovider_ibm.emulator import _tensors
from qprovider_ibm.emulator._executor_params import SIZES, broadcast, check_executor_params
from qprovider_ibm.emulator._isa import JobError
from qprovider_ibm.emulator._schema import Invalid

SIMULATOR = "ibmq_qasm_simulator"


def packed(circuits, version=17, *, compress=True):
    file = io.BytesIO()
    qpy.dump(circuits, file, version=version)
    data = zlib.compress(file.getvalue()) if compress else file.getvalue()
    return {"b64_data": base64.b64encode(data).decode(), "qpy_version": version, "num_programs": len(circuits)}


def tensor(values, *, compress=True):
    """Of float64, written by hand."""
    array = np.asarray(values, dtype="<f8")
    data = zlib.compress(array.tobytes()) if compress else array.tobytes()
    return {"data": base64.b64encode(data).decode(), "shape": list(array.shape), "dtype": "f64"}


def circuit_item(values=(), shape=(), **more):
    return {"item_type": "circuit", "shape": list(shape), "circuit_arguments": tensor(values), **more}


def params_of(circuits, items, shots=100, **more):
    program = {"shots": shots, "circuits": packed(circuits), "items": items, "meas_level": "classified", **more}
    options = {"init_qubits": True, "rep_delay": None, "scheduler_timing": False, "stretch_values": False}
    return {"schema_version": "v2.0", "quantum_program": program, "options": {**options, "experimental": {}}}


@pytest.fixture
def turned():
    """One qubit turned by an angle and read into bit 2 of the register `out`, which has 9 bits."""
    circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(9, "out"))
    circuit.rx(Parameter("angle"), 0)
    circuit.measure(0, 2)
    return circuit


@pytest.fixture
def params(turned):
    return params_of([turned], [circuit_item([np.pi])])


def run(api, params, backend=SIMULATOR, **more):
    return api.result(api.submit(params, backend, "executor", **more))


def test_the_result_is_that_of_the_protocol(api, turned):
    passed = {"mine": [1, "two", {"three": None}]}
    items = [circuit_item([[0.0], [np.pi]]), circuit_item([np.pi], shape=(3, 1))]
    params = params_of([turned, turned], items, 50, passthrough_data=passed, semantic_role="mine")
    result = run(api, params)
    assert set(result) == {"schema_version", "data", "metadata", "passthrough_data", "semantic_role"}
    assert (result["schema_version"], result["semantic_role"], result["passthrough_data"]) == ("v2.0", "mine", passed)
    first, second = (item["results"]["out"] for item in result["data"])
    assert (first["dtype"], first["shape"], second["shape"]) == ("bool", [2, 50, 9], [3, 1, 50, 9])
    # Eight booleans to a byte, the first one in its lowest bit: so bit 2 of each nine, of the second half.
    bits = [(zlib.decompress(base64.b64decode(first["data"]))[k // 8] >> (k % 8)) & 1 for k in range(2 * 50 * 9)]
    assert bits == [int(k >= 450 and k % 9 == 2) for k in range(900)]
    assert result["data"][0]["metadata"] == {"scheduler_timing": None, "stretch_values": None}
    chunks = result["metadata"]["chunk_timing"]
    parts = [part for chunk in chunks for part in chunk["parts"]]
    assert parts == [
        {"idx_item": 0, "size": 2, "permutation": [0], "element_range": [0, 2, 1]},
        {"idx_item": 1, "size": 3, "permutation": [0, 1], "element_range": [0, 3, 1]},
    ]
    assert chunks[0]["start"] <= chunks[0]["stop"] <= chunks[1]["start"]
    assert chunks[0]["start"].endswith("Z")


@pytest.mark.parametrize("version", [13, 17, 18])
def test_qpy_versions_that_are_read(api, turned, version):
    if version > qpy.QPY_VERSION:
        pytest.skip("this Qiskit does not write it")
    params = params_of([turned], [circuit_item([0.0])])
    params["quantum_program"]["circuits"] = packed([turned], version)
    assert run(api, params)["data"][0]["results"]["out"]["shape"] == [100, 9]


@pytest.mark.parametrize("version", [12, 19])
def test_other_qpy_versions_are_refused_with_the_way_out(api, tools, params, version):
    head = struct.pack("!6sBBBBQc", b"QISKIT", version, 2, 6, 2, 1, b"p")
    data = base64.b64encode(zlib.compress(head)).decode()
    params["quantum_program"]["circuits"] = {"b64_data": data, "qpy_version": version, "num_programs": 1}
    status, code, message = tools.error_of(api.post_job(params, SIMULATOR, "executor"))
    assert (status, code) == (400, 1239)
    assert f"the QPY version is {version}; versions 13 to 18 are read" in message
    assert "version=18" in message


def test_the_schema_before_does_not_compress_and_reads_qpy_to_17(api, tools, turned, params):
    params["schema_version"] = "v1.1"
    program = params["quantum_program"]
    program["circuits"] = packed([turned], compress=False)
    program["items"][0]["circuit_arguments"] = tensor([np.pi], compress=False)
    result = run(api, params)
    out = result["data"][0]["results"]["out"]
    assert result["schema_version"] == "v1.1"
    assert len(base64.b64decode(out["data"])) == -(-100 * 9 // 8)
    if qpy.QPY_VERSION > 17:
        program["circuits"] = packed([turned], 18, compress=False)
        assert "13 to 17 are read" in tools.error_of(api.post_job(params, SIMULATOR, "executor"))[2]


def test_openqasm_3_programs_run(api, params):
    program = 'OPENQASM 3.0; include "stdgates.inc"; qubit[1] q; bit[2] c; x q[0]; c[1] = measure q[0];'
    params["quantum_program"]["circuits"] = {"data": [program]}
    params["quantum_program"]["items"] = [circuit_item()]
    out = run(api, params)["data"][0]["results"]["c"]
    assert _tensors.read(out, packed=True).tolist() == [[False, True]] * 100


def test_mocks_answer_at_random(api, tools, bell):
    params = params_of([bell], [circuit_item()], 1000)
    assert api.run(tools.sampler_params(bell), "mock_belem")
    bits = _tensors.read(run(api, params, "mock_belem")["data"][0]["results"]["meas"], packed=True)
    assert 0.4 < (bits[:, 0] ^ bits[:, 1]).mean() < 0.6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.update(schema_version="v9.9"), "'v9.9' is not one of"),
        (lambda p: p.update(schema_version=None), "schema_version"),
        (lambda p: p.pop("options"), "params.options: it is needed"),
        (lambda p: p.update(pubs=[]), "params.pubs: unknown key"),
        (lambda p: p["options"].update(rep_delay=-1), "rep_delay"),
        (lambda p: p["options"].update(init_qubits="yes"), "init_qubits"),
        (lambda p: p["quantum_program"].update(shots=0), "shots"),
        (lambda p: p["quantum_program"].update(shots=10**7), "limit"),
        (lambda p: p["quantum_program"].update(meas_level="both"), "meas_level"),
        (lambda p: p["quantum_program"].update(items=[]), "there are 1 circuits, but 0 items"),
        (lambda p: p["quantum_program"]["circuits"].update(b64_data="***"), "base64"),
        (lambda p: p["quantum_program"]["circuits"].update(b64_data="eJwDAAAAAAE="), "no QPY file"),
        (lambda p: p["quantum_program"]["circuits"].update(qpy_version=13), "of version 17"),
        (lambda p: p["quantum_program"]["circuits"].update(num_programs=2), "holds 1 circuits"),
        (lambda p: p["quantum_program"]["items"][0].update(item_type="other"), "item_type"),
        (lambda p: p["quantum_program"]["items"][0].update(chunk_size=0), "chunk_size"),
        (lambda p: p["quantum_program"]["items"][0].pop("shape"), "shape: it is needed"),
        (lambda p: p["quantum_program"]["items"][0].update(shape=[-1]), "shape[0]"),
        (lambda p: p["quantum_program"]["items"][0]["circuit_arguments"].update(dtype="f32"), "dtype"),
        (lambda p: p["quantum_program"]["items"][0]["circuit_arguments"].update(shape=[]), "last axis"),
        (lambda p: p["quantum_program"]["items"][0]["circuit_arguments"].pop("data"), "data: it is needed"),
        (lambda p: p["quantum_program"].update(items=[{"item_type": "samplex"}]), "samplex: it is needed"),
    ],
)
def test_wrong_programs_are_refused(api, tools, params, change, words):
    change(params)
    status, code, message = tools.error_of(api.post_job(params, SIMULATOR, "executor"))
    assert (status, code) == (400, 1239)
    assert words in message


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (tensor([1.0, 2.0]), "1 parameters, but there are 2 values"),
        ({**tensor([1.0]), "shape": [3, 1]}, "8 bytes of data"),
        ({**tensor([1.0]), "data": "AAAA"}, "cannot be read"),
    ],
)
def test_values_that_do_not_fit_fail_the_job(api, params, values, words):
    params["quantum_program"]["items"][0]["circuit_arguments"] = values
    state = api.failure(params, SIMULATOR, "executor")
    assert state["reason_code"] == 1239
    assert words in state["reason"]


def test_a_recipe_that_cannot_be_read_fails_the_job(api, params):
    pytest.importorskip("samplomatic")
    item = {"item_type": "samplex", "shape": [2], "samplex_arguments": {"a": True, "b": 3, "c": tensor([1.0])}}
    params["quantum_program"]["items"] = [{**item, "samplex": {"ssv": 4, "samplex_json": "{}"}}]
    assert "samplex cannot be used" in api.failure(params, SIMULATOR, "executor")["reason"]


def test_without_samplomatic_a_recipe_is_refused_with_what_to_install(params):
    item = {"item_type": "samplex", "shape": [2], "samplex_arguments": {}}
    params["quantum_program"]["items"] = [{**item, "samplex": {"ssv": 4, "samplex_json": "{}"}}]
    more = {"max_shots": 1000, "rep_delay_range_s": None}
    with pytest.raises(Invalid, match="pip install samplomatic"):
        check_executor_params(params, samplomatic=False, **more)
    work = check_executor_params(params, samplomatic=True, **more)
    assert (work.circuits, work.shots) == (2, 200)


def test_two_programs_are_not_run_and_say_so(api, tools, params):
    for program in ("noise-learner", "calibrate"):
        status, code, message = tools.error_of(api.post_job(params, SIMULATOR, program))
        assert (status, code) == (400, 1239)
        assert f"does not run the program {program}; it runs sampler, estimator, executor" in message


@pytest.mark.parametrize("kind", sorted(SIZES))
@pytest.mark.parametrize("compress", [True, False])
def test_tensors_of_every_type_come_back(kind, compress):
    type_of = {"f": "float", "c": "complex", "i": "int", "u": "uint"}
    dtype = np.bool_ if kind == "bool" else np.dtype(f"{type_of[kind[0]]}{kind[1:]}")
    array = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]]).astype(dtype)
    again = _tensors.read(_tensors.write(array, packed=compress), packed=compress)
    assert (again.dtype, again.tolist()) == (array.dtype, array.tolist())


def test_arrays_of_other_types_have_no_tensor():
    with pytest.raises(JobError, match="no tensor of the type"):
        _tensors.write(np.array(["text"]), packed=True)


@pytest.mark.parametrize(("one", "other"), [((), ()), ((3, 1), (2,)), ((), (4, 5)), ((0,), (1,)), ((7, 1, 2), (5, 1))])
def test_shapes_broadcast_as_numpys_do(one, other):
    assert broadcast(one, other, "x") == np.broadcast_shapes(one, other)


def test_shapes_that_do_not_broadcast_are_refused():
    with pytest.raises(Invalid, match="do not broadcast"):
        broadcast((2,), (3,), "x")

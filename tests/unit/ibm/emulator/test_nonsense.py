"""Bodies that no client writes: refused in the service's form, and never an error of the server's own."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from qiskit import QuantumCircuit


@pytest.fixture
def measured():
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1e-200", "1" + "0" * 400])
@pytest.mark.parametrize("place", ["precision of the pub", "precision", "default_precision", "coefficient"])
def test_numbers_beyond_all_measure_are_refused(api, tools, place, number):
    if place == "coefficient" and number == "1e-200":
        pytest.skip("small, but a coefficient")
    at = {name: "@" if name == place else 0.5 for name in ("precision of the pub", "precision", "coefficient")}
    pub = [tools.pack_circuit(QuantumCircuit(1)), {"Z": at["coefficient"]}, None, at["precision of the pub"]]
    params = {"pubs": [pub], "version": 2}
    if place in ("precision", "default_precision"):  # what the pub says would win
        pub[3] = None
        params |= {"precision": "@"} if place == "precision" else {"options": {"default_precision": "@"}}
    body = json.dumps({"program_id": "estimator", "backend": "ibmq_belem", "params": params}).replace('"@"', number)
    answer = api.send("POST", "/jobs", data=body, headers={"Content-Type": "application/json"})
    assert tools.error_of(answer)[:2] == (400, 1239)


@pytest.mark.parametrize(
    "values", [b"\x93NUMPY", b"\x93NUMPY\x01\x00\x76", "('a', 'b')", "(-3, 2)", "(2.0,)", "(True,)", "7"]
)
def test_arrays_whose_header_is_none_are_refused(api, tools, measured, values):
    if isinstance(values, str):
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {values}, }}".ljust(117).encode() + b"\n"
        values = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    params = tools.sampler_params(measured)
    params["pubs"][0][1] = {"__type__": "ndarray", "__value__": base64.b64encode(zlib.compress(values)).decode()}
    status, code, message = tools.error_of(api.post_job(params))
    assert (status, code) == (400, 1239)
    assert "NPY" in message


@pytest.mark.parametrize("depth", [900, 9_000, 200_000])
def test_params_without_a_bottom_do_no_harm(api, tools, measured, depth):
    params = tools.sampler_params(measured)
    params["pubs"][0][1] = "@"
    body = json.dumps({"program_id": "sampler", "backend": "ibmq_belem", "params": params})
    body = body.replace('"@"', "[" * depth + "1" + "]" * depth)
    answer = api.send("POST", "/jobs", data=body, headers={"Content-Type": "application/json"})
    if answer.status_code == 200:
        assert api.wait(answer.json()["id"])["state"]["status"] == "Failed"
    else:
        assert tools.error_of(answer)[:2] == (400, 1239)


@pytest.mark.parametrize("charset", ["utf-8", "no-such-charset"])
def test_a_form_that_cannot_be_read_is_refused_in_iams_form(api, charset):
    headers = {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}
    answer = api.session.post(f"{api.base}/identity/token", data=b"apikey=\xff", headers=headers, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["errorCode"].startswith("BXNIM")

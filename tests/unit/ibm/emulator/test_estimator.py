"""Jobs of the estimator: values against closed forms."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

SIMULATOR = "ibmq_qasm_simulator"


def params(tools, circuit, observables, values=None, precision=None, **more):
    return {"pubs": [[tools.pack_circuit(circuit), observables, values, precision]], "version": 2, **more}


def ghz(size=2):
    circuit = QuantumCircuit(size)
    circuit.h(0)
    for qubit in range(1, size):
        circuit.cx(qubit - 1, qubit)
    return circuit


def run(api, tools, *args, backend=SIMULATOR, **more):
    return api.run(params(tools, *args, **more), backend, "estimator")


def test_a_bell_state(api, tools):
    observables = [{"ZZ": 1.0}, {"XX": 1.0}, {"YY": 1.0}, {"ZI": 1.0}, {"ZZ": 0.5, "XX": 2.0, "II": 3.0, "YY": -1.0}]
    result = run(api, tools, ghz(), observables, precision=0.02)
    evs, stds = tools.field(result, "evs"), tools.field(result, "stds")
    assert evs.shape == stds.shape == (5,)
    assert evs[[0, 1, 2]].tolist() == [1.0, 1.0, -1.0]
    assert abs(evs[3]) < 0.1
    assert evs[4] == 0.5 + 2.0 + 3.0 + 1.0
    assert stds[0] == 0.0
    assert stds[3] == pytest.approx(0.02, rel=0.1)
    assert tools.field(result, "ensemble_standard_error").tolist() == stds.tolist()


def test_letters_stand_for_qubits_from_the_right(api, tools):
    circuit = QuantumCircuit(3)
    circuit.x(0)
    circuit.h(1)
    circuit.h(2)
    circuit.s(2)
    observables = [{"IIZ": 1.0}, {"IXI": 1.0}, {"YII": 1.0}, {"YXZ": 2.0}, "IIZ"]
    assert tools.field(run(api, tools, circuit, observables), "evs").tolist() == [-1, 1, 1, -2, -1]


def test_values_and_observables_broadcast(api, tools):
    angle = Parameter("angle")
    circuit = QuantumCircuit(1)
    circuit.rx(angle, 0)
    angles = np.array([0.0, math.pi / 2, math.pi, 3 * math.pi / 2])
    observables = [[{"Z": 1.0}], [{"Y": 1.0}]]
    result = run(api, tools, circuit, observables, tools.pack_array(angles[:, None]), precision=0.02)
    evs = tools.field(result, "evs")
    assert evs.shape == (2, 4)
    assert result["pub_results"][0]["data"]["shape"] == [2, 4]
    assert np.allclose(evs, [np.cos(angles), -np.sin(angles)], atol=0.1)


def test_one_observable_is_a_scalar(api, tools):
    result = run(api, tools, ghz(), {"ZZ": 1.0})
    assert tools.field(result, "evs").shape == ()
    assert result["pub_results"][0]["data"]["shape"] == []
    tagged = {"__type__": "ObservablesArray", "__value__": [{"ZZ": 1.0}]}
    assert tools.field(run(api, tools, ghz(), tagged), "evs").shape == (1,)


TWIRLING = {"num_randomizations": 5, "shots_per_randomization": 20}  # measurements are twirled by default


@pytest.mark.parametrize(
    ("pub", "more", "shots"),
    [
        (0.1, {}, 100),
        (None, {}, 4096),
        (None, {"precision": 0.05}, 400),
        (None, {"options": {"default_precision": 0.2}}, 25),
        (None, {"options": {"default_precision": 0.2, "default_shots": 77}}, 77),
        (None, {"options": {"default_shots": 77, "twirling": TWIRLING}}, 100),
        (None, {"options": {"default_shots": 77, "twirling": {**TWIRLING, "enable_measure": False}}}, 77),
        (0.05, {"options": {"twirling": TWIRLING}}, 400),
    ],
)
def test_the_number_of_shots_follows_from_the_precision(api, tools, pub, more, shots):
    result = api.run(params(tools, ghz(), {"ZI": 1.0}, None, pub) | more, SIMULATOR, "estimator")
    metadata = result["pub_results"][0]["metadata"]
    assert metadata["shots"] == shots
    assert metadata["target_precision"] == pytest.approx(pub or more.get("precision") or 1 / math.sqrt(shots))
    # sqrt((1 - mean^2) / shots), where the mean is 0 but for its fluctuation
    assert 0.65 / math.sqrt(shots) < tools.field(result, "stds") <= 1 / math.sqrt(shots)


def test_noise_shows_and_readout_mitigation_helps(api, tools):
    circuit = tools.fit(ghz())
    observable = {"I" * (circuit.num_qubits - 2) + "ZZ": 1.0}
    raw, mitigated = (
        float(tools.field(run(api, tools, circuit, observable, backend="ibmq_belem", resilience_level=level), "evs"))
        for level in (0, 1)
    )
    assert 0.7 < raw < 0.95
    assert raw < mitigated < 1.0


def test_options_are_told_in_the_metadata(api, tools):
    options = {
        "dynamical_decoupling": {"enable": True, "sequence_type": "XY4"},
        "twirling": {"enable_gates": True},
        "resilience": {"zne_mitigation": True, "zne": {"noise_factors": [1, 3], "extrapolator": "linear"}},
        "seed_estimator": 3,
    }
    result = run(api, tools, ghz(), {"ZZ": 1.0}, options=options, resilience_level=0)
    metadata = result["metadata"]
    assert metadata["version"] == 2
    assert metadata["dynamical_decoupling"] == {"enable": True, "sequence_type": "XY4"}
    assert metadata["twirling"]["enable_gates"] is True
    assert metadata["resilience"] == {"measure_mitigation": False, "zne_mitigation": True, "pec_mitigation": False}
    assert result["pub_results"][0]["metadata"]["num_randomizations"] == 32


def test_plain_results_for_clients_without_qiskit(api, tools):
    job = api.submit(params(tools, ghz(), [{"ZZ": 1.0}], support_qiskit=False), SIMULATOR, "estimator")
    api.wait(job)
    (result,) = json.loads(api.get(f"/jobs/{job}/results").text)["results"]
    assert result["data"]["evs"] == [1.0]
    assert result["metadata"]["shots"] == 4096


@pytest.mark.parametrize(
    ("observables", "values", "message"),
    [
        ({"ZZZ": 1.0}, None, "3 qubits wide, but the circuit 2"),
        ([{"ZZ": 1.0}, [{"ZZ": 1.0}]], None, "not of one length"),
        ([{"ZZ": 1.0}] * 2, [[0.1], [0.2], [0.3]], "cannot be broadcast"),
        ({"ZZ": 1.0}, [[0.1, 0.2]], "has 1 parameters"),
        ({"ZZ": 1.0}, {"other": 1.0}, "no values for the parameters angle"),
    ],
)
def test_what_does_not_fit_together_fails_the_job(api, tools, observables, values, message):
    circuit = ghz()
    circuit.rx(Parameter("angle"), 0)
    values = {"angle": 0.1} if values is None else values
    state = api.failure(params(tools, circuit, observables, values), SIMULATOR, "estimator")
    assert message in state["reason"]
    assert state["reason_code"] == 1239


def test_a_circuit_with_measurements_fails_the_job(api, tools):
    circuit = ghz()
    circuit.measure_all()
    assert "no measurements" in api.failure(params(tools, circuit, {"ZZ": 1.0}), SIMULATOR, "estimator")["reason"]

"""What a request becomes for the service's programs, and how it is read back."""

import json
import logging
import math

import numpy as np
import pytest
from qiskit import QuantumCircuit, qasm3
from qiskit.circuit import Parameter, ParameterVector
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder

from qprovider_core.errors import CircuitError, InvalidInputError, ResponseError
from qprovider_core.records import BackendRef, EstimatePub, JobRequest, SamplePub
from qprovider_ibm import _codec, _params
from qprovider_ibm._codec import encode
from qprovider_ibm._params import DefaultShotsPub, circuits_of, encoder_for, inputs_of, merged_pubs, options_of, pubs_of


def circuit(parameters=2, measured=True, name="c"):
    vector = ParameterVector("v", parameters)
    made = QuantumCircuit(2, name=name)
    for parameter in vector:
        made.rx(parameter, 0)
    if measured:
        made.measure_all()
    return made


def params(*pubs, kind="sample", **options):
    request = JobRequest(backend=BackendRef(name="ibm_x"), pubs=pubs, kind=kind, options=options)
    return json.loads(json.dumps(encoder_for(kind).encode(request)))


def theirs(made):
    return json.loads(json.dumps(made), cls=RuntimeDecoder)


def test_a_sampler_job_is_what_ibms_own_client_sends():
    made = circuit()
    values = np.arange(12.0).reshape(3, 2, 2)
    ours = params(SamplePub(circuit=made, shots=100, parameter_values=tuple(values.ravel()), shape=(3, 2)))
    pub = json.loads(json.dumps(SamplerPub.coerce((made, values, 100)), cls=RuntimeEncoder))
    assert ours["pubs"][0][1:] == pub[1:]
    assert {key: value for key, value in ours.items() if key != "pubs"} == {
        "options": {},
        "version": 2,
        "support_qiskit": True,
    }
    back = theirs(ours)["pubs"][0]
    assert back[0] == made
    assert np.array_equal(back[1], values)


def test_a_pub_without_parameters_has_values_of_shape_0():
    got = theirs(params(SamplePub(circuit=circuit(0), shots=1)))["pubs"][0]
    assert got[1].shape == (0,)
    assert got[1].dtype == float


def test_shots_that_nobody_gave_are_left_to_the_server():
    assert params(DefaultShotsPub(circuit=circuit(0), shots=4096))["pubs"][0][2] is None
    assert params(SamplePub(circuit=circuit(0), shots=np.int64(7)))["pubs"][0][2] == 7


def test_neighbours_that_bind_one_circuit_are_one_pub(monkeypatch):
    one, other = circuit(1), circuit(1)
    plain = circuit(0)
    written = []
    monkeypatch.setattr(_codec, "circuit_text", lambda *args: written.append(args[0]) or "text")
    pubs = [
        *(SamplePub(circuit=one, shots=5, parameter_values=(x,)) for x in (0.1, 0.2, 0.3)),
        SamplePub(circuit=one, shots=6, parameter_values=(0.4,)),
        SamplePub(circuit=other, shots=6, parameter_values=(0.5,)),
        SamplePub(circuit=one, shots=6, parameter_values=(0.6, 0.7), shape=(2,)),
        SamplePub(circuit=one, shots=6, parameter_values=(0.8,)),
        SamplePub(circuit=plain, shots=6),
        SamplePub(circuit=plain, shots=6),
    ]
    merged = merged_pubs(pubs)
    assert [pub.shape for pub in merged] == [(3,), (), (), (2,), (), (), ()]
    assert merged[0].parameter_values == (0.1, 0.2, 0.3)
    assert merged_pubs(merged) == merged
    params(*pubs)
    assert written == [one, other, plain]


def test_an_estimator_job_is_what_ibms_own_client_sends():
    made = circuit(2, measured=False)
    paulis = [["ZI", "IX"], [{"XX": 0.5, "YY": 2.0}, "ZZ"]]
    values = np.arange(4.0).reshape(2, 2)
    reference = EstimatorPub.coerce((made, paulis, values, 0.02))
    pub = EstimatePub(
        circuit=made,
        observables=tuple(reference.observables.ravel().tolist()),
        observables_shape=(2, 2),
        parameter_values=tuple(values.ravel()),
        shape=(2,),
        precision=0.02,
    )
    ours = params(pub, kind="estimate", resilience_level=2, seed_estimator=3, resilience={"zne_mitigation": True})
    expected = json.loads(json.dumps(reference, cls=RuntimeEncoder))
    assert ours["pubs"][0][1:] == expected[1:]
    assert ours["resilience_level"] == 2
    assert ours["options"] == {"seed_estimator": 3, "resilience": {"zne_mitigation": True}}
    single = EstimatePub(circuit=circuit(0, measured=False), observables=({"ZI": 1},), observables_shape=())
    got = params(single, kind="estimate")
    assert got["pubs"][0][1] == {"ZI": 1.0}
    assert got["pubs"][0][3] is None
    assert "resilience_level" not in got
    listed = EstimatePub(circuit=circuit(0, measured=False), observables=({"ZI": 1}, {"XX": 2}))
    assert params(listed, kind="estimate")["pubs"][0][1] == [{"ZI": 1.0}, {"XX": 2.0}]


def test_options_go_where_the_service_wants_them():
    got = params(
        SamplePub(circuit=circuit(0), shots=1),
        rep_delay=0.0002,
        init_qubits=False,
        meas_level=1,
        meas_return="single",
        seed_simulator=7,
        noise_model=NoiseModel(),
        dynamical_decoupling=True,
        twirling={"num_randomizations": 4},
        experimental={"x": 1, "image": "a:b"},
        max_execution_time=60,
        private=True,
    )["options"]
    assert got["execution"] == {"init_qubits": False, "rep_delay": 0.0002, "meas_type": "kerneled"}
    assert got["dynamical_decoupling"] == {"enable": True}
    assert got["twirling"] == {"num_randomizations": 4}
    assert got["experimental"] == {"x": 1}
    assert got["simulator"]["seed_simulator"] == 7
    assert got["simulator"]["noise_model"]["__type__"] == "NoiseModel"
    assert set(got) == {"execution", "dynamical_decoupling", "twirling", "experimental", "simulator"}


def test_what_does_not_belong_together_is_refused():
    sample = SamplePub(circuit=circuit(0), shots=1)
    estimate = EstimatePub(circuit=circuit(0, measured=False), observables=({"ZI": 1},))
    with pytest.raises(InvalidInputError, match="Pub 0 is not one of a sampler"):
        params(estimate)
    with pytest.raises(InvalidInputError, match="Pub 0 is not one of an estimator"):
        params(sample, kind="estimate")
    with pytest.raises(InvalidInputError, match="resilience_level is not an option of a sampler"):
        params(sample, resilience_level=1)
    with pytest.raises(InvalidInputError, match="not an option of an estimator"):
        params(estimate, kind="estimate", execution={"meas_type": "kerneled"})
    with pytest.raises(InvalidInputError, match="no program for jobs of the kind 'learn'"):
        encoder_for("learn")


def test_values_and_observables_that_do_not_fit_are_refused():
    with pytest.raises(CircuitError, match="has 3 parameter values") as info:
        params(SamplePub(circuit=circuit(2), shots=1, parameter_values=(1.0, 2.0, 3.0)))
    assert info.value.index == 0
    for observable in ("ZIZ", "Z0", "Z"):
        pub = EstimatePub(circuit=circuit(0, measured=False), observables=({observable: 1},))
        with pytest.raises(CircuitError, match="2 of the letters I, X, Y, Z"):
            params(pub, kind="estimate")
    pub = EstimatePub(circuit=circuit(0, measured=False), observables=({"ZZ": 1},), observables_shape=(2,))
    with pytest.raises(InvalidInputError, match="has 1 observables; their shape"):
        params(pub, kind="estimate")


def test_another_encoder_can_take_the_place_of_one():
    class Executor:
        program = "executor"

        def encode(self, request):
            return {"schema_version": "v2.0"}

    before = _params.use_encoder("sample", Executor())
    try:
        assert encoder_for("sample").program == "executor"
        assert params(SamplePub(circuit=circuit(), shots=1)) == {"schema_version": "v2.0"}
    finally:
        _params.use_encoder("sample", before)
    assert encoder_for("sample").program == "sampler"
    assert encoder_for("estimate").program == "estimator"


# ------------------------------------------------------------------------------------------------ reading back


def test_a_job_reads_back_what_was_sent():
    made = circuit()
    pub = SamplePub(circuit=made, shots=9, parameter_values=(1.0, 2.0, 3.0, 4.0), shape=(2,))
    got = params(pub, dynamical_decoupling="XY4")
    assert circuits_of(got) == [made]
    assert pubs_of(got) == [pub]
    assert options_of(got) == {"dynamical_decoupling": {"enable": True, "sequence_type": "XY4"}}
    inputs = inputs_of(got)
    assert inputs["pubs"][0][0] == made
    assert inputs["pubs"][0][1].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert got["pubs"][0][0]["__type__"] == "QuantumCircuit"  # the params are as they were
    bare = circuit(1, measured=False)
    estimate = EstimatePub(
        circuit=bare,
        observables=({"ZI": 1.0}, {"XX": 0.5}),
        observables_shape=(2,),
        parameter_values=(0.1,),
        precision=0.1,
    )
    assert pubs_of(params(estimate, kind="estimate"), "estimate") == [estimate]
    assert options_of(params(estimate, kind="estimate", resilience_level=0)) == {"resilience_level": 0}


def test_other_forms_of_pubs_are_read_too():
    made = circuit(0)
    theta = Parameter("theta")
    bound = QuantumCircuit(1, 1)
    bound.rx(theta, 0)
    bound.measure(0, 0)
    got = {
        "pubs": [
            [qasm3.dumps(made)],
            ['OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; h q[0]; measure q[0] -> c[0];', None, None],
            [encode(bound), {"theta": [0.1, 0.2]}, 5],
        ],
        "options": {"default_shots": 11},
    }
    pubs = pubs_of(got)
    assert [pub.shots for pub in pubs] == [11, 11, 5]
    assert pubs[0].circuit.count_ops()["measure"] == 2
    assert pubs[1].circuit.count_ops()["h"] == 1
    assert (pubs[2].shape, pubs[2].parameter_values) == ((2,), (0.1, 0.2))
    assert pubs_of({"pubs": [[qasm3.dumps(made)]]})[0].shots == 4096
    assert pubs_of({**got, "shots": 3})[0].shots == 3
    assert circuits_of({"schema_version": "v2.0"}) == []


def test_openqasm_of_the_server_reads_no_files(tmp_path, monkeypatch, caplog):
    (tmp_path / "secret.inc").write_text("gate secret a { }")
    monkeypatch.chdir(tmp_path)
    text = 'OPENQASM 2.0; include "secret.inc"; qreg q[1]; secret q[0];'
    with caplog.at_level(logging.WARNING):
        assert circuits_of({"pubs": [[text], ["nonsense"]]}) == [None, None]
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("pubs", [3, [3], [[]], [{}]])
def test_pubs_that_are_no_lists_are_refused_with_their_place(pubs):
    with pytest.raises(ResponseError) as info:
        circuits_of({"pubs": pubs})
    assert info.value.path.startswith("params.pubs")


def test_values_that_fit_nothing_are_refused_with_their_place():
    with pytest.raises(ResponseError) as info:
        pubs_of({"pubs": [[encode(circuit(0)), "x", 1]]})
    assert info.value.path == "params.pubs[0]"
    with pytest.raises(ResponseError):
        pubs_of({"pubs": [[encode(circuit(0)), {"AB": "x"}]]}, "estimate")


def test_many_bindings_of_a_wide_circuit_are_small():
    made = circuit(1)
    many = [SamplePub(circuit=made, shots=1, parameter_values=(x * math.pi,)) for x in range(300)]
    assert len(json.dumps(params(*many))) < 10_000

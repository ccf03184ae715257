"""Options of `run` and of the primitives: names, values, and where they go."""

import copy

import pytest
from qiskit.result.models import MeasLevel, MeasReturnType
from qiskit.transpiler import CouplingMap
from qiskit_ibm_runtime.options import EstimatorOptions as TheirEstimatorOptions
from qiskit_ibm_runtime.options import SamplerOptions as TheirSamplerOptions

from qprovider_core.errors import InvalidInputError, UnknownOptionError
from qprovider_core.records import BackendConfiguration
from qprovider_ibm._options import EstimatorOptions, SamplerOptions
from qprovider_ibm._run_options import (
    GONE,
    PRIMITIVE_OPTIONS,
    RUN_OPTIONS,
    checked_run_options,
    refuse_gone_options,
    split_options,
)

DEVICE = BackendConfiguration(backend_name="ibm_x", rep_delay_range=(0.0, 0.0005), dynamic_reprate_enabled=True)


def test_options_are_normalized_and_stay_as_they_are_when_checked_again():
    given = {
        "dynamical_decoupling": "XpXm",
        "twirling": True,
        "log_level": "debug",
        "meas_level": MeasLevel.KERNELED,
        "meas_return": MeasReturnType.AVERAGE,
        "rep_delay": 0.00025,
        "private": None,
        "max_execution_time": 10800,
        "execution": {},
    }
    once = checked_run_options(given, DEVICE)
    assert once == {
        "dynamical_decoupling": {"enable": True, "sequence_type": "XpXm"},
        "twirling": {"enable_gates": True, "enable_measure": True},
        "log_level": "DEBUG",
        "meas_level": 1,
        "meas_return": "avg",
        "rep_delay": 0.00025,
        "max_execution_time": 10800,
    }
    assert checked_run_options(once, DEVICE) == once


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"init_qubits": 1}, "must be True or False"),
        ({"rep_delay": "x"}, "must be a number of at least 0"),
        ({"rep_delay": -1e-4}, "must be a number of at least 0"),
        ({"max_execution_time": 0}, "from 1 to 10800"),
        ({"max_execution_time": 10801}, "from 1 to 10800"),
        ({"max_execution_time": 1.5}, "from 1 to 10800"),
        ({"private": "yes"}, "must be True or False"),
        ({"session_id": ""}, "must be a text"),
        ({"log_level": "loud"}, "'DEBUG', 'INFO'"),
        ({"meas_level": 0}, "raw readout .* ended"),
        ({"meas_level": 3}, "must be 2"),
        ({"meas_level": True}, "must be 2"),
        ({"meas_level": [1]}, "meas_level"),
        ({"meas_return": "both"}, "'single' or 'avg'"),
        ({"seed_simulator": -1}, "at least 0"),
        ({"noise_model": 3}, "a NoiseModel of Qiskit Aer"),
        ({"experimental": [1]}, "a mapping"),
        ({"dynamical_decoupling": 3}, "takes a mapping"),
        ({"dynamical_decoupling": "YY"}, "dynamical_decoupling.sequence_type must be one of 'XX', 'XpXm', 'XY4'"),
        ({"dynamical_decoupling": {"enable": "on"}}, "dynamical_decoupling.enable must be True or False"),
        ({"twirling": {"num_randomizations": 0}}, "a whole number of at least 1 or 'auto'"),
        ({"twirling": "all"}, "takes a mapping"),
        ({"resilience": {"zne_mitigation": True, "pec_mitigation": True}}, "exclude each other"),
        ({"resilience": {"zne": {"extrapolator": ["linear", "double_exponential"]}}}, "needs at least 4 noise factors"),
        ({"resilience": {"zne": {"extrapolator": "polynomial_degree_2", "noise_factors": [1, 2]}}}, "needs at least 3"),
        ({"resilience_level": 3}, "from 0 to 2"),
    ],
)
def test_values_that_an_option_does_not_take_are_refused(options, match):
    with pytest.raises(InvalidInputError, match=match):
        checked_run_options(options)


def test_the_delay_between_shots_lies_in_the_range_of_the_device():
    with pytest.raises(InvalidInputError, match="from 0 to 0.0005 on ibm_x") as info:
        checked_run_options({"rep_delay": 250}, DEVICE)
    assert "microseconds" in info.value.hint
    with pytest.raises(InvalidInputError, match=r"not 0\.1") as info:
        checked_run_options({"execution": {"rep_delay": 0.1}}, DEVICE)
    assert checked_run_options({"rep_delay": 0.0005}, DEVICE) == {"rep_delay": 0.0005}
    assert checked_run_options({"rep_delay": 9}) == {"rep_delay": 9}
    fixed = BackendConfiguration(backend_name="sim", dynamic_reprate_enabled=False)
    with pytest.raises(InvalidInputError, match="fixed delay"):
        checked_run_options({"rep_delay": 0}, fixed)


def test_unknown_names_are_refused_with_near_ones():
    with pytest.raises(UnknownOptionError) as info:
        checked_run_options({"rep_delai": 1})
    assert info.value.suggestions[0] == "rep_delay"
    with pytest.raises(UnknownOptionError, match="no option twirling.enabel_gates") as info:
        checked_run_options({"twirling": {"enabel_gates": True}})
    assert info.value.suggestions[0] == "enable_gates"


@pytest.mark.parametrize("name", sorted(GONE))
def test_options_that_are_gone_are_refused_with_what_to_do_instead(name):
    assert name not in RUN_OPTIONS
    with pytest.raises(UnknownOptionError, match="does not exist any more") as info:
        refuse_gone_options({name: 1})
    assert info.value.why
    assert info.value.hint
    refuse_gone_options({name: None})
    if name not in PRIMITIVE_OPTIONS:
        with pytest.raises(UnknownOptionError, match="does not exist any more"):
            checked_run_options({name: 1})


def test_job_fields_and_options_of_the_program_are_told_apart():
    options, top = split_options(
        {
            "max_execution_time": 300,
            "private": True,
            "session_id": "s1",
            "log_level": "info",
            "calibration_id": "c1",
            "image": "name:tag",
            "dynamic": True,
            "meas_level": 2,
            "rep_delay": 0.001,
            "seed_simulator": 1,
            "default_shots": 5,
            "resilience_level": 1,
            "execution": {"init_qubits": False},
        }
    )
    assert top == {
        "cost": 300,
        "private": True,
        "session_id": "s1",
        "log_level": "INFO",
        "calibration_id": "c1",
        "runtime": "name:tag",
    }
    assert options == {
        "execution": {"init_qubits": False, "rep_delay": 0.001, "meas_type": "classified"},
        "simulator": {"seed_simulator": 1},
        "default_shots": 5,
        "resilience_level": 1,
    }
    assert split_options({"private": False, "dynamic": False}) == ({}, {})
    assert split_options({"meas_level": "kerneled"})[0] == {"execution": {"meas_type": "avg_kerneled"}}
    assert split_options({"meas_level": 1, "meas_return": "single"})[0] == {"execution": {"meas_type": "kerneled"}}
    assert split_options({"experimental": {"image": "i"}}) == ({}, {"runtime": "i"})


# ---------------------------------------------------------------------------------------------- of the primitives


def test_options_are_set_by_attribute_and_by_item():
    options = SamplerOptions(default_shots=10)
    options.dynamical_decoupling.enable = True
    options["twirling"]["strategy"] = "all"
    options.execution = {"init_qubits": False}
    options.environment.log_level = "debug"
    options.simulator.coupling_map = CouplingMap([(0, 1)])
    assert options.to_dict() == {
        "default_shots": 10,
        "dynamical_decoupling": {"enable": True},
        "twirling": {"strategy": "all"},
        "simulator": {"coupling_map": [[0, 1]]},
        "environment": {"log_level": "DEBUG"},
        "execution": {"init_qubits": False},
    }
    assert options.default_shots == options["default_shots"] == 10
    assert options.execution.rep_delay is None
    assert options.max_execution_time is None
    assert "default_shots" in options
    assert "experimental" not in options
    assert len(options) == 6
    options.default_shots = None
    del options["twirling"]
    del options.execution
    assert set(options) == {"dynamical_decoupling", "simulator", "environment"}
    assert "default_shots" in dir(options)
    assert "enable=True" in repr(options)


def test_setting_several_merges_the_groups_inside():
    options = EstimatorOptions({"resilience": {"zne": {"noise_factors": (1, 2)}}})
    options.update({"resilience": {"zne": {"amplifier": "pea"}, "measure_mitigation": True}}, resilience_level=2)
    options.update(dynamical_decoupling=True)
    assert options.to_dict() == {
        "resilience": {"zne": {"noise_factors": [1, 2], "amplifier": "pea"}, "measure_mitigation": True},
        "resilience_level": 2,
        "dynamical_decoupling": {"enable": True},
    }


def test_copies_are_of_their_own():
    options = EstimatorOptions(resilience={"zne": {"noise_factors": [1, 2]}})
    for made in (copy.copy(options), copy.deepcopy(options), options.copy(), EstimatorOptions(options)):
        assert made == options
        made.resilience.zne.noise_factors = [1, 2, 3]
        assert options.resilience.zne.noise_factors == [1, 2]


def test_unknown_options_are_errors_at_once():
    options = EstimatorOptions()
    with pytest.raises(UnknownOptionError, match="no option resilience.zne.noise_factor") as info:
        options.resilience.zne.noise_factor = [1]
    assert info.value.suggestions[0] == "noise_factors"
    with pytest.raises(UnknownOptionError):
        options["default_shot"] = 1
    with pytest.raises(UnknownOptionError):
        _ = options["default_shot"]
    with pytest.raises(AttributeError, match="did you mean 'default_shots'"):
        _ = options.default_shot
    assert not hasattr(options, "optimization_level")
    with pytest.raises(UnknownOptionError):
        SamplerOptions(resilience_level=1)
    with pytest.raises(InvalidInputError, match=r"resilience\.pec\.max_overhead must be a number above 0, not 0"):
        options.resilience.pec.max_overhead = 0
    with pytest.raises(InvalidInputError, match="resilience takes a mapping"):
        options.resilience = 2
    with pytest.raises(InvalidInputError, match="a list, each item a number of at least 1"):
        options.resilience.zne.noise_factors = [0.5]
    with pytest.raises(InvalidInputError, match="pairs of qubits"):
        options.simulator.coupling_map = [[0, 1, 2]]


def names(options, prefix=""):
    found = set()
    for name, kind in options.fields.items():
        if isinstance(kind, type):
            found |= names(kind(), f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def their_names(options, prefix=""):
    found = set()
    for name, value in vars(options).items():
        if hasattr(value, "__dataclass_fields__"):
            found |= their_names(value, f"{prefix}{name}.")
        elif not name.startswith("_"):
            found.add(prefix + name)
    return found


@pytest.mark.parametrize(
    ("ours", "theirs"), [(SamplerOptions(), TheirSamplerOptions()), (EstimatorOptions(), TheirEstimatorOptions())]
)
def test_the_names_are_those_of_ibms_own_client(ours, theirs):
    more = {"environment.image", "environment.calibration_id"}
    assert names(ours) - more == their_names(theirs)


@pytest.mark.parametrize("options", [{"noise_model": {"errors": []}}, {"simulator": {"noise_model": {"errors": []}}}])
def test_a_noise_model_is_for_simulators(options):
    with pytest.raises(InvalidInputError, match="ibm_x is a device, and takes no noise_model") as caught:
        checked_run_options(options, DEVICE)
    assert "has its own noise" in caught.value.why
    assert "provider.backends(simulator=True)" in caught.value.hint
    assert "AerSimulator(noise_model=…)" in caught.value.hint
    assert checked_run_options(options, BackendConfiguration(backend_name="sim", simulator=True)) == options
    assert checked_run_options(options) == options
    assert checked_run_options({"noise_model": None, "simulator": {"seed_simulator": 1}}, DEVICE)

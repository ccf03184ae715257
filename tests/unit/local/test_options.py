"""Settings of an account and options of a run."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit_aer import AerSimulator

import qprovider_local as plugin
from qprovider_core.errors import InvalidInputError, UnknownBackendError, UnknownOptionError
from qprovider_local._options import RUN_OPTIONS, LocalOptions, checked_run_options


def test_every_setting_has_a_default():
    assert LocalOptions() == LocalOptions(workers=1, max_threads=None, all_devices=False)


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"workers": 1.5}, {"workers": True}, {"max_threads": 0}])
def test_a_wrong_setting_is_named(wrong):
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        LocalOptions(**wrong)


def test_the_announcement_offers_the_options_that_are_checked():
    assert plugin.qprovider_provider().run_options == tuple(RUN_OPTIONS)


def test_every_option_is_one_of_aers():
    assert set(RUN_OPTIONS) <= set(AerSimulator._default_options().__dict__)
    assert not {"shots", "memory", "method", "noise_model"} & set(RUN_OPTIONS)


def test_values_come_back_as_plain_python_and_what_is_none_was_not_given():
    checked = checked_run_options(
        {"seed_simulator": np.int64(3), "zero_threshold": np.float64(1e-9), "precision": None}
    )
    assert checked == {"seed_simulator": 3, "zero_threshold": 1e-9}
    assert [type(value) for value in checked.values()] == [int, float]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed_simulator", -1),
        ("seed_simulator", 2.5),
        ("seed_simulator", True),
        ("seed_simulator", 2**63),
        ("precision", "triple"),
        ("fusion_enable", 1),
        ("fusion_max_qubit", "5"),
        ("zero_threshold", float("nan")),
        ("zero_threshold", 0),
        ("zero_threshold", "small"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_runs(name, value, own_local, bell):
    with pytest.raises(InvalidInputError, match=name):
        own_local.submit(bell, **{name: value})
    assert own_local.connection.pool.pids() == []


def test_an_unknown_option_names_its_neighbours():
    with pytest.raises(UnknownOptionError, match="seed_simulator"):
        checked_run_options({"seed_simulater": 1})


def test_an_unknown_backend_names_its_neighbours(own_local, bell):
    with pytest.raises(UnknownBackendError, match="fake_belem"):
        own_local.submit(bell, "fake_belen")
    with pytest.raises(UnknownBackendError, match="all_devices"):
        own_local.submit(bell, "zzz")


@pytest.mark.parametrize("value", list(RUN_OPTIONS))
def test_aer_takes_every_option(value, local, bell):
    words = {
        "precision": "single",
        "extended_stabilizer_sampling_method": "metropolis",
        "mps_sample_measure_algorithm": "mps_probabilities",
    }
    flags = ("enable_truncation", "fusion_enable", "shot_branching_enable", "shot_branching_sampling_enable")
    small = (
        "zero_threshold",
        "extended_stabilizer_approximation_error",
        "matrix_product_state_truncation_threshold",
    )
    given = words.get(value, True if value in flags else 1e-6 if value in small else 1000)
    assert sum(local.counts(bell, **{value: given}).values()) == 1000

"""Errors: one layout, facts as attributes, nothing secret in them."""

import copy
import pickle

import pytest

from qprovider_core import errors
from qprovider_core.errors import (
    DeadlineError,
    InvalidInputError,
    JobTimeoutError,
    NoMatchingBackendError,
    QProviderError,
    UnknownBackendError,
    UnknownNameError,
    near_matches,
)
from qprovider_core.secret import Secret

CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, QProviderError)]
FACTS = {
    errors.AccountsFileError: {"path": "/tmp/accounts.json"},
    errors.NoAccountError: {"provider": "ibm"},
    errors.PluginError: {"plugin": "acme", "hook": "qprovider_get_job"},
    errors.UnsupportedError: {"capability": "get_job", "plugin": "acme", "hook": "qprovider_get_job"},
    errors.VetoError: {"plugin": "guard"},
    errors.TransportError: {"retryable": False},
    errors.DeadlineError: {"timeout_s": 1.5, "retryable": False},
    errors.ResponseError: {"path": "qubits[3].t1"},
    errors.WhereError: {"text": "a ==", "position": 4},
    errors.CircuitError: {"index": 2},
    errors.JobError: {"job_id": "j1"},
    errors.JobFailedError: {"job_id": "j1"},
    errors.JobCancelledError: {"job_id": "j1"},
    errors.JobTimeoutError: {"job_id": "j1"},
    errors.ResultError: {"job_id": "j1"},
}


def test_a_message_says_what_happened_why_and_what_to_do():
    error = QProviderError("It failed.", why="The disk is full.", hint="Make room.")
    assert str(error) == "It failed.\nThe disk is full.\nMake room."
    assert (error.what, error.why, error.hint) == ("It failed.", "The disk is full.", "Make room.")
    assert error.args == ("It failed.",)
    assert str(QProviderError("It failed.")) == "It failed."


@pytest.mark.parametrize("travel", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_travels_with_its_facts(kind, travel):
    if issubclass(kind, UnknownNameError):
        error = kind("torinno", ["torino", "oslo"], why="because")
    elif kind is NoMatchingBackendError:
        error = kind("None.", reasons={"a": "too small"}, errors=["ibm: down"], hint="Relax.")
    else:
        error = kind("What.", why="because", hint="Do.", **FACTS.get(kind, {}))
    error.add_note("a note")
    again = travel(error)
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert str(again) == str(error)
    for name, value in FACTS.get(kind, {}).items():
        assert getattr(again, name) == value


def test_a_timeout_leaves_its_handle_behind_when_it_travels():
    error = JobTimeoutError("Late.", job=lambda: None, job_id="j1")
    again = pickle.loads(pickle.dumps(error))
    assert (again.job, again.job_id) == (None, "j1")
    assert error.job is not None


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(DeadlineError, TimeoutError), (InvalidInputError, ValueError), (JobTimeoutError, TimeoutError)],
)
def test_errors_are_pythons_own_where_one_fits(kind, builtin):
    with pytest.raises(builtin):
        raise kind("No.")


def test_near_matches_are_named_best_first_and_at_most_three():
    assert near_matches("torinno", ["oslo", "torino"]) == ("torino",)
    assert near_matches("TORINO", ["torino"]) == ("torino",)
    assert near_matches("belem", ["local:aer_simulator_belem", "x"]) == ("local:aer_simulator_belem",)
    assert len(near_matches("ab", ["ab1", "ab2", "ab3", "ab4"])) == 3
    assert near_matches("", ["a", "b"]) == ()
    assert near_matches("zzz", ["a"]) == ()


@pytest.mark.parametrize(
    ("choices", "hint"),
    [
        (["torino"], "Did you mean 'torino'?"),
        (["torino", "torinos"], "Did you mean 'torino' or 'torinos'?"),
        (["torino1", "torino2", "torino3"], "Did you mean 'torino3', 'torino2' or 'torino1'?"),
        (["x", "y"], "Choose one of: x, y."),
        ([f"x{i:02}" for i in range(14)], "and 2 more."),
        ([], None),
    ],
)
def test_an_unknown_name_says_what_there_is(choices, hint):
    error = UnknownBackendError("torino", choices)
    assert error.what == "Unknown backend: 'torino'."
    assert error.choices == tuple(choices)
    assert error.hint == hint or error.hint.endswith(hint)
    assert UnknownBackendError("torino", choices, hint="Mine.").hint == "Mine."


def test_the_reasons_are_in_the_message_and_few_enough_to_read():
    error = NoMatchingBackendError("None.", reasons={f"b{i}": "small" for i in range(25)}, errors=["ibm: down"])
    assert "  b0: small" in str(error)
    assert "b20" not in str(error)
    assert "… and 5 more" in str(error)
    assert "  ibm: down" in str(error)
    assert len(error.reasons) == 25


def test_no_message_holds_a_secret():
    Secret("hunter2-hunter2")
    error = QProviderError("hunter2-hunter2", why="with hunter2-hunter2", hint="use hunter2-hunter2")
    assert "hunter2" not in str(error) + repr(error)
    assert "hunter2" not in str(UnknownBackendError("hunter2-hunter2", ["hunter2-hunter2"]))
    assert "hunter2" not in str(NoMatchingBackendError("No.", reasons={"a": "hunter2-hunter2"}))

"""What can be set: of an account, and of one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import attrs

from qprovider_core.errors import InvalidInputError, UnknownOptionError
from qprovider_core.records._base import Record


def _at_least_one(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInputError(f"{attribute.name} must be a whole number of at least 1, not {value!r}.")


@attrs.frozen(kw_only=True, repr=False)
class LocalOptions(Record):
    """Settings of a local account; each has a default, so the account is simply there.

    Attributes:
        workers: Jobs that run at once, each in a process of its own.
        max_threads: Threads of one worker; None shares the machine's cores among the workers.
        all_devices: Whether to list a noisy twin of every device in an installed qiskit-ibm-runtime, too.
    """

    workers: int = attrs.field(
        default=1, validator=_at_least_one, metadata={"help": "jobs that run at once (default 1)"}
    )
    max_threads: int | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(_at_least_one),
        metadata={"help": "threads of one worker (default: all cores, shared among the workers)"},
    )
    all_devices: bool = attrs.field(
        default=False,
        validator=attrs.validators.instance_of(bool),
        metadata={"help": "also list the devices found in an installed qiskit-ibm-runtime"},
    )


Check = Callable[[Any], Any]


def _whole(least: int, most: int | None = None) -> Check:
    wanted = f"a whole number of at least {least}" + (f" and at most {most}" if most is not None else "")

    def check(value: Any) -> int:
        # numbers.Integral also covers numpy's integers, which JSON would refuse later.
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(wanted)
        number = int(value)
        if number < least or (most is not None and number > most):
            raise ValueError(wanted)
        return number

    return check


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < float("inf"):
        raise ValueError("a number above 0")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def _one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError("one of " + ", ".join(repr(word) for word in words))
        return value

    return check


# Options of `AerSimulator` that are worth setting for one run; the method is fixed by the backend.
# Source of names and meanings: documentation of qiskit_aer.AerSimulator, "Additional Backend Options".
RUN_OPTIONS: Mapping[str, Check] = {
    "seed_simulator": _whole(0, 2**63 - 1),
    "precision": _one_of("single", "double"),
    "max_parallel_threads": _whole(0),
    "max_parallel_experiments": _whole(0),
    "max_parallel_shots": _whole(0),
    "max_memory_mb": _whole(0),
    "enable_truncation": _flag,
    "zero_threshold": _positive,
    "fusion_enable": _flag,
    "fusion_max_qubit": _whole(1),
    "fusion_threshold": _whole(1),
    "statevector_parallel_threshold": _whole(1),
    "statevector_sample_measure_opt": _whole(1),
    "shot_branching_enable": _flag,
    "shot_branching_sampling_enable": _flag,
    "extended_stabilizer_sampling_method": _one_of("metropolis", "resampled_metropolis", "norm_estimation"),
    "extended_stabilizer_metropolis_mixing_time": _whole(1),
    "extended_stabilizer_approximation_error": _positive,
    "extended_stabilizer_norm_estimation_samples": _whole(1),
    "extended_stabilizer_norm_estimation_repetitions": _whole(1),
    "extended_stabilizer_parallel_threshold": _whole(1),
    "matrix_product_state_max_bond_dimension": _whole(1),
    "matrix_product_state_truncation_threshold": _positive,
    "mps_sample_measure_algorithm": _one_of("mps_heuristic", "mps_apply_measure", "mps_probabilities"),
    "mps_omp_threads": _whole(1),
    "mps_parallel_threshold": _whole(1),
}


def checked_run_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, with plain Python values.

    Raises:
        UnknownOptionError: A name that is not in `RUN_OPTIONS`.
        InvalidInputError: A value that the option does not take.
    """
    checked = {}
    for name, value in options.items():
        if name not in RUN_OPTIONS:
            raise UnknownOptionError(name, RUN_OPTIONS)
        if value is None:  # not given
            continue
        try:
            checked[name] = RUN_OPTIONS[name](value)
        except ValueError as exc:
            raise InvalidInputError(f"The option {name!r} must be {exc}, not {value!r}.") from None
    return checked

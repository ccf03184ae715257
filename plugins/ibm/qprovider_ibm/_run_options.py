"""The options of `backend.run` for IBM: their names and values, and where in a job they go.

`JobRequest.options` holds them flat, by the names of `RUN_OPTIONS`; the primitives add the names of
`PRIMITIVE_OPTIONS`, whose values are nested.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qprovider_core.errors import InvalidInputError, UnknownOptionError
from qprovider_ibm._option_checks import flag, log_level, mapping, noise_model, number, text, whole
from qprovider_ibm._options import (
    LONGEST_EXECUTION_S,
    DynamicalDecouplingOptions,
    EstimatorOptions,
    ResilienceOptions,
    SamplerExecutionOptions,
    SimulatorOptions,
    TwirlingOptions,
)

if TYPE_CHECKING:
    from qprovider_core.records import BackendConfiguration

_LEVELS = {2: 2, "classified": 2, 1: 1, "kerneled": 1}


def _level(value: Any) -> int:
    if isinstance(value, bool) or value not in (*_LEVELS, 0, "raw"):
        raise ValueError("2 ('classified') or 1 ('kerneled')")
    if value in (0, "raw"):
        raise ValueError("2 or 1: raw readout (level 0) ended with pulse control")
    return _LEVELS[value]


def _return(value: Any) -> str:
    word = getattr(value, "value", value)  # Qiskit's MeasReturnType
    if word not in ("single", "avg", "average"):
        raise ValueError("'single' or 'avg'")
    return "single" if word == "single" else "avg"


_GROUPS: Mapping[str, Any] = {
    "dynamical_decoupling": DynamicalDecouplingOptions,
    "twirling": TwirlingOptions,
    "execution": SamplerExecutionOptions,
    "simulator": SimulatorOptions,
    "resilience": ResilienceOptions,
}
_RUN: Mapping[str, Any] = {
    "rep_delay": number(least=0),
    "init_qubits": flag,
    "dynamical_decoupling": DynamicalDecouplingOptions,
    "twirling": TwirlingOptions,
    "max_execution_time": whole(1, LONGEST_EXECUTION_S),
    "private": flag,
    "session_id": text,
    "log_level": log_level,
    "meas_level": _level,
    "meas_return": _return,
    "seed_simulator": whole(0),
    "noise_model": noise_model,
    "experimental": mapping,
    "calibration_id": text,
    "image": text,
    "runtime": text,
    "dynamic": flag,
}
_PRIMITIVE: Mapping[str, Any] = {
    "default_shots": whole(1),
    "default_precision": EstimatorOptions.fields["default_precision"],
    "seed_estimator": EstimatorOptions.fields["seed_estimator"],
    "resilience_level": EstimatorOptions.fields["resilience_level"],
    "execution": SamplerExecutionOptions,
    "simulator": SimulatorOptions,
    "resilience": ResilienceOptions,
}
RUN_OPTIONS = tuple(_RUN)
PRIMITIVE_OPTIONS = tuple(_PRIMITIVE)

_PULSE = "Pulse control ended on IBM Quantum in February 2025."
_INSTEAD_OF_PULSE = "Use gates, with fractional ones (get_backend(…, use_fractional_gates=True)) where they fit."
# Options of retired clients, each with why it is gone and what to do instead.
GONE: Mapping[str, tuple[str, str]] = {
    "header": ("The service keeps no headers.", "Put it into circuit.metadata, or into job_tags."),
    "init_circuit": ("The service has no separate circuit for initializing.", "Put it at the front of the circuit."),
    "init_num_resets": ("The service chooses the number of resets.", "Use init_qubits, or reset gates in the circuit."),
    "use_measure_esp": ("Excited-state promotion is not offered any more.", "Leave it out."),
    "rep_time": ("Repetition times were replaced by delays.", "Use rep_delay, in seconds."),
    "program_id": ("The program follows from what is called.", "Use run, sampler() or estimator()."),
    "optimization_level": ("Circuits are compiled on this side.", "Use transpile(circuit, backend, …) first."),
    "resilience_level": ("Mitigation is for expectation values.", "Use backend.estimator(resilience_level=…)."),
    "skip_transpilation": ("Circuits are compiled on this side, always.", "Leave it out."),
    "start_session": ("Sessions are opened before their first job.", "Open one, and give session_id."),
    "use_fractional_gates": (
        "Which gates a backend has is chosen with the backend.",
        "Use get_backend(…, use_fractional_gates=True).",
    ),
    **dict.fromkeys(
        (
            "schedule_los",
            "parametric_pulses",
            "qubit_lo_freq",
            "meas_lo_freq",
            "qubit_lo_range",
            "meas_lo_range",
            "default_qubit_los",
            "default_meas_los",
            "memory_slot_size",
            "pulse_library",
            "meas_map",
        ),
        (_PULSE, _INSTEAD_OF_PULSE),
    ),
    **dict.fromkeys(
        ("qobj_id", "qobj_header", "validate_qobj", "memory_slots", "live_data_enabled", "live_data"),
        ("It belongs to a form of jobs that is not used any more.", "Leave it out."),
    ),
}


def refuse_gone_options(options: Mapping[str, Any]) -> None:
    """Refuse options of retired clients with the reason and what to do instead.

    Raises:
        UnknownOptionError: One of them is given.
    """
    for name, value in options.items():
        if name in GONE and value is not None:
            why, hint = GONE[name]
            raise UnknownOptionError(
                name, RUN_OPTIONS, what=f"The option {name!r} does not exist any more.", why=why, hint=hint
            )


def checked_run_options(
    options: Mapping[str, Any], configuration: BackendConfiguration | None = None
) -> dict[str, Any]:
    """The options that were given, as plain values; checking them once more changes nothing.

    Args:
        configuration: Of the backend, for the range of `rep_delay`, and for what only simulators take; without it,
            these are left to the service.
    Raises:
        UnknownOptionError: A name that nothing takes.
        InvalidInputError: A value that the option does not take.
    """
    refuse_gone_options({name: value for name, value in options.items() if name not in _PRIMITIVE})
    known = {**_RUN, **_PRIMITIVE}
    checked: dict[str, Any] = {}
    for name, value in options.items():
        if name not in known:
            raise UnknownOptionError(name, RUN_OPTIONS)
        if value is None:
            continue
        if name in _GROUPS:
            group = _GROUPS[name](value, place=f"{name}.")
            if isinstance(group, ResilienceOptions):
                group.check()
            if group:
                checked[name] = group.to_dict()
            continue
        try:
            checked[name] = known[name](value)
        except (ValueError, TypeError) as exc:
            raise InvalidInputError(f"The option {name!r} must be {exc}, not {value!r}.") from None
    if configuration is not None:
        for delay in (checked.get("rep_delay"), checked.get("execution", {}).get("rep_delay")):
            check_rep_delay(delay, configuration)
        if {"noise_model"} & {*checked, *checked.get("simulator", ())} and not configuration.simulator:
            raise InvalidInputError(
                f"{configuration.backend_name} is a device, and takes no noise_model.",
                why="Noise models are for simulators: a device has its own noise.",
                hint="Run on one of provider.backends(simulator=True), or on this machine:"
                " qiskit_aer.AerSimulator(noise_model=…).run(circuit).",
            )
    return checked


def check_rep_delay(delay_s: float | None, configuration: BackendConfiguration) -> None:
    """Refuse a delay between shots that the backend does not take.

    Raises:
        InvalidInputError: It does not.
    """
    if delay_s is None:
        return
    name = configuration.backend_name
    if configuration.dynamic_reprate_enabled is False:
        raise InvalidInputError(f"{name} has a fixed delay between shots: leave rep_delay out.")
    if configuration.rep_delay_range is not None:
        low, high = configuration.rep_delay_range
        slack = 1e-9 * high  # the range went through other units
        if not low - slack <= delay_s <= high + slack:
            raise InvalidInputError(
                f"rep_delay is a number of seconds from {low:g} to {high:g} on {name}, not {delay_s:g}.",
                hint="It looks like microseconds: divide it by a million."
                if low - slack <= delay_s * 1e-6 <= high + slack
                else None,
            )


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Where a request's options go.

    Returns:
        The ``options`` of the program's params, with ``resilience_level``, which stands beside them there, where
        it is given; and the fields of the job: ``cost``, ``private``, ``session_id``, ``log_level``,
        ``calibration_id``, ``runtime``. Only what was set is in them.
    Raises:
        InvalidInputError: As `checked_run_options`.
    """
    given = checked_run_options(options)
    given.pop("dynamic", None)  # all circuits go one way
    top = {
        name: given.pop(option)
        for option, name in (
            ("max_execution_time", "cost"),
            ("private", "private"),
            ("session_id", "session_id"),
            ("log_level", "log_level"),
            ("calibration_id", "calibration_id"),
            ("image", "runtime"),
            ("runtime", "runtime"),
        )
        if option in given
    }
    if top.get("private") is False:
        del top["private"]
    execution = dict(given.pop("execution", {}))
    for name in ("init_qubits", "rep_delay"):
        if name in given:
            execution[name] = given.pop(name)
    level, kept = given.pop("meas_level", None), given.pop("meas_return", "avg")
    if level is not None:
        execution["meas_type"] = "classified" if level == 2 else "kerneled" if kept == "single" else "avg_kerneled"
    simulator = dict(given.pop("simulator", {}))
    for name in ("seed_simulator", "noise_model"):
        if name in given:
            simulator[name] = given.pop(name)
    experimental = dict(given.pop("experimental", {}))
    if "image" in experimental:
        top.setdefault("runtime", experimental.pop("image"))
    for name, group in (("execution", execution), ("simulator", simulator), ("experimental", experimental)):
        if group:
            given[name] = group
    return given, top

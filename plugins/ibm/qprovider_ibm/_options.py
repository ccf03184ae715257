"""The options of the primitives: `SamplerOptions` and `EstimatorOptions`, checked as they are set.

None is never sent: it means that the server decides. Names, values and defaults are those of the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, ClassVar, Self

from qprovider_core.errors import InvalidInputError, UnknownOptionError, near_matches
from qprovider_ibm._option_checks import (
    anything,
    auto_or,
    coupling_map,
    flag,
    list_of,
    log_level,
    mapping,
    noise_model,
    number,
    one_of,
    text,
    whole,
)

LONGEST_EXECUTION_S = 10800


class OptionGroup(MutableMapping[str, Any]):
    """Options by attribute or by item: ``options.execution.init_qubits = False``, ``options["default_shots"]``.

    What is not given reads as None; setting None takes it back. Iterating gives only what was given.
    """

    fields: ClassVar[Mapping[str, Any]] = {}  # name to a check, or to the class of a group inside

    _place: str
    _values: dict[str, Any]

    def __init__(self, options: Mapping[str, Any] | None = None, /, *, place: str = "", **more: Any) -> None:
        """
        Args:
            options, more: What to set.
            place: Where the group stands among the options, for errors.
        """
        object.__setattr__(self, "_place", place)
        groups = {name: kind for name, kind in self.fields.items() if isinstance(kind, type)}
        values = {name: kind(place=f"{place}{name}.") for name, kind in groups.items()}
        object.__setattr__(self, "_values", values)
        if options is not None:
            self.update(self._expanded(options))
        self.update(more)

    @classmethod
    def short(cls, value: Any) -> Mapping[str, Any] | None:
        """The options that a single value stands for; None: for none."""
        return None

    def _expanded(self, value: Any) -> Mapping[str, Any]:
        """A mapping, or the options that a short form such as True stands for."""
        if isinstance(value, Mapping):
            return value
        expanded = self.short(value)
        if expanded is None:
            raise InvalidInputError(
                f"{self._place.rstrip('.') or 'options'} takes a mapping of options, not {value!r}.",
                hint=f"It has: {', '.join(self.fields)}.",
            )
        return expanded

    def __getitem__(self, name: str) -> Any:
        if name not in self.fields:
            raise self._unknown(name)
        return self._values.get(name)

    def __setitem__(self, name: str, value: Any) -> None:
        kind = self.fields.get(name)
        if kind is None:
            raise self._unknown(name)
        if isinstance(kind, type):
            self._values[name] = kind(value, place=f"{self._place}{name}.")
        elif value is None:
            self._values.pop(name, None)
        else:
            try:
                self._values[name] = kind(value)
            except ValueError as exc:
                raise InvalidInputError(f"The option {self._place}{name} must be {exc}, not {value!r}.") from None

    def __delitem__(self, name: str) -> None:
        self[name] = None

    def update(self, *given: Any, **more: Any) -> None:
        """Set several options; groups inside are merged with what they have."""
        for name, value in dict(*given, **more).items():
            inside = self[name]
            if isinstance(inside, OptionGroup) and value is not None:
                inside.update(inside._expanded(value))
            else:
                self[name] = value

    def __iter__(self) -> Iterator[str]:
        for name in self.fields:
            value = self._values.get(name)
            if value is not None and not (isinstance(value, OptionGroup) and not value):
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in type(self).fields:
            near = near_matches(name, type(self).fields)
            raise AttributeError(f"there is no option {name!r}{f'; did you mean {near[0]!r}?' if near else ''}")
        return self._values.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.fields})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.items())})"

    def copy(self) -> Self:
        """The same options once more."""
        return type(self)(self.to_dict(), place=self._place)

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def to_dict(self) -> dict[str, Any]:
        """What was given, as nested dicts."""
        return {name: value.to_dict() if isinstance(value, OptionGroup) else value for name, value in self.items()}

    def _unknown(self, name: Any) -> UnknownOptionError:
        return UnknownOptionError(str(name), self.fields, what=f"There is no option {self._place}{name}.")


class DynamicalDecouplingOptions(OptionGroup):
    """Pulses in idle times. True stands for ``enable``; the name of a sequence enables it, too."""

    fields: ClassVar[Mapping[str, Any]] = {
        "enable": flag,
        "sequence_type": one_of("XX", "XpXm", "XY4"),
        "extra_slack_distribution": one_of("middle", "edges"),
        "scheduling_method": one_of("alap", "asap"),
        "skip_reset_qubits": flag,
    }

    @classmethod
    def short(cls, value: Any) -> Mapping[str, Any] | None:
        if isinstance(value, bool):
            return {"enable": value}
        return {"enable": True, "sequence_type": value} if isinstance(value, str) else None


class TwirlingOptions(OptionGroup):
    """Averaging over random Paulis. True stands for gates and measurements, False for neither."""

    fields: ClassVar[Mapping[str, Any]] = {
        "enable_gates": flag,
        "enable_measure": flag,
        "num_randomizations": auto_or(whole(1)),
        "shots_per_randomization": auto_or(whole(1)),
        "strategy": one_of("active", "active-circuit", "active-accum", "all"),
    }

    @classmethod
    def short(cls, value: Any) -> Mapping[str, Any] | None:
        return {"enable_gates": value, "enable_measure": value} if isinstance(value, bool) else None


class ExecutionOptions(OptionGroup):
    """How circuits run; `rep_delay` in s."""

    fields: ClassVar[Mapping[str, Any]] = {"init_qubits": flag, "rep_delay": number(least=0)}


class SamplerExecutionOptions(ExecutionOptions):
    """As `ExecutionOptions`, and what a measurement gives."""

    fields: ClassVar[Mapping[str, Any]] = {
        **ExecutionOptions.fields,
        "meas_type": one_of("classified", "kerneled", "avg_kerneled"),
    }


class SimulatorOptions(OptionGroup):
    """What only simulators heed."""

    fields: ClassVar[Mapping[str, Any]] = {
        "noise_model": noise_model,
        "seed_simulator": whole(0),
        "coupling_map": coupling_map,
        "basis_gates": list_of(text),
    }


class EnvironmentOptions(OptionGroup):
    """What concerns the job rather than its circuits."""

    fields: ClassVar[Mapping[str, Any]] = {
        "log_level": log_level,
        "job_tags": list_of(text),
        "private": flag,
        "image": text,
        "calibration_id": text,
    }


class MeasureNoiseLearningOptions(OptionGroup):
    """How the noise of measurements is learnt."""

    fields: ClassVar[Mapping[str, Any]] = {
        "num_randomizations": whole(1),
        "shots_per_randomization": auto_or(whole(1)),
    }


_FACTORS_NEEDED = {"double_exponential": 4, **{f"polynomial_degree_{k}": k + 1 for k in range(1, 8)}}
_extrapolator = one_of("linear", "exponential", "fallback", *_FACTORS_NEEDED)


def _extrapolators(value: Any) -> Any:
    return _extrapolator(value) if isinstance(value, str) else list_of(_extrapolator)(value)


class ZneOptions(OptionGroup):
    """Zero-noise extrapolation."""

    fields: ClassVar[Mapping[str, Any]] = {
        "noise_factors": list_of(number(least=1)),
        "extrapolator": _extrapolators,
        "amplifier": one_of("gate_folding", "gate_folding_front", "gate_folding_back", "pea"),
        "extrapolated_noise_factors": list_of(number(least=0)),
    }


class PecOptions(OptionGroup):
    """Probabilistic error cancellation."""

    fields: ClassVar[Mapping[str, Any]] = {
        "max_overhead": number(above=0),
        "noise_gain": auto_or(number(least=0)),
    }


class LayerNoiseLearningOptions(OptionGroup):
    """How the noise of layers of gates is learnt."""

    fields: ClassVar[Mapping[str, Any]] = {
        "max_layers_to_learn": whole(0),
        "shots_per_randomization": whole(1),
        "num_randomizations": whole(1),
        "layer_pair_depths": list_of(whole(0)),
    }


class ResilienceOptions(OptionGroup):
    """Error mitigation, in detail."""

    fields: ClassVar[Mapping[str, Any]] = {
        "measure_mitigation": flag,
        "measure_noise_learning": MeasureNoiseLearningOptions,
        "zne_mitigation": flag,
        "zne": ZneOptions,
        "pec_mitigation": flag,
        "pec": PecOptions,
        "layer_noise_learning": LayerNoiseLearningOptions,
        "layer_noise_model": anything,
    }

    def check(self) -> None:
        """Refuse options that exclude each other.

        Raises:
            InvalidInputError: They do.
        """
        if self.pec_mitigation and self.zne_mitigation:
            raise InvalidInputError(
                "resilience.pec_mitigation and resilience.zne_mitigation exclude each other.",
                hint="Set one of them to False.",
            )
        names = self.zne.extrapolator or ()
        factors = len(self.zne.noise_factors) if self.zne.noise_factors is not None else 3  # the server's: 1, 3, 5
        for name in [names] if isinstance(names, str) else names:
            needed = _FACTORS_NEEDED.get(name, 2)
            if factors < needed:
                raise InvalidInputError(
                    f"The extrapolator {name!r} needs at least {needed} noise factors; there are {factors}.",
                    hint="Set resilience.zne.noise_factors, such as [1, 1.5, 2, 2.5, 3].",
                )


_COMMON: Mapping[str, Any] = {
    "default_shots": whole(1),
    "dynamical_decoupling": DynamicalDecouplingOptions,
    "twirling": TwirlingOptions,
    "simulator": SimulatorOptions,
    "experimental": mapping,
    "max_execution_time": whole(1, LONGEST_EXECUTION_S),
    "environment": EnvironmentOptions,
}


class SamplerOptions(OptionGroup):
    """Options of a sampler; `max_execution_time` in s."""

    fields: ClassVar[Mapping[str, Any]] = {**_COMMON, "execution": SamplerExecutionOptions}


class EstimatorOptions(OptionGroup):
    """Options of an estimator; `max_execution_time` in s, `default_precision` a standard error."""

    fields: ClassVar[Mapping[str, Any]] = {
        **_COMMON,
        "execution": ExecutionOptions,
        "default_precision": number(above=0),
        "resilience_level": whole(0, 2),
        "resilience": ResilienceOptions,
        "seed_estimator": whole(0),
    }

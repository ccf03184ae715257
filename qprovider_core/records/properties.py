"""Calibration of a backend: what was measured of its qubits and gates, and when.

A document of a large device holds thousands of values. It is kept as it came. What asks for values alone is answered
from bare numbers; the records, which also tell when each was measured, are made when they are first asked for.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, overload

import attrs

from qprovider_core._exports import Table, Tabular
from qprovider_core.errors import InvalidInputError, ResponseError
from qprovider_core.records._base import Record, as_utc, aware
from qprovider_core.records._calibration_tables import gate_table, qubit_table


def _median(values: Sequence[float]) -> float:
    from statistics import median  # late: it loads fractions and decimals

    return median(values)


@attrs.frozen(repr=False)
class Measured(Record):
    """One measured value in SI units, and when it was measured (aware UTC; None when not told)."""

    value: float
    measured_at: datetime | None = attrs.field(
        default=None, converter=as_utc, validator=attrs.validators.optional(aware)
    )


@attrs.frozen(kw_only=True, repr=False)
class QubitCalibration(Record):
    """One qubit's values by name.

    Names are Qiskit's: ``T1``, ``T2`` (s), ``frequency``, ``anharmonicity`` (Hz), ``readout_error``,
    ``prob_meas0_prep1``, ``prob_meas1_prep0`` (probabilities in [0, 1]), ``readout_length`` (s),
    ``operational`` (1 or 0), and whatever else the vendor measures.
    """

    values: Mapping[str, Measured] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True, repr=False)
class GateCalibration(Record):
    """One gate on its qubits: ``gate_error`` (in [0, 1]; 1 means "not calibrated"), ``gate_length`` (s),
    ``operational`` (1 or 0)."""

    gate: str
    qubits: tuple[int, ...]
    values: Mapping[str, Measured] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True, repr=False)
class PropertiesContent(Record):
    """The structured content of a `BackendProperties`; all values in SI units."""

    qubits: tuple[QubitCalibration, ...] = ()
    gates: tuple[GateCalibration, ...] = ()
    general: Mapping[str, Measured] = attrs.field(factory=dict)


class BareValues(NamedTuple):
    """The values of a calibration without their times, in SI units.

    Attributes:
        qubits: By qubit index: name to value.
        gates: Name of the gate, its qubits, and name to value.
    """

    qubits: Sequence[Mapping[str, float]]
    gates: Sequence[tuple[str, tuple[int, ...], Mapping[str, float]]]

    @classmethod
    def of(cls, content: PropertiesContent) -> BareValues:
        """The values in these records."""
        return cls(
            qubits=[_numbers(qubit.values) for qubit in content.qubits],
            gates=[(gate.gate, gate.qubits, _numbers(gate.values)) for gate in content.gates],
        )


def _numbers(values: Mapping[str, Measured]) -> dict[str, float]:
    return {name: measured.value for name, measured in values.items()}


class BackendProperties(Tabular):
    """Calibration of a backend at one moment. Readers answer in SI units, None when not reported.

    `to_pandas`, `to_csv` and so on give one row a qubit; those of `gate_table()` one row a gate.

    Attributes:
        backend_name, backend_version: Whose calibration it is.
        last_update: When it was published, aware UTC; None when not told.
    """

    def __init__(
        self,
        *,
        backend_name: str,
        backend_version: str | None = None,
        last_update: datetime | None = None,
        qubits: Iterable[QubitCalibration] = (),
        gates: Iterable[GateCalibration] = (),
        general: Mapping[str, Measured] | None = None,
    ) -> None:
        if last_update is not None and last_update.tzinfo is None:
            raise ValueError(f"last_update must be an aware time, not {last_update.isoformat()}")
        self.backend_name = backend_name
        self.backend_version = backend_version
        self.last_update = as_utc(last_update)
        content = PropertiesContent(qubits=tuple(qubits), gates=tuple(gates), general=dict(general or {}))
        self._load: Callable[[], PropertiesContent] = lambda: content
        self._load_bare: Callable[[], BareValues] | None = None

    @classmethod
    def deferred(
        cls,
        load: Callable[[], PropertiesContent],
        *,
        bare: Callable[[], BareValues] | None = None,
        backend_name: str,
        backend_version: str | None = None,
        last_update: datetime | None = None,
    ) -> BackendProperties:
        """Properties whose content `load` structures when it is first read.

        Args:
            bare: Gives the same content without times, where that is quicker. It refuses what `load` refuses.
        """
        properties = cls(backend_name=backend_name, backend_version=backend_version, last_update=last_update)
        properties._load = load
        properties._load_bare = bare
        return properties

    # -- content ------------------------------------------------------------------------------------------

    @cached_property
    def _content(self) -> PropertiesContent:
        return self._load()

    @cached_property
    def bare(self) -> BareValues:
        """All values of qubits and gates without their times: many times quicker to have than the records."""
        return BareValues.of(self._content) if self._load_bare is None else self._load_bare()

    @property
    def qubits(self) -> tuple[QubitCalibration, ...]:
        """By qubit index."""
        return self._content.qubits

    @property
    def gates(self) -> tuple[GateCalibration, ...]:
        return self._content.gates

    @property
    def general(self) -> Mapping[str, Measured]:
        """Values of the device as a whole, by name."""
        return self._content.general

    @property
    def last_update_date(self) -> datetime | None:
        """The same as `last_update`, by Qiskit's name."""
        return self.last_update

    @cached_property
    def _gate_index(self) -> dict[tuple[str, tuple[int, ...]], GateCalibration]:
        return {(gate.gate, gate.qubits): gate for gate in self.gates}

    @cached_property
    def _bare_gates(self) -> dict[tuple[str, tuple[int, ...]], Mapping[str, float]]:
        return {(gate, qubits): values for gate, qubits, values in self.bare.gates}

    # -- qubits -------------------------------------------------------------------------------------------

    @overload
    def qubit_property(self, qubit: int) -> Mapping[str, Measured]: ...
    @overload
    def qubit_property(self, qubit: int, name: str) -> Measured | None: ...
    def qubit_property(self, qubit: int, name: str | None = None) -> Mapping[str, Measured] | Measured | None:
        """All values of a qubit by name, or the one asked for, each with its time.

        Raises:
            InvalidInputError: There is no such qubit.
        """
        values = self.qubits[self._checked(qubit)].values
        return values if name is None else values.get(name)

    def _checked(self, qubit: int) -> int:
        try:
            index = -1 if isinstance(qubit, bool) else operator.index(qubit)
        except TypeError:
            index = -1
        known = len(self.bare.qubits)
        if not 0 <= index < known:
            raise InvalidInputError(
                f"{self.backend_name} has no calibrated qubit {qubit!r}.",
                hint=f"Qubits are numbered 0 to {known - 1}." if known else None,
            )
        return index

    def _qubit_value(self, qubit: int, name: str) -> float | None:
        return self.bare.qubits[self._checked(qubit)].get(name)

    def t1(self, qubit: int) -> float | None:
        """Relaxation time in s."""
        return self._qubit_value(qubit, "T1")

    def t2(self, qubit: int) -> float | None:
        """Dephasing time in s."""
        return self._qubit_value(qubit, "T2")

    def frequency(self, qubit: int) -> float | None:
        """Frequency in Hz."""
        return self._qubit_value(qubit, "frequency")

    def anharmonicity(self, qubit: int) -> float | None:
        """Anharmonicity in Hz."""
        return self._qubit_value(qubit, "anharmonicity")

    def readout_error(self, qubit: int) -> float | None:
        """Probability of a wrong readout, in [0, 1]."""
        return self._qubit_value(qubit, "readout_error")

    def readout_length(self, qubit: int) -> float | None:
        """Duration of a readout in s."""
        return self._qubit_value(qubit, "readout_length")

    def is_qubit_operational(self, qubit: int) -> bool:
        """False when the vendor marked the qubit faulty; True when it says nothing."""
        value = self._qubit_value(qubit, "operational")
        return value is None or bool(value)

    def faulty_qubits(self) -> list[int]:
        """Qubits that the vendor marked faulty."""
        return [qubit for qubit, values in enumerate(self.bare.qubits) if not values.get("operational", True)]

    # -- gates --------------------------------------------------------------------------------------------

    def gate_property(
        self, gate: str, qubits: int | Sequence[int], name: str | None = None
    ) -> Mapping[str, Measured] | Measured | None:
        """All values of a gate on `qubits` by name, or the one asked for. None: no such gate or value."""
        calibration = self._gate_index.get((gate, _place(qubits)))
        if calibration is None:
            return None
        return calibration.values if name is None else calibration.values.get(name)

    def _gate_value(self, gate: str, qubits: int | Sequence[int], name: str) -> float | None:
        values = self._bare_gates.get((gate, _place(qubits)))
        return None if values is None else values.get(name)

    def gate_error(self, gate: str, qubits: int | Sequence[int]) -> float | None:
        """Error probability in [0, 1]; 1 means "not calibrated"."""
        return self._gate_value(gate, qubits, "gate_error")

    def gate_length(self, gate: str, qubits: int | Sequence[int]) -> float | None:
        """Duration in s."""
        return self._gate_value(gate, qubits, "gate_length")

    def is_gate_operational(self, gate: str, qubits: int | Sequence[int]) -> bool:
        """False when the vendor marked the gate faulty on these qubits; True when it says nothing."""
        value = self._gate_value(gate, qubits, "operational")
        return value is None or bool(value)

    def faulty_gates(self) -> list[GateCalibration]:
        """Gates that the vendor marked faulty."""
        faulty = {key for key, values in self._bare_gates.items() if not values.get("operational", True)}
        return [gate for gate in self.gates if (gate.gate, gate.qubits) in faulty] if faulty else []

    # -- summaries ----------------------------------------------------------------------------------------

    @cached_property
    def median_two_qubit_error(self) -> float | None:
        """Median error of the two-qubit gate that most pairs have, over working, calibrated pairs."""
        by_gate: dict[str, list[float]] = {}
        faulty = set(self.faulty_qubits())
        for gate, qubits, _ in self.bare.gates:
            if len(qubits) != 2 or not faulty.isdisjoint(qubits):
                continue
            error = self.gate_error(gate, qubits)
            if error is not None and error < 1 and self.is_gate_operational(gate, qubits):
                by_gate.setdefault(gate, []).append(error)
        if not by_gate:
            return None
        most_common = max(by_gate, key=lambda gate: len(by_gate[gate]))
        return _median(by_gate[most_common])

    @cached_property
    def median_readout_error(self) -> float | None:
        """Median readout error over the qubits, in [0, 1]."""
        errors = [e for values in self.bare.qubits if (e := values.get("readout_error")) is not None]
        return _median(errors) if errors else None

    # -- tables -------------------------------------------------------------------------------------------

    def _table(self) -> Table:
        return qubit_table(self.bare)

    def gate_table(self) -> Table:
        """One row for each gate and place: its error (1 means "not calibrated"), its length, and when measured."""
        return gate_table(self.gates)

    # -- JSON ---------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """JSON types; every value in SI units with its time."""
        return {
            "backend_name": self.backend_name,
            "backend_version": self.backend_version,
            "last_update": self.last_update.isoformat() if self.last_update else None,
            **self._content.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BackendProperties:
        """What `to_dict` wrote; its content is structured (and checked) at first access.

        Raises:
            ResponseError: Now or at first access: a value is of the wrong type; `.path` says which.
        """
        from qprovider_core.serialization import from_json  # late: cattrs is slow to import

        if not isinstance(data, Mapping):
            raise ResponseError(f"BackendProperties is not of the expected form: {data!r} is not an object.")
        head = from_json({k: data[k] for k in data if k in _HEAD}, _PropertiesHead)
        rest = {k: data[k] for k in data if k not in _HEAD}
        return cls.deferred(
            lambda: from_json(rest, PropertiesContent),
            backend_name=head.backend_name,
            backend_version=head.backend_version,
            last_update=head.last_update,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BackendProperties):
            return NotImplemented
        return (self.backend_name, self.backend_version, self.last_update, self._content) == (
            other.backend_name,
            other.backend_version,
            other.last_update,
            other._content,
        )

    def __hash__(self) -> int:
        return hash((self.backend_name, self.backend_version, self.last_update))

    def __reduce__(self) -> tuple[object, ...]:
        # The loader may hold an open file or a closure: what travels is the content.
        return (BackendProperties.from_dict, (self.to_dict(),))

    def __repr__(self) -> str:
        when = self.last_update.isoformat() if self.last_update else "unknown time"
        return f"BackendProperties({self.backend_name} {self.backend_version or ''}, calibrated {when})"


def _place(qubits: int | Sequence[int]) -> tuple[int, ...]:
    try:
        return (operator.index(qubits),)  # type: ignore[arg-type]  # it says itself when it is none
    except TypeError:
        if not isinstance(qubits, Iterable) or isinstance(qubits, str):
            raise InvalidInputError(f"Qubits are a number or a list of numbers, not {qubits!r}.") from None
        return tuple(operator.index(qubit) for qubit in qubits)


@attrs.frozen(kw_only=True)
class _PropertiesHead:
    backend_name: str
    backend_version: str | None = None
    last_update: datetime | None = None


_HEAD = {field.name for field in attrs.fields(_PropertiesHead)}

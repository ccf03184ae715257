"""What a backend can run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from qprovider_core.records._base import Record, as_tuple, time_field


@attrs.frozen(kw_only=True, repr=False)
class GateConfiguration(Record):
    """One gate of a backend's instruction set.

    Attributes:
        name: Qiskit's name of it where there is one, such as ``cx``.
        parameters: Names of its parameters.
        coupling_map: The qubits it acts on, one tuple a place; None: on any.
        qasm_def: Its definition in OpenQASM 2, where given.
    """

    name: str
    parameters: tuple[str, ...] = attrs.field(default=(), converter=as_tuple)
    coupling_map: tuple[tuple[int, ...], ...] | None = attrs.field(default=None, converter=as_tuple)
    qasm_def: str | None = None


@attrs.frozen(kw_only=True, repr=False)
class BackendConfiguration(Record):
    """What a backend can run and how fast; the words are those of Qiskit's backend configuration.

    All times are in seconds and frequencies in hertz, whatever the vendor sends. None means "not reported".
    Fields that are not named here live in `extra`, survive a round trip, and read as attributes.

    Attributes:
        backend_name, backend_version: As in the listing.
        n_qubits: Number of qubits; None where it is bounded by memory only.
        basis_gates: Names of the native gates.
        gates: The gates with their qubits.
        coupling_map: Directed pairs of qubits; None: any pair.
        supported_instructions: Native gates and all else (measure, reset, delay, control flow).
        supported_features: Words of the vendor.
        max_shots: Most shots of one circuit; max_experiments: most circuits of one job.
        dt: Length of a time step, in s; dtm: of a sample of the readout, in s.
        timing_constraints: ``acquire_alignment``, ``granularity``, ``min_length``, ``pulse_alignment``, in dt.
        rep_delay_range, default_rep_delay, rep_times: In s.
        meas_map: Groups of qubits that are measured together.
        coords: Column and row of each qubit in a drawing.
        processor_type: ``family``, ``revision``, ``segment``.
    """

    backend_name: str
    backend_version: str | None = None
    n_qubits: int | None = None
    basis_gates: tuple[str, ...] = attrs.field(default=(), converter=as_tuple)
    gates: tuple[GateConfiguration, ...] = attrs.field(default=(), converter=as_tuple)
    coupling_map: tuple[tuple[int, int], ...] | None = attrs.field(default=None, converter=as_tuple)
    supported_instructions: tuple[str, ...] | None = attrs.field(default=None, converter=as_tuple)
    supported_features: tuple[str, ...] | None = attrs.field(default=None, converter=as_tuple)
    simulator: bool | None = None
    local: bool | None = None
    conditional: bool | None = None
    open_pulse: bool | None = None
    memory: bool | None = None
    max_shots: int | None = None
    max_experiments: int | None = None
    dt: float | None = None
    dtm: float | None = None
    timing_constraints: Mapping[str, int] | None = None
    rep_delay_range: tuple[float, float] | None = attrs.field(default=None, converter=as_tuple)
    default_rep_delay: float | None = None
    rep_times: tuple[float, ...] | None = attrs.field(default=None, converter=as_tuple)
    dynamic_reprate_enabled: bool | None = None
    meas_map: tuple[tuple[int, ...], ...] | None = attrs.field(default=None, converter=as_tuple)
    meas_levels: tuple[int, ...] | None = attrs.field(default=None, converter=as_tuple)
    coords: tuple[tuple[float, float], ...] | None = attrs.field(default=None, converter=as_tuple)
    processor_type: Mapping[str, Any] | None = None
    quantum_volume: int | None = None
    online_date: datetime | None = time_field()
    description: str | None = None
    credits_required: bool | None = None
    multi_meas_enabled: bool | None = None
    measure_esp_enabled: bool | None = None
    parallel_compilation: bool | None = None
    n_registers: int | None = None
    clops_h: float | None = None
    clops_v: float | None = None
    sample_name: str | None = None
    url: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def num_qubits(self) -> int | None:
        """The same as `n_qubits`."""
        return self.n_qubits

    @property
    def dynamic_circuits(self) -> bool:
        """Whether circuits may branch on measured bits while they run."""
        words = {*(self.supported_instructions or ()), *(self.supported_features or ())}
        return bool(words & {"dynamic_circuits", "if_else", "switch_case", "while_loop"})

    def __getattr__(self, name: str) -> Any:
        # Only reached for what is not a field. Dunder and private names are never data.
        if not name.startswith("_"):
            extra = object.__getattribute__(self, "extra")
            if name in extra:
                return extra[name]
        raise AttributeError(f"the configuration of this backend has no {name!r}")

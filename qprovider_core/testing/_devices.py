"""Checks of devices: configuration, calibration, and the target made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import isclose, isfinite

import pytest
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.transpiler import Target

from qprovider_core._account import Account
from qprovider_core.records import BackendConfiguration, BackendProperties
from qprovider_core.testing._base import ContractBase, needs

_NOT_GATES = {"measure", "reset", "delay", "barrier", "store", "box"}
_CONTROL_FLOW = {"if_else", "for_loop", "while_loop", "switch_case", "break_loop", "continue_loop"}
_LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
_A_DAY_S = 86_400.0  # a new calibration may have come in between
_MEDIANS_DIFFER = 0.25  # vendors leave out different qubits and pairs; a percentage is off by a factor of 100


class DeviceChecks(ContractBase):
    """What is promised of what a backend tells of itself."""

    # -- configuration ------------------------------------------------------------------------------------

    def test_configurations_are_in_range_and_in_si_units(self, account: Account) -> None:
        for backend in self.handles(account):
            _check_configuration(backend.name, backend.configuration())

    # -- calibration --------------------------------------------------------------------------------------

    @needs("supports_properties")
    def test_calibrations_are_in_range_and_in_si_units(self, account: Account) -> None:
        found = 0
        for backend in self.handles(account):
            properties = backend.properties()
            if properties is not None:
                found += 1
                assert properties.backend_name == backend.name, f"{backend.name} has {properties!r}"
                _check_properties(properties, backend.configuration().n_qubits)
        assert found, "supports_properties is declared, but no backend has any; declare supports_properties = False"

    @needs("supports_properties")
    def test_a_past_calibration_is_not_newer_than_asked_for(self, account: Account) -> None:
        for backend in self.handles(account):
            for moment in (_LONG_AGO, datetime.now(UTC)):
                past = backend.properties(at=moment)
                assert past is None or past.last_update is None or past.last_update <= moment, (
                    f"{backend.name}: asked for the calibration before {moment:%Y-%m-%d}, got {past!r}"
                )

    @needs("supports_properties")
    def test_medians_agree_with_the_calibration(self, account: Account) -> None:
        for backend in self.handles(account):
            properties = backend.properties()
            if properties is None:
                continue
            for name in ("median_two_qubit_error", "median_readout_error"):
                listed, calibrated = getattr(backend.info, name), getattr(properties, name)
                assert listed is None or calibrated is None or isclose(listed, calibrated, rel_tol=_MEDIANS_DIFFER), (
                    f"{backend.name}: {name} is {listed:g} in the listing, {calibrated:g} by the calibration: is one "
                    "of them in percent, or a mean, or of another backend? None is fine where it is not known cheaply"
                )
            when, calibrated_at = properties.last_update, backend.info.calibrated_at
            assert when is None or calibrated_at is None or abs((when - calibrated_at).total_seconds()) < _A_DAY_S, (
                f"{backend.name}: calibrated at {calibrated_at} by the listing, at {when} by the calibration itself"
            )

    # -- target -------------------------------------------------------------------------------------------

    def test_targets_fit_their_configuration(self, account: Account) -> None:
        standard = get_standard_gate_name_mapping()
        for backend in self.handles(account):
            conf, target = backend.configuration(), backend.target
            assert target.num_qubits == conf.n_qubits, (
                f"{backend.name}: the target has {target.num_qubits} qubits, the configuration {conf.n_qubits}"
            )
            assert target.dt == conf.dt, f"{backend.name}: dt is {target.dt} in the target, {conf.dt} configured"
            have = set(target.operation_names)
            assert "measure" in have, f"{backend.name}: its target cannot measure"
            missing = {name for name in conf.basis_gates if name in standard} - have - _NOT_GATES
            assert not missing, f"{backend.name}: basis gates that its target lacks: {sorted(missing)}"
            known = {*conf.basis_gates, *(gate.name for gate in conf.gates), *(conf.supported_instructions or ())}
            strange = have - known - _NOT_GATES - _CONTROL_FLOW if known else set()
            assert not strange, f"{backend.name}: its target has {sorted(strange)}, which nothing in it configures"
            if conf.coupling_map is not None:
                pairs = {tuple(pair) for pair in conf.coupling_map}
                for name in have & set(standard):
                    for place in target.qargs_for_operation_name(name) or ():
                        assert len(place) != 2 or place in pairs, (
                            f"{backend.name}: {name} acts on {place}, which the coupling map lacks"
                        )

    def test_a_ready_target_is_one_of_qiskit(self, account: Account) -> None:
        if not account.supports("qprovider_backend_target"):
            pytest.skip("the plugin leaves the target to the core")
        for backend in self.handles(account):
            target = account.ask("qprovider_backend_target", backend=backend.info.ref)
            assert target is None or isinstance(target, Target), f"{backend.name}: its target is {target!r}"

    @needs("supports_defaults")
    def test_defaults_are_a_mapping(self, account: Account) -> None:
        for backend in self.handles(account):
            defaults = backend.defaults()
            assert defaults is None or isinstance(defaults, Mapping), f"{backend.name}: defaults are {defaults!r}"

    @needs("supports_properties")
    def test_targets_fit_their_calibration(self, account: Account) -> None:
        for backend in self.handles(account):
            properties = backend.properties()
            if properties is None or not properties.qubits:
                continue
            target, faulty = backend.target, set(properties.faulty_qubits())
            for qubit, known in enumerate(target.qubit_properties or ()):
                for name, value, told in (("T1", known.t1, properties.t1), ("T2", known.t2, properties.t2)):
                    assert _alike(value, told(qubit)), (
                        f"{backend.name}: {name} of qubit {qubit} is {value} in the target, {told(qubit)} calibrated"
                    )
            for name in target.operation_names:
                for place in target.qargs_for_operation_name(name) or ():
                    assert not faulty & set(place), f"{backend.name}: {name} acts on a faulty qubit of {place}"
                    length = properties.gate_length(name, place)
                    known = target[name][place]
                    assert known is None or name == "measure" or _alike(known.duration, length), (
                        f"{backend.name}: {name} on {place} takes {known.duration} s in the target, {length} calibrated"
                    )


def _alike(one: float | None, other: float | None) -> bool:
    return one is None or other is None or isclose(one, other, rel_tol=1e-6)


def _within(what: str, value: float | None, low: float, high: float, unit: str) -> None:
    assert value is None or (isfinite(value) and low <= value <= high), (
        f"{what} is {value!r}, which is no plausible value in {unit} ({low:g} to {high:g}): is it in another unit?"
    )


def _check_configuration(name: str, conf: BackendConfiguration) -> None:
    _within(f"{name}: dt", conf.dt, 1e-12, 1e-6, "seconds")
    _within(f"{name}: dtm", conf.dtm, 1e-12, 1e-5, "seconds")
    _within(f"{name}: default_rep_delay", conf.default_rep_delay, 0, 1, "seconds")
    for delay in (*(conf.rep_delay_range or ()), *(conf.rep_times or ())):
        _within(f"{name}: a repetition delay", delay, 0, 1, "seconds")
    for limit in ("n_qubits", "max_shots", "max_experiments"):
        value = getattr(conf, limit)
        assert value is None or (type(value) is int and value >= 1), (
            f"{name}: {limit} is {value!r}, not a whole number of at least 1; None means not reported"
        )
    assert conf.basis_gates or conf.gates, f"{name}: neither basis_gates nor gates says what it can run"
    twice = [gate for gate, number in Counter(conf.basis_gates).items() if number > 1]
    assert not twice, f"{name}: basis_gates names {twice} twice"
    for constraint, value in (conf.timing_constraints or {}).items():
        assert type(value) is int, f"{name}: {constraint} is {value!r}; timing constraints are whole multiples of dt"
        assert value >= 0, f"{name}: {constraint} is negative: {value}"
    if conf.n_qubits is not None:
        _check_places(f"{name}: the coupling map", conf.coupling_map or (), conf.n_qubits)
        _check_places(f"{name}: meas_map", conf.meas_map or (), conf.n_qubits)
        for gate in conf.gates:
            _check_places(f"{name}: the gate {gate.name}", gate.coupling_map or (), conf.n_qubits)


def _check_places(what: str, places: Iterable[tuple[int, ...]], size: int) -> None:
    for place in places:
        assert all(type(q) is int and 0 <= q < size for q in place), f"{what} names {place} on {size} qubits"
        assert len(set(place)) == len(place), f"{what} names a qubit twice: {place}"


def _check_properties(properties: BackendProperties, size: int | None) -> None:
    name = properties.backend_name
    assert size is None or len(properties.qubits) <= size, f"{name}: more calibrated qubits than it has"
    for qubit in range(len(properties.qubits)):
        where = f"{name}: qubit {qubit}:"
        _within(f"{where} T1", properties.t1(qubit), 1e-9, 10, "seconds")
        _within(f"{where} T2", properties.t2(qubit), 1e-9, 10, "seconds")
        _within(f"{where} frequency", properties.frequency(qubit), 1e6, 1e12, "hertz")
        _within(f"{where} readout_length", properties.readout_length(qubit), 1e-9, 1, "seconds")
        for key in ("readout_error", "prob_meas0_prep1", "prob_meas1_prep0"):
            measured = properties.qubit_property(qubit, key)
            _within(f"{where} {key}", measured.value if measured else None, 0, 1, "probability, not percent")
    for gate in properties.gates:
        where = f"{name}: {gate.gate} on {gate.qubits}:"
        if size is not None:
            _check_places(where, [gate.qubits], size)
        _within(f"{where} error", properties.gate_error(gate.gate, gate.qubits), 0, 1, "probability, not percent")
        _within(f"{where} length", properties.gate_length(gate.gate, gate.qubits), 0, 10, "seconds")
    groups = [q.values for q in properties.qubits] + [g.values for g in properties.gates] + [properties.general]
    times = [properties.last_update, *(measured.measured_at for group in groups for measured in group.values())]
    assert all(moment is None or moment.tzinfo is not None for moment in times), f"{name}: a time has no offset"

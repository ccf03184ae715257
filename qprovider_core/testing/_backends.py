"""Checks of backends: the listing, configuration, calibration, and the target made of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import isclose, isfinite

import pytest
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.transpiler import Target

from qprovider_core._account import Account
from qprovider_core._backend import Backend
from qprovider_core._checks import checked_pubs
from qprovider_core.errors import UnknownBackendError
from qprovider_core.records import BackendConfiguration, BackendInfo, BackendProperties, BackendRef, BackendStatus
from qprovider_core.testing import circuits
from qprovider_core.testing._base import ContractBase, explained, needs

_NOT_GATES = {"measure", "reset", "delay", "barrier", "store", "box"}
_CONTROL_FLOW = {"if_else", "for_loop", "while_loop", "switch_case", "break_loop", "continue_loop"}
_NOBODY = "no_such_backend_0"
_LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)


class BackendChecks(ContractBase):
    """What is promised of backends."""

    # -- the listing --------------------------------------------------------------------------------------

    def test_something_is_listed(self, account: Account) -> None:
        assert self.listed(account), "qprovider_list_backends gave nothing; the account of these tests needs a backend"

    def test_every_listed_record_is_sound(self, account: Account) -> None:
        for record in self.listed(account):
            assert isinstance(record, BackendInfo), f"the list holds {record!r}, which is no BackendInfo"
            flaw = record.flaws()
            assert flaw is None, f"{record.name!r} would be left out of every query: {flaw}"
            assert record.provider is None, f"{record.name}: provider is stamped by the core; leave it out"
            assert record.account is None, f"{record.name}: account is stamped by the core; leave it out"

    def test_listed_names_are_unique(self, account: Account) -> None:
        names = Counter((record.name, record.instance) for record in self.listed(account))
        twice = [name for name, number in names.items() if number > 1]
        assert not twice, f"listed more than once: {twice}. Where one name lives in two instances, say which instance"

    def test_listing_twice_gives_the_same_backends(self, account: Account) -> None:
        first, second = ([(r.name, r.instance) for r in self.listed(account)] for _ in range(2))
        assert set(first) == set(second), "two listings in a row name different backends"

    def test_listing_is_cheap(self, account: Account) -> None:
        self.listed(account)  # the first call may have to sign in
        started = time.monotonic()
        self.listed(account)
        taken = time.monotonic() - started
        assert taken <= self.max_list_seconds, (
            f"listing took {taken:.1f} s; max_list_seconds is {self.max_list_seconds}"
        )

    def test_a_noisy_twin_is_a_simulator(self, account: Account) -> None:
        for record in self.listed(account):
            assert record.simulator or not record.noisy, (
                f"{record.name} is listed as noisy but not as a simulator; `noisy` is said of simulators only, and "
                "nobody asking for simulator=False may be handed a fake"
            )

    def test_own_fields_are_announced(self, account: Account) -> None:
        announced = set(account.spec.extra_fields)
        for record in self.listed(account):
            unknown = sorted(set(record.extra) - announced)
            assert not unknown, f"{record.name}: extra holds {unknown}, which ProviderSpec.extra_fields does not name"

    def test_queries_find_what_is_listed(self, account: Account) -> None:
        names = {record.name for record in self.listed(account)}
        answer = account.list_backends()
        assert not answer.errors, f"the query reports {[str(error) for error in answer.errors]}"
        assert {record.name for record in answer} == names, "a query without criteria leaves backends out"
        for record in answer:
            found = account.list_backends(record.name)
            assert record.name in {one.name for one in found}, f"{record.name!r} is not found by its own name"

    # -- one backend --------------------------------------------------------------------------------------

    def test_every_listed_backend_can_be_opened(self, account: Account) -> None:
        for backend in self.handles(account):
            conf = backend.configuration()
            assert conf.backend_name == backend.info.name, (
                f"{backend.info.name!r} calls itself {conf.backend_name!r} in its configuration"
            )

    def test_an_unknown_backend_is_said_to_be_unknown(self, account: Account) -> None:
        with pytest.raises(UnknownBackendError) as caught:
            account.get_backend(_NOBODY)
        explained(caught.value)
        try:
            conf = account.fetch_configuration(BackendRef(name=_NOBODY))
        except UnknownBackendError as exc:
            explained(exc)
        except Exception as exc:  # noqa: BLE001  whatever the plugin raises instead
            pytest.fail(
                "qprovider_backend_configuration of a backend that there is not must raise UnknownBackendError, "
                f"not {exc!r}"
            )
        else:
            pytest.fail(f"a backend that there is not has a configuration: {conf!r}")

    @needs("supports_status")
    def test_the_status_is_of_that_backend(self, account: Account) -> None:
        for backend in self.handles(account):
            status = backend.status()
            assert isinstance(status, BackendStatus), f"{backend.name}: the status is {status!r}"
            assert status.backend_name == backend.name, f"{backend.name}: the status is of {status.backend_name!r}"
        with pytest.raises(UnknownBackendError):
            account.fetch_status(BackendRef(name=_NOBODY))

    def test_listing_and_configuration_agree(self, account: Account) -> None:
        for backend in self.handles(account):
            conf, info = backend.configuration(), backend.info
            for name, listed, configured in (
                ("num_qubits", info.num_qubits, conf.n_qubits),
                ("simulator", info.simulator, conf.simulator),
                ("max_shots", info.max_shots, conf.max_shots),
                ("max_circuits", info.max_circuits, conf.max_experiments),
                ("version", info.version, conf.backend_version),
            ):
                assert listed is None or configured is None or listed == configured, (
                    f"{backend.name}: {name} is {listed!r} in the listing and {configured!r} in the configuration"
                )

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

    @pytest.mark.parametrize("level", [0, 1, 2, 3])
    def test_what_is_transpiled_passes_the_checks_of_run(self, backend: Backend, level: int) -> None:
        if level == 0 and backend.faulty_qubits():
            pytest.skip("level 0 does not choose qubits, and this backend has faulty ones")
        several = [circuits.registers({1, 5}, backend.num_qubits)[0], circuits.coin()]
        if backend.num_qubits is None or backend.num_qubits > 1:
            several.append(circuits.bell())
        for circuit in self.compile(several, backend, level):
            checked_pubs(backend, [circuit], 1, None)  # raises, with the reason


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

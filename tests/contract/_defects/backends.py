"""Defects in what is said of backends: the listing, configuration, calibration, status, target."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime
from itertools import count
from typing import Any

import attrs
from good_vendor import GoodVendor

import qprovider_core as qp
from _defects import defect

# -- the listing ------------------------------------------------------------------------------------------


@defect("test_something_is_listed", "gave nothing")
class ListsNothing(GoodVendor):
    """An account sees no backend."""

    @qp.hookimpl
    def qprovider_list_backends(self, connection: Any, deadline: Any) -> Any:
        return []


@defect("test_listed_names_are_unique", "listed more than once: [('quiet', 'lab')]")
class DuplicateNames(GoodVendor):
    """One backend is listed twice."""

    @qp.hookimpl
    def qprovider_list_backends(self, connection: Any, deadline: Any) -> Any:
        found = list(super().qprovider_list_backends(connection, deadline))
        return [*found, found[0]]


@defect("test_a_new_process_lists_the_same", "names are what people write down")
class NamesOfTheProcess(GoodVendor):
    """Names carry the number of the process."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().listed(row), name=f"{row['name']}-{os.getpid()}")


class _Counting(GoodVendor):
    def __init__(self) -> None:
        self.calls = count()


@defect("test_listing_twice_gives_the_same_backends", "two listings in a row name different backends")
class UnstableNames(_Counting):
    """Names carry a number of the vendor's own that changes."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().listed(row), name=f"{row['name']}-{next(self.calls)}")


@defect("test_listing_twice_gives_the_same_backends", "two listings in a row name different backends")
class LosesOneNowAndThen(_Counting):
    """Every second listing lacks a backend."""

    @qp.hookimpl
    def qprovider_list_backends(self, connection: Any, deadline: Any) -> Any:
        found = list(super().qprovider_list_backends(connection, deadline))
        return found[next(self.calls) % 2 :]


@defect("test_listing_is_cheap", "listing took", max_list_seconds=0.5)
class SlowListing(GoodVendor):
    """Each backend is asked for by itself."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        time.sleep(0.2)
        return super().listed(row)


@defect("test_a_noisy_twin_is_a_simulator", "plus_twin is listed as noisy but not as a simulator")
class FakesAsDevices(GoodVendor):
    """The noisy twin of a device is listed as a device."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().listed(row), simulator=row["kind"] == "simulator")


@defect("test_own_fields_are_announced", "extra holds ['hall']")
class UnannouncedField(GoodVendor):
    """A field of the vendor's own that no query can name."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().listed(row), extra={"hall": 3})


@defect("test_every_listed_record_is_sound", "pending_jobs is negative: -1")
class MinusOneForUnknown(GoodVendor):
    """A queue that is not known has -1 jobs."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().listed(row), pending_jobs=-1)


@defect("test_every_listed_record_is_sound", "calibrated_at has no offset")
class NaiveCalibrationTime(GoodVendor):
    """A time without its offset."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        when = datetime.fromisoformat(row["calibrated_at"]).replace(tzinfo=None)
        return attrs.evolve(super().listed(row), calibrated_at=when)


@defect("test_every_listed_record_is_sound", "provider is stamped by the core")
class StampedByItself(GoodVendor):
    """The plugin fills in what the core does."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().listed(row), provider="good")


@defect("test_queries_find_what_is_listed", "version is a float, not a text")
class UnreadableVersion(GoodVendor):
    """One backend's version is a number: no query shows that backend."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().listed(row), version=1.2 if row["name"] == "plus" else row["version"])


@defect("test_medians_agree_with_the_calibration", "median")
class BestForMedian(GoodVendor):
    """The best error is listed for the median one."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().listed(row), median_readout_error=0.0101)


# -- the configuration ------------------------------------------------------------------------------------


@defect("test_every_listed_backend_can_be_opened", "'quiet' calls itself 'Quiet Machine'")
class NamedForPeople(GoodVendor):
    """The configuration has the name that people use."""

    def configured(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().configured(row), backend_name=f"{row['name'].title()} Machine")


@defect("test_listing_and_configuration_agree", "num_qubits is 11 in the listing and 10 in the configuration")
class CountsTheResonator(GoodVendor):
    """The listing has another number of qubits."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().listed(row), num_qubits=row["qubits"] + 1)


@defect("test_listing_and_configuration_agree", "max_shots is 20000 in the listing and 8192 in the configuration")
class OldLimit(GoodVendor):
    """The configuration has another limit of shots."""

    def configured(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().configured(row), max_shots=8192)


@defect("test_configurations_are_in_range_and_in_si_units", "dt is 2.0, which is no plausible value in seconds")
class DtInNanoseconds(GoodVendor):
    """The time step as the service sends it."""

    def configured(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().configured(row), dt=row["dt_ns"])


@defect("test_configurations_are_in_range_and_in_si_units", "the coupling map names")
class QubitsFromOne(GoodVendor):
    """Qubits are counted from 1."""

    def configured(self, row: Mapping[str, Any]) -> Any:
        pairs = tuple((one + 1, other + 1) for one, other in row["pairs"])
        return attrs.evolve(super().configured(row), coupling_map=pairs)


@defect("test_configurations_are_in_range_and_in_si_units", "max_experiments is 0")
class ZeroForNoLimit(GoodVendor):
    """What has no limit has the limit 0."""

    def configured(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().configured(row), max_experiments=0)


@defect("test_configurations_are_in_range_and_in_si_units", "names ['x'] twice")
class GateTwice(GoodVendor):
    """A gate is named twice."""

    def configured(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().configured(row), basis_gates=(*row["gates"], "x"))


@defect("test_an_unknown_backend_is_said_to_be_unknown", "must raise UnknownBackendError, not")
class KeyErrorForUnknownBackends(GoodVendor):
    """The plugin's own lookup fails."""

    def machine(self, connection: Any, backend: Any, deadline: Any, part: str = "") -> Any:
        if backend.name not in {row["name"] for row in connection.ask("GET", "/machines", deadline)["machines"]}:
            raise KeyError(backend.name)
        return super().machine(connection, backend, deadline, part)


@defect("test_an_unknown_backend_is_said_to_be_unknown", "a backend that there is not has a configuration")
class InventsBackends(GoodVendor):
    """Every name that is not known is taken for the simulator's."""

    def machine(self, connection: Any, backend: Any, deadline: Any, part: str = "") -> Any:
        try:
            return super().machine(connection, backend, deadline, part)
        except qp.UnknownBackendError:
            return super().machine(connection, qp.BackendRef(name="quiet"), deadline, part)


# -- status and defaults ----------------------------------------------------------------------------------


@defect("test_the_status_is_of_that_backend", "plus: the status is of 'quiet'")
class StatusOfTheFirst(GoodVendor):
    """The status is always that of the first backend."""

    @qp.hookimpl
    def qprovider_backend_status(self, connection: Any, backend: Any, deadline: Any) -> Any:
        return super().qprovider_backend_status(connection, qp.BackendRef(name="quiet"), deadline)


@defect("test_the_status_is_of_that_backend", "DID NOT RAISE")
class StatusOfNothing(GoodVendor):
    """Any name has a status."""

    @qp.hookimpl
    def qprovider_backend_status(self, connection: Any, backend: Any, deadline: Any) -> Any:
        return qp.BackendStatus(backend_name=backend.name, operational=True, pending_jobs=0)


@defect("test_status_and_listing_agree", "operational")
class StatusDisagrees(GoodVendor):
    """The listing says that a backend works, its status that it does not."""

    @qp.hookimpl
    def qprovider_backend_status(self, connection: Any, backend: Any, deadline: Any) -> Any:
        return attrs.evolve(super().qprovider_backend_status(connection, backend, deadline), operational=False)


@defect("test_defaults_are_a_mapping", "defaults are")
class DefaultsAsText(GoodVendor):
    """Defaults as they came over the wire."""

    @qp.hookimpl
    def qprovider_backend_defaults(self, connection: Any, backend: Any, deadline: Any) -> Any:
        return str(super().qprovider_backend_defaults(connection, backend, deadline))


# -- calibration ------------------------------------------------------------------------------------------


def _scaled(row: Mapping[str, Any], kind: str, name: str, factor: float) -> dict[str, Any]:
    return {**row, kind: [{**one, name: one[name] * factor} for one in row[kind]]}


@defect("test_calibrations_are_in_range_and_in_si_units", "T1 is 90.0, which is no plausible value in seconds")
class T1InMicroseconds(GoodVendor):
    """T1 as the service sends it."""

    def calibrated(self, name: str, row: Mapping[str, Any]) -> Any:
        return super().calibrated(name, _scaled(row, "qubits", "T1_us", 1e6))


@defect("test_calibrations_are_in_range_and_in_si_units", "frequency is 4.9")
class FrequencyInGigahertz(GoodVendor):
    """Frequencies as the service sends them."""

    ghz = 1.0


@defect("test_calibrations_are_in_range_and_in_si_units", "readout_error is 1.1")
class ReadoutErrorInPercent(GoodVendor):
    """Readout errors as the service sends them."""

    def calibrated(self, name: str, row: Mapping[str, Any]) -> Any:
        return super().calibrated(name, _scaled(row, "qubits", "readout_percent", 100))


@defect("test_calibrations_are_in_range_and_in_si_units", "length is 32.0, which is no plausible value in seconds")
class GateLengthInNanoseconds(GoodVendor):
    """Lengths of gates as the service sends them."""

    def calibrated(self, name: str, row: Mapping[str, Any]) -> Any:
        return super().calibrated(name, _scaled(row, "gates", "length_ns", 1e9))


@defect("test_medians_agree_with_the_calibration", "median")
class GateErrorInPercent(GoodVendor):
    """Errors of gates as the service sends them: small enough to look like probabilities."""

    def calibrated(self, name: str, row: Mapping[str, Any]) -> Any:
        return super().calibrated(name, _scaled(row, "gates", "error_percent", 100))


@defect("test_a_past_calibration_is_not_newer_than_asked_for", "asked for the calibration before 1990")
class AlwaysTheNewest(GoodVendor):
    """The moment that is asked for is not passed on."""

    @qp.hookimpl
    def qprovider_backend_properties(self, connection: Any, backend: Any, at: Any, deadline: Any) -> Any:
        return super().qprovider_backend_properties(connection, backend, None, deadline)


@defect("test_calibrations_are_in_range_and_in_si_units", "plus has BackendProperties(quiet")
class CalibrationOfTheFirst(GoodVendor):
    """The calibration is always that of the first backend."""

    @qp.hookimpl
    def qprovider_backend_properties(self, connection: Any, backend: Any, at: Any, deadline: Any) -> Any:
        return super().qprovider_backend_properties(connection, qp.BackendRef(name="quiet"), at, deadline)


# -- the target -------------------------------------------------------------------------------------------


class _ReadyTarget(GoodVendor):
    """A vendor whose own target differs from what it told."""

    def target(self, configuration: Any, properties: Any) -> Any:
        raise NotImplementedError

    @qp.hookimpl
    def qprovider_backend_target(self, connection: Any, backend: Any, deadline: Any) -> Any:
        configuration = self.configured(self.machine(connection, backend, deadline))
        return self.target(configuration, self.qprovider_backend_properties(connection, backend, None, deadline))


@defect("test_targets_fit_their_configuration", "its target cannot measure")
class TargetWithoutMeasure(_ReadyTarget):
    """Only the gates are in it."""

    def target(self, configuration: Any, properties: Any) -> Any:
        from qiskit.transpiler import Target

        whole = qp.build_target(configuration, properties)
        target = Target(num_qubits=whole.num_qubits, dt=whole.dt)
        for name in configuration.basis_gates:
            target.add_instruction(whole.operation_from_name(name), dict(whole[name]))
        return target


@defect("test_targets_fit_their_configuration", "its target has ['ecr'], which nothing in it configures")
class TargetWithMore(_ReadyTarget):
    """A gate that the configuration lacks."""

    def target(self, configuration: Any, properties: Any) -> Any:
        from qiskit.circuit.library import ECRGate

        target = qp.build_target(configuration, properties)
        target.add_instruction(ECRGate(), {(0, 1): None})
        return target


@defect("test_targets_fit_their_configuration", "cx acts on (0, 4), which the coupling map lacks")
class TargetOffTheMap(_ReadyTarget):
    """A pair that the configuration lacks."""

    def target(self, configuration: Any, properties: Any) -> Any:
        pairs = (*configuration.coupling_map, (0, 4))
        gates = [attrs.evolve(gate, coupling_map=pairs) if gate.name == "cx" else gate for gate in configuration.gates]
        return qp.build_target(attrs.evolve(configuration, coupling_map=pairs, gates=gates), None)


@defect("test_targets_fit_their_configuration", "dt is 1.0 in the target")
class TargetWithAnotherDt(_ReadyTarget):
    """Its time step is a default of the client's."""

    def target(self, configuration: Any, properties: Any) -> Any:
        return qp.build_target(attrs.evolve(configuration, dt=1.0), properties)


@defect("test_targets_fit_their_calibration", "acts on a faulty qubit")
class TargetWithFaultyQubits(_ReadyTarget):
    """What the calibration says is broken is in the target still."""

    def target(self, configuration: Any, properties: Any) -> Any:
        return qp.build_target(configuration, None)


@defect("test_a_ready_target_is_one_of_qiskit", "its target is")
class TargetAsMapping(_ReadyTarget):
    """Something else than a target."""

    def target(self, configuration: Any, properties: Any) -> Any:
        return configuration.to_dict()

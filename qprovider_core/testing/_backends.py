"""Checks of backends: the listing, and each one's status and configuration."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from qprovider_core._account import Account
from qprovider_core.errors import UnknownBackendError
from qprovider_core.records import BackendInfo, BackendRef, BackendStatus, ListProblem
from qprovider_core.testing._base import ContractBase, explained, needs

_NOBODY = "no_such_backend_0"
_LOOKS = 3  # at a listing and a status that may change in between


class BackendChecks(ContractBase):
    """What is promised of backends."""

    # -- the listing --------------------------------------------------------------------------------------

    def test_something_is_listed(self, account: Account) -> None:
        assert self.listed(account), "qprovider_list_backends gave nothing; the account of these tests needs a backend"

    def test_every_listed_record_is_sound(self, account: Account) -> None:
        for record in self.listed(account):
            assert not isinstance(record, ListProblem), (
                f"a part of the list could not be had: {record!r}. These tests need an account that is listed in full"
            )
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
            conf = account.facts.configuration(BackendRef(name=_NOBODY))
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
            account.facts.status(BackendRef(name=_NOBODY))

    @needs("supports_status")
    def test_status_and_listing_agree(self, account: Account) -> None:
        names = [backend.name for backend in self.handles(account)]
        for look in range(_LOOKS):
            apart = {
                name: gap
                for backend in self.handles(account)
                if backend.name in names and (gap := _apart(backend.info, backend.status()))
                for name in [backend.name]
            }
            if not apart:
                return
            names = list(apart)  # it may have changed in between: only what always differs is wrong
            assert look < _LOOKS - 1, f"the listing and the status tell different things each time: {apart}"

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


def _apart(info: BackendInfo, status: BackendStatus) -> str:
    """In what a listing and a status contradict each other. None is not reported, and contradicts nothing."""
    for what, listed, told in (
        ("operational", info.operational, status.operational),
        ("the version", info.version, status.backend_version),
        ("status_msg", info.status_msg, status.status_msg),
    ):
        if listed is not None and told is not None and listed != told:
            return f"{what} is {listed!r} in the listing, {told!r} in the status"
    listed_jobs, jobs = info.pending_jobs, status.pending_jobs
    if listed_jobs is not None and jobs is not None and min(listed_jobs, jobs) < 0:
        return f"pending_jobs is {listed_jobs} in the listing, {jobs} in the status: None means not reported"
    return ""

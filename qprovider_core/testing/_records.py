"""Checks of records: whatever the plugin returns can be written as JSON and read again."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs

from qprovider_core._account import Account
from qprovider_core._backend import Backend
from qprovider_core.records import BackendProperties, JobPage, JobQuery
from qprovider_core.testing._base import ContractBase, needs, round_trip


class RecordChecks(ContractBase):
    """What is promised of the records themselves."""

    def test_listed_records_survive_json(self, account: Account) -> None:
        for record in self.listed(account):
            round_trip(record, f"the listing of {record.name}")

    def test_configurations_survive_json(self, account: Account) -> None:
        for backend in self.handles(account):
            round_trip(backend.configuration(), f"the configuration of {backend.name}")

    @needs("supports_status")
    def test_statuses_survive_json(self, account: Account) -> None:
        for backend in self.handles(account):
            round_trip(backend.status(), f"the status of {backend.name}")

    @needs("supports_properties")
    def test_calibrations_survive_json(self, account: Account) -> None:
        for backend in self.handles(account):
            properties = backend.properties(at=datetime.now(UTC))
            if properties is not None:
                assert isinstance(properties, BackendProperties), f"{backend.name}: {properties!r}"
                round_trip(properties, f"the calibration of {backend.name}")

    @needs("supports_account_info")
    def test_account_information_survives_json(self, account: Account) -> None:
        round_trip(account.info(), "the account's information")

    @needs("supports_running")
    def test_jobs_and_results_survive_json(self, account: Account, backend: Backend) -> None:
        job = self.finished(backend)
        round_trip(job.info, "the job")
        round_trip(account.ask("qprovider_job_result", job=job.ref), "its result")

    @needs("supports_running", "supports_list_jobs")
    def test_pages_of_jobs_survive_json(self, account: Account, backend: Backend) -> None:
        self.finished(backend)
        page = account.ask("qprovider_list_jobs", query=JobQuery(limit=2))
        assert isinstance(page, JobPage), f"qprovider_list_jobs gave {page!r}"
        round_trip(page, "a page of jobs")

    @needs("supports_running", "supports_details")
    def test_details_survive_json(self, account: Account, backend: Backend) -> None:
        details = self.finished(backend).details()
        assert details is not None, "qprovider_job_details gave nothing for a job that is done"
        # Circuits are Qiskit's own objects: they have no JSON form.
        round_trip(attrs.evolve(details, circuits=None, pubs=None), "the details of a job")

"""Defects in records: what cannot be written as JSON, or comes back as something else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
from good_vendor import GoodVendor

import qprovider_core as qp
from _defects import defect


@defect("test_listed_records_survive_json", "is not the same after JSON and back")
class TupleInAListing(GoodVendor):
    """A tuple among the vendor's own fields becomes a list."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().listed(row), extra={"room": ("cellar", 2)})


@defect("test_configurations_survive_json", "is not JSON")
class NotANumber(GoodVendor):
    """NaN for what is not known."""

    def configured(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().configured(row), extra={"fidelity": float("nan")})


@defect("test_calibrations_survive_json", "calibration of")
class NumbersOfNumPy(GoodVendor):
    """Values as NumPy has them."""

    def calibrated(self, name: str, row: Mapping[str, Any]) -> Any:
        import numpy as np

        properties = super().calibrated(name, row)
        general = {"yield": qp.Measured(np.float32(0.5), properties.last_update)}
        return qp.BackendProperties(
            backend_name=name, last_update=properties.last_update, qubits=properties.qubits, general=general
        )


@defect("test_account_information_survives_json", "the account's information cannot be read again")
class OwnerAsNumber(GoodVendor):
    """A number where a text is expected."""

    @qp.hookimpl
    def qprovider_account_info(self, connection: Any, deadline: Any) -> Any:
        return attrs.evolve(super().qprovider_account_info(connection, deadline), owner=1815)


@defect("test_statuses_survive_json", "the status of quiet cannot be read again")
class StatusWordAsNumber(GoodVendor):
    """A number where a text is expected."""

    @qp.hookimpl
    def qprovider_backend_status(self, connection: Any, backend: Any, deadline: Any) -> Any:
        return attrs.evolve(super().qprovider_backend_status(connection, backend, deadline), status_msg=200)


@defect("test_jobs_and_results_survive_json", "the job is not")
class TimeInAJob(GoodVendor):
    """A time among what else is told of a job becomes a text."""

    def told(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().told(row), extra={"seen": datetime.now(UTC)})


@defect("test_jobs_and_results_survive_json", "its result is not")
class TupleInAResult(GoodVendor):
    """A tuple in a result's metadata becomes a list."""

    def outcomes(self, row: Mapping[str, Any]) -> Any:
        return attrs.evolve(super().outcomes(row), metadata={"shape": (1, 2)})


@defect("test_pages_of_jobs_survive_json", "a page of jobs cannot be read again")
class CursorAsNumber(GoodVendor):
    """A number where a text is expected."""

    @qp.hookimpl
    def qprovider_list_jobs(self, connection: Any, query: Any, deadline: Any) -> Any:
        return attrs.evolve(super().qprovider_list_jobs(connection, query, deadline), cursor=2)


@defect("test_details_survive_json", "the details of a job")
class SetInDetails(GoodVendor):
    """A set among the metrics."""

    @qp.hookimpl
    def qprovider_job_details(self, connection: Any, job: Any, deadline: Any) -> Any:
        details = super().qprovider_job_details(connection, job, deadline)
        return attrs.evolve(details, metrics={"qubits": {0, 1}})

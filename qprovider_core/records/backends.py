"""Backends: how one is named, what a listing says of it, and its status."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any

import attrs

from qprovider_core.records._base import FlatRecord, Record, as_tuple

_LONGEST_NAME = 200
_MOST = 10**15  # of anything that is counted


@attrs.frozen(kw_only=True, repr=False)
class BackendRef(Record):
    """A backend as the vendor knows it: one name may live in two instances."""

    name: str
    instance: str | None = None


@attrs.frozen(kw_only=True, repr=False)
class BackendInfo(FlatRecord):
    """What one cheap listing says of a backend. All but `name` is optional; None means "not reported".

    Nothing is checked when it is made, so that one bad record cannot break a vendor's whole list: `flaws`
    says what is wrong, and a query leaves such a record out with that reason.

    Attributes:
        name: The vendor's name of it, such as ``ibm_torino``.
        instance: The account's place that offers it, by its unique id; instance_name: as people know it, where that
            is another text.
        provider, account, full_name: Stamped by the core on what survives a query; plugins leave them out.
            `full_name` is what `get_backend` takes: ``provider:name``, with ``account/`` in front and
            ``@instance`` behind where that is needed to tell two apart.
        num_qubits: >= 0.
        simulator: True for all that is not physical, noisy twins of devices included.
        noisy: Whether a simulator mimics a device's noise.
        operational: Whether it takes jobs now.
        pending_jobs: Jobs waiting, >= 0.
        status_msg: The vendor's word: ``active``, ``paused``, ``maintenance``, ...
        version: The backend's version, such as ``1.0.4``.
        description: One line.
        processor: Family and revision, such as ``Heron r2``.
        features: Words such as ``dynamic_circuits``, ``fractional_gates``.
        max_shots, max_circuits: Limits of one job.
        median_two_qubit_error, median_readout_error: Probabilities in [0, 1].
        clops: Circuit layer operations per second.
        wait_s: The vendor's own estimate of the wait, in seconds.
        calibrated_at: Time of the newest calibration, aware.
        process_bound: Whether its jobs end with the process that submitted them; None: as `ProviderSpec` says.
        extra: The vendor's own fields, named in its `ProviderSpec.extra_fields`.
    """

    name: str
    instance: str | None = None
    instance_name: str | None = None
    provider: str | None = None
    account: str | None = None
    num_qubits: int | None = None
    simulator: bool | None = None
    noisy: bool | None = None
    operational: bool | None = None
    pending_jobs: int | None = None
    status_msg: str | None = None
    version: str | None = None
    description: str | None = None
    processor: str | None = None
    features: tuple[str, ...] | None = attrs.field(default=None, converter=as_tuple)
    max_shots: int | None = None
    max_circuits: int | None = None
    median_two_qubit_error: float | None = None
    median_readout_error: float | None = None
    clops: float | None = None
    wait_s: float | None = None
    calibrated_at: datetime | None = None
    process_bound: bool | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    full_name: str = attrs.field(default=attrs.Factory(lambda self: self.name, takes_self=True))

    @property
    def ref(self) -> BackendRef:
        return BackendRef(name=self.name, instance=self.instance)

    @property
    def place(self) -> str | None:
        """The instance as people know it."""
        return self.instance_name or self.instance

    def flaws(self) -> str | None:
        """Why this record cannot be used, or None when it is sound.

        Called for every listed backend, hence the straight-line code.
        """
        if type(self.name) is not str or not self.name:
            return f"its name is {_kind(self.name)}"
        if len(self.name) > _LONGEST_NAME:
            return f"its name has {len(self.name)} characters"
        if not self.name.isprintable():
            return "its name has control characters"
        if self.num_qubits is not None and (flaw := _count_flaw(self.num_qubits, "num_qubits")):
            return flaw
        if self.pending_jobs is not None and (flaw := _count_flaw(self.pending_jobs, "pending_jobs")):
            return flaw
        if type(self.simulator) not in _FLAG or type(self.operational) not in _FLAG or type(self.noisy) not in _FLAG:
            return self._flag_flaw()
        if type(self.process_bound) not in _FLAG:
            return self._flag_flaw()
        if not (self.instance is self.status_msg is self.version is self.description is self.processor is None):
            for field in ("instance", "instance_name", "status_msg", "version", "description", "processor"):
                text = getattr(self, field)
                if text is not None and not isinstance(text, str):
                    return f"{field} is {_kind(text)}, not a text"
        if not (self.median_two_qubit_error is self.median_readout_error is self.clops is self.wait_s is None):
            for field in ("median_two_qubit_error", "median_readout_error", "clops", "wait_s"):
                if flaw := _number_flaw(getattr(self, field), field):
                    return flaw
        if not (self.max_shots is self.max_circuits is None):
            for field in ("max_shots", "max_circuits"):
                if flaw := _count_flaw(getattr(self, field), field):
                    return flaw
        if self.features is not None and not (
            type(self.features) is tuple and all(isinstance(word, str) for word in self.features)
        ):
            return "features is not a list of texts"
        when = self.calibrated_at
        if when is not None:
            if not isinstance(when, datetime):
                return f"calibrated_at is {_kind(when)}, not a time"
            if when.tzinfo is None:
                return f"calibrated_at has no offset: {when.isoformat()}"
        if type(self.extra) is not dict and not isinstance(self.extra, Mapping):
            return f"extra is {_kind(self.extra)}, not a mapping"
        return None

    def _flag_flaw(self) -> str | None:
        for field in ("simulator", "operational", "noisy", "process_bound"):
            flag = getattr(self, field)
            if flag is not None and not isinstance(flag, bool):
                return f"{field} is {_kind(flag)}, not true or false"
        return None


@attrs.frozen(kw_only=True, repr=False)
class ListProblem(Record):
    """Stands in a listing for a part of it that could not be had: one of several instances, an unreadable entry. It
    becomes a row of the answer's `.errors`.

    Attributes:
        reason: What is missing and why, one line; hint: what to do, where there is something.
    """

    reason: str
    hint: str | None = None


_FLAG = (bool, type(None))  # 1 equals True, but is a number


def _count_flaw(value: object, field: str) -> str | None:
    if value is None or (type(value) is int and 0 <= value <= _MOST):
        return None
    if type(value) is not int:
        return f"{field} is {_kind(value)}, not a whole number"
    return f"{field} is negative: {value}" if -_MOST < value < 0 else f"{field} is out of range"


def _number_flaw(value: object, field: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, float | int):
        return f"{field} is {_kind(value)}, not a number"
    if isinstance(value, float) and not isfinite(value):
        return f"{field} is {value}"
    if value < 0 or (value > 1 and field.startswith("median_")):
        return f"{field} is out of range: {value}"
    return None


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, str) and not value:
        return "empty"
    return f"a {type(value).__name__}"


@attrs.frozen(kw_only=True, repr=False)
class BackendStatus(Record):
    """Whether a backend takes jobs, and how many wait. None means "not reported"."""

    backend_name: str
    backend_version: str | None = None
    operational: bool | None = attrs.field(default=None)
    pending_jobs: int | None = attrs.field(default=None)
    status_msg: str | None = None

    @pending_jobs.validator
    def _check_queue(self, attribute: object, value: object) -> None:
        if value is not None and (type(value) is not int or value < 0):
            raise ValueError(f"pending_jobs must be a whole number of at least 0, not {value!r}")

    @operational.validator
    def _check_operational(self, attribute: object, value: object) -> None:
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"operational must be true or false, not {value!r}")

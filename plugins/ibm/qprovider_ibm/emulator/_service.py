"""The emulated service's state: who may enter, backends, jobs, sessions, faults."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from qprovider_ibm.emulator._devices import Device, make_devices, mock_name
from qprovider_ibm.emulator._errors import (
    ServiceError,
    backend_not_found,
    invalid_credentials,
    job_not_found,
    not_authorized,
)
from qprovider_ibm.emulator._faults import Faults
from qprovider_ibm.emulator._jobs import Job
from qprovider_ibm.emulator._pool import Pool
from qprovider_ibm.emulator._scheduler import Scheduler
from qprovider_ibm.emulator._sessions import Session
from qprovider_ibm.emulator._settings import OPEN_PLAN_SECONDS, Instance, Settings
from qprovider_ibm.emulator._tokens import Tokens

if TYPE_CHECKING:
    from aiohttp.web import Request

_LOGGED = 100_000  # requests that are remembered
_RATE_PERIOD_S = 60.0


class Service:
    """Everything that requests read and change."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tokens = Tokens(settings.api_keys, settings.token_lifetime_s)
        self.instances = settings.all_instances()
        self.devices = make_devices(settings.backends)
        self.faults = Faults()
        self.requests: deque[dict[str, Any]] = deque(maxlen=_LOGGED)
        self.jobs: dict[str, Job] = {}  # oldest first
        self.sessions: dict[str, Session] = {}
        self.pool = Pool(settings.workers)
        self.scheduler = Scheduler(self.pool, queue_time_s=settings.queue_time_s, seed=settings.seed)
        self._submitted: dict[str, deque[float]] = {}

    # -- who asks ----------------------------------------------------------------------------------------------

    def key_of(self, request: Request) -> str:
        """The API key behind the request's token.

        Raises:
            ServiceError: There is no valid token. The key itself is no token here.
        """
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        key = self.tokens.key_of(token) if kind.lower() == "bearer" else None
        if key is None:
            raise invalid_credentials()
        return key

    def instance_of(self, request: Request) -> Instance:
        """The instance that the request is about.

        Raises:
            ServiceError: It names none, or one that is not this account's.
        """
        crn = request.headers.get("Service-CRN", "")
        for instance in self.instances:
            if instance.crn == crn and instance.allocated:
                return instance
        if not crn:
            raise not_authorized("The header Service-CRN is missing.")
        raise not_authorized("You are not authorized to use this instance.")

    def limit_jobs(self, key: str) -> None:
        """Count a new job of a user.

        Raises:
            ServiceError: They are too many within a minute.
        """
        limit = self.settings.rate_limit
        if limit is None:
            return
        times = self._submitted.setdefault(key, deque())
        moment = time.monotonic()
        while times and moment - times[0] >= _RATE_PERIOD_S:
            times.popleft()
        if len(times) >= limit:
            wait = math.ceil(_RATE_PERIOD_S - (moment - times[0]))
            raise rate_limited(f"The limit is {limit} per minute", wait)
        times.append(moment)

    # -- what is asked for -------------------------------------------------------------------------------------

    def offered(self, instance: Instance) -> list[Device]:
        names = instance.backends
        return [device for device in self.devices.values() if names is None or device.name in names]

    def device(self, instance: Instance, name: str) -> tuple[Device, bool]:
        """A backend that the instance offers, and whether its mock is meant.

        Raises:
            ServiceError: There is none of this name.
        """
        for device in self.offered(instance):
            if name == device.name:
                return device, False
            if name == mock_name(device.name) and not device.simulator:
                return device, True
        raise backend_not_found(name)

    def job(self, instance: Instance, job_id: str) -> Job:
        """A job of the instance.

        Raises:
            ServiceError: There is none.
        """
        job = self.jobs.get(job_id)
        if job is None or job.crn != instance.crn:
            raise job_not_found(job_id)
        return job

    # -- usage -------------------------------------------------------------------------------------------------

    def consumed_s(self, instance: Instance) -> float:
        used = (job.usage()["qpu_charge_time_seconds"] for job in self.jobs.values() if job.crn == instance.crn)
        return round(float(sum(used)), 3)

    def limit_s(self, instance: Instance) -> float | None:
        if self.settings.usage_limit_s is not None:
            return self.settings.usage_limit_s
        return OPEN_PLAN_SECONDS if instance.plan == "open" else None


def rate_limited(limit: str, retry_after: float | None) -> ServiceError:
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return ServiceError(429, 1202, f"Too many requests received: {limit}.", "Wait, then send it again.", headers)

"""The emulated service's state: who may enter, backends, jobs, sessions, faults."""

from __future__ import annotations

import math
import time
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qprovider_ibm.emulator._devices import Device, make_devices, mock_name
from qprovider_ibm.emulator._errors import (
    ServiceError,
    backend_not_found,
    invalid_credentials,
    job_not_found,
    not_authorized,
    session_not_found,
)
from qprovider_ibm.emulator._faults import Faults
from qprovider_ibm.emulator._jobs import Job
from qprovider_ibm.emulator._pool import Pool
from qprovider_ibm.emulator._scheduler import Scheduler
from qprovider_ibm.emulator._sessions import DEDICATED, Session
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
        self.scheduler = Scheduler(
            self.pool, queue_time_s=settings.queue_time_s, seed=settings.seed, settle=self.end_what_is_over
        )
        self._submitted: dict[str, deque[float]] = {}
        self._lasting: dict[str, Session] = {}  # those whose time may end

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

    # -- sessions ----------------------------------------------------------------------------------------------

    def open_session(self, session: Session) -> None:
        self.sessions[session.id] = self._lasting[session.id] = session

    def session(self, instance: Instance, session_id: str) -> Session:
        """A session or batch of the instance.

        Raises:
            ServiceError: There is none.
        """
        session = self.sessions.get(session_id)
        if session is None or session.crn != instance.crn:
            raise session_not_found(session_id)
        return session

    def end_session(self, session: Session, reason: str, at: datetime) -> None:
        """Take no more jobs, and cancel those that are queued."""
        for job in session.end(reason, at):
            self.scheduler.cancel(job)

    def end_what_is_over(self) -> None:
        """End the sessions whose time is over: done before anybody sees one, and before a job is begun."""
        for session in list(self._lasting.values()):
            if session.is_over():
                self.end_session(session, "The maximum time to live is over.", session.last_moment())
            if session.ending or session.closed is not None:
                del self._lasting[session.id]

    # -- usage -------------------------------------------------------------------------------------------------

    def consumed_s(self, instance: Instance) -> float:
        """What jobs were charged for, and the time for which sessions held a backend beyond that."""
        used = sum(job.usage()["qpu_charge_time_seconds"] for job in self.jobs.values() if job.crn == instance.crn)
        held = sum(
            max(0.0, session.usage_s() - session.charged_s())
            for session in self.sessions.values()
            if session.crn == instance.crn and session.mode == DEDICATED
        )
        return round(float(used + held), 3)

    def limit_reached(self, instance: Instance) -> bool:
        limit = self.limit_s(instance)
        return limit is not None and self.consumed_s(instance) >= limit

    def allocation_s(self, instance: Instance) -> float | None:
        """What the plan gives; the limit where there is one and nothing else was asked for."""
        asked = self.settings.usage_allocation_s
        return self.limit_s(instance) if asked is None else asked

    def limit_s(self, instance: Instance) -> float | None:
        if self.settings.usage_limit_s is not None:
            return self.settings.usage_limit_s
        return OPEN_PLAN_SECONDS if instance.plan == "open" else None


def rate_limited(limit: str, retry_after: float | None) -> ServiceError:
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return ServiceError(429, 1202, f"Too many requests received: {limit}.", "Wait, then send it again.", headers)

"""What an open account of IBM Quantum is to the core: its instances, backends, jobs and sessions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import attrs

from qprovider_core._collector import collector_paused
from qprovider_core._late import LateMapping
from qprovider_core.errors import QProviderError, ResponseError, failure_text
from qprovider_core.qiskit_schema import (
    configuration_from_document,
    fractional_gates,
    properties_from_document,
    without_gates,
)
from qprovider_core.records import (
    AccountInfo,
    BackendConfiguration,
    BackendInfo,
    BackendProperties,
    BackendRef,
    BackendStatus,
    Deadline,
    InstanceInfo,
    ListProblem,
    Usage,
)
from qprovider_core.secret import get_logger
from qprovider_ibm import _wire
from qprovider_ibm._client import Client, an_object
from qprovider_ibm._credentials import IBMCredentials
from qprovider_ibm._errors import IBMApiError, IBMAuthenticationError, IBMRequestError, IBMUnknownBackendError
from qprovider_ibm._http import Answer
from qprovider_ibm._instances import Directory, Instance, side_by_side
from qprovider_ibm._jobs import Jobs
from qprovider_ibm._sessions import Sessions

_log = get_logger(__name__)
T = TypeVar("T")

_LISTING = 0.7  # of a query's time: an instance that hangs leaves some for what is asked of the others' backends


class Connection:
    """An account of IBM Quantum that is signed in. Safe to share between threads.

    Attributes:
        client: The calls of the service.
        directory: The account's instances.
        jobs: Its jobs; sessions: its sessions and batches.
    """

    def __init__(self, credentials: IBMCredentials) -> None:
        self.credentials = credentials
        self.client = Client(credentials)
        self.directory = Directory(self.client, credentials)
        self.jobs = Jobs(self.client, self.directory, self.crn_of)
        self.sessions = Sessions(self.client, self.directory, self.crn_of)
        self._lock = threading.Lock()
        self._places: dict[str, str] = {}  # name of a backend to the CRN it was last listed under

    def open(self, deadline: Deadline) -> None:
        """Exchange the key for a token, and find out which instances to use unless a CRN says it.

        Raises:
            AuthenticationError: The key is not accepted, or has no instance that fits.
            InvalidInputError: There is no instance of the given name, or there are several.
        """
        self.client.sign_in(deadline)
        self.directory.chosen(deadline)

    def check_instance(self, deadline: Deadline) -> None:
        """See whether the instance that the account was given is one of its own.

        Raises:
            AuthenticationError: It is not, or not reachable with this key.
        """
        crn = self.directory.chosen(deadline)[0].crn
        try:
            self.client.backends(crn, deadline)
        except IBMApiError as exc:
            if exc.status not in (400, 401, 403, 404):
                raise
            foreign = IBMAuthenticationError(
                f"The instance {crn} cannot be used with this API key: {(exc.message or 'refused').rstrip('.')}.",
                why=exc.why,
                hint="Check the CRN with provider.instances() of an account without instance=, or on "
                "https://quantum.cloud.ibm.com/instances.",
            )
            raise _copied(exc, foreign) from exc

    # -- backends -----------------------------------------------------------------------------------------

    def list_backends(self, deadline: Deadline, *, mocks: bool = False) -> list[BackendInfo | ListProblem]:
        """The backends of all instances in use, one request each. What several offer belongs to the first one."""
        instances = self.directory.chosen(deadline)
        if len(instances) > 1 and deadline.timeout is not None:
            deadline = Deadline.after(_LISTING * deadline.timeout)
        answers = side_by_side(lambda one: self._listed(one, deadline, mocks), instances, deadline, "backends")
        failures = [answer for answer in answers if isinstance(answer, QProviderError)]
        if len(failures) == len(answers):
            raise failures[0]
        found: dict[str, BackendInfo] = {}
        problems: list[BackendInfo | ListProblem] = []
        for instance, answer in zip(instances, answers, strict=True):
            if isinstance(answer, QProviderError):
                problems.append(
                    ListProblem(reason=f"instance {instance.label}: {failure_text(answer)}", hint=answer.hint)
                )
                continue
            for info in answer:
                if isinstance(info, ListProblem):
                    problems.append(info)
                else:
                    found.setdefault(info.name, info)
        with self._lock:
            self._places.update({name: info.instance for name, info in found.items() if info.instance})
        return [*found.values(), *problems]

    def _listed(self, instance: Instance, deadline: Deadline, mocks: bool) -> list[BackendInfo | ListProblem]:
        data = self.client.backends(instance.crn, deadline, mocks=mocks, waits=True)
        devices = data.get("devices")
        if not isinstance(devices, list):
            raise ResponseError("The list of backends is not of the expected form.", path="devices")
        found: list[BackendInfo | ListProblem] = []
        for entry in devices:
            try:
                found.append(_wire.backend_info(entry, instance.crn, instance.name))
            except ResponseError as exc:  # one entry less; the others are sound
                found.append(ListProblem(reason=f"one backend left out: {exc.what}"))
        return found

    def crn_of(self, backend: BackendRef, deadline: Deadline) -> str:
        """The instance through which a backend is reached: the one it names, else the first that offers it."""
        if backend.instance is not None:
            return self.directory.crn(backend.instance, deadline)
        instances = self.directory.chosen(deadline)
        if len(instances) == 1:
            return instances[0].crn
        with self._lock:
            known = self._places.get(backend.name)
        if known is None:
            names = [info.name for info in self.list_backends(deadline) if isinstance(info, BackendInfo)]
            with self._lock:
                known = self._places.get(backend.name)
            if known is None:
                raise IBMUnknownBackendError(backend.name, names)
        return known

    def _of_backend(self, backend: BackendRef, deadline: Deadline, call: Callable[[str], T]) -> T:
        """`call` with the backend's instance; an answer of 404 means that there is no such backend."""
        try:
            return call(self.crn_of(backend, deadline))
        except IBMRequestError as exc:
            if exc.status != 404:
                raise
            unknown = IBMUnknownBackendError(
                backend.name,
                what=f"This instance has no backend {backend.name!r}: {exc.message or 'not found'}",
                hint="It may have been retired. See what there is with provider.backends().",
            )
            raise _copied(exc, unknown) from exc

    def configuration(
        self, backend: BackendRef, deadline: Deadline, *, fractional: bool = False
    ) -> BackendConfiguration:
        """What a backend can run.

        Args:
            fractional: Whether gates with angles of their own (rx, rzz) stay in; a device has either these or
                control flow in one circuit, so that they are asked for.
        """
        answer = self._of_backend(backend, deadline, lambda crn: self.client.configuration(crn, backend.name, deadline))

        return _configuration_of(answer, backend.name, fractional)

    def properties(
        self, backend: BackendRef, at: datetime | None, deadline: Deadline, *, fractional: bool = False
    ) -> BackendProperties | None:
        """A backend's newest calibration, or the newest before `at`; None where there is none."""
        try:
            answer = self._of_backend(
                backend, deadline, lambda crn: self.client.properties(crn, backend.name, deadline, before=at)
            )
        except IBMUnknownBackendError as exc:
            if exc.message and "propert" in exc.message.lower():  # a simulator: the backend is there
                return None
            raise
        document = an_object(answer)
        if not document:
            return None
        if not fractional:
            named = {"basis_gates": sorted(_gate_names(document))}
            _, document = without_gates(named, document, fractional_gates(named))  # type: ignore[assignment]
        return properties_from_document(document)

    def status(self, backend: BackendRef, deadline: Deadline) -> BackendStatus:
        """A backend's status now."""
        data = self._of_backend(backend, deadline, lambda crn: self.client.status(crn, backend.name, deadline))
        return _wire.backend_status(data, backend.name)

    # -- the account --------------------------------------------------------------------------------------

    def account_info(self, deadline: Deadline) -> AccountInfo:
        """Whose account it is, its instances with their plans, and what those that it uses have used."""
        claims = _wire.claims(self.client.token_text(deadline))
        instances, chosen = self.instances(deadline), self.directory.chosen(deadline)
        usages = side_by_side(lambda one: self.usage(one.crn, deadline), chosen, deadline, "usage")
        told = dict(zip((one.crn for one in chosen), usages, strict=True))
        first = chosen[0]
        return AccountInfo(
            owner=next((str(claims[key]) for key in ("name", "email", "sub", "iam_id", "id") if claims.get(key)), None),
            plan=next((one.plan for one in instances if one.crn == first.crn), first.plan),
            instances=[_described(one, told.get(one.crn)) for one in instances],
            usage=_if_told(told[first.crn]),
        )

    def instances(self, deadline: Deadline) -> tuple[Instance, ...]:
        """All instances of the account with their plans, those that it uses first."""
        chosen = [one.crn for one in self.directory.chosen(deadline)]
        try:
            found = self.directory.all(deadline, plans=True)
        except IBMApiError as exc:
            if not self.directory.fixed:
                raise
            _log.warning("the account's instances cannot be listed: %s", exc.what)
            return self.directory.chosen(deadline)  # a key may be restricted to one instance
        order = {crn: place for place, crn in enumerate(chosen)}
        return tuple(sorted(found, key=lambda one: (order.get(one.crn, len(order)), one.label)))

    def usage(self, crn: str, deadline: Deadline) -> Usage:
        """Quantum time used and left of an instance."""
        return _wire.usage(self.client.usage(crn, deadline))


def _described(instance: Instance, told: Usage | QProviderError | None) -> InstanceInfo:
    """An instance with what it used, or why that could not be had."""
    return InstanceInfo(
        name=instance.label,
        id=instance.crn,
        plan=instance.plan,
        region=instance.region,
        usage=_if_told(told),
        problem=failure_text(told) if isinstance(told, QProviderError) else None,
    )


def _if_told(told: Usage | QProviderError | None) -> Usage | None:
    return told if isinstance(told, Usage) else None


class _Unread(LateMapping):
    """The fields of a configuration that no record names: bulky (Hamiltonians, channels) and rarely looked at.

    Attributes:
        read: Reads the document that they are in once more, with or without the device's fractional gates.
    """

    __slots__ = ("read",)

    def __init__(
        self, keys: Iterable[str], make: Callable[[], Mapping[str, Any]], read: Callable[[bool], BackendConfiguration]
    ) -> None:
        super().__init__(keys, make)
        self.read = read


def _configuration_of(answer: Answer, name: str, fractional: bool) -> BackendConfiguration:
    def read() -> BackendConfiguration:
        # One pause around the document's whole life, its end included: let in while it is there, the collector
        # would go through it, and soon through the whole process, for each of a hundred documents.
        with collector_paused:
            return _read_configuration(answer, name, fractional)

    record = read()
    unread = _Unread(record.extra, lambda: read().extra, lambda wanted: _configuration_of(answer, name, wanted))
    return attrs.evolve(record, extra=unread)


def read_again(configuration: BackendConfiguration, *, fractional: bool) -> BackendConfiguration | None:
    """The same configuration with or without its fractional gates; None where its document is not at hand."""
    extra = configuration.extra
    return extra.read(fractional) if isinstance(extra, _Unread) else None


def _read_configuration(answer: Answer, name: str, fractional: bool) -> BackendConfiguration:
    document = an_object(answer)
    if not document:
        raise ResponseError(f"The service has no configuration of {name} now.", hint="Try again in a while.")
    if not fractional and not document.get("simulator"):
        document, _ = without_gates(document, None, fractional_gates(document))
    return configuration_from_document(document)


def _gate_names(document: Mapping[str, Any]) -> set[str]:
    gates = document.get("gates")
    named = (gate.get("gate") for gate in gates if isinstance(gate, Mapping)) if isinstance(gates, list) else ()
    return {name for name in named if isinstance(name, str)}


E = TypeVar("E", bound=IBMApiError)


def _copied(source: IBMApiError, error: E) -> E:
    """`error` with the facts of another one."""
    for name in ("status", "code", "message", "solution", "more_info", "trace"):
        setattr(error, name, getattr(source, name))
    return error

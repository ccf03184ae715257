"""`IBMProvider`: the retired provider's face over an account of today's service. Needs Qiskit only for handles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import attrs

import qprovider_core
from qprovider_core import config
from qprovider_core._account import Account
from qprovider_core.credentials import ResolvedAccount
from qprovider_core.errors import InvalidInputError, UnknownBackendError
from qprovider_core.records import Deadline, InstanceInfo, Usage
from qprovider_core.secret import Secret
from qprovider_ibm._errors import IBMApiError
from qprovider_ibm._job_filters import first_cursor, span_of, states_of
from qprovider_ibm._provider_accounts import (
    account_fields,
    account_of_channel,
    note_retired_default,
    save_account,
    saved_accounts,
)
from qprovider_ibm._runtime_accounts import CLIENT
from qprovider_ibm._service import BackendService
from qprovider_ibm._wire import COMPOSITE_PREFIX

if TYPE_CHECKING:
    from qprovider_core._lists import BackendList, JobList
    from qprovider_ibm._backend import IBMBackend
    from qprovider_ibm._composite_job import IBMCompositeJob
    from qprovider_ibm._connection import Connection
    from qprovider_ibm._instances import Instance
    from qprovider_ibm._job import IBMJob

PROVIDER = "ibm"


class IBMProvider:
    """An account of IBM Quantum.

        IBMProvider.save_account(token="<IBM Cloud API key>")   # once
        provider = IBMProvider()
        backend = provider.least_busy(min_num_qubits=5, simulator=False, operational=True)

    Attributes:
        account: The core's account beneath it.
        backend: `BackendService`: backends, jobs, and names to complete with the tab key.
    """

    def __init__(
        self,
        token: str | Secret | None = None,
        url: str | None = None,
        name: str | None = None,
        instance: str | None = None,
        proxies: Mapping[str, Any] | None = None,
        verify: bool | str | None = None,
        *,
        channel: str | None = None,
        private_endpoint: bool | None = None,
        region: str | None = None,
        plans_preference: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
        endpoints: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Open an account: the named one; else one made of the arguments; else the environment's; else the default.

        Arguments replace single fields of the account that they are given with.

        Args:
            token: IBM Cloud API key.
            url: Address of IBM Cloud, where it is not the usual one.
            name: A saved account.
            instance: CRN or name of an instance; ``auto`` or nothing: all that the account has.
            proxies: Scheme to address; or IBM's form with ``urls``, ``username_ntlm``, ``password_ntlm``.
            verify: Whether certificates are checked, or the path of a CA bundle.
            channel: ``ibm_quantum_platform`` or its older name ``ibm_cloud``.
            private_endpoint: Use the addresses inside a private cloud network.
            region, plans_preference, tags: Which instances to use where `instance` does not say it.
            endpoints: Addresses of single services: ``iam``, ``search``, ``catalog``, ``resource_controller``, ``api``.
            timeout: Seconds for signing in.
        Raises:
            NoAccountError, UnknownAccountError: There is no such account.
            AuthenticationError: The key or the instance is not accepted.
        """
        token = Secret(token) if isinstance(token, str) else token  # out of this frame, which tracebacks may print
        fields = account_fields(
            token=token,
            url=url,
            instance=instance,
            proxies=proxies,
            verify=verify,
            channel=channel,
            private_endpoint=private_endpoint,
            region=region,
            plans_preference=plans_preference,
            tags=tags,
            endpoints=endpoints,
        )
        del proxies  # it may hold a password
        if channel is not None and name is None and token is None:
            name = account_of_channel(channel)
        account = qprovider_core.open_account(PROVIDER, name, **fields)
        if name is None and CLIENT in account.source:
            note_retired_default()
        self._hold(account)
        self._check(timeout)

    def _hold(self, account: Account) -> None:
        self.account = account
        account.facade = self
        self._by_instance: dict[str, Account] = {}
        self.backend = BackendService(self)

    @classmethod
    def of(cls, account: Account) -> IBMProvider:
        """The provider over an account that the core opened."""
        if not isinstance(account.facade, IBMProvider):
            provider = cls.__new__(cls)
            provider._hold(account)
        return cast(IBMProvider, account.facade)

    def _check(self, timeout: float | None) -> None:
        """A CRN is not looked up anywhere: ask its instance for something small, so that a wrong one shows now."""
        connection = self._connection(timeout)
        if connection.directory.fixed:
            deadline = Deadline.after(config.timeout_s(timeout))
            connection.check_instance(deadline)

    def _connection(self, timeout: float | None = None) -> Connection:
        return cast("Connection", self.account.connection(timeout))

    def _at(self, instance: str | None) -> Account:
        """The account as restricted to one instance, for this call only: nothing is switched."""
        instance = _named(instance)
        if instance is None:
            return self.account
        connection, deadline = self._connection(), Deadline.after(config.timeout_s())
        crn = connection.directory.crn(instance, deadline)
        chosen = connection.directory.chosen(deadline)
        if len(chosen) == 1 and chosen[0].crn == crn:
            return self.account
        if crn not in self._by_instance:
            credentials = attrs.evolve(self.account.credentials, instance=crn)
            resolved = ResolvedAccount(ref=self.account.ref, credentials=credentials, source=self.account.source)
            account = Account(self.account.vendor, resolved)
            account.facade = self
            self._by_instance[crn] = account
        return self._by_instance[crn]

    # -- accounts -----------------------------------------------------------------------------------------

    @staticmethod
    def save_account(
        token: str | Secret | None = None,
        url: str | None = None,
        instance: str | None = None,
        name: str | None = None,
        proxies: Mapping[str, Any] | None = None,
        verify: bool | str | None = None,
        overwrite: bool = False,
        set_as_default: bool | None = None,
        *,
        channel: str | None = None,
        private_endpoint: bool | None = None,
        region: str | None = None,
        plans_preference: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
        endpoints: Mapping[str, str] | None = None,
    ) -> None:
        """Save an account for later; see `IBMProvider` for the fields.

        Raises:
            InvalidInputError: The name is taken, and `overwrite` was not asked for.
        """
        token = Secret(token) if isinstance(token, str) else token
        fields = account_fields(
            token=token,
            url=url,
            instance=instance,
            proxies=proxies,
            verify=verify,
            channel=channel,
            private_endpoint=private_endpoint,
            region=region,
            plans_preference=plans_preference,
            tags=tags,
            endpoints=endpoints,
        )
        del proxies
        save_account(fields, name=name, overwrite=overwrite, set_as_default=set_as_default)

    @staticmethod
    def saved_accounts(default: bool | None = None, name: str | None = None) -> dict[str, dict[str, Any]]:
        """The saved accounts by name, tokens masked; those that qiskit-ibm-runtime saved among them."""
        return saved_accounts(default=default, name=name)

    @staticmethod
    def delete_account(name: str | None = None) -> bool:
        """Delete a saved account; False when there is none of that name."""
        return bool(qprovider_core.delete_account(PROVIDER, name or "default"))

    def active_account(self) -> dict[str, Any]:
        """The account in use; its token is masked."""
        credentials = self.account.credentials
        told = {
            "name": self.account.name,
            "source": self.account.source,
            **{field.name: getattr(credentials, field.name) for field in attrs.fields(type(credentials))},
        }
        return {key: value for key, value in told.items() if value not in (None, (), {})}

    def instances(self) -> list[InstanceInfo]:
        """All instances of the account with their plans, those in use first."""
        return _told(self._connection().instances(Deadline.after(config.timeout_s())))

    def active_instances(self) -> list[InstanceInfo]:
        """The instances in use, the preferred one first."""
        return _told(self._connection().directory.chosen(Deadline.after(config.timeout_s())))

    def usage(self, instance: str | None = None) -> Usage:
        """Quantum time used and left of an instance; of the preferred one by default."""
        connection, deadline = self._connection(), Deadline.after(config.timeout_s())
        crn = self._crn(instance) or connection.directory.chosen(deadline)[0].crn
        return connection.usage(crn, deadline)

    # -- backends -----------------------------------------------------------------------------------------

    def backends(
        self,
        name: str | None = None,
        filters: Callable[[Any], Any] | None = None,
        min_num_qubits: int | None = None,
        instance: str | None = None,
        dynamic_circuits: bool | None = None,
        *,
        use_fractional_gates: bool = False,
        **criteria: Any,
    ) -> BackendList[IBMBackend]:
        """The backends that satisfy the criteria; one request an instance, unless a criterion needs more.

        Args:
            name: A name, or a pattern such as ``ibm_*``.
            filters: A function of one backend.
            min_num_qubits, dynamic_circuits, criteria: See `qprovider_core.list_backends`.
            instance: CRN or name: only this one, for this call.
            use_fractional_gates: Whether rx and rzz gates with angles stay in the backends' targets.
        Raises:
            QProviderError: No instance answered.
        """
        account = self._at(instance)
        wanted = {"min_num_qubits": min_num_qubits, "dynamic_circuits": dynamic_circuits, **criteria}
        given = {key: value for key, value in wanted.items() if value is not None}
        found = account.backends(name, filters=_reading(filters), raising=True, **given)
        if use_fractional_gates:
            found[:] = [backend.with_fractional_gates() for backend in found]
        return found

    def get_backend(
        self,
        name: str | None = None,
        filters: Callable[[Any], Any] | None = None,
        min_num_qubits: int | None = None,
        instance: str | None = None,
        *,
        use_fractional_gates: bool = False,
        refresh: bool = False,
        **criteria: Any,
    ) -> IBMBackend:
        """The one backend of that name, or that satisfies the criteria.

        Args:
            refresh: Ask anew even where what was told before still holds; see `qprovider_core.get_backend`.
        Raises:
            UnknownBackendError: There is none, or there are several.
            InvalidInputError: Fractional gates are asked for, and it has none.
        """
        if name is not None and not isinstance(name, str):
            raise InvalidInputError(f"A backend's name is a text, not {name!r}.")
        if isinstance(filters, str) and instance is None:
            filters, instance = None, filters  # the retired provider's second argument was the instance
        plain = name is not None and filters is None and min_num_qubits is None and not criteria
        if plain and not any(sign in str(name) for sign in "*?["):
            try:
                backend = cast("IBMBackend", self._at(instance).get_backend(cast(str, name), refresh=refresh))
            except UnknownBackendError as exc:
                if exc.why is None and not isinstance(exc, IBMApiError):
                    exc.why = f"{self._places(instance)} not offer it (any more): it may have been retired."
                raise
            if use_fractional_gates:
                backend = backend.with_fractional_gates()
                backend.check_fractional_gates()
            return backend
        found = self.backends(
            name,
            filters,
            min_num_qubits,
            instance,
            use_fractional_gates=use_fractional_gates,
            refresh=refresh,
            **criteria,
        )
        if len(found) == 1:
            if use_fractional_gates:
                found[0].check_fractional_gates()
            return found[0]
        names = [backend.name for backend in found]
        raise UnknownBackendError(
            name or "(by criteria)",
            names,
            what=f"{len(names)} backends satisfy the criteria; get_backend gives one."
            if names
            else "No backend satisfies the criteria.",
            why=None if names else "\n".join(f"  {one}" for one in found.rejected[:20]) or None,
            hint="Use backends() for several." if names else "Relax a criterion; see all with provider.backends().",
        )

    def _places(self, instance: str | None) -> str:
        """Who offers backends here, and the verb that goes with it."""
        if instance is not None:
            return f"The instance {instance} does"
        named = [one.name for one in self.active_instances()]
        return f"The instance {named[0]} does" if len(named) == 1 else f"The instances {', '.join(named)} do"

    def least_busy(
        self,
        backends: Iterable[Any] | None = None,
        *,
        instance: str | None = None,
        use_fractional_gates: bool = False,
        **criteria: Any,
    ) -> IBMBackend:
        """The one with the shortest queue of `backends`, or of all that satisfy the criteria.

        Raises:
            NoMatchingBackendError: None is left; `.reasons` says why for each.
        """
        if criteria.get("filters") is not None:
            criteria["filters"] = _reading(criteria["filters"])
        backend = self._at(instance).least_busy(backends, **criteria)
        return cast("IBMBackend", backend.with_fractional_gates() if use_fractional_gates else backend)

    # -- jobs ---------------------------------------------------------------------------------------------

    def jobs(
        self,
        limit: int | None = 10,
        skip: int = 0,
        backend_name: str | None = None,
        status: Any = None,
        start_datetime: datetime | None = None,
        end_datetime: datetime | None = None,
        job_tags: Iterable[str] | None = None,
        descending: bool = True,
        instance: str | None = None,
        *,
        pending: bool | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        session_id: str | None = None,
        name: str | None = None,
        ids: Iterable[str] | None = None,
        legacy: bool = False,
    ) -> JobList[IBMJob]:
        """Jobs of the account's instances, newest first.

        Args:
            limit: At most so many; None for all. skip: leave out so many first.
            status: Words such as ``DONE`` or ``queued``, `JobStatus` or `JobState` members, or a list of them.
            start_datetime, end_datetime, created_after, created_before: Created within; a time without an offset
                is local time.
            job_tags: A job must have all of them.
            descending: False: oldest first.
            instance: CRN or name: only jobs of this one.
            pending: True: not ended yet; False: ended.
            legacy: The retired provider's; refused when true.
        """
        if legacy:
            raise InvalidInputError(
                "There are no legacy jobs any more.",
                why="They were those of a service that has been shut down.",
                hint="Leave legacy out.",
            )
        if isinstance(job_tags, str):
            raise InvalidInputError(f"job_tags is a list of tags, not {job_tags!r}.", hint="Write [tag].")
        begin, end = span_of(start_datetime, end_datetime, created_after, created_before)
        query: dict[str, Any] = {
            "backend": backend_name,
            "states": states_of(status) or None,
            "created_after": begin,
            "created_before": end,
            "tags": tuple(job_tags) if job_tags is not None else None,
            "instance": self._crn(instance),
            "pending": pending,
            "session_id": session_id,
            "name": name,
            "ids": tuple(ids) if ids is not None else None,
            "cursor": first_cursor(skip, oldest_first=not descending),
        }
        found = self.account.jobs(limit, **{key: value for key, value in query.items() if value is not None})
        return cast("JobList[IBMJob]", found)

    def _crn(self, instance: str | None) -> str | None:
        named = _named(instance)
        return None if named is None else self._connection().directory.crn(named, Deadline.after(config.timeout_s()))

    def retrieve_job(self, job_id: str, instance: str | None = None) -> IBMJob | IBMCompositeJob:
        """A job by its id, from whichever of the account's instances has it; a composite job by its own id.

        Raises:
            UnknownJobError: None of them has it.
        """
        if isinstance(job_id, str) and job_id.startswith(COMPOSITE_PREFIX):
            from qprovider_ibm._composite_job import IBMCompositeJob  # late: needs Qiskit

            return IBMCompositeJob.found(self.account, job_id, self._crn(instance))
        return cast("IBMJob", self.account.retrieve_job(job_id, _named(instance)))

    def close(self) -> None:
        """Release what the account holds."""
        for account in (*self._by_instance.values(), self.account):
            account.close()

    def __enter__(self) -> IBMProvider:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IBMProvider):
            return NotImplemented
        return self.account is other.account or (
            self.account.ref == other.account.ref and self.account.credentials == other.account.credentials
        )

    def __hash__(self) -> int:
        return hash(self.account.ref)

    def __repr__(self) -> str:
        account: Account | None = self.__dict__.get("account")
        if account is None:  # a report may show it while it is being made
            return "<IBMProvider, not signed in>"
        return f"<IBMProvider {account.label}: {account.credentials.instance or 'all instances'}>"


def _told(found: Iterable[Instance]) -> list[InstanceInfo]:
    return [InstanceInfo(name=one.label, id=one.crn, plan=one.plan, region=one.region) for one in found]


def _named(instance: str | None) -> str | None:
    """The instance that is meant; None for the word that stands for none in particular."""
    return None if instance == "auto" else instance


def _reading(filters: Any) -> Any:
    if filters is None:
        return None
    from qprovider_ibm._backend import reading_filter  # late: needs Qiskit

    return reading_filter(filters)

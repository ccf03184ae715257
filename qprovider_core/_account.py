"""An account: a vendor's connection, and what can be asked through it. No Qiskit here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self

from qprovider_core import config
from qprovider_core._concurrency import in_background
from qprovider_core._facts import MOVING, Facts
from qprovider_core._key_tag import TELLING
from qprovider_core._native import load_qiskit
from qprovider_core._provider import Provider
from qprovider_core._queries import choose_least_busy, open_backend, query_handles, query_records
from qprovider_core._text import account_label
from qprovider_core.credentials import ResolvedAccount
from qprovider_core.errors import DeadlineError, InvalidInputError, PluginError, TransportError
from qprovider_core.records import AccountInfo, BackendInfo, Deadline

if TYPE_CHECKING:
    from qprovider_core._backend import Backend
    from qprovider_core._job import Job
    from qprovider_core._lists import BackendList, JobList

_MOST_OUTSTANDING = 64  # of all threads together: what a vendor that hangs can keep of this process
# What a hook is passed where the caller has nothing to say: implementations get no defaults from pluggy.
_NOT_GIVEN: Mapping[str, Mapping[str, Any]] = {
    "qprovider_backend_properties": {"at": None},
    "qprovider_get_job": {"wait_s": 0.0},
}


class Account:
    """One account at one vendor. Opened at first use; safe to share between threads.

    Attributes:
        provider: The vendor's name.
        name: The account's name.
        source: Where its credentials came from, such as ``saved account 'work'``.
        facts: What it tells of its backends, remembered or asked for.
        facade: What the vendor's own handles show as their provider, where a vendor has such a class.
    """

    def __init__(self, vendor: Provider, resolved: ResolvedAccount) -> None:
        self._vendor = vendor
        self._credentials = resolved.credentials
        self.ref = resolved.ref
        self.source = resolved.source
        self.facade: Any = None
        self._lock = threading.Lock()
        self._opening: Future[Any] | None = None
        self._outstanding = threading.Semaphore(_MOST_OUTSTANDING)
        self._closed = False
        self.facts = Facts(self, resolved)

    @property
    def provider(self) -> str:
        return self.ref.provider

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def spec(self) -> Any:
        """What the vendor announced (`ProviderSpec`)."""
        return self._vendor.spec

    @property
    def vendor(self) -> Provider:
        """The vendor's hooks."""
        return self._vendor

    @property
    def credentials(self) -> Any:
        """What it signs in with, of the vendor's own class; secrets are masked. None where there are none."""
        return self._credentials

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def label(self) -> str:
        """``account/provider``, or just the provider for the account called ``default``."""
        return account_label(self.provider, self.name)

    # -- calling hooks ------------------------------------------------------------------------------------

    def supports(self, hook: str) -> bool:
        """Whether the vendor implements the hook."""
        return self._vendor.supports(hook)

    def takes(self, hook: str, argument: str) -> bool:
        """Whether the vendor's implementation of the hook names that argument."""
        return self._vendor.takes(hook, argument)

    def call(self, hook: str, *, deadline: Deadline, **arguments: Any) -> Any:
        """Call a hook of this account in this thread, opening the account first.

        Raises:
            UnsupportedError: The vendor has no such hook.
            QProviderError: Whatever went wrong, see `Provider.call`.
        """
        self._vendor.require(hook)
        try:
            connection = self._connect(deadline)
        except TransportError as exc:
            exc.arrived = False  # of what is asked here nothing was sent yet
            raise
        arguments = {**_NOT_GIVEN.get(hook, {}), **arguments}
        try:
            answer = self._vendor.call(hook, connection=connection, account=self.ref, deadline=deadline, **arguments)
        finally:
            if hook in MOVING:  # a job whose answer was lost may be there
                self.facts.queue_moved()
        if hook == "qprovider_delete_job" and answer:
            from qprovider_core._kept import forget_job  # late: listing needs no ledger

            forget_job(self.provider, arguments["job"])
        return answer if hook not in TELLING or answer is None else TELLING[hook](answer)

    def ask(
        self,
        hook: str,
        *,
        timeout: float | None = None,
        late: Callable[[Future[Any]], None] | None = None,
        **arguments: Any,
    ) -> Any:
        """Call a hook and wait for its answer, `timeout` seconds at most; then the call is abandoned.

        Args:
            late: Told of the call when it is abandoned, by the deadline or by Ctrl-C: its answer is still to come.
        Raises:
            DeadlineError: No answer in time.
        """
        return self.waited(lambda deadline: self.call(hook, deadline=deadline, **arguments), hook, timeout, late=late)

    def waited(
        self,
        work: Callable[[Deadline], Any],
        hook: str,
        timeout: float | None = None,
        *,
        late: Callable[[Future[Any]], None] | None = None,
    ) -> Any:
        """Do `work`, which calls a hook, in a thread of its own and wait for it; see `ask`."""
        self._vendor.require(hook)
        limit = config.timeout_s(timeout)
        deadline = Deadline.after(limit)
        if not self._outstanding.acquire(timeout=deadline.timeout):
            raise DeadlineError(
                f"{self.label}: {_MOST_OUTSTANDING} earlier calls have not come back.",
                timeout_s=limit,
                arrived=False,
                hint="The vendor or its plugin hangs. Close the account and open it again.",
            )

        def released() -> Any:
            try:
                return work(deadline)
            finally:
                self._outstanding.release()

        future: Future[Any] = Future()
        try:
            in_background(released, f"{self.label}-{hook}", future)
            return self._await(future, deadline, limit, hook)
        except BaseException:
            # It still runs; or it has been answered in the moment in which we gave it up.
            if late is not None and not (future.done() and future.exception() is not None):
                late(future)
            raise

    def connection(self, timeout: float | None = None) -> Any:
        """What the vendor's plugin opened the account with, for the vendor's own handles to use in this process.

        Raises:
            AuthenticationError: The vendor refused the credentials.
        """
        return self.open(timeout)._opened()

    def _opened(self) -> Any:
        with self._lock:
            opening = self._opening
        if opening is None:
            raise InvalidInputError(f"The account {self.label} is closed.", hint="Open it again with open_account().")
        return opening.result()

    def _await(self, future: Future[Any], deadline: Deadline, limit: float, hook: str) -> Any:
        try:
            return future.result(timeout=deadline.timeout)
        except TimeoutError:
            if future.done():  # the vendor's own, not ours
                raise
            raise DeadlineError(
                f"{self.label}: no answer to {hook.removeprefix('qprovider_')} within {limit:g} s.",
                timeout_s=limit,
                hint="Try again, or allow more time with timeout= or QPROVIDER_TIMEOUT.",
            ) from None

    def _connect(self, deadline: Deadline) -> Any:
        """The connection; opened once, whoever asks first. A failure is not kept: the next call tries again."""
        with self._lock:
            if self._closed:
                raise InvalidInputError(
                    f"The account {self.label} is closed.", hint="Open it again with open_account()."
                )
            opening = self._opening
            mine = opening is None
            if opening is None:
                opening = self._opening = Future()
        if not mine:
            try:
                return opening.result(timeout=deadline.timeout)
            except TimeoutError:
                if opening.done():
                    raise
                raise DeadlineError(f"{self.label}: the account is still being opened.", arrived=False) from None
        try:
            self._vendor.require("qprovider_open_account")
            connection = self._vendor.call(
                "qprovider_open_account", credentials=self._credentials, account=self.ref, deadline=deadline
            )
            if connection is None:
                raise PluginError(
                    f"The plugin {self._vendor.plugin_name!r} opened {self.label} with None.",
                    plugin=self._vendor.plugin_name,
                    hook="qprovider_open_account",
                    hint="This is a fault of the plugin: report it to its authors.",
                )
        except BaseException as exc:
            with self._lock:
                self._opening = None
            opening.set_exception(exc)
            raise
        with self._lock:
            if not self._closed:
                opening.set_result(connection)
                return connection
        closed = InvalidInputError(f"The account {self.label} was closed while it was being opened.")
        opening.set_exception(closed)
        self._release(connection)
        raise closed

    def _release(self, connection: Any) -> None:
        if self.supports("qprovider_close_account"):
            self._vendor.call(
                "qprovider_close_account",
                connection=connection,
                account=self.ref,
                deadline=Deadline.after(config.timeout_s()),
            )

    def _required(self, hook: str, **arguments: Any) -> Any:
        answer = self.ask(hook, **arguments)
        if answer is None:
            raise PluginError(
                f"The plugin {self._vendor.plugin_name!r} gave no answer to {hook}.",
                plugin=self._vendor.plugin_name,
                hook=hook,
                hint="This is a fault of the plugin: report it to its authors.",
            )
        return answer

    # -- what users call ----------------------------------------------------------------------------------

    def backends(
        self, name: str | None = None, *, filters: Callable[[Any], Any] | None = None, **criteria: Any
    ) -> BackendList[Backend]:
        """Handles of this account's backends that satisfy the criteria; see `qprovider_core.backends`."""
        return query_handles([self], name=name, filters=filters, **criteria)

    def list_backends(self, name: str | None = None, **criteria: Any) -> BackendList[BackendInfo]:
        """The same as records; see `qprovider_core.list_backends`."""
        return query_records([self], name=name, **criteria)

    def get_backend(
        self, name: str, instance: str | None = None, *, timeout: float | None = None, refresh: bool = False
    ) -> Backend:
        """The backend of that name.

        Raises:
            UnknownBackendError: This account lists none; near matches are named.
        """
        if not isinstance(name, str):
            raise InvalidInputError(f"A backend's name is a text, not {name!r}.")
        for own in (f"{self.name}/{self.provider}:", f"{self.provider}:"):
            name = name.removeprefix(own)
        return open_backend([self], name, instance=instance, timeout=timeout, refresh=refresh)

    def least_busy(self, backends: Iterable[Any] | None = None, **criteria: Any) -> Any:
        """The least busy of `backends`, or of this account's that satisfy the criteria."""
        return choose_least_busy([self], backends, **criteria)

    def jobs(self, limit: int | None = 10, **query: Any) -> JobList[Job]:
        """This account's jobs as the vendor lists them, newest first.

        Args:
            limit: At most so many; None for all.
            query: Fields of `JobQuery`: backend, states, tags, name, pending, created_after, created_before, …
        """
        load_qiskit()
        from qprovider_core._jobs import list_jobs  # late: jobs need Qiskit

        return list_jobs(self, limit=limit, **query)

    def retrieve_job(self, job_id: str, instance: str | None = None) -> Job:
        """A job by the vendor's id.

        Raises:
            UnknownJobError: The vendor has none of that id.
        """
        load_qiskit()
        from qprovider_core._jobs import retrieve_job  # late: jobs need Qiskit

        return retrieve_job(self, job_id, instance)

    def info(self, timeout: float | None = None) -> AccountInfo:
        """Whose account it is, its instances, plan and quota."""
        answer: AccountInfo = self._required("qprovider_account_info", timeout=timeout)
        return answer

    def open(self, timeout: float | None = None) -> Self:
        """Open the account now rather than at first use.

        Raises:
            AuthenticationError: The vendor refused the credentials.
        """
        self._vendor.require("qprovider_open_account")
        limit = config.timeout_s(timeout)
        with self._lock:
            opening = self._opening
        if opening is not None and opening.done() and opening.exception() is None:
            return self
        deadline = Deadline.after(limit)
        future = in_background(lambda: self._connect(deadline), f"{self.label}-open")
        self._await(future, deadline, limit, "qprovider_open_account")
        return self

    def close(self) -> None:
        """Release what the connection holds. The account cannot be used any more; jobs that end with their process end
        with it, and the results of those that have ended are kept before."""
        if self.spec.process_bound and not self._closed:
            from qprovider_core._keeper import finish  # late: few vendors need it

            finish(self)
        with self._lock:
            opening, self._opening, was_closed = self._opening, None, self._closed
            self._closed = True
        opened = opening is not None and opening.done() and opening.exception() is None
        if was_closed or not opened or not self.supports("qprovider_close_account"):
            return
        assert opening is not None
        limit = config.timeout_s()
        deadline = Deadline.after(limit)
        future = in_background(lambda: self._release(opening.result()), f"{self.label}-close")
        self._await(future, deadline, limit, "qprovider_close_account")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __copy__(self) -> Self:
        return self  # a connection cannot be doubled

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.name == "arguments":
            raise InvalidInputError(
                f"This account of {self.provider} was opened with credentials of its own, which do not travel.",
                hint="Save it with save_account() and open it by its name.",
            )
        return (_reopened, (self.provider, self.name))

    def __repr__(self) -> str:
        return f"<Account {self.label} from {self.source}>"


def _reopened(provider: str, name: str) -> Account:
    from qprovider_core.fleet import fleet  # late: the fleet imports this module

    return fleet().party(provider, name).accounts[0]

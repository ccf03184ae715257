"""Defects in behaviour: what loading costs, what is shown of secrets, what is left behind, threads."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

import attrs
from good_vendor import URL_VARIABLE, GoodVendor

import qprovider_core as qp
from _defects import defect
from _defects.client import Client

_OUTPUT = "test_secrets_show_in_no_output"

# -- declarations and announcement ------------------------------------------------------------------------


@defect("test_declarations_are_ones_that_exist", "did you mean supports_cancel?", supports_cancle=False)
class MisspeltDeclaration(GoodVendor):
    """It does all that is promised; what is declared of it does not exist."""


@defect("test_declarations_agree_with_the_hooks", "the plugin has no qprovider_cancel_job")
class NoCancelling(GoodVendor):
    """A hook is missing, and nothing says so."""

    qprovider_cancel_job = None  # type: ignore[assignment]


class _Announcing(GoodVendor):
    """A vendor that does something while it announces itself."""

    def announcing(self, spec: Any) -> Any:
        raise NotImplementedError

    @qp.hookimpl
    def qprovider_provider(self) -> Any:
        return self.announcing(super().qprovider_provider())


@defect("test_the_announcement_is_complete", "run_options names ['shots'], which the core takes itself")
class ClashingOption(_Announcing):
    """An option of the vendor's own has the name of a common one."""

    def announcing(self, spec: Any) -> Any:
        return attrs.evolve(spec, run_options=(*spec.run_options, "shots"))


@defect("test_the_announcement_is_complete", "the announcement has no title")
class NoTitle(_Announcing):
    """Nobody has given it a name."""

    def announcing(self, spec: Any) -> Any:
        return attrs.evolve(spec, title=" ")


@defect("test_announcing_does_no_io_and_imports_nothing_heavy", "announcing it imports ['numpy']")
class HeavyImport(_Announcing):
    """Announcing imports what only jobs need."""

    def announcing(self, spec: Any) -> Any:
        import numpy  # noqa: F401  that is the defect

        return spec


@defect("test_announcing_does_no_io_and_imports_nothing_heavy", 'announcing does I/O: ["open')
class ReadsASettingsFile(_Announcing):
    """Announcing reads a file."""

    def announcing(self, spec: Any) -> Any:
        with open(os.devnull, encoding="utf-8") as settings:
            return attrs.evolve(spec, description=settings.read())


@defect("test_announcing_does_no_io_and_imports_nothing_heavy", "socket.connect <socket")
class AsksTheNetwork(_Announcing):
    """Announcing looks whether the service is there."""

    def announcing(self, spec: Any) -> Any:
        url = urlsplit(os.environ[URL_VARIABLE])
        socket.create_connection((url.hostname or "", url.port or 0)).close()
        return spec


@defect("test_listing_does_not_import_qiskit", "listing imports ['numpy', 'qiskit']")
class ListingWithQiskit(GoodVendor):
    """A listing makes targets of what it lists."""

    def listed(self, row: Mapping[str, Any]) -> Any:
        import qiskit

        return attrs.evolve(super().listed(row), description=f"for Qiskit {qiskit.__version__}")


# -- secrets ----------------------------------------------------------------------------------------------


class _Opening(GoodVendor):
    """A vendor whose connection is of another kind."""

    kind: ClassVar[type[Client]] = Client

    def client(self, url: str, credentials: Any) -> Any:
        return self.kind(url, credentials.token)


class _Shown(Client):
    def __repr__(self) -> str:
        return f"Client({self.url!r}, token={self._token.reveal()!r})"


@defect("test_secrets_show_nowhere", "the repr of connection shows a secret")
class TokenInTheRepr(_Opening):
    """The connection shows with what it was made."""

    kind = _Shown


class _Pickled(Client):
    def __reduce__(self) -> Any:
        return (type(self), (self.url, self._token.reveal()))


@defect("test_secrets_show_nowhere", "the pickle of connection shows a secret")
class TokenInThePickle(_Opening):
    """The connection takes its token along."""

    kind = _Pickled


class _Logged(Client):
    def link(self) -> Any:
        logging.getLogger("good.client").debug("using token %s", self._token.reveal())
        return super().link()


@defect(_OUTPUT, "the log of good.client shows a secret")
class TokenInTheLog(_Opening):
    """Each request is logged with its header."""

    kind = _Logged


class _Printed(Client):
    def link(self) -> Any:
        print(f"Authorization: Bearer {self._token.reveal()}", file=sys.stderr)
        return super().link()


@defect(_OUTPUT, "the standard error shows a secret")
class TokenOnTheScreen(_Opening):
    """A line for debugging was left in."""

    kind = _Printed


@defect("test_secrets_show_in_no_record", "a job's information shows a secret")
class TokenInAJob(GoodVendor):
    """A job's own address holds the token."""

    @qp.hookimpl
    def qprovider_get_job(self, connection: Any, job: Any, wait_s: float, deadline: Any) -> Any:
        info = super().qprovider_get_job(connection, job, wait_s, deadline)
        return attrs.evolve(info, extra={"link": f"{connection.url}/jobs/{job.id}?key={connection._token.reveal()}"})


@defect("test_secrets_show_in_no_record", "a listed backend shows a secret")
class TokenInTheListing(_Announcing):
    """What the service sent back is told as it is, the token that it echoes too."""

    def announcing(self, spec: Any) -> Any:
        return attrs.evolve(spec, extra_fields=(*spec.extra_fields, "caller"))

    @qp.hookimpl
    def qprovider_list_backends(self, connection: Any, deadline: Any) -> Any:
        found = super().qprovider_list_backends(connection, deadline)
        return [attrs.evolve(one, extra={"caller": connection._token.reveal()}) for one in found]


class _Anonymous(Client):
    def __init__(self, url: str, token: Any) -> None:
        from good_vendor import TOKEN

        super().__init__(url, qp.Secret(TOKEN))


@defect("test_wrong_credentials_are_refused", "DID NOT RAISE")
class AnyTokenWill(_Opening):
    """The token of an earlier session is used, whatever is given."""

    kind = _Anonymous


class _OwnError(Client):
    def ask(self, *arguments: Any, **more: Any) -> Any:
        try:
            return super().ask(*arguments, **more)
        except qp.AuthenticationError as exc:
            raise PermissionError("401") from exc


@defect("test_wrong_credentials_are_refused", "PermissionError: 401")
class RefusalOfItsOwn(_Opening):
    """A refusal is the client's own error."""

    kind = _OwnError


class _Terse(Client):
    def ask(self, *arguments: Any, **more: Any) -> Any:
        try:
            return super().ask(*arguments, **more)
        except qp.AuthenticationError as exc:
            raise qp.AuthenticationError("401") from exc


@defect("test_wrong_credentials_are_refused", "says neither why nor what to do next: '401'")
class RefusalWithoutReason(_Opening):
    """A refusal says nothing but its number."""

    kind = _Terse


# -- what is left behind ----------------------------------------------------------------------------------


class _Leaving(_Opening):
    """A vendor that leaves something behind; the tests clear it away."""

    left: ClassVar[list[Any]] = []

    def tidy(self) -> None:
        while self.left:
            self.left.pop()()


@defect("test_closing_leaves_no_thread", "these threads still run: ['good-heartbeat']")
class ThreadLeft(_Leaving):
    """A thread that keeps the connection alive outlives it."""

    def client(self, url: str, credentials: Any) -> Any:
        ended = threading.Event()
        threading.Thread(target=ended.wait, name="good-heartbeat", daemon=True).start()
        self.left.append(ended.set)
        return super().client(url, credentials)


@defect("test_closing_leaves_no_file_open", "these are still open: ['socket:")
class SocketLeft(_Leaving):
    """Kept connections stay open."""

    @qp.hookimpl
    def qprovider_close_account(self, connection: Any) -> Any:
        self.left.append(connection.close)
        return True


@defect("test_closing_leaves_no_file_open", "guests.py']")
class FileLeft(_Leaving):
    """A file is opened with the account, and never closed."""

    def client(self, url: str, credentials: Any) -> Any:
        log = open(__file__, encoding="utf-8")  # noqa: SIM115  that is the defect
        self.left.append(log.close)
        return super().client(url, credentials)


@defect("test_closing_twice_is_fine", "is closed")
class OneConnectionForAll(GoodVendor):
    """All accounts share one connection, and the first that is closed closes it."""

    def __init__(self) -> None:
        self.shared: list[Client] = []

    def client(self, url: str, credentials: Any) -> Any:
        if not self.shared:
            self.shared.append(super().client(url, credentials))
        return self.shared[0]


@defect("test_a_process_that_used_it_can_end", "is kept alive by ['good-forever']")
class NeverEnds(GoodVendor):
    """A thread that nobody ends keeps the process alive."""

    def client(self, url: str, credentials: Any) -> Any:
        # In a child of the tests only, and for no longer than it takes to be seen.
        if "pytest" not in sys.modules:
            threading.Thread(target=time.sleep, args=(1.0,), name="good-forever", daemon=False).start()
        return super().client(url, credentials)


class _Patient(Client):
    def _asked(self, method: str, address: str, deadline: Any, body: Any) -> Any:
        return super()._asked(method, address, qp.Deadline.after(None), body)


@defect("test_a_silent_vendor_costs_no_more_than_the_deadline", "it still waits for a vendor")
class WaitsForEver(_Opening):
    """A request has no time limit."""

    kind = _Patient


# -- threads ----------------------------------------------------------------------------------------------


@defect("test_running_from_many_threads_at_once", "two threads were given the same job")
class SharedBuffer(GoodVendor):
    """The last answer lies where all threads see it."""

    @qp.hookimpl
    def qprovider_submit_job(self, connection: Any, request: Any, deadline: Any) -> Any:
        connection.last = connection.ask("POST", "/jobs", deadline, self.order(request))
        time.sleep(0.01)
        return self.told(connection.last)


@defect("test_running_from_many_threads_at_once", "run beside")
class ResultOfTheNewest(GoodVendor):
    """The result is that of the newest job, which mostly is the one that was asked for."""

    @qp.hookimpl
    def qprovider_job_result(self, connection: Any, job: Any, deadline: Any) -> Any:
        self.job(connection, job, deadline)
        done = qp.JobQuery(states=(qp.JobState.DONE,), limit=1)
        [newest] = self.qprovider_list_jobs(connection, done, deadline).jobs
        return super().qprovider_job_result(connection, newest.ref, deadline)


@defect("test_listing_from_many_threads_at_once", "threads listed")
class SharedListing(GoodVendor):
    """A list is filled where all threads see it."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    @qp.hookimpl
    def qprovider_list_backends(self, connection: Any, deadline: Any) -> Any:
        self.rows.clear()
        for row in connection.ask("GET", "/machines", deadline)["machines"]:
            time.sleep(0.002)
            self.rows.append(self.listed(row))
        return list(self.rows)

"""Checks of what is left behind: threads, files and sockets after closing, and whoever waits for a silent vendor."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from weakref import WeakKeyDictionary

import attrs
import pytest

from qprovider_core._account import Account
from qprovider_core._concurrency import in_background
from qprovider_core.errors import QProviderError, TransportError
from qprovider_core.ledger import ledger_in_use
from qprovider_core.records import Deadline, JobRef
from qprovider_core.testing._base import ContractBase, explained

_LEAVING_S = 10.0  # what a thread that was told to end may still take
_POLL_S = 0.02
_DEADLINE_S = 1.0
_GRACE_S = 5.0  # on a machine that has other things to do
_DESCRIPTORS = Path("/dev/fd")


@attrs.frozen
class _Left:
    """What was there after an account was closed that had not been there before it was opened."""

    threads: list[str]
    files: list[str]


_measured: WeakKeyDictionary[Account, dict[type, _Left]] = WeakKeyDictionary()


class ClosingChecks(ContractBase):
    """What is promised of the end of an account, and of one whose vendor is silent."""

    def test_closing_twice_is_fine(self, account: Account) -> None:
        other = self.another(account)
        self.listed(other)
        other.close()
        other.close()
        assert self.listed(account), "closing one connection of an account cost another its listing"

    def test_a_closed_account_says_so(self, account: Account) -> None:
        other = self.another(account)
        self.listed(other)
        other.close()
        with pytest.raises(QProviderError) as caught:
            other.facts.listing(Deadline.after(self.max_list_seconds), refresh=True)
        explained(caught.value)

    def test_closing_leaves_no_thread(self, account: Account) -> None:
        left = self._left_behind(account).threads
        assert not left, (
            f"an account was opened, used and closed, and {_LEAVING_S:g} s later these threads still run: {left}; "
            "end them in qprovider_close_account"
        )

    def test_closing_leaves_no_file_open(self, account: Account) -> None:
        if not _DESCRIPTORS.is_dir():
            pytest.skip("this system does not tell which files are open")
        left = self._left_behind(account).files
        assert not left, (
            f"an account was opened, used and closed, and {_LEAVING_S:g} s later these are still open: {left}; close "
            "files, sockets and pipes in qprovider_close_account"
        )

    def _left_behind(self, account: Account) -> _Left:
        """Open, use and close a connection, once for both checks. What all connections share is there already: the
        account of the tests does the same before."""
        measured = _measured.setdefault(account, {})
        if type(self) not in measured:
            self._use(account)
            threads, files = set(threading.enumerate()), _open_files()
            other = self.another(account)
            self._use(other)
            other.close()
            end = time.monotonic() + _LEAVING_S
            while True:
                more_threads = [t.name for t in threading.enumerate() if t not in threads]
                more_files = [name for number, name in _open_files().items() if files.get(number) != name]
                if not (more_threads or more_files) or time.monotonic() > end:
                    break
                time.sleep(_POLL_S)
            measured[type(self)] = _Left(more_threads, more_files)
        return measured[type(self)]

    def _use(self, account: Account) -> None:
        """What a user does: list, open a backend, and run something."""
        self.listed(account)
        if not self.supports_running:
            for backend in self.handles(account)[:1]:
                backend.status()
            return
        name = self.noiseless_backend or self.backend_name
        self.finished(account.get_backend(name) if name else account.least_busy(simulator=True))

    def test_a_silent_vendor_costs_no_more_than_the_deadline(self, account: Account) -> None:
        silent = self.silent_account(account)
        if silent is None:
            pytest.skip("declared: silent_account gives None, no vendor can be made that does not answer")
        hooks = {"qprovider_list_backends": {}, "qprovider_get_job": {"job": JobRef(id="one")}}
        for hook, arguments in hooks.items():
            if not account.supports(hook):
                continue
            asked = in_background(
                lambda hook=hook, arguments=arguments: silent.call(  # type: ignore[misc]
                    hook, deadline=Deadline.after(_DEADLINE_S), **arguments
                ),
                "contract-silent",
            )
            try:
                answer = asked.result(timeout=_DEADLINE_S + _GRACE_S)
            except TransportError as exc:
                explained(exc)
            except TimeoutError:
                pytest.fail(
                    f"{hook} had {_DEADLINE_S:g} s, and {_GRACE_S:g} s after its deadline it still waits for a vendor "
                    "that does not answer: pass deadline.timeout on to the client, to open the account, too"
                )
            except Exception as exc:  # noqa: BLE001  whatever the plugin raises instead
                pytest.fail(f"{hook} of a vendor that does not answer must raise TransportError, not {exc!r}")
            else:
                pytest.fail(f"{hook} of a vendor that does not answer gives {answer!r}; it must raise TransportError")
        closing = in_background(silent.close, "contract-silent-close")
        try:
            closing.result(timeout=_LEAVING_S)
        except TimeoutError:
            pytest.fail(f"an account whose vendor does not answer cannot be closed in {_LEAVING_S:g} s")


def _open_files() -> dict[int, str]:
    """Descriptors of this process and what they lead to, but for the core's own record of jobs."""
    if not _DESCRIPTORS.is_dir():
        return {}
    ledger = ledger_in_use()
    own = None if ledger is None else str(ledger.path)
    found: dict[int, str] = {}
    for entry in os.listdir(_DESCRIPTORS):
        try:
            status = os.fstat(int(entry))
        except OSError:  # the one that lists them, or one that was closed meanwhile
            continue
        try:
            name = os.readlink(_DESCRIPTORS / entry)
        except OSError:  # not every system says what it leads to
            name = f"descriptor {entry}, inode {status.st_ino}"
        if own is None or not name.startswith(own):
            found[int(entry)] = name
    return found

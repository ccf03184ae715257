"""Checks of secrets: in nothing that is printed, logged, pickled or told, whatever form they take."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
import warnings
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

import attrs
import pytest

from qprovider_core import secret
from qprovider_core._account import Account
from qprovider_core.credentials import build_credentials
from qprovider_core.errors import AuthenticationError, QProviderError
from qprovider_core.fleet import open_account
from qprovider_core.records import BackendRef, Deadline, JobQuery, JobRef
from qprovider_core.serialization import to_json
from qprovider_core.testing import circuits
from qprovider_core.testing._base import ContractBase, explained
from qprovider_core.testing._processes import secrets_of

_SHORTEST = 4  # characters; shorter ones are found in any text
_NOBODY = "no-such-thing-0"


class SecretChecks(ContractBase):
    """What is promised of tokens and passwords."""

    def test_secrets_show_nowhere(self, account: Account) -> None:
        secrets = _secrets_or_skip(account)
        connection = account._connect(Deadline.after(self.max_list_seconds))
        for name, thing in (("account", account), ("credentials", account.credentials), ("connection", connection)):
            _assert_hidden(secrets, _shapes(name, thing))
        _assert_hidden(secrets, [("JSON of the credentials", json.dumps(to_json(account.credentials)))])

    def test_secrets_show_in_no_output(self, account: Account, capfd: pytest.CaptureFixture[str]) -> None:
        secrets = _secrets_or_skip(account)
        before = set(secret._known)
        capfd.readouterr()
        with _overheard() as lines:
            other = self.another(account)
            self.listed(other)
            name = self.noiseless_backend or self.backend_name
            if self.supports_running:
                backend = other.get_backend(name) if name else other.least_busy(simulator=True)
                self.finished(backend, circuits.number(1, 1)[0])
            for hook, arguments in _MISSING.items():
                with suppress(QProviderError):  # what kind of error it is has a check of its own
                    _fail(lines, other, hook, arguments)
            other.close()
        shown = capfd.readouterr()
        secrets = [*secrets, *(set(secret._known) - before)]  # tokens that were exchanged for it, too
        _assert_hidden(secrets, [("standard output", shown.out), ("standard error", shown.err), *lines])

    def test_secrets_show_in_no_record(self, account: Account) -> None:
        secrets = _secrets_or_skip(account)
        for name, record in self._told(account):
            _assert_hidden(secrets, _shapes(name, record))
            with suppress(TypeError):  # a handle has no JSON form
                _assert_hidden(secrets, [(f"JSON of {name}", json.dumps(to_json(record), default=repr))])

    def _told(self, account: Account) -> Iterator[tuple[str, Any]]:
        """All kinds of records that the plugin gives, and the handles made of them."""
        yield "the announcement", account.spec
        yield from (("a listed backend", record) for record in self.listed(account))
        if self.supports_account_info:
            yield "the account's information", account.info()
        for backend in self.handles(account)[:2]:
            yield "a backend", backend
            yield "a configuration", backend.configuration()
            yield "a calibration", backend.properties()
            yield "a status", backend.status()
            yield "the defaults", backend.defaults()
        if not self.supports_running:
            return
        name = self.noiseless_backend or self.backend_name
        job = self.finished(account.get_backend(name) if name else account.least_busy(simulator=True))
        yield "a job", job
        yield "a job's information", self.look(account, job)
        yield "a job's result", account.ask("qprovider_job_result", job=job.ref)
        if self.supports_details and (details := job.details()) is not None:
            yield "a job's details", attrs.evolve(details, circuits=None, pubs=None)
        if self.supports_list_jobs:
            yield "a page of jobs", account.ask("qprovider_list_jobs", query=JobQuery(limit=2))

    def test_wrong_credentials_are_refused(self, account: Account) -> None:
        if self.wrong_credentials is None:
            pytest.skip("declared: wrong_credentials = None")
        wrong = dict(self.wrong_credentials)
        with pytest.raises(AuthenticationError) as caught, open_account(account.provider, **wrong) as refused:
            self.listed(refused)
        explained(caught.value)
        told = "".join(traceback.format_exception_only(caught.value))
        _assert_hidden(secrets_of(build_credentials(account.spec, wrong)), [("refusal", told)])


_MISSING: dict[str, dict[str, Any]] = {
    "qprovider_backend_configuration": {"backend": BackendRef(name=_NOBODY)},
    "qprovider_get_job": {"job": JobRef(id=_NOBODY)},
}


def _fail(lines: list[tuple[str, str]], account: Account, hook: str, arguments: dict[str, Any]) -> None:
    """Ask for something that there is not, and note what the error says."""
    try:
        account.ask(hook, **arguments)
    except QProviderError as exc:
        lines.append((f"error of {hook}", "".join(traceback.format_exception(exc))))
        raise


def _secrets_or_skip(account: Account) -> list[str]:
    found = secrets_of(account.credentials)
    if not found:
        pytest.skip("this account has no secrets")
    return found


def _shapes(name: str, thing: Any) -> Iterator[tuple[str, str]]:
    """What is seen of a thing when it is printed or pickled."""
    yield f"repr of {name}", repr(thing)
    yield f"text of {name}", f"{thing}"
    try:
        yield f"pickle of {name}", pickle.dumps(thing).decode("latin-1")
    except Exception:  # noqa: BLE001  what cannot be pickled cannot leak that way
        return


def _assert_hidden(secrets: Iterable[str], shown: Iterable[tuple[str, str]]) -> None:
    forms = {form for one in secrets if len(one) >= _SHORTEST for form in _forms(one)}
    for where, text in shown:
        leaked = any(form in text for form in forms)  # in a line of its own: a failed assertion shows its values
        assert not leaked, f"the {where} shows a secret; keep secrets as qprovider_core.Secret until they are used"


def _forms(text: str) -> set[str]:
    """The secret as it stands, in an address, in JSON, and in base64 with whatever before it."""
    raw = text.encode()
    coded = set()
    for before in range(3):
        whole = b64encode(b"\0" * before + raw).decode().rstrip("=")
        # The first and the last characters depend on the neighbours as well.
        coded.add(whole[(0, 2, 3)[before] : len(whole) - ((before + len(raw)) % 3 > 0)])
    return {text, quote(text, safe=""), json.dumps(text)[1:-1], *coded}


@contextmanager
def _overheard() -> Iterator[list[tuple[str, str]]]:
    """All that is logged, at any level and by any logger, and all warnings."""
    lines: list[tuple[str, str]] = []
    formatter, usual = logging.Formatter("%(name)s %(message)s"), logging.Logger.callHandlers

    def hear(logger: logging.Logger, record: logging.LogRecord) -> None:
        lines.append((f"log of {record.name}", formatter.format(record)))
        usual(logger, record)

    every = [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    levels = {one: one.level for one in (logging.getLogger(), *every)}
    disabled = logging.Logger.manager.disable
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        patch.setattr(logging.Logger, "callHandlers", hear)
        logging.disable(logging.NOTSET)
        for one, level in levels.items():
            if level > logging.DEBUG:
                one.setLevel(logging.DEBUG)
        try:
            yield lines
        finally:
            for one, level in levels.items():
                one.setLevel(level)
            logging.disable(disabled)
    lines += [("warning", f"{one.message} {one.filename}") for one in warned]

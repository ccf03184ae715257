"""Checks of good behaviour: what loading costs, what is declared, secrets, threads, closing."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

from qprovider_core._account import Account
from qprovider_core._backend import COMMON_OPTIONS, Backend
from qprovider_core.credentials import build_credentials
from qprovider_core.errors import AuthenticationError, QProviderError
from qprovider_core.fleet import open_account
from qprovider_core.records import Deadline
from qprovider_core.secret import Secret
from qprovider_core.serialization import to_json
from qprovider_core.testing import circuits
from qprovider_core.testing._base import HOOKS_OF, ContractBase, Declarations, explained, needs

_THREADS = 6
_CHILD_TIMEOUT_S = 120.0


class IsolationChecks(ContractBase):
    """What is promised of the plugin as a guest in somebody's process."""

    # -- declarations -------------------------------------------------------------------------------------

    def test_declarations_are_ones_that_exist(self) -> None:
        known = set(Declarations.__annotations__)
        for name in dir(type(self)):
            if name.startswith(("supports_", "support_", "max_")) and name not in known:
                near = get_close_matches(name, known, n=1)
                pytest.fail(f"{name} is no declaration{f'; did you mean {near[0]}?' if near else ''}")

    def test_declarations_agree_with_the_hooks(self, account: Account) -> None:
        for capability, hooks in HOOKS_OF.items():
            declared = getattr(self, capability)
            for hook in hooks:
                if account.supports(hook):
                    assert declared, f"{capability} = False is declared, but the plugin implements {hook}"
                else:
                    assert not declared, f"the plugin has no {hook}; write it, or declare {capability} = False"

    # -- announcement and listing in a fresh process ------------------------------------------------------

    def test_the_announcement_is_complete(self, account: Account) -> None:
        spec = account.spec
        assert spec.title.strip(), "the announcement has no title"
        assert "\n" not in spec.description, "the announcement's description takes more than one line"
        assert spec.credentials is None or attrs.has(spec.credentials), (
            f"credentials must be an attrs class or None, not {spec.credentials!r}"
        )
        clash = sorted(set(spec.run_options) & set(COMMON_OPTIONS))
        assert not clash, f"run_options names {clash}, which the core takes itself"

    def test_announcing_does_no_io_and_imports_nothing_heavy(self, account: Account) -> None:
        report = self._in_a_fresh_process(account, listing=False)
        assert report["provider"] == account.provider, f"a fresh process is told of {report['provider']!r}"
        assert not report["heavy"], (
            f"importing the plugin and announcing it imports {report['heavy']}; import these inside the hooks"
        )
        assert not report["touched"], f"importing and announcing does I/O: {report['touched']}"

    def test_listing_does_not_import_qiskit(self, account: Account) -> None:
        report = self._in_a_fresh_process(account, listing=True)
        slow = sorted({"qiskit", "numpy"} & set(report["heavy"]))
        assert not slow, f"opening an account and listing imports {slow}; import these in the hooks that need them"
        names = sorted(record.name for record in self.listed(account))
        assert report["backends"] == names, f"a fresh process lists {report['backends']}, this one {names}"

    def _in_a_fresh_process(self, account: Account, *, listing: bool) -> dict[str, Any]:
        order = {
            "plugin": self.plugin or _import_string(account._vendor._plugin),
            "list": listing,
            "fields": _fields(account._credentials),
            "timeout": self.max_list_seconds,
        }
        done = subprocess.run(
            [sys.executable, "-P", str(Path(__file__).with_name("_fresh.py"))],
            input=json.dumps(order),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            capture_output=True,
            text=True,
            timeout=_CHILD_TIMEOUT_S,
        )
        assert done.returncode == 0, (
            f"in a fresh process, {order['plugin']} fails: {done.stderr.strip()[-600:]}\n"
            "(declare `plugin` if that is not where it lives)"
        )
        report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return report

    # -- secrets ------------------------------------------------------------------------------------------

    def test_secrets_show_nowhere(self, account: Account) -> None:
        secrets = [text for text in _secrets(account._credentials) if text]
        if not secrets:
            pytest.skip("this account has no secrets")
        connection = account._connect(Deadline.after(self.max_list_seconds))
        shown: dict[str, str] = {}
        for name, thing in (
            ("account", account),
            ("credentials", account._credentials),
            ("connection", connection),
        ):
            shown[f"repr of the {name}"] = repr(thing)
            shown[f"text of the {name}"] = f"{thing}"
            try:
                shown[f"pickle of the {name}"] = pickle.dumps(thing).decode("latin-1")
            except Exception:  # noqa: BLE001, S112  what cannot be pickled cannot leak that way
                continue
        shown["JSON of the credentials"] = json.dumps(to_json(account._credentials))
        for where, text in shown.items():
            leaked = any(secret in text for secret in secrets)
            assert not leaked, f"the {where} shows a secret; keep secrets as qprovider_core.Secret until they are used"

    def test_wrong_credentials_are_refused(self, account: Account) -> None:
        if self.wrong_credentials is None:
            pytest.skip("declared: wrong_credentials = None")
        wrong = dict(self.wrong_credentials)
        with pytest.raises(AuthenticationError) as caught, open_account(account.provider, **wrong) as refused:
            self.listed(refused)
        explained(caught.value)
        shown = [text for text in _secrets(build_credentials(account.spec, wrong)) if text in str(caught.value)]
        assert not shown, "the refusal shows the secret that was refused"

    # -- threads and closing ------------------------------------------------------------------------------

    def test_listing_from_several_threads_at_once(self, account: Account) -> None:
        expected = {record.name for record in self.listed(account)}

        def look(_: int) -> set[str]:
            return {record.name for record in account.list_backends()}

        with ThreadPoolExecutor(_THREADS) as pool:
            for names in pool.map(look, range(_THREADS)):
                assert names == expected, f"one of {_THREADS} threads listed {sorted(names)}"

    @needs("supports_running")
    def test_running_from_several_threads_at_once(self, backend: Backend) -> None:
        width = 3 if backend.num_qubits is None else min(3, backend.num_qubits)
        pairs = [circuits.number(value % 2**width, width) for value in range(_THREADS)]
        ready = self.compile([circuit for circuit, _ in pairs], backend)

        def run(index: int) -> Any:
            job = backend.run(ready[index], shots=self.shots, **self.run_options)
            return job.job_id(), job.result(timeout=self.max_run_seconds).get_counts()

        with ThreadPoolExecutor(_THREADS) as pool:
            answers = list(pool.map(run, range(_THREADS)))
        assert len({job_id for job_id, _ in answers}) == _THREADS, "two threads were given the same job"
        for (_, counts), (circuit, expected) in zip(answers, pairs, strict=True):
            self.expect(counts, expected, f"{circuit.name}, run beside {_THREADS - 1} others")

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
            other.fetch_list(Deadline.after(self.max_list_seconds))
        explained(caught.value)


def _import_string(plugin: object) -> str:
    if isinstance(plugin, ModuleType):
        return plugin.__name__
    return f"{type(plugin).__module__}:{type(plugin).__qualname__}"


def _fields(credentials: Any) -> dict[str, Any] | None:
    """What an account is opened with, for another process: it goes through a pipe to a child of our own."""
    if credentials is None:
        return None
    values = {field.name: getattr(credentials, field.name) for field in attrs.fields(type(credentials))}
    return {name: v.reveal() if isinstance(v, Secret) else v for name, v in values.items() if v is not None}


def _secrets(credentials: Any) -> list[str]:
    if credentials is None:
        return []
    values = [getattr(credentials, field.name) for field in attrs.fields(type(credentials))]
    return [value.reveal() for value in values if isinstance(value, Secret)]

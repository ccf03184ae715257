"""Checks of good behaviour: what is declared, what loading costs, what twenty threads at once do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from threading import Barrier
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import attrs
import pytest

from qprovider_core._account import Account
from qprovider_core._backend import COMMON_OPTIONS, Backend
from qprovider_core.records import BackendInfo, Deadline
from qprovider_core.testing import circuits
from qprovider_core.testing._base import HOOKS_OF, ContractBase, Declarations, needs
from qprovider_core.testing._processes import ended, in_a_fresh_process

T = TypeVar("T")

_THREADS = 20
_LIKE_DECLARATIONS = ("supports_", "support_", "lists_", "max_")
_CLOSE = 0.85  # how alike two names are of which one is a slip of the pen
_listings: WeakKeyDictionary[Account, dict[str, Any]] = WeakKeyDictionary()  # what a fresh process told


class IsolationChecks(ContractBase):
    """What is promised of the plugin as a guest in somebody's process."""

    # -- declarations -------------------------------------------------------------------------------------

    def test_declarations_are_ones_that_exist(self) -> None:
        known = {name: getattr(Declarations, name) for name in Declarations.__annotations__}
        for name in dir(type(self)):
            value = getattr(type(self), name)
            if name.startswith("_") or (callable(value) and name not in known):
                continue
            if name in known:
                is_flag = type(known[name]) is bool
                assert not is_flag or type(value) is bool, f"{name} is True or False, not {value!r}"
                continue
            near = get_close_matches(name, known, n=1, cutoff=_CLOSE)
            if near or name.startswith(_LIKE_DECLARATIONS):
                near = near or get_close_matches(name, known, n=1)
                pytest.fail(f"{name} is no declaration{f'; did you mean {near[0]}?' if near else ''}")

    def test_declarations_agree_with_the_hooks(self, account: Account) -> None:
        for capability, hooks in HOOKS_OF.items():
            declared = getattr(self, capability)
            if capability == "supports_properties" and not declared:  # its hook may answer that there is none
                told = [backend.name for backend in self.handles(account) if backend.properties() is not None]
                assert not told, f"{capability} = False is declared, but {told[0]} has a calibration"
                continue
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
        report = in_a_fresh_process(account, "announce", self.plugin, self.max_list_seconds)
        assert report["provider"] == account.provider, f"a fresh process is told of {report['provider']!r}"
        assert not report["heavy"], (
            f"importing the plugin and announcing it imports {report['heavy']}; import these inside the hooks"
        )
        assert not report["touched"], f"importing and announcing does I/O: {report['touched']}"

    @needs("lists_without_qiskit")
    def test_listing_does_not_import_qiskit(self, account: Account) -> None:
        slow = sorted({"qiskit", "numpy"} & set(self._listed_in_a_fresh_process(account)["heavy"]))
        assert not slow, (
            f"opening an account and listing imports {slow}, which takes everybody seconds; import these in the hooks "
            "that need them, or declare lists_without_qiskit = False where the vendor's own client does it"
        )

    def test_a_new_process_lists_the_same(self, account: Account) -> None:
        there = self._listed_in_a_fresh_process(account)["backends"]
        here = sorted(record.name for record in self.listed(account))
        assert there == here, f"a fresh process lists {there}, this one {here}; names are what people write down"

    def test_a_process_that_used_it_can_end(self, account: Account) -> None:
        report = self._listed_in_a_fresh_process(account)
        ended(report, "opened an account and listed it")
        assert not report["threads"], (
            f"a process that opened an account and listed it is kept alive by {report['threads']} until these threads "
            "end; make them daemons, or end them before the hook answers"
        )

    def _listed_in_a_fresh_process(self, account: Account) -> dict[str, Any]:
        if account not in _listings:
            _listings[account] = in_a_fresh_process(account, "list", self.plugin, self.max_list_seconds)
        return _listings[account]

    # -- threads ------------------------------------------------------------------------------------------

    def test_listing_from_many_threads_at_once(self, account: Account) -> None:
        expected = sorted(record.name for record in self.listed(account))

        def look(index: int) -> list[str]:
            if index % 2:
                return sorted(record.name for record in account.list_backends())
            # Past the core, which asks a vendor once where many ask for its list at the same time.
            answer = account.call("qprovider_list_backends", deadline=Deadline.after(self.max_list_seconds))
            return sorted(record.name for record in answer if isinstance(record, BackendInfo))

        for names in at_once(look):
            assert names == expected, f"one of {_THREADS} threads listed {names}, alone one is given {expected}"

    @needs("supports_running")
    def test_running_from_many_threads_at_once(self, backend: Backend) -> None:
        width = 3 if backend.num_qubits is None else min(3, backend.num_qubits)
        pairs = [circuits.number(value % 2**width, width) for value in range(_THREADS)]
        ready = self.compile([circuit for circuit, _ in pairs], backend)
        seconds = self.max_run_seconds * 2  # they may have to wait for one another

        def run(index: int) -> Any:
            job = backend.run(ready[index], **{"shots": self.shots, **self.run_options})
            return job.job_id(), job.result(timeout=seconds).get_counts()

        answers = at_once(run)
        assert len({job_id for job_id, _ in answers}) == _THREADS, "two threads were given the same job"
        for (_, counts), (circuit, expected) in zip(answers, pairs, strict=True):
            self.expect(counts, expected, f"{circuit.name}, run beside {_THREADS - 1} others")


def at_once(work: Callable[[int], T]) -> list[T]:
    """What came of it in each of many threads, which begin together."""
    gate = Barrier(_THREADS)

    def begin(index: int) -> T:
        gate.wait()
        return work(index)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(begin, range(_THREADS)))

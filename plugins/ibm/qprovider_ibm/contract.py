"""What the contract tests are told of this plugin: ``pytest --qprovider-contract ibm``.

They run against an emulated service that they start themselves, which ``pip install 'qprovider-ibm[emulator]'`` brings,
and never against the real one. Needs pytest: only they import this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, ClassVar

import pytest

from qprovider_core._account import Account
from qprovider_core._backend import Backend
from qprovider_core._job import Job
from qprovider_core.errors import MissingPackageError
from qprovider_core.fleet import open_account
from qprovider_core.records import JobInfo
from qprovider_core.testing import ProviderContract, circuits
from qprovider_ibm.emulator import Emulator

for _module, _package in (("aiohttp", "aiohttp"), ("qiskit_aer", "qiskit-aer")):
    if find_spec(_module) is None:
        raise MissingPackageError(
            "The contract tests of qprovider-ibm run against an emulated service, which is not installed.",
            package=_package,
            wanted=_package,
            provider="ibm",
            title="IBM Quantum",
            why=f"{_package} is missing.",
            hint="Install it: pip install 'qprovider-ibm[emulator]'",
        )

# What could lead elsewhere than to the emulated service.
_ELSEWHERE = ("QPROVIDER_IBM_", "QISKIT_IBM_", "IAM_", "GLOBAL_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class IBMContract(ProviderContract):
    """The plugin at an emulated service. Subclass it to run on another of its backends."""

    emulator: Emulator
    noiseless_backend: ClassVar[str | None] = "ibmq_qasm_simulator"
    wrong_credentials: ClassVar[Mapping[str, Any] | None] = {"token": "a-key-that-nobody-was-given-00000000000"}
    supports_defaults: ClassVar[bool] = False

    @pytest.fixture(scope="class")
    @classmethod
    def account(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
        home = tmp_path_factory.mktemp("home")
        with pytest.MonkeyPatch.context() as patch, Emulator() as cls.emulator:
            for name in list(os.environ):
                if name.upper().startswith(_ELSEWHERE):
                    patch.delenv(name)
            patch.setenv("QPROVIDER_CONFIG_DIR", str(home))  # not the user's own accounts
            patch.setenv("HOME", str(home))
            for name, value in cls.emulator.environment().items():
                if not name.endswith("TOKEN"):
                    patch.setenv(name, value)
            instance = cls.emulator.instances["premium-eu"]
            with open_account("ibm", token=cls.emulator.api_key, instance=instance) as account:
                yield account

    def queued_job(self, backend: Backend) -> Job:
        """A job that stays in the queue until it is cancelled."""
        self.emulator.fault("job_stuck", times=1)
        return self.submit(backend, circuits.coin())

    def job_with_status(self, account: Account, word: str) -> JobInfo | None:
        """A job that the service tells of with this word, from its beginning to beyond its end."""
        self.emulator.fault("job_status", status=word, times=1)
        job = self.submit(account.get_backend(self.noiseless_backend or "ibmq_qasm_simulator"), circuits.coin())
        return self.look(account, job)

    def silent_account(self, account: Account) -> Account | None:
        """An account whose services all take connections and say nothing."""
        silent = f"http://{self.silent_address()}"
        places = {name: url.replace(self.emulator.base, silent) for name, url in self.emulator.endpoints().items()}
        return self.unopened(account, token=self.emulator.api_key, endpoints=places)

"""What the tests of the defects need: the service in a process of its own, and accounts at it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from good_vendor import SILENT_VARIABLE, TOKEN, URL_VARIABLE

from qprovider_core import Account, Deadline, JobInfo, open_account, register_plugin, unregister_plugin
from qprovider_core.testing import circuits
from qprovider_core.testing._base import ContractBase


@contextmanager
def running_service() -> Iterator[dict[str, str]]:
    """The service, and the variables by which its plugin finds it; it ends with this process, too."""
    command = [sys.executable, str(Path(__file__).with_name("service.py")), TOKEN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield {name: process.stdout.readline().strip() for name in (URL_VARIABLE, SILENT_VARIABLE)}


@contextmanager
def opened(vendor: object) -> Iterator[Account]:
    """An account at the service through this plugin, which is known by its name meanwhile."""
    register_plugin(vendor, name="good")
    try:
        with open_account("good", token=TOKEN) as account:
            yield account
    finally:
        unregister_plugin("good")


class GoodDeclarations(ContractBase):
    """What is declared of the good vendor, and thus of each that has a defect."""

    plugin: ClassVar[str | None] = "good_vendor:vendor"
    noiseless_backend: ClassVar[str | None] = "quiet"
    wrong_credentials: ClassVar[Mapping[str, Any] | None] = {"token": "another-token-entirely"}

    def job_with_status(self, account: Account, word: str) -> JobInfo | None:
        """A job whose status the service calls `word`."""
        backend = account.get_backend("quiet")
        job = self.finished(backend, circuits.number(1, 1)[0])
        path = f"/jobs/{job.job_id()}/status"
        account.connection().ask("PUT", path, Deadline.after(10), {"status": word})
        told: JobInfo | None = account.ask("qprovider_get_job", job=job.ref)
        return told

    def silent_account(self, account: Account) -> Account | None:
        """An account whose service takes connections and never answers."""
        import os

        return open_account("good", token=TOKEN, url=os.environ[SILENT_VARIABLE])

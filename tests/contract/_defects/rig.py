"""What the tests of the defects need: the service in a process of its own, and accounts at it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from good_vendor import TOKEN, URL_VARIABLE

from qprovider_core import (
    Account,
    Backend,
    Deadline,
    Job,
    JobInfo,
    open_account,
    register_plugin,
    unregister_plugin,
)
from qprovider_core.testing import circuits
from qprovider_core.testing._base import ContractBase

LONG_S = 1.5


@contextmanager
def running_service() -> Iterator[dict[str, str]]:
    """The service, and the variable by which its plugin finds it; it ends with this process, too."""
    command = [sys.executable, str(Path(__file__).with_name("service.py")), TOKEN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield {URL_VARIABLE: process.stdout.readline().strip()}


@contextmanager
def opened(vendor: object) -> Iterator[Account]:
    """An account at the service through this plugin, which is known by its name meanwhile."""
    register_plugin(vendor, name="good")
    try:
        with open_account("good", token=TOKEN) as account:
            yield account
    finally:
        unregister_plugin("good")
        if tidy := getattr(vendor, "tidy", None):
            tidy()


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
        return self.unopened(account, token=TOKEN, url=f"http://{self.silent_address()}")

    def long_job(self, backend: Backend) -> Job:
        """A job that runs for a while, which the service does when it is asked to."""
        return self.submit(backend, circuits.coin(), run_s=LONG_S)


def parameters(check: Any) -> list[dict[str, Any]]:
    """The sets of values with which a check is made; one without values where it has no parameters."""
    marks = [mark for mark in getattr(check, "pytestmark", ()) if mark.name == "parametrize"]
    sets: list[dict[str, Any]] = [{}]
    for mark in marks:
        names = [name.strip() for name in mark.args[0].split(",")]
        rows = [row if len(names) > 1 else (row,) for row in mark.args[1]]
        sets = [{**one, **dict(zip(names, row, strict=True))} for one in sets for row in rows]
    return sets

"""A budget for what costs money: a job that would pass it is refused before anything is sent.

Counted are shots × circuits, of each job and of a day (UTC), for all processes of this user; simulators are free.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import tomllib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import attrs
from attrs.validators import deep_iterable, ge, instance_of, optional
from filelock import FileLock

from qprovider_core import config, hookimpl
from qprovider_core.errors import QProviderError, ResponseError, TransportError
from qprovider_core.records import AccountRef, BackendInfo, EstimatePub, JobInfo, JobRequest, SamplePub

_simulators: set[tuple[AccountRef, str]] = set()  # that this process saw listed


class BudgetError(QProviderError):
    """A job would pass the budget, or the budget cannot be read. Nothing was sent."""


@attrs.frozen
class Budget:
    """The limits, None for none, and the providers or full names of backends for which they hold, wildcards allowed."""

    on: list[str] = attrs.field(factory=lambda: ["*"], validator=deep_iterable(instance_of(str), instance_of(list)))
    per_job: int | None = attrs.field(default=None, validator=optional([instance_of(int), ge(0)]))
    per_day: int | None = attrs.field(default=None, validator=optional([instance_of(int), ge(0)]))

    @classmethod
    def read(cls) -> Budget:
        """From its file, where there is one, and the environment, which goes before it."""
        named = config.variable("QPROVIDER_BUDGET")
        path = Path(named or config.config_dir() / "budget.toml").expanduser()
        try:
            given: dict[str, Any] = tomllib.loads(path.read_text("utf-8")) if named or path.exists() else {}
            for name in ("per_job", "per_day"):
                if text := config.variable(f"QPROVIDER_BUDGET_{name.upper()}"):
                    given[name] = int(text)
            if text := config.variable("QPROVIDER_BUDGET_ON"):
                given["on"] = text.replace(",", " ").split()
            return cls(**given)
        except (OSError, ValueError, TypeError) as exc:
            why = f"{path}, or a variable QPROVIDER_BUDGET_…: {exc.args[0] if isinstance(exc, TypeError) else exc}"
            raise BudgetError("the budget cannot be read", why=why, hint="Mend it; until then no job is sent.") from exc

    def covers(self, account: AccountRef, backend: str) -> bool:
        names = (account.provider, f"{account.provider}:{backend}")
        counts = any(fnmatchcase(name, pattern) for name in names for pattern in self.on)
        return counts and (account, backend) not in _simulators


@contextmanager
def _today() -> Iterator[dict[str, int]]:
    """Today's shots by the keys of their jobs, to be changed with the lock held; an error leaves them as they were."""
    path, day = config.data_dir() / "budget.json", datetime.now(UTC).date().isoformat()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=30, mode=0o600):
            jobs = json.loads(path.read_text("utf-8")).get(day, {}) if path.exists() else {}
            yield jobs
            with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:  # for this user only
                file.write(json.dumps({day: jobs}))
                file.flush()
                os.fsync(file.fileno())
            os.replace(file.name, path)
    except (OSError, ValueError, TypeError, AttributeError) as exc:
        hint = f"See what is wrong with {path}; without it the day begins anew."
        raise BudgetError("what was used today cannot be read or written", why=repr(exc), hint=hint) from exc


def shots_of(pub: SamplePub | EstimatePub) -> int:
    """Shots of one circuit. An estimate takes 1 / precision² (4096 by default) an observable and set of parameters."""
    if isinstance(pub, SamplePub):
        return pub.shots * math.prod(pub.shape)
    return math.ceil((pub.precision or 1 / 64) ** -2) * len(pub.observables) * math.prod(pub.shape)


@hookimpl(wrapper=True)
def qprovider_list_backends(account: AccountRef) -> Generator[None, Sequence[BackendInfo], Sequence[BackendInfo]]:
    listed = yield
    _simulators.update((account, one.name) for one in listed if isinstance(one, BackendInfo) and one.simulator)
    return listed


@hookimpl(wrapper=True)
def qprovider_submit_job(request: JobRequest, account: AccountRef) -> Generator[None, JobInfo, JobInfo]:
    budget, asked = Budget.read(), sum(map(shots_of, request.pubs))
    if not budget.covers(account, request.backend.name):
        return (yield)
    with _today() as jobs:  # taken before it is sent: no other process shall spend the same shots
        used = sum(shots for key, shots in jobs.items() if key != request.key)  # the same job may be sent again
        for name, limit, before in (("per_job", budget.per_job, 0), ("per_day", budget.per_day, used)):
            if limit is not None and before + asked > limit:
                what = f"{name} is {limit:,} shots × circuits, {before:,} are used, and it asks for {asked:,}"
                raise BudgetError(what, hint=f"Ask for less, raise {name} of the budget, or wait for 00:00 UTC.")
        jobs[request.key] = asked
    try:
        return (yield)
    except QProviderError as exc:  # any other error may come after the vendor took it: that counts
        if exc.arrived is False if isinstance(exc, TransportError) else not isinstance(exc, ResponseError):
            with _today() as jobs:
                jobs.pop(request.key, None)
        raise

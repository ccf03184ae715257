"""A fresh process that does something with the plugin and tells what that did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

from qprovider_core._account import Account
from qprovider_core._plugin_loading import ENTRY_POINT_GROUP
from qprovider_core.secret import Secret
from qprovider_core.testing._fresh import LEAVING_S, STUCK

_CHILD_TIMEOUT_S = 120.0
_LAST_WORDS = 800


def in_a_fresh_process(
    account: Account, what: str, plugin: str | None, seconds: float, job: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Do something in a process of its own, which ends without closing anything, and give its report; whether it could
    end is in there, too (see `ended`).

    Args:
        what: ``announce``, ``list`` or ``retrieve``.
        plugin: Its import string, where it is declared.
        seconds: What one call at the vendor may take.
        job: Id and instance of the job to retrieve.
    """
    order = {
        "plugin": plugin or import_string(account.vendor.plugin_name, account._vendor._plugin),
        "what": what,
        "fields": fields_of(account.credentials),
        "timeout": seconds,
        "job": job,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(Path(__file__).with_name("_fresh.py"))],
            input=json.dumps(order),
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "QPROVIDER_LEDGER": "off",  # what the vendor has is asked for, not what the core has kept
            },
            capture_output=True,
            text=True,
            timeout=_CHILD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        pytest.fail(f"a fresh process that was to {what} took more than {_CHILD_TIMEOUT_S:g} s")
    words = done.stderr.strip()[-_LAST_WORDS:]
    assert done.returncode in (0, STUCK), (
        f"in a fresh process, {order['plugin']} fails: {words}\n(declare `plugin` if that is not where it lives)"
    )
    report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    report["stuck"] = done.returncode == STUCK
    report["last_words"] = words
    return report


def ended(report: Mapping[str, Any], what: str) -> None:
    """A process that closed nothing has ended all the same."""
    kept = f"it was kept by the threads {report['threads']}" if report["threads"] else "what keeps it is no thread"
    assert not report["stuck"], (
        f"a process that {what} and closed nothing did not end within {LEAVING_S:g} s: {kept}. Make threads daemons, "
        "and wait for nobody at exit: users leave without closing"
    )
    assert "Traceback (most recent call last)" not in report["last_words"], (
        f"a process that {what} and closed nothing ended with an error: {report['last_words']}"
    )


def import_string(name: str, plugin: object) -> str:
    """Where another process finds the plugin: as it is installed, or by its module."""
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=name):
        if entry.load() is plugin:
            return entry.value
    if isinstance(plugin, ModuleType):
        return plugin.__name__
    kind = type(plugin)
    for place, value in vars(sys.modules.get(kind.__module__, kind)).items():
        if value is plugin:
            return f"{kind.__module__}:{place}"
    return f"{kind.__module__}:{kind.__qualname__}"


def fields_of(credentials: Any) -> dict[str, Any]:
    """What an account is opened with, for another process: it goes through a pipe to a child of our own."""
    if credentials is None:
        return {}
    values = {field.name: getattr(credentials, field.name) for field in attrs.fields(type(credentials))}
    return {name: v.reveal() if isinstance(v, Secret) else v for name, v in values.items() if v is not None}


def secrets_of(credentials: Any) -> list[str]:
    """The texts of an account that must not show."""
    if credentials is None:
        return []
    values = [getattr(credentials, field.name) for field in attrs.fields(type(credentials))]
    return [value.reveal() for value in values if isinstance(value, Secret) and value]

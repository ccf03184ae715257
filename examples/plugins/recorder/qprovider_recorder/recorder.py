"""The recorder: a wrapper that adds a line to the file named by QPROVIDER_RECORD for each call of a vendor.

Credentials, connections and deadlines are not written, and every secret of the process is masked.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import json
import os
import threading
from collections.abc import Generator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import attrs

from qprovider_core import config, errors, hookimpl, hookspecs, records
from qprovider_core.secret import scrub
from qprovider_core.serialization import to_json

OPEN, SUBMIT = "qprovider_open_account", "qprovider_submit_job"
ASK_NOBODY = ("qprovider_provider", "qprovider_foreign_accounts")
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("qprovider_") and name not in ASK_NOBODY)
_IN_PROCESS = (OPEN, "qprovider_backend_target")  # their answers live in one process only: a connection, a `Target`
_LEFT_OUT = ("connection", "credentials", "deadline", "wait_s")  # they mean nothing to another process
_lock = threading.Lock()


def _clean(value: Any) -> Any:
    """JSON types without secrets."""
    if isinstance(value, Mapping):
        return {scrub(str(key)): _clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    return value if isinstance(value, bool | int | float | None) else scrub(str(value))


def asked(hook: str, values: Sequence[Any]) -> tuple[str, str]:
    """What a call asks, the same in every run; and the core's key of a submission, which never is."""
    names = inspect.signature(getattr(hookspecs, hook)).parameters
    given = {name: value for name, value in zip(names, values, strict=True) if name not in _LEFT_OUT}
    key = ""
    if hook == SUBMIT:
        from qiskit import qasm3  # late: it was loaded by who made the circuits

        request, key = given["request"], given["request"].key
        pubs = [attrs.evolve(pub, circuit=qasm3.dumps(pub.circuit)) for pub in request.pubs]
        given["request"] = attrs.evolve(request, pubs=pubs)
    if "job" in given:
        given["job"] = attrs.evolve(given["job"], extra={})
    text = json.dumps(_clean(to_json({"hook": hook, **given})), sort_keys=True)
    return text.replace(key, "") if key else text, key


def told(answer: Any) -> Any:
    """An answer or an error as JSON types."""
    if isinstance(answer, list | tuple):
        return [told(one) for one in answer]
    names = [kind.__name__ for kind in type(answer).__mro__]
    if isinstance(answer, Exception):
        kind = next(name for name in names if hasattr(errors, name) or hasattr(builtins, name))
        facts = {name: one for name, one in vars(answer).items() if isinstance(one, str | int | float | tuple | None)}
        return {"error": kind, "facts": _clean({"args": [str(answer)], **facts})}
    if isinstance(answer, records.JobDetails):
        answer = attrs.evolve(answer, circuits=None, pubs=None)
    kind = next((name for name in names if hasattr(records, name)), "")
    return {"record": kind, "value": _clean(answer.to_dict() if kind else answer)}


def _recording(hook: str) -> Any:
    @hookimpl(wrapper=True)
    @functools.wraps(getattr(hookspecs, hook))  # pluggy passes the arguments that it names
    def record(*values: Any) -> Generator[None, Any, Any]:
        try:
            answer = yield
        except Exception as exc:
            _write(hook, values, exc)
            raise
        _write(hook, values, None if hook in _IN_PROCESS else answer)
        return answer

    return record


def _write(hook: str, values: Sequence[Any], outcome: Any) -> None:
    path = config.variable("QPROVIDER_RECORD")
    if path is None:
        return
    text, key = asked(hook, values)
    line = json.dumps({"asked": json.loads(text), "key": key, "told": told(outcome)})
    with _lock, open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
        file.write(f"{line}\n")


plugin = SimpleNamespace(**{hook: _recording(hook) for hook in HOOKS})
